/*
 * filter_rows: see filter_rows.h.
 *
 * To compare each filter with each other one takes seconds where there are some
 * thousands, and it is done on the loop.  So each is cut into a row of numbers,
 * one for each level, and the rows are sorted: those that begin alike stand
 * beside each other, and what a filter may meet is found by halving, level by
 * level.  What is known to be in one group is not looked at again.
 *
 * mqtt_filter_covers and mqtt_filter_meets say what is meant; the tests compare.
 *
 * Fails: nothing.
 */
#include "drivers/mqtt/filter_rows.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

/* A level: its end, a wildcard, or the number of a name. */
enum { END, REST, ANY, FIRST_NAME };

struct row {
        const uint32_t *level; /* END behind the last */
        size_t at;             /* in what was given */
};

struct rows {
        struct row *v;
        size_t n;
        uint32_t *room;
        uint32_t apart_from, apart_to; /* the names that begin with $: no wildcard in front has them */
        size_t *group;                 /* a forest of rows */
        size_t *joined_to;             /* likewise: those from here to there are in one group */
};

/* Rows that have the same levels in front of `depth`. */
struct part {
        size_t from, to;
        size_t depth;
};

/* ---- rows ---- */

struct name {
        const char *s;
        size_t len;
        uint32_t *number; /* where it goes */
};

