/*
 * thinning: see thinning.h.
 *
 * The decision is rules/swinging_door.c's, on time and number alone; here it is
 * applied to readings: the one held back is kept whole, so that what is sent is
 * a reading as it was.  A change of quality, a value that is no number, and a
 * reading that moved an alarm end a stretch: what was held back goes first, so
 * the line up to there is drawn.
 *
 * Cannot fail.  After a crash the reading held back of each tag is gone; it
 * would have been one of those left out.
 */
#include "agent/thinning.h"

#include <math.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/rules/rules_conf.h"
#include "agent/rules/swinging_door.h"

enum { SAME_US = 1000 };

static const char *const methods[] = {"exception", "swinging_door", NULL};

static int check(void *obj, const char **key, struct err *e)
{
        const struct thinning_conf *c = obj;

        if (!c->max_us || c->min_us <= c->max_us)
                return 0;
        *key = "min_interval";
        return err_set(e, "min_interval is longer than max_interval; allowed: at most as long");
}

#define AT(member) offsetof(struct thinning_conf, member)
static const struct schema_key keys[] = {
        {"match", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(match),
         .help = "source/tag with * and ?; the first item that matches a tag counts for it."},
        {"method", SCHEMA_CHOICE, 0, AT(method), .choices = methods, .def = "exception",
         .help = "exception: a reading is kept when it leaves a band around the last one kept, with the one before it; "
                 "swinging_door: when no straight line passes those left out any more."},
        {"deadband", SCHEMA_FLOAT, SCHEMA_REQUIRED, AT(deadband), 0, 1e300,
         .help = "Half the width of the band, in the tag's unit. What is left out differs from a line through what was "
                 "kept by at most this (swinging_door) or twice this (exception)."},
        {"min_interval", SCHEMA_DURATION, 0, AT(min_us), 0, 86400e6, .def = "0s",
         .help = "exception: not more often than this."},
        {"max_interval", SCHEMA_DURATION, 0, AT(max_us), 0, 86400e6, .def = "10m",
         .help = "At least this often, while readings come; 0s: no such promise."},
        {NULL},
};

const struct schema thinning_schema = {
        .name = "thin",
        .help = "Which readings are left out, after the rules have judged all of them. Off by default.",
        .keys = keys,
        .size = sizeof(struct thinning_conf),
        .has_at = true,
        .check = check,
};

struct stretch {
        struct swinging_door_conf conf;
        struct swinging_door thin;
        struct reading held; /* while thin.holds */
        unsigned quality;
        bool over; /* no item is for its tag any more, or another: */
        struct swinging_door_conf next;
        bool has_next;
};

struct thinning {
        const struct thinning_conf *conf;
        size_t n_conf;
        struct tags *tags;
        struct stretch **of; /* by tag */
        bool *looked;        /* by tag: it is known whether it is thinned */
        size_t n_of;
        uint64_t n_left_out;
};

struct thinning *thinning_new(const struct schema_list *conf, struct tags *tags)
{
        struct thinning *t = mem_alloc(sizeof(*t));

        t->conf = conf->items;
        t->n_conf = conf->n;
        t->tags = tags;
        return t;
}

void thinning_free(struct thinning *t)
{
        for (size_t i = 0; i < t->n_of; i++)
                free(t->of[i]);
        free(t->of);
        free(t->looked);
        free(t);
}

void thinning_reconfigure(struct thinning *t, const struct schema_list *conf)
{
        t->conf = conf->items;
        t->n_conf = conf->n;
        for (size_t i = 0; i < t->n_of; i++)
                t->looked[i] = false;
}

static bool find_conf(const struct thinning *t, const struct tag *tag, struct swinging_door_conf *out)
{
        char ident[TAGS_IDENT_MAX + 1];

        tags_put_ident(ident, tag->name, tag->labels);
        for (size_t i = 0; i < t->n_conf; i++) {
                const struct thinning_conf *c = &t->conf[i];

                if (!rule_matches(c->match, tag->source, ident))
                        continue;
                *out = (struct swinging_door_conf){.mode = c->method ? THIN_SWINGING_DOOR : THIN_EXCEPTION,
                                                   .band = c->deadband,
                                                   .min_us = c->min_us,
                                                   .max_us = c->max_us};
                return true;
        }
        return false;
}

