/*
 * propose: see propose.h.
 *
 * Topics that have the same number of levels and the same words of a protocol
 * (sensor, state, tele …) at the same places are one pattern.  Of the other
 * levels the last one that names a thing is the {source}, for bare values the
 * last is the {tag} and the one before the source; what is the same everywhere
 * is written out, what differs becomes a label, so that no two topics become
 * one tag.  Under a pattern whose tags are numbers here and texts there, each
 * tag has a line of its own.  Two patterns never match the same topic: of those
 * that would, the one with fewer topics is only noted.
 *
 * Guesses of a program: a person reads them.  Fails: never.
 */
#include "agent/cli/commission/propose.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/err.h"
#include "agent/cli/commission/part.h"

enum { GROUPS_MAX = 200, SUBS_MAX = 400, NOTES_MAX = 50 };

/* One subscription in the making. */
struct pattern {
        const struct sample **topics;
        size_t n, n_levels;
        bool bare, several[SAMPLES_LEVELS_MAX]; /* several: the level is not the same in all */
        int source_level, tag_level;            /* -1: none */
        bool tag_literal;
};

struct work {
        struct pattern *patterns;
        size_t n;
        struct proposal *out;
        FILE *notes;
        size_t n_notes;
};

/*
 * Words of protocols and gateways, which say nothing about whose values these
 * are.
 */
/*
 * Words of protocols and gateways, which say nothing about whose values these
 * are.
 */
static const char *const protocol_words[] = {"tele",
                                             "stat",
                                             "cmnd",
                                             "sensor",
                                             "sensors",
                                             "state",
                                             "status",
                                             "status8",
                                             "status10",
                                             "result",
                                             "uplink",
                                             "uplink_message",
                                             "up",
                                             "event",
                                             "events",
                                             "data",
                                             "telemetry",
                                             "attributes",
                                             "values",
                                             "value",
                                             "info",
                                             "announce",
                                             "online",
                                             "lwt",
                                             "availability",
                                             "application",
                                             "applications",
                                             "device",
                                             "devices",
                                             "node",
                                             "nodes",
                                             "gateway",
                                             "v1",
                                             "v2",
                                             "v3",
                                             "zigbee2mqtt",
                                             "homeassistant",
                                             "rtl_433",
                                             "shellies",
                                             "tasmota",
                                             "esphome",
                                             "neuron",
                                             "mqtt",
                                             "relay",
                                             "emeter",
                                             "light",
                                             "switch",
                                             "binary_sensor",
                                             "number",
                                             "climate",
                                             "cover",
                                             "rpc",
                                             "me",
                                             "iotgateway",
                                             "properties",
                                             "measurement",
                                             "measurements",
                                             "reading",
                                             "readings",
                                             "sys",
                                             "$sys"};

static bool is_protocol_word(const char *s)
{
        for (size_t i = 0; i < sizeof(protocol_words) / sizeof(*protocol_words); i++)
                if (strcasecmp(s, protocol_words[i]) == 0)
                        return true;
        return !*s || strchr(s, ':');
}

static bool is_short_number(const char *s)
{
        return strlen(s) <= 3 && strspn(s, "0123456789") == strlen(s);
}

static void note(struct work *w, const char *topic, const char *what)
{
        if (w->n_notes++ < NOTES_MAX) {
                fprintf(w->notes, "# ");
                part_text(w->notes, topic, strlen(topic));
                fputs(": ", w->notes);
                part_remark(w->notes, what, strlen(what));
                fputc('\n', w->notes);
        }
}

/* ---- topics -> patterns ---- */

/* An array whose elements have a name and a value each. */
static bool has_elements(const struct sample *t)
{
        return t->has_array && t->id[0] && t->value[0];
}

static bool is_bare(const struct sample *t)
{
        return t->kind != SAMPLE_JSON && t->kind != SAMPLE_ARRAY;
}

static bool is_alike(const struct pattern *p, const struct sample *t)
{
        const struct sample *first = p->topics[0];

        if (p->n_levels != t->n_levels || p->bare != is_bare(t) || has_elements(first) != has_elements(t))
                return false;
        for (size_t i = 0; i < p->n_levels; i++) {
                bool word = is_protocol_word(t->level[i]);

                if (word != is_protocol_word(first->level[i]) || (word && strcmp(t->level[i], first->level[i]) != 0))
                        return false;
        }
        return true;
}

