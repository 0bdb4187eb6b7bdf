/*
 * The driver on a tree of files and a virtual clock: patterns and devices, files that are gone, wrong, no files or out
 * of the tree, kernels that take their time, several items.
 */
#include "tests/lib/driver_bench.h"

#include "drivers/sysfs/file.h"

enum { SECOND = 1000000, READ_US = 1000 };

#define HWMON "class/hwmon/hwmon*/temp1_input"
#define W1    "bus/w1/devices/28-05e2fdc3/w1_slave"

static struct sysfs_reading_conf readings[] = {
        {.tag = "cpu", .file = HWMON, .device = "coretemp", .convert.scale = 0.001, .unit = "degC"},
        {.tag = "zone", .file = "class/thermal/thermal_zone0/temp", .convert.scale = 0.001},
        {.tag = "oil", .file = W1, .convert.scale = 0.001},
};
static struct driver_bench b;
static struct sysfs_conf conf;

static void make_tree(struct driver_bench *at)
{
        bench_write(at, "class/hwmon/hwmon0/name", "nvme\n");
        bench_write(at, "class/hwmon/hwmon0/temp1_input", "38850\n");
        bench_write(at, "class/hwmon/hwmon1/name", "coretemp\n");
        bench_write(at, "class/hwmon/hwmon1/temp1_input", "45123\n");
        bench_write(at, "class/thermal/thermal_zone0/temp", "40000\n");
        bench_write(at, W1, "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n");
}

static int set_up(void **state)
{
        conf = (struct sysfs_conf){.name = "board",
                                   .source = "gw-board",
                                   .period_us = 10 * SECOND,
                                   .timeout_us = 5 * SECOND,
                                   .readings = {readings, 3}};
        bench_init(&b, &sysfs_ops, "board", &conf);
        make_tree(&b);
        conf.root = b.tree;
        return 0;
}

static int tear_down(void **state)
{
        bench_fini(&b);
        return 0;
}

/* A round of three files. */
static void round_of(struct driver_bench *at)
{
        sysfs_ops.poll(&at->d);
        bench_pass(at, SECOND);
}

static void start(void)
{
        bench_start(&b);
        bench_pass(&b, SECOND);
}

static void files_become_readings(void **state)
{
        start();
        transcript_expect("up cpu=45.123 zone=40 oil=23.125 ");
        assert_int_equal(b.d.period_us, 10 * SECOND);
        assert_int_equal(b.n_calls, 1); /* a round at a time */
        assert_string_equal(tags_get(b.d.tags, b.last.tag)->source, "gw-board");
        assert_string_equal(tags_get(b.d.tags, 0)->unit, "degC");
        assert_true(b.last.ts_us == INT64_C(1795428000) * SECOND + 3 * READ_US); /* of its own answer */
        bench_write(&b, "class/thermal/thermal_zone0/temp", "-1000\n");
        round_of(&b);
        transcript_expect("cpu=45.123 zone=-1 oil=23.125 ");
        sysfs_ops.pause(&b.d, true);
        round_of(&b);
        transcript_expect("");
        sysfs_ops.pause(&b.d, false);
        round_of(&b);
        transcript_expect("cpu=45.123 zone=-1 oil=23.125 ");
        sysfs_ops.stop(&b.d);
        transcript_expect("stopped ");
        assert_int_equal(b.d.n_errors, 0);
}

static void the_device_counts_and_not_its_number(void **state)
{
        start();
        bench_write(&b, "class/hwmon/hwmon0/name", "coretemp\n");
        bench_write(&b, "class/hwmon/hwmon1/name", "nvme\n");
        transcript[0] = '\0';
        round_of(&b);
        transcript_expect("cpu=38.85 zone=40 oil=23.125 ");
        bench_write(&b, "class/hwmon/hwmon1/name", "coretemp\n"); /* which one? */
        round_of(&b);
        transcript_expect("cpu:config zone=40 oil=23.125 ");
        assert_non_null(strstr(b.d.last_error, "more than one file"));
        bench_write(&b, "class/hwmon/hwmon0/name", "coretemp-2\n");
        bench_write(&b, "class/hwmon/hwmon1/name", "core\n");
        round_of(&b);
        transcript_expect("cpu:not_connected zone=40 oil=23.125 ");
}

static void gone_and_back(void **state)
{
        start();
        transcript[0] = '\0';
        bench_remove(&b, W1);
        round_of(&b);
        round_of(&b);
        transcript_expect("cpu=45.123 zone=40 oil:not_connected cpu=45.123 zone=40 oil:not_connected ");
        assert_int_equal(b.d.n_errors, 2);
        assert_string_equal(b.d.last_error, W1 ": No such file or directory");
        make_tree(&b);
        round_of(&b);
        transcript_expect("cpu=45.123 zone=40 oil=23.125 ");
}

