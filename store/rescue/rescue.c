/*
 * rescue: the rows of a damaged spool go on in a fresh one; set_aside.c has
 * moved it out of the way.
 *
 * Only what is ours is moved: a file with our id in its first page, or whatever
 * lies where our sidecar says that a spool of ours was.  Anything else at the
 * configured path is refused with a sentence.  The marker `<path>.damaged`
 * begins a rescue, names where the file went and is removed when the fresh
 * spool is complete; a cut in between starts the salvage over, three times at
 * most, then without salvage: never a loop.  A running spool that meets damage
 * leaves an empty marker and ends.
 *
 * The fresh spool has a new epoch; rows above the old watermark get new seqs in
 * the old order, under the same tag ids. Alarms and their journal come along.
 * What was delivered, dropped, in quarantine or dead-lettered stays in the file
 * aside.  Seqs that can't be found are told: in the `rescue` table and, by the
 * caller, in an event.  Time and room are bounded; what did not fit in is told
 * as well.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/json_scan.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "store/rescue/salvage.h"

enum {
        TRIES_MAX = 3,
        ROWS_AT_ONCE = 5000,
        S_MAX = 60,
        TELL_EVERY_S = 5,
};

static double seconds_since(const struct timespec *t)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void exec(struct salvage *s, const char *sql)
{
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_exec(s->db->conn, sql, NULL, NULL, NULL);
}

static void run(struct salvage *s, sqlite3_stmt *st)
{
        int rc = sqlite3_step(st);

        sqlite3_reset(st);
        if (rc != SQLITE_DONE && s->rc == SQLITE_OK)
                s->rc = rc;
}

/* Ids stay as they were; an id that was not found gets a name that says so. */
static void put_tags(struct salvage *s, size_t from, size_t to)
{
        sqlite3_stmt *st = NULL;
        char name[32];

        s->rc = sqlite3_prepare_v2(s->db->conn, "INSERT INTO tag VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0)", -1, &st, NULL);
        for (size_t id = from; id < to && s->rc == SQLITE_OK; id++) {
                static char *none[5];
                char **text = id < s->n_tags ? s->tags[id].text : none;

                sqlite3_bind_int64(st, 1, (int64_t)id);
                snprintf(name, sizeof(name), "tag-%zu", id);
                for (int i = 0; i < 5; i++)
                        sqlite3_bind_text(st, 2 + i,
                                          text[0]  ? text[i]
                                          : i == 0 ? "rescued"
                                          : i == 1 ? name
                                                   : "",
                                          -1, SQLITE_TRANSIENT);
                run(s, st);
        }
        sqlite3_finalize(st);
}

/*
 * Seqs from `first` to `last` have no row: the ledger's are accounted for, the
 * others are lost.
 */
static void note_gap(struct salvage *s, uint64_t first, uint64_t last)
{
        while (first <= last) {
                uint64_t end;
                bool dropped = salvage_was_dropped(s, first, &end);

                if (end > last)
                        end = last;
                if (!dropped)
                        spool_rescue_note_lost(s->r, first, end);
                first = end + 1;
        }
}

/* What the file itself can't say any more. */
static void take_mark(struct salvage *s)
{
        struct spool_mark m;

        spool_mark_read(s->db, &m);
        if (!s->r->old_epoch)
                s->r->old_epoch = m.epoch ? m.epoch : s->db->epoch_before;
        for (int i = 0; i < SPOOL_LANES; i++)
                if (m.epoch == s->r->old_epoch && m.acked[i] > s->acked[i])
                        s->acked[i] = m.acked[i];
        memcpy(s->last_seq, s->acked, sizeof(s->last_seq));
}

/*
 * What the mark beside the file says that it had.  Beside an older copy, of an
 * epoch that is over, it is another file's, of which nothing is here: what that
 * one had and Kafka had not.
 */
