/*
 * judge_source: each source: its link, its devices, its last error and its
 * names; and the table of all names.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/health/judge.h"

#define S INT64_C(1000000)
enum { NAMED_DEVICES = 3 };

/*
 * "press-3 (no answer), press-4 (no answer) and 2 more"; since when the first
 * is down.
 */
static int64_t name_devices(const struct host_source *s, char *out, size_t cap)
{
        int64_t since_us = 0;
        size_t n = 0, used = 0;

        *out = '\0';
        for (size_t i = 0; i < s->n_devices; i++) {
                const struct host_device *d = &s->devices[i];

                if (!d->down)
                        continue;
                if (!since_us || d->since_us < since_us)
                        since_us = d->since_us;
                if (n++ < NAMED_DEVICES && used < cap)
                        used += (size_t)snprintf(out + used, cap - used, "%s%s (%s)", n > 1 ? ", " : "", d->name,
                                                 d->why);
        }
        if (n > NAMED_DEVICES && used < cap)
                snprintf(out + used, cap - used, " and %zu more", n - NAMED_DEVICES);
        return since_us;
}

static void judge_devices(struct health *h, const struct host_source *s, const char *subject,
                          const struct health_names *names)
{
        char list[HEALTH_WORDS_MAX - 60];
        struct health_names of = *names;
        struct health_condition *at;
        const struct host_device *first = s->devices;
        int64_t since_us;

        if (!s->n_down)
                return;
        while (!first->down)
                first++;
        since_us = name_devices(s, list, sizeof(list));
        at = health_hold(h, HEALTH_DEVICE_DOWN, subject, since_us);
        health_what(at, "%zu of %zu devices %s down: %s", s->n_down, s->n_devices, s->n_down == 1 ? "is" : "are", list);
        of.device = first->name;
        health_way(at, &of, first->why);
}

/* "press-1, …" of a device that is down. */
static bool is_of_a_device_that_is_down(const struct host_source *s, const char *words)
{
        for (size_t i = 0; s->n_down && i < s->n_devices; i++) {
                size_t len = strlen(s->devices[i].name);

                if (s->devices[i].down && !strncmp(words, s->devices[i].name, len) && strchr(",: ", words[len]))
                        return true;
        }
        return false;
}

/*
 * The last error is the device's, which is told.  What is said of another one
 * lingers: both have errors, and only one is the last.
 */
static void leave_to_its_device(struct health *h, const struct host_source *s, const char *subject)
{
        struct health_condition *at = health_find(h, HEALTH_SOURCE_FAULT, subject);

        if (at && is_of_a_device_that_is_down(s, at->what))
                health_let_go(h, at);
}

/* Of registers and of messages that are repaired nothing is kept to look at. */
static bool is_kept(const struct driver *d)
{
        return strcmp(d->ops->kind, "modbus") != 0 && strcmp(d->ops->kind, "syslog") != 0;
}

static void judge_error(struct health *h, const struct host_source *s, const char *subject,
                        const struct health_names *names)
{
        struct health_condition *at;

        if (!*s->d->last_error || s->d->state != DRIVER_UP)
                return;
        if (is_of_a_device_that_is_down(s, s->d->last_error)) {
                leave_to_its_device(h, s, subject);
                return;
        }
        at = health_hold(h, s->error_is_malformed ? HEALTH_SOURCE_MALFORMED : HEALTH_SOURCE_FAULT, subject,
                         s->error_since_us);
        health_what(at, "%s", s->d->last_error);
        if (s->error_is_malformed && s->n_malformed > 1)
                health_what(at, "%s; %" PRIu64 " messages could not be read", s->d->last_error, s->n_malformed);
        if (s->error_is_malformed && is_kept(s->d))
                health_todo(at, "millrace spool quarantine shows what came; then mend the sender or its item in the "
                                "configuration");
        else
                health_way(at, names, s->d->last_error);
}

static void judge_link(struct health *h, const struct host_source *s, const char *subject,
                       const struct health_names *names)
{
        struct health_condition *at;

        if (s->d->state == DRIVER_DOWN || (s->d->state == DRIVER_CONNECTING && s->was_down)) {
                at = health_hold(h, HEALTH_SOURCE_DOWN, subject, s->down_since_us);
                health_what(at, "not connected: %s", *s->d->last_error ? s->d->last_error : "no reason is known");
                health_way(at, names, s->d->last_error);
        } else if (s->d->state == DRIVER_CONNECTING) {
                at = health_hold(h, HEALTH_SOURCE_CONNECTING, subject, s->state_since_us);
                health_what(at, "it does not answer%s%s", *s->d->last_error ? ": " : "", s->d->last_error);
                health_way(at, names, s->d->last_error);
        }
        if (s->d->paused) {
                at = health_hold(h, HEALTH_SOURCE_PAUSED, subject, s->paused_since_us);
                health_what(at, "nothing is taken from it, the spool has no room for more or waits for the disk");
                health_todo(at, "bring Kafka back; or raise spool.max_size, or another spool.when_full than block");
        }
}

