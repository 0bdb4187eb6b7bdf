/*
 * verify: see verify.h.
 *
 * Each rule is one SELECT that finds what breaks it, so that the rules can be
 * read as a list.  Those about readings are asked slice by slice; a slice sees
 * one state of the file, with the watermark and ledger of that moment, so a
 * daemon that delivers and trims meanwhile looks like no fault.  How it fails:
 * a statement SQLite can't run on the file is a fault too.
 */
#include "store/inspect/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "store/rescue/pages.h"
#include "store/writer/db.h"

enum { SLICE = 20000, PER_RULE_MAX = 5 };

struct rule {
        const char *what; /* %s: the first column of what was found */
        const char *sql;
};

/*
 * Names that may be others than they were before format 10; two of them may
 * have become one (store/writer/names.c).
 */
#define CONVERTED(names) "(" names " GLOB '*[^ -~]*' OR instr(" names ", '._') > 0)"

#define ACKED(lane) "(SELECT acked_seq FROM cursor WHERE lane='" lane "')"

static const struct rule file_rules[] = {
        {"the table %s is missing",
         "SELECT column1 FROM (VALUES ('meta'), ('tag'), ('reading'), ('event'), ('cursor'), ('dropped'), "
         "('dead_letter'),"
         " ('quarantine')) WHERE column1 NOT IN (SELECT name FROM sqlite_master WHERE type='table' OR name='reading')"},
        {"the view %s is missing",
         "SELECT 'readings' WHERE NOT EXISTS (SELECT 1 FROM sqlite_master WHERE type='view' AND name='readings')"},

        {"meta has no %s", "SELECT column1 FROM (VALUES ('gateway'), ('epoch'), ('ts_saved_seq')) WHERE column1 NOT IN"
                           " (SELECT key FROM meta)"},
        {"the epoch is %s", "SELECT value FROM meta WHERE key='epoch' AND (typeof(value) <> 'integer' OR value < 1)"},
        {"the gateway's name is no name: %s", "SELECT value FROM meta WHERE key='gateway' AND (typeof(value) <> 'text' "
                                              "OR length(value) NOT BETWEEN 1 AND 64)"},
        {"ts_saved_seq is %s, beyond the last reading",
         "SELECT value FROM meta WHERE key='ts_saved_seq' AND value > max((SELECT seq FROM tail),"
         " (SELECT coalesce(max(last_seq), 0) FROM dropped WHERE lane='samples'))"},
        {"there is no watermark of the lane %s",
         "SELECT column1 FROM (VALUES ('events'), ('samples')) WHERE column1 NOT IN (SELECT lane FROM cursor)"},
        {"an unknown lane has a watermark: %s",
         "SELECT lane FROM cursor WHERE lane NOT IN ('events', 'samples', '" SPOOL_SEAL_ROW "')"},
        {"the watermark of %s is no seq", "SELECT lane FROM cursor WHERE lane <> '" SPOOL_SEAL_ROW
                                          "' AND (typeof(acked_seq) <> 'integer' OR acked_seq < 0)"},
        {"the watermark of the readings, %s, is beyond the last of them",
         "SELECT acked_seq FROM cursor WHERE lane='samples' AND EXISTS (SELECT 1 FROM reading) AND acked_seq >"
         " max((SELECT max(seq) FROM reading), (SELECT coalesce(max(last_seq), 0) FROM dropped WHERE lane='samples'))"},
        {"the watermark of the events, %s, is beyond the last of them",
         "SELECT acked_seq FROM cursor WHERE lane='events' AND EXISTS (SELECT 1 FROM event) AND acked_seq >"
         " max((SELECT max(seq) FROM event), (SELECT coalesce(max(last_seq), 0) FROM dropped WHERE lane='events'))"},
        {"reading %s has a number that none can have",
         "SELECT seq FROM reading WHERE seq < 1 UNION ALL SELECT seq FROM reading WHERE seq > 1 << 53"},
        {"tag %s: ids are not 0, 1, 2, …",
         "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM tag)"
         " WHERE id <> n"},
        {"tag %s has the name of another",
         "SELECT b.id FROM tag a JOIN tag b ON a.source = b.source AND a.name = b.name AND a.labels = b.labels AND"
         " a.unit = b.unit AND a.id < b.id AND NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.tag IN (a.id, b.id))"
         " AND NOT " CONVERTED("a.source || a.name || a.labels")},
        {"tag %s is forgotten, and not there", "SELECT tag FROM forgotten WHERE tag NOT IN (SELECT id FROM tag)"},
        {"tag %s has a name that is not valid",
         "SELECT id FROM tag WHERE length(source) NOT BETWEEN 1 AND 64 OR length(name) NOT BETWEEN 1 AND 64 OR NOT"
         " is_utf8(source) OR NOT is_utf8(name) OR NOT is_utf8(unit) OR NOT is_utf8(labels)"},
        {"the ledger's line of %s is not a range",
         "SELECT first_seq FROM dropped WHERE first_seq < 1 OR last_seq < first_seq"},
        {"the ledger's line of %s counts wrongly",
         "SELECT first_seq FROM dropped WHERE n < 1 OR n > last_seq - first_seq + 1 OR (reason <> 'several' AND n <>"
         " last_seq - first_seq + 1)"},
        {"the ledger's line of %s has no reason", "SELECT first_seq FROM dropped WHERE coalesce(reason, '') = ''"},
        {"the ledger has an unknown lane: %s", "SELECT lane FROM dropped WHERE lane NOT IN ('events', 'samples')"},
        {"the ledger's line of %s overlaps the one before", "SELECT first_seq FROM (SELECT first_seq, lag(last_seq) "
                                                            "OVER (PARTITION BY lane ORDER BY first_seq) AS before FROM"
                                                            " dropped) WHERE first_seq <= before"},
        {"dead letter %s is not in the ledger", "SELECT l.seq FROM dead_letter l WHERE NOT EXISTS (SELECT 1 FROM "
                                                "dropped d WHERE d.lane = l.lane AND l.seq BETWEEN"
                                                " d.first_seq AND d.last_seq)"},
        {"event %s has a tag that is not there",
         "SELECT seq FROM event WHERE tag IS NOT NULL AND tag NOT IN (SELECT id FROM tag)"},
        {"event %s has no kind, time or text",
         "SELECT seq FROM event WHERE coalesce(kind, '') = '' OR typeof(ts_us) <> 'integer'"
         " OR typeof(body) <> 'text'"},
        {"event %s is not valid UTF-8", "SELECT seq FROM event WHERE NOT is_utf8(body) OR NOT is_utf8(kind)"},
        {"event %s is also in the ledger as dropped", "SELECT e.seq FROM dropped d JOIN event e ON e.seq BETWEEN "
                                                      "d.first_seq AND d.last_seq WHERE d.lane = 'events' AND"
                                                      " d.reason <> 'several'"},
        {"events are missing before %s: neither held nor dropped",
         "SELECT seq FROM (SELECT seq, lag(seq, 1, " ACKED("events") ") OVER (ORDER BY seq) AS before FROM event WHERE "
                                                                     "seq > " ACKED(
                                                                             "events") ") g WHERE seq - before - 1 > "
                                                                                       "(SELECT "
                                                                                       "coalesce(sum(min(last_seq, "
                                                                                       "g.seq - 1) - max(first_seq,"
                                                                                       " g.before + 1) + 1), 0) FROM "
                                                                                       "dropped WHERE lane='events' "
                                                                                       "AND last_seq > g.before AND "
                                                                                       "first_seq < g.seq)"},
};

