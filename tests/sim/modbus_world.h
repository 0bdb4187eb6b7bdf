/*
 * modbus_world: a Modbus bus in virtual time: the real state machine, and
 * slaves that do what a test wants.
 *
 * Every register of every slave has its own value, so an answer that is taken
 * for another request shows at once.  The line carries bytes in pieces, with
 * the time they take.
 */
#ifndef MILLRACE_TESTS_MODBUS_WORLD_H
#define MILLRACE_TESTS_MODBUS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/ascii.h"
#include "drivers/modbus/bus.h"

#define MS     1000
#define SECOND 1000000

enum { EVENTS_MAX = 4096, READS_MAX = 256, DEVICES_MAX = 16 };

struct event {
        int64_t at_us;
        uint64_t order;
        size_t len;
        uint8_t bytes[MODBUS_ASCII_MAX];
};

struct request {
        uint16_t transaction, address, count;
        uint8_t unit, function;
        int64_t at_us;
};

struct world {
        int64_t now_us;
        struct modbus_conf conf;
        struct modbus_profile_conf profiles[DEVICES_MAX];
        struct modbus_device_conf devices[DEVICES_MAX];
        struct modbus_register_conf registers[DEVICES_MAX][64];
        size_t n_devices;
        struct modbus_plan *plan;
        struct modbus_bus *bus;
        struct event *events;
        size_t n_events;
        uint64_t order;
        void (*on_request)(struct world *w, const struct request *r);
        void (*on_values)(struct world *w, size_t read, const uint8_t *data);
        uint64_t rng;

        long n_odd;
        char why[300]; /* of the last on_bad or on_odd */
        long n_data, n_wrong, n_bad, n_down, n_up, n_requests;
        long data_of[READS_MAX], bad_of[READS_MAX];
        unsigned quality_of[READS_MAX];
        long n_late_sent;
        void *test;
};

static inline uint64_t draw(struct world *w, uint64_t n)
{
        w->rng = w->rng * 6364136223846793005u + 1442695040888963407u;
        return (w->rng >> 33) % n;
}

static inline uint16_t value_of(unsigned unit, unsigned address)
{
        return (uint16_t)(unit * 4099u + address * 31u + 7u);
}

/* ---- the world's side of the bus ---- */

static inline void on_data(void *ctx, size_t read, const uint8_t *data)
{
        struct world *w = ctx;
        const struct modbus_read *r = &w->plan->reads[read];

        w->n_data++;
        w->data_of[read]++;
        w->quality_of[read] = QUALITY_GOOD;
        if (w->on_values) {
                w->on_values(w, read, data);
                return;
        }
        for (unsigned i = 0; i < r->count; i++)
                w->n_wrong += (data[2 * i] << 8 | data[2 * i + 1]) !=
                              value_of((unsigned)w->devices[r->device].unit, r->address + i);
}

static inline void on_bad(void *ctx, size_t read, enum quality quality, const char *why)
{
        struct world *w = ctx;

        w->n_bad++;
        w->bad_of[read]++;
        w->quality_of[read] = quality;
        snprintf(w->why, sizeof(w->why), "%s", why);
}

static inline void on_odd(void *ctx, size_t device, const char *why)
{
        struct world *w = ctx;

        assert_true(device < w->n_devices);
        w->n_odd++;
        snprintf(w->why, sizeof(w->why), "%s", why);
}

static inline void on_device(void *ctx, size_t device, bool up, const char *why)
{
        struct world *w = ctx;

        assert_non_null(why);
        w->n_up += up;
        w->n_down += !up;
}

static inline void add_register(struct world *w, size_t device, enum modbus_table table, unsigned address,
                                enum modbus_type type, unsigned length, int64_t period_us)
{
        struct modbus_profile_conf *p = &w->profiles[device];

        p->registers.items = w->registers[device];
        w->registers[device][p->registers.n++] = (struct modbus_register_conf){.tag = "t",
                                                                               .table = table,
                                                                               .address = address,
                                                                               .type = (int)type,
                                                                               .length = (int64_t)length,
                                                                               .convert = {.scale = 1},
                                                                               .bit = -1,
                                                                               .period_us = period_us};
}

