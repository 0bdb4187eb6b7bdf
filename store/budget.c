/*
 * budget: how much is there, how much fits, and who is told of it; on the loop.
 *
 * Room is counted in bytes of the file's budget: what its pages take, what is
 * gathered and what is being written, as the writer counts them before it makes
 * room.  Of the budget so much is usable as fits before when_full acts.  Held
 * bytes press from nine tenths of the usable ones until three quarters: people
 * are told before anything gives way.  With block sources are paused then, so
 * it is as late as can be: two batches as they come before the end, for what is
 * on its way, but nine tenths at the earliest.
 */
#include <stdio.h>

#include "store/impl.h"

static uint64_t usable(const struct spool_plan *plan)
{
        return plan->db_pages * plan->page_bytes - plan->event_bytes -
               (uint64_t)(SPARE_PAGES + BATCH_PAGES + 1) * plan->page_bytes;
}

uint64_t spool_usable_bytes(const struct spool_conf *conf)
{
        struct spool_plan plan;

        spool_plan(&plan, conf, PAGE_BYTES);
        return usable(&plan);
}

/*
 * What the readings take or will take on disk when all that is gathered is
 * written.
 */
static uint64_t wanted_bytes(const struct spool *s)
{
        uint64_t used = s->used_pages * s->plan.page_bytes;

        used -= s->event_bytes < used ? s->event_bytes : used;
        used += spool_batch_bytes(s->gather, tags_count(s->tags) - s->n_tags_sent);
        return used + (s->state == COMMIT_IDLE ? 0 : spool_batch_bytes(s->committing, s->committing->n_new_tags));
}

static uint64_t held_bytes(const struct spool *s)
{
        const struct lane_account *l = &s->lanes[SPOOL_SAMPLES];
        uint64_t used = s->used_pages * s->plan.page_bytes, rows, held = lane_held(l);

        used -= s->event_bytes < used ? s->event_bytes : used;
        rows = held + lane_delivered_ahead(l) +
               (s->first_seq && l->acked_durable >= s->first_seq ? l->acked_durable - s->first_seq + 1 : 0);
        return held ? (uint64_t)((double)used * ((double)held / (double)rows)) : 0;
}

void spool_note_batch(struct spool *s, const struct spool_batch *b)
{
        uint64_t now = spool_batch_bytes(b, b->n_new_tags), before = s->batch_bytes - s->batch_bytes / 16;

        s->batch_bytes = now > before ? now : before;
}

static uint64_t pressing_bytes(const struct spool *s)
{
        uint64_t most = usable(&s->plan);

        return most -
               (s->conf.when_full == SPOOL_BLOCK ? min_u64(2 * s->batch_bytes + most / 128, most / 10) : most / 10);
}

int spool_room_for(const struct spool *s, size_t n, size_t text_bytes)
{
        const struct spool_batch *b = s->gather;

        if (s->conf.when_full == SPOOL_BLOCK &&
            (s->full || wanted_bytes(s) + (n * ROW_BYTES + 2 * text_bytes) / 16 * 17 > usable(&s->plan)))
                return SPOOL_E_FULL;
        if (s->plan.batch_rows - b->n_rows < n || s->plan.batch_text - b->text_used < text_bytes)
                return SPOOL_E_BUSY;
        return 0;
}

void spool_tell_room(struct spool *s)
{
        if (s->full && wanted_bytes(s) < usable(&s->plan) / 4 * 3)
                s->full = false;
        spool_note_level(s, held_bytes(s), usable(&s->plan));
        if (!s->wants_room || spool_room_for(s, 1, 0))
                return;
        s->wants_room = false;
        if (s->up.on_room)
                s->up.on_room(s->up.ctx);
}

void spool_tell_pressure(struct spool *s)
{
        uint64_t held = held_bytes(s);
        bool full = s->full && s->conf.when_full == SPOOL_BLOCK;

        if (s->high ? full || held >= usable(&s->plan) / 4 * 3 : !full && held <= pressing_bytes(s))
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
                .usable_bytes = usable(&s->plan),
                .oldest_held_ts_us = s->oldest_held_ts_us,
                .commits = s->commits,
                .rows_committed = s->rows_committed,
                .quarantined = s->quarantined,
                .dead_lettered = s->dead_lettered,
                .alarm_notes_lost = s->alarm_notes_lost,
                .failing = s->failing,
        };
        snprintf(out->fault, sizeof(out->fault), "%s", s->fault);
        spool_tell_outlook(s, out);
}
