/*
 * thinning: the `thin:` section at work: fewer readings for the spool and
 * Kafka, after the rules have seen all of them.
 *
 * What is left out is never accepted: it has no seq and no line in the ledger,
 * only a count, because the policy is the operator's own.  Loop thread;
 * allocates once per tag that is thinned.
 */
#ifndef MILLRACE_AGENT_THINNING_H
#define MILLRACE_AGENT_THINNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/base/schema.h"
#include "agent/base/tags.h"

struct thinning_conf {
        struct schema_at at;
        const char *match;
        int method; /* 0 exception, 1 swinging door */
        double deadband;
        int64_t min_us, max_us;
};
extern const struct schema thinning_schema;

struct thinning;

/* `conf`: of struct thinning_conf; the first that matches a tag counts. */
struct thinning *thinning_new(const struct schema_list *conf, struct tags *tags);
void thinning_free(struct thinning *t);
/*
 * Other items from now on: a tag whose item says the same goes on, of others
 * the stretch ends with the next reading.
 */
void thinning_reconfigure(struct thinning *t, const struct schema_list *conf);

/*
 * Takes a reading in, gives 0 to 2 that are to be kept, oldest first. With
 * `keep` the reading itself is the last of them. Readings that are no numbers,
 * bad, or historical are always kept.
 */
size_t thinning_pass(struct thinning *t, const struct reading *r, bool keep, struct reading out[2]);

/* At the end: what is held back and would be the last of its tag. */
void thinning_end(struct thinning *t, void (*each)(void *ctx, const struct reading *r), void *ctx);

uint64_t thinning_count(const struct thinning *t); /* left out since start */

#endif
