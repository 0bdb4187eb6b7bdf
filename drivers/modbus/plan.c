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
 * The scan time is a sum of what is known (frames, silence, pauses) and one
 * guess, the slave's turn.
 *
 * Fails: never; the configuration was checked.
 */
#include "drivers/modbus/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

enum { TURN_RTU_US = 5000, TURN_TCP_US = 2000, REQUEST_BYTES = 8, REPLY_BYTES = 5 };

/* ---- points ---- */

static int64_t period_of(const struct modbus_device_conf *d, const struct modbus_register_conf *r)
{
        if (r->period_us)
                return r->period_us;
        return d->period_us ? d->period_us : d->map->period_us;
}

static void fill_point(struct modbus_point *p, size_t device, const struct modbus_device_conf *d,
                       const struct modbus_register_conf *r)
{
        bool bits = r->table <= MODBUS_DISCRETE;

        p->device = (uint16_t)device;
        p->conf = r;
        p->table = (uint8_t)r->table;
        p->address = (uint16_t)r->address;
        p->period_us = period_of(d, r);
        p->format.type = (uint8_t)r->type;
        p->format.order = (uint8_t)(r->word_order ? r->word_order - 1 : d->map->word_order);
        p->format.bit = (uint8_t)(r->bit >= 0 ? r->bit : 0);
        p->format.length = (uint8_t)(r->length > 0 ? r->length : 0);
        modbus_format_scale(&p->format, r->scale, r->offset);
        p->width = (uint16_t)(bits ? 1 : modbus_type_width(p->format.type, p->format.length));
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
        if (x->address != y->address)
                return x->address < y->address ? -1 : 1;
        return x->conf < y->conf ? -1 : x->conf > y->conf;
}

static void make_points(struct modbus_plan *p, const struct modbus_conf *bus)
{
        size_t n = 0;

        for (const struct modbus_device_conf *d = bus->devices; d; d = d->next) {
                p->n_devices++;
                p->n_points += d->map->registers.n;
        }
        p->devices = mem_alloc((p->n_devices + 1) * sizeof(*p->devices));
        p->points = mem_alloc((p->n_points + 1) * sizeof(*p->points));
        p->reads = mem_alloc((p->n_points + 1) * sizeof(*p->reads));
        p->n_devices = 0;
        for (const struct modbus_device_conf *d = bus->devices; d; d = d->next) {
                const struct modbus_register_conf *r = d->map->registers.items;

                for (size_t i = 0; i < d->map->registers.n; i++)
                        fill_point(&p->points[n++], p->n_devices, d, &r[i]);
                p->devices[p->n_devices++] = d;
        }
        qsort(p->points, p->n_points, sizeof(*p->points), by_place);
}

/* ---- reads ---- */

static unsigned end_of(const struct modbus_point *p)
{
        return p->address + p->width;
}

static bool fits(const struct modbus_conf *bus, const struct modbus_read *r, const struct modbus_point *first,
                 const struct modbus_point *p)
{
        bool bits = p->table <= MODBUS_DISCRETE;
        unsigned hole = (unsigned)bus->hole_limit * (bits ? 16 : 1);
        unsigned most = bits ? MODBUS_BITS_MAX : (unsigned)bus->max_registers;
        unsigned end = end_of(p) > r->address + r->count ? end_of(p) : r->address + r->count;

        return p->device == first->device && p->table == first->table && p->period_us == first->period_us &&
               p->address <= r->address + r->count + hole && end - r->address <= most;
}

static void make_reads(struct modbus_plan *p, const struct modbus_conf *bus)
{
        struct modbus_read *r = NULL;

        for (uint32_t i = 0; i < p->n_points; i++) {
                const struct modbus_point *pt = &p->points[i];

                if (!r || !fits(bus, r, &p->points[r->first], pt)) {
                        r = &p->reads[p->n_reads++];
                        *r = (struct modbus_read){.device = pt->device,
                                                  .function = (uint8_t)(pt->table + 1),
                                                  .address = pt->address,
                                                  .first = i,
                                                  .period_us = pt->period_us};
                }
                r->n++;
                if (end_of(pt) > r->address + r->count)
                        r->count = (uint16_t)(end_of(pt) - r->address);
        }
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
        free(p->devices);
        free(p->points);
        free(p->reads);
        free(p);
}

/* The first point behind the largest hole of a read; r->first: none. */
static uint32_t behind_largest_hole(const struct modbus_plan *p, const struct modbus_read *r)
{
        unsigned end = r->address, largest = 0;
        uint32_t at = r->first;

        for (uint32_t i = r->first; i < r->first + r->n; i++) {
                const struct modbus_point *pt = &p->points[i];

                if (pt->address > end && pt->address - end > largest) {
                        largest = pt->address - end;
                        at = i;
                }
                if (end_of(pt) > end)
                        end = end_of(pt);
        }
        return at;
}

