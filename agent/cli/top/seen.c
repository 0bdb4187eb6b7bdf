/*
 * seen: see seen.h.
 *
 * Tags are kept sorted by name, which is how they are shown; a row's is found by
 * halving.  An event's body is JSON of which the words are taken that
 * people need; one that is none is shown as it came.  Fails never: what has no
 * room is counted.
 */
#include "agent/cli/top/seen.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/cli/out.h"
#include "agent/cli/reading_view.h"
#include "agent/cli/status_field.h"

static const int64_t COLUMN_US = (int64_t)TOP_BUCKET_S * 1000000;

void seen_init(struct seen *s)
{
        *s = (struct seen){.tags = mem_alloc(SEEN_TAGS_MAX * sizeof(*s->tags)),
                           .events = mem_alloc(SEEN_EVENTS_MAX * sizeof(*s->events))};
}

void seen_fini(struct seen *s)
{
        free(s->tags);
        free(s->events);
}

void seen_forget(struct seen *s)
{
        s->n_tags = s->n_more = 0;
        s->n_events = 0;
}

/* ---- tags ---- */

/* Where it is, or is to be put in. */
static size_t place_of(const struct seen *s, const char *name)
{
        size_t low = 0, high = s->n_tags;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (strcmp(s->tags[mid].name, name) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static struct seen_tag *find(struct seen *s, const struct spool_query_row *row)
{
        char name[sizeof(s->tags->name)], ident[TAGS_IDENT_MAX + 1], text[sizeof(name)];
        struct seen_tag *t;
        size_t at;

        tags_put_ident(ident, row->name, row->labels);
        snprintf(text, sizeof(text), "%.*s/%s", TEXT_NAME_MAX, row->source, ident);
        out_put_clean(name, sizeof(name), text);
        at = place_of(s, name);
        t = &s->tags[at];
        if (at < s->n_tags && strcmp(t->name, name) == 0)
                return t;
        if (s->n_tags == SEEN_TAGS_MAX) {
                s->n_more++;
                return NULL;
        }
        memmove(t + 1, t, (s->n_tags++ - at) * sizeof(*t));
        *t = (struct seen_tag){.newest = 0};
        memcpy(t->name, name, sizeof(name));
        return t;
}

static double number_of(const struct reading *r)
{
        if (quality_is_bad(r->quality))
                return NAN;
        return r->type == READING_F64    ? r->v.f64
               : r->type == READING_I64  ? (double)r->v.i64
               : r->type == READING_BOOL ? r->v.b
                                         : NAN;
}

static void add_value(struct seen_tag *t, int64_t ts_us, int64_t now_us, double value)
{
        int64_t now = now_us / COLUMN_US, column = ts_us < now_us ? ts_us / COLUMN_US : now;

        if (t->newest > now) /* the clock was set back */
                t->newest = 0;
        if (column > t->newest) {
                int64_t from = column - t->newest < SEEN_COLUMNS ? t->newest + 1 : column - SEEN_COLUMNS + 1;

                for (int64_t i = from; i <= column; i++)
                        t->values[(uint64_t)i % SEEN_COLUMNS] = NAN;
                t->newest = column;
        }
        if (column > t->newest - SEEN_COLUMNS && isfinite(value) && fabs(value) < 1e38)
                t->values[(uint64_t)column % SEEN_COLUMNS] = (float)value;
}

void seen_reading(struct seen *s, const struct spool_query_row *row, int64_t now_us)
{
        struct seen_tag *t = find(s, row);
        char value[256];

        if (!t)
                return;
        if (row->r.ts_us > 0)
                add_value(t, row->r.ts_us, now_us, number_of(&row->r));
        if (row->r.ts_us < t->ts_us && t->ts_us <= now_us)
                return;
        t->ts_us = row->r.ts_us;
        t->quality = row->r.quality;
        text_copy(t->unit, sizeof(t->unit), row->unit);
        view_put_shown(value, sizeof(value), &row->r);
        out_put_clean(t->value, sizeof(t->value), value[0] ? value : "-");
}

void seen_curve(const struct seen_tag *t, int64_t now_us, int n, double *values)
{
        int64_t right = now_us / COLUMN_US > t->newest ? now_us / COLUMN_US : t->newest, left = right - n + 1;
        double last = NAN;
        int age = 0;

        for (int64_t i = right - SEEN_COLUMNS + 1; i <= right; i++) {
                bool known = i <= t->newest && i > t->newest - SEEN_COLUMNS;
                float v = known ? t->values[(uint64_t)i % SEEN_COLUMNS] : NAN;

                if (!isnan(v)) {
                        last = (double)v;
                        age = 0;
                } else if (++age > SEEN_HELD) {
                        last = NAN;
                }
                if (i >= left)
                        values[i - left] = last;
        }
        for (int i = 0; i < n - SEEN_COLUMNS; i++)
                values[i] = NAN;
}

/* ---- events ---- */

static void add_word(char *out, size_t cap, const char *before, const char *word)
{
        size_t len = strlen(out);
        char clean[SEEN_WORDS];

        out_put_clean(clean, sizeof(clean), word);
        if (clean[0])
                snprintf(out + len, cap - len, "%s%s", len ? before : "", clean);
}

static void put_condition(struct seen_event *e, const json_t *body)
{
        bool ended = strcmp(field_text(body, "state"), "ended") == 0;
        struct field span = field_span(body, "duration_s");

        add_word(e->words, SEEN_WORDS, "", field_text(body, "subject"));
        add_word(e->words, SEEN_WORDS, ": ", field_text(body, "what"));
        if (ended)
                add_word(e->words, SEEN_WORDS, " ", strcmp(span.s, "-") ? "(over, after " : "(over)");
        if (ended && strcmp(span.s, "-")) {
                add_word(e->words, SEEN_WORDS, "", span.s);
                add_word(e->words, SEEN_WORDS, "", ")");
        }
        if (ended)
                e->weight = LINE_GOOD;
}

/* limits.hi active: 88.3 at a limit of 88 */
static void put_alarm(struct seen_event *e, const json_t *body)
{
        char words[400];
        const char *kind = field_text(body, "limit_kind");
        bool limited = strlen(kind) > 1;

        snprintf(words, sizeof(words), "%.256s%s%.20s %.40s", field_text(body, "rule"), limited ? "." : "",
                 limited ? kind : "", field_text(body, "state"));
        add_word(e->words, SEEN_WORDS, " ", words);
        if (field_is_number(body, "value")) {
                snprintf(words, sizeof(words), "%.6g", field_number(body, "value"));
                add_word(e->words, SEEN_WORDS, ": ", words);
        }
        if (field_is_number(body, "limit")) {
                snprintf(words, sizeof(words), "%.6g", field_number(body, "limit"));
                add_word(e->words, SEEN_WORDS, " at a limit of ", words);
        }
        if (strlen(field_text(body, "operator")) > 1)
                add_word(e->words, SEEN_WORDS, ", by ", field_text(body, "operator"));
        if (strcmp(field_text(body, "state"), "returned") == 0)
                e->weight = LINE_GOOD;
}

/* Names and numbers as they come, but what nobody reads. */
static void put_members(struct seen_event *e, json_t *body, bool named)
{
        static const char *const left_out[] = {"kind", "event_id", "ts", "ts_us", "epoch", "gateway", "severity"};
        const char *key;
        json_t *v;

        json_object_foreach(body, key, v)
        {
                char word[SEEN_WORDS];
                char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
                bool dull = named && (strcmp(key, "source") == 0 || strcmp(key, "tag") == 0);

                for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
                        dull = dull || strcmp(key, left_out[i]) == 0;
                if (!dull && text) {
                        snprintf(word, sizeof(word), "%.60s %s", key, json_is_string(v) ? json_string_value(v) : text);
                        add_word(e->words, SEEN_WORDS, ", ", word);
                }
                free(text);
        }
}

void seen_event(struct seen *s, const struct spool_query_row *row)
{
        struct seen_event *e = &s->events[s->n_events++ % SEEN_EVENTS_MAX];
        size_t len = row->r.type == READING_TEXT || row->r.type == READING_RAW ? row->r.len : 0;
        char *text = mem_alloc(len + 3);
        json_t *body;

        *e = (struct seen_event){.ts_us = row->r.ts_us,
                                 .weight = row->severity >= 800   ? LINE_BAD
                                           : row->severity >= 500 ? LINE_WARN
                                                                  : LINE_PLAIN};
        out_put_clean(e->kind, sizeof(e->kind), row->kind);
        text[0] = '{';
        memcpy(text + 1, len ? row->r.v.text : "", len);
        memcpy(text + 1 + len, "}", 2);
        body = json_loads(text, 0, NULL);
        if (*row->source)
                add_word(e->words, SEEN_WORDS, "", row->source);
        if (*row->name)
                add_word(e->words, SEEN_WORDS, "/", row->name);
        if (!body)
                add_word(e->words, SEEN_WORDS, " ", text);
        else if (strcmp(e->kind, "condition") == 0)
                put_condition(e, body);
        else if (strcmp(e->kind, "alarm") == 0)
                put_alarm(e, body);
        else
                put_members(e, body, *row->source);
        json_decref(body);
        free(text);
}

const struct seen_event *seen_event_at(const struct seen *s, uint64_t ago)
{
        if (ago >= s->n_events || ago >= SEEN_EVENTS_MAX)
                return NULL;
        return &s->events[(s->n_events - 1 - ago) % SEEN_EVENTS_MAX];
}
