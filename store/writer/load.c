/*
 * load: what the file knows, into memory: tags and their times, watermarks,
 * ledger, sizes.
 *
 * Bounded by tags, by the ledger and by the rows since tag times were last
 * saved, never by the size of the file. How it fails: with a sentence; what no
 * spool of ours would say is damage.
 */
#include <inttypes.h>
#include <string.h>

#include "agent/base/json_scan.h"
#include "store/writer/db.h"

/*
 * All of it can be read, and ids are indices: a rescue must find `tags` as it
 * was.
 */
static int look_at_tags(struct spool_db *db, struct err *e)
{
        int64_t fine;

        if (spool_db_get_int(db->conn,
                             "SELECT count(*) = coalesce(max(id) + 1, 0) AND coalesce(min(id), 0) = 0 FROM tag",
                             &fine) != SQLITE_OK)
                return spool_db_fail(db, "cannot read its tags", e);
        if (fine)
                return 0;
        db->damaged = true;
        return err_set(e, "spool %s: its tag table was changed", db->path);
}

void spool_read_tag(sqlite3_stmt *st, struct tag *out)
{
        int64_t last_us = spool_read_time(st, 6);
        const char *text[5];

        for (int i = 0; i < 5; i++) {
                text[i] = (const char *)sqlite3_column_text(st, i + 1);
                if (!text[i])
                        text[i] = "";
        }
        if (!json_is_members(text[3], strlen(text[3]))) /* damaged: a record with them would be no JSON */
                text[3] = "";
        *out = (struct tag){.source = text[0],
                            .name = text[1],
                            .unit = text[2],
                            .labels = text[3],
                            .driver = text[4],
                            .last_ts_us = last_us < SPOOL_TIME_MAX ? last_us : 0}; /* else damaged */
}

static int load_tags(struct spool_db *db, struct tags *tags, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc;

        if (look_at_tags(db, e) < 0)
                return -1;

        if (sqlite3_prepare_v2(db->conn,
                               "SELECT " SPOOL_TAG_COLUMNS ", f.tag IS NOT NULL, " SPOOL_FORGOTTEN_COLUMNS
                               " FROM tag LEFT JOIN forgotten f ON f.tag = tag.id ORDER BY id",
                               -1, &st, NULL) != SQLITE_OK)
                return spool_db_fail(db, "cannot read its tags", e);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                struct tag row;

                spool_read_tag(st, &row);
                row.forgotten = sqlite3_column_int(st, 7);
                if (row.forgotten && spool_db_tag_is_free(db, st, 8))
                        tags_load_free(tags);
                else
                        tags_load(tags, &row);
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_db_fail(db, "cannot read its tags", e);
}

/*
 * Only what came after the last save of tag times: the rest is in the tag
 * table.  In order, for a clock may have been set back; without what is
 * historical (16).
 */
static int load_times(struct spool_db *db, struct tags *tags, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(db->conn,
                                    "SELECT tag, ts_us FROM reading WHERE seq > ?1 AND NOT flags & 16 ORDER BY seq", -1,
                                    &st, NULL);

        if (rc != SQLITE_OK)
                return spool_db_fail(db, "cannot read its readings", e);
        sqlite3_bind_int64(st, 1, (int64_t)db->v.ts_saved_seq);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                int64_t id = sqlite3_column_int64(st, 0), ts_us = spool_read_time(st, 1);

                if (id < 0 || (uint64_t)id >= tags_count(tags)) {
                        sqlite3_finalize(st);
                        db->damaged = true;
                        return err_set(e,
                                       "spool %s: damaged (a reading of unknown tag %" PRId64 "); move the file away",
                                       db->path, id);
                }
                if (ts_us < SPOOL_TIME_MAX)
                        tags_seen(tags, (uint32_t)id, ts_us);
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_db_fail(db, "cannot read its readings", e);
}

/*
 * One line, behind all before it; at or below the watermark several may have
 * been joined, with `n` less than all.
 */
static void take_line(struct lane_account *l, uint64_t first, uint64_t last, uint64_t n)
{
        if (last > l->last)
                l->last = last;
        if (first <= l->acked_durable) {
                uint64_t below = last <= l->acked_durable ? n : l->acked_durable - first + 1;

                l->dropped += below;
                l->dropped_acked += below;
                first = l->acked_durable + 1;
        }
        if (first <= last)
                lane_drop(l, first, last);
}

static int load_ledger(struct spool_db *db, enum spool_lane lane, struct lane_account *l, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int64_t before = 0;
        bool sound = true;
        int rc = sqlite3_prepare_v2(
                db->conn, "SELECT first_seq, last_seq, n FROM dropped WHERE lane=?1 ORDER BY first_seq", -1, &st, NULL);

        if (rc != SQLITE_OK)
                return spool_db_fail(db, "cannot read its ledger", e);
        sqlite3_bind_text(st, 1, spool_lane_names[lane], -1, SQLITE_STATIC);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && sound) {
                int64_t first = sqlite3_column_int64(st, 0), last = sqlite3_column_int64(st, 1);
                int64_t n = sqlite3_column_int64(st, 2);

                db->v.n_ledger++;
                sound = first > before && last >= first && n > 0 && n <= last - first + 1;
                if (sound)
                        take_line(l, (uint64_t)first, (uint64_t)last, (uint64_t)n);
                before = last;
        }
        sqlite3_finalize(st);
        if (!sound) {
                db->damaged = true;
                return err_set(e, "spool %s: damaged (its ledger of dropped readings contradicts itself)", db->path);
        }
        return rc == SQLITE_DONE ? 0 : spool_db_fail(db, "cannot read its ledger", e);
}

