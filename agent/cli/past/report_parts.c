/*
 * report_parts: what was gathered, as the parts of a page.  Pure but for TZ.
 *
 * Each list has a bound, the longest first, and says how many more there were.
 * What is not known says so in a remark, with the reason.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/past/report.h"

enum { OUTAGES_SHOWN = 100, ALARMS_SHOWN = 50, GAPS_SHOWN = 100, SAME_US = 60000000 };

#define COLUMNS(...)               ((const char *const[]){__VA_ARGS__})
#define N_OF(...)                  (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#define PART(p, title, empty, ...) page_part(p, title, empty, N_OF(__VA_ARGS__), COLUMNS(__VA_ARGS__))

struct words {
        char s[48];
};

static struct words time_of(const struct report *r, int64_t us)
{
        struct words w;

        out_put_time(w.s, sizeof(w.s), us, r->utc);
        return w;
}

static struct words span_of(const struct report *r, int64_t us)
{
        struct words w;

        if (r->plain)
                snprintf(w.s, sizeof(w.s), "%.1f", (double)us / 1e6);
        else
                past_put_duration(w.s, sizeof(w.s), us);
        return w;
}

static struct words count_of(const struct report *r, uint64_t n)
{
        struct words w;

        out_put_count(w.s, sizeof(w.s), n, !r->plain);
        return w;
}

/* ---- the books ---- */

static void put_books(const struct report *r, struct page *p)
{
        struct page_part *part = PART(p, "Books", "nothing is known of this time", "READINGS", "COUNT", "REMARK");
        const struct books_time *b = &r->books;

        if (books_known(b)) {
                page_row(part, COLUMNS("accepted", count_of(r, b->to.accepted - b->from.accepted).s, ""));
                page_row(part, COLUMNS("delivered", count_of(r, b->to.delivered - b->from.delivered).s,
                                       "those that Kafka acknowledged in this time"));
                page_row(part, COLUMNS("dropped", count_of(r, b->to.dropped - b->from.dropped).s, "by name, below"));
                page_note(part, "counted from %s to %s", time_of(r, b->from.ts_us).s, time_of(r, b->to.ts_us).s);
        } else {
                page_note(part, "no count is there from this time: they are told once an hour, and at starts and ends");
        }
        page_row(part, COLUMNS("held now", count_of(r, r->counts.held).s, "not in Kafka yet"));
        if (b->anew_us)
                page_note(part, "the spool was begun anew at %s; what was counted before is not in this",
                          time_of(r, b->anew_us).s);
}

static void put_drops(const struct report *r, struct page *p)
{
        struct page_part *part = PART(p, "Dropped", "nothing", "REASON", "READINGS", "FROM", "TO", "SEQ");

        for (size_t i = 0; i < r->n_drops; i++) {
                const struct report_drop *d = &r->drops[i];
                char seqs[64];

                snprintf(seqs, sizeof(seqs), "%" PRIu64 " to %" PRIu64, d->first_seq, d->last_seq);
                page_row(part, COLUMNS(d->reason, count_of(r, d->n).s, time_of(r, d->from_us).s, time_of(r, d->to_us).s,
                                       seqs));
        }
        if (r->n_drops)
                page_note(part, "each range: millrace spool dropped");
}

/* ---- outages ---- */

static int by_length(const void *a, const void *b)
{
        const struct outage *x = *(const struct outage *const *)a, *y = *(const struct outage *const *)b;
        int64_t of_x = x->to_us - x->from_us, of_y = y->to_us - y->from_us;

        return of_x < of_y ? 1 : of_x > of_y ? -1 : 0;
}

static bool is_outage(const struct outage *x)
{
        bool always = !strcmp(x->kind, "agent") || !strcmp(x->kind, "pause") || !strcmp(x->kind, "alarm");

        return always || (x->severity >= 500 && !x->echo); /* not what is only worth knowing */
}

/* Those of the time that say more than another; the caller frees the list. */
static size_t choose(const struct report *r, const struct outages *o, const struct outage ***out)
{
        size_t n = 0;

        *out = mem_alloc((o->n + 1) * sizeof(**out));
        for (size_t i = 0; i < o->n; i++)
                if (o->v[i].to_us >= r->from_us && o->v[i].from_us < r->until_us && is_outage(&o->v[i]))
                        (*out)[n++] = &o->v[i];
        qsort(*out, n, sizeof(**out), by_length);
        return n;
}

/* Of what is not over at the end of the time. */
static const char *still(const struct report *r)
{
        return r->until_us < r->now_us ? "later" : "goes on";
}

