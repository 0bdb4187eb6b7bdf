/*
 * panes: the lines of each: sources with their devices, tags, events, alarms.
 *
 * A reason is folded below its source, never cut: it is why somebody looks.
 * What is missing in an object is "-".  Names lose their middle where they have
 * no room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/cli/fit.h"
#include "agent/cli/out.h"
#include "agent/cli/status_field.h"
#include "agent/cli/top/parts.h"

enum { TIME_AT = sizeof("2026-11-23"), WIDE = 120 };
static const double BUSY = 0.9; /* a bus with so much load is one to be looked at */

/* The time of day of a time as lists show it. */
static const char *time_of_day(const char *time)
{
        return strlen(time) > TIME_AT ? time + TIME_AT : "";
}

static int widest(const json_t *list, const char *key, int least, int most)
{
        int cols = least;

        for (size_t i = 0; i < json_array_size(list); i++) {
                int n = (int)fit_width(field_clean(json_array_get(list, i), key).s);

                cols = n > cols ? n : cols;
        }
        return cols < most ? cols : most;
}

/* ---- sources ---- */

static void put_state(char *out, size_t cap, const json_t *d)
{
        bool paused = json_is_true(json_object_get(d, "paused"));
        struct field state = field_clean(d, "state");

        if (!paused && strcmp(state.s, "up") == 0 && field_is_number(d, "load"))
                snprintf(out, cap, "up %.0f%%", 100 * field_number(d, "load"));
        else
                snprintf(out, cap, "%.20s", paused ? "paused" : state.s);
}

static void put_devices(char *out, size_t cap, const json_t *d)
{
        uint64_t n = field_n(d, "n_devices"), down = field_n(d, "n_devices_down");

        if (!field_is_number(d, "n_devices") || n == 0)
                snprintf(out, cap, "-");
        else if (strcmp(field_text(d, "state"), "down") == 0)
                snprintf(out, cap, "?/%llu", (unsigned long long)n);
        else
                snprintf(out, cap, "%llu/%llu", (unsigned long long)(n > down ? n - down : 0), (unsigned long long)n);
}

/* "" or why: what came that was no answer, and the last error with its time. */
static void put_reason(char *out, size_t cap, const struct top_screen *s, const json_t *d)
{
        struct field odd = field_odd(d), error = field_clean(d, "last_error"),
                     at = field_time(d, "last_error_at", s->utc);
        bool has = strlen(error.s) > 1;

        snprintf(out, cap, "%.200s%s%.40s%s%.1000s", odd.s, odd.s[0] && has ? "; " : "", has ? time_of_day(at.s) : "",
                 has && *time_of_day(at.s) ? " " : "", has ? error.s : "");
}

static void add_devices(struct pane *p, const struct top_screen *s, const json_t *d)
{
        const json_t *devices = json_object_get(d, "devices");

        for (size_t i = 0; i < json_array_size(devices); i++) {
                const json_t *device = json_array_get(devices, i);
                struct field since = field_time(device, "since", s->utc);
                char first[400];

                if (strcmp(field_text(device, "state"), "down") != 0)
                        continue;
                snprintf(first, sizeof(first), "  %.256s down%s%.40s: ", field_clean(device, "name").s,
                         strcmp(since.s, "-") ? " since " : "", strcmp(since.s, "-") ? since.s : "");
                pane_words(p, LINE_BAD, first, 4, field_clean(device, "why").s);
        }
}

