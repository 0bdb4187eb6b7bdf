/*
 * tail_view: see tail_view.h.
 *
 * Below the curve the axis itself tells the quality, column by column, so that
 * a gap is seen to be one even where the curve would not show it, and without
 * colour.  The right edge waits up to two seconds for what is not committed
 * yet: it would look like a gap otherwise.  Fails never.
 */
#include "agent/cli/tail_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/out.h"
#include "agent/cli/reading_view.h"

enum { LATE_US = 2000000, HEAD_ROWS = 2, FOOT_ROWS = 3, TIME_MAX = 64 };

struct window {
        struct plot_column columns[PLOT_COLUMNS];
        int n;
        int64_t left, right; /* numbers of the columns at the edges */
        uint64_t n_readings, n_uncertain, n_bad;
        double least, most, sum_of_last;
        int n_filled; /* columns with a value */
};

int tail_columns(int cols, bool braille)
{
        int rows = 24;

        line_bound(&rows, &cols);
        return (cols - TAIL_LABEL - 3) * (braille ? PLOT_DOTS_X : 1);
}

static int64_t right_edge(const struct tail_screen *s, const struct plot *p)
{
        int64_t now = s->now_us / p->span_us, late = LATE_US / p->span_us;

        if (!s->live)
                return p->newest;
        now -= late > PLOT_BRIDGE ? late : PLOT_BRIDGE;
        return p->any && p->newest > now ? p->newest : now;
}

static void look(struct window *w, const struct tail_screen *s, const struct plot *p)
{
        *w = (struct window){.n = tail_columns(s->cols, s->braille), .right = right_edge(s, p)};
        w->left = w->right - w->n + 1;
        for (int i = 0; i < w->n; i++) {
                struct plot_column c = plot_at(p, w->left + i);

                w->columns[i] = c;
                w->n_readings += c.n + c.n_bad;
                w->n_uncertain += c.n_uncertain;
                w->n_bad += c.n_bad;
                if (!c.n)
                        continue;
                w->least = w->n_filled && w->least < c.least ? w->least : c.least;
                w->most = w->n_filled && w->most > c.most ? w->most : c.most;
                w->n_filled++;
        }
}

static void put_title(struct tail_screen *s, const struct plot *p)
{
        char left[400], value[80] = "-", clean[80], quality[48] = "", time[TIME_MAX];
        int width;

        if (p->any) {
                if (p->last.type != READING_TEXT && p->last.type != READING_RAW)
                        view_put_shown(value, sizeof(value), &p->last);
                view_put_quality(quality, sizeof(quality), p->last.quality);
        }
        out_put_clean(clean, sizeof(clean), value[0] ? value : "-");
        snprintf(left, sizeof(left), " %s/%s  %s%s%s  %s", s->source, s->tag, clean, s->unit[0] ? " " : "", s->unit,
                 quality);
        out_put_time(time, sizeof(time), s->live ? s->now_us : p->last.ts_us, s->utc);
        width = s->cols - (int)strlen(time) - 1 - (s->paused ? 8 : 0);
        line_put(&s->lines[0], LINE_TITLE, s->cols, "%-*.*s%s%s ", width, width, left, s->paused ? "paused  " : "",
                 time);
}

static void put_value(char *out, size_t cap, double value, double step)
{
        int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;

        if (fabs(value) >= 1e9 || digits > 6)
                snprintf(out, cap, "%.4g", value);
        else
                snprintf(out, cap, "%.*f", digits, fabs(value) < step / 2 ? 0.0 : value);
}

static void put_span(char *out, size_t cap, int64_t us)
{
        if (us < 1000000)
                snprintf(out, cap, "%" PRId64 "ms", us / 1000);
        else
                text_put_duration(out, cap, us);
}

