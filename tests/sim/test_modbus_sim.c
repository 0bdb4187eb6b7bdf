/*
 * A Modbus bus in virtual time (modbus_world.h): slaves that are late, dead, noisy or sick.
 */
#include "tests/sim/modbus_world.h"

/* ---- late answers ---- */

/* About half of the answers come 1 ms after the time-out, or anywhere up to the end of the time-out after it. */
static void sometimes_late(struct world *w, const struct request *r)
{
        int64_t reply_us = (5 + 2 * r->count) * modbus_char_ns(&w->conf) / 1000;
        int64_t delay_us = (int64_t)draw(w, 20 * MS);

        if (draw(w, 2)) {
                delay_us = w->conf.timeout_us + reply_us + MS;
                if (draw(w, 2))
                        delay_us += (int64_t)draw(w, (uint64_t)(w->conf.timeout_us - 2 * reply_us - 50 * MS));
                w->n_late_sent++;
        } else if (draw(w, 4) == 0) {
                delay_us = w->conf.timeout_us - (int64_t)draw(w, 3 * MS); /* on the edge */
        }
        answer(w, r, delay_us);
}

static void late_answers(const char *port, int64_t in_flight, unsigned n_devices)
{
        struct world *w = make(port, n_devices, 1);

        w->conf.in_flight = in_flight;
        w->conf.retries = 2;
        for (size_t i = 0; i < n_devices; i++) {
                for (unsigned k = 0; k < 6; k++) /* six requests that look the same but for the address */
                        add_register(w, i, MODBUS_HOLDING, 100 * k, MODBUS_UINT32, 0, 100 * MS);
        }
        w->on_request = sometimes_late;
        start(w);
        for (int i = 0; i < 40 && w->n_late_sent < 10000; i++)
                run(w, 1000 * SECOND);
        printf("%s in flight %d, %u slaves: %ld requests, %ld answers late, %lu discarded, %ld reads, %ld wrong\n",
               port, (int)in_flight, n_devices, w->n_requests, w->n_late_sent,
               (unsigned long)modbus_bus_counts(w->bus)->late, w->n_data, w->n_wrong);
        assert_true(w->n_late_sent >= 10000);
        assert_true(w->n_data > 5000);
        assert_true(modbus_bus_counts(w->bus)->late > 0);
        assert_int_equal(w->n_wrong, 0);
        finish(w);
}

static void late_answers_are_never_taken(void **state)
{
        late_answers("/dev/ttyS1", 1, 1);
        late_answers("/dev/ttyS1", 1, 3);
        late_answers("rtu+tcp://gw:4001", 1, 3);
        late_answers("ascii+tcp://gw:4001", 1, 3);
        late_answers("tcp://gw:502", 1, 1);
        late_answers("tcp://gw:502", 4, 3);
}

/* Wakes up slowly: its first answer after a while is late, when the connection is taken for a forgotten one. */
static void slow_when_rested(struct world *w, const struct request *r)
{
        static int64_t last_us;
        bool rested = r->at_us - last_us > 5 * SECOND;

        answer(w, r, rested ? w->conf.timeout_us + 60 * MS : 40 * MS);
        w->n_late_sent += rested;
        last_us = r->at_us;
}

/* What was asked over the old connection may be answered over the new one. */
static void nor_over_another_connection(void **state)
{
        struct world *w = make("rtu+tcp://gw:4001", 1, 1);

        add_register(w, 0, MODBUS_HOLDING, 100, MODBUS_UINT32, 0, 10 * SECOND);
        add_register(w, 0, MODBUS_HOLDING, 200, MODBUS_UINT32, 0, 20 * SECOND);
        add_register(w, 0, MODBUS_HOLDING, 300, MODBUS_UINT32, 0, 20 * SECOND);
        w->on_request = slow_when_rested;
        start(w);
        run(w, 1000 * SECOND);
        assert_true(w->n_late_sent > 50);
        assert_true(w->n_data > 100);
        assert_int_equal(w->n_wrong, 0);
        finish(w);
}

/* ---- dead slaves ---- */

