/*
 * bus: see bus.h.  Whose turn it is decides modbus_schedule; here is the wire.
 *
 * TCP: a request has a transaction id; an answer counts only with the id and
 * the unit of a request that is still waited for.  Later ones are discarded and
 * counted.
 *
 * Serial: there is no id, so an answer that comes after its time-out looks like
 * the answer to the next request.  Therefore (1) nothing is sent before the
 * line has been quiet for 3.5 characters, and what came meanwhile is thrown
 * away; (2) a slave that let a request time out is not asked again for another
 * time-out, in which its late answer can still come and is discarded; other
 * slaves are asked meanwhile, their unit tells them apart; (3) an answer must
 * have the unit, function and byte count that were asked.  A slave later than
 * twice its time-out has a time-out that is too short.
 *
 * Fails: time-outs, exceptions and noise are outcomes.  Only a TCP stream that
 * is no Modbus ends the connection.
 */
#include "drivers/modbus/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/schedule.h"

enum { LATE_MIN_US = 100000, NOISE_US = 1000000, DEAF_US = 300000000 };

struct slot {
        bool used;
        uint16_t transaction;
        uint8_t unit, function;
        size_t read, n_bytes;
        int64_t sent_us, deadline_us;
};

struct modbus_bus {
        const struct modbus_conf *conf;
        struct modbus_plan *plan;
        struct modbus_outcome outcome;
        struct modbus_schedule schedule;
        struct slot slots[MODBUS_IN_FLIGHT_MAX];
        uint8_t *told; /* enum quality by read: what was said last */
        bool tcp, open, paused;
        uint16_t transaction;
        int64_t char_ns, silence_us;
        int64_t quiet_us;       /* serial: the line has been quiet long enough then */
        int64_t ready_us;       /* the pause after an answer is over then */
        int64_t noisy_since_us; /* serial: something is due, but the line is not quiet; 0: no */
        int64_t heard_us;
        struct modbus_rtu rtu;
        struct modbus_tcp mbap;
        struct modbus_counts counts;
        const char *why;
};

struct modbus_bus *modbus_bus_new(const struct modbus_conf *conf, struct modbus_plan *plan,
                                  const struct modbus_outcome *outcome)
{
        struct modbus_bus *b = mem_alloc(sizeof(*b));

        b->conf = conf;
        b->plan = plan;
        b->outcome = *outcome;
        b->tcp = conf->port[0] != '/';
        b->char_ns = modbus_char_ns(conf);
        b->silence_us = modbus_silence_us(conf);
        b->told = mem_alloc(plan->n_points + 1);
        modbus_schedule_init(&b->schedule, conf, plan);
        return b;
}

void modbus_bus_free(struct modbus_bus *b)
{
        modbus_schedule_fini(&b->schedule);
        free(b->told);
        free(b);
}

/* ---- telling ---- */

static bool is_unreachable(unsigned quality)
{
        return quality == QUALITY_BAD_COMM_FAILURE || quality == QUALITY_BAD_NOT_CONNECTED;
}

static void tell_bad(struct modbus_bus *b, size_t read, enum quality quality, const char *why)
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
                        tell_bad(b, i, QUALITY_BAD_COMM_FAILURE, why);
        }
        b->outcome.on_device(b->outcome.ctx, device, false, why);
}

/* ---- how a request ends ---- */

static void finish(struct modbus_bus *b, struct slot *s, enum modbus_answer answer, int64_t now_us, const char *why)
{
        size_t device = b->plan->reads[s->read].device;
        int64_t cost_us = now_us - s->sent_us, rest_us = modbus_pause_us(b->conf, b->plan->devices[device]);
        bool was_down = b->schedule.devices[device].down;
        struct modbus_schedule_result r = modbus_schedule_done(&b->schedule, s->read, answer, now_us, cost_us);

        s->used = false;
        b->counts.busy_us += cost_us + (rest_us > b->silence_us ? rest_us : b->silence_us);
        b->counts.dead_us += was_down && answer == MODBUS_SILENT ? cost_us : 0;
        b->counts.retries += answer != MODBUS_ANSWERED && !r.failed;
        b->ready_us = now_us + rest_us;
        if (r.came_back)
                b->outcome.on_device(b->outcome.ctx, device, true, "answers again");
        if (r.failed)
                tell_bad(b, s->read, QUALITY_BAD_COMM_FAILURE, why);
        if (r.went_down)
                tell_device_down(b, device, why);
}

