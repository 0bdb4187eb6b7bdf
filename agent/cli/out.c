/*
 * out: tables, tab-separated lines and JSON lines from the same rows.
 *
 * Rows for a terminal are gathered until the table ends, because widths are
 * known only then; the listings are bounded (tags, drivers, ranges of the
 * ledger), the unbounded ones (tail, export) write records and never come here.
 * Rows for a pipe and JSON go out at once.
 *
 * A write that fails leaves the stream's error set; callers ask out_broken()
 * where the listing is long, main asks out_end().
 */
#include "agent/cli/out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

enum { CELL_MAX = 512 };

void out_init(struct out *o, FILE *f, bool json)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        *o = (struct out){.f = f, .json = json};
        o->terminal = !json && isatty(fileno(f));
        o->colour = o->terminal && !(no_color && no_color[0]) && !(term && strcmp(term, "dumb") == 0);
}

const char *out_on(const struct out *o, enum out_colour colour)
{
        static const char *const codes[] = {
                [OUT_PLAIN] = "",         [OUT_BOLD] = "\033[1m",   [OUT_DIM] = "\033[2m",
                [OUT_RED] = "\033[1;31m", [OUT_GREEN] = "\033[32m", [OUT_YELLOW] = "\033[33m",
        };

        return o->colour ? codes[colour] : "";
}

const char *out_off(const struct out *o)
{
        return o->colour ? "\033[0m" : "";
}

size_t out_put_count(char *s, size_t cap, uint64_t n, bool terminal)
{
        char digits[24];
        size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

        for (size_t i = 0; i < len && at + 2 < cap; i++) {
                if (terminal && i > 0 && (len - i) % 3 == 0)
                        s[at++] = ',';
                s[at++] = digits[i];
        }
        s[at] = '\0';
        return at;
}

void out_put_clean(char *s, size_t cap, const char *text)
{
        size_t at = 0;

        for (; *text && at + 1 < cap; text++) {
                unsigned char byte = (unsigned char)*text;
                bool c1 = byte == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xa0;

                s[at++] = byte < 0x20 || byte == 0x7f || c1 ? '?' : *text;
                text += c1;
        }
        while (at > 0 && text[0] && ((unsigned char)text[0] & 0xc0) == 0x80 && ((unsigned char)s[at - 1] & 0x80)) {
                text--; /* the cut fell into a character: take it away whole */
                at--;
        }
        s[at] = '\0';
}

void out_put_members(char *s, size_t cap, const char *members)
{
        size_t at = 0;

        for (; *members && at + 1 < cap; members++)
                if (*members != '"')
                        s[at++] = *members == ':' ? '=' : *members;
        s[at] = '\0';
}

size_t out_put_cell(char *s, size_t cap, enum out_kind kind, const struct out_cell *cell, bool terminal)
{
        char time[TEXT_TIME_MAX];

        if (cell->absent)
                return (size_t)snprintf(s, cap, "-");
        switch (kind) {
        case OUT_TEXT:
                out_put_clean(s, cap, cell->text);
                return strlen(s);
        case OUT_MEMBERS:
                out_put_members(s, cap, cell->text);
                return strlen(s);
        case OUT_COUNT:
                return out_put_count(s, cap, cell->n, terminal);
        case OUT_SIZE:
                return text_put_size(s, cap, cell->n);
        case OUT_SPAN:
                return text_put_duration(s, cap, cell->us);
        case OUT_TIME:
                return (size_t)snprintf(s, cap, "%.*s", (int)text_put_time(time, cell->us), time);
        case OUT_REAL:
                return (size_t)snprintf(s, cap, "%.1f", cell->real);
        }
        return 0;
}