static void answer_but_the_dead(struct world *w, const struct request *r)
{
        if (r->unit > *(unsigned *)w->test)
                answer(w, r, 8 * MS);
}

static void dead_slaves_cost_little(void **state)
{
        for (unsigned n_dead = 1; n_dead <= 4; n_dead += 3) {
                struct world *w = make("/dev/ttyS1", 8, 1);
                unsigned dead = n_dead;
                int64_t hour_us = 3600ll * SECOND;
                const struct modbus_counts *c;
                uint64_t overruns;

                w->test = &dead;
                w->on_request = answer_but_the_dead;
                for (size_t i = 0; i < 8; i++) {
                        add_register(w, i, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, 0);
                        add_register(w, i, MODBUS_HOLDING, 500, MODBUS_UINT32, 0, 0);
                }
                start(w);
                run(w, hour_us);
                c = modbus_bus_counts(w->bus);
                overruns = c->overruns;
                printf("%u of 8 slaves dead for an hour: %.2f %% of the bus, %ld device events, %lu overruns\n", n_dead,
                       100.0 * (double)c->dead_us / (double)hour_us, w->n_down, (unsigned long)overruns);
                assert_true(c->dead_us * 20 <= hour_us);
                assert_int_equal(w->n_down, n_dead);
                assert_int_equal(w->n_wrong, 0);
                for (size_t i = 0; i < w->plan->n_reads; i++) {
                        bool is_dead = w->plan->reads[i].device < n_dead;

                        assert_int_equal(w->bad_of[i], is_dead);
                        assert_int_equal(w->quality_of[i], is_dead ? QUALITY_BAD_COMM_FAILURE : QUALITY_GOOD);
                        assert_true(is_dead ? w->data_of[i] == 0 : w->data_of[i] >= 3600 - 10);
                }
                dead = 0;
                run(w, 70 * SECOND);
                assert_int_equal(w->n_up, n_dead);
                for (size_t i = 0; i < w->plan->n_reads; i++)
                        assert_int_equal(w->quality_of[i], QUALITY_GOOD);
                run(w, 60 * SECOND);
                assert_int_equal(w->n_down, n_dead);
                finish(w);
        }
}

static void answer_all(struct world *w, const struct request *r)
{
        answer(w, r, 8 * MS);
}

/* Eight slaves, two reads each: the share of ten minutes in which the bus could not have carried more. */
static double load_of(const char *port, int64_t in_flight, int64_t pause_us, int64_t period_us)
{
        struct world *w = make(port, 8, 1);
        int64_t for_us = 600ll * SECOND;
        double load;

        w->conf.in_flight = in_flight;
        w->conf.pause_us = pause_us;
        w->on_request = answer_all;
        for (size_t i = 0; i < 8; i++) {
                add_register(w, i, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, period_us);
                add_register(w, i, MODBUS_HOLDING, 500, MODBUS_UINT32, 0, period_us);
        }
        start(w);
        run(w, for_us);
        load = (double)modbus_bus_counts(w->bus)->busy_us / (double)in_flight / (double)for_us;
        assert_int_equal(w->n_wrong, 0);
        finish(w);
        return load;
}

/* At 19200 baud a request, its answer and the rests take 19 ms; 16 of them a second are a third of the line. */
static void the_load_of_a_bus(void **state)
{
        static const struct {
                const char *port;
                int64_t in_flight, pause_ms, period_ms;
                double least, most;
        } cases[] = {
                {"/dev/ttyS1", 1, 0, 1000, 0.30, 0.40},  {"/dev/ttyS1", 1, 0, 10000, 0.030, 0.040},
                {"/dev/ttyS1", 1, 20, 1000, 0.58, 0.68}, {"/dev/ttyS1", 1, 0, 50, 0.98, 1.001},
                {"/dev/ttyS1", 1, 20, 50, 0.98, 1.001},  {"tcp://gw:502", 1, 0, 10, 0.98, 1.001},
                {"tcp://gw:502", 4, 0, 5, 0.98, 1.001},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                double load =
                        load_of(cases[i].port, cases[i].in_flight, cases[i].pause_ms * MS, cases[i].period_ms * MS);

                printf("%s, %d in flight, pause %d ms, every %d ms: load %.1f %%\n", cases[i].port,
                       (int)cases[i].in_flight, (int)cases[i].pause_ms, (int)cases[i].period_ms, 100 * load);
                assert_true(load >= cases[i].least && load <= cases[i].most);
        }
}

