/*
 * alarm: see alarm.h.
 *
 * Two tables: how the condition moves, and how the visibility moves.  The first
 * is read as "in this phase, told this, do that"; the actions are the few lines
 * that touch what the operator has seen.  Acknowledging and resetting are no
 * moves of either part and stand by themselves.
 *
 * A delay of nothing is over at once.  A reading that arrives in the very
 * millisecond in which a delay ends is judged first: the condition must hold
 * through the end of the delay.  An alarm that returns while it is shelved or
 * out of service leaves nothing to acknowledge or to reset: nobody was told.
 */
#include "agent/rules/alarm.h"

enum action {
        NOTHING,
        START_ON,  /* the on-delay begins */
        FINISH_ON, /* if it is over: active */
        GIVE_UP,   /* back to clear without ever having been active */
        START_OFF,
        FINISH_OFF,
        STAND, /* active after all */
        REALARM,
        RETURN_AT_ONCE,
};

static const unsigned char moves[ALARM_PHASES][ALARM_TIMER + 1] = {
        /*                 TRUE       FALSE       UNKNOWN  REPLACED        TIMER */
        [ALARM_CLEAR] = {START_ON, NOTHING, NOTHING, NOTHING, NOTHING},
        [ALARM_RISING] = {FINISH_ON, GIVE_UP, GIVE_UP, GIVE_UP, FINISH_ON},
        [ALARM_ACTIVE] = {REALARM, START_OFF, NOTHING, RETURN_AT_ONCE, REALARM},
        [ALARM_FALLING] = {STAND, FINISH_OFF, STAND, RETURN_AT_ONCE, FINISH_OFF},
};

static const struct {
        unsigned char next, change;
} visibility_moves[ALARM_VISIBILITIES][ALARM_INPUTS - ALARM_SHELVE] = {
        [ALARM_SHOWN] = {[ALARM_SHELVE - ALARM_SHELVE] = {ALARM_SHELVED, ALARM_WAS_SHELVED},
                         [ALARM_REMOVE - ALARM_SHELVE] = {ALARM_OUT_OF_SERVICE, ALARM_WAS_REMOVED}},
        [ALARM_SHELVED] = {[ALARM_SHELVE - ALARM_SHELVE] = {ALARM_SHELVED, ALARM_WAS_SHELVED},
                           [ALARM_UNSHELVE - ALARM_SHELVE] = {ALARM_SHOWN, ALARM_WAS_UNSHELVED},
                           [ALARM_REMOVE - ALARM_SHELVE] = {ALARM_OUT_OF_SERVICE, ALARM_WAS_REMOVED}},
        [ALARM_OUT_OF_SERVICE] = {[ALARM_RESTORE - ALARM_SHELVE] = {ALARM_SHOWN, ALARM_WAS_RESTORED}},
};

static enum alarm_change stand(struct alarm *a, const struct alarm_policy *p, uint32_t now_ms)
{
        a->phase = ALARM_ACTIVE;
        a->due_ms = now_ms + p->realarm_ms;
        return ALARM_SAME;
}

static enum alarm_change activate(struct alarm *a, const struct alarm_policy *p, uint32_t now_ms)
{
        stand(a, p, now_ms);
        a->unacked = p->ack;
        a->latched = p->latching;
        a->seq++;
        return ALARM_ACTIVATED;
}

static enum alarm_change give_back(struct alarm *a)
{
        a->phase = ALARM_CLEAR;
        if (a->visibility != ALARM_SHOWN)
                a->unacked = a->latched = 0;
        return ALARM_RETURNED;
}

static enum alarm_change realarm(struct alarm *a, const struct alarm_policy *p, uint32_t now_ms)
{
        if (!p->realarm_ms || alarm_after(a->due_ms, now_ms))
                return ALARM_SAME;
        stand(a, p, now_ms);
        if (a->visibility != ALARM_SHOWN)
                return ALARM_SAME;
        a->unacked = p->ack;
        return ALARM_REALARMED;
}

static enum alarm_change move(struct alarm *a, const struct alarm_policy *p, enum action action, uint32_t now_ms)
{
        switch (action) {
        case NOTHING:
                return ALARM_SAME;
        case START_ON:
                if (!p->on_delay_ms)
                        return activate(a, p, now_ms);
                a->phase = ALARM_RISING;
                a->due_ms = now_ms + p->on_delay_ms;
                return ALARM_SAME;
        case FINISH_ON:
                return alarm_after(a->due_ms, now_ms) ? ALARM_SAME : activate(a, p, now_ms);
        case GIVE_UP:
                a->phase = ALARM_CLEAR;
                return ALARM_SAME;
        case START_OFF:
                if (!p->off_delay_ms)
                        return give_back(a);
                a->phase = ALARM_FALLING;
                a->due_ms = now_ms + p->off_delay_ms;
                return ALARM_SAME;
        case FINISH_OFF:
                return alarm_after(a->due_ms, now_ms) ? ALARM_SAME : give_back(a);
        case STAND:
                return stand(a, p, now_ms);
        case REALARM:
                return realarm(a, p, now_ms);
        case RETURN_AT_ONCE:
                a->unacked = a->latched = 0;
                return give_back(a);
        }
        return ALARM_SAME;
}

enum alarm_change alarm_step(struct alarm *a, const struct alarm_policy *p, enum alarm_input in, uint32_t now_ms)
{
        enum alarm_change change = ALARM_SAME;

        if (in <= ALARM_TIMER)
                return move(a, p, moves[a->phase][in], now_ms);
        if (in == ALARM_ACK) {
                change = a->unacked ? ALARM_ACKED : ALARM_SAME;
                a->unacked = 0;
        } else if (in == ALARM_RESET) {
                if (!a->latched || alarm_is_active(a))
                        return ALARM_SAME;
                a->latched = 0;
                change = ALARM_LATCH_RESET;
        } else {
                change = visibility_moves[a->visibility][in - ALARM_SHELVE].change;
                if (change)
                        a->visibility = visibility_moves[a->visibility][in - ALARM_SHELVE].next;
        }
        return change;
}

enum alarm_state alarm_state(const struct alarm *a)
{
        if (a->visibility == ALARM_OUT_OF_SERVICE)
                return ALARM_IS_OUT_OF_SERVICE;
        if (a->visibility == ALARM_SHELVED)
                return ALARM_IS_SHELVED;
        if (alarm_is_active(a))
                return a->unacked ? ALARM_IS_UNACK : ALARM_IS_ACKED;
        if (a->latched)
                return ALARM_IS_LATCHED;
        return a->unacked ? ALARM_IS_RTN_UNACK : ALARM_IS_NORMAL;
}

const char *alarm_state_name(enum alarm_state state)
{
        static const char *const names[ALARM_STATES] = {
                "normal", "unack", "acked", "rtn_unack", "latched", "shelved", "out_of_service",
        };

        return names[state];
}

const char *alarm_change_name(enum alarm_change change)
{
        static const char *const names[ALARM_CHANGES] = {
                "same",    "active",    "returned",       "realarmed",  "acked",       "latch_reset",
                "shelved", "unshelved", "out_of_service", "in_service", "not_watched",
        };

        return names[change];
}
