/*
 * status_view: what `millrace status` shows to people.
 *
 * Most important first: is it well, and if not what, since when and what to do;
 * then the numbers, then the sources with their devices.  On a terminal with
 * fewer rows than that the numbers are brief, so that the verdict is still to be
 * seen when it has ended.  Works on the JSON
 * object and not on the daemon's structs, so that the page of a running daemon,
 * of a dead one (made from the file) and the machine-readable form can't
 * disagree.
 *
 * Fails never: the object comes from outside, so every key may be absent or of
 * another type, and shows as "-".
 */
#include "agent/cli/status_view.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/page.h"
#include "agent/cli/status_conditions.h"
#include "agent/cli/status_field.h"
#include "agent/cli/status_sources.h"

enum { BAR_WIDTH = 24, VALUE_AT = 13 };

/*
 * What needs a person's eye and is no condition; of a daemon that has none (an
 * older one), also what would be one.
 */
static void print_notices(struct out *o, const json_t *status, bool told)
{
        const char *on = out_on(o, OUT_YELLOW), *off = out_off(o);

        if (!told && strlen(field_text(status, "fault")) > 1)
                page_words(o, OUT_RED, "  ", 2, field_clean(status, "fault").s);
        if (!told && strcmp(field_text(status, "clock"), "unsynced") == 0)
                fprintf(o->f, "  %sthe system clock is not synchronised; readings are marked%s\n", on, off);
        if (field_n(status, "quarantined") > 0)
                fprintf(o->f, "  %s%s malformed messages since start: millrace spool quarantine%s\n", on,
                        field_count(status, "quarantined", o->terminal).s, off);
        if (field_n(status, "dead_lettered") > 0)
                fprintf(o->f, "  %s%s readings Kafka refused since start: millrace spool dropped%s\n", on,
                        field_count(status, "dead_lettered", o->terminal).s, off);
}

