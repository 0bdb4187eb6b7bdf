/*
 * mqtt: when to read, when to commit, when to acknowledge, and when to let go.
 *
 * One round: read until the socket is dry or the batch is full; hold a little for more (mqtt_hold); collect the
 * acknowledgements and ask the host to make what was read durable; when it is, release them.  Meanwhile the next round
 * reads: what comes is judged by the alarm rules at once, however long the disk takes, and its acknowledgements wait in the
 * library's queue.  One commit is under way at a time, and the next is not asked for before the last byte of the
 * acknowledgements is out, so what waits is bounded by two batches.
 *
 * A broker writes message by message, and each would wake us.  Where many come, the socket is left alone for a moment after
 * it was read dry, unless the broker waits for our acknowledgements: at 5,000 messages a second that halves what they cost.
 *
 * A message the host has no room for is set aside, and nothing is read or collected until it is taken: its acknowledgement
 * stands in the library's queue already, among those of messages that may be written.
 *
 * Pause = stop reading.  The broker's PINGRESP would wait behind its messages, so before the keepalive can break we take
 * our leave, and the persistent session at the broker holds what comes.  With a message set aside the link is closed with
 * the queue unwritten, and the broker sends all of it again; what the spool has by then is recognised (mqtt_redelivery).
 *
 * Fails: a lost link is told to the host, which starts us again after a pause; nothing else ever stops the driver.
 */
#include "drivers/mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "drivers/mqtt_hold.h"
#include "drivers/mqtt_intake.h"
#include "drivers/mqtt_link.h"

enum {
        TICK_US = 1000000,
        ACCEPT_LIMIT_US = 10000000, /* from the socket to the CONNACK */
        STOP_LIMIT_US = 2000000,    /* for the last acknowledgements to go out */
        READS_PER_TURN = 256,       /* then others have the loop */
        BATCH_MESSAGES = 2000,
        BATCH_ROWS = 4000,
        BATCH_BYTES = 1 << 20,
        ACK_DELAY_MOST_US = 5000000,
        NAP_MOST_US = 2000,
        BUSY_PER_S = 1000, /* messages, from where on napping pays */
};

enum phase {
        OFF,       /* no link: the host will start us, or pause(false) will */
        OPENING,   /* name, TCP, files: off the loop */
        ACCEPTING, /* until the CONNACK */
        UP,
        LEAVING, /* reading is over; DISCONNECT follows the last acknowledgement */
};

struct mqtt {
        struct driver *d;
        enum phase phase;
        bool paused, stopping, stopped;
        bool away;                  /* OFF by our own will: back when the pause is over */
        bool committing;            /* asked for, not yet durable */
        bool acking;                /* durable, and not all acknowledgements are written */
        bool no_room;               /* a message came while one is set aside */
        struct mqtt_message *aside; /* refused by the host, and to be handed over again; owned */
        unsigned n_taken;           /* messages since the last tick */
        bool busy;                  /* by the count of the last second */
        unsigned uncommitted;       /* messages handed over since a commit was asked for */
        uint64_t position; /* of the link: acknowledgements before it may go when the commit under way is done */
        bool subscribed;   /* this process did, and the session has it */
        struct mqtt_link *link;
        struct mqtt_intake intake;
        struct mqtt_hold hold;
        struct driver_sync sync;
        struct rt_watch watch;
        struct rt_timer hold_timer, nap_timer, tick_timer, limit_timer;
        struct mqtt_url url;
        char client_id[300];
        char room[80];
        char **filters;
};

static void turn(struct mqtt *m);
static void open_link(struct mqtt *m);

static const struct mqtt_conf *conf_of(const struct mqtt *m)
{
        return m->d->conf;
}

/* ---- the end of a link ---- */

