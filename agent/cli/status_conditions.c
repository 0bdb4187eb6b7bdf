/*
 * status_conditions: see status_conditions.h.
 *
 * Two lines for each condition, the worst first as they come: whoever reads
 * three lines of the page has the verdict, what is worst, and what to do about
 * it.  A terminal gets the first few, so that the verdict stays on the screen;
 * a pipe, and --wide, all.  Fails never.
 */
#include "agent/cli/status_conditions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/condition_words.h"
#include "agent/cli/page.h"
#include "agent/cli/status_field.h"

enum { ON_A_SCREEN = 8, SEVERITY_COLS = 12 };

void status_print_verdict(struct out *o, const json_t *status)
{
        const char *health = field_text(status, "health");
        enum out_colour colour = strcmp(health, "ok") == 0 ? OUT_GREEN : condition_colour(health);
        struct field cleaned = field_clean(status, "health");
        size_t shown, n = condition_total(status, &shown);

        fprintf(o->f, "%s%s%s", out_on(o, colour == OUT_BOLD ? OUT_RED : colour), cleaned.s, out_off(o));
        if (n)
                fprintf(o->f, "  %zu condition%s", n, n == 1 ? "" : "s");
        fprintf(o->f, "  gateway %s  epoch %" PRIu64 "  ", field_clean(status, "gateway").s, field_n(status, "epoch"));
        if (field_is_number(status, "uptime_s"))
                fprintf(o->f, "up %s\n", field_span(status, "uptime_s").s);
        else
                fprintf(o->f, "not running\n");
}

static void print_condition(struct out *o, const json_t *condition)
{
        struct condition_words w;
        char head[SEVERITY_COLS + 16];

        condition_words(&w, condition, o->utc);
        snprintf(head, sizeof(head), "  %-*s", SEVERITY_COLS - 2, w.severity);
        page_words(o, w.colour, head, SEVERITY_COLS + 2, w.what);
        snprintf(head, sizeof(head), "%*s%s ", SEVERITY_COLS - 3, "", o->utf8 || !o->terminal ? " →" : "->");
        if (w.todo[0])
                page_words(o, OUT_BOLD, head, SEVERITY_COLS, w.todo);
}

/* The lines of one; the caller's. */
static char *printed(const struct out *o, const json_t *condition, size_t *n_lines)
{
        struct out part = *o;
        size_t len;
        char *text;

        part.f = open_memstream(&text, &len);
        BUG_ON(!part.f);
        print_condition(&part, condition);
        BUG_ON(fclose(part.f) != 0);
        *n_lines = 0;
        for (size_t i = 0; i < len; i++)
                *n_lines += text[i] == '\n';
        return text;
}

void status_print_conditions(struct out *o, const json_t *status, size_t most)
{
        const json_t *list = json_object_get(status, "conditions");
        size_t n, total = condition_total(status, &n), used = 0, shown = 0;

        if (o->terminal && o->cols && n > ON_A_SCREEN)
                n = ON_A_SCREEN;
        for (; shown < n; shown++) {
                size_t lines;
                char *text = printed(o, json_array_get(list, shown), &lines);
                bool fits = !most || !shown || used + lines + (shown + 1 < total) <= most;

                if (fits)
                        fputs(text, o->f);
                free(text);
                if (!fits)
                        break;
                used += lines;
        }
        if (total > shown)
                fprintf(o->f, "  and %zu more%s\n", total - shown,
                        shown < json_array_size(list) ? ": millrace status --wide"
                                                      : ", that are less severe or younger");
}
