/*
 * judge: is the condition of a rule true?  One pure function per kind over its
 * own small memory per tag.
 *
 * A judge says ALARM_TRUE, ALARM_FALSE or ALARM_UNKNOWN (it can't tell: warming
 * up, not its type of value); delays, states and who is told are not its
 * business.  Memory is zeroed at first, of the size the kind asks for, and
 * never grows. Limits have no memory but a bit in each alarm: they are in
 * rules.c's path of every reading and stand apart (rules_engine.h).
 */
#ifndef MILLRACE_RULES_JUDGE_H
#define MILLRACE_RULES_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/rules/alarm.h"
#include "agent/rules/rules_conf.h"

/* A reading of good or uncertain quality, or the passing of time. */
struct sample {
        const struct reading *r;
        double num;    /* NaN: not a number */
        int64_t ts_us; /* of the reading */
        int64_t mono_us;
};

struct verdict {
        enum alarm_input in; /* ALARM_TRUE, ALARM_FALSE or ALARM_UNKNOWN */
        double value, limit; /* what was compared; NaN where there is nothing to show */
};

struct judge {
        size_t (*bytes)(const struct rule_conf *c); /* of memory */
        /* A reading came. `active`: the alarm is, so a deadband applies. */
        struct verdict (*judge)(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
        /* Time passed without a reading; NULL where that says nothing. */
        struct verdict (*pass)(const struct rule_conf *c, void *memory, int64_t mono_us, bool active);
        /* When pass() is to be asked again, monotonic; INT64_MAX: when a reading has come. NULL without pass. */
        int64_t (*due)(const struct rule_conf *c, const void *memory);
        int form; /* its memory is worth keeping over a restart: which layout it has; 0: it is not */
        bool (*sound)(const void *memory); /* of one that learns: these bytes could be its memory */
};

/* By kind; limits, device_down and together have no functions here. */
extern const struct judge judges[RULE_KINDS];

/* What the parts of it are made of. */
struct verdict rate_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
struct verdict deviation_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
struct verdict stuck_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
struct verdict off_normal_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
struct verdict silent_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
struct verdict silent_pass(const struct rule_conf *c, void *memory, int64_t mono_us, bool active);
int64_t silent_due(const struct rule_conf *c, const void *memory);
/* Begins to wait now; also when the device is back. */
void silent_restart(void *memory, int64_t mono_us);
struct verdict count_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);
struct verdict count_pass(const struct rule_conf *c, void *memory, int64_t mono_us, bool active);
int64_t count_due(const struct rule_conf *c, const void *memory);
struct verdict duplicate_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active);

size_t rate_bytes(const struct rule_conf *c);
size_t deviation_bytes(const struct rule_conf *c);
bool deviation_is_sound(const void *memory);
size_t stuck_bytes(const struct rule_conf *c);
size_t silent_bytes(const struct rule_conf *c);
size_t count_bytes(const struct rule_conf *c);
size_t duplicate_bytes(const struct rule_conf *c);

/* The value as 64 bits, for telling values apart; 71 and 71.0 are the same. */
uint64_t sample_hash(const struct sample *s);
/*
 * The value is what was written in the configuration: as a number, as
 * true/false, or as text.
 */
bool sample_is(const struct sample *s, const char *written);

#endif
