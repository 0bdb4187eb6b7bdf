/*
 * batch: what one commit will write, gathered in memory.
 *
 * Readings and their text go into arenas of a fixed size made at start, so that
 * an append is a copy and a comparison; the pages of an arena that were never
 * touched cost no memory.  Events, quarantine and ledger lines are rare and
 * grow their arrays, each up to a bound from the plan.  Of alarms there is one
 * row for each: when their array is full, rows of one alarm become its last,
 * and only when most are different alarms does it grow.  So however long the
 * disk is away, memory is bounded by how many alarms there are.  How it fails:
 * the caller is told that there is no room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "agent/base/text.h"
#include "store/impl.h"

enum { FIRST_ALARMS = 64, NOTES_MAX = 4096, OPERATOR_MAX = 400, FORGET_MAX = 2000 };

void spool_batch_init(struct spool_batch *b, const struct spool_plan *plan)
{
        memset(b, 0, sizeof(*b));
        spool_batch_fit(b, plan);
}

void spool_batch_fit(struct spool_batch *b, const struct spool_plan *plan)
{
        b->page_bytes = plan->page_bytes;
        if (b->cap_rows < plan->batch_rows) {
                b->cap_rows = plan->batch_rows;
                b->rows = mem_grow(b->rows, b->cap_rows, sizeof(*b->rows));
        }
        if (b->cap_text < plan->batch_text) {
                b->cap_text = plan->batch_text;
                b->text = mem_grow(b->text, b->cap_text, 1);
        }
}

void spool_batch_fini(struct spool_batch *b)
{
        free(b->rows);
        free(b->text);
        free(b->events);
        free(b->quarantine);
        free(b->event_bytes.p);
        free(b->quarantine_bytes.p);
        free(b->refused.v);
        free(b->dead);
        free(b->forget);
        spool_batch_clear_alarms(b);
        spool_batch_clear_baselines(b);
        free(b->alarms);
        free(b->notes);
        free(b->new_tags);
        free(b->moves);
        free(b->saves);
        memset(b, 0, sizeof(*b));
}

void spool_batch_clear(struct spool_batch *b)
{
        b->n_rows = b->n_events = b->n_quarantine = b->n_dead = 0;
        b->text_used = b->event_bytes.n = b->quarantine_bytes.n = 0;
        memset(b->quarantine_of, 0, sizeof(b->quarantine_of));
        b->cost_bytes = 0;
        b->n_repairs = 0;
        b->purge_upto = b->n_forget = 0;
        b->refused.n = 0;
        spool_batch_clear_alarms(b);
        spool_batch_clear_baselines(b);
        b->n_new_tags = b->n_moves = b->n_saves = 0;
        b->save = b->tags_moved = false;
}

bool spool_batch_empty(const struct spool_batch *b)
{
        return !b->n_rows && !b->n_events && !b->n_quarantine && !b->n_dead && !b->refused.n && !b->n_alarms &&
               !b->n_notes && !b->n_repairs && !b->purge_upto && !b->n_forget && !b->n_baselines && !b->notified &&
               !b->tags_moved;
}

uint64_t spool_batch_bytes(const struct spool_batch *b, size_t n_new_tags)
{
        uint64_t bytes = b->cost_bytes + b->quarantine_bytes.n + n_new_tags * 200 + b->refused.n * 64 +
                         b->n_alarms * 256 + b->n_notes * 320;

        return bytes + bytes / 16 + (uint64_t)BATCH_PAGES * b->page_bytes;
}

void spool_batch_put(struct spool_batch *b, uint64_t seq, const struct reading *r, size_t text_len)
{
        struct spool_row *row = &b->rows[b->n_rows];

        BUG_ON(b->n_rows == b->cap_rows || text_len > b->cap_text - b->text_used);
        BUG_ON(b->n_rows && seq <= b->rows[b->n_rows - 1].seq);
        b->n_rows++;
        row->seq = seq;
        row->r = *r;
        b->cost_bytes += spool_row_cost(text_len, b->page_bytes);
        if (r->type != READING_TEXT && r->type != READING_RAW)
                return;
        if (text_len)
                memcpy(b->text + b->text_used, r->v.text, text_len);
        row->r.v.text = b->text + b->text_used;
        b->text_used += text_len;
}

static void *grow(void *items, size_t n, size_t *cap, size_t item_bytes)
{
        if (n < *cap)
                return items;
        *cap = *cap ? 2 * *cap : 16;
        return mem_grow(items, *cap, item_bytes);
}

static void put_bytes(struct spool_bytes *b, const void *p, size_t len)
{
        if (b->cap - b->n < len) {
                size_t cap = b->cap ? b->cap : 1024;

                while (cap - b->n < len)
                        cap *= 2;
                b->p = mem_grow(b->p, cap, 1);
                b->cap = cap;
        }
        if (len)
                memcpy(b->p + b->n, p, len);
        b->n += len;
}

bool spool_batch_put_event(struct spool_batch *b, const struct spool_plan *plan, uint64_t seq, int64_t ts_us,
                           const char *kind, int severity, uint32_t tag, const char *body, size_t len)
{
        struct spool_event_item *item;

        if (b->event_bytes.n + len + 256 > plan->batch_events || b->n_events >= plan->batch_events / 64)
                return false;
        b->events = grow(b->events, b->n_events, &b->cap_events, sizeof(*b->events));
        item = &b->events[b->n_events++];
        *item = (struct spool_event_item){
                .seq = seq, .ts_us = ts_us, .severity = severity, .tag = tag, .at = b->event_bytes.n, .len = len};
        item->kind_len = strnlen(kind, 64);
        put_bytes(&b->event_bytes, kind, item->kind_len);
        put_bytes(&b->event_bytes, body, len);
        return true;
}

bool spool_batch_put_quarantine(struct spool_batch *b, const struct spool_plan *plan, int64_t at_us, const char *driver,
                                const char *origin, const char *reason, const void *payload, size_t len)
{
        struct spool_quarantine_item item = {.at_us = at_us, .at = b->quarantine_bytes.n, .len = len};

        size_t *of, size;

        item.driver_len = strnlen(driver, 64);
        of = &b->quarantine_of[table_hash(driver, item.driver_len, 0) % QUARANTINE_SHARES];
        item.origin_len = strnlen(origin, 1024);
        item.reason_len = strnlen(reason, 512);
        if (item.len > plan->batch_quarantine / 4)
                item.len = plan->batch_quarantine / 4;
        size = 64 + item.driver_len + item.origin_len + item.reason_len + item.len;
        if (*of + size > plan->batch_quarantine - plan->batch_quarantine / 8 ||
            b->n_quarantine * 64 + b->quarantine_bytes.n + size - 64 > plan->batch_quarantine)
                return false;
        *of += size;
        b->quarantine = grow(b->quarantine, b->n_quarantine, &b->cap_quarantine, sizeof(*b->quarantine));
        b->quarantine[b->n_quarantine++] = item;
        put_bytes(&b->quarantine_bytes, driver, item.driver_len);
        put_bytes(&b->quarantine_bytes, origin, item.origin_len);
        put_bytes(&b->quarantine_bytes, reason, item.reason_len);
        put_bytes(&b->quarantine_bytes, payload, item.len);
        return true;
}

void spool_batch_put_dead(struct spool_batch *b, enum spool_lane lane, uint64_t seq, const char *reason)
{
        struct spool_dead_item *item;

        b->dead = grow(b->dead, b->n_dead, &b->cap_dead, sizeof(*b->dead));
        item = &b->dead[b->n_dead++];
        item->lane = lane;
        item->seq = seq;
        snprintf(item->reason, sizeof(item->reason), "%s", reason);
}

/*
 * Beyond a bound that no sane sequence of drops reaches, the last line's reason
 * stands for what follows it.
 */
