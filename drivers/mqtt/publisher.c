/*
 * publisher: see publisher.h.
 *
 * A link (link.c) is used for one connection; when it is lost the next one
 * comes after a pause, which grows until one has lasted a minute: a broker may
 * take us, and break the protocol then.  on_up tells the owner to send what is
 * still true, so nothing is queued here for a broker that is away.  What the
 * library has queued for a slow broker is bounded by the owner, who sends
 * states, not a history; and by the link, which is lost when none of it is
 * acknowledged.
 */
#include "drivers/mqtt/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/backoff.h"
#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "drivers/mqtt/link.h"

enum {
        BACKOFF_FIRST_US = 1000000,
        BACKOFF_MAX_US = 60000000,
        TICK_US = 1000000,
        KEEPALIVE_S = 30,
        ACCEPT_TICKS = 10,
        SOUND_TICKS = 60,
        RETAINED_MAX = 65536 /* bytes: what is ours is shorter */
};

struct mqtt_publisher {
        struct rt *rt;
        struct mqtt_publisher_conf conf;
        struct mqtt_url url;
        struct mqtt_link *link;
        struct rt_watch watch;
        struct rt_timer timer; /* the next try, or the next tick */
        struct backoff backoff;
        int ticks; /* of this link */
        bool open, up, told_down, told_blind, told_refused, looked;
        char client_id[TEXT_NAME_MAX + 128], scope[TEXT_NAME_MAX + 32];
};

static void turn(struct mqtt_publisher *p, bool may_read);

static void lose(struct mqtt_publisher *p, const char *why)
{
        int64_t pause_us = backoff_next_us(&p->backoff, rt_random(p->rt));

        if (!p->told_down)
                log_warn(p->scope, "%s; trying again in %.1f s, then with growing pauses", why, (double)pause_us / 1e6);
        p->told_down = true;
        rt_watch_set(p->rt, &p->watch, 0);
        mqtt_link_close(p->link);
        p->link = NULL;
        p->open = p->up = p->looked = p->told_refused = false;
        rt_timer_set(p->rt, &p->timer, pause_us);
}

static void on_opened(void *ctx, const char *why_not)
{
        struct mqtt_publisher *p = ctx;

        if (why_not) {
                lose(p, why_not);
                return;
        }
        p->open = true;
        p->ticks = 0;
        rt_timer_set(p->rt, &p->timer, TICK_US);
        turn(p, false);
}

static void on_accepted(void *ctx, bool session_present)
{
        struct mqtt_publisher *p = ctx;

        p->up = true;
        p->ticks = 0;
        if (p->told_down)
                log_info(p->scope, "connected");
        p->told_down = false;
        p->conf.on_up(p->conf.ctx);
}

/*
 * What is published now comes back as well, not marked as retained: that is no
 * news.
 */
static void on_message(void *ctx, const struct mqtt_message *m)
{
        struct mqtt_publisher *p = ctx;

        if (m->retained && m->aside != MQTT_ASIDE_TOPIC && p->conf.on_retained)
                p->conf.on_retained(p->conf.ctx, m->topic, m->payload, m->len);
}

static void on_subscribed(void *ctx, int mid, int n, const int *granted)
{
        struct mqtt_publisher *p = ctx;

        if (n == 1 && granted[0] >= 128 && !p->told_blind)
                log_warn(p->scope,
                         "the broker does not let us read what it keeps of ours; what is out of date there stays");
        p->told_blind |= n == 1 && granted[0] >= 128;
}

/* Of the next link it is told again: rights are given while we run. */
static void on_refused(void *ctx, const char *why)
{
        struct mqtt_publisher *p = ctx;

        if (!p->told_refused)
                log_warn(p->scope, "the broker refuses what we publish: %s", why);
        p->told_refused = true;
}

/* Reads acknowledgements, writes what waits, watches for the rest. */
static void turn(struct mqtt_publisher *p, bool may_read)
{
        int r = 0;

        for (int i = 0; may_read && i < 100 && r == 0; i++)
                r = mqtt_link_read(p->link);
        if (may_read && r == 0) /* not dry: what is read but not taken shows in no watch */
                rt_timer_set(p->rt, &p->timer, 0);
        if (r != MQTT_LINK_E_LOST)
                r = mqtt_link_wants_write(p->link) ? mqtt_link_write(p->link) : 0;
        if (r == MQTT_LINK_E_LOST) {
                lose(p, mqtt_link_why(p->link));
                return;
        }
        p->watch.fd = mqtt_link_fd(p->link);
        rt_watch_set(p->rt, &p->watch, r == MQTT_LINK_E_DRY ? RT_READ | RT_WRITE : RT_READ);
}

