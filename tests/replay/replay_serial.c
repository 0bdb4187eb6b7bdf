/*
 * replay_serial: the log of a receiver through framer and decoder.  What comes out must be what serial-expect, which
 * shares no code with this, has found.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"
#include "replay.h"

static const struct serial_reading_conf nmea_readings[] = {
        {.tag = "lat", .sentence = "GGA", .field = 2, .type = SERIAL_LATITUDE, .convert.scale = 1},
        {.tag = "lon", .sentence = "GGA", .field = 4, .type = SERIAL_LONGITUDE, .convert.scale = 1},
        {.tag = "fix", .sentence = "GGA", .field = 6, .type = SERIAL_NUMBER, .convert.scale = 1},
        {.tag = "satellites", .sentence = "GGA", .field = 7, .type = SERIAL_NUMBER, .convert.scale = 1},
        {.tag = "altitude", .sentence = "GGA", .field = 9, .type = SERIAL_NUMBER, .convert.scale = 1},
        {.tag = "speed", .sentence = "RMC", .field = 7, .type = SERIAL_NUMBER, .convert.scale = 1},
        {.tag = "clock", .sentence = "GLL", .field = 5, .type = SERIAL_TIME, .convert.scale = 1},
        {.tag = "time", .sentence = "RMC", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
        {.tag = "zda", .sentence = "ZDA", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
        {.tag = "pdop", .sentence = "GSA", .field = 15, .type = SERIAL_NUMBER, .convert.scale = 1},
        {.tag = "mode", .sentence = "GSA", .field = 1, .type = SERIAL_TEXT, .convert.scale = 1},
        {.tag = "note", .sentence = "TXT", .field = 4, .type = SERIAL_TEXT, .convert.scale = 1},
};
static const struct serial_reading_conf sirf_readings[] = {
        {.tag = "id", .where = 4, .type = SERIAL_UINT8, .convert.scale = 1},
        {.tag = "x", .where = 5, .type = SERIAL_INT32, .convert.scale = 1},
        {.tag = "low", .where = 17, .type = SERIAL_INT16, .order = SERIAL_LITTLE, .convert.scale = 0.125},
};
static const struct serial_reading_conf json_readings[] = {
        {.tag = "class", .type = SERIAL_AUTO, .convert.scale = 1},
        {.tag = "last", .type = SERIAL_AUTO, .convert.scale = 1},
};

#define LIST(a)                                                  \
        {                                                        \
                (void *)(uintptr_t)(a), sizeof(a) / sizeof(*(a)) \
        }
static const struct {
        const char *logs[3]; /* NULL: all others */
        struct serial_conf conf;
} kinds[] = {
        {{"bu303-moving", "sirfstarv"},
         {.frame = SERIAL_BINARY,
          .max_frame = 2048,
          .readings = LIST(sirf_readings),
          .binary = {.start = "A0 A2",
                     .end = "B0 B3",
                     .length = -1,
                     .length_at = 2,
                     .length_size = 2,
                     .length_adds = 8,
                     .checksum = SERIAL_CHECK_SUM16,
                     .checksum_from = 4}}},
        {{"passthrough"},
         {.frame = SERIAL_LINE,
          .max_frame = 1024,
          .match = "^\\{\"class\":\"(?<class>[A-Z]+)\",.*:\"(?<last>.*)\"\\}$",
          .readings = LIST(json_readings)}},
        {{NULL}, {.frame = SERIAL_NMEA0183, .max_frame = 1024, .readings = LIST(nmea_readings)}},
};

static void print_reading(FILE *out, const char *tag, const struct reading *r)
{
        char number[TEXT_DOUBLE_MAX];

        fprintf(out, "%s ", tag);
        if (r->type == READING_F64)
                fprintf(out, "%.*s ", (int)text_put_double(number, r->v.f64), number);
        else if (r->type == READING_TEXT)
                fprintf(out, "%.*s ", (int)r->len, r->v.text);
        fprintf(out, "%s\n", quality_name(r->quality));
}

static void print_frame(FILE *out, const struct serial_conf *conf, struct serial_decoder *d,
                        const struct serial_frame *f)
{
        static struct serial_decoded decoded;
        const struct serial_reading_conf *c = conf->readings.items;

        if (serial_decode(d, f->bytes, f->len, 1795428000000000, &decoded) != 0) {
                fprintf(out, "broken\n");
                return;
        }
        if (conf->frame == SERIAL_NMEA0183)
                fprintf(out, "frame %.*s\n", (int)strcspn((const char *)f->bytes, ",*"), (const char *)f->bytes);
        else
                fprintf(out, "frame %zu\n", f->len);
        for (size_t i = 0; i < decoded.n; i++)
                print_reading(out, c[decoded.value[i]].tag, &decoded.r[i]);
}

static const struct serial_conf *conf_of(const char *log)
{
        for (size_t i = 0;; i++)
                for (const char *const *l = kinds[i].logs; l == kinds[i].logs || *l; l++)
                        if (!*l || strcmp(*l, log) == 0)
                                return &kinds[i].conf;
}

static long drain(struct serial_framer *f, const struct serial_conf *conf, struct serial_decoder *d, FILE *out)
{
        struct serial_frame frame;
        enum serial_found found;
        long n = 0;

        for (; (found = serial_frame_next(f, &frame)) != SERIAL_MORE; n++) {
                if (found == SERIAL_FRAME)
                        print_frame(out, conf, d, &frame);
                else
                        fprintf(out, "broken\n");
        }
        return n;
}

static long run(const struct replay_input *in, FILE *out)
{
        const struct serial_conf *conf = conf_of(in->name);
        struct serial_decoder d;
        struct serial_framer f;
        const char *key;
        struct err e;
        long n_frames = 0;

        replay_check(serial_decoder_init(&d, conf, &key, &e) == 0, "its kind is wrong");
        serial_framer_init(&f, conf);
        for (size_t at = 0; at < in->len;) {
                uint8_t *to;
                size_t n = serial_framer_room(&f, &to);

                n = n < in->piece ? n : in->piece;
                n = n < in->len - at ? n : in->len - at;
                memcpy(to, in->bytes + at, n);
                serial_framer_push(&f, n);
                at += n;
                n_frames += drain(&f, conf, &d, out);
        }
        serial_framer_fini(&f);
        serial_decoder_fini(&d);
        return n_frames;
}

const struct replay replay_serial = {.run = run, .in_pieces = true, .expected_by = "serial-expect"};
