/*
 * The three sections bound together, requests merged as people expect, spread over the period, split when a hole is
 * refused; and the arithmetic of the scan time against numbers worked out by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/plan.h"

#define SECOND 1000000

static struct modbus_register_conf reg(const char *tag, enum modbus_table table, unsigned address,
                                       enum modbus_type type)
{
        return (struct modbus_register_conf){.tag = tag,
                                             .table = table,
                                             .address = address,
                                             .type = (int)type,
                                             .convert = {.scale = 1},
                                             .length = type == MODBUS_STRING ? 10 : -1,
                                             .bit = -1};
}

struct bench {
        struct modbus_conf bus;
        struct modbus_profile_conf profile;
        struct modbus_device_conf devices[8];
        int n_faults;
        const void *fault_at;
        char fault[400];
};

static void on_fault(void *ctx, const void *field, const char *sentence)
{
        struct bench *b = ctx;

        b->n_faults++;
        b->fault_at = field;
        strncpy(b->fault, sentence, sizeof(b->fault) - 1);
}

static void setup(struct bench *b, struct modbus_register_conf *registers, size_t n, size_t n_devices)
{
        memset(b, 0, sizeof(*b));
        b->bus = (struct modbus_conf){.name = "bus1",
                                      .port = "/dev/ttyS1",
                                      .baud = 19200,
                                      .data_bits = 8,
                                      .stop_bits = 1,
                                      .parity = MODBUS_PARITY_EVEN,
                                      .timeout_us = 300000,
                                      .silence_us = -1,
                                      .retries = 1,
                                      .in_flight = 1,
                                      .hole_limit = 8,
                                      .max_registers = 125};
        b->profile = (struct modbus_profile_conf){
                .name = "press", .period_us = SECOND, .hole_limit = -1, .registers = {.items = registers, .n = n}};
        for (size_t i = 0; i < n_devices; i++)
                b->devices[i] = (struct modbus_device_conf){.source = "press-1",
                                                            .bus = "bus1",
                                                            .profile = "press",
                                                            .unit = (int64_t)i + 1,
                                                            .retries = -1,
                                                            .pause_us = -1,
                                                            .hole_limit = -1};
        modbus_link(&b->bus, 1, &b->profile, 1, b->devices, n_devices, on_fault, b);
}

static void devices_hang_on_their_bus_in_order(void **state)
{
        struct modbus_register_conf r[] = {reg("a", MODBUS_HOLDING, 0, MODBUS_INT16)};
        struct bench b;
        const struct modbus_device_conf *d;

        setup(&b, r, 1, 3);
        assert_int_equal(b.n_faults, 0);
        d = b.bus.devices;
        for (int i = 0; i < 3; i++, d = d->next) {
                assert_ptr_equal(d, &b.devices[i]);
                assert_ptr_equal(d->map, &b.profile);
        }
        assert_null(d);
}

static void links_that_lead_nowhere_are_told(void **state)
{
        struct bench b;

        setup(&b, NULL, 0, 0);
        b.devices[0] = (struct modbus_device_conf){.source = "s", .bus = "bus2", .profile = "press", .unit = 1};
        modbus_link(&b.bus, 1, &b.profile, 1, b.devices, 1, on_fault, &b);
        assert_ptr_equal(b.fault_at, &b.devices[0].bus);
        assert_non_null(strstr(b.fault, "did you mean bus1?"));
        b.devices[0] = (struct modbus_device_conf){.source = "s", .bus = "bus1", .profile = "pres", .unit = 1};
        modbus_link(&b.bus, 1, &b.profile, 1, b.devices, 1, on_fault, &b);
        assert_ptr_equal(b.fault_at, &b.devices[0].profile);
        b.devices[0] = (struct modbus_device_conf){.source = "s", .bus = "bus1", .profile = "press", .unit = 0};
        modbus_link(&b.bus, 1, &b.profile, 1, b.devices, 1, on_fault, &b);
        assert_ptr_equal(b.fault_at, &b.devices[0].unit);
        assert_int_equal(b.n_faults, 3);
}

static void addresses(void **state)
{
        static const char *const wrong[] = {"ttyS0",          "tcp://",        "tcp://h:",      "tcp://:502",
                                            "tcp://h:0",      "tcp://h:65536", "tcp://h:5x",    "tcp://[::1",
                                            "tcp://[::1:502", "udp://h:1",     "tcp://::1:502", "tcp://h/x",
                                            "tcp://[]:502",   "rtu://h:1",     "rtu+tcp:/h",    "tcp+rtu://h"};
        static const struct {
                const char *port, *host, *service;
                enum modbus_framing framing;
        } right[] = {
                {"tcp://10.0.0.5:502", "10.0.0.5", "502", MODBUS_TCP},
                {"tcp://10.0.0.5", "10.0.0.5", "502", MODBUS_TCP},
                {"tcp://[fe80::1]:1502", "fe80::1", "1502", MODBUS_TCP},
                {"tcp://[fe80::1]", "fe80::1", "502", MODBUS_TCP},
                {"rtu+tcp://moxa:4001", "moxa", "4001", MODBUS_RTU},
                {"rtu+tcp://[::1]", "::1", "502", MODBUS_RTU},
                {"ascii+tcp://moxa:4002", "moxa", "4002", MODBUS_ASCII},
        };
        struct modbus_address a;
        struct err e;

        assert_int_equal(modbus_address_parse(&a, "/dev/ttyS0", 0, &e), 0);
        assert_false(a.tcp);
        assert_int_equal(a.framing, MODBUS_RTU);
        assert_int_equal(modbus_address_parse(&a, "/dev/ttyS0", MODBUS_FRAMING_ASCII, &e), 0);
        assert_int_equal(a.framing, MODBUS_ASCII);
        for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
                struct modbus_conf bus = {.port = right[i].port};

                assert_int_equal(modbus_address_parse(&a, right[i].port, 0, &e), 0);
                assert_true(a.tcp);
                assert_string_equal(a.host, right[i].host);
                assert_string_equal(a.service, right[i].service);
                assert_int_equal(a.framing, right[i].framing);
                assert_int_equal(modbus_framing_of(&bus), right[i].framing);
        }
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                if (modbus_address_parse(&a, wrong[i], 0, &e) == 0)
                        fail_msg("\"%s\" was taken", wrong[i]);
        }
}

static void neighbours_are_read_together(void **state)
{
        struct modbus_register_conf r[] = {
                reg("far", MODBUS_HOLDING, 300, MODBUS_UINT16),  reg("pressure", MODBUS_HOLDING, 2, MODBUS_FLOAT32),
                reg("temp", MODBUS_HOLDING, 0, MODBUS_INT16),    reg("hole", MODBUS_HOLDING, 12, MODBUS_INT16),
                reg("beyond", MODBUS_HOLDING, 22, MODBUS_INT16), reg("running", MODBUS_COIL, 0, MODBUS_BOOL),
                reg("door", MODBUS_COIL, 100, MODBUS_BOOL),      reg("input", MODBUS_INPUT, 1, MODBUS_INT16),
        };
        static const struct {
                unsigned function, address, count, n;
        } wanted[] = {{1, 0, 101, 2}, {3, 0, 13, 3}, {3, 22, 1, 1}, {3, 300, 1, 1}, {4, 1, 1, 1}};
        struct bench b;
        struct modbus_plan *p;

        setup(&b, r, sizeof(r) / sizeof(*r), 2);
        p = modbus_plan_new(&b.bus);
        assert_int_equal(p->n_points, 16);
        assert_int_equal(p->n_reads, 10);
        for (size_t i = 0; i < 10; i++) {
                assert_int_equal(p->reads[i].device, i / 5);
                assert_int_equal(p->reads[i].function, wanted[i % 5].function);
                assert_int_equal(p->reads[i].address, wanted[i % 5].address);
                assert_int_equal(p->reads[i].count, wanted[i % 5].count);
                assert_int_equal(p->reads[i].n, wanted[i % 5].n);
                assert_int_equal(p->reads[i].phase_us, i * SECOND / 10);
        }
        modbus_plan_free(p);
}

/* How often the points are in reads, and whether each read holds its own. */
static size_t points_in_reads(const struct modbus_plan *p)
{
        size_t points = 0;

        for (size_t i = 0; i < p->n_reads; i++) {
                const struct modbus_read *rd = &p->reads[i];

                points += rd->n;
                for (uint32_t k = rd->first; k < rd->first + rd->n; k++) {
                        assert_true(p->points[k].address >= rd->address);
                        assert_true(p->points[k].address + p->points[k].width <= rd->address + rd->count);
                }
        }
        return points;
}