static void lose_some(struct world *w, const struct request *r)
{
        if (draw(w, 20))
                answer(w, r, 8 * MS);
}

/* Five of a hundred requests get lost, on a bus that has little time to spare: nobody is given up, few reads are
 * missed. */
static void a_lossy_line_is_worked_through(void **state)
{
        struct world *w = make("/dev/ttyS1", 8, 1);
        long least = 3600;

        w->on_request = lose_some;
        for (size_t i = 0; i < 8; i++) {
                add_register(w, i, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, 0);
                add_register(w, i, MODBUS_HOLDING, 500, MODBUS_UINT32, 0, 0);
        }
        start(w);
        run(w, 3600ll * SECOND);
        for (size_t i = 0; i < w->plan->n_reads; i++)
                least = w->data_of[i] < least ? w->data_of[i] : least;
        printf("5 %% of requests lost for an hour: %ld of 3600 values of the worst read, bad %ld times in all, down "
               "%ld\n",
               least, w->n_bad, w->n_down);
        assert_int_equal(w->n_wrong, 0);
        assert_int_equal(w->n_down, 0);
        assert_true(least > 3600 * 9 / 10);
        finish(w);
}

/* ---- exceptions ---- */

static void refuse_some(struct world *w, const struct request *r)
{
        unsigned end = r->address + r->count;

        if (r->address >= 1000)
                answer_exception(w, r, 2);
        else if (r->address < 6 && end > 4) /* 4 and 5 are not there */
                answer_exception(w, r, 2);
        else
                answer(w, r, 5 * MS);
}

static void an_exception_is_about_its_read_only(void **state)
{
        struct world *w = make("tcp://plc:502", 1, 255);

        w->on_request = refuse_some;
        w->conf.hole_limit = 8;
        add_register(w, 0, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, 0);
        add_register(w, 0, MODBUS_HOLDING, 2, MODBUS_UINT32, 0, 0);
        add_register(w, 0, MODBUS_HOLDING, 6, MODBUS_UINT16, 0, 0);
        add_register(w, 0, MODBUS_HOLDING, 1000, MODBUS_UINT16, 0, 0);
        start(w);
        assert_int_equal(w->plan->n_reads, 2);
        run(w, 100 * SECOND);
        assert_int_equal(w->plan->n_reads, 3);
        assert_int_equal(w->quality_of[0], QUALITY_GOOD);
        assert_int_equal(w->quality_of[1], QUALITY_BAD_CONFIG);
        assert_int_equal(w->quality_of[2], QUALITY_GOOD);
        assert_int_equal(w->n_bad, 1);
        assert_true(w->data_of[0] >= 100 && w->data_of[2] >= 100);
        assert_int_equal(w->n_wrong, 0);
        assert_int_equal(w->n_down, 0);
        finish(w);
}

/* ---- noise ---- */

struct noise {
        int kind;
        bool next;
};

