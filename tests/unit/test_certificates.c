/*
 * test_certificates: the end of what is in a PEM file, and that a configuration
 * that changes while files are read is not mixed with the one before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/rt_sim.h"
#include "agent/certificates.h"
#include "tests/lib/temp_dir.h"

/* When those in tests/unit/certificates end, as openssl x509 -enddate has it. */
#define A_US   INT64_C(1799535658000000)
#define B_US   INT64_C(1796338858000000)
#define NOW_US (B_US - INT64_C(259200000000))

/* `name` in the folder: those of ours, behind each other. */
static void put(const struct temp_dir *dir, const char *name, const char *first, const char *second)
{
        char text[8192], path[TEMP_PATH_MAX], from[400];
        const char *names[] = {first, second};
        size_t n = 0;

        for (int i = 0; i < 2 && names[i]; i++) {
                FILE *f;

                snprintf(from, sizeof(from), TEST_ROOT "/tests/unit/certificates/%s.pem", names[i]);
                assert_non_null(f = fopen(from, "r"));
                n += fread(text + n, 1, sizeof(text) - 1 - n, f);
                fclose(f);
        }
        text[n] = '\0';
        temp_dir_write(temp_dir_path(dir, name, path), text);
}

static void all_shown_are_needed_one_trusted_is_enough(void **state)
{
        char path[TEMP_PATH_MAX];
        struct temp_dir dir;

        temp_dir_init(&dir, "certificates");
        put(&dir, "a.pem", "a", NULL);
        put(&dir, "all.pem", "a", "b");
        temp_dir_write(temp_dir_path(&dir, "key.pem", path), "-----BEGIN PRIVATE KEY-----\nAAAA\n");
        assert_int_equal(certificate_end_us(temp_dir_path(&dir, "a.pem", path), false), A_US);
        assert_int_equal(certificate_end_us(temp_dir_path(&dir, "all.pem", path), false), B_US);
        assert_int_equal(certificate_end_us(path, true), A_US);
        assert_int_equal(certificate_end_us(temp_dir_path(&dir, "key.pem", path), false), 0);
        assert_int_equal(certificate_end_us(temp_dir_path(&dir, "none.pem", path), false), 0);
        assert_int_equal(certificate_end_us(dir.path, false), 0);
        temp_dir_fini(&dir);
}

static struct config *load(const struct temp_dir *dir, const char *name, const char *file)
{
        char yaml[1024];
        struct faults f = {.n = 0};
        struct config *c;

        snprintf(yaml, sizeof(yaml),
                 "gateway: gw-7\nspool: {path: /var/spool.db}\nkafka: {brokers: [127.0.0.1:9092], properties: "
                 "[security.protocol=ssl, ssl.ca.location=%s/b.pem]}\nmqtt:\n  - {name: %s, url: \"mqtts://h\", "
                 "ca_file: "
                 "%s/%s, subscriptions: [{topic: \"x/{source}/{tag}\"}]}\n",
                 dir->path, name, dir->path, file);
        if (config_load_text("t", yaml, strlen(yaml), &c, &f) < 0) {
                faults_print(&f, stderr);
                fail();
        }
        faults_fini(&f);
        return c;
}

static void the_configuration_in_use_counts(void **state)
{
        struct certificates c = {0};
        struct config *first, *second;
        struct temp_dir dir;
        struct rt_sim sim;

        temp_dir_init(&dir, "certificates");
        put(&dir, "a.pem", "a", NULL);
        put(&dir, "b.pem", "b", NULL);
        first = load(&dir, "old", "a.pem");
        second = load(&dir, "new", "none.pem");
        rt_sim_init(&sim, 1, NOW_US);
        sim.work_delay_us = 1000000;
        certificates_init(&c, &sim.rt, first);
        certificates_look(&c, first);
        rt_sim_run(&sim, 2000000, NULL, NULL);
        assert_int_equal(c.n_known, 2);
        assert_string_equal(c.known[0].user, "mqtt old");
        assert_int_equal(c.known[0].not_after_us, A_US);
        assert_string_equal(c.known[1].user, "kafka");
        assert_int_equal(c.known[1].not_after_us, B_US);
        certificates_look(&c, first);
        certificates_look(&c, second); /* while the first are read */
        config_free(first);
        rt_sim_run(&sim, 5000000, NULL, NULL);
        assert_int_equal(c.n_known, 1);
        assert_string_equal(c.known[0].user, "kafka");
        put(&dir, "none.pem", "a", NULL);
        rt_sim_run(&sim, 2 * INT64_C(3600000000), NULL, NULL);
        assert_int_equal(c.n_known, 2);
        assert_string_equal(c.known[0].user, "mqtt new");
        certificates_fini(&c);
        rt_sim_fini(&sim);
        config_free(second);
        temp_dir_fini(&dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(all_shown_are_needed_one_trusted_is_enough),
                                           cmocka_unit_test(the_configuration_in_use_counts)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
