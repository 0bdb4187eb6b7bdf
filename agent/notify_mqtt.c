/*
 * notify_mqtt: see notify_mqtt.h.
 *
 * A retained message is a state, so nothing has to be queued while the broker is away: when it is back, every alarm that
 * ever was is told as it is then, in slices, so that neither the loop nor the library's queue is flooded.  The same after
 * a flood's interval, for those that were not told one by one.
 */
#include "agent/notify_mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

enum { SLICE = 100, SLICE_US = 50000 };

struct notify_mqtt {
        struct alarm_notifier notifier; /* first */
        struct rt *rt;
        struct alarms *alarms;
        struct mqtt_publisher *publisher;
        const char *gateway;
        struct rt_timer timer;
        bool behind;
        size_t next, at, sent; /* of the walk: where it goes on, where it is, in this slice */
        uint64_t published;
};

static int publish(struct notify_mqtt *n, const struct alarm_notice *notice)
{
        const struct rules_row *row = notice->row;
        char topic[512];

        if (!row)
                snprintf(topic, sizeof(topic), "millrace/%s/alarm", n->gateway);
        else
                snprintf(topic, sizeof(topic), "millrace/%s/alarm/%s/%s/%s%s%s", n->gateway, row->source,
                         *row->tag ? row->tag : "-", row->rule, notice->several ? "." : "",
                         notice->several ? row->limit_kind : "");
        if (mqtt_publisher_send(n->publisher, topic, notice->json, notice->len, row != NULL) < 0)
                return -1;
        n->published++;
        return 0;
}

/* ---- telling all again ---- */

static void tell_again(struct notify_mqtt *n)
{
        n->behind = true;
        n->next = 0;
        rt_timer_set(n->rt, &n->timer, 0);
}

static void each(void *ctx, const struct rules_row *row)
{
        struct notify_mqtt *n = ctx;
        struct alarm_notice notice;
        char text[ALARM_TEXT_MAX];

        if (n->at++ < n->next || n->sent == SLICE)
                return;
        alarms_notice_of(n->alarms, row, &notice, text, sizeof(text));
        publish(n, &notice);
        n->sent++;
        n->next = n->at;
}

static void on_slice(struct rt_timer *t)
{
        struct notify_mqtt *n = list_entry(t, struct notify_mqtt, timer);

        if (!mqtt_publisher_is_up(n->publisher))
                return;
        n->at = n->sent = 0;
        alarms_each(n->alarms, true, each, n);
        n->behind = n->sent == SLICE;
        if (n->behind)
                rt_timer_set(n->rt, t, SLICE_US);
}

static void on_up(void *ctx)
{
        tell_again(ctx);
}

/* ---- telling ---- */

static void tell(struct alarm_notifier *notifier, const struct alarm_notice *notice)
{
        struct notify_mqtt *n = (struct notify_mqtt *)(void *)notifier;

        publish(n, notice);
        if (!notice->row)
                tell_again(n);
}

struct notify_mqtt *notify_mqtt_new(struct rt *rt, const struct mqtt_conf *conf, const char *gateway,
                                    struct alarms *alarms, struct err *e)
{
        struct notify_mqtt *n = mem_alloc(sizeof(*n));
        struct mqtt_publisher_conf pc = {
                .mqtt = conf, .gateway = gateway, .suffix = "alarms", .on_up = on_up, .ctx = n};

        n->notifier.tell = tell;
        n->rt = rt;
        n->alarms = alarms;
        n->gateway = gateway;
        n->timer.on_due = on_slice;
        n->publisher = mqtt_publisher_new(rt, &pc, e);
        if (n->publisher)
                return n;
        free(n);
        return NULL;
}

void notify_mqtt_start(struct notify_mqtt *n)
{
        mqtt_publisher_start(n->publisher);
}

void notify_mqtt_free(struct notify_mqtt *n)
{
        if (!n)
                return;
        rt_timer_cancel(n->rt, &n->timer);
        mqtt_publisher_free(n->publisher);
        free(n);
}

struct alarm_notifier *notify_mqtt_notifier(struct notify_mqtt *n)
{
        return &n->notifier;
}

void notify_mqtt_counts(const struct notify_mqtt *n, struct notify_mqtt_counts *out)
{
        *out = (struct notify_mqtt_counts){n->published, mqtt_publisher_is_up(n->publisher), n->behind};
}
