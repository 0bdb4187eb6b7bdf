/*
 * mqtt_filters: two filters beside each other, and what a broker is asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mqtt/filter_rows.h"
#include "drivers/mqtt/filters.h"

static void test_filters_beside_each_other(void **state)
{
        static const struct {
                const char *a, *b;
                bool a_covers, b_covers, meet;
        } rows[] = {
                {"z/+", "z/special", true, false, true}, {"z/#", "z", true, false, true},
                {"z/#", "z/+/x", true, false, true},     {"#", "z/#", true, false, true},
                {"#", "$SYS/x", false, false, false},    {"+/x", "$SYS/x", false, false, false},
                {"$SYS/#", "$SYS/x", true, false, true}, {"a/+/c", "a/b/+", false, false, true},
                {"a/+/c", "a/b/d", false, false, false}, {"a/+", "a/+", true, true, true},
                {"a/+", "a/#", false, true, true},       {"a/+", "a", false, false, false},
                {"a/+/#", "a/b", true, false, true},     {"a/+/#", "a", false, false, false},
                {"a/+/#", "+/b", false, false, true},    {"a", "ab", false, false, false},
                {"a/b", "a/b/c", false, false, false},   {"+", "a/b", false, false, false},
                {"/a", "+/a", false, true, true},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                print_message("%s %s\n", rows[i].a, rows[i].b);
                assert_int_equal(mqtt_filter_covers(rows[i].a, rows[i].b), rows[i].a_covers);
                assert_int_equal(mqtt_filter_covers(rows[i].b, rows[i].a), rows[i].b_covers);
                assert_int_equal(mqtt_filter_meets(rows[i].a, rows[i].b), rows[i].meet);
                assert_int_equal(mqtt_filter_meets(rows[i].b, rows[i].a), rows[i].meet);
        }
}

static void test_joins(void **state)
{
        static const struct {
                const char *a, *b, *join;
        } rows[] = {
                {"a/+/c", "a/b/+", "a/+/+"}, {"a/+/#", "+/b", "+/+/#"},
                {"z/#", "z", "z/#"},         {"a/#", "+/b", "+/#"},
                {"a/+", "a/+", "a/+"},       {"+", "a", "+"},
                {"#", "a/b", "#"},           {"+/a/#", "+/+/b", "+/+/#"},
                {"/a", "+/a", "+/a"},        {"$SYS/+/x", "$SYS/y/#", "$SYS/+/#"},
        };
        char out[64];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                bool swapped = false;

                do {
                        mqtt_filter_join(swapped ? rows[i].b : rows[i].a, swapped ? rows[i].a : rows[i].b, out);
                        assert_true(mqtt_filter_covers(out, rows[i].a) && mqtt_filter_covers(out, rows[i].b));
                        assert_string_equal(out, rows[i].join);
                } while ((swapped = !swapped));
        }
}

static void print(char *to, const struct mqtt_filter *f, size_t n)
{
        *to = '\0';
        for (size_t i = 0; i < n; i++)
                to += sprintf(to, "%s%s%s", i ? " " : "", f[i].text, f[i].id ? "!" : "");
}

/* A ! is one with an identifier. */
static void test_what_is_asked_for(void **state)
{
        static const struct {
                char *texts[6];
                const char *own, *joined;
        } rows[] = {
                {{"z/special", "z/+", "y/+"}, "z/+ y/+", "z/+ y/+"},
                {{"z/+", "z/+"}, "z/+", "z/+"},
                {{"a/+/c", "a/b/+"}, "a/+/c! a/b/+!", "a/+/+"},
                {{"a/b/c", "a/+/c", "a/b/+", "a/b/c"}, "a/b/c! a/+/c! a/b/+!", "a/+/+"},
                {{"a/+/c", "y/#", "a/b/+", "y/1"}, "a/+/c! y/# a/b/+!", "a/+/+ y/#"},
                {{"a/+", "+/b", "c/x"}, "a/+! +/b! c/x", "+/+"},  /* what is joined has a third one */
                {{"a/+", "c/b", "+/b"}, "a/+! c/b! +/b!", "+/+"}, /* led to each other */
                {{"#", "$SYS/#", "a"}, "# $SYS/#", "# $SYS/#"},
                {{"a/b", "a/c"}, "a/b a/c", "a/b a/c"},
        };
        char out[200];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct mqtt_filters f;
                size_t n = 0;

                while (n < 6 && rows[i].texts[n])
                        n++;
                mqtt_filters_init(&f, rows[i].texts, n);
                print(out, f.own, f.n_own);
                assert_string_equal(out, rows[i].own);
                print(out, f.joined, f.n_joined);
                assert_string_equal(out, rows[i].joined);
                assert_int_equal(mqtt_filters_differ(&f), strchr(rows[i].own, '!') != NULL);
                mqtt_filters_fini(&f);
        }
}

/* They are in the sessions of brokers, so they stay as they are. */
static void test_identifiers_are_the_filters_own(void **state)
{
        char *one[] = {"a/+/c", "a/b/+"}, *two[] = {"x", "a/b/+", "a/b/c", "a/+/c"};
        struct mqtt_filters f, g;

        mqtt_filters_init(&f, one, 2);
        mqtt_filters_init(&g, two, 4);
        assert_int_equal(mqtt_filters_id(&f, "a/+/c"), mqtt_filters_id(&g, "a/+/c"));
        assert_int_equal(mqtt_filters_id(&f, "a/b/+"), mqtt_filters_id(&g, "a/b/+"));
        assert_int_not_equal(mqtt_filters_id(&f, "a/b/+"), mqtt_filters_id(&f, "a/+/c"));
        assert_int_equal(mqtt_filters_id(&f, "a/b/c"), 0);
        assert_true(mqtt_filters_bring(&f, "a/x/y") && !mqtt_filters_bring(&f, "a/x"));
        mqtt_filters_fini(&f);
        mqtt_filters_fini(&g);
}