static void add_source(struct pane *p, const struct top_screen *s, const json_t *d, int name_cols, int kind_cols)
{
        char name[256], kind[64], state[32], devices[48], reason[1400], first[600];
        bool is_up = strcmp(field_text(d, "state"), "up") == 0 && !json_is_true(json_object_get(d, "paused"));
        bool warn = !is_up || field_number(d, "load") > BUSY || field_n(d, "n_devices_down");
        enum line_weight weight = strcmp(field_text(d, "state"), "down") == 0 ? LINE_BAD
                                  : warn                                      ? LINE_WARN
                                                                              : LINE_PLAIN;

        part_cell(name, sizeof(name), field_clean(d, "name").s, name_cols, false, p->utf8);
        part_cell(kind, sizeof(kind), field_clean(d, "kind").s, kind_cols, false, p->utf8);
        put_state(state, sizeof(state), d);
        put_devices(devices, sizeof(devices), d);
        put_reason(reason, sizeof(reason), s, d);
        snprintf(first, sizeof(first), "%s %s %-8.20s %8.20s %12.20s %7.20s %9.20s", name, kind, state, devices,
                 field_count(d, "readings", true).s, field_count(d, "errors", true).s,
                 field_count(d, "malformed", true).s);
        if (!reason[0] || (int)(fit_width(first) + 2 + fit_width(reason)) <= p->cols) {
                pane_add(p, weight, "%s%s%s", first, reason[0] ? "  " : "", reason);
        } else {
                pane_add(p, weight, "%s", first);
                pane_words(p, weight, "  ", 4, reason);
        }
        add_devices(p, s, d);
}

void pane_sources(struct pane *p, const struct top_screen *s, const json_t *status)
{
        const json_t *drivers = json_object_get(status, "drivers");
        int name_cols = widest(drivers, "name", 6, p->cols >= WIDE ? 32 : 14);
        int kind_cols = widest(drivers, "kind", 4, 10);

        snprintf(p->head, sizeof(p->head), " %-*s %-*s %-8s %8s %12s %7s %9s", name_cols, "SOURCE", kind_cols, "KIND",
                 "STATE", "DEVICES", "READINGS", "ERRORS", "MALFORMED");
        p->empty = "no source is configured";
        for (size_t i = 0; i < json_array_size(drivers); i++)
                add_source(p, s, json_array_get(drivers, i), name_cols, kind_cols);
}

/* ---- tags ---- */

enum { VALUE_COLS = 12, UNIT_COLS = 6, AGE_COLS = 7 };

static void put_age(char *out, size_t cap, int64_t us)
{
        if (us < -60000000)
                snprintf(out, cap, "future");
        else if (us < 1000000)
                snprintf(out, cap, "now");
        else
                text_put_duration(out, cap, us - us % 1000000);
}

static void add_tag(struct pane *p, const struct top_screen *s, const struct seen_tag *t, int name_cols, int curve_cols)
{
        bool bad = quality_is_bad(t->quality), good = t->quality == QUALITY_GOOD;
        char name[LINE_BYTES], value[96], unit[64], age[48], curve[LINE_BYTES] = "";
        double values[LINE_COLS_MAX];

        if (curve_cols > 0) {
                seen_curve(t, s->now_us, curve_cols, values);
                top_curve(values, curve_cols, p->utf8, curve);
        }
        part_cell(name, sizeof(name), t->name, name_cols, false, p->utf8);
        part_cell(value, sizeof(value), t->value, VALUE_COLS, true, p->utf8);
        part_cell(unit, sizeof(unit), t->unit, UNIT_COLS, false, p->utf8);
        put_age(age, sizeof(age), s->now_us - t->ts_us);
        pane_add(p,
                 bad    ? LINE_BAD
                 : good ? LINE_PLAIN
                        : LINE_WARN,
                 "%s %s %s %c %*.12s  %s", name, value, unit,
                 bad    ? 'x'
                 : good ? ' '
                        : '~',
                 AGE_COLS, age, curve);
}

