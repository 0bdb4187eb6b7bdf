/*
 * tags: one identity (source, name, labels); units are rows of one tag; a table takes any file's rows in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/tags.h"

struct seen {
        int n;
        uint32_t tag;
        char old_unit[16];
};

static void on_unit(void *ctx, uint32_t tag, const char *old_unit)
{
        struct seen *s = ctx;

        s->n++;
        s->tag = tag;
        snprintf(s->old_unit, sizeof(s->old_unit), "%s", old_unit);
}

static uint32_t intern(struct tags *t, const char *source, const char *unit, const char *labels)
{
        uint32_t tag;

        assert_int_equal(tags_intern(t, source, "temp", unit, labels, "plant", &tag), 0);
        return tag;
}

static void a_tag_is_its_source_name_and_labels(void **state)
{
        struct tags *t = tags_new(10);
        uint32_t l1 = intern(t, "press", "", "\"line\":\"l1\""), l2 = intern(t, "press", "", "\"line\":\"l2\"");
        uint32_t found = 99;

        assert_int_not_equal(l1, l2);
        assert_int_equal(intern(t, "press", "", "\"line\":\"l1\""), l1);
        assert_int_equal(tags_find(t, "press", "temp", "\"line\":\"l2\"", &found), 0);
        assert_int_equal(found, l2);
        assert_int_equal(tags_find(t, "press", "temp", "", &found), TAGS_E_NONE);
        assert_int_equal(tags_count(t), 2);
        tags_free(t);
}

static void a_unit_changes_and_the_tag_stays(void **state)
{
        struct tags *t = tags_new(10);
        struct seen s = {0};
        uint32_t tag = intern(t, "press", "degC", "");

        tags_on_unit(t, on_unit, &s);
        assert_int_equal(intern(t, "press", "degC", ""), tag);
        assert_int_equal(intern(t, "press", NULL, ""), tag);
        assert_int_equal(s.n, 0);
        assert_int_equal(intern(t, "press", "degF", ""), tag);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.tag, tag);
        assert_string_equal(s.old_unit, "degC");
        assert_string_equal(tags_unit(t, tag), "degF");
        assert_int_equal(intern(t, "press", "", ""), tag);
        assert_string_equal(tags_unit(t, tag), "");
        assert_int_equal(tags_count(t), 3);
        for (int i = 0; i < 100; i++)
                assert_int_equal(intern(t, "press", i % 2 ? "degC" : "degF", ""), tag);
        assert_int_equal(tags_count(t), 3);
        assert_true(tags_is_tag(t, tag));
        assert_false(tags_is_tag(t, 1));
        assert_false(tags_is_tag(t, 3));
        assert_int_equal(tags_get(t, 2)->first, tag);
        tags_free(t);
}

static void a_full_table_leaves_the_unit_as_it_was(void **state)
{
        struct tags *t = tags_new(1);
        uint32_t tag = intern(t, "press", "degC", ""), other;

        assert_int_equal(tags_intern(t, "press", "temp", "degF", "", "plant", &other), TAGS_E_FULL);
        assert_int_equal(tags_intern(t, "mill", "temp", "degC", "", "plant", &other), TAGS_E_FULL);
        assert_string_equal(tags_unit(t, tag), "degC");
        tags_free(t);
}

static void load(struct tags *t, const char *source, const char *unit, const char *labels, int64_t last_ts_us)
{
        struct tag row = {.source = source,
                          .name = "temp",
                          .unit = unit,
                          .labels = labels,
                          .driver = "plant",
                          .last_ts_us = last_ts_us};

        tags_load(t, &row);
}

/* The bound is for what comes from the wire; rows of an older version may be in any order, the same one twice even. */
static void any_file_can_be_loaded(void **state)
{
        struct tags *t = tags_new(0);
        struct seen s = {0};

        load(t, "press", "degC", "\"line\":\"l1\"", 50);
        load(t, "press", "degC", "\"line\":\"l2\"", 10);
        load(t, "press", "degF", "\"line\":\"l1\"", 90);
        load(t, "press", "K", "\"line\":\"l1\"", 70);
        load(t, "press", "degC", "\"line\":\"l2\"", 10);
        assert_int_equal(tags_count(t), 5);
        tags_on_unit(t, on_unit, &s);
        assert_int_equal(intern(t, "press", "degF", "\"line\":\"l1\""), 0);
        assert_int_equal(intern(t, "press", "degC", "\"line\":\"l2\""), 1);
        assert_int_equal(s.n, 0);
        assert_int_equal(tags_get(t, 0)->last_ts_us, 90);
        tags_seen(t, 3, 95);
        assert_string_equal(tags_unit(t, 0), "K");
        assert_int_equal(tags_get(t, 0)->last_ts_us, 95);
        tags_seen(t, 0, 60); /* the clock went back: the last one counts, not the latest */
        assert_string_equal(tags_unit(t, 0), "degC");
        assert_int_equal(tags_get(t, 0)->last_ts_us, 60);
        tags_free(t);
}

static void ten_thousand_tags_with_three_units_are_found_again(void **state)
{
        struct tags *t = tags_new(100000);
        char source[16];

        for (int unit = 0; unit < 3; unit++)
                for (int i = 0; i < 10000; i++) {
                        snprintf(source, sizeof(source), "s-%d", i);
                        assert_int_equal(intern(t, source, (const char *[]){"a", "b", "c"}[unit], ""), i);
                }
        assert_int_equal(tags_count(t), 30000);
        tags_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tag_is_its_source_name_and_labels),
                cmocka_unit_test(a_unit_changes_and_the_tag_stays),
                cmocka_unit_test(a_full_table_leaves_the_unit_as_it_was),
                cmocka_unit_test(any_file_can_be_loaded),
                cmocka_unit_test(ten_thousand_tags_with_three_units_are_found_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
