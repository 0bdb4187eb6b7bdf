/*
 * answers: what came over the bus, and how a request ends.  See bus.h, and the
 * head of bus.c for why an answer counts or does not.
 *
 * Fails: exceptions and noise are outcomes.  Only a TCP stream that is no
 * Modbus ends the connection.
 */
#include <string.h>

#include "drivers/modbus/bus_impl.h"

/* ---- telling ---- */

static bool is_unreachable(unsigned quality)
{
        return quality == QUALITY_BAD_COMM_FAILURE || quality == QUALITY_BAD_NOT_CONNECTED;
}

void modbus_bus_tell_bad(struct modbus_bus *b, size_t read, enum quality quality, const char *why)
{
        if (!b->plan->reads[read].n || b->said[read].quality == quality ||
            (is_unreachable(b->said[read].quality) && is_unreachable(quality)))
                return;
        b->said[read].quality = (uint8_t)quality;
        b->outcome.on_bad(b->outcome.ctx, read, quality, why);
}

static void tell_device_down(struct modbus_bus *b, size_t device, int64_t now_us, const char *why)
{
        modbus_parts_settle(b, device, now_us);
        for (size_t i = 0; i < b->plan->n_reads; i++) {
                if (b->plan->reads[i].device == device)
                        modbus_bus_tell_bad(b, i, QUALITY_BAD_COMM_FAILURE, why);
        }
        b->outcome.on_device(b->outcome.ctx, device, false, why);
}

/* ---- how a request ends ---- */

bool modbus_bus_finish(struct modbus_bus *b, struct modbus_slot *s, enum modbus_answer answer, int64_t now_us,
                       const char *why)
{
        size_t device = b->plan->reads[s->read].device;
        int64_t cost_us = now_us - s->sent_us, rest_us = modbus_pause_us(b->conf, b->plan->devices[device]);
        bool was_down = b->schedule.devices[device].down;
        struct modbus_schedule_result r = modbus_schedule_done(&b->schedule, s->read, answer, now_us, cost_us);

        s->used = false;
        b->said[s->read].was_lost = false;
        b->counts.busy_us += cost_us + (rest_us > b->silence_us ? rest_us : b->silence_us);
        b->counts.dead_us += was_down && answer == MODBUS_SILENT ? cost_us : 0;
        b->counts.retries += answer != MODBUS_ANSWERED && !r.failed;
        b->ready_us = now_us + rest_us;
        if (r.came_back) {
                modbus_parts_back(b, device, now_us);
                b->outcome.on_device(b->outcome.ctx, device, true, "answers again");
        }
        if (r.went_down)
                tell_device_down(b, device, now_us, why);
        return r.failed;
}

/* The end of a request for this time; what is refused for good may be had in parts. */
static void refuse(struct modbus_bus *b, struct modbus_slot *s, enum quality quality, const char *why, int64_t now_us)
{
        size_t read = s->read;

        modbus_bus_finish(b, s, MODBUS_ANSWERED, now_us, why);
        modbus_parts_failed(b, read, MODBUS_REFUSED, quality, why, now_us);
}

/* It may be asked again. */
static void put_off(struct modbus_bus *b, struct modbus_slot *s, enum modbus_answer answer, enum modbus_refusal how,
                    const char *why, int64_t now_us)
{
        size_t read = s->read;

        if (modbus_bus_finish(b, s, answer, now_us, why))
                modbus_parts_failed(b, read, how, QUALITY_BAD_COMM_FAILURE, why, now_us);
}

static void on_exception(struct modbus_bus *b, struct modbus_slot *s, unsigned code, int64_t now_us)
{
        const char *why = modbus_exception(code);

        b->counts.exceptions++;
        switch (code) {
        case 1:
        case 2:
        case 3:
                refuse(b, s, QUALITY_BAD_CONFIG, why, now_us);
                return;
        case 5:
        case 6:
                put_off(b, s, MODBUS_BUSY, MODBUS_AWAY, why, now_us);
                return;
        case 10:
        case 11:
                put_off(b, s, MODBUS_SILENT, MODBUS_AWAY, why, now_us);
                return;
        default:
                refuse(b, s, code == 4 ? QUALITY_BAD_SENSOR : QUALITY_BAD, why, now_us);
                return;
        }
}

static void on_answer(struct modbus_bus *b, struct modbus_slot *s, const struct modbus_frame *f, int64_t now_us)
{
        size_t read = s->read;

        b->counts.replies++;
        b->n_lost = 0;
        if (f->len == 2 && f->pdu[0] == (s->function | 0x80)) {
                on_exception(b, s, f->pdu[1], now_us);
        } else if (f->len == s->n_bytes + 2 && f->pdu[0] == s->function && f->pdu[1] == s->n_bytes) {
                b->said[read].quality = QUALITY_GOOD;
                modbus_parts_worked(b, read);
                modbus_bus_finish(b, s, MODBUS_ANSWERED, now_us, NULL);
                b->outcome.on_data(b->outcome.ctx, read, f->pdu + 2);
        } else {
                b->counts.mismatched++;
                put_off(b, s, MODBUS_BUSY, MODBUS_REFUSED, "an answer that does not fit the request", now_us);
        }
}

/* ---- bytes that came ---- */

static void input_serial(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        struct modbus_slot *s = &b->slots[0];
        struct modbus_frame f;

        b->quiet_us = now_us + b->silence_us;
        modbus_rtu_push(&b->rtu, p, n);
        if (!s->used)
                return;
        if (modbus_rtu_find(&b->rtu, &(struct modbus_want){s->unit, s->function, s->n_bytes}, &f))
                on_answer(b, s, &f, now_us);
}

static void on_tcp_frame(struct modbus_bus *b, const struct modbus_frame *f, int64_t now_us)
{
        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                struct modbus_slot *s = &b->slots[i];

                if (!s->used || s->transaction != f->transaction)
                        continue;
                if (s->unit == f->unit)
                        on_answer(b, s, f, now_us);
                else
                        b->counts.mismatched++;
                return;
        }
        b->counts.late++;
}

static int input_tcp(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        struct modbus_frame f;
        uint8_t *at;

        while (n > 0) {
                size_t room = modbus_tcp_room(&b->mbap, &at), part = n < room ? n : room;
                int r;

                modbus_tcp_push(&b->mbap, p, part);
                p += part;
                n -= part;
                while ((r = modbus_tcp_next(&b->mbap, &f)) > 0)
                        on_tcp_frame(b, &f, now_us);
                if (r < 0) {
                        b->why = "what comes back is not Modbus TCP";
                        return -1;
                }
        }
        return 0;
}

int modbus_bus_input(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        b->heard_us = now_us;
        if (b->tcp)
                return input_tcp(b, now_us, p, n);
        input_serial(b, now_us, p, n);
        return 0;
}
