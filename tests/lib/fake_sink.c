/*
 * fake_sink: the Kafka of the simulations.  Records are kept as text: what a
 * test wants to know of them it reads there, as a consumer would.  Nothing
 * fails by itself.
 */
#include "fake_sink.h"

#include <stdlib.h>
#include <string.h>

static int on_produced(struct sink *s, const struct sink_record *rec, struct err *e)
{
        struct fake_sink *k = (struct fake_sink *)s;
        struct fake_record *r = calloc(1, sizeof(*r) + rec->value_len + 1);
        int64_t seq;
        int rc;

        r->opaque = rec->opaque;
        r->topic = rec->topic;
        r->line = rec->line;
        memcpy(r->value, rec->value, rec->value_len);
        seq = fake_record_number(r, "\"seq\":");
        r->seq = seq > 0 ? (uint64_t)seq : 0;
        rc = k->on_produce ? k->on_produce(k, rec, r) : 0;
        if (rc != 0) {
                free(r);
                return rc;
        }
        if (k->n_out == k->cap) {
                k->cap = k->cap ? 2 * k->cap : 1024;
                k->out = realloc(k->out, (size_t)k->cap * sizeof(struct fake_record *));
        }
        k->out[k->n_out++] = r;
        if (k->answer_after_us && !rt_timer_armed(&k->timer))
                rt_timer_set(k->rt, &k->timer, k->answer_after_us);
        return 0;
}

static void on_close(struct sink *s, void (*on_closed)(void *ctx), void *ctx)
{
        on_closed(ctx);
}

static struct fake_record *take_first(struct fake_sink *k)
{
        struct fake_record *r = k->out[0];

        memmove(k->out, k->out + 1, (size_t)--k->n_out * sizeof(struct fake_record *));
        return r;
}

static void on_answers(struct rt_timer *t)
{
        struct fake_sink *k = list_entry(t, struct fake_sink, timer);

        if (k->away)
                return;
        for (int n = 0; n < k->most && k->n_out && !k->away; n++) {
                struct fake_record *r = take_first(k);

                fake_sink_report(k, r, k->judge ? k->judge(k, r) : SINK_DELIVERED);
        }
        k->sink.up.on_reports_end(k->sink.up.ctx);
        if (k->n_out)
                rt_timer_set(k->rt, &k->timer, k->answer_after_us);
}

/* ---- transactions ---- */

enum { LINE_ANSWERS_US = 15000, LINE_AGAIN_US = 40000 };

static void keep(struct fake_line *l, struct fake_record *r)
{
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 256;
                l->pending = realloc(l->pending, (size_t)l->cap * sizeof(struct fake_record *));
        }
        l->pending[l->n++] = r;
}

static void drop(struct fake_line *l)
{
        while (l->n)
                free(l->pending[--l->n]);
        l->spoiled = l->broken = false;
}

static bool is_out(const struct fake_sink *k, enum sink_line line)
{
        int i = 0;

        while (i < k->n_out && k->out[i]->line != line)
                i++;
        return i < k->n_out;
}

static int by_seq(const void *a, const void *b)
{
        const struct fake_record *x = *(struct fake_record *const *)a, *y = *(struct fake_record *const *)b;

        return (x->seq > y->seq) - (x->seq < y->seq);
}

/* In the order they were produced in, which is that of seq on a line. */
static void store(struct fake_line *l)
{
        qsort(l->pending, (size_t)l->n, sizeof(*l->pending), by_seq);
        for (int i = 0; i < l->n; i++)
                if (l->k->on_stored)
                        l->k->on_stored(l->k, l->pending[i]);
        l->mark = l->asked;
        drop(l);
}

/* What is out on the line comes back. */
static void give_back(struct fake_sink *k, enum sink_line line)
{
        int n = 0, n_back = 0;
        struct fake_record **back = malloc(((size_t)k->n_out + 1) * sizeof(struct fake_record *));

        for (int i = 0; i < k->n_out; i++)
                if (k->out[i]->line == line)
                        back[n_back++] = k->out[i];
                else
                        k->out[n++] = k->out[i];
        k->n_out = n;
        for (int i = 0; i < n_back; i++)
                fake_sink_report(k, back[i], SINK_RETRY);
        free(back);
        if (n_back)
                k->sink.up.on_reports_end(k->sink.up.ctx);
}

