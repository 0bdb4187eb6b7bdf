/*
 * schema: the tables, one step per user_version; a new file takes all of them,
 * an old one those it lacks.
 *
 * All of a file's steps are one transaction, with the version in it.  How it
 * fails: with a sentence, and the file as it was.
 */
#include <stdio.h>

#include "store/writer/db.h"

#define READINGS_VIEW                                                                                                  \
        "CREATE VIEW readings AS SELECT r.seq,"                                                                        \
        "  strftime('%Y-%m-%dT%H:%M:%S', r.ts_us / 1000000, 'unixepoch') || printf('.%06dZ', r.ts_us % 1000000) AS "   \
        "time,"                                                                                                        \
        "  t.source, t.name AS tag, r.value, t.unit,"                                                                  \
        "  CASE r.quality WHEN 0 THEN 'good' WHEN 1 THEN 'uncertain' WHEN 2 THEN 'bad' WHEN 3 THEN 'bad comm_failure'" \
        "    WHEN 4 THEN 'bad not_connected' WHEN 5 THEN 'bad stale' WHEN 6 THEN 'bad out_of_range'"                   \
        "    WHEN 7 THEN 'bad config' WHEN 8 THEN 'bad sensor' ELSE r.quality END AS quality,"                         \
        "  strftime('%Y-%m-%dT%H:%M:%S', (r.ts_us + r.delay_us) / 1000000, 'unixepoch') || 'Z' AS arrived,"            \
        "  r.seq <= (SELECT acked_seq FROM cursor WHERE lane = 'samples') OR EXISTS (SELECT 1 FROM ahead a WHERE "     \
        "r.seq"                                                                                                        \
        "    BETWEEN a.first_seq AND a.last_seq) AS delivered"                                                         \
        "  FROM reading r LEFT JOIN tag t ON t.id = r.tag;"

/* Rows of `sample` (sample.c) under the names of `reading`. */
#define AS_READINGS                                                                                                    \
        "SELECT seq, t_us + (SELECT base_us FROM span WHERE first_seq <= sample.seq ORDER BY first_seq DESC LIMIT 1)"  \
        "  AS ts_us, bits >> 2 & 1048575 AS tag, bits >> 23 & 15 AS quality,"                                          \
        "  (bits >> 43) | ((bits >> 22 & 1) << 14) AS flags,"                                                          \
        "  CASE bits & 3 WHEN 0 THEN value WHEN 1 THEN value / 10.0 WHEN 2 THEN value / 100.0 ELSE value / 1000.0 END" \
        "  AS value, delay_us, bits >> 27 & 65535 AS mid FROM sample"

/*
 * Alarms were kept by source and name; since format 9 a tag's labels stand
 * behind its name, in order (tags_ident.c).  What was one row for several tags is one for
 * each of them: as it was shelved or acknowledged it stays, and whether it is
 * active each tag's next reading says.  With a tag of the name that has no
 * labels nothing says whose the row is: it stays that one's.
 */
#define KNOWN "id NOT IN (SELECT tag FROM forgotten)"
#define IDENTS                                                                                                        \
        "(SELECT DISTINCT source AS s, name AS n, name || '{' || (SELECT group_concat(key || '=' || value, ',') FROM" \
        " (SELECT key, value FROM json_each('{' || labels || '}') ORDER BY key)) || '}' AS ident FROM tag g"          \
        " WHERE labels <> '' AND json_valid('{' || labels || '}') AND " KNOWN                                         \
        " AND NOT EXISTS (SELECT 1 FROM tag WHERE source = g.source AND name = g.name AND labels = '' AND " KNOWN "))"
#define WITH_LABELS(table, columns, values)                                                           \
        "INSERT OR IGNORE INTO " table " (" columns ") SELECT " values " FROM " table " JOIN " IDENTS \
        " ON source = s AND tag = n WHERE length(ident) <= 256;"                                      \
        "DELETE FROM " table " WHERE EXISTS (SELECT 1 FROM " IDENTS " WHERE source = s AND tag = n);"
#define ALARM_REST                                                                                                \
        "rule, limit_kind, state, active, unacked, latched, visibility, activations, since_us, shelved_until_us," \
        " severity, event_id"
#define LEARNED_REST "at_us, rule, limit_kind, form, memory"

const char spool_label_alarms[] = WITH_LABELS("alarm", "source, tag, " ALARM_REST, "source, ident, " ALARM_REST)
        WITH_LABELS("learned", "source, tag, " LEARNED_REST, "source, ident, " LEARNED_REST);

/*
 * reading.tag is a tag.id without a foreign key: the check would cost a third
 * of an insert, and the writer puts the tag first.  Zero and NULL take no bytes
 * in a row, so the common reading (good, live, float) has zeros in what it
 * doesn't use.
 */
