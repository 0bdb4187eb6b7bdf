/*
 * split: one read becomes two, and parts become one again, see plan.h.
 *
 * The reads that came of one are a ring, its family; each of their points
 * belongs to just one of them at any time.  A family never has more reads than
 * points, those that rest are taken before a new one is, so that no memory is
 * needed.
 *
 * Fails: never.
 */
#include <string.h>

#include "agent/base/err.h"
#include "drivers/modbus/plan.h"

bool modbus_points_bound(const struct modbus_point *a, const struct modbus_point *b)
{
        return a->device == b->device && a->conf->group && b->conf->group &&
               strcmp(a->conf->group, b->conf->group) == 0;
}

/*
 * Where a read is best cut: the first point behind its largest hole, else the
 * one next to the middle; 0: nowhere.
 */
static uint32_t best_cut(const struct modbus_plan *p, const struct modbus_read *r)
{
        unsigned end = r->address, largest = 0;
        uint32_t at = 0, middle = r->first + r->n / 2, hole_at = 0;

        for (uint32_t i = r->first; i < r->first + r->n; i++) {
                const struct modbus_point *pt = &p->points[i];
                bool may = i > r->first && !modbus_points_bound(pt - 1, pt);

                if (may && pt->atom > end && pt->atom - end > largest) {
                        largest = pt->atom - end;
                        hole_at = i;
                }
                if (may &&
                    (!at || (i <= middle ? middle - i : i - middle) < (at <= middle ? middle - at : at - middle)))
                        at = i;
                if (modbus_point_end(pt) > end)
                        end = modbus_point_end(pt);
        }
        return hole_at ? hole_at : at;
}

static void set_span(const struct modbus_plan *p, struct modbus_read *r, uint32_t first, uint32_t n)
{
        unsigned end = 0;

        r->first = first;
        r->n = n;
        r->address = p->points[first].atom;
        for (uint32_t i = first; i < first + n; i++)
                end = modbus_point_end(&p->points[i]) > end ? modbus_point_end(&p->points[i]) : end;
        r->count = (uint16_t)(end - r->address);
}

/* One of the family that rests, or another. */
static size_t spare(struct modbus_plan *p, size_t read)
{
        struct modbus_read *r = &p->reads[read];
        size_t i = r->sibling;

        while (i != read && p->reads[i].n)
                i = p->reads[i].sibling;
        if (i != read)
                return i;
        BUG_ON(p->n_reads >= p->n_points);
        i = p->n_reads++;
        p->reads[i] = *r;
        r->sibling = (uint32_t)i;
        return i;
}

bool modbus_plan_split(struct modbus_plan *p, size_t read, size_t *second)
{
        struct modbus_read *r = &p->reads[read];
        uint32_t first = r->first, n = r->n, at = best_cut(p, r);

        if (!at)
                return false;
        *second = spare(p, read);
        set_span(p, &p->reads[*second], at, first + n - at);
        set_span(p, r, first, at - first);
        return true;
}

void modbus_plan_join(struct modbus_plan *p, size_t read)
{
        struct modbus_family *f = &p->families[p->reads[read].family];
        size_t i = read;

        do {
                struct modbus_read *r = &p->reads[i];

                r->kept_first = r->first;
                r->kept_n = r->n;
                r->n = 0;
                i = r->sibling;
        } while (i != read);
        set_span(p, &p->reads[read], f->first, f->n);
}

void modbus_plan_restore(struct modbus_plan *p, size_t read)
{
        size_t i = read;

        do {
                struct modbus_read *r = &p->reads[i];

                if (r->kept_n)
                        set_span(p, r, r->kept_first, r->kept_n);
                i = r->sibling;
        } while (i != read);
        modbus_plan_forget(p, read);
}

void modbus_plan_forget(struct modbus_plan *p, size_t read)
{
        size_t i = read;

        do {
                p->reads[i].kept_n = 0;
                i = p->reads[i].sibling;
        } while (i != read);
}