static void misbehave(struct world *w, const struct request *r)
{
        struct noise *noise = w->test;
        uint8_t out[MODBUS_TCP_MAX], other[MODBUS_TCP_MAX];
        struct request wrong = *r;
        size_t n = put_reply(w, r, out);
        int64_t at_us = w->now_us + 8 * modbus_char_ns(&w->conf) / 1000 + 5 * MS;

        noise->next = !noise->next;
        if (!noise->next) {
                answer(w, r, 5 * MS);
                return;
        }
        switch (noise->kind) {
        case 0: /* garbage, then the answer */
                memset(other, 0xa5, 30);
                deliver_paced(w, at_us - 3 * MS, other, 30);
                deliver_paced(w, at_us + 20 * MS, out, n);
                break;
        case 1: /* half a frame, then nothing */
                deliver_paced(w, at_us, out, n / 2);
                break;
        case 2: /* a broken CRC */
                out[n - 1] ^= 0x40;
                deliver_paced(w, at_us, out, n);
                break;
        case 3: /* byte by byte, slower than the line */
                for (size_t i = 0; i < n; i++)
                        deliver(w, at_us + (int64_t)i * 4 * MS, out + i, 1);
                break;
        case 4: /* the answer of another unit */
                wrong.unit++;
                deliver_paced(w, at_us, other, put_reply(w, &wrong, other));
                break;
        case 7: /* our own echo, as two-wire adapters give it, then the answer */
                deliver_paced(
                        w, w->now_us, other,
                        modbus_put_rtu(other, r->unit,
                                       (const uint8_t[]){r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address,
                                                         (uint8_t)(r->count >> 8), (uint8_t)r->count},
                                       5));
                deliver_paced(w, at_us, out, n);
                break;
        case 5: /* too many registers */
                wrong.count++;
                deliver_paced(w, at_us, other, put_reply(w, &wrong, other));
                break;
        default: /* garbage behind the answer */
                memset(out + n, 0x11, 20);
                deliver_paced(w, at_us, out, n + 20);
                break;
        }
}

/* Every second request goes wrong in some way: the other half is answered, nothing wrong is ever taken. */
static void noise_costs_one_request(void **state)
{
        for (int kind = 0; kind <= 7; kind++) {
                struct world *w = make("/dev/ttyS1", 1, 9);
                struct noise noise = {.kind = kind};
                bool heals = kind == 0 || kind == 3 || kind >= 6;

                w->test = &noise;
                w->conf.retries = 1;
                w->on_request = misbehave;
                add_register(w, 0, MODBUS_HOLDING, 0, MODBUS_UINT64, 0, 2 * SECOND);
                start(w);
                run(w, 2000 * SECOND);
                assert_int_equal(w->n_wrong, 0);
                assert_int_equal(w->n_bad, 0);
                assert_true(w->n_data >= 1000);
                assert_int_equal(modbus_bus_counts(w->bus)->timeouts, heals ? 0 : w->n_data);
                finish(w);
        }
}

static void never_quiet(struct world *w, const struct request *r)
{
        answer(w, r, 5 * MS);
}

static void a_babbling_line_makes_tags_bad(void **state)
{
        struct world *w = make("/dev/ttyS1", 1, 9);

        w->on_request = never_quiet;
        add_register(w, 0, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, 0);
        start(w);
        run(w, 10 * SECOND);
        assert_int_equal(w->quality_of[0], QUALITY_GOOD);
        for (int i = 0; i < 20000; i++) {
                deliver(w, w->now_us + MS, (const uint8_t *)"U", 1);
                run(w, MS);
        }
        assert_int_equal(w->quality_of[0], QUALITY_BAD_COMM_FAILURE);
        assert_int_equal(w->n_bad, 1);
        run(w, 70 * SECOND);
        assert_int_equal(w->quality_of[0], QUALITY_GOOD);
        finish(w);
}

/* ---- the port comes and goes ---- */

static void a_lost_port_is_told_once(void **state)
{
        struct world *w = make("tcp://plc:502", 2, 1);

        w->on_request = never_quiet;
        w->conf.in_flight = 4;
        add_register(w, 0, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, 0);
        add_register(w, 1, MODBUS_HOLDING, 0, MODBUS_UINT16, 0, 0);
        start(w);
        for (int i = 0; i < 1000; i++) {
                long data = w->n_data;

                run(w, SECOND + (int64_t)draw(w, SECOND));
                assert_true(w->n_data >= data + 2);
                modbus_bus_close(w->bus, w->now_us, "unplugged");
                assert_int_equal(w->quality_of[0], QUALITY_BAD_NOT_CONNECTED);
                assert_int_equal(w->n_bad, 2 * (i + 1));
                w->n_events = 0;
                run(w, SECOND);
                assert_int_equal(w->n_bad, 2 * (i + 1));
                modbus_bus_open(w->bus, w->now_us);
        }
        assert_int_equal(w->n_wrong, 0);
        finish(w);
}

