/*
 * books: what became of all readings, told once an hour, and when the agent
 * starts and ends.
 *
 * The counts go on for as long as the spool's epoch; what an hour or a day
 * brought is the difference of two events, long after the readings themselves
 * have left the file.  Loop thread.
 */
#ifndef MILLRACE_AGENT_BOOKS_H
#define MILLRACE_AGENT_BOOKS_H

#include <stddef.h>
#include <stdint.h>

struct agent;

struct books {
        int64_t hour; /* since 1970, that was looked at last; 0: none */
};

enum { BOOKS_MEMBERS = 160 };

/* As members of an event: "accepted":9,"delivered":7,"held":2,"dropped":0 */
const char *books_members(char out[BOOKS_MEMBERS], const struct agent *a);

/* Once a second: an event `books` when an hour of UTC is over. */
void books_look(struct agent *a);

#endif
