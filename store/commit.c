/*
 * commit: from a batch that is due to what its end on disk means; on the loop,
 * the writing itself on the work queue.
 *
 * The states are idle, running and backoff.  The end of a commit moves counters
 * and watermarks first, then tells; the next one starts when all have been
 * told.  Tag times are saved from time to time only: see load_times.
 *
 * How it fails: the batch stays and is tried again with growing pauses; a file
 * that answers wrongly time and again ends the program, and the next start
 * rescues it.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "store/impl.h"

enum {
        SAVE_EVERY_US = 600000000,
        MORE_PAUSE_US = 20000, /* between commits that only trim */
        RETRY_FIRST_US = 100000,
        RETRY_MAX_US = 30000000,
        LOW_SPACE_ROWS = 2000, /* tag times are saved, so that rows up to there may go */
};

/* ---- when ---- */

void spool_arm(struct spool *s)
{
        if (!rt_timer_armed(&s->interval) && s->state != COMMIT_BACKOFF)
                rt_timer_set(s->rt, &s->interval, s->conf.commit_interval_us);
}

void spool_hurry(struct spool *s, int64_t within_us)
{
        if (s->state == COMMIT_BACKOFF ||
            (rt_timer_armed(&s->interval) && s->interval.due_us <= rt_mono_us(s->rt) + within_us))
                return;
        rt_timer_set(s->rt, &s->interval, within_us);
}

/* ---- a commit ---- */

static void snapshot_tags(struct spool *s, struct spool_batch *b)
{
        size_t n = tags_count(s->tags);

        b->first_new_tag = (uint32_t)s->n_tags_sent;
        b->n_new_tags = n - s->n_tags_sent;
        if (b->n_new_tags > b->cap_new_tags) {
                b->cap_new_tags = b->n_new_tags;
                b->new_tags = mem_grow(b->new_tags, b->cap_new_tags, sizeof(*b->new_tags));
        }
        for (size_t i = 0; i < b->n_new_tags; i++)
                b->new_tags[i] = *tags_get(s->tags, (uint32_t)(s->n_tags_sent + i));
        if (n > s->cap_saved_ts) {
                s->cap_saved_ts = n > 2 * s->cap_saved_ts ? n : 2 * s->cap_saved_ts;
                s->saved_ts = mem_grow(s->saved_ts, s->cap_saved_ts, sizeof(*s->saved_ts));
        }
        for (size_t i = s->n_tags_sent; i < n; i++)
                s->saved_ts[i] = 0;
        s->n_tags_sent = n;
        spool_snapshot_moves(s, b);
}

static void save_times(struct spool *s, struct spool_batch *b)
{
        size_t n = tags_count(s->tags);

        if (n > b->cap_saves) {
                b->cap_saves = n;
                b->saves = mem_grow(b->saves, n, sizeof(*b->saves));
        }
        for (size_t i = 0; i < n; i++) {
                int64_t last_ts_us = tags_get(s->tags, (uint32_t)i)->last_ts_us;

                if (last_ts_us == s->saved_ts[i])
                        continue;
                s->saved_ts[i] = last_ts_us;
                b->saves[b->n_saves++] = (struct spool_tag_save){(uint32_t)i, last_ts_us};
        }
        b->save = true;
        s->rows_since_save = s->bytes_since_save = 0;
        s->save_due_us = rt_mono_us(s->rt) + SAVE_EVERY_US;
}

static void snapshot(struct spool *s, struct spool_batch *b, bool save)
{
        snapshot_tags(s, b);
        s->rows_since_save += b->n_rows;
        s->bytes_since_save += b->cost_bytes;
        for (int i = 0; i < SPOOL_LANES; i++)
                b->last[i] = s->lanes[i].appended;
        save = save || (s->low_space && s->rows_since_save >= LOW_SPACE_ROWS) ||
               s->rows_since_save >= spool_plan_save_rows(&s->plan, s->n_tags_sent) ||
               s->bytes_since_save >= s->plan.save_bytes;
        if (save || (s->rows_since_save && rt_mono_us(s->rt) >= s->save_due_us))
                save_times(s, b);
}