static void note_end(struct salvage *s)
{
        struct spool_mark m;

        if ((!spool_mark_read(s->db, &m) || m.epoch < s->r->old_epoch) && !s->r->stopped)
                s->r->stopped = "nothing beside it says how far it was";
        if (m.epoch > s->r->old_epoch) {
                s->r->old_epoch = m.epoch;
                spool_rescue_note_lost(s->r, m.acked[SPOOL_SAMPLES] + 1, m.last[SPOOL_SAMPLES]);
                memcpy(s->last_seq, m.acked, sizeof(s->last_seq));
        } else if (m.epoch == s->r->old_epoch) {
                note_gap(s, s->last_seq[SPOOL_SAMPLES] + 1, m.last[SPOOL_SAMPLES]);
        }
        if (m.epoch == s->r->old_epoch && m.last[SPOOL_EVENTS] > s->last_seq[SPOOL_EVENTS])
                s->r->n_lost_events = m.last[SPOOL_EVENTS] - s->last_seq[SPOOL_EVENTS];
}

static void begin_if_none(struct salvage *s)
{
        if (s->in_transaction++ == 0)
                exec(s, "BEGIN IMMEDIATE");
}

static void end_transaction(struct salvage *s)
{
        if (s->in_transaction)
                exec(s, "COMMIT");
        s->in_transaction = 0;
        if (s->rc == SQLITE_OK) {
                s->done_readings = s->r->n_readings;
                s->done_events = s->r->n_events;
        }
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_wal_checkpoint_v2(s->db->conn, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
}

/* False: time or room is used up. */
static bool may_go_on(struct salvage *s)
{
        if (s->in_transaction < ROWS_AT_ONCE)
                return s->rc == SQLITE_OK;
        end_transaction(s);
        if (seconds_since(&s->told) >= TELL_EVERY_S) {
                clock_gettime(CLOCK_MONOTONIC, &s->told);
                log_notice("spool", "%" PRIu64 " readings carried over so far", s->r->n_readings);
        }
        if (seconds_since(&s->began) < S_MAX)
                return s->rc == SQLITE_OK;
        s->r->stopped = "the time for it was over";
        return false;
}

static bool on_reading(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        uint64_t seq = (uint64_t)row->rowid, *last = &s->last_seq[SPOOL_SAMPLES], end;
        struct found r;

        if (!salvage_reading(s, row, &r) || seq <= *last || salvage_was_dropped(s, seq, &end))
                return true;
        begin_if_none(s);
        note_gap(s, *last + 1, seq - 1);
        *last = seq;
        if (r.tag >= s->n_tags_seen)
                s->n_tags_seen = (size_t)r.tag + 1;
        spool_db_begin_span(s->db, ++s->r->n_readings, spool_time_sum(r.ts_us, r.delay_us));
        sqlite3_bind_int64(s->put, 1, (int64_t)s->r->n_readings);
        sqlite3_bind_int64(s->put, 2, r.ts_us - s->db->v.base_us);
        sqlite3_bind_int64(s->put, 3, r.bits);
        sqlite3_bind_int64(s->put, 4, r.delay_us);
        salvage_bind(s->put, 5, r.value);
        run(s, s->put);
        if (spool_sample_flags(r.bits) & READING_AGGREGATE)
                salvage_move_aggregate(s, seq, s->r->n_readings);
        if (s->rc == SQLITE_OK)
                s->rc = s->db->rc;
        return may_go_on(s);
}

static bool on_event(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        if (row->rowid < 1 || row->rowid > (int64_t)SPOOL_SEQ_MAX || v[1].type != PAGES_INT ||
            v[2].type != PAGES_TEXT || v[3].type != PAGES_INT || v[5].type != PAGES_TEXT ||
            (uint64_t)row->rowid <= s->last_seq[SPOOL_EVENTS] || !json_is_members(v[5].p, v[5].len))
                return true;
        begin_if_none(s);
        s->last_seq[SPOOL_EVENTS] = (uint64_t)row->rowid;
        sqlite3_bind_int64(s->put_event, 1, (int64_t)++s->r->n_events);
        for (int i = 1; i < 6; i++)
                salvage_bind(s->put_event, i + 1, &v[i]);
        if (v[4].type != PAGES_INT || v[4].i < 0 || (uint64_t)v[4].i >= s->n_tags)
                sqlite3_bind_null(s->put_event, 5);
        run(s, s->put_event);
        return may_go_on(s);
}

static void carry_over(struct salvage *s, const char *gateway)
{
        pages_each(s->pages, PAGES_INDEX, 2, salvage_pair, s);
        if (s->has_gateway && strcmp(s->gateway, gateway) != 0) {
                s->r->stopped = "it belongs to another gateway";
                return;
        }
        pages_each(s->pages, PAGES_INDEX, 6, salvage_dropped, s);
        pages_each(s->pages, PAGES_TABLE, 2, salvage_span, s);
        salvage_sort(s);
        pages_each(s->pages, PAGES_TABLE, 7, salvage_tag, s);
        pages_each(s->pages, PAGES_TABLE, 8, salvage_tag, s);
        begin_if_none(s);
        put_tags(s, 0, s->n_tags);
        salvage_small(s);
        take_mark(s);
        if (s->rc == SQLITE_OK)
                pages_each(s->pages, PAGES_LANE, 6, on_event, s);
        /* Of a file that was about to change its format the old rows are the newer ones, see store/writer/migrate.c. */
        if (s->rc == SQLITE_OK && !s->r->stopped)
                pages_each(s->pages, PAGES_LANE, SAMPLE_COLUMNS, on_reading, s);
        if (s->rc == SQLITE_OK && !s->r->stopped)
                pages_each(s->pages, PAGES_TABLE, 8, on_reading, s);
        if (!s->r->stopped)
                note_end(s);
        if (s->rc == SQLITE_OK && s->n_tags_seen > s->n_tags) {
                begin_if_none(s);
                put_tags(s, s->n_tags, s->n_tags_seen);
        }
        salvage_end_aggregates(s);
        end_transaction(s);
}

static void salvage(struct salvage *s, const char *gateway)
{
        struct err e = {{0}};

        clock_gettime(CLOCK_MONOTONIC, &s->began);
        s->told = s->began;
        if (s->r->tries > TRIES_MAX || pages_open(&s->pages, s->r->aside, &e) < 0) {
                s->r->stopped = s->r->tries > TRIES_MAX ? "it was tried three times and never came to an end"
                                                        : "the file could not be opened";
                take_mark(s);
                note_end(s);
        } else {
                s->rc = sqlite3_prepare_v2(s->db->conn, "INSERT INTO sample VALUES (?1,?2,?3,?4,?5)", -1, &s->put,
                                           NULL);
                if (s->rc == SQLITE_OK)
                        s->rc = sqlite3_prepare_v2(s->db->conn, "INSERT INTO event VALUES (?1,?2,?3,?4,?5,?6)", -1,
                                                   &s->put_event, NULL);
                carry_over(s, gateway);
        }
}

int spool_rescue_carry(struct spool_rescue *r, struct spool_db *db, const char *gateway, struct err *e)
{
        struct salvage s = {.r = r, .db = db};
        char sql[64];

        snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%" PRIu64, db->plan.db_pages - db->plan.db_pages / 10);
        sqlite3_exec(db->conn, sql, NULL, NULL, NULL);
        salvage(&s, gateway);
        if ((s.rc & 0xff) == SQLITE_FULL) {
                /* The transaction that did not fit is gone as a whole; what came before stays. */
                if (!sqlite3_get_autocommit(db->conn))
                        sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
                r->n_readings = s.done_readings;
                r->n_events = s.done_events;
                r->stopped = "there was no room for more";
                s.rc = SQLITE_OK;
        }
        sqlite3_exec(db->conn, "PRAGMA max_page_count=4294967294", NULL, NULL, NULL);
        if (s.rc == SQLITE_OK)
                s.rc = sqlite3_exec(db->conn, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (s.rc == SQLITE_OK)
                s.rc = spool_rescue_tell(r, db->conn);
        if (s.rc == SQLITE_OK)
                s.rc = sqlite3_exec(db->conn, "COMMIT", NULL, NULL, NULL);
        if (s.rc != SQLITE_OK)
                err_set(e, "spool %s: what was saved of the damaged file cannot be written: %s", db->path,
                        sqlite3_errmsg(db->conn));
        salvage_fini(&s);
        if (s.rc != SQLITE_OK)
                return -1;
        if (spool_epoch_exceed(db, r->old_epoch, e) < 0)
                return -1;
        spool_rescue_unmark(db->path);
        log_notice("spool", "%" PRIu64 " readings and %" PRIu64 " events carried over, %" PRIu64 " lost%s%s%s%s",
                   r->n_readings, r->n_events, r->n_lost, *r->lost ? ": " : "", r->lost, r->stopped ? "; " : "",
                   r->stopped ? r->stopped : "");
        return 0;
}
