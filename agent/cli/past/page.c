/*
 * page: see page.h.
 *
 * Nothing fails here; a write error stays in the stream.
 */
#include "agent/cli/past/page.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

enum { TEXT_MAX = 1200 };

struct page_part *page_part(struct page *p, const char *title, const char *empty, size_t n_columns,
                            const char *const *columns)
{
        struct page_part *part = &p->parts[p->n++];

        BUG_ON(p->n > PAGE_PARTS || n_columns > PAGE_COLUMNS);
        *part = (struct page_part){.title = title, .empty = empty, .n_columns = n_columns};
        memcpy(part->columns, columns, n_columns * sizeof(*columns));
        return part;
}

void page_note(struct page_part *part, const char *fmt, ...)
{
        char text[TEXT_MAX];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        part->notes = mem_grow(part->notes, part->n_notes + 1, sizeof(*part->notes));
        part->notes[part->n_notes++] = mem_strdup(text);
}

void page_row(struct page_part *part, const char *const *cells)
{
        char clean[TEXT_MAX];

        if (part->n_cells + part->n_columns > part->cap_cells) {
                part->cap_cells = 2 * part->cap_cells + 16 * part->n_columns;
                part->cells = mem_grow(part->cells, part->cap_cells, sizeof(*part->cells));
        }
        for (size_t i = 0; i < part->n_columns; i++) {
                out_put_clean(clean, sizeof(clean), *cells[i] ? cells[i] : "-");
                part->cells[part->n_cells++] = mem_strdup(clean);
        }
}

void page_fini(struct page *p)
{
        for (size_t i = 0; i < p->n; i++) {
                for (size_t k = 0; k < p->parts[i].n_notes; k++)
                        free(p->parts[i].notes[k]);
                for (size_t k = 0; k < p->parts[i].n_cells; k++)
                        free(p->parts[i].cells[k]);
                free(p->parts[i].notes);
                free(p->parts[i].cells);
        }
        *p = (struct page){0};
}

/* ---- for people ---- */

static size_t columns(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static void put_line(FILE *f, const struct page_part *part, const char *const *cells, const size_t *wide)
{
        fputs("  ", f);
        for (size_t i = 0; i < part->n_columns; i++) {
                bool last = i + 1 == part->n_columns;

                fprintf(f, "%s%*s", cells[i], last ? 0 : (int)(wide[i] - columns(cells[i]) + 2), "");
        }
        fputc('\n', f);
}

static void print_text(const struct page *p, const struct out *o)
{
        fprintf(o->f, "%s%s%s\n%s\n", out_on(o, OUT_BOLD), p->title, out_off(o), p->period);
        for (size_t i = 0; i < p->n; i++) {
                const struct page_part *part = &p->parts[i];
                size_t wide[PAGE_COLUMNS];

                fprintf(o->f, "\n%s%s%s\n", out_on(o, OUT_BOLD), part->title, out_off(o));
                for (size_t c = 0; c < part->n_columns; c++) {
                        wide[c] = columns(part->columns[c]);
                        for (size_t k = c; k < part->n_cells; k += part->n_columns)
                                wide[c] = columns(part->cells[k]) > wide[c] ? columns(part->cells[k]) : wide[c];
                }
                if (part->n_cells)
                        put_line(o->f, part, part->columns, wide);
                else
                        fprintf(o->f, "  %s\n", part->empty);
                for (size_t k = 0; k < part->n_cells; k += part->n_columns)
                        put_line(o->f, part, (const char *const *)part->cells + k, wide);
                for (size_t k = 0; k < part->n_notes; k++)
                        fprintf(o->f, "  %s%s%s\n", out_on(o, OUT_DIM), part->notes[k], out_off(o));
        }
}

/* ---- for a browser ---- */

static void put_html(FILE *f, const char *s)
{
        for (; *s; s++) {
                switch (*s) {
                case '&':
                        fputs("&amp;", f);
                        break;
                case '<':
                        fputs("&lt;", f);
                        break;
                case '>':
                        fputs("&gt;", f);
                        break;
                case '"':
                        fputs("&quot;", f);
                        break;
                default:
                        fputc(*s, f);
                }
        }
}

static void put_element(FILE *f, const char *name, const char *text)
{
        fprintf(f, "<%s>", name);
        put_html(f, text);
        fprintf(f, "</%s>", name);
}

static void put_html_row(FILE *f, const char *name, const char *const *cells, size_t n)
{
        fputs("<tr>", f);
        for (size_t i = 0; i < n; i++)
                put_element(f, name, cells[i]);
        fputs("</tr>\n", f);
}

static void print_html(const struct page *p, FILE *f)
{
        fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">", f);
        put_element(f, "title", p->title);
        fputs("\n<style>body{font:14px sans-serif;margin:2em auto;max-width:70em;color:#222}h2{margin-top:1.5em}"
              "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.2em .8em .2em 0;"
              "border-bottom:1px solid #ccc}tr{page-break-inside:avoid}p{margin:.3em 0;color:#555}"
              "@media print{body{margin:0;font-size:10px}}</style></head>\n<body>",
              f);
        put_element(f, "h1", p->title);
        put_element(f, "p", p->period);
        for (size_t i = 0; i < p->n; i++) {
                const struct page_part *part = &p->parts[i];

                fputc('\n', f);
                put_element(f, "h2", part->title);
                if (part->n_cells) {
                        fputs("\n<table>", f);
                        put_html_row(f, "th", part->columns, part->n_columns);
                        for (size_t k = 0; k < part->n_cells; k += part->n_columns)
                                put_html_row(f, "td", (const char *const *)part->cells + k, part->n_columns);
                        fputs("</table>", f);
                } else {
                        put_element(f, "p", part->empty);
                }
                for (size_t k = 0; k < part->n_notes; k++)
                        put_element(f, "p", part->notes[k]);
        }
        fputs("\n</body></html>\n", f);
}

