/*
 * shares: how many tags each item may make of names from the wire, and what is
 * told of names and shares.  Loop thread.
 */
#ifndef MILLRACE_AGENT_SHARES_H
#define MILLRACE_AGENT_SHARES_H

#include "agent/config/config.h"
#include "agent/pipeline.h"

/* What was told last; of an item it is in struct tags_item. */
struct shares {
        int told;
};

/*
 * After the configuration's drivers were made: each has the share it says, or
 * an equal part of the rest.
 */
void shares_set(struct tags *t, const struct config *c);

/* Once a second: bounds that come near, and sources that others spoke for. */
void shares_tell(struct shares *s, struct tags *t, struct pipeline *p);

/*
 * 0: there is room; 1: near the bound; 2: at it. `was` the level before: it
 * goes down later than up. Pure.
 */
int shares_level(size_t n, size_t most, int was);

#endif
