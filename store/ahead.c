/*
 * ahead: the loop's side of readings that go ahead of older ones; what it means
 * stands in writer/ahead.c.  Cannot fail.
 */
#include "store/impl.h"

void spool_ack_ahead(struct spool *s, uint64_t first, uint64_t last)
{
        if (!lane_ack_ahead(&s->lanes[SPOOL_SAMPLES], first, last))
                return;
        spool_arm(s);
        spool_want_room(s, s->conf.commit_interval_us);
}

bool spool_may_go_ahead(const struct spool *s)
{
        return lane_may_go_ahead(&s->lanes[SPOOL_SAMPLES]);
}

/*
 * A commit takes the list of ranges along as it is when it starts (commit.c),
 * so the first row that no commit under way has is on disk with it.
 */
uint64_t spool_go_ahead(struct spool *s)
{
        struct lane_account *l = &s->lanes[SPOOL_SAMPLES];
        uint64_t first = 1 + (s->state == COMMIT_IDLE ? l->last : s->committing->last[SPOOL_SAMPLES]);

        lane_begin_ahead(l, first);
        return first;
}

uint64_t spool_goes_ahead_from(const struct spool *s)
{
        const struct lane_ahead *a = &s->lanes[SPOOL_SAMPLES].ahead;

        return a->n ? a->v[a->n - 1].first : 0;
}

uint64_t spool_pending(const struct spool *s, enum spool_lane lane, uint64_t after, uint64_t *upto)
{
        const struct lane_account *l = &s->lanes[lane];

        return lane_pending(&l->ahead, after > l->acked ? after : l->acked, upto);
}

uint64_t spool_durable(const struct spool *s, enum spool_lane lane, uint64_t first)
{
        return lane_durable(&s->lanes[lane], first);
}

uint64_t spool_held_below(const struct spool *s, uint64_t seq)
{
        return lane_held_below(&s->lanes[SPOOL_SAMPLES], seq);
}

/*
 * The n-th row of the lane in (after, upto], or the last there is; what can't
 * be read is taken for many.
 */
static uint64_t nth_row(struct spool *s, enum spool_lane lane, uint64_t after, uint64_t upto, uint64_t n)
{
        static const char *const sql[SPOOL_LANES] = {
                "SELECT coalesce(max(seq), ?1) FROM (SELECT seq FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq"
                " LIMIT ?3)",
                "SELECT coalesce(max(seq), ?1) FROM (SELECT seq FROM sample WHERE seq > ?1 AND seq <= ?2 ORDER BY seq"
                " LIMIT ?3)"};
        sqlite3_stmt *st = NULL;
        uint64_t seq = upto;

        if (sqlite3_prepare_v2(s->reader, sql[lane], -1, &st, NULL) != SQLITE_OK)
                return seq;
        sqlite3_bind_int64(st, 1, (int64_t)after);
        sqlite3_bind_int64(st, 2, (int64_t)upto);
        sqlite3_bind_int64(st, 3, (int64_t)n);
        if (sqlite3_step(st) == SQLITE_ROW)
                seq = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return seq;
}

void spool_pin_sent(struct spool *s, enum spool_lane lane, uint64_t n)
{
        const struct lane_account *l = &s->lanes[lane];
        uint64_t after = l->acked, upto;

        pthread_mutex_lock(&s->reader_lock);
        if (lane == SPOOL_EVENTS)
                spool_pin(s, lane, nth_row(s, lane, after, l->last, n));
        s->db.n_sent = 0;
        for (; lane == SPOOL_SAMPLES && after < l->last; after = upto) {
                struct lane_range *r = &s->db.sent[s->db.n_sent++];

                after = lane_pending(&l->ahead, after, &upto);
                upto = min_u64(upto, l->last);
                *r = (struct lane_range){after + 1, nth_row(s, lane, after, upto, n)};
        }
        pthread_mutex_unlock(&s->reader_lock);
}

void spool_pin_gap(struct spool *s, uint64_t after, uint64_t below)
{
        atomic_store(&s->db.gap_after, after);
        atomic_store(&s->db.gap_below, below);
}
