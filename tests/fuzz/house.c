/*
 * house: see house.h.
 *
 * Whatever is in the files, and whatever a client asks for: a record of a
 * reading or an event is one JSON object that a strict parser takes, with the
 * gateway's name, its epoch and a seq, and a reading's value is of one type.
 * From damaged files it is one JSON object.
 * How it fails: what can't be made, or does not hold, ends the program.
 */
#include "tests/fuzz/house.h"

#include <dirent.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/again.h"
#include "agent/base/log.h"
#include "agent/control/alarms.h"
#include "agent/control/metrics.h"
#include "tests/fuzz/heap.h"

enum { POLLS_MAX = 10000, STOP_US = 5000000, OFF_THE_SECOND_US = 100000 };

#define WALL_US INT64_C(1795428000000000)

const char *const house_suffixes[HOUSE_FILES] = {"", "-wal", ".epoch", ".lock", ".damaged"};

/* ---- an agent that begins anew on purpose (agent/again.c) ---- */

static struct house *the_house;

noreturn void __wrap_again_now(bool stopping);

void __wrap_again_now(bool stopping)
{
        longjmp(the_house->ended, 1);
}

/* ---- what Kafka gets ---- */

static bool is_u64(const json_t *o, const char *key)
{
        const json_t *v = json_object_get(o, key);

        return json_is_integer(v) && json_integer_value(v) >= 0;
}

static void check_value(const json_t *o)
{
        static const char *const keys[] = {"value", "value_int", "value_bool", "value_str"};
        const json_t *v[4];
        int n = 0;

        for (int i = 0; i < 4; i++) {
                v[i] = json_object_get(o, keys[i]);
                n += v[i] != NULL;
        }
        BUG_ON(n > 1);
        BUG_ON(v[0] && !json_is_real(v[0]));
        BUG_ON(v[1] && !json_is_integer(v[1]));
        BUG_ON(v[2] && !json_is_boolean(v[2]));
        BUG_ON(v[3] && !json_is_string(v[3]));
        BUG_ON(!json_is_string(json_object_get(o, "quality")));
}

static void check_json(const char *text, size_t len, const struct house *h, bool reading)
{
        json_error_t wrong;
        json_t *o = json_loadb(text, len, (h->damaged ? 0 : JSON_REJECT_DUPLICATES) | JSON_ALLOW_NUL, &wrong);
        const char *gateway = json_string_value(json_object_get(o, "gateway"));

        BUG_ON(!json_is_object(o) || memchr(text, '\n', len));
        if (h->damaged) { /* members may hide others */
                json_decref(o);
                return;
        }
        BUG_ON(!gateway || strcmp(gateway, h->conf->gateway) != 0);
        BUG_ON(!is_u64(o, "seq") || !is_u64(o, "epoch") || !json_is_integer(json_object_get(o, "ts_us")));
        if (reading)
                check_value(o);
        json_decref(o);
}

static int on_produce(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *r)
{
        struct house *h = list_entry(k, struct house, kafka);

        h->n_records++;
        if (rec->topic == SINK_STATUS)
                return 0;
        if (rec->headers)
                check_json(rec->headers, rec->headers_len, h, true);
        else
                check_json(rec->value, rec->value_len, h, rec->topic != SINK_EVENTS);
        return 0;
}

/* ---- what people get ---- */

void house_check_status(struct house *h)
{
        char *text = status_json(&h->agent), *page;
        json_error_t wrong;
        json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);

        BUG_ON(!json_is_object(o));
        page = metrics_text(o);
        BUG_ON(!page || !*page);
        json_decref(o);
        free(page);
        free(text);
        o = alarms_ctl_list(h->agent.alarms, true);
        text = json_dumps(o, JSON_COMPACT);
        BUG_ON(!text);
        json_decref(o);
        free(text);
}

/* ---- watches ---- */

static void on_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        struct house *h = list_entry(rt, struct house, sim.rt);
        int at = 0;

        while (at < HOUSE_WATCHES && h->watch[at] != w)
                at++;
        for (int i = 0; at == HOUSE_WATCHES && i < HOUSE_WATCHES; i++)
                if (!h->watch[i])
                        at = i;
        BUG_ON(at == HOUSE_WATCHES);
        h->watch[at] = events ? w : NULL;
        h->sim_ops->watch(rt, w, events);
}

void house_poll(struct house *h)
{
        bool any = true;

        for (int round = 0; any && round < POLLS_MAX; round++) {
                any = false;
                for (int i = 0; i < HOUSE_WATCHES; i++) {
                        struct rt_watch *w = h->watch[i];
                        unsigned wanted = w ? (unsigned)(uintptr_t)w->impl : 0;
                        struct pollfd p = {
                                .events = (short)((wanted & RT_READ ? POLLIN : 0) | (wanted & RT_WRITE ? POLLOUT : 0))};

                        p.fd = w ? w->fd : -1;
                        if (!w || poll(&p, 1, 0) <= 0)
                                continue;
                        any = true;
                        rt_sim_fire(&h->sim, w,
                                    p.revents & POLLOUT && !(p.revents & POLLIN) ? RT_WRITE : wanted & RT_READ);
                }
        }
}

