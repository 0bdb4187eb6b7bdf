/*
 * river: the upper part of the screen: what is wrong with the way out, and the
 * flow from the sources through the spool to Kafka.
 *
 * The worst condition is always shown whole, whatever it takes; of the others
 * as many as have room in a fifth of the screen, and how many there are.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cli/condition_words.h"
#include "agent/cli/fit.h"
#include "agent/cli/status_field.h"
#include "agent/cli/top/parts.h"

/* ---- conditions ---- */

static enum line_weight weight_of(enum out_colour colour)
{
        return colour == OUT_RED ? LINE_BAD : colour == OUT_YELLOW ? LINE_WARN : LINE_HEAD;
}

static int put_folded(struct top_screen *s, struct box b, int row, enum line_weight weight, const char *first,
                      int indent, const char *words)
{
        struct box in = {.row = b.row, .col = b.col, .rows = s->rows - 1 - b.row, .cols = b.cols};
        int at = (int)fit_width(first);

        while (words && row < in.rows) {
                const char *next;
                size_t n = fit_line(words, (size_t)(b.cols - at > 8 ? b.cols - at : 8), &next);

                if (first)
                        part_printf(s, in, row++, weight, "%s%.*s", first, (int)n, words);
                else
                        part_printf(s, in, row++, weight, "%*s%.*s", indent, "", (int)n, words);
                words = next;
                first = NULL;
                at = indent;
        }
        return row;
}

/* Rows that `words` takes behind `first` columns. */
static int folds(const char *words, int first, int indent, int cols)
{
        int n = 0;

        for (const char *next = words; next; n++) {
                int at = n ? indent : first;

                fit_line(next, (size_t)(cols - at > 8 ? cols - at : 8), &next);
        }
        return n;
}

static int rows_of(const struct condition_words *w, int cols)
{
        return folds(w->what, 1, 3, cols) + (w->todo[0] ? folds(w->todo, 4, 4, cols) : 0);
}

static int put_condition(struct top_screen *s, struct box b, int row, const struct condition_words *w)
{
        row = put_folded(s, b, row, weight_of(w->colour), " ", 3, w->what);
        if (w->todo[0])
                row = put_folded(s, b, row, LINE_HEAD, s->utf8 ? "  → " : " -> ", 4, w->todo);
        return row;
}

static int put_without_conditions(struct top_screen *s, struct box b, const json_t *status)
{
        if (strlen(field_text(status, "fault")) > 1)
                return put_folded(s, b, 0, LINE_BAD, " ", 1, field_clean(status, "fault").s);
        if (strcmp(field_text(status, "clock"), "unsynced") == 0)
                return put_folded(s, b, 0, LINE_WARN, " ", 1,
                                  "the system clock is not synchronised; readings are marked");
        return 1;
}

int part_conditions(struct top_screen *s, struct box b, const json_t *status)
{
        const json_t *list = json_object_get(status, "conditions");
        size_t n, total = condition_total(status, &n), shown = 0;
        int row = 0, most = b.rows;

        if (s->trouble)
                row = put_folded(s, b, 0, LINE_BAD, " ", 1, s->trouble);
        else if (!n)
                return put_without_conditions(s, b, status);
        for (; shown < n; shown++) {
                struct condition_words w;

                condition_words(&w, json_array_get(list, shown), s->utc);
                if (row > 0 && row + rows_of(&w, b.cols) + (shown + 1 < total) > most)
                        break;
                row = put_condition(s, b, row, &w);
        }
        if (shown < total) {
                struct box in = {.row = b.row, .col = b.col, .rows = s->rows - 1 - b.row, .cols = b.cols};

                part_printf(s, in, row++, LINE_DIM, " and %zu more: millrace status", total - shown);
        }
        return row;
}

/* ---- the river ---- */

enum { BOXES = 3, LINES = 5, ARROW_COLS = 5 };

struct river {
        char text[BOXES][LINES][512];
        enum line_weight weight[BOXES][LINES];
        const char *arrows[BOXES - 1];
};

static void count_states(const json_t *drivers, size_t *up, uint64_t *errors, uint64_t *malformed)
{
        *up = 0;
        *errors = *malformed = 0;
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *d = json_array_get(drivers, i);

                *up += strcmp(field_text(d, "state"), "up") == 0;
                *errors += field_n(d, "errors");
                *malformed += field_n(d, "malformed");
        }
}

static void fill_sources(struct river *r, const struct top_data *d)
{
        const json_t *drivers = json_object_get(d->status, "drivers");
        size_t n = json_array_size(drivers), up;
        uint64_t errors, malformed;

        count_states(drivers, &up, &errors, &malformed);
        snprintf(r->text[0][0], sizeof(r->text[0][0]), "SOURCES  %zu of %zu up", up, n);
        r->weight[0][0] = up < n ? LINE_WARN : LINE_HEAD;
        snprintf(r->text[0][1], sizeof(r->text[0][1]), "%.24s", field_rate(d->status, "accept_rate").s);
        snprintf(r->text[0][3], sizeof(r->text[0][3]), "%.24s accepted", field_count(d->status, "accepted", true).s);
        snprintf(r->text[0][4], sizeof(r->text[0][4]), "%llu errors, %llu malformed", (unsigned long long)errors,
                 (unsigned long long)malformed);
}

