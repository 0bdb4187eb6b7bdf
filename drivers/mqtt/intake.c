/*
 * intake: see intake.h.
 *
 * A message ends in exactly one of these: its readings are with the host; it
 * was recognised as one we have; it is in the quarantine with topic and reason;
 * or the host has no room, and then nothing of it was taken.  The first three
 * may be acknowledged: a message that can't be read today can't be read when it
 * is sent again, either.
 *
 * Sparkplug is the exception: what its messages say follows from those before,
 * so each is read once; they can hold more than the host has room for at once,
 * and most come at QoS 0 and never again.  So they are handed over in pieces,
 * and what found no room is kept until the message is handed in again, or given
 * up.
 *
 * A known topic costs one lookup; tags are made when their first value comes,
 * so a value that never comes makes no tag.
 */
#include "drivers/mqtt/intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/table_hash.h"
#include "agent/base/text.h"
#include "drivers/changed_names.h"

enum { TOPICS_MAX = 65536, KEPT_BYTES = 4096, PIECE_READINGS = 100, UNIT_MAX = 64 };

/* The readings of a subscription to Sparkplug say what the values of these metrics are. */
static int set_up_sparkplug(struct mqtt_intake *in, const struct mqtt_sub_conf *conf, struct err *e)
{
        const struct mqtt_reading_conf *r = conf->readings.items;

        if (!in->sparkplug)
                in->sparkplug = sparkplug_new(in->d->tags, in->d->name);
        for (size_t i = 0; i < conf->readings.n; i++)
                if (sparkplug_convert(in->sparkplug, r[i].tag, r[i].unit, &r[i].convert, e) < 0)
                        return -1;
        return 0;
}

static int add_sub(struct mqtt_intake *in, const struct mqtt_sub_conf *conf, struct err *e)
{
        struct mqtt_sub *s = &in->subs[in->n_subs];

        if (conf->payload == MQTT_SPARKPLUG_B && set_up_sparkplug(in, conf, e) < 0)
                return -1;
        in->n_subs++;
        s->conf = conf;
        if (mqtt_pattern_init(&s->pattern, conf->topic, e) < 0)
                return -1;
        s->usual = mqtt_sub_usual(conf);
        if (mqtt_decoder_init(&s->decoder, conf, e) < 0)
                return -1;
        s->decoder.max_bytes = in->max_payload_bytes;
        return 0;
}

int mqtt_intake_init(struct mqtt_intake *in, struct driver *d, struct err *e)
{
        const struct mqtt_conf *conf = d->conf;
        const struct mqtt_sub_conf *subs = conf->subscriptions.items;

        *in = (struct mqtt_intake){.d = d, .max_payload_bytes = conf->max_payload_bytes};
        in->subs = mem_alloc(conf->subscriptions.n * sizeof(*in->subs) + 1);
        in->topics = mqtt_topics_new(TOPICS_MAX);
        in->changed = changed_names_new();
        in->redelivery = mem_alloc(sizeof(*in->redelivery));
        mqtt_redelivery_init(in->redelivery);
        in->decoded = mem_alloc(sizeof(*in->decoded));
        for (size_t i = 0; i < conf->subscriptions.n; i++)
                if (add_sub(in, &subs[i], e) < 0)
                        return -1;
        return 0;
}

void mqtt_intake_fini(struct mqtt_intake *in)
{
        for (size_t i = 0; i < in->n_subs; i++) {
                mqtt_pattern_fini(&in->subs[i].pattern);
                mqtt_decoder_fini(&in->subs[i].decoder);
                free(in->subs[i].scratch);
        }
        mqtt_topics_free(in->topics);
        changed_names_free(in->changed);
        sparkplug_free(in->sparkplug);
        free(in->subs);
        free(in->redelivery);
        free(in->decoded);
        free(in->gathered);
        free(in->gathered_room);
}

