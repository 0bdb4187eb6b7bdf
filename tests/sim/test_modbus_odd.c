/*
 * What comes over a bus that is not the answer: it is counted, and the likely cause is told.
 */
#include "tests/sim/modbus_world.h"

enum kind {
        ANOTHER_UNIT,
        ANOTHER_FUNCTION,
        ANOTHER_LENGTH,
        ANOTHER_TRANSACTION,
        ANOTHER_MASTER,
        WRONG_CRC,
        BREAKS_OFF,
        NO_MODBUS,
        TOO_LATE,
        ECHO,
        NOTHING
};

static void answer_oddly(struct world *w, const struct request *r)
{
        struct request other = *r;
        uint8_t out[MODBUS_ASCII_MAX];
        size_t n;

        switch (*(enum kind *)w->test) {
        case ANOTHER_UNIT:
                other.unit = (uint8_t)(r->unit + 1);
                break;
        case ANOTHER_FUNCTION:
                other.function = 4;
                break;
        case ANOTHER_LENGTH:
                other.count++;
                break;
        case ANOTHER_TRANSACTION:
                other.transaction = 40000;
                break;
        case TOO_LATE:
                answer(w, r, w->conf.timeout_us + 50 * MS);
                return;
        default:
                break;
        }
        n = put_reply(w, &other, out);
        switch (*(enum kind *)w->test) {
        case ANOTHER_MASTER:
                other.unit = 5;
                n = put_frame(w, out, &other, (const uint8_t[]){3, 0, 9, 0, 1}, 5);
                break;
        case WRONG_CRC:
                out[7] ^= 1;
                break;
        case BREAKS_OFF:
                n -= 3;
                break;
        case NO_MODBUS:
                memset(out, 0xe0, n);
                break;
        case ECHO:
                n = put_frame(w, out, r,
                              (const uint8_t[]){r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address,
                                                (uint8_t)(r->count >> 8), (uint8_t)r->count},
                              5);
                break;
        case NOTHING:
                return;
        default:
                break;
        }
        deliver_paced(w, w->now_us + 8 * modbus_char_ns(&w->conf) / 1000 + 5 * MS, out, n);
}

static struct world *make_odd(const char *port, enum kind *kind)
{
        struct world *w = make(port, 1, 2);

        w->test = kind;
        w->conf.retries = 0;
        w->on_request = answer_oddly;
        add_register(w, 0, MODBUS_HOLDING, 0, MODBUS_UINT32, 0, 2 * SECOND);
        return w;
}

#define TCP  "tcp://plc:502"
#define LINE "/dev/ttyS1"
#define SERV "rtu+tcp://moxa:4001"
#define TEXT "ascii+tcp://moxa:4002"