/* ---- the agent ---- */

void house_init(struct house *h, const char *name, const char *sections)
{
        struct faults faults = {0};
        char text[4096];
        int n;

        log_init((enum log_level)0);
        heap_use();
        the_house = h;
        temp_dir_init_in_memory(&h->dir, name);
        temp_dir_path(&h->dir, "spool.db", h->path);
        n = snprintf(text, sizeof(text),
                     "gateway: gw-7\n"
                     "spool: {path: %s, max_size: 4MiB, quarantine_size: 64KiB}\n"
                     "kafka: {brokers: [\"127.0.0.1:9\"], window_records: 100}\n"
                     "limits: {max_tags: 50}\n"
                     "%s",
                     h->path, sections);
        BUG_ON(n >= (int)sizeof(text));
        if (config_load_text(name, text, (size_t)n, &h->conf, &faults) < 0)
                faults_print(&faults, stderr);
        BUG_ON(!h->conf);
        faults_fini(&faults);
}

static void end(struct house *h)
{
        fake_sink_fini(&h->kafka);
        rt_sim_fini(&h->sim);
        h->is_open = false;
}

int house_open(struct house *h, struct err *e)
{
        rt_sim_init(&h->sim, 1, WALL_US);
        h->sim_ops = h->sim.rt.ops;
        h->ops = *h->sim_ops;
        h->ops.watch = on_watch;
        h->sim.rt.ops = &h->ops;
        memset(h->watch, 0, sizeof(h->watch));
        fake_sink_init(&h->kafka, &h->sim.rt);
        h->kafka.on_produce = on_produce;
        if (setjmp(h->ended)) {
                end(h);
                return err_set(e, "it begins anew");
        }
        h->is_open = agent_open(&h->agent, &h->sim.rt, h->conf, &h->kafka.sink, e) == 0;
        if (h->is_open) {
                agent_start(&h->agent);
                house_run_for(h, OFF_THE_SECOND_US); /* so that at the end nothing of each second is under way */
                return 0;
        }
        fake_sink_fini(&h->kafka);
        rt_sim_fini(&h->sim);
        return -1;
}

void house_run_for(struct house *h, int64_t us)
{
        rt_sim_run(&h->sim, h->sim.now.mono_us + us, NULL, NULL);
}

static void on_stopped(void *ctx)
{
        *(bool *)ctx = true;
}

void house_close(struct house *h)
{
        bool stopped = false;

        agent_stop(&h->agent, h->kafka.away ? 0 : STOP_US, on_stopped, &stopped);
        for (int i = 0; !stopped && i < 20; i++)
                house_run_for(h, 1000000);
        BUG_ON(!stopped);
        agent_close(&h->agent);
        end(h);
}

void house_leave(struct house *h)
{
        agent_abandon(&h->agent);
        end(h);
}

/* ---- files ---- */

void house_path(const struct house *h, int file, char path[static TEMP_PATH_MAX])
{
        temp_dir_beside(h->path, house_suffixes[file], path);
}

static char *read_whole(const char *path, size_t *len)
{
        FILE *f = fopen(path, "re");
        char *bytes;

        *len = 0;
        if (!f)
                return NULL;
        BUG_ON(fseek(f, 0, SEEK_END) != 0);
        *len = (size_t)ftell(f);
        rewind(f);
        bytes = mem_alloc(*len + 1);
        BUG_ON(fread(bytes, 1, *len, f) != *len);
        fclose(f);
        return bytes;
}

void house_keep(const struct house *h, struct house_files *f)
{
        char path[TEMP_PATH_MAX];

        for (int i = 0; i < HOUSE_FILES; i++) {
                house_path(h, i, path);
                f->bytes[i] = read_whole(path, &f->len[i]);
        }
}

static void empty(const struct house *h)
{
        DIR *d = opendir(h->dir.path);
        struct dirent *entry;

        BUG_ON(!d);
        while ((entry = readdir(d)))
                if (entry->d_name[0] != '.')
                        unlinkat(dirfd(d), entry->d_name, 0);
        closedir(d);
}

void house_put(struct house *h, const struct house_files *f)
{
        char path[TEMP_PATH_MAX];

        empty(h);
        for (int i = 0; i < HOUSE_FILES; i++) {
                FILE *out;

                if (!f->bytes[i])
                        continue;
                house_path(h, i, path);
                out = fopen(path, "we");
                BUG_ON(!out || fwrite(f->bytes[i], 1, f->len[i], out) != f->len[i] || fclose(out) != 0);
        }
}
