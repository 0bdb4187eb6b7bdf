/*
 * baselines: what `deviation` knows about each tag is kept over a restart, so
 * that a machine is watched at once after an update, and not when it has warmed
 * up again.
 *
 * Flash wears out, so it is written at a clean stop, and else once an hour with
 * a commit that comes anyway: 1,000 tags at most, in turn.  A crash loses an
 * hour of learning, which changes a memory of 1,000 readings little.  What is
 * older than a week says nothing about today and is learned anew, as is what
 * another version has written in another form.
 */
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"
#include "agent/base/log.h"

enum { SAVED_AT_ONCE = 1000 };
static const int64_t hour_us = INT64_C(3600000000);
static const int64_t week_us = 7 * 24 * INT64_C(3600000000);

struct save {
        struct alarms *a;
        size_t at, from, most, n; /* in the order of the rules */
        int64_t wall_us;
};

static void save_one(void *ctx, const struct rules_row *row, int form, const void *bytes, size_t n)
{
        struct save *save = ctx;
        struct spool_baseline l = {.source = row->source,
                                   .tag = row->tag,
                                   .rule = alarms_lasting(save->a, row->rule),
                                   .limit_kind = row->limit_kind,
                                   .at_us = save->wall_us,
                                   .form = form,
                                   .n_bytes = n};

        if (save->at++ < save->from || save->n == save->most)
                return;
        save->n++;
        memcpy(l.memory, bytes, n);
        spool_put_baseline(save->a->spool, &l);
}

/* Returns how many it came across and kept. */
static size_t save(struct alarms *a, size_t from, size_t most)
{
        struct save save = {.a = a, .from = from, .most = most};
        struct rt_time now;

        rt_now(a->rt, &now);
        save.wall_us = now.wall_us;
        rules_each_baseline(a->rules, save_one, &save);
        return save.n;
}

static void on_hour(struct rt_timer *t)
{
        struct alarms *a = list_entry(t, struct alarms, save_timer);
        size_t n = save(a, a->next_saved, SAVED_AT_ONCE);

        a->next_saved = n < SAVED_AT_ONCE ? 0 : a->next_saved + n;
        rt_timer_set(a->rt, t, hour_us);
}

void alarms_baselines_start(struct alarms *a)
{
        a->save_timer.on_due = on_hour;
        rt_timer_set(a->rt, &a->save_timer, hour_us);
}

void alarms_baselines_stop(struct alarms *a)
{
        rt_timer_cancel(a->rt, &a->save_timer);
        save(a, 0, SIZE_MAX);
}

struct load {
        struct alarms *a;
        int64_t wall_us;
        size_t n;
};

/*
 * A time in the future is a clock that is not set yet: nothing is known against
 * it.
 */
static void load_one(void *ctx, const struct spool_baseline *l)
{
        struct load *load = ctx;
        struct rules_row row = {.source = l->source, .tag = l->tag, .rule = l->rule, .limit_kind = l->limit_kind};

        if (load->wall_us - l->at_us <= week_us)
                load->n += rules_import_baseline(load->a->rules, &row, l->form, l->memory, l->n_bytes) == 0;
}

int alarms_baselines_load(struct alarms *a, struct err *e)
{
        struct load load = {.a = a};
        struct rt_time now;

        rt_now(a->rt, &now);
        load.wall_us = now.wall_us;
        if (spool_each_baseline(a->spool, load_one, &load, e) < 0)
                return -1;
        if (load.n)
                log_info("alarm", "%zu tags go on with what is usual for them", load.n);
        return 0;
}