/* Splits, joins and restores: the points are always in one read each, and in the end each is alone. */
static void split_at_random(struct modbus_plan *p)
{
        size_t second;

        for (int step = 0; step < 200; step++) {
                size_t read = (size_t)rand() % p->n_reads;

                if (!p->reads[read].n)
                        continue;
                if (rand() % 4) {
                        modbus_plan_split(p, read, &second);
                } else {
                        modbus_plan_join(p, read);
                        assert_int_equal(points_in_reads(p), p->n_points);
                        if (rand() % 2)
                                modbus_plan_restore(p, read);
                        else
                                modbus_plan_forget(p, read);
                }
                assert_true(p->n_reads <= p->n_points);
                assert_int_equal(points_in_reads(p), p->n_points);
        }
        for (size_t round = 0; round < p->n_points; round++) {
                for (size_t i = 0; i < p->n_reads; i++) {
                        while (p->reads[i].n && modbus_plan_split(p, i, &second))
                                assert_true(p->n_reads <= p->n_points);
                }
        }
        for (size_t i = 0; i < p->n_reads; i++)
                assert_true(p->reads[i].n <= 1);
}

/* Any registers: every point is whole in exactly one read, no read is too long, none could take its follower too. */
static void merging_keeps_its_bounds(void **state)
{
        srand(2);
        for (int round = 0; round < 3000; round++) {
                struct modbus_register_conf r[64];
                size_t n = 1 + (size_t)rand() % 64, points = 0;
                struct bench b;
                struct modbus_plan *p;

                for (size_t i = 0; i < n; i++) {
                        enum modbus_table table = (enum modbus_table)(rand() % N_MODBUS_TABLES);
                        enum modbus_type type =
                                table <= MODBUS_DISCRETE ? MODBUS_BOOL : (enum modbus_type)(rand() % N_MODBUS_TYPES);

                        r[i] = reg("t", table, (unsigned)(rand() % (rand() % 2 ? 600 : 65000)), type);
                        r[i].period_us = rand() % 3 ? 0 : SECOND * (1 + rand() % 3);
                }
                setup(&b, r, n, 2);
                b.bus.hole_limit = rand() % 125;
                b.bus.max_registers = 16 + rand() % 110;
                p = modbus_plan_new(&b.bus);
                for (size_t i = 0; i < p->n_reads; i++) {
                        const struct modbus_read *rd = &p->reads[i];

                        assert_int_equal(rd->first, points);
                        points += rd->n;
                        assert_true(rd->count >= 1);
                        assert_true(rd->count <= (rd->function <= 2 ? MODBUS_BITS_MAX : b.bus.max_registers));
                        assert_true(rd->phase_us >= 0 && rd->phase_us < rd->period_us);
                        for (uint32_t k = rd->first; k < rd->first + rd->n; k++) {
                                const struct modbus_point *pt = &p->points[k];

                                assert_int_equal(pt->device, rd->device);
                                assert_int_equal(pt->table + 1, rd->function);
                                assert_int_equal(pt->period_us, rd->period_us);
                                assert_true(pt->address >= rd->address);
                                assert_true(pt->address + pt->width <= rd->address + rd->count);
                        }
                }
                assert_int_equal(points, 2 * n);
                split_at_random(p);
                modbus_plan_free(p);
        }
}

