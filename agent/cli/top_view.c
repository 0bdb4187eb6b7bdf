/*
 * top_view: see top_view.h.
 *
 * Lines are put together in bytes and cut in columns, so that a sparkline of three-byte blocks does not push anything over
 * the edge.  Sparklines are columns of five seconds that never change once they are full: a screen over a slow line is
 * repainted only where something happened.  Fails never: what is missing in the object is "-".
 */
#include "agent/cli/top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/out.h"
#include "agent/cli/status_field.h"

enum { LEFT = 40, BAR = 20, LEVELS = 8 };

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

/* Cuts after `cols` columns; a byte that goes on with a character takes none. */
static void cut(char *s, int cols)
{
        int n = 0;

        for (; *s; s++) {
                if (((unsigned char)*s & 0xc0) == 0x80)
                        continue;
                if (n++ == cols) {
                        *s = '\0';
                        return;
                }
        }
}

/* Returns the row behind; past the end of the screen nothing is written. */
__attribute__((format(printf, 4, 5))) static int put(struct top_screen *s, int row, enum top_weight weight,
                                                     const char *fmt, ...)
{
        va_list args;

        if (row >= s->rows)
                return row;
        s->lines[row].weight = weight;
        va_start(args, fmt);
        vsnprintf(s->lines[row].text, sizeof(s->lines[row].text), fmt, args);
        va_end(args);
        cut(s->lines[row].text, s->cols);
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
        return put(s, row, TOP_TITLE, "%-*.*s%s%s ", s->cols - (int)strlen(s->clock) - 1 - (s->paused ? 8 : 0),
                   s->cols - (int)strlen(s->clock) - 1 - (s->paused ? 8 : 0), left, s->paused ? "paused  " : "",
                   s->clock);
}

/* What needs a person's eye: one line, the worst first. */
static int put_trouble(struct top_screen *s, int row, const json_t *status)
{
        if (s->trouble)
                return put(s, row, TOP_WARN, " %s", s->trouble);
        if (strlen(field_text(status, "fault")) > 1)
                return put(s, row, TOP_WARN, " %s", field_clean(status, "fault").s);
        if (!strcmp(field_text(status, "clock"), "unsynced"))
                return put(s, row, TOP_WARN, " the system clock is not synchronised; readings are marked");
        return put(s, row, TOP_PLAIN, "%s", "");
}

static int put_series(struct top_screen *s, int row, const struct top_history *h, enum top_series series,
                      const char *left)
{
        char spark[TOP_LINE_BYTES];
        double most;

        top_spark(h, series, (unsigned)(s->cols - LEFT), s->utf8, spark, &most);
        return put(s, row, TOP_PLAIN, "%-*.*s%s", LEFT, LEFT, left, spark);
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
        return put(s, row, field_n(status, "dropped") ? TOP_WARN : TOP_PLAIN, "%-*s%s%.20s%s%.20s", LEFT, left,
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
        double most = field_number(status, "spool_max_bytes");
        double share = most > 0 ? field_number(status, "spool_bytes") / most : 0;
        int full = share < 0 ? 0 : share > 1 ? BAR : (int)(share * BAR + 0.5);
        char bar[BAR + 1] = "";

        for (int i = 0; i < BAR; i++)
                bar[i] = i < full ? '#' : '.';
        return put(s, row, share > 0.9 ? TOP_WARN : TOP_PLAIN,
                   " spool   %.12s of %.12s [%s] %.0f %%   flash %.12s today", field_size(status, "spool_bytes").s,
                   field_size(status, "spool_max_bytes").s, bar, share * 100, field_size(flash, "bytes_today").s);
}

static int put_uplink(struct top_screen *s, int row, const json_t *status)
{
        const json_t *up = json_object_get(status, "uplink"), *events = json_object_get(status, "events");
        const json_t *alarms = json_object_get(status, "alarms");
        const char *state = field_text(up, "state");
        bool is_up = !strcmp(state, "up");

        row = put(s, row, is_up ? TOP_PLAIN : TOP_WARN, " kafka   %.12s%s, %s in flight, %s sent again%s%.120s",
                  field_clean(up, "state").s, json_is_true(json_object_get(up, "paused")) ? ", paused" : "",
                  field_count(up, "in_flight", true).s, field_count(up, "retried", true).s, is_up ? "" : ": ",
                  is_up ? "" : field_clean(up, "last_error").s);
        return put(s, row, field_n(alarms, "unacked") ? TOP_WARN : TOP_PLAIN,
                   " alarms  %s active, %s unacknowledged, %s events held   quarantine %s",
                   field_count(alarms, "active", true).s, field_count(alarms, "unacked", true).s,
                   field_count(events, "held", true).s, field_count(status, "quarantined", true).s);
}

static int put_driver(struct top_screen *s, int row, const json_t *d)
{
        bool paused = json_is_true(json_object_get(d, "paused"));
        struct field told = field_clean(d, "state");
        const char *state = paused ? "paused" : told.s;

        return put(s, row, strcmp(state, "up") ? TOP_WARN : TOP_PLAIN, " %-14.14s %-7.7s %-10.10s %13s %8s %9s  %.80s",
                   field_clean(d, "name").s, field_clean(d, "kind").s, state, field_count(d, "readings", true).s,
                   field_count(d, "errors", true).s, field_count(d, "malformed", true).s,
                   field_clean(d, "last_error").s);
}

static int put_drivers(struct top_screen *s, int row, const json_t *status)
{
        const json_t *drivers = json_object_get(status, "drivers");
        int n = (int)json_array_size(drivers), room;

        row = put(s, row, TOP_HEAD, " %-14s %-7s %-10s %13s %8s %9s  %s", "SOURCE", "KIND", "STATE", "READINGS",
                  "ERRORS", "MALFORMED", "LAST ERROR");
        room = s->rows - 1 - row;
        if (room < 1)
                return row;
        s->scroll = s->scroll < 0 || n <= room ? 0 : s->scroll > n - room + 1 ? n - room + 1 : s->scroll;
        if (n > room)
                room--;
        for (int i = s->scroll; i < n && i < s->scroll + room; i++)
                row = put_driver(s, row, json_array_get(drivers, (size_t)i));
        if (n > room)
                row = put(s, row, TOP_PLAIN, " %d to %d of %d, arrows for the others", s->scroll + 1, s->scroll + room,
                          n);
        return row;
}

void top_layout(struct top_screen *s, const json_t *status, const struct top_history *h)
{
        int row;

        s->rows = s->rows < 2 ? 2 : s->rows > TOP_ROWS_MAX ? TOP_ROWS_MAX : s->rows;
        s->cols = s->cols < TOP_COLS_MIN ? TOP_COLS_MIN : s->cols > TOP_COLS_MAX ? TOP_COLS_MAX : s->cols;
        for (int i = 0; i < s->rows; i++)
                s->lines[i] = (struct top_line){.weight = TOP_PLAIN};
        row = put_title(s, 0, status);
        row = put_trouble(s, row, status);
        if (status) {
                row = put_counts(s, row, status, h);
                row = put(s, row, TOP_PLAIN, "%s", "");
                row = put_spool(s, row, status);
                row = put_uplink(s, row, status);
                row = put(s, row, TOP_PLAIN, "%s", "");
                put_drivers(s, row, status);
        }
        put(s, s->rows - 1, TOP_HEAD, " q quit   space pause   arrows scroll   a column of the graphs is %d s",
            TOP_BUCKET_S);
}
