/*
 * changed_names: names from the wire that had to be changed, each told once.
 * Loop thread; allocates once.
 *
 * Bounded: behind CHANGED_NAMES_MAX a new one is told each time it is met, so
 * what is counted by it is exact up to there, and too high beyond.
 */
#ifndef MILLRACE_DRIVERS_CHANGED_NAMES_H
#define MILLRACE_DRIVERS_CHANGED_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct changed_names;

enum { CHANGED_NAMES_MAX = 4096 };

struct changed_names *changed_names_new(void);
void changed_names_free(struct changed_names *c);

/* `hash` is table_hash of the name as it came. True: it was not told before. */
bool changed_names_add(struct changed_names *c, uint64_t hash);

#endif
