/*
 * rules: what is watched.  Readings go in, alarm transitions come out.
 *
 * Pure: no I/O, no clock; time comes with every call (monotonic for delays,
 * wall for what is told).  Patterns are matched once per tag (rules_bind);
 * after that a reading costs one walk over the tag's own rules, without
 * allocation.
 *
 * How to wire it:
 *      rules_new() at start; rules_bind() for every tag of the table and each new one; rules_import() for stored rows.
 *      For every accepted reading, before any thinning: rules_eval().
 *      rules_due_us() after each of these calls arms one timer; when it is due: rules_tick().
 *      on_transition runs inside these calls: store its row in the transaction of the reading, append an event, and
 *      when `notify` tell the notifiers.  on_group: tell the notifiers once for many.
 *      Operators: rules_find() and rules_command(); rules_each() for listings.
 * It must not be called from its own callbacks.
 *
 * Thread: one.  Ownership: `conf` items, and the strings given to rules_bind,
 * outlive the engine. State: a limits rule with four limits takes 64 bytes per
 * tag; the queue of deadlines has 8 more for each.
 */
#ifndef MILLRACE_RULES_RULES_H
#define MILLRACE_RULES_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/rules/alarm.h"
#include "agent/rules/rules_conf.h"

struct rules;

enum {
        RULES_NO_TAG = UINT32_MAX, /* an alarm of a source as a whole */
        RULES_ID_MAX = 16,         /* hex digits */
        RULES_SHELVED_MAX = 1024,
};

enum {
        RULES_E_UNKNOWN = 1, /* no such alarm */
        RULES_E_SAME = 2,    /* nothing to do: nothing to acknowledge, not shelved, … */
        RULES_E_ACTIVE = 3,  /* a latch can't be reset while its condition is there */
        RULES_E_FULL = 4,    /* too many alarms are shelved */
};

/*
 * Which of a rule's alarms. Kinds other than limits have one, named as the
 * kind.
 */
enum rules_limit { RULES_HIHI, RULES_HI, RULES_LO, RULES_LOLO, RULES_ONLY, RULES_LIMITS };
/* hihi, hi, lo, lolo, or the kind's name. */
const char *rules_limit_name(enum rules_limit limit, enum rule_kind kind);

/*
 * An alarm as it is kept and listed. (source, tag, rule, limit_kind) is its
 * key.
 */
struct rules_row {
        const char *source, *tag; /* tag "": of the source as a whole; with its labels, as rules_bind had it */
        const char *rule;
        const char *limit_kind;
        enum alarm_state state; /* as shown */
        bool active;
        bool unacked, latched;
        enum alarm_visibility visibility;
        uint32_t seq;             /* activations so far */
        int64_t since_us;         /* wall clock of the last activation or return; whole seconds */
        int64_t shelved_until_us; /* wall clock; 0: not shelved */
        int severity;
        char event_id[RULES_ID_MAX + 1]; /* of the activation `seq` */
};

struct rules_transition {
        struct rules_row row; /* after the transition */
        uint32_t tag;         /* index; RULES_NO_TAG */
        enum rule_kind kind;
        enum alarm_change change;
        bool notify;         /* tell it by itself */
        bool grouped;        /* not told by itself because of a flood: it will be in a group */
        double value, limit; /* NaN: none to show */
        const char *says;    /* what is wrong, in words, for ever; NULL: the rule's kind says it */
        int64_t ts_us;       /* of the reading that did it, or of the deadline */
        uint64_t ordinal;    /* of transitions, from 1 since start */
};

struct rules_group {
        uint32_t n_activated, n_returned;
        int worst_severity;
        struct rules_row worst; /* the worst of the activated; only when n_activated */
        int64_t from_us, to_us; /* wall clock */
};

struct rules_upcalls {
        void (*on_transition)(void *ctx, const struct rules_transition *t);
        void (*on_group)(void *ctx, const struct rules_group *g); /* may be NULL */
        void *ctx;
};

/* `gateway` is part of every event_id. At most 65,535 rules. */
struct rules *rules_new(const struct rule_conf *conf, size_t n, const char *gateway, const struct rules_upcalls *up,
                        const struct rt_time *now);
void rules_free(struct rules *r);

/*
 * Matches the patterns against a tag; once per index, again is fine. `name`
 * with its labels behind it, temp{line=l2}, so that no two tags of a source
 * have one.  Returns how many rules watch it.
 */
