/*
 * report: what a day or any other time was like: the books, outages, gaps,
 * alarms.
 *
 * All of it is read from the spool's file, so it works without the daemon and
 * on a copy.  Readings are there for as long as they are held or kept
 * (keep_delivered), events and alarms for much longer: what can't be known any
 * more the report says.  Readings of the time are walked once, about a second
 * per million.
 *
 * Fails as opening a spool does.
 */
#include "agent/cli/past/report.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/open.h"
#include "agent/cli/progress.h"

enum { TAGS_MOST = 1 << 20 };

/* ---- events ---- */

static uint64_t count_of(const json_t *o, const char *key)
{
        json_int_t n = json_integer_value(json_object_get(o, key));

        return n > 0 ? (uint64_t)n : 0;
}

static bool on_event(void *ctx, const struct spool_query_row *row)
{
        struct report *r = ctx;
        struct past_event v;
        json_t *o;

        past_read(&v, row, &o);
        if (v.ts_us < r->until_us && strcmp(v.kind, "alarm") != 0)
                outages_take(&r->outages, &v);
        if (strcmp(v.kind, "spool_rescue") == 0)
                books_anew(&r->books, v.ts_us);
        if (json_is_integer(json_object_get(o, "accepted")))
                books_take(&r->books, &(struct books_mark){.ts_us = v.ts_us,
                                                           .accepted = count_of(o, "accepted"),
                                                           .delivered = count_of(o, "delivered"),
                                                           .dropped = count_of(o, "dropped")});
        json_decref(o);
        return true;
}

static bool on_drop(void *ctx, const struct spool_query_drop *d)
{
        struct report *r = ctx;
        struct report_drop *x = r->drops;

        if (d->lane != SPOOL_SAMPLES || d->at_us < r->from_us || d->at_us >= r->until_us)
                return true;
        while (x < r->drops + r->n_drops && strcmp(x->reason, d->reason) != 0)
                x++;
        if (x == r->drops + REPORT_DROPS)
                return true;
        if (x == r->drops + r->n_drops) {
                *x = (struct report_drop){.first_seq = d->first_seq, .from_us = d->at_us};
                text_copy(x->reason, sizeof(x->reason), d->reason);
                r->n_drops++;
        }
        x->n += d->n;
        x->last_seq = d->last_seq;
        x->from_us = d->at_us < x->from_us ? d->at_us : x->from_us;
        x->to_us = d->at_us > x->to_us ? d->at_us : x->to_us;
        return true;
}

/* A line of the journal as an event of an activation that begins or ends. */
static bool on_note(void *ctx, const struct spool_query_alarm_note *note)
{
        struct report *r = ctx;
        const struct spool_alarm_note *n = &note->n;
        struct past_event v = {.ts_us = n->at_us, .severity = n->severity, .duration_us = -1, .kind = "alarm"};

        v.edge = strcmp(n->change, "active") == 0     ? PAST_BEGAN
                 : strcmp(n->change, "returned") == 0 ? PAST_ENDED
                                                      : PAST_POINT;
        if (v.edge == PAST_POINT || n->at_us >= r->until_us)
                return true;
        text_format(v.subject, sizeof(v.subject), "%s%s%s %s%s%s", n->source, *n->tag ? "/" : "", n->tag, n->rule,
                    *n->limit_kind ? "." : "", n->limit_kind);
        text_format(v.key, sizeof(v.key), "alarm %s", n->event_id);
        outages_take(&r->alarms, &v);
        return true;
}

/* ---- readings ---- */

static struct report_tag *tag_at(struct report *r, uint32_t tag)
{
        if (tag >= r->n_tags) {
                size_t n = tag + tag / 2 + 64;

                r->tags = mem_grow(r->tags, n, sizeof(*r->tags));
                memset(r->tags + r->n_tags, 0, (n - r->n_tags) * sizeof(*r->tags));
                r->n_tags = n;
        }
        return &r->tags[tag];
}

static void name_tag(struct report_tag *t, const char *source, const char *name, const char *labels)
{
        char ident[TAGS_IDENT_MAX + 1], full[TEXT_NAME_MAX + TAGS_IDENT_MAX + 3];

        tags_put_ident(ident, name, labels);
        snprintf(full, sizeof(full), "%.*s/%s", TEXT_NAME_MAX, source, ident);
        t->name = mem_strdup(full);
        t->source_len = strnlen(source, TEXT_NAME_MAX);
}

struct walk {
        struct report *r;
        struct progress progress;
        uint64_t first, end;
};

static bool on_reading(void *ctx, const struct spool_query_row *row)
{
        struct walk *w = ctx;
        struct report_tag *t;

        if (w->progress.on)
                progress_show(&w->progress, (double)(row->seq - w->first) / (double)(w->end - w->first + 1));
        if (row->r.tag >= TAGS_MOST)
                return true;
        t = tag_at(w->r, row->r.tag);
        if (!t->name)
                name_tag(t, row->source, row->name, row->labels);
        gaps_take(&w->r->gaps, row->r.tag, row->r.ts_us);
        w->r->n_readings++;
        return true;
}

