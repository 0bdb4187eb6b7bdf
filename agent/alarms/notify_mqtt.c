/*
 * notify_mqtt: see notify_mqtt.h.
 *
 * A retained message is a state, so little has to be queued while the broker is
 * away: when it is back, every alarm that ever was is told as it is then, in
 * slices, so that neither the loop nor the library's queue is flooded.  The
 * same after a flood's interval, for those that were not told one by one.  What
 * came and went meanwhile would not be seen so: the last few changes are kept
 * and go out first, because readings that waited in the broker come before this
 * connection is up.
 *
 * People are told before the disk has it, so a crash may leave a message of an
 * alarm that, as far as the spool knows, never was; and a rule that is taken
 * out leaves its messages behind.  So what the broker keeps of ours is looked
 * at once per connection: an alarm that is watched but never was is told as it
 * is, normal; of one that nobody watches the message is taken away.  How it
 * fails: a broker that does not let us read is told in the log, and what is out
 * of date there stays.
 */
#include "agent/alarms/notify_mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/tags.h"
#include "agent/base/text.h"

enum { SLICE = 100, SLICE_US = 50000, RIGHTED_MAX = 5000 /* per connection: more than that is not of our making */ };

enum { WAITING_MAX = 64, TOPIC_MAX = 3 * TEXT_NAME_MAX + TAGS_IDENT_MAX, RENAMED_US = 1000000 };

struct message {
        char *topic, *json;
        bool retain;
};

struct notify_mqtt {
        struct alarm_notifier notifier; /* first */
        struct rt *rt;
        struct alarms *alarms;
        struct mqtt_publisher *publisher;
        const char *gateway;
        struct rt_timer timer, renamed;
        bool behind;
        size_t next, at, sent; /* of the walk: where it goes on, where it is, in this slice */
        size_t righted;        /* of this connection */
        uint64_t published;
        struct message waiting[WAITING_MAX]; /* from `first`, around */
        size_t first, n_waiting;
};

static void put_topic(const struct notify_mqtt *n, const struct alarm_notice *notice, char topic[TOPIC_MAX])
{
        const struct rules_row *row = notice->row;

        if (!row)
                snprintf(topic, TOPIC_MAX, "millrace/%s/alarm", n->gateway);
        else
                snprintf(topic, TOPIC_MAX, "millrace/%s/alarm/%s/%.*s/%s%s%s", n->gateway, row->source,
                         *row->tag ? (int)strcspn(row->tag, notice->only ? "{" : "") : 1, *row->tag ? row->tag : "-",
                         row->rule, notice->several ? "." : "", notice->several ? row->limit_kind : "");
}

/* ---- while there is no connection ---- */

static struct message take(struct notify_mqtt *n)
{
        struct message m = n->waiting[n->first];

        n->first = (n->first + 1) % WAITING_MAX;
        n->n_waiting--;
        return m;
}

static void release(struct message m)
{
        free(m.topic);
        free(m.json);
}

static void keep(struct notify_mqtt *n, const char *topic, const struct alarm_notice *notice)
{
        if (n->n_waiting == WAITING_MAX)
                release(take(n)); /* its state will be told */
        n->waiting[(n->first + n->n_waiting++) % WAITING_MAX] =
                (struct message){mem_strdup(topic), mem_strdup(notice->json), notice->row != NULL};
}

static void send(struct notify_mqtt *n, const char *topic, const char *json, size_t len, bool retain)
{
        n->published += mqtt_publisher_send(n->publisher, topic, json, len, retain) == 0;
}

static void send_waiting(struct notify_mqtt *n)
{
        while (n->n_waiting) {
                struct message m = take(n);

                send(n, m.topic, m.json, strlen(m.json), m.retain);
                release(m);
        }
}

