/*
 * top_view: see top_view.h.
 *
 * Sparklines are columns of five seconds that never change once they are full:
 * a screen over a slow line is repainted only where something happened.  Fails
 * never: what is missing in the object is "-".
 */
#include "agent/cli/top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/out.h"
#include "agent/cli/status_field.h"

enum { LEFT = 40, BAR = 14, LEVELS = 8 };
static const double BUSY = 0.9; /* a bus with so much load is one to be looked at */

/* ---- history ---- */

void top_history_add(struct top_history *h, const json_t *status, long now_s)
{
        long bucket_s = now_s - now_s % TOP_BUCKET_S;
        long skipped = h->any ? (bucket_s - h->bucket_s) / TOP_BUCKET_S : 1;
        static const char *const keys[TOP_SERIES] = {"accept_rate", "deliver_rate", "held"};

        for (long i = 0; i < skipped && i < TOP_BUCKETS; i++)
                memset(&h->buckets[++h->last % TOP_BUCKETS], 0, sizeof(h->buckets[0]));
        h->any = true;
        h->bucket_s = bucket_s;
        for (int i = 0; i < TOP_SERIES; i++)
                h->buckets[h->last % TOP_BUCKETS].sum[i] += field_number(status, keys[i]);
        h->buckets[h->last % TOP_BUCKETS].n++;
}

/* -1: nothing was heard then. */
static double mean(const struct top_history *h, enum top_series series, unsigned ago)
{
        unsigned i = (h->last - ago) % TOP_BUCKETS;

        if (!h->any || ago >= TOP_BUCKETS || ago > h->last || !h->buckets[i].n)
                return -1;
        return h->buckets[i].sum[series] / h->buckets[i].n;
}

