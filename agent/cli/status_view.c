/*
 * status_view: what `millrace status` shows to people.
 *
 * One screen, most important first: is it well, what is held and since when, does it drain, then the sources and the
 * uplink.  Works on the JSON object and not on the daemon's structs, so that the page of a running daemon, of a dead one
 * (made from the file) and the machine-readable form can't disagree.
 *
 * Fails never: the object comes from outside, so every key may be absent or of another type, and shows as "-".
 */
#include "agent/cli/status_view.h"

#include <inttypes.h>
#include <string.h>

#include "agent/base/text.h"

enum { BAR_WIDTH = 24, FIELD = 256 };

struct field {
        char s[FIELD];
};

static bool is_number(const json_t *object, const char *key)
{
        return json_is_number(json_object_get(object, key));
}

static double number(const json_t *object, const char *key)
{
        return json_number_value(json_object_get(object, key));
}

static uint64_t count(const json_t *object, const char *key)
{
        const json_t *v = json_object_get(object, key);

        return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
}

static const char *text(const json_t *object, const char *key)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : "-";
}

static struct field clean(const json_t *object, const char *key)
{
        struct field f;

        out_put_clean(f.s, sizeof(f.s), text(object, key));
        return f;
}

static struct field counted(const struct out *o, const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (is_number(object, key))
                out_put_count(f.s, sizeof(f.s), count(object, key), o->terminal);
        return f;
}

static struct field sized(const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (is_number(object, key))
                text_put_size(f.s, sizeof(f.s), count(object, key));
        return f;
}

static struct field span(const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (is_number(object, key) && number(object, key) >= 0 && number(object, key) < 1e12)
                text_put_duration(f.s, sizeof(f.s), (int64_t)(number(object, key) * 1e6));
        return f;
}

static struct field rate(const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (is_number(object, key))
                snprintf(f.s, sizeof(f.s), "%.1f/s", number(object, key));
        return f;
}

static void print_head(struct out *o, const json_t *status)
{
        const char *health = text(status, "health");
        enum out_colour colour = strcmp(health, "ok") == 0         ? OUT_GREEN
                                 : strcmp(health, "degraded") == 0 ? OUT_YELLOW
                                                                   : OUT_RED;
        bool runs = is_number(status, "uptime_s");
        struct field cleaned = clean(status, "health");

        fprintf(o->f, "%s%s%s  gateway %s  epoch %" PRIu64 "  ", out_on(o, colour), cleaned.s, out_off(o),
                clean(status, "gateway").s, count(status, "epoch"));
        if (runs)
                fprintf(o->f, "up %s\n", span(status, "uptime_s").s);
        else
                fprintf(o->f, "not running\n");
}

/* What needs a person's eye, one line each; nothing on a good day. */
static void print_notices(struct out *o, const json_t *status)
{
        const char *on = out_on(o, OUT_YELLOW), *off = out_off(o);

        if (strlen(text(status, "fault")) > 1)
                fprintf(o->f, "  %s%s%s\n", out_on(o, OUT_RED), clean(status, "fault").s, off);
        if (strcmp(text(status, "clock"), "unsynced") == 0)
                fprintf(o->f, "  %sthe system clock is not synchronised; readings are marked%s\n", on, off);
        if (count(status, "quarantined") > 0)
                fprintf(o->f, "  %s%s malformed messages since start: millrace spool quarantine%s\n", on,
                        counted(o, status, "quarantined").s, off);
        if (count(status, "dead_lettered") > 0)
                fprintf(o->f, "  %s%s readings Kafka refused since start: millrace spool dropped%s\n", on,
                        counted(o, status, "dead_lettered").s, off);
}

static void print_counts(struct out *o, const json_t *status)
{
        fprintf(o->f, "\n  accepted   %15s\n", counted(o, status, "accepted").s);
        fprintf(o->f, "  delivered  %15s\n", counted(o, status, "delivered").s);
        fprintf(o->f, "  held       %15s", counted(o, status, "held").s);
        if (count(status, "held") > 0) {
                fprintf(o->f, "  %s", sized(status, "held_bytes").s);
                if (is_number(status, "oldest_held_age_s"))
                        fprintf(o->f, ", the oldest since %s", span(status, "oldest_held_age_s").s);
                if (is_number(status, "drain_eta_s"))
                        fprintf(o->f, ", drained in %s", span(status, "drain_eta_s").s);
        }
        fprintf(o->f, "\n  dropped    %s%15s%s%s\n", count(status, "dropped") ? out_on(o, OUT_RED) : "",
                counted(o, status, "dropped").s, count(status, "dropped") ? out_off(o) : "",
                count(status, "dropped") ? "  why: millrace spool dropped" : "");
}

