/*
 * mqtt: the life of the link to a broker, and the driver's ops (how readings
 * are taken: round.c).
 *
 * A link serves one connection (mqtt_link); the host says when to try again
 * after it was lost.  Pause = stop reading.  The broker's PINGRESP would wait
 * behind its messages, so before the keepalive can break we take our leave, and
 * the persistent session at the broker holds what comes.  With a message set
 * aside the link is closed with the queue unwritten, and the broker sends all
 * of it again; what the spool has by then is recognised (mqtt_redelivery).
 *
 * Fails: a lost link is told to the host, which starts us again after a pause;
 * nothing else ever stops the driver.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "drivers/mqtt/impl.h"

enum {
        ACCEPT_LIMIT_US = 10000000, /* from the socket to the CONNACK */
        STOP_LIMIT_US = 2000000,    /* for the last acknowledgements to go out */
};

static void open_link(struct mqtt *m);

/* ---- the end of a link ---- */

static void close_link(struct mqtt *m)
{
        struct rt *rt = m->d->rt;

        if (m->phase == MQTT_ACCEPTING)
                m->subscribed = false; /* its CONNECT may have made a new session, of which nobody will tell us again */
        rt_watch_set(rt, &m->watch, 0);
        rt_timer_cancel(rt, &m->hold_timer);
        rt_timer_cancel(rt, &m->nap_timer);
        rt_timer_cancel(rt, &m->tick_timer);
        rt_timer_cancel(rt, &m->limit_timer);
        if (m->link)
                mqtt_link_close(m->link);
        m->link = NULL;
        m->phase = MQTT_OFF;
        m->acking = m->no_room = m->busy = m->holding = false;
        m->uncommitted = 0;
        m->position = 0;
        if (!mqtt_deferred_empty(&m->deferred))
                mqtt_intake_give_up(&m->intake);
        while (!mqtt_deferred_empty(&m->deferred))
                mqtt_deferred_drop_first(&m->deferred);
        mqtt_ack_delay_init(&m->ack_delay, mqtt_ack_delay_us(m), m->ack_delay.batch);
}

void mqtt_finish_stop(struct mqtt *m)
{
        if (!m->stopping || m->stopped || m->phase != MQTT_OFF || m->committing)
                return;
        m->stopped = true;
        m->d->host->stopped(m->d);
}

void mqtt_lose(struct mqtt *m, const char *why)
{
        char words[sizeof(((struct err *)0)->text)];

        snprintf(words, sizeof(words), "%s", why);
        close_link(m);
        if (!m->stopping)
                m->d->host->link_down(m->d, words);
        mqtt_finish_stop(m);
}

void mqtt_go_away(struct mqtt *m, const char *why)
{
        if (!m->stopping)
                log_notice(m->scope, "%s; the broker holds what comes until then", why);
        close_link(m);
        m->away = true;
        if (!m->paused && !m->stopping)
                open_link(m);
        mqtt_finish_stop(m);
}

/* ---- connecting ---- */

static void on_limit(struct rt_timer *t)
{
        struct mqtt *m = list_entry(t, struct mqtt, limit_timer);

        if (m->stopping) {
                close_link(m);
                mqtt_finish_stop(m);
        } else if (m->phase == MQTT_ACCEPTING) {
                mqtt_lose(m, "the broker does not answer the CONNECT");
        } else if (m->phase == MQTT_UP && m->paused) {
                m->phase = MQTT_LEAVING;
                if (m->holding)
                        mqtt_go_away(
                                m,
                                "paused for longer than the keepalive allows, and the disk does not answer: closing");
                else
                        mqtt_turn(m);
        }
}

static void on_opened(void *ctx, const char *why_not)
{
        struct mqtt *m = ctx;

        if (why_not) {
                mqtt_lose(m, why_not);
                return;
        }
        m->phase = MQTT_ACCEPTING;
        rt_timer_set(m->d->rt, &m->limit_timer, ACCEPT_LIMIT_US);
        mqtt_turn(m);
}

static void arm_pause_limit(struct mqtt *m)
{
        rt_timer_set(m->d->rt, &m->limit_timer, mqtt_conf_of(m)->keepalive_us / 4 * 3);
}

