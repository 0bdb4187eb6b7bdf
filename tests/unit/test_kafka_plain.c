/*
 * test_kafka_plain: librdkafka's words about a connection, and what a person
 * is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/kafka_impl.h"

static const struct {
        const char *theirs, *ours;
} table[] = {
        {"127.0.0.1:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
         "127.0.0.1:9092: Connection refused, nobody listens there"},
        {"127.0.0.1:9092/1: Disconnected (after 2791ms in state UP)", "127.0.0.1:9092: it ended the connection"},
        {"sasl_plaintext://k:9094/bootstrap: SASL authentication error: Authentication failed: Invalid username or "
         "password",
         "k:9094: user or password is wrong"},
        {"kafka-1.invalid:9092/bootstrap: Failed to resolve 'kafka-1.invalid:9092': Name or service not known (after "
         "3ms in state CONNECT)",
         "kafka-1.invalid:9092: cannot resolve its name: the name server does not know it, or is away"},
        {"ssl://[::1]:9093/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number: client "
         "SSL authentication might be required",
         "[::1]:9093: there is no TLS at that port"},
        {"k:9093/bootstrap: Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol "
         "configuration (connecting to a SSL listener?)",
         "k:9093: it ended the connection at once; does it want TLS or a user?"},
        {"k:9092/3: Connect to ipv4#10.0.0.1:9092 failed: Something new (after 1ms in state CONNECT)",
         "k:9092: Something new"},
        {"k:9093: its certificate has expired (or the clock here is wrong)",
         "k:9093: its certificate has expired (or the clock here is wrong)"},
        {"ssl://k:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed",
         "k:9093: its certificate is not accepted: expired, of no authority that is trusted, or for another name"},
        {"All broker connections are down", "All broker connections are down"},
        {"", ""},
};

static void a_person_is_told(void **state)
{
        char out[200];

        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                kafka_plain_words(table[i].theirs, out, sizeof(out));
                assert_string_equal(out, table[i].ours);
        }
        kafka_plain_words(table[0].theirs, out, 10);
        assert_string_equal(out, "127.0.0.1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(a_person_is_told)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
