/*
 * Bytes to frames: the CRC of the specification's example, every length rule, an answer found behind noise, echoes and
 * half frames however the bytes are cut, a listener that gets in step again, TCP streams that are cut anywhere or
 * broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/frame.h"

static const uint8_t request[] = {3, 0, 107, 0, 3};
static const uint8_t reply[] = {3, 6, 2, 43, 0, 0, 0, 100};
static const struct modbus_want want = {17, 3, 6};

static void the_crc_is_the_specifications(void **state)
{
        static const uint8_t wire[] = {0x11, 0x03, 0x00, 0x6b, 0x00, 0x03, 0x76, 0x87};
        uint8_t out[MODBUS_RTU_MAX];

        assert_int_equal(modbus_put_rtu(out, 17, request, sizeof(request)), sizeof(wire));
        assert_memory_equal(out, wire, sizeof(wire));
        assert_int_equal(modbus_crc((const uint8_t *)"123456789", 9), 0x4b37);
}

static void lengths(void **state)
{
        static const struct {
                enum modbus_role role;
                uint8_t pdu[8];
                size_t have;
                int len;
        } rows[] = {
                {MODBUS_REQUEST, {3}, 1, 5},
                {MODBUS_REQUEST, {16, 0, 0, 0, 2, 4}, 6, 10},
                {MODBUS_REQUEST, {16, 0, 0, 0, 2}, 5, 0},
                {MODBUS_REQUEST, {16, 0, 0, 0, 2, 255}, 6, -1},
                {MODBUS_REQUEST, {0}, 1, -1},
                {MODBUS_REQUEST, {99}, 1, -1},
                {MODBUS_REPLY, {0x83, 2}, 2, 2},
                {MODBUS_REPLY, {4, 250}, 2, 252},
                {MODBUS_REPLY, {4, 252}, 2, -1},
                {MODBUS_REPLY, {4}, 1, 0},
                {MODBUS_REPLY, {4}, 0, 0},
                {MODBUS_REPLY, {6, 0, 1, 0, 1}, 5, 5},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_int_equal(modbus_pdu_len(rows[i].role, rows[i].pdu, rows[i].have), rows[i].len);
}

/* What may stand before the answer on the line. */
static size_t put_before(int kind, uint8_t *out)
{
        uint8_t frame[MODBUS_RTU_MAX];
        size_t n;

        switch (kind) {
        case 0:
                return 0;
        case 1: /* our own echo */
                return modbus_put_rtu(out, 17, request, sizeof(request));
        case 2: /* another slave's late answer */
                return modbus_put_rtu(out, 18, reply, sizeof(reply));
        case 3: /* half of the same answer */
                n = modbus_put_rtu(frame, 17, reply, sizeof(reply));
                memcpy(out, frame, n / 2);
                return n / 2;
        case 4: /* the same, with a wrong CRC */
                n = modbus_put_rtu(out, 17, reply, sizeof(reply));
                out[n - 1] ^= 1;
                return n;
        case 5: /* the right unit and function, another length */
                return modbus_put_rtu(out, 17, (const uint8_t[]){3, 2, 0, 1}, 4);
        default: /* noise that begins like an answer */
                memcpy(out, "\x11\x03\xff\x11\x03\x06\x11\x83", 8);
                return 8;
        }
}

static void an_answer_is_found_behind_anything(void **state)
{
        for (int kind = 0; kind <= 6; kind++) {
                for (size_t step = 1; step <= 40; step++) {
                        struct modbus_rtu f = {.len = 0};
                        struct modbus_frame out = {0};
                        uint8_t line[64];
                        size_t before = put_before(kind, line), skipped;
                        size_t n = before + modbus_put_rtu(line + before, 17, reply, sizeof(reply));
                        bool found = false;

                        for (size_t at = 0; at < n; at += step) {
                                assert_false(found);
                                modbus_rtu_push(&f, line + at, n - at < step ? n - at : step);
                                found = modbus_rtu_find(&f, &want, &out, &skipped);
                        }
                        assert_true(found);
                        assert_int_equal(out.unit, 17);
                        assert_int_equal(out.len, sizeof(reply));
                        assert_memory_equal(out.pdu, reply, sizeof(reply));
                        assert_int_equal(skipped, before);
                        assert_int_equal(f.n_garbage, before);
                }
        }
}

static void an_exception_is_an_answer(void **state)
{
        struct modbus_rtu f = {.len = 0};
        struct modbus_frame out;
        uint8_t line[MODBUS_RTU_MAX];
        size_t before;

        modbus_rtu_push(&f, line, modbus_put_rtu(line, 17, (const uint8_t[]){0x83, 2}, 2));
        assert_true(modbus_rtu_find(&f, &want, &out, &before));
        assert_int_equal(out.len, 2);
        assert_string_equal(modbus_exception(out.pdu[1]), "illegal data address, it has no such register");
        for (unsigned code = 0; code < 256; code++)
                assert_non_null(modbus_exception(code));
}