static void take_acks(struct spool *s, struct spool_batch *b)
{
        struct rt_time now;

        rt_now(s->rt, &now);
        b->wall_us = now.wall_us;
        for (size_t i = 0; i < s->gather->n_dead; i++)
                spool_batch_put_dead(b, s->gather->dead[i].lane, s->gather->dead[i].seq, s->gather->dead[i].reason);
        s->gather->n_dead = 0;
        for (int i = 0; i < SPOOL_LANES; i++)
                b->acked[i] = s->lanes[i].acked;
        b->ahead = s->lanes[SPOOL_SAMPLES].ahead;
        b->seal.n = s->seal.n;
        memcpy(b->seal.bytes, s->seal.bytes, s->seal.n);
        spool_batch_take_wishes(b, s->gather);
        if (!b->save && (b->purge_upto || (s->low_space && s->rows_since_save >= LOW_SPACE_ROWS)))
                save_times(s, b);
}

static void run_commit(struct rt_work *w)
{
        struct spool *s = list_entry(w, struct spool, work);

        pthread_mutex_lock(&s->db_lock);
        if (s->run_pending) {
                spool_db_commit(&s->db, s->committing, &s->result);
                s->run_pending = false;
                s->run_done = true;
        }
        pthread_mutex_unlock(&s->db_lock);
}

/*
 * A batch with something in it keeps its memory, and takes at most what there
 * is room for; the next one is as planned.
 */
void spool_reconfigure_idle(struct spool *s)
{
        struct spool_batch *b = s->gather;

        spool_plan(&s->plan, &s->conf, s->plan.page_bytes);
        if (spool_batch_empty(b))
                spool_batch_fit(b, &s->plan);
        if (s->plan.batch_rows > b->cap_rows || s->plan.batch_rows < b->n_rows)
                s->plan.batch_rows = s->plan.batch_rows < b->n_rows ? b->n_rows : b->cap_rows;
        if (s->plan.batch_text > b->cap_text || s->plan.batch_text < b->text_used)
                s->plan.batch_text = s->plan.batch_text < b->text_used ? b->text_used : b->cap_text;
}

static void swap(struct spool *s, bool save)
{
        struct spool_batch *b = s->gather;

        s->gather = s->committing;
        s->committing = b;
        s->n_fresh = 0;
        s->gather->no = b->no + 1;
        spool_reconfigure_idle(s);
        snapshot(s, b, save);
        s->urgent = false;
        rt_timer_cancel(s->rt, &s->interval);
}

static void launch(struct spool *s)
{
        BUG_ON(s->state == COMMIT_RUNNING || s->run_pending);
        take_acks(s, s->committing);
        if (s->conf_moved)
                spool_db_reconfigure(&s->db, &s->conf);
        s->conf_moved = false;
        s->state = COMMIT_RUNNING;
        s->launched_us = rt_mono_us(s->rt);
        s->n_launched++;
        s->run_pending = true;
        s->run_done = false;
        rt_work_start(s->rt, &s->work);
}

static void start_commit(struct spool *s)
{
        BUG_ON(s->state != COMMIT_IDLE);
        swap(s, false);
        launch(s);
        if (s->wants_room)
                rt_timer_set(s->rt, &s->kick, 0);
}

static void poke(struct spool *s)
{
        if (s->urgent && s->state == COMMIT_IDLE && !s->in_upcalls)
                start_commit(s);
}

void spool_want_commit(struct spool *s)
{
        s->urgent = true;
        poke(s);
}

void spool_want_room(struct spool *s, int64_t within_us)
{
        if (s->state == COMMIT_BACKOFF && s->rows_left && s->retry.due_us > rt_mono_us(s->rt) + within_us)
                rt_timer_set(s->rt, &s->retry, within_us);
}

static void on_interval(struct rt_timer *t)
{
        struct spool *s = list_entry(t, struct spool, interval);

        s->in_upcalls = true; /* one commit for all who join */
        if (s->up.on_interval)
                s->up.on_interval(s->up.ctx);
        s->in_upcalls = false;
        spool_want_commit(s);
}

