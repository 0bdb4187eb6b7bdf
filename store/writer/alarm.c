/*
 * alarm: the last state of every alarm, and the journal of what happened to it,
 * in the transaction of the reading that moved it.
 *
 * The journal is for people: it keeps the newest lines, in the file and in a
 * batch; what a batch had no room for is counted.
 *
 * Fails as the rest of the transaction: db->rc says so, and all of it is tried
 * again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/writer/db.h"

enum { LOG_MAX = 20000, LOG_LINE_BYTES = 256 };

/* ---- writing ---- */

uint64_t spool_alarm_lines(const struct spool_plan *plan)
{
        uint64_t lines = plan->note_bytes / LOG_LINE_BYTES;

        return lines < LOG_MAX ? lines : LOG_MAX;
}

static void put_text(sqlite3_stmt *st, int at, const char *s)
{
        if (s)
                sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC);
        else
                sqlite3_bind_null(st, at);
}

static void put_number(sqlite3_stmt *st, int at, double v)
{
        if (isnan(v))
                sqlite3_bind_null(st, at);
        else
                sqlite3_bind_double(st, at, v);
}

static void run(struct spool_db *db, sqlite3_stmt *st)
{
        int rc = sqlite3_step(st);

        sqlite3_reset(st);
        if (rc != SQLITE_DONE)
                db->rc = rc;
}

static void write_alarm(struct spool_db *db, const struct spool_alarm *a)
{
        sqlite3_stmt *st = db->stmt[STMT_PUT_ALARM];
        const int64_t numbers[] = {a->active,      a->unacked,  a->latched,          a->visibility,
                                   a->activations, a->since_us, a->shelved_until_us, a->severity};

        put_text(st, 1, a->source);
        put_text(st, 2, a->tag);
        put_text(st, 3, a->rule);
        put_text(st, 4, a->limit_kind);
        put_text(st, 5, a->state);
        for (int i = 0; i < 8; i++)
                sqlite3_bind_int64(st, 6 + i, numbers[i]);
        put_text(st, 14, a->event_id);
        run(db, st);
}

static void write_note(struct spool_db *db, const struct spool_alarm_note *n)
{
        sqlite3_stmt *st = db->stmt[STMT_PUT_ALARM_NOTE];

        sqlite3_bind_int64(st, 1, n->at_us);
        put_text(st, 2, n->source);
        put_text(st, 3, n->tag);
        put_text(st, 4, n->rule);
        put_text(st, 5, n->limit_kind);
        put_text(st, 6, n->event_id);
        put_text(st, 7, n->change);
        put_number(st, 8, n->value);
        put_number(st, 9, n->limit);
        sqlite3_bind_int64(st, 10, n->severity);
        put_text(st, 11, n->by);
        put_text(st, 12, n->comment);
        run(db, st);
}

void spool_db_put_alarms(struct spool_db *db, struct spool_batch *b)
{
        spool_batch_compact_alarms(b);
        for (size_t i = 0; i < b->n_alarms && db->rc == SQLITE_OK; i++)
                write_alarm(db, &b->alarms[i].alarm);
        for (size_t i = 0; i < b->n_notes && db->rc == SQLITE_OK; i++)
                write_note(db, &b->notes[i]);
        if (b->notified && db->rc == SQLITE_OK)
                run(db, db->stmt[STMT_NOTES_NOTIFIED]);
        if (!b->n_notes || db->rc != SQLITE_OK)
                return;
        sqlite3_bind_int64(db->stmt[STMT_TRIM_ALARM_NOTES], 1, (int64_t)spool_alarm_lines(&db->plan));
        run(db, db->stmt[STMT_TRIM_ALARM_NOTES]);
}

/* ---- reading ---- */

static const char *text_of(sqlite3_stmt *st, int column)
{
        const char *s = (const char *)sqlite3_column_text(st, column);

        return s ? s : "";
}

void spool_read_alarm(sqlite3_stmt *st, struct spool_alarm *a)
{
        size_t n = strnlen(text_of(st, 13), sizeof(a->event_id) - 1);

        *a = (struct spool_alarm){.source = text_of(st, 0),
                                  .tag = text_of(st, 1),
                                  .rule = text_of(st, 2),
                                  .limit_kind = text_of(st, 3),
                                  .state = text_of(st, 4),
                                  .active = sqlite3_column_int(st, 5) != 0,
                                  .unacked = sqlite3_column_int(st, 6) != 0,
                                  .latched = sqlite3_column_int(st, 7) != 0,
                                  .visibility = sqlite3_column_int(st, 8),
                                  .activations = (uint32_t)sqlite3_column_int64(st, 9),
                                  .since_us = spool_read_time(st, 10),
                                  .shelved_until_us = spool_read_time(st, 11),
                                  .severity = sqlite3_column_int(st, 12)};
        memcpy(a->event_id, text_of(st, 13), n);
}
