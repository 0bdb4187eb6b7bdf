/*
 * names: those of a file of before format 10 become what they are today
 * (text_name_old.c), wherever they stand: tags with their labels, alarms with
 * what operators did to them, their journal, what was learned.  What is in the
 * text of an event or in the quarantine stays as it was written.
 *
 * Two names may be one today, an é that came typed in both ways: their rows
 * are one tag then, and of two states of an alarm the more pressing stays.
 *
 * In SQL with functions of ours, so that only rows that change are written.
 * Again is fine: a name of today stays.  How it fails: as SQLite says.
 */
#include <string.h>

#include "agent/base/tags.h"
#include "agent/base/text.h"
#include "store/writer/db.h"

enum { LABELS_MAX = 32768 };

#define ALARM_REST                                                                                           \
        " limit_kind, state, active, unacked, latched, visibility, activations, since_us, shelved_until_us," \
        " severity, event_id"
#define LEARNED_REST " at_us, limit_kind, form, memory"
#define TODAY        "name_today(source), ident_today(tag), name_today(rule),"
#define OF_BEFORE    " WHERE name_today(source) <> source OR ident_today(tag) <> tag OR name_today(rule) <> rule"

const char spool_names_today[] =
        "UPDATE tag SET source = name_today(source), name = name_today(name), labels = labels_today(labels),"
        " driver = name_today(driver) WHERE name_today(source) <> source OR name_today(name) <> name"
        " OR labels_today(labels) <> labels OR name_today(driver) <> driver;"
        "INSERT OR IGNORE INTO alarm (source, tag, rule," ALARM_REST ") SELECT " TODAY ALARM_REST
        " FROM alarm" OF_BEFORE " ORDER BY active DESC, unacked DESC;"
        "DELETE FROM alarm" OF_BEFORE ";"
        "INSERT OR IGNORE INTO learned (source, tag, rule," LEARNED_REST ") SELECT " TODAY LEARNED_REST
        " FROM learned" OF_BEFORE ";"
        "DELETE FROM learned" OF_BEFORE ";"
        "UPDATE alarm_log SET source = name_today(source), tag = ident_today(tag), rule = name_today(rule)" OF_BEFORE
        ";";

static bool put_name(char *out, const char *s)
{
        if (*s)
                text_name_today(out, s);
        return *s;
}

static bool put_ident(char *out, const char *s)
{
        return *s && tags_ident_today(out, s);
}

static bool put_labels(char *out, const char *s)
{
        return *s && tags_labels_today(out, LABELS_MAX, s);
}

/* A text becomes what `put` makes of it; what is none, or it can't, stays. */
static void on_function(sqlite3_context *c, int n, sqlite3_value **v)
{
        bool (*const *put)(char *, const char *) = sqlite3_user_data(c);
        const char *s = sqlite3_value_type(*v) == SQLITE_TEXT ? (const char *)sqlite3_value_text(*v) : NULL;
        char out[LABELS_MAX];

        if (s && strlen(s) == (size_t)sqlite3_value_bytes(*v) && (*put)(out, s))
                sqlite3_result_text(c, out, -1, SQLITE_TRANSIENT);
        else
                sqlite3_result_value(c, *v);
}

int spool_names_functions(sqlite3 *conn)
{
        static bool (*const name)(char *, const char *) = put_name;
        static bool (*const ident)(char *, const char *) = put_ident;
        static bool (*const labels)(char *, const char *) = put_labels;
        static const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
        int rc = sqlite3_create_function(conn, "name_today", 1, flags, (void *)&name, on_function, NULL, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_create_function(conn, "ident_today", 1, flags, (void *)&ident, on_function, NULL, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_create_function(conn, "labels_today", 1, flags, (void *)&labels, on_function, NULL, NULL);
        return rc;
}
