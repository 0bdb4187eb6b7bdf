/*
 * alarm: the loop's side of alarms in the spool: states and lines of the
 * journal go into the batch that gathers; writer/alarm.c writes them.  Reading
 * happens at start, before the first commit.  Fails with a sentence.
 */
#include <math.h>
#include <string.h>

#include "agent/base/err.h"
#include "store/impl.h"

/* ---- for the loop ---- */

void spool_put_alarm(struct spool *s, const struct spool_alarm *a)
{
        spool_batch_put_alarm(s->gather, a);
        spool_arm(s);
}

void spool_note_alarm(struct spool *s, const struct spool_alarm_note *n)
{
        if (!spool_batch_put_alarm_note(s->gather, n))
                s->alarm_notes_lost++;
        s->gather->notified = false;
        spool_arm(s);
}

void spool_notes_notified(struct spool *s)
{
        s->gather->notified = true;
}

/* ---- reading ---- */

static const char *text_of(sqlite3_stmt *st, int column)
{
        const char *s = (const char *)sqlite3_column_text(st, column);

        return s ? s : "";
}

int spool_each_alarm(struct spool *s, void (*each)(void *ctx, const struct spool_alarm *a), void *ctx, struct err *e)
{
        static const char sql[] = "SELECT " SPOOL_ALARM_COLUMNS " FROM alarm";
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db.conn, sql, -1, &st, NULL);
        struct spool_alarm a;

        while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
                spool_read_alarm(st, &a);
                each(ctx, &a);
                rc = SQLITE_OK;
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_unreadable(s, rc, sql, "its alarms", e);
}

static double number_of(sqlite3_stmt *st, int column)
{
        return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN : sqlite3_column_double(st, column);
}

static void read_note(sqlite3_stmt *st, struct spool_alarm_note *n)
{
        size_t len = strnlen(text_of(st, 7), sizeof(n->event_id) - 1);

        *n = (struct spool_alarm_note){.source = text_of(st, 0),
                                       .tag = text_of(st, 1),
                                       .rule = text_of(st, 2),
                                       .limit_kind = text_of(st, 3),
                                       .change = text_of(st, 4),
                                       .by = text_of(st, 5),
                                       .comment = text_of(st, 6),
                                       .at_us = spool_read_time(st, 8),
                                       .value = number_of(st, 9),
                                       .limit = number_of(st, 10),
                                       .severity = sqlite3_column_int(st, 11)};
        memcpy(n->event_id, text_of(st, 7), len);
}

int spool_each_unnotified(struct spool *s, void (*each)(void *ctx, const struct spool_alarm_note *n), void *ctx,
                          struct err *e)
{
        static const char sql[] =
                "SELECT source, tag, rule, limit_kind, change, operator, comment, event_id, at_us, value, limit_value,"
                " severity FROM alarm_log WHERE id > (SELECT value FROM meta WHERE key = 'alarm_told') ORDER BY id";
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db.conn, sql, -1, &st, NULL);
        struct spool_alarm_note n;

        while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
                read_note(st, &n);
                each(ctx, &n);
                rc = SQLITE_OK;
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_unreadable(s, rc, sql, "its alarms", e);
}