static void a_refused_hole_is_left_out(void **state)
{
        struct modbus_register_conf r[] = {
                reg("a", MODBUS_HOLDING, 0, MODBUS_INT16), reg("b", MODBUS_HOLDING, 1, MODBUS_INT32),
                reg("c", MODBUS_HOLDING, 5, MODBUS_INT16), reg("d", MODBUS_HOLDING, 12, MODBUS_INT16)};
        struct bench b;
        struct modbus_plan *p;
        size_t second;

        setup(&b, r, 4, 1);
        p = modbus_plan_new(&b.bus);
        assert_int_equal(p->n_reads, 1);
        assert_true(modbus_plan_split(p, 0, &second));
        assert_int_equal(second, 1);
        assert_int_equal(p->reads[0].count, 6);
        assert_int_equal(p->reads[1].address, 12);
        assert_int_equal(p->reads[1].count, 1);
        assert_false(modbus_plan_split(p, 1, &second));
        assert_true(modbus_plan_split(p, 0, &second));
        assert_int_equal(p->reads[0].count, 3);
        assert_int_equal(p->reads[0].n, 2);
        assert_int_equal(p->reads[2].address, 5);
        assert_true(modbus_plan_split(p, 0, &second));
        assert_int_equal(p->reads[0].count, 1);
        assert_int_equal(p->reads[3].address, 1);
        assert_false(modbus_plan_split(p, 0, &second));
        modbus_plan_free(p);
}

