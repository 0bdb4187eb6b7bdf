/*
 * naming: which tag a reading has: what its topic says, its payload, or the
 * configuration.
 *
 * A known topic costs one lookup; tags are made when their first value comes,
 * so a value that never comes makes no tag.
 *
 * Fails: a reading without a tag is taken out; the caller sees that there are
 * less, and tags_why() says why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/table_hash.h"
#include "agent/base/text.h"
#include "drivers/changed_names.h"
#include "drivers/mqtt/intake_impl.h"

enum { UNIT_MAX = 64 };

/*
 * Each changed name is counted and told once: people look for what they sent.
 */
static void tell_changed(struct mqtt_intake *in, const char *topic, const struct mqtt_match *match)
{
        unsigned n = mqtt_mapped_add(in->changed, match);
        char scope[TEXT_NAME_MAX + 8], shown[101];

        in->d->n_mapped += n;
        if (!n)
                return;
        snprintf(scope, sizeof(scope), "mqtt %s", in->d->name);
        text_copy(shown, sizeof(shown), topic);
        log_notice(scope, "%s: names in it are changed: source %s, tag %s%s%.200s", shown,
                   *match->source ? match->source : "-", *match->tag ? match->tag : "-", *match->labels ? ", " : "",
                   match->labels);
}

/*
 * A route of one more subscription; of a topic the table has no room for it is
 * kept for the next such.
 */
static struct mqtt_route *add_route(struct mqtt_intake *in, struct mqtt_route *last, const char *topic, size_t i)
{
        uint16_t n = (uint16_t)in->subs[i].decoder.n_values;
        struct mqtt_route *r, *scratch = in->subs[i].scratch;

        r = last ? (last->is_scratch ? NULL : mqtt_route_add(last, (uint16_t)i, n))
                 : mqtt_topics_add(in->topics, topic, strlen(topic), (uint16_t)i, n);
        if (r)
                return r;
        if (!scratch)
                scratch = in->subs[i].scratch = mqtt_route_new((uint16_t)i, n);
        memset(scratch->tags, 0xff, n * sizeof(*scratch->tags));
        scratch->is_scratch = true;
        scratch->next = NULL;
        if (last)
                last->next = scratch;
        return scratch;
}

struct mqtt_route *mqtt_naming_route(struct mqtt_intake *in, const char *topic)
{
        struct mqtt_route *first = mqtt_topics_find(in->topics, topic, strlen(topic)), *last = NULL;
        struct mqtt_match match;

        for (size_t i = 0; i < in->n_subs && (!first || last); i++) {
                if (!mqtt_pattern_match(&in->subs[i].pattern, topic, &match))
                        continue;
                tell_changed(in, topic, &match);
                last = add_route(in, last, topic, i);
                if (!first)
                        first = last;
        }
        return first;
}

/*
 * The tag of one value of this topic, or TAGS_E_*. What the topic does not tell
 * is the configuration's.
 */
static int make_tag(struct mqtt_intake *in, struct mqtt_route *route, const char *topic, size_t value)
{
        const struct mqtt_sub *s = &in->subs[route->sub];
        const struct mqtt_reading_conf *rc = s->usual.readings;
        const char *source, *name, *unit;
        struct mqtt_match match;
        uint32_t tag;
        int r;

        mqtt_pattern_match(&s->pattern, topic, &match);
        source = match.source[0] ? match.source : s->conf->source ? s->conf->source : in->d->name;
        name = s->decoder.value ? rc[value].tag : s->conf->tag;
        unit = s->decoder.value ? rc[value].unit : s->conf->unit;
        r = (s->pattern.n_names ? tags_intern : tags_configure)(in->d->tags, source, name ? name : match.tag,
                                                                unit ? unit : "", match.labels, in->d->name, &tag);
        route->tags[value] = r ? MQTT_NO_TAG : tag;
        return r;
}

/* What the payload calls it, as a name; counted when it had to be changed. */
static const char *name_of(struct mqtt_intake *in, const struct payload_text *t, char out[TEXT_NAME_MAX + 1])
{
        if (text_map_name(out, t->at, t->len))
                in->d->n_mapped += changed_names_add(in->changed, table_hash(t->at, t->len, 0));
        return out;
}

/* Those of the topic, and of the payload behind them. */
static const char *labels_of(const struct mqtt_names *names, const struct mqtt_match *match, char *room)
{
        if (!names->labels.len)
                return match->labels;
        snprintf(room, 2 * MQTT_LABELS_BYTES + 2, "%s%s%.*s", match->labels, match->labels[0] ? "," : "",
                 (int)names->labels.len, names->labels.at);
        return room;
}

