/*
 * spool: the loop side, see spool.h.
 *
 * Two batches: one gathers what is appended, one is being written on the work queue; a commit swaps them.  The commit
 * states are idle, running and backoff (a failed commit waits to be tried again with the same batch).  A commit starts at
 * once when somebody waits (spool_sync, a full batch), else commit_interval after the first append or ack.
 *
 * A batch that is tried again takes the watermark of then: with when_full block that is what makes room for it.  The dead
 * letters gathered meanwhile go with it, for no watermark may be on disk that passes a dead letter which is not.
 *
 * Counters and watermarks people see are those of the last commit (struct lane); what is appended or acked since is the
 * batch's.  Upcalls come from the end of a commit or from a timer, never from within a call of the user.
 *
 * How it fails: while commits fail the gathering batch fills up, then appends get SPOOL_E_BUSY; the reason is in
 * spool_counts().fault, told once by on_fault.
 */
#include "store/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "store/spool_impl.h"

enum {
        SAVE_EVERY_US = 600000000,
        MORE_PAUSE_US = 20000, /* between commits that only trim */
        RETRY_FIRST_US = 100000,
        RETRY_MOST_US = 30000000,
        CLOSE_TRIES = 3,
        CLOSE_WITHIN_US = 1000000, /* no try begins later */
        MOST_DAMAGED = 4,
};

static void start_commit(struct spool *s);

/* ---- room ---- */

static uint64_t budget_bytes(const struct spool *s)
{
        return s->plan.db_pages * PAGE_BYTES - s->plan.event_bytes;
}

/* What the readings take or will take on disk when all that is gathered is written. */
static uint64_t wanted_bytes(const struct spool *s)
{
        uint64_t used = s->used_pages * PAGE_BYTES;

        used -= s->event_bytes < used ? s->event_bytes : used;
        return used + s->gather->cost_bytes + (s->state == COMMIT_IDLE ? 0 : s->committing->cost_bytes);
}

static int room_for(const struct spool *s, size_t n, size_t text_bytes)
{
        const struct spool_batch *b = s->gather;

        if (s->conf.when_full == SPOOL_BLOCK &&
            (s->full || wanted_bytes(s) + n * ROW_BYTES + 2 * text_bytes > budget_bytes(s) / 10 * 9))
                return SPOOL_E_FULL;
        if (s->plan.batch_rows - b->n_rows < n || s->plan.batch_text - b->text_used < text_bytes)
                return SPOOL_E_BUSY;
        return 0;
}

static void poke(struct spool *s)
{
        if (s->urgent && s->state == COMMIT_IDLE && !s->in_upcalls)
                start_commit(s);
}

static void want_commit(struct spool *s)
{
        s->urgent = true;
        poke(s);
}

static int refuse(struct spool *s, int rc)
{
        s->wants_room = true;
        if (rc == SPOOL_E_FULL)
                s->full = true;
        want_commit(s);
        return rc;
}

bool spool_has_room(const struct spool *s, size_t n, size_t text_bytes)
{
        int rc = room_for(s, n, text_bytes);

        if (!rc || (rc == SPOOL_E_BUSY && spool_batch_empty(s->gather)))
                return true;
        /* The spool is never a const object; asking is not changing for the caller, but waiting must be remembered. */
        refuse((struct spool *)s, rc);
        return false;
}

/* ---- gathering ---- */

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

static void on_interval(struct rt_timer *t)
{
        want_commit(list_entry(t, struct spool, interval));
}

/* A tag's times only grow, but for what the source itself calls historical. */
static void order_time(struct spool *s, struct reading *r)
{
        struct tag *tag = tags_get(s->tags, r->tag);

        if (r->ts_us <= tag->last_ts_us && !(r->flags & READING_HISTORICAL)) {
                if (tag->last_ts_us + 1 - r->ts_us > 1000)
                        r->flags |= READING_TIME_MOVED;
                r->ts_us = tag->last_ts_us + 1;
        }
        if (r->ts_us > tag->last_ts_us)
                tag->last_ts_us = r->ts_us;
}

