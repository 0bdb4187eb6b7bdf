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
 * A connection that the other side closes while nothing is asked is no failure:
 * many devices do so after a while of silence.  It is made again when the next
 * request is due, which is so neither late nor counted.  A request on which the
 * connection is closed is asked once more on a new one before that counts as no
 * answer, and so is one that is left without any answer by a connection nobody
 * had heard from for a while: what lies between may have forgotten it.
 *
 * Fails: time-outs, exceptions and noise are outcomes.  Only a TCP stream that
 * is no Modbus ends the connection, and a peer that closes it on every request.
 */
#include "drivers/modbus/bus_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_MIN_US = 100000, NOISE_US = 1000000, DEAF_US = 300000000, OLD_US = 5000000 };
enum { LOST_MOST = 6 };

struct modbus_bus *modbus_bus_new(const struct modbus_conf *conf, struct modbus_plan *plan,
                                  const struct modbus_outcome *outcome)
{
        struct modbus_bus *b = mem_alloc(sizeof(*b));

        b->conf = conf;
        b->plan = plan;
        b->outcome = *outcome;
        b->tcp = modbus_framing_of(conf) == MODBUS_TCP;
        b->in_ascii = modbus_framing_of(conf) == MODBUS_ASCII;
        b->socket = modbus_is_socket(conf);
        b->char_ns = modbus_char_ns(conf);
        b->silence_us = modbus_silence_us(conf);
        b->said = mem_alloc((plan->n_points + 1) * sizeof(*b->said));
        b->parts = mem_alloc((plan->n_points + 1) * sizeof(*b->parts));
        modbus_schedule_init(&b->schedule, conf, plan);
        return b;
}

void modbus_bus_free(struct modbus_bus *b)
{
        modbus_schedule_fini(&b->schedule);
        free(b->said);
        free(b->parts);
        free(b);
}

/* ---- requests ---- */

/* Nothing is under way any more; what was goes as it was due. */
static void put_back(struct modbus_bus *b, struct modbus_slot *s)
{
        s->used = false;
        modbus_schedule_back(&b->schedule, s->read, b->schedule.reads[s->read].due_us);
}

/*
 * Its answer may still come, also over another connection, and would look like
 * one to the next request.
 */
static void hold(struct modbus_bus *b, const struct modbus_slot *s, int64_t now_us)
{
        int64_t late_us = modbus_timeout_us(b->conf, b->plan->devices[b->plan->reads[s->read].device]);

        if (!b->tcp)
                b->schedule.hold_us[s->unit] = now_us + (late_us > LATE_MIN_US ? late_us : LATE_MIN_US);
}

static void disconnect(struct modbus_bus *b, int64_t now_us)
{
        b->connected = false;
        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                if (!b->slots[i].used)
                        continue;
                hold(b, &b->slots[i], now_us);
                put_back(b, &b->slots[i]);
        }
}

/*
 * An old connection may be forgotten by the other side or by what lies between.
 */
static bool is_stale(const struct modbus_bus *b, const struct modbus_slot *s)
{
        return b->socket && s->idle_us >= OLD_US && b->heard_us < s->sent_us &&
               b->schedule.devices[b->plan->reads[s->read].device].n_silent == 0;
}

static void give_up(struct modbus_bus *b, struct modbus_slot *s, int64_t now_us, const char *why)
{
        size_t read = s->read;

        if (modbus_bus_finish(b, s, MODBUS_SILENT, now_us, why))
                modbus_parts_failed(b, read, MODBUS_MUTE, QUALITY_BAD_COMM_FAILURE, why, now_us);
        else
                modbus_bus_tell_odd(b, read, why);
}

static void on_timeout(struct modbus_bus *b, struct modbus_slot *s, int64_t now_us)
{
        if (is_stale(b, s)) {
                disconnect(b, now_us);
                b->counts.retries++;
                return;
        }
        b->counts.timeouts++;
        hold(b, s, now_us);
        if (!b->tcp)
                modbus_odd_rest(b, s, now_us);
        give_up(b, s, now_us, modbus_odd_why(b, s));
}

static struct modbus_slot *free_slot(struct modbus_bus *b)
{
        struct modbus_slot *s = b->slots;

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

static struct modbus_slot *take_slot(struct modbus_bus *b, size_t read, int64_t now_us)
{
        const struct modbus_read *r = &b->plan->reads[read];
        struct modbus_slot *s = free_slot(b);

        *s = (struct modbus_slot){.used = true,
                                  .transaction = next_transaction(b),
                                  .unit = (uint8_t)b->plan->devices[r->device]->unit,
                                  .function = r->function,
                                  .read = read,
                                  .n_bytes = modbus_read_bytes(r->function, r->count),
                                  .sent_us = now_us,
                                  .idle_us = now_us - b->heard_us};
        return s;
}

/* What came while nothing was asked: late answers, or noise. */
static void throw_away(struct modbus_bus *b, int64_t now_us)
{
        modbus_odd_rest(b, NULL, now_us);
}

static void send_serial(struct modbus_bus *b, struct modbus_slot *s, const uint8_t *pdu, size_t len, int64_t now_us,
                        struct modbus_action *out)
{
        size_t reply = s->n_bytes + 5;
        int64_t sending_us;