static void set_span(const struct modbus_plan *p, struct modbus_read *r, uint32_t first, uint32_t n)
{
        unsigned end = 0;

        r->first = first;
        r->n = n;
        r->address = p->points[first].address;
        for (uint32_t i = first; i < first + n; i++)
                end = end_of(&p->points[i]) > end ? end_of(&p->points[i]) : end;
        r->count = (uint16_t)(end - r->address);
}

bool modbus_plan_split(struct modbus_plan *p, size_t read)
{
        struct modbus_read *r = &p->reads[read];
        uint32_t first = r->first, n = r->n, at = behind_largest_hole(p, r);

        if (at == first)
                return false;
        BUG_ON(p->n_reads >= p->n_points);
        p->reads[p->n_reads] = *r;
        set_span(p, &p->reads[p->n_reads++], at, first + n - at);
        set_span(p, r, first, at - first);
        return true;
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

/* ---- time on the wire ---- */

static bool is_tcp(const struct modbus_conf *bus)
{
        return bus->port[0] != '/';
}

int64_t modbus_char_ns(const struct modbus_conf *bus)
{
        int64_t bits = 1 + bus->data_bits + (bus->parity != MODBUS_PARITY_NONE) + bus->stop_bits;

        return is_tcp(bus) ? 0 : bits * 1000000000 / bus->baud;
}

/* Above 19200 baud the specification wants 1.75 ms whatever the speed. */
int64_t modbus_silence_us(const struct modbus_conf *bus)
{
        if (is_tcp(bus))
                return 0;
        if (bus->silence_us >= 0)
                return bus->silence_us;
        return bus->baud > 19200 ? 1750 : (modbus_char_ns(bus) * 7 / 2 + 999) / 1000;
}

static int64_t read_us(const struct modbus_conf *bus, const struct modbus_device_conf *d, const struct modbus_read *r,
                       int64_t turn_us)
{
        size_t bytes = REQUEST_BYTES + REPLY_BYTES + (r->function <= 2 ? (r->count + 7u) / 8 : 2u * r->count);

        return (int64_t)bytes * modbus_char_ns(bus) / 1000 + turn_us + modbus_silence_us(bus) + modbus_pause_us(bus, d);
}

void modbus_scan(const struct modbus_conf *bus, struct modbus_scan *out)
{
        struct modbus_plan *p = modbus_plan_new(bus);
        double lanes = is_tcp(bus) ? (double)bus->in_flight : 1;

        *out = (struct modbus_scan){.n_devices = p->n_devices,
                                    .n_tags = p->n_points,
                                    .n_reads = p->n_reads,
                                    .turn_us = is_tcp(bus) ? TURN_TCP_US : TURN_RTU_US};
        for (size_t i = 0; i < p->n_reads; i++) {
                const struct modbus_read *r = &p->reads[i];
                const struct modbus_device_conf *d = p->devices[r->device];
                int64_t us = read_us(bus, d, r, out->turn_us);

                out->n_registers += r->count;
                out->scan_us += us;
                out->load += (double)us / (double)r->period_us / lanes;
                if (!out->shortest_us || r->period_us < out->shortest_us)
                        out->shortest_us = r->period_us;
        }
        out->scan_us = (int64_t)((double)out->scan_us / lanes);
        modbus_plan_free(p);
}

static size_t put_us(char *out, size_t cap, int64_t us)
{
        if (us < 1000000)
                return (size_t)snprintf(out, cap, "%.3g ms", (double)us / 1e3);
        return (size_t)snprintf(out, cap, "%.4g s", (double)us / 1e6);
}

size_t modbus_scan_text(const struct modbus_conf *bus, const struct modbus_scan *s, char *out, size_t cap)
{
        char scan[32], turn[32];
        int n;

        put_us(scan, sizeof(scan), s->scan_us);
        put_us(turn, sizeof(turn), s->turn_us);
        n = snprintf(out, cap,
                     "%s: %zu device%s, %zu tag%s in %zu request%s, scan %s (%s per answer assumed), load %.0f %%",
                     bus->name, s->n_devices, s->n_devices == 1 ? "" : "s", s->n_tags, s->n_tags == 1 ? "" : "s",
                     s->n_reads, s->n_reads == 1 ? "" : "s", scan, turn, 100 * s->load);
        return (size_t)n < cap ? (size_t)n : cap - 1;
}

bool modbus_scan_warning(const struct modbus_conf *bus, const struct modbus_scan *s, char *out, size_t cap)
{
        char scan[32], shortest[32];

        if (s->load <= 0.8)
                return false;
        put_us(scan, sizeof(scan), s->scan_us);
        put_us(shortest, sizeof(shortest), s->shortest_us);
        snprintf(out, cap,
                 "the periods on %s %s: the requests take %.0f %% of the time there is (all of them once: %s, shortest "
                 "period: %s); longer periods, more baud or fewer devices per bus are needed",
                 bus->name, s->load > 1 ? "can't be met" : "can hardly be met", 100 * s->load, scan, shortest);
        return true;
}
