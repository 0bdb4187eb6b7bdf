/*
 * The talk of a foreign master, overheard: whole, in pieces, with noise and lost bytes, with silent and with late
 * slaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/overhear.h"

enum { TIMEOUT_US = 500000, QUIET_US = 50000, EVENTS_MAX = 40000, FRAME_MAX = 300 };

/* ---- a line ---- */

struct world {
        struct modbus_overhear o;
        int64_t now_us;
        uint32_t random;
        struct modbus_overheard events[EVENTS_MAX];
        uint8_t data[EVENTS_MAX][250];
        size_t n;
};

static struct world w;

static uint32_t chance(uint32_t n)
{
        w.random = w.random * 1664525u + 1013904223u;
        return (w.random >> 8) % n;
}

static void begin(uint32_t seed)
{
        memset(&w, 0, sizeof(w));
        w.random = seed;
        w.now_us = 1000000;
        modbus_overhear_init(&w.o, TIMEOUT_US, QUIET_US);
}

static void drain(void)
{
        while (w.n < EVENTS_MAX && modbus_overhear_next(&w.o, w.now_us, &w.events[w.n])) {
                struct modbus_overheard *e = &w.events[w.n];

                if (e->kind == MODBUS_HEARD_PAIR)
                        memcpy(w.data[w.n], e->data, modbus_read_bytes(e->request.function, e->request.count));
                w.n++;
        }
        assert_true(modbus_overhear_due(&w.o) > w.now_us || w.n == EVENTS_MAX);
}

/* As the daemon does: it also looks when something is due. */
static void pass(int64_t us)
{
        int64_t until_us = w.now_us + us, due_us;

        while ((due_us = modbus_overhear_due(&w.o)) <= until_us) {
                w.now_us = due_us;
                drain();
        }
        w.now_us = until_us;
}

/* In chunks of up to `most` bytes, 1 ms apart. */
static void hear(const uint8_t *p, size_t n, uint32_t most)
{
        while (n) {
                size_t k = 1 + chance(most);

                k = k < n ? k : n;
                modbus_overhear_push(&w.o, w.now_us, p, k);
                drain();
                pass(1000);
                p += k;
                n -= k;
        }
}

static size_t put_request(uint8_t *out, unsigned unit, unsigned function, unsigned address, unsigned count)
{
        const uint8_t pdu[] = {(uint8_t)function, (uint8_t)(address >> 8), (uint8_t)address, (uint8_t)(count >> 8),
                               (uint8_t)count};

        return modbus_put_rtu(out, (uint8_t)unit, pdu, sizeof(pdu));
}

static size_t put_answer(uint8_t *out, unsigned unit, unsigned function, const uint8_t *data, size_t n)
{
        uint8_t pdu[MODBUS_PDU_MAX] = {(uint8_t)function, (uint8_t)n};

        memcpy(pdu + 2, data, n);
        return modbus_put_rtu(out, (uint8_t)unit, pdu, n + 2);
}

static void ask(unsigned unit, unsigned function, unsigned address, unsigned count)
{
        uint8_t frame[FRAME_MAX];

        hear(frame, put_request(frame, unit, function, address, count), 300);
}

static void answer(unsigned unit, unsigned function, const char *data, size_t n)
{
        uint8_t frame[FRAME_MAX];

        hear(frame, put_answer(frame, unit, function, (const uint8_t *)data, n), 300);
}

static void assert_event(size_t i, enum modbus_overheard_kind kind, unsigned unit, unsigned address)
{
        assert_true(i < w.n);
        assert_int_equal(w.events[i].kind, kind);
        assert_int_equal(w.events[i].request.unit, unit);
        assert_int_equal(w.events[i].request.address, address);
}

/* ---- one by one ---- */

static void test_a_pair(void **state)
{
        for (uint32_t most = 1; most < 20; most++) {
                begin(most);
                for (unsigned i = 0; i < 20; i++) {
                        uint8_t frame[FRAME_MAX];

                        hear(frame, put_request(frame, 17, 3, 100 + i, 2), most);
                        hear(frame, put_answer(frame, 17, 3, (const uint8_t *)"\x42\xf6\xe9\x79", 4), most);
                        assert_int_equal(w.n, i + 1);
                        assert_event(i, MODBUS_HEARD_PAIR, 17, 100 + i);
                        assert_memory_equal(w.data[i], "\x42\xf6\xe9\x79", 4);
                }
                assert_int_equal(w.o.counts.garbage_bytes, 0);
        }
}

