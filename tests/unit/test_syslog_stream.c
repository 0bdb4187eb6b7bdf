/*
 * A TCP stream to messages: counted octets and lines, mixed, in any pieces; too long ones cut; what is not taken stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/syslog/stream.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

struct sink {
        char text[65536];
        size_t len;
};

/* Each is asked for twice before it is taken. Long ones as their length. */
static void drain(struct syslog_stream *s, bool closed, struct sink *out)
{
        const char *m, *again;
        size_t len, len_again;

        while (syslog_stream_next(s, closed, &m, &len)) {
                assert_true(len <= SYSLOG_MESSAGE_MAX);
                assert_true(syslog_stream_next(s, closed, &again, &len_again));
                assert_true(again == m && len_again == len);
                if (len > 100)
                        out->len += (size_t)sprintf(out->text + out->len, "%zu", len);
                else
                        out->len += (size_t)sprintf(out->text + out->len, "%.*s", (int)len, m);
                out->len += (size_t)sprintf(out->text + out->len, s->cut ? "~|" : "|");
                syslog_stream_took(s);
        }
}

static void run(const char *bytes, size_t len, size_t piece, struct sink *out)
{
        struct syslog_stream s;
        char *to;

        out->len = 0;
        out->text[0] = '\0';
        syslog_stream_init(&s);
        for (size_t at = 0; at < len;) {
                size_t n = syslog_stream_room(&s, &to);

                assert_true(n > 0);
                n = n < piece ? n : piece;
                n = n < len - at ? n : len - at;
                memcpy(to, bytes + at, n);
                syslog_stream_push(&s, n);
                at += n;
                drain(&s, false, out);
        }
        strcpy(out->text + out->len, "#");
        out->len++;
        drain(&s, true, out);
        syslog_stream_fini(&s);
}

static void check(const char *bytes, size_t len, const char *expected)
{
        static const size_t pieces[] = {1 << 16, 5, 1};
        static struct sink out;

        for (size_t i = 0; i < LENGTH(pieces); i++) {
                run(bytes, len, pieces[i], &out);
                assert_string_equal(out.text, expected);
        }
}

static void framings(void **state)
{
        static const struct {
                const char *bytes, *expected;
        } rows[] = {
                {"<1>a\n<2>b\r\n", "<1>a|<2>b|#"},
                {"4 <1>a4 <2>b", "<1>a|<2>b|#"},
                {"5 <1>a\n<2>b\n6 <3>c\r\n", "<1>a|<2>b|<3>c|#"},
                {"8 <1>a\n<2>", "<1>a\n<2>|#"}, /* one message of two lines */
                {"\n\n<1>a\n\n", "<1>a|#"},
                {"<1>a", "#<1>a|"},
                {"10 <1>a", "#<1>a~|"},
                {"12", "#12|"},
                {"12 apples\n<1>a\n", "12 apples|<1>a|#"},
                {"2026-11-23 x\n", "2026-11-23 x|#"},
                {"12345678 <1>a\n", "12345678 <1>a|#"},
                {"0 <1>a\n", "0 <1>a|#"},
                {"", "#"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++)
                check(rows[i].bytes, strlen(rows[i].bytes), rows[i].expected);
}

static void long_ones_are_cut(void **state)
{
        enum { FAR = 3 * SYSLOG_MESSAGE_MAX };
        char *bytes = malloc(FAR + 100);
        size_t n;

        memset(bytes, 'x', FAR);
        bytes[0] = '<';
        n = FAR + (size_t)sprintf(bytes + FAR, "\n<1>a\n");
        check(bytes, n, "8192~|<1>a|#");
        check(bytes, FAR, "8192~|#");

        n = (size_t)sprintf(bytes, "%d <", FAR);
        memset(bytes + n, 'x', FAR - 1);
        n += FAR - 1;
        n += (size_t)sprintf(bytes + n, "4 <1>a");
        check(bytes, n, "8192~|<1>a|#");

        memset(bytes, 'x', SYSLOG_MESSAGE_MAX); /* just as long as allowed */
        strcpy(bytes + SYSLOG_MESSAGE_MAX, "\n<1>a\n");
        check(bytes, SYSLOG_MESSAGE_MAX + 6, "8192|<1>a|#");
        free(bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(framings),
                cmocka_unit_test(long_ones_are_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
