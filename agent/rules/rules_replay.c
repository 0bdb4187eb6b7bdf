/*
 * rules_replay: see rules_replay.h.
 *
 * The monotonic clock of a recording begins with its first reading and is the
 * greatest time seen so far; the wall clock goes with it.  Tags are bound when
 * the first row is there, all columns at once, so that a column that stays
 * empty is silent from the start, as a dead device is.
 *
 * Fails on a line it can't read, with its number: half a recording would be a
 * wrong answer.
 */
#include "agent/rules/rules_replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/tags.h"
#include "agent/base/text.h"

enum { TAGS_MAX = 1000000, CELL_MAX = 4096 };

struct replay {
        const struct rule_conf *conf;
        size_t n_conf;
        char *gateway;
        struct replay_upcalls up;
        struct rules *rules;
        struct tags *tags;
        int64_t first_us, last_us; /* greatest so far */
        bool begun;
        uint64_t n_readings, n_lines;
        uint32_t *columns; /* tag of each column but the first */
        size_t n_columns;
};

struct replay *replay_new(const struct rule_conf *conf, size_t n, const char *gateway, const struct replay_upcalls *up)
{
        struct replay *p = mem_alloc(sizeof(*p));

        p->conf = conf;
        p->n_conf = n;
        p->gateway = mem_strdup(gateway);
        p->up = *up;
        p->tags = tags_new(TAGS_MAX);
        return p;
}

void replay_free(struct replay *p)
{
        if (!p)
                return;
        rules_free(p->rules);
        tags_free(p->tags);
        free(p->columns);
        free(p->gateway);
        free(p);
}

struct rules *replay_rules(struct replay *p)
{
        return p->rules;
}

uint64_t replay_readings(const struct replay *p)
{
        return p->n_readings;
}

/* ---- time and tags ---- */

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct replay *p = ctx;

        if (p->up.on_transition)
                p->up.on_transition(p->up.ctx, t);
}

static struct rt_time now_at(struct replay *p, int64_t ts_us)
{
        struct rules_upcalls up = {.on_transition = on_transition, .ctx = p};
        struct rt_time now = {.mono_us = 0, .wall_us = ts_us};

        if (!p->begun) {
                p->first_us = p->last_us = ts_us;
                p->rules = rules_new(p->conf, p->n_conf, p->gateway, &up, &now);
                p->begun = true;
        }
        if (ts_us > p->last_us)
                p->last_us = ts_us;
        now.mono_us = p->last_us - p->first_us;
        now.wall_us = p->last_us;
        return now;
}

static void bind(struct replay *p, uint32_t tag, const struct rt_time *now)
{
        const struct tag *t = tags_get(p->tags, tag);

        rules_bind(p->rules, tag, t->source, t->name, now);
}

static void eval(struct replay *p, const struct reading *r, const struct rt_time *now)
{
        const struct tag *t = tags_get(p->tags, r->tag);

        p->n_readings++;
        if (p->up.on_reading)
                p->up.on_reading(p->up.ctx, t->source, t->name, r);
        rules_eval(p->rules, r, now);
}

void replay_reading(struct replay *p, const char *source, const char *tag, const struct reading *r)
{
        struct rt_time now = now_at(p, r->ts_us);
        struct reading mine = *r;

        if (tags_intern(p->tags, source, tag, NULL, "", "", &mine.tag) != 0)
                return;
        bind(p, mine.tag, &now);
        eval(p, &mine, &now);
        rules_tick(p->rules, &now);
}

/* ---- CSV ---- */

/*
 * The next cell, without its quotes and the space around it; *at is NULL behind
 * the last. False: it does not fit.
 */
static bool next_cell(const char **at, const char *end, char cell[CELL_MAX], size_t *len)
{
        const char *p = *at;
        bool quoted;
        size_t n = 0;

        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        quoted = p < end && *p == '"';
        for (p += quoted; p < end; p++) {
                if (quoted && *p == '"') {
                        if (p + 1 == end || p[1] != '"') {
                                quoted = false;
                                continue;
                        }
                        p++;
                } else if (!quoted && *p == ',') {
                        break;
                }
                if (n == CELL_MAX - 1)
                        return false;
                cell[n++] = *p;
        }
        while (n && (cell[n - 1] == ' ' || cell[n - 1] == '\t' || cell[n - 1] == '\r'))
                n--;
        cell[n] = '\0';
        *len = n;
        *at = p < end ? p + 1 : NULL;
        return !quoted;
}

/*
 * More generous than JSON: +1, .5 and 1. are numbers in a spreadsheet's file;
 * not hex, inf, nan.
 */
static bool is_number(const char *cell, size_t len, double *v)
{
        char *end;

        if (!len || strspn(cell, "0123456789+-.eE") != len)
                return false;
        *v = strtod(cell, &end);
        return *end == '\0' && isfinite(*v);
}

static bool is_time(const char *cell, size_t len, int64_t *us)
{
        bool has_zone;
        double s;

        if (is_number(cell, len, &s) && fabs(s) < 1e12) {
                *us = llround(s * 1e6);
                return true;
        }
        return text_time(cell, len, us, &has_zone);
}

