/*
 * query_alarms: the last state of every alarm, and the journal of what happened
 * to them.
 *
 * Row by row, each a statement of its own, so that no read transaction is open
 * while a row is shown. How it fails: with a sentence; a file of before there
 * were alarms has none.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/inspect/query_impl.h"

/*
 * A file that an older version made and nobody has opened since has no alarms.
 */
static bool has_alarms(struct spool_query *q)
{
        uint64_t n = 0;

        return query_int(q, "SELECT count(*) FROM sqlite_master WHERE name = 'alarm_log'", &n, NULL) == 0 && n > 0;
}

int spool_query_alarms(struct spool_query *q, bool (*each)(void *ctx, const struct spool_alarm *a), void *ctx,
                       struct err *e)
{
        static const char sql[] = "SELECT " SPOOL_ALARM_COLUMNS " FROM alarm WHERE (source, tag, rule, limit_kind) >"
                                  " (?1, ?2, ?3, ?4) ORDER BY source, tag, rule, limit_kind LIMIT 1";
        char key[4][QUERY_KEY_BYTES] = {"", "", "", ""}, state[32];
        struct spool_alarm a;
        sqlite3_stmt *st;
        int rc = SQLITE_ROW;

        if (!has_alarms(q))
                return 0;
        st = query_prepare(q, sql, e);
        while (st && rc == SQLITE_ROW) {
                for (int i = 0; i < 4; i++)
                        sqlite3_bind_text(st, 1 + i, key[i], -1, SQLITE_STATIC);
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                spool_read_alarm(st, &a);
                if (query_key_order((const char *[]){a.source, a.tag, a.rule, a.limit_kind}, key, 4) <= 0) {
                        rc = QUERY_DISORDER;
                        break;
                }
                snprintf(state, sizeof(state), "%s", a.state);
                sqlite3_reset(st);
                a.source = key[0];
                a.tag = key[1];
                a.rule = key[2];
                a.limit_kind = key[3];
                a.state = state;
                if (!each(ctx, &a))
                        break;
        }
        return st ? query_finish(q, st, rc, e) : -1;
}

static double number_or_nan(sqlite3_stmt *st, int column)
{
        return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN : sqlite3_column_double(st, column);
}

int spool_query_alarm_log(struct spool_query *q, int64_t from_us, uint64_t most,
                          bool (*each)(void *ctx, const struct spool_query_alarm_note *note), void *ctx, struct err *e)
{
        static const char sql[] =
                "SELECT source, tag, rule, limit_kind, change, coalesce(operator, ''), coalesce(comment, ''), event_id,"
                " id, at_us, value, limit_value, severity FROM alarm_log WHERE id > ?1 AND at_us >= ?2 ORDER BY id "
                "LIMIT 1";
        static const char skip[] = "SELECT coalesce(min(id), 1) - 1 FROM (SELECT id FROM alarm_log WHERE at_us >= ?1"
                                   " ORDER BY id DESC LIMIT ?2)";
        struct spool_query_alarm_note note = {0};
        struct spool_bytes b = {0};
        sqlite3_stmt *st;
        int rc = SQLITE_ROW;

        if (!has_alarms(q))
                return 0;
        st = query_prepare(q, skip, e);
        if (!st)
                return -1;
        sqlite3_bind_int64(st, 1, from_us);
        sqlite3_bind_int64(st, 2, most ? (int64_t)most : -1);
        rc = sqlite3_step(st);
        note.id = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
        if (query_finish(q, st, rc, e) < 0 || !(st = query_prepare(q, sql, e)))
                return -1;
        while (rc == SQLITE_ROW) {
                size_t at[8];

                sqlite3_bind_int64(st, 1, (int64_t)note.id);
                sqlite3_bind_int64(st, 2, from_us);
                rc = query_next(st, 8, false, &note.id);
                if (rc != SQLITE_ROW)
                        break;
                b.n = 0;
                for (int i = 0; i < 8; i++)
                        at[i] = query_keep(&b, query_text(st, i), strlen(query_text(st, i)) + 1);
                note.n = (struct spool_alarm_note){.at_us = sqlite3_column_int64(st, 9),
                                                   .source = b.p + at[0],
                                                   .tag = b.p + at[1],
                                                   .rule = b.p + at[2],
                                                   .limit_kind = b.p + at[3],
                                                   .change = b.p + at[4],
                                                   .by = b.p + at[5],
                                                   .comment = b.p + at[6],
                                                   .value = number_or_nan(st, 10),
                                                   .limit = number_or_nan(st, 11),
                                                   .severity = sqlite3_column_int(st, 12)};
                snprintf(note.n.event_id, sizeof(note.n.event_id), "%s", b.p + at[7]);
                sqlite3_reset(st);
                if (!each(ctx, &note))
                        break;
        }
        free(b.p);
        return query_finish(q, st, rc, e);
}