static void put_json_text(FILE *f, const char *text)
{
        char buf[6 * 64];
        size_t len = strlen(text);

        fputc('"', f);
        while (len > 0) {
                size_t n = len < 64 ? len : 64;

                while (n < len && n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
                        n--;
                fwrite(buf, 1, text_put_json(buf, text, n), f);
                text += n;
                len -= n;
        }
        fputc('"', f);
}

static void put_json_cell(FILE *f, enum out_kind kind, const struct out_cell *cell)
{
        char buf[64];

        if (cell->absent) {
                fputs("null", f);
        } else if (kind == OUT_TEXT) {
                put_json_text(f, cell->text);
        } else if (kind == OUT_MEMBERS) {
                fprintf(f, "{%s}", cell->text);
        } else if (kind == OUT_COUNT || kind == OUT_SIZE) {
                fprintf(f, "%" PRIu64, cell->n);
        } else if (kind == OUT_SPAN) {
                fprintf(f, "%.3f", (double)cell->us / 1e6);
        } else if (kind == OUT_REAL) {
                fprintf(f, "%.3f", cell->real);
        } else {
                out_put_cell(buf, sizeof(buf), kind, cell, false);
                put_json_text(f, buf);
        }
}

void out_table(struct out *o, const struct out_column *columns, size_t n_columns)
{
        o->columns = columns;
        o->n_columns = n_columns;
        o->n_cells = 0;
        for (size_t i = 0; !o->json && !o->terminal && i < n_columns; i++)
                fprintf(o->f, "%s%c", columns[i].title, i + 1 < n_columns ? '\t' : '\n');
}

static void row_json(struct out *o, const struct out_cell *cells)
{
        for (size_t i = 0; i < o->n_columns; i++) {
                fputc(i == 0 ? '{' : ',', o->f);
                put_json_text(o->f, o->columns[i].key);
                fputc(':', o->f);
                put_json_cell(o->f, o->columns[i].kind, &cells[i]);
        }
        fputs("}\n", o->f);
}

static void row_gather(struct out *o, const struct out_cell *cells)
{
        char buf[CELL_MAX];

        if (o->n_cells + o->n_columns > o->cap_cells) {
                o->cap_cells = 2 * o->cap_cells + 16 * o->n_columns;
                o->cells = mem_grow(o->cells, o->cap_cells, sizeof(*o->cells));
        }
        for (size_t i = 0; i < o->n_columns; i++) {
                out_put_cell(buf, sizeof(buf), o->columns[i].kind, &cells[i], true);
                o->cells[o->n_cells++] = mem_strdup(buf);
        }
}

void out_row(struct out *o, const struct out_cell *cells)
{
        char buf[CELL_MAX];

        if (o->json) {
                row_json(o, cells);
                return;
        }
        if (o->terminal) {
                row_gather(o, cells);
                return;
        }
        for (size_t i = 0; i < o->n_columns; i++) {
                out_put_cell(buf, sizeof(buf), o->columns[i].kind, &cells[i], false);
                fprintf(o->f, "%s%c", buf, i + 1 < o->n_columns ? '\t' : '\n');
        }
}

static size_t width(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static void put_padded(FILE *f, const char *s, size_t to, bool right, bool last)
{
        size_t n = width(s), pad = to > n ? to - n : 0;

        if (right)
                fprintf(f, "%*s%s", (int)pad, "", s);
        else
                fprintf(f, "%s%*s", s, last ? 0 : (int)pad, "");
        fputs(last ? "" : "  ", f);
}

static bool is_right(enum out_kind kind)
{
        return kind != OUT_TEXT && kind != OUT_MEMBERS && kind != OUT_TIME;
}

void out_table_end(struct out *o)
{
        size_t n = o->n_columns;

        for (size_t row = 0; o->terminal && row < o->n_cells + n; row += n) {
                fputs(row == 0 ? out_on(o, OUT_BOLD) : "", o->f);
                for (size_t i = 0; i < n; i++) {
                        size_t to = width(o->columns[i].title);
                        bool right = is_right(o->columns[i].kind);

                        for (size_t k = i; k < o->n_cells; k += n)
                                to = width(o->cells[k]) > to ? width(o->cells[k]) : to;
                        put_padded(o->f, row == 0 ? o->columns[i].title : o->cells[row - n + i], to, right, i + 1 == n);
                }
                fprintf(o->f, "%s\n", row == 0 ? out_off(o) : "");
        }
        for (size_t i = 0; i < o->n_cells; i++)
                free(o->cells[i]);
        free(o->cells);
        o->cells = NULL;
        o->n_cells = o->cap_cells = 0;
}

bool out_broken(struct out *o)
{
        return ferror(o->f) != 0;
}

bool out_end(struct out *o)
{
        return fflush(o->f) == 0 && !ferror(o->f);
}
