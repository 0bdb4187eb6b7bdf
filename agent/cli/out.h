/*
 * out: the one writer of the `millrace` command.  A listing is columns and
 * rows; the writer makes of it an aligned table (terminal), tab-separated lines
 * (a pipe) or one JSON object per line (--json).
 *
 * A table is as wide as its data; where the terminal has not so many columns,
 * spare columns go, then the widest texts lose their middle, as do labels that
 * no row has; --wide brings all back.  Nothing is
 * left out in a pipe.  On a terminal times are those of the zone TZ names, with
 * their distance from UTC behind them; in a pipe and in JSON they are UTC.
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
        OUT_TIME,    /* us since 1970: local time for people, else ISO */
        OUT_REAL,    /* real: one decimal */
        OUT_MEMBERS, /* text: members of a JSON object without the braces */
};

struct out_column {
        const char *key; /* in JSON */
        const char *title;
        enum out_kind kind;
        bool spare; /* the first to go where a terminal is narrow, the last of them first */
};

enum out_colour { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_RED, OUT_GREEN, OUT_YELLOW };

struct out_cell {
        bool absent;            /* "-", in JSON null */
        enum out_colour colour; /* on a terminal */
        union {
                const char *text;
                uint64_t n;
                int64_t us;
                double real;
        };
};

struct out_shown;

struct out {
        FILE *f;
        bool json, terminal, colour, utf8, utc;
        size_t cols, rows; /* of the terminal; 0: as many as there is text for */
        const struct out_column *columns;
        size_t n_columns;
        const char *empty;       /* what is said on a terminal of a table without rows */
        struct out_shown *cells; /* of the rows gathered for alignment */
        size_t n_cells, cap_cells;
};

void out_init(struct out *o, FILE *f, bool json);

void out_table(struct out *o, const struct out_column *columns, size_t n_columns);
/*
 * A sentence for a table that got no row, in place of its heads; a terminal's.
 */
void out_when_empty(struct out *o, const char *sentence);
void out_row(struct out *o, const struct out_cell *cells);
void out_table_end(struct out *o);

/* Around a piece of text on a terminal; "" elsewhere. */
const char *out_on(const struct out *o, enum out_colour colour);
const char *out_off(const struct out *o);

/* One cell as text, as a table would show it. Returns the length. */
size_t out_put_cell(const struct out *o, char *s, size_t cap, enum out_kind kind, const struct out_cell *cell);

/*
 * 2026-11-23 11:00:00+01 in the zone of TZ, 2026-11-23 10:00:00Z where that is
 * UTC, or with `utc`. --since takes it as it stands.
 */
size_t out_put_time(char *s, size_t cap, int64_t us, bool utc);

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