/* Of files with times in spans (store/writer/sample.c). */
static const struct rule span_rules[] = {
        {"the table %s is missing",
         "SELECT column1 FROM (VALUES ('sample'), ('span'), ('span_copy')) WHERE column1 NOT IN"
         " (SELECT name FROM sqlite_master WHERE type='table')"},
        {"the span of %s and its copy differ",
         "SELECT first_seq FROM (SELECT * FROM span EXCEPT SELECT * FROM span_copy) UNION ALL"
         " SELECT first_seq FROM (SELECT * FROM span_copy EXCEPT SELECT * FROM span)"},
};

/*
 * Of files with readings that went ahead (store/writer/ahead.c), and of all
 * others.
 */
static const struct rule ahead_rules[] = {
        {"the stretch of %s that went ahead is not a range",
         "SELECT first_seq FROM ahead WHERE first_seq < 1 OR last_seq < first_seq - 1"},
        {"the stretch of %s that went ahead overlaps the one before",
         "SELECT first_seq FROM (SELECT first_seq, lag(last_seq) OVER (ORDER BY first_seq) AS before FROM ahead) WHERE"
         " first_seq <= before"},
        {"the stretch of %s that went ahead is not above the watermark",
         "SELECT first_seq FROM ahead WHERE first_seq <= " ACKED("samples")},
};

