/*
 * scan: how long requests take on the wire, see plan.h.
 *
 * The scan time is a sum of what is known (frames, silence, pauses) and one
 * guess, the slave's turn.
 *
 * Fails: never.
 */
#include <stdio.h>

#include "agent/base/text.h"
#include "drivers/modbus/plan.h"

enum { TURN_RTU_US = 5000, TURN_TCP_US = 2000, REQUEST_BYTES = 8, REPLY_BYTES = 5 };

int64_t modbus_char_ns(const struct modbus_conf *bus)
{
        int64_t bits = 1 + bus->data_bits + (bus->parity != MODBUS_PARITY_NONE) + bus->stop_bits;

        return modbus_is_socket(bus) ? 0 : bits * 1000000000 / bus->baud;
}

/* Above 19200 baud the specification wants 1.75 ms whatever the speed. */
int64_t modbus_silence_us(const struct modbus_conf *bus)
{
        if (modbus_is_socket(bus))
                return 0;
        if (bus->silence_us >= 0)
                return bus->silence_us;
        return bus->baud > 19200 ? 1750 : (modbus_char_ns(bus) * 7 / 2 + 999) / 1000;
}

static int64_t read_us(const struct modbus_conf *bus, const struct modbus_device_conf *d, const struct modbus_read *r,
                       int64_t turn_us)
{
        size_t bytes = REQUEST_BYTES + REPLY_BYTES + (r->function <= 2 ? (r->count + 7u) / 8 : 2u * r->count);
        bool ascii = modbus_framing_of(bus) == MODBUS_ASCII;

        return (int64_t)(ascii ? 2 * bytes + 4 : bytes) * modbus_char_ns(bus) / 1000 + turn_us +
               modbus_silence_us(bus) + modbus_pause_us(bus, d);
}

void modbus_scan(const struct modbus_conf *bus, struct modbus_scan *out)
{
        struct modbus_plan *p = modbus_plan_new(bus);
        double lanes = (double)bus->in_flight;

        *out = (struct modbus_scan){.n_devices = p->n_devices,
                                    .n_tags = p->n_points,
                                    .n_reads = p->n_reads,
                                    .turn_us = modbus_is_socket(bus) ? TURN_TCP_US : TURN_RTU_US};
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

        if (bus->listen) {
                n = snprintf(out, cap, "%s: only listens, %zu device%s, %zu tag%s", bus->name, s->n_devices,
                             s->n_devices == 1 ? "" : "s", s->n_tags, s->n_tags == 1 ? "" : "s");
                return (size_t)n < cap ? (size_t)n : cap - 1;
        }
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

        if (s->load <= 0.8 || bus->listen)
                return false;
        put_us(scan, sizeof(scan), s->scan_us);
        put_us(shortest, sizeof(shortest), s->shortest_us);
        snprintf(out, cap,
                 "the periods on %s %s: the requests take %.0f %% of the time there is (all of them once: %s, shortest "
                 "period: %s); longer periods, more baud or fewer devices per bus are needed",
                 bus->name, s->load > 1 ? "can't be met" : "can hardly be met", 100 * s->load, scan, shortest);
        return true;
}
