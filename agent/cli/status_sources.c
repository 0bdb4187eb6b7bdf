/*
 * status_sources: see status_sources.h.
 *
 * A source is a line of a table; why it is as it is stands in the last column,
 * or below the table where a terminal has no room for it, since a reason that
 * is cut is none.  Devices that are down have a line each; those that are up
 * are named as long as they are few.  Fails never.
 */
#include "agent/cli/status_sources.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/fit.h"
#include "agent/cli/page.h"
#include "agent/cli/status_field.h"

enum { COLUMNS = 7, UP_NAMED = 24, DOWN_SHOWN = 20, BRIEF_SOURCES = 2 };

/* What a source says of itself: "2026-11-23 10:00:00Z words", or "-". */
static struct field reason(const struct out *o, const json_t *d)
{
        struct field at = field_time(d, "last_error_at", o->utc), words = field_clean(d, "last_error"), f = {"-"};

        if (strlen(words.s) > 1)
                snprintf(f.s, sizeof(f.s), "%.40s%s%.900s", strcmp(at.s, "-") ? at.s : "", strcmp(at.s, "-") ? " " : "",
                         words.s);
        return f;
}

static struct field state_of(const json_t *d)
{
        bool paused = json_is_true(json_object_get(d, "paused"));
        struct field f;

        if (!paused && strcmp(field_text(d, "state"), "up") == 0 && field_is_number(d, "load"))
                snprintf(f.s, sizeof(f.s), "%.30s, load %.0f %%", field_text(d, "state"),
                         100 * field_number(d, "load"));
        else
                snprintf(f.s, sizeof(f.s), "%.30s", paused ? "paused" : field_text(d, "state"));
        return f;
}

static enum out_colour colour_of(const json_t *d)
{
        const char *state = field_text(d, "state");

        if (strcmp(state, "down") == 0)
                return OUT_RED;
        if (json_is_true(json_object_get(d, "paused")) || field_n(d, "n_devices_down"))
                return OUT_YELLOW;
        return strcmp(state, "up") == 0 ? OUT_GREEN : OUT_YELLOW;
}

static struct field devices_of(const struct out *o, const json_t *d)
{
        struct field f = {"-"};

        if (field_n(d, "n_devices_down"))
                snprintf(f.s, sizeof(f.s), "%.20s of %.20s down", field_count(d, "n_devices_down", o->terminal).s,
                         field_count(d, "n_devices", o->terminal).s);
        else if (field_n(d, "n_devices"))
                snprintf(f.s, sizeof(f.s), "%.20s", field_count(d, "n_devices", o->terminal).s);
        return f;
}

/* Is there room for the reasons beside the rest? A source is some 60 columns. */
static bool reasons_fit(const struct out *o, const json_t *drivers)
{
        size_t most = 0, name = 0;

        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *d = json_array_get(drivers, i);
                size_t n = fit_width(reason(o, d).s), m = fit_width(field_clean(d, "name").s);

                most = n > most ? n : most;
                name = m > name ? m : name;
        }
        return !o->terminal || !o->cols || name + most + 72 <= o->cols;
}

/* How many were left out. */
static size_t print_table(struct out *o, const json_t *drivers, bool with_reasons, bool brief)
{
        static const struct out_column columns[COLUMNS] = {
                {"name", "SOURCE", OUT_TEXT},           {"kind", "KIND", OUT_TEXT},
                {"state", "STATE", OUT_TEXT},           {"devices", "DEVICES", OUT_TEXT},
                {"readings", "READINGS", OUT_COUNT},    {"errors", "ERRORS", OUT_COUNT},
                {"last_error", "LAST ERROR", OUT_TEXT},
        };

        bool leave_out = brief && json_array_size(drivers) > BRIEF_SOURCES;
        size_t n_left_out = 0;

        out_table(o, columns, with_reasons ? COLUMNS : COLUMNS - 1);
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *d = json_array_get(drivers, i);
                struct field state = state_of(d), devices = devices_of(o, d), why = reason(o, d);
                struct out_cell cells[COLUMNS] = {
                        {.text = field_text(d, "name")},
                        {.text = field_text(d, "kind")},
                        {.text = state.s, .colour = colour_of(d)},
                        {.text = devices.s, .colour = field_n(d, "n_devices_down") ? OUT_YELLOW : OUT_PLAIN},
                        {.n = field_n(d, "readings")},
                        {.n = field_n(d, "errors")},
                        {.text = why.s},
                };

                if (leave_out && colour_of(d) == OUT_GREEN)
                        n_left_out++;
                else
                        out_row(o, cells);
        }
        if (n_left_out < json_array_size(drivers))
                out_table_end(o);
        return n_left_out;
}

