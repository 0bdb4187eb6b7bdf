/*
 * spool_fixture: what the tests of the spool do alike, see the header.  Fails
 * the test.
 */
#include "spool_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store/inspect/verify.h"

static void on_room(void *ctx)
{
        ((struct fixture *)ctx)->n_room++;
}

static void on_committed(void *ctx)
{
        ((struct fixture *)ctx)->n_committed++;
}

static void on_pressure(void *ctx, bool high)
{
        struct fixture *h = ctx;

        (*(high ? &h->n_high : &h->n_low))++;
}

static void on_fault(void *ctx, const char *what)
{
        struct fixture *h = ctx;

        (*(what ? &h->n_fault : &h->n_works))++;
}

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        assert_int_equal(n, last_seq - first_seq + 1);
        ((struct fixture *)ctx)->n_dropped += n;
}

static void init(struct fixture *h, uint64_t seed)
{
        temp_dir_path(&h->dir, "spool.db", h->path);
        rt_sim_init(&h->sim, seed, FIXTURE_WALL_US);
        h->max_tags = 1000;
        h->conf = (struct spool_conf){.path = h->path,
                                      .max_size_bytes = 64 << 20,
                                      .commit_interval_us = 1000000,
                                      .batch_rows = 2000,
                                      .batch_bytes = 1 << 20,
                                      .quarantine_bytes = 1 << 16};
        h->up = (struct spool_upcalls){.on_room = on_room,
                                       .on_committed = on_committed,
                                       .on_pressure = on_pressure,
                                       .on_fault = on_fault,
                                       .on_dropped = on_dropped,
                                       .ctx = h};
}

void fixture_init(struct fixture *h, const char *name, uint64_t seed)
{
        memset(h, 0, sizeof(*h));
        temp_dir_init(&h->dir, name);
        init(h, seed);
}

void fixture_init_in_memory(struct fixture *h, const char *name, uint64_t seed)
{
        memset(h, 0, sizeof(*h));
        temp_dir_init_in_memory(&h->dir, name);
        init(h, seed);
}

void fixture_fini(struct fixture *h)
{
        if (h->spool)
                fixture_cut_power(h);
        spool_fetch_fini(&h->fetch);
        rt_sim_fini(&h->sim);
        temp_dir_fini(&h->dir);
}

bool fixture_try_open(struct fixture *h)
{
        h->tags = tags_new(h->max_tags);
        h->e.text[0] = '\0';
        if (spool_open(&h->spool, &h->sim.rt, &h->conf, "gw-7", h->tags, &h->up, &h->e) == 0)
                return true;
        fixture_leave(h);
        return false;
}

void fixture_open(struct fixture *h)
{
        if (!fixture_try_open(h))
                fail_msg("%s", h->e.text);
}

void fixture_leave(struct fixture *h)
{
        tags_free(h->tags);
        h->tags = NULL;
        h->spool = NULL;
}

void fixture_close(struct fixture *h)
{
        rt_sim_cut(&h->sim);
        assert_true(spool_close(h->spool));
        fixture_leave(h);
}

void fixture_cut_power(struct fixture *h)
{
        rt_sim_cut(&h->sim);
        spool_abandon(h->spool);
        fixture_leave(h);
}

void fixture_run_for(struct fixture *h, int64_t us)
{
        rt_sim_run(&h->sim, h->sim.now.mono_us + us, NULL, NULL);
}

struct spool_counts fixture_counts(struct fixture *h)
{
        struct spool_counts c;

        spool_counts(h->spool, &c);
        assert_int_equal(c.accepted, c.delivered + c.held + c.dropped);
        return c;
}

static void on_rows(struct spool_fetch *f)
{
        list_entry(f, struct fixture, fetch)->fetched = true;
}

uint32_t fixture_fetch(struct fixture *h, uint64_t seq)
{
        h->fetched = false;
        h->fetch.on_rows = on_rows;
        h->fetch.after_seq = seq;
        spool_fetch(h->spool, &h->fetch);
        while (!h->fetched)
                fixture_run_for(h, 1000);
        assert_false(h->fetch.failed);
        return h->fetch.n_rows;
}

static void on_wrong(void *ctx, const char *what)
{
        fail_msg("verify: %s", what);
}

void fixture_verify(struct fixture *h)
{
        struct spool_verify v = {.path = h->path, .pages = true, .on_fault = on_wrong};
        struct err e;

        assert_int_equal(spool_verify(&v, &e), 0);
        assert_int_equal(v.n_faults, 0);
}
