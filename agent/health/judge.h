/*
 * judge: what the rooms that judge the facts share (see facts.h).  Nobody else
 * includes this.
 *
 * A room for each part of the house (judge_*.c); each says what is so in one
 * sentence of a person, with the numbers, and leaves the way out to ways.c
 * where it depends on the words of a library.  Times of libraries and of the
 * wall clock are turned into the monotonic one, so that `since` is right
 * whatever the clock does.
 */
#ifndef MILLRACE_HEALTH_JUDGE_H
#define MILLRACE_HEALTH_JUDGE_H

#include "agent/health/facts.h"

/* True in the round in which it rose. */
bool health_rises(struct health_rise *r, uint64_t now, int64_t mono_us);

/* A time of the wall clock, monotonic; 0 stays 0. */
int64_t health_mono(const struct health_facts *f, int64_t wall_us);
/*
 * The same of a time that was taken by this process: it stays where it was when
 * the clock is set.
 */
int64_t health_mono_kept(struct health_time *t, const struct health_facts *f, int64_t wall_us);

void health_judge_spool(struct health *h, struct health_memory *m, const struct health_facts *f);
void health_judge_uplink(struct health *h, struct health_memory *m, const struct health_facts *f);
void health_judge_sources(struct health *h, const struct health_facts *f);
/*
 * What nobody would miss: topics without a message, numbers that became texts.
 */
void health_judge_quiet(struct health *h, struct health_memory *m, const struct health_facts *f);
void health_judge_gateway(struct health *h, struct health_memory *m, const struct health_facts *f);

#endif