void spool_drops_add(struct spool_drops *d, enum spool_lane lane, uint64_t first, uint64_t last, const char *reason)
{
        enum { MOST = 20000 };

        for (size_t i = d->n; i > 0 && i + 2 > d->n; i--) {
                struct spool_drop *old = &d->v[i - 1];

                if (old->lane == lane && old->last + 1 == first &&
                    (d->n >= MOST || !strncmp(old->reason, reason, REASON_MAX - 1))) {
                        old->last = last;
                        return;
                }
        }
        d->v = grow(d->v, d->n, &d->cap, sizeof(*d->v));
        d->v[d->n] = (struct spool_drop){.lane = lane, .first = first, .last = last};
        snprintf(d->v[d->n].reason, REASON_MAX, "%s", reason);
        d->n++;
}

/* ---- alarms ---- */

static int by_key(const void *a, const void *b)
{
        const struct spool_alarm_item *x = a, *y = b;
        int rc = strcmp(x->alarm.source, y->alarm.source);

        rc = rc ? rc : strcmp(x->alarm.tag, y->alarm.tag);
        rc = rc ? rc : strcmp(x->alarm.rule, y->alarm.rule);
        return rc ? rc : strcmp(x->alarm.limit_kind, y->alarm.limit_kind);
}

static int by_key_and_order(const void *a, const void *b)
{
        const struct spool_alarm_item *x = a, *y = b;
        int rc = by_key(a, b);

        return rc ? rc : x->order < y->order ? -1 : 1;
}

