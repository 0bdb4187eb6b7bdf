/*
 * The plot of `millrace tail`, made from fixed readings: scales, curves and marks by tables, a whole screen to the
 * letter, and every size of terminal.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/tail_view.h"

static const int64_t start_us = 1795428000000000; /* 2026-11-23T10:00:00Z */
static struct plot plot;
static struct tail_screen screen;

static void add(double t_s, double value, enum quality quality)
{
        struct reading r = {
                .ts_us = start_us + (int64_t)(t_s * 1e6), .type = READING_F64, .quality = (uint16_t)quality};

        r.v.f64 = value;
        if (quality_is_bad(quality))
                r.type = READING_NONE;
        plot_add(&plot, &r);
}

static int setup(void **state)
{
        plot_init(&plot, 1000000);
        screen = (struct tail_screen){
                .rows = 24, .cols = 80, .source = "press-3", .tag = "temp", .unit = "degC", .utc = true};
        return 0;
}

static void test_spans(void **state)
{
        static const struct {
                double range_s;
                uint64_t n;
                int columns;
                double span_s;
        } cases[] = {
                {0, 0, 67, 1},
                {0, 1, 67, 1},
                {66, 67, 67, 1},
                {67, 68, 67, 2},
                {9, 10, 134, 1},
                {133, 134, 67, 5},
                {0.66, 67, 67, 0.01},
                {3600, 60, 67, 120},
                {86400, 86401, 67, 1800},
                {7 * 86400, 3, 67, 604800},
                {1e9, 2, 67, 1e9},
                {0, 5, 67, 0.001},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_int_equal(plot_span_us(start_us, start_us + (int64_t)(cases[i].range_s * 1e6), cases[i].n,
                                              cases[i].columns),
                                 (int64_t)(cases[i].span_s * 1e6));
}

static void test_scales(void **state)
{
        static const struct {
                double least, most;
                int rows;
                double low, high, step;
        } cases[] = {
                {0, 100, 20, 0, 100, 20},
                {60.2, 79.9, 20, 60, 80, 5},
                {-3, 3, 8, -5, 5, 5},
                {71.3, 71.3, 16, 67, 76, 2},
                {0, 0, 16, -0.6, 0.6, 0.2},
                {0, 1, 19, 0, 1, 0.2},
                {0.001, 0.0023, 16, 0.001, 0.0025, 0.0005},
                {-2000000, 7000000, 8, -5000000, 10000000, 5000000},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct plot_scale s = plot_scale(cases[i].least, cases[i].most, cases[i].rows);

                assert_float_equal(s.step, cases[i].step, cases[i].step * 1e-6);
                assert_true(s.low <= cases[i].least && s.high >= cases[i].most);
                if (cases[i].least < cases[i].most) {
                        assert_float_equal(s.low, cases[i].low, cases[i].step * 1e-6);
                        assert_float_equal(s.high, cases[i].high, cases[i].step * 1e-6);
                }
        }
}

/* Whatever two numbers: a scale around them that can be drawn on. */
static void test_scales_of_the_extreme(void **state)
{
        static const double v[] = {0, -0.0, 1e-300, 4.9e-324, 1, 1 + 1e-15, 1e15, -1e15, 1e300, 1.7e308, -1.7e308};
        const size_t n = sizeof(v) / sizeof(*v);

        for (size_t i = 0; i < n; i++) {
                for (size_t j = 0; j < n; j++) {
                        double least = fmin(v[i], v[j]), most = fmax(v[i], v[j]);
                        struct plot_scale s = plot_scale(least, most, 19);
                        int high = plot_row_of(&s, most, 19), low = plot_row_of(&s, least, 19);

                        assert_true(s.step > 0);
                        assert_true(high >= 0 && high <= low && low < 19);
                }
        }
}

static void column(struct plot_column *c, const char *text)
{
        if (*text == 'x')
                c->n_bad = 1;
        else if (*text != '.') {
                c->n = 1;
                c->least = c->most = c->last = atof(text);
        }
}

/* Columns are written as words: a number, '.' for none, 'x' for a bad one. */
static void test_curves(void **state)
{
        static const struct {
                const char *columns;
                int rows;
                const char *expected[5];
        } cases[] = {
                {"0 1 2 3", 4, {"   *", "  **", " ** ", "**  "}},
                {"3 0", 4, {"**", " *", " *", " *"}},
                {"1 1 1", 3, {"   ", "   ", "***"}},
                {"0 . . 2", 3, {"   *", "   *", "****"}},      /* a short wait: the value stays */
                {"0 . . . 2", 3, {"    *", "     ", "*    "}}, /* a long one is a gap */
                {"0 x 2", 3, {"  *", "   ", "*  "}},           /* nobody knows what it was meanwhile */
                {". x .", 2, {"   ", "   "}},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct plot_column columns[16] = {{0}};
                struct plot_scale scale = {.low = strchr(cases[i].columns, '0') ? 0 : 1, .high = 3, .step = 1};
                char out[5][LINE_BYTES];
                char text[64], *save = NULL;
                int n = 0;

                snprintf(text, sizeof(text), "%s", cases[i].columns);
                for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
                        column(&columns[n++], word);
                if (strchr(cases[i].columns, '2') && !strchr(cases[i].columns, '3'))
                        scale.high = 2;
                plot_rows(columns, n, &scale, cases[i].rows, false, out);
                for (int row = 0; row < cases[i].rows; row++)
                        assert_string_equal(out[row], cases[i].expected[row]);
        }
}

static void test_braille(void **state)
{
        struct plot_column columns[6] = {{0}};
        struct plot_scale scale = {.low = 0, .high = 3, .step = 1};
        char out[2][LINE_BYTES];

        for (int i = 0; i < 4; i++)
                columns[i] = (struct plot_column){.n = 1, .least = i, .most = i, .last = i};
        plot_rows(columns, 6, &scale, 1, true, out);
        assert_string_equal(out[0], "⣠⠞ "); /* a staircase of dots, and room where nothing is */
        columns[0].most = 3;
        plot_rows(columns, 1, &scale, 2, true, out);
        assert_string_equal(out[0], "⡇");
        assert_string_equal(out[1], "⡇");
}

static void test_marks(void **state)
{
        static const struct {
                struct plot_column columns[2];
                char expected;
        } cases[] = {
                {{{0}, {0}}, '.'},
                {{{.n = 1}, {0}}, '-'},
                {{{.n = 3}, {.n = 2, .n_uncertain = 1}}, '~'},
                {{{.n = 3, .n_uncertain = 2}, {.n_bad = 1}}, 'x'},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_int_equal(plot_mark(cases[i].columns, 2), cases[i].expected);
}

/* A late reading finds its column, one that is too late none; a new one empties what it takes over. */
static void test_the_ring(void **state)
{
        add(0, 5, QUALITY_GOOD);
        add(100, 7, QUALITY_GOOD);
        add(50, 6, QUALITY_GOOD);
        add(50.5, 9, QUALITY_UNCERTAIN);
        assert_int_equal(plot.last.ts_us, start_us + 100000000);
        assert_int_equal(plot_at(&plot, start_us / 1000000 + 50).n, 2);
        assert_true(plot_at(&plot, start_us / 1000000 + 50).most == 9);
        assert_int_equal(plot_at(&plot, start_us / 1000000).n, 1);
        add(PLOT_COLUMNS + 20, 1, QUALITY_GOOD);
        assert_int_equal(plot_at(&plot, start_us / 1000000).n, 0);
        assert_int_equal(plot_at(&plot, start_us / 1000000 + 50).n, 2);
        add(0, 5, QUALITY_GOOD);
        assert_int_equal(plot_at(&plot, start_us / 1000000 + PLOT_COLUMNS).n, 0);
        add(1e9, 1, QUALITY_GOOD);
        assert_int_equal(plot_at(&plot, start_us / 1000000 + 50).n, 0);
        assert_int_equal(plot_at(&plot, start_us / 1000000 + 1000000000).n, 1);
        assert_int_equal(plot_at(&plot, start_us / 1000000 + 1000000001).n, 0);
}

static void test_what_is_no_number(void **state)
{
        struct reading r = {.ts_us = start_us, .type = READING_TEXT, .len = 3, .v.text = "abc"};

        plot_add(&plot, &r);
        r.type = READING_BOOL;
        r.v.b = true;
        plot_add(&plot, &r);
        r.type = READING_F64;
        r.v.f64 = NAN;
        plot_add(&plot, &r);
        assert_int_equal(plot_at(&plot, plot.newest).n, 1);
        assert_int_equal(plot_at(&plot, plot.newest).n_bad, 2);
}

static void assert_screen(const char *const *expected)
{
        for (int i = 0; i < screen.rows; i++) {
                size_t n = strlen(screen.lines[i].text);

                while (n && screen.lines[i].text[n - 1] == ' ')
                        screen.lines[i].text[--n] = '\0';
                assert_string_equal(screen.lines[i].text, expected[i]);
        }
}

/* A ramp, a silence, a failure, an uncertain end. */
static void test_whole_screen(void **state)
{
        static const char *const expected[14] = {
                " press-3/temp  27.5 degC  uncertain                        2026-11-23 10:00:55Z",
                " min 0  max 27.5   49 readings, 3 bad, 1 uncertain   a column is 1.0s",
                "        30 +",
                "           |                                                            *******",
                "           |                                                     ********",
                "        20 +                                              ********",
                "           |                                      *****",
                "        10 +                              *",
                "           |                       ********",
                "           |               *********",
                "         0 +           *****",
                "           +...........--------------------.......-----xxx--------------------~",
                "            2026-11-23 09:59:49Z                           2026-11-23 10:00:55Z",
                " - good  ~ uncertain  x bad  . nothing",
        };

        for (int s = 0; s <= 54; s++) {
                if (s >= 20 && s < 27)
                        continue;
                add(s, s / 2.0, s >= 32 && s < 35 ? QUALITY_BAD_COMM_FAILURE : QUALITY_GOOD);
        }
        add(55, 27.5, QUALITY_UNCERTAIN);
        screen.rows = 14;
        tail_layout(&screen, &plot);
        assert_screen(expected);
        assert_int_equal(screen.lines[0].weight, LINE_TITLE);
        assert_int_equal(screen.lines[1].weight, LINE_WARN);
}

static void test_following(void **state)
{
        add(0, 1, QUALITY_GOOD);
        screen.live = true;
        screen.now_us = start_us + 3000000;
        tail_layout(&screen, &plot);
        assert_non_null(strstr(screen.lines[0].text, "1.0 degC  good"));
        assert_non_null(strstr(screen.lines[0].text, "10:00:03Z"));
        assert_int_equal(screen.lines[21].text[78], '-'); /* what is not committed yet is no gap */
        assert_non_null(strstr(screen.lines[23].text, "q quit"));
        screen.now_us = start_us + 10000000;
        screen.paused = true;
        tail_layout(&screen, &plot);
        assert_string_equal(screen.lines[21].text + 70, ".-.......");
        assert_non_null(strstr(screen.lines[0].text, "paused  2026"));
        screen.now_us = start_us + 3600000000;
        tail_layout(&screen, &plot);
        assert_string_equal(screen.lines[1].text, " nothing came since 1h 0m ago");
        assert_int_equal(screen.lines[1].weight, LINE_WARN);
        screen.trouble = "the file is gone";
        tail_layout(&screen, &plot);
        assert_string_equal(screen.lines[1].text, " the file is gone");
        setup(state);
        screen.live = true;
        screen.now_us = start_us;
        tail_layout(&screen, &plot);
        assert_string_equal(screen.lines[1].text, " no reading of it is in the spool");
}

/* No line is wider than the screen and none is behind its end; nothing is drawn that the terminal does not know. */
static void test_any_room(void **state)
{
        static const double scales[] = {1, 1e-9, 1e12, 1e300};

        for (size_t k = 0; k < sizeof(scales) / sizeof(*scales); k++) {
                plot_init(&plot, 1000000);
                for (int s = 0; s < 1000; s++)
                        add(s, sin(s / 10.0) * scales[k], s % 17 ? QUALITY_GOOD : QUALITY_BAD);
                for (int cols = -1; cols < 300; cols += 7) {
                        for (int rows = -1; rows < 40; rows++) {
                                screen.rows = rows;
                                screen.cols = cols;
                                screen.braille = rows % 2;
                                tail_layout(&screen, &plot);
                                for (int i = 0; i < screen.rows; i++) {
                                        int n = 0;

                                        for (const char *c = screen.lines[i].text; *c; c++) {
                                                n += ((unsigned char)*c & 0xc0) != 0x80;
                                                assert_true(screen.braille || (unsigned char)*c < 0x80);
                                        }
                                        assert_true(n <= screen.cols);
                                }
                        }
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spans),
                cmocka_unit_test(test_scales),
                cmocka_unit_test(test_scales_of_the_extreme),
                cmocka_unit_test(test_curves),
                cmocka_unit_test(test_braille),
                cmocka_unit_test(test_marks),
                cmocka_unit_test_setup(test_the_ring, setup),
                cmocka_unit_test_setup(test_what_is_no_number, setup),
                cmocka_unit_test_setup(test_whole_screen, setup),
                cmocka_unit_test_setup(test_following, setup),
                cmocka_unit_test_setup(test_any_room, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
