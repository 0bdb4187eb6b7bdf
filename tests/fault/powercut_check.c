/*
 * powercut_check: the file after a cut, held against what is known of each seq.
 *
 * The file is asked past everything the spool keeps in memory.  Each seq is exactly one of delivered, held, dropped;
 * what counts as delivered Kafka has; what is in the ledger Kafka has not (but dead letters that were sent again);
 * what was told as dropped is in the ledger.  The counters, also the tool's, are the sums of that.
 */
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "store/inspect/query.h"
#include "store/inspect/verify.h"
#include "tests/fault/powercut_world.h"

/* What the file says of a seq. */
enum { IN_FILE = 1, DROPPED = 2, DEAD = 4, JOINED = 8, AHEAD = 16 };
enum { VERIFY_EVERY = 16 };

static const char *const lane_names[SPOOL_LANES] = {"events", "samples"};
static const char *const tables[SPOOL_LANES] = {"event", "reading"};

struct sums {
        uint64_t last, acked, dropped, delivered, held;
};

static sqlite3_stmt *prepare(struct world *w, sqlite3 *c, const char *sql)
{
        sqlite3_stmt *st = NULL;

        if (sqlite3_prepare_v2(c, sql, -1, &st, NULL) != SQLITE_OK) {
                fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(c));
                wrong(w, __FILE__, __LINE__, "the file can be asked");
        }
        return st;
}

static uint64_t ask(struct world *w, sqlite3 *c, const char *sql)
{
        sqlite3_stmt *st = prepare(w, c, sql);
        uint64_t v;

        CHECK(w, sqlite3_step(st) == SQLITE_ROW);
        v = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return v;
}

static void check_integrity(struct world *w, sqlite3 *c)
{
        sqlite3_stmt *st = prepare(w, c, "PRAGMA integrity_check");

        CHECK(w, sqlite3_step(st) == SQLITE_ROW);
        if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0) {
                fprintf(stderr, "%s\n", sqlite3_column_text(st, 0));
                wrong(w, __FILE__, __LINE__, "integrity_check says ok");
        }
        sqlite3_finalize(st);
}

static void check_values(struct world *w, sqlite3 *c)
{
        sqlite3_stmt *st = prepare(
                w, c, "SELECT seq, cast(value AS INTEGER), ts_us + delay_us, flags FROM reading WHERE flags & 64 = 0");

        while (sqlite3_step(st) == SQLITE_ROW) {
                uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);

                CHECK(w, seq <= w->n);
                CHECK(w, sqlite3_column_int64(st, 1) == w->value[seq]);
                if (sqlite3_column_int(st, 3) & READING_TIME_REPAIRED) {
                        CHECK(w, w->moved_us[seq] != 0);
                        CHECK(w, sqlite3_column_int64(st, 2) == w->arrival_us[seq] + w->moved_us[seq]);
                        seen.moved++;
                } else {
                        CHECK(w, sqlite3_column_int64(st, 2) == w->arrival_us[seq]);
                }
        }
        sqlite3_finalize(st);
        CHECK(w, 0 == ask(w, c, "SELECT count(*) FROM reading WHERE tag NOT IN (SELECT id FROM tag)"));
}

/* ---- what each seq is ---- */

static void mark(struct world *w, struct sums *s, uint64_t first, uint64_t last, uint8_t what)
{
        CHECK(w, first >= 1 && last < MOST);
        for (uint64_t seq = first; seq <= last; seq++)
                w->fate[seq] |= what;
        if (last >= first && last > s->last)
                s->last = last;
}

static void take_rows(struct world *w, sqlite3 *c, enum spool_lane lane, struct sums *s)
{
        char sql[64];
        sqlite3_stmt *st;

        snprintf(sql, sizeof(sql), "SELECT seq FROM %s", tables[lane]);
        st = prepare(w, c, sql);
        while (sqlite3_step(st) == SQLITE_ROW) {
                uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);

                mark(w, s, seq, seq, IN_FILE);
        }
        sqlite3_finalize(st);
}