static void forget_left(struct mqtt *m)
{
        while (m->n_left)
                free(m->left[--m->n_left]);
}

static void subscribe(struct mqtt *m)
{
        if (mqtt_link_subscribe(m->link, (int)m->intake.n_subs, m->filters, (int)mqtt_conf_of(m)->qos))
                log_error(m->scope, "subscribing fails: %s", mqtt_link_why(m->link));
}

/*
 * What the configuration does not name any more would come for as long as the
 * session lives.
 */
static void unsubscribe(struct mqtt *m)
{
        if (mqtt_link_unsubscribe(m->link, m->n_left, m->left))
                log_error(m->scope, "unsubscribing fails: %s", mqtt_link_why(m->link));
        forget_left(m);
}

/*
 * With 3.1.1 every subscribe brings the retained messages again, so a session
 * that knows our subscriptions is left alone.
 */
static void on_accepted(void *ctx, bool session_present)
{
        struct mqtt *m = ctx;

        m->phase = MQTT_UP;
        m->subscribed = m->subscribed && session_present;
        rt_timer_cancel(m->d->rt, &m->limit_timer);
        rt_timer_set(m->d->rt, &m->tick_timer, MQTT_TICK_US);
        if (m->paused)
                arm_pause_limit(m);
        mqtt_redelivery_begin(m->intake.redelivery, session_present);
        mqtt_link_watch_dup(m->link, mqtt_redelivery_looking(m->intake.redelivery));
        if (m->n_left)
                unsubscribe(m);
        if (m->intake.n_subs && !(m->subscribed && mqtt_conf_of(m)->protocol == MQTT_V311))
                subscribe(m);
        m->d->host->link_up(m->d);
}

static void on_subscribed(void *ctx, int n, const int *granted)
{
        struct mqtt *m = ctx;

        m->subscribed = true;
        for (int i = 0; i < n && (size_t)i < m->intake.n_subs; i++) {
                if (granted[i] < 128)
                        continue;
                m->subscribed = false;
                m->d->n_errors++;
                snprintf(m->d->last_error, sizeof(m->d->last_error), "the broker refuses the subscription of %s",
                         m->filters[i]);
                log_error(m->scope, "%s (reason %d): not allowed for this user?", m->d->last_error, granted[i]);
        }
}

static int publish(void *ctx, const char *topic, const void *payload, size_t len)
{
        struct mqtt *m = ctx;

        return m->link ? mqtt_link_publish(m->link, topic, payload, len) : -1;
}

static void open_link(struct mqtt *m)
{
        const struct mqtt_conf *c = m->d->conf;
        struct mqtt_link_conf lc = mqtt_link_conf_of(c, &m->url, m->client_id);
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = mqtt_on_message,
                                       .on_subscribed = on_subscribed,
                                       .ctx = m};

        lc.holds = true;
        lc.keepalive_s = (int)(c->keepalive_us / 1000000);
        lc.session_expiry_s = (uint32_t)(c->session_expiry_us / 1000000);
        lc.receive_maximum = (uint16_t)c->receive_maximum;
        m->away = false;
        m->phase = MQTT_OPENING;
        m->link = mqtt_link_open(m->d->rt, &lc, &up);
}

/* ---- the driver's ops ---- */

static void start(struct driver *d)
{
        struct mqtt *m = d->priv;

        if (m->phase != MQTT_OFF || m->stopping)
                return;
        if (m->paused)
                m->away = true;
        else
                open_link(m);
}

/*
 * May come from within emit, so it only notes what is to be done; a timer does
 * it.
 */
static void pause(struct driver *d, bool on)
{
        struct mqtt *m = d->priv;

        if (m->paused == on)
                return;
        m->paused = on;
        if (m->phase == MQTT_UP) {
                if (on)
                        arm_pause_limit(m);
                else
                        rt_timer_cancel(d->rt, &m->limit_timer);
                if (!m->committing)
                        rt_timer_set(d->rt, &m->hold_timer, 0);
        } else if (m->phase == MQTT_OFF && m->away && !on && !m->stopping) {
                open_link(m);
        }
}

