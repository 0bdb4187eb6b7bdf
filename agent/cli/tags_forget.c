/*
 * tags_forget: `tags forget`: says which tags would go, and with --yes has them
 * forgotten.
 *
 * What is to stay is found here, from the file and the configuration, so that a
 * dry run tells the truth; a daemon that has the file looks again, for it knows
 * what came since.  It is asked a few hundred tags at a time.  Without one the
 * file is changed here (own_spool).
 *
 * Fails with a sentence; what was forgotten until then is.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"
#include "agent/cli/own_spool.h"
#include "agent/config/config.h"

enum { AT_ONCE = 500, REQUEST_BYTES = 32768 };

enum stays { GOES, STAYS_CONFIGURED, STAYS_HELD, STAYS_ALARM, N_STAYS };
static const char *const stays_names[N_STAYS] = {"", "configured", "held", "alarm"};

struct found_tag {
        char *source, *name, *labels;
        int64_t last_us;
        enum stays stays;
};

struct forgetting {
        const struct spool_filter *pick;
        int64_t unused_before_us; /* 0: whenever */
        struct found_tag *v;
        size_t n, cap;
        size_t n_forgotten, n_stay[N_STAYS], n_more; /* n_more: the daemon says that they stay */
        struct driver_names names;                   /* for find_configured */
};

/* ---- which ---- */

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        struct forgetting *g = ctx;
        int64_t last_us = t->newest_ts_us > t->last_ts_us ? t->newest_ts_us : t->last_ts_us;

        if (t->forgotten || !pick_matches(g->pick, t->source, t->name, t->labels) ||
            (g->unused_before_us && last_us >= g->unused_before_us))
                return true;
        if (g->n == g->cap) {
                g->cap = g->cap ? 2 * g->cap : 256;
                g->v = mem_grow(g->v, g->cap, sizeof(*g->v));
        }
        g->v[g->n++] = (struct found_tag){.source = mem_strdup(t->source),
                                          .name = mem_strdup(t->name),
                                          .labels = mem_strdup(t->labels),
                                          .last_us = last_us,
                                          .stays = t->n_held ? STAYS_HELD : GOES};
        return true;
}

static int by_name(const void *x, const void *y)
{
        const struct found_tag *a = x, *b = y;
        int order = strcmp(a->source, b->source);

        return order ? order : strcmp(a->name, b->name);
}

/* All that are meant: with these labels, or whatever they are. */
static void set_stays(struct forgetting *g, const char *source, const char *ident, enum stays why)
{
        char name[TEXT_NAME_MAX + 1], its[TAGS_IDENT_MAX + 1];
        struct found_tag key = {.source = (char *)source, .name = name};
        struct found_tag *at;

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(ident, "{"), ident);
        at = g->n ? bsearch(&key, g->v, g->n, sizeof(*g->v), by_name) : NULL;
        if (!at)
                return;
        while (at > g->v && by_name(at - 1, &key) == 0)
                at--;
        for (; at < g->v + g->n && by_name(at, &key) == 0; at++) {
                tags_put_ident(its, at->name, at->labels);
                if (tags_ident_means(its, ident))
                        at->stays = at->stays ? at->stays : why;
        }
}

static bool on_alarm(void *ctx, const struct spool_alarm *a)
{
        if (strcmp(a->state, "normal") != 0)
                set_stays(ctx, a->source, a->tag, STAYS_ALARM);
        return true;
}

static void on_name(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        struct forgetting *g = (struct forgetting *)((char *)to - offsetof(struct forgetting, names));

        if (tag)
                set_stays(g, source, tag, STAYS_CONFIGURED);
}

/* With --spool alone nobody knows: a daemon does, and such tags come again. */
static void find_configured(const struct cli *c, struct forgetting *g)
{
        struct faults faults = {0};
        struct config *conf;

        g->names.each = on_name;
        if (!c->spool && config_load(c->config, &conf, &faults) == 0) {
                for (size_t i = 0; i < conf->n_drivers; i++)
                        conf->drivers[i].ops->names(conf->drivers[i].conf, &g->names);
                config_free(conf);
        }
        faults_fini(&faults);
}