static void answer_line(struct fake_line *l, enum sink_line line, enum txn_event outcome, bool happens)
{
        struct fake_sink *k = l->k;
        enum txn_act act = l->act;

        if (act == TXN_COMMIT && outcome == TXN_DONE && l->spoiled)
                outcome = TXN_ABORTABLE;
        if (act == TXN_COMMIT && (outcome == TXN_DONE || (happens && !l->spoiled)))
                store(l);
        if ((act == TXN_ABORT || act == TXN_START) && outcome == TXN_DONE) {
                drop(l);
                give_back(k, line);
                drop(l);
        }
        l->broken = outcome == TXN_BROKEN || outcome == TXN_TWIN;
        l->act = TXN_NOTHING;
        k->sink.up.on_line(k->sink.up.ctx, line, outcome,
                           l->mark.last && l->mark.epoch == l->asked.epoch ? &l->mark : NULL,
                           outcome == TXN_DONE ? NULL : "made up");
}

static void on_line_due(struct rt_timer *t)
{
        struct fake_line *l = list_entry(t, struct fake_line, timer);
        enum sink_line line = (enum sink_line)(l - l->k->line);
        enum txn_event outcome = TXN_DONE;
        bool happens = false;

        if (l->k->away || (l->act == TXN_COMMIT && !l->spoiled && is_out(l->k, line))) {
                rt_timer_set(l->k->rt, t, LINE_AGAIN_US);
                return;
        }
        if (l->k->judge_line)
                outcome = l->k->judge_line(l->k, line, l->act, &happens);
        answer_line(l, line, outcome, happens);
}

static void on_transact(struct sink *s, enum sink_line line, enum txn_act act, const struct sink_mark *mark)
{
        struct fake_line *l = &((struct fake_sink *)s)->line[line];

        l->act = act;
        l->asked = *mark;
        rt_timer_set(l->k->rt, &l->timer, LINE_ANSWERS_US);
}

void fake_sink_exact(struct fake_sink *k)
{
        static const struct sink_ops ops = {.produce = on_produced, .close = on_close, .transact = on_transact};

        k->sink.ops = &ops;
        for (int i = 0; i < SINK_LINES; i++) {
                k->line[i].k = k;
                k->line[i].timer.on_due = on_line_due;
        }
}

void fake_sink_forget(struct fake_sink *k)
{
        for (int i = 0; i < SINK_LINES; i++)
                k->line[i].mark = (struct sink_mark){0};
}

/* A commit that was asked for may have got through, when all of it had. */
static void cut_lines(struct fake_sink *k, bool (*survives)(struct fake_sink *k, const struct fake_record *r))
{
        for (int i = SINK_BESIDE + 1; i < SINK_LINES; i++) {
                struct fake_line *l = &k->line[i];

                if (!l->k)
                        continue;
                if (l->act == TXN_COMMIT && l->n && !l->spoiled && !is_out(k, (enum sink_line)i) && survives &&
                    survives(k, l->pending[0]))
                        store(l);
                drop(l);
                l->act = TXN_NOTHING;
                rt_timer_cancel(k->rt, &l->timer);
        }
}

void fake_sink_init(struct fake_sink *k, struct rt *rt)
{
        static const struct sink_ops ops = {.produce = on_produced, .close = on_close};

        memset(k, 0, sizeof(*k));
        k->sink.ops = &ops;
        k->rt = rt;
        k->timer.on_due = on_answers;
        k->answer_after_us = 5000;
        k->most = 300;
}

void fake_sink_fini(struct fake_sink *k)
{
        fake_sink_cut(k, NULL);
        for (int i = 0; i < SINK_LINES; i++)
                free(k->line[i].pending);
        free(k->out);
        k->out = NULL;
        k->cap = 0;
}

void fake_sink_set_away(struct fake_sink *k, bool away)
{
        k->away = away;
        on_answers(&k->timer);
}

void fake_sink_report(struct fake_sink *k, struct fake_record *r, enum sink_result result)
{
        struct fake_line *l = &k->line[r->line];

        if (result == SINK_DELIVERED && k->on_stored && r->line == SINK_BESIDE)
                k->on_stored(k, r);
        l->spoiled |= r->line != SINK_BESIDE && result != SINK_DELIVERED;
        k->sink.up.on_report(k->sink.up.ctx, r->opaque, result, result == SINK_DELIVERED ? NULL : "made up");
        if (result == SINK_DELIVERED && r->line != SINK_BESIDE)
                keep(l, r);
        else
                free(r);
}

void fake_sink_cut(struct fake_sink *k, bool (*survives)(struct fake_sink *k, const struct fake_record *r))
{
        cut_lines(k, survives);
        while (k->n_out) {
                struct fake_record *r = take_first(k);

                if (r->line == SINK_BESIDE && survives && survives(k, r) && k->on_stored)
                        k->on_stored(k, r);
                free(r);
        }
}

int64_t fake_record_number(const struct fake_record *r, const char *key)
{
        const char *at = strstr(r->value, key);

        return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}