static void add_topic(struct pattern *p, const struct sample *t)
{
        for (size_t i = 0; p->n && i < p->n_levels; i++)
                p->several[i] |= strcmp(p->topics[0]->level[i], t->level[i]) != 0;
        p->topics = mem_grow(p->topics, p->n + 1, sizeof(*p->topics));
        p->topics[p->n++] = t;
}

static struct pattern *add_pattern(struct work *w, const struct sample *t)
{
        w->patterns = mem_grow(w->patterns, w->n + 1, sizeof(*w->patterns));
        w->patterns[w->n] =
                (struct pattern){.n_levels = t->n_levels, .bare = is_bare(t), .source_level = -1, .tag_level = -1};
        return &w->patterns[w->n++];
}

static void group(struct work *w, const struct sample *t)
{
        struct pattern *p = NULL;

        for (size_t i = 0; i < w->n && !p; i++)
                p = is_alike(&w->patterns[i], t) ? &w->patterns[i] : NULL;
        if (!p && w->n == GROUPS_MAX)
                note(w, t->topic, "too many kinds of topics; choose a narrower filter");
        else
                add_topic(p ? p : add_pattern(w, t), t);
}

static void choose_levels(struct pattern *p)
{
        int last = -1;

        for (int i = (int)p->n_levels - 1; i >= 0; i--) {
                const char *s = p->topics[0]->level[i];

                if (is_protocol_word(s))
                        continue;
                if (p->bare && p->tag_level < 0)
                        p->tag_level = i;
                else if (p->source_level < 0 && !is_short_number(s))
                        p->source_level = i;
                last = last < 0 ? i : last;
        }
        if (p->bare && p->tag_level < 0) {
                p->tag_level = (int)p->n_levels - 1;
                p->tag_literal = true;
        }
        /* One level in front of several names of values is the plant's, not a machine's, when it is alone. */
        if (!p->bare && p->source_level < 0)
                p->source_level = last;
}

/* ---- patterns that would match the same topic ---- */

static bool is_open(const struct pattern *p, size_t i)
{
        if ((int)i == p->tag_level)
                return !p->tag_literal;
        return (int)i == p->source_level || p->several[i];
}

static bool overlap(const struct pattern *a, const struct pattern *b)
{
        if (a->n_levels != b->n_levels)
                return false;
        for (size_t i = 0; i < a->n_levels; i++)
                if (!is_open(a, i) && !is_open(b, i) && strcmp(a->topics[0]->level[i], b->topics[0]->level[i]) != 0)
                        return false;
        return true;
}

static void drop(struct work *w, size_t i)
{
        for (size_t k = 0; k < w->patterns[i].n; k++)
                note(w, w->patterns[i].topics[k]->topic,
                     "another pattern matches it too, and its payload is of another kind");
        free(w->patterns[i].topics);
        w->patterns[i] = w->patterns[--w->n];
}

/*
 * Bare values beside each other are one pattern, whatever words their names
 * are; split_by_tag does the rest.
 */
static void join(struct work *w, size_t i, size_t k)
{
        struct pattern *to = &w->patterns[i], from = w->patterns[k];

        if (from.tag_level > to->tag_level || (to->tag_literal && !from.tag_literal)) {
                to->tag_level = from.tag_level;
                to->source_level = from.source_level;
        }
        to->tag_literal = false;
        for (size_t t = 0; t < from.n; t++)
                add_topic(to, from.topics[t]);
        free(from.topics);
        memmove(&w->patterns[k], &w->patterns[k + 1], (--w->n - k) * sizeof(from));
}

