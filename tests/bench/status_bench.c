/*
 * status_bench: what a status costs on a large gateway, and the look that
 * judges its health each second: 1,000 devices behind 5 buses, 50,000 tags.
 *
 * status_bench [DOWN]: so many devices are down (100).  Prints microseconds of
 * the processor, the least of 200 calls, and the object's size.  For
 * instructions: valgrind --tool=callgrind --toggle-collect=status_json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/base/rt_sim.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/temp_dir.h"

enum { BUSES = 5, DEVICES = 200, TAGS = 50, CALLS = 200 };

static struct driver *made[BUSES];
static int n_made;

static int bus_init(struct driver *d, struct err *e)
{
        d->is_bus = true;
        made[n_made++] = d;
        return 0;
}

static void bus_start(struct driver *d)
{
        d->host->link_up(d);
}

static void bus_pause(struct driver *d, bool on)
{
}

static void bus_end(struct driver *d)
{
}

static void name_of(char out[32], const void *conf, int device)
{
        snprintf(out, 32, "%s-meter-%d", (const char *)conf, device);
}

static void bus_names(const void *conf, struct driver_names *to)
{
        char source[32], tag[32];

        for (int i = 0; i < DEVICES; i++) {
                name_of(source, conf, i);
                for (int k = 0; k < TAGS; k++) {
                        snprintf(tag, sizeof(tag), "register-%d", k);
                        to->each(to, source, tag, conf);
                }
        }
}

static const struct driver_ops bus = {.kind = "bus",
                                      .names = bus_names,
                                      .has_devices = true,
                                      .init = bus_init,
                                      .start = bus_start,
                                      .pause = bus_pause,
                                      .stop = bus_end,
                                      .fini = bus_end};

static double cpu_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void add_tags(struct tags *tags)
{
        char source[32], name[32];
        uint32_t tag;

        for (int b = 0; b < BUSES; b++)
                for (int i = 0; i < DEVICES * TAGS; i++) {
                        name_of(source, made[b]->conf, i / TAGS);
                        snprintf(name, sizeof(name), "register-%d", i % TAGS);
                        tags_configure(tags, source, name, "V", "", made[b]->name, &tag);
                }
}

static size_t measure(struct agent *a, double *status_us, double *look_us)
{
        size_t len = 0;

        *status_us = *look_us = 1e12;
        for (int i = 0; i < CALLS; i++) {
                double begin = cpu_us(), middle;
                char *text = status_json(a);

                middle = cpu_us();
                conditions_look(a);
                *status_us = middle - begin < *status_us ? middle - begin : *status_us;
                *look_us = cpu_us() - middle < *look_us ? cpu_us() - middle : *look_us;
                len = strlen(text);
                free(text);
        }
        return len;
}

int main(int argc, char **argv)
{
        static const char *const names[BUSES] = {"line-1", "line-2", "line-3", "line-4", "line-5"};
        int n_down = argc > 1 ? atoi(argv[1]) : 100;
        struct config_driver drivers[BUSES];
        struct temp_dir dir;
        struct fake_sink kafka;
        struct rt_sim sim;
        struct agent a;
        struct err e;
        char path[TEMP_PATH_MAX], source[32];
        double status_us, look_us;
        size_t len;

        temp_dir_init(&dir, "status-bench");
        rt_sim_init(&sim, 1, INT64_C(1795428000000000));
        fake_sink_init(&kafka, &sim.rt);
        for (int i = 0; i < BUSES; i++)
                drivers[i] = (struct config_driver){&bus, names[i], names[i]};
        struct config conf = {.gateway = "gw-7",
                              .spool = {.path = temp_dir_path(&dir, "spool.db", path),
                                        .max_size_bytes = 64 << 20,
                                        .commit_interval_us = 1000000,
                                        .batch_rows = 1000,
                                        .batch_bytes = 1 << 20,
                                        .quarantine_bytes = 1 << 16},
                              .kafka = {.window_records = 100, .window_bytes = 1 << 20},
                              .drivers = drivers,
                              .n_drivers = BUSES,
                              .max_tags = 100000};
        if (agent_open(&a, &sim.rt, &conf, &kafka.sink, &e) < 0)
                return fprintf(stderr, "%s\n", e.text), 1;
        add_tags(a.tags);
        agent_start(&a);
        rt_sim_run(&sim, 1000000, NULL, NULL);
        for (int i = 0; i < n_down; i++) {
                struct driver *d = made[i % BUSES];

                name_of(source, d->conf, i / BUSES);
                d->host->device_event(d, source, "down", "no answer");
        }
        len = measure(&a, &status_us, &look_us);
        printf("status %.0f us, %zu bytes; a look %.1f us\n", status_us, len, look_us);
        agent_abandon(&a);
        fake_sink_fini(&kafka);
        rt_sim_fini(&sim);
        temp_dir_fini(&dir);
        return 0;
}
