/*
 * spool: the loop side, see spool.h.
 *
 * Two batches: one gathers what is appended, one is being written on the work
 * queue; a commit swaps them.  The commit states are idle, running and backoff
 * (a failed commit waits to be tried again with the same batch).  A commit
 * starts at once when somebody waits (spool_sync, a full batch), else
 * commit_interval after the first append or ack.
 *
 * A batch that is tried again takes the watermark of then: with when_full block
 * that is what makes room for it.  The dead letters gathered meanwhile go with
 * it, for no watermark may be on disk that passes a dead letter which is not.
 *
 * Counters and watermarks people see are those of the last commit (struct
 * lane); what is appended or acked since is the batch's.  Upcalls come from the
 * end of a commit or from a timer, never from within a call of the user.
 *
 * How it fails: while commits fail the gathering batch fills up, then appends
 * get SPOOL_E_BUSY; the reason is in spool_counts().fault, told once by
 * on_fault.
 */
#include "agent/base/log.h"
#include "store/impl.h"

enum { TIE_US = 1000 }; /* no clock of a sensor is better */

static int refuse(struct spool *s, int rc)
{
        s->wants_room = true;
        if (rc == SPOOL_E_FULL && !s->full) {
                s->full = true;
                spool_note_full(s);
                rt_timer_set(s->rt, &s->kick, 0); /* the pressure is told, should it not be yet */
        }
        spool_want_commit(s);
        return rc;
}

bool spool_has_room(struct spool *s, size_t n, size_t text_bytes)
{
        int rc = spool_room_for(s, n, text_bytes);

        if (!rc || (rc == SPOOL_E_BUSY && spool_batch_empty(s->gather)))
                return true;
        refuse(s, rc);
        return false;
}

/* ---- gathering ---- */

/*
 * The clock went back, so that of the units the tag had this one is the last by
 * time as well: that is how the next start tells.
 */
static void lower_other_units(struct spool *s, uint32_t first, int64_t ts_us)
{
        for (uint32_t row = first; (row = tags_get(s->tags, row)->next_unit) != 0;) {
                struct tag *other = tags_get(s->tags, row);

                if (other->last_ts_us >= ts_us)
                        other->last_ts_us = ts_us - 1;
        }
}

/*
 * A tag's times grow while its clock runs forward: what has the time of the
 * reading before it comes a microsecond later.  What lies further back was said
 * by a clock that was set back, or came late; it keeps its time and a mark.  A
 * reading that the source itself calls historical is out of this.
 */
static void order_time(struct spool *s, struct reading *r)
{
        struct tag *tag = tags_get(s->tags, r->tag);
        int64_t behind_us = (int64_t)((uint64_t)tag->last_ts_us - (uint64_t)r->ts_us); /* a file may say anything */

        if (r->flags & READING_HISTORICAL)
                return;
        if (behind_us < 0) {
                tag->tied_us = 0;
        } else if (behind_us <= tag->tied_us || behind_us <= TIE_US) {
                tag->tied_us = (uint32_t)behind_us + 1;
                r->ts_us += tag->tied_us;
                if (tag->tied_us > TIE_US)
                        r->flags |= READING_TIME_MOVED;
        } else {
                tag->tied_us = 0;
                r->flags |= READING_TIME_BACK;
                lower_other_units(s, r->tag, r->ts_us);
        }
        tag->last_ts_us = r->ts_us;
}

/* It lies under the row of its tag's unit. */
static void take_row(struct spool *s, struct reading *r)
{
        const struct tag *tag;

        r->tag = spool_note_tag(s, r->tag, s->lanes[SPOOL_SAMPLES].appended + 1);
        tag = tags_get(s->tags, r->tag);
        BUG_ON(tag->first != r->tag);
        order_time(s, r);
        r->tag = tag->current;
        tags_get(s->tags, r->tag)->last_ts_us = tag->last_ts_us;
}

int spool_append(struct spool *s, const struct reading *r)
{
        size_t len = r->type == READING_TEXT || r->type == READING_RAW ? r->len : 0;
        struct reading mine = *r;
        int rc = spool_room_for(s, 1, len);

        if (rc)
                return refuse(s, rc);
        take_row(s, &mine);
        spool_batch_put(s->gather, ++s->lanes[SPOOL_SAMPLES].appended, &mine, len);
        if (s->gather->n_rows == s->plan.batch_rows)
                spool_want_commit(s);
        else
                spool_arm(s);
        return 0;
}

uint64_t spool_appended_seq(const struct spool *s, enum spool_lane lane)
{
        return s->lanes[lane].appended;
}

void spool_refuse(struct spool *s, uint64_t n, const char *reason)
{
        struct lane_account *l = &s->lanes[SPOOL_SAMPLES];

        if (!n)
                return;
        spool_drops_add(&s->gather->refused, SPOOL_SAMPLES, l->appended + 1, l->appended + n, reason);
        l->appended += n;
        spool_arm(s);
}

