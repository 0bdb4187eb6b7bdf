/*
 * bus: see bus.h.
 *
 * Each device has its turn: it is reset (its frame count bit begins anew, and
 * who was selected is no more), selected when it is known by its number, and
 * asked until it says that there is nothing more.  An answer that was lost is
 * asked for with the same frame count bit: the meter sends the same again. That
 * a reset is not answered means nothing: not all do, and on address FD nobody
 * need be there.  What comes puts off the end of the waiting, but no longer
 * than two of the longest telegrams take: a line full of noise is no answer.
 *
 * Fails: a device that does not answer, or not so that it can be read, after
 * the retries is told and passed over; the next one has its turn.
 */
#include "drivers/mbus/bus.h"

#include <stdlib.h>
#include <string.h>

enum { CHARACTER_BITS = 11, REST_BITS = 33, TELEGRAMS_MAX = 64, ROOM = 2 * MBUS_FRAME_MAX };
enum { RSP_UD = 0x08, RSP_MASK = 0xcf };

enum step { IDLE, REST, RESET, SELECT, REQUEST };

struct mbus_bus {
        struct mbus_bus_conf conf;
        struct mbus_outcome outcome;
        enum step step, after;       /* after: what comes behind the rest */
        bool sent;                   /* of this step */
        int64_t until_us, latest_us; /* latest_us: whatever comes until then */
        size_t device;
        int tries, n_telegrams;
        bool fcb, heard, wrong;
        bool asked_twice;             /* for the last telegram: it may come twice */
        uint8_t last[MBUS_FRAME_MAX]; /* the data of that */
        size_t n_last;
        uint8_t bytes[ROOM];
        size_t n;
};

struct mbus_bus *mbus_bus_new(const struct mbus_bus_conf *conf, const struct mbus_outcome *outcome)
{
        struct mbus_bus *b = mem_alloc(sizeof(*b));

        b->conf = *conf;
        b->outcome = *outcome;
        return b;
}

void mbus_bus_free(struct mbus_bus *b)
{
        free(b);
}

bool mbus_bus_is_busy(const struct mbus_bus *b)
{
        return b->step != IDLE;
}

static const struct mbus_device_conf *device(const struct mbus_bus *b)
{
        return &b->conf.devices[b->device];
}

static int64_t bits_us(const struct mbus_bus *b, size_t n)
{
        return (int64_t)n * 1000000 / b->conf.baud;
}

static void enter(struct mbus_bus *b, enum step step)
{
        b->step = step;
        b->sent = false;
        b->n = 0;
}

static void rest_before(struct mbus_bus *b, int64_t now_us, enum step after)
{
        enter(b, REST);
        b->after = after;
        b->until_us = now_us + bits_us(b, REST_BITS);
}

static void begin_device(struct mbus_bus *b, int64_t now_us)
{
        b->tries = b->n_telegrams = 0;
        b->fcb = true;
        b->heard = b->wrong = b->asked_twice = false;
        rest_before(b, now_us, RESET);
}

static void next_device(struct mbus_bus *b, int64_t now_us)
{
        b->device++;
        if (b->device < b->conf.n_devices)
                begin_device(b, now_us);
        else
                enter(b, IDLE);
}

void mbus_bus_begin(struct mbus_bus *b, int64_t now_us)
{
        b->device = 0;
        begin_device(b, now_us);
}

void mbus_bus_abort(struct mbus_bus *b)
{
        enter(b, IDLE);
}

/* ---- what comes ---- */

static void take_telegram(struct mbus_bus *b, int64_t now_us, const struct mbus_frame *f)
{
        size_t which = b->device;
        enum mbus_taken taken = b->outcome.on_telegram(b->outcome.ctx, which, f, b->n_telegrams == 0);

        memcpy(b->last, f->data, f->len);
        b->n_last = f->len;
        b->asked_twice = b->tries > 0;
        b->n_telegrams++;
        b->tries = 0;
        b->fcb = !b->fcb;
        if (taken == MBUS_MORE_FOLLOWS && b->n_telegrams == TELEGRAMS_MAX) {
                b->outcome.on_failed(b->outcome.ctx, which, false, "it never ends");
                taken = MBUS_REFUSED;
        }
        if (taken == MBUS_MORE_FOLLOWS)
                rest_before(b, now_us, REQUEST);
        else
                next_device(b, now_us);
}

/* The meter was only slow: this is its second answer to the question before. */
static bool is_again(const struct mbus_bus *b, const struct mbus_frame *f)
{
        return b->asked_twice && f->len == b->n_last && memcmp(f->data, b->last, f->len) == 0;
}

static bool is_answer(const struct mbus_bus *b, const struct mbus_frame *f)
{
        return (f->control & RSP_MASK) == RSP_UD && !is_again(b, f) &&
               (device(b)->primary < 0 || f->address == (uint8_t)device(b)->primary);
}