        throw_away(b, now_us);
        b->n_asked = modbus_put_rtu(b->asked, s->unit, pdu, len);
        if (b->in_ascii) {
                out->len = modbus_put_ascii(out->bytes, s->unit, pdu, len);
                reply = 2 * reply + 1;
        } else {
                out->len = b->n_asked;
                memcpy(out->bytes, b->asked, b->n_asked);
        }
        sending_us = (int64_t)out->len * b->char_ns / 1000;
        s->deadline_us += sending_us + (int64_t)reply * b->char_ns / 1000;
        b->quiet_us = now_us + sending_us;
}

static enum modbus_next send_read(struct modbus_bus *b, size_t read, int64_t now_us, struct modbus_action *out)
{
        const struct modbus_read *r = &b->plan->reads[read];
        struct modbus_slot *s = take_slot(b, read, now_us);
        uint8_t pdu[5] = {r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address, (uint8_t)(r->count >> 8),
                          (uint8_t)r->count};

        s->deadline_us = now_us + modbus_timeout_us(b->conf, b->plan->devices[r->device]);
        if (b->tcp) {
                out->len = modbus_put_tcp(out->bytes, s->transaction, s->unit, pdu, sizeof(pdu));
        } else {
                send_serial(b, s, pdu, sizeof(pdu), now_us, out);
        }
        b->noisy_since_us = 0;
        if (b->asked_us <= b->heard_us)
                b->asked_us = now_us;
        b->counts.requests++;
        return MODBUS_SEND;
}

static int64_t expire(struct modbus_bus *b, int64_t now_us)
{
        int64_t first_us = INT64_MAX;

        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                struct modbus_slot *s = &b->slots[i];

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
        if (modbus_bus_finish(b, take_slot(b, read, now_us), MODBUS_SILENT, now_us, "the line is never quiet"))
                modbus_parts_failed(b, read, MODBUS_AWAY, QUALITY_BAD_COMM_FAILURE, "the line is never quiet", now_us);
}

/* The connection is gone: made again when somebody is to be asked. */
static enum modbus_next wait_connected(struct modbus_bus *b, int64_t now_us, struct modbus_action *out)
{
        size_t read;

        if (b->paused)
                return MODBUS_WAIT;
        if (!modbus_schedule_take(&b->schedule, now_us, &read, &out->until_us))
                return MODBUS_WAIT;
        modbus_schedule_back(&b->schedule, read, b->schedule.reads[read].due_us);
        return MODBUS_CONNECT;
}

enum modbus_next modbus_bus_next(struct modbus_bus *b, int64_t now_us, struct modbus_action *out)
{
        int64_t first_us, ready_us, wake_us;
        size_t read;

        out->until_us = INT64_MAX;
        if (!b->open)
                return MODBUS_WAIT;
        first_us = expire(b, now_us);
        if (!b->connected)
                return wait_connected(b, now_us, out);
        if (b->socket && b->asked_us > b->heard_us && now_us - b->asked_us > DEAF_US && b->schedule.n_busy) {
                out->why = "nothing was heard for 5 minutes";
                return MODBUS_BROKEN;
        }
        ready_us = b->ready_us > b->quiet_us ? b->ready_us : b->quiet_us;
        out->until_us = first_us;
        if (b->paused || b->schedule.n_busy == (unsigned)b->conf->in_flight)
                return MODBUS_WAIT;
        if (now_us < ready_us) {
                if (b->rtu.len > 0 || b->ascii.open || (b->in_ascii && now_us < b->quiet_us))
                        give_way_to_noise(b, now_us);
                out->until_us = earliest(first_us, ready_us);
                return MODBUS_WAIT;
        }
        if (modbus_schedule_take(&b->schedule, now_us, &read, &wake_us)) {
                modbus_parts_turn(b, read, now_us);
                return send_read(b, read, now_us, out);
        }
        b->noisy_since_us = 0;
        out->until_us = earliest(first_us, wake_us);
        return MODBUS_WAIT;
}

/* ---- the port ---- */

static void begin(struct modbus_bus *b, int64_t now_us)
{
        b->connected = true;
        b->heard_us = b->ready_us = now_us;
        b->quiet_us = now_us + b->silence_us;
        b->noisy_since_us = 0;
        b->rtu.len = b->mbap.len = b->mbap.taken = 0;
        b->ascii = (struct modbus_ascii){.len = 0};
}

void modbus_bus_open(struct modbus_bus *b, int64_t now_us)
{
        b->open = true;
        b->n_lost = 0;
        for (size_t i = 0; i < b->plan->n_reads; i++)
                b->said[i].was_lost = false;
        begin(b, now_us);
        modbus_schedule_open(&b->schedule, now_us);
}

void modbus_bus_connected(struct modbus_bus *b, int64_t now_us)
{
        begin(b, now_us);
}

int modbus_bus_lost(struct modbus_bus *b, int64_t now_us)
{
        unsigned most = b->plan->n_devices > 1 ? LOST_MOST : 2;
        bool asked = false;

        for (size_t i = 0; i < MODBUS_IN_FLIGHT_MAX; i++) {
                struct modbus_slot *s = &b->slots[i];

                if (!s->used)
                        continue;
                asked = true;
                hold(b, s, now_us);
                if (b->said[s->read].was_lost && b->n_lost + 1 < most) {
                        b->schedule.reads[s->read].tries = UINT_MAX;
                        give_up(b, s, now_us, "the other side closes the connection on it");
                        continue;
                }
                b->said[s->read].was_lost = true;
                b->counts.retries++;
                put_back(b, s);
        }
        b->connected = false;
        b->n_lost = asked ? b->n_lost + 1 : b->n_lost;
        return b->n_lost < most ? 0 : -1;
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
        modbus_parts_settle(b, SIZE_MAX, now_us);
        for (size_t i = 0; i < b->plan->n_reads; i++)
                modbus_bus_tell_bad(b, i, QUALITY_BAD_NOT_CONNECTED, why);
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
        return &b->counts;
}
