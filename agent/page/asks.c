/*
 * asks: see asks.h.
 *
 * A list is a run of `millrace`, of at most TIMEOUT_US and LIST_MAX bytes: its
 * lines of JSON become an array.  What is cut is told ("more").  Tags are asked
 * for by every page that searches, so their list is kept for two seconds, and
 * twenty times as long as it takes: of 50,000 tags that is a twentieth of a core. A
 * curve is read here, from the spool, and given up after as long.
 *
 * How it fails: 503 with the command's own sentence, 400 for a question that is
 * none.
 */
#include "agent/page/asks.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "agent/base/child.h"
#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/page/curve.h"

enum {
        TIMEOUT_US = 4000000,
        LIST_MAX = 16 << 20,
        ROWS_MOST = 200,
        TAGS_MOST = 200,
        KEEP_MS = 2000,
        LIMIT_MS = 2000,
        SPARE = 20
};

static int64_t mono_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void answer_error(struct ask_answer *out, int status, const char *fmt, ...)
{
        char text[600];
        json_t *o;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        o = json_pack("{s:s%}", "error", text, text_is_utf8(text, strlen(text)) ? strlen(text) : (size_t)0);
        *out = (struct ask_answer){status, json_dumps(o, JSON_COMPACT)};
        json_decref(o);
}

static void answer(struct ask_answer *out, json_t *o)
{
        *out = (struct ask_answer){200, json_dumps(o, JSON_COMPACT)};
        json_decref(o);
}

/* ---- lists ---- */

struct listing {
        const char *path, *key;
        bool newest_first;
        const char *argv[8];
};

#define DEAD                                                                                                   \
        "SELECT d.id, d.lane, d.seq, d.at_us, d.reason, t.source, t.name AS tag FROM dead_letter d LEFT JOIN " \
        "tag t ON t.id = d.tag ORDER BY d.id DESC LIMIT 201"

static const struct listing listings[] = {
        {"/api/alarms", "alarms", false, {"alarms", "ls", "--all", "--json"}},
        {"/api/alarm-log", "log", true, {"alarms", "history", "--json", "-n", "200"}},
        {"/api/ledger", "rows", true, {"spool", "dropped", "--json"}},
        {"/api/quarantine", "rows", true, {"spool", "quarantine", "--json"}},
        {"/api/dead-letters", "rows", false, {"spool", "sql", "--json", DEAD}},
        {"/api/events", "rows", true, {"events", "--json", "-n", "201"}},
};

/* The output, for free(); NULL: *out has why. */
static char *run(const struct asks *a, const char *const words[], const char *tag, struct ask_answer *out)
{
        char *argv[16] = {a->program, "--config", a->config}, *text = malloc(LIST_MAX);
        struct err e = {"out of memory"};
        int n = 3;

        for (int i = 0; words[i]; i++)
                argv[n++] = (char *)(uintptr_t)words[i];
        if (tag) {
                argv[n++] = "--tag";
                argv[n++] = (char *)(uintptr_t)tag;
        }
        if (text && child_read(argv, TIMEOUT_US, text, LIST_MAX, &e) >= 0)
                return text;
        free(text);
        answer_error(out, 503, "%s", e.text);
        return NULL;
}

static json_t *rows_of(char *text, bool newest_first, size_t most, bool *more)
{
        json_t *list = json_array(), *cut = json_array();
        size_t from, n;

        for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text)) {
                json_t *row = json_loads(line, 0, NULL);

                if (row && newest_first)
                        json_array_insert_new(list, 0, row);
                else if (row)
                        json_array_append_new(list, row);
        }
        n = json_array_size(list);
        *more = n > most;
        for (from = 0; from < n && from < most; from++)
                json_array_append(cut, json_array_get(list, from));
        json_decref(list);
        return cut;
}

static void answer_listing(const struct asks *a, const struct listing *l, const struct ask_values *v,
                           struct ask_answer *out)
{
        bool of_tag = strcmp(l->path, "/api/alarm-log") == 0, more;
        char *text = run(a, l->argv, of_tag ? v->get(v->ctx, "tag") : NULL, out);
        json_t *rows;

        if (!text)
                return;
        rows = rows_of(text, l->newest_first, strcmp(l->key, "alarms") == 0 ? SIZE_MAX : ROWS_MOST, &more);
        free(text);
        answer(out, json_pack("{s:o, s:b}", l->key, rows, "more", (int)more));
}

/* ---- tags ---- */

static pthread_mutex_t tags_lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *tags_kept;
static int64_t tags_kept_ms, tags_took_ms;

/* A reference; NULL: *out has why. */
static json_t *all_tags(const struct asks *a, struct ask_answer *out)
{
        static const char *const words[] = {"tags", "--json", NULL};
        json_t *list;
        bool more;
        char *text;

        pthread_mutex_lock(&tags_lock);
        if (!tags_kept || mono_ms() - tags_kept_ms > KEEP_MS + tags_took_ms * SPARE) {
                tags_took_ms = mono_ms();
                text = run(a, words, NULL, out);
                if (text) {
                        json_decref(tags_kept);
                        tags_kept = rows_of(text, false, SIZE_MAX, &more);
                        tags_kept_ms = mono_ms();
                        tags_took_ms = tags_kept_ms - tags_took_ms;
                } else {
                        json_decref(tags_kept);
                        tags_kept = NULL;
                }
                free(text);
        }
        list = json_incref(tags_kept);
        pthread_mutex_unlock(&tags_lock);
        return list;
}

