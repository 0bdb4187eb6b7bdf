/*
 * requeue: see requeue.h.
 *
 * First the dead letters of the range, by id, then its rows that are in the
 * file and delivered; what is held goes anyway. The job is in memory only:
 * after a restart it is asked for again, which does no harm as ids stay.  A
 * dead letter that is delivered now leaves its table with the next commit.
 *
 * What is refused goes once more, alone: Kafka refuses whole batches for one
 * record that is too large.
 *
 * How it fails: a row that Kafka refuses then, or that comes back when the
 * uplink ends, is counted with the reason; a file that can't be read ends the
 * job with it.
 */
#include "agent/control/requeue.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "store/inspect/query.h"

enum { ROWS_AT_ONCE = 256, TEXT_AT_ONCE = 1 << 20, AGAIN_US = 50000 };

struct item {
        struct spool_row row;
        uint64_t dead_id; /* 0: a kept row */
        size_t text_at;
        bool refused;
};

struct requeue {
        struct rt *rt;
        char *path;
        struct spool *spool;
        struct uplink *uplink;
        struct rt_work read;
        struct rt_timer again;
        struct requeue_status status;

        enum spool_lane lane;
        uint64_t first_seq, last_seq, after_id;
        bool dead_done, all_read, failed, reading;
        struct err why; /* of a failed read */
        atomic_bool over;

        struct item item[ROWS_AT_ONCE];
        size_t n_items, next, n_out;
        bool alone; /* the refused ones of the slice, one at a time */
        char *text;
        size_t text_used, text_cap;
        struct requeue *left_behind;
};

/* ---- reading: off the loop ---- */

static bool is_full(const struct requeue *r)
{
        return r->n_items == ROWS_AT_ONCE || r->text_used >= TEXT_AT_ONCE || atomic_load(&r->over);
}

static void keep(struct requeue *r, const struct spool_query_row *row, uint64_t dead_id)
{
        struct item *it = &r->item[r->n_items++];
        bool has_text = row->r.type == READING_TEXT || row->r.type == READING_RAW;

        *it = (struct item){
                .row = {.seq = row->seq, .r = row->r, .a = row->a}, .dead_id = dead_id, .text_at = r->text_used};
        if (!has_text || !row->r.len)
                return;
        if (r->text_cap - r->text_used < row->r.len) {
                r->text_cap = r->text_used + row->r.len + TEXT_AT_ONCE;
                r->text = mem_grow(r->text, r->text_cap, 1);
        }
        memcpy(r->text + r->text_used, row->r.v.text, row->r.len);
        r->text_used += row->r.len;
}

static bool on_dead(void *ctx, const struct spool_query_dead *dead)
{
        struct requeue *r = ctx;

        if (dead->id <= r->after_id)
                return true;
        if (is_full(r))
                return false;
        r->after_id = dead->id;
        if (dead->lane == r->lane && dead->row.seq >= r->first_seq && dead->row.seq <= r->last_seq)
                keep(r, &dead->row, dead->id);
        return true;
}

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct requeue *r = ctx;

        if (is_full(r))
                return false;
        if (row->delivered)
                keep(r, row, 0);
        r->first_seq = row->seq + 1;
        return true;
}

static int read_slice(struct requeue *r, struct spool_query *q)
{
        struct spool_filter kept = {.lane = r->lane, .first_seq = r->first_seq, .last_seq = r->last_seq};

        if (!r->dead_done && spool_query_dead_letters(q, on_dead, r, &r->why) < 0)
                return -1;
        r->dead_done = !is_full(r);
        if (!r->dead_done)
                return 0;
        if (r->first_seq <= r->last_seq && spool_query_rows(q, &kept, on_row, r, &r->why) < 0)
                return -1;
        r->all_read = !is_full(r);
        return 0;
}

static void run_read(struct rt_work *w)
{
        struct requeue *r = list_entry(w, struct requeue, read);
        struct spool_query *q;

        r->n_items = r->next = r->text_used = 0;
        r->alone = false;
        r->failed = spool_query_open(&q, r->path, &r->why) < 0;
        if (r->failed)
                return;
        spool_query_give_up_on(q, &r->over);
        r->failed = read_slice(r, q) < 0;
        spool_query_close(q);
        for (size_t i = 0; i < r->n_items; i++) {
                struct reading *m = &r->item[i].row.r;

                if (m->type == READING_TEXT || m->type == READING_RAW)
                        m->v.text = r->text ? r->text + r->item[i].text_at : "";
        }
}

