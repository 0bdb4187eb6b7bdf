/*
 * births: messages of Sparkplug, which is an exception.
 *
 * What its messages say follows from those before, so each is read once, for
 * all subscriptions it is of; they can hold more than the host has room for at
 * once, and most come at QoS 0 and never again.  So they are handed over in
 * pieces, and what found no room is kept until the message is handed in again,
 * or given up.
 *
 * Fails: what can't be read is in the quarantine; a gap is an error, and the
 * node is asked to be born again.
 */
#include <stdio.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "drivers/mqtt/intake_impl.h"

enum { PIECE_READINGS = 100 };

/*
 * The readings of a subscription to Sparkplug say what the values of these
 * metrics are.
 */
int mqtt_births_init(struct mqtt_intake *in, const struct mqtt_sub_conf *conf, struct err *e)
{
        const struct mqtt_reading_conf *r = conf->readings.items;

        if (!in->sparkplug)
                in->sparkplug = sparkplug_new(in->d->tags, in->d->name);
        for (size_t i = 0; i < conf->readings.n; i++)
                if (sparkplug_convert(in->sparkplug, r[i].tag, r[i].unit, &r[i].convert, e) < 0)
                        return -1;
        return 0;
}

static void on_gone(void *ctx, const char *source)
{
        struct driver *d = ctx;

        d->host->device_event(d, source, "forgotten", "its tags were forgotten");
}

void mqtt_births_forgotten(struct mqtt_intake *in)
{
        if (in->sparkplug)
                sparkplug_forgotten(in->sparkplug, on_gone, in->d);
}

bool mqtt_births_give(struct mqtt_intake *in, bool may_wait)
{
        const struct sparkplug_result *t = &in->turn;

        while (in->n_given < t->n) {
                const struct reading *r = t->r + in->n_given;
                size_t left = t->n - in->n_given, n = left < PIECE_READINGS ? left : PIECE_READINGS;

                if (driver_emit(in->d, r, n, may_wait) == DRIVER_E_WAIT)
                        return false;
                in->n_given += n;
                mqtt_intake_count(in, r, n);
        }
        if (t->n && in->mid)
                mqtt_redelivery_add(in->redelivery, in->mid, &in->print);
        in->n_given = in->turn.n = 0;
        return true;
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
                mqtt_intake_quarantine(in, m, t->reason);
        if (t->source)
                d->host->device_event(d, t->source, t->state, t->why);
}

void mqtt_births_read(struct mqtt_intake *in, const struct mqtt_message *m, const struct rt_time *now)
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
}