static void noise_never_fills_the_buffer(void **state)
{
        struct modbus_rtu f = {.len = 0};
        struct modbus_frame out;
        uint8_t noise[700], line[MODBUS_RTU_MAX];
        size_t before;

        memset(noise, 0x11, sizeof(noise));
        for (int i = 0; i < 10; i++) {
                modbus_rtu_push(&f, noise, sizeof(noise));
                assert_false(modbus_rtu_find(&f, &want, &out, &before));
        }
        modbus_rtu_push(&f, line, modbus_put_rtu(line, 17, reply, sizeof(reply)));
        assert_true(modbus_rtu_find(&f, &want, &out, &before));
        assert_int_equal(f.n_garbage, 10 * sizeof(noise));
}

/* Talk of others with noise between the frames, cut anywhere: all frames are heard, once. */
static void a_listener_gets_in_step(void **state)
{
        srand(1);
        for (int round = 0; round < 2000; round++) {
                struct modbus_rtu f = {.len = 0};
                struct modbus_frame out;
                unsigned n_sent = 0, n_heard = 0;

                for (int k = 0; k < 8; k++) {
                        uint8_t line[300], pdu[MODBUS_PDU_MAX] = {4, (uint8_t)(2 * (rand() % 125))};
                        size_t noise = rand() % 3 ? 0 : (size_t)rand() % 20, n = noise;

                        for (size_t i = 0; i < noise; i++)
                                line[i] = (uint8_t)rand();
                        for (int i = 0; i < pdu[1]; i++)
                                pdu[2 + i] = (uint8_t)rand();
                        n += modbus_put_rtu(line + noise, (uint8_t)(1 + rand() % 247), pdu, pdu[1] + 2u);
                        n_sent++;
                        for (size_t at = 0; at < n;) {
                                size_t step = 1 + (size_t)rand() % 60;

                                step = n - at < step ? n - at : step;
                                modbus_rtu_push(&f, line + at, step);
                                at += step;
                                while (modbus_rtu_next(&f, MODBUS_REPLY, at == n, &out))
                                        n_heard++;
                        }
                }
                assert_int_equal(n_heard, n_sent);
        }
}

static void tcp_frames_come_in_any_pieces(void **state)
{
        uint8_t line[3 * MODBUS_TCP_MAX];
        size_t n = 0;

        for (unsigned i = 0; i < 3; i++)
                n += modbus_put_tcp(line + n, (uint16_t)(0xfffe + i), (uint8_t)i, reply, sizeof(reply));
        for (size_t step = 1; step <= n; step++) {
                struct modbus_tcp f = {.len = 0};
                struct modbus_frame out;
                unsigned heard = 0;

                for (size_t at = 0; at < n; at += step) {
                        modbus_tcp_push(&f, line + at, n - at < step ? n - at : step);
                        while (modbus_tcp_next(&f, &out) > 0) {
                                assert_int_equal(out.transaction, (uint16_t)(0xfffe + heard));
                                assert_int_equal(out.unit, heard++);
                                assert_memory_equal(out.pdu, reply, sizeof(reply));
                        }
                }
                assert_int_equal(heard, 3);
        }
}

static void a_broken_tcp_stream_is_told(void **state)
{
        static const uint8_t wrong[][8] = {
                {0, 1, 0, 1, 0, 3, 1, 3},   {0, 1, 1, 0, 0, 3, 1, 3}, {0, 1, 0, 0, 0, 1, 1, 3},
                {0, 1, 0, 0, 0, 255, 1, 3}, {0, 1, 0, 0, 1, 0, 1, 3}, {'H', 'T', 'T', 'P', '/', '1', '.', '1'},
        };

        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                struct modbus_tcp f = {.len = 0};
                struct modbus_frame out;

                modbus_tcp_push(&f, wrong[i], sizeof(wrong[i]));
                assert_int_equal(modbus_tcp_next(&f, &out), -1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_crc_is_the_specifications),      cmocka_unit_test(lengths),
                cmocka_unit_test(an_answer_is_found_behind_anything), cmocka_unit_test(an_exception_is_an_answer),
                cmocka_unit_test(noise_never_fills_the_buffer),       cmocka_unit_test(a_listener_gets_in_step),
                cmocka_unit_test(tcp_frames_come_in_any_pieces),      cmocka_unit_test(a_broken_tcp_stream_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
