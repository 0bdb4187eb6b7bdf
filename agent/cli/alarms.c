/*
 * alarms: `millrace alarms …`: what is wrong now, what was, and an operator's
 * word about it.
 *
 * The list comes from the daemon, and when it does not run from the spool's
 * file, which has every state as of the last commit; history is always the
 * file's.  What an operator does goes through the daemon, with a name and a
 * comment, and is on disk when the command ends.
 */
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"

/* ---- the list ---- */

struct listing {
        struct spool_alarm *rows; /* texts are ours */
        size_t n, cap;
        const struct spool_filter *pick;
        bool all;
};

static bool picked(const struct spool_filter *pick, const char *source, const char *tag)
{
        char wanted[SPLIT_MAX];

        if (pick->source && strcmp(pick->source, source) != 0)
                return false;
        snprintf(wanted, sizeof(wanted), "%s%s%s", pick->name ? pick->name : "", pick->labels ? "{" : "",
                 pick->labels ? pick->labels : "");
        return !pick->name || tags_ident_means(tag, wanted);
}

static bool on_alarm(void *ctx, const struct spool_alarm *a)
{
        struct listing *l = ctx;
        struct spool_alarm *mine;

        if ((!l->all && strcmp(a->state, "normal") == 0) || !picked(l->pick, a->source, a->tag))
                return true;
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 64;
                l->rows = mem_grow(l->rows, l->cap, sizeof(*l->rows));
        }
        mine = &l->rows[l->n++];
        *mine = *a;
        mine->source = mem_strdup(a->source);
        mine->tag = mem_strdup(a->tag);
        mine->rule = mem_strdup(a->rule);
        mine->limit_kind = mem_strdup(a->limit_kind);
        mine->state = mem_strdup(a->state);
        return true;
}

static void release(struct listing *l)
{
        for (size_t i = 0; i < l->n; i++) {
                const char *texts[] = {l->rows[i].source, l->rows[i].tag, l->rows[i].rule, l->rows[i].limit_kind,
                                       l->rows[i].state};

                for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++)
                        free((char *)(uintptr_t)texts[k]);
        }
        free(l->rows);
}

static const char *text_at(const json_t *o, const char *key)
{
        const char *s = json_string_value(json_object_get(o, key));

        return s ? s : "";
}

static int64_t time_at(const json_t *o, const char *key)
{
        const char *s = text_at(o, key);
        bool has_zone;
        int64_t us;

        return text_time(s, strlen(s), &us, &has_zone) ? us : 0;
}

static void take_reply(struct listing *l, const json_t *reply)
{
        const json_t *o;
        size_t i;

        json_array_foreach(json_object_get(reply, "alarms"), i, o)
        {
                char ident[TAGS_IDENT_MAX + 1];
                struct spool_alarm a = {
                        .source = text_at(o, "source"),
                        .tag = ident,
                        .rule = text_at(o, "rule"),
                        .limit_kind = text_at(o, "limit_kind"),
                        .state = text_at(o, "state"),
                        .active = json_is_true(json_object_get(o, "active")),
                        .unacked = json_is_true(json_object_get(o, "unacked")),
                        .severity = (int)json_integer_value(json_object_get(o, "severity")),
                        .activations = (uint32_t)json_integer_value(json_object_get(o, "activations")),
                        .since_us = time_at(o, "since"),
                        .shelved_until_us = time_at(o, "shelved_until"),
                };

                tags_put_ident(ident, text_at(o, "tag"), text_at(o, "labels"));
                snprintf(a.event_id, sizeof(a.event_id), "%s", text_at(o, "event_id"));
                on_alarm(l, &a);
        }
}

/* The most severe first, of these the newest. */
static int by_need(const void *a, const void *b)
{
        const struct spool_alarm *x = a, *y = b;

        if (x->active != y->active)
                return x->active ? -1 : 1;
        if (x->severity != y->severity)
                return x->severity > y->severity ? -1 : 1;
        return x->since_us > y->since_us ? -1 : x->since_us < y->since_us;
}

