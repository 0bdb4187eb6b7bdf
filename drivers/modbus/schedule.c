/*
 * schedule: see schedule.h.
 *
 * Each read has its slots, epoch + phase + k * period, so that a late answer
 * does not shift the next request.  Among what is due the oldest goes first,
 * but slaves in doubt (that left several requests unanswered lately) go where
 * they fit between the others without making them wait; one that has waited for
 * two time-outs goes all the same, unless slaves in doubt have had a twentieth
 * of the time already.  Where several requests may be in flight, the first of
 * every slave comes before the second of another, and slaves in doubt together
 * leave one lane free.
 *
 * A slave that leaves five requests in a row unanswered, retries included, is
 * given up: from then on one read asks with growing pauses, and all given-up
 * slaves of a bus together take at most a twentieth of its time.
 *
 * Fails: never.  Slots that were missed are counted as overruns and skipped.
 */
#include "drivers/modbus/schedule.h"

#include <stdlib.h>
#include <string.h>

enum { DOUBT_STEP = 3, DOUBT_MAX = 9, DOWN_AFTER = 5, SHARE = 20, PATIENCE = 2 };
enum { PROBE_FIRST_US = 1000000, PROBE_MAX_US = 60000000, BUSY_US = 100000 };

/* ---- a device's heap ---- */

static int64_t due_of(const struct modbus_schedule *t, uint32_t read)
{
        return t->reads[read].due_us;
}

static void push(struct modbus_schedule *t, struct modbus_schedule_device *d, uint32_t read)
{
        size_t at = d->n_heap++;

        while (at > 0 && due_of(t, d->heap[(at - 1) / 2]) > due_of(t, read)) {
                d->heap[at] = d->heap[(at - 1) / 2];
                at = (at - 1) / 2;
        }
        d->heap[at] = read;
}

/* Takes out what is at `hole`. */
static uint32_t take_out(struct modbus_schedule *t, struct modbus_schedule_device *d, size_t hole)
{
        uint32_t out = d->heap[hole], last = d->heap[--d->n_heap];
        size_t at = hole;

        if (hole == d->n_heap)
                return out;
        while (at > 0 && due_of(t, d->heap[(at - 1) / 2]) > due_of(t, last)) {
                d->heap[at] = d->heap[(at - 1) / 2];
                at = (at - 1) / 2;
        }
        for (;;) {
                size_t child = 2 * at + 1;

                if (child >= d->n_heap)
                        break;
                if (child + 1 < d->n_heap && due_of(t, d->heap[child + 1]) < due_of(t, d->heap[child]))
                        child++;
                if (due_of(t, d->heap[child]) >= due_of(t, last))
                        break;
                d->heap[at] = d->heap[child];
                at = child;
        }
        d->heap[at] = last;
        return out;
}

/* ---- life ---- */

static struct modbus_schedule_device *device_of(struct modbus_schedule *t, size_t read)
{
        return &t->devices[t->plan->reads[read].device];
}

void modbus_schedule_init(struct modbus_schedule *t, const struct modbus_conf *bus, const struct modbus_plan *plan)
{
        uint32_t *heap;

        memset(t, 0, sizeof(*t));
        t->plan = plan;
        t->lanes = (unsigned)bus->in_flight;
        t->n_devices = plan->n_devices;
        t->devices = mem_alloc((plan->n_devices + 1) * sizeof(*t->devices));
        t->reads = mem_alloc((plan->n_points + 1) * sizeof(*t->reads));
        t->heaps = heap = mem_alloc((plan->n_points + 1) * sizeof(*t->heaps));
        for (size_t i = 0; i < plan->n_devices; i++) {
                t->devices[i].unit = (uint8_t)plan->devices[i]->unit;
                t->devices[i].timeout_us = modbus_timeout_us(bus, plan->devices[i]);
                t->devices[i].retries = (unsigned)modbus_retries(bus, plan->devices[i]);
                t->devices[i].heap = heap;
                heap += modbus_points_of(plan->devices[i]);
        }
        for (uint32_t i = 0; i < plan->n_reads; i++)
                push(t, device_of(t, i), i);
}

void modbus_schedule_fini(struct modbus_schedule *t)
{
        free(t->devices);
        free(t->reads);
        free(t->heaps);
}