static void test_exception(void **state)
{
        static const uint8_t pdu[] = {0x84, 2};
        uint8_t frame[FRAME_MAX];

        begin(1);
        ask(3, 4, 7, 1);
        hear(frame, modbus_put_rtu(frame, 3, pdu, 2), 300);
        assert_event(0, MODBUS_HEARD_EXCEPTION, 3, 7);
        assert_int_equal(w.events[0].exception, 2);
}

static void test_no_answer(void **state)
{
        begin(1);
        ask(3, 3, 7, 1);
        pass(TIMEOUT_US - 10000);
        assert_int_equal(w.n, 0);
        pass(20000);
        assert_event(0, MODBUS_HEARD_NO_ANSWER, 3, 7);
        ask(3, 3, 7, 1);
        ask(4, 3, 9, 1);
        assert_event(1, MODBUS_HEARD_NO_ANSWER, 3, 7);
        answer(4, 3, "\0\1", 2);
        assert_event(2, MODBUS_HEARD_PAIR, 4, 9);
}

/* Of another unit, function or length; or when nothing was asked. */
static void test_what_does_not_match(void **state)
{
        begin(1);
        answer(3, 3, "\0\1", 2);
        for (int i = 0; i < 3; i++) {
                ask(3, 3, 7, 1);
                answer(i == 0 ? 4 : 3, i == 1 ? 4 : 3, "\0\1\0\2", i == 2 ? 4 : 2);
        }
        pass(2 * TIMEOUT_US);
        assert_int_equal(w.n, 3);
        for (size_t i = 0; i < w.n; i++)
                assert_int_equal(w.events[i].kind, MODBUS_HEARD_NO_ANSWER);
        assert_int_equal(w.o.counts.orphans, 4);
}

/* Master asks 0, then 10 of the same length, before the slave's time is over: whose answer is it? */
static void test_a_late_answer_is_not_taken(void **state)
{
        begin(1);
        ask(3, 3, 0, 2);
        pass(100000);
        ask(3, 3, 10, 2);
        answer(3, 3, "\0\1\0\2", 4);
        assert_int_equal(w.n, 2);
        assert_event(0, MODBUS_HEARD_NO_ANSWER, 3, 0);
        assert_event(1, MODBUS_HEARD_NO_ANSWER, 3, 10);
        assert_int_equal(w.o.counts.doubtful, 1);
        pass(TIMEOUT_US);
        ask(3, 3, 10, 2);
        answer(3, 3, "\0\1\0\2", 4);
        assert_event(2, MODBUS_HEARD_PAIR, 3, 10);
        /* The same once more is no doubt: it is about the same registers. */
        ask(3, 3, 0, 2);
        pass(100000);
        ask(3, 3, 0, 2);
        answer(3, 3, "\0\3\0\4", 4);
        assert_event(4, MODBUS_HEARD_PAIR, 3, 0);
}

/* The request that belongs to the answer was damaged; the one before it is of the same shape. */
static void test_a_damaged_request_between(void **state)
{
        uint8_t frame[FRAME_MAX];
        size_t n;

        for (unsigned damage = 0; damage < 8; damage++) {
                for (unsigned lost = 0; lost <= 5; lost++) {
                        begin(1);
                        ask(3, 3, 0, 2);
                        n = put_request(frame, 3, 3, 10, 2);
                        frame[damage] ^= 0x55;
                        memmove(frame + damage, frame + damage + lost, n > damage + lost ? n - damage - lost : 0);
                        hear(frame, n > damage + lost ? n - lost : damage, 300);
                        answer(3, 3, "\0\1\0\2", 4);
                        for (size_t i = 0; i < w.n; i++)
                                assert_int_equal(w.events[i].kind, MODBUS_HEARD_NO_ANSWER);
                }
        }
}

static void test_a_glitch_between_is_no_harm(void **state)
{
        begin(1);
        ask(3, 3, 0, 2);
        hear((const uint8_t *)"\0\xff", 2, 1);
        answer(3, 3, "\0\1\0\2", 4);
        assert_event(0, MODBUS_HEARD_PAIR, 3, 0);
}