/*
 * About the readings above ?1 up to ?2.  At or below the watermark some may be
 * missing anywhere: they went ahead, and their room was needed.
 */
static const struct rule slice_rules[] = {
        {"reading %s has a tag that is not there",
         "SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2 AND (tag IS NULL OR tag NOT IN (SELECT id FROM tag))"},
        {"reading %s has no time",
         "SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2 AND (typeof(ts_us) <> 'integer' OR"
         " typeof(delay_us) <> 'integer')"},
        {"reading %s has an unknown quality", "SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2 AND "
                                              "(typeof(quality) <> 'integer' OR quality NOT BETWEEN 0"
                                              " AND 8)"},
        {"reading %s has flags nobody sets",
         "SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2 AND (typeof(flags) <> 'integer' OR flags & ~0x43ff)"},
        {"reading %s is a boolean with another value", "SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2 AND flags "
                                                       "& 0x4000 AND (typeof(value) <> 'integer' OR value"
                                                       " NOT IN (0, 1))"},
        {"reading %s holds text that is not valid UTF-8",
         "SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2 AND typeof(value) = 'text' AND NOT is_utf8(value)"},
        {"reading %s is also in the ledger as dropped",
         "SELECT r.seq FROM dropped d JOIN reading r ON r.seq BETWEEN d.first_seq AND d.last_seq WHERE d.lane = "
         "'samples' AND"
         " d.reason <> 'several' AND d.last_seq > ?1 AND d.first_seq <= ?2 AND r.seq > ?1 AND r.seq <= ?2"},
        {"readings are missing before %s: neither held, delivered nor dropped",
         "SELECT seq FROM (SELECT seq, max(lag(seq, 1, ?1) OVER (ORDER BY seq), " ACKED(
                 "samples") ") AS before FROM reading WHERE seq > ?1 AND seq <= ?2) g WHERE seq - before > 1 AND"
                            " seq - before - 1 > (SELECT coalesce(sum(min(last_seq, g.seq - 1) - max(first_seq,"
                            " g.before + 1) + 1), 0) FROM gone WHERE last_seq > g.before AND first_seq < g.seq)"},
};

/* The same, of files that may have been thinned (store/writer/thin.c). */
static const struct rule thin_rules[] = {
        {"aggregate %s has no reading", "SELECT seq FROM aggregate WHERE seq > ?1 AND seq <= ?2 AND seq NOT IN"
                                        " (SELECT seq FROM reading WHERE seq > ?1 AND seq <= ?2)"},
        {"aggregate %s does not hold its reading's value",
         "SELECT a.seq FROM aggregate a JOIN reading r ON r.seq = a.seq WHERE a.seq > ?1 AND a.seq <= ?2 AND (a.n < 2 "
         "OR"
         " NOT r.flags & 64 OR (a.min IS NULL) <> (a.max IS NULL) OR r.value < a.min OR r.value > a.max)"},
};

static void fault(struct spool_verify *v, const char *what)
{
        v->n_faults++;
        v->on_fault(v->ctx, what);
}

static void is_utf8(sqlite3_context *ctx, int n, sqlite3_value **arg)
{
        const char *s = sqlite3_value_blob(arg[0]);
        size_t len = (size_t)sqlite3_value_bytes(arg[0]);

        sqlite3_result_int(ctx, !len || text_is_utf8(s, len));
}