static void drop_overlaps(struct work *w)
{
        for (size_t i = 0; i < w->n; i++)
                for (size_t k = i + 1; k < w->n;) {
                        if (!overlap(&w->patterns[i], &w->patterns[k])) {
                                k++;
                                continue;
                        }
                        if (w->patterns[i].bare && w->patterns[k].bare) {
                                join(w, i, k);
                                k = i + 1; /* it matches more now */
                                continue;
                        }
                        if (w->patterns[k].n > w->patterns[i].n) {
                                struct pattern swap = w->patterns[i];

                                w->patterns[i] = w->patterns[k];
                                w->patterns[k] = swap;
                                drop(w, k);
                                k = i + 1; /* another one is here: look at all of them again */
                        } else {
                                drop(w, k);
                        }
                }
}

/* ---- bare values of several kinds ---- */

static bool is_mixed(const struct pattern *p)
{
        for (size_t i = 1; i < p->n; i++)
                if (p->topics[i]->kind != p->topics[0]->kind)
                        return true;
        return false;
}

/* One pattern for each tag; its kind is the weakest of its topics. */
static void split_by_tag(struct work *w, size_t at)
{
        struct pattern p = w->patterns[at];
        size_t level = (size_t)p.tag_level, first = w->n;

        for (size_t i = 0; i < p.n; i++) {
                struct pattern *to = NULL;

                for (size_t k = first; k < w->n && !to; k++)
                        if (strcmp(w->patterns[k].topics[0]->level[level], p.topics[i]->level[level]) == 0)
                                to = &w->patterns[k];
                if (!to && w->n >= SUBS_MAX)
                        continue;
                to = to ? to : add_pattern(w, p.topics[i]);
                to->source_level = p.source_level;
                to->tag_level = p.tag_level;
                to->tag_literal = true;
                add_topic(to, p.topics[i]);
        }
        free(p.topics);
        memmove(&w->patterns[at], &w->patterns[at + 1], (--w->n - at) * sizeof(p));
}

/* ---- patterns -> text ---- */

static void put_pattern(FILE *f, const struct pattern *p)
{
        char *text;
        size_t len;
        FILE *t = open_memstream(&text, &len);

        BUG_ON(!t);
        for (size_t i = 0; i < p->n_levels; i++) {
                const char *s = p->topics[0]->level[i];

                fputs(i ? "/" : "", t);
                if ((int)i == p->tag_level && !p->tag_literal)
                        fputs("{tag}", t);
                else if ((int)i == p->source_level)
                        fputs("{source}", t);
                else if (p->several[i])
                        fprintf(t, "{level%zu}", i + 1);
                else
                        fputs(strpbrk(s, "+#{}") ? "+" : s, t);
        }
        fclose(t);
        fprintf(f, "{topic: ");
        part_text(f, text, len);
        free(text);
}

static void put_bare(FILE *f, const struct pattern *p)
{
        static const char *const payloads[] = {
                [SAMPLE_NUMBER] = "number", [SAMPLE_TEXT] = "text", [SAMPLE_RAW] = "raw"};
        enum sample_kind kind = SAMPLE_NUMBER;
        char name[PART_NAME_ROOM];

        for (size_t i = 0; i < p->n; i++)
                if (p->topics[i]->kind == SAMPLE_RAW || kind != SAMPLE_RAW)
                        kind = p->topics[i]->kind == SAMPLE_NUMBER ? kind : p->topics[i]->kind;
        put_pattern(f, p);
        fprintf(f, ", payload: %s", payloads[kind]);
        if (p->tag_literal) {
                const char *s = p->topics[0]->level[p->tag_level];

                part_name(name, s, strlen(s), "value");
                fprintf(f, ", tag: ");
                part_text(f, name, strlen(name));
        }
        fputc('}', f);
}

/* All leaves of all topics of a pattern, each once. */
static struct leaf *leaves_of(const struct pattern *p, size_t *n)
{
        struct leaf *all = mem_alloc(SAMPLES_LEAVES_MAX * sizeof(*all));

        *n = 0;
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < p->topics[i]->n_leaves; k++) {
                        const struct leaf *leaf = &p->topics[i]->leaves[k];
                        size_t at = 0;

                        while (at < *n && strcmp(all[at].pointer, leaf->pointer) != 0)
                                at++;
                        if (at == *n && *n < SAMPLES_LEAVES_MAX)
                                all[(*n)++] = *leaf;
                        else if (at < *n)
                                all[at].time = samples_time_of_both(all[at].time, leaf->time);
                }
        return all;
}

