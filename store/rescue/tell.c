/*
 * tell: what a rescue found, and what it did not, written into the fresh file.
 *
 * A row of `rescue`, a line of the ledger for what is lost, and the events that
 * tell of it: in the file before the rescue is over, so that no cut in between
 * makes it silent.  What is lost has seqs in the new epoch too, behind what was
 * carried over: so accepted = delivered + held + dropped tells of it.  A file
 * that was not there any more is told the same way, from the mark beside it.
 *
 * How it fails: with SQLite's code; the rescue is begun anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "store/writer/db.h"

/* More than a spool can have held is a number out of a damaged page. */
enum { LOST_MAX = 1 << 30 };

static int run(sqlite3_stmt *st, int rc)
{
        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        sqlite3_finalize(st);
        return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int put_row(const struct spool_rescue *r, sqlite3 *conn)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(conn, "INSERT INTO rescue VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", -1, &st,
                                    NULL);

        sqlite3_bind_int64(st, 1, r->at_us);
        sqlite3_bind_text(st, 2, r->aside, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, (int64_t)r->old_epoch);
        sqlite3_bind_int64(st, 4, (int64_t)r->n_readings);
        sqlite3_bind_int64(st, 5, (int64_t)r->n_events);
        sqlite3_bind_int64(st, 6, (int64_t)r->n_lost);
        sqlite3_bind_text(st, 7, r->lost, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 8, r->stopped ? r->stopped : "", -1, SQLITE_STATIC);
        return run(st, rc);
}

static bool in_ledger(uint64_t n)
{
        return n && n <= LOST_MAX;
}

static int put_lost(const struct spool_rescue *r, sqlite3 *conn, enum spool_lane lane, uint64_t after, uint64_t n)
{
        sqlite3_stmt *st = NULL;
        int rc;

        if (!in_ledger(n))
                return SQLITE_OK;
        rc = sqlite3_prepare_v2(conn, "INSERT INTO dropped VALUES (?1, ?2, ?3, ?4, 'lost', ?5)", -1, &st, NULL);
        sqlite3_bind_text(st, 1, spool_lane_names[lane], -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, (int64_t)(after + 1));
        sqlite3_bind_int64(st, 3, (int64_t)(after + n));
        sqlite3_bind_int64(st, 4, (int64_t)n);
        sqlite3_bind_int64(st, 5, r->at_us);
        return run(st, rc);
}

static int put_event(const struct spool_rescue *r, sqlite3 *conn, uint64_t seq, const char *kind, int severity,
                     const char *body)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(conn, "INSERT INTO event VALUES (?1, ?2, ?3, ?4, NULL, ?5)", -1, &st, NULL);

        sqlite3_bind_int64(st, 1, (int64_t)seq);
        sqlite3_bind_int64(st, 2, r->at_us);
        sqlite3_bind_text(st, 3, kind, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 4, severity);
        sqlite3_bind_text(st, 5, body, -1, SQLITE_STATIC);
        return run(st, rc);
}

/*
 * Where the rescued file lies, without its directory; and the line of the
 * ledger, as the agent tells any other.
 */
static int put_events(const struct spool_rescue *r, sqlite3 *conn, uint64_t after)
{
        const char *slash = strrchr(r->aside, '/'), *name = slash ? slash + 1 : r->aside;
        char file[1024], body[2600];
        int rc;

        file[text_put_json(file, name, strnlen(name, sizeof(file) / 6 - 1))] = '\0';
        snprintf(body, sizeof(body),
                 "\"kind\":\"spool_rescue\",\"severity\":900,\"file\":\"%s\",\"old_epoch\":%" PRIu64
                 ",\"readings\":%" PRIu64 ",\"events\":%" PRIu64 ",\"lost\":%" PRIu64
                 ",\"lost_seq\":\"%s\",\"lost_events\":%" PRIu64 ",\"stopped\":\"%s\"",
                 file, r->old_epoch, r->n_readings, r->n_events, r->n_lost, r->lost, r->n_lost_events,
                 r->stopped ? r->stopped : "");
        rc = put_event(r, conn, after + 1, "spool_rescue", 900, body);
        if (rc != SQLITE_OK || !in_ledger(r->n_lost))
                return rc;
        snprintf(body, sizeof(body),
                 "\"kind\":\"dropped\",\"severity\":800,\"reason\":\"lost\",\"n\":%" PRIu64 ",\"first_seq\":%" PRIu64
                 ",\"last_seq\":%" PRIu64,
                 r->n_lost, r->n_readings + 1, r->n_readings + r->n_lost);
        return put_event(r, conn, after + 2, "dropped", 800, body);
}

int spool_rescue_tell(const struct spool_rescue *r, sqlite3 *conn)
{
        uint64_t n_events = r->n_events + (in_ledger(r->n_lost_events) ? r->n_lost_events : 0);
        int rc = put_row(r, conn);

        if (rc == SQLITE_OK)
                rc = put_lost(r, conn, SPOOL_SAMPLES, r->n_readings, r->n_lost);
        if (rc == SQLITE_OK)
                rc = put_lost(r, conn, SPOOL_EVENTS, r->n_events, r->n_lost_events);
        return rc == SQLITE_OK ? put_events(r, conn, n_events) : rc;
}

void spool_rescue_note_lost(struct spool_rescue *r, uint64_t first, uint64_t last)
{
        size_t n = strlen(r->lost);

        if (first > last)
                return;
        r->n_lost += last - first + 1;
        if (n + 48 < sizeof(r->lost))
                snprintf(r->lost + n, sizeof(r->lost) - n, "%s%" PRIu64 "-%" PRIu64, n ? "," : "", first, last);
        else if (!strchr(r->lost, '+'))
                strcat(r->lost, "+");
}

int spool_rescue_tell_gone(const struct spool_mark *m, bool known, int64_t wall_us, const char *path, sqlite3 *conn)
{
        struct spool_rescue r = {.at_us = wall_us, .old_epoch = m->epoch, .stopped = "the file was not there any more"};

        if (!known) {
                r.stopped = "the file was not there any more, and nothing beside it says how far it was";
                log_error("spool", "%s of epoch %" PRIu64 " is gone, and nothing beside it says how far it was", path,
                          m->epoch);
                return spool_rescue_tell(&r, conn);
        }

        spool_rescue_note_lost(&r, m->acked[SPOOL_SAMPLES] + 1, m->last[SPOOL_SAMPLES]);
        if (m->last[SPOOL_EVENTS] > m->acked[SPOOL_EVENTS])
                r.n_lost_events = m->last[SPOOL_EVENTS] - m->acked[SPOOL_EVENTS];
        if (!r.n_lost && !r.n_lost_events)
                return SQLITE_OK;
        log_error("spool",
                  "%s of epoch %" PRIu64 " is gone, with %" PRIu64 " readings (%s) and %" PRIu64
                  " events that Kafka did not have",
                  path, m->epoch, r.n_lost, r.lost, r.n_lost_events);
        return spool_rescue_tell(&r, conn);
}
