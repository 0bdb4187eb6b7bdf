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
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/cli/fit.h"

enum { CELL_MAX = 64, SHORTEST = 8, APART = 2 };

struct out_shown {
        char *text;
        enum out_colour colour;
};

void out_init(struct out *o, FILE *f, bool json)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
        struct winsize size;

        *o = (struct out){.f = f, .json = json};
        o->terminal = !json && isatty(fileno(f));
        o->colour = o->terminal && !(no_color && no_color[0]) && !(term && strcmp(term, "dumb") == 0);
        if (!o->terminal)
                return;
        setlocale(LC_CTYPE, "");
        o->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        if (ioctl(fileno(f), TIOCGWINSZ, &size) == 0) {
                o->cols = size.ws_col;
                o->rows = size.ws_row;
        }
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

/* A cut before `next` that fell into a character takes it away whole. */
static size_t cut_length(const char *s, size_t at, char next)
{
        while (at > 0 && ((unsigned char)next & 0xc0) == 0x80 && (s[at - 1] & 0x80))
                next = s[--at];
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
        s[cut_length(s, at, *text)] = '\0';
}

void out_put_members(char *s, size_t cap, const char *members)
{
        size_t at = 0;

        for (; *members && at + 1 < cap; members++)
                if (*members != '"')
                        s[at++] = *members == ':' ? '=' : *members;
        s[cut_length(s, at, *members)] = '\0';
}

size_t out_put_time(char *s, size_t cap, int64_t us, bool utc)
{
        time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
        char zone[24] = "Z";
        struct tm parts;
        int apart;

        if (!(utc ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts)))
                return (size_t)snprintf(s, cap, "-");
        apart = (int)(parts.tm_gmtoff / 60);
        if (apart % 60)
                snprintf(zone, sizeof(zone), "%c%02d:%02d", apart < 0 ? '-' : '+', abs(apart) / 60, abs(apart) % 60);
        else if (apart)
                snprintf(zone, sizeof(zone), "%+03d", apart / 60);
        return (size_t)snprintf(s, cap, "%04d-%02d-%02d %02d:%02d:%02d%s", parts.tm_year + 1900, parts.tm_mon + 1,
                                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, zone);
}

size_t out_put_cell(const struct out *o, char *s, size_t cap, enum out_kind kind, const struct out_cell *cell)
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
                return out_put_count(s, cap, cell->n, o->terminal);
        case OUT_SIZE:
                return text_put_size(s, cap, cell->n);
        case OUT_SPAN:
                return text_put_duration(s, cap, cell->us);
        case OUT_TIME:
                if (o->terminal)
                        return out_put_time(s, cap, cell->us, o->utc);
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

static void put_json_cell(const struct out *o, enum out_kind kind, const struct out_cell *cell)
{
        FILE *f = o->f;
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
                out_put_cell(o, buf, sizeof(buf), kind, cell);
                put_json_text(f, buf);
        }
}

void out_table(struct out *o, const struct out_column *columns, size_t n_columns)
{
        o->columns = columns;
        o->n_columns = n_columns;
        o->n_cells = 0;
        o->empty = NULL;
        for (size_t i = 0; !o->json && !o->terminal && i < n_columns; i++)
                fprintf(o->f, "%s%c", columns[i].title, i + 1 < n_columns ? '\t' : '\n');
}

void out_when_empty(struct out *o, const char *sentence)
{
        o->empty = sentence;
}

static void row_json(struct out *o, const struct out_cell *cells)
{
        for (size_t i = 0; i < o->n_columns; i++) {
                fputc(i == 0 ? '{' : ',', o->f);
                put_json_text(o->f, o->columns[i].key);
                fputc(':', o->f);
                put_json_cell(o, o->columns[i].kind, &cells[i]);
        }
        fputs("}\n", o->f);
}

static bool has_text(enum out_kind kind)
{
        return kind == OUT_TEXT || kind == OUT_MEMBERS;
}

/*
 * All of a cell, whatever its length; the caller's.  (In one expression gcc 14
 * takes the length of what is no text, too.)
 */
static char *cell_text(const struct out *o, enum out_kind kind, const struct out_cell *cell)
{
        const char *text = !cell->absent && has_text(kind) ? cell->text : "";
        size_t cap = strlen(text) + CELL_MAX;
        char *s = mem_alloc(cap);

        out_put_cell(o, s, cap, kind, cell);
        return s;
}

static void row_gather(struct out *o, const struct out_cell *cells)
{
        if (o->n_cells + o->n_columns > o->cap_cells) {
                o->cap_cells = 2 * o->cap_cells + 16 * o->n_columns;
                o->cells = mem_grow(o->cells, o->cap_cells, sizeof(*o->cells));
        }
        for (size_t i = 0; i < o->n_columns; i++)
                o->cells[o->n_cells++] =
                        (struct out_shown){cell_text(o, o->columns[i].kind, &cells[i]), cells[i].colour};
}