static bool on_first(void *ctx, const struct spool_query_row *row)
{
        struct walk *w = ctx;

        w->first = row->seq;
        w->r->first_reading_us = row->r.ts_us;
        return false;
}

/* Tags of which nothing came in the time at all. */
static bool on_tag(void *ctx, const struct spool_query_tag *tag)
{
        struct report *r = ctx;
        struct report_tag *t;

        if (tag->id >= TAGS_MOST || !tag->last_ts_us || tag->last_ts_us >= r->from_us)
                return true;
        t = tag_at(r, tag->id);
        if (!t->name) {
                name_tag(t, tag->source, tag->name, tag->labels);
                t->last_us = tag->last_ts_us;
        }
        return true;
}

static int gather_readings(struct report *r, struct spool_query *q, struct err *e)
{
        struct spool_filter one = {.lane = SPOOL_SAMPLES, .limit = 1};
        struct spool_filter of_time = {.lane = SPOOL_SAMPLES, .from_us = r->from_us, .to_us = r->until_us};
        struct walk w = {.r = r, .end = r->counts.last_seq[SPOOL_SAMPLES]};
        int rc;

        if (spool_query_rows(q, &one, on_first, &w, e) < 0)
                return -1;
        progress_begin(&w.progress, true);
        rc = spool_query_rows(q, &of_time, on_reading, &w, e);
        progress_end(&w.progress);
        return rc < 0 ? rc : spool_query_tags(q, false, on_tag, r, e);
}

/* ---- the command ---- */

static int gather(struct report *r, struct spool_query *q, struct err *e)
{
        const struct spool_filter events = {.lane = SPOOL_EVENTS};
        int64_t end_us = r->until_us < r->now_us ? r->until_us : r->now_us;

        r->books = (struct books_time){.from_us = r->from_us, .until_us = r->until_us};
        if (spool_query_rows(q, &events, on_event, r, e) < 0 || spool_query_counts(q, &r->counts, e) < 0 ||
            spool_query_dropped(q, on_drop, r, e) < 0 || spool_query_alarm_log(q, 0, 0, on_note, r, e) < 0 ||
            gather_readings(r, q, e) < 0)
                return -1;
        books_take(&r->books, &(struct books_mark){.ts_us = r->now_us,
                                                   .accepted = r->counts.accepted,
                                                   .delivered = r->counts.delivered,
                                                   .dropped = r->counts.dropped});
        outages_end(&r->outages, end_us);
        outages_end(&r->alarms, end_us);
        return 0;
}

static void release(struct report *r)
{
        outages_fini(&r->outages);
        outages_fini(&r->alarms);
        gaps_fini(&r->gaps);
        for (size_t i = 0; i < r->n_tags; i++)
                free(r->tags[i].name);
        free(r->tags);
}

static int form_of(const struct cli *c, enum page_form *form)
{
        static const char *const words[] = {
                [PAGE_TEXT] = "text", [PAGE_HTML] = "html", [PAGE_CSV] = "csv", [PAGE_JSON] = "json"};
        const char *word = c->format;

        *form = c->out.json ? PAGE_JSON : PAGE_TEXT;
        for (size_t i = 0; word && i < sizeof(words) / sizeof(*words); i++) {
                if (strcmp(words[i], word) == 0) {
                        *form = (enum page_form)i;
                        return CLI_OK;
                }
        }
        return word ? cli_fail(CLI_USAGE, "--format %s: text, html, csv or json is needed", word) : CLI_OK;
}

static int tell(struct cli *c, struct report *r, struct spool_query *q, enum page_form form)
{
        struct page page = {.n = 0};
        struct err e;

        r->utc = c->out.utc;
        r->plain = form == PAGE_CSV || form == PAGE_JSON;
        r->gateway = spool_query_gateway(q);
        r->epoch = spool_query_epoch(q);
        if (gather(r, q, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        report_page(r, &page);
        page_print(&page, form, &c->out);
        page_fini(&page);
        return CLI_OK;
}

int cmd_report(struct cli *c)
{
        struct report r = {.now_us = c->now_us, .from_us = c->since_us, .until_us = c->now_us};
        struct spool_query *q;
        enum page_form form;
        int rc = form_of(c, &form);

        if (!cli_has(c, CLI_BIT(SINCE)))
                cli_time("yesterday", c->now_us, &r.from_us);
        if (cli_has(c, CLI_BIT(UNTIL)))
                r.until_us = c->until_us;
        if (!rc && r.until_us <= r.from_us)
                rc = cli_fail(CLI_USAGE, cli_has(c, CLI_BIT(UNTIL)) ? "--until is not behind --since"
                                                                    : "--since: that time is still to come");
        if (!rc)
                rc = open_spool(c, &q);
        if (rc)
                return rc;
        rc = tell(c, &r, q, form);
        release(&r);
        spool_query_close(q);
        return rc;
}