/* The device's word counts before the profile's, and that before the bus's. */
static void bounds_of_bus_profile_and_device(void **state)
{
        struct modbus_register_conf r[] = {reg("a", MODBUS_HOLDING, 0, MODBUS_INT16),
                                           reg("b", MODBUS_HOLDING, 4, MODBUS_INT16),
                                           reg("c", MODBUS_INPUT, 0, MODBUS_INT16)};
        static const struct {
                int64_t hole[3], most[3], function[3]; /* bus, profile, device */
                size_t n_reads;
                unsigned functions[3];
        } cases[] = {
                {{0, -1, -1}, {125, 0, 0}, {0, 0, 0}, 3, {3, 3, 4}}, {{3, -1, -1}, {125, 0, 0}, {3, 0, 0}, 2, {3, 3}},
                {{0, 3, -1}, {125, 0, 0}, {3, 4, 0}, 2, {4, 4}},     {{3, 0, -1}, {125, 0, 0}, {0, 0, 4}, 3, {4, 4, 4}},
                {{0, 0, 3}, {125, 0, 0}, {0, 4, 3}, 2, {3, 3}},      {{3, -1, -1}, {4, 0, 0}, {0, 0, 0}, 3, {3, 3, 4}},
                {{3, -1, -1}, {4, 5, 0}, {0, 0, 0}, 2, {3, 4}},      {{3, -1, -1}, {5, 5, 4}, {0, 0, 0}, 3, {3, 3, 4}},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct modbus_plan *p;
                struct bench b;

                setup(&b, r, 3, 1);
                b.bus.hole_limit = cases[i].hole[0];
                b.profile.hole_limit = cases[i].hole[1];
                b.devices[0].hole_limit = cases[i].hole[2];
                b.bus.max_registers = cases[i].most[0];
                b.profile.max_registers = cases[i].most[1];
                b.devices[0].max_registers = cases[i].most[2];
                b.bus.function = cases[i].function[0];
                b.profile.function = cases[i].function[1];
                b.devices[0].function = cases[i].function[2];
                p = modbus_plan_new(&b.bus);
                assert_int_equal(p->n_reads, cases[i].n_reads);
                for (size_t k = 0; k < p->n_reads; k++)
                        assert_int_equal(p->reads[k].function, cases[i].functions[k]);
                modbus_plan_free(p);
        }
}

/* A group is read as a whole, whatever holes are in it, and what lies in them comes along. */
static void groups(void **state)
{
        struct modbus_register_conf r[] = {
                reg("high", MODBUS_HOLDING, 10, MODBUS_INT16), reg("between", MODBUS_HOLDING, 12, MODBUS_INT16),
                reg("low", MODBUS_HOLDING, 30, MODBUS_INT16), reg("behind", MODBUS_HOLDING, 31, MODBUS_INT16)};
        struct modbus_plan *p;
        struct bench b;
        size_t second;

        r[0].group = r[2].group = "counter";
        setup(&b, r, 4, 1);
        b.bus.hole_limit = 0;
        p = modbus_plan_new(&b.bus);
        assert_int_equal(p->n_reads, 1);
        assert_int_equal(p->reads[0].address, 10);
        assert_int_equal(p->reads[0].count, 22);
        while (modbus_plan_split(p, 0, &second))
                ;
        assert_int_equal(p->reads[0].n, 2);
        assert_int_equal(p->reads[0].count, 21);
        modbus_plan_free(p);

        b.bus.max_registers = 20;
        modbus_link(&b.bus, 1, &b.profile, 1, b.devices, 1, on_fault, &b);
        assert_ptr_equal(b.fault_at, &r[0].group);
        assert_non_null(strstr(b.fault, "21 registers long"));
        b.bus.max_registers = 125;
        r[2].period_us = 5 * SECOND;
        modbus_link(&b.bus, 1, &b.profile, 1, b.devices, 1, on_fault, &b);
        assert_ptr_equal(b.fault_at, &r[2].group);
        r[2].period_us = 0;
        r[2].table = MODBUS_INPUT;
        modbus_link(&b.bus, 1, &b.profile, 1, b.devices, 1, on_fault, &b);
        assert_int_equal(b.n_faults, 3);
}