/* The tag of a reading whose names stand in the payload, or TAGS_E_*. */
static int ask_for_tag(struct mqtt_intake *in, const struct mqtt_sub *s, const struct mqtt_match *match, size_t i,
                       uint32_t *tag)
{
        const struct mqtt_names *names = &in->decoded->names[i];
        const struct mqtt_reading_conf *rc = s->usual.readings;
        size_t value = in->decoded->value[i];
        char source[TEXT_NAME_MAX + 1], name[TEXT_NAME_MAX + 1], unit[UNIT_MAX + 1], labels[2 * MQTT_LABELS_BYTES + 2];
        const char *of = names->source.at   ? name_of(in, &names->source, source)
                         : match->source[0] ? match->source
                         : s->conf->source  ? s->conf->source
                                            : in->d->name;
        const char *u = s->decoder.value[value].unit.n ? NULL : rc[value].unit ? rc[value].unit : "";

        if (names->unit.at && names->unit.len <= UNIT_MAX) {
                memcpy(unit, names->unit.at, names->unit.len);
                unit[names->unit.len] = '\0';
                u = unit;
        }
        return tags_intern(in->d->tags, of, names->tag.at ? name_of(in, &names->tag, name) : match->tag, u,
                           labels_of(names, match, labels), in->d->name, tag);
}

/* A tag of before may be forgotten, or its source another item's by now. */
static bool has_tag(struct mqtt_intake *in, uint32_t tag)
{
        return tag != MQTT_NO_TAG && !tags_get(in->d->tags, tag)->forgotten;
}

static bool may_speak(struct mqtt_intake *in, const struct mqtt_route *route)
{
        size_t i = 0;

        while (i < route->n_tags && route->tags[i] == MQTT_NO_TAG)
                i++;
        return i == route->n_tags ||
               tags_may_speak(in->d->tags, tags_get(in->d->tags, route->tags[i])->source, in->d->name);
}

static void keep(struct mqtt_decoded *out, size_t to, size_t from, uint32_t tag, const struct mqtt_message *m)
{
        struct reading *r = &out->r[to];

        *r = out->r[from];
        out->value[to] = out->value[from];
        r->tag = tag;
        r->mid = m->mid;
        if (m->retained)
                r->flags |= READING_RETAINED;
}

/*
 * Gives every reading its tag; those that get none are taken out: no room, or
 * none of them is ours to say.
 */
static void set_tags(struct mqtt_intake *in, struct mqtt_route *route, const struct mqtt_message *m)
{
        struct mqtt_decoded *out = in->decoded;
        size_t n = 0, n_in = may_speak(in, route) ? out->n : 0;
        int rc = 0;

        for (size_t i = 0; i < n_in && rc != TAGS_E_OWNED; i++) {
                uint32_t *tag = &route->tags[out->value[i]];

                rc = has_tag(in, *tag) ? 0 : make_tag(in, route, m->topic, out->value[i]);
                if (!rc)
                        keep(out, n++, i, *tag, m);
        }
        out->n = n;
}

/* A tag has one unit at a time: of two in a message the last one. */
static bool has_its_unit(const struct mqtt_intake *in, const struct payload_text *unit, uint32_t tag)
{
        const char *now = tags_unit(in->d->tags, tag);

        return !unit->at || unit->len > UNIT_MAX || (strlen(now) == unit->len && !memcmp(now, unit->at, unit->len));
}

const char *mqtt_naming_judge_unit(const struct mqtt_intake *in, const struct payload_text *unit, struct reading *r)
{
        if (quality_is_bad(r->quality) || has_its_unit(in, unit, r->tag))
                return NULL;
        r->type = READING_NONE;
        r->len = 0;
        r->quality = QUALITY_BAD_CONFIG;
        return "a tag with two units in one message";
}

static void judge_units(struct mqtt_intake *in)
{
        struct mqtt_decoded *out = in->decoded;

        for (size_t i = 0; i < out->n; i++) {
                const char *why = mqtt_naming_judge_unit(in, &out->names[i].unit, &out->r[i]);

                out->reason = why ? why : out->reason;
        }
}

/*
 * The same, where the payload names them: one that is refused leaves the others
 * as they are.
 */
static void ask_for_tags(struct mqtt_intake *in, const struct mqtt_sub *s, const struct mqtt_message *m)
{
        struct mqtt_decoded *out = in->decoded;
        struct mqtt_match match;
        size_t n = 0;
        uint32_t tag;

        mqtt_pattern_match(&s->pattern, m->topic, &match);
        for (size_t i = 0; i < out->n; i++)
                if (ask_for_tag(in, s, &match, i, &tag) == 0) {
                        out->names[n] = out->names[i];
                        keep(out, n++, i, tag, m);
                }
        out->n = n;
        judge_units(in);
}

void mqtt_naming_all(struct mqtt_intake *in, struct mqtt_route *route, const struct mqtt_message *m)
{
        const struct mqtt_sub *s = &in->subs[route->sub];

        if (s->decoder.asks)
                ask_for_tags(in, s, m);
        else
                set_tags(in, route, m);
}

bool mqtt_naming_known(struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m)
{
        if (!has_tag(in, route->tags[0]) || !may_speak(in, route))
                return false;
        keep(in->decoded, 0, 0, route->tags[0], m);
        return true;
}
