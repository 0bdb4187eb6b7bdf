/*
 * record_bench: what encoding one reading costs, in ns, by kind of value.  1,000 tags, times 1 ms apart, 4 M records
 * each. Not a test: it asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "uplink/record.h"

enum { TAGS = 1000, ROUNDS = 4000000 };

static double now_s(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void run(const char *name, const struct tag *tag, struct reading (*make)(uint32_t i))
{
        struct uplink_identity id = {.gateway = "gw-7", .epoch = 3};
        struct record_encoder enc;
        char buf[4096];
        size_t bytes = 0;
        double from;

        record_encoder_init(&enc, &id);
        from = now_s();
        for (uint32_t i = 0; i < ROUNDS; i++) {
                struct spool_row row = {.seq = 918273 + i, .r = make(i)};

                row.r.tag = i % TAGS;
                row.r.ts_us = row.r.arrival_us = INT64_C(1795428000123456) + 1000 * (int64_t)i;
                bytes += record_encode_sample(&enc, buf, sizeof(buf), &tag[row.r.tag], &row);
        }
        printf("%-24s %6.1f ns per record, %zu bytes\n", name, (now_s() - from) * 1e9 / ROUNDS, bytes / ROUNDS);
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

int main(void)
{
        static struct tag tag[TAGS];
        static char name[TAGS][32], source[TAGS][32];

        for (int i = 0; i < TAGS; i++) {
                snprintf(name[i], sizeof(name[i]), "temp-%d", i % 10);
                snprintf(source[i], sizeof(source[i]), "press-%d", i / 10);
                tag[i] =
                        (struct tag){.source = source[i], .name = name[i], .unit = "degC", .labels = "\"line\":\"l1\""};
        }
        run("no value (bad)", tag, nothing);
        run("integer", tag, integers);
        run("double, one decimal", tag, tenths);
        run("double, 17 digits", tag, full_doubles);
        run("text, 43 bytes", tag, texts);
        return 0;
}