static void close_link(struct mqtt *m)
{
        struct rt *rt = m->d->rt;

        rt_watch_set(rt, &m->watch, 0);
        rt_timer_cancel(rt, &m->hold_timer);
        rt_timer_cancel(rt, &m->nap_timer);
        rt_timer_cancel(rt, &m->tick_timer);
        rt_timer_cancel(rt, &m->limit_timer);
        if (m->link)
                mqtt_link_close(m->link);
        m->link = NULL;
        m->phase = OFF;
        m->acking = m->no_room = m->busy = false;
        m->uncommitted = 0;
        m->position = 0;
        if (m->aside)
                mqtt_intake_give_up(&m->intake);
        free(m->aside);
        m->aside = NULL;
        mqtt_hold_init(&m->hold, conf_of(m)->ack_delay_us, m->hold.batch);
}

static void finish_stop(struct mqtt *m)
{
        if (!m->stopping || m->stopped || m->phase != OFF || m->committing)
                return;
        m->stopped = true;
        m->d->host->stopped(m->d);
}

static void link_down(struct mqtt *m, const char *why)
{
        char words[sizeof(((struct err *)0)->text)];

        snprintf(words, sizeof(words), "%s", why);
        close_link(m);
        if (!m->stopping)
                m->d->host->link_down(m->d, words);
        finish_stop(m);
}

/* By our own will; the session at the broker stays. */
static void go_away(struct mqtt *m, const char *why)
{
        if (!m->stopping)
                log_notice(m->room, "%s; the broker holds what comes until then", why);
        close_link(m);
        m->away = true;
        if (!m->paused && !m->stopping)
                open_link(m);
        finish_stop(m);
}

/* ---- writing ---- */

static void watch_for(struct mqtt *m, unsigned events)
{
        m->watch.fd = mqtt_link_fd(m->link);
        rt_watch_set(m->d->rt, &m->watch, events);
}

/* These are false when the link is gone. */
static bool is_there(struct mqtt *m, int r)
{
        if (r == MQTT_LINK_E_LOST)
                link_down(m, mqtt_link_why(m->link));
        return r != MQTT_LINK_E_LOST;
}

static bool release(struct mqtt *m)
{
        int r = mqtt_link_release(m->link, m->position);

        m->acking = r == MQTT_LINK_E_DRY;
        return is_there(m, r);
}

/* Nothing has been taken that is not on disk: all that waits may go. */
static bool write_out(struct mqtt *m)
{
        if (m->committing || m->uncommitted || m->aside || m->acking || !mqtt_link_wants_write(m->link))
                return true;
        return is_there(m, mqtt_link_collect(m->link, &m->position)) && release(m);
}

/* The last acknowledgement that may be written is. */
static void leave(struct mqtt *m)
{
        if (!m->aside) {
                mqtt_link_goodbye(m->link);
                mqtt_link_write(m->link);
        }
        go_away(m, "paused for longer than the keepalive allows: disconnecting");
}

/* ---- one round ---- */

static bool commit(struct mqtt *m)
{
        if (!m->aside && !is_there(m, mqtt_link_collect(m->link, &m->position)))
                return false;
        m->committing = true;
        m->uncommitted = 0;
        m->intake.n_rows = m->intake.n_bytes = 0;
        mqtt_hold_commit(&m->hold);
        rt_timer_cancel(m->d->rt, &m->hold_timer);
        m->d->host->sync(m->d, &m->sync);
        return true;
}

/* Never so long that the broker gives the client up. */
static int64_t ack_delay_us(const struct mqtt *m)
{
        double us = (double)conf_of(m)->ack_delay_us * m->d->ack_stretch;

        return us < ACK_DELAY_MOST_US ? (int64_t)us : ACK_DELAY_MOST_US;
}

/* The link may be another one than the commit was asked for on; its position is 0 then. */
static void on_durable(struct driver *d)
{
        struct mqtt *m = d->priv;

        m->committing = false;
        if (m->phase == UP || m->phase == LEAVING) {
                mqtt_hold_done(&m->hold, rt_mono_us(d->rt), mqtt_link_has_more(m->link));
                m->hold.delay_us = ack_delay_us(m);
                if (release(m))
                        turn(m);
        }
        finish_stop(m);
}

static bool batch_full(const struct mqtt *m)
{
        return m->hold.pending >= m->hold.batch || m->intake.n_rows >= BATCH_ROWS || m->intake.n_bytes >= BATCH_BYTES;
}

