/*
 * recheck: what is held, looked through once in the background after a start
 * that was not clean.
 *
 * A cut of power may leave pages that nobody reads for days, while Kafka is
 * away.  So the rows are fetched as the uplink would, which compares them with
 * the books (whole.c): a stretch at a time, each followed by a pause of four
 * times as long as it took, so that a slow disk is not held up. What Kafka
 * takes meanwhile is left out. How it fails: what can't be read is damage, and
 * damage.c has the word.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "store/impl.h"

enum { ROWS = 1000, TEXT_BYTES = 64 << 10, PAUSE_TIMES = 4, PAUSE_LEAST_US = 20000, AGAIN_US = 1000000 };

struct spool_recheck {
        struct spool *spool;
        struct spool_fetch fetch;
        struct rt_timer pause;
        uint64_t upto[SPOOL_LANES], n;
        int64_t begun_us;
        bool running;
        struct spool_recheck *next; /* of those left behind */
};

/* Their threads may use them as long as the program lives. */
static struct spool_recheck *left_behind;

static void end(struct spool_recheck *c)
{
        log_notice("spool", "looked through %" PRIu64 " held readings and events: they are all there", c->n);
        spool_fetch_fini(&c->fetch);
}

static void go_on(struct spool_recheck *c)
{
        struct spool_fetch *f = &c->fetch;
        const struct lane_account *l = &c->spool->lanes[f->lane];

        if (f->after_seq < l->acked)
                f->after_seq = l->acked;
        if (f->after_seq < c->upto[f->lane]) {
                c->begun_us = rt_mono_us(c->spool->rt);
                c->running = true;
                spool_fetch(c->spool, f);
        } else if (f->lane == SPOOL_EVENTS) {
                f->lane = SPOOL_SAMPLES;
                f->after_seq = 0;
                rt_timer_set(c->spool->rt, &c->pause, 0);
        } else {
                end(c);
        }
}

static void on_pause_over(struct rt_timer *t)
{
        go_on(list_entry(t, struct spool_recheck, pause));
}

static void on_rows(struct spool_fetch *f)
{
        struct spool_recheck *c = list_entry(f, struct spool_recheck, fetch);
        int64_t pause_us = PAUSE_TIMES * (rt_mono_us(c->spool->rt) - c->begun_us);

        c->running = false;
        c->n += f->n_rows;
        if (!f->failed)
                f->after_seq = f->n_rows ? f->rows[f->n_rows - 1].seq : c->upto[f->lane];
        rt_timer_set(c->spool->rt, &c->pause,
                     f->failed                   ? AGAIN_US
                     : pause_us > PAUSE_LEAST_US ? pause_us
                                                 : PAUSE_LEAST_US);
}

void spool_recheck_begin(struct spool *s)
{
        struct spool_recheck *c = mem_alloc(sizeof(*c));

        s->recheck = c;
        c->spool = s;
        spool_fetch_init(&c->fetch, SPOOL_EVENTS, ROWS, TEXT_BYTES);
        c->fetch.on_rows = on_rows;
        c->pause.on_due = on_pause_over;
        for (int i = 0; i < SPOOL_LANES; i++)
                c->upto[i] = s->lanes[i].last;
        rt_timer_set(s->rt, &c->pause, AGAIN_US);
}

void spool_recheck_free(struct spool_recheck *c)
{
        if (!c)
                return;
        rt_timer_cancel(c->spool->rt, &c->pause);
        if (c->running) {
                c->next = left_behind;
                left_behind = c;
                return;
        }
        spool_fetch_fini(&c->fetch);
        free(c);
}