static void put_summary(struct tail_screen *s, const struct plot *p, const struct window *w)
{
        char least[32], most[32], span[32], silent[32];
        struct line *l = &s->lines[1];

        put_span(span, sizeof(span), p->span_us);
        if (s->trouble) {
                line_put(l, LINE_WARN, s->cols, " %s", s->trouble);
        } else if (!w->n_readings && p->any) {
                put_span(silent, sizeof(silent), s->now_us - p->last.ts_us);
                line_put(l, LINE_WARN, s->cols, " nothing came since %s ago", silent);
        } else if (!w->n_readings) {
                line_put(l, LINE_WARN, s->cols, " no reading of it is in the spool");
        } else {
                snprintf(least, sizeof(least), w->n_filled ? "%.6g" : "-", w->least);
                snprintf(most, sizeof(most), w->n_filled ? "%.6g" : "-", w->most);
                line_put(l, w->n_bad ? LINE_WARN : LINE_PLAIN, s->cols,
                         " min %s  max %s   %" PRIu64 " readings, %" PRIu64 " bad, %" PRIu64
                         " uncertain   a column is %s",
                         least, most, w->n_readings, w->n_bad, w->n_uncertain, span);
        }
}

static void put_curve(struct tail_screen *s, const struct window *w, int rows)
{
        static char drawn[LINE_ROWS_MAX][LINE_BYTES];
        char labels[LINE_ROWS_MAX][32] = {{0}};
        struct plot_scale scale = {.high = 1};

        if (w->n_filled) {
                scale = plot_scale(w->least, w->most, rows);
                for (int i = 0; scale.low + i * scale.step <= scale.high + scale.step / 2; i++) {
                        double value = scale.low + i * scale.step;

                        put_value(labels[plot_row_of(&scale, value, rows)], sizeof(labels[0]), value, scale.step);
                }
        }
        plot_rows(w->columns, w->n, &scale, rows, s->braille, drawn);
        for (int i = 0; i < rows; i++)
                line_put(&s->lines[HEAD_ROWS + i], LINE_PLAIN, s->cols, "%*.*s %c%s", TAIL_LABEL, TAIL_LABEL, labels[i],
                         labels[i][0] ? '+' : '|', drawn[i]);
}

/* The axis, whose signs tell the quality, and the times at its ends. */
static void put_axis(struct tail_screen *s, const struct plot *p, const struct window *w, int row)
{
        int dots = s->braille ? PLOT_DOTS_X : 1, width = w->n / dots;
        char marks[LINE_COLS_MAX + 1] = "", from[TIME_MAX], to[TIME_MAX];

        for (int i = 0; i < width; i++)
                marks[i] = plot_mark(w->columns + i * dots, dots);
        marks[width] = '\0';
        line_put(&s->lines[row], LINE_PLAIN, s->cols, "%*s +%s", TAIL_LABEL, "", marks);
        if (w->right <= 0)
                return;
        out_put_time(from, sizeof(from), w->left * p->span_us, s->utc);
        out_put_time(to, sizeof(to), (w->right + 1) * p->span_us - 1, s->utc);
        if (width >= (int)(strlen(from) + strlen(to)))
                line_put(&s->lines[row + 1], LINE_PLAIN, s->cols, "%*s  %s%*s", TAIL_LABEL, "", from,
                         width - (int)strlen(from), to);
        else
                line_put(&s->lines[row + 1], LINE_PLAIN, s->cols, "%*s  %*s", TAIL_LABEL, "", width, to);
}

void tail_layout(struct tail_screen *s, const struct plot *p)
{
        static const char legend[] = "- good  ~ uncertain  x bad  . nothing";
        struct window w;
        int rows;

        line_bound(&s->rows, &s->cols);
        for (int i = 0; i < s->rows; i++)
                s->lines[i] = (struct line){.weight = LINE_PLAIN};
        look(&w, s, p);
        put_title(s, p);
        put_summary(s, p, &w);
        rows = s->rows - HEAD_ROWS - FOOT_ROWS;
        if (rows > 0) {
                put_curve(s, &w, rows);
                put_axis(s, p, &w, HEAD_ROWS + rows);
        }
        if (s->rows > HEAD_ROWS)
                line_put(&s->lines[s->rows - 1], LINE_HEAD, s->cols, s->live ? " q quit   space pause   %s" : " %s",
                         legend);
}
