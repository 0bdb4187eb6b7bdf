/*
 * alarm: the life of one alarm (ISA-18.2) as data and a pure step.
 *
 * Three independent parts: the condition (clear, rising while the on-delay
 * runs, active, falling while the off-delay runs), what the operator has seen
 * (unacked, latched), and visibility (shown, shelved, out of service).  What a
 * screen shows is derived.  Zeroed memory is a normal alarm.
 *
 * Times are monotonic milliseconds as 32 bits that wrap after 49 days; all
 * delays are shorter than 24 days, so that alarm_after() is right across the
 * wrap.  An alarm has one timer: on-delay, off-delay or re-alarm, never two at
 * once.
 */
#ifndef MILLRACE_RULES_ALARM_H
#define MILLRACE_RULES_ALARM_H

#include <stdbool.h>
#include <stdint.h>

enum alarm_phase { ALARM_CLEAR, ALARM_RISING, ALARM_ACTIVE, ALARM_FALLING, ALARM_PHASES };

enum alarm_visibility { ALARM_SHOWN, ALARM_SHELVED, ALARM_OUT_OF_SERVICE, ALARM_VISIBILITIES };

/*
 * 12 bytes, so that four limits of a tag and their place in the engine fit in
 * 64.
 */
struct alarm {
        uint32_t phase : 2;
        uint32_t inside : 1; /* limits: where the last reading was, for who takes over */
        uint32_t unacked : 1;
        uint32_t latched : 1;
        uint32_t visibility : 2;
        uint32_t told : 1; /* its activation was notified by itself, so its return will be */
        uint32_t seq : 24; /* activations so far: names the activation */
        uint32_t due_ms;   /* of the timer, where the phase has one */
        uint32_t since_s;  /* wall clock of the last activation or return */
};

struct alarm_policy {
        uint32_t on_delay_ms, off_delay_ms;
        uint32_t realarm_ms; /* 0: never */
        bool latching;
        bool ack; /* an activation is to be acknowledged */
};

enum alarm_input {
        ALARM_TRUE,
        ALARM_FALSE,
        ALARM_UNKNOWN,  /* bad quality: neither raises nor clears; a delay that runs is given up */
        ALARM_REPLACED, /* another alarm speaks for it: clear at once, nothing to acknowledge */
        ALARM_TIMER,    /* the timer may be due */
        ALARM_ACK,
        ALARM_RESET, /* the latch */
        ALARM_SHELVE,
        ALARM_UNSHELVE, /* by hand, or its time is over */
        ALARM_REMOVE,   /* out of service */
        ALARM_RESTORE,  /* into service again */
        ALARM_INPUTS
};

enum alarm_change {
        ALARM_SAME,
        ALARM_ACTIVATED,
        ALARM_RETURNED,
        ALARM_REALARMED, /* still active: told again, and to be acknowledged again */
        ALARM_ACKED,
        ALARM_LATCH_RESET,
        ALARM_WAS_SHELVED,
        ALARM_WAS_UNSHELVED,
        ALARM_WAS_REMOVED,
        ALARM_WAS_RESTORED,
        ALARM_NOT_WATCHED, /* no rule is for it any more: it is over */
        ALARM_CHANGES
};

/* What is shown. */
enum alarm_state {
        ALARM_IS_NORMAL,
        ALARM_IS_UNACK,
        ALARM_IS_ACKED,
        ALARM_IS_RTN_UNACK,
        ALARM_IS_LATCHED,
        ALARM_IS_SHELVED,
        ALARM_IS_OUT_OF_SERVICE,
        ALARM_STATES
};

/*
 * Changes *a; `now_ms` is the time of the input (of ALARM_TIMER: when it was
 * due, or later).
 */
enum alarm_change alarm_step(struct alarm *a, const struct alarm_policy *p, enum alarm_input in, uint32_t now_ms);

enum alarm_state alarm_state(const struct alarm *a);
const char *alarm_state_name(enum alarm_state state);    /* normal, unack, acked, rtn_unack, latched, … */
const char *alarm_change_name(enum alarm_change change); /* active, returned, realarmed, acked, … */

static inline bool alarm_is_active(const struct alarm *a)
{
        return a->phase >= ALARM_ACTIVE;
}

/* True when `a_ms` lies after `b_ms`. */
static inline bool alarm_after(uint32_t a_ms, uint32_t b_ms)
{
        return (int32_t)(a_ms - b_ms) > 0;
}

/* True when a timer runs; it is due at a->due_ms. */
static inline bool alarm_has_timer(const struct alarm *a, const struct alarm_policy *p)
{
        return a->phase == ALARM_RISING || a->phase == ALARM_FALLING || (a->phase == ALARM_ACTIVE && p->realarm_ms);
}

#endif
