/*
 * intake: see intake.h.
 *
 * A message ends in exactly one of these: its readings are with the host; it
 * was recognised as one we have; it is in the quarantine with topic and reason;
 * or the host has no room, and then nothing of it was taken.  The first three
 * may be acknowledged: a message that can't be read today can't be read when it
 * is sent again, either.
 *
 * Each subscription is given a message once, whether the broker sends it once
 * or once for each.  Where it was asked with identifiers, those of the message
 * say which subscriptions it came for; else nothing was asked for twice, and it
 * is for all whose topic it has (filters.c).
 *
 * A message that Sparkplug and others read is with the host when all have it:
 * the others' readings at once, Sparkplug's (births.c) in pieces behind them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/changed_names.h"
#include "drivers/mqtt/intake_impl.h"

enum { TOPICS_MAX = 65536 };

static int add_sub(struct mqtt_intake *in, const struct mqtt_sub_conf *conf, struct err *e)
{
        struct mqtt_sub *s = &in->subs[in->n_subs];

        if (conf->payload == MQTT_SPARKPLUG_B && mqtt_births_init(in, conf, e) < 0)
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

static void set_filters(struct mqtt_intake *in)
{
        char **own = mem_alloc((in->n_subs + 1) * sizeof(*own));

        for (size_t i = 0; i < in->n_subs; i++)
                own[i] = in->subs[i].pattern.filter;
        mqtt_filters_init(&in->filters, own, in->n_subs);
        for (size_t i = 0; i < in->n_subs; i++)
                in->subs[i].id = mqtt_filters_id(&in->filters, own[i]);
        free(own);
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
        set_filters(in);
        return 0;
}

void mqtt_intake_fini(struct mqtt_intake *in)
{
        for (size_t i = 0; i < in->n_subs; i++) {
                mqtt_pattern_fini(&in->subs[i].pattern);
                mqtt_decoder_fini(&in->subs[i].decoder);
                free(in->subs[i].scratch);
        }
        mqtt_filters_fini(&in->filters);
        mqtt_topics_free(in->topics);
        changed_names_free(in->changed);
        sparkplug_free(in->sparkplug);
        free(in->subs);
        free(in->redelivery);
        free(in->decoded);
        free(in->gathered);
        free(in->gathered_room);
        free(in->gathered_unit);
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
        mqtt_intake_quarantine(in, m, reason);
        return 0;
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
        bool read, left_out; /* by one of them */
        const char *reason;  /* one of them could not read it, or had no room for a tag */
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

        if (kind != MQTT_NUMBER && kind != MQTT_TEXT)
                return;
        out->r[0] = (struct reading){.ts_us = now_us, .arrival_us = now_us, .quality = QUALITY_BAD_SENSOR};
        out->n = mqtt_naming_known(in, route, m);
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
        mqtt_naming_all(in, route, m);
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

/* What a subscription says of the unit of a reading that it made. */
static struct payload_text unit_said(const struct mqtt_intake *in, const struct mqtt_sub *s, size_t i)
{
        size_t value = in->decoded->value[i];
        const char *unit = s->decoder.value ? s->usual.readings[value].unit : s->conf->unit;

        if (s->decoder.asks && in->decoded->names[i].unit.at)
                return in->decoded->names[i].unit;
        if (s->decoder.value && s->decoder.value[value].unit.n)
                return (struct payload_text){0};
        unit = unit ? unit : "";
        return (struct payload_text){unit, (uint32_t)strlen(unit), false};
}

/* Those of several subscriptions, behind each other. */
static void gather(struct mqtt_intake *in, const struct mqtt_sub *s, struct outcome *o)
{
        size_t n = in->decoded->n;

        if (!n)
                return;
        if (o->n + n > in->cap_gathered) {
                in->cap_gathered = o->n + n;
                in->gathered = mem_grow(in->gathered, in->cap_gathered, sizeof(*in->gathered));
                in->gathered_room = mem_grow(in->gathered_room, in->cap_gathered, sizeof(*in->gathered_room));
                in->gathered_unit = mem_grow(in->gathered_unit, in->cap_gathered, sizeof(*in->gathered_unit));
        }
        memcpy(in->gathered + o->n, in->decoded->r, n * sizeof(*in->gathered));
        for (size_t i = 0; i < n; i++) {
                in->gathered_unit[o->n + i] = unit_said(in, s, i);
                if (is_in_room(in, &in->decoded->r[i]))
                        memcpy(in->gathered_room[o->n + i], in->decoded->r[i].v.text, in->decoded->r[i].len);
        }
        o->r = in->gathered;
        o->n += n;
}