void pane_tags(struct pane *p, const struct top_screen *s, const struct seen *seen)
{
        int name_cols = 8, most = p->cols * 2 / 5, curve_cols;

        for (size_t i = 0; i < seen->n_tags; i++) {
                int n = (int)fit_width(seen->tags[i].name);

                name_cols = n > name_cols ? n : name_cols;
        }
        name_cols = name_cols < most ? name_cols : most;
        curve_cols = p->cols - name_cols - VALUE_COLS - UNIT_COLS - AGE_COLS - 8;
        curve_cols = curve_cols > LINE_COLS_MAX / 2 ? LINE_COLS_MAX / 2 : curve_cols;
        snprintf(p->head, sizeof(p->head), " %-*s %*s %-*s Q %*s  %s", name_cols, "TAG", VALUE_COLS, "VALUE", UNIT_COLS,
                 "UNIT", AGE_COLS, "AGE", curve_cols >= 12 ? "LAST MINUTES" : "");
        p->empty =
                s->no_file ? s->no_file : "no reading in the spool's file: nothing came for long, or nothing is kept";
        for (size_t i = 0; i < seen->n_tags; i++)
                add_tag(p, s, &seen->tags[i], name_cols, curve_cols);
        if (seen->n_more)
                pane_add(p, LINE_DIM, "and further ones: millrace tags");
}

/* ---- events ---- */

void pane_events(struct pane *p, const struct top_screen *s, const struct seen *seen)
{
        const struct seen_event *e;

        snprintf(p->head, sizeof(p->head), " %-9s %-10s %s", "TIME", "EVENT", "WHAT");
        p->empty = s->no_file ? s->no_file : "no event is in the spool's file";
        for (uint64_t ago = 0; (e = seen_event_at(seen, ago)); ago++) {
                char time[64], first[160];

                out_put_time(time, sizeof(time), e->ts_us, s->utc);
                snprintf(first, sizeof(first), "%-9.9s %-10.31s ", time_of_day(time), e->kind);
                pane_words(p, e->weight, first, 12, e->words);
        }
}

/* ---- alarms ---- */

static void add_alarm(struct pane *p, const struct top_screen *s, const json_t *a)
{
        bool whole = !*field_text(a, "tag");
        const char *kind = field_text(a, "limit_kind");

        pane_add(p, json_is_true(json_object_get(a, "unacked")) ? LINE_WARN : LINE_PLAIN,
                 "%4.12s %-15.15s %-22.28s %.256s/%.448s/%.256s%s%.20s", field_count(a, "severity", false).s,
                 field_clean(a, "state").s, field_time(a, "since", s->utc).s, field_clean(a, "source").s,
                 whole ? "-" : field_clean(a, "tag").s, field_clean(a, "rule").s, strlen(kind) > 1 ? "." : "",
                 strlen(kind) > 1 ? field_clean(a, "limit_kind").s : "");
}

void pane_alarms(struct pane *p, const struct top_screen *s, const json_t *alarms)
{
        snprintf(p->head, sizeof(p->head), " %4s %-15s %-22s %s", "SEV", "STATE", "SINCE", "ALARM");
        p->empty = "no alarm is there";
        for (size_t i = 0; i < json_array_size(alarms); i++)
                add_alarm(p, s, json_array_get(alarms, i));
}

static int worse_first(const void *one, const void *other)
{
        const json_t *a = *(json_t *const *)one, *b = *(json_t *const *)other;
        int unacked = json_is_true(json_object_get(b, "unacked")) - json_is_true(json_object_get(a, "unacked"));
        double severity = field_number(b, "severity") - field_number(a, "severity");

        if (unacked)
                return unacked;
        if (severity != 0)
                return severity > 0 ? 1 : -1;
        return strcmp(field_text(b, "since"), field_text(a, "since"));
}

json_t *top_sort_alarms(const json_t *reply)
{
        const json_t *list = json_object_get(reply, "alarms");
        size_t n = json_array_size(list);
        json_t **items = mem_alloc((n + 1) * sizeof(*items)), *sorted = json_array();

        for (size_t i = 0; i < n; i++)
                items[i] = json_array_get(list, i);
        qsort(items, n, sizeof(*items), worse_first);
        for (size_t i = 0; i < n; i++)
                json_array_append(sorted, items[i]);
        free(items);
        return sorted;
}

int top_alarm_row(const json_t *alarms, const json_t *chosen, int row)
{
        const char *id = json_string_value(json_object_get(chosen, "event_id"));

        for (size_t i = 0; id && i < json_array_size(alarms); i++)
                if (strcmp(field_text(json_array_get(alarms, i), "event_id"), id) == 0)
                        return (int)i;
        return row;
}