/* false: what came is not what is awaited, and may be before it. */
static bool take(struct mbus_bus *b, int64_t now_us, enum mbus_found found, const struct mbus_frame *f)
{
        if (found == MBUS_ACK && b->step == RESET)
                rest_before(b, now_us, device(b)->primary < 0 ? SELECT : REQUEST);
        else if (found == MBUS_ACK && b->step == SELECT)
                rest_before(b, now_us, REQUEST);
        else if (found == MBUS_LONG && b->step == REQUEST && is_answer(b, f))
                take_telegram(b, now_us, f);
        else
                return false;
        return true;
}

void mbus_bus_input(struct mbus_bus *b, int64_t now_us, const uint8_t *p, size_t n)
{
        size_t room = ROOM - b->n, used;
        enum mbus_found found;
        struct mbus_frame f;

        if (b->step == IDLE || b->step == REST || !n)
                return;
        n = n < room ? n : room;
        memcpy(b->bytes + b->n, p, n);
        b->n += n;
        while (b->sent && (found = mbus_frame_find(b->bytes, b->n, &f, &used)) != MBUS_MORE) {
                b->heard |= found != MBUS_OTHER && !(found == MBUS_LONG && (f.control & RSP_MASK) != RSP_UD);
                b->wrong |= found == MBUS_WRONG || found == MBUS_NOISE;
                if (take(b, now_us, found, &f))
                        return;
                b->n -= used;
                memmove(b->bytes, b->bytes + used, b->n);
        }
        if (b->until_us < now_us + b->conf.timeout_us)
                b->until_us = now_us + b->conf.timeout_us;
        if (b->until_us > b->latest_us)
                b->until_us = b->latest_us;
}

/* ---- what is to be done ---- */

static enum mbus_next send_step(struct mbus_bus *b, int64_t now_us, struct mbus_action *out)
{
        const struct mbus_device_conf *d = device(b);
        uint8_t address = d->primary < 0 ? MBUS_SELECTED : (uint8_t)d->primary;
        struct mbus_secondary s;

        if (b->step == SELECT) {
                s = mbus_secondary_of(d);
                out->len = mbus_put_select(out->bytes, &s);
        } else {
                out->len = b->step == RESET ? mbus_put_reset(out->bytes, address)
                                            : mbus_put_request(out->bytes, address, b->fcb);
        }
        b->sent = true;
        b->until_us = now_us + bits_us(b, CHARACTER_BITS * out->len) + b->conf.timeout_us;
        b->latest_us = b->until_us + bits_us(b, CHARACTER_BITS * ROOM) + b->conf.timeout_us;
        return MBUS_SEND;
}

/* Nothing came that is an answer. */
static void give_up(struct mbus_bus *b, int64_t now_us)
{
        size_t which = b->device;
        bool silent;

        b->heard |= b->n > 0;
        b->wrong |= b->n > 0;
        silent = !b->heard;
        if (b->step == RESET) {
                rest_before(b, now_us, device(b)->primary < 0 ? SELECT : REQUEST);
                return;
        }
        if (b->tries++ < b->conf.retries) {
                rest_before(b, now_us, b->step);
                return;
        }
        b->outcome.on_failed(b->outcome.ctx, which, silent,
                             silent              ? "no answer"
                             : b->step == SELECT ? "its selection is answered by noise: do several have this number?"
                             : b->wrong          ? "its answer is damaged"
                                                 : "another meter answers");
        next_device(b, now_us);
}

enum mbus_next mbus_bus_next(struct mbus_bus *b, int64_t now_us, struct mbus_action *out)
{
        for (;;) {
                if (b->step == IDLE) {
                        out->until_us = INT64_MAX;
                        return MBUS_WAIT;
                }
                if (b->step != REST && !b->sent)
                        return send_step(b, now_us, out);
                if (now_us < b->until_us) {
                        out->until_us = b->until_us;
                        return MBUS_WAIT;
                }
                if (b->step == REST)
                        enter(b, b->after);
                else
                        give_up(b, now_us);
        }
}

/* ---- the configuration ---- */

static uint8_t digit(char c)
{
        return c >= '0' && c <= '9' ? (uint8_t)(c - '0') : 15;
}

struct mbus_secondary mbus_secondary_of(const struct mbus_device_conf *c)
{
        struct mbus_secondary s = {.manufacturer = 0xffff,
                                   .version = c->version < 0 ? 0xff : (uint8_t)c->version,
                                   .medium = c->medium < 0 ? 0xff : (uint8_t)c->medium};

        for (int i = 0; i < 4; i++)
                s.id[i] = (uint8_t)(digit(c->secondary[6 - 2 * i]) << 4 | digit(c->secondary[7 - 2 * i]));
        if (c->manufacturer)
                s.manufacturer = (uint16_t)mbus_manufacturer(c->manufacturer);
        return s;
}