static bool has_word(const json_t *tag, const char *word, size_t len)
{
        char labels[1024] = "", text[2048], w[128];
        const char *key;
        json_t *value;

        json_object_foreach(json_object_get(tag, "labels"), key, value)
                snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels), " %s=%s", key,
                         json_is_string(value) ? json_string_value(value) : "");
        snprintf(text, sizeof(text), "%s/%s%s", json_string_value(json_object_get(tag, "source")),
                 json_string_value(json_object_get(tag, "tag")), labels);
        snprintf(w, sizeof(w), "%.*s", (int)(len < sizeof(w) ? len : sizeof(w) - 1), word);
        return strcasestr(text, w) != NULL;
}

static bool is_asked_for(const json_t *tag, const char *q)
{
        while (q && *q) {
                size_t len = strcspn(q, " ");

                if (len && !has_word(tag, q, len))
                        return false;
                q += len + (q[len] == ' ');
        }
        return true;
}

static void answer_tags(const struct asks *a, const struct ask_values *v, struct ask_answer *out)
{
        const char *q = v->get(v->ctx, "q"), *after = v->get(v->ctx, "after");
        size_t i, from = after ? strtoul(after, NULL, 10) : 0;
        json_t *all = all_tags(a, out), *list, *tag, *next = json_null();

        if (!all)
                return;
        list = json_array();
        json_array_foreach(all, i, tag)
        {
                if (i < from || !is_asked_for(tag, q))
                        continue;
                if (json_array_size(list) == TAGS_MOST) {
                        char text[24];

                        snprintf(text, sizeof(text), "%zu", i);
                        next = json_string(text);
                        break;
                }
                json_array_append(list, tag);
        }
        json_decref(all);
        answer(out, json_pack("{s:o, s:o}", "tags", list, "next", next));
}

/* ---- curves ---- */

struct wanted {
        const char *source, *tag, *labels; /* labels as in struct tag, or NULL: none asked for */
        struct spool_query_tag found;
        bool is_found;
        char text[4][1100];
};

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        struct wanted *w = ctx;
        char ident[1400], asked[1400];

        snprintf(ident, sizeof(ident), "%s", t->labels);
        snprintf(asked, sizeof(asked), "%s", w->labels ? w->labels : "");
        if (strcmp(t->source, w->source) != 0 || strcmp(t->name, w->tag) != 0 || strcmp(ident, asked) != 0)
                return true;
        w->found = *t;
        snprintf(w->text[0], sizeof(w->text[0]), "%s", t->source);
        snprintf(w->text[1], sizeof(w->text[1]), "%s", t->name);
        snprintf(w->text[2], sizeof(w->text[2]), "%s", t->unit);
        snprintf(w->text[3], sizeof(w->text[3]), "%s", t->labels);
        w->found.source = w->text[0];
        w->found.name = w->text[1];
        w->found.unit = w->text[2];
        w->found.labels = w->text[3];
        w->is_found = true;
        return false;
}

static json_t *number(double v)
{
        return isfinite(v) ? json_real(v) : json_null();
}

static json_t *columns_json(const struct curve *c)
{
        static const char *const words[] = {"good", "uncertain", "bad"};
        json_t *list = json_array();

        for (int x = 0; x < c->width; x++) {
                const struct curve_column *p = &c->column[x];
                double none = NAN;

                if (p->n)
                        json_array_append_new(list, json_pack("[i, o, o, o, o, I, s]", x,
                                                              number(p->has_number ? p->min : none),
                                                              number(p->has_number ? p->max : none),
                                                              number(p->has_number ? p->first : none),
                                                              number(p->has_number ? p->last : none), (json_int_t)p->n,
                                                              words[p->worst]));
        }
        return list;
}

/* Ends the query when its time is over. */
struct limit {
        atomic_bool over, done;
        pthread_mutex_t lock;
        pthread_cond_t end;
};

static void *watch(void *ctx)
{
        struct limit *l = ctx;
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LIMIT_MS / 1000;
        pthread_mutex_lock(&l->lock);
        while (!atomic_load(&l->done))
                if (pthread_cond_timedwait(&l->end, &l->lock, &until)) {
                        atomic_store(&l->over, true);
                        break;
                }
        pthread_mutex_unlock(&l->lock);
        return NULL;
}

