/*
 * Thinning at work: what comes out of the `thin:` section for a stretch of readings, and that it is a reading as it
 * was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/thinning.h"

enum { S = 1000000 };

static struct tags *tags;
static uint32_t slow, door, other;

static int set_up(void **state)
{
        tags = tags_new(10);
        return tags_intern(tags, "m", "slow", "", "", "d", &slow) ||
               tags_intern(tags, "m", "door", "", "", "d", &door) ||
               tags_intern(tags, "m", "other", "", "", "d", &other);
}

static int tear_down(void **state)
{
        tags_free(tags);
        return 0;
}

static struct thinning *make(void)
{
        static struct thinning_conf conf[] = {{.match = "*/slow", .deadband = 1, .max_us = 100 * S},
                                              {.match = "m/door", .method = 1, .deadband = 1, .max_us = 100 * S}};

        return thinning_new(&(struct schema_list){conf, 2}, tags);
}

static struct reading number(uint32_t tag, int64_t s, double v)
{
        return (struct reading){
                .ts_us = s * S, .arrival_us = s * S, .tag = tag, .type = READING_F64, .mid = 7, .v.f64 = v};
}

static void put(char *out, const struct reading *r, size_t n)
{
        for (size_t i = 0; i < n; i++)
                sprintf(out + strlen(out), "%g@%d ", r[i].type == READING_F64 ? r[i].v.f64 : -1, (int)(r[i].ts_us / S));
}

static void pass(struct thinning *t, char *out, struct reading r, bool keep)
{
        struct reading kept[2];

        put(out, kept, thinning_pass(t, &r, keep, kept));
}

static void each(void *ctx, const struct reading *r)
{
        put(ctx, r, 1);
}

static void test_by_exception(void **state)
{
        static const double values[] = {20, 20.5, 20.9, 25, 25.1, 25.2};
        struct thinning *t = make();
        char out[256] = "";

        for (int i = 0; i < 6; i++)
                pass(t, out, number(slow, i, values[i]), false);
        assert_string_equal(out, "20@0 20.9@2 25@3 ");
        assert_int_equal(thinning_count(t), 2);
        thinning_end(t, each, out);
        assert_string_equal(out, "20@0 20.9@2 25@3 25.2@5 ");
        thinning_free(t);
}

static void test_by_door(void **state)
{
        struct thinning *t = make();
        char out[256] = "";

        for (int i = 0; i < 10; i++)
                pass(t, out, number(door, i, i), false); /* a straight line: nothing but its ends */
        pass(t, out, number(door, 10, 50), false);
        assert_string_equal(out, "0@0 9@9 ");
        assert_int_equal(thinning_count(t), 8);
        thinning_end(t, each, out);
        assert_string_equal(out, "0@0 9@9 50@10 ");
        thinning_free(t);
}

static void test_what_is_always_kept(void **state)
{
        struct thinning *t = make();
        struct reading bad = {.ts_us = 5 * S, .tag = slow, .quality = QUALITY_BAD_SENSOR};
        struct reading past = number(slow, 1, 20);
        char out[256] = "";

        pass(t, out, number(other, 0, 1), false); /* no item matches */
        pass(t, out, number(other, 1, 1), false);
        pass(t, out, number(slow, 2, 20), false);
        pass(t, out, number(slow, 3, 20), false);
        pass(t, out, number(slow, 4, 20.1), true); /* moved an alarm */
        pass(t, out, bad, false);
        pass(t, out, number(slow, 6, 20.1), false); /* good again */
        pass(t, out, number(slow, 7, 20.1), false);
        past.flags = READING_HISTORICAL;
        pass(t, out, past, false);
        assert_string_equal(out, "1@0 1@1 20@2 20@3 20.1@4 -1@5 20.1@6 20@1 ");
        assert_int_equal(thinning_count(t), 0);
        thinning_free(t);
}

/* Every reading is kept, left out, or the one held back. */
static void test_nothing_is_unaccounted_for(void **state)
{
        for (int mode = 0; mode < 2; mode++) {
                struct thinning *t = make();
                uint64_t kept = 0, x = 88172645463325252u;
                struct reading out[2];
                char rest[64] = "";

                for (int i = 0; i < 10000; i++) {
                        struct reading r = number(mode ? door : slow, i, 0);

                        x ^= x << 13;
                        x ^= x >> 7;
                        x ^= x << 17;
                        r.v.f64 = (double)(x % 40) / 10;
                        kept += thinning_pass(t, &r, x % 97 == 0, out);
                }
                thinning_end(t, each, rest);
                kept += *rest != '\0';
                assert_int_equal(kept + thinning_count(t), 10000);
                assert_true(thinning_count(t) > 1000);
                thinning_free(t);
        }
}

/* Another configuration: a tag whose item says the same goes on, of others the stretch ends with what was held back. */
static void test_items_change(void **state)
{
        static struct thinning_conf other_way[] = {{.match = "*/slow", .deadband = 1, .max_us = 100 * S},
                                                   {.match = "m/door", .method = 0, .deadband = 5, .max_us = 100 * S},
                                                   {.match = "m/other", .deadband = 2, .max_us = 100 * S}};
        struct thinning *t = make();
        char out[256] = "";

        for (int i = 0; i < 3; i++) {
                pass(t, out, number(slow, i, 20 + 0.1 * i), false);
                pass(t, out, number(door, i, 30 + 0.1 * i), false);
                pass(t, out, number(other, i, 40), false);
        }
        assert_string_equal(out, "20@0 30@0 40@0 40@1 40@2 ");
        *out = '\0';
        thinning_reconfigure(t, &(struct schema_list){other_way, 3});
        pass(t, out, number(slow, 3, 20.3), false); /* still within the same band */
        pass(t, out, number(door, 3, 30.3), false); /* what was held back, then the first of the new stretch */
        pass(t, out, number(other, 3, 40), false);
        pass(t, out, number(door, 4, 34), false); /* the new band counts */
        pass(t, out, number(other, 4, 41), false);
        assert_string_equal(out, "30.2@2 30.3@3 40@3 ");
        *out = '\0';
        thinning_reconfigure(t, &(struct schema_list){NULL, 0});
        pass(t, out, number(slow, 5, 20.3), false);
        pass(t, out, number(slow, 6, 20.3), false);
        pass(t, out, number(door, 5, 34), false);
        assert_string_equal(out, "20.3@3 20.3@5 20.3@6 34@4 34@5 ");
        *out = '\0';
        thinning_end(t, each, out);
        assert_string_equal(out, "41@4 ");
        thinning_free(t);
}

/* Read at once, or by a clock that was set back by less than a millisecond. */
static void test_the_same_time_is_a_little_later(void **state)
{
        const uint32_t tag[] = {slow, door};

        for (size_t k = 0; k < 2; k++) {
                struct thinning *t = make();
                char out[256] = "";
                struct reading r;

                for (int i = 0; i < 100; i++)
                        pass(t, out, number(tag[k], 1, 20), false);
                r = number(tag[k], 1, 20);
                r.ts_us -= 100;
                pass(t, out, r, false);
                assert_string_equal(out, "20@1 ");
                r.ts_us -= 2000; /* back: it begins anew */
                pass(t, out, r, false);
                assert_string_equal(out, "20@1 20@0 20@0 ");
                thinning_free(t);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_exception),        cmocka_unit_test(test_by_door),
                cmocka_unit_test(test_what_is_always_kept), cmocka_unit_test(test_nothing_is_unaccounted_for),
                cmocka_unit_test(test_items_change),        cmocka_unit_test(test_the_same_time_is_a_little_later),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
