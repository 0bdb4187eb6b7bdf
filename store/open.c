/*
 * open: a spool from its file, with a rescue when that is damaged, and the end
 * of it.
 *
 * How it fails: opening with a sentence; closing tells what could not be
 * committed, and leaves the WAL to the next start.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "store/impl.h"

enum {
        CLOSE_TRIES = 3,
        CLOSE_WITHIN_US = 1000000, /* no try begins later, and the WAL is left to the next start */
};

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
                lane_account_fini(&s->lanes[i]);
        for (int i = 0; i < 2; i++)
                spool_batch_fini(&s->batches[i]);
        while (list_take(&s->syncs))
                ;
        free(s->result.drops.v);
        spool_watch_free(s->watch);
        spool_recheck_free(s->recheck);
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
        spool_commit_init(s);
        list_init(&s->syncs);
        pthread_mutex_init(&s->db_lock, NULL);
        pthread_mutex_init(&s->reader_lock, NULL);
        s->db.lock_fd = -1;
        spool_plan(&s->plan, conf, PAGE_BYTES);
        for (int i = 0; i < 2; i++)
                spool_batch_init(&s->batches[i], &s->plan);
        s->gather = &s->batches[0];
        s->committing = &s->batches[1];
        s->gather->no = 1;
        return s;
}

static void forget_lanes(struct spool *s)
{
        spool_reader_close(s);
        for (int i = 0; i < SPOOL_LANES; i++)
                lane_account_fini(&s->lanes[i]);
}

static int try_open(struct spool *s, const char *gateway, int64_t wall_us, struct err *e)
{
        forget_lanes(s);
        s->db.random = s->random;
        if (spool_db_open(&s->db, &s->conf, gateway, wall_us, e) < 0 || spool_db_load(&s->db, s->tags, s->lanes, e) < 0)
                return -1;
        return spool_reader_open(s, e);
}

/*
 * Damage is believed when a second connection sees it too: a failing read can
 * look like it.
 */
static int open_file(struct spool *s, const char *gateway, int64_t wall_us, struct err *e)
{
        struct spool_db *db = &s->db;
        struct spool_rescue r = {0};
        bool other_wal;

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
        other_wal = db->other_wal;
        spool_db_forget(db);
        if (spool_rescue_begin(&r, s->conf.path, other_wal, wall_us, e) < 0)
                return -1;
        db->fresh = true;
        db->random = s->random;
        if (spool_db_open(db, &s->conf, gateway, wall_us, e) < 0 || spool_rescue_carry(&r, db, gateway, e) < 0 ||
            spool_db_load(db, s->tags, s->lanes, e) < 0)
                return -1;
        return spool_reader_open(s, e);
}

int spool_open(struct spool **out, struct rt *rt, const struct spool_conf *conf, const char *gateway, struct tags *tags,
               const struct spool_upcalls *up, struct err *e)
{
        struct spool *s = make(rt, conf, tags, up);
        struct rt_time now;
        struct err mine;

        e = e ? e : &mine;
        rt_now(rt, &now);
        rt->ops->random(rt, &s->random, sizeof(s->random));
        if (open_file(s, gateway, now.wall_us, e) < 0) {
                dispose(s, false);
                return -1;
        }
        spool_seal_load(s);
        spool_plan(&s->plan, conf, s->db.plan.page_bytes);
        spool_reconfigure_idle(s);
        s->n_tags_sent = s->cap_saved_ts = tags_count(tags);
        s->saved_ts = mem_grow(s->saved_ts, s->cap_saved_ts, sizeof(*s->saved_ts));
        for (size_t i = 0; i < s->n_tags_sent; i++)
                s->saved_ts[i] = INT64_MIN;
        s->rows_since_save = s->lanes[SPOOL_SAMPLES].last - s->db.v.ts_saved_seq;
        spool_disk_measure(&s->db);
        s->disk_free_bytes = s->db.disk_free;
        s->result.disk_free_bytes = s->db.disk_free;
        spool_db_stat(&s->db, s->lanes[SPOOL_SAMPLES].acked_durable, &s->result);
        s->used_pages = s->result.used_pages;
        s->file_bytes = s->result.file_bytes;
        s->event_bytes = s->result.event_bytes;
        s->first_seq = s->result.first_seq;
        s->oldest_held_ts_us = s->result.oldest_held_ts_us;
        s->more = s->first_seq && s->first_seq <= s->lanes[SPOOL_SAMPLES].acked;
        spool_go_on(s);
        if (s->db.was_open && lane_held(&s->lanes[SPOOL_SAMPLES]) + lane_held(&s->lanes[SPOOL_EVENTS]))
                spool_recheck_begin(s);
        *out = s;
        return 0;
}

void spool_abandon(struct spool *s)
{
        dispose(s, false);
}

bool spool_close(struct spool *s)
{
        int64_t end_us;
        bool ok = true;

        atomic_store(&s->db.closing, true);
        if (s->state == COMMIT_RUNNING)
                spool_finish_running(s);
        end_us = rt_mono_us(s->rt) + CLOSE_WITHIN_US;
        for (int i = 0; i < CLOSE_TRIES && (!i || rt_mono_us(s->rt) < end_us) &&
                        (s->state != COMMIT_IDLE || spool_is_dirty(s) || s->rows_since_save);
             i++)
                ok = spool_commit_here(s);
        ok = ok && s->state == COMMIT_IDLE && !spool_is_dirty(s);
        if (!ok)
                log_error("spool", "%s: closed without what could not be committed: %s", s->conf.path, s->result.fault);
        dispose(s, ok && rt_mono_us(s->rt) < end_us);
        return ok;
}
