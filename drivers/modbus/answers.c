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
        if (b->told[read] == quality || (is_unreachable(b->told[read]) && is_unreachable(quality)))
                return;
        b->told[read] = (uint8_t)quality;
        b->outcome.on_bad(b->outcome.ctx, read, quality, why);
}

static void tell_device_down(struct modbus_bus *b, size_t device, const char *why)
{
        for (size_t i = 0; i < b->plan->n_reads; i++) {
                if (b->plan->reads[i].device == device)
                        modbus_bus_tell_bad(b, i, QUALITY_BAD_COMM_FAILURE, why);
        }
        b->outcome.on_device(b->outcome.ctx, device, false, why);
}

/* ---- how a request ends ---- */

void modbus_bus_finish(struct modbus_bus *b, struct modbus_slot *s, enum modbus_answer answer, int64_t now_us,
                       const char *why)
{
        size_t device = b->plan->reads[s->read].device;
        int64_t cost_us = now_us - s->sent_us, rest_us = modbus_pause_us(b->conf, b->plan->devices[device]);
        bool was_down = b->schedule.devices[device].down;
        struct modbus_schedule_result r = modbus_schedule_done(&b->schedule, s->read, answer, now_us, cost_us);

        s->used = false;
        b->was_lost[s->read] = false;
        b->counts.busy_us += cost_us + (rest_us > b->silence_us ? rest_us : b->silence_us);
        b->counts.dead_us += was_down && answer == MODBUS_SILENT ? cost_us : 0;
        b->counts.retries += answer != MODBUS_ANSWERED && !r.failed;
        b->ready_us = now_us + rest_us;
        if (r.came_back)
                b->outcome.on_device(b->outcome.ctx, device, true, "answers again");
        if (r.failed)
                modbus_bus_tell_bad(b, s->read, QUALITY_BAD_COMM_FAILURE, why);
        if (r.went_down)
                tell_device_down(b, device, why);
}

/* A read with a hole is asked again as two without. */
static bool split(struct modbus_bus *b, struct modbus_slot *s, int64_t now_us)
{
        size_t second = b->plan->n_reads;

        if (!modbus_plan_split(b->plan, s->read))
                return false;
        s->used = false;
        b->told[second] = b->told[s->read];
        modbus_schedule_back(&b->schedule, s->read, now_us);
        modbus_schedule_add(&b->schedule, second, now_us);
        return true;
}

static void on_exception(struct modbus_bus *b, struct modbus_slot *s, unsigned code, int64_t now_us)
{
        const char *why = modbus_exception(code);
        size_t read = s->read;

        b->counts.exceptions++;
        switch (code) {
        case 2:
                if (split(b, s, now_us))
                        return;
                /* fall through */
        case 1:
        case 3:
                modbus_bus_finish(b, s, MODBUS_ANSWERED, now_us, why);
                modbus_bus_tell_bad(b, read, QUALITY_BAD_CONFIG, why);
                return;
        case 5:
        case 6:
                modbus_bus_finish(b, s, MODBUS_BUSY, now_us, why);
                return;
        case 10:
        case 11:
                modbus_bus_finish(b, s, MODBUS_SILENT, now_us, why);
                return;
        default:
                modbus_bus_finish(b, s, MODBUS_ANSWERED, now_us, why);
                modbus_bus_tell_bad(b, read, code == 4 ? QUALITY_BAD_SENSOR : QUALITY_BAD, why);
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
                b->told[read] = QUALITY_GOOD;
                modbus_bus_finish(b, s, MODBUS_ANSWERED, now_us, NULL);
                b->outcome.on_data(b->outcome.ctx, read, f->pdu + 2);
        } else {
                b->counts.mismatched++;
                modbus_bus_finish(b, s, MODBUS_BUSY, now_us, "an answer that does not fit the request");
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
