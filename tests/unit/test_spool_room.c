/*
 * test_spool_room: how much of max_size readings get, and that the files together never pass it.  Virtual time, real
 * files in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/batch.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { S = 1000000, MIB = 1 << 20, N_TAGS = 300 };

static struct fixture T;
static uint32_t tags[N_TAGS];

static void open_one(uint64_t max_bytes, int when_full)
{
        char name[16];

        fixture_init_in_memory(&T, "spool_room", 1);
        T.conf.max_size_bytes = max_bytes;
        T.conf.when_full = when_full;
        T.conf.batch_rows = 20000;
        T.conf.quarantine_bytes = MIB;
        fixture_open(&T);
        for (size_t i = 0; i < N_TAGS; i++) {
                snprintf(name, sizeof(name), "v%zu", i);
                assert_int_equal(tags_intern(T.tags, "press-1", name, "degC", "", "sim", &tags[i]), 0);
        }
}

static void leave(void)
{
        if (T.spool)
                fixture_close(&T);
        fixture_fini(&T);
}

/* False: it is to wait. Of length 0 they are numbers. */
static bool put(size_t n, size_t len)
{
        static char text[MIB];

        if (!spool_has_room(T.spool, n, n * len))
                return false;
        memset(text, 'x', len);
        for (size_t i = 0; i < n; i++) {
                struct reading r = {.tag = tags[i % N_TAGS],
                                    .type = len ? READING_TEXT : READING_F64,
                                    .ts_us = T.sim.now.wall_us,
                                    .arrival_us = T.sim.now.wall_us,
                                    .len = (uint32_t)len};

                if (len)
                        r.v.text = text;
                else
                        r.v.f64 = 20 + (double)(T.sim.now.wall_us / S % 1000) / 7;
                assert_int_equal(spool_append(T.spool, &r), 0);
        }
        return true;
}

static void put_event(void)
{
        spool_append_event(T.spool, T.sim.now.wall_us, "alarm", 700, SPOOL_NO_TAG, "\"a\":1", 5);
}

static struct spool_counts a_second(void)
{
        fixture_run_for(&T, S);
        assert_true(db_bytes(T.path) <= T.conf.max_size_bytes);
        return fixture_counts(&T);
}

/* Kafka is away until a twentieth more than fits has come; with block until sources would be told to wait. */
static struct spool_counts fill(size_t len, bool events)
{
        struct spool_counts c = {0};

        for (int n = 0; !(T.conf.when_full == SPOOL_BLOCK && T.n_high) && c.dropped * 20 <= c.held; n++) {
                assert_true(n < 100000);
                assert_true(put(len ? 150 : 1500, len));
                for (int i = 0; events && n % 100 == 0 && i < 20; i++)
                        put_event();
                c = a_second();
                assert_false(c.failing);
        }
        return c;
}

static void readings_get_nine_tenths(void **state)
{
        static const struct {
                int when_full;
                size_t len;
                bool events;
        } rows[] = {
                {SPOOL_DROP_OLDEST, 0, false},  {SPOOL_BLOCK, 0, false},  {SPOOL_DROP_OLDEST, 200, false},
                {SPOOL_DROP_NEWEST, 200, true}, {SPOOL_BLOCK, 200, true},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct spool_counts c;

                open_one(64 * MIB, rows[i].when_full);
                c = fill(rows[i].len, rows[i].events);
                print_message("%zu: %.1f %% of max_size are held, %.1f bytes a reading\n", i,
                              100.0 * (double)c.held_bytes / (64 * MIB), (double)c.held_bytes / (double)c.held);
                assert_true(c.held_bytes >= (uint64_t)64 * MIB / 1000 * (rows[i].when_full == SPOOL_BLOCK ? 895 : 900));
                assert_true(c.held_bytes <= c.usable_bytes);
                leave();
        }
}