static void stop(struct driver *d)
{
        struct mqtt *m = d->priv;

        m->stopping = true;
        if (m->phase == MQTT_UP || m->phase == MQTT_LEAVING) {
                m->phase = MQTT_LEAVING;
                rt_timer_set(d->rt, &m->limit_timer, STOP_LIMIT_US);
                if (!m->committing)
                        mqtt_turn(m);
                return;
        }
        close_link(m);
        mqtt_finish_stop(m);
}

static void fini(struct driver *d)
{
        struct mqtt *m = d->priv;

        close_link(m);
        mqtt_intake_fini(&m->intake);
        forget_left(m);
        free(m->left);
        free(m->filters);
        free(m);
        d->priv = NULL;
}

static void leave_filter(struct mqtt *m, const char *filter)
{
        for (size_t i = 0; i < m->intake.n_subs; i++)
                if (!strcmp(m->filters[i], filter))
                        return;
        m->left = mem_grow(m->left, (size_t)m->n_left + 1, sizeof(*m->left));
        m->left[m->n_left++] = mem_strdup(filter);
}

static bool asks_for_the_same(const struct mqtt *m, const struct mqtt *before)
{
        const struct mqtt_conf *c = mqtt_conf_of(m), *was = mqtt_conf_of(before);
        bool same = m->intake.n_subs == before->intake.n_subs && c->qos == was->qos && !strcmp(c->url, was->url) &&
                    !strcmp(m->client_id, before->client_id);

        for (size_t i = 0; same && i < m->intake.n_subs; i++)
                same = !strcmp(m->filters[i], before->filters[i]);
        return same;
}

/* The session at the broker is the same, whatever else has changed. */
static void inherit(struct mqtt *m, struct mqtt *before)
{
        mqtt_intake_inherit(&m->intake, &before->intake);
        m->subscribed = before->subscribed && asks_for_the_same(m, before);
        for (size_t i = 0; i < before->intake.n_subs; i++)
                leave_filter(m, before->filters[i]);
        for (int i = 0; i < before->n_left; i++)
                leave_filter(m, before->left[i]);
}

static void name_client(struct mqtt *m)
{
        const char *id = mqtt_conf_of(m)->client_id;

        if (id)
                snprintf(m->client_id, sizeof(m->client_id), "%s", id);
        else
                snprintf(m->client_id, sizeof(m->client_id), "millrace-%s-%s", m->d->gateway, m->d->name);
        snprintf(m->scope, sizeof(m->scope), "mqtt %s", m->d->name);
}

static int init(struct driver *d, struct err *e)
{
        const struct mqtt_conf *c = d->conf;
        struct mqtt *m = mem_alloc(sizeof(*m));
        uint32_t batch = c->protocol == MQTT_V5 && c->receive_maximum < MQTT_BATCH_MESSAGES
                                 ? (uint32_t)c->receive_maximum
                                 : MQTT_BATCH_MESSAGES;

        m->d = d;
        if (mqtt_url_parse(&m->url, c->url, e) < 0 || mqtt_intake_init(&m->intake, d, e) < 0) {
                if (m->intake.d)
                        mqtt_intake_fini(&m->intake);
                free(m);
                return -1;
        }
        name_client(m);
        m->intake.publish = publish;
        m->intake.publish_ctx = m;
        m->filters = mem_alloc((m->intake.n_subs + 1) * sizeof(*m->filters));
        for (size_t i = 0; i < m->intake.n_subs; i++)
                m->filters[i] = m->intake.subs[i].pattern.filter;
        mqtt_deferred_init(&m->deferred);
        mqtt_ack_delay_init(&m->ack_delay, mqtt_ack_delay_us(m), batch);
        mqtt_round_init(m);
        m->limit_timer.on_due = on_limit;
        d->priv = m;
        if (d->before)
                inherit(m, d->before->priv);
        else
                mqtt_intake_recall(&m->intake);
        return 0;
}

const struct driver_ops mqtt_ops = {
        .kind = "mqtt",
        .schema = &mqtt_schema,
        .init = init,
        .start = start,
        .pause = pause,
        .stop = stop,
        .fini = fini,
};
