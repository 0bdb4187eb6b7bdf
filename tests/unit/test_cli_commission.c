/*
 * The pure parts of the commissioning commands: which registers a slave has, names, registers in all types.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/ranges.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/commission/slave.h"
#include "agent/cli/commission/views.h"
#include "drivers/modbus/frame.h"

/* ---- ranges ---- */

static uint8_t holds[RANGES_REGISTERS];

static enum ranges_answer slave(unsigned at, unsigned n, bool in_pairs)
{
        for (unsigned i = at; i < at + n; i++)
                if (!holds[i])
                        return RANGES_REFUSED;
        return in_pairs && n % 2 ? RANGES_REFUSED : RANGES_THERE;
}

static struct ranges *searched(bool in_pairs)
{
        struct ranges *r = mem_alloc(sizeof(*r));
        unsigned at, n;

        ranges_init(r);
        ranges_want(r, 0, 127, false);
        while (ranges_next(r, &at, &n)) {
                assert_true(n >= 1 && at + n <= RANGES_REGISTERS);
                ranges_told(r, slave(at, n, in_pairs));
        }
        return r;
}

static void hold(unsigned first, unsigned last)
{
        memset(holds + first, 1, last - first + 1);
}

static void test_ranges_find_holes(void **state)
{
        static const unsigned want[][2] = {{1, 3}, {60, 8}, {127, 200}, {40000, 70}, {65280, 256}};
        struct ranges *r;
        unsigned at = 0, n, k = 0;

        memset(holds, 0, sizeof(holds));
        for (size_t i = 0; i < 5; i++)
                hold(want[i][0], want[i][0] + want[i][1] - 1);
        r = searched(false);
        assert_int_equal(r->state, RANGES_DONE);
        for (; ranges_run(r, &at, &n); at += n, k++) {
                assert_true(k < 5);
                assert_int_equal(at, want[k][0]);
                assert_int_equal(n, want[k][1]);
        }
        assert_int_equal(k, 5);
        assert_int_equal(r->n_there, 3 + 8 + 200 + 70 + 256);
        free(r);
}

static void test_ranges_of_pairs(void **state)
{
        struct ranges *r;
        unsigned at = 0, n;

        memset(holds, 0, sizeof(holds));
        hold(10, 13);
        r = searched(true);
        assert_true(ranges_run(r, &at, &n));
        assert_int_equal(at, 10);
        assert_int_equal(n, 4);
        free(r);
}

static void test_ranges_are_bounded(void **state)
{
        struct ranges *r;

        memset(holds, 0, sizeof(holds));
        r = searched(false);
        assert_in_range(r->n_asked, 2 * 127, 1500);
        free(r);
        memset(holds, 1, sizeof(holds));
        r = searched(false);
        assert_int_equal(r->n_there, RANGES_REGISTERS);
        assert_in_range(r->n_asked, RANGES_REGISTERS / RANGES_BLOCK, RANGES_REGISTERS / RANGES_BLOCK + 1);
        free(r);
}

static void test_silence_ends_the_search(void **state)
{
        struct ranges *r = mem_alloc(sizeof(*r));
        unsigned at, n, k = 0;

        ranges_init(r);
        while (ranges_next(r, &at, &n)) {
                ranges_told(r, RANGES_SILENT);
                k++;
        }
        assert_int_equal(k, RANGES_SILENCE_MAX);
        assert_int_equal(r->state, RANGES_GAVE_UP);
        ranges_init(r);
        assert_true(ranges_next(r, &at, &n));
        ranges_told(r, RANGES_NO_FUNCTION);
        assert_false(ranges_next(r, &at, &n));
        free(r);
}

static void test_lists(void **state)
{
        static const char *const wrong[] = {"",   "x",     "1-", "5-3", "256",
                                            "1,", "1-2-3", " 1", "-1",  "99999999999999999999"};
        uint8_t bits[32] = {0};

        assert_true(ranges_list("1,3,10-12,255", 255, bits));
        for (unsigned i = 0; i < 256; i++)
                assert_int_equal(ranges_bit(bits, i), i == 1 || i == 3 || (i >= 10 && i <= 12) || i == 255);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
                assert_false(ranges_list(wrong[i], 255, bits));
}

/* ---- names ---- */

static void test_names(void **state)
{
        static const struct {
                const char *from, *name;
        } rows[] = {{"temp", "temp"}, {"Temp in °", "Temp_in"}, {"a / b", "a_b"},
                    {"", "tag"},      {"///", "tag"},           {"x.1_y-z", "x.1_y-z"}};
        char name[PART_NAME_ROOM];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                part_name(name, rows[i].from, strlen(rows[i].from), "tag");
                assert_string_equal(name, rows[i].name);
                assert_true(text_is_name(name, strlen(name)));
        }
}