/* However large: also what is usable of it, and the largest batch fits into what the WAL always has. */
static void a_plan_leaves_nine_tenths(void **state)
{
        for (uint64_t max = 4 * MIB; max <= UINT64_C(1) << 40; max += max / 7 / PAGE_BYTES * PAGE_BYTES) {
                struct spool_conf conf = {.max_size_bytes = max, .batch_rows = 20000, .batch_bytes = MIB};
                struct spool_plan p;

                conf.quarantine_bytes = MIB;
                spool_plan(&p, &conf, PAGE_BYTES);
                assert_true(p.db_pages * PAGE_BYTES + p.wal_bytes <= p.all_bytes && p.all_bytes < max);
                assert_true(p.wal_bytes <= p.wal_most && p.event_bytes > 0);
                assert_true(p.batch_rows * ROW_BYTES + 2 * p.batch_text + 2 * p.batch_events < p.wal_bytes);
                if (spool_usable_bytes(&conf) < max / 100 * (max >= 64 * MIB ? 90 : 50))
                        fail_msg("%.1f MiB: %.1f %%", (double)max / MIB,
                                 100 * (double)spool_usable_bytes(&conf) / (double)max);
        }
}

/* Batches of every size and kind come upon a full spool: the files never pass max_size. */
static void whatever_comes_the_cap_is_kept(void **state)
{
        static const int policies[] = {SPOOL_DROP_OLDEST, SPOOL_DROP_NEWEST, SPOOL_BLOCK, SPOOL_THIN};
        static const size_t lens[] = {0, 1, 399, 400, 1364, 2046, 4061, 4062, 6200, 30000, 200000};

        for (size_t i = 0; i < 8; i++) {
                uint32_t dice = (uint32_t)i;

                open_one((i < 4 ? 8 : 16) * MIB, policies[i % 4]);
                for (int n = 0; n < 300; n++) {
                        size_t len = lens[((dice = dice * 1664525 + 1013904223) >> 16) % 11];
                        size_t most = len > 64 ? T.conf.max_size_bytes / 32 / len : 4000;
                        struct spool_counts c;

                        if (!put(1 + (dice >> 8) % most, len))
                                spool_ack(T.spool, SPOOL_SAMPLES, fixture_counts(&T).last_seq[SPOOL_SAMPLES] - 1000);
                        for (uint32_t k = 0; k < dice >> 28; k++)
                                put_event();
                        c = a_second();
                        assert_false(c.failing && policies[i % 4] != SPOOL_BLOCK);
                }
                fixture_verify(&T);
                fixture_cut_power(&T);
                leave();
        }
}

static int look_at(sqlite3 *reader)
{
        return sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM sample WHERE seq < 10", NULL, NULL, NULL);
}

/* Somebody reads for long: the WAL takes what the database has not, and gives it back before readings must go. */
static void a_long_reader_costs_no_room(void **state)
{
        sqlite3 *reader;
        struct spool_counts c;
        uint64_t wal_at_most = 0;

        open_one(64 * MIB, SPOOL_DROP_OLDEST);
        assert_true(put(1500, 0));
        a_second();
        assert_int_equal(sqlite3_open_v2(T.path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(look_at(reader), SQLITE_OK);
        while (wal_at_most < 10 * MIB) {
                assert_true(put(150, 200));
                c = a_second();
                assert_false(c.failing);
                wal_at_most = c.spool_bytes;
        }
        sqlite3_close(reader);
        c = fill(200, false);
        assert_true(c.held_bytes >= (uint64_t)64 * MIB / 100 * 90);
        leave();
}

/* A row of each tag is written then: how often is by how many there are, and by the room. */
static void tag_times_are_saved_as_seldom_as_there_are_tags(void **state)
{
        static const struct {
                uint64_t max_bytes;
                size_t n_tags;
                uint64_t least, most;
        } all[] = {
                {1024 * (uint64_t)MIB, 10, 100000, 100000},    {1024 * (uint64_t)MIB, 6250, 100000, 100000},
                {1024 * (uint64_t)MIB, 50000, 800000, 800000}, {1024 * (uint64_t)MIB, 10000000, 800000, 4000000},
                {4 * (uint64_t)MIB, 50000, 500, 20000},
        };
        struct spool_conf conf = {.batch_rows = 20000, .batch_bytes = MIB};
        struct spool_plan p;

        (void)state;
        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
                conf.max_size_bytes = all[i].max_bytes;
                spool_plan(&p, &conf, 1024);
                assert_in_range(spool_plan_save_rows(&p, all[i].n_tags), all[i].least, all[i].most);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tag_times_are_saved_as_seldom_as_there_are_tags),
                cmocka_unit_test(a_plan_leaves_nine_tenths),
                cmocka_unit_test(readings_get_nine_tenths),
                cmocka_unit_test(whatever_comes_the_cap_is_kept),
                cmocka_unit_test(a_long_reader_costs_no_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
