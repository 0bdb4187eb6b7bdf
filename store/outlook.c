/*
 * outlook: what people want to know of a spool beside its books: since when it
 * is full and what goes, when it will be, how much its disk has left and how
 * long that takes; on the loop.
 *
 * All is noted with a commit, nothing with a reading.  A commit's time is as
 * the loop sees it, so one that hangs counts while it hangs.  It is full from
 * the first reading that goes or waits for want of room, until held bytes are
 * below three quarters (with block: until sources may go on).  How it fails: it
 * does not.
 */
#include <string.h>

#include "store/impl.h"

enum { MINUTE_US = 60000000 };

void spool_note_full(struct spool *s)
{
        struct rt_time now;

        if (s->full_since_us)
                return;
        rt_now(s->rt, &now);
        s->full_since_us = now.wall_us;
}

void spool_note_drop(struct spool *s, const struct spool_drop *d)
{
        enum spool_gone how;

        if (!strcmp(d->reason, "full"))
                how = d->first > s->lanes[SPOOL_SAMPLES].last ? SPOOL_GONE_NEWEST : SPOOL_GONE_OLDEST;
        else if (!strcmp(d->reason, "thinned"))
                how = SPOOL_GONE_THINNED;
        else if (!strcmp(d->reason, "spool_full") || !strcmp(d->reason, "memory_full"))
                how = SPOOL_GONE_REFUSED;
        else
                return;
        if (d->lane != SPOOL_SAMPLES)
                return;
        s->gone[how] += d->last - d->first + 1;
        if (how != SPOOL_GONE_REFUSED)
                spool_note_full(s);
}

static void turn_minute(struct spool *s, int64_t now_us)
{
        if (now_us - s->minute_us < MINUTE_US)
                return;
        s->commit_most_us[1] = now_us - s->minute_us < 2 * MINUTE_US ? s->commit_most_us[0] : 0;
        s->commit_most_us[0] = 0;
        s->minute_us = now_us;
}

void spool_note_commit(struct spool *s)
{
        int64_t now_us = rt_mono_us(s->rt);

        turn_minute(s, now_us);
        s->commit_us = now_us - s->launched_us;
        if (s->commit_us > s->commit_most_us[0])
                s->commit_most_us[0] = s->commit_us;
        s->disk_free_bytes = s->result.disk_free_bytes;
}

static struct forecast_slot slot_now(const struct spool *s, uint64_t held_bytes)
{
        struct forecast_slot now = {.at_us = rt_mono_us(s->rt), .held_bytes = held_bytes};

        memcpy(now.gone, s->gone, sizeof(now.gone));
        return now;
}

void spool_note_level(struct spool *s, uint64_t held_bytes, uint64_t usable_bytes)
{
        struct forecast_slot now = slot_now(s, held_bytes);

        forecast_note(&s->forecast, &now);
        if (s->conf.when_full == SPOOL_BLOCK ? !s->full : held_bytes < usable_bytes / 4 * 3)
                s->full_since_us = 0;
}

static uint64_t above(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* What the file may still take, or its disk. */
static uint64_t left_bytes(const struct spool *s, const struct spool_counts *c)
{
        uint64_t left = above(c->usable_bytes, c->held_bytes);
        uint64_t on_disk = s->disk_free_bytes + above(c->spool_bytes, c->held_bytes);

        return s->disk_free_bytes == UINT64_MAX ? left : min_u64(left, on_disk);
}

void spool_tell_outlook(const struct spool *s, struct spool_counts *out)
{
        struct forecast_slot now = slot_now(s, out->held_bytes);
        int64_t since_us = now.at_us - s->minute_us;

        out->full_since_us = s->full_since_us;
        out->disk_free_bytes = s->disk_free_bytes;
        for (int i = 0; i < SPOOL_N_GONE; i++) {
                out->gone[i] = s->gone[i];
                out->gone_per_s[i] = forecast_gone_per_s(&s->forecast, &now, (enum spool_gone)i);
        }
        if (!s->full_since_us) {
                out->fill_bytes_per_s = forecast_bytes_per_s(&s->forecast, &now);
                out->full_in_s = forecast_full_in_s(out->fill_bytes_per_s, left_bytes(s, out));
        }
        out->commit_us = s->state == COMMIT_RUNNING ? now.at_us - s->launched_us : 0;
        if (out->commit_us < s->commit_us)
                out->commit_us = s->commit_us;
        out->commit_most_us = out->commit_us;
        for (int i = 0; i < 2; i++)
                if (since_us < 2 * MINUTE_US - i * MINUTE_US && s->commit_most_us[i] > out->commit_most_us)
                        out->commit_most_us = s->commit_most_us[i];
}