static inline struct world *make(const char *port, size_t n_devices, unsigned first_unit)
{
        struct world *w = calloc(1, sizeof(*w));

        w->events = calloc(EVENTS_MAX, sizeof(*w->events));
        w->now_us = 1000 * SECOND;
        w->rng = 1;
        w->n_devices = n_devices;
        w->conf = (struct modbus_conf){.name = "bus",
                                       .port = port,
                                       .baud = 19200,
                                       .data_bits = 8,
                                       .stop_bits = 1,
                                       .parity = MODBUS_PARITY_EVEN,
                                       .timeout_us = 300 * MS,
                                       .silence_us = -1,
                                       .retries = 1,
                                       .in_flight = 1,
                                       .hole_limit = 0,
                                       .max_registers = 125};
        for (size_t i = 0; i < n_devices; i++) {
                w->profiles[i] = (struct modbus_profile_conf){.name = "p", .period_us = SECOND, .hole_limit = -1};
                w->devices[i] = (struct modbus_device_conf){.source = "s",
                                                            .bus = "bus",
                                                            .profile = "p",
                                                            .unit = (int64_t)(first_unit + i),
                                                            .retries = -1,
                                                            .pause_us = -1,
                                                            .hole_limit = -1};
        }
        return w;
}

static inline void start(struct world *w)
{
        for (size_t i = w->n_devices; i-- > 0;) {
                w->devices[i].map = &w->profiles[i];
                w->devices[i].next = w->conf.devices;
                w->conf.devices = &w->devices[i];
        }
        w->plan = modbus_plan_new(&w->conf);
        w->bus = modbus_bus_new(&w->conf, w->plan, &(struct modbus_outcome){on_data, on_bad, on_device, on_odd, w});
        modbus_bus_open(w->bus, w->now_us);
}

static inline void finish(struct world *w)
{
        modbus_bus_free(w->bus);
        modbus_plan_free(w->plan);
        free(w->events);
        free(w);
}

/* ---- the line ---- */

static inline void deliver(struct world *w, int64_t at_us, const uint8_t *p, size_t n)
{
        struct event *e = &w->events[w->n_events++];

        assert_true(w->n_events < EVENTS_MAX);
        *e = (struct event){.at_us = at_us, .order = w->order++, .len = n};
        memcpy(e->bytes, p, n);
}

/* In random pieces, each when its last character is through. */
static inline void deliver_paced(struct world *w, int64_t at_us, const uint8_t *p, size_t n)
{
        int64_t char_ns = modbus_char_ns(&w->conf);

        for (size_t at = 0; at < n;) {
                size_t part = 1 + (size_t)draw(w, 40);

                part = n - at < part ? n - at : part;
                deliver(w, at_us + (int64_t)(at + part) * char_ns / 1000, p + at, part);
                at += part;
        }
}

static inline size_t put_frame(const struct world *w, uint8_t *out, const struct request *r, const uint8_t *pdu,
                               size_t len)
{
        switch (modbus_framing_of(&w->conf)) {
        case MODBUS_TCP:
                return modbus_put_tcp(out, r->transaction, r->unit, pdu, len);
        case MODBUS_RTU:
                return modbus_put_rtu(out, r->unit, pdu, len);
        case MODBUS_ASCII:
                break;
        }
        return modbus_put_ascii(out, r->unit, pdu, len);
}

static inline size_t put_reply(const struct world *w, const struct request *r, uint8_t *out)
{
        uint8_t pdu[MODBUS_PDU_MAX] = {r->function, (uint8_t)(2 * r->count)};

        for (unsigned i = 0; i < r->count; i++) {
                uint16_t v = value_of(r->unit, r->address + i);

                pdu[2 + 2 * i] = (uint8_t)(v >> 8);
                pdu[3 + 2 * i] = (uint8_t)v;
        }
        return put_frame(w, out, r, pdu, 2u + pdu[1]);
}