struct named {
        char name[TEXT_NAME_MAX + 1], labels[2 * TAGS_IDENT_MAX];
};

static struct named named_of(const char *ident)
{
        struct named n;

        snprintf(n.name, sizeof(n.name), "%.*s", (int)strcspn(ident, "{"), ident);
        tags_put_labels(n.labels, sizeof(n.labels), ident);
        return n;
}

static void print(struct cli *c, struct listing *l)
{
        static const struct out_column columns[] = {
                {"state", "STATE", OUT_TEXT},
                {"severity", "SEVERITY", OUT_COUNT},
                {"source", "SOURCE", OUT_TEXT},
                {"tag", "TAG", OUT_TEXT},
                {"labels", "LABELS", OUT_MEMBERS},
                {"rule", "RULE", OUT_TEXT},
                {"limit_kind", "LIMIT", OUT_TEXT},
                {"since", "SINCE", OUT_TIME},
                {"shelved_until", "SHELVED UNTIL", OUT_TIME, .spare = true},
                {"activations", "TIMES", OUT_COUNT, .spare = true},
                {"event_id", "EVENT", OUT_TEXT, .spare = true},
        };

        if (l->n)
                qsort(l->rows, l->n, sizeof(*l->rows), by_need);
        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns));
        out_when_empty(&c->out,
                       l->all ? "no alarm ever was" : "no alarm: every limit is kept (--all: those that were)");
        for (size_t i = 0; i < l->n && !out_broken(&c->out); i++) {
                const struct spool_alarm *a = &l->rows[i];
                struct named tag = named_of(a->tag);
                struct out_cell cells[] = {
                        {.text = a->state},
                        {.n = (uint64_t)a->severity},
                        {.text = a->source},
                        {.text = tag.name, .absent = !*a->tag},
                        {.text = tag.labels},
                        {.text = a->rule},
                        {.text = a->limit_kind},
                        {.us = a->since_us, .absent = !a->since_us},
                        {.us = a->shelved_until_us, .absent = !a->shelved_until_us},
                        {.n = a->activations},
                        {.text = a->event_id, .absent = !a->activations},
                };

                out_row(&c->out, cells);
        }
        out_table_end(&c->out);
}