void modbus_schedule_open(struct modbus_schedule *t, int64_t now_us)
{
        if (!t->epoch_us)
                t->epoch_us = now_us;
        for (size_t i = 0; i < t->plan->n_reads; i++)
                t->reads[i] = (struct modbus_schedule_read){.due_us = now_us};
        for (size_t i = 0; i < t->n_devices; i++) {
                t->devices[i].n_silent = t->devices[i].doubt = 0;
                t->devices[i].probe_us = now_us;
                t->devices[i].probe_pause_us = PROBE_FIRST_US;
        }
        memset(t->hold_us, 0, sizeof(t->hold_us));
        t->next_probe_us = t->doubt_turn_us = now_us;
}

/* ---- whose turn ---- */

/* One request that got lost happens on any line. */
static bool in_doubt(const struct modbus_schedule_device *d)
{
        return d->down || d->doubt > DOUBT_STEP;
}

/* What the lanes look like, for the rules of several in flight. */
struct lanes {
        unsigned free, idle_devices, doubtful;
};

static struct lanes look_at_lanes(const struct modbus_schedule *t)
{
        struct lanes l = {.free = t->lanes - t->n_busy};

        for (size_t i = 0; i < t->n_devices; i++) {
                const struct modbus_schedule_device *d = &t->devices[i];

                l.idle_devices += d->in_flight == 0 && !d->down;
                l.doubtful += in_doubt(d) ? d->in_flight : 0;
        }
        return l;
}

static bool may_take_lane(const struct modbus_schedule *t, const struct modbus_schedule_device *d,
                          const struct lanes *l)
{
        if (t->lanes == 1)
                return true;
        if (in_doubt(d))
                return d->in_flight == 0 && l->doubtful + 1 < t->lanes;
        return d->in_flight == 0 || l->free > l->idle_devices;
}

static int64_t ready_us(const struct modbus_schedule *t, const struct modbus_schedule_device *d)
{
        int64_t at = due_of(t, d->heap[0]);

        if (d->down)
                at = d->probe_us > t->next_probe_us ? d->probe_us : t->next_probe_us;
        return at > t->hold_us[d->unit] ? at : t->hold_us[d->unit];
}

static struct modbus_schedule_device *earlier(const struct modbus_schedule *t, struct modbus_schedule_device *a,
                                              struct modbus_schedule_device *b)
{
        return !a || due_of(t, b->heap[0]) < due_of(t, a->heap[0]) ? b : a;
}

/* A slave in doubt that has waited so long goes, whoever waits behind it. */
static int64_t impatient_us(const struct modbus_schedule *t, const struct modbus_schedule_device *d)
{
        int64_t at = ready_us(t, d) + PATIENCE * d->timeout_us;

        return at > t->doubt_turn_us ? at : t->doubt_turn_us;
}

/*
 * On one lane an unanswered request makes the others wait, so it goes where it
 * fits between them.
 */
static bool fits_before(const struct modbus_schedule *t, const struct modbus_schedule_device *d, int64_t now_us,
                        int64_t healthy_us)
{
        return healthy_us > now_us && (t->lanes > 1 || healthy_us > now_us + d->timeout_us);
}