void out_row(struct out *o, const struct out_cell *cells)
{
        if (o->json) {
                row_json(o, cells);
                return;
        }
        if (o->terminal) {
                row_gather(o, cells);
                return;
        }
        for (size_t i = 0; i < o->n_columns; i++) {
                char *text = cell_text(o, o->columns[i].kind, &cells[i]);

                fprintf(o->f, "%s%c", text, i + 1 < o->n_columns ? '\t' : '\n');
                free(text);
        }
}

static bool is_right(enum out_kind kind)
{
        return kind != OUT_TEXT && kind != OUT_MEMBERS && kind != OUT_TIME;
}

static size_t total_of(const struct out *o, const size_t *widths)
{
        size_t total = 0;

        for (size_t i = 0; i < o->n_columns; i++)
                total += widths[i] ? widths[i] + (total ? APART : 0) : 0;
        return total;
}

static void leave_out_spare(const struct out *o, size_t *widths)
{
        for (size_t i = o->n_columns; i-- > 0 && total_of(o, widths) > o->cols;)
                if (o->columns[i].spare)
                        widths[i] = 0;
}

/* The widest text that may be shorter by a column; n_columns: none. */
static size_t widest_text(const struct out *o, const size_t *widths)
{
        size_t most = SHORTEST, widest = o->n_columns;

        for (size_t i = 0; i < o->n_columns; i++) {
                bool may = o->columns[i].kind == OUT_TEXT || o->columns[i].kind == OUT_MEMBERS;

                if (may && widths[i] > most && widths[i] > fit_width(o->columns[i].title)) {
                        most = widths[i];
                        widest = i;
                }
        }
        return widest;
}

static void make_room(const struct out *o, size_t *widths)
{
        size_t total, widest;

        leave_out_spare(o, widths);
        total = total_of(o, widths);
        for (; total > o->cols && (widest = widest_text(o, widths)) < o->n_columns; total--)
                widths[widest]--;
}

/* 0: the column is not shown. */
static size_t *measure(const struct out *o)
{
        size_t n = o->n_columns, *widths = mem_alloc(n * sizeof(*widths));

        for (size_t i = 0; i < n; i++)
                widths[i] = o->columns[i].kind == OUT_MEMBERS && o->cols ? 0 : fit_width(o->columns[i].title);
        for (size_t k = 0; k < o->n_cells; k++) {
                size_t width = fit_width(o->cells[k].text), title = fit_width(o->columns[k % n].title);

                width = width && width < title ? title : width;
                if (width > widths[k % n])
                        widths[k % n] = width;
        }
        if (o->cols)
                make_room(o, widths);
        return widths;
}

static void put_padded(const struct out *o, const struct out_shown *cell, size_t to, bool right, bool last)
{
        const char *off = cell->colour ? out_off(o) : "";
        size_t cap = strlen(cell->text) + 4;
        char *shown = mem_alloc(cap);
        int pad;

        fit_elide(shown, cap, cell->text, to, o->utf8);
        pad = (int)(to - fit_width(shown));
        fprintf(o->f, "%*s%s%s%s%*s%s", right ? pad : 0, "", cell->colour ? out_on(o, cell->colour) : "", shown, off,
                right || last ? 0 : pad, "", last ? "\n" : "  ");
        free(shown);
}

static void put_row(const struct out *o, const struct out_shown *cells, const size_t *widths)
{
        size_t last = o->n_columns - 1;

        while (last > 0 && !widths[last])
                last--;
        for (size_t i = 0; i <= last; i++)
                if (widths[i])
                        put_padded(o, &cells[i], widths[i], is_right(o->columns[i].kind), i == last);
}

static void put_table(const struct out *o)
{
        size_t n = o->n_columns, *widths = measure(o);
        struct out_shown *heads = mem_alloc(n * sizeof(*heads));

        for (size_t i = 0; i < n; i++)
                heads[i] = (struct out_shown){(char *)(uintptr_t)o->columns[i].title, OUT_BOLD};
        put_row(o, heads, widths);
        for (size_t k = 0; k < o->n_cells; k += n)
                put_row(o, &o->cells[k], widths);
        free(heads);
        free(widths);
}

void out_table_end(struct out *o)
{
        if (o->terminal && !o->n_cells && o->empty)
                fprintf(o->f, "%s\n", o->empty);
        else if (o->terminal)
                put_table(o);
        for (size_t i = 0; i < o->n_cells; i++)
                free(o->cells[i].text);
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
