/*
 * try: what the configured sources give, now: `millrace try`.
 *
 * For the moment after a line was written and before the daemon reads it: is
 * the wire right, is the register right, is 713 now 71.3 degC?  The drivers are
 * the daemon's, so what stands here is what it would send, after scale, offset,
 * map and range; rules and thinning come later and are left out.
 *
 * Without --for each item is read until all that its configuration names has
 * come once, ten seconds at most; what speaks by itself is listened to for so
 * long.  Exit status 1 when an item gave nothing good, or something that is
 * named did not come.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/cli.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/excerpt.h"
#include "agent/cli/reading_view.h"
#include "agent/cli/stop.h"
#include "agent/cli/trial.h"
#include "agent/config/config.h"

enum { USUAL_US = 10000000, NAMES_MAX = 256 };

/* What the person named: an item, or a source of one. */
struct choice {
        struct driver_names names;
        const char *word; /* NULL: all */
        bool is_item, is_source;
};

static void on_source(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        struct choice *ch = (struct choice *)to;

        ch->is_source |= strcmp(source, ch->word) == 0;
}

static bool wants(void *ctx, const struct config_driver *d)
{
        struct choice ch = *(struct choice *)ctx;

        if (!ch.word)
                return true;
        ch.is_item = strcmp(d->name, ch.word) == 0;
        ch.is_source = false;
        d->ops->names(d->conf, &ch.names);
        return ch.is_item || ch.is_source;
}

static int fail_unknown(const struct cli *c, const struct config *conf, const char *word)
{
        const char *names[NAMES_MAX], *near;
        size_t n = 0;

        for (; n < conf->n_drivers && n < NAMES_MAX; n++)
                names[n] = conf->drivers[n].name;
        near = text_did_you_mean(word, names, n);
        if (near)
                return cli_fail(CLI_NO, "%s: no item or source of that name in %s; did you mean %s?", word, c->config,
                                near);
        return cli_fail(CLI_NO, "%s: no item or source of that name in %s", word, c->config);
}

/* ---- for people ---- */

struct listing {
        struct cli *c;
        const struct trial_item *item;
        const char *source; /* NULL: all of the item */
};

static void on_row(void *ctx, const struct trial_tag *t)
{
        const struct listing *l = ctx;
        char quality[48] = "nothing came";

        if (l->source && strcmp(l->source, t->source) != 0)
                return;
        if (t->n)
                view_put_quality(quality, sizeof(quality), t->quality);
        struct out_cell cells[] = {
                {.text = l->item->name},
                {.text = t->source},
                {.text = t->name},
                {.text = t->labels},
                {.text = t->value, .absent = !t->value[0]},
                {.text = t->unit},
                {.text = quality},
                {.us = t->ts_us, .absent = !t->n},
                {.n = t->n},
        };

        out_row(&l->c->out, cells);
}

static void print_item(struct cli *c, const struct trial_item *item)
{
        const char *on = out_on(&c->out, item->n_good ? OUT_PLAIN : OUT_RED), *off = out_off(&c->out);
        char why[sizeof(item->why)];

        fprintf(c->out.f, "%s%s %s: %s", on, item->kind, item->name, item->connected ? "connected" : "not connected");
        fprintf(c->out.f, ", %" PRIu64 " reading%s of %zu tag%s", item->n, item->n == 1 ? "" : "s", item->n_tags,
                item->n_tags == 1 ? "" : "s");
        if (item->n_good < item->n_tags)
                fprintf(c->out.f, ", %zu bad", item->n_tags - item->n_good);
        if (item->n_silent)
                fprintf(c->out.f, ", nothing of %zu", item->n_silent);
        if (item->n_malformed)
                fprintf(c->out.f, ", %" PRIu64 " messages not understood", item->n_malformed);
        out_put_clean(why, sizeof(why), item->why);
        fprintf(c->out.f, "%s%s%s\n", *why ? "; " : "", why, *on ? off : "");
}

static void print_table(struct cli *c, const struct trial *t, const char *source)
{
        static const struct out_column columns[] = {
                {"item", "ITEM", OUT_TEXT},        {"source", "SOURCE", OUT_TEXT}, {"tag", "TAG", OUT_TEXT},
                {"labels", "LABELS", OUT_MEMBERS}, {"value", "VALUE", OUT_TEXT},   {"unit", "UNIT", OUT_TEXT},
                {"quality", "QUALITY", OUT_TEXT},  {"ts", "TIME", OUT_TIME},       {"n", "READINGS", OUT_COUNT},
        };
        const struct trial_item *items;
        size_t n = trial_items(t, &items);

        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns));
        for (size_t i = 0; i < n; i++) {
                struct listing l = {c, &items[i], source};

                trial_tags(t, &items[i], on_row, &l);
        }
        out_table_end(&c->out);
        for (size_t i = 0; i < n; i++)
                print_item(c, &items[i]);
}