/* ---- the sick gateway ---- */

struct pair {
        unsigned unit;
        uint8_t request[8], reply[64];
        size_t len; /* 0: it never answered */
        int64_t latency_us;
};

struct gateway {
        struct pair *pairs;
        size_t n, next[8]; /* by unit */
        struct {
                uint16_t transaction;
                uint8_t reply[64];
                size_t len;
        } out[READS_MAX]; /* what the last request of each read is to be answered with */
        bool stamped;
        uint32_t stamp;
        int64_t last_us[READS_MAX], worst_us[READS_MAX], first_us[READS_MAX];
        long n_sent[READS_MAX], answered[8], silent[8], late[8];
};

static size_t unhex(const char *hex, uint8_t *out)
{
        size_t n = 0;
        unsigned byte;

        for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
                out[n++] = (uint8_t)byte;
        return n;
}

static void load_pairs(struct gateway *g)
{
        FILE *in = fopen(TEST_ROOT "/tests/replay/modbus-sick-gateway.csv", "r");
        char line[512], request[64], reply[128];

        assert_non_null(in);
        g->pairs = calloc(4096, sizeof(*g->pairs));
        assert_non_null(fgets(line, sizeof(line), in));
        while (fgets(line, sizeof(line), in)) {
                struct pair *p = &g->pairs[g->n++];
                double latency_ms = 0;

                reply[0] = '\0';
                if (sscanf(line, "%*[^,],%*[^,],%u,%*[^,],%63[^,],%127[^,],%lf", &p->unit, request, reply,
                           &latency_ms) < 2)
                        fail_msg("%s", line);
                unhex(request, p->request);
                p->len = unhex(reply, p->reply);
                p->latency_us = (int64_t)(latency_ms * 1000);
        }
        fclose(in);
        assert_true(g->n > 2000);
}

/* The unit's next recorded exchange with the same request, from the start again when they are used up. */
static const struct pair *next_pair(struct gateway *g, const struct request *r)
{
        const uint8_t request[5] = {r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address,
                                    (uint8_t)(r->count >> 8), (uint8_t)r->count};

        for (;;) {
                const struct pair *p = &g->pairs[g->next[r->unit]++ % g->n];

                if (p->unit == r->unit && memcmp(p->request, request, 5) == 0)
                        return p;
        }
}

static size_t read_of(const struct world *w, const struct request *r)
{
        for (size_t i = 0; i < w->plan->n_reads; i++) {
                const struct modbus_read *rd = &w->plan->reads[i];

                if (w->devices[rd->device].unit == r->unit && rd->function == r->function &&
                    rd->address == r->address && rd->count == r->count)
                        return i;
        }
        fail_msg("a request that belongs to no read");
        return 0;
}

static void on_gateway_request(struct world *w, const struct request *r)
{
        struct gateway *g = w->test;
        const struct pair *p = next_pair(g, r);
        size_t read = read_of(w, r);
        int64_t off_us = g->n_sent[read] ? llabs(r->at_us - g->last_us[read] - w->plan->reads[read].period_us) : 0;
        uint8_t out[MODBUS_TCP_MAX];

        if (g->n_sent[read] > 1 && off_us > g->worst_us[read]) /* the first is at once, then the slots count */
                g->worst_us[read] = off_us;
        if (g->n_sent[read] == 1)
                g->first_us[read] = r->at_us;
        g->n_sent[read]++;
        g->last_us[read] = r->at_us;
        if (p->len == 0) {
                g->silent[r->unit]++;
                g->out[read].len = 0;
                return;
        }
        g->answered[r->unit]++;
        g->late[r->unit] += p->latency_us > w->conf.timeout_us;
        g->out[read].len = p->len;
        memcpy(g->out[read].reply, p->reply, p->len);
        if (g->stamped) /* every answer is one of its kind */
                memcpy(g->out[read].reply + 2, &(uint32_t){++g->stamp}, p->reply[1] < 4 ? p->reply[1] : 4);
        deliver(w, w->now_us + p->latency_us, out,
                modbus_put_tcp(out, r->transaction, r->unit, g->out[read].reply, p->len));
}

