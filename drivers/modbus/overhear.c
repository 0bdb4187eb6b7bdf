/*
 * overhear: see overhear.h.
 *
 * A listener has no silences to go by (behind USB there are none), so frames
 * are looked for by shape and CRC anywhere in what came; what lies between
 * frames is garbage.  An answer says neither which registers it is about nor to
 * which request it belongs, so it is taken only when all of this holds:
 *
 *   unit, function and length are those of the request heard last
 *   hardly a byte that belongs to no frame lies between the two: a request that
 *     was damaged may be hidden there, and the answer be to that
 *   no other request that this answer would fit was left unanswered within the
 *     bus's time-out: it may come late
 *   it can't be read as a request: three bytes of bits make a frame as long as
 *     one.  Then the next frame tells which it was
 *
 * All else is counted and not used: a value that is missing is told, a wrong
 * one would not be.  An answer that has begun is waited for, so that frames
 * that lie in its data by chance are not seen.
 *
 * Fails: never.
 */
#include "drivers/modbus/overhear.h"

#include <string.h>

#include "agent/base/err.h"
#include "drivers/modbus/decode.h"
#include "drivers/modbus/frame.h"

enum { GLITCH_BYTES = 2, REQUEST_BYTES = 8, KEPT_BYTES = MODBUS_RTU_MAX, AMBIGUOUS_BYTES = 3 };

enum shape { NOTHING, BLOCKED, REQUEST, ANSWER, REFUSAL, ORPHAN, OTHER };

struct found {
        enum shape shape;
        size_t at, len;
};

void modbus_overhear_init(struct modbus_overhear *o, int64_t timeout_us, int64_t quiet_us)
{
        memset(o, 0, sizeof(*o));
        o->timeout_us = timeout_us;
        o->quiet_us = quiet_us;
}

void modbus_overhear_push(struct modbus_overhear *o, int64_t now_us, const uint8_t *p, size_t n)
{
        BUG_ON(n > MODBUS_OVERHEAR_PUSH || o->len + n > sizeof(o->buf));
        memcpy(o->buf + o->len, p, n);
        for (size_t i = 0; i < n; i++)
                o->at_us[o->len + i] = now_us;
        o->len += n;
        if (n)
                o->last_us = now_us;
}

/* ---- frames ---- */

static bool crc_is_right(const uint8_t *p, size_t len)
{
        uint16_t crc = modbus_crc(p, len - 2);

        return p[len - 2] == (crc & 0xff) && p[len - 1] == crc >> 8;
}

/* A read that a slave could answer. */
static bool read_request(const uint8_t *p, struct modbus_overheard_request *out)
{
        unsigned most = p[1] <= 2 ? MODBUS_BITS_MAX : MODBUS_REGISTERS_MAX;

        *out = (struct modbus_overheard_request){.unit = p[0],
                                                 .function = p[1],
                                                 .address = (uint16_t)(p[2] << 8 | p[3]),
                                                 .count = (uint16_t)(p[4] << 8 | p[5])};
        return p[0] >= 1 && p[0] <= 247 && p[1] >= 1 && p[1] <= 4 && out->count >= 1 && out->count <= most &&
               out->address + out->count <= 65536;
}

static bool is_request(const uint8_t *p, size_t have)
{
        struct modbus_overheard_request r;

        return have >= REQUEST_BYTES && read_request(p, &r) && crc_is_right(p, REQUEST_BYTES);
}

/* Of a request whose answer may come next. */
static const struct modbus_overheard_request *expected(const struct modbus_overhear *o)
{
        return o->held ? &o->maybe : o->waiting ? &o->pending : NULL;
}

static size_t answer_len(const struct modbus_overheard_request *r)
{
        return modbus_read_bytes(r->function, r->count) + 5;
}

/* Of a frame of another kind that is whole; 0: there is none. */
static size_t other_len(const uint8_t *p, size_t have, enum modbus_role role)
{
        int pdu = have > 2 ? modbus_pdu_len(role, p + 1, have - 1) : 0;

        if (pdu <= 0 || (size_t)pdu + 3 > have || p[0] > 247 || (role == MODBUS_REQUEST && p[1] >= 1 && p[1] <= 4))
                return 0;
        return crc_is_right(p, (size_t)pdu + 3) ? (size_t)pdu + 3 : 0;
}

/*
 * Whether the expected answer begins there: ANSWER, REFUSAL, BLOCKED: perhaps,
 * more bytes are needed; NOTHING.
 */
static enum shape expected_at(const struct modbus_overheard_request *r, const uint8_t *p, size_t have, bool quiet)
{
        size_t len = answer_len(r);

