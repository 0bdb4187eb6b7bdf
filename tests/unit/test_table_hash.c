/*
 * table_hash: names chosen to fall into one place under text_hash are spread, whatever the key; ids do not follow the
 * key.
 *
 * The names are made as Joux made multicollisions: two words that lead from one state of FNV-1a to the same next one,
 * ten times after each other, are 2^10 names with one hash.  The low 20 bits are enough for a table of a million
 * places, and depend on nothing but the low 20 bits before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"
#include "agent/base/text.h"

enum { BITS = 20, WORDS = 10, WORD_LEN = 4, NAMES = 1 << WORDS, NAME_LEN = WORDS * WORD_LEN, SLOTS = 4 * NAMES };

static const uint64_t low_bits = (1 << BITS) - 1;

static void put_word(char out[WORD_LEN], uint32_t n)
{
        for (int i = 0; i < WORD_LEN; i++, n >>= 4)
                out[i] = (char)('a' + (n & 15));
}

/* Two words that lead to the same state. */
static void find_pair(const char *before, size_t len, uint32_t *seen, char pair[2][WORD_LEN])
{
        uint64_t from = text_hash(before, len, 0) ^ text_hash("", 0, 0);

        memset(seen, 0, (low_bits + 1) * sizeof(*seen));
        for (uint32_t n = 0;; n++) {
                uint64_t to;

                put_word(pair[1], n);
                to = text_hash(pair[1], WORD_LEN, from) & low_bits;
                if (seen[to]) {
                        put_word(pair[0], seen[to] - 1);
                        return;
                }
                seen[to] = n + 1;
        }
}

static void make_names(char names[NAMES][NAME_LEN + 1])
{
        uint32_t *seen = mem_alloc((low_bits + 1) * sizeof(*seen));
        char pair[WORDS][2][WORD_LEN], first[NAME_LEN];

        for (int w = 0; w < WORDS; w++) {
                find_pair(first, (size_t)w * WORD_LEN, seen, pair[w]);
                memcpy(first + w * WORD_LEN, pair[w][0], WORD_LEN);
        }
        for (int n = 0; n < NAMES; n++)
                for (int w = 0; w < WORDS; w++)
                        memcpy(names[n] + w * WORD_LEN, pair[w][n >> w & 1], WORD_LEN);
        free(seen);
}

/* How many places the longest look-up walks past, in an open table with a quarter of its places taken. */
static size_t longest_walk(char names[NAMES][NAME_LEN + 1], uint64_t (*hash)(const void *p, size_t len, uint64_t seed))
{
        static bool taken[SLOTS];
        size_t most = 0;

        memset(taken, 0, sizeof(taken));
        for (int n = 0; n < NAMES; n++) {
                size_t at = hash(names[n], NAME_LEN, 0) % SLOTS, walked = 0;

                for (; taken[at]; at = (at + 1) % SLOTS)
                        walked++;
                taken[at] = true;
                most = walked > most ? walked : most;
        }
        return most;
}

static void chosen_names_are_spread(void **state)
{
        static char names[NAMES][NAME_LEN + 1];
        uint64_t key[2] = {0, 0};

        make_names(names);
        assert_true(text_is_name(names[NAMES - 1], NAME_LEN));
        assert_string_not_equal(names[0], names[NAMES - 1]);
        assert_int_equal(longest_walk(names, text_hash), NAMES - 1);
        for (; key[0] < 50; key[0]++, key[1] += 7) {
                table_hash_set_key(key);
                assert_in_range(longest_walk(names, table_hash), 0, 40);
        }
}

/* Each value was said by another program that has SipHash-1-3 (CPython's hash of bytes, PYTHONHASHSEED 0 and 42). */
static void it_is_siphash(void **state)
{
        static const uint64_t keys[2][2] = {{0, 0}, {0xdc504fd368cd90af, 0xb920bb9ffe99e9c1}};
        static const struct {
                size_t len;
                uint64_t hash[2];
        } rows[] = {
                {1, {0x68a914128e01e473, 0xce880c366bcf3489}},  {7, {0x2f098ab0c751325a, 0xce280fabc397fbda}},
                {8, {0xead411e67ebe2eea, 0x60866c3c108c6afb}},  {9, {0x75927f9d95124362, 0x68814005f7469e03}},
                {15, {0xf30eb725bb91c9ea, 0x94ace24d68c18cf8}}, {16, {0x8972188433a5c5b7, 0x339176f3ac59ce05}},
                {63, {0x385d3e39e5f37359, 0x6e24d6f0d014c37}},
        };
        unsigned char bytes[64];

        for (int i = 0; i < 64; i++)
                bytes[i] = (unsigned char)i;
        for (int k = 0; k < 2; k++) {
                table_hash_set_key(keys[k]);
                for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                        assert_true(table_hash(bytes, rows[i].len, 0) == rows[i].hash[k]);
        }
}

static void a_part_joins_the_parts_before(void **state)
{
        assert_true(table_hash("a", 1, 1) != table_hash("a", 1, 2));
        assert_true(table_hash("a", 1, table_hash("b", 1, 0)) != table_hash("b", 1, table_hash("a", 1, 0)));
}

static void ids_do_not_follow_the_key(void **state)
{
        static const uint64_t keys[2][2] = {{0, 0}, {1, 2}};

        for (int k = 0; k < 2; k++) {
                table_hash_set_key(keys[k]);
                assert_true(text_hash("foobar", 6, 0) == 0x85944171f73967e8u);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(chosen_names_are_spread),
                cmocka_unit_test(it_is_siphash),
                cmocka_unit_test(a_part_joins_the_parts_before),
                cmocka_unit_test(ids_do_not_follow_the_key),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