/* ---- for programs ---- */

/* As it was printed: the shortest text of a number is one of JSON's, too. */
static void put_value(FILE *f, const struct trial_tag *t)
{
        json_t *text = NULL;

        if (t->type == READING_F64 || t->type == READING_I64 || t->type == READING_BOOL)
                fputs(t->value, f);
        else if (t->type != READING_NONE && (text = json_string(t->value)))
                json_dumpf(text, f, JSON_ENCODE_ANY);
        else
                fputs("null", f);
        json_decref(text);
}

static void print_object(struct cli *c, json_t *o)
{
        json_dumpf(o, c->out.f, JSON_COMPACT);
        fputc('\n', c->out.f);
        json_decref(o);
}

static void on_row_json(void *ctx, const struct trial_tag *t)
{
        const struct listing *l = ctx;
        char quality[48], ts[TEXT_TIME_MAX] = "", *labels, *rest;
        size_t room = strlen(t->labels) + 1;
        json_t *o;

        if (l->source && strcmp(l->source, t->source) != 0)
                return;
        labels = mem_alloc(room);
        view_put_quality(quality, sizeof(quality), t->quality);
        ts[t->n ? text_put_time(ts, t->ts_us) : 0] = '\0';
        out_put_members(labels, room, t->labels);
        o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:I}", "item", l->item->name, "source", t->source, "tag",
                      t->name, "labels", labels, "unit", t->unit, "quality", t->n ? quality : NULL, "ts",
                      t->n ? ts : NULL, "n", (json_int_t)t->n);
        rest = json_dumps(o, JSON_COMPACT);
        fputs("{\"value\":", l->c->out.f);
        put_value(l->c->out.f, t);
        fprintf(l->c->out.f, ",%s\n", rest ? rest + 1 : "}");
        free(rest);
        free(labels);
        json_decref(o);
}

static void print_json(struct cli *c, const struct trial *t, const char *source)
{
        const struct trial_item *items;
        size_t n = trial_items(t, &items);

        for (size_t i = 0; i < n; i++) {
                struct listing l = {c, &items[i], source};

                trial_tags(t, &items[i], on_row_json, &l);
        }
        for (size_t i = 0; i < n; i++)
                print_object(c, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "item", items[i].name, "kind",
                                          items[i].kind, "state", items[i].connected ? "up" : "down", "readings",
                                          (json_int_t)items[i].n, "tags", (json_int_t)items[i].n_tags, "bad",
                                          (json_int_t)(items[i].n_tags - items[i].n_good), "silent",
                                          (json_int_t)items[i].n_silent, "why", items[i].why));
}

/* ---- the command ---- */

static void tell_daemon(const struct config *conf)
{
        json_t *ask = json_pack("{s:s}", "cmd", "status"), *reply;
        struct err e;

        if (ctl_ask(conf->control_socket, ask, &reply, &e) == 0) {
                fprintf(stderr, "millrace: the daemon runs and reads its sources too: a serial port it has open, and a "
                                "port it listens on, can't be had; 'millrace status' tells of these\n");
                json_decref(reply);
        }
        json_decref(ask);
}

static int try(struct cli *c, const struct config *conf, int64_t span_us)
{
        struct choice choice = {.names = {.each = on_source}, .word = c->n_args ? c->args[0] : NULL};
        struct trial *t = trial_new(conf, wants, &choice);
        const struct trial_item *items;
        size_t n = trial_items(t, &items);
        bool by_item = false, good = n > 0;

        if (n == 0) {
                trial_free(t);
                return choice.word ? fail_unknown(c, conf, choice.word)
                                   : cli_fail(CLI_NO, "%s has no source of readings", c->config);
        }
        tell_daemon(conf);
        stop_arm();
        trial_run(t, span_us, !c->span, stop_asked);
        for (size_t i = 0; i < n; i++) {
                by_item |= choice.word && strcmp(items[i].name, choice.word) == 0;
                good &= items[i].n_good > 0 && items[i].n_good == items[i].n_tags && items[i].n_silent == 0;
        }
        if (c->out.json)
                print_json(c, t, by_item ? NULL : choice.word);
        else
                print_table(c, t, by_item ? NULL : choice.word);
        trial_free(t);
        return good ? CLI_OK : CLI_NO;
}

int cmd_try(struct cli *c)
{
        struct faults faults = {0};
        int64_t span_us = USUAL_US;
        struct config *conf;
        int r;

        if (c->span && (!text_duration(c->span, &span_us) || span_us <= 0))
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 30s or 10m", c->span);
        if (config_load(c->config, &conf, &faults) < 0) {
                excerpt_faults(&faults, stderr);
                faults_fini(&faults);
                return CLI_CONFIG;
        }
        r = try(c, conf, span_us);
        config_free(conf);
        faults_fini(&faults);
        return r;
}
