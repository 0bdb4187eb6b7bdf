/*
 * budget: how much is there, how much fits, and who is told of it; on the loop.
 *
 * Room is counted in bytes of the file's budget: what its pages take, what is
 * gathered and what is being written.  Of the budget so much is usable as fits
 * before when_full acts; with block that is nine tenths, the rest is for what
 * is on its way.  Held bytes press from nine tenths of the usable ones until
 * three quarters: people are told, and sources that wait are paused, before
 * anything is refused.
 */
#include <stdio.h>

#include "store/impl.h"

static uint64_t usable(const struct spool_plan *plan, int when_full)
{
        uint64_t budget = plan->db_pages * PAGE_BYTES - plan->event_bytes;

        return when_full == SPOOL_BLOCK ? budget / 10 * 9 : budget;
}

uint64_t spool_usable_bytes(const struct spool_conf *conf)
{
        struct spool_plan plan;

        spool_plan(&plan, conf);
        return usable(&plan, conf->when_full);
}

/*
 * What the readings take or will take on disk when all that is gathered is
 * written.
 */
static uint64_t wanted_bytes(const struct spool *s)
{
        uint64_t used = s->used_pages * PAGE_BYTES;

        used -= s->event_bytes < used ? s->event_bytes : used;
        return used + s->gather->cost_bytes + (s->state == COMMIT_IDLE ? 0 : s->committing->cost_bytes);
}

int spool_room_for(const struct spool *s, size_t n, size_t text_bytes)
{
        const struct spool_batch *b = s->gather;

        if (s->conf.when_full == SPOOL_BLOCK &&
            (s->full || wanted_bytes(s) + n * ROW_BYTES + 2 * text_bytes > usable(&s->plan, SPOOL_BLOCK)))
                return SPOOL_E_FULL;
        if (s->plan.batch_rows - b->n_rows < n || s->plan.batch_text - b->text_used < text_bytes)
                return SPOOL_E_BUSY;
        return 0;
}

void spool_tell_room(struct spool *s)
{
        if (s->full && wanted_bytes(s) < usable(&s->plan, s->conf.when_full) / 4 * 3)
                s->full = false;
        if (!s->wants_room || spool_room_for(s, 1, 0))
                return;
        s->wants_room = false;
        if (s->up.on_room)
                s->up.on_room(s->up.ctx);
}

static uint64_t held_bytes(const struct spool *s)
{
        const struct lane_account *l = &s->lanes[SPOOL_SAMPLES];
        uint64_t used = s->used_pages * PAGE_BYTES, rows, held = lane_held(l);

        used -= s->event_bytes < used ? s->event_bytes : used;
        rows = held + lane_delivered_ahead(l) +
               (s->first_seq && l->acked_durable >= s->first_seq ? l->acked_durable - s->first_seq + 1 : 0);
        return held ? (uint64_t)((double)used * ((double)held / (double)rows)) : 0;
}

void spool_tell_pressure(struct spool *s)
{
        uint64_t held = held_bytes(s), most = usable(&s->plan, s->conf.when_full);
        bool full = s->full && s->conf.when_full == SPOOL_BLOCK;

        if (s->high ? full || held >= most / 4 * 3 : !full && held <= most / 10 * 9)
                return;
        s->high = !s->high;
        if (s->up.on_pressure)
                s->up.on_pressure(s->up.ctx, s->high);
}

/* ---- what people see ---- */

void spool_counts(const struct spool *s, struct spool_counts *out)
{
        const struct lane_account *l = &s->lanes[SPOOL_SAMPLES], *ev = &s->lanes[SPOOL_EVENTS];

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
                .usable_bytes = usable(&s->plan, s->conf.when_full),
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