static int by_name(const void *one, const void *other)
{
        const struct name *a = one, *b = other;
        int order = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

        return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_levels(const void *one, const void *other)
{
        const struct row *a = one, *b = other;
        size_t i = 0;

        while (a->level[i] == b->level[i] && a->level[i] != END)
                i++;
        if (a->level[i] != b->level[i])
                return a->level[i] < b->level[i] ? -1 : 1;
        return (a->at > b->at) - (a->at < b->at);
}

static size_t count_levels(char *const *texts, size_t n)
{
        size_t found = 0;

        for (size_t i = 0; i < n; i++) {
                found += 2; /* with its end */
                for (const char *s = texts[i]; *s; s++)
                        found += *s == '/';
        }
        return found;
}

/* Its names are numbered when all are there. */
static uint32_t *cut(const char *s, uint32_t *level, struct name *names, size_t *n_names)
{
        for (;; s++) {
                size_t len = strcspn(s, "/");

                *level = len == 1 && *s == '#' ? REST : ANY;
                if (len != 1 || (*s != '#' && *s != '+'))
                        names[(*n_names)++] = (struct name){s, len, level};
                level++;
                s += len;
                if (!*s)
                        break;
        }
        *level = END;
        return level + 1;
}

static void number(struct rows *r, struct name *names, size_t n)
{
        uint32_t next = FIRST_NAME - 1;

        qsort(names, n, sizeof(*names), by_name);
        r->apart_from = r->apart_to = 0;
        for (size_t i = 0; i < n; i++) {
                next += !i || by_name(&names[i - 1], &names[i]) != 0;
                *names[i].number = next;
                if (names[i].len && names[i].s[0] == '$') {
                        r->apart_from = r->apart_from ? r->apart_from : next;
                        r->apart_to = next + 1;
                }
        }
}

static void init(struct rows *r, char *const *texts, size_t n)
{
        size_t n_levels = count_levels(texts, n), n_names = 0;
        struct name *names = mem_alloc((n_levels + 1) * sizeof(*names));
        uint32_t *level = mem_alloc((n_levels + 1) * sizeof(*level));

        *r = (struct rows){.v = mem_alloc((n + 1) * sizeof(*r->v)),
                           .n = n,
                           .room = level,
                           .group = mem_alloc((n + 1) * sizeof(*r->group)),
                           .joined_to = mem_alloc((n + 1) * sizeof(*r->joined_to))};
        for (size_t i = 0; i < n; i++) {
                r->v[i] = (struct row){level, i};
                r->group[i] = r->joined_to[i] = i;
                level = cut(texts[i], level, names, &n_names);
        }
        number(r, names, n_names);
        qsort(r->v, n, sizeof(*r->v), by_levels);
        free(names);
}

static void fini(struct rows *r)
{
        free(r->v);
        free(r->room);
        free(r->group);
        free(r->joined_to);
}

/* ---- parts ---- */

/* The first in it whose level there is not less. */
static size_t first_of(const struct rows *r, struct part p, uint32_t level)
{
        while (p.from < p.to) {
                size_t mid = p.from + (p.to - p.from) / 2;

                if (r->v[mid].level[p.depth] < level)
                        p.from = mid + 1;
                else
                        p.to = mid;
        }
        return p.from;
}

/* Those that have one of these levels there. */
static struct part between(const struct rows *r, struct part p, uint32_t level, uint32_t end)
{
        size_t from = first_of(r, p, level);

        return (struct part){from, first_of(r, (struct part){from, p.to, p.depth}, end), p.depth + 1};
}

static struct part those_with(const struct rows *r, struct part p, uint32_t level)
{
        return between(r, p, level, level + 1);
}

static bool is_empty(struct part p)
{
        return p.from == p.to;
}

static bool is_apart(const struct rows *r, struct part p, uint32_t level)
{
        return p.depth == 0 && level >= r->apart_from && level < r->apart_to;
}

/* ---- covered ---- */

/* `same`: what led here are the row's own levels, so that it is among them. */
static bool is_covered(const struct rows *r, struct part p, const uint32_t *row, bool same)
{
        uint32_t level = row[p.depth];
        bool wild = !is_apart(r, p, level);

        if (is_empty(p))
                return false;
        if (wild && !(same && level == REST) && !is_empty(those_with(r, p, REST)))
                return true;
        if (level == REST || level == END)
                return level == END && !same && !is_empty(those_with(r, p, END));
        if (wild && is_covered(r, those_with(r, p, ANY), row, same && level == ANY))
                return true;
        return level != ANY && is_covered(r, those_with(r, p, level), row, same);
}

/* ---- groups ---- */

static size_t root(size_t *forest, size_t i)
{
        while (forest[i] != i)
                i = forest[i] = forest[forest[i]];
        return i;
}

/* Nothing of it is to be found that is not known. */
static bool is_joined(struct rows *r, struct part p, size_t row)
{
        size_t i = p.from;

        if (is_empty(p))
                return true;
        while ((i = root(r->joined_to, i)) + 1 < p.to && root(r->group, i) == root(r->group, i + 1))
                r->joined_to[i] = i + 1;
        return i + 1 >= p.to && root(r->group, p.from) == root(r->group, row);
}

static void join(struct rows *r, struct part p, size_t row)
{
        if (is_empty(p))
                return;
        for (size_t i = root(r->joined_to, p.from); i + 1 < p.to; i = root(r->joined_to, i)) {
                r->group[root(r->group, i)] = root(r->group, i + 1);
                r->joined_to[i] = i + 1;
        }
        r->group[root(r->group, row)] = root(r->group, p.from);
}

static void join_meeting(struct rows *r, struct part p, size_t row);

/* A + meets what has any name there. */
static void join_names(struct rows *r, struct part p, size_t row)
{
        struct part names = between(r, p, FIRST_NAME, UINT32_MAX);

        while (!is_joined(r, names, row)) {
                uint32_t level = r->v[names.from].level[p.depth];
                struct part one = those_with(r, (struct part){names.from, names.to, p.depth}, level);

                if (!is_apart(r, p, level))
                        join_meeting(r, one, row);
                names.from = one.to;
        }
}

static void join_rest(struct rows *r, struct part p, size_t row)
{
        if (p.depth > 0 || r->apart_from == r->apart_to) {
                join(r, p, row);
                return;
        }
        join(r, between(r, p, 0, r->apart_from), row);
        join(r, between(r, p, r->apart_to, UINT32_MAX), row);
}

static void join_meeting(struct rows *r, struct part p, size_t row)
{
        uint32_t level = r->v[row].level[p.depth];
        bool wild = !is_apart(r, p, level);

        if (is_joined(r, p, row))
                return;
        if (level == REST) {
                join_rest(r, p, row);
                return;
        }
        if (wild)
                join(r, those_with(r, p, REST), row);
        if (level == END) {
                join(r, those_with(r, p, END), row);
                return;
        }
        if (wild)
                join_meeting(r, those_with(r, p, ANY), row);
        if (level == ANY)
                join_names(r, p, row);
        else
                join_meeting(r, those_with(r, p, level), row);
}

/* ---- all ---- */

static bool is_same(const struct row *a, const struct row *b)
{
        struct row c = *b;

        c.at = a->at;
        return by_levels(a, &c) == 0;
}

struct filter_relation *mqtt_filter_relations(char *const *texts, size_t n)
{
        struct filter_relation *out = mem_alloc((n + 1) * sizeof(*out));
        size_t *first = mem_alloc((n + 1) * sizeof(*first));
        struct part all = {0, n, 0};
        struct rows r;

        init(&r, texts, n);
        for (size_t i = 0; i < n; i++) {
                struct filter_relation *of = &out[r.v[i].at];

                of->again = i && is_same(&r.v[i - 1], &r.v[i]);
                of->covered = of->again || is_covered(&r, all, r.v[i].level, true);
                join_meeting(&r, all, i);
                first[i] = n;
        }
        for (size_t i = 0; i < n; i++) {
                size_t *of = &first[root(r.group, i)];

                *of = r.v[i].at < *of ? r.v[i].at : *of;
        }
        for (size_t i = 0; i < n; i++)
                out[r.v[i].at].group = first[root(r.group, i)];
        fini(&r);
        free(first);
        return out;
}
