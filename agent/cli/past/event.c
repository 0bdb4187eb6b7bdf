/*
 * event: see event.h.
 *
 * A table of kinds, each with the function that makes its words.  What begins
 * and ends is found by its key: the kind and whom it is about; of an alarm its
 * activation.  Fails never: what is not there is left out.
 */
#include "agent/cli/past/event.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

static const char *text_of(const json_t *o, const char *key)
{
        const char *s = json_string_value(json_object_get(o, key));

        return s ? s : "";
}

static double number_of(const json_t *o, const char *key)
{
        return json_number_value(json_object_get(o, key));
}

static long long count_of(const json_t *o, const char *key)
{
        double n = number_of(o, key);

        return n > -9e15 && n < 9e15 ? (long long)n : 0;
}

static bool is(const char *s, const char *word)
{
        return strcmp(s, word) == 0;
}

static void subject(struct past_event *v, const char *s)
{
        text_copy(v->subject, sizeof(v->subject), *s ? s : "gateway");
}

static void say(struct past_event *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct past_event *v, const char *fmt, ...)
{
        char words[2 * PAST_WORDS];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(words, sizeof(words), fmt, ap);
        va_end(ap);
        text_copy(v->what, sizeof(v->what), words);
}

/* " (why)", or nothing. */
static const char *behind(char *buf, size_t cap, const char *before, const char *s, const char *after)
{
        snprintf(buf, cap, "%s%s%s", *s ? before : "", s, *s ? after : "");
        return buf;
}

static void edge(struct past_event *v, bool began, bool ended)
{
        v->edge = began ? PAST_BEGAN : ended ? PAST_ENDED : PAST_POINT;
}

static void lasted(struct past_event *v, const json_t *o, const char *key, double us)
{
        double n = number_of(o, key);

        if (json_is_number(json_object_get(o, key)) && n >= 0 && n * us < 9e18)
                v->duration_us = (int64_t)(n * us);
}

/* ---- the kinds ---- */

static void read_agent(struct past_event *v, const json_t *o)
{
        char version[80];

        subject(v, "millraced");
        v->starts = is(text_of(o, "state"), "started");
        v->stops = is(text_of(o, "state"), "stopping");
        edge(v, v->stops, v->starts);
        say(v, "%s%s",
            v->starts  ? "started"
            : v->stops ? "ended on request"
                       : text_of(o, "state"),
            behind(version, sizeof(version), ", version ", text_of(o, "version"), ""));
}

static void read_books(struct past_event *v, const json_t *o)
{
        subject(v, "spool");
        say(v, "accepted %lld, delivered %lld, held %lld, dropped %lld", count_of(o, "accepted"),
            count_of(o, "delivered"), count_of(o, "held"), count_of(o, "dropped"));
}

static void read_condition(struct past_event *v, const json_t *o)
{
        /* Told by themselves as link, device, uplink, spool_fault, config, tag_limit, dropped. */
        static const char *const echoes[] = {"uplink_down",    "source_down", "device_down",  "spool_failing",
                                             "config_refused", "tags_full",   "tags_filling", "readings_dropped"};
        const char *state = text_of(o, "state"), *name = text_of(o, "name");

        subject(v, text_of(o, "subject"));
        snprintf(v->key, sizeof(v->key), "condition %.64s %s", name, v->subject);
        edge(v, is(state, "began"), is(state, "ended"));
        lasted(v, o, "duration_s", 1e6);
        say(v, "%s%s", v->edge == PAST_ENDED ? "over: " : "", *text_of(o, "what") ? text_of(o, "what") : name);
        if (v->edge != PAST_ENDED)
                text_copy(v->todo, sizeof(v->todo), text_of(o, "todo"));
        for (size_t i = 0; i < sizeof(echoes) / sizeof(*echoes); i++)
                v->echo |= is(name, echoes[i]);
}

static void read_link(struct past_event *v, const json_t *o)
{
        const char *state = text_of(o, "state");
        char why[400];

        subject(v, text_of(o, "driver"));
        edge(v, is(state, "down"), is(state, "up") || is(state, "removed"));
        lasted(v, o, "down_for_ms", 1e3);
        if (v->edge == PAST_ENDED)
                say(v, "%s", is(state, "up") ? "connected again" : "taken out of the configuration");
        else
                say(v, "not connected%s", behind(why, sizeof(why), ": ", text_of(o, "why"), ""));
}

static void read_device(struct past_event *v, const json_t *o)
{
        const char *state = text_of(o, "state");
        char why[400], bus[100];

        subject(v, text_of(o, "source"));
        edge(v, is(state, "down"), !is(state, "down"));
        snprintf(v->key, sizeof(v->key), "device %.64s %s", text_of(o, "driver"), v->subject);
        say(v, "%s%s%s",
            v->edge == PAST_BEGAN    ? "does not answer"
            : is(state, "up")        ? "answers again"
            : is(state, "forgotten") ? "forgotten with its tags"
                                     : state,
            behind(bus, sizeof(bus), " (", text_of(o, "driver"), ")"),
            behind(why, sizeof(why), ": ", v->edge == PAST_BEGAN ? text_of(o, "why") : "", ""));
}