static void on_timeout(struct modbus_bus *b, struct slot *s, int64_t now_us)
{
        int64_t late_us = modbus_timeout_us(b->conf, b->plan->devices[b->plan->reads[s->read].device]);

        b->counts.timeouts++;
        if (!b->tcp) {
                b->schedule.hold_us[s->unit] = now_us + (late_us > LATE_MIN_US ? late_us : LATE_MIN_US);
                modbus_rtu_flush(&b->rtu);
        }
        finish(b, s, MODBUS_SILENT, now_us, "no answer");
}

/* A read with a hole is asked again as two without. */
static bool split(struct modbus_bus *b, struct slot *s, int64_t now_us)
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

static void on_exception(struct modbus_bus *b, struct slot *s, unsigned code, int64_t now_us)
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
                finish(b, s, MODBUS_ANSWERED, now_us, why);
                tell_bad(b, read, QUALITY_BAD_CONFIG, why);
                return;
        case 5:
        case 6:
                finish(b, s, MODBUS_BUSY, now_us, why);
                return;
        case 10:
        case 11:
                finish(b, s, MODBUS_SILENT, now_us, why);
                return;
        default:
                finish(b, s, MODBUS_ANSWERED, now_us, why);
                tell_bad(b, read, code == 4 ? QUALITY_BAD_SENSOR : QUALITY_BAD, why);
                return;
        }
}

static void on_answer(struct modbus_bus *b, struct slot *s, const struct modbus_frame *f, int64_t now_us)
{
        size_t read = s->read;

        b->counts.replies++;
        if (f->len == 2 && f->pdu[0] == (s->function | 0x80)) {
                on_exception(b, s, f->pdu[1], now_us);
        } else if (f->len == s->n_bytes + 2 && f->pdu[0] == s->function && f->pdu[1] == s->n_bytes) {
                b->told[read] = QUALITY_GOOD;
                finish(b, s, MODBUS_ANSWERED, now_us, NULL);
                b->outcome.on_data(b->outcome.ctx, read, f->pdu + 2);
        } else {
                b->counts.mismatched++;
                finish(b, s, MODBUS_BUSY, now_us, "an answer that does not fit the request");
        }
}

/* ---- bytes that came ---- */

static void input_serial(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        struct slot *s = &b->slots[0];
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
                struct slot *s = &b->slots[i];

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

/* ---- requests ---- */

static struct slot *free_slot(struct modbus_bus *b)
{
        struct slot *s = b->slots;

        while (s->used)
                s++;
        return s;
}

static uint16_t next_transaction(struct modbus_bus *b)
{
        bool taken;

        do {
                b->transaction++;
                taken = false;
                for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++)
                        taken |= b->slots[i].used && b->slots[i].transaction == b->transaction;
        } while (taken);
        return b->transaction;
}

static struct slot *take_slot(struct modbus_bus *b, size_t read, int64_t now_us)
{
        const struct modbus_read *r = &b->plan->reads[read];
        struct slot *s = free_slot(b);

        *s = (struct slot){.used = true,
                           .transaction = next_transaction(b),
                           .unit = (uint8_t)b->plan->devices[r->device]->unit,
                           .function = r->function,
                           .read = read,
                           .n_bytes = modbus_read_bytes(r->function, r->count),
                           .sent_us = now_us};
        return s;
}

/* What came while nothing was asked: late answers, or noise. */
static void throw_away(struct modbus_bus *b)
{
        struct modbus_frame f;

        while (b->rtu.len && modbus_rtu_next(&b->rtu, MODBUS_REPLY, true, &f))
                b->counts.late++;
}

static enum modbus_next send_read(struct modbus_bus *b, size_t read, int64_t now_us, struct modbus_action *out)
{
        const struct modbus_read *r = &b->plan->reads[read];
        struct slot *s = take_slot(b, read, now_us);
        uint8_t pdu[5] = {r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address, (uint8_t)(r->count >> 8),
                          (uint8_t)r->count};

