/*
 * sparkplug_bench: what decoding Sparkplug B costs: births and data of many metrics, by alias and by name.
 *
 * Prints nanoseconds of CPU per message and per metric, the best of five rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/err.h"
#include "drivers/sparkplug/sparkplug.h"
#include "sparkplug_b.pb-c.h"

enum { ROUNDS = 5, MOST = 1000, WORK = 2000000 };

#define NBIRTH "spBv1.0/plant/NBIRTH/edge-3"
#define NDATA  "spBv1.0/plant/NDATA/edge-3"

static const struct rt_time now = {.mono_us = 1, .wall_us = 1795428000000000};
static uint8_t bytes[200000];
static size_t len;

static double cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void pack(int n, bool names, bool aliases, bool types)
{
        static char name[MOST][32];
        static Spb__Metric metric[MOST], *metrics[MOST];
        Spb__Payload p = SPB__PAYLOAD__INIT;

        for (int i = 0; i < n; i++) {
                metrics[i] = &metric[i];
                metric[i] = (Spb__Metric)SPB__METRIC__INIT;
                metric[i].has_name = names;
                metric[i].name.data = (uint8_t *)name[i];
                metric[i].name.len = (size_t)snprintf(name[i], sizeof(name[i]), "Line 1/Station %d/Temp", i);
                metric[i].has_alias = aliases;
                metric[i].alias = (uint64_t)i;
                metric[i].has_datatype = types;
                metric[i].datatype = 10;
                metric[i].has_timestamp = true;
                metric[i].timestamp = 1795427999000;
                metric[i].value_case = SPB__METRIC__VALUE_DOUBLE_VALUE;
                metric[i].double_value = i * 1.5;
        }
        p.n_metrics = (size_t)n;
        p.metrics = metrics;
        len = spb__payload__pack(&p, bytes);
}

static void measure(struct sparkplug *s, const char *what, const char *topic, int n)
{
        struct sparkplug_result *out = mem_alloc(sizeof(*out));
        double best = 1e18;

        for (int round = 0; round < ROUNDS; round++) {
                int messages = WORK / ROUNDS / n;
                double start = cpu_ns(), took;

                for (int i = 0; i < messages; i++) {
                        sparkplug_take(s, topic, bytes, len, &now, out);
                        BUG_ON(out->n != (size_t)n || out->reason);
                }
                took = (cpu_ns() - start) / messages;
                best = took < best ? took : best;
        }
        printf("%-28s %4d metrics, %6zu bytes: %8.0f ns a message, %4.0f ns a metric\n", what, n, len, best, best / n);
        free(out);
}

int main(void)
{
        static const int sizes[] = {1, 20, MOST};
        struct tags *tags = tags_new(2 * MOST);
        struct sparkplug *s = sparkplug_new(tags, "bench");

        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                pack(sizes[i], true, true, true);
                measure(s, "birth", NBIRTH, sizes[i]);
                pack(sizes[i], false, true, false);
                measure(s, "data by alias", NDATA, sizes[i]);
                pack(sizes[i], true, false, false);
                measure(s, "data by name", NDATA, sizes[i]);
        }
        sparkplug_free(s);
        tags_free(tags);
        return 0;
}
