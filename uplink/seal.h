/*
 * seal: what was delivered, as a chain of hashes that a stranger can compute
 * again from the topics.  packaging/doc/verify.md is its definition.
 *
 *   leaf  = SHA-256(seq as 8 bytes, length of the identity as 4, identity, value)
 *   chain = SHA-256(chain before, leaf), over the records of a stream in order of seq
 *
 * Three streams, one of each lane of the uplink, each a path of ascending seqs:
 * events, readings, and with live_first the backlog.  A stream's runs say which
 * seqs its chain went over since the last seal that Kafka has: `n` delivered
 * records from `first` to `last`; what is not there was dropped, and the ledger
 * says why.
 *
 * Pure but for libcrypto.  Loop thread.  The state that seal_pack gives belongs
 * on disk with the acks it was made of; a state of another epoch is not taken.
 */
#ifndef MILLRACE_UPLINK_SEAL_H
#define MILLRACE_UPLINK_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/spool.h"

enum { SEAL_HASH = 32, SEAL_RUNS = 16, SEAL_STREAMS = 3, SEAL_TEXT_MAX = 51200 };

struct seal_run {
        uint64_t first, last, n;
};

struct seal_stream {
        unsigned char chain[SEAL_HASH];
        unsigned char told[SEAL_HASH]; /* the chain of the last seal that Kafka has */
        uint64_t upto;                 /* the last seq in it */
        uint32_t n_breaks;             /* times it was begun anew; of this run of the program */
        uint32_t n_runs;               /* since told */
        struct seal_run run[SEAL_RUNS];
};

/* A state of all that a seal tells. */
struct seal_state {
        struct seal_stream stream[SEAL_STREAMS]; /* by enum uplink_lane */
        uint64_t ledger_no;                      /* lines up to it are told */
};

struct seal {
        uint64_t epoch;
        struct seal_state now, sent; /* sent: as the last heartbeat told it */
        uint32_t token;              /* of that one; 0: none is out */
};

/* `acked`: where the lanes stand when the file has no state of this epoch. */
void seal_init(struct seal *s, uint64_t epoch, const uint64_t acked[SPOOL_LANES], const void *packed, size_t n);

void seal_leaf(unsigned char leaf[SEAL_HASH], uint64_t seq, const char *identity, size_t identity_len,
               const char *value, size_t value_len);

/* One record further. */
void seal_chain(unsigned char chain[SEAL_HASH], const unsigned char leaf[SEAL_HASH]);

/*
 * The next delivered record of a stream. `apart`: seqs between it and the one
 * before are another stream's.
 */
void seal_add(struct seal_stream *t, uint64_t seq, const unsigned char leaf[SEAL_HASH], bool apart);

/* Length of what is written: at most SPOOL_SEAL_MAX. */
size_t seal_pack(const struct seal *s, unsigned char *out);

/*
 * What the next heartbeat tells, as JSON text of at most SEAL_TEXT_MAX bytes;
 * returns its token.  seal_told: Kafka has the heartbeat of that token.
 */
uint32_t seal_text(struct seal *s, const char *gateway, int64_t at_us, const struct spool_ledger *ledger, char *out);
void seal_told(struct seal *s, uint32_t token);

#endif
