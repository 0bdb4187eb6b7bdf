/*
 * together_bench: what `together` costs per reading through the engine, and in
 * memory, by tags of a source and by sources; `deviation` beside it.
 *
 * usage: together_bench [ROWS]
 */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"

static double seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double noise(uint64_t *random)
{
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (double)(int64_t)*random / 0x1p63;
}

static void put_rows(struct rules *r, uint32_t tags, uint32_t of_source, unsigned rows, struct rt_time *now)
{
        uint64_t random = 1;

        for (unsigned n = 0; n < rows; n++) {
                double common = 0;

                for (uint32_t i = 0; i < tags; i++) {
                        struct reading reading = {.ts_us = now->wall_us, .tag = i, .type = READING_F64};

                        common = i % of_source ? common : noise(&random);
                        reading.v.f64 = common + noise(&random);
                        rules_eval(r, &reading, now);
                }
                now->mono_us += 1000000;
                now->wall_us += 1000000;
        }
}

static void run(enum rule_kind kind, uint32_t tags, uint32_t of_source, unsigned rows)
{
        static char names[50000][12];
        struct rule_conf c = {.match = "*/*", .kind = (int)kind, .sigma = NAN, .limit = NAN, .deadband = NAN};
        struct rt_time now = {0, INT64_C(1700000000000000)};
        struct rules_upcalls up = {.on_transition = NULL};
        size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, bytes;
        const char *key;
        struct err e;
        struct rules *r;
        double begun;

        c.hihi = c.hi = c.lo = c.lolo = c.within = c.at_least = c.at_most = NAN;
        BUG_ON(rules_schema.check(&c, &key, &e) != 0);
        r = rules_new(&c, 1, "gw", &up, &now);
        for (uint32_t i = 0; i < tags; i++) {
                snprintf(names[i], sizeof(names[i]), "s%u", i / of_source);
                rules_bind(r, i, names[i], names[i], &now);
        }
        bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        put_rows(r, tags, of_source, 450, &now); /* until it is warm */
        begun = seconds();
        put_rows(r, tags, of_source, rows, &now);
        printf("%-10s %6u tags in sources of %2u: %6.1f ns a reading, %5.1f MB in all, %4zu bytes a tag\n",
               rule_kind_name(kind), tags, of_source, (seconds() - begun) * 1e9 / rows / tags, (double)bytes / 1e6,
               bytes / tags);
        rules_free(r);
}

int main(int argc, char **argv)
{
        unsigned rows = argc > 1 ? (unsigned)atoi(argv[1]) : 400;

        for (int kind = RULE_DEVIATION; kind >= 0; kind = kind == RULE_DEVIATION ? RULE_TOGETHER : -1) {
                run(kind, 8, 8, rows * 100);
                run(kind, 52, 52, rows * 100);
                run(kind, 50000, 8, rows);
                run(kind, 50000, 52, rows);
        }
        return 0;
}