/* ---- sending: on the loop ---- */

static void start_reading(struct requeue *r)
{
        r->reading = true;
        rt_work_start(r->rt, &r->read);
}

static void refuse(struct requeue *r, const char *why)
{
        r->status.refused++;
        text_copy(r->status.last_error, sizeof(r->status.last_error), why && *why ? why : "not delivered");
}

/* False: it has to wait. */
static bool send_item(struct requeue *r, struct item *it)
{
        struct err e = {""};
        int rc = uplink_resend(r->uplink, r->lane, &it->row, (uint32_t)(it - r->item), &e);

        if (rc > 0) {
                rt_timer_set(r->rt, &r->again, AGAIN_US);
                return false;
        }
        r->n_out += rc == 0;
        if (rc < 0)
                refuse(r, e.text);
        return true;
}

static void end_slice(struct requeue *r)
{
        if (r->all_read)
                r->status.running = false;
        else
                start_reading(r);
}

static void send_items(struct requeue *r)
{
        for (; r->next < r->n_items && !(r->alone && r->n_out); r->next++) {
                if (r->alone && !r->item[r->next].refused)
                        continue;
                if (!send_item(r, &r->item[r->next]))
                        return;
        }
        if (r->n_out || r->next < r->n_items)
                return;
        if (r->alone) {
                end_slice(r);
                return;
        }
        r->alone = true;
        r->next = 0;
        send_items(r);
}

static void on_read(struct rt_work *w)
{
        struct requeue *r = list_entry(w, struct requeue, read);

        r->reading = false;
        r->status.found += r->n_items;
        if (r->failed || atomic_load(&r->over)) {
                text_copy(r->status.last_error, sizeof(r->status.last_error), r->why.text);
                r->status.running = false;
                return;
        }
        send_items(r);
}

static void on_again(struct rt_timer *t)
{
        send_items(list_entry(t, struct requeue, again));
}

void requeue_report(struct requeue *r, uint32_t token, bool delivered, const char *why)
{
        uint64_t dead_id = r->item[token].dead_id;

        r->n_out--;
        if (delivered) {
                r->status.delivered++;
                if (dead_id)
                        spool_forget_dead(r->spool, dead_id); /* no room: it is there once more, and harmless */
        } else if (!r->alone) {
                r->item[token].refused = true;
        } else {
                refuse(r, why);
        }
        if (!r->n_out)
                rt_timer_set(r->rt, &r->again, 0);
}

/* ---- life ---- */

bool requeue_start(struct requeue *r, enum spool_lane lane, uint64_t first_seq, uint64_t last_seq)
{
        if (r->status.running)
                return false;
        r->status = (struct requeue_status){.running = true};
        r->lane = lane;
        r->first_seq = first_seq ? first_seq : 1;
        r->last_seq = last_seq;
        r->after_id = 0;
        r->dead_done = r->all_read = false;
        r->n_items = r->next = 0;
        start_reading(r);
        return true;
}

void requeue_status(const struct requeue *r, struct requeue_status *out)
{
        *out = r->status;
}

struct requeue *requeue_new(struct rt *rt, const char *path, struct spool *spool, struct uplink *uplink)
{
        struct requeue *r = mem_alloc(sizeof(*r));

        r->rt = rt;
        r->path = mem_strdup(path);
        r->spool = spool;
        r->uplink = uplink;
        r->read.run = run_read;
        r->read.on_done = on_read;
        r->again.on_due = on_again;
        return r;
}

void requeue_stop(struct requeue *r)
{
        atomic_store(&r->over, true);
}

/* Their threads may still use them; the program ends. */
static struct requeue *left_behind;

void requeue_free(struct requeue *r)
{
        if (!r)
                return;
        rt_timer_cancel(r->rt, &r->again);
        if (r->reading) {
                r->left_behind = left_behind;
                left_behind = r;
                return;
        }
        free(r->path);
        free(r->text);
        free(r);
}