static int find(const struct cli *c, struct spool_query *q, struct forgetting *g, struct err *e)
{
        if (spool_query_tags(q, true, on_tag, g, e) < 0)
                return -1;
        if (g->n)
                qsort(g->v, g->n, sizeof(*g->v), by_name);
        find_configured(c, g);
        return spool_query_alarms(q, on_alarm, g, e);
}

/* ---- with a daemon ---- */

static size_t count_of(const json_t *reply, const char *key)
{
        return (size_t)json_integer_value(json_object_get(reply, key));
}

static void take_reply(struct forgetting *g, const json_t *reply)
{
        g->n_forgotten += count_of(reply, "forgotten");
        g->n_stay[STAYS_CONFIGURED] += count_of(reply, "configured");
        g->n_stay[STAYS_HELD] += count_of(reply, "held");
        g->n_stay[STAYS_ALARM] += count_of(reply, "alarms");
        g->n_more += count_of(reply, "used") + count_of(reply, "full");
}

static int ask(const char *socket, struct forgetting *g, json_t *names, struct err *e)
{
        json_t *request = json_pack("{s:s, s:O, s:I}", "cmd", "forget", "tags", names, "unused_before",
                                    (json_int_t)g->unused_before_us);
        json_t *reply = NULL;
        int r = ctl_ask(socket, request, &reply, e);

        json_decref(request);
        json_array_clear(names);
        if (r == 0)
                take_reply(g, reply);
        json_decref(reply);
        return r;
}

static int forget_by_daemon(const char *socket, struct forgetting *g, struct err *e)
{
        json_t *names = json_array();
        size_t bytes = 0;
        int r = 0;

        for (size_t i = 0; i < g->n && r == 0; i++) {
                const struct found_tag *t = &g->v[i];

                if (t->stays)
                        continue;
                json_array_append_new(names, json_pack("[s, s, s]", t->source, t->name, t->labels));
                bytes += strlen(t->source) + strlen(t->name) + 2 * strlen(t->labels) + 16;
                if (json_array_size(names) < AT_ONCE && bytes < REQUEST_BYTES)
                        continue;
                r = ask(socket, g, names, e);
                bytes = 0;
        }
        if (r == 0 && json_array_size(names))
                r = ask(socket, g, names, e);
        json_decref(names);
        return r;
}

/* ---- without one ---- */

static int forget_in_file(const char *path, const char *gateway, struct forgetting *g, int64_t now_us, struct err *e)
{
        struct own_spool o;

        if (own_spool_open(&o, path, gateway, now_us, e) < 0)
                return -1;
        for (size_t i = 0; i < g->n; i++) {
                const struct found_tag *t = &g->v[i];
                uint32_t tag;

                if (!t->stays && tags_find(o.tags, t->source, t->name, t->labels, &tag) == 0 &&
                    tags_forget(o.tags, tag))
                        g->n_forgotten++;
        }
        spool_tags_moved(o.spool);
        own_spool_step(&o);
        return own_spool_close(&o, e);
}

/* ---- telling ---- */

static void list(struct cli *c, const struct forgetting *g)
{
        static const struct out_column columns[] = {
                {"source", "SOURCE", OUT_TEXT}, {"tag", "TAG", OUT_TEXT},     {"labels", "LABELS", OUT_MEMBERS},
                {"last_ts", "LAST", OUT_TIME},  {"stays", "STAYS", OUT_TEXT},
        };

        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns));
        for (size_t i = 0; i < g->n; i++) {
                const struct found_tag *t = &g->v[i];
                struct out_cell cells[] = {
                        {.text = t->source},
                        {.text = t->name},
                        {.text = t->labels},
                        {.us = t->last_us, .absent = !t->last_us},
                        {.text = stays_names[t->stays], .absent = t->stays == GOES},
                };

                out_row(&c->out, cells);
        }
        out_table_end(&c->out);
}

