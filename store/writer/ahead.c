/*
 * ahead: readings that go to Kafka ahead of older ones that are still pending.
 *
 * The uplink may have two readers: fresh rows go out while a backlog below them
 * drains.  What Kafka has above the watermark is a short list of ranges
 * (store/lane.h), kept in the table `ahead` in the same transaction as the
 * watermark.  They are neither sent again after a restart nor dropped; when
 * room is needed their rows go first, like all that is delivered. Whoever does
 * not know the table sends them twice, with the same ids, and loses nothing.
 *
 * The pin covers both readers, so it forbids to touch the backlog between them;
 * the gap says which rows below the pin are not on their way.  Each of the
 * three numbers is right by itself, whichever the commit sees first. After a
 * crash nobody knows what Kafka has of what was on its way: the first rows
 * behind the watermark and behind each range, as many as a window takes, are
 * left alone too until it has acked them, so none is named lost that it has.
 * Hence a range stays in the list, though empty, when rows may have been sent
 * from there.
 */
#include "store/writer/stmt.h"

/* ---- in a commit ---- */

void spool_db_put_ahead(struct spool_db *db, const struct spool_batch *b)
{
        if (b->ahead.no == db->v.ahead_no)
                return;
        stmt_bind(db, STMT_TRIM_AHEAD, 1, b->acked[SPOOL_SAMPLES]);
        stmt_run(db, STMT_TRIM_AHEAD);
        for (uint32_t i = 0; i < b->ahead.n; i++) {
                stmt_bind(db, STMT_PUT_AHEAD, 1, b->ahead.v[i].first);
                stmt_bind(db, STMT_PUT_AHEAD, 2, b->ahead.v[i].last);
                stmt_run(db, STMT_PUT_AHEAD);
        }
        db->v.ahead_no = b->ahead.no;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

/* What may have been on its way when the last run ended is none of it. */
static void pass_over_sent(const struct spool_db *db, uint64_t *after, uint64_t *upto)
{
        for (uint32_t i = 0; i < db->n_sent && *after < *upto; i++) {
                const struct lane_range *r = &db->sent[i];

                if (r->last <= *after || r->first > *upto)
                        continue;
                if (r->first <= *after + 1)
                        *after = r->last;
                else
                        *upto = r->first - 1;
        }
}

bool spool_db_next_pending(struct spool_db *db, const struct spool_batch *b, uint64_t *after, uint64_t *upto)
{
        uint64_t pin = spool_db_pinned(db, b, SPOOL_SAMPLES), below = atomic_load(&db->gap_below);
        uint64_t from = max_u64(atomic_load(&db->gap_after), b->acked[SPOOL_SAMPLES]), at;

        if (*after == UINT64_MAX)
                return false;
        at = lane_pending(&b->ahead, max_u64(*after, from), upto);
        *upto = min_u64(*upto, below ? below - 1 : 0);
        if (at >= *upto)
                at = lane_pending(&b->ahead, max_u64(*after, pin), upto);
        pass_over_sent(db, &at, upto);
        *after = at;
        return true;
}

bool spool_db_trim_ahead(struct spool_db *db, const struct spool_batch *b, uint64_t most)
{
        for (uint32_t i = 0; i < b->ahead.n && stmt_fine(db); i++) {
                uint64_t first = b->ahead.v[i].first, last = min_u64(b->ahead.v[i].last, db->v.ts_saved_seq);

                first = first > db->v.ahead_gone ? first : db->v.ahead_gone + 1;
                if (first > last)
                        continue;
                last = min_u64(last, first + most - 1);
                stmt_bind(db, STMT_TRIM_READING, 1, first);
                stmt_bind(db, STMT_TRIM_READING, 2, last);
                stmt_run(db, STMT_TRIM_READING);
                spool_db_trim_aggregates(db, first, last);
                db->v.ahead_gone = last;
                return true;
        }
        return false;
}

uint64_t spool_db_pinned(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane)
{
        uint64_t pin;

        atomic_store(&db->trimming[lane], true);
        pin = atomic_load(&db->pin[lane]);
        return pin > b->acked[lane] ? pin : b->acked[lane];
}
