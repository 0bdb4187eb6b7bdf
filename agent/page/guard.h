/*
 * guard: who is logged in, and how often one may try.  Pure over explicit time
 * (monotonic); the caller's lock.
 */
#ifndef MILLRACE_PAGE_GUARD_H
#define MILLRACE_PAGE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum {
        GUARD_SESSIONS = 64,
        GUARD_TRIES = 256,
        GUARD_SECRET = 43, /* characters of 32 random bytes */
        GUARD_NAME = 64,
};

struct guard_session {
        char token[GUARD_SECRET + 1], csrf[GUARD_SECRET + 1], user[GUARD_NAME + 1];
        bool may_act;
        int64_t since_us, seen_us; /* 0: free */
};

struct guard {
        struct guard_session session[GUARD_SESSIONS];
        struct guard_try {
                char who[80];
                unsigned n; /* wrong ones in a row */
                int64_t at_us;
        } tried[GUARD_TRIES];
};

/*
 * How many seconds `who` (an address, or a user's name) has to wait before
 * another try is looked at; 0: none.  After five wrong ones half a minute,
 * twice as long with each further one, up to `most_s`.  An hour later nothing
 * is known any more.
 */
int guard_wait_s(const struct guard *g, const char *who, int most_s, int64_t now_us);
void guard_tried(struct guard *g, const char *who, bool right, int64_t now_us);

/*
 * For twelve hours, and while it is used each half hour.  The longest unused
 * one goes when there are too many.
 */
struct guard_session *guard_begin(struct guard *g, const char *user, bool may_act, const char *token, const char *csrf,
                                  int64_t now_us);
struct guard_session *guard_find(struct guard *g, const char *token, int64_t now_us); /* NULL: none */
void guard_end(struct guard_session *s);

/* Takes as long whatever is in them. */
bool guard_same(const char *a, const char *b);

#endif
