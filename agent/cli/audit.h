/*
 * audit: are the records of the topics what the seals in the heartbeats say?
 * packaging/doc/verify.md defines it; tests/integration/test_verify.py holds
 * that millrace-verify.py answers the same.
 *
 * Pure: heartbeats first, all of them, in the order of their topic; then
 * records in any order; then what was found.  8 bytes are kept of each record
 * that a seal covers, and 40 of one that waits for records before it: few when
 * partitions are read side by side.  Single thread.
 */
#ifndef MILLRACE_CLI_AUDIT_H
#define MILLRACE_CLI_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit;

struct audit_conf {
        int64_t since_us, until_us; /* seals made in that time count */
        const char *gateway;        /* it alone is told of; NULL: each */
        /* NULL: signatures are not looked at. */
        bool (*is_signed)(void *ctx, const char *text, size_t len, const char *signature);
        void *ctx;
};

struct audit_finding {
        const char *what; /* one word */
        bool is_fault;
        const char *gateway;
        uint64_t epoch;
        const char *lane; /* events, samples */
        uint64_t first, last;
        const char *why;
};

/* Of one lane of an epoch. */
struct audit_sum {
        const char *gateway;
        uint64_t epoch;
        const char *lane;
        uint64_t n_sealed, n_found, n_duplicates, n_dropped, n_faults;
};

struct audit *audit_new(const struct audit_conf *conf);
void audit_free(struct audit *a);
void audit_heartbeat(struct audit *a, const char *value, size_t len);
void audit_record(struct audit *a, const char *identity, size_t identity_len, const char *value, size_t len);
/* Once, at the end.  False: there is no seal of who is told of. */
bool audit_end(struct audit *a, void (*on_finding)(void *ctx, const struct audit_finding *f),
               void (*on_sum)(void *ctx, const struct audit_sum *s), void *ctx);
uint64_t audit_unread(const struct audit *a); /* records that are not millrace's */

#endif