static inline void answer(struct world *w, const struct request *r, int64_t delay_us)
{
        uint8_t out[MODBUS_ASCII_MAX];
        size_t n = put_reply(w, r, out);

        deliver_paced(w, w->now_us + 8 * modbus_char_ns(&w->conf) / 1000 + delay_us, out, n);
}

static inline void answer_exception(struct world *w, const struct request *r, unsigned code)
{
        uint8_t out[MODBUS_ASCII_MAX], pdu[2] = {(uint8_t)(r->function | 0x80), (uint8_t)code};
        size_t n = put_frame(w, out, r, pdu, 2);

        deliver_paced(w, w->now_us + 10 * MS, out, n);
}

static inline void take_request(struct world *w, const uint8_t *p, size_t len)
{
        struct request r = {.at_us = w->now_us};
        struct modbus_frame f;
        struct modbus_ascii ascii = {.len = 0};
        struct modbus_tcp tcp = {.len = 0};

        if (modbus_framing_of(&w->conf) == MODBUS_TCP) {
                modbus_tcp_push(&tcp, p, len);
                assert_int_equal(modbus_tcp_next(&tcp, &f), 1);
                r.transaction = f.transaction;
        } else {
                struct modbus_rtu rtu = {.len = 0};

                if (modbus_framing_of(&w->conf) == MODBUS_ASCII) {
                        for (size_t i = 0; i < len; i++)
                                assert_int_equal(modbus_ascii_take(&ascii, p[i]), i + 1 == len);
                        p = ascii.frame;
                        len = ascii.len;
                }
                modbus_rtu_push(&rtu, p, len);
                assert_true(modbus_rtu_next(&rtu, MODBUS_REQUEST, true, &f));
                memcpy(ascii.frame, rtu.frame, sizeof(rtu.frame));
                f.pdu = ascii.frame + 1;
        }
        r.unit = f.unit;
        p = f.pdu;
        r.function = p[0];
        r.address = (uint16_t)(p[1] << 8 | p[2]);
        r.count = (uint16_t)(p[3] << 8 | p[4]);
        w->n_requests++;
        w->on_request(w, &r);
}

static inline size_t first_event(const struct world *w)
{
        size_t first = 0;

        for (size_t i = 1; i < w->n_events; i++) {
                if (w->events[i].at_us < w->events[first].at_us ||
                    (w->events[i].at_us == w->events[first].at_us && w->events[i].order < w->events[first].order))
                        first = i;
        }
        return first;
}

static inline void ask(struct world *w, struct modbus_action *a)
{
        enum modbus_next next;

        while ((next = modbus_bus_next(w->bus, w->now_us, a)) == MODBUS_SEND || next == MODBUS_CONNECT) {
                if (next == MODBUS_SEND)
                        take_request(w, a->bytes, a->len);
                else
                        modbus_bus_connected(w->bus, w->now_us);
        }
}

/* Bytes that are there come before the question, as the driver does it. */
static inline void run(struct world *w, int64_t for_us)
{
        int64_t until_us = w->now_us + for_us;
        struct modbus_action a;
        long idle_steps = 0;

        while (w->now_us < until_us) {
                int64_t before_us = w->now_us, next_us = until_us;
                size_t e = first_event(w);

                while (w->n_events && w->events[e].at_us <= w->now_us) {
                        struct event ev = w->events[e];

                        w->events[e] = w->events[--w->n_events];
                        assert_int_equal(modbus_bus_input(w->bus, w->now_us, ev.bytes, ev.len), 0);
                        e = first_event(w);
                }
                ask(w, &a);
                assert_true(a.until_us > w->now_us);
                next_us = a.until_us < next_us ? a.until_us : next_us;
                if (w->n_events && w->events[first_event(w)].at_us < next_us)
                        next_us = w->events[first_event(w)].at_us;
                w->now_us = next_us > w->now_us ? next_us : w->now_us;
                idle_steps = w->now_us == before_us ? idle_steps + 1 : 0;
                assert_true(idle_steps < 1000);
        }
}

#endif