static void put_outage(const struct report *r, struct page_part *part, const struct outage *x)
{
        const char *to_words = x->end != OUTAGE_GOES_ON ? NULL : still(r);
        const char *what = strcmp(x->what, "ended on request") == 0 ? "the agent was off, on request" : x->what;
        char from[64], lasted[64], to[64];

        snprintf(from, sizeof(from), "%s%s", x->from_known ? "" : "after ", time_of(r, x->from_us).s);
        snprintf(to, sizeof(to), "%s%s", x->end == OUTAGE_BY_RESTART ? "by " : "",
                 to_words ? to_words : time_of(r, x->to_us).s);
        snprintf(lasted, sizeof(lasted), "%s%s",
                 r->plain || (x->from_known && x->end != OUTAGE_BY_RESTART) ? "" : "at most ",
                 span_of(r, x->to_us - x->from_us).s);
        page_row(part, COLUMNS(x->subject, from, to, lasted, what));
}

static void put_outages(const struct report *r, struct page *p)
{
        struct page_part *part = PART(p, "Outages", "none", "ABOUT", "FROM", "TO", "LASTED", "WHAT");
        const struct outages *o = &r->outages;
        const struct outage **v;
        size_t n = choose(r, o, &v), on = 0;

        for (size_t i = 0; i < n; i++)
                on += v[i]->end == OUTAGE_GOES_ON;
        for (size_t i = 0; i < n && i < OUTAGES_SHOWN; i++)
                put_outage(r, part, v[i]);
        if (n)
                page_note(part, "%zu in all, %zu of them not over%s", n, on,
                          r->until_us < r->now_us ? " at the end of this time" : "");
        if (n > OUTAGES_SHOWN || o->n_left_out)
                page_note(part, "only the %d longest are shown", OUTAGES_SHOWN);
        if (!o->first_us)
                page_note(part, "the spool has no events");
        else if (o->first_us > r->from_us)
                page_note(part, "the spool has events since %s only", time_of(r, o->first_us).s);
        free(v);
}

/* ---- gaps ---- */

struct shown_gap {
        struct gap g;
        const char *source;
        size_t source_len, n;
        bool all; /* nothing came of it in the time */
};

static int by_source(const void *a, const void *b)
{
        const struct shown_gap *x = a, *y = b;
        size_t len = x->source_len < y->source_len ? x->source_len : y->source_len;
        int order = memcmp(x->source, y->source, len);

        if (order || x->source_len != y->source_len)
                return order ? order : x->source_len < y->source_len ? -1 : 1;
        return x->g.from_us < y->g.from_us ? -1 : x->g.from_us > y->g.from_us;
}

static int longest_first(const void *a, const void *b)
{
        const struct shown_gap *x = a, *y = b;
        int64_t of_x = x->g.to_us - x->g.from_us, of_y = y->g.to_us - y->g.from_us;

        return of_x < of_y ? 1 : of_x > of_y ? -1 : 0;
}

static bool is_near(int64_t a_us, int64_t b_us)
{
        return a_us - b_us <= SAME_US && b_us - a_us <= SAME_US;
}

/* Tags of one source that were silent together are one line. */
static size_t join(struct shown_gap *v, size_t n)
{
        size_t kept = 0;

        if (n)
                qsort(v, n, sizeof(*v), by_source);
        for (size_t i = 0; i < n; i++) {
                struct shown_gap *last = kept ? &v[kept - 1] : NULL;

                if (last && last->source_len == v[i].source_len && last->all == v[i].all &&
                    memcmp(last->source, v[i].source, v[i].source_len) == 0 &&
                    is_near(last->g.from_us, v[i].g.from_us) && is_near(last->g.to_us, v[i].g.to_us)) {
                        last->n++;
                        continue;
                }
                v[kept++] = v[i];
        }
        if (kept)
                qsort(v, kept, sizeof(*v), longest_first);
        return kept;
}

static size_t find_gaps(const struct report *r, struct shown_gap **out)
{
        int64_t end_us = r->until_us < r->now_us ? r->until_us : r->now_us;
        struct shown_gap *v = NULL;
        size_t n = 0, cap = 0;

        for (size_t i = 0; i < r->n_tags; i++) {
                const struct report_tag *t = &r->tags[i];
                struct gap of_tag[GAPS_OF_TAG + 1];
                size_t k = 0;

                if (t->last_us) {
                        of_tag[k++] = (struct gap){(uint32_t)i, t->last_us, end_us, 0, true};
                } else if (t->name && i < r->gaps.n) {
                        k = gaps_of(&r->gaps, (uint32_t)i, end_us, of_tag);
                }
                if (n + k > cap) {
                        cap = 2 * cap + 64;
                        v = mem_grow(v, cap, sizeof(*v));
                }
                for (size_t j = 0; j < k; j++)
                        v[n++] = (struct shown_gap){of_tag[j], t->name, t->source_len, 1, t->last_us != 0};
        }
        *out = v;
        return n;
}