static void put_held(char *out, size_t cap, const json_t *status)
{
        if (!field_n(status, "held"))
                snprintf(out, cap, "nothing is held");
        else
                snprintf(out, cap, "%.24s held, %.20s", field_count(status, "held", true).s,
                         field_size(status, "held_bytes").s);
}

static void put_age_of_held(char *out, size_t cap, const json_t *status)
{
        bool held = field_n(status, "held") > 0;

        snprintf(out, cap, "%.24s dropped%s%.20s", field_count(status, "dropped", true).s, held ? ", oldest " : "",
                 held ? field_span(status, "oldest_held_age_s").s : "");
}

static void fill_spool(struct river *r, const struct top_data *d)
{
        double most = field_number(d->status, "spool_usable_bytes");
        double share = most > 0 ? field_number(d->status, "held_bytes") / most : 0;

        snprintf(r->text[1][0], sizeof(r->text[1][0]), "SPOOL %.0f%% of %.20s", share * 100,
                 field_size(d->status, "spool_max_bytes").s);
        r->weight[1][0] = share > 0.9 ? LINE_BAD : share > 0.5 ? LINE_WARN : LINE_HEAD;
        put_held(r->text[1][1], sizeof(r->text[1][1]), d->status);
        put_age_of_held(r->text[1][3], sizeof(r->text[1][3]), d->status);
        r->weight[1][3] = field_n(d->status, "dropped") ? LINE_WARN : LINE_PLAIN;
        if (field_n(d->status, "held") && field_is_number(d->status, "drain_eta_s"))
                snprintf(r->text[1][4], sizeof(r->text[1][4]), "empty in %.20s",
                         field_span(d->status, "drain_eta_s").s);
        else
                snprintf(r->text[1][4], sizeof(r->text[1][4]), "flash %.20s today",
                         field_size(json_object_get(d->status, "flash"), "bytes_today").s);
}

static void fill_kafka(struct river *r, const struct top_data *d, bool utf8)
{
        const json_t *up = json_object_get(d->status, "uplink");
        bool is_up = strcmp(field_text(up, "state"), "up") == 0, paused = json_is_true(json_object_get(up, "paused"));

        snprintf(r->text[2][0], sizeof(r->text[2][0]), "KAFKA  %.30s%s", field_clean(up, "state").s,
                 json_is_string(json_object_get(up, "quiet_until")) ? ", quiet hours"
                 : paused                                           ? ", paused"
                                                                    : "");
        r->weight[2][0] = is_up && !paused ? LINE_GOOD : is_up ? LINE_WARN : LINE_BAD;
        snprintf(r->text[2][1], sizeof(r->text[2][1]), "%.24s", field_rate(d->status, "deliver_rate").s);
        snprintf(r->text[2][3], sizeof(r->text[2][3]), "%.24s delivered", field_count(d->status, "delivered", true).s);
        snprintf(r->text[2][4], sizeof(r->text[2][4]), "%.20s in flight%s%.20s%s", field_count(up, "in_flight", true).s,
                 field_n(up, "retried") ? ", " : "", field_n(up, "retried") ? field_count(up, "retried", true).s : "",
                 field_n(up, "retried") ? " again" : "");
        r->arrows[0] = utf8 ? " ──▶ " : " --> ";
        if (is_up && !paused)
                r->arrows[1] = r->arrows[0];
        else
                r->arrows[1] = utf8 ? " ─╳  " : " -x  ";
}

int part_river(struct top_screen *s, struct box b, const struct top_data *d)
{
        static const enum top_series series[BOXES] = {TOP_IN, TOP_HELD, TOP_OUT};
        int cols = (b.cols - 1 - (BOXES - 1) * ARROW_COLS) / BOXES;
        struct river r;
        double most;

        memset(&r, 0, sizeof(r));
        fill_sources(&r, d);
        fill_spool(&r, d);
        fill_kafka(&r, d, s->utf8);
        for (int line = 0; line < LINES; line++) {
                for (int i = 0; i < BOXES; i++) {
                        struct box in = {b.row, b.col + 1 + i * (cols + ARROW_COLS), b.rows, cols};
                        struct box arrow = {b.row, in.col + cols, b.rows, ARROW_COLS};
                        char shown[LINE_BYTES];

                        if (line == 2)
                                top_spark(d->history, series[i], (unsigned)cols, s->utf8, shown, &most);
                        else
                                part_cell(shown, sizeof(shown), r.text[i][line], cols, false, s->utf8);
                        part_put(s, in, line, line == 2 ? LINE_GOOD : r.weight[i][line], shown);
                        if (line == 1 && i + 1 < BOXES)
                                part_put(s, arrow, line, LINE_HEAD, r.arrows[i]);
                }
        }
        return LINES;
}
