/*
 * err: see err.h.  Formatting only; running out of memory ends here, loudly,
 * because the spool on disk is the state and a restart is the safest way on.
 */
#include "agent/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *e, const char *fmt, ...)
{
        va_list ap;

        if (e) {
                va_start(ap, fmt);
                vsnprintf(e->text, sizeof(e->text), fmt, ap);
                va_end(ap);
        }
        return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
        int saved = errno;
        va_list ap;
        size_t n;

        if (!e)
                return -1;
        va_start(ap, fmt);
        vsnprintf(e->text, sizeof(e->text), fmt, ap);
        va_end(ap);
        n = strlen(e->text);
        snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(saved));
        return -1;
}

static _Noreturn void out_of_memory(void)
{
        static const char text[] = "out of memory, ending; what was committed is safe\n";

        (void)!fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
}

void *mem_alloc(unsigned long n_bytes)
{
        void *p = calloc(1, n_bytes ? n_bytes : 1);

        if (!p)
                out_of_memory();
        return p;
}

void *mem_grow(void *p, unsigned long n_items, unsigned long item_bytes)
{
        unsigned long n_bytes;

        if (__builtin_mul_overflow(n_items, item_bytes, &n_bytes))
                out_of_memory();
        p = realloc(p, n_bytes ? n_bytes : 1);
        if (!p)
                out_of_memory();
        return p;
}

char *mem_strdup(const char *s)
{
        size_t n = strlen(s) + 1;

        return memcpy(mem_alloc(n), s, n);
}

_Noreturn void bug(const char *file, int line, const char *what)
{
        fprintf(stderr, "bug: %s:%d: %s\n", file, line, what);
        abort();
}
