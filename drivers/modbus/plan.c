/*
 * plan: see plan.h.
 *
 * Values of one device, table and period are sorted by address and taken
 * together while the hole between them is small and the request stays within
 * its bound: a request costs about 20 characters and a turn of the line, a
 * register two.  A value is never split over two requests, its halves would be
 * of different moments.  Requests of equal period are spread over the period,
 * so that a bus is not asked everything at once.
 *
 * Fails: never; the configuration was checked.
 */
#include "drivers/modbus/plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- points ---- */

static void fill_point(struct modbus_point *p, size_t device, const struct modbus_device_conf *d,
                       const struct modbus_register_conf *r, unsigned index)
{
        bool bits = r->table <= MODBUS_DISCRETE;
        unsigned low, high;

        p->device = (uint16_t)device;
        p->conf = r;
        p->table = (uint8_t)r->table;
        p->index = (uint16_t)index;
        p->period_us = modbus_period_us(d, r);
        p->format.type = (uint8_t)r->type;
        p->format.order = (uint8_t)(r->word_order ? r->word_order - 1 : d->map->word_order);
        p->format.bit = (uint8_t)(r->bit >= 0 ? r->bit : 0);
        p->format.high = r->byte == MODBUS_HIGH;
        p->format.length = (uint8_t)(r->length > 0 ? r->length : 0);
        p->width = (uint16_t)(bits ? 1 : modbus_type_width(p->format.type, p->format.length));
        p->address = (uint16_t)(r->address + index * p->width);
        p->scale_at = r->scale_where ? (int32_t)r->scale_address : -1;
        low = p->scale_at >= 0 && p->scale_at < p->address ? (unsigned)p->scale_at : p->address;
        high = p->address + p->width;
        high = p->scale_at >= (int32_t)high ? (unsigned)p->scale_at + 1 : high;
        p->low = p->atom = (uint16_t)low;
        p->high = high;
}

static int by_group(const char *a, const char *b)
{
        if (!a || !b)
                return (a != NULL) - (b != NULL);
        return strcmp(a, b);
}

static int by_place(const void *a, const void *b)
{
        const struct modbus_point *x = a, *y = b;

        if (x->device != y->device)
                return x->device < y->device ? -1 : 1;
        if (x->period_us != y->period_us)
                return x->period_us < y->period_us ? -1 : 1;
        if (x->table != y->table)
                return x->table < y->table ? -1 : 1;
        if (x->atom != y->atom)
                return x->atom < y->atom ? -1 : 1;
        if (by_group(x->conf->group, y->conf->group))
                return by_group(x->conf->group, y->conf->group);
        if (x->address != y->address)
                return x->address < y->address ? -1 : 1;
        return x->conf < y->conf ? -1 : x->conf > y->conf;
}

/* A group is one thing that lies where its first member does. */
static void bind_groups(struct modbus_point *points, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const char *group = points[i].conf->group;

                for (size_t j = 0; group && j < n; j++) {
                        if (points[j].conf->group && strcmp(points[j].conf->group, group) == 0 &&
                            points[j].low < points[i].atom)
                                points[i].atom = points[j].low;
                }
        }
}

/*
 * That of an earlier device with the same map, which has its points in the same
 * order; or another.
 */
static const struct modbus_convert *convert_of(struct modbus_plan *p, const struct modbus_device_conf *d, size_t at,
                                               const struct modbus_register_conf *r)
{
        size_t first = 0;

        for (size_t i = 0; i < p->n_devices; i++) {
                if (p->devices[i]->map == d->map)
                        return p->points[first + at].convert;
                first += modbus_points_of(p->devices[i]);
        }
        modbus_convert_init(&p->converts[p->n_converts], r);
        return &p->converts[p->n_converts++];
}

static void make_points(struct modbus_plan *p, const struct modbus_conf *bus)
{
        size_t n = 0;

        for (const struct modbus_device_conf *d = bus->devices; d; d = d->next) {
                p->n_devices++;
                p->n_points += modbus_points_of(d);
                p->n_converts += d->map->registers.n;
        }
        p->devices = mem_alloc((p->n_devices + 1) * sizeof(*p->devices));
        p->points = mem_alloc((p->n_points + 1) * sizeof(*p->points));
        p->reads = mem_alloc((p->n_points + 1) * sizeof(*p->reads));
        p->converts = mem_alloc((p->n_converts + 1) * sizeof(*p->converts));
        p->n_devices = p->n_converts = 0;
        for (const struct modbus_device_conf *d = bus->devices; d; d = d->next) {
                size_t first = n;

                for (size_t i = 0; i < d->map->registers.n; i++) {
                        const struct modbus_register_conf *r = d->map->registers.items;
                        const struct modbus_convert *convert = convert_of(p, d, n - first, &r[i]);

                        for (unsigned k = 0; k < modbus_tags_of(&r[i]); k++) {
                                fill_point(&p->points[n], p->n_devices, d, &r[i], k);
                                p->points[n++].convert = convert;
                        }
                }
                bind_groups(p->points + first, n - first);
                p->devices[p->n_devices++] = d;
        }
        qsort(p->points, p->n_points, sizeof(*p->points), by_place);
}

