/*
 * parts: what the parts of the screen share.  Private to top/.
 */
#ifndef MILLRACE_CLI_TOP_PARTS_H
#define MILLRACE_CLI_TOP_PARTS_H

#include "agent/cli/top/layout.h"

struct box {
        int row, col, rows, cols;
};

/* One line of text into a box; what is behind its edge is cut. */
void part_put(struct top_screen *s, struct box b, int row, enum line_weight weight, const char *text);
void part_printf(struct top_screen *s, struct box b, int row, enum line_weight weight, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/* Exactly `cols` columns: shortened in the middle, or padded. */
void part_cell(char *out, size_t cap, const char *text, int cols, bool right, bool utf8);

/* Lines of a pane, more than it has room for. */
struct pane_line {
        char *text;
        enum line_weight weight;
};
struct pane {
        struct pane_line *v;
        int n, cap, cols;
        bool utf8;
        char head[LINE_BYTES];
        const char *empty;
};

void pane_add(struct pane *p, enum line_weight weight, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* `first` and words behind it, further lines indented: nothing of it is cut. */
void pane_words(struct pane *p, enum line_weight weight, const char *first, int indent, const char *words);
void pane_draw(struct top_screen *s, struct box b, enum top_pane which, struct pane *p); /* and frees the lines */

/* Rows taken. */
int part_conditions(struct top_screen *s, struct box b, const json_t *status);
int part_river(struct top_screen *s, struct box b, const struct top_data *d);

void pane_sources(struct pane *p, const struct top_screen *s, const json_t *status);
void pane_tags(struct pane *p, const struct top_screen *s, const struct seen *seen);
void pane_events(struct pane *p, const struct top_screen *s, const struct seen *seen);
void pane_alarms(struct pane *p, const struct top_screen *s, const json_t *alarms);

#endif
