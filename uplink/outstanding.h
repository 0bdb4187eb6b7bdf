/*
 * outstanding: which records a sink has taken and not reported yet, by their
 * opaque.  Pure; loop thread.
 *
 * A bit each: an opaque is a slot of a window with the number of its lane, so
 * they are small and dense.
 */
#ifndef MILLRACE_UPLINK_OUTSTANDING_H
#define MILLRACE_UPLINK_OUTSTANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outstanding {
        uint64_t *words;
        size_t n_words;
};

void outstanding_add(struct outstanding *o, uint32_t opaque);
void outstanding_remove(struct outstanding *o, uint32_t opaque);
/* Takes the lowest out. False: there is none. */
bool outstanding_pop(struct outstanding *o, uint32_t *opaque);
void outstanding_fini(struct outstanding *o);

#endif