void spool_append_event(struct spool *s, int64_t ts_us, const char *kind, int severity, uint32_t tag_or_none,
                        const char *body, size_t len)
{
        uint64_t seq = ++s->lanes[SPOOL_EVENTS].appended;

        spool_note_event_tag(s, tag_or_none);
        if (len > EVENT_BODY_MAX)
                spool_drops_add(&s->gather->refused, SPOOL_EVENTS, seq, seq, "too_large");
        else if (!spool_batch_put_event(s->gather, &s->plan, seq, ts_us, kind, severity, tag_or_none, body, len))
                spool_drops_add(&s->gather->refused, SPOOL_EVENTS, seq, seq, "memory_full");
        spool_arm(s);
}

void spool_quarantine(struct spool *s, const char *driver, const char *origin, const char *reason, const void *payload,
                      size_t len)
{
        struct rt_time now;

        rt_now(s->rt, &now);
        s->quarantined++;
        if (spool_batch_put_quarantine(s->gather, &s->plan, now.wall_us, driver, origin, reason, payload, len))
                spool_arm(s);
}

void spool_tags_moved(struct spool *s)
{
        s->gather->tags_moved = true;
        spool_arm(s);
}

/* ---- syncs ---- */

void spool_sync(struct spool *s, struct spool_sync *q)
{
        list_remove(&q->node);
        list_append(&s->syncs, &q->node);
        if (spool_is_dirty(s)) {
                q->batch = s->gather->no;
                spool_want_commit(s);
                spool_want_room(s, 0);
        } else if (s->state != COMMIT_IDLE) {
                q->batch = s->committing->no;
        } else {
                q->batch = s->gather->no - 1;
                rt_timer_set(s->rt, &s->kick, 0);
        }
}

void spool_sync_cancel(struct spool_sync *q)
{
        list_remove(&q->node);
}

void spool_set_commit_interval(struct spool *s, int64_t us)
{
        s->conf.commit_interval_us = us;
}

/*
 * A failing commit (full, and max_size is larger now) is tried again at once.
 */
void spool_reconfigure(struct spool *s, const struct spool_conf *conf)
{
        const char *path = s->conf.path;

        s->conf = *conf;
        s->conf.path = path;
        s->conf_moved = true;
        spool_reconfigure_idle(s);
        spool_want_commit(s);
        if (s->state == COMMIT_BACKOFF)
                rt_timer_set(s->rt, &s->retry, 0);
}

/* ---- time ---- */

bool spool_repair_applies(const struct spool_repair *r, uint64_t seq, const struct reading *reading)
{
        int64_t from_old = reading->arrival_us - (r->now_us - r->step_us), from_new = reading->arrival_us - r->now_us;

        return (reading->flags & READING_CLOCK_UNSYNCED) &&
               (seq <= r->sure || (from_old < 0 ? -from_old : from_old) < (from_new < 0 ? -from_new : from_new));
}

/*
 * Nothing with a time of the old clock has gone out: the tags' times need not
 * stay ahead of it.
 */
static void lower_tag_times(struct spool *s, const struct spool_repair *r)
{
        for (uint32_t i = 0; i < tags_count(s->tags); i++) {
                struct tag *tag = tags_get(s->tags, i);

                if (tag->last_ts_us > r->now_us)
                        tag->last_ts_us += r->step_us;
        }
}

/*
 * Rows in memory are moved here, those in the file by the commit that writes
 * these.
 */
void spool_repair_time(struct spool *s, int64_t step_us, uint64_t since_seq, uint64_t sure_seq)
{
        struct spool_batch *b = s->gather;
        struct spool_repair r = {.step_us = step_us, .after = since_seq, .sure = sure_seq};
        struct rt_time now;

        rt_now(s->rt, &now);
        r.now_us = now.wall_us;
        r.upto = b->n_rows ? b->rows[0].seq - 1 : s->lanes[SPOOL_SAMPLES].appended;
        for (size_t i = 0; i < b->n_rows; i++) {
                struct reading *m = &b->rows[i].r;

                if (b->rows[i].seq <= since_seq || !spool_repair_applies(&r, b->rows[i].seq, m))
                        continue;
                m->ts_us += m->flags & READING_SOURCE_TIME ? 0 : step_us;
                m->arrival_us += step_us;
                m->flags |= READING_TIME_REPAIRED;
        }
        if (step_us < 0 && atomic_load(&s->db.pin[SPOOL_SAMPLES]) <= since_seq)
                lower_tag_times(s, &r);
        if (b->n_repairs == REPAIRS_MAX) {
                log_warn("spool", "the clock steps too often: readings on disk are not moved by this step");
                return;
        }
        b->repairs[b->n_repairs++] = r;
        spool_arm(s);
}

/* ---- acks ---- */

void spool_ack(struct spool *s, enum spool_lane lane, uint64_t seq)
{
        if (!lane_ack(&s->lanes[lane], seq))
                return;
        spool_arm(s);
        spool_want_room(s, s->conf.commit_interval_us);
}

void spool_pin(struct spool *s, enum spool_lane lane, uint64_t seq)
{
        atomic_store(&s->db.pin[lane], seq);
}

void spool_dead_letter(struct spool *s, enum spool_lane lane, uint64_t seq, const char *reason)
{
        struct lane_account *l = &s->lanes[lane];

        if (seq <= l->acked || seq > l->appended || lane_is_dropped(l, seq))
                return;
        spool_batch_put_dead(s->gather, lane, seq, reason);
        s->dead_lettered++;
        spool_arm(s);
}