static void print_bar(struct out *o, double share)
{
        int full = (int)(share * BAR_WIDTH + 0.5);

        full = full < 0 ? 0 : full > BAR_WIDTH ? BAR_WIDTH : full;
        fprintf(o->f, "  [%s", out_on(o, share > 0.9 ? OUT_RED : OUT_GREEN));
        for (int i = 0; i < BAR_WIDTH; i++)
                fputc(i < full ? '#' : '.', o->f);
        fprintf(o->f, "%s]", out_off(o));
}

static void print_spool(struct out *o, const json_t *status)
{
        double most = number(status, "spool_max_bytes");
        double share = most > 0 ? number(status, "spool_bytes") / most : 0;

        fprintf(o->f, "\n  spool      %s", sized(status, "spool_bytes").s);
        if (most > 0) {
                fprintf(o->f, " of %s", sized(status, "spool_max_bytes").s);
                if (o->terminal)
                        print_bar(o, share);
                fprintf(o->f, "  %.0f %%", share * 100);
        }
        fputc('\n', o->f);
}

static void print_rest(struct out *o, const json_t *status)
{
        const json_t *uplink = json_object_get(status, "uplink"), *alarms = json_object_get(status, "alarms");
        const json_t *flash = json_object_get(status, "flash");
        const char *fault = text(uplink, "last_error");

        fprintf(o->f, "  rates      in %s, out %s\n", rate(status, "accept_rate").s, rate(status, "deliver_rate").s);
        fprintf(o->f, "  uplink     %s%s, %s in flight\n", clean(uplink, "state").s,
                json_is_true(json_object_get(uplink, "paused")) ? ", paused" : "", counted(o, uplink, "in_flight").s);
        if (strlen(fault) > 1 && strcmp(text(uplink, "state"), "up") != 0)
                fprintf(o->f, "             last error: %s\n", clean(uplink, "last_error").s);
        fprintf(o->f, "  alarms     %s active, %s unacknowledged\n", counted(o, alarms, "active").s,
                counted(o, alarms, "unacked").s);
        fprintf(o->f, "  flash      %s today", sized(flash, "bytes_today").s);
        if (is_number(flash, "bytes_per_reading"))
                fprintf(o->f, ", %.0f bytes per reading", number(flash, "bytes_per_reading"));
        fputc('\n', o->f);
}

static void print_drivers(struct out *o, const json_t *drivers)
{
        static const struct out_column columns[] = {
                {"name", "SOURCE", OUT_TEXT},    {"kind", "KIND", OUT_TEXT},
                {"state", "STATE", OUT_TEXT},    {"readings", "READINGS", OUT_COUNT},
                {"errors", "ERRORS", OUT_COUNT}, {"last_error", "LAST ERROR", OUT_TEXT},
        };

        if (json_array_size(drivers) == 0)
                return;
        fputc('\n', o->f);
        out_table(o, columns, 6);
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *d = json_array_get(drivers, i);
                bool paused = json_is_true(json_object_get(d, "paused"));
                const char *fault = text(d, "last_error");
                struct out_cell cells[] = {
                        {.text = text(d, "name")},
                        {.text = text(d, "kind")},
                        {.text = paused ? "paused" : text(d, "state")},
                        {.n = count(d, "readings")},
                        {.n = count(d, "errors")},
                        {.text = fault[0] ? fault : "-"},
                };

                out_row(o, cells);
        }
        out_table_end(o);
}

void status_print(struct out *o, const json_t *status)
{
        print_head(o, status);
        print_notices(o, status);
        print_counts(o, status);
        print_spool(o, status);
        print_rest(o, status);
        print_drivers(o, json_object_get(status, "drivers"));
}