/* Arrays are so many tags, and a power of ten comes with its value, wherever it lies. */
static void arrays_and_powers_of_ten(void **state)
{
        struct modbus_register_conf r[] = {reg("zone", MODBUS_HOLDING, 100, MODBUS_INT32),
                                           reg("volt", MODBUS_INPUT, 30, MODBUS_INT16),
                                           reg("amp", MODBUS_INPUT, 10, MODBUS_INT16)};
        char name[MODBUS_NAME_MAX];
        struct modbus_plan *p;
        struct bench b;
        size_t second;

        r[0].count = 4;
        r[1].scale_where = "input:20";
        r[1].scale_address = 20;
        setup(&b, r, 3, 2);
        b.bus.hole_limit = 0;
        p = modbus_plan_new(&b.bus);
        assert_int_equal(p->n_points, 12);
        assert_int_equal(p->n_reads, 6);
        assert_int_equal(p->reads[0].address, 100);
        assert_int_equal(p->reads[0].count, 8);
        assert_int_equal(p->points[3].address, 106);
        assert_string_equal(modbus_tag_name(p->points[0].conf, p->points[0].index, name), "zone-1");
        assert_string_equal(modbus_tag_name(p->points[3].conf, p->points[3].index, name), "zone-4");
        assert_string_equal(modbus_tag_name(&r[1], 0, name), "volt");
        assert_int_equal(p->reads[1].address, 10);
        assert_int_equal(p->reads[1].count, 1);
        assert_int_equal(p->reads[2].address, 20);
        assert_int_equal(p->reads[2].count, 11);
        assert_false(modbus_plan_split(p, 2, &second));
        assert_true(modbus_plan_split(p, 0, &second));
        assert_int_equal(p->reads[second].address, 104);
        assert_int_equal(p->reads[second].count, 4);
        assert_ptr_equal(p->points[0].convert, p->points[6].convert);
        modbus_plan_free(p);
}

/* The last register there is: behind it lies 65536, which a register's number can't say. */
static void the_last_register(void **state)
{
        struct modbus_register_conf r[] = {reg("end", MODBUS_HOLDING, 65534, MODBUS_INT32),
                                           reg("bit", MODBUS_COIL, 65535, MODBUS_BOOL)};
        struct modbus_plan *p;
        struct bench b;

        setup(&b, r, 2, 1);
        p = modbus_plan_new(&b.bus);
        assert_int_equal(p->n_reads, 2);
        assert_int_equal(p->reads[0].address, 65535);
        assert_int_equal(p->reads[0].count, 1);
        assert_int_equal(p->reads[1].address, 65534);
        assert_int_equal(p->reads[1].count, 2);
        assert_int_equal(modbus_point_end(&p->points[0]), 65536);
        modbus_plan_free(p);
}

static void the_time_of_a_scan(void **state)
{
        struct modbus_register_conf r[] = {reg("temp", MODBUS_HOLDING, 0, MODBUS_INT16),
                                           reg("pressure", MODBUS_HOLDING, 2, MODBUS_FLOAT32),
                                           reg("running", MODBUS_COIL, 0, MODBUS_BOOL)};
        struct modbus_scan s;
        struct bench b;
        char text[200];

        /* 19200 8E1: 11 bits, 572.9 us a character. holding: 8 + 5 + 8 = 21 characters, coil: 8 + 5 + 1 = 14;
         * silence 3.5 characters: 2.006 ms; 5 ms for the answer; pause 5 ms. */
        setup(&b, r, 3, 2);
        b.bus.pause_us = 5000;
        assert_int_equal(modbus_char_ns(&b.bus), 572916);
        assert_int_equal(modbus_silence_us(&b.bus), 2006);
        modbus_scan(&b.bus, &s);
        assert_int_equal(s.n_tags, 6);
        assert_int_equal(s.n_reads, 4);
        assert_int_equal(s.n_registers, 2 * (4 + 1));
        assert_int_equal(s.scan_us, 2 * (12031 + 8020 + 2 * (5000 + 2006 + 5000)));
        assert_true(s.load > 0.088 && s.load < 0.0882);
        assert_false(modbus_scan_warning(&b.bus, &s, text, sizeof(text)));
        modbus_scan_text(&b.bus, &s, text, sizeof(text));
        assert_string_equal(text,
                            "bus1: 2 devices, 6 tags in 4 requests, scan 88.1 ms (5 ms per answer assumed), load 9 %");
        b.profile.period_us = 60000;
        modbus_scan(&b.bus, &s);
        assert_true(modbus_scan_warning(&b.bus, &s, text, sizeof(text)));
        assert_non_null(strstr(text, "can't be met"));
        b.bus.baud = 115200;
        assert_int_equal(modbus_silence_us(&b.bus), 1750);
        b.bus.port = "tcp://h:502";
        assert_int_equal(modbus_silence_us(&b.bus), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(devices_hang_on_their_bus_in_order),
                cmocka_unit_test(links_that_lead_nowhere_are_told),
                cmocka_unit_test(addresses),
                cmocka_unit_test(neighbours_are_read_together),
                cmocka_unit_test(merging_keeps_its_bounds),
                cmocka_unit_test(a_refused_hole_is_left_out),
                cmocka_unit_test(bounds_of_bus_profile_and_device),
                cmocka_unit_test(groups),
                cmocka_unit_test(arrays_and_powers_of_ten),
                cmocka_unit_test(the_last_register),
                cmocka_unit_test(the_time_of_a_scan),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