/* In the spool it lies under the row of its tag's unit. */
static void on_recent(void *ctx, const struct reading *r)
{
        struct mqtt_intake *in = ctx;
        struct reading own = *r;

        own.tag = tags_get(in->d->tags, r->tag)->first;
        mqtt_redelivery_recall(in->redelivery, &own);
}

void mqtt_intake_recall(struct mqtt_intake *in)
{
        in->d->host->recent(in->d, on_recent, in);
        mqtt_redelivery_recall(in->redelivery, NULL);
}

void mqtt_intake_inherit(struct mqtt_intake *in, struct mqtt_intake *before)
{
        struct mqtt_redelivery *known = before->redelivery;

        before->redelivery = in->redelivery;
        in->redelivery = known;
}

static int quarantine(struct mqtt_intake *in, const struct mqtt_message *m, const char *reason)
{
        in->d->host->quarantine(in->d, m->topic, reason, m->payload, m->len < KEPT_BYTES ? m->len : KEPT_BYTES);
        return 0;
}

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

/* NULL: none of our patterns. */
static struct mqtt_route *find_route(struct mqtt_intake *in, const char *topic)
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

static void judge_units(struct mqtt_intake *in)
{
        struct mqtt_decoded *out = in->decoded;

        for (size_t i = 0; i < out->n; i++) {
                struct reading *r = &out->r[i];

                if (quality_is_bad(r->quality) || has_its_unit(in, &out->names[i].unit, r->tag))
                        continue;
                r->type = READING_NONE;
                r->len = 0;
                r->quality = QUALITY_BAD_CONFIG;
                out->reason = "a tag with two units in one message";
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

static void count_handed_over(struct mqtt_intake *in, const struct reading *r, size_t n)
{
        in->n_rows += n;
        for (size_t i = 0; i < n; i++)
                in->n_bytes += r[i].len;
}

static int hand_over(struct mqtt_intake *in, const struct mqtt_message *m, const struct reading *r, size_t n)
{
        struct mqtt_print print;

        if (m->mid) {
                mqtt_print_start(&print);
                for (size_t i = 0; i < n; i++)
                        mqtt_print_add(&print, &r[i]);
                if (mqtt_redelivery_known(in->redelivery, m->mid, &print, m->dup)) {
                        in->d->n_redelivered++;
                        return 0;
                }
        }
        if (driver_emit(in->d, r, n, true) == DRIVER_E_WAIT)
                return DRIVER_E_WAIT;
        if (m->mid)
                mqtt_redelivery_add(in->redelivery, m->mid, &print);
        count_handed_over(in, r, n);
        return 0;
}

/* ---- Sparkplug ---- */

/* False: there was no room for all. */
static bool give(struct mqtt_intake *in, bool may_wait)
{
        const struct sparkplug_result *t = &in->turn;

        while (in->n_given < t->n) {
                const struct reading *r = t->r + in->n_given;
                size_t left = t->n - in->n_given, n = left < PIECE_READINGS ? left : PIECE_READINGS;

                if (driver_emit(in->d, r, n, may_wait) == DRIVER_E_WAIT)
                        return false;
                in->n_given += n;
                in->n_rows += n;
                for (size_t i = 0; i < n; i++)
                        in->n_bytes += r[i].len;
        }
        if (t->n && in->mid)
                mqtt_redelivery_add(in->redelivery, in->mid, &in->print);
        in->n_given = in->turn.n = 0;
        return true;
}

void mqtt_intake_give_up(struct mqtt_intake *in)
{
        give(in, false);
}

static void ask_for_rebirth(struct mqtt_intake *in)
{
        const struct sparkplug_result *t = &in->turn;
        char scope[TEXT_NAME_MAX + 8];

        if (!in->publish || in->publish(in->publish_ctx, t->command_topic, t->command, t->command_len) < 0)
                return;
        snprintf(scope, sizeof(scope), "mqtt %s", in->d->name);
        log_notice(scope, "%s: %s", t->command_topic, t->gap ? t->gap : t->reason ? t->reason : "");
}

/* What the message came to beside readings. */
static void tell(struct mqtt_intake *in, const struct mqtt_message *m)
{
        const struct sparkplug_result *t = &in->turn;
        struct driver *d = in->d;

        d->n_absent += t->n_absent;
        d->n_mapped += t->n_mapped;
        d->n_untagged += t->n_untagged;
        if (t->gap) {
                char topic[101];

                text_copy(topic, sizeof(topic), m->topic);
                d->n_errors++;
                text_format(d->last_error, sizeof(d->last_error), "%s: %s", topic, t->gap);
        }
        if (t->rebirth)
                ask_for_rebirth(in);
        if (t->reason)
                quarantine(in, m, t->reason);
        if (t->source)
                d->host->device_event(d, t->source, t->state, t->why);
}

static bool is_known(struct mqtt_intake *in, const struct mqtt_message *m)
{
        mqtt_print_start(&in->print);
        for (size_t i = 0; i < in->turn.n; i++)
                mqtt_print_add(&in->print, &in->turn.r[i]);
        return mqtt_redelivery_known(in->redelivery, m->mid, &in->print, m->dup);
}

static void read_sparkplug(struct mqtt_intake *in, const struct mqtt_message *m, const struct rt_time *now)
{
        struct sparkplug_result *t = &in->turn;

        sparkplug_take(in->sparkplug, m->topic, m->payload, m->len, now, t);
        tell(in, m);
        for (size_t i = 0; i < t->n; i++) {
                t->r[i].mid = m->mid;
                if (m->retained)
                        t->r[i].flags |= READING_RETAINED;
        }
        in->n_given = 0;
        in->mid = m->mid;
        if (t->n && m->mid && is_known(in, m)) {
                in->d->n_redelivered++;
                t->n = 0;
        }
}

static int take_sparkplug(struct mqtt_intake *in, const struct mqtt_message *m, const struct rt_time *now)
{
        if (!in->turn.n)
                read_sparkplug(in, m, now);
        return give(in, true) ? 0 : DRIVER_E_WAIT;
}

static int quarantine_aside(struct mqtt_intake *in, const struct mqtt_message *m)
{
        char reason[100] = "its topic holds characters that no topic may have";

        if (m->aside == MQTT_ASIDE_LONG)
                snprintf(reason, sizeof(reason), "too large: %" PRIu64 " bytes, and max_payload is %" PRIu64, m->size,
                         in->max_payload_bytes);
        else if (m->aside == MQTT_ASIDE_PROPERTIES)
                snprintf(reason, sizeof(reason), "too large: %" PRIu64 " bytes of properties", m->size);
        return quarantine(in, m, reason);
}

/* What came of a message, for all subscriptions it is of. */
struct outcome {
        const struct reading *r;
        size_t n, n_absent, n_untagged;
        const char *reason; /* one of them could not read it, or had no room for a tag */
};

/*
 * A value that can't be read is known to be whose when its topic has only one:
 * the last one does not stand any longer.  No tag is made for it.
 */
static void bad_if_known(struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m,
                         int64_t now_us)
{
        struct mqtt_decoded *out = in->decoded;
        int kind = in->subs[route->sub].decoder.kind;

        if ((kind != MQTT_NUMBER && kind != MQTT_TEXT) || route->tags[0] == MQTT_NO_TAG ||
            !has_tag(in, route->tags[0]) || !may_speak(in, route))
                return;
        out->r[0] = (struct reading){.ts_us = now_us, .arrival_us = now_us, .quality = QUALITY_BAD_SENSOR};
        keep(out, 0, 0, route->tags[0], m);
        out->n = 1;
}

/* One subscription reads it; its readings are in `decoded`. */
static void read_as(struct mqtt_intake *in, struct mqtt_route *route, const struct mqtt_message *m, int64_t now_us,
                    struct outcome *o)
{
        struct mqtt_sub *s = &in->subs[route->sub];
        struct mqtt_decoded *out = in->decoded;
        size_t n_wanted;

        if (mqtt_decode(&s->decoder, m->payload, m->len, now_us, out) == MQTT_E_MALFORMED) {
                o->reason = out->reason;
                bad_if_known(in, route, m, now_us);
                return;
        }
        n_wanted = out->n;
        if (s->decoder.asks)
                ask_for_tags(in, s, m);
        else
                set_tags(in, route, m);
        if (out->reason)
                o->reason = out->reason;
        o->n_absent += out->n_absent;
        o->n_untagged += n_wanted - out->n;
        if (out->n < n_wanted)
                o->reason = tags_why(in->d->tags);
}

/* The text of a number stands where the next subscription writes its own. */
static bool is_in_room(const struct mqtt_intake *in, const struct reading *r)
{
        return r->type == READING_TEXT &&
               (uintptr_t)r->v.text - (uintptr_t)in->decoded->room < sizeof(in->decoded->room);
}

/* Those of several subscriptions, behind each other. */
static void gather(struct mqtt_intake *in, struct outcome *o)
{
        size_t n = in->decoded->n;

        if (!n)
                return;
        if (o->n + n > in->cap_gathered) {
                in->cap_gathered = o->n + n;
                in->gathered = mem_grow(in->gathered, in->cap_gathered, sizeof(*in->gathered));
                in->gathered_room = mem_grow(in->gathered_room, in->cap_gathered, sizeof(*in->gathered_room));
        }
        memcpy(in->gathered + o->n, in->decoded->r, n * sizeof(*in->gathered));
        for (size_t i = 0; i < n; i++)
                if (is_in_room(in, &in->decoded->r[i]))
                        memcpy(in->gathered_room[o->n + i], in->decoded->r[i].v.text, in->decoded->r[i].len);
        o->r = in->gathered;
        o->n += n;
}

static void settle_gathered(struct mqtt_intake *in, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (is_in_room(in, &in->gathered[i]))
                        in->gathered[i].v.text = in->gathered_room[i];
}

static bool is_left_out(const struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m)
{
        return m->retained && in->subs[route->sub].conf->retained == MQTT_RETAINED_SKIP;
}

static void read_all(struct mqtt_intake *in, struct mqtt_route *first, const struct mqtt_message *m, int64_t now_us,
                     struct outcome *o)
{
        for (struct mqtt_route *route = first; route; route = route->next) {
                if (is_left_out(in, route, m))
                        continue;
                in->decoded->n = 0;
                read_as(in, route, m, now_us, o);
                if (first->next) {
                        gather(in, o);
                } else {
                        o->r = in->decoded->r;
                        o->n = in->decoded->n;
                }
        }
        if (first->next)
                settle_gathered(in, o->n);
}

int mqtt_intake_take(struct mqtt_intake *in, const struct mqtt_message *m)
{
        struct outcome o = {0};
        struct mqtt_route *route;
        struct rt_time now;

        if (m->aside)
                return quarantine_aside(in, m);
        if (m->len > in->max_payload_bytes)
                return quarantine(in, m, "longer than max_payload");
        route = find_route(in, m->topic);
        if (!route)
                return quarantine(in, m, "no subscription is for this topic");
        rt_now(in->d->rt, &now);
        if (in->subs[route->sub].conf->payload == MQTT_SPARKPLUG_B)
                return is_left_out(in, route, m) ? 0 : take_sparkplug(in, m, &now);
        read_all(in, route, m, now.wall_us, &o);
        if (o.n && hand_over(in, m, o.r, o.n) == DRIVER_E_WAIT)
                return DRIVER_E_WAIT;
        in->d->n_absent += o.n_absent;
        in->d->n_untagged += o.n_untagged;
        return o.reason ? quarantine(in, m, o.reason) : 0;
}