static void break_rule(struct spool_verify *v, const struct rule *r, const char *found)
{
        char what[400], shown[80];
        const char *mark = strstr(r->what, "%s");
        size_t n = 0;

        for (; found[n] && n < sizeof(shown) - 1; n++)
                shown[n] = (unsigned char)found[n] < 32 || (unsigned char)found[n] > 126 ? '?' : found[n];
        shown[n] = '\0';
        snprintf(what, sizeof(what), "%.*s%s%s", (int)(mark - r->what), r->what, shown, mark + 2);
        fault(v, what);
}

static void cannot(struct spool_verify *v, sqlite3 *c)
{
        char what[400];

        snprintf(what, sizeof(what), "cannot be read: %s", sqlite3_errmsg(c));
        fault(v, what);
}

static void ask_rule(struct spool_verify *v, sqlite3 *c, const struct rule *r, uint64_t after, uint64_t upto)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(c, r->sql, -1, &st, NULL);

        if (rc != SQLITE_OK) {
                cannot(v, c);
                return;
        }
        if (sqlite3_bind_parameter_count(st) == 2) {
                sqlite3_bind_int64(st, 1, (int64_t)after);
                sqlite3_bind_int64(st, 2, (int64_t)upto);
        }
        for (int i = 0; (rc = sqlite3_step(st)) == SQLITE_ROW && i < PER_RULE_MAX; i++) {
                const char *found = (const char *)sqlite3_column_text(st, 0);

                break_rule(v, r, found ? found : "(none)");
        }
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                cannot(v, c);
        sqlite3_finalize(st);
}

/* 0: none is above `after`. */
static uint64_t ask(sqlite3 *c, const char *sql, uint64_t after)
{
        sqlite3_stmt *st = NULL;
        int64_t n = 0;

        if (sqlite3_prepare_v2(c, sql, -1, &st, NULL) == SQLITE_OK &&
            (!sqlite3_bind_parameter_count(st) || sqlite3_bind_int64(st, 1, (int64_t)after) == SQLITE_OK) &&
            sqlite3_step(st) == SQLITE_ROW)
                n = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return n > 0 ? (uint64_t)n : 0;
}

static void check_pages(struct spool_verify *v, sqlite3 *c)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(c, "PRAGMA integrity_check(20)", -1, &st, NULL);

        while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
                const char *said = (const char *)sqlite3_column_text(st, 0);

                if (said && strcmp(said, "ok") != 0)
                        fault(v, said);
                rc = SQLITE_OK;
        }
        if (rc != SQLITE_DONE)
                cannot(v, c);
        sqlite3_finalize(st);
}

static void check_rows(struct spool_verify *v, sqlite3 *c, uint64_t version)
{
        static const char next[] = "SELECT seq FROM reading WHERE seq > ?1 ORDER BY seq LIMIT 1";
        uint64_t first = ask(c, next, 0), last = ask(c, "SELECT max(seq) FROM reading", 0);
        uint64_t after = first ? first - 1 : 0, upto, faults = v->n_faults, row;

        /* With PER_RULE_MAX faults a slice, a thoroughly broken file would never end. */
        for (; after < last && v->n_faults < faults + 100; after = upto) {
                row = ask(c, next, after);
                upto = last - after <= SLICE ? last : row > after + SLICE ? row : after + SLICE;
                for (size_t i = 0; i < sizeof(slice_rules) / sizeof(*slice_rules); i++)
                        ask_rule(v, c, &slice_rules[i], after, upto);
                for (size_t i = 0; i < sizeof(thin_rules) / sizeof(*thin_rules) && version >= 6; i++)
                        ask_rule(v, c, &thin_rules[i], after, upto);
                if (v->on_progress)
                        v->on_progress(v->ctx, (double)(after - first + 1) / (double)(last - first + 1));
        }
}

static const struct rule tail_rule = {"seqs up to %s were given, and the last rows are neither held nor dropped",
                                      "SELECT max(last_seq) FROM dropped WHERE lane='samples' GROUP BY lane HAVING "
                                      "max(last_seq) > (SELECT seq FROM tail)"
                                      " AND max(last_seq) - (SELECT seq FROM tail) > (SELECT sum(last_seq - "
                                      "max(first_seq, 1 + (SELECT seq FROM tail)) +"
                                      " 1) FROM dropped WHERE lane='samples' AND last_seq > (SELECT seq FROM tail))"};