/* The devices of `state`: those that are down line by line, others by name. */
static void print_down(struct out *o, const json_t *d)
{
        const json_t *devices = json_object_get(d, "devices");
        size_t n = 0;

        for (size_t i = 0; i < json_array_size(devices); i++) {
                const json_t *device = json_array_get(devices, i);
                struct field since = field_time(device, "since", o->utc);
                char head[600], words[1200];

                if (strcmp(field_text(device, "state"), "down") != 0 || (++n > DOWN_SHOWN && o->terminal && o->cols))
                        continue;
                snprintf(head, sizeof(head), "  %.256s/%.256s ", field_clean(d, "name").s,
                         field_clean(device, "name").s);
                snprintf(words, sizeof(words), "down%s%.40s: %s", strcmp(since.s, "-") ? " since " : "",
                         strcmp(since.s, "-") ? since.s : "", field_clean(device, "why").s);
                page_words(o, OUT_RED, head, 4, words);
        }
        if (n > DOWN_SHOWN && o->terminal && o->cols)
                fprintf(o->f, "  and %zu more that are down: millrace status --wide\n", n - DOWN_SHOWN);
}

static void print_up(struct out *o, const json_t *d)
{
        const json_t *devices = json_object_get(d, "devices");
        size_t n = 0, len;
        char head[300], *names;
        FILE *f = open_memstream(&names, &len);

        BUG_ON(!f);
        for (size_t i = 0; i < json_array_size(devices); i++) {
                const json_t *device = json_array_get(devices, i);

                if (strcmp(field_text(device, "state"), "up") == 0)
                        fprintf(f, "%s%s", n++ ? ", " : "", field_clean(device, "name").s);
        }
        BUG_ON(fclose(f) != 0);
        snprintf(head, sizeof(head), "  %.256s ", field_clean(d, "name").s);
        if (strcmp(field_text(d, "state"), "down") == 0)
                n = 0; /* nobody knows while the line to them is down */
        if (n && n > UP_NAMED && o->terminal && o->cols)
                fprintf(o->f, "%s%zu devices are up\n", head, n);
        else if (n)
                page_words(o, OUT_PLAIN, strcat(head, "up: "), 4, names);
        free(names);
}

/* What came and is no reading. */
static void print_odd(struct out *o, const json_t *d)
{
        struct field odd = field_odd(d), unread = field_unread(d);

        if (odd.s[0])
                fprintf(o->f, "  %s: %s%s\n", field_clean(d, "name").s, odd.s, field_n(d, "garbage") ? " bytes" : "");
        if (unread.s[0])
                fprintf(o->f, "  %s: no reading of %s\n", field_clean(d, "name").s, unread.s);
}

void status_print_sources(struct out *o, const json_t *drivers, bool brief)
{
        bool fit = reasons_fit(o, drivers);
        size_t n_left_out, n = json_array_size(drivers);
        char head[300];

        if (n == 0)
                return;
        fputc('\n', o->f);
        n_left_out = print_table(o, drivers, fit, brief);
        for (size_t i = 0; i < n; i++) {
                const json_t *d = json_array_get(drivers, i);
                struct field why = reason(o, d);

                snprintf(head, sizeof(head), "  %.256s: ", field_clean(d, "name").s);
                if (!fit && strcmp(why.s, "-") != 0)
                        page_words(o, OUT_PLAIN, head, 4, why.s);
                if (!brief)
                        print_odd(o, d);
                print_down(o, d);
                if (!brief)
                        print_up(o, d);
        }
        if (n_left_out)
                fprintf(o->f, "  %zu %ssources are up\n", n_left_out, n_left_out < n ? "other " : "");
}
