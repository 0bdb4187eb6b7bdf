/*
 * serial_replay: the log of a receiver through framer and decoder, three times: whole, in pieces of seven bytes, byte
 * by byte.  What comes out must be what serial-expect, which shares no code with this, has found; each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"

static const struct serial_reading_conf nmea_readings[] = {
        {.tag = "lat", .sentence = "GGA", .field = 2, .type = SERIAL_LATITUDE, .scale = 1},
        {.tag = "lon", .sentence = "GGA", .field = 4, .type = SERIAL_LONGITUDE, .scale = 1},
        {.tag = "fix", .sentence = "GGA", .field = 6, .type = SERIAL_NUMBER, .scale = 1},
        {.tag = "satellites", .sentence = "GGA", .field = 7, .type = SERIAL_NUMBER, .scale = 1},
        {.tag = "altitude", .sentence = "GGA", .field = 9, .type = SERIAL_NUMBER, .scale = 1},
        {.tag = "speed", .sentence = "RMC", .field = 7, .type = SERIAL_NUMBER, .scale = 1},
        {.tag = "clock", .sentence = "GLL", .field = 5, .type = SERIAL_TIME, .scale = 1},
        {.tag = "time", .sentence = "RMC", .field = 1, .type = SERIAL_TIME, .scale = 1},
        {.tag = "zda", .sentence = "ZDA", .field = 1, .type = SERIAL_TIME, .scale = 1},
        {.tag = "pdop", .sentence = "GSA", .field = 15, .type = SERIAL_NUMBER, .scale = 1},
        {.tag = "mode", .sentence = "GSA", .field = 1, .type = SERIAL_TEXT, .scale = 1},
        {.tag = "note", .sentence = "TXT", .field = 4, .type = SERIAL_TEXT, .scale = 1},
};
static const struct serial_reading_conf sirf_readings[] = {
        {.tag = "id", .where = 4, .type = SERIAL_UINT8, .scale = 1},
        {.tag = "x", .where = 5, .type = SERIAL_INT32, .scale = 1},
        {.tag = "low", .where = 17, .type = SERIAL_INT16, .order = SERIAL_LITTLE, .scale = 0.125},
};
static const struct serial_reading_conf json_readings[] = {
        {.tag = "class", .type = SERIAL_AUTO, .scale = 1},
        {.tag = "last", .type = SERIAL_AUTO, .scale = 1},
};

#define LIST(a)                                                  \
        {                                                        \
                (void *)(uintptr_t)(a), sizeof(a) / sizeof(*(a)) \
        }
static const struct {
        const char *name;
        struct serial_conf conf;
} kinds[] = {
        {"nmea", {.frame = SERIAL_NMEA0183, .max_frame = 1024, .readings = LIST(nmea_readings)}},
        {"sirf",
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
        {"json",
         {.frame = SERIAL_LINE,
          .max_frame = 1024,
          .match = "^\\{\"class\":\"(?<class>[A-Z]+)\",.*:\"(?<last>.*)\"\\}$",
          .readings = LIST(json_readings)}},
};

struct text {
        char *p;
        size_t len;
};

static struct text read_file(const char *path)
{
        struct text t = {malloc(1 << 20), 0};
        FILE *in = fopen(path, "rb");

        if (!in || !t.p) {
                perror(path);
                exit(1);
        }
        t.len = fread(t.p, 1, 1 << 20, in);
        fclose(in);
        return t;
}

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

static struct text run(const struct serial_conf *conf, const struct text *log, size_t piece, struct serial_framer *f)
{
        struct text got = {NULL, 0};
        FILE *out = open_memstream(&got.p, &got.len);
        struct serial_decoder d;
        struct serial_frame frame;
        const char *key;
        struct err e;

        if (!out || serial_decoder_init(&d, conf, &key, &e) < 0)
                exit(1);
        serial_framer_init(f, conf);
        for (size_t at = 0; at < log->len;) {
                enum serial_found found;
                uint8_t *to;
                size_t n = serial_framer_room(f, &to);

                n = n < piece ? n : piece;
                n = n < log->len - at ? n : log->len - at;
                memcpy(to, log->p + at, n);
                serial_framer_push(f, n);
                at += n;
                while ((found = serial_frame_next(f, &frame)) != SERIAL_MORE) {
                        if (found == SERIAL_FRAME)
                                print_frame(out, conf, &d, &frame);
                        else
                                fprintf(out, "broken\n");
                }
        }
        serial_framer_fini(f);
        serial_decoder_fini(&d);
        fclose(out);
        return got;
}

/* The first line that differs, for people. */
static int differ(const struct text *got, const struct text *expected, size_t piece)
{
        size_t i = 0, line = 1, from = 0;

        for (; i < got->len && i < expected->len && got->p[i] == expected->p[i]; i++) {
                if (got->p[i] == '\n') {
                        line++;
                        from = i + 1;
                }
        }
        if (i == got->len && i == expected->len)
                return 0;
        printf("pieces of %zu, line %zu: got \"%.*s\", expected \"%.*s\"\n", piece, line,
               (int)strcspn(got->p + from, "\n"), got->p + from, (int)strcspn(expected->p + from, "\n"),
               expected->p + from);
        return 1;
}

int main(int argc, char **argv)
{
        static const size_t pieces[] = {1 << 20, 7, 1};
        const struct serial_conf *conf = NULL;
        struct serial_framer f;
        struct text log, expected;

        for (size_t i = 0; argc == 4 && i < sizeof(kinds) / sizeof(*kinds); i++)
                if (strcmp(argv[1], kinds[i].name) == 0)
                        conf = &kinds[i].conf;
        if (!conf) {
                fprintf(stderr, "usage: serial_replay nmea|sirf|json LOG EXPECTED\n");
                return 2;
        }
        log = read_file(argv[2]);
        expected = read_file(argv[3]);
        expected.p[expected.len] = '\0';
        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
                struct text got = run(conf, &log, pieces[i], &f);

                if (differ(&got, &expected, pieces[i]))
                        return 1;
                free(got.p);
        }
        printf("%llu frames, %llu broken, %llu bytes of %zu were garbage\n", (unsigned long long)f.n_frames,
               (unsigned long long)f.n_broken, (unsigned long long)f.n_garbage_bytes, log.len);
        free(log.p);
        free(expected.p);
        return f.n_frames ? 0 : 1;
}