static void put_gap(const struct report *r, struct page_part *part, const struct shown_gap *s)
{
        const char *name = r->tags[s->g.tag].name;
        char who[400];

        if (s->n > 1)
                snprintf(who, sizeof(who), "%.*s: %zu tags", (int)s->source_len, name, s->n);
        else
                snprintf(who, sizeof(who), "%s", name);
        page_row(part, COLUMNS(who, time_of(r, s->g.from_us).s, s->g.goes_on ? still(r) : time_of(r, s->g.to_us).s,
                               span_of(r, s->g.to_us - s->g.from_us).s,
                               s->g.usual_us ? span_of(r, s->g.usual_us).s : "nothing came in this time"));
}

static void put_gaps(const struct report *r, struct page *p)
{
        struct page_part *part = PART(p, "Gaps", "none that is known", "TAG", "FROM", "TO", "LASTED", "USUALLY WITHIN");
        struct shown_gap *v;
        size_t n = find_gaps(r, &v);

        n = join(v, n);
        for (size_t i = 0; i < n && i < GAPS_SHOWN; i++)
                put_gap(r, part, &v[i]);
        if (n > GAPS_SHOWN)
                page_note(part, "%zu in all; only the %d longest are shown", n, GAPS_SHOWN);
        if (!r->first_reading_us)
                page_note(part, "no reading is in the spool any more (spool.keep_delivered), so gaps can't be known");
        else if (r->first_reading_us > r->from_us)
                page_note(part, "readings are kept since %s only (spool.keep_delivered); gaps before can't be known",
                          time_of(r, r->first_reading_us).s);
        free(v);
}

/* ---- alarms ---- */

struct shown_alarm {
        const struct outage *last; /* the latest */
        uint64_t n;
        int64_t longest_us, sum_us;
        bool active;
};

static int by_subject(const void *a, const void *b)
{
        const struct outage *x = *(const struct outage *const *)a, *y = *(const struct outage *const *)b;
        int order = strcmp(x->subject, y->subject);

        return order ? order : x->from_us < y->from_us ? -1 : x->from_us > y->from_us;
}

static int most_first(const void *a, const void *b)
{
        const struct shown_alarm *x = a, *y = b;

        if (x->n != y->n)
                return x->n < y->n ? 1 : -1;
        return x->longest_us < y->longest_us ? 1 : x->longest_us > y->longest_us ? -1 : 0;
}

static size_t sum_up(const struct outage **v, size_t n, struct shown_alarm *out)
{
        size_t kept = 0;

        if (n)
                qsort(v, n, sizeof(*v), by_subject);
        for (size_t i = 0; i < n; i++) {
                int64_t us = v[i]->to_us - v[i]->from_us;
                struct shown_alarm *a;

                if (!i || strcmp(v[i - 1]->subject, v[i]->subject) != 0)
                        out[kept++] = (struct shown_alarm){.n = 0};
                a = &out[kept - 1];
                a->last = v[i];
                a->n++;
                a->sum_us += us;
                a->longest_us = us > a->longest_us ? us : a->longest_us;
                a->active = v[i]->end == OUTAGE_GOES_ON;
        }
        if (kept)
                qsort(out, kept, sizeof(*out), most_first);
        return kept;
}

static void put_alarms(const struct report *r, struct page *p)
{
        struct page_part *part = PART(p, "Alarms", "none", "ALARM", "TIMES", "LONGEST", "ALTOGETHER", "LAST");
        const struct outage **v;
        size_t n_all = choose(r, &r->alarms, &v), n;
        struct shown_alarm *alarms = mem_alloc((n_all + 1) * sizeof(*alarms));

        n = sum_up(v, n_all, alarms);
        for (size_t i = 0; i < n && i < ALARMS_SHOWN; i++) {
                const struct shown_alarm *a = &alarms[i];
                char last[80];

                snprintf(last, sizeof(last), "%s%s", time_of(r, a->last->from_us).s, a->active ? ", active still" : "");
                page_row(part, COLUMNS(a->last->subject, count_of(r, a->n).s, span_of(r, a->longest_us).s,
                                       span_of(r, a->sum_us).s, last));
        }
        if (n_all)
                page_note(part, "%zu activation%s of %zu alarm%s", n_all, n_all == 1 ? "" : "s", n, n == 1 ? "" : "s");
        if (n > ALARMS_SHOWN)
                page_note(part, "only the %d most frequent are shown", ALARMS_SHOWN);
        if (n_all && r->alarms.first_us > r->from_us)
                page_note(part, "the alarms' journal goes back to %s", time_of(r, r->alarms.first_us).s);
        free(alarms);
        free(v);
}

void report_page(struct report *r, struct page *p)
{
        char from[64], until[64];

        out_put_time(from, sizeof(from), r->from_us, r->utc);
        out_put_time(until, sizeof(until), r->until_us, r->utc);
        snprintf(p->title, sizeof(p->title), "Report of gateway %s", r->gateway);
        snprintf(p->period, sizeof(p->period), "%s to %s; epoch %" PRIu64, from, until, r->epoch);
        put_books(r, p);
        put_drops(r, p);
        put_outages(r, p);
        put_gaps(r, p);
        put_alarms(r, p);
}