/* What the last reload came to, of a daemon that has no conditions for it. */
static void print_config(struct out *o, const json_t *config)
{
        const char *on = out_on(o, OUT_YELLOW), *off = out_off(o);
        const json_t *faults = json_object_get(config, "faults"), *keys = json_object_get(config, "restart_for");
        bool refused = strcmp(field_text(config, "state"), "refused") == 0;

        if (refused)
                fprintf(o->f, "  %sthe configuration was refused at %s and is not in use: millrace check%s\n", on,
                        field_time(config, "reload_at", o->utc).s, off);
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

/* "2026-11-23 10:00:00Z words"; without a time the words alone. */
static void print_said(struct out *o, const char *head, const json_t *object, const char *words, const char *at)
{
        struct field time = field_time(object, at, o->utc);
        char text[1100];

        snprintf(text, sizeof(text), "%.40s%s%s", strcmp(time.s, "-") ? time.s : "", strcmp(time.s, "-") ? " " : "",
                 field_clean(object, words).s);
        page_words(o, OUT_PLAIN, head, VALUE_AT + 2, text);
}

/* Lanes and the heartbeat, where one has a reason of its own. */
static void print_uplink_faults(struct out *o, const json_t *status)
{
        const json_t *uplink = json_object_get(status, "uplink"), *lanes = json_object_get(uplink, "lanes");
        const json_t *heartbeat = json_object_get(status, "heartbeat");
        const char *fault = field_text(uplink, "last_error"), *why = field_text(heartbeat, "why");
        char head[160];

        if (json_is_array(json_object_get(status, "conditions")))
                return; /* what is wrong stands above */
        if (strlen(fault) > 1)
                print_said(o, "             last error: ", uplink, "last_error", "last_error_at");
        for (size_t i = 0; i < json_array_size(lanes); i++) {
                const json_t *lane = json_array_get(lanes, i);
                const char *words = field_text(lane, "why");

                if (strlen(words) <= 1 || strcmp(words, fault) == 0)
                        continue;
                snprintf(head, sizeof(head), "             %.60s, %.40s held: ", field_clean(lane, "name").s,
                         field_count(lane, "held", o->terminal).s);
                print_said(o, head, lane, "why", "why_at");
        }
        if (strlen(why) > 1 && strcmp(why, fault) != 0)
                print_said(o, "             heartbeat: ", heartbeat, "why", "why_at");
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
        if (json_is_string(json_object_get(uplink, "quiet_until")))
                fprintf(o->f, "             quiet hours until %s: readings wait, events go\n",
                        field_time(uplink, "quiet_until", o->utc).s);
        print_uplink_faults(o, status);
        fprintf(o->f, "  alarms     %s active, %s unacknowledged\n", field_count(alarms, "active", o->terminal).s,
                field_count(alarms, "unacked", o->terminal).s);
        print_tags(o, status);
        fprintf(o->f, "  flash      %s today", field_size(flash, "bytes_today").s);
        if (field_is_number(flash, "bytes_per_reading"))
                fprintf(o->f, ", %.0f bytes per reading", field_number(flash, "bytes_per_reading"));
        fputc('\n', o->f);
}

/* ---- the page ---- */

/* What the parts print; the caller's. */
static char *printed(const struct out *o, const json_t *status, void (*const *parts)(struct out *, const json_t *))
{
        struct out part = *o;
        char *text;
        size_t len;

        part.f = open_memstream(&text, &len);
        BUG_ON(!part.f);
        for (; *parts; parts++)
                (*parts)(&part, status);
        BUG_ON(fclose(part.f) != 0);
        return text;
}

/* The two blocks of numbers: beside each other where there is room. */
static void print_numbers(struct out *o, const json_t *status)
{
        static void (*const counts[])(struct out *, const json_t *) = {print_counts, NULL};
        static void (*const rest[])(struct out *, const json_t *) = {print_spool, print_rest, NULL};
        char *left = printed(o, status, counts), *right = printed(o, status, rest);

        page_beside(o, left, right);
        free(left);
        free(right);
}

/* The same in three lines. */
static void print_numbers_briefly(struct out *o, const json_t *status)
{
        const json_t *uplink = json_object_get(status, "uplink"), *alarms = json_object_get(status, "alarms");
        double most = field_number(status, "spool_usable_bytes");
        bool dropped = field_n(status, "dropped") > 0, held = field_n(status, "held") > 0;
        char text[1200];

        snprintf(text, sizeof(text), "accepted %.30s, delivered %.30s, held %.30s%s%.30s%s, %sdropped %.30s%s",
                 field_count(status, "accepted", true).s, field_count(status, "delivered", true).s,
                 field_count(status, "held", true).s, held ? " (oldest " : "",
                 held ? field_span(status, "oldest_held_age_s").s : "", held ? ")" : "",
                 dropped ? out_on(o, OUT_RED) : "", field_count(status, "dropped", true).s, dropped ? out_off(o) : "");
        fprintf(o->f, "\n  %s\n", text);
        snprintf(text, sizeof(text), "spool %.0f %% full of %.30s; in %.30s, out %.30s; uplink %.30s",
                 most > 0 ? 100 * field_number(status, "held_bytes") / most : 0,
                 field_size(status, "spool_max_bytes").s, field_rate(status, "accept_rate").s,
                 field_rate(status, "deliver_rate").s, field_clean(uplink, "state").s);
        page_words(o, OUT_PLAIN, "  ", 4, text);
        snprintf(text, sizeof(text), "alarms %.30s active, %.30s unacknowledged; flash %.30s today",
                 field_count(alarms, "active", true).s, field_count(alarms, "unacked", true).s,
                 field_size(json_object_get(status, "flash"), "bytes_today").s);
        page_words(o, OUT_PLAIN, "  ", 4, text);
}

static void print_whole(struct out *o, const json_t *status)
{
        print_numbers(o, status);
        status_print_sources(o, json_object_get(status, "drivers"), false);
}

static void print_briefly(struct out *o, const json_t *status)
{
        print_numbers_briefly(o, status);
        status_print_sources(o, json_object_get(status, "drivers"), true);
}

static void print_head(struct out *o, const json_t *status, size_t most)
{
        bool told = json_is_array(json_object_get(status, "conditions"));

        status_print_verdict(o, status);
        status_print_conditions(o, status, most);
        print_notices(o, status, told);
        if (!told)
                print_config(o, json_object_get(status, "config"));
}

static void print_whole_head(struct out *o, const json_t *status)
{
        print_head(o, status, 0);
}

/* Half of the screen. */
static void print_brief_head(struct out *o, const json_t *status)
{
        print_head(o, status, o->rows / 2 > 1 ? o->rows / 2 - 1 : 1);
}

static size_t lines_of(const char *text)
{
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

void status_print(struct out *o, const json_t *status)
{
        static void (*const whole[])(struct out *, const json_t *) = {print_whole_head, print_whole, NULL};
        static void (*const brief[])(struct out *, const json_t *) = {print_brief_head, print_briefly, NULL};
        char *page = printed(o, status, whole);

        if (o->terminal && o->cols && o->rows && lines_of(page) >= o->rows) {
                free(page);
                page = printed(o, status, brief);
        }
        fputs(page, o->f);
        free(page);
}
