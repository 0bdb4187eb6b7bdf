/*
 * odd: what came that is not the answer, and what it probably means.
 *
 * A request without an answer is one thing to a master and ten to the person
 * who wired the line.  So every byte that came meanwhile is looked at: an
 * answer of another unit, a question of another master, an answer whose
 * checksum is wrong, one that breaks off, or no Modbus at all.  It is counted,
 * and the likely cause becomes the reason of the failure.  The echo of our own
 * request, which two-wire adapters give, is nothing odd.
 *
 * Fails: never.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/modbus/bus_impl.h"

enum { LATE_UP_TO_US = 10000000, LATELY = 100, OURS = 1024 };

void modbus_odd_say(struct modbus_bus *b, int64_t now_us, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(b->odd.text, sizeof(b->odd.text), fmt, ap);
        va_end(ap);
        b->odd.at_us = now_us;
}

/* What is told of a request that ended without its answer. */
const char *modbus_odd_why(const struct modbus_bus *b, const struct modbus_slot *s)
{
        return b->odd.at_us >= s->sent_us && b->odd.text[0] ? b->odd.text : "no answer";
}

/*
 * An answer came, its checksum right or not: the share of the wrong ones is of
 * the last hundred or so.
 */
void modbus_odd_answer(struct modbus_bus *b, bool crc_right)
{
        b->odd.answers++;
        b->odd.wrong += !crc_right;
        b->counts.crc += !crc_right;
        if (b->odd.answers < LATELY)
                return;
        b->odd.answers /= 2;
        b->odd.wrong = (b->odd.wrong + 1) / 2;
}

/* ---- answers that fit no question ---- */

static bool is_late(const struct modbus_bus *b, unsigned unit, int64_t now_us)
{
        int64_t hold_us = b->schedule.hold_us[unit];

        return hold_us && now_us - hold_us < LATE_UP_TO_US;
}

void modbus_odd_mismatch(struct modbus_bus *b, const struct modbus_slot *s, unsigned unit, const uint8_t *pdu,
                         size_t len, int64_t now_us)
{
        b->counts.mismatched++;
        if (!s)
                modbus_odd_say(b, now_us, "an answer of unit %u that nobody asked: is there another master?", unit);
        else if (unit != s->unit)
                modbus_odd_say(b, now_us,
                               "an answer of unit %u to a question to unit %u: two masters, or a gateway that answers "
                               "for another (accept_unit)",
                               unit, s->unit);
        else if ((pdu[0] & 0x7f) != s->function)
                modbus_odd_say(b, now_us, "an answer to function %u, asked was function %u", pdu[0] & 0x7fu,
                               s->function);
        else
                modbus_odd_say(b, now_us, "an answer with %zu bytes of data, asked were %zu", len < 2 ? 0 : len - 2,
                               s->n_bytes);
}

/* Its request has ended: it is told by itself. */
static void late(struct modbus_bus *b, unsigned unit, int64_t now_us)
{
        b->counts.late++;
        modbus_odd_say(b, now_us, "an answer of unit %u came after its time-out: a longer timeout is needed", unit);
        for (size_t i = 0; i < b->plan->n_devices && b->outcome.on_odd; i++) {
                if (b->plan->devices[i]->unit != unit)
                        continue;
                b->outcome.on_odd(b->outcome.ctx, i, b->odd.text);
                return;
        }
}

/*
 * One whose number none of the open requests has: ours of before, or nobody's.
 */
void modbus_odd_transaction(struct modbus_bus *b, const struct modbus_frame *f, int64_t now_us)
{
        uint16_t ago = (uint16_t)(b->transaction - f->transaction);

        if (ago < OURS && ago < b->counts.requests) {
                late(b, f->unit, now_us);
                return;
        }
        b->counts.mismatched++;
        modbus_odd_say(b, now_us,
                       "an answer with transaction id %u, which no request had: a device that does not copy it, or "
                       "answers of another client",
                       f->transaction);
}

/* ---- a serial line ---- */

static bool is_echo(const struct modbus_bus *b, const uint8_t *p, size_t n)
{
        return b->n_asked > 0 && n >= b->n_asked && memcmp(p, b->asked, b->n_asked) == 0;
}

static void on_frame(struct modbus_bus *b, const struct modbus_slot *s, const uint8_t *p, size_t len, int64_t now_us)
{
        if (is_late(b, p[0], now_us) && !(s && s->unit == p[0]))
                late(b, p[0], now_us);
        else
                modbus_odd_mismatch(b, s, p[0], p + 1, len - 3, now_us);
}

/*
 * The wanted answer with another checksum; how long it is, or 0. `cut`: its
 * beginning, and no more.
 */
static size_t broken_answer(const struct modbus_slot *s, const uint8_t *p, size_t n, bool *cut)
{
        size_t len = s->n_bytes + 5;

        *cut = false;
        if (n < 3 || p[0] != s->unit)
                return 0;
        if (p[1] == (s->function | 0x80))
                return n >= 5 ? 5 : 0;
        if (p[1] != s->function || p[2] != s->n_bytes)
                return 0;
        *cut = n < len;
        return *cut ? n : len;
}

/* What begins at `p` and is no frame: how much of it. */
static size_t on_no_frame(struct modbus_bus *b, const struct modbus_slot *s, const uint8_t *p, size_t n, int64_t now_us)
{
        bool cut = false;
        size_t len = s ? broken_answer(s, p, n, &cut) : 0;

        if (len == 0 || cut) {
                len = len ? len : 1;
                b->counts.garbage_bytes += len;
                if (cut)
                        modbus_odd_say(b, now_us, "the answer breaks off after %zu of %zu bytes", len, s->n_bytes + 5);
                else if (s && b->odd.at_us < s->sent_us)
                        modbus_odd_say(b, now_us,
                                       "%zu bytes came that are no Modbus: baud, parity, or another protocol on the "
                                       "line",
                                       n);
                return len;
        }
        modbus_odd_answer(b, false);
        modbus_odd_say(b, now_us, "%s wrong in %u of %u answers: termination, baud or parity",
                       b->in_ascii ? "LRC" : "CRC", b->odd.wrong, b->odd.answers);
        return len;
}

void modbus_odd_serial(struct modbus_bus *b, const struct modbus_slot *s, const uint8_t *p, size_t n, int64_t now_us)
{
        for (size_t at = 0, len; at < n; at += len) {
                if (is_echo(b, p + at, n - at)) {
                        len = b->n_asked;
                        b->n_asked = 0;
                } else if ((len = modbus_rtu_frame(MODBUS_REPLY, p + at, n - at))) {
                        on_frame(b, s, p + at, len, now_us);
                } else if ((len = modbus_rtu_frame(MODBUS_REQUEST, p + at, n - at))) {
                        b->counts.mismatched++;
                        modbus_odd_say(b, now_us, "a question to unit %u that is not ours: another master on the line",
                                       p[at]);
                } else {
                        len = on_no_frame(b, s, p + at, n - at, now_us);
                }
        }
}

void modbus_odd_rest(struct modbus_bus *b, const struct modbus_slot *s, int64_t now_us)
{
        size_t n = modbus_ascii_flush(&b->ascii);

        modbus_odd_serial(b, s, b->rtu.buf, b->rtu.len, now_us);
        b->rtu.len = 0;
        b->counts.garbage_bytes += n;
        if (n && s)
                modbus_odd_say(b, now_us, "the answer breaks off after %zu characters", n);
}
