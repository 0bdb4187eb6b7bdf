/*
 * sysfs: a round over the files of one item, each period.
 *
 * One file is asked for at a time, off the loop and through the gate; its
 * reading has the time of its answer, and those of a round are handed over
 * together.  A poll that falls into a round is an overrun.
 *
 * Fails: a file that is gone makes its tag bad/not_connected; when all are
 * gone, so is the source: link_down, and the host tries again with growing
 * pauses.  A file that answers with an error, or with garbage, is bad at each
 * round until it is well.  One that does not come back within `timeout` makes
 * all tags that are still to come bad/comm_failure, once; what it says later is
 * taken.  An item that ends does not wait for it.
 */
#include "drivers/sysfs/sysfs.h"

#include <stdio.h>
#include <stdlib.h>

#include "drivers/sysfs/gate.h"

struct sysfs {
        struct driver *d;
        const struct sysfs_conf *conf;
        struct sysfs_job *job; /* NULL: it has stopped */
        struct rt_timer timeout;
        struct driver_examples examples; /* of texts that are no value */
        struct convert *convert;         /* of each reading */
        char (*texts)[SYSFS_TEXT_MAX];   /* likewise, of this round */
        uint32_t *tags;
        struct reading *readings; /* of this round, */
        size_t n_readings;        /* so far */
        size_t next;              /* the file that is asked for */
        size_t n_gone;
        char why_gone[200]; /* the first of them */
        bool interned, paused, in_round, told_gone;
};

static const struct sysfs_reading_conf *conf_of(const struct sysfs *s, size_t i)
{
        return (const struct sysfs_reading_conf *)s->conf->readings.items + i;
}

/* ---- one file ---- */

static void ask(struct sysfs *s)
{
        const struct sysfs_reading_conf *c = conf_of(s, s->next);

        snprintf(s->job->root, sizeof(s->job->root), "%s", s->conf->root);
        snprintf(s->job->file, sizeof(s->job->file), "%s", c->file);
        snprintf(s->job->device, sizeof(s->job->device), "%s", c->device ? c->device : "");
        rt_timer_set(s->d->rt, &s->timeout, s->conf->timeout_us);
        sysfs_gate_enter(s->job, s->d->rt);
}

/* The tag of the file is to be bad: says what there is to say beside that. */
static void tell(struct sysfs *s, enum sysfs_verdict verdict, const char *why)
{
        const struct sysfs_answer *a = &s->job->answer;
        const char *file = conf_of(s, s->next)->file;

        if (verdict == SYSFS_GARBAGE)
                driver_refuse(s->d, &s->examples, s->conf->source, why, a->bytes,
                              a->len > SYSFS_FILE_MAX ? SYSFS_FILE_MAX : a->len);
        else if (verdict == SYSFS_ERROR)
                driver_error(s->d, "%s: %s", file, why);
        else if (s->n_gone++ == 0)
                snprintf(s->why_gone, sizeof(s->why_gone), "%s: %s", file, why);
}

static void take(struct sysfs *s)
{
        struct reading *r = &s->readings[s->n_readings++];
        enum sysfs_verdict verdict;
        const char *why;
        struct rt_time now;

        rt_now(s->d->rt, &now);
        *r = driver_reading(s->tags[s->next], now.wall_us);
        verdict = sysfs_decode(conf_of(s, s->next), &s->convert[s->next], &s->job->answer, s->texts[s->next], r, &why);
        if (verdict != SYSFS_VALUE)
                tell(s, verdict, why);
}

/* ---- a round ---- */

static void hand_over(struct sysfs *s)
{
        size_t n = driver_tagged(s->d, s->readings, s->n_readings);

        s->n_readings = 0;
        if (n)
                driver_emit(s->d, s->readings, n, false);
}

static void end_round(struct sysfs *s)
{
        s->in_round = false;
        if (s->n_gone == s->conf->readings.n) {
                if (!s->told_gone)
                        hand_over(s);
                s->told_gone = true;
                s->d->host->link_down(s->d, s->why_gone);
                return;
        }
        s->told_gone = false;
        if (s->n_gone)
                driver_error(s->d, "%s", s->why_gone);
        if (s->d->state != DRIVER_UP)
                s->d->host->link_up(s->d);
        hand_over(s);
}