/*
 * What the rules ask, in files of all formats: `ahead`, which ranges need not
 * be in the file (`gone`), up to where readings are known without the ledger
 * (`tail`), and rows of tags whose name is free (`forgotten`).
 */
static void make_views(sqlite3 *c, uint64_t version)
{
        if (version < 7)
                sqlite3_exec(c, "CREATE TEMP TABLE ahead (first_seq, last_seq)", NULL, NULL, NULL);
        if (version < 8)
                sqlite3_exec(c, "CREATE TEMP TABLE forgotten (tag)", NULL, NULL, NULL);
        sqlite3_exec(c,
                     "CREATE TEMP VIEW gone AS SELECT first_seq, last_seq FROM ahead UNION ALL"
                     " SELECT first_seq, last_seq FROM dropped d WHERE lane='samples' AND NOT EXISTS"
                     " (SELECT 1 FROM ahead a WHERE d.first_seq BETWEEN a.first_seq AND a.last_seq);"
                     "CREATE TEMP VIEW tail AS SELECT max((SELECT coalesce(max(seq), 0) FROM reading), " ACKED(
                             "samples") ", (SELECT coalesce(max(last_seq), 0) FROM ahead WHERE last_seq >= first_seq)) "
                                        "AS seq",
                     NULL, NULL, NULL);
}

static void check_all(struct spool_verify *v, sqlite3 *c)
{
        uint64_t version = ask(c, "PRAGMA user_version", 0);

        if (version < 1 || version > FILE_VERSION)
                fault(v, "the version of its format is unknown");
        make_views(c, version);
        if (v->pages)
                check_pages(v, c);
        for (size_t i = 0; i < sizeof(file_rules) / sizeof(*file_rules); i++)
                ask_rule(v, c, &file_rules[i], 0, 0);
        for (size_t i = 0; i < sizeof(span_rules) / sizeof(*span_rules) && version >= 5; i++)
                ask_rule(v, c, &span_rules[i], 0, 0);
        for (size_t i = 0; i < sizeof(ahead_rules) / sizeof(*ahead_rules); i++)
                ask_rule(v, c, &ahead_rules[i], 0, 0);
        ask_rule(v, c, &tail_rule, 0, 0);
        check_rows(v, c, version);
        v->n_readings = ask(c, "SELECT count(*) FROM reading", 0);
        v->n_events = ask(c, "SELECT count(*) FROM event", 0);
}

/* ---- a file SQLite gives up on ---- */

static bool on_row(void *ctx, const struct pages_row *row)
{
        struct spool_verify *v = ctx;

        v->n_readings += row->rowid > 0 && row->v[0].type == PAGES_NULL && row->v[1].type == PAGES_INT &&
                         row->v[2].type == PAGES_INT;
        return true;
}

static int count_by_pages(struct spool_verify *v, struct err *e)
{
        struct pages *p;

        if (pages_open(&p, v->path, e) < 0)
                return -1;
        pages_each(p, PAGES_TABLE, SAMPLE_COLUMNS, on_row, v);
        pages_each(p, PAGES_TABLE, 8, on_row, v);
        pages_close(p);
        return 0;
}

int spool_verify(struct spool_verify *v, struct err *e)
{
        sqlite3 *c = NULL;
        uint64_t id;
        int rc;

        if (access(v->path, R_OK) != 0)
                return err_errno(e, "spool %s", v->path);
        rc = sqlite3_open_v2(v->path, &c, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(c, "PRAGMA busy_timeout=2000; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
        v->readable = rc == SQLITE_OK;
        id = v->readable ? ask(c, "PRAGMA application_id", 0) : 0;
        if (v->readable && id != FILE_ID) {
                sqlite3_close(c);
                return err_set(e, "%s: an SQLite file, but not a spool", v->path);
        }
        if (v->readable) {
                sqlite3_create_function(c, "is_utf8", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, is_utf8, NULL, NULL);
                check_all(v, c);
        } else {
                cannot(v, c);
        }
        sqlite3_close(c);
        return v->readable ? 0 : count_by_pages(v, e);
}