static void all_gone_is_the_source_gone(void **state)
{
        start();
        transcript[0] = '\0';
        bench_remove(&b, W1);
        bench_remove(&b, "class/hwmon/hwmon1/temp1_input");
        bench_remove(&b, "class/thermal/thermal_zone0/temp");
        round_of(&b);
        transcript_expect("cpu:not_connected zone:not_connected oil:not_connected down ");
        for (int i = 0; i < 3; i++) {
                sysfs_ops.start(&b.d);
                bench_pass(&b, SECOND);
                transcript_expect("down "); /* the tags know already */
        }
        make_tree(&b);
        sysfs_ops.start(&b.d);
        bench_pass(&b, SECOND);
        transcript_expect("up cpu=45.123 zone=40 oil=23.125 ");
}

static void garbage_is_shown_and_bad(void **state)
{
        start();
        transcript[0] = '\0';
        bench_write(&b, "class/thermal/thermal_zone0/temp", "hot\n");
        round_of(&b);
        transcript_expect("kept(hot\n) cpu=45.123 zone:sensor oil=23.125 ");
        assert_string_equal(b.d.last_error, "gw-board: no number");
        for (int i = 0; i < 50; i++)
                round_of(&b);
        assert_int_equal(b.d.n_malformed, 51);
        assert_true(b.n_kept < 25); /* a noisy sensor does not wear out the flash */
        transcript[0] = '\0';
        make_tree(&b);
        round_of(&b);
        transcript_expect("cpu=45.123 zone=40 oil=23.125 ");
}

static void answer_of(const char *file, const char *device, struct sysfs_answer *a)
{
        static char text[SYSFS_FILE_MAX + 1];

        a->bytes = text;
        sysfs_file_read(b.tree, file, device, a);
}

