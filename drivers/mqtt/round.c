/*
 * round: carries out what is to be done (when, and why: step.c), and tells the
 * machine what happened.
 *
 * One timer and one watch are the machine's whole view of the world outside;
 * whatever wakes us, its turn begins with a look at the socket.
 *
 * Fails: a lost link is told to the machine, and by it to the host, which
 * starts us again after a pause; nothing else ever stops the driver.  The host
 * takes a link that was up for a sound one, and its pauses begin anew; so a
 * broker that takes us and then breaks the protocol is held off here.
 */
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "drivers/mqtt/impl.h"

enum {
        BATCH_MESSAGES = 2000,
        ACK_DELAY_LEAST_US = 20000,
        ACK_DELAY_MAX_US = 5000000,
        HOLD_S = 2,
        SOON_US = 10000000,
        HOLD_MAX_S = 256,
        AGAIN_US = 10000000,
        AGAIN_MAX_US = 300000000
};

/*
 * For how long acknowledgements are held now: never so long that the broker
 * gives the client up, whose PINGREQ waits behind them.  Once enough wait for a
 * commit a twentieth of that, at least 20 ms: it is what fills commits at high
 * rates.
 */
static struct mqtt_ack_pace ack_pace(const struct mqtt *m, int64_t keepalive_us)
{
        int64_t max_us = keepalive_us / 8, least_us;
        double us = (double)mqtt_conf_of(m)->ack_delay_us * (m->d->ack_slowdown > 1 ? m->d->ack_slowdown : 1);

        max_us = max_us < ACK_DELAY_MAX_US ? max_us : ACK_DELAY_MAX_US;
        us = us < (double)max_us ? us : (double)max_us;
        least_us = us / 20 > ACK_DELAY_LEAST_US ? (int64_t)us / 20 : ACK_DELAY_LEAST_US;
        return (struct mqtt_ack_pace){least_us < (int64_t)us ? least_us : (int64_t)us, (int64_t)us};
}

/* ---- messages ---- */

/* False: the host has no room. */
static bool take(struct mqtt *m, const struct mqtt_message *msg)
{
        struct mqtt_intake *in = &m->intake;

        if (mqtt_intake_take(in, msg) == DRIVER_E_WAIT)
                return false;
        if (in->lacks_ids)
                mqtt_session_lacks_ids(&m->session, m->link);
        in->lacks_ids = false;
        mqtt_session_came(&m->session);
        if (in->is_stray)
                mqtt_session_stray(&m->session, m->link, msg->topic, in->taken_us);
        in->is_stray = false;
        mqtt_machine_took(&m->machine, in->taken_us, msg->mid != 0, in->n_rows, in->n_bytes);
        in->n_rows = in->n_bytes = 0;
        return true;
}

static void on_message(void *ctx, const struct mqtt_message *msg)
{
        struct mqtt *m = ctx;

        if (mqtt_deferred_empty(&m->deferred) && take(m, msg))
                return;
        if (mqtt_deferred_add(&m->deferred, msg))
                mqtt_machine_deferred(&m->machine);
        else
                mqtt_machine_overflow(&m->machine);
}

static void take_deferred(struct mqtt *m)
{
        while (!mqtt_deferred_empty(&m->deferred) && !m->machine.paused) {
                if (!take(m, mqtt_deferred_first(&m->deferred))) {
                        BUG_ON(!m->machine.paused); /* whom the host refuses, it pauses */
                        break;
                }
                mqtt_deferred_drop_first(&m->deferred);
                mqtt_machine_undeferred(&m->machine);
        }
}

/* ---- the link ---- */

static void on_opened(void *ctx, const char *why_not)
{
        struct mqtt *m = ctx;

        if (why_not)
                mqtt_machine_lost(&m->machine);
        else
                mqtt_machine_opened(&m->machine, rt_mono_us(m->d->rt));
        mqtt_round_run(m);
}

