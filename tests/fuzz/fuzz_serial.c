/*
 * fuzz_serial: any bytes on a line of any framing.
 *
 * Input: a first line, then what comes over the line.  The first character of the first line is the framing: l (the
 * rest of the line is the expression), s (silence ends a line), c (lines with a checksum), n, p (telegrams of meters),
 * or b (the rest says how a frame is built, a character each). Holds: it returns and leaks nothing; there is always
 * room for more bytes; the same frames come out however the bytes are cut; a silence leaves nothing behind; what comes
 * out is fit for a record.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX = 120 };

static const int64_t now_us = 1795428000000000;

static const struct serial_reading_conf
        line_readings[] = {{.tag = "a", .convert.scale = 1}, {.tag = "b", .type = SERIAL_NUMBER, .convert.scale = 2}},
        sentence_readings[] =
                {{.tag = "a", .sentence = "GGA", .field = 2, .type = SERIAL_LATITUDE, .convert.scale = 1},
                 {.tag = "b", .sentence = "GGA", .field = 4, .type = SERIAL_LONGITUDE, .convert.scale = 1},
                 {.tag = "c", .sentence = "GGA", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
                 {.tag = "d", .sentence = "RMC", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
                 {.tag = "e", .sentence = "GGA", .field = 9, .convert.scale = 1},
                 {.tag = "f", .sentence = "ZDA", .field = 1, .type = SERIAL_TIME, .convert.scale = 1}},
        scale_readings[] = {{.tag = "weight", .unit = "kg", .convert.scale = 1},
                            {.tag = "tare", .convert.scale = 2},
                            {.tag = "net", .convert.scale = 1},
                            {.tag = "motion", .convert.scale = 1},
                            {.tag = "unit", .type = SERIAL_TEXT, .convert.scale = 1}},
        telegram_readings[] =
                {{.tag = "1-0:1.8.1", .field = -1, .convert.scale = 1},
                 {.tag = "a", .value = "0-1:24.2.1", .field = 2, .type = SERIAL_NUMBER, .convert.scale = 1},
                 {.tag = "b", .value = "0-1:24.2.1", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
                 {.tag = "c", .value = "0-0:96.13.0", .field = -1, .type = SERIAL_TEXT, .convert.scale = 1}},
        frame_readings[] = {{.tag = "a", .where = 1, .type = SERIAL_FLOAT32, .convert.scale = 1},
                            {.tag = "b", .where = 2, .type = SERIAL_INT64, .convert.scale = 1},
                            {.tag = "c", .where = 3, .type = SERIAL_UINT64, .order = 1, .convert.scale = 0.1},
                            {.tag = "d", .where = 4, .type = SERIAL_TEXT, .length = 3, .convert.scale = 1},
                            {.tag = "e", .where = 0, .type = SERIAL_BIT, .bit = 7, .convert.scale = 1}};

#define LIST(a)                                                  \
        {                                                        \
                (void *)(uintptr_t)(a), sizeof(a) / sizeof(*(a)) \
        }

static const char *const bad_words[] = {"OL", "-"};

static struct serial_conf conf_of(const char *head)
{
        struct serial_conf c = {.max_frame = 64, .match = head + (*head != '\0'), .readings = LIST(line_readings)};

        if (*head == 's')
                c.delimiter = "";
        c.quality =
                (struct serial_quality_conf){.value = strstr(c.match, "(?<q>") ? "q" : NULL, .bad = LIST(bad_words)};
        if (*head == 'c') {
                int how = (unsigned char)head[1];

                c.delimiter = how & 1 ? "\\x03" : NULL;
                c.checksum = (struct serial_line_sum_conf){.kind = how % N_SERIAL_CHECKS,
                                                           .form = how % 3,
                                                           .start = how & 2 ? "<" : NULL,
                                                           .mark = how & 4 ? "*" : NULL,
                                                           .behind_end = how & 8,
                                                           .with_start = how & 16,
                                                           .with_end = how & 8,
                                                           .with_mark = how & 32};
                c.match = "^(?<a>.)(?<b>.*)";
        }
        if (*head == 't') {
                c.frame = SERIAL_TOLEDO;
                c.checksum.kind = head[1] == 's' ? SERIAL_CHECK_SUM7_TWOS : SERIAL_CHECK_NONE;
                c.readings = (struct schema_list)LIST(scale_readings);
        }
        if (*head == 'p') {
                c.frame = SERIAL_P1;
                c.max_frame = 1024;
                c.time = head[1] == 't' ? SERIAL_TIME_TELEGRAM : SERIAL_TIME_ARRIVAL;
                c.readings = (struct schema_list)LIST(telegram_readings);
        }
        if (*head == 'n') {
                c.frame = SERIAL_NMEA0183;
                c.time = SERIAL_TIME_SENTENCE;
                c.readings = (struct schema_list)LIST(sentence_readings);
        }
        if (*head == 'b') {
                size_t len = strlen(head);
                int at[6] = {0};

                for (size_t i = 0; i < 6 && i + 1 < len; i++)
                        at[i] = (unsigned char)head[i + 1] & 7;
                c.frame = SERIAL_BINARY;
                c.binary = (struct serial_binary_conf){.start = at[0] ? "41 42" : "",
                                                       .end = at[0] & 2 ? "03" : NULL,
                                                       .length = at[1] ? -1 : 8,
                                                       .length_at = at[1] ? at[1] : -1,
                                                       .length_size = 1 + (at[2] & 3),
                                                       .length_adds = at[3] * 3 - 4,
                                                       .length_order = at[4] & 1,
                                                       .checksum_order = at[4] % 3,
                                                       .checksum = at[5] % 7,
                                                       .checksum_form = at[4] >> 1,
                                                       .checksum_behind = at[3] & 1,
                                                       .checksum_from = at[2]};
                c.readings = (struct schema_list)LIST(frame_readings);
        }
        return c;
}

static void check_reading(const struct reading *r)
{
        BUG_ON(r->quality >= N_QUALITIES);
        BUG_ON(quality_is_bad(r->quality) != (r->type == READING_NONE));
        BUG_ON(r->type == READING_F64 && !isfinite(r->v.f64));
        BUG_ON(r->type == READING_TEXT && (!r->len || !text_is_utf8(r->v.text, r->len)));
        BUG_ON(r->arrival_us != now_us || r->ts_us > now_us + 60000000);
        BUG_ON(!(r->flags & READING_SOURCE_TIME) && r->ts_us != now_us);
}

static void check_frame(struct serial_decoder *d, const struct serial_frame *f)
{
        static struct serial_decoded out;
        uint8_t *copy = malloc(f->len + (f->len == 0)); /* so that a read behind the end is seen */

        if (f->len)
                memcpy(copy, f->bytes, f->len);
        if (serial_decode(d, copy, f->len, now_us, &out) == SERIAL_E_MALFORMED)
                BUG_ON(!out.reason || out.n);
        for (size_t i = 0; i < out.n; i++)
                check_reading(&out.r[i]);
        free(copy);
}

