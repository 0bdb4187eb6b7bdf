/*
 * rules_conf: one item of the `alarms:` section: what is watched, on which
 * tags, and how.
 *
 * The table checks an item by itself and fills in what a kind of rule assumes
 * when a key is left out, so that after the check every field that the kind
 * reads has a value.  Pure.  The struct and its texts are owned by the
 * configuration.
 */
#ifndef MILLRACE_RULES_RULES_CONF_H
#define MILLRACE_RULES_RULES_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/schema.h"

/* In the order of the `rule` key's choices. */
enum rule_kind {
        RULE_LIMITS,
        RULE_RATE,
        RULE_DEVIATION,
        RULE_STUCK,
        RULE_SILENT,
        RULE_DEVICE_DOWN, /* one alarm per source */
        RULE_OFF_NORMAL,
        RULE_COUNT,
        RULE_DUPLICATE,
        RULE_TOGETHER, /* an alarm per tag, judged in groups by source */
        RULE_KINDS
};

enum rule_direction { RULE_BOTH, RULE_RISE, RULE_FALL };

enum rule_what { RULE_WHAT_NONE, RULE_READINGS, RULE_SUM, RULE_DISTINCT };

enum rule_per { RULE_PER_NONE, RULE_PER_TAG, RULE_PER_VALUE };

/* NaN: not said. Times in us; 0: not said, or none. */
struct rule_conf {
        struct schema_at at;
        const char *name; /* NULL: the kind's name */
        const char *match;
        int kind;                  /* enum rule_kind */
        double hihi, hi, lo, lolo; /* limits */
        bool exclusive;            /* limits: hihi stands for hi, lolo for lo */
        double limit;              /* rate */
        int64_t over_us;           /* rate */
        int direction;             /* rate, deviation: enum rule_direction */
        double sigma;              /* deviation */
        int64_t half_life_us;      /* deviation; 0: as long as DEVIATION_READINGS readings take */
        int64_t warm_up_us;        /* deviation; 0: half of the half-life */
        int64_t after_us;          /* stuck, silent, device_down (0: only when the device is known to be down) */
        double within;             /* stuck */
        const char *normal;        /* off_normal */
        int64_t window_us;         /* count, duplicate */
        int what, per;             /* count */
        const char *value;         /* count: only readings that are this; NULL: all */
        int64_t settle_rows;       /* together */
        double at_least, at_most;  /* count; NaN: no such bound */
        double deadband;
        int64_t on_delay_us, off_delay_us, re_alarm_us;
        int64_t severity;       /* 1..1000 */
        int64_t severity_outer; /* limits: of hihi and lolo; no key of its own */
        bool latching, ack_required;
};
extern const struct schema rules_schema;

enum {
        RULES_DISTINCT_MAX = 256,  /* different values a count can tell apart */
        DEVIATION_READINGS = 1000, /* half-life in readings where no time is given */
};

const char *rule_kind_name(enum rule_kind kind);

/*
 * `pattern` is source/tag, each with * and ?; without a / it is about sources.
 * `tag` may have its labels behind it, which count when the pattern has some.
 * NULL tag: only the source counts.
 */
bool rule_matches(const char *pattern, const char *source, const char *tag);

#endif