static void on_gateway_values(struct world *w, size_t read, const uint8_t *data)
{
        const struct gateway *g = w->test;

        w->n_wrong += g->out[read].len == 0 || memcmp(data, g->out[read].reply + 2, g->out[read].len - 2) != 0;
}

static void the_sick_gateway(int64_t in_flight, bool stamped)
{
        static const unsigned units[] = {1, 2, 3, 7};
        struct world *w = make("tcp://gateway:502", 4, 1);
        struct gateway g = {.stamped = stamped};

        load_pairs(&g);
        w->test = &g;
        w->conf.in_flight = in_flight;
        w->conf.timeout_us = SECOND;
        w->conf.retries = 0;
        for (size_t i = 0; i < 3; i++) {
                add_register(w, i, MODBUS_INPUT, 0, MODBUS_UINT32, 0, 3 * SECOND);
                add_register(w, i, MODBUS_INPUT, 0, MODBUS_STRING, 14, 3001 * MS);
                add_register(w, i, MODBUS_INPUT, 1, MODBUS_STRING, 14, 3002 * MS);
        }
        add_register(w, 3, MODBUS_INPUT, 4, MODBUS_UINT16, 0, 3 * SECOND);
        add_register(w, 3, MODBUS_HOLDING, 4, MODBUS_UINT32, 0, 20 * SECOND);
        for (size_t i = 0; i < 4; i++)
                w->devices[i].unit = units[i];
        w->on_request = on_gateway_request;
        w->on_values = on_gateway_values;
        start(w);
        run(w, 3600ll * SECOND);
        printf("sick gateway, in flight %d%s: %ld requests, %ld values, %ld mispaired, %lu late discarded, down %ld, "
               "up "
               "%ld\n",
               (int)in_flight, stamped ? ", stamped" : "", w->n_requests, w->n_data, w->n_wrong,
               (unsigned long)modbus_bus_counts(w->bus)->late, w->n_down, w->n_up);
        for (size_t i = 0; i < 4; i++)
                printf("  unit %u: %ld answered (%ld of them late), %ld not\n", units[i], g.answered[units[i]],
                       g.late[units[i]], g.silent[units[i]]);
        assert_int_equal(w->n_wrong, 0);
        for (size_t i = 0; i < w->plan->n_reads; i++) {
                double period = (double)w->plan->reads[i].period_us;
                double mean = (double)(g.last_us[i] - g.first_us[i]) / (double)(g.n_sent[i] - 2);

                if (w->plan->reads[i].device != 3)
                        continue;
                printf("  unit 7, every %.0f s: mean %.4f s, worst interval off by %.0f ms, bad %ld times\n",
                       period / 1e6, mean / 1e6, (double)g.worst_us[i] / 1e3, w->bad_of[i]);
                assert_true(mean > 0.95 * period && mean < 1.05 * period);
                assert_int_equal(w->bad_of[i], 0);
                if (in_flight > 2) /* with fewer its own two reads can meet */
                        assert_true((double)g.worst_us[i] < 0.05 * period);
        }
        free(g.pairs);
        finish(w);
}

static void the_sick_gateway_harms_no_healthy_unit(void **state)
{
        the_sick_gateway(1, false);
        the_sick_gateway(1, true);
        the_sick_gateway(4, false);
        the_sick_gateway(4, true);
        the_sick_gateway(2, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(late_answers_are_never_taken),
                cmocka_unit_test(nor_over_another_connection),
                cmocka_unit_test(dead_slaves_cost_little),
                cmocka_unit_test(the_load_of_a_bus),
                cmocka_unit_test(a_lossy_line_is_worked_through),
                cmocka_unit_test(an_exception_is_about_its_read_only),
                cmocka_unit_test(noise_costs_one_request),
                cmocka_unit_test(a_babbling_line_makes_tags_bad),
                cmocka_unit_test(a_lost_port_is_told_once),
                cmocka_unit_test(the_sick_gateway_harms_no_healthy_unit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
