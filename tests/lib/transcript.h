/*
 * transcript: what a driver said to its host, or was asked by it, written down
 * as text and compared piece by piece.  For cmocka tests; what differs fails
 * the test, and what is beyond 1 MiB is cut off.  Included behind cmocka.h.
 */
#ifndef MILLRACE_TESTS_TRANSCRIPT_H
#define MILLRACE_TESTS_TRANSCRIPT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char transcript[1 << 20];

__attribute__((format(printf, 1, 2))) static void transcript_add(const char *fmt, ...)
{
        size_t n = strlen(transcript);
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(transcript + n, sizeof(transcript) - n, fmt, ap);
        va_end(ap);
}

/* What was written since the last time. */
static void transcript_expect(const char *expected)
{
        assert_string_equal(transcript, expected);
        transcript[0] = '\0';
}

#endif
