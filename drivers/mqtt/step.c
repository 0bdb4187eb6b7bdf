/*
 * step: see step.h.
 *
 * One round: read until the socket is dry or the batch is full; wait a little
 * for more (ack_delay); collect the acknowledgements and ask the host to make
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
 * A message the host has no room for is deferred, with those that came with it,
 * and nothing is read or collected until they are taken: their acknowledgements
 * stand in the library's queue already, behind those of messages that may be
 * committed meanwhile.  These are stuck there, and are collected before
 * anything more is read: else each refusal would leave another batch behind.
 *
 * Pause = stop reading.  The broker's PINGRESP would wait behind its messages,
 * so before the keepalive can break we take our leave, and the persistent
 * session at the broker holds what comes.  With a message deferred the link is
 * closed with the queue unwritten, and the broker sends all of it again; what
 * the spool has by then is recognised (redelivery).
 *
 * Cannot fail: a link that is lost is closed, and comes again.
 */
#include "drivers/mqtt/step.h"

#include "agent/base/err.h"

enum {
        NAP_MAX_US = 4000,
        BUSY_PER_S = 1000, /* messages, from where on napping pays */
        EARLY_PER_S = 2,   /* commits that need not be */
};

static int64_t earlier(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* ---- the end of a link ---- */

static enum mqtt_state after(const struct mqtt_machine *m)
{
        if (m->state == MQTT_ENDING || m->end == MQTT_END_STOP)
                return MQTT_ENDED;
        if (m->end == MQTT_END_LOST || m->end == MQTT_END_NO_ANSWER)
                return MQTT_DOWN;
        return m->end == MQTT_END_OVERFLOW && !m->paused ? MQTT_DOWN : MQTT_AWAY;
}

static enum mqtt_action close_link(struct mqtt_machine *m, struct mqtt_next *out)
{
        out->why = m->end;
        out->n_lost = m->delay.pending + m->delay.under_way + m->n_deferred;
        out->in_doubt = m->state == MQTT_ACCEPTING;
        mqtt_machine_move(m, after(m));
        out->down = m->state == MQTT_DOWN;
        m->end = MQTT_END_NONE;
        m->acks = MQTT_ACKS_FREE;
        m->busy = false;
        m->n_second = m->n_early = m->n_deferred = 0;
        m->window = 0;
        m->ack_us = INT64_MAX;
        if (m->commit == MQTT_COMMIT_OURS)
                m->commit = MQTT_COMMIT_FORMER;
        mqtt_ack_delay_init(&m->delay, &m->pace, m->delay.batch);
        return MQTT_CLOSE;
}

static bool disk_is_asked(const struct mqtt_machine *m)
{
        return m->commit != MQTT_COMMIT_NONE;
}

static void on_limit(struct mqtt_machine *m, int64_t now_us)
{
        enum mqtt_end late = disk_is_asked(m) ? MQTT_END_PAUSE_DISK : MQTT_END_PAUSE_FULL;

        m->limit_us = INT64_MAX;
        if (m->state == MQTT_ENDING) {
                mqtt_machine_give_up(m, MQTT_END_STOP);
        } else if (m->state == MQTT_ACCEPTING) {
                mqtt_machine_give_up(m, MQTT_END_NO_ANSWER);
        } else if (m->state == MQTT_LEAVING || m->commit == MQTT_COMMIT_OURS) {
                mqtt_machine_give_up(m, late);
        } else {
                mqtt_machine_move(m, MQTT_LEAVING);
                m->limit_us = now_us + MQTT_LEAVE_LIMIT_US;
        }
}

/* ---- one round ---- */

/* What is pending is not waited with any longer. */
static bool is_over(const struct mqtt_machine *m)
{
        return m->paused || m->state != MQTT_UP || mqtt_machine_batch_full(m) || m->n_deferred ||
               m->acks == MQTT_ACKS_STUCK;
}

static enum mqtt_action sync(struct mqtt_machine *m)
{
        BUG_ON(m->commit != MQTT_COMMIT_NONE);
        m->commit = MQTT_COMMIT_OURS;
        m->n_rows = m->n_bytes = 0;
        m->n_early += m->delay.early;
        m->ack_us = INT64_MAX;
        mqtt_ack_delay_commit(&m->delay);
        return MQTT_SYNC;
}

/* Reading has paused for now: is it time to commit, or when? */
static enum mqtt_action commit(struct mqtt_machine *m, int64_t now_us)
{
        bool dry = m->reading == MQTT_READ_DRY, due;
        int64_t wait_us;

        if (m->commit != MQTT_COMMIT_NONE || m->acks == MQTT_ACKS_FULL)
                return MQTT_WAIT;
        due = mqtt_ack_delay_due(&m->delay, now_us, dry, &wait_us) ||
              (m->joins && mqtt_ack_delay_join(&m->delay, now_us, dry));
        m->ack_us = wait_us < 0 ? INT64_MAX : now_us + wait_us;
        if (m->delay.pending && (due || is_over(m))) {
                m->acks = m->n_deferred ? MQTT_ACKS_STUCK : MQTT_ACKS_HELD;
                return m->n_deferred ? sync(m) : MQTT_COLLECT;
        }
        if (is_over(m))
                m->n_rows = m->n_bytes = 0; /* QoS 0 only: nobody waits for these */
        return MQTT_WAIT;
}

/* Nothing has been taken that is not on disk: all that waits may go. */
static enum mqtt_action flush(struct mqtt_machine *m, bool wants_write)
{
        bool open = m->acks == MQTT_ACKS_FREE || m->acks == MQTT_ACKS_STUCK;

        if (!open || m->commit == MQTT_COMMIT_OURS || m->delay.pending || m->n_deferred)
                return MQTT_WAIT;
        m->acks = wants_write ? MQTT_ACKS_GOING : MQTT_ACKS_FREE;
        return wants_write ? MQTT_COLLECT : MQTT_WAIT;
}

static bool tick_is_due(struct mqtt_machine *m, int64_t now_us)
{
        if (m->state != MQTT_UP || now_us < m->tick_us)
                return false;
        m->tick_us = now_us + MQTT_TICK_US;
        m->busy = m->n_second >= BUSY_PER_S;
        if (m->n_early >= EARLY_PER_S)
                m->window = m->delay.window;
        else if (m->n_early == 0)
                m->window = 0;
        m->n_second = m->n_early = 0;
        return mqtt_machine_may_read(m) || (m->acks == MQTT_ACKS_FULL && !m->paused);
}

/* The last acknowledgement that may be written is. */
static bool has_said_all(const struct mqtt_machine *m)
{
        return m->state != MQTT_UP && m->commit != MQTT_COMMIT_OURS && !m->delay.pending &&
               (m->acks == MQTT_ACKS_FREE || m->acks == MQTT_ACKS_STUCK);
}

/*
 * For how long the socket is to be left alone after it was read dry, to let
 * more gather in it; 0: not.
 */
static int64_t nap_us(const struct mqtt_machine *m)
{
        return m->busy && !m->delay.window ? earlier(m->delay.pace.least_us / 10, NAP_MAX_US) : 0;
}

/*
 * What is not read dry may lie in the TLS library's memory, of which no watch
 * tells.
 */
static enum mqtt_action wait(const struct mqtt_machine *m, int64_t now_us, struct mqtt_next *out)
{
        int64_t us = nap_us(m);

        BUG_ON(m->acks == MQTT_ACKS_GOING);
        BUG_ON(m->acks == MQTT_ACKS_HELD && m->commit != MQTT_COMMIT_OURS);
        BUG_ON(m->commit == MQTT_COMMIT_OURS && m->acks != MQTT_ACKS_HELD && m->acks != MQTT_ACKS_STUCK);
        out->until_us = earlier(m->limit_us, m->ack_us);
        if (m->state == MQTT_UP)
                out->until_us = earlier(out->until_us, m->tick_us);
        if (mqtt_machine_may_read(m) && m->reading != MQTT_READ_DRY)
                out->until_us = now_us;
        else if (mqtt_machine_may_read(m) && us)
                out->until_us = earlier(out->until_us, now_us + us);
        else
                out->read = mqtt_machine_may_read(m);
        out->write = m->acks == MQTT_ACKS_FULL;
        return MQTT_WAIT;
}

static enum mqtt_action connected(struct mqtt_machine *m, int64_t now_us, bool wants_write, struct mqtt_next *out)
{
        enum mqtt_action a;

        if (m->acks == MQTT_ACKS_HELD && m->commit != MQTT_COMMIT_OURS)
                return sync(m);
        if (m->acks == MQTT_ACKS_GOING)
                return MQTT_RELEASE;
        if (tick_is_due(m, now_us))
                return MQTT_TICK;
        if (m->n_deferred && !m->paused)
                return MQTT_TAKE;
        if (m->reading == MQTT_READING && mqtt_machine_may_read(m))
                return MQTT_READ;
        a = commit(m, now_us);
        if (a == MQTT_WAIT)
                a = flush(m, wants_write);
        if (a != MQTT_WAIT)
                return a;
        if (!has_said_all(m))
                return wait(m, now_us, out);
        mqtt_machine_give_up(m, m->state == MQTT_ENDING ? MQTT_END_STOP : MQTT_END_PAUSE);
        out->goodbye = !m->n_deferred;
        return close_link(m, out);
}

/*
 * Waits for reading only: a TLS handshake that wants to read says it wants to
 * write.
 */
static enum mqtt_action accepting(struct mqtt_machine *m, bool wants_write, struct mqtt_next *out)
{
        if (m->reading == MQTT_READING)
                return MQTT_READ;
        if (wants_write && !m->written) {
                m->written = true;
                return MQTT_WRITE;
        }
        out->until_us = m->limit_us;
        out->read = true;
        return MQTT_WAIT;
}

static enum mqtt_action without_link(struct mqtt_machine *m)
{
        if (m->state == MQTT_AWAY && !m->paused) {
                mqtt_machine_move(m, MQTT_OPENING);
                return MQTT_OPEN;
        }
        if (m->state != MQTT_ENDED || m->commit != MQTT_COMMIT_NONE)
                return MQTT_WAIT;
        mqtt_machine_move(m, MQTT_STOPPED);
        return MQTT_TELL;
}

enum mqtt_action mqtt_step(struct mqtt_machine *m, int64_t now_us, bool wants_write, struct mqtt_next *out)
{
        *out = (struct mqtt_next){.until_us = INT64_MAX};
        if (now_us >= m->limit_us)
                on_limit(m, now_us);
        if (m->end != MQTT_END_NONE)
                return close_link(m, out);
        if (m->state == MQTT_ACCEPTING)
                return accepting(m, wants_write, out);
        if (mqtt_machine_is_connected(m))
                return connected(m, now_us, wants_write, out);
        return without_link(m);
}