void top_spark(const struct top_history *h, enum top_series series, unsigned width, bool utf8, char *out, double *most)
{
        static const char *const blocks[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
        static const char *const plain[LEVELS] = {".", ":", "-", "=", "+", "*", "%", "#"};

        *most = 0;
        for (unsigned ago = 0; ago < width; ago++)
                if (mean(h, series, ago) > *most)
                        *most = mean(h, series, ago);
        *out = '\0';
        for (unsigned ago = width; ago-- > 0;) {
                double v = mean(h, series, ago);
                int level = *most > 0 ? (int)(v / *most * (LEVELS - 1) + 0.5) : 0;

                strcat(out, v < 0 ? " " : utf8 ? blocks[level] : plain[level]);
        }
}

/* ---- lines ---- */

/* Returns the row behind; past the end of the screen nothing is written. */
__attribute__((format(printf, 4, 5))) static int put(struct top_screen *s, int row, enum line_weight weight,
                                                     const char *fmt, ...)
{
        va_list args;

        if (row >= s->rows)
                return row;
        va_start(args, fmt);
        line_vput(&s->lines[row], weight, s->cols, fmt, args);
        va_end(args);
        return row + 1;
}

static int put_title(struct top_screen *s, int row, const json_t *status)
{
        char left[160];

        if (status)
                snprintf(left, sizeof(left), " %.40s  %.10s  up %.20s  epoch %.20s", field_clean(status, "gateway").s,
                         field_clean(status, "health").s, field_span(status, "uptime_s").s,
                         field_count(status, "epoch", false).s);
        else
                snprintf(left, sizeof(left), " millrace");
        return put(s, row, LINE_TITLE, "%-*.*s%s%s ", s->cols - (int)strlen(s->clock) - 1 - (s->paused ? 8 : 0),
                   s->cols - (int)strlen(s->clock) - 1 - (s->paused ? 8 : 0), left, s->paused ? "paused  " : "",
                   s->clock);
}

/* What needs a person's eye: one line, the worst first. */
static int put_trouble(struct top_screen *s, int row, const json_t *status)
{
        if (s->trouble)
                return put(s, row, LINE_WARN, " %s", s->trouble);
        if (strlen(field_text(status, "fault")) > 1)
                return put(s, row, LINE_WARN, " %s", field_clean(status, "fault").s);
        if (!strcmp(field_text(status, "clock"), "unsynced"))
                return put(s, row, LINE_WARN, " the system clock is not synchronised; readings are marked");
        return put(s, row, LINE_PLAIN, "%s", "");
}

static int put_series(struct top_screen *s, int row, const struct top_history *h, enum top_series series,
                      const char *left)
{
        char spark[LINE_BYTES];
        double most;

        top_spark(h, series, (unsigned)(s->cols - LEFT), s->utf8, spark, &most);
        return put(s, row, LINE_PLAIN, "%-*.*s%s", LEFT, LEFT, left, spark);
}

static int put_counts(struct top_screen *s, int row, const json_t *status, const struct top_history *h)
{
        char left[256];

        snprintf(left, sizeof(left), " accepted  %14.14s   %.12s", field_count(status, "accepted", true).s,
                 field_rate(status, "accept_rate").s);
        row = put_series(s, row, h, TOP_IN, left);
        snprintf(left, sizeof(left), " delivered %14.14s   %.12s", field_count(status, "delivered", true).s,
                 field_rate(status, "deliver_rate").s);
        row = put_series(s, row, h, TOP_OUT, left);
        snprintf(left, sizeof(left), " held      %14.14s   %.12s", field_count(status, "held", true).s,
                 field_size(status, "held_bytes").s);
        row = put_series(s, row, h, TOP_HELD, left);
        snprintf(left, sizeof(left), " dropped   %14.14s", field_count(status, "dropped", true).s);
        return put(s, row, field_n(status, "dropped") ? LINE_WARN : LINE_PLAIN, "%-*s%s%.20s%s%.20s", LEFT, left,
                   field_n(status, "held") ? "oldest " : "nothing is held",
                   field_n(status, "held") ? field_span(status, "oldest_held_age_s").s : "",
                   field_is_number(status, "drain_eta_s") && field_n(status, "held") ? ", drained in " : "",
                   field_is_number(status, "drain_eta_s") && field_n(status, "held")
                           ? field_span(status, "drain_eta_s").s
                           : "");
}

static int put_spool(struct top_screen *s, int row, const json_t *status)
{
        const json_t *flash = json_object_get(status, "flash");
        double most = field_number(status, "spool_usable_bytes");
        double share = most > 0 ? field_number(status, "held_bytes") / most : 0;
        int full = share < 0 ? 0 : share > 1 ? BAR : (int)(share * BAR + 0.5);
        char bar[BAR + 1] = "";

        for (int i = 0; i < BAR; i++)
                bar[i] = i < full ? '#' : '.';
        return put(s, row, share > 0.9 ? LINE_WARN : LINE_PLAIN,
                   " spool   %.12s of %.12s [%s] %.0f %% full   flash %.12s today", field_size(status, "spool_bytes").s,
                   field_size(status, "spool_max_bytes").s, bar, share * 100, field_size(flash, "bytes_today").s);
}

static int put_uplink(struct top_screen *s, int row, const json_t *status)
{
        const json_t *up = json_object_get(status, "uplink"), *events = json_object_get(status, "events");
        const json_t *alarms = json_object_get(status, "alarms");
        const char *state = field_text(up, "state");
        bool is_up = !strcmp(state, "up");

        row = put(s, row, is_up ? LINE_PLAIN : LINE_WARN, " kafka   %.12s%s, %s in flight, %s sent again%s%.120s",
                  field_clean(up, "state").s, json_is_true(json_object_get(up, "paused")) ? ", paused" : "",
                  field_count(up, "in_flight", true).s, field_count(up, "retried", true).s, is_up ? "" : ": ",
                  is_up ? "" : field_clean(up, "last_error").s);
        return put(s, row, field_n(alarms, "unacked") ? LINE_WARN : LINE_PLAIN,
                   " alarms  %s active, %s unacknowledged, %s events held   quarantine %s",
                   field_count(alarms, "active", true).s, field_count(alarms, "unacked", true).s,
                   field_count(events, "held", true).s, field_count(status, "quarantined", true).s);
}

static int put_driver(struct top_screen *s, int row, const json_t *d)
{
        bool paused = json_is_true(json_object_get(d, "paused"));
        struct field told = field_clean(d, "state");
        const char *state = paused ? "paused" : told.s;
        bool is_up = !strcmp(state, "up");
        struct field odd = field_odd(d);
        char shown[16];

        snprintf(shown, sizeof(shown), "%.10s", state);
        if (is_up && field_is_number(d, "load"))
                snprintf(shown, sizeof(shown), "up %6.0f%%", 100 * field_number(d, "load"));
        return put(s, row, !is_up || field_number(d, "load") > BUSY ? LINE_WARN : LINE_PLAIN,
                   " %-14.14s %-7.7s %-10.10s %13s %8s %9s  %s%s%.80s", field_clean(d, "name").s,
                   field_clean(d, "kind").s, shown, field_count(d, "readings", true).s,
                   field_count(d, "errors", true).s, field_count(d, "malformed", true).s, odd.s, odd.s[0] ? "  " : "",
                   field_clean(d, "last_error").s);
}

/* ---- the list below: drivers, or alarms ---- */

/*
 * How many of `n` are to be shown in the room below `row`; the line that tells
 * of the others is counted off.
 */
static int window(struct top_screen *s, int row, int n)
{
        int room = s->rows - 1 - row;

        if (room < 1)
                return 0;
        if (n > room)
                room--;
        s->scroll = s->scroll > n - room ? n - room : s->scroll;
        s->scroll = s->scroll < 0 ? 0 : s->scroll;
        return room;
}

static void put_others(struct top_screen *s, int row, int n, int room)
{
        if (n > room)
                put(s, row, LINE_PLAIN, " %d to %d of %d, arrows for the others", s->scroll + 1, s->scroll + room, n);
}

static void put_drivers(struct top_screen *s, int row, const json_t *status)
{
        const json_t *drivers = json_object_get(status, "drivers");
        int n = (int)json_array_size(drivers), room;

        row = put(s, row, LINE_HEAD, " %-14s %-7s %-10s %13s %8s %9s  %s", "SOURCE", "KIND", "STATE LOAD", "READINGS",
                  "ERRORS", "MALFORMED", "LAST ERROR");
        room = window(s, row, n);
        for (int i = s->scroll; i < n && i < s->scroll + room; i++)
                row = put_driver(s, row, json_array_get(drivers, (size_t)i));
        put_others(s, row, n, room);
}

static int put_alarm(struct top_screen *s, int row, const json_t *a, bool chosen)
{
        bool whole = !*field_text(a, "tag");
        const char *kind = field_text(a, "limit_kind");

        return put(s, row, json_is_true(json_object_get(a, "unacked")) ? LINE_WARN : LINE_PLAIN,
                   "%c%4s %-15.15s %-19.19s %.64s/%.64s/%.64s%s%.20s", chosen ? '>' : ' ',
                   field_count(a, "severity", false).s, field_clean(a, "state").s, field_clean(a, "since").s,
                   field_clean(a, "source").s, whole ? "-" : field_clean(a, "tag").s, field_clean(a, "rule").s,
                   strlen(kind) > 1 ? "." : "", strlen(kind) > 1 ? field_clean(a, "limit_kind").s : "");
}

static void put_alarms(struct top_screen *s, int row, const json_t *alarms)
{
        int n = (int)json_array_size(alarms), room;

        row = put(s, row, LINE_HEAD, " %4s %-15s %-19s %s", "SEV", "STATE", "SINCE", "ALARM");
        s->cursor = s->cursor >= n ? n - 1 : s->cursor;
        s->cursor = s->cursor < 0 ? 0 : s->cursor;
        room = window(s, row, n);
        s->scroll = s->cursor < s->scroll           ? s->cursor
                    : s->cursor >= s->scroll + room ? s->cursor - room + 1
                                                    : s->scroll;
        room = window(s, row, n);
        if (n == 0)
                put(s, row, LINE_PLAIN, "      no alarm is there");
        for (int i = s->scroll; i < n && i < s->scroll + room; i++)
                row = put_alarm(s, row, json_array_get(alarms, (size_t)i), i == s->cursor);
        put_others(s, row, n, room);
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

void top_layout(struct top_screen *s, const json_t *status, const json_t *alarms, const struct top_history *h)
{
        int row;

        line_bound(&s->rows, &s->cols);
        for (int i = 0; i < s->rows; i++)
                s->lines[i] = (struct line){.weight = LINE_PLAIN};
        row = put_title(s, 0, status);
        row = put_trouble(s, row, status);
        if (status) {
                row = put_counts(s, row, status, h);
                row = put(s, row, LINE_PLAIN, "%s", "");
                row = put_spool(s, row, status);
                row = put_uplink(s, row, status);
                row = put(s, row, LINE_PLAIN, "%s", "");
                if (s->show_alarms)
                        put_alarms(s, row, alarms);
                else
                        put_drivers(s, row, status);
        }
        if (s->notice)
                put(s, s->rows - 1, LINE_WARN, " %.200s", s->notice);
        else if (s->show_alarms)
                put(s, s->rows - 1, LINE_HEAD,
                    " q quit   a sources   k acknowledge   s shelve for an hour   arrows choose");
        else
                put(s, s->rows - 1, LINE_HEAD, " q quit   a alarms   space pause   arrows scroll   a column is %d s",
                    TOP_BUCKET_S);
}