static bool same_conf(const struct swinging_door_conf *a, const struct swinging_door_conf *b)
{
        return a->mode == b->mode && a->band == b->band && a->min_us == b->min_us && a->max_us == b->max_us;
}

static void make_room(struct thinning *t)
{
        size_t n = tags_count(t->tags);

        t->of = mem_grow(t->of, n, sizeof(*t->of));
        t->looked = mem_grow(t->looked, n, sizeof(*t->looked));
        for (; t->n_of < n; t->n_of++) {
                t->of[t->n_of] = NULL;
                t->looked[t->n_of] = false;
        }
}

static void look(struct thinning *t, uint32_t tag)
{
        struct swinging_door_conf conf = {0};
        struct stretch *s;
        bool found = find_conf(t, tags_get(t->tags, tag), &conf);

        if (tag >= t->n_of)
                make_room(t);
        t->looked[tag] = true;
        s = t->of[tag];
        if (!s && found) {
                t->of[tag] = mem_alloc(sizeof(*s));
                t->of[tag]->conf = conf;
        } else if (s) {
                s->over = !found || !same_conf(&s->conf, &conf);
                s->next = conf;
                s->has_next = found;
        }
}

static double number_of(const struct reading *r)
{
        if (r->type == READING_F64)
                return r->v.f64;
        return r->type == READING_I64 ? (double)r->v.i64 : NAN;
}

/* What was held back, if any. */
static size_t end_stretch(struct stretch *s, struct reading *out)
{
        struct swinging_door_point point[1];

        if (!swinging_door_break(&s->thin, point))
                return 0;
        *out = s->held;
        return 1;
}

/* False: the tag is not thinned any more. */
static bool begin_next(struct thinning *t, uint32_t tag)
{
        struct stretch *s = t->of[tag];

        if (s->has_next) {
                s->conf = s->next;
                s->over = false;
                return true;
        }
        free(s);
        t->of[tag] = NULL;
        return false;
}

/*
 * What comes within the same microsecond, or up to 1 ms back, is moved behind
 * the one before when it is appended; so it is here.
 */
static int64_t time_of(const struct swinging_door *t, int64_t ts_us)
{
        int64_t last_us = t->holds ? t->held.ts_us : t->sent.ts_us;

        return t->begun && ts_us <= last_us && last_us - ts_us < SAME_US ? last_us + 1 : ts_us;
}

static size_t push(struct stretch *s, const struct reading *r, struct reading out[2])
{
        struct swinging_door_point point[2], p = {time_of(&s->thin, r->ts_us), number_of(r)};
        int n = swinging_door_push(&s->thin, &s->conf, p, point);

        if (n == 2)
                out[0] = s->held;
        if (n)
                out[n - 1] = n == 1 && s->thin.holds ? s->held : *r;
        if (s->thin.holds) {
                s->held = *r;
                s->held.mid = 0; /* its message is acknowledged long before it may be sent */
        }
        return (size_t)n;
}

size_t thinning_pass(struct thinning *t, const struct reading *r, bool keep, struct reading out[2])
{
        bool number = isfinite(number_of(r)) && !quality_is_bad(r->quality);
        struct stretch *s;
        size_t n = 0, held;

        if (r->tag >= t->n_of || !t->looked[r->tag])
                look(t, r->tag);
        s = t->of[r->tag];
        out[0] = *r;
        if (!s || r->flags & READING_HISTORICAL)
                return 1;
        if (!number || keep || s->over || r->quality != s->quality) {
                n = end_stretch(s, &out[0]);
                out[n] = *r;
        }
        if (s->over && !begin_next(t, r->tag))
                return n + 1;
        s->quality = r->quality;
        if (!number)
                return n + 1;
        if (n || keep) {
                struct reading again[2];

                push(s, r, again);
                return n + 1;
        }
        held = s->thin.holds;
        n = push(s, r, out);
        t->n_left_out += held + 1 - n - s->thin.holds;
        return n;
}

void thinning_end(struct thinning *t, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
        struct reading last;

        for (size_t i = 0; i < t->n_of; i++) {
                if (t->of[i] && end_stretch(t->of[i], &last))
                        each(ctx, &last);
        }
}

uint64_t thinning_count(const struct thinning *t)
{
        return t->n_left_out;
}