/* ---- reads ---- */

/* How many points from `first` on are one: a group, or one point. */
static uint32_t atom_points(const struct modbus_plan *p, uint32_t first, unsigned *end)
{
        uint32_t n = 0;

        *end = 0;
        do {
                if (modbus_point_end(&p->points[first + n]) > *end)
                        *end = modbus_point_end(&p->points[first + n]);
                n++;
        } while (first + n < p->n_points && modbus_points_bound(&p->points[first + n - 1], &p->points[first + n]));
        return n;
}

static bool fits(const struct modbus_conf *bus, const struct modbus_plan *p, const struct modbus_read *r,
                 const struct modbus_point *pt, unsigned atom_end)
{
        const struct modbus_point *first = &p->points[r->first];
        const struct modbus_device_conf *d = p->devices[pt->device];
        bool bits = pt->table <= MODBUS_DISCRETE;
        unsigned hole = (unsigned)modbus_hole_limit(bus, d) * (bits ? 16 : 1);
        unsigned most = bits ? MODBUS_BITS_MAX : (unsigned)modbus_max_registers(bus, d);
        unsigned end = atom_end > r->address + r->count ? atom_end : r->address + r->count;

        return pt->device == first->device && pt->table == first->table && pt->period_us == first->period_us &&
               pt->atom <= r->address + r->count + hole && end - r->address <= most;
}

static void make_reads(struct modbus_plan *p, const struct modbus_conf *bus)
{
        struct modbus_read *r = NULL;
        unsigned end;

        for (uint32_t i = 0; i < p->n_points;) {
                const struct modbus_point *pt = &p->points[i];
                uint32_t n = atom_points(p, i, &end);

                if (!r || !fits(bus, p, r, pt, end)) {
                        r = &p->reads[p->n_reads];
                        *r = (struct modbus_read){.device = pt->device,
                                                  .function = modbus_function(bus, p->devices[pt->device], pt->table),
                                                  .address = pt->atom,
                                                  .first = i,
                                                  .period_us = pt->period_us,
                                                  .family = (uint32_t)p->n_reads,
                                                  .sibling = (uint32_t)p->n_reads};
                        p->n_reads++;
                }
                r->n += n;
                i += n;
                if (end > r->address + r->count)
                        r->count = (uint16_t)(end - r->address);
        }
        p->families = mem_alloc((p->n_reads + 1) * sizeof(*p->families));
        for (size_t i = 0; i < p->n_reads; i++)
                p->families[i] = (struct modbus_family){.first = p->reads[i].first, .n = p->reads[i].n};
}

/*
 * Equal periods: the i-th of n starts at i/n of the period. Quadratic only in
 * the number of different periods.
 */
static void stagger(struct modbus_plan *p)
{
        for (size_t i = 0; i < p->n_reads; i++)
                p->reads[i].phase_us = -1;
        for (size_t i = 0; i < p->n_reads; i++) {
                int64_t period_us = p->reads[i].period_us, n = 0, k = 0;

                if (p->reads[i].phase_us >= 0)
                        continue;
                for (size_t j = i; j < p->n_reads; j++)
                        n += p->reads[j].period_us == period_us;
                for (size_t j = i; j < p->n_reads; j++) {
                        if (p->reads[j].period_us == period_us)
                                p->reads[j].phase_us = (int64_t)((double)period_us * (double)k++ / (double)n);
                }
        }
}

struct modbus_plan *modbus_plan_new(const struct modbus_conf *bus)
{
        struct modbus_plan *p = mem_alloc(sizeof(*p));

        make_points(p, bus);
        make_reads(p, bus);
        stagger(p);
        return p;
}

void modbus_plan_free(struct modbus_plan *p)
{
        for (size_t i = 0; i < p->n_converts; i++)
                modbus_convert_fini(&p->converts[i]);
        free(p->converts);
        free(p->devices);
        free(p->points);
        free(p->reads);
        free(p->families);
        free(p);
}

size_t modbus_plan_text_room(const struct modbus_plan *p)
{
        size_t most = 0;

        for (size_t i = 0; i < p->n_reads; i++) {
                size_t room = 0;

                for (uint32_t k = 0; k < p->reads[i].n; k++)
                        room += modbus_text_room(&p->points[p->reads[i].first + k].format);
                most = room > most ? room : most;
        }
        return most;
}

size_t modbus_plan_points_most(const struct modbus_plan *p)
{
        size_t most = 0;

        for (size_t i = 0; i < p->n_reads; i++)
                most = p->reads[i].n > most ? p->reads[i].n : most;
        return most;
}
