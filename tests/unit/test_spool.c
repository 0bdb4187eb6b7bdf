/*
 * test_spool: the spool against a real file, in virtual time.
 */
#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/rt_sim.h"
#include "agent/base/text.h"
#include "store/spool.h"

#define WALL_US 1795428000000000

struct house {
        struct rt_sim sim;
        char dir[64], path[96];
        struct spool_conf conf;
        struct tags *tags;
        struct spool *spool;
        struct spool_upcalls up;
        int n_room, n_committed, n_high, n_low, n_fault, n_works;
        uint64_t dropped;
        uint64_t most_bytes; /* of the files, seen at any commit's end */
};

static uint64_t file_bytes(const char *path)
{
        static const char *const suffix[] = {"", "-wal", "-shm"};
        uint64_t sum = 0;
        char name[128];
        struct stat st;

        for (int i = 0; i < 3; i++) {
                snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
                if (stat(name, &st) == 0)
                        sum += (uint64_t)st.st_size;
        }
        return sum;
}

static void on_room(void *ctx)
{
        ((struct house *)ctx)->n_room++;
}

static void on_committed(void *ctx)
{
        ((struct house *)ctx)->n_committed++;
}

static void on_pressure(void *ctx, bool high)
{
        struct house *h = ctx;

        (*(high ? &h->n_high : &h->n_low))++;
}

static void on_fault(void *ctx, const char *what)
{
        struct house *h = ctx;

        (*(what ? &h->n_fault : &h->n_works))++;
}

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        assert_int_equal(n, last_seq - first_seq + 1);
        ((struct house *)ctx)->dropped += n;
}

static void open_spool(struct house *h)
{
        struct err e = {{0}};

        h->tags = tags_new(1000);
        if (spool_open(&h->spool, &h->sim.rt, &h->conf, "gw-7", h->tags, &h->up, &e) < 0)
                fail_msg("%s", e.text);
}

static void leave(struct house *h)
{
        tags_free(h->tags);
        h->tags = NULL;
        h->spool = NULL;
}

static void close_spool(struct house *h)
{
        rt_sim_cut(&h->sim);
        assert_true(spool_close(h->spool));
        leave(h);
}

static void cut_power(struct house *h)
{
        rt_sim_cut(&h->sim);
        spool_abandon(h->spool);
        leave(h);
}

static void run_for(struct house *h, int64_t us)
{
        rt_sim_run(&h->sim, h->sim.now.mono_us + us, NULL, NULL);
}

static int setup(void **state)
{
        struct house *h = calloc(1, sizeof(*h));

        strcpy(h->dir, "/tmp/test_spool_XXXXXX");
        assert_non_null(mkdtemp(h->dir));
        snprintf(h->path, sizeof(h->path), "%s/spool.db", h->dir);
        rt_sim_init(&h->sim, 7, WALL_US);
        h->conf = (struct spool_conf){.path = h->path,
                                      .max_size_bytes = 64 << 20,
                                      .commit_interval_us = 1000000,
                                      .keep_delivered_us = 3600000000,
                                      .batch_rows = 2000,
                                      .batch_bytes = 1 << 20,
                                      .quarantine_bytes = 1 << 20};
        h->up = (struct spool_upcalls){.on_room = on_room,
                                       .on_committed = on_committed,
                                       .on_pressure = on_pressure,
                                       .on_fault = on_fault,
                                       .on_dropped = on_dropped,
                                       .ctx = h};
        open_spool(h);
        *state = h;
        return 0;
}

static int teardown(void **state)
{
        struct house *h = *state;
        struct dirent *d;
        char name[400];
        DIR *dir;

        if (h->spool)
                close_spool(h);
        rt_sim_release(&h->sim);
        dir = opendir(h->dir);
        while ((d = readdir(dir)))
                if (d->d_name[0] != '.') {
                        snprintf(name, sizeof(name), "%s/%s", h->dir, d->d_name);
                        unlink(name);
                }
        closedir(dir);
        rmdir(h->dir);
        free(h);
        return 0;
}