static bool may_read(const struct mqtt *m)
{
        if (m->phase == ACCEPTING)
                return true;
        return m->phase == UP && !m->paused && !m->aside && !batch_full(m);
}

static void on_no_room(struct mqtt *m)
{
        char why[160];

        snprintf(why, sizeof(why), "no room for two messages running: connection given up, %u will be sent again",
                 m->hold.pending + m->hold.under_way);
        m->d->n_errors++;
        if (m->paused || m->stopping)
                go_away(m, why);
        else
                link_down(m, why);
}

/* 0: there may be more; MQTT_LINK_E_DRY; or MQTT_LINK_E_LOST: the link is gone. */
static int read_some(struct mqtt *m)
{
        int r = 0;

        for (int i = 0; i < READS_PER_TURN && r == 0 && may_read(m); i++)
                r = mqtt_link_read(m->link);
        if (r == MQTT_LINK_E_LOST)
                link_down(m, mqtt_link_why(m->link));
        if (r != MQTT_LINK_E_LOST && m->no_room) {
                on_no_room(m);
                r = MQTT_LINK_E_LOST;
        }
        return r;
}

/* Reading has paused for now: is it time to commit, or when? False when the link is gone. */
static bool hold_or_commit(struct mqtt *m, bool dry)
{
        int64_t wait_us;
        bool over =
                m->paused || m->phase == LEAVING || m->intake.n_rows >= BATCH_ROWS || m->intake.n_bytes >= BATCH_BYTES;

        if (m->committing || m->acking)
                return true;
        if ((mqtt_hold_due(&m->hold, rt_mono_us(m->d->rt), dry, &wait_us) || over || m->aside) && m->uncommitted)
                return commit(m);
        if (over)
                m->intake.n_rows = m->intake.n_bytes = 0; /* QoS 0 only: nobody waits for these */
        if (wait_us < 0)
                rt_timer_cancel(m->d->rt, &m->hold_timer);
        else if (!rt_timer_armed(&m->hold_timer))
                rt_timer_set(m->d->rt, &m->hold_timer, wait_us);
        return true;
}

static bool take(struct mqtt *m, const struct mqtt_message *msg)
{
        if (mqtt_intake_take(&m->intake, msg) == DRIVER_E_WAIT)
                return false;
        m->n_taken++;
        if (msg->mid) {
                mqtt_hold_add(&m->hold, rt_mono_us(m->d->rt));
                m->uncommitted++;
        }
        return true;
}

static void take_aside(struct mqtt *m)
{
        struct mqtt_message *msg = m->aside;

        if (!msg || m->paused || m->committing || !take(m, msg))
                return;
        m->aside = NULL;
        free(msg);
}

/* The library's message is gone after the callback. One piece of memory: topic and payload behind the struct. */
static void set_aside(struct mqtt *m, const struct mqtt_message *msg)
{
        size_t topic_size = strlen(msg->topic) + 1;
        struct mqtt_message *copy = mem_alloc(sizeof(*copy) + topic_size + msg->len);
        char *topic = (char *)(copy + 1), *payload = topic + topic_size;

        *copy = *msg;
        copy->topic = memcpy(topic, msg->topic, topic_size);
        if (msg->len)
                copy->payload = memcpy(payload, msg->payload, msg->len);
        m->aside = copy;
}

/* The socket was read dry: is more to be gathered in it before it is read again? */
static bool nap(struct mqtt *m)
{
        int64_t us = m->hold.delay_us / 10 < NAP_MOST_US ? m->hold.delay_us / 10 : NAP_MOST_US;

        if (!m->busy || m->hold.window || us == 0)
                return false;
        rt_timer_set(m->d->rt, &m->nap_timer, us);
        return true;
}

/* Whatever happened: does what can be done now, and watches for what can't. */
static void turn(struct mqtt *m)
{
        int r;

        take_aside(m);
        r = read_some(m);
        if (r == MQTT_LINK_E_LOST)
                return;
        if (m->phase == ACCEPTING) {
                if (!mqtt_link_wants_write(m->link) || is_there(m, mqtt_link_write(m->link)))
                        watch_for(m, RT_READ);
                return;
        }
        if (!hold_or_commit(m, r == MQTT_LINK_E_DRY) || !write_out(m))
                return;
        if (m->phase == LEAVING && !m->acking && !m->committing)
                leave(m);
        else
                watch_for(m, (m->acking ? RT_WRITE : 0) |
                                     (may_read(m) && !(r == MQTT_LINK_E_DRY && nap(m)) ? RT_READ : 0));
}