static const char *const steps[] = {
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        "CREATE TABLE tag (id INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL,"
        "  labels TEXT NOT NULL, driver TEXT NOT NULL, last_ts_us INTEGER NOT NULL DEFAULT 0);"
        "CREATE TABLE reading (seq INTEGER PRIMARY KEY, ts_us INTEGER, tag INTEGER, quality INTEGER, flags INTEGER,"
        "  value, delay_us INTEGER, mid INTEGER);"
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, ts_us INTEGER, kind TEXT, severity INTEGER,"
        "  tag INTEGER REFERENCES tag(id), body TEXT);"
        "CREATE TABLE cursor (lane TEXT PRIMARY KEY, acked_seq INTEGER NOT NULL) WITHOUT ROWID;"
        "INSERT INTO cursor VALUES ('events', 0), ('samples', 0);"
        "CREATE TABLE dropped (lane TEXT, first_seq INTEGER, last_seq INTEGER, n INTEGER, reason TEXT, at_us INTEGER,"
        "  PRIMARY KEY (lane, first_seq)) WITHOUT ROWID;"
        "CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, lane TEXT, seq INTEGER, ts_us INTEGER, tag INTEGER,"
        "  quality INTEGER, flags INTEGER, value, delay_us INTEGER, mid INTEGER, reason TEXT, at_us INTEGER);"
        "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, at_us INTEGER, driver TEXT, origin TEXT, reason TEXT,"
        "  payload BLOB);" READINGS_VIEW,
        "CREATE TABLE rescue (id INTEGER PRIMARY KEY, at_us INTEGER, aside TEXT, epoch INTEGER, readings INTEGER,"
        "  events INTEGER, lost_n INTEGER, lost TEXT, stopped TEXT);",
        "CREATE TABLE alarm (source TEXT, tag TEXT, rule TEXT, limit_kind TEXT, state TEXT, active INTEGER,"
        "  unacked INTEGER, latched INTEGER, visibility INTEGER, activations INTEGER, since_us INTEGER,"
        "  shelved_until_us INTEGER, severity INTEGER, event_id TEXT, PRIMARY KEY (source, tag, rule, limit_kind))"
        "  WITHOUT ROWID;"
        "CREATE TABLE alarm_log (id INTEGER PRIMARY KEY, at_us INTEGER, source TEXT, tag TEXT, rule TEXT,"
        "  limit_kind TEXT, event_id TEXT, change TEXT, value REAL, limit_value REAL, severity INTEGER, operator TEXT,"
        "  comment TEXT);",
        "CREATE TABLE learned (id INTEGER PRIMARY KEY, at_us INTEGER, source TEXT, tag TEXT, rule TEXT,"
        "  limit_kind TEXT, form INTEGER, memory BLOB, UNIQUE (source, tag, rule, limit_kind));"
        "INSERT INTO meta SELECT 'alarm_told', coalesce(max(id), 0) FROM alarm_log;",
        "DROP VIEW readings;"
        "ALTER TABLE reading RENAME TO reading_old;"
        "CREATE TABLE sample (seq INTEGER PRIMARY KEY, t_us INTEGER, bits INTEGER, delay_us INTEGER, value);"
        "CREATE TABLE span (first_seq INTEGER PRIMARY KEY, base_us INTEGER);"
        "CREATE TABLE span_copy (first_seq INTEGER PRIMARY KEY, base_us INTEGER);"
        "CREATE VIEW reading AS " AS_READINGS " UNION ALL SELECT * FROM reading_old;" READINGS_VIEW,
        "CREATE TABLE aggregate (seq INTEGER PRIMARY KEY, n INTEGER, min REAL, max REAL);",
        "DROP VIEW readings;"
        "CREATE TABLE ahead (first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL) WITHOUT ROWID;" READINGS_VIEW,
        "ALTER TABLE tag ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;"
        "CREATE TABLE forgotten (tag INTEGER PRIMARY KEY, seq INTEGER NOT NULL, event_seq INTEGER NOT NULL);",
        spool_label_alarms,
        spool_names_today,
};
static const char forget_old[] = "DROP VIEW readings; DROP VIEW reading; DROP TABLE reading_old;"
                                 "CREATE VIEW reading AS " AS_READINGS ";" READINGS_VIEW;
_Static_assert(sizeof(steps) / sizeof(*steps) == FILE_VERSION, "one step per version");

int spool_db_migrate(struct spool_db *db, int64_t from, struct err *e)
{
        char sql[128];

        if (spool_names_functions(db->conn) != SQLITE_OK)
                return spool_db_fail(db, "cannot make its tables", e);
        for (int64_t v = from; v < FILE_VERSION; v++)
                if (sqlite3_exec(db->conn, steps[v], NULL, NULL, NULL) != SQLITE_OK)
                        return spool_db_fail(db, "cannot make its tables", e);
        snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; PRAGMA application_id=%d", FILE_VERSION, FILE_ID);
        if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) != SQLITE_OK)
                return spool_db_fail(db, "cannot make its tables", e);
        return 0;
}

/*
 * The old table is empty: it goes, and the views are what they are in a new
 * file.
 */
int spool_db_forget_old(struct spool_db *db, struct err *e)
{
        bool outer = !sqlite3_get_autocommit(db->conn);

        if ((outer || sqlite3_exec(db->conn, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) &&
            sqlite3_exec(db->conn, forget_old, NULL, NULL, NULL) == SQLITE_OK &&
            (outer || sqlite3_exec(db->conn, "COMMIT", NULL, NULL, NULL) == SQLITE_OK))
                return 0;
        spool_db_fail(db, "cannot make its tables", e);
        if (!outer)
                sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
        return -1;
}