static void on_answer(void *ctx)
{
        struct sysfs *s = ctx;

        rt_timer_cancel(s->d->rt, &s->timeout);
        take(s);
        if (++s->next < s->conf->readings.n)
                ask(s);
        else
                end_round(s);
}

static void begin_round(struct sysfs *s)
{
        s->in_round = true;
        s->next = s->n_readings = s->n_gone = 0;
        ask(s);
}

/* It may have waited for others first, each of which has its own time. */
static void on_timeout(struct rt_timer *t)
{
        struct sysfs *s = list_entry(t, struct sysfs, timeout);
        int64_t left_us = sysfs_gate_since_us() + s->conf->timeout_us - rt_mono_us(s->d->rt);

        if (left_us > 0) {
                rt_timer_set(s->d->rt, t, left_us);
                return;
        }
        driver_error(s->d, "%s: no answer of the kernel", sysfs_gate_file());
        hand_over(s);
        driver_bad(s->d, s->tags + s->next, s->conf->readings.n - s->next, QUALITY_BAD_COMM_FAILURE);
        s->told_gone = false;
}

/* ---- the driver's seven ---- */

static int sysfs_init(struct driver *d, struct err *e)
{
        struct sysfs *s = mem_alloc(sizeof(*s));
        struct convert_conf how;
        const char *key;

        s->d = d;
        s->conf = d->conf;
        s->job = mem_alloc(sizeof(*s->job));
        s->job->on_answer = on_answer;
        s->job->ctx = s;
        s->timeout.on_due = on_timeout;
        s->tags = mem_alloc(s->conf->readings.n * sizeof(*s->tags));
        s->texts = mem_alloc(s->conf->readings.n * sizeof(*s->texts));
        s->convert = mem_alloc(s->conf->readings.n * sizeof(*s->convert));
        s->readings = mem_alloc(s->conf->readings.n * sizeof(*s->readings));
        d->period_us = s->conf->period_us;
        d->priv = s;
        for (size_t i = 0; i < s->conf->readings.n; i++) {
                how = conf_of(s, i)->convert;
                if (how.type == CONVERT_AUTO)
                        how.type = CONVERT_NUMERIC;
                BUG_ON(convert_init(&s->convert[i], &how, conf_of(s, i)->unit, 0, &key, e) < 0);
        }
        return 0;
}

/* Up is what answers: the first round tells. */
static void sysfs_start(struct driver *d)
{
        struct sysfs *s = d->priv;

        for (size_t i = 0; i < s->conf->readings.n && !s->interned; i++)
                s->tags[i] = driver_tag(d, s->conf->source, conf_of(s, i)->tag, conf_of(s, i)->unit);
        s->interned = true;
        begin_round(s);
}

static void sysfs_poll(struct driver *d)
{
        struct sysfs *s = d->priv;

        if (s->paused)
                return;
        if (s->in_round)
                d->n_overruns++;
        else
                begin_round(s);
}

static void sysfs_pause(struct driver *d, bool on)
{
        struct sysfs *s = d->priv;

        s->paused = on;
}

static void leave(struct sysfs *s)
{
        rt_timer_cancel(s->d->rt, &s->timeout);
        if (s->job)
                sysfs_gate_leave(s->job);
        s->job = NULL;
}

static void sysfs_stop(struct driver *d)
{
        leave(d->priv);
        d->host->stopped(d);
}

static void sysfs_fini(struct driver *d)
{
        struct sysfs *s = d->priv;

        leave(s);
        for (size_t i = 0; i < s->conf->readings.n; i++)
                convert_fini(&s->convert[i]);
        free(s->convert);
        free(s->texts);
        free(s->tags);
        free(s->readings);
        free(s);
}

const struct driver_ops sysfs_ops = {
        .kind = "sysfs",
        .schema = &sysfs_schema,
        .names = sysfs_names,
        .where = offsetof(struct sysfs_conf, root),
        .init = sysfs_init,
        .start = sysfs_start,
        .poll = sysfs_poll,
        .pause = sysfs_pause,
        .stop = sysfs_stop,
        .fini = sysfs_fini,
};