/*
 * A line that is no range, or not in its place, is passed over: its rows are
 * sent again.
 */
static int load_ahead(struct spool_db *db, struct lane_account *l, struct err *e)
{
        uint64_t after = l->acked_durable;
        struct lane_ahead *a = &l->ahead;
        sqlite3_stmt *st = NULL;
        int rc =
                sqlite3_prepare_v2(db->conn, "SELECT first_seq, last_seq FROM ahead ORDER BY first_seq", -1, &st, NULL);

        if (rc != SQLITE_OK)
                return spool_db_fail(db, "cannot read what went ahead", e);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && a->n < LANE_AHEAD_MAX) {
                uint64_t first = (uint64_t)sqlite3_column_int64(st, 0), last = (uint64_t)sqlite3_column_int64(st, 1);

                if (first <= after || last + 1 < first || last > SPOOL_SEQ_MAX)
                        continue;
                a->v[a->n++] = (struct lane_range){first, last};
                if (last >= first && last > l->last)
                        l->last = last;
                after = last;
        }
        sqlite3_finalize(st);
        l->ahead_durable = *a;
        return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : spool_db_fail(db, "cannot read what went ahead", e);
}

/* A row of ours that is not there is damage. */
static int get_int(struct spool_db *db, const char *sql, int64_t *out)
{
        int rc = spool_db_get_int(db->conn, sql, out);

        if (rc == SQLITE_NOTFOUND)
                db->damaged = true;
        return rc;
}

static int load_lane(struct spool_db *db, enum spool_lane lane, struct lane_account *l, struct err *e)
{
        static const char *const ends[SPOOL_LANES][3] = {
                {"SELECT acked_seq FROM cursor WHERE lane='events'", "SELECT coalesce(min(seq), 0) FROM event",
                 "SELECT coalesce(max(seq), 0) FROM event"},
                {"SELECT acked_seq FROM cursor WHERE lane='samples'", "SELECT coalesce(min(seq), 0) FROM reading",
                 "SELECT coalesce(max(seq), 0) FROM reading"},
        };
        int64_t acked, first, last;

        if (get_int(db, ends[lane][0], &acked) != SQLITE_OK || get_int(db, ends[lane][1], &first) != SQLITE_OK ||
            get_int(db, ends[lane][2], &last) != SQLITE_OK)
                return spool_db_fail(db, "cannot read where it stands", e);
        if (acked < 0 || first < 0 || last < 0) {
                db->damaged = true;
                return err_set(e, "spool %s: damaged (a seq below zero)", db->path);
        }
        db->v.first[lane] = (uint64_t)first;
        l->acked_durable = l->acked = (uint64_t)acked;
        l->last = (uint64_t)(last > acked ? last : acked);
        if (load_ledger(db, lane, l, e) < 0 || (lane == SPOOL_SAMPLES && load_ahead(db, l, e) < 0))
                return -1;
        if (l->last > SPOOL_SEQ_MAX) {
                db->damaged = true;
                return err_set(e, "spool %s: damaged (a seq of %" PRIu64 ")", db->path, l->last);
        }
        l->appended = l->last;
        lane_committed(l, l->last, l->acked_durable, NULL);
        return 0;
}

/*
 * Events are at most a tenth of the file, but that may be much: count them by a
 * sample of the newest.
 */
static int load_sizes(struct spool_db *db, const struct lane_account *events, struct err *e)
{
        int64_t mean, dead, saved, thinned, aggregates;

        if (spool_db_get_int(db->conn,
                             "SELECT coalesce(cast(avg(n) AS INTEGER), 0) FROM"
                             " (SELECT length(body) + 64 AS n FROM event ORDER BY seq DESC LIMIT 500)",
                             &mean) != SQLITE_OK ||
            get_int(db, "SELECT coalesce(sum(coalesce(length(value), 0) + 128), 0) FROM dead_letter", &dead) !=
                    SQLITE_OK ||
            get_int(db, "SELECT value FROM meta WHERE key='ts_saved_seq'", &saved) != SQLITE_OK ||
            get_int(db, "SELECT coalesce((SELECT value FROM meta WHERE key='thinned_seq'), 0)", &thinned) !=
                    SQLITE_OK ||
            get_int(db, "SELECT EXISTS (SELECT 1 FROM aggregate)", &aggregates) != SQLITE_OK)
                return spool_db_fail(db, "cannot read where it stands", e);
        if (db->v.first[SPOOL_EVENTS])
                db->v.event_bytes = (uint64_t)mean * (events->last - db->v.first[SPOOL_EVENTS] + 1);
        db->v.dead_bytes = (uint64_t)dead;
        db->v.ts_saved_seq = (uint64_t)saved;
        db->v.thinned_seq = (uint64_t)thinned;
        db->v.has_aggregates = aggregates;
        return spool_db_load_quarantine(db, e);
}

int spool_db_load(struct spool_db *db, struct tags *tags, struct lane_account lanes[SPOOL_LANES], struct err *e)
{
        for (int i = 0; i < SPOOL_LANES; i++)
                if (load_lane(db, (enum spool_lane)i, &lanes[i], e) < 0)
                        return -1;
        if (spool_mark_check(db, lanes, e) < 0 || spool_db_load_span(db, e) < 0)
                return -1;
        if (load_sizes(db, &lanes[SPOOL_EVENTS], e) < 0 || load_tags(db, tags, e) < 0 || load_times(db, tags, e) < 0)
                return -1;
        if (spool_mark_begin(db, lanes, e) < 0)
                return -1;
        spool_pair_begin(db);
        spool_place_note(db);
        return 0;
}
