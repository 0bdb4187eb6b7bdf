/*
 * tags: what the spool knows of each tag: `tags` and `spool stats`.
 *
 * The tag table is small and cheap to read; last values and counts need a walk
 * over all readings, about a second per million.  `spool stats` walks, `tags`
 * does only while the file is small, and leaves the value out otherwise.
 */
#include <inttypes.h>
#include <string.h>

#include "agent/cli/open.h"
#include "agent/cli/reading_view.h"

/*
 * Spools up to this size are walked for the last values; that takes under a
 * second.
 */
enum { WALK_BYTES_MAX = 64 << 20 };

struct tag_list {
        struct out *out;
        const struct spool_filter *pick;
};

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        struct tag_list *list = ctx;
        int64_t last_us = t->newest_ts_us ? t->newest_ts_us : t->last_ts_us;
        bool shown = t->has_last && t->last.type != READING_TEXT && t->last.type != READING_RAW;
        char value[64] = "";

        if (shown)
                view_put_value(value, sizeof(value), &t->last);
        struct out_cell cells[] = {
                {.text = t->source},
                {.text = t->name},
                {.text = t->unit},
                {.text = t->driver},
                {.text = t->labels},
                {.us = last_us, .absent = !last_us},
                {.text = value, .absent = !value[0]},
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

struct tag_listing {
        const struct out_column *columns;
        size_t n_columns;
        bool (*each)(void *ctx, const struct spool_query_tag *tag);
};

static int list_tags(struct cli *c, struct spool_query *q, bool walk, struct tag_listing what)
{
        struct spool_filter pick = {0};
        struct tag_list list = {.out = &c->out, .pick = &pick};
        char tag[SPLIT_MAX];
        struct err e;
        int r;

        split_tag(c->tag, tag, &pick);
        out_table(&c->out, what.columns, what.n_columns);
        r = spool_query_tags(q, walk, what.each, &list, &e);
        out_table_end(&c->out);
        return r < 0 ? cli_fail(CLI_AWAY, "%s", e.text) : CLI_OK;
}

int cmd_tags(struct cli *c)
{
        static const struct out_column columns[] = {
                {"source", "SOURCE", OUT_TEXT},    {"tag", "TAG", OUT_TEXT},          {"unit", "UNIT", OUT_TEXT},
                {"driver", "DRIVER", OUT_TEXT},    {"labels", "LABELS", OUT_MEMBERS}, {"last_ts", "LAST", OUT_TIME},
                {"last_value", "VALUE", OUT_TEXT},
        };
        struct spool_counts n;
        struct spool_query *q;
        struct err e;
        int r = open_spool(c, &q);

        if (r)
                return r;
        if (spool_query_counts(q, &n, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        else
                r = list_tags(c, q, n.spool_bytes < WALK_BYTES_MAX,
                              (struct tag_listing){columns, sizeof(columns) / sizeof(*columns), on_tag});
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
        r = list_tags(c, q, true, (struct tag_listing){columns, sizeof(columns) / sizeof(*columns), on_tag_stats});
        if (r == CLI_OK)
                r = print_totals(c, q);
        spool_query_close(q);
        return r;
}