static void read_uplink(struct past_event *v, const json_t *o)
{
        bool up = is(text_of(o, "state"), "up");
        char why[400];

        subject(v, "kafka");
        edge(v, !up, up);
        say(v, "%s%s", up ? "takes records" : "away", behind(why, sizeof(why), ": ", up ? "" : text_of(o, "why"), ""));
}

static void read_pressure(struct past_event *v, const json_t *o)
{
        bool high = is(text_of(o, "state"), "high");

        subject(v, "spool");
        edge(v, high, !high);
        say(v, "%s",
            !high                                        ? "what is held fits again"
            : json_is_true(json_object_get(o, "paused")) ? "over 90 % of what fits is held; sources are paused"
                                                         : "over 90 % of what fits is held");
}

static void read_fault(struct past_event *v, const json_t *o)
{
        bool failing = is(text_of(o, "state"), "failing");
        char why[400];

        subject(v, "spool");
        edge(v, failing, !failing);
        say(v, "%s%s", failing ? "nothing can be written" : "written again",
            behind(why, sizeof(why), ": ", failing ? text_of(o, "why") : "", ""));
}

static void read_dropped(struct past_event *v, const json_t *o)
{
        subject(v, "spool");
        say(v, "%lld reading%s dropped (%s), seq %lld to %lld", count_of(o, "n"), count_of(o, "n") == 1 ? "" : "s",
            text_of(o, "reason"), count_of(o, "first_seq"), count_of(o, "last_seq"));
}

static void read_clock(struct past_event *v, const json_t *o)
{
        subject(v, "clock");
        if (fabs(number_of(o, "step_ms")) < 4e12) /* a century */
                v->step_us = (int64_t)(number_of(o, "step_ms") * 1e3);
        say(v, "set by %+.3f s%s", number_of(o, "step_ms") / 1e3,
            json_is_true(json_object_get(o, "repaired")) ? "; what was held is moved by it" : "");
}

static void read_config(struct past_event *v, const json_t *o)
{
        bool refused = is(text_of(o, "state"), "refused");
        char why[400], changed[320], restart[220];

        subject(v, "configuration");
        edge(v, refused, !refused);
        if (refused)
                say(v, "refused, the one before goes on%s", behind(why, sizeof(why), ": ", text_of(o, "why"), ""));
        else
                say(v, "read again%s%s", behind(changed, sizeof(changed), "; changed: ", text_of(o, "changed"), ""),
                    behind(restart, sizeof(restart), "; a restart is needed for ", text_of(o, "restart_for"), ""));
        if (refused)
                text_copy(v->todo, sizeof(v->todo), "millrace check, mend it, then systemctl reload millrace");
}

static void read_pause(struct past_event *v, const json_t *o)
{
        subject(v, text_of(o, "driver"));
        v->edge = PAST_ENDED;
        lasted(v, o, "duration_ms", 1e3);
        say(v, "was paused, as nothing more could be taken");
}

static void read_tag(struct past_event *v, const json_t *o)
{
        say(v, "its unit is '%s' now, it was '%s'", text_of(o, "new_unit"), text_of(o, "old_unit"));
}

static void read_tag_limit(struct past_event *v, const json_t *o)
{
        bool normal = is(text_of(o, "state"), "normal");

        subject(v, *text_of(o, "driver") ? text_of(o, "driver") : "tags");
        edge(v, !normal, normal);
        say(v, "%lld of %lld tags from the wire (%s)%s", count_of(o, "n"), count_of(o, "most"), text_of(o, "key"),
            is(text_of(o, "state"), "full") ? "; messages with further names go to the quarantine" : "");
}

static void read_refused(struct past_event *v, const json_t *o)
{
        subject(v, text_of(o, "source"));
        say(v, "%lld message%s of %s refused: the name belongs to %s", count_of(o, "n"),
            count_of(o, "n") == 1 ? "" : "s", text_of(o, "driver"), text_of(o, "owner"));
}

static void read_forgotten(struct past_event *v, const json_t *o)
{
        subject(v, "tags");
        say(v, "an operator gave back %lld", count_of(o, "n"));
}

static void read_rescue(struct past_event *v, const json_t *o)
{
        char file[300], stopped[200];

        subject(v, "spool");
        say(v, "begun anew: %lld readings and %lld events carried over, %lld lost%s%s", count_of(o, "readings"),
            count_of(o, "events"), count_of(o, "lost"),
            behind(stopped, sizeof(stopped), "; ", text_of(o, "stopped"), ""),
            behind(file, sizeof(file), "; the old file is ", text_of(o, "file"), ""));
}

