/*
 * machine: see machine.h.
 *
 * The state is the link's and our own life in one, for what may follow what
 * depends on both: the table of moves is what we believe about that, and a move
 * it does not know is our own bug.  Commit and acknowledgements are apart from
 * it, as a commit may outlive the link it was asked for on.
 *
 * Every state that waits for the broker or the disk has a limit, but for the
 * two that are the host's: DOWN, which ends when it starts us, and ENDED, which
 * ends with its commit.
 *
 * Fails: a link that is lost ends in DOWN, what was read on it and not
 * acknowledged comes again on the next one.
 */
#include "drivers/mqtt/machine.h"

#include "agent/base/err.h"

enum { ACCEPT_LIMIT_US = 10000000 /* from the socket to the CONNACK */ };

#define TO(state) (1u << MQTT_##state)

static const unsigned moves[MQTT_N_STATES] = {
        [MQTT_DOWN] = TO(AWAY) | TO(ENDED),
        [MQTT_AWAY] = TO(OPENING) | TO(ENDED),
        [MQTT_OPENING] = TO(ACCEPTING) | TO(DOWN) | TO(ENDED),
        [MQTT_ACCEPTING] = TO(UP) | TO(DOWN) | TO(AWAY) | TO(ENDED),
        [MQTT_UP] = TO(LEAVING) | TO(DOWN) | TO(AWAY) | TO(ENDING),
        [MQTT_LEAVING] = TO(UP) | TO(DOWN) | TO(AWAY) | TO(ENDING),
        [MQTT_ENDING] = TO(ENDED),
        [MQTT_ENDED] = TO(STOPPED),
};

void mqtt_machine_move(struct mqtt_machine *m, enum mqtt_state to)
{
        BUG_ON(!(moves[m->state] & 1u << to));
        m->state = to;
        m->limit_us = INT64_MAX;
}

void mqtt_machine_give_up(struct mqtt_machine *m, enum mqtt_end why)
{
        if (m->end == MQTT_END_NONE)
                m->end = why;
}

void mqtt_machine_init(struct mqtt_machine *m, int64_t keepalive_us, const struct mqtt_ack_pace *pace, uint32_t batch)
{
        *m = (struct mqtt_machine){
                .keepalive_us = keepalive_us, .pace = *pace, .limit_us = INT64_MAX, .ack_us = INT64_MAX};
        mqtt_ack_delay_init(&m->delay, pace, batch);
}

void mqtt_machine_turn(struct mqtt_machine *m)
{
        m->reading = MQTT_READING;
        m->written = false;
        if (m->acks == MQTT_ACKS_FULL)
                m->acks = MQTT_ACKS_GOING;
}

/* ---- what the host wants ---- */

void mqtt_machine_start(struct mqtt_machine *m)
{
        if (m->state == MQTT_DOWN)
                mqtt_machine_move(m, MQTT_AWAY);
}

static void arm_pause_limit(struct mqtt_machine *m, int64_t now_us)
{
        m->limit_us = m->paused ? now_us + m->keepalive_us / 4 * 3 : INT64_MAX;
}

void mqtt_machine_pause(struct mqtt_machine *m, int64_t now_us, bool on)
{
        if (m->paused == on)
                return;
        m->paused = on;
        if (m->state == MQTT_LEAVING)
                mqtt_machine_move(m, MQTT_UP);
        if (m->state == MQTT_UP)
                arm_pause_limit(m, now_us);
}

void mqtt_machine_stop(struct mqtt_machine *m, int64_t now_us)
{
        if (m->state == MQTT_DOWN || m->state == MQTT_AWAY) {
                mqtt_machine_move(m, MQTT_ENDED);
        } else if (m->state == MQTT_OPENING || m->state == MQTT_ACCEPTING) {
                m->end = MQTT_END_STOP;
        } else if (m->state < MQTT_ENDING) {
                mqtt_machine_move(m, MQTT_ENDING);
                m->limit_us = now_us + MQTT_LEAVE_LIMIT_US;
        }
}

void mqtt_machine_durable(struct mqtt_machine *m, int64_t now_us, bool more)
{
        BUG_ON(m->commit == MQTT_COMMIT_NONE);
        if (m->commit == MQTT_COMMIT_OURS) {
                BUG_ON(m->acks != MQTT_ACKS_HELD && m->acks != MQTT_ACKS_STUCK);
                mqtt_ack_delay_done(&m->delay, now_us, more);
                if (m->acks == MQTT_ACKS_HELD)
                        m->acks = MQTT_ACKS_GOING;
        }
        m->delay.pace = m->pace;
        m->commit = MQTT_COMMIT_NONE;
}

/* ---- what the link did ---- */

void mqtt_machine_opened(struct mqtt_machine *m, int64_t now_us)
{
        mqtt_machine_move(m, MQTT_ACCEPTING);
        m->limit_us = now_us + ACCEPT_LIMIT_US;
}

void mqtt_machine_accepted(struct mqtt_machine *m, int64_t now_us)
{
        mqtt_machine_move(m, MQTT_UP);
        m->tick_us = now_us + MQTT_TICK_US;
        arm_pause_limit(m, now_us);
}

void mqtt_machine_lost(struct mqtt_machine *m)
{
        BUG_ON(!mqtt_machine_has_link(m));
        mqtt_machine_give_up(m, MQTT_END_LOST);
}

bool mqtt_machine_may_read(const struct mqtt_machine *m)
{
        if (m->end != MQTT_END_NONE)
                return false;
        if (m->state == MQTT_ACCEPTING)
                return true;
        return m->state == MQTT_UP && !m->paused && !m->n_deferred && m->acks != MQTT_ACKS_STUCK &&
               m->delay.pending < m->delay.batch && !mqtt_machine_batch_full(m);
}

void mqtt_machine_read(struct mqtt_machine *m, bool dry)
{
        BUG_ON(m->reading != MQTT_READING);
        m->reading = dry ? MQTT_READ_DRY : MQTT_READ_ENOUGH;
}

void mqtt_machine_released(struct mqtt_machine *m, bool full)
{
        BUG_ON(m->acks != MQTT_ACKS_GOING);
        m->acks = full ? MQTT_ACKS_FULL : MQTT_ACKS_FREE;
}

/* ---- what became of a message ---- */

void mqtt_machine_took(struct mqtt_machine *m, int64_t now_us, bool wants_ack, uint64_t n_rows, uint64_t n_bytes)
{
        m->n_second++;
        m->n_rows += n_rows;
        m->n_bytes += n_bytes;
        if (wants_ack)
                mqtt_ack_delay_add(&m->delay, now_us);
}

void mqtt_machine_deferred(struct mqtt_machine *m)
{
        m->n_deferred++;
}

void mqtt_machine_undeferred(struct mqtt_machine *m)
{
        BUG_ON(!m->n_deferred);
        m->n_deferred--;
}

void mqtt_machine_overflow(struct mqtt_machine *m)
{
        mqtt_machine_give_up(m, MQTT_END_OVERFLOW);
}
