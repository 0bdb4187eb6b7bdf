/*
 * spool_list: the bounded listings of a spool: lanes, the ledger of drops, the
 * quarantine.
 *
 * Each is a table of columns and one callback that fills a row; the writer does
 * the rest.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/open.h"

static const char *const lane_names[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "samples"};

/* ---- lanes ---- */

struct lane {
        uint64_t first_seq, first_held_seq, dropped_in_kept; /* 0: none */
        uint64_t kept_to;                                    /* while the ledger is walked: the watermark */
};

static bool on_first(void *ctx, const struct spool_query_row *row)
{
        *(uint64_t *)ctx = row->seq;
        return false;
}

/*
 * Of a dropped range, the part that lies among the kept rows: kept rows = their
 * range less these.
 */
static bool on_drop_in_kept(void *ctx, const struct spool_query_drop *d)
{
        struct lane *lane = (struct lane *)ctx + d->lane;
        uint64_t from = d->first_seq > lane->first_seq ? d->first_seq : lane->first_seq;
        uint64_t to = d->last_seq < lane->kept_to ? d->last_seq : lane->kept_to;
        uint64_t n = to >= from ? to - from + 1 : 0;

        if (lane->first_seq)
                lane->dropped_in_kept += n < d->n ? n : d->n;
        return true;
}

static int read_lanes(struct spool_query *q, struct lane lanes[SPOOL_LANES], struct spool_counts *counts, struct err *e)
{
        if (spool_query_counts(q, counts, e) < 0)
                return -1;
        for (int i = 0; i < SPOOL_LANES; i++) {
                struct spool_filter all = {.lane = (enum spool_lane)i, .limit = 1}, held = all;

                held.held_only = true;
                lanes[i].kept_to = counts->acked_seq[i];
                if (spool_query_rows(q, &all, on_first, &lanes[i].first_seq, e) < 0 ||
                    spool_query_rows(q, &held, on_first, &lanes[i].first_held_seq, e) < 0)
                        return -1;
        }
        return spool_query_dropped(q, on_drop_in_kept, lanes, e);
}

static uint64_t kept_rows(const struct lane *lane)
{
        uint64_t range = lane->first_seq && lane->first_seq <= lane->kept_to ? lane->kept_to - lane->first_seq + 1 : 0;

        return range > lane->dropped_in_kept ? range - lane->dropped_in_kept : 0;
}

static void print_lanes(struct cli *c, const struct lane *lanes, const struct spool_counts *n)
{
        static const struct out_column columns[] = {
                {"lane", "LANE", OUT_TEXT},
                {"first_seq", "FIRST", OUT_COUNT},
                {"first_held_seq", "FIRST HELD", OUT_COUNT},
                {"last_seq", "LAST", OUT_COUNT},
                {"held", "HELD", OUT_COUNT},
                {"kept", "KEPT", OUT_COUNT},
                {"accepted", "ACCEPTED", OUT_COUNT},
                {"delivered", "DELIVERED", OUT_COUNT},
                {"dropped", "DROPPED", OUT_COUNT},
                {"held_bytes", "HELD SIZE", OUT_SIZE},
                {"oldest_held_age_s", "OLDEST HELD", OUT_SPAN},
        };
        int64_t age_us = n->held && n->oldest_held_ts_us ? c->now_us - n->oldest_held_ts_us : 0;

        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns));
        for (int i = SPOOL_LANES - 1; i >= 0; i--) {
                bool samples = i == SPOOL_SAMPLES;
                struct out_cell cells[] = {
                        {.text = lane_names[i]},
                        {.n = lanes[i].first_seq, .absent = !lanes[i].first_seq},
                        {.n = lanes[i].first_held_seq, .absent = !lanes[i].first_held_seq},
                        {.n = n->last_seq[i], .absent = !n->last_seq[i]},
                        {.n = samples ? n->held : n->events_held},
                        {.n = kept_rows(&lanes[i])},
                        {.n = samples ? n->accepted : n->events_accepted},
                        {.n = samples ? n->delivered : n->events_delivered},
                        {.n = samples ? n->dropped : n->events_dropped},
                        {.n = n->held_bytes, .absent = !samples},
                        {.us = age_us > 0 ? age_us : 0, .absent = !samples || !n->held},
                };

                out_row(&c->out, cells);
        }
        out_table_end(&c->out);
}