/*
 * How long the beginning is that all values' pointers have in common, in whole
 * steps.
 */
static size_t common_steps(const struct leaf *leaves, size_t n, const bool *taken)
{
        const char *first = NULL;
        size_t common = 0;

        for (size_t i = 0; i < n; i++) {
                const char *s = leaves[i].pointer;
                size_t same = 0;

                if (!taken[i])
                        continue;
                if (!first) {
                        first = s;
                        common = (size_t)(strrchr(s, '/') - s);
                        continue;
                }
                while (s[same] && s[same] == first[same])
                        same++;
                common = same < common ? same : common;
                while (common && (first[common] != '/' || s[common] != '/'))
                        common--;
        }
        return common;
}

static void put_tag(FILE *f, const char *pointer, size_t skip, struct part_names *names)
{
        char text[SAMPLES_POINTER_ROOM], name[PART_NAME_ROOM];
        size_t n = 0;

        for (const char *s = pointer + skip + 1; *s; s++) {
                if (*s == '~') {
                        s++;
                        text[n++] = *s == '0' ? '~' : '/';
                } else {
                        text[n++] = *s == '/' ? '_' : *s;
                }
        }
        part_name(name, text, n, "value");
        part_names_add(names, name);
        fprintf(f, "{tag: ");
        part_text(f, name, strlen(name));
        fprintf(f, ", value: ");
        part_text(f, pointer, strlen(pointer));
        fputc('}', f);
}

static void put_format(FILE *f, const struct pattern *p, enum leaf_time time)
{
        static const char *const formats[] = {[TIME_UNIX_S] = "unix_s",
                                              [TIME_UNIX_MS] = "unix_ms",
                                              [TIME_UNIX_US] = "unix_us",
                                              [TIME_ISO8601] = "iso8601",
                                              [TIME_LOCAL] = "iso8601"};

        fprintf(f, ", time_format: %s", formats[time]);
        if (time != TIME_LOCAL)
                return;
        fprintf(f, ", time_zone: ");
        part_text(f, p->topics[0]->all->zone, strlen(p->topics[0]->all->zone));
}

/* TIME_UNCLEAR: there is one that can't be written. */
static enum leaf_time put_time(FILE *f, const struct pattern *p, const struct leaf *leaves, size_t n)
{
        const struct leaf *best = NULL;
        bool unclear = false;

        for (size_t i = 0; i < n; i++) {
                unclear |= leaves[i].time == TIME_UNCLEAR;
                if (leaves[i].time == TIME_NONE || leaves[i].time == TIME_UNCLEAR)
                        continue;
                if (!best || (leaves[i].time != TIME_LOCAL && best->time == TIME_LOCAL) ||
                    ((leaves[i].time == TIME_LOCAL) == (best->time == TIME_LOCAL) &&
                     strlen(leaves[i].pointer) < strlen(best->pointer)))
                        best = &leaves[i];
        }
        if (!best)
                return unclear ? TIME_UNCLEAR : TIME_NONE;
        fprintf(f, ", time: ");
        part_text(f, best->pointer, strlen(best->pointer));
        put_format(f, p, best->time);
        return best->time;
}

static void note_time(struct work *w, const struct pattern *p, enum leaf_time time)
{
        if (time == TIME_LOCAL)
                note(w, p->topics[0]->topic, "its times say no zone; time_zone is this machine's: is it the device's?");
        if (time == TIME_UNCLEAR)
                note(w, p->topics[0]->topic,
                     "its times say no zone, or are of another form: see time_zone and time_pattern in the manual");
}