static void settle_gathered(struct mqtt_intake *in, struct outcome *o)
{
        for (size_t i = 0; i < o->n; i++) {
                const char *why = mqtt_naming_judge_unit(in, &in->gathered_unit[i], &in->gathered[i]);

                o->reason = why ? why : o->reason;
                if (is_in_room(in, &in->gathered[i]))
                        in->gathered[i].v.text = in->gathered_room[i];
        }
}

/* ---- for which subscriptions it is ---- */

static bool has_id(const struct mqtt_message *m, uint32_t id)
{
        for (size_t i = 0; i < m->n_ids; i++)
                if (m->ids[i] == id)
                        return true;
        return false;
}

/*
 * Do its identifiers say so?  Those of a configuration before do not: it waited
 * at the broker meanwhile.  Nor do those of subscriptions that the topic is not
 * of: by them it would be nobody's.
 */
static bool has_ids(const struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m)
{
        for (; m->n_ids && route; route = route->next)
                if (in->subs[route->sub].id && has_id(m, in->subs[route->sub].id))
                        return true;
        return false;
}

/* A broker that has them should have sent some. */
static bool lacks_ids(const struct mqtt_intake *in, const struct mqtt_route *first, const struct mqtt_message *m)
{
        uint32_t id = in->subs[first->sub].id;

        if (!id || m->n_ids)
                return false;
        for (const struct mqtt_route *route = first->next; route; route = route->next)
                if (in->subs[route->sub].id != id)
                        return true;
        return false;
}

static bool is_left_out(const struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m)
{
        return m->retained && in->subs[route->sub].conf->retained == MQTT_RETAINED_SKIP;
}

static bool is_for(const struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m,
                   bool by_ids)
{
        const struct mqtt_sub *s = &in->subs[route->sub];

        return !is_left_out(in, route, m) && (!by_ids || !s->id || has_id(m, s->id));
}

static bool is_sparkplug(const struct mqtt_intake *in, const struct mqtt_route *route)
{
        return in->subs[route->sub].conf->payload == MQTT_SPARKPLUG_B;
}

/*
 * It reads for all subscriptions of its kind, when the first of them is given
 * the message.
 */
static bool is_for_sparkplug(const struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m,
                             bool by_ids)
{
        while (route && !is_sparkplug(in, route))
                route = route->next;
        return route && is_for(in, route, m, by_ids);
}

/* ---- reading it ---- */

size_t mqtt_intake_silent(const struct mqtt_intake *in, char *out, size_t cap)
{
        size_t n = 0, used = 0;

        *out = '\0';
        for (size_t i = 0; i < in->n_subs; i++) {
                if (in->subs[i].heard || in->subs[i].conf->payload == MQTT_SPARKPLUG_B)
                        continue;
                if (used < cap)
                        used += (size_t)snprintf(out + used, cap - used, "%s%s", n ? ", " : "",
                                                 in->subs[i].conf->topic);
                n++;
        }
        return n;
}

static void read_all(struct mqtt_intake *in, struct mqtt_route *first, const struct mqtt_message *m, bool by_ids,
                     int64_t now_us, struct outcome *o)
{
        for (struct mqtt_route *route = first; route; route = route->next) {
                o->left_out = o->left_out || is_left_out(in, route, m);
                if ((in->sparkplug && is_sparkplug(in, route)) || !is_for(in, route, m, by_ids))
                        continue;
                o->read = true;
                in->decoded->n = 0;
                in->subs[route->sub].heard = true;
                read_as(in, route, m, now_us, o);
                if (first->next) {
                        gather(in, &in->subs[route->sub], o);
                } else {
                        o->r = in->decoded->r;
                        o->n = in->decoded->n;
                }
        }
        if (first->next)
                settle_gathered(in, o);
}

