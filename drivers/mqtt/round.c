/*
 * round: when to read, when to commit, when to acknowledge.
 *
 * One round: read until the socket is dry or the batch is full; hold a little
 * for more (mqtt_ack_delay); collect the acknowledgements and ask the host to make
 * what was read durable; when it is, release them.  Meanwhile the next round
 * reads: what comes is judged by the alarm rules at once, however long the disk
 * takes, and its acknowledgements wait in the library's queue.  One commit is
 * under way at a time, and the next is not asked for before the last byte of
 * the acknowledgements is out, so what waits is bounded by two batches.
 *
 * A broker writes message by message, and each would wake us.  Where many come,
 * the socket is left alone for a moment after it was read dry, unless the
 * broker waits for our acknowledgements: at 5,000 messages a second they cost a
 * fifth less CPU.
 *
 * A message the host has no room for is set aside, with those that came with
 * it, and nothing is read or collected until they are taken: their
 * acknowledgements stand in the library's queue already, among those of
 * messages that may be written.
 *
 * Fails: a lost link is given up (mqtt_lose), what was read and not
 * acknowledged comes again on the next one.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/mqtt/impl.h"

enum {
        READS_PER_TURN = 256, /* then others have the loop */
        BATCH_ROWS = 4000,
        BATCH_BYTES = 1 << 20,
        ACK_DELAY_MAX_US = 5000000,
        NAP_MAX_US = 2000,
        BUSY_PER_S = 1000, /* messages, from where on napping pays */
};

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
                mqtt_lose(m, mqtt_link_why(m->link));
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
        if (m->holding || m->uncommitted || !mqtt_deferred_empty(&m->deferred) || m->acking ||
            !mqtt_link_wants_write(m->link))
                return true;
        return is_there(m, mqtt_link_collect(m->link, &m->position)) && release(m);
}

/* The last acknowledgement that may be written is. */
static void leave(struct mqtt *m)
{
        if (mqtt_deferred_empty(&m->deferred)) {
                mqtt_link_goodbye(m->link);
                mqtt_link_write(m->link);
        }
        mqtt_go_away(m, "paused for longer than the keepalive allows: disconnecting");
}

/* ---- one round ---- */

static bool commit(struct mqtt *m)
{
        if (mqtt_deferred_empty(&m->deferred) && !is_there(m, mqtt_link_collect(m->link, &m->position)))
                return false;
        m->committing = m->holding = true;
        m->uncommitted = 0;
        m->intake.n_rows = m->intake.n_bytes = 0;
        mqtt_ack_delay_commit(&m->ack_delay);
        rt_timer_cancel(m->d->rt, &m->hold_timer);
        m->d->host->sync(m->d, &m->sync);
        return true;
}

/*
 * Never so long that the broker gives the client up, whose PINGREQ waits behind
 * the acknowledgements.
 */
int64_t mqtt_ack_delay_us(const struct mqtt *m)
{
        int64_t most_us = mqtt_conf_of(m)->keepalive_us / 8;
        double us = (double)mqtt_conf_of(m)->ack_delay_us * (m->d->ack_stretch > 1 ? m->d->ack_stretch : 1);

        most_us = most_us < ACK_DELAY_MAX_US ? most_us : ACK_DELAY_MAX_US;
        return us < (double)most_us ? (int64_t)us : most_us;
}

/*
 * The link may be another one than the commit was asked for on; its position is
 * 0 then.
 */
static void on_durable(struct driver *d)
{
        struct mqtt *m = d->priv;

        m->committing = m->holding = false;
        if (m->phase == MQTT_UP || m->phase == MQTT_LEAVING) {
                mqtt_ack_delay_done(&m->ack_delay, rt_mono_us(d->rt), mqtt_link_has_more(m->link));
                m->ack_delay.delay_us = mqtt_ack_delay_us(m);
                if (release(m))
                        mqtt_turn(m);
        }
        mqtt_finish_stop(m);
}

static bool batch_full(const struct mqtt *m)
{
        return m->ack_delay.pending >= m->ack_delay.batch || m->intake.n_rows >= BATCH_ROWS ||
               m->intake.n_bytes >= BATCH_BYTES;
}

static bool may_read(const struct mqtt *m)
{
        if (m->phase == MQTT_ACCEPTING)
                return true;
        return m->phase == MQTT_UP && !m->paused && mqtt_deferred_empty(&m->deferred) && !batch_full(m);
}

static void on_no_room(struct mqtt *m)
{
        char why[160];

        snprintf(why, sizeof(why),
                 "no room, and too many messages wait for it: connection given up, %u will be sent again",
                 m->ack_delay.pending + m->ack_delay.under_way);
        m->d->n_errors++;
        if (m->paused || m->stopping)
                mqtt_go_away(m, why);
        else
                mqtt_lose(m, why);
}

/*
 * 0: there may be more; MQTT_LINK_E_DRY; or MQTT_LINK_E_LOST: the link is gone.
 */