static void what_came_is_counted_and_told(void **state)
{
        static const struct {
                const char *port;
                enum kind kind;
                unsigned late, mismatched, crc, garbage; /* each request; garbage: 0 or more */
                const char *why;
        } cases[] = {
                {TCP, ANOTHER_UNIT, 0, 1, 0, 0, "an answer of unit 3 to a question to unit 2: two masters"},
                {TCP, ANOTHER_FUNCTION, 0, 1, 0, 0, "an answer to function 4, asked was function 3"},
                {TCP, ANOTHER_LENGTH, 0, 1, 0, 0, "an answer with 6 bytes of data, asked were 4"},
                {TCP, ANOTHER_TRANSACTION, 0, 1, 0, 0, "an answer with transaction id 40000"},
                {TCP, TOO_LATE, 1, 0, 0, 0, "an answer of unit 2 came after its time-out: a longer timeout"},
                {TCP, NOTHING, 0, 0, 0, 0, "no answer"},
                {LINE, ANOTHER_UNIT, 0, 1, 0, 0, "an answer of unit 3 to a question to unit 2: two masters"},
                {LINE, ANOTHER_FUNCTION, 0, 1, 0, 0, "an answer to function 4, asked was function 3"},
                {LINE, ANOTHER_LENGTH, 0, 1, 0, 0, "an answer with 6 bytes of data, asked were 4"},
                {LINE, ANOTHER_MASTER, 0, 1, 0, 0, "a question to unit 5 that is not ours: another master"},
                {LINE, WRONG_CRC, 0, 0, 1, 0, "CRC wrong in "},
                {LINE, BREAKS_OFF, 0, 0, 0, 6, "the answer breaks off after 6 of 9 bytes"},
                {LINE, NO_MODBUS, 0, 0, 0, 9, "9 bytes came that are no Modbus: baud, parity"},
                {LINE, TOO_LATE, 1, 0, 0, 0, "an answer of unit 2 came after its time-out: a longer timeout"},
                {LINE, ECHO, 0, 0, 0, 0, "no answer"},
                {LINE, NOTHING, 0, 0, 0, 0, "no answer"},
                {SERV, ANOTHER_UNIT, 0, 1, 0, 0, "an answer of unit 3 to a question to unit 2: two masters"},
                {SERV, WRONG_CRC, 0, 0, 1, 0, "CRC wrong in "},
                {SERV, TOO_LATE, 1, 0, 0, 0, "an answer of unit 2 came after its time-out: a longer timeout"},
                {TEXT, ANOTHER_UNIT, 0, 1, 0, 0, "an answer of unit 3 to a question to unit 2: two masters"},
                {TEXT, ANOTHER_LENGTH, 0, 1, 0, 0, "an answer with 6 bytes of data, asked were 4"},
                {TEXT, ANOTHER_MASTER, 0, 1, 0, 0, "a question to unit 5 that is not ours: another master"},
                {TEXT, WRONG_CRC, 0, 0, 1, 0, "LRC wrong in "},
                {TEXT, BREAKS_OFF, 0, 0, 0, 16, "the answer breaks off after 16 characters"},
                {TEXT, NO_MODBUS, 0, 0, 0, 19, ""},
                {TEXT, TOO_LATE, 1, 0, 0, 0, "an answer of unit 2 came after its time-out: a longer timeout"},
                {TEXT, ECHO, 0, 0, 0, 0, "no answer"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                enum kind kind = cases[i].kind;
                struct world *w = make_odd(cases[i].port, &kind);
                const struct modbus_counts *c;
                uint64_t n;

                start(w);
                run(w, 7 * SECOND);
                c = modbus_bus_counts(w->bus);
                n = c->requests;
                assert_in_range(n, 3, 4);
                assert_in_range(c->late, cases[i].late * (n - 1), cases[i].late * n);
                assert_int_equal(c->mismatched, cases[i].mismatched * n);
                assert_int_equal(c->crc, cases[i].crc * n);
                assert_int_equal(c->garbage_bytes, cases[i].garbage * n);
                assert_int_equal(w->n_data, 0);
                assert_int_equal(w->n_bad, 1);
                if (strncmp(w->why, cases[i].why, strlen(cases[i].why)) != 0)
                        fail_msg("told: %s\nexpected: %s", w->why, cases[i].why);
                finish(w);
        }
}

/* Every third answer is wrong, and is had by a repeat: no reading is bad, but the cause is told. */
static void wrong_now_and_then(struct world *w, const struct request *r)
{
        enum kind wrong = WRONG_CRC;
        void *test = w->test;

        if (w->n_requests % 3) {
                answer(w, r, 5 * MS);
                return;
        }
        w->test = &wrong;
        answer_oddly(w, r);
        w->test = test;
}

static void the_share_of_wrong_answers(void **state)
{
        enum kind kind = NOTHING;
        struct world *w = make_odd(LINE, &kind);
        unsigned wrong = 0, of = 0;

        w->conf.retries = 1;
        w->on_request = wrong_now_and_then;
        start(w);
        run(w, 600 * SECOND);
        assert_int_equal(w->n_bad, 0);
        assert_true(w->n_odd > 100);
        assert_int_equal(sscanf(w->why, "CRC wrong in %u of %u answers: termination", &wrong, &of), 2);
        assert_in_range(of, 50, 100);
        assert_in_range(100 * wrong / of, 30, 37);
        finish(w);
}

/* Three bytes of coils are an answer as long as a request; here the request is one, byte for byte. */
static void echo_first(struct world *w, const struct request *r)
{
        const uint8_t pdu[] = {r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address, (uint8_t)(r->count >> 8),
                               (uint8_t)r->count};
        uint8_t out[MODBUS_ASCII_MAX];
        size_t n = put_frame(w, out, r, pdu, sizeof(pdu));

        deliver(w, w->now_us + 5 * MS, out, n);
        n = put_frame(w, out, r, (const uint8_t[]){r->function, 3, 0xa5, 0x5a, 0x7}, 5);
        deliver(w, w->now_us + 30 * MS, out, n);
}

static void three_bytes(struct world *w, size_t read, const uint8_t *data)
{
        w->n_wrong += memcmp(data, "\xa5\x5a\x07", 3) != 0;
}

static void an_echo_is_no_answer(void **state)
{
        static const char *const ports[] = {LINE, SERV, TEXT};

        for (size_t i = 0; i < 3; i++) {
                struct world *w = make(ports[i], 1, 2);

                w->on_request = echo_first;
                w->on_values = three_bytes;
                for (unsigned k = 0; k < 20; k++)
                        add_register(w, 0, MODBUS_COIL, 0x310 + k, MODBUS_BOOL, 0, 2 * SECOND);
                start(w);
                run(w, 7 * SECOND);
                assert_int_equal(w->n_data, 4);
                assert_int_equal(w->n_wrong, 0);
                assert_int_equal(w->n_bad, 0);
                finish(w);
        }
}

static void say_nothing(struct world *w, const struct request *r)
{
}

/* A line that somebody else fills with whatever: nothing can be asked, and the tags say so. */
static void a_line_that_is_never_quiet(void **state)
{
        for (int ascii = 0; ascii < 2; ascii++) {
                struct world *w = make(LINE, 1, 2);

                w->conf.framing = ascii ? MODBUS_FRAMING_ASCII : MODBUS_FRAMING_RTU;
                w->on_request = say_nothing;
                add_register(w, 0, MODBUS_HOLDING, 0, MODBUS_UINT32, 0, 2 * SECOND);
                start(w);
                for (int i = 0; i < 10000; i++) {
                        modbus_bus_input(w->bus, w->now_us, (const uint8_t *)"x", 1);
                        run(w, MS);
                }
                assert_int_equal(w->n_bad, 1);
                assert_string_equal(w->why, "the line is never quiet");
                finish(w);
        }
}

/* A device that answers as another unit is taken where that was said, and only there. */
static void a_foreign_unit_by_leave(void **state)
{
        for (int serial = 0; serial < 2; serial++) {
                enum kind kind = ANOTHER_UNIT;
                struct world *w = make_odd(serial ? LINE : TCP, &kind);

                w->conf.accept_unit = MODBUS_ANY_UNIT;
                start(w);
                run(w, 7 * SECOND);
                assert_int_equal(w->n_data, 4);
                assert_int_equal(modbus_bus_counts(w->bus)->mismatched, 0);
                finish(w);
        }
}

/* What another client's answers or a serial server's bytes look like on TCP. */
static void a_stream_that_is_no_modbus(void **state)
{
        enum kind kind = NOTHING;
        struct world *w = make_odd(TCP, &kind);
        uint8_t out[MODBUS_RTU_MAX];
        size_t n = modbus_put_rtu(out, 2, (const uint8_t[]){3, 4, 0, 1, 0, 2}, 6);

        start(w);
        run(w, MS);
        assert_int_equal(modbus_bus_input(w->bus, w->now_us, out, n), -1);
        assert_non_null(strstr(modbus_bus_why(w->bus), "rtu+tcp://"));
        assert_int_equal(modbus_bus_counts(w->bus)->garbage_bytes, n);
        modbus_bus_close(w->bus, w->now_us, "x");
        modbus_bus_open(w->bus, w->now_us);
        assert_int_equal(modbus_bus_input(w->bus, w->now_us, (const uint8_t *)"HTTP/1.1", 8), -1);
        assert_null(strstr(modbus_bus_why(w->bus), "rtu+tcp://"));
        finish(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_came_is_counted_and_told), cmocka_unit_test(the_share_of_wrong_answers),
                cmocka_unit_test(an_echo_is_no_answer),          cmocka_unit_test(a_line_that_is_never_quiet),
                cmocka_unit_test(a_foreign_unit_by_leave),       cmocka_unit_test(a_stream_that_is_no_modbus),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
