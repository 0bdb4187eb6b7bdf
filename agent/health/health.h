/*
 * health: what is wrong now, since when, and what to do.
 *
 * A condition is one thing that is not as it should be: its kind (a row of
 * health_rules), its subject, since when, one sentence, one way out.  Whoever
 * wants to know how the gateway is (status, exit status, top, metrics, events,
 * heartbeat, log, service manager) asks here and nowhere else.
 *
 * Once a second, and before it is shown, there is a round: health_begin, then
 * health_hold for each thing that is so (judge.c, from facts alone), then
 * health_end.  What is not held any more ends by itself.
 *
 * Pure: times are arguments, nothing is read or sent.  Loop thread.  Ownership:
 * texts are copied.  Memory: grows to HEALTH_MOST conditions; of those beyond
 * the least severe are only counted, and as bad as the others.
 */
#ifndef MILLRACE_HEALTH_HEALTH_H
#define MILLRACE_HEALTH_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/text.h"

enum health_severity {
        HEALTH_NOTICE,   /* worth knowing; the gateway is well */
        HEALTH_DEGRADED, /* something that should be is not; nothing else is harmed */
        HEALTH_FAILED,   /* nothing can be kept */
        HEALTH_SEVERITIES
};

enum health_id {
        HEALTH_SPOOL_FAILING,
        HEALTH_SPOOL_FULL,
        HEALTH_SPOOL_FILLING,
        HEALTH_READINGS_DROPPED,
        HEALTH_DISK_SLOW,
        HEALTH_DISK_LOW,
        HEALTH_UPLINK_DOWN,
        HEALTH_UPLINK_CONNECTING,
        HEALTH_UPLINK_STALLED,
        HEALTH_LANE_WAITS,
        HEALTH_FENCED,
        HEALTH_MARK_LOST,
        HEALTH_TOPIC_MISSING,
        HEALTH_TOPIC_ABSENT,
        HEALTH_HEARTBEAT_REFUSED,
        HEALTH_DEAD_LETTERS,
        HEALTH_SOURCE_DOWN,
        HEALTH_SOURCE_CONNECTING,
        HEALTH_DEVICE_DOWN,
        HEALTH_SOURCE_FAULT,
        HEALTH_SOURCE_MALFORMED,
        HEALTH_SOURCE_PAUSED,
        HEALTH_SOURCE_LATE,
        HEALTH_SOURCE_REFUSED,
        HEALTH_TOPIC_SILENT,
        HEALTH_TAG_TEXT,
        HEALTH_NAMES_CHANGED,
        HEALTH_COMMITS_SMALL,
        HEALTH_TAGS_FULL,
        HEALTH_TAGS_FILLING,
        HEALTH_NOTIFY_DOWN,
        HEALTH_CONFIG_REFUSED,
        HEALTH_CONFIG_PARTLY,
        HEALTH_RESTART_NEEDED,
        HEALTH_CERTIFICATE_OVER,
        HEALTH_CERTIFICATE_SOON,
        HEALTH_FLASH_OVER,
        HEALTH_CLOCK_UNSYNCED,
        HEALTH_IDS
};

struct health_rule {
        const char *name; /* in status, metrics, events, alerts */
        enum health_severity severity;
        int64_t after_us;  /* it stands once it was held for so long */
        int64_t linger_us; /* it ends once it was not held for so long */
        bool told;         /* the log has its own line of it: no second one */
        const char *help;  /* one sentence */
};

extern const struct health_rule health_rules[HEALTH_IDS];
extern const char *const health_severity_names[HEALTH_SEVERITIES];

enum { HEALTH_MOST = 500, HEALTH_SUBJECT_MAX = 2 * TEXT_NAME_MAX + 32, HEALTH_WORDS_MAX = 400 };

struct health_condition {
        enum health_id id;
        char subject[HEALTH_SUBJECT_MAX]; /* "kafka", "mqtt plant", "modbus line-1" */
        char what[HEALTH_WORDS_MAX], todo[HEALTH_WORDS_MAX];
        int64_t since_us, held_us; /* monotonic: began; held last */
        bool stands;               /* it counts, and was told */
};

struct health {
        struct health_condition **v;
        size_t n;
        int64_t now_us;
        size_t n_left_out; /* of the round */
        enum health_severity worst_left_out;
        struct health_condition spare; /* for those beyond HEALTH_MOST */
        /* A condition begins to count, or ends; within health_end, or where one gives way. */
        void (*on_change)(void *ctx, const struct health_condition *c, bool began);
        void *ctx;
};

void health_fini(struct health *h);

void health_begin(struct health *h, int64_t mono_us);
/*
 * It is so, in this round.  `since_us`: monotonic, when it began; 0: when it
 * was held first.  The caller writes what and todo of what is returned
 * (health_say), every round anew.
 */
struct health_condition *health_hold(struct health *h, enum health_id id, const char *subject, int64_t since_us);
void health_what(struct health_condition *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void health_todo(struct health_condition *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NULL: it is not there. */
struct health_condition *health_find(struct health *h, enum health_id id, const char *subject);
/* It ends with this round, however long it lingers. */
void health_let_go(const struct health *h, struct health_condition *c);
void health_end(struct health *h);

/*
 * Those that stand: worst first, then oldest first. i from 0; NULL behind the
 * last.
 */
const struct health_condition *health_get(const struct health *h, size_t i);
size_t health_count(const struct health *h); /* with those left out */
/* "ok": none stands but notices; else of the worst. */
const char *health_verdict(const struct health *h);
/* How many stand of each kind. */
void health_by_kind(const struct health *h, unsigned n[HEALTH_IDS]);

#endif
