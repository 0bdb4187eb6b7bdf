/*
 * told: what a driver told its host, written down as text and compared piece by piece.  For tests that look at drivers.
 */
#ifndef MILLRACE_TESTS_TOLD_H
#define MILLRACE_TESTS_TOLD_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char told[1 << 20];

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
        size_t n = strlen(told);
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(told + n, sizeof(told) - n, fmt, ap);
        va_end(ap);
}

/* What was told since the last time. */
static void check_told(const char *expected)
{
        assert_string_equal(told, expected);
        told[0] = '\0';
}

#endif
