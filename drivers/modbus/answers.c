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

/*
 * What is told when the tags are not: they were told before, or it is asked
 * again.
 */
void modbus_bus_tell_odd(struct modbus_bus *b, size_t read, const char *why)
{
        if (why == b->odd.text && b->outcome.on_odd)
                b->outcome.on_odd(b->outcome.ctx, b->plan->reads[read].device, why);
}

void modbus_bus_tell_bad(struct modbus_bus *b, size_t read, enum quality quality, const char *why)
{
        unsigned told = b->said[read].quality;

        if (!b->plan->reads[read].n)
                return;
        if (told == quality || (is_unreachable(told) && is_unreachable(quality))) {
                modbus_bus_tell_odd(b, read, why);
                return;
        }
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

/*
 * The end of a request for this time; what is refused for good may be had in
 * parts.
 */
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
        else
                modbus_bus_tell_odd(b, read, why);
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
                modbus_odd_mismatch(b, s, s->unit, f->pdu, f->len, now_us);
                put_off(b, s, MODBUS_BUSY, MODBUS_REFUSED, b->odd.text, now_us);
        }
}

/* ---- bytes that came ---- */

static void count_overflow(struct modbus_bus *b, size_t n)
{
        if (b->rtu.len + n > sizeof(b->rtu.buf))
                b->counts.garbage_bytes += b->rtu.len + n - sizeof(b->rtu.buf);
}

static void input_rtu(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        struct modbus_slot *s = &b->slots[0];
        struct modbus_want want = {.unit = s->unit,
                                   .function = s->function,
                                   .n_bytes = s->n_bytes,
                                   .any_unit = b->conf->accept_unit == MODBUS_ANY_UNIT,
                                   .echo = b->asked,
                                   .n_echo = b->n_asked};
        struct modbus_frame f;
        size_t before;

        count_overflow(b, n);
        modbus_rtu_push(&b->rtu, p, n);
        if (!s->used || !modbus_rtu_find(&b->rtu, &want, &f, &before))
                return;
        modbus_odd_serial(b, s, b->rtu.buf, before, now_us);
        modbus_odd_answer(b, true);
        on_answer(b, s, &f, now_us);
}

static void input_ascii(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        uint64_t before = b->ascii.n_garbage;

        for (size_t i = 0; i < n; i++) {
                if (modbus_ascii_take(&b->ascii, p[i])) {
                        input_rtu(b, now_us, b->ascii.frame, b->ascii.len);
                        b->ascii.len = 0;
                }
        }
        if (b->ascii.n_garbage == before)
                return;
        b->counts.garbage_bytes += b->ascii.n_garbage - before;
        if (b->slots[0].used)
                modbus_odd_say(b, now_us,
                               "%lu characters came that are no Modbus ASCII: baud, parity, or another protocol on the "
                               "line",
                               (unsigned long)(b->ascii.n_garbage - before));
}

static void on_tcp_frame(struct modbus_bus *b, const struct modbus_frame *f, int64_t now_us)
{
        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                struct modbus_slot *s = &b->slots[i];

                if (!s->used || s->transaction != f->transaction)
                        continue;
                if (s->unit == f->unit || b->conf->accept_unit == MODBUS_ANY_UNIT)
                        on_answer(b, s, f, now_us);
                else
                        modbus_odd_mismatch(b, s, f->unit, f->pdu, f->len, now_us);
                return;
        }
        modbus_odd_transaction(b, f, now_us);
}

/*
 * The stream can't be read on; it may be a serial server that only passes bytes
 * on.
 */
static int no_tcp(struct modbus_bus *b)
{
        const struct modbus_tcp *m = &b->mbap;
        const uint8_t *p = m->buf + m->taken;
        size_t n = m->len - m->taken;

        b->counts.garbage_bytes += n;
        b->why = modbus_rtu_frame(MODBUS_REPLY, p, n) ? "what comes back is not Modbus TCP but RTU: port: rtu+tcp://…"
                                                      : "what comes back is not Modbus TCP";
        return -1;
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
                if (r < 0)
                        return no_tcp(b);
        }
        return 0;
}

int modbus_bus_input(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        b->heard_us = now_us;
        if (b->tcp)
                return input_tcp(b, now_us, p, n);
        b->quiet_us = now_us + b->silence_us;
        if (b->in_ascii)
                input_ascii(b, now_us, p, n);
        else
                input_rtu(b, now_us, p, n);
        return 0;
}
