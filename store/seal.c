/*
 * seal: two things that the heartbeat needs of the spool: a few bytes of the
 * uplink that are on disk with exactly the acks they belong to, and the newest
 * lines of the ledger.
 *
 * The bytes (uplink/seal.h says what is in them) lie in the table `cursor`
 * beside the watermarks: each commit writes that page anyway, so they cost the
 * flash nothing.  A file that a rescue made has none.  Of the ledger the newest
 * lines are kept in a ring, as the file has them at the start and as commits
 * add to them; each has a number, greater when it is new or has grown.
 *
 * How it fails: what can't be read at the start is not there, and whoever asks
 * begins anew and says so.
 */
#include <stdio.h>
#include <string.h>

#include "store/impl.h"

void spool_put_seal(struct spool *s, const void *bytes, size_t n)
{
        BUG_ON(n > sizeof(s->seal.bytes));
        memcpy(s->seal.bytes, bytes, n);
        s->seal.n = n;
}

const void *spool_get_seal(const struct spool *s, size_t *n)
{
        *n = s->seal.n;
        return s->seal.bytes;
}

static void add_line(struct spool_ledger *l, enum spool_lane lane, uint64_t first, uint64_t last, const char *reason)
{
        struct spool_ledger_line *line = &l->line[l->next];

        *line = (struct spool_ledger_line){.no = ++l->no, .lane = lane, .first = first, .last = last};
        snprintf(line->reason, sizeof(line->reason), "%s", reason);
        l->next = (l->next + 1) % SPOOL_LEDGER_LINES;
        if (l->n < SPOOL_LEDGER_LINES)
                l->n++;
}

void spool_ledger_note(struct spool *s, const struct spool_drop *d)
{
        struct spool_ledger *l = &s->ledger;

        for (size_t i = 0; i < l->n; i++) {
                struct spool_ledger_line *line = &l->line[i];

                if (line->lane != d->lane || line->last + 1 != d->first || strcmp(line->reason, d->reason) != 0)
                        continue;
                line->last = d->last;
                line->no = ++l->no;
                return;
        }
        add_line(l, d->lane, d->first, d->last, d->reason);
}

const struct spool_ledger *spool_ledger(const struct spool *s)
{
        return &s->ledger;
}

static void load_bytes(struct spool *s)
{
        static const char sql[] =
                "SELECT acked_seq FROM cursor WHERE lane = '" SPOOL_SEAL_ROW "' AND typeof(acked_seq) = 'blob'";
        sqlite3_stmt *st;

        if (sqlite3_prepare_v2(s->reader, sql, -1, &st, NULL) != SQLITE_OK)
                return;
        if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) <= SPOOL_SEAL_MAX)
                spool_put_seal(s, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        sqlite3_finalize(st);
}

/* Lines that were joined have holes that nobody can name any more. */
static void load_lines(struct spool *s)
{
        static const char sql[] =
                "SELECT * FROM (SELECT lane, first_seq, last_seq, reason, at_us FROM dropped"
                " WHERE n = last_seq - first_seq + 1 ORDER BY at_us DESC LIMIT ?1) ORDER BY at_us, first_seq";
        sqlite3_stmt *st;

        if (sqlite3_prepare_v2(s->reader, sql, -1, &st, NULL) != SQLITE_OK)
                return;
        sqlite3_bind_int64(st, 1, SPOOL_LEDGER_LINES);
        while (sqlite3_step(st) == SQLITE_ROW) {
                const char *lane = (const char *)sqlite3_column_text(st, 0);
                const char *reason = (const char *)sqlite3_column_text(st, 3);

                add_line(&s->ledger,
                         lane && !strcmp(lane, spool_lane_names[SPOOL_EVENTS]) ? SPOOL_EVENTS : SPOOL_SAMPLES,
                         (uint64_t)sqlite3_column_int64(st, 1), (uint64_t)sqlite3_column_int64(st, 2),
                         reason ? reason : "");
        }
        sqlite3_finalize(st);
}

void spool_seal_load(struct spool *s)
{
        pthread_mutex_lock(&s->reader_lock);
        load_bytes(s);
        load_lines(s);
        pthread_mutex_unlock(&s->reader_lock);
}