int replay_csv_header(struct replay *p, const char *source, const char *line, size_t len, struct err *e)
{
        const char *at = line, *end = line + len;
        char cell[CELL_MAX], name[TEXT_NAME_MAX + 1];
        size_t n;

        p->n_lines = 1;
        if (!next_cell(&at, end, cell, &n))
                return err_set(e, "line 1: a cell is not closed, or longer than %d bytes", CELL_MAX - 1);
        if (!at)
                return err_set(e, "line 1: one column only; the first is the time, every other one a tag");
        while (at) {
                if (!next_cell(&at, end, cell, &n))
                        return err_set(e, "line 1: a cell is not closed, or longer than %d bytes", CELL_MAX - 1);
                p->columns = mem_grow(p->columns, p->n_columns + 1, sizeof(*p->columns));
                text_map_name(name, cell, n);
                if (tags_intern(p->tags, source, name, NULL, "", "", &p->columns[p->n_columns++]) != 0)
                        return err_set(e, "line 1: more than %d columns", TAGS_MAX);
        }
        return 0;
}

static void cell_reading(struct reading *r, const char *cell, size_t len)
{
        if (is_number(cell, len, &r->v.f64)) {
                r->type = READING_F64;
        } else if (strcmp(cell, "true") == 0 || strcmp(cell, "false") == 0) {
                r->type = READING_BOOL;
                r->v.b = cell[0] == 't';
        } else {
                r->type = READING_TEXT;
                r->v.text = cell;
                r->len = (uint32_t)len;
        }
}

static struct rt_time begin_row(struct replay *p, int64_t ts_us)
{
        bool first = !p->begun;
        struct rt_time now = now_at(p, ts_us);

        for (size_t i = 0; first && i < p->n_columns; i++)
                bind(p, p->columns[i], &now);
        return now;
}

int replay_csv_row(struct replay *p, const char *line, size_t len, struct err *e)
{
        const char *at = line, *end = line + len;
        unsigned long long nr = ++p->n_lines;
        char cell[CELL_MAX];
        struct rt_time now;
        int64_t ts_us;
        size_t n;

        if (!next_cell(&at, end, cell, &n))
                return err_set(e, "line %llu: a cell is not closed, or longer than %d bytes", nr, CELL_MAX - 1);
        if (!n && !at)
                return 0;
        if (!is_time(cell, n, &ts_us))
                return err_set(e, "line %llu: \"%.60s\" is not a time; allowed: ISO 8601, or seconds since 1970", nr,
                               cell);
        now = begin_row(p, ts_us);
        for (size_t i = 0; at; i++) {
                struct reading r = {.ts_us = ts_us, .arrival_us = ts_us};

                if (!next_cell(&at, end, cell, &n))
                        return err_set(e, "line %llu: a cell is not closed, or longer than %d bytes", nr, CELL_MAX - 1);
                if (n && i >= p->n_columns)
                        return err_set(e, "line %llu: more cells than the header has", nr);
                if (!n)
                        continue;
                r.tag = p->columns[i];
                cell_reading(&r, cell, n);
                eval(p, &r, &now);
        }
        rules_tick(p->rules, &now);
        return 0;
}

/* ---- JSON ---- */

static size_t put(char *out, size_t n, const char *s)
{
        size_t len = strlen(s);

        memcpy(out + n, s, len);
        return n + len;
}

/*
 * Names are at most 256 bytes, so that 6 * 256 is the most one of them can take;
 * what came longer is cut.
 */
static size_t put_text(char *out, size_t n, const char *key, const char *s)
{
        size_t len = strlen(s);

        n = put(out, n, key);
        out[n++] = '"';
        n += text_put_json(out + n, s, len > TEXT_NAME_MAX ? TEXT_NAME_MAX : len);
        out[n++] = '"';
        return n;
}

static size_t put_number(char *out, size_t n, const char *key, double v)
{
        n = put(out, n, key);
        if (isfinite(v))
                return n + text_put_double(out + n, v);
        return put(out, n, "null");
}

size_t replay_put_json(char out[REPLAY_JSON_MAX], const struct rules_transition *t)
{
        char tag[TEXT_NAME_MAX + 1], labels[2 * TAGS_IDENT_MAX];
        size_t n = put(out, 0, "{\"ts\":\""), len = strcspn(t->row.tag, "{");

        len = len > TEXT_NAME_MAX ? TEXT_NAME_MAX : len;
        memcpy(tag, t->row.tag, len);
        tag[len] = '\0';
        tags_put_labels(labels, sizeof(labels), t->row.tag);
        n += text_put_time(out + n, t->ts_us);
        n = put(out, n, "\",\"ts_us\":");
        n += text_put_i64(out + n, t->ts_us);
        n = put_text(out, n, ",\"source\":", t->row.source);
        n = put_text(out, n, ",\"tag\":", tag);
        n += tags_put_event_labels(out + n, 4 * TAGS_IDENT_MAX, labels);
        n = put_text(out, n, ",\"rule\":", t->row.rule);
        n = put_text(out, n, ",\"limit_kind\":", t->row.limit_kind);
        n = put_text(out, n, ",\"state\":", alarm_change_name(t->change));
        n = put_number(out, n, ",\"value\":", t->value);
        n = put_number(out, n, ",\"limit\":", t->limit);
        if (t->says)
                n = put_text(out, n, ",\"says\":", t->says);
        n = put(out, n, ",\"severity\":");
        n += text_put_i64(out + n, t->row.severity);
        n = put_text(out, n, ",\"event_id\":", t->row.event_id);
        out[n++] = '}';
        return n;
}