/* What comes while we are away for longer is lost, and no book has it. */
static void say_session(struct mqtt *m, uint32_t s)
{
        uint32_t asked_s = (uint32_t)(mqtt_conf_of(m)->session_expiry_us / 1000000);

        if (s < asked_s && !m->told_session)
                log_warn(m->scope,
                         "the broker keeps our session for %u s, and not for %u s (session_expiry): what comes while "
                         "we are away for longer is lost",
                         s, asked_s);
        m->told_session = s < asked_s;
}

static void on_accepted(void *ctx, bool session_present)
{
        struct mqtt *m = ctx;

        if (m->machine.state != MQTT_ACCEPTING)
                return; /* the broker says it twice */
        m->up_us = rt_mono_us(m->d->rt);
        m->machine.keepalive_us = (int64_t)mqtt_link_limits(m->link)->keepalive_s * 1000000;
        say_session(m, mqtt_link_limits(m->link)->session_s);
        mqtt_machine_accepted(&m->machine, m->up_us);
        mqtt_redelivery_begin(m->intake.redelivery, session_present);
        mqtt_session_accepted(&m->session, m->link, session_present);
        m->d->host->link_up(m->d);
}

static void on_broken(void *ctx)
{
        struct mqtt *m = ctx;

        m->broke = true;
}

static void on_subscribed(void *ctx, int mid, int n, const int *granted)
{
        struct mqtt *m = ctx;

        if (!mqtt_session_granted(&m->session, m->link, mid, n, granted) || rt_timer_armed(&m->again))
                return;
        rt_timer_set(m->d->rt, &m->again, m->again_us);
        m->again_us = 2 * m->again_us < AGAIN_MAX_US ? 2 * m->again_us : AGAIN_MAX_US;
}

static void on_unsubscribed(void *ctx, int mid)
{
        struct mqtt *m = ctx;

        mqtt_session_unsubscribed(&m->session, mid);
}

static void on_again(struct rt_timer *t)
{
        struct mqtt *m = list_entry(t, struct mqtt, again);

        if (m->machine.state != MQTT_UP)
                return;
        mqtt_session_ask_again(&m->session, m->link);
        mqtt_round_run(m);
}

static void open_link(struct mqtt *m)
{
        const struct mqtt_conf *c = m->d->conf;
        struct mqtt_link_conf lc = mqtt_link_conf_of(c, &m->url, m->client_id);
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .on_unsubscribed = on_unsubscribed,
                                       .on_broken = on_broken,
                                       .ctx = m};

        m->broke = false;
        m->again_us = AGAIN_US;
        lc.holds = true;
        lc.keepalive_s = (int)(c->keepalive_us / 1000000);
        lc.session_expiry_s = (uint32_t)(c->session_expiry_us / 1000000);
        lc.receive_maximum = (uint16_t)c->receive_maximum;
        m->link = mqtt_link_open(m->d->rt, &lc, &up);
}

void mqtt_round_fini(struct mqtt *m)
{
        rt_watch_set(m->d->rt, &m->watch, 0);
        rt_timer_cancel(m->d->rt, &m->timer);
        rt_timer_cancel(m->d->rt, &m->hold);
        rt_timer_cancel(m->d->rt, &m->again);
        if (m->link)
                mqtt_link_close(m->link);
        m->link = NULL;
        if (!mqtt_deferred_empty(&m->deferred))
                mqtt_intake_give_up(&m->intake);
        while (!mqtt_deferred_empty(&m->deferred))
                mqtt_deferred_drop_first(&m->deferred);
}