static void on_retry(struct rt_timer *t)
{
        launch(list_entry(t, struct spool, retry));
}

static void fail(struct spool *s, const char *what)
{
        bool told = s->failing && !strcmp(s->fault, what);

        s->failing = true;
        text_copy(s->fault, sizeof(s->fault), what);
        s->state = COMMIT_BACKOFF;
        rt_timer_set(s->rt, &s->retry, backoff_next_us(&s->backoff, rt_random(s->rt)));
        if (told)
                return;
        log_error("spool", "%s: a commit failed, trying again: %s", s->conf.path, what);
        if (s->up.on_fault)
                s->up.on_fault(s->up.ctx, what);
}

static void works_again(struct spool *s)
{
        s->backoff.n = 0;
        if (!s->failing)
                return;
        s->failing = false;
        s->fault[0] = '\0';
        log_notice("spool", "commits go through again");
        if (s->up.on_fault)
                s->up.on_fault(s->up.ctx, NULL);
}

static void take_drops(struct spool *s)
{
        for (size_t i = 0; i < s->result.drops.n; i++) {
                const struct spool_drop *d = &s->result.drops.v[i];

                spool_note_drop(s, d);
                spool_ledger_note(s, d);
                lane_drop(&s->lanes[d->lane], d->first, d->last);
        }
}

/*
 * The commit is on disk: counters and watermarks follow.  If the file went
 * meanwhile (gone) nobody is told, and an empty one is tried until it is back.
 */
static void settle(struct spool *s)
{
        const struct spool_result *res = &s->result;
        struct spool_batch *b = s->committing;

        take_drops(s);
        spool_keep_fresh(s, b);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_committed(&s->lanes[i], b->last[i], b->acked[i], i == SPOOL_SAMPLES ? &b->ahead : NULL);
        s->used_pages = res->used_pages;
        s->file_bytes = res->file_bytes;
        s->event_bytes = res->event_bytes;
        s->first_seq = res->first_seq;
        s->oldest_held_ts_us = res->oldest_held_ts_us;
        s->commits++;
        s->rows_committed += res->n_rows;
        s->more = res->more;
        s->purging = res->purging;
        spool_note_batch(s, b);
        spool_batch_clear(b);
}

static void tell_dropped(struct spool *s)
{
        for (size_t i = 0; i < s->result.drops.n && s->up.on_dropped; i++) {
                const struct spool_drop *d = &s->result.drops.v[i];

                if (d->lane == SPOOL_SAMPLES)
                        s->up.on_dropped(s->up.ctx, d->first, d->last, d->last - d->first + 1, d->reason);
        }
}

static void tell_durable(struct spool *s)
{
        uint64_t done = s->state == COMMIT_IDLE ? s->gather->no - 1 : s->committing->no - 1;

        while (!list_empty(&s->syncs)) {
                struct spool_sync *q = list_entry(s->syncs.next, struct spool_sync, node);

                if (q->batch > done)
                        break;
                list_remove(&q->node);
                q->on_durable(q);
        }
}

/* Acks that neither are on disk nor will be with the commit under way. */
static bool has_new_acks(const struct spool *s)
{
        for (int i = 0; i < SPOOL_LANES; i++)
                if (s->lanes[i].acked !=
                    (s->state == COMMIT_IDLE ? s->lanes[i].acked_durable : s->committing->acked[i]))
                        return true;
        return s->lanes[SPOOL_SAMPLES].ahead.no !=
               (s->state == COMMIT_IDLE ? s->lanes[SPOOL_SAMPLES].ahead_durable.no : s->committing->ahead.no);
}

bool spool_is_dirty(const struct spool *s)
{
        return !spool_batch_empty(s->gather) || has_new_acks(s);
}

void spool_go_on(struct spool *s)
{
        if (s->urgent)
                start_commit(s);
        else if (spool_is_dirty(s))
                spool_arm(s);
        else if (s->more && !rt_timer_armed(&s->interval))
                rt_timer_set(s->rt, &s->interval, MORE_PAUSE_US);
}

