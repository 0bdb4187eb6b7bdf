/*
 * outages: see outages.h.
 *
 * What is open is a short list that is walked; each has the hash of its key, so
 * that ten thousand alarms in a flood are no matter.  Fails never.
 */
#include "agent/cli/past/outages.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "agent/base/text.h"

enum {
        AGAIN_US = 120000000,   /* a start tells by then what is wrong still */
        STEP_SEEN_US = 2000000, /* the clock is set that long before it is told, at most */
};

struct outage_open {
        uint64_t key;
        size_t at; /* in v; SIZE_MAX: one that was left out */
        int64_t from_us;
        int64_t restart_us; /* the agent started, and has not told it since; 0: it did not start */
        uint64_t run;       /* the start it began after */
        bool lasts;         /* beyond a restart: an alarm's state is kept */
};

void outages_fini(struct outages *o)
{
        free(o->v);
        free(o->open);
        *o = (struct outages){0};
}

static uint64_t key_of(const struct past_event *v)
{
        return table_hash(v->key, strlen(v->key), 0);
}

static struct outage_open *find(struct outages *o, uint64_t key)
{
        for (size_t i = o->n_open; i-- > 0;)
                if (o->open[i].key == key)
                        return &o->open[i];
        return NULL;
}

static size_t add(struct outages *o, const struct past_event *v, int64_t from_us)
{
        struct outage *x;

        if (o->n == OUTAGES_MOST) {
                o->n_left_out++;
                return SIZE_MAX;
        }
        if (o->n == o->cap) {
                o->cap = o->cap ? 2 * o->cap : 64;
                o->v = mem_grow(o->v, o->cap, sizeof(*o->v));
        }
        x = &o->v[o->n];
        *x = (struct outage){.severity = v->severity, .from_us = from_us, .from_known = true, .echo = v->echo};
        memcpy(x->kind, v->kind, sizeof(x->kind));
        memcpy(x->subject, v->subject, sizeof(x->subject));
        memcpy(x->what, v->what, sizeof(x->what));
        return o->n++;
}

static void close(struct outages *o, struct outage_open *x, int64_t to_us, enum outage_end end)
{
        if (x->at != SIZE_MAX) {
                o->v[x->at].to_us = to_us > x->from_us ? to_us : x->from_us;
                o->v[x->at].end = end;
        }
        *x = o->open[--o->n_open];
}

/* Where it is in v. */
static size_t begin(struct outages *o, const struct past_event *v)
{
        uint64_t key = key_of(v);
        struct outage_open *x = find(o, key);

        if (x && x->restart_us && v->ts_us - x->restart_us > AGAIN_US) {
                close(o, x, x->restart_us, OUTAGE_BY_RESTART);
                x = NULL;
        }
        if (x) {
                x->restart_us = 0;
                if (x->at != SIZE_MAX && v->severity > o->v[x->at].severity)
                        o->v[x->at].severity = v->severity;
                return x->at;
        }
        if (o->n_open == o->cap_open) {
                o->cap_open = o->cap_open ? 2 * o->cap_open : 64;
                o->open = mem_grow(o->open, o->cap_open, sizeof(*o->open));
        }
        x = &o->open[o->n_open++];
        *x = (struct outage_open){.key = key, .at = add(o, v, v->ts_us), .from_us = v->ts_us, .run = o->n_starts};
        x->lasts = !strcmp(v->kind, "alarm");
        return x->at;
}

/* One that ends and was not told to begin: known only when it says how long it was. */
static int64_t end_alone(struct outages *o, const struct past_event *v)
{
        size_t at;

        if (v->duration_us < 0)
                return -1;
        at = add(o, v, v->ts_us - v->duration_us);
        if (at != SIZE_MAX) {
                o->v[at].to_us = v->ts_us;
                o->v[at].end = OUTAGE_ENDED;
        }
        return v->duration_us;
}

static int64_t finish(struct outages *o, const struct past_event *v)
{
        struct outage_open *x = find(o, key_of(v));
        int64_t duration_us;

        if (!x)
                return end_alone(o, v);
        duration_us = v->duration_us >= 0 ? v->duration_us : v->ts_us - x->from_us;
        close(o, x, v->ts_us, OUTAGE_ENDED);
        return duration_us > 0 ? duration_us : 0;
}

/*
 * The agent starts.  When it had not said that it ends, it was off since its
 * last event or later.
 */
static int64_t start(struct outages *o, const struct past_event *v)
{
        struct past_event gone = *v;
        int64_t off_us = -1;
        size_t at;

        if (!o->off && o->last_us) {
                gone.ts_us = o->last_us;
                gone.severity = 800;
                text_copy(gone.what, sizeof(gone.what), "ended without a word: a crash, or the power was cut");
                at = begin(o, &gone);
                if (at != SIZE_MAX)
                        o->v[at].from_known = false;
        }
        if (o->last_us)
                off_us = finish(o, v);
        for (size_t i = 0; i < o->n_open; i++)
                if (!o->open[i].restart_us && !o->open[i].lasts)
                        o->open[i].restart_us = v->ts_us;
        o->off = false;
        o->n_starts++;
        return off_us;
}

static void step(struct outages *o, const struct past_event *v)
{
        for (size_t i = 0; i < o->n_open; i++) {
                struct outage_open *x = &o->open[i];
                bool after = x->from_us <= v->ts_us && v->ts_us - x->from_us < STEP_SEEN_US;

                if (x->restart_us && __builtin_add_overflow(x->restart_us, v->step_us, &x->restart_us))
                        x->restart_us = v->ts_us;
                if (x->run != o->n_starts || after || __builtin_add_overflow(x->from_us, v->step_us, &x->from_us))
                        continue;
                if (x->at != SIZE_MAX)
                        o->v[x->at].from_us = x->from_us;
        }
}

int64_t outages_take(struct outages *o, const struct past_event *v)
{
        int64_t duration_us = -1;

        if (!o->first_us)
                o->first_us = v->ts_us;
        if (v->step_us)
                step(o, v);
        if (v->starts)
                duration_us = start(o, v);
        else if (v->edge == PAST_BEGAN)
                begin(o, v);
        else if (v->edge == PAST_ENDED)
                duration_us = finish(o, v);
        o->off |= v->stops;
        o->last_us = v->ts_us;
        return duration_us;
}

void outages_end(struct outages *o, int64_t now_us)
{
        while (o->n_open) {
                struct outage_open *x = &o->open[o->n_open - 1];
                bool over = x->restart_us && now_us - x->restart_us > AGAIN_US;

                close(o, x, over ? x->restart_us : now_us, over ? OUTAGE_BY_RESTART : OUTAGE_GOES_ON);
        }
}