static struct reading reading(struct house *h, const char *source, double v)
{
        struct reading r = {.ts_us = h->sim.now.wall_us, .arrival_us = h->sim.now.wall_us, .type = READING_F64};

        assert_int_equal(tags_intern(h->tags, source, "temp", "degC", "", "plant", &r.tag), 0);
        r.v.f64 = v;
        return r;
}

static int put(struct house *h, const char *source, double v)
{
        struct reading r = reading(h, source, v);

        return spool_append(h->spool, &r);
}

/* Asks the file itself, past everything the spool keeps in memory. */
static int64_t ask(struct house *h, const char *sql)
{
        sqlite3 *c;
        sqlite3_stmt *st;
        int64_t v;

        assert_int_equal(sqlite3_open_v2(h->path, &c, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(c, sql, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        v = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        sqlite3_close(c);
        return v;
}

static void check_counts(struct house *h, uint64_t accepted, uint64_t delivered, uint64_t held, uint64_t dropped)
{
        struct spool_counts c;

        spool_counts(h->spool, &c);
        assert_int_equal(c.accepted, accepted);
        assert_int_equal(c.delivered, delivered);
        assert_int_equal(c.held, held);
        assert_int_equal(c.dropped, dropped);
        assert_int_equal(ask(h, "SELECT count(*) FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE lane = "
                                "'samples')"),
                         held);
        assert_int_equal(ask(h, "SELECT coalesce(sum(n), 0) FROM dropped WHERE lane = 'samples'"), dropped);
}

struct waiter {
        struct spool_sync q;
        int n;
};

static void on_durable(struct spool_sync *q)
{
        list_entry(q, struct waiter, q)->n++;
}

static void commit(struct house *h)
{
        struct waiter w = {.q.on_durable = on_durable};

        list_init(&w.q.node);
        spool_sync(h->spool, &w.q);
        for (int i = 0; i < 1000 && !w.n; i++)
                run_for(h, 1000);
        assert_int_equal(w.n, 1);
        if (file_bytes(h->path) > h->most_bytes)
                h->most_bytes = file_bytes(h->path);
}

static int n_fetched;
static void on_rows(struct spool_fetch *f)
{
        assert_false(f->failed);
        n_fetched++;
}

static void fetch(struct house *h, struct spool_fetch *f, uint64_t after)
{
        int before = n_fetched;

        f->on_rows = on_rows;
        f->after_seq = after;
        spool_fetch(h->spool, f);
        run_for(h, h->sim.work_delay_us + 1);
        assert_int_equal(n_fetched, before + 1);
}

static void an_append_comes_back(void **state)
{
        struct house *h = *state;
        struct spool_fetch f;

        assert_int_equal(put(h, "press-1", 71.5), 0);
        assert_int_equal(spool_appended_seq(h->spool, SPOOL_SAMPLES), 1);
        check_counts(h, 0, 0, 0, 0);
        commit(h);
        check_counts(h, 1, 0, 1, 0);
        spool_fetch_init(&f, SPOOL_SAMPLES, 10, 1000);
        fetch(h, &f, 0);
        assert_int_equal(f.n_rows, 1);
        assert_int_equal(f.rows[0].seq, 1);
        assert_int_equal(f.rows[0].r.type, READING_F64);
        assert_true(f.rows[0].r.v.f64 == 71.5);
        assert_string_equal(tags_get(h->tags, f.rows[0].r.tag)->source, "press-1");
        fetch(h, &f, 1);
        assert_int_equal(f.n_rows, 0);
        spool_ack(h->spool, SPOOL_SAMPLES, 1);
        run_for(h, 2000000);
        check_counts(h, 1, 1, 0, 0);
        spool_fetch_free(&f);
        close_spool(h);
        open_spool(h);
        check_counts(h, 1, 1, 0, 0);
        assert_int_equal(tags_count(h->tags), 1);
        assert_int_equal(put(h, "press-1", 1), 0);
        assert_int_equal(spool_appended_seq(h->spool, SPOOL_SAMPLES), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(an_append_comes_back, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
