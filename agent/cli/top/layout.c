/*
 * layout: see layout.h.
 *
 * Rows are given out from above; what is left is the panes': all four in two
 * columns where there is width for them, else below each other, the chosen one
 * first, as many as have room.  Fails never: what is missing in the object is "-", and what
 * has no room is left out, but not the first condition.
 */
#include "agent/cli/top/layout.h"

#include <stdio.h>
#include <string.h>

#include "agent/cli/condition_words.h"
#include "agent/cli/status_field.h"
#include "agent/cli/top/parts.h"

enum { PANE_ROWS = 8, PANE_ROWS_MIN = 2, SQUARE_COLS = 150, SQUARE_ROWS = 16 };

static void put_title(struct top_screen *s, const json_t *status)
{
        int clock = (int)strlen(s->clock), width = s->cols - clock - 1 - (s->paused ? 8 : 0);
        size_t shown, n = condition_total(status, &shown);
        char left[240], cell[LINE_BYTES], many[48] = "";
        struct box b = {0, 0, 1, s->cols};

        if (n)
                snprintf(many, sizeof(many), "  %zu condition%s", n, n == 1 ? "" : "s");
        if (status)
                snprintf(left, sizeof(left), " %.40s  %.10s%s  up %.20s  epoch %.20s", field_clean(status, "gateway").s,
                         field_clean(status, "health").s, many, field_span(status, "uptime_s").s,
                         field_count(status, "epoch", false).s);
        else
                snprintf(left, sizeof(left), " millrace");
        part_cell(cell, sizeof(cell), left, width, false, s->utf8);
        part_printf(s, b, 0, LINE_TITLE, "%s%s%s ", cell, s->paused ? "paused  " : "", s->clock);
}

static struct pane make_pane(const struct top_screen *s, int cols, enum top_pane which, const struct top_data *d)
{
        struct pane p = {.cols = cols - 1, .utf8 = s->utf8};

        if (which == TOP_SOURCES)
                pane_sources(&p, s, d->status);
        else if (which == TOP_TAGS)
                pane_tags(&p, s, d->seen);
        else if (which == TOP_EVENTS)
                pane_events(&p, s, d->seen);
        else
                pane_alarms(&p, s, d->alarms);
        return p;
}

/*
 * Panes below each other: each takes what its lines need, and no more than half
 * of what is left as long as another has room below it.
 */
static void put_column(struct top_screen *s, struct box b, const enum top_pane *order, int n, const struct top_data *d)
{
        for (int i = 0; i < n && b.rows >= PANE_ROWS_MIN; i++) {
                struct pane p = make_pane(s, b.cols, order[i], d);
                int need = (p.n ? p.n : 1) + 2, most = b.rows >= 2 * PANE_ROWS ? b.rows / 2 : b.rows;
                struct box in = b;

                in.rows = need < most ? need : most;
                if (i + 1 == n || b.rows - in.rows < PANE_ROWS_MIN)
                        in.rows = b.rows + 1;
                in.rows--; /* an empty one below */
                pane_draw(s, in, order[i], &p);
                b.row += in.rows + 1;
                b.rows -= in.rows + 1;
        }
}

static void put_square(struct top_screen *s, struct box b, const struct top_data *d)
{
        static const enum top_pane order[2][2] = {{TOP_SOURCES, TOP_EVENTS}, {TOP_TAGS, TOP_ALARMS}};
        struct box left = b, right = b;

        left.cols = b.cols / 2 - 2;
        right.col += b.cols / 2;
        right.cols = b.cols - b.cols / 2;
        put_column(s, left, order[0], 2, d);
        put_column(s, right, order[1], 2, d);
}

/* The chosen one first, then those behind it. */
static void put_stack(struct top_screen *s, struct box b, const struct top_data *d)
{
        enum top_pane order[TOP_PANES];

        for (int i = 0; i < TOP_PANES; i++)
                order[i] = (enum top_pane)(((int)s->pane + i) % TOP_PANES);
        put_column(s, b, order, TOP_PANES, d);
}

static void put_keys(struct top_screen *s)
{
        struct box b = {s->rows - 1, 0, 1, s->cols};

        if (s->notice)
                part_printf(s, b, 0, LINE_WARN, " %s", s->notice);
        else if (s->pane == TOP_ALARMS)
                part_put(s, b, 0, LINE_HEAD,
                         " q quit  k acknowledge  s shelve for an hour  arrows choose  d sources  t tags  e events");
        else
                part_printf(s, b, 0, LINE_HEAD,
                            " q quit  d sources  t tags  e events  a alarms  arrows scroll  space hold%s",
                            s->cols >= 110 ? "  a column of the curves is 5 s" : "");
}

void top_layout(struct top_screen *s, const struct top_data *d)
{
        struct box b = {.row = 1};

        line_bound(&s->rows, &s->cols);
        for (int i = 0; i < s->rows; i++)
                s->lines[i] = (struct line){.weight = LINE_PLAIN};
        put_title(s, d->status);
        b.cols = s->cols;
        b.rows = s->rows / 5 > 2 ? s->rows / 5 : 2;
        b.row += part_conditions(s, b, d->status);
        b.rows = s->rows - 1 - b.row;
        if (d->status && b.rows > 0) {
                b.row += part_river(s, b, d) + 1;
                b.rows = s->rows - 1 - b.row;
                if (b.rows >= SQUARE_ROWS && b.cols >= SQUARE_COLS)
                        put_square(s, b, d);
                else
                        put_stack(s, b, d);
        }
        put_keys(s);
}
