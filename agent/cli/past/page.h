/*
 * page: a report as parts with remarks and a table each, and its four forms:
 * text for people, one HTML page that needs nothing else and can be printed,
 * CSV for a spreadsheet, one JSON object for a program.
 *
 * What is put in is copied, and may come from outside: each form escapes it.
 * Memory: as much as is put in; who puts bounds it.
 */
#ifndef MILLRACE_CLI_PAST_PAGE_H
#define MILLRACE_CLI_PAST_PAGE_H

#include "agent/cli/out.h"

enum page_form { PAGE_TEXT, PAGE_HTML, PAGE_CSV, PAGE_JSON };
enum { PAGE_PARTS = 12, PAGE_COLUMNS = 8 };

struct page_part {
        const char *title, *empty; /* instead of a table without rows */
        const char *columns[PAGE_COLUMNS];
        size_t n_columns;
        char **notes, **cells;
        size_t n_notes, n_cells, cap_cells;
};

struct page {
        char title[200], period[200];
        struct page_part parts[PAGE_PARTS];
        size_t n;
};

/* Texts are borrowed. */
struct page_part *page_part(struct page *p, const char *title, const char *empty, size_t n_columns,
                            const char *const *columns);
void page_note(struct page_part *part, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void page_row(struct page_part *part, const char *const *cells);
void page_print(const struct page *p, enum page_form form, const struct out *out);
void page_fini(struct page *p);

#endif
