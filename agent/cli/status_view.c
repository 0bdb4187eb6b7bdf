/*
 * status_view: what `millrace status` shows to people.
 *
 * One screen, most important first: is it well, what is held and since when,
 * does it drain, then the sources and the uplink.  Works on the JSON object and
 * not on the daemon's structs, so that the page of a running daemon, of a dead
 * one (made from the file) and the machine-readable form can't disagree.
 *
 * Fails never: the object comes from outside, so every key may be absent or of
 * another type, and shows as "-".
 */
#include "agent/cli/status_view.h"

#include <inttypes.h>
#include <string.h>

#include "agent/cli/status_field.h"

enum { BAR_WIDTH = 24 };

static void print_head(struct out *o, const json_t *status)
{
        const char *health = field_text(status, "health");
        enum out_colour colour = strcmp(health, "ok") == 0         ? OUT_GREEN
                                 : strcmp(health, "degraded") == 0 ? OUT_YELLOW
                                                                   : OUT_RED;
        bool runs = field_is_number(status, "uptime_s");
        struct field cleaned = field_clean(status, "health");

        fprintf(o->f, "%s%s%s  gateway %s  epoch %" PRIu64 "  ", out_on(o, colour), cleaned.s, out_off(o),
                field_clean(status, "gateway").s, field_n(status, "epoch"));
        if (runs)
                fprintf(o->f, "up %s\n", field_span(status, "uptime_s").s);
        else
                fprintf(o->f, "not running\n");
}

/* What needs a person's eye, one line each; nothing on a good day. */
static void print_notices(struct out *o, const json_t *status)
{
        const char *on = out_on(o, OUT_YELLOW), *off = out_off(o);

        if (strlen(field_text(status, "fault")) > 1)
                fprintf(o->f, "  %s%s%s\n", out_on(o, OUT_RED), field_clean(status, "fault").s, off);
        if (strcmp(field_text(status, "clock"), "unsynced") == 0)
                fprintf(o->f, "  %sthe system clock is not synchronised; readings are marked%s\n", on, off);
        if (field_n(status, "quarantined") > 0)
                fprintf(o->f, "  %s%s malformed messages since start: millrace spool quarantine%s\n", on,
                        field_count(status, "quarantined", o->terminal).s, off);
        if (field_n(status, "dead_lettered") > 0)
                fprintf(o->f, "  %s%s readings Kafka refused since start: millrace spool dropped%s\n", on,
                        field_count(status, "dead_lettered", o->terminal).s, off);
}

/* What the last reload came to, when somebody has to do something about it. */
static void print_config(struct out *o, const json_t *config)
{
        const char *on = out_on(o, OUT_YELLOW), *off = out_off(o);
        const json_t *faults = json_object_get(config, "faults"), *keys = json_object_get(config, "restart_for");
        bool refused = strcmp(field_text(config, "state"), "refused") == 0;

        if (refused)
                fprintf(o->f, "  %sthe configuration was refused at %s and is not in use: millrace check%s\n", on,
                        field_clean(config, "reload_at").s, off);
        else if (json_array_size(faults) > 0)
                fprintf(o->f, "  %snot all of the configuration is in use: the log names what is missing%s\n", on, off);
        for (size_t i = 0; i < json_array_size(keys); i++) {
                const char *key = json_string_value(json_array_get(keys, i));
                struct field cleaned;

                out_put_clean(cleaned.s, sizeof(cleaned.s), key ? key : "-");
                fprintf(o->f, "  %srestart for the new value of %s%s\n", on, cleaned.s, off);
        }
}

static void print_counts(struct out *o, const json_t *status)
{
        fprintf(o->f, "\n  accepted   %15s\n", field_count(status, "accepted", o->terminal).s);
        fprintf(o->f, "  delivered  %15s\n", field_count(status, "delivered", o->terminal).s);
        fprintf(o->f, "  held       %15s", field_count(status, "held", o->terminal).s);
        if (field_n(status, "held") > 0) {
                fprintf(o->f, "  %s", field_size(status, "held_bytes").s);
                if (field_is_number(status, "oldest_held_age_s"))
                        fprintf(o->f, ", the oldest since %s", field_span(status, "oldest_held_age_s").s);
                if (field_is_number(status, "drain_eta_s"))
                        fprintf(o->f, ", drained in %s", field_span(status, "drain_eta_s").s);
        }
        fprintf(o->f, "\n  dropped    %s%15s%s%s\n", field_n(status, "dropped") ? out_on(o, OUT_RED) : "",
                field_count(status, "dropped", o->terminal).s, field_n(status, "dropped") ? out_off(o) : "",
                field_n(status, "dropped") ? "  why: millrace spool dropped" : "");
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
        double most = field_number(status, "spool_usable_bytes");
        double share = most > 0 ? field_number(status, "held_bytes") / most : 0;

        fprintf(o->f, "\n  spool      %s", field_size(status, "spool_bytes").s);
        if (field_number(status, "spool_max_bytes") > 0)
                fprintf(o->f, " of %s", field_size(status, "spool_max_bytes").s);
        if (most > 0) {
                if (o->terminal)
                        print_bar(o, share);
                fprintf(o->f, "  %.0f %% full", share * 100);
        }
        fputc('\n', o->f);
}

