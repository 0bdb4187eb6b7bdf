/*
 * salvage_alarm: what a rescue carries over beside readings and events: the
 * alarms' states and journal, as far as they can be read, and what thinned
 * readings stand for.
 *
 * An alarm that was shelved or acknowledged stays so, and the journal still
 * says by whom and why.  A page may be there in several versions: of an alarm
 * the one of its latest change counts, of an aggregate the one of most
 * readings, of the journal any, as its lines never change.  Hooks are not told
 * again what they were told: how far that was is carried too. Aggregates wait
 * under their old seq, negative, until their reading comes and has its new one.
 * How it fails: a row that is not plausible is left out; s->rc says when the
 * fresh file can't be written.
 */
#include "store/rescue/salvage.h"

#include <stdio.h>

enum { ALARM_COLUMNS = 14, NOTE_COLUMNS = 13, AGGREGATE_COLUMNS = 4 };

static bool is_name(const struct pages_value *v)
{
        return v->type == PAGES_TEXT && text_is_utf8(v->p, v->len);
}

static bool is_number_or_null(const struct pages_value *v)
{
        return v->type == PAGES_NULL || v->type == PAGES_INT || v->type == PAGES_REAL;
}

static bool is_text_or_null(const struct pages_value *v)
{
        return v->type == PAGES_NULL || is_name(v);
}

static void put_row(struct salvage *s, sqlite3_stmt *st, const struct pages_row *row, int n)
{
        int rc;

        for (int i = 0; i < n; i++)
                salvage_bind(st, i + 1, &row->v[i]);
        rc = sqlite3_step(st);
        sqlite3_reset(st);
        s->in_transaction++;
        if (rc != SQLITE_DONE && s->rc == SQLITE_OK)
                s->rc = rc;
}

/*
 * source, tag, rule, limit_kind, state, six numbers, until when, severity,
 * event id
 */
static bool on_alarm(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        for (int i = 0; i < 5; i++)
                if (!is_name(&v[i]))
                        return true;
        for (int i = 5; i < 13; i++)
                if (v[i].type != PAGES_INT)
                        return true;
        if (is_text_or_null(&v[13]))
                put_row(s, s->put_small, row, ALARM_COLUMNS);
        return s->rc == SQLITE_OK;
}

/*
 * id, time, source, tag, rule, limit_kind, event id, change, value, limit,
 * severity, operator, comment
 */
static bool on_note(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        struct pages_row mine = *row;
        const struct pages_value *v = mine.v;

        if (row->rowid < 1 || v[0].type != PAGES_NULL || v[1].type != PAGES_INT || !is_name(&v[2]) || !is_name(&v[4]) ||
            !is_name(&v[7]) || v[10].type != PAGES_INT)
                return true;
        if (!is_text_or_null(&v[3]) || !is_text_or_null(&v[5]) || !is_text_or_null(&v[6]) ||
            !is_number_or_null(&v[8]) || !is_number_or_null(&v[9]) || !is_text_or_null(&v[11]) ||
            !is_text_or_null(&v[12]))
                return true;
        mine.v[0] = (struct pages_value){.type = PAGES_INT, .i = row->rowid};
        put_row(s, s->put_small, &mine, NOTE_COLUMNS);
        return s->rc == SQLITE_OK;
}

/* seq, count, minimum, maximum */
static bool on_aggregate(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        struct pages_row mine = *row;
        const struct pages_value *v = mine.v;

        if (row->rowid < 1 || v[0].type != PAGES_NULL || v[1].type != PAGES_INT || v[1].i < 2 ||
            !is_number_or_null(&v[2]) || !is_number_or_null(&v[3]))
                return true;
        mine.v[0] = (struct pages_value){.type = PAGES_INT, .i = -row->rowid};
        put_row(s, s->put_small, &mine, AGGREGATE_COLUMNS);
        return s->rc == SQLITE_OK;
}

static void carry(struct salvage *s, const char *sql, enum pages_kind kind, int n_columns,
                  bool (*each)(void *ctx, const struct pages_row *row))
{
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_prepare_v2(s->db->conn, sql, -1, &s->put_small, NULL);
        if (s->rc == SQLITE_OK)
                pages_each(s->pages, kind, n_columns, each, s);
        sqlite3_finalize(s->put_small);
        s->put_small = NULL;
}

void salvage_small(struct salvage *s)
{
        char told[160];

        carry(s,
              "INSERT INTO alarm (" SPOOL_ALARM_COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)"
              " ON CONFLICT DO UPDATE SET state = excluded.state, active = excluded.active, unacked = excluded.unacked,"
              " latched = excluded.latched, visibility = excluded.visibility, activations = excluded.activations,"
              " since_us = excluded.since_us, shelved_until_us = excluded.shelved_until_us,"
              " severity = excluded.severity, event_id = excluded.event_id WHERE excluded.since_us > since_us",
              PAGES_INDEX, ALARM_COLUMNS, on_alarm);
        carry(s, "INSERT OR IGNORE INTO alarm_log VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)", PAGES_TABLE,
              NOTE_COLUMNS, on_note);
        carry(s,
              "INSERT INTO aggregate VALUES (?1,?2,?3,?4) ON CONFLICT DO UPDATE SET n = excluded.n, min = excluded.min,"
              " max = excluded.max WHERE excluded.n > n",
              PAGES_TABLE, AGGREGATE_COLUMNS, on_aggregate);
        snprintf(told, sizeof(told),
                 "UPDATE meta SET value = (SELECT min(%lld, coalesce(max(id), 0)) FROM alarm_log) WHERE key = "
                 "'alarm_told'",
                 s->has_notified ? (long long)s->notified_alarms : INT64_MAX);
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_exec(s->db->conn, told, NULL, NULL, NULL);
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_exec(s->db->conn, spool_label_alarms, NULL, NULL, NULL);
        if (s->rc == SQLITE_OK)
                s->rc = spool_names_functions(s->db->conn);
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_exec(s->db->conn, spool_names_today, NULL, NULL, NULL);
}

void salvage_move_aggregate(struct salvage *s, uint64_t from, uint64_t to)
{
        int rc = SQLITE_OK;

        if (!s->move_aggregate)
                rc = sqlite3_prepare_v2(s->db->conn, "UPDATE aggregate SET seq = ?2 WHERE seq = -?1", -1,
                                        &s->move_aggregate, NULL);
        if (rc == SQLITE_OK) {
                sqlite3_bind_int64(s->move_aggregate, 1, (int64_t)from);
                sqlite3_bind_int64(s->move_aggregate, 2, (int64_t)to);
                rc = sqlite3_step(s->move_aggregate);
                sqlite3_reset(s->move_aggregate);
        }
        if (rc != SQLITE_DONE && s->rc == SQLITE_OK)
                s->rc = rc;
}

/* Those whose reading was not found, or not held any more. */
void salvage_end_aggregates(struct salvage *s)
{
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_exec(s->db->conn, "DELETE FROM aggregate WHERE seq < 0", NULL, NULL, NULL);
}