static void take_ledger(struct world *w, sqlite3 *c, enum spool_lane lane, struct sums *s)
{
        sqlite3_stmt *st = prepare(w, c, "SELECT first_seq, last_seq, n, reason FROM dropped WHERE lane = ?1");

        sqlite3_bind_text(st, 1, lane_names[lane], -1, SQLITE_STATIC);
        while (sqlite3_step(st) == SQLITE_ROW) {
                uint64_t first = (uint64_t)sqlite3_column_int64(st, 0), last = (uint64_t)sqlite3_column_int64(st, 1);
                uint64_t n = (uint64_t)sqlite3_column_int64(st, 2);
                const char *reason = (const char *)sqlite3_column_text(st, 3);

                s->dropped += n;
                if (!strcmp(reason, "several")) {
                        CHECK(w, n <= last - first + 1);
                        mark(w, s, first, last, JOINED);
                        continue;
                }
                CHECK(w, n == last - first + 1);
                for (uint64_t seq = first; seq <= last; seq++)
                        CHECK(w, !(w->fate[seq] & (DROPPED | JOINED)));
                mark(w, s, first, last, !strcmp(reason, "dead_letter") ? DROPPED | DEAD : DROPPED);
        }
        sqlite3_finalize(st);
}

static void take_ahead(struct world *w, sqlite3 *c, struct sums *s)
{
        sqlite3_stmt *st = prepare(w, c, "SELECT first_seq, last_seq FROM ahead ORDER BY 1");
        uint64_t n = 0;

        for (; sqlite3_step(st) == SQLITE_ROW; n++)
                mark(w, s, (uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1), AHEAD);
        seen.most_ahead = n > seen.most_ahead ? n : seen.most_ahead;
        sqlite3_finalize(st);
}

/* One seq that no line of several is over. */
static void judge(struct world *w, enum spool_lane lane, uint64_t seq, struct sums *s)
{
        uint8_t fate = w->fate[seq], known = w->known[lane][seq];

        CHECK(w, !(known & TOLD) || fate & DROPPED);
        if (fate & DROPPED) {
                CHECK(w, !(fate & IN_FILE));
                CHECK(w, !(known & TAKEN) || (fate & DEAD && known & RESENT));
        } else if (seq <= s->acked || fate & AHEAD) {
                CHECK(w, known & TAKEN);
                s->delivered++;
        } else {
                CHECK(w, fate & IN_FILE);
                s->held++;
        }
}

/* Of the seqs under lines of several only the number of those that went is known. */
static void judge_all(struct world *w, enum spool_lane lane, struct sums *s)
{
        uint64_t n_joined = 0, not_taken = 0, resent = 0, exact = 0;

        for (uint64_t seq = 1; seq <= s->last; seq++) {
                if (!(w->fate[seq] & JOINED)) {
                        judge(w, lane, seq, s);
                        exact += (w->fate[seq] & DROPPED) != 0;
                        continue;
                }
                n_joined++;
                not_taken += !(w->known[lane][seq] & TAKEN);
                resent += (w->known[lane][seq] & RESENT) != 0;
        }
        CHECK(w, not_taken <= s->dropped - exact && s->dropped - exact <= not_taken + resent);
        s->delivered += n_joined - (s->dropped - exact);
}

static void look(struct world *w, sqlite3 *c, enum spool_lane lane, struct sums *s)
{
        char sql[80];

        memset(w->fate, 0, (lane == SPOOL_SAMPLES ? w->n : w->n_events) + 2);
        snprintf(sql, sizeof(sql), "SELECT acked_seq FROM cursor WHERE lane = '%s'", lane_names[lane]);
        *s = (struct sums){.acked = ask(w, c, sql)};
        s->last = s->acked;
        take_rows(w, c, lane, s);
        take_ledger(w, c, lane, s);
        if (lane == SPOOL_SAMPLES)
                take_ahead(w, c, s);
        CHECK(w, s->last <= (lane == SPOOL_SAMPLES ? w->n : w->n_events));
        judge_all(w, lane, s);
        for (uint64_t seq = s->last + 1; seq <= (lane == SPOOL_SAMPLES ? w->n : w->n_events); seq++)
                CHECK(w, !w->known[lane][seq]);
}