/* Many that meet one another, and many groups that a late one leads together: in no time that one would wait for. */
static void test_many(void **state)
{
        enum { N = 1500 };
        static char text[2 * N + 1][24];
        char *texts[2 * N + 1];
        struct mqtt_filters f;

        for (int i = 0; i < N; i++) {
                snprintf(text[i], sizeof(text[i]), "a/+/s%d", i);
                snprintf(text[N + i], sizeof(text[i]), "z%d/+", i);
                texts[i] = text[i];
                texts[N + i] = text[N + i];
        }
        strcpy(text[2 * N], "+/b");
        texts[2 * N] = text[2 * N];
        mqtt_filters_init(&f, texts, N);
        assert_int_equal(f.n_own, N);
        assert_int_equal(f.n_joined, N);
        mqtt_filters_fini(&f);
        strcpy(text[N], "a/b/+");
        mqtt_filters_init(&f, texts, N + 1);
        assert_int_equal(f.n_own, N + 1);
        assert_int_equal(f.n_joined, 1);
        assert_string_equal(f.joined[0].text, "a/+/+");
        mqtt_filters_fini(&f);
        mqtt_filters_init(&f, texts + N + 1, N);
        assert_int_equal(f.n_own, N);
        assert_int_equal(f.n_joined, 1);
        assert_string_equal(f.joined[0].text, "+/+");
        mqtt_filters_fini(&f);
}

/* What each two are to each other, asked of each two. */
static void compare(char *const *texts, size_t n)
{
        struct filter_relation *r = mqtt_filter_relations(texts, n);
        size_t group[32];
        bool more = true;

        for (size_t i = 0; i < n; i++)
                group[i] = i;
        while (more) {
                more = false;
                for (size_t i = 0; i < n; i++) {
                        for (size_t k = 0; k < n; k++) {
                                if (group[k] >= group[i] || !mqtt_filter_meets(texts[i], texts[k]))
                                        continue;
                                group[i] = group[k];
                                more = true;
                        }
                }
        }
        for (size_t i = 0; i < n; i++) {
                bool covered = false, again = false;

                for (size_t k = 0; k < n; k++) {
                        bool same = strcmp(texts[i], texts[k]) == 0;

                        again = again || (k < i && same);
                        covered = covered || (k != i && !same && mqtt_filter_covers(texts[k], texts[i]));
                }
                if (r[i].again != again || r[i].covered != (covered || again) || r[i].group != group[i]) {
                        for (size_t k = 0; k < n; k++)
                                print_error("%s\n", texts[k]);
                        fail_msg("%zu, %s: again %d, covered %d, group %zu", i, texts[i], r[i].again, r[i].covered,
                                 r[i].group);
                }
        }
        free(r);
}

static void test_relations(void **state)
{
        static const char *const levels[] = {"+", "+", "#", "a", "b", "", "$SYS", "$x", "a+"};
        static char room[32][64];
        char *texts[32];

        srand(7);
        for (int round = 0; round < 20000; round++) {
                size_t n = (size_t)rand() % 32;

                for (size_t i = 0; i < n; i++) {
                        int n_levels = 1 + rand() % 4, most = round % 2 ? 9 : 5;

                        texts[i] = room[i];
                        room[i][0] = '\0';
                        for (int k = 0; k < n_levels; k++) {
                                const char *level = levels[rand() % most];

                                strcat(strcat(room[i], k ? "/" : ""), level);
                                if (*level == '#')
                                        break;
                        }
                }
                compare(texts, n);
        }
}

/* All that match, each once, and nothing else. */
static void test_strays(void **state)
{
        static const char *const topics[] = {"a", "a/b", "a/b/c", "/", "a//b/", "///////", "1/2/3/4/5/6/7/8"};
        char one[64], other[64], longest[MQTT_STRAY_BYTES + 2] = "";

        for (size_t k = 0; k < sizeof(topics) / sizeof(*topics); k++) {
                size_t n = mqtt_stray_count(topics[k]);

                assert_true(n >= 5);
                for (size_t i = 0; i < n; i++) {
                        mqtt_stray_filter(topics[k], i, one);
                        assert_true(strlen(one) < strlen(topics[k]) + MQTT_STRAY_ROOM);
                        assert_true(mqtt_filter_covers(one, topics[k]));
                        for (size_t j = 0; j < i && n < 100; j++) {
                                mqtt_stray_filter(topics[k], j, other);
                                assert_string_not_equal(one, other);
                        }
                }
        }
        assert_int_equal(mqtt_stray_count("a/b/c"), 23);
        assert_int_equal(mqtt_stray_count("1/2/3/4/5/6/7/8/9"), 0);
        memset(longest, 'a', MQTT_STRAY_BYTES + 1);
        assert_int_equal(mqtt_stray_count(longest), 0);
        longest[MQTT_STRAY_BYTES] = '\0';
        assert_int_equal(mqtt_stray_count(longest), 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_filters_beside_each_other),
                cmocka_unit_test(test_joins),
                cmocka_unit_test(test_what_is_asked_for),
                cmocka_unit_test(test_identifiers_are_the_filters_own),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_relations),
                cmocka_unit_test(test_strays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