/* False: there is no value in it. */
static bool put_json(struct work *w, FILE *f, const struct pattern *p)
{
        struct part_names names = {0};
        bool taken[SAMPLES_LEAVES_MAX], any = false;
        size_t n, skip, k = 0;
        struct leaf *leaves = leaves_of(p, &n);

        for (size_t i = 0; i < n; i++)
                any |= taken[i] = leaves[i].type != LEAF_TEXT && leaves[i].time == TIME_NONE;
        for (size_t i = 0; i < n && !any; i++)
                taken[i] = leaves[i].time == TIME_NONE;
        skip = common_steps(leaves, n, taken);
        put_pattern(f, p);
        fprintf(f, ", payload: json");
        note_time(w, p, put_time(f, p, leaves, n));
        fprintf(f, ", readings: [");
        for (size_t i = 0; i < n; i++) {
                if (!taken[i])
                        continue;
                fputs(k++ ? ", " : "", f);
                put_tag(f, leaves[i].pointer, skip, &names);
        }
        fprintf(f, "]}");
        part_names_fini(&names);
        free(leaves);
        return k > 0;
}

static void put_each(struct work *w, FILE *f, const struct pattern *p)
{
        const struct sample *t = p->topics[0];

        put_pattern(f, p);
        fprintf(f, ", payload: json, each: ");
        part_text(f, t->array, strlen(t->array));
        if (t->at_time != TIME_NONE && t->at_time != TIME_UNCLEAR) {
                fprintf(f, ", time: \"/%s\"", t->at);
                put_format(f, p, t->at_time);
        }
        note_time(w, p, t->at_time);
        fprintf(f, ", readings: [{tag: \"{/%s}\", value: \"/%s\"}]}", t->id, t->value);
}

static void put_sub(struct work *w, const struct pattern *p)
{
        char *text;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        bool good = true;

        BUG_ON(!f);
        if (p->bare)
                put_bare(f, p);
        else if (has_elements(p->topics[0]))
                put_each(w, f, p);
        else
                good = put_json(w, f, p);
        fclose(f);
        if (!good || w->out->n == SUBS_MAX) {
                note(w, p->topics[0]->topic, "no value in it could be told");
                free(text);
                return;
        }
        w->out->subs = mem_grow(w->out->subs, w->out->n + 1, sizeof(*w->out->subs));
        w->out->subs[w->out->n++] = text;
}

/* What needs no grouping; true: done with. */
static bool set_apart(struct work *w, const struct sample *t, bool *sparkplug)
{
        if (t->kind == SAMPLE_SPARKPLUG) {
                *sparkplug = true;
                return true;
        }
        if (t->topic[0] == '$' || !t->n_levels)
                return true;
        if (has_elements(t))
                return false;
        if (t->has_array)
                note(w, t->topic, "an array of elements is in it; see `each` in the manual");
        return t->kind == SAMPLE_ARRAY || (t->kind == SAMPLE_JSON && !t->n_leaves);
}

void propose(const struct samples *s, struct proposal *out)
{
        struct work w = {.out = out};
        bool sparkplug = false;
        size_t len;

        *out = (struct proposal){0};
        w.notes = open_memstream(&out->notes, &len);
        BUG_ON(!w.notes);
        for (size_t i = 0; i < s->n; i++)
                if (!set_apart(&w, &s->items[i], &sparkplug))
                        group(&w, &s->items[i]);
        for (size_t i = 0; i < w.n; i++)
                choose_levels(&w.patterns[i]);
        drop_overlaps(&w);
        for (size_t i = w.n; i-- > 0;)
                if (w.patterns[i].bare && !w.patterns[i].tag_literal && is_mixed(&w.patterns[i]))
                        split_by_tag(&w, i);
        if (sparkplug) {
                out->subs = mem_alloc(sizeof(*out->subs));
                out->subs[out->n++] = mem_strdup("{topic: \"spBv1.0/#\", payload: sparkplug_b}");
        }
        for (size_t i = 0; i < w.n; i++) {
                put_sub(&w, &w.patterns[i]);
                free(w.patterns[i].topics);
        }
        free(w.patterns);
        if (w.n_notes > NOTES_MAX)
                fprintf(w.notes, "# and %zu more topics\n", w.n_notes - NOTES_MAX);
        if (s->n_left_out)
                fprintf(w.notes, "# %llu messages of topics beyond the first %d were not looked at\n",
                        (unsigned long long)s->n_left_out, SAMPLES_TOPICS_MAX);
        fclose(w.notes);
}

void proposal_fini(struct proposal *p)
{
        for (size_t i = 0; i < p->n; i++)
                free(p->subs[i]);
        free(p->subs);
        free(p->notes);
}