/* 20 coils: their answer is as long as a request, and here its CRC makes it one: unit 3, function 1, 0x03a5, 0x0402. */
static void test_an_answer_like_a_request(void **state)
{
        begin(1);
        ask(3, 1, 0, 20);
        answer(3, 1, "\xa5\x04\x02", 3);
        assert_int_equal(w.n, 0); /* not yet told which */
        ask(3, 1, 40, 8);
        assert_event(0, MODBUS_HEARD_PAIR, 3, 0);
        assert_memory_equal(w.data[0], "\xa5\x04\x02", 3);
        answer(3, 1, "\1", 1);
        assert_event(1, MODBUS_HEARD_PAIR, 3, 40);
        /* Nobody asks for more: told after the time-out. */
        ask(3, 1, 0, 20);
        answer(3, 1, "\xa5\x04\x02", 3);
        pass(2 * TIMEOUT_US);
        assert_event(2, MODBUS_HEARD_PAIR, 3, 0);
        assert_int_equal(w.n, 3);
}

/* The same bytes, and they are a request: the slave was silent, and the next one is for 8 coils from 0x0312. */
static void test_a_request_like_an_answer(void **state)
{
        begin(1);
        ask(3, 1, 0, 20);
        ask(3, 1, 0x312, 8);
        assert_int_equal(w.n, 0);
        answer(3, 1, "\x7f", 1);
        assert_event(0, MODBUS_HEARD_NO_ANSWER, 3, 0);
        assert_event(1, MODBUS_HEARD_PAIR, 3, 0x312);
        assert_memory_equal(w.data[1], "\x7f", 1);
        /* Now it is known: at once. */
        pass(2 * TIMEOUT_US);
        ask(3, 1, 0, 20);
        ask(3, 1, 0x312, 8);
        assert_event(2, MODBUS_HEARD_NO_ANSWER, 3, 0);
}

static void test_writes_are_passed_over(void **state)
{
        static const uint8_t write[] = {16, 0, 1, 0, 2, 4, 0, 1, 0, 2}, done[] = {16, 0, 1, 0, 2},
                             one[] = {6, 0, 1, 0, 3};
        uint8_t frame[FRAME_MAX];

        begin(1);
        for (int i = 0; i < 5; i++) {
                hear(frame, modbus_put_rtu(frame, 9, write, sizeof(write)), 5);
                hear(frame, modbus_put_rtu(frame, 9, done, sizeof(done)), 5);
                hear(frame, modbus_put_rtu(frame, 9, one, sizeof(one)), 5);
                hear(frame, modbus_put_rtu(frame, 9, one, sizeof(one)), 5);
                ask(3, 3, 0, 1);
                answer(3, 3, "\0\1", 2);
        }
        assert_int_equal(w.n, 5);
        assert_int_equal(w.o.counts.others, 20);
        assert_int_equal(w.o.counts.garbage_bytes, 0);
}

/* ---- many, with noise ---- */

enum { PAIRS = 10000, SHAPES = 12 };

static const struct {
        unsigned unit, function, address, count;
} shapes[SHAPES] = {{1, 3, 0, 2},     {1, 3, 10, 2}, {1, 3, 100, 60}, {1, 4, 0, 2},   {2, 3, 0, 2},   {2, 3, 2, 2},
                    {2, 4, 500, 125}, {3, 1, 0, 16}, {3, 2, 0, 300},  {3, 3, 40, 10}, {3, 3, 50, 10}, {17, 4, 7, 1}};

static uint8_t sent[PAIRS][250];
static uint8_t shape_of[PAIRS];
static int fates[PAIRS]; /* enum fate */

enum fate { DAMAGED, WHOLE, NOISE_BEFORE };

/* Noise: bits that turn, bytes that are lost or come on top, bursts. Returns the new length. */
static size_t spoil(uint8_t *p, size_t n, uint32_t one_in, enum fate *fate)
{
        size_t at = chance((uint32_t)n), k = 1 + chance(4);
        uint8_t was[FRAME_MAX];

        memcpy(was, p, n);
        *fate = WHOLE;
        if (chance(one_in))
                return n;
        *fate = DAMAGED;
        switch (chance(4)) {
        case 0:
                p[at] ^= (uint8_t)(1u << chance(8));
                return n;
        case 1:
                at -= at == n - 1; /* a lost last byte may be made up for by the first of the next frame */
                k = k < n - at ? k : n - at - 1;
                memmove(p + at, p + at + k, n - at - k);
                return n - k;
        case 2:
                memmove(p + at + k, p + at, n - at);
                for (size_t i = 0; i < k; i++)
                        p[at + i] = (uint8_t)chance(256);
                *fate = memmem(p, n + k, was, n) ? NOISE_BEFORE : DAMAGED; /* also when it is so by chance */
                return n + k;
        default:
                for (size_t i = at; i < n && i < at + k; i++)
                        p[i] = (uint8_t)chance(256);
                *fate = memcmp(was, p, n) ? DAMAGED : WHOLE;
                return n;
        }
}