static void say_why(const struct mqtt *m, const struct mqtt_next *next, char *out, size_t size)
{
        static const char *const words[] = {
                [MQTT_END_NO_ANSWER] =
                        "the broker does not answer the CONNECT ; does it speak MQTT 3.1.1 only (protocol: 3.1.1)?",
                [MQTT_END_PAUSE] = "paused for longer than the keepalive allows: disconnecting",
                [MQTT_END_PAUSE_DISK] = "paused for longer than the keepalive allows, and the disk does not answer: "
                                        "closing",
                [MQTT_END_PAUSE_FULL] = "paused for longer than the keepalive allows, and the broker does not take its "
                                        "acknowledgements: closing",
                [MQTT_END_STOP] = "stopping",
        };

        if (next->why == MQTT_END_LOST && m->n_short >= 2)
                snprintf(out, size, "%s, again soon after it accepted us; has another client our client id '%.64s'?",
                         mqtt_link_why(m->link), m->client_id);
        else if (next->why == MQTT_END_LOST)
                snprintf(out, size, "%s", mqtt_link_why(m->link));
        else if (next->why == MQTT_END_OVERFLOW)
                snprintf(out, size,
                         "no room, and too many messages wait for it: connection given up, %u will be sent again",
                         next->n_lost);
        else
                snprintf(out, size, "%s", words[next->why]);
}

/* Not each broker says goodbye to whose client id another one has taken. */
static void count_short(struct mqtt *m, const struct mqtt_next *next)
{
        if (!m->up_us)
                return;
        if (next->why == MQTT_END_LOST && rt_mono_us(m->d->rt) - m->up_us < SOON_US)
                m->n_short++;
        else
                m->n_short = 0;
        m->up_us = 0;
}

/* Of the link that ends; one that nobody accepted tells nothing. */
static void judge(struct mqtt *m, bool accepted)
{
        int64_t s = HOLD_S;

        if (m->broke)
                m->n_broken++;
        else if (accepted)
                m->n_broken = 0;
        if (!m->broke || m->n_broken < 2)
                return;
        for (unsigned i = 2; i < m->n_broken && s < HOLD_MAX_S; i++)
                s *= 2;
        m->hold_us = s * 1000000;
        log_warn(m->scope, "the broker has broken the protocol %u times in a row: left alone for %lld s", m->n_broken,
                 (long long)s);
}

static void close_link(struct mqtt *m, const struct mqtt_next *next)
{
        char why[sizeof(((struct err *)0)->text)];

        count_short(m, next);
        say_why(m, next, why, sizeof(why));
        if (next->why == MQTT_END_OVERFLOW)
                m->d->n_errors++;
        if (next->goodbye) {
                mqtt_link_goodbye(m->link);
                mqtt_link_write(m->link);
        }
        m->d->commits_window = 0;
        judge(m, !next->in_doubt);
        mqtt_round_fini(m);
        if (next->in_doubt)
                mqtt_session_doubt(&m->session);
        if (next->down)
                m->d->host->link_down(m->d, why);
        else if (m->machine.state == MQTT_AWAY)
                log_notice(m->scope, "%s; the broker holds what comes until then", why);
}

/* ---- what the machine says ---- */

static void note_lost(struct mqtt *m, int r)
{
        if (r == MQTT_LINK_E_LOST)
                mqtt_machine_lost(&m->machine);
}

static void read_link(struct mqtt *m)
{
        int r = 0;

        for (int i = 0; i < MQTT_READS && r == 0 && mqtt_machine_may_read(&m->machine); i++)
                r = mqtt_link_read(m->link);
        note_lost(m, r);
        mqtt_machine_read(&m->machine, r == MQTT_LINK_E_DRY);
}

static void release(struct mqtt *m)
{
        int r = mqtt_link_release(m->link, m->position);

        if (r == MQTT_LINK_E_LOST)
                mqtt_machine_lost(&m->machine);
        else
                mqtt_machine_released(&m->machine, r == MQTT_LINK_E_DRY);
}

static void wait(struct mqtt *m, const struct mqtt_next *next)
{
        struct rt *rt = m->d->rt;

        if (m->link && m->machine.state != MQTT_OPENING) {
                m->watch.fd = mqtt_link_fd(m->link);
                rt_watch_set(rt, &m->watch, (next->read ? RT_READ : 0) | (next->write ? RT_WRITE : 0));
        }
        if (next->until_us == INT64_MAX)
                rt_timer_cancel(rt, &m->timer);
        else if (!rt_timer_armed(&m->timer) || m->timer.due_us != next->until_us)
                rt_timer_set(rt, &m->timer, next->until_us - rt_mono_us(rt));
}