static void check_counts(struct world *w, const struct spool_counts *n, const struct sums s[SPOOL_LANES])
{
        const struct sums *r = &s[SPOOL_SAMPLES], *e = &s[SPOOL_EVENTS];

        CHECK(w, n->accepted == r->last && n->delivered == r->delivered);
        CHECK(w, n->held == r->held && n->dropped == r->dropped);
        CHECK(w, n->accepted == n->delivered + n->held + n->dropped);
        CHECK(w, n->events_accepted == e->last && n->events_delivered == e->delivered);
        CHECK(w, n->events_held == e->held && n->events_dropped == e->dropped);
        CHECK(w, n->events_accepted == n->events_delivered + n->events_held + n->events_dropped);
}

static void check_dead_letters(struct world *w, sqlite3 *c)
{
        CHECK(w, 0 == ask(w, c,
                          "SELECT count(*) FROM dead_letter l WHERE NOT EXISTS (SELECT 1 FROM dropped d WHERE"
                          " d.lane = l.lane AND l.seq BETWEEN d.first_seq AND d.last_seq AND d.reason IN"
                          " ('dead_letter', 'several'))"));
        CHECK(w, 0 == ask(w, c,
                          "SELECT count(*) FROM (SELECT 1 FROM dead_letter GROUP BY lane, seq HAVING count(*) > 1)"));
}

/* ---- the tool's view ---- */

static void on_fault(void *ctx, const char *what)
{
        fprintf(stderr, "verify: %s\n", what);
        wrong(ctx, __FILE__, __LINE__, "verify finds nothing");
}

static void check_tool(struct world *w, const struct sums s[SPOOL_LANES])
{
        struct spool_verify v = {.path = w->path, .on_fault = on_fault, .ctx = w};
        struct spool_query *q;
        struct spool_counts n;
        struct err e;

        CHECK(w, spool_query_open(&q, w->path, &e) == 0);
        CHECK(w, spool_query_counts(q, &n, &e) == 0);
        spool_query_close(q);
        check_counts(w, &n, s);
        if (seen.cuts % VERIFY_EVERY == 0)
                CHECK(w, spool_verify(&v, &e) == 0);
}

/* A cut is never damage: nothing was moved aside. */
static void check_aside(struct world *w)
{
        DIR *all = opendir(w->dir->path);
        struct dirent *d;

        while ((d = readdir(all)))
                CHECK(w, !strstr(d->d_name, ".corrupt") && !strstr(d->d_name, ".damaged"));
        closedir(all);
}

/* A file whose making was cut says that one before it may be gone: nobody knows better. */
static void take_first_event(struct world *w, sqlite3 *c)
{
        if (w->epoch || w->n_events || !ask(w, c, "SELECT count(*) FROM event"))
                return;
        CHECK(w, 1 == ask(w, c,
                          "SELECT count(*) FROM event WHERE seq = 1 AND kind = 'spool_rescue' AND body LIKE"
                          " '%\"readings\":0,\"events\":0,\"lost\":0,%'"));
        w->n_events = 1;
}

void powercut_check(struct world *w)
{
        struct sums s[SPOOL_LANES];
        struct spool_counts n;
        sqlite3 *c;

        check_aside(w);
        CHECK(w, sqlite3_open_v2(w->path, &c, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
        check_integrity(w, c);
        check_values(w, c);
        check_dead_letters(w, c);
        take_first_event(w, c);
        for (int i = 0; i < SPOOL_LANES; i++)
                look(w, c, (enum spool_lane)i, &s[i]);
        sqlite3_close(c);
        spool_counts(w->spool, &n);
        check_counts(w, &n, s);
        check_tool(w, s);
        CHECK(w, n.accepted >= w->durable[SPOOL_SAMPLES] && n.events_accepted >= w->durable[SPOOL_EVENTS]);
        CHECK(w, !w->epoch || n.epoch == w->epoch);
        w->epoch = n.epoch;
}

/* Their seqs are given again. */
void powercut_forget_lost(struct world *w)
{
        struct spool_counts n;

        spool_counts(w->spool, &n);
        seen.lost_unpromised += w->n - n.accepted;
        w->durable[SPOOL_SAMPLES] = w->n = n.accepted;
        w->durable[SPOOL_EVENTS] = w->n_events = n.events_accepted;
}