static int tell(struct cli *c, const struct forgetting *g, bool dry, size_t n)
{
        size_t n_stay = g->n_more;

        for (int i = 1; i < N_STAYS; i++)
                n_stay += g->n_stay[i];
        if (c->out.json)
                fprintf(c->out.f,
                        "{\"forgotten\":%zu,\"would_go\":%zu,\"configured\":%zu,\"held\":%zu,\"alarms\":%zu,\"other\":%"
                        "zu}\n",
                        g->n_forgotten, dry ? n : 0, g->n_stay[STAYS_CONFIGURED], g->n_stay[STAYS_HELD],
                        g->n_stay[STAYS_ALARM], g->n_more);
        else if (!n && !n_stay)
                fputs("no such tags\n", c->out.f);
        else
                fprintf(c->out.f, "%s: %zu tags\n", dry ? "would go" : "forgotten", n);
        if (n_stay && !c->out.json)
                fprintf(c->out.f,
                        "%zu stay: %zu that the configuration names, %zu with readings that Kafka does not have yet, "
                        "%zu"
                        " with an alarm that is not normal, %zu that were used, or are too many at once\n",
                        n_stay, g->n_stay[STAYS_CONFIGURED], g->n_stay[STAYS_HELD], g->n_stay[STAYS_ALARM], g->n_more);
        return n && !n_stay ? CLI_OK : CLI_NO;
}

static int forget_found(struct cli *c, const struct places *p, const char *gateway, bool live, struct forgetting *g)
{
        struct err e;
        int r = live ? forget_by_daemon(p->socket, g, &e) : forget_in_file(p->spool, gateway, g, c->now_us, &e);

        if (r != 0)
                return cli_fail(r == CTL_E_REFUSED ? CLI_NO : CLI_AWAY, "%s", e.text);
        return tell(c, g, false, g->n_forgotten);
}

static int run(struct cli *c, const struct places *p, struct forgetting *g)
{
        char gateway[TEXT_NAME_MAX + 1];
        struct spool_query *q;
        struct err e;
        size_t n = 0;
        bool live;
        int r;

        if (spool_query_open(&q, p->spool, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        live = spool_query_live(q);
        snprintf(gateway, sizeof(gateway), "%s", spool_query_gateway(q));
        r = find(c, q, g, &e);
        spool_query_close(q);
        if (r < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        for (size_t i = 0; i < g->n; i++) {
                n += g->v[i].stays == GOES;
                g->n_stay[g->v[i].stays] += g->v[i].stays != GOES;
        }
        if (n && !cli_has(c, CLI_BIT(DRY_RUN)))
                return forget_found(c, p, gateway, live, g);
        if (g->n && cli_has(c, CLI_BIT(DRY_RUN)))
                list(c, g);
        return c->out.json && g->n ? CLI_OK : tell(c, g, true, n);
}

int cmd_tags_forget(struct cli *c)
{
        struct spool_filter pick = {0};
        struct forgetting g = {.pick = &pick};
        char pattern[SPLIT_MAX];
        struct places places;
        int64_t unused_us = 0;
        int r;

        if (!cli_has(c, CLI_BIT(DRY_RUN)) && !cli_has(c, CLI_BIT(YES)))
                return cli_fail(CLI_USAGE, "say --yes to forget tags, or --dry-run to see which");
        if (c->unused && (!text_duration(c->unused, &unused_us) || unused_us <= 0))
                return cli_fail(CLI_USAGE, "--unused-for %s: a time is needed, as 30d or 12h", c->unused);
        if (c->n_args == 0 && !c->unused)
                return cli_fail(CLI_USAGE, "which tags: SOURCE/TAG, or --unused-for TIME");
        g.unused_before_us = c->unused ? c->now_us - unused_us : 0;
        split_tag(c->n_args ? c->args[0] : NULL, pattern, &pick);
        r = places_find(c, &places);
        if (r)
                return r;
        r = run(c, &places, &g);
        for (size_t i = 0; i < g.n; i++) {
                free(g.v[i].source);
                free(g.v[i].name);
                free(g.v[i].labels);
        }
        free(g.v);
        places_fini(&places);
        return r;
}