static void on_ready(struct rt_watch *w, unsigned events)
{
        struct mqtt *m = list_entry(w, struct mqtt, watch);

        if (m->acking && !release(m))
                return;
        turn(m);
}

static void on_hold_over(struct rt_timer *t)
{
        turn(list_entry(t, struct mqtt, hold_timer));
}

static void on_nap_over(struct rt_timer *t)
{
        turn(list_entry(t, struct mqtt, nap_timer));
}

static void on_tick(struct rt_timer *t)
{
        struct mqtt *m = list_entry(t, struct mqtt, tick_timer);

        rt_timer_set(m->d->rt, t, TICK_US);
        m->busy = m->n_taken >= BUSY_PER_S;
        m->n_taken = 0;
        if (m->phase != UP || !may_read(m))
                return;
        if (mqtt_link_tick(m->link) == MQTT_LINK_E_LOST)
                link_down(m, mqtt_link_why(m->link));
        else
                turn(m);
}

/* ---- connecting ---- */

static void on_limit(struct rt_timer *t)
{
        struct mqtt *m = list_entry(t, struct mqtt, limit_timer);

        if (m->stopping) {
                close_link(m);
                finish_stop(m);
        } else if (m->phase == ACCEPTING) {
                link_down(m, "the broker does not answer the CONNECT");
        } else if (m->phase == UP && m->paused) {
                m->phase = LEAVING;
                turn(m);
        }
}

static void on_opened(void *ctx, const char *why_not)
{
        struct mqtt *m = ctx;

        if (why_not) {
                link_down(m, why_not);
                return;
        }
        m->phase = ACCEPTING;
        rt_timer_set(m->d->rt, &m->limit_timer, ACCEPT_LIMIT_US);
        turn(m);
}

static void arm_pause_limit(struct mqtt *m)
{
        rt_timer_set(m->d->rt, &m->limit_timer, conf_of(m)->keepalive_us / 4 * 3);
}

static void subscribe(struct mqtt *m)
{
        if (mqtt_link_subscribe(m->link, (int)m->intake.n_subs, m->filters, (int)conf_of(m)->qos))
                log_error(m->room, "subscribing fails: %s", mqtt_link_why(m->link));
}

/* With 3.1.1 every subscribe brings the retained messages again, so a session that knows our subscriptions is left alone. */
static void on_accepted(void *ctx, bool session_present)
{
        struct mqtt *m = ctx;

        m->phase = UP;
        rt_timer_cancel(m->d->rt, &m->limit_timer);
        rt_timer_set(m->d->rt, &m->tick_timer, TICK_US);
        if (m->paused)
                arm_pause_limit(m);
        mqtt_redelivery_begin(m->intake.again, session_present);
        mqtt_link_watch_dup(m->link, mqtt_redelivery_looking(m->intake.again));
        if (m->intake.n_subs && !(m->subscribed && session_present && conf_of(m)->protocol == MQTT_V311))
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
                log_error(m->room, "%s (reason %d): not allowed for this user?", m->d->last_error, granted[i]);
        }
}

static void on_message(void *ctx, const struct mqtt_message *msg)
{
        struct mqtt *m = ctx;
        bool looking = mqtt_redelivery_looking(m->intake.again);

        if (m->aside) {
                m->no_room = true;
                return;
        }
        if (!take(m, msg))
                set_aside(m, msg);
        if (looking && !mqtt_redelivery_looking(m->intake.again))
                mqtt_link_watch_dup(m->link, false);
}

static int publish(void *ctx, const char *topic, const void *payload, size_t len)
{
        struct mqtt *m = ctx;

        return m->link ? mqtt_link_publish(m->link, topic, payload, len) : -1;
}