static int64_t earliest(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

bool modbus_schedule_take(struct modbus_schedule *t, int64_t now_us, size_t *read, int64_t *wake_us)
{
        struct modbus_schedule_device *healthy = NULL, *doubtful = NULL, *d;
        int64_t healthy_us = INT64_MAX;
        struct lanes lanes;

        *wake_us = INT64_MAX;
        if (t->n_busy == t->lanes)
                return false;
        lanes = look_at_lanes(t);
        for (size_t i = 0; i < t->n_devices; i++) {
                d = &t->devices[i];
                if (!d->n_heap || !may_take_lane(t, d, &lanes))
                        continue;
                if (!in_doubt(d))
                        healthy_us = earliest(healthy_us, ready_us(t, d));
                if (ready_us(t, d) > now_us)
                        *wake_us = earliest(*wake_us, ready_us(t, d));
                else if (in_doubt(d))
                        doubtful = earlier(t, doubtful, d);
                else
                        healthy = earlier(t, healthy, d);
        }
        if (doubtful && !fits_before(t, doubtful, now_us, healthy_us) && now_us < impatient_us(t, doubtful)) {
                *wake_us = earliest(*wake_us, impatient_us(t, doubtful));
                doubtful = NULL;
        }
        d = doubtful ? doubtful : healthy;
        if (!d)
                return false;
        *read = take_out(t, d, 0);
        d->in_flight++;
        t->n_busy++;
        return true;
}

/* ---- how it ended ---- */

/* The first slot of a read after `us`. */
static int64_t slot_after(const struct modbus_schedule *t, size_t read, int64_t us)
{
        const struct modbus_read *r = &t->plan->reads[read];
        int64_t since = us - t->epoch_us - r->phase_us, k = since / r->period_us + (since >= 0);

        return t->epoch_us + r->phase_us + k * r->period_us;
}

static void schedule(struct modbus_schedule *t, size_t read, int64_t now_us)
{
        struct modbus_schedule_read *r = &t->reads[read];
        int64_t wanted = slot_after(t, read, r->due_us), next = slot_after(t, read, now_us);

        r->tries = 0;
        if (next > wanted)
                t->n_overruns += (uint64_t)((next - wanted) / t->plan->reads[read].period_us);
        r->due_us = next > wanted ? next : wanted;
}

static void release(struct modbus_schedule *t, size_t read)
{
        device_of(t, read)->in_flight--;
        t->n_busy--;
        push(t, device_of(t, read), (uint32_t)read);
}

/* All its reads are due; equal keys keep a heap a heap. */
static void come_back(struct modbus_schedule *t, struct modbus_schedule_device *d, int64_t now_us)
{
        d->down = false;
        d->probe_pause_us = PROBE_FIRST_US;
        for (size_t i = 0; i < d->n_heap; i++)
                t->reads[d->heap[i]] = (struct modbus_schedule_read){.due_us = now_us};
}

/*
 * How long the rest of the bus has its turn after something in doubt held one
 * lane for `cost_us`.
 */
static int64_t others_us(const struct modbus_schedule *t, int64_t cost_us)
{
        return t->lanes < SHARE ? cost_us * (SHARE - t->lanes) / t->lanes : 0;
}

static void probe_later(struct modbus_schedule *t, struct modbus_schedule_device *d, int64_t now_us, int64_t cost_us)
{
        d->probe_us = now_us + d->probe_pause_us;
        d->probe_pause_us = 2 * d->probe_pause_us < PROBE_MAX_US ? 2 * d->probe_pause_us : PROBE_MAX_US;
        t->next_probe_us = now_us + others_us(t, cost_us);
}

static void note(struct modbus_schedule *t, struct modbus_schedule_device *d, bool answered, int64_t now_us,
                 int64_t cost_us)
{
        if (in_doubt(d))
                t->doubt_turn_us = now_us + others_us(t, cost_us);
        if (answered) {
                d->n_silent = 0;
                d->doubt -= d->doubt > 0;
        } else {
                d->n_silent++;
                d->doubt = d->doubt + DOUBT_STEP < DOUBT_MAX ? d->doubt + DOUBT_STEP : DOUBT_MAX;
        }
}

struct modbus_schedule_result modbus_schedule_done(struct modbus_schedule *t, size_t read, enum modbus_answer answer,
                                                   int64_t now_us, int64_t cost_us)
{
        struct modbus_schedule_device *d = device_of(t, read);
        struct modbus_schedule_result result = {.failed = false};

        note(t, d, answer != MODBUS_SILENT, now_us, cost_us);
        if (answer != MODBUS_SILENT && d->down) {
                result.came_back = true;
                come_back(t, d, now_us);
        }
        if (answer == MODBUS_BUSY)
                t->hold_us[d->unit] = now_us + BUSY_US;
        if (d->down) {
                t->reads[read].due_us = now_us;
                probe_later(t, d, now_us, cost_us);
                result.failed = true;
        } else if (answer == MODBUS_ANSWERED || t->reads[read].tries >= d->retries) {
                result.failed = answer != MODBUS_ANSWERED;
                schedule(t, read, now_us);
        } else {
                t->reads[read].tries++;
        }
        if (result.failed && !d->down && d->n_silent >= DOWN_AFTER) {
                d->down = result.went_down = true;
                probe_later(t, d, now_us, cost_us);
        }
        release(t, read);
        return result;
}

void modbus_schedule_back(struct modbus_schedule *t, size_t read, int64_t due_us)
{
        t->reads[read].due_us = due_us;
        release(t, read);
}

void modbus_schedule_add(struct modbus_schedule *t, size_t read, int64_t due_us)
{
        t->reads[read] = (struct modbus_schedule_read){.due_us = due_us};
        push(t, device_of(t, read), (uint32_t)read);
}

void modbus_schedule_remove(struct modbus_schedule *t, size_t read)
{
        struct modbus_schedule_device *d = device_of(t, read);
        size_t at = 0;

        while (at < d->n_heap && d->heap[at] != read)
                at++;
        BUG_ON(at == d->n_heap);
        take_out(t, d, at);
}