static void test_names_are_unique(void **state)
{
        struct part_names names = {0};
        char name[PART_NAME_ROOM], text[300];

        memset(text, 'n', sizeof(text));
        for (int i = 0; i < 1000; i++) {
                part_name(name, text, sizeof(text), "tag");
                assert_int_equal(part_names_add(&names, name), i > 0);
                assert_true(text_is_name(name, strlen(name)));
        }
        assert_int_equal(names.n, 1000);
        part_names_fini(&names);
}

static void test_texts_are_scalars(void **state)
{
        char *out;
        size_t len;
        FILE *f = open_memstream(&out, &len);

        part_text(f, "a\"b\\c\n\xff", 7);
        fclose(f);
        assert_string_equal(out, "\"a\\\"b\\\\c\\n\xef\xbf\xbd\"");
        free(out);
}

/* ---- views: 123.456 as the manual writes it in four orders ---- */

static void test_views(void **state)
{
        static const uint8_t data[] = {0x42, 0xf6, 0xe9, 0x79};
        static const struct views v = {MODBUS_HOLDING, 7, 2, data};
        char *out;
        size_t len;
        FILE *f = open_memstream(&out, &len);
        struct err e;

        views_print(f, &v, 0);
        views_json(f, &v);
        fclose(f);
        assert_non_null(strstr(out, "holding:7"));
        assert_non_null(strstr(out, " 42f6   17142  17142  B."));
        assert_non_null(strstr(out, "123.456"));
        assert_non_null(strstr(out, "1123477881")); /* 0x42f6e979 */
        assert_null(strstr(out, "#   float64"));
        assert_non_null(strstr(out, "\"float64\":{\"ABCD\":null"));
        free(out);
        assert_int_equal(views_as("all", &e), 0);
        assert_int_equal(views_as("float32", &e), 5);
        assert_int_equal(views_as("flaot", &e), -1);
}

/* ---- answers ---- */

/* One that is asked once, and answers with this PDU, whatever the question. */
static enum site_answer asked(bool identify, const uint8_t *pdu, size_t len, struct site_reply *reply)
{
        struct site p = {.wire = SITE_TCP, .timeout_us = 200000};
        enum site_answer answer;
        int fds[2];
        pid_t slave;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        slave = fork();
        if (slave == 0) {
                uint8_t out[1024], question[MODBUS_TCP_MAX];
                ssize_t n = read(fds[1], question, sizeof(question));

                memcpy(out, question, 4);
                out[4] = (uint8_t)((len + 1) >> 8);
                out[5] = (uint8_t)(len + 1);
                out[6] = 1;
                memcpy(out + 7, pdu, len);
                n = write(fds[1], out, len + 7);
                pause();
                _exit(n < 0);
        }
        p.fd = fds[0];
        answer = identify ? site_identify(&p, 1, reply) : site_read(&p, 1, 3, 0, 100, reply);
        kill(slave, SIGKILL);
        waitpid(slave, NULL, 0);
        close(fds[0]);
        close(fds[1]);
        return answer;
}

static void test_answers_are_bounded(void **state)
{
        uint8_t pdu[1000] = {43, 14, 1, 1, 0, 0, 1, 0, 3, 'A', 'b', 'c'};
        struct site_reply reply;

        assert_int_equal(asked(true, pdu, 12, &reply), SITE_DATA);
        assert_int_equal(reply.len, 12);
        pdu[6] = 3; /* objects of 250 bytes each: more than a PDU holds */
        pdu[8] = pdu[8 + 252] = pdu[8 + 2 * 252] = 250;
        assert_int_equal(asked(true, pdu, 7 + 3 * 252, &reply), SITE_SILENT);
        pdu[6] = 1; /* goes on behind the end */
        assert_int_equal(asked(true, pdu, 20, &reply), SITE_SILENT);
        pdu[0] = 3; /* 200 bytes of data are said to be there */
        pdu[1] = 200;
        assert_int_equal(asked(false, pdu, 10, &reply), SITE_SILENT);
        assert_int_equal(asked(false, pdu, 202, &reply), SITE_DATA);
        assert_int_equal(reply.len, 202);
}

/* A name is printed into a comment: what YAML takes for the end of a line must not end it. */
static void test_names_of_slaves_are_harmless(void **state)
{
        static const char vendor[] = "A\n\xc2\x85x: \xe2\x80\xa8y: \xff";
        uint8_t pdu[MODBUS_PDU_MAX] = {43, 14, 1, 1, 0, 0, 1, 0, sizeof(vendor) - 1};
        struct slave s = {.unit = 1};

        memcpy(pdu + 9, vendor, sizeof(vendor) - 1);
        slave_identify(&s, pdu, 9 + sizeof(vendor) - 1);
        assert_string_equal(s.vendor, "A???x: ???y: ?");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ranges_find_holes),
                cmocka_unit_test(test_ranges_of_pairs),
                cmocka_unit_test(test_ranges_are_bounded),
                cmocka_unit_test(test_silence_ends_the_search),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_names_are_unique),
                cmocka_unit_test(test_texts_are_scalars),
                cmocka_unit_test(test_views),
                cmocka_unit_test(test_answers_are_bounded),
                cmocka_unit_test(test_names_of_slaves_are_harmless),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
