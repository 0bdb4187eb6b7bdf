/*
 * page: words on a page: paragraphs that are folded where a terminal ends, and
 * two blocks beside each other where it is wide.  In a pipe a paragraph is one
 * line, whatever its length.
 */
#ifndef MILLRACE_CLI_PAGE_H
#define MILLRACE_CLI_PAGE_H

#include "agent/cli/out.h"

/*
 * `text` behind `head`, which has a colour of its own; further lines of it are
 * indented by `indent` columns.
 */
void page_words(struct out *o, enum out_colour colour, const char *head, size_t indent, const char *text);

/*
 * Lines of text, `right` beside `left` when both have room, else below it.
 * Colours in them take no column.
 */
void page_beside(struct out *o, const char *left, const char *right);

#endif
