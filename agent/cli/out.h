/*
 * out: the one writer of the `millrace` command.  A listing is columns and
 * rows; the writer makes of it an aligned table (terminal), tab-separated lines
 * (a pipe) or one JSON object per line (--json).
 *
 * Text that came from outside is made harmless: control characters are shown as
 * '?', so that no payload moves a terminal's cursor or breaks a line.  Colour
 * only on a terminal, and not when NO_COLOR is set.  A closed pipe is not seen
 * here: the command's main ends on SIGPIPE.
 */
#ifndef MILLRACE_CLI_OUT_H
#define MILLRACE_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum out_kind {
        OUT_TEXT,    /* text */
        OUT_COUNT,   /* n */
        OUT_SIZE,    /* n, bytes: for people 1.2 GiB */
        OUT_SPAN,    /* us: for people 3h 12m, in JSON seconds */
        OUT_TIME,    /* us since 1970: ISO */
        OUT_REAL,    /* real: one decimal */
        OUT_MEMBERS, /* text: members of a JSON object without the braces */
};

struct out_column {
        const char *key; /* in JSON */
        const char *title;
        enum out_kind kind;
};

struct out_cell {
        bool absent; /* "-", in JSON null */
        union {
                const char *text;
                uint64_t n;
                int64_t us;
                double real;
        };
};

struct out {
        FILE *f;
        bool json, terminal, colour;
        const struct out_column *columns;
        size_t n_columns;
        char **cells; /* of the rows gathered for alignment */
        size_t n_cells, cap_cells;
};

enum out_colour { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_RED, OUT_GREEN, OUT_YELLOW };

void out_init(struct out *o, FILE *f, bool json);

void out_table(struct out *o, const struct out_column *columns, size_t n_columns);
void out_row(struct out *o, const struct out_cell *cells);
void out_table_end(struct out *o);

/* Around a piece of text on a terminal; "" elsewhere. */
const char *out_on(const struct out *o, enum out_colour colour);
const char *out_off(const struct out *o);

/* One cell as text, as a table would show it. Returns the length. */
size_t out_put_cell(char *s, size_t cap, enum out_kind kind, const struct out_cell *cell, bool terminal);

/* 1234567 as 1,234,567 on a terminal, 1234567 elsewhere. */
size_t out_put_count(char *s, size_t cap, uint64_t n, bool terminal);

/* Copies text with every control character as '?'. */
void out_put_clean(char *s, size_t cap, const char *text);

/*
 * "line":"l1","cell":"3" (names and values without quotes of their own) as
 * line=l1,cell=3.
 */
void out_put_members(char *s, size_t cap, const char *members);

/* True as soon as nothing more can be written: a long listing stops. */
bool out_broken(struct out *o);

/* Flushes. False when something could not be written. */
bool out_end(struct out *o);

#endif