void spool_batch_compact_alarms(struct spool_batch *b)
{
        size_t n = 0;

        if (!b->n_alarms)
                return;
        qsort(b->alarms, b->n_alarms, sizeof(*b->alarms), by_key_and_order);
        for (size_t i = 0; i < b->n_alarms; i++) {
                if (i + 1 == b->n_alarms || by_key(&b->alarms[i], &b->alarms[i + 1]) != 0)
                        b->alarms[n++] = b->alarms[i];
        }
        b->n_alarms = n;
}

void spool_batch_put_alarm(struct spool_batch *b, const struct spool_alarm *a)
{
        if (b->n_alarms == b->cap_alarms) {
                spool_batch_compact_alarms(b);
                if (b->n_alarms >= b->cap_alarms / 2) {
                        b->cap_alarms = b->cap_alarms ? 2 * b->cap_alarms : FIRST_ALARMS;
                        b->alarms = mem_grow(b->alarms, b->cap_alarms, sizeof(*b->alarms));
                }
        }
        b->alarms[b->n_alarms++] = (struct spool_alarm_item){.alarm = *a, .order = ++b->alarm_order};
}

/* The operator, NUL, the comment, NUL. */
static char *keep_operator(const struct spool_alarm_note *n)
{
        size_t who = strnlen(n->by, OPERATOR_MAX), what = strnlen(n->comment, OPERATOR_MAX);
        char *said = mem_alloc(who + what + 2);

        memcpy(said, n->by, who);
        memcpy(said + who + 1, n->comment, what);
        return said;
}

bool spool_batch_put_alarm_note(struct spool_batch *b, const struct spool_alarm_note *n)
{
        struct spool_alarm_note *mine;

        if (b->n_notes == NOTES_MAX)
                return false;
        if (b->n_notes == b->cap_notes) {
                b->cap_notes = b->cap_notes ? 2 * b->cap_notes : FIRST_ALARMS;
                b->notes = mem_grow(b->notes, b->cap_notes, sizeof(*b->notes));
        }
        mine = &b->notes[b->n_notes++];
        *mine = *n;
        mine->by = mine->comment = NULL;
        if (*n->by || *n->comment) {
                mine->by = keep_operator(n);
                mine->comment = mine->by + strlen(mine->by) + 1;
        }
        return true;
}

void spool_batch_clear_alarms(struct spool_batch *b)
{
        for (size_t i = 0; i < b->n_notes; i++)
                free((char *)(uintptr_t)b->notes[i].by);
        b->n_notes = b->n_alarms = 0;
        b->notified = false;
        b->alarm_order = 0;
}

/* ---- baselines ---- */

/* Once an hour is too rarely to keep room for. */
void spool_batch_clear_baselines(struct spool_batch *b)
{
        free(b->baselines);
        b->baselines = NULL;
        b->n_baselines = b->cap_baselines = 0;
}

/* ---- an operator's wishes ---- */

bool spool_batch_forget_dead(struct spool_batch *b, uint64_t id)
{
        if (b->n_forget == FORGET_MAX)
                return false;
        if (!b->forget)
                b->forget = mem_alloc(FORGET_MAX * sizeof(*b->forget));
        b->forget[b->n_forget++] = id;
        return true;
}

void spool_batch_take_wishes(struct spool_batch *b, struct spool_batch *from)
{
        b->purge_upto = from->purge_upto > b->purge_upto ? from->purge_upto : b->purge_upto;
        from->purge_upto = 0;
        while (from->n_forget && spool_batch_forget_dead(b, from->forget[from->n_forget - 1]))
                from->n_forget--;
}