static void read_damaged(struct past_event *v, const json_t *o)
{
        (void)o;
        say(v, "what it said was damaged in the spool's file");
}

static void read_group(struct past_event *v, const json_t *o)
{
        subject(v, "alarms");
        say(v, "a flood: %lld activated, %lld returned%s%s", count_of(o, "activated"), count_of(o, "returned"),
            *text_of(o, "worst_source") ? "; worst " : "", text_of(o, "worst_source"));
        if (*text_of(o, "worst_tag"))
                snprintf(v->what + strlen(v->what), sizeof(v->what) - strlen(v->what), "/%s", text_of(o, "worst_tag"));
}

static void read_alarm(struct past_event *v, const json_t *o)
{
        const char *state = text_of(o, "state"), *limit_kind = text_of(o, "limit_kind");
        char by[200], comment[300], value[64] = "", limit[64] = "";

        snprintf(v->key, sizeof(v->key), "alarm %s", text_of(o, "event_id"));
        edge(v, is(state, "active"), is(state, "returned"));
        if (json_is_number(json_object_get(o, "value")))
                snprintf(value, sizeof(value), " at %.6g", number_of(o, "value"));
        if (json_is_number(json_object_get(o, "limit")))
                snprintf(limit, sizeof(limit), ", limit %.6g", number_of(o, "limit"));
        say(v, "%s%s (%s%s%s%s)%s%s", state, value, text_of(o, "rule"), *limit_kind ? "." : "", limit_kind, limit,
            behind(by, sizeof(by), " by ", text_of(o, "operator"), ""),
            behind(comment, sizeof(comment), ": ", text_of(o, "comment"), ""));
        if (v->edge == PAST_ENDED) /* its own severity is of what is over */
                v->severity = 100;
}

static const struct kind {
        const char *name;
        void (*read)(struct past_event *v, const json_t *o);
} kinds[] = {
        {"agent", read_agent},
        {"alarm", read_alarm},
        {"alarm_group", read_group},
        {"books", read_books},
        {"clock", read_clock},
        {"condition", read_condition},
        {"config", read_config},
        {"damaged", read_damaged},
        {"device", read_device},
        {"dropped", read_dropped},
        {"link", read_link},
        {"pause", read_pause},
        {"source_refused", read_refused},
        {"spool_fault", read_fault},
        {"spool_pressure", read_pressure},
        {"spool_rescue", read_rescue},
        {"tag", read_tag},
        {"tag_limit", read_tag_limit},
        {"tags_forgotten", read_forgotten},
        {"uplink", read_uplink},
};

const char *past_kind(size_t i)
{
        return i < sizeof(kinds) / sizeof(*kinds) ? kinds[i].name : NULL;
}

/* Of a kind that came later: all that it says. */
static void read_other(struct past_event *v, const json_t *o)
{
        char *all = json_dumps(o, JSON_COMPACT);

        subject(v, *text_of(o, "subject") ? text_of(o, "subject") : text_of(o, "driver"));
        text_copy(v->what, sizeof(v->what), all ? all : "");
        free(all);
}

static json_t *parse(const struct spool_query_row *row)
{
        size_t len = row->r.type == READING_TEXT ? row->r.len : 0;
        char *text = mem_alloc(len + 3);
        json_t *o;

        text[0] = '{';
        if (len)
                memcpy(text + 1, row->r.v.text, len);
        text[len + 1] = '}';
        o = json_loadb(text, len + 2, JSON_ALLOW_NUL, NULL);
        free(text);
        return o ? o : json_object();
}

void past_read(struct past_event *v, const struct spool_query_row *row, json_t **members)
{
        void (*read)(struct past_event * v, const json_t *o) = read_other;
        char ident[TAGS_IDENT_MAX + 1];
        json_t *o = parse(row);

        *v = (struct past_event){.ts_us = row->r.ts_us, .seq = row->seq, .severity = row->severity, .duration_us = -1};
        text_copy(v->kind, sizeof(v->kind), row->kind);
        subject(v, text_of(o, "source"));
        if (*row->source) {
                tags_put_ident(ident, row->name, row->labels);
                text_format(v->subject, sizeof(v->subject), "%s/%s", row->source, ident);
        }
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
                if (is(kinds[i].name, v->kind))
                        read = kinds[i].read;
        read(v, o);
        if (!*v->key)
                snprintf(v->key, sizeof(v->key), "%s %s", v->kind, v->subject);
        if (members)
                *members = o;
        else
                json_decref(o);
}

void past_put_duration(char *out, size_t cap, int64_t us)
{
        if (us < 10000000)
                snprintf(out, cap, "%.1fs", (double)us / 1e6);
        else
                text_put_duration(out, cap, us);
}