/* Takes all that is there; returns a print of it. */
static uint64_t drain(struct serial_framer *f, struct serial_decoder *d, bool silence, uint64_t print)
{
        struct serial_frame frame;
        enum serial_found found;

        while ((found = silence ? serial_frame_flush(f, &frame) : serial_frame_next(f, &frame)) != SERIAL_MORE) {
                /* a telegram's ! and what stands for its CRC; a line's end, and the sum that is waited for behind it */
                BUG_ON(frame.len > f->max_frame + (f->kind == SERIAL_LINE ? f->n_mark + f->n_sum : 6));
                BUG_ON((found == SERIAL_BROKEN) != (frame.reason != NULL));
                print = text_hash(frame.bytes, frame.len, print * 31 + found);
                if (found == SERIAL_FRAME && d)
                        check_frame(d, &frame);
        }
        return print;
}

static uint64_t run(const struct serial_conf *c, struct serial_decoder *d, const uint8_t *data, size_t size,
                    size_t piece)
{
        struct serial_framer f;
        uint64_t print = 0;

        serial_framer_init(&f, c);
        while (size) {
                uint8_t *to;
                size_t n = serial_framer_room(&f, &to);

                BUG_ON(n == 0);
                n = n < piece ? n : piece;
                n = n < size ? n : size;
                memcpy(to, data, n);
                serial_framer_push(&f, n);
                data += n;
                size -= n;
                print = drain(&f, d, false, print);
        }
        print = drain(&f, d, true, print);
        BUG_ON(!serial_framer_empty(&f));
        serial_framer_fini(&f);
        return print;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char head[HEAD_MAX + 1] = "";
        struct serial_decoder d;
        struct serial_conf c;
        const char *key;
        struct err e;
        size_t n = 0;
        uint64_t whole;

        while (n < size && n < HEAD_MAX && data[n] != '\n' && data[n])
                n++;
        memcpy(head, data, n);
        n += n < size;
        c = conf_of(head);
        if (serial_decoder_init(&d, &c, &key, &e) == 0) {
                whole = run(&c, &d, data + n, size - n, SIZE_MAX);
                BUG_ON(run(&c, NULL, data + n, size - n, 1) != whole);
                BUG_ON(run(&c, NULL, data + n, size - n, 7) != whole);
        }
        serial_decoder_fini(&d);
        return 0;
}