static void on_event(struct rt_watch *w, unsigned events)
{
        turn(list_entry(w, struct mqtt_publisher, watch), events & (RT_READ | RT_ERROR));
}

static void open_link(struct mqtt_publisher *p)
{
        struct mqtt_link_conf lc = mqtt_link_conf_of(p->conf.mqtt, &p->url, p->client_id);
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .on_refused = on_refused,
                                       .ctx = p};

        lc.keepalive_s = KEEPALIVE_S;
        lc.receive_maximum = 20;
        lc.max_payload = RETAINED_MAX;
        p->link = mqtt_link_open(p->rt, &lc, &up);
}

static void on_timer(struct rt_timer *t)
{
        struct mqtt_publisher *p = list_entry(t, struct mqtt_publisher, timer);

        if (!p->link) {
                open_link(p);
        } else if (!p->up && ++p->ticks > ACCEPT_TICKS) {
                lose(p, "the broker does not answer the CONNECT");
        } else if (mqtt_link_tick(p->link) == MQTT_LINK_E_LOST) {
                lose(p, mqtt_link_why(p->link));
        } else {
                if (p->up && ++p->ticks == SOUND_TICKS)
                        p->backoff.n = 0;
                rt_timer_set(p->rt, &p->timer, TICK_US);
                turn(p, true);
        }
}

struct mqtt_publisher *mqtt_publisher_new(struct rt *rt, const struct mqtt_publisher_conf *conf, struct err *e)
{
        const struct mqtt_conf *c = conf->mqtt;
        struct mqtt_publisher *p = mem_alloc(sizeof(*p));

        p->rt = rt;
        p->conf = *conf;
        p->backoff = (struct backoff){.first_us = BACKOFF_FIRST_US, .most_us = BACKOFF_MAX_US};
        p->watch = (struct rt_watch){.fd = -1, .on_event = on_event};
        p->timer.on_due = on_timer;
        if (mqtt_url_parse(&p->url, c->url, e) < 0) {
                free(p);
                return NULL;
        }
        if (c->client_id)
                snprintf(p->client_id, sizeof(p->client_id), "%s-%s", c->client_id, conf->suffix);
        else
                snprintf(p->client_id, sizeof(p->client_id), "millrace-%s-%s-%s", conf->gateway, c->name, conf->suffix);
        snprintf(p->scope, sizeof(p->scope), "mqtt %s %s", c->name, conf->suffix);
        return p;
}

void mqtt_publisher_start(struct mqtt_publisher *p)
{
        rt_timer_set(p->rt, &p->timer, 0);
}

void mqtt_publisher_free(struct mqtt_publisher *p)
{
        if (!p)
                return;
        rt_timer_cancel(p->rt, &p->timer);
        rt_watch_set(p->rt, &p->watch, 0);
        if (p->up) {
                mqtt_link_goodbye(p->link);
                mqtt_link_write(p->link);
        }
        if (p->link)
                mqtt_link_close(p->link);
        free(p);
}

bool mqtt_publisher_is_up(const struct mqtt_publisher *p)
{
        return p->up;
}

static void write_soon(struct mqtt_publisher *p)
{
        rt_watch_set(p->rt, &p->watch, RT_READ | RT_WRITE);
}

int mqtt_publisher_send(struct mqtt_publisher *p, const char *topic, const void *payload, size_t len, bool retain)
{
        if (!p->up || mqtt_link_publish_sure(p->link, topic, payload, len, retain) < 0)
                return -1;
        write_soon(p);
        return 0;
}

void mqtt_publisher_look(struct mqtt_publisher *p, const char *filter)
{
        char *filters[] = {(char *)(uintptr_t)filter};

        if (p->looked) /* to a subscription that is there a broker sends nothing it keeps */
                mqtt_link_unsubscribe(p->link, 1, filters, NULL);
        p->looked = true;
        mqtt_link_subscribe(p->link, 1, filters, 0, 0, NULL);
        write_soon(p);
}
