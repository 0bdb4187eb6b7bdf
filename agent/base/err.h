/*
 * err: an error a person will read, and the result idiom.
 *
 * Result idiom of the whole program: 0 = ok; < 0 = this operation is dead,
 * forward it; > 0 = a documented MODULE_E_* that the caller must handle.  A
 * struct err carries the sentence for a human; it is filled where the cause is
 * known and passed up unchanged.  Any thread, no allocation; the text is cut at
 * its bound, never overrun.
 */
#ifndef MILLRACE_BASE_ERR_H
#define MILLRACE_BASE_ERR_H

#include <stdarg.h>

struct err {
        char text[480];
};

/*
 * Writes the sentence and returns -1, so that `return err_set(e, ...)` reads
 * well. `e` may be NULL.
 */
int err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set, with ": <strerror(errno)>" behind it. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Out of memory for our own needs: says so and aborts (the spool survives,
 * systemd restarts). Never returns NULL.
 */
void *mem_alloc(unsigned long n_bytes);                                   /* zeroed */
void *mem_grow(void *p, unsigned long n_items, unsigned long item_bytes); /* realloc; checks the product */
char *mem_strdup(const char *s);

/*
 * For our own bugs only, never for wire or file data; stays on in release
 * builds.
 */
#define BUG_ON(cond)                                    \
        do {                                            \
                if (__builtin_expect(!!(cond), 0))      \
                        bug(__FILE__, __LINE__, #cond); \
        } while (0)
_Noreturn void bug(const char *file, int line, const char *what);

#endif