/* Of all its readings, in the order they are handed over. */
static bool is_known(struct mqtt_intake *in, const struct mqtt_message *m, const struct outcome *o)
{
        if (!m->mid)
                return false;
        mqtt_print_start(&in->print);
        for (size_t i = 0; i < o->n; i++)
                mqtt_print_add(&in->print, &o->r[i]);
        for (size_t i = 0; i < in->turn.n; i++)
                mqtt_print_add(&in->print, &in->turn.r[i]);
        return mqtt_redelivery_known(in->redelivery, m->mid, &in->print, m->dup);
}

/* All but Sparkplug's. */
static int hand_over(struct mqtt_intake *in, const struct mqtt_message *m, const struct outcome *o)
{
        if (!o->n && !in->turn.n)
                return 0;
        if (is_known(in, m, o)) {
                in->d->n_redelivered++;
                in->turn.n = 0;
                return 0;
        }
        if (o->n && driver_emit(in->d, o->r, o->n, true) == DRIVER_E_WAIT)
                return DRIVER_E_WAIT;
        if (m->mid && !in->turn.n)
                mqtt_redelivery_add(in->redelivery, m->mid, &in->print);
        mqtt_intake_count(in, o->r, o->n);
        return 0;
}

static int take_others(struct mqtt_intake *in, struct mqtt_route *first, const struct mqtt_message *m, bool by_ids,
                       int64_t now_us)
{
        struct outcome o = {0};

        read_all(in, first, m, by_ids, now_us, &o);
        if (hand_over(in, m, &o) == DRIVER_E_WAIT)
                return DRIVER_E_WAIT;
        in->d->n_ignored += o.left_out && !o.read && !in->begun;
        in->d->n_absent += o.n_absent;
        in->d->n_untagged += o.n_untagged;
        return o.reason ? quarantine(in, m, o.reason) : 0;
}

/*
 * The message may be handed in again: what has been done of it is not done
 * twice.
 */
static int take_with_sparkplug(struct mqtt_intake *in, struct mqtt_route *first, const struct mqtt_message *m,
                               bool by_ids, const struct rt_time *now)
{
        if (!in->begun)
                mqtt_births_read(in, m, now);
        in->begun = true;
        if (!in->others_have_it && take_others(in, first, m, by_ids, now->wall_us) == DRIVER_E_WAIT)
                return DRIVER_E_WAIT;
        in->others_have_it = true;
        if (!mqtt_births_give(in, true))
                return DRIVER_E_WAIT;
        in->begun = in->others_have_it = false;
        return 0;
}

/* Without the others' readings it will not be known when it comes again. */
void mqtt_intake_give_up(struct mqtt_intake *in)
{
        if (!in->others_have_it)
                in->mid = 0;
        mqtt_births_give(in, false);
        in->begun = in->others_have_it = false;
}

/* It came with a filter that has more than our subscriptions. */
static bool is_nobodys(struct mqtt_intake *in, const char *topic)
{
        return !mqtt_naming_route(in, topic) && mqtt_filters_bring(&in->filters, topic);
}

int mqtt_intake_take(struct mqtt_intake *in, const struct mqtt_message *m)
{
        struct mqtt_route *first;
        struct rt_time now;
        bool differ = mqtt_filters_differ(&in->filters), by_ids;

        rt_now(in->d->rt, &now);
        in->taken_us = now.mono_us;
        in->is_stray = false;
        if (differ && is_nobodys(in, m->topic)) {
                in->is_stray = true;
                in->d->n_ignored++;
                return 0;
        }
        if (m->aside)
                return quarantine_aside(in, m);
        if (m->len > in->max_payload_bytes)
                return quarantine(in, m, "longer than max_payload");
        first = mqtt_naming_route(in, m->topic);
        in->is_stray = !first;
        if (!first)
                return quarantine(in, m, "no subscription is for this topic");
        by_ids = differ && has_ids(in, first, m);
        in->lacks_ids = differ && lacks_ids(in, first, m);
        if (in->sparkplug && is_for_sparkplug(in, first, m, by_ids))
                return take_with_sparkplug(in, first, m, by_ids, &now);
        return take_others(in, first, m, by_ids, now.wall_us);
}
