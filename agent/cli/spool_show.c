/*
 * spool_show: one reading in full, or why it is not there any more.
 *
 * A seq that has no row was delivered and trimmed (at or below the watermark),
 * dropped (the ledger names the reason), or never given out.  The answer is
 * made from the same file, so it holds without the daemon too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/open.h"
#include "agent/cli/reading_view.h"

struct show {
        struct view view;
        const struct spool_query *q;
        uint64_t seq;
        bool found;
        char reason[64]; /* of the ledger's range that covers it; "": none does */
        int64_t dropped_us;
};

/* The names of the set flags, with a comma between two. */
static void print_flags(FILE *f, unsigned flags, const char *quote)
{
        const char *comma = "";

        for (unsigned bit = 1; bit <= flags; bit <<= 1) {
                if (!(flags & bit) || !view_flag_name(bit))
                        continue;
                fprintf(f, "%s%s%s%s", comma, quote, view_flag_name(bit), quote);
                comma = ",";
        }
}

/*
 * The record as Kafka gets it, and before its closing brace what the record
 * does not carry.
 */
static void print_json(struct show *s, const struct spool_query_row *row)
{
        FILE *f = s->view.out->f;
        char arrival[TEXT_TIME_MAX];
        size_t len;
        const char *record = view_record(&s->view, row, &len);

        fwrite(record, 1, len - 1, f);
        fprintf(f, ",\"arrival\":\"%.*s\",\"arrival_us\":%" PRId64 ",\"flags\":[",
                (int)text_put_time(arrival, row->r.arrival_us), arrival, row->r.arrival_us);
        print_flags(f, row->r.flags, "\"");
        fprintf(f, "],\"state\":\"%s\"}\n", row->delivered ? "delivered" : "held");
}

static void print_people(struct show *s, const struct spool_query_row *row)
{
        FILE *f = s->view.out->f;
        size_t cap = 2 * (size_t)row->r.len + 64;
        char time[TEXT_TIME_MAX], quality[48], *value = mem_alloc(cap), *clean = mem_alloc(cap);

        view_put_value(value, cap, &row->r);
        out_put_clean(clean, cap, value);
        view_put_quality(quality, sizeof(quality), row->r.quality);
        fprintf(f, "id       %s:%" PRIu64 ":%" PRIu64 "\n", spool_query_gateway(s->q), spool_query_epoch(s->q),
                row->seq);
        fprintf(f, "source   %s\ntag      %s\n", row->source, row->name);
        fprintf(f, "value    %s%s%s\n", clean[0] ? clean : "-", row->unit[0] ? " " : "", row->unit);
        fprintf(f, "quality  %s\n", quality);
        fprintf(f, "time     %.*s\n", (int)text_put_time(time, row->r.ts_us), time);
        fprintf(f, "arrival  %.*s\n", (int)text_put_time(time, row->r.arrival_us), time);
        if (row->labels[0]) {
                char labels[512];

                out_put_members(labels, sizeof(labels), row->labels);
                fprintf(f, "labels   %s\n", labels);
        }
        fprintf(f, "flags    ");
        print_flags(f, row->r.flags, "");
        fprintf(f, "%s\nstate    %s\n", row->r.flags ? "" : "-", row->delivered ? "delivered, kept" : "held");
        free(value);
        free(clean);
}

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct show *s = ctx;

        s->found = true;
        if (s->view.out->json)
                print_json(s, row);
        else
                print_people(s, row);
        return false;
}

static bool on_drop(void *ctx, const struct spool_query_drop *d)
{
        struct show *s = ctx;

        if (d->lane != SPOOL_SAMPLES || s->seq < d->first_seq || s->seq > d->last_seq)
                return true;
        snprintf(s->reason, sizeof(s->reason), "%s", d->reason);
        s->dropped_us = d->at_us;
        return false;
}

static int tell_absent(struct show *s, const char *state, const char *sentence)
{
        struct out *out = s->view.out;
        char at[TEXT_TIME_MAX];

        if (!out->json) {
                fprintf(out->f, "%" PRIu64 ": %s\n", s->seq, sentence);
                return CLI_NO;
        }
        fprintf(out->f, "{\"seq\":%" PRIu64 ",\"state\":\"%s\"", s->seq, state);
        if (s->reason[0])
                fprintf(out->f, ",\"reason\":\"%s\",\"at\":\"%.*s\"", s->reason, (int)text_put_time(at, s->dropped_us),
                        at);
        fputs("}\n", out->f);
        return CLI_NO;
}

static int explain_absence(struct show *s, struct spool_query *q)
{
        char sentence[256], at[TEXT_TIME_MAX];
        struct spool_counts counts;
        bool delivered;
        struct err e;

        if (spool_query_counts(q, &counts, &e) < 0 || spool_query_delivered(q, s->seq, &delivered, &e) < 0 ||
            spool_query_dropped(q, on_drop, s, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        if (s->reason[0]) {
                snprintf(sentence, sizeof(sentence), "dropped (%s), noted at %.*s; see millrace spool dropped",
                         s->reason, (int)text_put_time(at, s->dropped_us), at);
                return tell_absent(s, "dropped", sentence);
        }
        if (s->seq == 0 || s->seq > counts.last_seq[SPOOL_SAMPLES]) {
                snprintf(sentence, sizeof(sentence), "never given out; the last one is %" PRIu64,
                         counts.last_seq[SPOOL_SAMPLES]);
                return tell_absent(s, "never", sentence);
        }
        if (delivered)
                return tell_absent(s, "delivered", "delivered to Kafka, and not kept any more");
        return tell_absent(s, "missing", "neither held, delivered nor dropped: the file is damaged");
}

int cmd_spool_show(struct cli *c)
{
        struct spool_filter filter = {.lane = SPOOL_SAMPLES};
        struct spool_query *q;
        struct show s = {0};
        struct err e;
        char *end;
        int r;

        errno = 0;
        s.seq = strtoull(c->args[0], &end, 10);
        if (c->args[0][0] < '0' || c->args[0][0] > '9' || *end || errno)
                return cli_fail(CLI_USAGE, "'%s' is no seq: a whole number is needed", c->args[0]);
        r = open_spool(c, &q);
        if (r)
                return r;
        s.q = q;
        filter.first_seq = filter.last_seq = s.seq;
        view_init(&s.view, &c->out, VIEW_RECORD, q);
        if (s.seq && spool_query_rows(q, &filter, on_row, &s, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        else if (!s.found)
                r = explain_absence(&s, q);
        view_fini(&s.view);
        spool_query_close(q);
        return r;
}