static void what_is_no_plain_file_is_not_opened(void **state)
{
        struct sysfs_answer a;
        char big[3 * SYSFS_FILE_MAX];

        bench_write(&b, "d/value", "1\n");
        answer_of("d", NULL, &a);
        assert_non_null(a.unfit);
        assert_int_equal(mkfifo(bench_path(&b, "d/fifo"), 0600), 0);
        answer_of("d/fifo", NULL, &a); /* at once: nobody writes to it */
        assert_non_null(a.unfit);
        assert_int_equal(symlink("/dev/zero", bench_path(&b, "d/zero")), 0);
        answer_of("d/zero", NULL, &a);
        assert_non_null(a.unfit);
        assert_int_equal(symlink("/etc/hostname", bench_path(&b, "d/secret")), 0);
        answer_of("d/*ecret", NULL, &a);
        assert_true(a.unfit && a.len == 0);
        assert_int_equal(symlink("value", bench_path(&b, "d/inside")), 0); /* as most of /sys/class is */
        answer_of("d/inside", NULL, &a);
        assert_true(!a.unfit && !a.error && a.len == 2);
        sysfs_file_read("/nonexistent", "d/value", NULL, &a);
        assert_true(a.error);
        memset(big, '1', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        bench_write(&b, "d/big", big);
        answer_of("d/big", NULL, &a);
        assert_int_equal(a.len, SYSFS_FILE_MAX + 1);
}

static void devices_are_told_by_name_or_type(void **state)
{
        struct sysfs_answer a;

        bench_write(&b, "class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
        bench_write(&b, "class/thermal/thermal_zone1/type", "acpitz\n");
        bench_write(&b, "class/thermal/thermal_zone1/temp", "27800\n");
        answer_of("class/thermal/thermal_zone*/temp", "acpitz", &a);
        assert_true(!a.error && !a.unfit && memcmp(a.bytes, "27800", 5) == 0);
        answer_of("class/thermal/thermal_zone1/temp", "acpitz", &a);
        assert_int_equal(a.len, 6);
        answer_of("class/thermal/thermal_zone0/temp", "acpitz", &a);
        assert_true(a.error);
        answer_of("class/thermal/thermal_zone*/temp", NULL, &a);
        assert_non_null(a.unfit);
        answer_of("class/thermal/thermal_zone[1]/temp", NULL, &a);
        assert_int_equal(a.len, 6);
}

/* The kernel holds the second file. What came is handed over, the rest is bad once, what comes later is taken. */
static void a_file_that_does_not_come_back(void **state)
{
        start();
        transcript[0] = '\0';
        sysfs_ops.poll(&b.d);
        b.sim.work_delay_us = 60 * SECOND;
        bench_pass(&b, 2 * READ_US); /* the second is asked for by now */
        bench_pass(&b, 4 * SECOND);
        transcript_expect("");
        bench_pass(&b, SECOND);
        transcript_expect("cpu=45.123 zone:comm_failure oil:comm_failure ");
        assert_string_equal(b.d.last_error, "class/thermal/thermal_zone0/temp: no answer of the kernel");
        sysfs_ops.poll(&b.d);
        sysfs_ops.poll(&b.d);
        bench_pass(&b, 20 * SECOND);
        transcript_expect("");
        assert_int_equal(b.d.n_overruns, 2);
        assert_int_equal(b.d.n_errors, 1);
        b.sim.work_delay_us = READ_US;
        bench_pass(&b, 40 * SECOND);
        transcript_expect("zone=40 oil=23.125 ");
        round_of(&b);
        transcript_expect("cpu=45.123 zone=40 oil=23.125 ");
}

/* Its configuration and all else of it are gone before the kernel answers. */
static void stop_does_not_wait_for_the_kernel(void **state)
{
        start();
        transcript[0] = '\0';
        sysfs_ops.poll(&b.d);
        sysfs_ops.stop(&b.d);
        transcript_expect("stopped ");
        bench_pass(&b, 10 * SECOND);
        transcript_expect("");
}

/* One at a time, in turns; who waits for one that hangs says so, and nobody waits for one who has left the queue. */
static void items_take_turns(void **state)
{
        static struct sysfs_reading_conf one[] = {{.tag = "other", .file = "v", .convert.scale = 1}};
        struct sysfs_conf conf_2 = {
                .name = "b2", .source = "s2", .timeout_us = 5 * SECOND, .period_us = SECOND, .readings = {one, 1}};
        struct driver second;
        struct err e;

        bench_write(&b, "v", "7\n");
        conf_2.root = b.tree;
        start();
        second = b.d;
        second.name = "b2";
        second.conf = &conf_2;
        second.n_errors = 0;
        assert_int_equal(sysfs_ops.init(&second, &e), 0);
        sysfs_ops.start(&second);
        bench_pass(&b, SECOND);
        transcript[0] = '\0';

        sysfs_ops.poll(&b.d);
        sysfs_ops.poll(&second);
        bench_pass(&b, 3 * READ_US); /* between the first and the second file of the other */
        transcript_expect("other=7 ");
        bench_pass(&b, SECOND);
        transcript_expect("cpu=45.123 zone=40 oil=23.125 ");

        b.sim.work_delay_us = 600 * SECOND;
        sysfs_ops.poll(&b.d);
        bench_pass(&b, 4 * SECOND);
        sysfs_ops.poll(&second);
        bench_pass(&b, 4 * SECOND);
        transcript_expect("cpu:comm_failure zone:comm_failure oil:comm_failure ");
        bench_pass(&b, SECOND);
        transcript_expect("other:comm_failure ");
        assert_string_equal(second.last_error, HWMON ": no answer of the kernel");
        assert_int_equal(second.n_errors, 1);
        sysfs_ops.stop(&second);
        transcript_expect("stopped ");
        sysfs_ops.fini(&second);
        b.sim.work_delay_us = READ_US;
        bench_pass(&b, 600 * SECOND);
        transcript_expect("cpu=45.123 zone=40 oil=23.125 ");
}

/* Bounds are for what comes from the wire. */
static void a_full_table_has_room_for_us(void **state)
{
        tags_set_most(b.d.tags, 0);
        start();
        transcript_expect("up cpu=45.123 zone=40 oil=23.125 ");
        assert_int_equal(b.d.n_untagged, 0);
}

static void check_conf(const char *file, const char *device, double scale, const char *faulty)
{
        const struct schema_key *k = sysfs_schema.keys;
        struct sysfs_reading_conf r = {.tag = "t", .file = file, .device = device, .convert.scale = scale};
        const char *key;
        struct err e;
        int rc;

        while (k->type != SCHEMA_LIST)
                k++;
        rc = k->sub->check(&r, &key, &e);
        assert_int_equal(rc, faulty ? -1 : 0);
        if (faulty)
                assert_string_equal(key, faulty);
}

static void files_stay_below_the_root(void **state)
{
        static const char *const wrong[] = {"",    "/etc/shadow", "../etc/x", "a/../../b", "a/..", "a//b",
                                            "./a", "a/.",         "a/",       "..",        "/",    "class/../x"};

        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
                check_conf(wrong[i], NULL, 1, "file");
        check_conf("class/hwmon/hwmon*/temp1_input", "coretemp", 0.001, NULL);
        check_conf("devices/..a/b..c", NULL, 1, NULL);
        check_conf("a", "", 1, "device");
        check_conf("a", NULL, 0, "scale");
}

#define AROUND(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                AROUND(files_become_readings),
                AROUND(the_device_counts_and_not_its_number),
                AROUND(gone_and_back),
                AROUND(all_gone_is_the_source_gone),
                AROUND(garbage_is_shown_and_bad),
                AROUND(devices_are_told_by_name_or_type),
                AROUND(a_file_that_does_not_come_back),
                AROUND(stop_does_not_wait_for_the_kernel),
                AROUND(items_take_turns),
                AROUND(a_full_table_has_room_for_us),
                AROUND(what_is_no_plain_file_is_not_opened),
                cmocka_unit_test(files_stay_below_the_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
