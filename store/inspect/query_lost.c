/*
 * query_lost: what did not go to Kafka: the ledger, the quarantine, dead
 * letters.  Small tables, one short statement each row, so that no read
 * transaction is open while a row is shown.  How it fails: with a sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/inspect/query_impl.h"

static enum spool_lane lane_of(const char *name)
{
        return strcmp(name, spool_lane_names[SPOOL_EVENTS]) == 0 ? SPOOL_EVENTS : SPOOL_SAMPLES;
}

static int next_drop(sqlite3_stmt *st, char (*lane)[QUERY_KEY_BYTES], uint64_t *first_seq)
{
        uint64_t edge = *first_seq;
        int rc = query_next(st, 1, false, &edge);
        int order;

        if (rc != SQLITE_ROW && rc != QUERY_DISORDER)
                return rc;
        order = query_key_order((const char *[]){query_text(st, 0)}, lane, 1);
        *first_seq = (uint64_t)sqlite3_column_int64(st, 1);
        return order > 0 ? SQLITE_ROW : order < 0 ? QUERY_DISORDER : rc;
}

int spool_query_dropped(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_drop *drop), void *ctx,
                        struct err *e)
{
        sqlite3_stmt *st = query_prepare(q,
                                         "SELECT lane, first_seq, last_seq, n, reason, at_us FROM dropped"
                                         " WHERE (lane, first_seq) > (?1, ?2) ORDER BY lane, first_seq LIMIT 1",
                                         e);
        char lane[1][QUERY_KEY_BYTES] = {""}, reason[REASON_MAX];
        struct spool_query_drop d = {.reason = reason};
        int rc = st ? SQLITE_ROW : SQLITE_ERROR;

        while (rc == SQLITE_ROW) {
                sqlite3_bind_text(st, 1, lane[0], -1, SQLITE_TRANSIENT);
                sqlite3_bind_int64(st, 2, (int64_t)d.first_seq);
                rc = next_drop(st, lane, &d.first_seq);
                if (rc != SQLITE_ROW)
                        break;
                snprintf(reason, sizeof(reason), "%s", query_text(st, 4));
                d.lane = lane_of(lane[0]);
                d.last_seq = (uint64_t)sqlite3_column_int64(st, 2);
                d.n = (uint64_t)sqlite3_column_int64(st, 3);
                d.at_us = sqlite3_column_int64(st, 5);
                sqlite3_reset(st);
                if (!each(ctx, &d))
                        break;
        }
        return st ? query_finish(q, st, rc, e) : -1;
}

int spool_query_quarantine(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_quarantine *item),
                           void *ctx, struct err *e)
{
        sqlite3_stmt *st =
                query_prepare(q,
                              "SELECT id, at_us, driver, origin, reason, payload FROM quarantine WHERE id > ?1"
                              " ORDER BY id LIMIT 1",
                              e);
        struct spool_query_quarantine item = {0};
        struct spool_bytes b = {0};
        int rc = st ? SQLITE_ROW : SQLITE_ERROR;

        while (rc == SQLITE_ROW) {
                size_t at[4];

                sqlite3_bind_int64(st, 1, (int64_t)item.id);
                rc = query_next(st, 0, false, &item.id);
                if (rc != SQLITE_ROW)
                        break;
                b.n = 0;
                item.at_us = sqlite3_column_int64(st, 1);
                item.len = (size_t)sqlite3_column_bytes(st, 5);
                for (int i = 0; i < 3; i++)
                        at[i] = query_keep(&b, query_text(st, 2 + i), strlen(query_text(st, 2 + i)) + 1);
                at[3] = query_keep(&b, sqlite3_column_blob(st, 5), item.len);
                sqlite3_reset(st);
                item.driver = b.p + at[0];
                item.origin = b.p + at[1];
                item.reason = b.p + at[2];
                item.payload = b.p + at[3];
                if (!each(ctx, &item))
                        break;
        }
        free(b.p);
        return st ? query_finish(q, st, rc, e) : -1;
}

int spool_query_dead_letters(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_dead *dead),
                             void *ctx, struct err *e)
{
        sqlite3_stmt *st =
                query_prepare(q,
                              "SELECT " SPOOL_COLUMNS ", id, lane, reason, at_us FROM dead_letter WHERE id > ?1"
                              " ORDER BY id LIMIT 1",
                              e);
        char reason[200];
        struct spool_query_dead dead = {.reason = reason};
        struct slice *s = mem_alloc(sizeof(*s));
        int rc = st ? SQLITE_ROW : SQLITE_ERROR;

        if (st && query_load_tags(q, e) < 0)
                rc = SQLITE_ERROR;
        while (rc == SQLITE_ROW) {
                sqlite3_bind_int64(st, 1, (int64_t)dead.id);
                rc = query_next(st, 8, false, &dead.id);
                if (rc != SQLITE_ROW)
                        break;
                s->n = 0;
                s->bytes.n = 0;
                slice_put(s, st, SPOOL_SAMPLES);
                spool_read_aggregate(NULL, &s->rows[0]);
                if (sqlite3_column_type(st, 2) == SQLITE_NULL)
                        s->rows[0].r.tag = SPOOL_NO_TAG;
                dead.lane = lane_of(query_text(st, 9));
                snprintf(reason, sizeof(reason), "%s", query_text(st, 10));
                dead.at_us = sqlite3_column_int64(st, 11);
                sqlite3_reset(st);
                if (query_is_text(&s->rows[0].r))
                        s->rows[0].r.v.text = s->bytes.p ? s->bytes.p : "";
                if (dead.lane == SPOOL_EVENTS)
                        spool_sound_body(&s->rows[0].r);
                slice_show(q, SPOOL_SAMPLES, s, 0, false, &dead.row);
                if (!each(ctx, &dead))
                        break;
        }
        free(s->bytes.p);
        free(s);
        return st ? query_finish(q, st, rc, e) : -1;
}