static void carry_out(struct mqtt *m, enum mqtt_action a, const struct mqtt_next *next)
{
        switch (a) {
        case MQTT_OPEN:
                open_link(m);
                break;
        case MQTT_WRITE:
                note_lost(m, mqtt_link_write(m->link));
                break;
        case MQTT_READ:
                read_link(m);
                break;
        case MQTT_TAKE:
                take_deferred(m);
                break;
        case MQTT_COLLECT:
                note_lost(m, mqtt_link_collect(m->link, &m->position));
                break;
        case MQTT_SYNC:
                m->d->host->sync(m->d, &m->sync);
                break;
        case MQTT_RELEASE:
                release(m);
                break;
        case MQTT_TICK:
                mqtt_session_tick(&m->session);
                m->d->commits_window = m->machine.window;
                note_lost(m, mqtt_link_tick(m->link));
                break;
        case MQTT_CLOSE:
                close_link(m, next);
                break;
        case MQTT_WAIT:
        case MQTT_TELL:
                break;
        }
}

static bool wants_write(const struct mqtt *m)
{
        return m->link && m->machine.state != MQTT_OPENING && m->machine.end == MQTT_END_NONE &&
               mqtt_link_wants_write(m->link);
}

void mqtt_round_run(struct mqtt *m)
{
        struct mqtt_next next;
        enum mqtt_action a;

        if (m->running)
                return;
        m->running = true;
        m->machine.pace = ack_pace(m, m->machine.keepalive_us);
        mqtt_machine_turn(&m->machine);
        do {
                a = mqtt_step(&m->machine, rt_mono_us(m->d->rt), wants_write(m), &next);
                carry_out(m, a, &next);
        } while (a != MQTT_WAIT && a != MQTT_TELL);
        m->running = false;
        if (a == MQTT_WAIT)
                wait(m, &next);
        else
                m->d->host->stopped(m->d);
}

void mqtt_round_start(struct mqtt *m)
{
        if (m->hold_us) {
                rt_timer_set(m->d->rt, &m->hold, m->hold_us);
                m->hold_us = 0;
                return;
        }
        mqtt_machine_start(&m->machine);
        mqtt_round_run(m);
}

static void on_hold_over(struct rt_timer *t)
{
        mqtt_round_start(list_entry(t, struct mqtt, hold));
}

void mqtt_round_run_soon(struct mqtt *m)
{
        if (!m->running)
                rt_timer_set(m->d->rt, &m->timer, 0);
}

static void on_durable(struct driver *d)
{
        struct mqtt *m = d->priv;
        bool more = m->machine.commit == MQTT_COMMIT_OURS && mqtt_link_has_more(m->link);

        m->machine.pace = ack_pace(m, m->machine.keepalive_us);
        mqtt_machine_durable(&m->machine, rt_mono_us(d->rt), more);
        mqtt_round_run(m);
}

static void on_ready(struct rt_watch *w, unsigned events)
{
        mqtt_round_run(list_entry(w, struct mqtt, watch));
}

static void on_timer(struct rt_timer *t)
{
        mqtt_round_run(list_entry(t, struct mqtt, timer));
}

void mqtt_round_init(struct mqtt *m)
{
        const struct mqtt_conf *c = mqtt_conf_of(m);
        uint32_t batch = c->protocol == MQTT_V5 && c->receive_maximum < BATCH_MESSAGES ? (uint32_t)c->receive_maximum
                                                                                       : BATCH_MESSAGES;

        struct mqtt_ack_pace pace = ack_pace(m, c->keepalive_us);

        mqtt_machine_init(&m->machine, c->keepalive_us, &pace, batch);
        mqtt_deferred_init(&m->deferred);
        m->sync = (struct driver_sync){.d = m->d, .on_durable = on_durable};
        m->watch = (struct rt_watch){.fd = -1, .on_event = on_ready};
        m->timer.on_due = on_timer;
        m->hold.on_due = on_hold_over;
        m->again.on_due = on_again;
}
