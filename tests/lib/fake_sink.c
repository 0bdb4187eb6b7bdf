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
        if (result == SINK_DELIVERED && k->on_stored)
                k->on_stored(k, r);
        k->sink.up.on_report(k->sink.up.ctx, r->opaque, result, result == SINK_DELIVERED ? NULL : "made up");
        free(r);
}

void fake_sink_cut(struct fake_sink *k, bool (*survives)(struct fake_sink *k, const struct fake_record *r))
{
        while (k->n_out) {
                struct fake_record *r = take_first(k);

                if (survives && survives(k, r) && k->on_stored)
                        k->on_stored(k, r);
                free(r);
        }
}

int64_t fake_record_number(const struct fake_record *r, const char *key)
{
        const char *at = strstr(r->value, key);

        return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}
