/*
 * serial_frames: what the framer of serial lines makes of some bytes, as a text, however they are cut.  For cmocka
 * tests.
 */
#ifndef MILLRACE_TESTS_SERIAL_FRAMES_H
#define MILLRACE_TESTS_SERIAL_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/serial/frame.h"

static inline void frames_put(char *to, enum serial_found found, const struct serial_frame *f)
{
        to += strlen(to);
        if (found == SERIAL_BROKEN)
                to += sprintf(to, "!%s", f->reason);
        for (size_t i = 0; found == SERIAL_FRAME && i < f->len; i++)
                to += sprintf(to, f->bytes[i] >= ' ' && f->bytes[i] < 127 ? "%c" : "\\%02x", f->bytes[i]);
        strcpy(to, "|");
}

/* What comes out, as a text: frames and !reasons, each ended by |; behind a # what a silence brings. */
static inline void frames_run(const struct serial_conf *conf, const char *bytes, size_t len, size_t piece, char *out)
{
        struct serial_framer f;
        struct serial_frame frame;
        enum serial_found found;
        uint8_t *to;

        *out = '\0';
        serial_framer_init(&f, conf);
        for (size_t at = 0; at < len;) {
                size_t n = serial_framer_room(&f, &to);

                assert_true(n > 0);
                n = n < piece ? n : piece;
                n = n < len - at ? n : len - at;
                memcpy(to, bytes + at, n);
                serial_framer_push(&f, n);
                at += n;
                while ((found = serial_frame_next(&f, &frame)) != SERIAL_MORE)
                        frames_put(out, found, &frame);
        }
        strcat(out, "#");
        while ((found = serial_frame_flush(&f, &frame)) != SERIAL_MORE)
                frames_put(out, found, &frame);
        assert_true(serial_framer_empty(&f));
        serial_framer_fini(&f);
}

static inline void frames_check(const struct serial_conf *conf, const char *bytes, size_t len, const char *expected)
{
        static const size_t pieces[] = {SIZE_MAX, 3, 1};
        char got[4096];

        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
                frames_run(conf, bytes, len, pieces[i], got);
                assert_string_equal(got, expected);
        }
}

#endif