/* ---- for a spreadsheet ---- */

/* What a spreadsheet would take for a formula gets an apostrophe. */
static void put_csv(FILE *f, const char *s, const char *end)
{
        bool formula = strchr("=+@", *s) || (*s == '-' && s[1] && !strchr("0123456789.", s[1]));

        fprintf(f, "\"%s", formula && *s ? "'" : "");
        for (; *s; s++)
                fputs(*s == '"' ? "\"\"" : (const char[]){*s, '\0'}, f);
        fprintf(f, "\"%s", end);
}

static void print_csv(const struct page *p, FILE *f)
{
        put_csv(f, p->title, ",");
        put_csv(f, p->period, "\n");
        for (size_t i = 0; i < p->n; i++) {
                const struct page_part *part = &p->parts[i];

                fputc('\n', f);
                put_csv(f, part->title, "\n");
                for (size_t k = 0; k < part->n_columns; k++)
                        put_csv(f, part->columns[k], k + 1 < part->n_columns ? "," : "\n");
                for (size_t k = 0; k < part->n_cells; k++)
                        put_csv(f, part->cells[k], (k + 1) % part->n_columns ? "," : "\n");
                for (size_t k = 0; k < part->n_notes; k++)
                        put_csv(f, part->notes[k], "\n");
        }
}

/* ---- for a program ---- */

static json_t *json_rows(const struct page_part *part)
{
        json_t *rows = json_array(), *row = NULL;

        for (size_t k = 0; k < part->n_cells; k++) {
                if (k % part->n_columns == 0)
                        json_array_append_new(rows, row = json_object());
                json_object_set_new(row, part->columns[k % part->n_columns], json_string(part->cells[k]));
        }
        return rows;
}

/* Cells are texts, as in CSV. */
static void print_json(const struct page *p, FILE *f)
{
        json_t *parts = json_array(),
               *o = json_pack("{s:s, s:s, s:o}", "title", p->title, "period", p->period, "parts", parts);

        for (size_t i = 0; i < p->n; i++) {
                const struct page_part *part = &p->parts[i];
                json_t *notes = json_array();

                for (size_t k = 0; k < part->n_notes; k++)
                        json_array_append_new(notes, json_string(part->notes[k]));
                json_array_append_new(parts, json_pack("{s:s, s:o, s:o}", "title", part->title, "rows", json_rows(part),
                                                       "notes", notes));
        }
        json_dumpf(o, f, JSON_COMPACT);
        fputc('\n', f);
        json_decref(o);
}

void page_print(const struct page *p, enum page_form form, const struct out *out)
{
        if (form == PAGE_HTML)
                print_html(p, out->f);
        else if (form == PAGE_CSV)
                print_csv(p, out->f);
        else if (form == PAGE_JSON)
                print_json(p, out->f);
        else
                print_text(p, out);
}
