/*
 * audit_impl: what the rooms of the audit share: audit.c (what comes in),
 * audit_end.c (what follows from it).
 */
#ifndef MILLRACE_CLI_AUDIT_IMPL_H
#define MILLRACE_CLI_AUDIT_IMPL_H

#include "agent/cli/audit.h"
#include "uplink/seal.h"

enum { AUDIT_CHUNK = 4096 };

/* A stream's part of a seal, and how far its chain was computed. */
struct audit_seal {
        unsigned char prev[SEAL_HASH], chain[SEAL_HASH], now[SEAL_HASH];
        struct seal_run *run;
        size_t n_runs, at; /* the run and the seq that are due */
        uint64_t next, n_found;
};

struct audit_line {
        uint64_t first, last;
        char reason[SPOOL_REASON_MAX];
};

/* Of a lane: which seal has these seqs. */
struct audit_span {
        uint64_t first, last;
        struct audit_seal *seal;
};

struct audit_stash {
        uint64_t seq; /* 0: free */
        unsigned char leaf[SEAL_HASH];
};

struct audit_ranges {
        struct audit_range {
                uint64_t first, last;
        } * v;
        size_t n, cap;
};

struct audit_lane {
        struct audit_seal
                *seal[2]; /* by stream of the lane; in order of the topic, at last those that count in order of seq */
        size_t n_seals[2], cap_seals[2];
        struct audit_line *line; /* at last ascending and disjoint */
        size_t n_lines, cap_lines;
        struct audit_span *span; /* ascending */
        size_t n_spans;
        struct audit_stash *stash; /* open addressing */
        size_t n_stash, cap_stash;
        uint64_t **seen; /* chunks of the first 8 bytes of leaves */
        size_t cap_seen;
        struct audit_ranges twice, differ, in_gap;
        uint64_t n_duplicates, n_found;
        uint64_t n_behind, behind_first, behind_last; /* records above all seals, or of no seal */
};

struct audit_epoch {
        char gateway[68];
        uint64_t epoch;
        struct audit_lane lane[SPOOL_LANES];
        struct audit_ranges bad; /* seals that do not count, by upto */
};

struct audit {
        struct audit_conf conf;
        struct audit_epoch **epoch; /* ascending by name and epoch */
        size_t n_epochs, cap_epochs, last;
        uint64_t n_unread, n_seals;
        bool arranged;
};

void audit_note(struct audit_ranges *r, uint64_t seq);
/* The line that has the seq, or NULL. Arranged. */
const struct audit_line *audit_line_at(const struct audit_lane *l, uint64_t seq);
/* The leaf that waits, or NULL. */
const unsigned char *audit_waiting(const struct audit_lane *l, uint64_t seq);
void audit_seek(struct audit_lane *l, struct audit_seal *s); /* over runs that are done and over lines */
void audit_arrange(struct audit *a);

#endif
