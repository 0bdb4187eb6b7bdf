/*
 * plot: see plot.h.
 *
 * The ring is addressed by the column's number since 1970, so that a reading
 * that comes late finds its place and the picture scrolls by whole columns
 * only.  Points are joined as steps: the value stays until another is heard.
 * Over a longer silence, and over a bad reading, nothing is drawn: nobody knows
 * what the value was.
 *
 * Fails never: values that are not finite are marked as bad.
 */
#include "agent/cli/plot.h"

#include <math.h>
#include <string.h>

enum { DOTS_Y = 4 };

/* ---- columns ---- */

int64_t plot_span_us(int64_t from_us, int64_t to_us, uint64_t n_readings, int columns)
{
        static const int64_t round_ms[] = {1,       2,       5,        10,       20,       50,       100,
                                           200,     500,     1000,     2000,     5000,     10000,    15000,
                                           30000,   60000,   120000,   300000,   600000,   900000,   1800000,
                                           3600000, 7200000, 21600000, 43200000, 86400000, 604800000};
        const size_t n = sizeof(round_ms) / sizeof(*round_ms);
        int64_t range_us = to_us > from_us ? to_us - from_us : 0;
        int64_t per_column_us = range_us / (columns > 1 ? columns - 1 : 1);
        int64_t apart_us = n_readings > 1 ? range_us / (int64_t)(n_readings - 1) : 1000000;
        int64_t least_us = per_column_us > apart_us ? per_column_us : apart_us;

        for (size_t i = 0; i < n; i++)
                if (round_ms[i] * 1000 >= least_us)
                        return round_ms[i] * 1000;
        return least_us;
}

void plot_init(struct plot *p, int64_t span_us)
{
        *p = (struct plot){.span_us = span_us};
}

static bool number_of(const struct reading *r, double *out)
{
        switch (r->type) {
        case READING_F64:
                *out = r->v.f64;
                break;
        case READING_I64:
                *out = (double)r->v.i64;
                break;
        case READING_BOOL:
                *out = r->v.b;
                break;
        default:
                return false;
        }
        return isfinite(*out);
}

static void count(struct plot_column *c, const struct reading *r)
{
        double value;

        if (quality_is_bad(r->quality) || !number_of(r, &value)) {
                c->n_bad++;
                return;
        }
        c->least = c->n && c->least < value ? c->least : value;
        c->most = c->n && c->most > value ? c->most : value;
        c->last = value;
        c->n++;
        c->n_uncertain += r->quality != QUALITY_GOOD;
}

static struct plot_column *place(struct plot *p, int64_t column)
{
        return &p->ring[(uint64_t)column % PLOT_COLUMNS];
}

/* Empties what the ring held of the columns that come into it. */
static void advance(struct plot *p, int64_t column)
{
        int64_t from = p->any && column - p->newest < PLOT_COLUMNS ? p->newest + 1 : column - PLOT_COLUMNS + 1;

        for (int64_t i = from; i <= column; i++)
                *place(p, i) = (struct plot_column){0};
        p->newest = column;
}

void plot_add(struct plot *p, const struct reading *r)
{
        int64_t column = r->ts_us / p->span_us;

        if (!p->any || column > p->newest)
                advance(p, column);
        if (!p->any || r->ts_us >= p->last.ts_us)
                p->last = *r;
        p->any = true;
        if (column > p->newest - PLOT_COLUMNS)
                count(place(p, column), r);
}

struct plot_column plot_at(const struct plot *p, int64_t column)
{
        if (!p->any || column > p->newest || column <= p->newest - PLOT_COLUMNS)
                return (struct plot_column){0};
        return p->ring[(uint64_t)column % PLOT_COLUMNS];
}

/* ---- scale ---- */

static const double BEYOND = 1e290; /* larger values lie on the edge; nearer ones are one value */

static double round_up(double x)
{
        double unit = pow(10, floor(log10(x)));

        for (int i = 0; i < 3; i++) {
                static const double steps[] = {1, 2, 5};

                if (steps[i] * unit >= x * (1 - 1e-9))
                        return steps[i] * unit;
        }
        return 10 * unit;
}