size_t rules_bind(struct rules *r, uint32_t tag, const char *source, const char *name, const struct rt_time *now);

/*
 * A reading of a bound tag (of others: nothing). Historical readings are not
 * judged: they are not about now.
 */
void rules_eval(struct rules *r, const struct reading *reading, const struct rt_time *now);

/*
 * What the host knows of a device by other means (a link, a slave that is given
 * up); true: it is down.
 */
void rules_source_down(struct rules *r, const char *source, bool down, const struct rt_time *now);

/*
 * Nobody knows of the device any more what rules_source_down() said: readings
 * tell from now on.
 */
void rules_forget_source(struct rules *r, const char *source);

/* Monotonic time at which rules_tick() is to be called; INT64_MAX: no need. */
int64_t rules_due_us(const struct rules *r);
bool rules_group_waits(const struct rules *r); /* some were left to a group that is not told yet */
void rules_tick(struct rules *r, const struct rt_time *now);

/* ---- operators ---- */

struct rules_ref {
        uint32_t slot;
        uint32_t nth;
};

/*
 * 0 or RULES_E_UNKNOWN. `limit_kind` may be NULL when the rule has one alarm.
 */
int rules_find(const struct rules *r, const char *source, const char *tag, const char *rule, const char *limit_kind,
               struct rules_ref *out);
/*
 * The same for all tags that `tag` means: without labels, with some or with all
 * of them.  How many; the first `most` of them in *out.
 */
size_t rules_find_meant(const struct rules *r, const char *source, const char *tag, const char *rule,
                        const char *limit_kind, struct rules_ref *out, size_t most);
/* No other tag of the source has this name with other labels, or without. */
bool rules_is_only(const struct rules *r, const char *source, const char *tag);
/* By the event_id of its latest activation. Walks all alarms. */
int rules_find_event(const struct rules *r, const char *event_id, struct rules_ref *out);

void rules_row_of(const struct rules *r, struct rules_ref ref, struct rules_row *out);

/*
 * `in` from ALARM_ACK on; `until_wall_us` of ALARM_SHELVE. 0 (the transition
 * was told) or RULES_E_*.
 */
int rules_command(struct rules *r, struct rules_ref ref, enum alarm_input in, int64_t until_wall_us,
                  const struct rt_time *now);

/* ---- keeping ---- */

/*
 * Every alarm that is not normal, or with `all` every one that ever was not.
 * The row is valid during the call.
 */
void rules_each(const struct rules *r, bool all, void (*each)(void *ctx, const struct rules_row *row), void *ctx);

/*
 * After rules_bind, before the first reading. Delays begin anew; a shelving
 * that has run out ends at the next tick.
 */
int rules_import(struct rules *r, const struct rules_row *row, const struct rt_time *now);

/*
 * `r`, bound and not used yet, goes on where `was` is; both at `now`.  same: by
 * rule of `was`, 1 + the rule of `r` that says the same, or 0.  An alarm that
 * `r` does not have is told to `lost` when it was not normal or has a past;
 * `was` is to be freed.
 */
void rules_take_over(struct rules *r, const struct rules *was, const uint32_t *same, const struct rt_time *now,
                     void (*lost)(void *ctx, uint32_t tag, const struct rules_row *row), void *ctx);

/*
 * What rules have learned (deviation), as bytes of this machine; worth keeping
 * now and then, and at the end.
 */
void rules_each_baseline(const struct rules *r,
                         void (*each)(void *ctx, const struct rules_row *row, int form, const void *bytes, size_t n),
                         void *ctx);
int rules_import_baseline(struct rules *r, const struct rules_row *row, int form, const void *bytes, size_t n);

/* ---- what people see ---- */

struct rules_metrics {
        uint64_t readings, activations, returns; /* since start */
        uint64_t historical, untyped;            /* readings not judged; readings whose type a rule could not judge */
        uint64_t fleeting;                       /* activations that were over within a minute */
        uint64_t chattered;                      /* times an alarm began to chatter: 3 activations in a minute */
        uint64_t floods, grouped;
        uint32_t active, unacked, shelved, out_of_service, latched; /* now */
        uint32_t stale;                                             /* active for more than 24 h */
        uint32_t chattering;                                        /* now */
        uint32_t per_10min, peak_per_10min;
        bool flood;
        size_t tags, slots, alarms;
};
void rules_metrics(struct rules *r, struct rules_metrics *out, const struct rt_time *now);

#endif