/*
 * Acks and dead letters are on disk, what they let go is free; the rest of the
 * batch waits for room (block).
 */
static void settle_acks(struct spool *s)
{
        struct spool_batch *b = s->committing;

        take_drops(s);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_committed(&s->lanes[i], s->lanes[i].last, b->acked[i], i == SPOOL_SAMPLES ? &b->ahead : NULL);
        s->used_pages = s->result.used_pages;
        s->file_bytes = s->result.file_bytes;
        s->first_seq = s->result.first_seq;
        s->oldest_held_ts_us = s->result.oldest_held_ts_us;
        s->purging = s->result.purging;
        b->n_dead = b->n_repairs = b->n_forget = b->purge_upto = 0;
}

static void on_commit_done(struct rt_work *w)
{
        struct spool *s = list_entry(w, struct spool, work);

        BUG_ON(s->state != COMMIT_RUNNING || s->run_pending || s->in_upcalls);
        s->run_done = false;
        spool_note_commit(s);
        s->low_space = s->result.low_space;
        s->in_upcalls = true;
        spool_fetch_parked(s);
        spool_note_damage(s, &s->writer_damaged, s->result.damaged);
        s->rows_left = s->result.ok && s->result.rows_left;
        if (!s->result.ok) {
                fail(s, s->result.fault);
        } else if (s->result.rows_left) {
                settle_acks(s);
                fail(s, s->result.no_space ? "No space left on device; make room on its disk"
                                           : "the spool is full and sources are to wait (when_full: block)");
                if (s->result.more)
                        spool_want_room(s, MORE_PAUSE_US);
                tell_dropped(s);
                if (s->up.on_committed)
                        s->up.on_committed(s->up.ctx); /* who waits for its acks to be on disk makes the room */
        } else {
                settle(s);
                if (s->result.gone) {
                        fail(s, s->result.fault);
                } else {
                        s->state = COMMIT_IDLE;
                        works_again(s);
                        tell_durable(s);
                }
                tell_dropped(s);
                spool_tell_pressure(s);
                if (s->up.on_committed)
                        s->up.on_committed(s->up.ctx);
                spool_tell_room(s);
        }
        s->in_upcalls = false;
        if (s->state == COMMIT_IDLE)
                spool_go_on(s);
}

static void on_kick(struct rt_timer *t)
{
        struct spool *s = list_entry(t, struct spool, kick);

        tell_durable(s);
        spool_tell_pressure(s);
        spool_tell_room(s);
}

void spool_commit_init(struct spool *s)
{
        s->backoff = (struct backoff){.first_us = RETRY_FIRST_US, .most_us = RETRY_MAX_US};
        s->interval.on_due = on_interval;
        s->retry.on_due = on_retry;
        s->kick.on_due = on_kick;
        s->work.run = run_commit;
        s->work.on_done = on_commit_done;
        s->save_due_us = rt_mono_us(s->rt) + SAVE_EVERY_US;
}

/* ---- at the end ---- */

/*
 * The commit whose end the loop did not live to see: run it here unless it ran.
 */
void spool_finish_running(struct spool *s)
{
        pthread_mutex_lock(&s->db_lock);
        if (s->run_pending) {
                s->run_pending = false;
                spool_db_commit(&s->db, s->committing, &s->result);
        }
        pthread_mutex_unlock(&s->db_lock);
        if (s->result.ok && s->result.rows_left)
                settle_acks(s);
        else if (s->result.ok)
                settle(s);
        s->state = s->result.ok && !s->result.rows_left && !s->result.gone ? COMMIT_IDLE : COMMIT_BACKOFF;
}

bool spool_commit_here(struct spool *s)
{
        if (s->state == COMMIT_IDLE)
                swap(s, true);
        take_acks(s, s->committing);
        if (s->conf_moved)
                spool_db_reconfigure(&s->db, &s->conf);
        s->conf_moved = false;
        s->state = COMMIT_RUNNING;
        s->run_pending = true;
        spool_finish_running(s);
        return s->state == COMMIT_IDLE;
}