static int list_from_file(const struct places *places, struct listing *l)
{
        struct spool_query *q;
        struct err e;
        int r = CLI_OK;

        if (spool_query_open(&q, places->spool, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        if (spool_query_alarms(q, on_alarm, l, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        spool_query_close(q);
        return r;
}

int cmd_alarms_ls(struct cli *c)
{
        struct spool_filter pick = {0};
        struct listing l = {.pick = &pick, .all = cli_has(c, CLI_BIT(ALL))};
        char tag[SPLIT_MAX];
        struct places places;
        json_t *request, *reply;
        struct err e;
        int r = places_find(c, &places);

        if (r)
                return r;
        split_tag(c->tag, tag, &pick);
        request = json_pack("{s:s, s:b}", "cmd", "alarms", "all", l.all);
        if (ctl_ask(places.socket, request, &reply, &e) == 0) {
                take_reply(&l, reply);
                json_decref(reply);
        } else {
                r = list_from_file(&places, &l);
        }
        json_decref(request);
        places_fini(&places);
        if (r == CLI_OK)
                print(c, &l);
        release(&l);
        return r;
}

/* ---- history ---- */

struct history {
        struct out *out;
        const struct spool_filter *pick;
};

static bool on_note(void *ctx, const struct spool_query_alarm_note *note)
{
        const struct history *h = ctx;
        const struct spool_alarm_note *n = &note->n;
        struct named tag = named_of(n->tag);
        struct out_cell cells[] = {
                {.us = n->at_us},
                {.text = n->change},
                {.n = (uint64_t)n->severity},
                {.text = n->source},
                {.text = tag.name, .absent = !*n->tag},
                {.text = tag.labels},
                {.text = n->rule},
                {.text = n->limit_kind},
                {.real = n->value, .absent = n->value != n->value},
                {.real = n->limit, .absent = n->limit != n->limit},
                {.text = n->by, .absent = !*n->by},
                {.text = n->comment, .absent = !*n->comment},
                {.text = n->event_id},
        };

        if (picked(h->pick, n->source, n->tag))
                out_row(h->out, cells);
        return !out_broken(h->out);
}

int cmd_alarms_history(struct cli *c)
{
        static const struct out_column columns[] = {
                {"ts", "TIME", OUT_TIME},
                {"change", "CHANGE", OUT_TEXT},
                {"severity", "SEVERITY", OUT_COUNT},
                {"source", "SOURCE", OUT_TEXT},
                {"tag", "TAG", OUT_TEXT},
                {"labels", "LABELS", OUT_MEMBERS},
                {"rule", "RULE", OUT_TEXT},
                {"limit_kind", "LIMIT", OUT_TEXT},
                {"value", "VALUE", OUT_REAL},
                {"limit", "AT", OUT_REAL},
                {"operator", "OPERATOR", OUT_TEXT},
                {"comment", "COMMENT", OUT_TEXT},
                {"event_id", "EVENT", OUT_TEXT},
        };
        struct spool_filter pick = {0};
        struct history h = {&c->out, &pick};
        int64_t from_us = cli_has(c, CLI_BIT(SINCE)) ? c->since_us : 0;
        uint64_t most = cli_has(c, CLI_BIT(LINES)) ? c->lines : 0;
        struct spool_query *q;
        char tag[SPLIT_MAX];
        struct err e;
        int r = open_spool(c, &q);

        if (r)
                return r;
        split_tag(c->tag, tag, &pick);
        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns));
        out_when_empty(&c->out, "nothing happened to alarms in that time");
        r = spool_query_alarm_log(q, from_us, most, on_note, &h, &e);
        out_table_end(&c->out);
        if (r < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        spool_query_close(q);
        return r;
}

/* ---- an operator's word ---- */

static const char *operator_of(const struct cli *c, char *buf, size_t cap)
{
        const char *names[] = {c->by, getenv("SUDO_USER"), getenv("USER")};
        const struct passwd *pw;

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                if (names[i] && *names[i])
                        return names[i];
        }
        pw = getpwuid(getuid());
        if (pw && pw->pw_name && *pw->pw_name)
                return pw->pw_name;
        snprintf(buf, cap, "uid %ld", (long)getuid());
        return buf;
}

static json_t *request_of(const struct cli *c, struct err *e)
{
        char uid[32];
        const char *by = operator_of(c, uid, sizeof(uid)), *comment = c->comment ? c->comment : "";
        const char *action = strchr(c->command->name, ' ') + 1;
        int64_t for_us = 0;
        json_t *o;

        if (strcmp(action, "shelve") == 0 && (!c->span || !text_duration(c->span, &for_us) || for_us < 1000000)) {
                err_set(e, "--for: how long it is shelved, as in --for 2h");
                return NULL;
        }
        o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "cmd", "alarm_cmd", "action", action, "alarm", c->args[0],
                      "operator", by, "comment", comment, "for_s", (json_int_t)(for_us / 1000000));
        if (!o)
                err_set(e, "the alarm, the operator's name and the comment are to be valid UTF-8");
        return o;
}

int cmd_alarms_command(struct cli *c)
{
        json_t *request, *reply;
        struct err e;
        int r;

        request = request_of(c, &e);
        if (!request)
                return cli_fail(CLI_USAGE, "%s", e.text);
        r = ask_daemon(c, request, &reply);
        if (r)
                return r;
        if (c->out.json)
                json_dumpf(reply, c->out.f, JSON_COMPACT);
        else
                fputs("done", c->out.f);
        fputc('\n', c->out.f);
        json_decref(reply);
        return CLI_OK;
}