static void open_link(struct mqtt *m)
{
        const struct mqtt_conf *c = m->d->conf;
        struct mqtt_link_conf lc = {.host = m->url.host,
                                    .port = m->url.port,
                                    .tls = m->url.tls,
                                    .client_id = m->client_id,
                                    .username = c->username,
                                    .password_file = c->password_file,
                                    .ca_file = c->ca_file,
                                    .cert_file = c->cert_file,
                                    .key_file = c->key_file,
                                    .v311 = c->protocol == MQTT_V311,
                                    .holds = true,
                                    .keepalive_s = (int)(c->keepalive_us / 1000000),
                                    .session_expiry_s = (uint32_t)(c->session_expiry_us / 1000000),
                                    .receive_maximum = (uint16_t)c->receive_maximum};
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .ctx = m};

        m->away = false;
        m->phase = OPENING;
        m->link = mqtt_link_open(m->d->rt, &lc, &up);
}

/* ---- the driver's ops ---- */

static void start(struct driver *d)
{
        struct mqtt *m = d->priv;

        if (m->phase != OFF || m->stopping)
                return;
        if (m->paused)
                m->away = true;
        else
                open_link(m);
}

/* May come from within emit, so it only notes what is to be done; a timer does it. */
static void pause(struct driver *d, bool on)
{
        struct mqtt *m = d->priv;

        if (m->paused == on)
                return;
        m->paused = on;
        if (m->phase == UP) {
                if (on)
                        arm_pause_limit(m);
                else
                        rt_timer_cancel(d->rt, &m->limit_timer);
                if (!m->committing)
                        rt_timer_set(d->rt, &m->hold_timer, 0);
        } else if (m->phase == OFF && m->away && !on && !m->stopping) {
                open_link(m);
        }
}

static void stop(struct driver *d)
{
        struct mqtt *m = d->priv;

        m->stopping = true;
        if (m->phase == UP || m->phase == LEAVING) {
                m->phase = LEAVING;
                rt_timer_set(d->rt, &m->limit_timer, STOP_LIMIT_US);
                if (!m->committing)
                        turn(m);
                return;
        }
        close_link(m);
        finish_stop(m);
}

static void fini(struct driver *d)
{
        struct mqtt *m = d->priv;

        close_link(m);
        mqtt_intake_release(&m->intake);
        free(m->filters);
        free(m);
        d->priv = NULL;
}

static void name_client(struct mqtt *m)
{
        const char *id = conf_of(m)->client_id;

        if (id)
                snprintf(m->client_id, sizeof(m->client_id), "%s", id);
        else
                snprintf(m->client_id, sizeof(m->client_id), "millrace-%s-%s", m->d->gateway, m->d->name);
        snprintf(m->room, sizeof(m->room), "mqtt %s", m->d->name);
}

static int init(struct driver *d, struct err *e)
{
        const struct mqtt_conf *c = d->conf;
        struct mqtt *m = mem_alloc(sizeof(*m));
        uint32_t batch = c->protocol == MQTT_V5 && c->receive_maximum < BATCH_MESSAGES ? (uint32_t)c->receive_maximum
                                                                                       : BATCH_MESSAGES;

        m->d = d;
        if (mqtt_url_parse(&m->url, c->url, e) < 0 || mqtt_intake_init(&m->intake, d, e) < 0) {
                if (m->intake.d)
                        mqtt_intake_release(&m->intake);
                free(m);
                return -1;
        }
        name_client(m);
        m->intake.publish = publish;
        m->intake.publish_ctx = m;
        m->filters = mem_alloc((m->intake.n_subs + 1) * sizeof(*m->filters));
        for (size_t i = 0; i < m->intake.n_subs; i++)
                m->filters[i] = m->intake.subs[i].pattern.filter;
        mqtt_hold_init(&m->hold, c->ack_delay_us, batch);
        m->sync = (struct driver_sync){.d = d, .on_durable = on_durable};
        m->watch = (struct rt_watch){.fd = -1, .on_event = on_ready};
        m->hold_timer.on_due = on_hold_over;
        m->nap_timer.on_due = on_nap_over;
        m->tick_timer.on_due = on_tick;
        m->limit_timer.on_due = on_limit;
        d->priv = m;
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