        if (p[0] != r->unit || (have > 1 && (p[1] & 0x7f) != r->function))
                return NOTHING;
        if (have > 1 && p[1] & 0x80) {
                if (have >= 5)
                        return crc_is_right(p, 5) ? REFUSAL : NOTHING;
                return quiet ? NOTHING : BLOCKED;
        }
        if (have > 2 && p[2] != len - 5)
                return NOTHING;
        if (have >= len)
                return crc_is_right(p, len) ? ANSWER : NOTHING;
        return quiet ? NOTHING : BLOCKED;
}

static struct found find_at(const struct modbus_overhear *o, size_t at, bool quiet)
{
        const struct modbus_overheard_request *r = expected(o);
        const uint8_t *p = o->buf + at;
        size_t have = o->len - at, len;
        enum shape shape = r ? expected_at(r, p, have, quiet) : NOTHING;

        if (shape != NOTHING)
                return (struct found){shape, at, shape == ANSWER ? answer_len(r) : 5};
        if (is_request(p, have))
                return (struct found){REQUEST, at, REQUEST_BYTES};
        len = other_len(p, have, MODBUS_REPLY);
        if (len)
                return (struct found){p[1] <= 4 || p[1] & 0x80 ? ORPHAN : OTHER, at, len};
        len = other_len(p, have, MODBUS_REQUEST);
        return (struct found){len ? OTHER : NOTHING, at, len};
}

/* The first that is there; `quiet`: nothing goes on. */
static struct found find(const struct modbus_overhear *o, bool quiet)
{
        struct found f = {.shape = NOTHING};

        for (size_t at = 0; at < o->len && f.shape == NOTHING; at++)
                f = find_at(o, at, quiet);
        return f;
}

/* ---- what is taken out of the buffer ---- */

static void drop(struct modbus_overhear *o, size_t n)
{
        o->len -= n;
        memmove(o->buf, o->buf + n, o->len);
        memmove(o->at_us, o->at_us + n, o->len * sizeof(*o->at_us));
}

static void drop_garbage(struct modbus_overhear *o, size_t n)
{
        o->n_torn += n;
        o->counts.garbage_bytes += n;
        drop(o, n);
}

/* ---- requests ---- */

static bool same(const struct modbus_overheard_request *a, const struct modbus_overheard_request *b)
{
        return a->unit == b->unit && a->function == b->function && a->address == b->address && a->count == b->count;
}

static bool is_known(const struct modbus_overhear *o, const struct modbus_overheard_request *r)
{
        for (unsigned i = 0; i < o->n_known && i < MODBUS_OVERHEAR_KNOWN; i++)
                if (same(&o->known[i], r))
                        return true;
        return false;
}

/*
 * What lies between request and answer may be the rest of another request.  A
 * byte or two are what a line makes when its driver is switched.
 */
static bool is_torn(const struct modbus_overhear *o)
{
        return o->n_torn > GLITCH_BYTES;
}

/* True: `out` tells that the request before has no answer. */
static bool give_up(struct modbus_overhear *o, struct modbus_overheard *out)
{
        if (!o->waiting)
                return false;
        *out = (struct modbus_overheard){
                .kind = MODBUS_HEARD_NO_ANSWER, .request = o->pending, .at_us = o->pending.at_us};
        if (!is_torn(o)) /* silence: it may still come */
                o->late[o->n_late++ % MODBUS_OVERHEAR_LATE] = o->pending;
        o->waiting = false;
        o->counts.unanswered++;
        return true;
}

static bool take_request(struct modbus_overhear *o, const struct modbus_overheard_request *r, bool certain,
                         struct modbus_overheard *out)
{
        bool told = give_up(o, out);

        o->pending = *r;
        o->waiting = true;
        o->n_torn = 0;
        o->counts.requests++;
        if (certain && !is_known(o, r))
                o->known[o->n_known++ % MODBUS_OVERHEAR_KNOWN] = *r;
        return told;
}

/* ---- answers ---- */

/*
 * Another request, left unanswered not long ago, that this answer would fit as
 * well.
 */
static bool may_be_late(const struct modbus_overhear *o, int64_t at_us, bool refusal)
{
        for (unsigned i = 0; i < o->n_late && i < MODBUS_OVERHEAR_LATE; i++) {
                const struct modbus_overheard_request *r = &o->late[i];

                if (r->unit == o->pending.unit && r->function == o->pending.function && !same(r, &o->pending) &&
                    (refusal || answer_len(r) == answer_len(&o->pending)) && at_us - r->at_us < o->timeout_us)
                        return true;
        }
        return false;
}