static bool read_curve(const struct asks *a, struct wanted *w, struct curve *c, bool *partial, struct ask_answer *out)
{
        struct limit limit = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};
        struct spool_query *q;
        struct err e;
        pthread_t thread;
        bool fine;

        if (spool_query_open(&q, a->spool, &e) < 0) {
                answer_error(out, 503, "%s", e.text);
                return false;
        }
        spool_query_give_up_on(q, &limit.over);
        BUG_ON(pthread_create(&thread, NULL, watch, &limit) != 0);
        fine = spool_query_tags(q, false, on_tag, w, &e) == 0;
        if (fine && w->is_found)
                fine = curve_read(q, &w->found, c, &e) == 0;
        pthread_mutex_lock(&limit.lock);
        atomic_store(&limit.done, true);
        pthread_cond_signal(&limit.end);
        pthread_mutex_unlock(&limit.lock);
        pthread_join(thread, NULL);
        spool_query_close(q);
        *partial = atomic_load(&limit.over);
        if (fine || (*partial && w->is_found))
                return true;
        answer_error(out, 503, "%s", e.text);
        return false;
}

static int64_t int_of(const struct ask_values *v, const char *name)
{
        const char *s = v->get(v->ctx, name);

        return s ? strtoll(s, NULL, 10) : 0;
}

static void answer_curve(const struct asks *a, const struct ask_values *v, struct ask_answer *out)
{
        struct wanted w = {
                .source = v->get(v->ctx, "source"), .tag = v->get(v->ctx, "tag"), .labels = v->get(v->ctx, "labels")};
        struct curve c = {
                .from_us = int_of(v, "from_us"), .to_us = int_of(v, "to_us"), .width = (int)int_of(v, "width")};
        bool partial;

        if (!w.source || !w.tag || c.width < 1 || c.width > CURVE_WIDTH_MAX || c.from_us < 0 || c.to_us <= c.from_us) {
                answer_error(out, 400, "source, tag, from_us < to_us and width of 1 to %d are wanted", CURVE_WIDTH_MAX);
                return;
        }
        c.column = mem_alloc((size_t)c.width * sizeof(*c.column));
        if (read_curve(a, &w, &c, &partial, out)) {
                json_t *covered = c.oldest_us ? json_pack("[I, I]", (json_int_t)c.oldest_us, (json_int_t)c.newest_us)
                                              : json_null();

                if (!w.is_found) {
                        json_decref(covered);
                        answer_error(out, 404, "there is no such tag in the spool");
                } else {
                        answer(out,
                               json_pack("{s:I, s:I, s:i, s:s, s:o, s:o, s:b}", "from_us", (json_int_t)c.from_us,
                                         "to_us", (json_int_t)c.to_us, "width", c.width, "unit", w.found.unit,
                                         "columns", columns_json(&c), "covered_us", covered, "partial", (int)partial));
                }
        }
        free(c.column);
}

/* ---- the configuration ---- */

static void answer_configuration(const struct asks *a, struct ask_answer *out)
{
        static const char *const words[] = {"check", "--dump", NULL};
        char *text = run(a, words, NULL, out);
        json_t *o;

        if (!text)
                return;
        o = json_pack("{s:s, s:s}", "path", a->config, "text", text);
        free(text);
        if (o)
                answer(out, o);
        else
                answer_error(out, 503, "the configuration is no UTF-8");
}

/* ---- */

bool asks_know(const char *path)
{
        for (size_t i = 0; i < sizeof(listings) / sizeof(*listings); i++)
                if (strcmp(path, listings[i].path) == 0)
                        return true;
        return !strcmp(path, "/api/tags") || !strcmp(path, "/api/curve") || !strcmp(path, "/api/configuration");
}

void asks_run(const struct asks *a, const char *path, const struct ask_values *v, struct ask_answer *out)
{
        for (size_t i = 0; i < sizeof(listings) / sizeof(*listings); i++)
                if (strcmp(path, listings[i].path) == 0) {
                        answer_listing(a, &listings[i], v, out);
                        return;
                }
        if (strcmp(path, "/api/tags") == 0)
                answer_tags(a, v, out);
        else if (strcmp(path, "/api/curve") == 0)
                answer_curve(a, v, out);
        else
                answer_configuration(a, out);
}

void asks_act(const struct asks *a, const char *operator, const char * body, struct ask_answer *out)
{
        json_t *asked = json_loads(body, JSON_REJECT_DUPLICATES, NULL), *request, *reply = NULL;
        const char *action = json_string_value(json_object_get(asked, "action"));
        const char *alarm = json_string_value(json_object_get(asked, "alarm"));
        const char *comment = json_string_value(json_object_get(asked, "comment"));
        json_int_t for_s = json_integer_value(json_object_get(asked, "for_s"));
        struct err e;
        int rc;

        if (!action || !alarm || for_s < 0) {
                json_decref(asked);
                answer_error(out, 400, "action and alarm are wanted");
                return;
        }
        request = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "cmd", "alarm_cmd", "action", action, "alarm", alarm,
                            "operator", operator, "comment", comment ? comment : "", "for_s", for_s);
        rc = ctl_ask(a->socket, request, &reply, &e);
        if (rc == 0)
                *out = (struct ask_answer){200, mem_strdup("{}")};
        else
                answer_error(out, rc == CTL_E_REFUSED ? 409 : 503, "%s", e.text);
        json_decref(reply);
        json_decref(request);
        json_decref(asked);
}
