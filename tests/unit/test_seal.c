/* The seal: what the chain is, to the byte; that it goes on from what is on disk; and that runs tell each seq once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/seal.h"

static const uint64_t none[SPOOL_LANES];
static const struct spool_ledger no_ledger;
static char text[SEAL_TEXT_MAX];

static void add(struct seal *s, int stream, uint64_t seq, bool apart)
{
        unsigned char leaf[SEAL_HASH];
        char value[32];

        snprintf(value, sizeof(value), "{\"seq\":%llu}", (unsigned long long)seq);
        seal_leaf(leaf, seq, NULL, 0, value, strlen(value));
        seal_add(&s->now.stream[stream], seq, leaf, apart);
}

static void check_has(struct seal *s, const char *part)
{
        struct seal copy = *s;

        seal_text(&copy, "gw-7", 5, &no_ledger, text);
        if (!strstr(text, part))
                fail_msg("%s is not in %s", part, text);
}

/* Computed with Python's hashlib from packaging/doc/verify.md. */
static void test_known_values(void **state)
{
        struct seal s;

        seal_init(&s, 7, none, NULL, 0);
        for (uint64_t seq = 1; seq <= 3; seq++)
                add(&s, 1, seq, false);
        check_has(&s, "\"chain\":\"e02250069c488b67e89b03b775126eff02d2e9b1e2713f858f2b74102089571d\"");
        check_has(&s, "\"upto\":3,\"runs\":[[1,3,3]]");
}

static void test_identity_is_hashed(void **state)
{
        unsigned char a[SEAL_HASH], b[SEAL_HASH];

        seal_leaf(a, 1, "ab", 2, "c", 1);
        seal_leaf(b, 1, "a", 1, "bc", 2);
        assert_memory_not_equal(a, b, SEAL_HASH);
}

/* A gap in a run is counted, a jump begins another; what Kafka has is not told again. */
static void test_runs(void **state)
{
        struct seal s;
        uint32_t token;

        seal_init(&s, 7, none, NULL, 0);
        add(&s, 1, 2, false);
        add(&s, 1, 5, false);
        check_has(&s, "\"runs\":[[1,5,2]]");
        add(&s, 1, 9, true);
        check_has(&s, "\"runs\":[[1,5,2],[9,9,1]]");
        token = seal_text(&s, "gw-7", 5, &no_ledger, text);
        add(&s, 1, 10, false);
        check_has(&s, "\"runs\":[[1,5,2],[9,10,2]]");
        seal_told(&s, token + 1);
        check_has(&s, "\"runs\":[[1,5,2],[9,10,2]]");
        seal_told(&s, token);
        check_has(&s, "\"runs\":[[10,10,1]]");
        token = seal_text(&s, "gw-7", 5, &no_ledger, text);
        seal_told(&s, token);
        check_has(&s, "\"upto\":10,\"runs\":[]");
}

/* The chain after a restart is the chain without one. */
static void test_goes_on_from_disk(void **state)
{
        unsigned char packed[SPOOL_SEAL_MAX];
        struct seal whole, cut, other;
        size_t n;

        seal_init(&whole, 7, none, NULL, 0);
        seal_init(&cut, 7, none, NULL, 0);
        for (uint64_t seq = 1; seq <= 40; seq++) {
                add(&whole, seq % 3, seq, seq % 5 == 0);
                add(&cut, seq % 3, seq, seq % 5 == 0);
                n = seal_pack(&cut, packed);
                assert_true(n <= sizeof(packed));
                seal_init(&cut, 7, none, packed, n);
        }
        for (int i = 0; i < SEAL_STREAMS; i++) {
                assert_memory_equal(whole.now.stream[i].chain, cut.now.stream[i].chain, SEAL_HASH);
                assert_memory_equal(whole.now.stream[i].run, cut.now.stream[i].run, sizeof(cut.now.stream[i].run));
        }
        seal_init(&other, 8, (const uint64_t[]){3, 40}, packed, n);
        assert_int_equal(other.now.stream[1].upto, 40);
        assert_int_equal(other.now.stream[1].n_runs, 0);
        for (size_t len = 0; len < n; len++) {
                seal_init(&other, 7, none, packed, len);
                assert_int_equal(other.now.stream[1].n_runs, 0);
        }
}

/* More runs than there is room for: the chain begins anew, from zeros, and what was told then is no end of it. */
static void test_too_many_runs(void **state)
{
        struct seal s;
        uint32_t token;

        seal_init(&s, 7, none, NULL, 0);
        for (uint64_t i = 1; i <= SEAL_RUNS; i++)
                add(&s, 0, 10 * i, true);
        token = seal_text(&s, "gw-7", 5, &no_ledger, text);
        add(&s, 0, 1000, true);
        seal_told(&s, token);
        check_has(&s, "{\"stream\":\"events\",\"prev\":\"0000000000000000");
        check_has(&s, "\"upto\":1000,\"runs\":[[1000,1000,1]]");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_values),
                                           cmocka_unit_test(test_identity_is_hashed), cmocka_unit_test(test_runs),
                                           cmocka_unit_test(test_goes_on_from_disk),
                                           cmocka_unit_test(test_too_many_runs)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
