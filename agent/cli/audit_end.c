/*
 * audit_end: see audit.h.  What follows: which seals count, before records are
 * read; and what is wrong, when all are.
 *
 * Of two seals of a stream that overlap the later counts, as the gateway tells
 * all again since the last one it knew to be in Kafka.  A seal whose chain got
 * stuck at a seq that is not there is gone through by hand then.
 */
#include "agent/cli/audit_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

static const char *const lane_names[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "samples"};

const struct audit_line *audit_line_at(const struct audit_lane *l, uint64_t seq)
{
        size_t low = 0, high = l->n_lines;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (l->line[mid].last < seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < l->n_lines && l->line[low].first <= seq ? &l->line[low] : NULL;
}

void audit_seek(struct audit_lane *l, struct audit_seal *s)
{
        const struct audit_line *line;

        while (s->at < s->n_runs) {
                if (s->next < s->run[s->at].first)
                        s->next = s->run[s->at].first;
                line = audit_line_at(l, s->next);
                if (line)
                        s->next = line->last + 1;
                else if (s->next <= s->run[s->at].last)
                        return;
                if (s->next > s->run[s->at].last)
                        s->at++;
        }
}

/* ---- arranging ---- */

static uint64_t first_of(const struct audit_seal *s)
{
        return s->run[0].first;
}

static uint64_t last_of(const struct audit_seal *s)
{
        return s->run[s->n_runs - 1].last;
}

/* From the latest back; what is kept is in order of seq at the end. */
static void keep_those_that_count(struct audit_seal *v, size_t *n)
{
        size_t kept = *n;

        if (!kept)
                return;
        for (size_t i = *n; i-- > 0;) {
                if (kept == *n || last_of(&v[i]) < first_of(&v[kept])) {
                        struct audit_seal s = v[i];

                        v[i].run = NULL;
                        v[--kept] = s;
                        continue;
                }
                free(v[i].run);
                v[i].run = NULL;
        }
        memmove(v, v + kept, (*n - kept) * sizeof(*v));
        *n -= kept;
}

static int by_first_line(const void *a, const void *b)
{
        const struct audit_line *x = a, *y = b;

        return x->first != y->first ? (x->first < y->first ? -1 : 1) : x->last < y->last ? -1 : x->last > y->last;
}

/* A line comes again, and longer: parts of another are cut from it. */
static void join_lines(struct audit_lane *l)
{
        size_t n = 0;

        if (l->n_lines)
                qsort(l->line, l->n_lines, sizeof(*l->line), by_first_line);
        for (size_t i = 0; i < l->n_lines; i++) {
                struct audit_line *before = n ? &l->line[n - 1] : NULL, *line = &l->line[i];

                if (before && line->first <= before->last && !strcmp(line->reason, before->reason)) {
                        before->last = line->last > before->last ? line->last : before->last;
                        continue;
                }
                if (before && line->first <= before->last)
                        line->first = before->last + 1;
                if (line->first <= line->last)
                        l->line[n++] = *line;
        }
        l->n_lines = n;
}

static int by_first_span(const void *a, const void *b)
{
        const struct audit_span *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

static void arrange_lane(struct audit_lane *l)
{
        size_t n = 0;

        join_lines(l);
        for (int which = 0; which < 2; which++) {
                keep_those_that_count(l->seal[which], &l->n_seals[which]);
                for (size_t i = 0; i < l->n_seals[which]; i++)
                        n += l->seal[which][i].n_runs;
        }
        l->span = mem_alloc((n + 1) * sizeof(*l->span));
        for (int which = 0; which < 2; which++)
                for (size_t i = 0; i < l->n_seals[which]; i++) {
                        struct audit_seal *s = &l->seal[which][i];

                        for (size_t r = 0; r < s->n_runs; r++)
                                l->span[l->n_spans++] = (struct audit_span){s->run[r].first, s->run[r].last, s};
                        audit_seek(l, s);
                }
        qsort(l->span, l->n_spans, sizeof(*l->span), by_first_span);
}

void audit_arrange(struct audit *a)
{
        a->arranged = true;
        for (size_t i = 0; i < a->n_epochs; i++)
                for (int lane = 0; lane < SPOOL_LANES; lane++)
                        arrange_lane(&a->epoch[i]->lane[lane]);
}

/* ---- the end ---- */

struct ending {
        const struct audit_epoch *e;
        int lane;
        uint64_t n_faults;
        void (*on_finding)(void *ctx, const struct audit_finding *f);
        void *ctx;
};

static void say(struct ending *x, bool is_fault, const char *what, uint64_t first, uint64_t last, const char *why)
{
        x->n_faults += is_fault;
        x->on_finding(x->ctx, &(struct audit_finding){.what = what,
                                                      .is_fault = is_fault,
                                                      .gateway = x->e->gateway,
                                                      .epoch = x->e->epoch,
                                                      .lane = lane_names[x->lane],
                                                      .first = first,
                                                      .last = last,
                                                      .why = why});
}

static uint64_t sealed(const struct audit_seal *s)
{
        uint64_t n = 0;

        for (size_t i = 0; i < s->n_runs; i++)
                n += s->run[i].n;
        return n;
}

/* From where the chain got stuck: over what is there. Seqs that are not go to `lost`. */
static void go_through(struct audit_lane *l, struct audit_seal *s, struct audit_ranges *lost)
{
        for (; s->at < s->n_runs; audit_seek(l, s)) {
                const unsigned char *leaf = audit_waiting(l, s->next);

                if (leaf) {
                        seal_chain(s->now, leaf);
                        s->n_found++;
                } else {
                        audit_note(lost, s->next);
                }
                s->next++;
        }
}

static void end_seal(struct ending *x, struct audit_lane *l, struct audit_seal *s)
{
        struct audit_ranges lost = {0};
        bool is_right;
        char why[160];

        go_through(l, s, &lost);
        is_right = !memcmp(s->now, s->chain, SEAL_HASH);
        if (s->n_found < sealed(s)) {
                snprintf(why, sizeof(why), "%llu of the seal over %llu to %llu are missing; its rest can't be proved",
                         (unsigned long long)(sealed(s) - s->n_found), (unsigned long long)first_of(s),
                         (unsigned long long)last_of(s));
                for (size_t i = 0; i < lost.n; i++)
                        say(x, true, "missing", lost.v[i].first, lost.v[i].last, why);
                if (!lost.n)
                        say(x, true, "missing", first_of(s), last_of(s), why);
        } else if (!is_right || s->n_found > sealed(s)) {
                say(x, true, "altered", first_of(s), last_of(s), "one or more of them are not what was sent");
        } else {
                for (size_t i = 0; i < lost.n; i++)
                        say(x, true, "unnamed-gap", lost.v[i].first, lost.v[i].last,
                            "not delivered, and no line of the ledger says why");
        }
        free(lost.v);
}

static void end_links(struct ending *x, const struct audit_seal *v, size_t n)
{
        static const unsigned char zeros[SEAL_HASH];

        for (size_t i = 1; i < n; i++) {
                if (!memcmp(v[i].prev, v[i - 1].chain, SEAL_HASH))
                        continue;
                say(x, true, memcmp(v[i].prev, zeros, SEAL_HASH) ? "seals-missing" : "begun-anew",
                    last_of(&v[i - 1]) + 1, first_of(&v[i]), "the chain does not go on from the seal before");
        }
}

/* Seqs from `at` to `end` that no line names. */
static void end_hole(struct ending *x, const struct audit_lane *l, uint64_t at, uint64_t end)
{
        while (at <= end) {
                const struct audit_line *line = audit_line_at(l, at);
                uint64_t upto = end;

                if (line) {
                        at = line->last + 1;
                        continue;
                }
                for (size_t i = 0; i < l->n_lines; i++)
                        if (l->line[i].first > at && l->line[i].first <= upto)
                                upto = l->line[i].first - 1;
                say(x, true, "not-sealed", at, upto, "no seal says what became of them");
                at = upto + 1;
        }
}

static void end_cover(struct ending *x, const struct audit_lane *l)
{
        uint64_t at = l->n_spans ? l->span[0].first : 0;

        for (size_t i = 0; i < l->n_spans; i++) {
                if (l->span[i].first > at)
                        end_hole(x, l, at, l->span[i].first - 1);
                at = l->span[i].last + 1 > at ? l->span[i].last + 1 : at;
        }
        if (l->n_spans && l->span[0].first > 1)
                say(x, false, "begins", l->span[0].first, l->span[0].first,
                    "what is below is in no seal that was looked at");
        if (l->n_behind)
                say(x, !l->n_spans, l->n_spans ? "behind" : "not-sealed", l->behind_first, l->behind_last,
                    l->n_spans ? "came since the last seal" : "no seal of this epoch and lane is there");
}

static int by_first_range(const void *a, const void *b)
{
        const struct audit_range *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

static void say_ranges(struct ending *x, struct audit_ranges *r, bool is_fault, const char *what, const char *why)
{
        if (r->n)
                qsort(r->v, r->n, sizeof(*r->v), by_first_range);
        for (size_t i = 0; i < r->n;) {
                uint64_t first = r->v[i].first, last = r->v[i].last;

                for (i++; i < r->n && r->v[i].first <= last + 1; i++)
                        last = r->v[i].last > last ? r->v[i].last : last;
                say(x, is_fault, what, first, last, why);
        }
}

static uint64_t say_lines(struct ending *x, const struct audit_lane *l)
{
        uint64_t from = l->n_spans ? l->span[0].first : UINT64_MAX, n = 0;

        for (size_t i = 0; i < l->n_lines; i++) {
                if (l->line[i].last < from)
                        continue;
                say(x, false, "gap", l->line[i].first, l->line[i].last, l->line[i].reason);
                n += l->line[i].last - l->line[i].first + 1;
        }
        return n;
}

static void end_lane(struct ending *x, struct audit_lane *l, struct audit_sum *sum)
{
        for (int which = 0; which < 2; which++) {
                end_links(x, l->seal[which], l->n_seals[which]);
                for (size_t i = 0; i < l->n_seals[which]; i++) {
                        end_seal(x, l, &l->seal[which][i]);
                        sum->n_sealed += sealed(&l->seal[which][i]);
                }
        }
        end_cover(x, l);
        say_ranges(x, &l->differ, true, "copies-differ", "came more than once, and not alike");
        say_ranges(x, &l->in_gap, true, "in-a-gap", "the ledger says that it was dropped");
        say_ranges(x, &l->twice, false, "duplicate", "came more than once, alike");
        sum->n_dropped = say_lines(x, l);
        sum->n_found = l->n_found;
        sum->n_duplicates = l->n_duplicates;
}

bool audit_end(struct audit *a, void (*on_finding)(void *ctx, const struct audit_finding *f),
               void (*on_sum)(void *ctx, const struct audit_sum *s), void *ctx)
{
        bool has_seals = false;

        if (!a->arranged)
                audit_arrange(a);
        for (size_t i = 0; i < a->n_epochs; i++) {
                if (a->conf.gateway && strcmp(a->epoch[i]->gateway, a->conf.gateway) != 0)
                        continue;
                for (int lane = 0; lane < SPOOL_LANES; lane++) {
                        struct audit_epoch *e = a->epoch[i];
                        struct ending x = {.e = e, .lane = lane, .on_finding = on_finding, .ctx = ctx};
                        struct audit_sum sum = {.gateway = e->gateway, .epoch = e->epoch, .lane = lane_names[lane]};

                        if (lane == SPOOL_SAMPLES)
                                say_ranges(&x, &e->bad, true, "bad-seal",
                                           "of another version, without a signature or with a wrong one");
                        end_lane(&x, &e->lane[lane], &sum);
                        sum.n_faults = x.n_faults;
                        if (sum.n_sealed || sum.n_faults || sum.n_dropped)
                                on_sum(ctx, &sum);
                        has_seals |= e->lane[lane].n_seals[0] || e->lane[lane].n_seals[1];
                }
        }
        return a->conf.gateway ? has_seals : a->n_seals != 0;
}
