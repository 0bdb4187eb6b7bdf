/*
 * record_bench: what encoding one reading costs, in ns, by kind of value.  1,000 tags, times 1 ms apart, 4 M records
 * each; or [KIND ROUNDS], KIND being none, integer, tenths, full or text, to count instructions: those of 3M rounds
 * less those of 1M, by 2M.  Not a test: it asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "uplink/record.h"

enum { TAGS = 1000, ROUNDS = 4000000 };

static double now_s(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct kind {
        const char *word, *name;
        struct reading (*make)(uint32_t i);
};

static void run(const struct kind *kind, const struct tag *tag, uint32_t rounds)
{
        struct uplink_identity id = {.gateway = "gw-7", .epoch = 3};
        struct record_encoder enc;
        char buf[4096];
        size_t bytes = 0;
        double from;

        record_encoder_init(&enc, &id);
        from = now_s();
        for (uint32_t i = 0; i < rounds; i++) {
                struct spool_row row = {.seq = 918273 + i, .r = kind->make(i)};

                row.r.tag = i % TAGS;
                row.r.ts_us = row.r.arrival_us = INT64_C(1795428000123456) + 1000 * (int64_t)i;
                bytes += record_encode_sample(&enc, buf, sizeof(buf), &tag[row.r.tag], &row);
        }
        printf("%-24s %6.1f ns per record, %zu bytes\n", kind->name, (now_s() - from) * 1e9 / rounds, bytes / rounds);
        record_encoder_fini(&enc);
}

static struct reading nothing(uint32_t i)
{
        return (struct reading){.type = READING_NONE, .quality = QUALITY_BAD_COMM_FAILURE};
}

static struct reading tenths(uint32_t i)
{
        return (struct reading){.type = READING_F64, .v.f64 = (double)(i % 10000) / 10};
}

static struct reading full_doubles(uint32_t i)
{
        return (struct reading){.type = READING_F64, .v.f64 = (double)(i * 2654435761u) / 3.7};
}

static struct reading integers(uint32_t i)
{
        return (struct reading){.type = READING_I64, .v.i64 = i};
}

static struct reading texts(uint32_t i)
{
        static const char text[] = "batch 4711 released by shift B, operator 12";

        return (struct reading){.type = READING_TEXT, .v.text = text, .len = sizeof(text) - 1};
}

int main(int argc, char **argv)
{
        static const struct kind kinds[] = {{"none", "no value (bad)", nothing},
                                            {"integer", "integer", integers},
                                            {"tenths", "double, one decimal", tenths},
                                            {"full", "double, 17 digits", full_doubles},
                                            {"text", "text, 43 bytes", texts}};
        static struct tag tag[TAGS];
        static char name[TAGS][32], source[TAGS][32];

        for (int i = 0; i < TAGS; i++) {
                snprintf(name[i], sizeof(name[i]), "temp-%d", i % 10);
                snprintf(source[i], sizeof(source[i]), "press-%d", i / 10);
                tag[i] =
                        (struct tag){.source = source[i], .name = name[i], .unit = "degC", .labels = "\"line\":\"l1\""};
        }
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
                if (argc < 3 || !strcmp(argv[1], kinds[i].word))
                        run(&kinds[i], tag, argc < 3 ? ROUNDS : (uint32_t)atol(argv[2]));
        return 0;
}