/* "2026-11-23T10:00:00Z words"; without a time the words alone. */
static struct field said(const json_t *object, const char *words, const char *at)
{
        const char *time = json_string_value(json_object_get(object, at));
        struct field out, cleaned;
        char text[sizeof(out.s)];

        snprintf(text, sizeof(text), "%.19s%s%.230s", time ? time : "", time ? "Z " : "", field_text(object, words));
        out_put_clean(cleaned.s, sizeof(cleaned.s), text);
        return cleaned;
}

/* Lanes and the heartbeat, where one has a reason of its own. */
static void print_uplink_faults(struct out *o, const json_t *status)
{
        const json_t *uplink = json_object_get(status, "uplink"), *lanes = json_object_get(uplink, "lanes");
        const json_t *heartbeat = json_object_get(status, "heartbeat");
        const char *fault = field_text(uplink, "last_error"), *why = field_text(heartbeat, "why");

        if (strlen(fault) > 1)
                fprintf(o->f, "             last error: %s\n", said(uplink, "last_error", "last_error_at").s);
        for (size_t i = 0; i < json_array_size(lanes); i++) {
                const json_t *lane = json_array_get(lanes, i);
                const char *words = field_text(lane, "why");

                if (strlen(words) > 1 && strcmp(words, fault) != 0)
                        fprintf(o->f, "             %s, %s held: %s\n", field_clean(lane, "name").s,
                                field_count(lane, "held", o->terminal).s, said(lane, "why", "why_at").s);
        }
        if (strlen(why) > 1 && strcmp(why, fault) != 0)
                fprintf(o->f, "             heartbeat: %s\n", said(heartbeat, "why", "why_at").s);
}

/* The table, and items that are near their share. */
static void print_tags(struct out *o, const json_t *status)
{
        const json_t *table = json_object_get(status, "tag_table"), *drivers = json_object_get(status, "drivers");

        if (!field_is_number(table, "max"))
                return;
        fprintf(o->f, "  tags       %s known", field_count(table, "known", o->terminal).s);
        fprintf(o->f, ", %s of %s from the wire\n", field_count(table, "from_wire", o->terminal).s,
                field_count(table, "max", o->terminal).s);
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *d = json_array_get(drivers, i);

                if (!field_is_number(d, "max_tags") || field_number(d, "tags") < 0.8 * field_number(d, "max_tags"))
                        continue;
                fprintf(o->f, "             %s %s: %s", field_clean(d, "kind").s, field_clean(d, "name").s,
                        field_count(d, "tags", o->terminal).s);
                fprintf(o->f, " of %s (max_tags)\n", field_count(d, "max_tags", o->terminal).s);
        }
}

static void print_rest(struct out *o, const json_t *status)
{
        const json_t *uplink = json_object_get(status, "uplink"), *alarms = json_object_get(status, "alarms");
        const json_t *flash = json_object_get(status, "flash");

        fprintf(o->f, "  rates      in %s, out %s\n", field_rate(status, "accept_rate").s,
                field_rate(status, "deliver_rate").s);
        fprintf(o->f, "  uplink     %s%s, %s in flight\n", field_clean(uplink, "state").s,
                json_is_true(json_object_get(uplink, "paused")) ? ", paused" : "",
                field_count(uplink, "in_flight", o->terminal).s);
        print_uplink_faults(o, status);
        fprintf(o->f, "  alarms     %s active, %s unacknowledged\n", field_count(alarms, "active", o->terminal).s,
                field_count(alarms, "unacked", o->terminal).s);
        print_tags(o, status);
        fprintf(o->f, "  flash      %s today", field_size(flash, "bytes_today").s);
        if (field_is_number(flash, "bytes_per_reading"))
                fprintf(o->f, ", %.0f bytes per reading", field_number(flash, "bytes_per_reading"));
        fputc('\n', o->f);
}

/* What came over a bus that was not the answer. */
static void print_odd(struct out *o, const json_t *drivers)
{
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *d = json_array_get(drivers, i);
                struct field odd = field_odd(d);

                if (odd.s[0])
                        fprintf(o->f, "  %s: %s%s\n", field_clean(d, "name").s, odd.s,
                                field_n(d, "garbage") ? " bytes" : "");
        }
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
                const char *fault = field_text(d, "last_error");
                struct field told = said(d, "last_error", "last_error_at");
                char state[48];
                struct out_cell cells[] = {
                        {.text = field_text(d, "name")},
                        {.text = field_text(d, "kind")},
                        {.text = state},
                        {.n = field_n(d, "readings")},
                        {.n = field_n(d, "errors")},
                        {.text = fault[0] ? told.s : "-"},
                };

                if (!paused && field_is_number(d, "load"))
                        snprintf(state, sizeof(state), "%.30s, load %.0f %%", field_text(d, "state"),
                                 100 * field_number(d, "load"));
                else
                        snprintf(state, sizeof(state), "%.30s", paused ? "paused" : field_text(d, "state"));
                out_row(o, cells);
        }
        out_table_end(o);
        print_odd(o, drivers);
}

void status_print(struct out *o, const json_t *status)
{
        print_head(o, status);
        print_notices(o, status);
        print_config(o, json_object_get(status, "config"));
        print_counts(o, status);
        print_spool(o, status);
        print_rest(o, status);
        print_drivers(o, json_object_get(status, "drivers"));
}