static int read_some(struct mqtt *m)
{
        int r = 0;

        for (int i = 0; i < READS_PER_TURN && r == 0 && may_read(m); i++)
                r = mqtt_link_read(m->link);
        if (r == MQTT_LINK_E_LOST)
                mqtt_lose(m, mqtt_link_why(m->link));
        if (r != MQTT_LINK_E_LOST && m->no_room) {
                on_no_room(m);
                r = MQTT_LINK_E_LOST;
        }
        return r;
}

/*
 * Reading has paused for now: is it time to commit, or when? False when the
 * link is gone.
 */
static bool hold_or_commit(struct mqtt *m, bool dry)
{
        int64_t wait_us;
        bool over = m->paused || m->phase == MQTT_LEAVING || m->intake.n_rows >= BATCH_ROWS ||
                    m->intake.n_bytes >= BATCH_BYTES;

        if (m->committing || m->acking)
                return true;
        if ((mqtt_ack_delay_due(&m->ack_delay, rt_mono_us(m->d->rt), dry, &wait_us) || over ||
             !mqtt_deferred_empty(&m->deferred)) &&
            m->uncommitted)
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
                mqtt_ack_delay_add(&m->ack_delay, rt_mono_us(m->d->rt));
                m->uncommitted++;
        }
        return true;
}

static void take_deferred(struct mqtt *m)
{
        while (!mqtt_deferred_empty(&m->deferred) && !m->paused && !m->committing) {
                if (!take(m, mqtt_deferred_first(&m->deferred)))
                        return;
                mqtt_deferred_drop_first(&m->deferred);
        }
}

/*
 * Is the socket to be left alone for now?  Read dry, to let more gather in it;
 * not read dry, because what is left may lie in the TLS library's memory, of
 * which no watch tells.
 */
static bool nap(struct mqtt *m, bool dry)
{
        int64_t us = m->ack_delay.delay_us / 10 < NAP_MAX_US ? m->ack_delay.delay_us / 10 : NAP_MAX_US;

        if (dry && (!m->busy || m->ack_delay.window || us == 0))
                return false;
        rt_timer_set(m->d->rt, &m->nap_timer, dry ? us : 0);
        return true;
}

void mqtt_turn(struct mqtt *m)
{
        int r;

        take_deferred(m);
        r = read_some(m);
        if (r == MQTT_LINK_E_LOST)
                return;
        if (m->phase == MQTT_ACCEPTING) {
                if (!mqtt_link_wants_write(m->link) || is_there(m, mqtt_link_write(m->link)))
                        watch_for(m, RT_READ);
                return;
        }
        if (!hold_or_commit(m, r == MQTT_LINK_E_DRY) || !write_out(m))
                return;
        if (m->phase == MQTT_LEAVING && !m->acking && !m->committing)
                leave(m);
        else
                watch_for(m, (m->acking ? RT_WRITE : 0) | (may_read(m) && !nap(m, r == MQTT_LINK_E_DRY) ? RT_READ : 0));
}

static void on_ready(struct rt_watch *w, unsigned events)
{
        struct mqtt *m = list_entry(w, struct mqtt, watch);

        if (m->acking && !release(m))
                return;
        mqtt_turn(m);
}

static void on_hold_over(struct rt_timer *t)
{
        mqtt_turn(list_entry(t, struct mqtt, hold_timer));
}

static void on_nap_over(struct rt_timer *t)
{
        mqtt_turn(list_entry(t, struct mqtt, nap_timer));
}

static void on_tick(struct rt_timer *t)
{
        struct mqtt *m = list_entry(t, struct mqtt, tick_timer);

        rt_timer_set(m->d->rt, t, MQTT_TICK_US);
        m->busy = m->n_taken >= BUSY_PER_S;
        m->n_taken = 0;
        if (!may_read(m) && !(m->phase == MQTT_UP && m->acking && !m->paused))
                return;
        if (mqtt_link_tick(m->link) == MQTT_LINK_E_LOST)
                mqtt_lose(m, mqtt_link_why(m->link));
        else
                mqtt_turn(m);
}

void mqtt_on_message(void *ctx, const struct mqtt_message *msg)
{
        struct mqtt *m = ctx;
        bool looking = mqtt_redelivery_looking(m->intake.redelivery);

        if ((!mqtt_deferred_empty(&m->deferred) || !take(m, msg)) && !mqtt_deferred_add(&m->deferred, msg))
                m->no_room = true;
        if (looking && !mqtt_redelivery_looking(m->intake.redelivery))
                mqtt_link_watch_dup(m->link, false);
}

void mqtt_round_init(struct mqtt *m)
{
        m->sync = (struct driver_sync){.d = m->d, .on_durable = on_durable};
        m->watch = (struct rt_watch){.fd = -1, .on_event = on_ready};
        m->hold_timer.on_due = on_hold_over;
        m->nap_timer.on_due = on_nap_over;
        m->tick_timer.on_due = on_tick;
}
