/*
 * tags: what the spool knows of each tag: `tags` and `spool stats`.
 *
 * The last reading of each is looked for from the newest row down, until every
 * tag was met or LOOK_BACK rows were seen: under a second, however large the
 * file is.  Of a tag that was silent for longer the time is known, from the tag
 * table, and value and quality are not.  `spool stats` counts, so it walks all
 * readings, about a second per million.
 */
#include <inttypes.h>
#include <string.h>

#include "agent/cli/open.h"
#include "agent/cli/reading_view.h"

enum { LOOK_BACK = 500000, VALUE_MAX = 2 * SPOOL_LAST_TEXT + 8 };

struct tag_list {
        struct out *out;
        const struct spool_filter *pick;
        int64_t now_us;
};

static enum out_colour colour_of(unsigned quality)
{
        return quality == QUALITY_GOOD ? OUT_PLAIN : quality_is_bad(quality) ? OUT_RED : OUT_YELLOW;
}

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        struct tag_list *list = ctx;
        char value[VALUE_MAX] = "", quality[48] = "";
        int64_t age_us = t->last_ts_us && list->now_us > t->last_ts_us ? list->now_us - t->last_ts_us : 0;
        enum out_colour colour = t->has_last ? colour_of(t->last.quality) : OUT_PLAIN;

        if (t->has_last) {
                (list->out->terminal ? view_put_shown : view_put_value)(value, sizeof(value), &t->last);
                view_put_quality(quality, sizeof(quality), t->last.quality);
        }
        struct out_cell cells[] = {
                {.text = t->source},
                {.text = t->name},
                {.text = t->labels},
                {.text = value, .absent = !value[0], .colour = colour},
                {.text = t->unit},
                {.text = quality, .absent = !quality[0], .colour = colour},
                {.us = age_us, .absent = !t->last_ts_us},
                {.us = t->last_ts_us, .absent = !t->last_ts_us},
                {.text = t->driver},
        };
        if (!t->forgotten && pick_matches(list->pick, t->source, t->name, t->labels))
                out_row(list->out, cells);
        return !out_broken(list->out);
}

static double rate_of(const struct spool_query_tag *t)
{
        double span_s = (double)(t->newest_ts_us - t->oldest_ts_us) / 1e6;
        uint64_t n = t->n_held + t->n_kept;

        return n > 1 && span_s > 0 ? (double)(n - 1) / span_s : 0;
}

static bool on_tag_stats(void *ctx, const struct spool_query_tag *t)
{
        struct tag_list *list = ctx;
        bool none = t->n_held + t->n_kept == 0;
        double rate = rate_of(t);
        struct out_cell cells[] = {
                {.text = t->source},
                {.text = t->name},
                {.text = t->unit},
                {.n = t->n_held},
                {.n = t->n_kept},
                {.real = rate, .absent = rate <= 0},
                {.us = t->oldest_ts_us, .absent = none},
                {.us = t->newest_ts_us, .absent = none},
        };

        if (pick_matches(list->pick, t->source, t->name, t->labels))
                out_row(list->out, cells);
        return !out_broken(list->out);
}

/* The list under its head, when a tag that is named is there. */
static int list_tags(struct cli *c, struct spool_query *q, const struct out_column *columns, size_t n, bool walk,
                     bool (*each)(void *ctx, const struct spool_query_tag *tag))
{
        struct spool_filter pick = {0};
        struct tag_list list = {.out = &c->out, .pick = &pick, .now_us = c->now_us};
        char tag[SPLIT_MAX];
        struct err e;
        int r;

        split_tag(c->tag, tag, &pick);
        r = require_tag(c, q, &pick);
        if (r)
                return r;
        out_table(&c->out, columns, n);
        out_when_empty(&c->out, c->tag ? "no tag matches" : "no tags yet: nothing was ever read");
        r = walk ? spool_query_tags(q, true, each, &list, &e) : spool_query_last(q, LOOK_BACK, each, &list, &e);
        out_table_end(&c->out);
        return r < 0 ? cli_fail(CLI_AWAY, "%s", e.text) : CLI_OK;
}

int cmd_tags(struct cli *c)
{
        static const struct out_column columns[] = {
                {"source", "SOURCE", OUT_TEXT},
                {"tag", "TAG", OUT_TEXT},
                {"labels", "LABELS", OUT_MEMBERS},
                {"last_value", "VALUE", OUT_TEXT},
                {"unit", "UNIT", OUT_TEXT},
                {"quality", "QUALITY", OUT_TEXT},
                {"age_s", "AGE", OUT_SPAN},
                {"last_ts", "LAST", OUT_TIME, .spare = true},
                {"driver", "DRIVER", OUT_TEXT, .spare = true},
        };
        struct spool_query *q;
        int r = open_spool(c, &q);

        if (r)
                return r;
        r = list_tags(c, q, columns, sizeof(columns) / sizeof(*columns), false, on_tag);
        spool_query_close(q);
        return r;
}

static int print_totals(struct cli *c, struct spool_query *q)
{
        struct spool_counts n;
        struct err e;

        if (spool_query_counts(q, &n, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        if (c->out.json)
                fprintf(c->out.f,
                        "{\"summary\":{\"accepted\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"held\":%" PRIu64
                        ",\"dropped\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",\"dead_lettered\":%" PRIu64 "}}\n",
                        n.accepted, n.delivered, n.held, n.dropped, n.quarantined, n.dead_lettered);
        else if (c->out.terminal)
                fprintf(c->out.f,
                        "\naccepted %" PRIu64 ", delivered %" PRIu64 ", held %" PRIu64 ", dropped %" PRIu64
                        "; in quarantine %" PRIu64 ", refused by Kafka %" PRIu64 "\n",
                        n.accepted, n.delivered, n.held, n.dropped, n.quarantined, n.dead_lettered);
        return CLI_OK;
}

int cmd_spool_stats(struct cli *c)
{
        static const struct out_column columns[] = {
                {"source", "SOURCE", OUT_TEXT},  {"tag", "TAG", OUT_TEXT},      {"unit", "UNIT", OUT_TEXT},
                {"held", "HELD", OUT_COUNT},     {"kept", "KEPT", OUT_COUNT},   {"rate", "PER SECOND", OUT_REAL},
                {"first_ts", "FIRST", OUT_TIME}, {"last_ts", "LAST", OUT_TIME},
        };
        struct spool_query *q;
        int r = open_spool(c, &q);

        if (r)
                return r;
        r = list_tags(c, q, columns, sizeof(columns) / sizeof(*columns), true, on_tag_stats);
        if (r == CLI_OK)
                r = print_totals(c, q);
        spool_query_close(q);
        return r;
}