        s->deadline_us = now_us + modbus_timeout_us(b->conf, b->plan->devices[r->device]);
        if (b->tcp) {
                out->len = modbus_put_tcp(out->bytes, s->transaction, s->unit, pdu, sizeof(pdu));
        } else {
                int64_t sending_us;

                out->len = modbus_put_rtu(out->bytes, s->unit, pdu, sizeof(pdu));
                sending_us = (int64_t)out->len * b->char_ns / 1000;
                s->deadline_us += sending_us + (int64_t)(s->n_bytes + 5) * b->char_ns / 1000;
                b->quiet_us = now_us + sending_us;
                throw_away(b);
        }
        b->noisy_since_us = 0;
        b->counts.requests++;
        return MODBUS_SEND;
}

static int64_t expire(struct modbus_bus *b, int64_t now_us)
{
        int64_t first_us = INT64_MAX;

        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                struct slot *s = &b->slots[i];

                if (s->used && s->deadline_us <= now_us)
                        on_timeout(b, s, now_us);
                if (s->used && s->deadline_us < first_us)
                        first_us = s->deadline_us;
        }
        return first_us;
}

static int64_t earliest(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* The line won't get quiet: what is due fails, so that the tags say so. */
static void give_way_to_noise(struct modbus_bus *b, int64_t now_us)
{
        int64_t wake_us;
        size_t read;

        if (!b->noisy_since_us)
                b->noisy_since_us = now_us;
        if (now_us - b->noisy_since_us < NOISE_US || !modbus_schedule_take(&b->schedule, now_us, &read, &wake_us))
                return;
        b->noisy_since_us = now_us;
        finish(b, take_slot(b, read, now_us), MODBUS_SILENT, now_us, "the line is never quiet");
}

enum modbus_next modbus_bus_next(struct modbus_bus *b, int64_t now_us, struct modbus_action *out)
{
        int64_t first_us, ready_us, wake_us;
        size_t read;

        out->until_us = INT64_MAX;
        if (!b->open)
                return MODBUS_WAIT;
        first_us = expire(b, now_us);
        if (b->tcp && b->counts.requests && now_us - b->heard_us > DEAF_US && b->schedule.n_busy) {
                out->why = "nothing was heard for 5 minutes";
                return MODBUS_BROKEN;
        }
        ready_us = b->ready_us > b->quiet_us ? b->ready_us : b->quiet_us;
        out->until_us = first_us;
        if (b->paused || b->schedule.n_busy == (unsigned)b->conf->in_flight)
                return MODBUS_WAIT;
        if (now_us < ready_us) {
                if (b->rtu.len > 0)
                        give_way_to_noise(b, now_us);
                out->until_us = earliest(first_us, ready_us);
                return MODBUS_WAIT;
        }
        if (modbus_schedule_take(&b->schedule, now_us, &read, &wake_us))
                return send_read(b, read, now_us, out);
        b->noisy_since_us = 0;
        out->until_us = earliest(first_us, wake_us);
        return MODBUS_WAIT;
}

/* ---- the port ---- */

void modbus_bus_open(struct modbus_bus *b, int64_t now_us)
{
        b->open = true;
        b->heard_us = b->ready_us = now_us;
        b->quiet_us = now_us + b->silence_us;
        b->noisy_since_us = 0;
        b->rtu.len = b->mbap.len = b->mbap.taken = 0;
        modbus_schedule_open(&b->schedule, now_us);
}

void modbus_bus_close(struct modbus_bus *b, int64_t now_us, const char *why)
{
        b->open = false;
        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                if (!b->slots[i].used)
                        continue;
                b->slots[i].used = false;
                modbus_schedule_back(&b->schedule, b->slots[i].read, now_us);
        }
        for (size_t i = 0; i < b->plan->n_reads; i++)
                tell_bad(b, i, QUALITY_BAD_NOT_CONNECTED, why);
}

void modbus_bus_pause(struct modbus_bus *b, bool on)
{
        b->paused = on;
}

const char *modbus_bus_why(const struct modbus_bus *b)
{
        return b->why;
}

const struct modbus_counts *modbus_bus_counts(struct modbus_bus *b)
{
        b->counts.overruns = b->schedule.n_overruns;
        b->counts.garbage_bytes = b->rtu.n_garbage;
        return &b->counts;
}
