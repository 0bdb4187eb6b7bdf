/* What the table of the `kafka:` section can't say: brokers, rates, properties that are ours, the form of secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/uplink.h"

static int check(struct kafka_conf *c, const char **key, struct err *e)
{
        return kafka_schema.check(c, key, e);
}

static void test_faults(void **state)
{
        static const struct {
                const char *broker, *rate, *property, *secret, *key, *words;
        } rows[] = {
                {"kafka-1:9092", NULL, NULL, NULL, NULL, NULL},
                {"[::1]:9092", "256KiB/s", "batch.size=65536", "sasl.password=file:/etc/p", NULL, NULL},
                {"10.0.0.1:65535", NULL, "sasl.username=", "sasl.password=credential:kafka", NULL, NULL},
                {"kafka-1", NULL, NULL, NULL, "brokers", "host:port"},
                {"kafka-1:", NULL, NULL, NULL, "brokers", "host:port"},
                {":9092", NULL, NULL, NULL, "brokers", "host:port"},
                {"kafka-1:0", NULL, NULL, NULL, "brokers", "host:port"},
                {"kafka-1:65536", NULL, NULL, NULL, "brokers", "host:port"},
                {"kafka-1:90x", NULL, NULL, NULL, "brokers", "host:port"},
                {"ssl://kafka-1:9092", NULL, NULL, NULL, "brokers", "host:port"},
                {"a:1,b:2", NULL, NULL, NULL, "brokers", "host:port"},
                {"a:1", "256KiB", NULL, NULL, "rate_limit", "256KiB/s"},
                {"a:1", "256/s", NULL, NULL, "rate_limit", "256KiB/s"},
                {"a:1", "/s", NULL, NULL, "rate_limit", "256KiB/s"},
                {"a:1", "512B/s", NULL, NULL, "rate_limit", "1KiB/s"},
                {"a:1", NULL, "batch.size", NULL, "properties", "name=value"},
                {"a:1", NULL, "=5", NULL, "properties", "name=value"},
                {"a:1", NULL, "acks=1", NULL, "properties", "acks can't be set"},
                {"a:1", NULL, "enable.idempotence=false", NULL, "properties", "enable.idempotence can't be set"},
                {"a:1", NULL, "message.timeout.ms=5000", NULL, "properties", "message.timeout.ms can't be set"},
                {"a:1", NULL, "linger.ms=5", NULL, "properties", "write it as linger:"},
                {"a:1", NULL, NULL, "sasl.password=hunter2", "secrets", "item 1 is not a secret"},
                {"a:1", NULL, NULL, "sasl.password=file:relative", "secrets", "item 1 is not a secret"},
                {"a:1", NULL, NULL, "sasl.password=credential:../../etc/shadow", "secrets", "item 1 is not a secret"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct kafka_conf c = {.brokers = {(void *)&rows[i].broker, 1},
                                       .rate_limit = rows[i].rate,
                                       .properties = {(void *)&rows[i].property, rows[i].property != NULL},
                                       .secrets = {(void *)&rows[i].secret, rows[i].secret != NULL}};
                const char *key = NULL;
                struct err e = {""};

                if (!rows[i].words) {
                        assert_int_equal(check(&c, &key, &e), 0);
                        continue;
                }
                assert_int_equal(check(&c, &key, &e), -1);
                assert_string_equal(key, rows[i].key);
                assert_non_null(strstr(e.text, rows[i].words));
                assert_null(strstr(e.text, "hunter2"));
        }
}

static void test_rate_is_filled(void **state)
{
        const char *broker = "a:1", *key;
        struct kafka_conf c = {.brokers = {&broker, 1}, .rate_limit = "256KiB/s", .backfill_rate_limit = "2KiB/s"};

        assert_int_equal(check(&c, &key, NULL), 0);
        assert_int_equal(c.rate_limit_bytes_s, 262144);
        assert_int_equal(c.backfill_rate_limit_bytes_s, 2048);
        c.brokers.n = 0;
        assert_int_equal(check(&c, &key, NULL), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults), cmocka_unit_test(test_rate_is_filled)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