int spool_append(struct spool *s, const struct reading *r)
{
        size_t len = r->type == READING_TEXT || r->type == READING_RAW ? r->len : 0;
        struct reading mine = *r;
        int rc = room_for(s, 1, len);

        if (rc)
                return refuse(s, rc);
        order_time(s, &mine);
        spool_batch_put(s->gather, ++s->lanes[SPOOL_SAMPLES].appended, &mine, len);
        if (s->gather->n_rows == s->plan.batch_rows)
                want_commit(s);
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
        struct lane *l = &s->lanes[SPOOL_SAMPLES];

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

/* ---- syncs ---- */

/* Acks that neither are on disk nor will be with the commit under way. */
static bool has_new_acks(const struct spool *s)
{
        for (int i = 0; i < SPOOL_LANES; i++)
                if (s->lanes[i].acked !=
                    (s->state == COMMIT_IDLE ? s->lanes[i].acked_durable : s->committing->acked[i]))
                        return true;
        return false;
}

void spool_sync(struct spool *s, struct spool_sync *q)
{
        list_remove(&q->node);
        list_append(&s->syncs, &q->node);
        if (!spool_batch_empty(s->gather) || has_new_acks(s)) {
                q->batch = s->gather->no;
                want_commit(s);
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

static void tell_room(struct spool *s)
{
        if (s->full && wanted_bytes(s) < budget_bytes(s) / 4 * 3)
                s->full = false;
        if (!s->wants_room || room_for(s, 1, 0))
                return;
        s->wants_room = false;
        if (s->up.on_room)
                s->up.on_room(s->up.ctx);
}

static void on_kick(struct rt_timer *t)
{
        struct spool *s = list_entry(t, struct spool, kick);

        tell_durable(s);
        tell_room(s);
}

void spool_set_commit_interval(struct spool *s, int64_t us)
{
        s->conf.commit_interval_us = us;
}

/* ---- time ---- */

bool spool_repair_applies(const struct spool_repair *r, uint64_t seq, const struct reading *reading)
{
        int64_t from_old = reading->arrival_us - (r->now_us - r->step_us), from_new = reading->arrival_us - r->now_us;

        return (reading->flags & READING_CLOCK_UNSYNCED) &&
               (seq <= r->sure || (from_old < 0 ? -from_old : from_old) < (from_new < 0 ? -from_new : from_new));
}

/* Nothing with a time of the old clock has gone out: the tags' times need not stay ahead of it. */
static void lower_tag_times(struct spool *s, const struct spool_repair *r)
{
        for (uint32_t i = 0; i < tags_count(s->tags); i++) {
                struct tag *tag = tags_get(s->tags, i);

                if (tag->last_ts_us > r->now_us)
                        tag->last_ts_us += r->step_us;
        }
}

/* Rows in memory are moved here, those in the file by the commit that writes these. */
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
        if (b->n_repairs == REPAIRS_MOST) {
                log_warn("spool", "the clock steps too often: readings on disk are not moved by this step");
                return;
        }
        b->repairs[b->n_repairs++] = r;
        spool_arm(s);
}

/* ---- acks ---- */

void spool_ack(struct spool *s, enum spool_lane lane, uint64_t seq)
{
        if (lane_ack(&s->lanes[lane], seq))
                spool_arm(s);
}

void spool_pin(struct spool *s, enum spool_lane lane, uint64_t seq)
{
        atomic_store(&s->db.pin[lane], seq);
}

void spool_dead_letter(struct spool *s, enum spool_lane lane, uint64_t seq, const char *reason)
{
        struct lane *l = &s->lanes[lane];

        if (seq <= l->acked || seq > l->appended || lane_is_dropped(l, seq))
                return;
        spool_batch_put_dead(s->gather, lane, seq, reason);
        s->dead_lettered++;
        spool_arm(s);
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
        save = save || s->rows_since_save >= s->plan.save_rows || s->bytes_since_save >= s->plan.save_bytes;
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

static void swap(struct spool *s, bool save)
{
        struct spool_batch *b = s->gather;

        s->gather = s->committing;
        s->committing = b;
        s->gather->no = b->no + 1;
        snapshot(s, b, save);
        s->urgent = false;
        rt_timer_cancel(s->rt, &s->interval);
}

static void launch(struct spool *s)
{
        take_acks(s, s->committing);
        s->state = COMMIT_RUNNING;
        s->run_pending = true;
        s->run_done = false;
        rt_work_start(s->rt, &s->work);
}

static void start_commit(struct spool *s)
{
        swap(s, false);
        launch(s);
        if (s->wants_room)
                rt_timer_set(s->rt, &s->kick, 0);
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
        log_error("spool", "a commit failed, trying again: %s", what);
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

/* The commit is on disk: counters and watermarks follow. */
static void settle(struct spool *s)
{
        const struct spool_result *res = &s->result;
        struct spool_batch *b = s->committing;

        for (size_t i = 0; i < res->drops.n; i++)
                lane_drop(&s->lanes[res->drops.v[i].lane], res->drops.v[i].first, res->drops.v[i].last);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_committed(&s->lanes[i], b->last[i], b->acked[i]);
        s->used_pages = res->used_pages;
        s->file_bytes = res->file_bytes;
        s->event_bytes = res->event_bytes;
        s->first_seq = res->first_seq;
        s->oldest_held_ts_us = res->oldest_held_ts_us;
        s->commits++;
        s->rows_committed += res->n_rows;
        s->more = res->more;
        spool_batch_clear(b);
}

static uint64_t held_bytes(const struct spool *s)
{
        const struct lane *l = &s->lanes[SPOOL_SAMPLES];
        uint64_t used = s->used_pages * PAGE_BYTES, rows, held = lane_held(l);

        used -= s->event_bytes < used ? s->event_bytes : used;
        rows = held + (s->first_seq && l->acked_durable >= s->first_seq ? l->acked_durable - s->first_seq + 1 : 0);
        return held ? (uint64_t)((double)used * ((double)held / (double)rows)) : 0;
}

static void tell_pressure(struct spool *s)
{
        uint64_t held = held_bytes(s), budget = budget_bytes(s);

        if (s->high ? held >= budget / 4 * 3 : held <= budget / 10 * 9)
                return;
        s->high = !s->high;
        if (s->up.on_pressure)
                s->up.on_pressure(s->up.ctx, s->high);
}

static void tell_dropped(struct spool *s)
{
        for (size_t i = 0; i < s->result.drops.n && s->up.on_dropped; i++) {
                const struct spool_drop *d = &s->result.drops.v[i];

                if (d->lane == SPOOL_SAMPLES)
                        s->up.on_dropped(s->up.ctx, d->first, d->last, d->last - d->first + 1, d->reason);
        }
}

static bool is_dirty(const struct spool *s)
{
        return !spool_batch_empty(s->gather) || has_new_acks(s);
}

static void go_on(struct spool *s)
{
        if (s->urgent)
                start_commit(s);
        else if (is_dirty(s))
                spool_arm(s);
        else if (s->more && !rt_timer_armed(&s->interval))
                rt_timer_set(s->rt, &s->interval, MORE_PAUSE_US);
}

/* Acks and dead letters are on disk, what they let go is free; the rest of the batch waits for room (block). */
static void settle_acks(struct spool *s)
{
        struct spool_batch *b = s->committing;

        for (size_t i = 0; i < s->result.drops.n; i++)
                lane_drop(&s->lanes[s->result.drops.v[i].lane], s->result.drops.v[i].first, s->result.drops.v[i].last);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_committed(&s->lanes[i], s->lanes[i].last, b->acked[i]);
        s->used_pages = s->result.used_pages;
        s->file_bytes = s->result.file_bytes;
        s->first_seq = s->result.first_seq;
        s->oldest_held_ts_us = s->result.oldest_held_ts_us;
        b->n_dead = b->n_repairs = 0;
}

/*
 * Ends the program when the file answers wrongly time and again (once may be a failing read): the next start finds the mark,
 * moves the file aside and goes on.
 */
void spool_note_damage(struct spool *s, int *in_a_row, bool damaged)
{
        *in_a_row = damaged ? *in_a_row + 1 : 0;
        if (*in_a_row < MOST_DAMAGED)
                return;
        spool_rescue_mark(s->conf.path);
        log_error("spool", "%s is damaged (%s); ending, the next start will rescue it", s->conf.path,
                  s->result.damaged ? s->result.fault : "it cannot be read");
        abort();
}

static void on_commit_done(struct rt_work *w)
{
        struct spool *s = list_entry(w, struct spool, work);

        s->run_done = false;
        s->in_upcalls = true;
        spool_fetch_parked(s);
        spool_note_damage(s, &s->writer_damaged, s->result.damaged);
        if (!s->result.ok) {
                fail(s, s->result.fault);
        } else if (s->result.rows_left) {
                settle_acks(s);
                fail(s, "the spool is full and sources are to wait (when_full: block)");
        } else {
                settle(s);
                s->state = COMMIT_IDLE;
                works_again(s);
                tell_durable(s);
                tell_dropped(s);
                tell_pressure(s);
                if (s->up.on_committed)
                        s->up.on_committed(s->up.ctx);
                tell_room(s);
        }
        s->in_upcalls = false;
        if (s->state == COMMIT_IDLE)
                go_on(s);
}

/* ---- open, close ---- */

static void dispose(struct spool *s, bool clean)
{
        pthread_mutex_lock(&s->reader_lock);
        spool_reader_close(s);
        pthread_mutex_unlock(&s->reader_lock);
        spool_db_close(&s->db, clean);
        rt_timer_cancel(s->rt, &s->interval);
        rt_timer_cancel(s->rt, &s->retry);
        rt_timer_cancel(s->rt, &s->kick);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_release(&s->lanes[i]);
        for (int i = 0; i < 2; i++)
                spool_batch_free(&s->batches[i]);
        while (list_take(&s->syncs))
                ;
        free(s->result.drops.v);
        free(s->saved_ts);
        free((char *)s->conf.path);
        pthread_mutex_destroy(&s->db_lock);
        pthread_mutex_destroy(&s->reader_lock);
        free(s);
}

static struct spool *make(struct rt *rt, const struct spool_conf *conf, struct tags *tags,
                          const struct spool_upcalls *up)
{
        struct spool *s = mem_alloc(sizeof(*s));

        s->rt = rt;
        s->conf = *conf;
        s->conf.path = mem_strdup(conf->path);
        if (up)
                s->up = *up;
        s->tags = tags;
        s->backoff = (struct backoff){.first_us = RETRY_FIRST_US, .most_us = RETRY_MOST_US};
        s->interval.on_due = on_interval;
        s->retry.on_due = on_retry;
        s->kick.on_due = on_kick;
        s->work.run = run_commit;
        s->work.on_done = on_commit_done;
        list_init(&s->syncs);
        pthread_mutex_init(&s->db_lock, NULL);
        pthread_mutex_init(&s->reader_lock, NULL);
        s->db.lock_fd = -1;
        spool_plan(&s->plan, conf);
        for (int i = 0; i < 2; i++)
                spool_batch_init(&s->batches[i], &s->plan);
        s->gather = &s->batches[0];
        s->committing = &s->batches[1];
        s->gather->no = 1;
        return s;
}

/* Where the rescued file lies, without its directory, as the event tells it. */
static void tell_rescue(struct spool *s, const struct spool_rescue *r)
{
        const char *slash = strrchr(r->aside, '/'), *name = slash ? slash + 1 : r->aside;
        char file[1024], body[2600];
        int n;

        file[text_put_json(file, name, strnlen(name, sizeof(file) / 6 - 1))] = '\0';
        n = snprintf(body, sizeof(body),
                     "\"kind\":\"spool_rescue\",\"severity\":900,\"file\":\"%s\",\"old_epoch\":%" PRIu64
                     ",\"readings\":%" PRIu64 ",\"events\":%" PRIu64 ",\"lost\":%" PRIu64
                     ",\"lost_seq\":\"%s\",\"stopped\":\"%s\"",
                     file, r->old_epoch, r->n_readings, r->n_events, r->n_lost, r->lost, r->stopped ? r->stopped : "");
        spool_append_event(s, r->at_us, "spool_rescue", 900, SPOOL_NO_TAG, body, (size_t)n);
}

static void forget_lanes(struct spool *s)
{
        spool_reader_close(s);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_release(&s->lanes[i]);
}

static int try_open(struct spool *s, const char *gateway, int64_t wall_us, struct err *e)
{
        forget_lanes(s);
        if (spool_db_open(&s->db, &s->conf, gateway, wall_us, e) < 0 || spool_db_load(&s->db, s->tags, s->lanes, e) < 0)
                return -1;
        return spool_reader_open(s, e);
}

/* Damage is believed when a second connection sees it too: a failing read can look like it. */
static int open_file(struct spool *s, const char *gateway, int64_t wall_us, struct spool_rescue *r, struct err *e)
{
        struct spool_db *db = &s->db;

        if (try_open(s, gateway, wall_us, e) == 0)
                return 0;
        if (!db->damaged || !spool_rescue_is_ours(s->conf.path))
                return -1;
        spool_db_forget(db);
        if (try_open(s, gateway, wall_us, e) == 0)
                return 0;
        if (!db->damaged)
                return -1;
        log_error("spool", "%s", e->text);
        forget_lanes(s);
        spool_db_forget(db);
        if (spool_rescue_begin(r, s->conf.path, wall_us, e) < 0)
                return -1;
        db->fresh = true;
        if (spool_db_open(db, &s->conf, gateway, wall_us, e) < 0 || spool_rescue_carry(r, db, gateway, e) < 0 ||
            spool_db_load(db, s->tags, s->lanes, e) < 0)
                return -1;
        return spool_reader_open(s, e);
}

int spool_open(struct spool **out, struct rt *rt, const struct spool_conf *conf, const char *gateway, struct tags *tags,
               const struct spool_upcalls *up, struct err *e)
{
        struct spool *s = make(rt, conf, tags, up);
        struct spool_rescue rescue = {0};
        struct rt_time now;
        struct err mine;

        e = e ? e : &mine;
        rt_now(rt, &now);
        if (open_file(s, gateway, now.wall_us, &rescue, e) < 0) {
                dispose(s, false);
                return -1;
        }
        s->n_tags_sent = s->cap_saved_ts = tags_count(tags);
        s->saved_ts = mem_grow(s->saved_ts, s->cap_saved_ts, sizeof(*s->saved_ts));
        for (size_t i = 0; i < s->n_tags_sent; i++)
                s->saved_ts[i] = INT64_MIN;
        s->rows_since_save = s->lanes[SPOOL_SAMPLES].last - s->db.v.ts_saved_seq;
        s->save_due_us = now.mono_us + SAVE_EVERY_US;
        spool_db_stat(&s->db, s->lanes[SPOOL_SAMPLES].acked_durable, &s->result);
        s->used_pages = s->result.used_pages;
        s->file_bytes = s->result.file_bytes;
        s->event_bytes = s->result.event_bytes;
        s->first_seq = s->result.first_seq;
        s->oldest_held_ts_us = s->result.oldest_held_ts_us;
        s->more = s->first_seq && s->first_seq <= s->lanes[SPOOL_SAMPLES].acked;
        go_on(s);
        if (*rescue.aside)
                tell_rescue(s, &rescue);
        *out = s;
        return 0;
}

void spool_abandon(struct spool *s)
{
        dispose(s, false);
}

/* The commit whose end the loop did not live to see: run it here unless it ran. */
static void finish_running(struct spool *s)
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
        s->state = s->result.ok && !s->result.rows_left ? COMMIT_IDLE : COMMIT_BACKOFF;
}

static bool commit_here(struct spool *s)
{
        if (s->state == COMMIT_IDLE)
                swap(s, true);
        take_acks(s, s->committing);
        s->state = COMMIT_RUNNING;
        s->run_pending = true;
        finish_running(s);
        return s->state == COMMIT_IDLE;
}

bool spool_close(struct spool *s)
{
        int64_t end_us;
        bool ok = true;

        atomic_store(&s->db.closing, true);
        if (s->state == COMMIT_RUNNING)
                finish_running(s);
        end_us = rt_mono_us(s->rt) + CLOSE_WITHIN_US;
        for (int i = 0; i < CLOSE_TRIES && (!i || rt_mono_us(s->rt) < end_us) &&
                        (s->state != COMMIT_IDLE || is_dirty(s) || s->rows_since_save);
             i++)
                ok = commit_here(s);
        ok = ok && s->state == COMMIT_IDLE && !is_dirty(s);
        if (!ok)
                log_error("spool", "closed without what could not be committed: %s", s->result.fault);
        dispose(s, ok);
        return ok;
}

/* ---- what people see ---- */

void spool_counts(const struct spool *s, struct spool_counts *out)
{
        const struct lane *l = &s->lanes[SPOOL_SAMPLES], *ev = &s->lanes[SPOOL_EVENTS];

        *out = (struct spool_counts){
                .accepted = l->last,
                .delivered = lane_delivered(l),
                .held = lane_held(l),
                .dropped = l->dropped,
                .events_accepted = ev->last,
                .events_delivered = lane_delivered(ev),
                .events_held = lane_held(ev),
                .events_dropped = ev->dropped,
                .acked_seq = {ev->acked_durable, l->acked_durable},
                .last_seq = {ev->last, l->last},
                .epoch = s->db.epoch,
                .spool_bytes = s->file_bytes,
                .held_bytes = held_bytes(s),
                .oldest_held_ts_us = s->oldest_held_ts_us,
                .commits = s->commits,
                .rows_committed = s->rows_committed,
                .quarantined = s->quarantined,
                .dead_lettered = s->dead_lettered,
                .alarm_notes_lost = s->alarm_notes_lost,
                .failing = s->failing,
        };
        snprintf(out->fault, sizeof(out->fault), "%s", s->fault);
}