static void publish(struct notify_mqtt *n, const struct alarm_notice *notice)
{
        /* an empty message takes the retained one away; one that waits is nobody's at the next connection */
        bool gone = notice->t && notice->t->change == ALARM_NOT_WATCHED;
        char topic[TOPIC_MAX];

        put_topic(n, notice, topic);
        if (mqtt_publisher_is_up(n->publisher))
                send(n, topic, notice->json, gone ? 0 : notice->len, notice->row != NULL);
        else
                keep(n, topic, notice);
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

/* All that is kept comes again, and what is not called so any more goes. */
static void look(struct notify_mqtt *n)
{
        char filter[TOPIC_MAX];

        n->righted = 0;
        snprintf(filter, sizeof(filter), "millrace/%s/alarm/+/+/+", n->gateway);
        mqtt_publisher_look(n->publisher, filter);
        tell_again(n);
}

static void on_up(void *ctx)
{
        struct notify_mqtt *n = ctx;

        send_waiting(n);
        look(n);
}

/* Many tags may come at once, and each look costs the broker all it keeps. */
static void on_renamed(struct rt_timer *t)
{
        struct notify_mqtt *n = list_entry(t, struct notify_mqtt, renamed);

        if (mqtt_publisher_is_up(n->publisher))
                look(n);
}

static void renamed(struct alarm_notifier *notifier)
{
        struct notify_mqtt *n = (struct notify_mqtt *)(void *)notifier;

        if (!rt_timer_armed(&n->renamed))
                rt_timer_set(n->rt, &n->renamed, RENAMED_US);
}

/* ---- what the broker still has ---- */

/* True: the alarm of the topic is watched, and *notice is what it is now. */
static bool find(struct notify_mqtt *n, const char *topic, struct rules_row *row, struct alarm_notice *notice,
                 char *text)
{
        char name[TOPIC_MAX], its[TOPIC_MAX];
        struct alarm_key key;

        snprintf(name, sizeof(name), "%s", topic + strlen("millrace//alarm/") + strlen(n->gateway));
        if (!alarm_key_cut(name, &key) || alarms_row(n->alarms, &key, row) != 0)
                return false;
        alarms_notice_of(n->alarms, row, notice, text, ALARM_TEXT_MAX);
        put_topic(n, notice, its);
        return strcmp(its, topic) == 0;
}

static void on_retained(void *ctx, const char *topic, const void *payload, size_t len)
{
        struct notify_mqtt *n = ctx;
        struct alarm_notice notice;
        struct rules_row row;
        char text[ALARM_TEXT_MAX];
        bool known = strlen(topic) < TOPIC_MAX && find(n, topic, &row, &notice, text);

        if ((known && alarm_ever_was(&row)) || n->righted++ >= RIGHTED_MAX)
                return;
        if (known)
                publish(n, &notice);
        else
                send(n, topic, "", 0, true);
}

/* ---- telling ---- */

static void tell(struct alarm_notifier *notifier, const struct alarm_notice *notice)
{
        struct notify_mqtt *n = (struct notify_mqtt *)(void *)notifier;

        publish(n, notice);
        if (!notice->row)
                tell_again(n);
}

static void show(struct alarm_notifier *notifier, const struct alarm_notice *notice)
{
        publish((struct notify_mqtt *)(void *)notifier, notice);
}

struct notify_mqtt *notify_mqtt_new(struct rt *rt, const struct mqtt_conf *conf, const char *gateway,
                                    struct alarms *alarms, struct err *e)
{
        struct notify_mqtt *n = mem_alloc(sizeof(*n));
        struct mqtt_publisher_conf pc = {.mqtt = conf,
                                         .gateway = gateway,
                                         .suffix = "alarms",
                                         .on_up = on_up,
                                         .on_retained = on_retained,
                                         .ctx = n};

        n->notifier.tell = tell;
        n->notifier.show = show;
        n->notifier.renamed = renamed;
        n->rt = rt;
        n->alarms = alarms;
        n->gateway = gateway;
        n->timer.on_due = on_slice;
        n->renamed.on_due = on_renamed;
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
        rt_timer_cancel(n->rt, &n->renamed);
        mqtt_publisher_free(n->publisher);
        while (n->n_waiting)
                release(take(n));
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