static void play(uint32_t seed, uint32_t one_in, uint32_t most)
{
        uint8_t frame[FRAME_MAX];
        enum fate fate;

        begin(seed);
        for (size_t i = 0; i < PAIRS; i++) {
                unsigned s = chance(SHAPES);
                size_t bytes = modbus_read_bytes(shapes[s].function, shapes[s].count), n;

                shape_of[i] = (uint8_t)s;
                for (size_t k = 0; k < bytes; k++)
                        sent[i][k] = (uint8_t)chance(256);
                n = put_request(frame, shapes[s].unit, shapes[s].function, shapes[s].address, shapes[s].count);
                n = spoil(frame, n, one_in, &fate);
                fates[i] = fate == NOISE_BEFORE && modbus_crc(frame + n - 8, 8) == 0 ? WHOLE : (int)fate;
                hear(frame, n, most);
                n = put_answer(frame, shapes[s].unit, shapes[s].function, sent[i], bytes);
                n = spoil(frame, n, one_in, &fate);
                fates[i] = fates[i] == DAMAGED || fate == DAMAGED ? DAMAGED : fates[i] == WHOLE ? (int)fate : fates[i];
                hear(frame, n, most);
        }
        pass(2 * TIMEOUT_US);
}

/*
 * Each pair that was told was sent undamaged, in their order; with `all`, no undamaged one is missing, but those with
 * noise between request and answer.
 */
static size_t compare(bool all)
{
        size_t at = 0, n_heard = 0, n_whole = 0, n_either = 0;

        for (size_t i = 0; i < w.n; i++) {
                const struct modbus_overheard *e = &w.events[i];

                if (e->kind != MODBUS_HEARD_PAIR)
                        continue;
                for (;; at++) {
                        unsigned s = shape_of[at];

                        assert_true(at < PAIRS);
                        if (shapes[s].unit == e->request.unit && shapes[s].function == e->request.function &&
                            shapes[s].address == e->request.address && fates[at] != DAMAGED &&
                            memcmp(sent[at], w.data[i], modbus_read_bytes(shapes[s].function, shapes[s].count)) == 0)
                                break;
                        assert_false(all && fates[at] == WHOLE);
                }
                n_either += fates[at++] == NOISE_BEFORE;
                n_heard++;
        }
        for (size_t i = 0; i < PAIRS; i++)
                n_whole += fates[i] == WHOLE;
        if (all)
                assert_int_equal(n_heard - n_either, n_whole);
        return n_heard;
}

static void test_ten_thousand_clean(void **state)
{
        play(7, 1000000000, 40);
        assert_int_equal(compare(true), PAIRS);
        assert_int_equal(w.o.counts.garbage_bytes, 0);
}

static void test_ten_thousand_with_noise(void **state)
{
        static const uint32_t one_in[] = {50, 10, 4};

        for (uint32_t seed = 1; seed <= 6; seed++) {
                play(seed, one_in[seed % 3], seed % 2 ? 9 : 300);
                assert_in_range(compare(true), 5000, PAIRS);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_pair),
                cmocka_unit_test(test_exception),
                cmocka_unit_test(test_no_answer),
                cmocka_unit_test(test_what_does_not_match),
                cmocka_unit_test(test_a_late_answer_is_not_taken),
                cmocka_unit_test(test_a_damaged_request_between),
                cmocka_unit_test(test_a_glitch_between_is_no_harm),
                cmocka_unit_test(test_an_answer_like_a_request),
                cmocka_unit_test(test_a_request_like_an_answer),
                cmocka_unit_test(test_writes_are_passed_over),
                cmocka_unit_test(test_ten_thousand_clean),
                cmocka_unit_test(test_ten_thousand_with_noise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