static bool take_answer(struct modbus_overhear *o, const uint8_t *frame, bool refusal, int64_t at_us,
                        struct modbus_overheard *out)
{
        if (is_torn(o) || may_be_late(o, at_us, refusal)) {
                o->counts.doubtful++;
                o->n_torn = UINT16_MAX; /* an answer has come: none will be late */
                return give_up(o, out);
        }
        o->waiting = false;
        *out = (struct modbus_overheard){.kind = refusal ? MODBUS_HEARD_EXCEPTION : MODBUS_HEARD_PAIR,
                                         .request = o->pending,
                                         .data = o->answer,
                                         .exception = refusal ? frame[2] : 0,
                                         .at_us = at_us};
        o->counts.pairs += !refusal;
        o->counts.exceptions += refusal;
        if (!refusal)
                memcpy(o->answer, frame + 3, answer_len(&o->pending) - 5);
        return true;
}

/* An answer that is a request as well; true: it is dealt with. */
static bool take_ambiguous(struct modbus_overhear *o, const uint8_t *p, int64_t at_us, struct modbus_overheard *out,
                           bool *told)
{
        struct modbus_overheard_request r;

        if (answer_len(&o->pending) != REQUEST_BYTES || !read_request(p, &r))
                return false;
        r.at_us = at_us;
        if (same(&r, &o->pending) || is_known(o, &r)) {
                *told = take_request(o, &r, false, out);
                return true;
        }
        o->held = true;
        o->maybe = r;
        o->held_us = at_us;
        memcpy(o->held_data, p + 3, AMBIGUOUS_BYTES);
        *told = false;
        return true;
}

/* What came behind it tells what the held frame was. */
static bool resolve(struct modbus_overhear *o, enum shape next, struct modbus_overheard *out)
{
        uint8_t frame[3 + AMBIGUOUS_BYTES] = {0};

        o->held = false;
        if (next == ANSWER || next == REFUSAL)
                return take_request(o, &o->maybe, true, out);
        memcpy(frame + 3, o->held_data, AMBIGUOUS_BYTES);
        return take_answer(o, frame, false, o->held_us, out);
}

/* ---- the circle ---- */

/* True: something is to be told. */
static bool take(struct modbus_overhear *o, const struct found *f, struct modbus_overheard *out)
{
        const uint8_t *p = o->buf + f->at;
        struct modbus_overheard_request r;
        uint8_t frame[MODBUS_RTU_MAX];
        int64_t at_us = o->at_us[f->at + f->len - 1];
        bool told = false;

        if (o->held)
                return resolve(o, f->shape, out); /* this frame comes again */
        memcpy(frame, p, f->len);
        drop_garbage(o, f->at);
        drop(o, f->len);
        switch (f->shape) {
        case REQUEST:
                read_request(frame, &r);
                r.at_us = at_us;
                return take_request(o, &r, true, out);
        case ANSWER:
                if (take_ambiguous(o, frame, at_us, out, &told))
                        return told;
                return take_answer(o, frame, false, at_us, out);
        case REFUSAL:
                return take_answer(o, frame, true, at_us, out);
        case ORPHAN:
                o->counts.orphans++;
                return give_up(o, out); /* the talk has gone on */
        default:
                o->counts.others++;
                return give_up(o, out);
        }
}

bool modbus_overhear_next(struct modbus_overhear *o, int64_t now_us, struct modbus_overheard *out)
{
        bool quiet = now_us - o->last_us >= o->quiet_us;
        struct found f;

        while ((f = find(o, quiet)).shape > BLOCKED)
                if (take(o, &f, out))
                        return true;
        if (quiet)
                drop_garbage(o, o->len);
        else if ((f.shape == BLOCKED ? f.at : o->len) > KEPT_BYTES) /* too long for a frame that goes on */
                drop_garbage(o, (f.shape == BLOCKED ? f.at : o->len) - KEPT_BYTES);
        if (o->held && now_us - o->held_us >= o->timeout_us)
                return resolve(o, NOTHING, out);
        if (o->waiting && !o->held && !o->len && now_us - o->pending.at_us >= o->timeout_us)
                return give_up(o, out);
        return false;
}

int64_t modbus_overhear_due(const struct modbus_overhear *o)
{
        int64_t due_us = INT64_MAX;

        if (o->len)
                due_us = o->last_us + o->quiet_us;
        else if (o->held)
                due_us = o->held_us + o->timeout_us;
        else if (o->waiting)
                due_us = o->pending.at_us + o->timeout_us;
        return due_us;
}