int cmd_spool_ls(struct cli *c)
{
        struct lane lanes[SPOOL_LANES] = {{0}};
        struct spool_counts counts;
        struct spool_query *q;
        char size[32];
        struct err e;
        int r = open_spool(c, &q);

        if (r)
                return r;
        if (read_lanes(q, lanes, &counts, &e) < 0) {
                spool_query_close(q);
                return cli_fail(CLI_AWAY, "%s", e.text);
        }
        text_put_size(size, sizeof(size), counts.spool_bytes);
        if (c->out.terminal)
                fprintf(c->out.f, "gateway %s  epoch %" PRIu64 "  %s%s\n\n", spool_query_gateway(q),
                        spool_query_epoch(q), size, spool_query_live(q) ? "  in use by the daemon" : "");
        print_lanes(c, lanes, &counts);
        spool_query_close(q);
        return CLI_OK;
}

/* ---- what did not go to Kafka ---- */

static bool on_drop(void *ctx, const struct spool_query_drop *d)
{
        struct out_cell cells[] = {
                {.text = lane_names[d->lane]}, {.n = d->first_seq}, {.n = d->last_seq}, {.n = d->n},
                {.text = d->reason},           {.us = d->at_us},
        };

        out_row(ctx, cells);
        return !out_broken(ctx);
}

int cmd_spool_dropped(struct cli *c)
{
        static const struct out_column columns[] = {
                {"lane", "LANE", OUT_TEXT}, {"first_seq", "FIRST", OUT_COUNT}, {"last_seq", "LAST", OUT_COUNT},
                {"n", "COUNT", OUT_COUNT},  {"reason", "REASON", OUT_TEXT},    {"at", "AT", OUT_TIME},
        };
        struct spool_query *q;
        struct err e;
        int r = open_spool(c, &q);

        if (r)
                return r;
        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns));
        out_when_empty(&c->out, "the ledger is empty: nothing was dropped");
        if (spool_query_dropped(q, on_drop, &c->out, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        out_table_end(&c->out);
        spool_query_close(q);
        return r;
}

/*
 * The payload as text when it is text; else *hex is set, with 0x before it.
 * Both are the caller's to free.
 */
static void payload_texts(const struct spool_query_quarantine *item, char **text, char **hex)
{
        const unsigned char *bytes = item->payload;

        *text = *hex = NULL;
        if (text_is_utf8(item->payload, item->len)) {
                *text = mem_alloc(item->len + 1);
                memcpy(*text, item->payload, item->len);
                return;
        }
        *hex = mem_alloc(2 * item->len + 3);
        strcpy(*hex, "0x");
        for (size_t i = 0; i < item->len; i++)
                snprintf(*hex + 2 + 2 * i, 3, "%02x", bytes[i]);
}

static bool on_quarantined(void *ctx, const struct spool_query_quarantine *item)
{
        struct out *out = ctx;
        char *text, *hex;

        payload_texts(item, &text, &hex);
        struct out_cell cells[] = {
                {.n = item->id},
                {.us = item->at_us},
                {.text = item->driver},
                {.text = item->origin},
                {.text = item->reason},
                {.n = item->len},
                {.text = text || out->json ? text : hex, .absent = out->json && !text},
                {.text = hex ? hex + 2 : NULL, .absent = !hex},
        };
        out_row(out, cells);
        free(text);
        free(hex);
        return !out_broken(out);
}

int cmd_spool_quarantine(struct cli *c)
{
        static const struct out_column columns[] = {
                {"id", "ID", OUT_COUNT},          {"at", "AT", OUT_TIME},         {"driver", "DRIVER", OUT_TEXT},
                {"origin", "FROM", OUT_TEXT},     {"reason", "REASON", OUT_TEXT}, {"length", "SIZE", OUT_SIZE},
                {"payload", "PAYLOAD", OUT_TEXT}, {"payload_hex", "", OUT_TEXT}, /* the last one in JSON only */
        };
        struct spool_query *q;
        struct err e;
        int r = open_spool(c, &q);

        if (r)
                return r;
        out_table(&c->out, columns, sizeof(columns) / sizeof(*columns) - (c->out.json ? 0 : 1));
        out_when_empty(&c->out, "the quarantine is empty: no message was malformed");
        if (spool_query_quarantine(q, on_quarantined, &c->out, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        out_table_end(&c->out);
        spool_query_close(q);
        return r;
}