struct plot_scale plot_scale(double least, double most, int rows)
{
        struct plot_scale s;
        int parts = rows / 3 > 1 ? rows / 3 : 1;
        double half;

        least = fmin(fmax(least, -BEYOND), BEYOND);
        most = fmin(fmax(most, -BEYOND), BEYOND);
        half = fmax(fabs(least) * 0.05, 0.5);
        if (!(most - least > fabs(most) * 1e-9 + 1 / BEYOND)) {
                least -= half;
                most += half;
        }
        s.step = round_up(most / parts - least / parts);
        s.low = floor(least / s.step + 1e-9) * s.step;
        s.high = ceil(most / s.step - 1e-9) * s.step;
        return s;
}

/* Of `n` lines the one a value lies on, 0 the highest. */
static int line_of(const struct plot_scale *s, double value, int n)
{
        double up = (value / 2 - s->low / 2) / (s->high / 2 - s->low / 2);

        up = up < 0 ? 0 : up > 1 ? 1 : up;
        return (int)((1 - up) * (n - 1) + 0.5);
}

int plot_row_of(const struct plot_scale *scale, double value, int rows)
{
        return line_of(scale, value, rows * DOTS_Y) / DOTS_Y;
}

/* ---- drawing ---- */

struct canvas {
        bool braille;
        unsigned char cells[LINE_ROWS_MAX][LINE_COLS_MAX];
};

static void dot(struct canvas *c, int x, int y)
{
        static const unsigned char bits[PLOT_DOTS_X][DOTS_Y] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};

        if (c->braille)
                c->cells[y / DOTS_Y][x / PLOT_DOTS_X] |= bits[x % PLOT_DOTS_X][y % DOTS_Y];
        else
                c->cells[y][x] = 1;
}

static void bar(struct canvas *c, int x, int from_y, int to_y)
{
        for (int y = from_y; y <= to_y; y++)
                dot(c, x, y);
}

static void draw(struct canvas *c, const struct plot_column *columns, int n, const struct plot_scale *s, int lines)
{
        int before = -1; /* the last column with a value; -1: none to join with */

        for (int x = 0; x < n; x++) {
                int top = line_of(s, columns[x].most, lines), bottom = line_of(s, columns[x].least, lines);

                if (!columns[x].n) {
                        before = columns[x].n_bad ? -1 : before;
                        continue;
                }
                if (before >= 0 && x - before <= PLOT_BRIDGE) {
                        int from = line_of(s, columns[before].last, lines);

                        for (int between = before + 1; between < x; between++)
                                dot(c, between, from);
                        top = from < top ? from : top;
                        bottom = from > bottom ? from : bottom;
                }
                bar(c, x, top, bottom);
                before = x;
        }
}

/* U+2800 and its 255 followers: three bytes. */
static char *put_pattern(char *out, unsigned char bits)
{
        *out++ = (char)0xe2;
        *out++ = (char)(0xa0 | bits >> 6);
        *out++ = (char)(0x80 | (bits & 0x3f));
        return out;
}

void plot_rows(const struct plot_column *columns, int n, const struct plot_scale *scale, int rows, bool braille,
               char out[][LINE_BYTES])
{
        int width = braille ? (n + 1) / PLOT_DOTS_X : n;
        struct canvas c;

        memset(&c, 0, sizeof(c));
        c.braille = braille;
        draw(&c, columns, n, scale, braille ? rows * DOTS_Y : rows);
        for (int y = 0; y < rows; y++) {
                char *at = out[y];

                for (int x = 0; x < width; x++) {
                        if (braille && c.cells[y][x])
                                at = put_pattern(at, c.cells[y][x]);
                        else
                                *at++ = c.cells[y][x] ? '*' : ' ';
                }
                *at = '\0';
        }
}

char plot_mark(const struct plot_column *columns, int n)
{
        struct plot_column all = {0};

        for (int i = 0; i < n; i++) {
                all.n += columns[i].n;
                all.n_uncertain += columns[i].n_uncertain;
                all.n_bad += columns[i].n_bad;
        }
        return all.n_bad ? 'x' : all.n_uncertain ? '~' : all.n ? '-' : '.';
}
