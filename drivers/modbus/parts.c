/*
 * parts: what becomes of a read that a slave refuses as a whole.
 *
 * Several values in one request save time, but a slave may refuse them for one
 * of them, for what lies between, or for their number, and it says so with any
 * exception, a short answer or none at all.  So a read that is refused is asked
 * in two halves, these again, until what can be had is had; only a value that
 * is refused by itself is bad.  A silent slave says less than one that answers,
 * so silence splits only what has never worked.
 *
 * What was found is kept, and given a trial as one request later, first after
 * ten minutes, then with growing pauses up to a day: a slave may have had a bad
 * moment.  A read of which no part is answered is one again, so that a slave
 * that has nothing there costs one request and not one for each value.
 *
 * Fails: never.
 */
#include "drivers/modbus/bus_impl.h"

#define MINUTE_US (60 * 1000000ll)
#define FIRST_US  (10 * MINUTE_US)
#define MOST_US   (24 * 60 * MINUTE_US)

static struct modbus_parts *parts_of(struct modbus_bus *b, size_t read)
{
        return &b->parts[b->plan->reads[read].family];
}

static size_t next_of(const struct modbus_bus *b, size_t read)
{
        return b->plan->reads[read].sibling;
}

static void wait_longer(struct modbus_parts *f, int64_t now_us)
{
        f->pause_us = !f->pause_us ? FIRST_US : 2 * f->pause_us < MOST_US ? 2 * f->pause_us : MOST_US;
        f->join_us = now_us + f->pause_us;
}

static void fresh(struct modbus_bus *b, size_t read)
{
        b->said[read].worked = b->said[read].refused = false;
}

/* ---- as one, and apart again ---- */

/*
 * None of the family is under way; `read` is not in the heap either when
 * `taken`.
 */
static void join(struct modbus_bus *b, size_t read, bool taken, int64_t now_us)
{
        for (size_t i = next_of(b, read); i != read; i = next_of(b, i)) {
                if (b->plan->reads[i].n)
                        modbus_schedule_remove(&b->schedule, i);
        }
        modbus_plan_join(b->plan, read);
        if (taken)
                return;
        modbus_schedule_remove(&b->schedule, read);
        modbus_schedule_add(&b->schedule, read, now_us);
}

/*
 * The trial failed, or can't be waited for: the read is in the heap, and so are
 * the others again.
 */
static void restore(struct modbus_bus *b, size_t read, int64_t now_us)
{
        parts_of(b, read)->trial = false;
        modbus_plan_restore(b->plan, read);
        modbus_schedule_remove(&b->schedule, read);
        modbus_schedule_add(&b->schedule, read, now_us);
        for (size_t i = next_of(b, read); i != read; i = next_of(b, i)) {
                if (b->plan->reads[i].n)
                        modbus_schedule_add(&b->schedule, i, now_us);
        }
        if (!b->schedule.devices[b->plan->reads[read].device].down)
                return;
        for (size_t i = next_of(b, read); i != read; i = next_of(b, i))
                modbus_bus_tell_bad(b, i, QUALITY_BAD_COMM_FAILURE, "no answer");
}

static bool under_way(const struct modbus_bus *b, size_t but, size_t family)
{
        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                const struct modbus_slot *s = &b->slots[i];

                if (s->used && s->read != but && b->plan->reads[s->read].family == family)
                        return true;
        }
        return false;
}

void modbus_parts_turn(struct modbus_bus *b, size_t read, int64_t now_us)
{
        const struct modbus_read *r = &b->plan->reads[read];
        struct modbus_parts *f = parts_of(b, read);

        if (!f->split || f->trial || now_us < f->join_us || b->schedule.devices[r->device].down ||
            under_way(b, read, r->family))
                return;
        f->trial = true;
        join(b, read, true, now_us);
}

void modbus_parts_worked(struct modbus_bus *b, size_t read)
{
        struct modbus_parts *f = parts_of(b, read);

        b->said[read].worked = true;
        b->said[read].refused = false;
        if (f->trial || f->whole) {
                modbus_plan_forget(b->plan, read);
                *f = (struct modbus_parts){.split = false};
        }
}

/* ---- refused ---- */

static bool all_refused(const struct modbus_bus *b, size_t read)
{
        size_t i = read;

        do {
                if (b->plan->reads[i].n && (!b->said[i].refused || b->said[i].worked))
                        return false;
                i = next_of(b, i);
        } while (i != read);
        return true;
}

static bool split(struct modbus_bus *b, size_t read, int64_t now_us)
{
        struct modbus_parts *f = parts_of(b, read);
        size_t second;

        if (f->whole && now_us < f->join_us)
                return false;
        if (!modbus_plan_split(b->plan, read, &second))
                return false;
        f->whole = false;
        if (!f->split)
                wait_longer(f, now_us);
        f->split = true;
        b->said[second].quality = b->said[read].quality;
        fresh(b, read);
        fresh(b, second);
        modbus_schedule_remove(&b->schedule, read);
        modbus_schedule_add(&b->schedule, read, now_us);
        modbus_schedule_add(&b->schedule, second, now_us);
        return true;
}

void modbus_parts_failed(struct modbus_bus *b, size_t read, enum modbus_refusal how, enum quality quality,
                         const char *why, int64_t now_us)
{
        struct modbus_parts *f = parts_of(b, read);
        size_t family = b->plan->reads[read].family;

        if (f->trial) {
                wait_longer(f, now_us);
                restore(b, read, now_us);
                return;
        }
        if ((how == MODBUS_REFUSED || (how == MODBUS_MUTE && !b->said[read].worked)) && split(b, read, now_us))
                return;
        b->said[read].refused |= how != MODBUS_AWAY;
        modbus_bus_tell_bad(b, read, quality, why);
        if (!f->split || under_way(b, read, family) || !all_refused(b, read))
                return;
        join(b, read, false, b->schedule.reads[read].due_us);
        modbus_plan_forget(b->plan, read);
        f->split = false;
        f->whole = true;
}

/* ---- devices that go and come ---- */

void modbus_parts_settle(struct modbus_bus *b, size_t device, int64_t now_us)
{
        for (size_t i = 0; i < b->plan->n_reads; i++) {
                const struct modbus_read *r = &b->plan->reads[i];

                if (r->n && (device == SIZE_MAX || r->device == device) && parts_of(b, i)->trial &&
                    !under_way(b, SIZE_MAX, r->family))
                        restore(b, i, now_us);
        }
}

static bool none_worked(const struct modbus_bus *b, size_t read)
{
        size_t i = read;

        do {
                if (b->plan->reads[i].n && b->said[i].worked)
                        return false;
                i = next_of(b, i);
        } while (i != read);
        return true;
}

void modbus_parts_back(struct modbus_bus *b, size_t device, int64_t now_us)
{
        for (size_t i = 0; i < b->plan->n_reads; i++) {
                const struct modbus_read *r = &b->plan->reads[i];
                struct modbus_parts *f = parts_of(b, i);

                if (!r->n || r->device != device || !f->split || f->trial || under_way(b, SIZE_MAX, r->family) ||
                    !none_worked(b, i))
                        continue;
                join(b, i, false, now_us);
                modbus_plan_forget(b->plan, i);
                fresh(b, i);
                *f = (struct modbus_parts){.split = false};
        }
}
