/*
 * What `together` promises: nothing before it is warm; a tag that says
 * something else than the others is named, and how; gaps are no news; a state
 * that stays is taken as normal.  That its numbers are right is
 * together_model.py's.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/rules/together.h"

enum { TAGS = 8, SETTLE = 300 };

struct bench {
        void *memory;
        uint64_t random;
        double x[TOGETHER_TAGS_MAX];
        double common;
        struct together_said said;
};

/* About -1 to 1, the same every time. */
static double noise(struct bench *b)
{
        b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (double)(int64_t)b->random / 0x1p63;
}

static void make_row(struct bench *b)
{
        b->common = 2 * noise(b);
        for (unsigned i = 0; i < TAGS; i++)
                b->x[i] = 20.0 * i + (i + 1) * (b->common + 0.3 * noise(b));
}

static void row(struct bench *b, uint64_t have)
{
        together_row(b->memory, b->x, have, SETTLE, &b->said);
}

static void learn(struct bench *b, unsigned rows)
{
        for (unsigned n = 0; n < rows; n++) {
                make_row(b);
                row(b, UINT64_MAX);
        }
}

static void begin(struct bench *b)
{
        *b = (struct bench){.memory = mem_alloc(together_bytes(TAGS)), .random = 7};
        together_begin(b->memory, TAGS);
}

static void limits(void **state)
{
        assert_true(fabs(together_limit(8) - 3.5) < 1e-12);
        assert_true(fabs(together_limit(52) - 4.2267) < 1e-3);
}

static void fits_the_board(void **state)
{
        for (unsigned d = 8; d <= 52; d++)
                assert_true(together_bytes(d) <= 300 * d);
}

static void silent_before_it_is_warm(void **state)
{
        struct bench b;

        begin(&b);
        for (unsigned n = 0; n < TOGETHER_WARM_ROWS; n++) {
                make_row(&b);
                b.x[3] += n > 300 ? 1000 : 0;
                row(&b, UINT64_MAX);
                assert_false(b.said.warm || b.said.on);
        }
        free(b.memory);
}

static unsigned rows_until_on(struct bench *b, unsigned tag, double by)
{
        for (unsigned n = 1; n < 200; n++) {
                make_row(b);
                b->x[tag] += by;
                row(b, UINT64_MAX);
                if (b->said.on)
                        return n;
        }
        return 0;
}

/* All of these are within what the tag says by itself when all of them do. */
static void names_the_tag_and_the_side(void **state)
{
        static const struct {
                unsigned tag;
                double by;
        } cases[] = {{0, 2}, {2, -6}, {7, -16}, {5, 12}};

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                unsigned rows;

                begin(&b);
                learn(&b, 2000);
                assert_true(b.said.warm && !b.said.on);
                rows = rows_until_on(&b, cases[i].tag, cases[i].by);
                assert_in_range(rows, 3, 15);
                assert_int_equal(b.said.tag, cases[i].tag);
                assert_int_equal(b.said.by, TOGETHER_REST);
                assert_int_equal(b.said.higher, cases[i].by > 0);
                free(b.memory);
        }
}

static void all_move_as_they_do(void **state)
{
        struct bench b;
        unsigned on = 0;

        begin(&b);
        learn(&b, 2000);
        for (unsigned n = 0; n < 20000; n++) {
                learn(&b, 1);
                on += b.said.on;
        }
        assert_true(on < 20000 / 500);
        free(b.memory);
}

static void gaps_are_no_news(void **state)
{
        struct bench b;
        unsigned on = 0;

        begin(&b);
        learn(&b, 2000);
        for (unsigned n = 0; n < 3000; n++) {
                make_row(&b);
                b.x[n % TAGS] = n % 3 ? NAN : INFINITY;
                b.x[(n / 50) % TAGS] = 1e300;
                row(&b, UINT64_MAX);
                on += b.said.on;
        }
        assert_true(on < 3000 / 50);
        for (unsigned n = 0; n < 50; n++) {
                make_row(&b);
                b.x[0] = 1e6;
                row(&b, 3);
                assert_false(b.said.warm);
        }
        assert_true(together_is_sound(b.memory, together_bytes(TAGS), TAGS));
        free(b.memory);
}

static void what_stays_is_normal(void **state)
{
        struct bench b;
        unsigned settled = 0, n = 0;

        begin(&b);
        learn(&b, 2000);
        do {
                make_row(&b);
                b.x[4] += 15;
                row(&b, UINT64_MAX);
                settled += b.said.settled;
                assert_false(b.said.settled && n < SETTLE);
        } while (++n < 20000 && (!settled || b.said.on));
        assert_true(settled > 0);
        assert_false(b.said.on);
        free(b.memory);
}

static void believes_no_damaged_memory(void **state)
{
        struct bench b;
        size_t n = together_bytes(TAGS);
        unsigned char damaged[4096];

        begin(&b);
        learn(&b, 500);
        assert_true(together_is_sound(b.memory, n, TAGS));
        assert_false(together_is_sound(b.memory, n, TAGS + 1));
        assert_false(together_is_sound(b.memory, n - 1, TAGS));
        for (size_t at = 0; at + 4 <= n; at += 4) {
                memcpy(damaged, b.memory, n);
                memset(damaged + at, 0xff, 4);
                if (together_is_sound(damaged, n, TAGS))
                        together_row(damaged, b.x, UINT64_MAX, SETTLE, &b.said);
        }
        free(b.memory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(limits),
                cmocka_unit_test(fits_the_board),
                cmocka_unit_test(silent_before_it_is_warm),
                cmocka_unit_test(names_the_tag_and_the_side),
                cmocka_unit_test(all_move_as_they_do),
                cmocka_unit_test(gaps_are_no_news),
                cmocka_unit_test(what_stays_is_normal),
                cmocka_unit_test(believes_no_damaged_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