/* It rose of late: how long it counts from then on says its rule. */
static bool is_news(const struct health_facts *f, const struct host_rise *r)
{
        return r->at_us && f->now.mono_us - r->at_us < S;
}

static void judge_names(struct health *h, const struct health_facts *f, const struct host_source *s,
                        const char *subject)
{
        const struct tags_item *it = s->tags;
        struct health_condition *at;

        if (is_news(f, &s->mapped)) {
                at = health_hold(h, HEALTH_NAMES_CHANGED, subject, 0);
                health_what(at, "%" PRIu64 " names have characters that names may not have, and were changed",
                            s->d->n_mapped);
                health_todo(at,
                            "nothing, if you can live with them (millrace tags); else name them in the configuration");
        }
        if (is_news(f, &s->owned)) {
                at = health_hold(h, HEALTH_SOURCE_REFUSED, subject, 0);
                health_what(at, "it brings names that belong to another item: %" PRIu64 " messages were refused",
                            it ? it->n_owned : 0);
                health_todo(at, "give one of the two another name; millrace spool quarantine shows which");
        }
        if (!it || it->most == SIZE_MAX || !it->most || it->told == 0)
                return;
        at = health_hold(h, it->told == 2 ? HEALTH_TAGS_FULL : HEALTH_TAGS_FILLING, subject, 0);
        health_what(at, "%zu of %zu tags from the wire are used%s", it->n, it->most,
                    it->told == 2 ? ": messages with further names go to the quarantine" : "");
        health_todo(at, "raise max_tags of this item, or give unused ones back: millrace tags forget --unused-for 30d");
}

static void judge_commits(struct health *h, const struct host_source *s, const char *subject)
{
        struct health_condition *at;

        if (!s->d->commits_window)
                return;
        at = health_hold(h, HEALTH_COMMITS_SMALL, subject, 0);
        health_what(at,
                    "the broker lets only %" PRIu32 " messages be under way, and each %" PRIu32
                    " are a commit of their own, which wears the flash",
                    s->d->commits_window, s->d->commits_window);
        health_todo(at, "max_inflight_messages 1000 in mosquitto.conf; of another broker its limit of messages in "
                        "flight for a client");
}

static void judge_source(struct health *h, const struct health_facts *f, const struct host_source *s)
{
        const struct driver_ops *ops = s->d->ops;
        char subject[HEALTH_SUBJECT_MAX];
        struct health_names names = {.kind = ops->kind, .item = s->d->name, .where = driver_where(s->d)};
        struct health_condition *at;

        snprintf(subject, sizeof(subject), "%s %s", ops->kind, s->d->name);
        judge_link(h, s, subject, &names);
        judge_devices(h, s, subject, &names);
        judge_error(h, s, subject, &names);
        judge_names(h, f, s, subject);
        judge_commits(h, s, subject);
        if (s->late.at_us && f->now.mono_us - s->late.at_us < 20 * S) {
                at = health_hold(h, HEALTH_SOURCE_LATE, subject, 0);
                health_what(at, "it is asked more often than it can answer: %" PRIu64 " polls were skipped",
                            s->d->n_overruns);
                health_todo(at, "longer periods, a faster baud rate, or fewer registers");
        }
}

static void judge_table(struct health *h, const struct health_facts *f)
{
        struct health_condition *at;
        bool full = f->tags.n_wire >= f->tags.most;

        if (f->tags.n_wire < f->tags.most - f->tags.most / 5)
                return;
        at = health_hold(h, full ? HEALTH_TAGS_FULL : HEALTH_TAGS_FILLING, "tags", 0);
        health_what(at, "%zu of %zu tags from the wire are used%s", f->tags.n_wire, f->tags.most,
                    full ? ": messages with further names go to the quarantine" : "");
        health_todo(at, "raise limits.max_tags, or give unused ones back: millrace tags forget --unused-for 30d");
}

void health_judge_sources(struct health *h, const struct health_facts *f)
{
        for (size_t i = 0; i < f->n_sources; i++)
                judge_source(h, f, &f->sources[i]);
        judge_table(h, f);
}
