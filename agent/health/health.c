/*
 * health: see health.h.
 *
 * The list is kept in the order in which it is shown, since it is read more
 * often than it changes.  A condition is there from when it was held first; it
 * stands, and is told, when its rule's `after` is over, and ends `linger` after
 * it was held last, so that a thing that comes and goes each second is one
 * condition and not sixty a minute.  One that ends before it stood was never
 * there for anybody.
 *
 * Cannot fail.
 */
#include "agent/health/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

#define S INT64_C(1000000)

const char *const health_severity_names[HEALTH_SEVERITIES] = {
        [HEALTH_NOTICE] = "notice", [HEALTH_DEGRADED] = "degraded", [HEALTH_FAILED] = "failed"};

const struct health_rule health_rules[HEALTH_IDS] = {
        [HEALTH_SPOOL_FAILING] = {"spool_failing", HEALTH_FAILED, 0, 0, true, "Commits do not get through."},
        [HEALTH_SPOOL_FULL] = {"spool_full", HEALTH_DEGRADED, 0, 2 * S, false,
                               "What is held takes all of the spool's room."},
        [HEALTH_SPOOL_FILLING] =
                {"spool_filling", HEALTH_DEGRADED, 0, 0, false,
                 "What is held takes nine tenths of the spool's room, or will take all of it within 12 "
                 "hours."},
        [HEALTH_READINGS_DROPPED] = {"readings_dropped", HEALTH_DEGRADED, 0, 30 * S, true,
                                     "Readings were dropped; the ledger names them."},
        [HEALTH_DISK_SLOW] = {"disk_slow", HEALTH_DEGRADED, 0, 20 * S, false, "A commit takes more than two seconds."},
        [HEALTH_DISK_LOW] = {"disk_low", HEALTH_NOTICE, 5 * S, 10 * S, false,
                             "The file system has less room than the spool may take."},
        [HEALTH_UPLINK_DOWN] = {"uplink_down", HEALTH_DEGRADED, 0, 0, false, "No Kafka broker answers."},
        [HEALTH_UPLINK_CONNECTING] = {"uplink_connecting", HEALTH_DEGRADED, 3 * S, 0, false,
                                      "Readings are held and no Kafka broker has answered yet."},
        [HEALTH_UPLINK_STALLED] = {"uplink_stalled", HEALTH_DEGRADED, 0, 2 * S, false,
                                   "Records are out, and Kafka answers none."},
        [HEALTH_LANE_WAITS] = {"lane_waits", HEALTH_DEGRADED, 0, 2 * S, false, "Kafka does not take a lane's records."},
        [HEALTH_FENCED] = {"fenced", HEALTH_DEGRADED, 0, 2 * S, false,
                           "Another agent sends under this gateway's name; this one waits."},
        [HEALTH_MARK_LOST] = {"mark_lost", HEALTH_NOTICE, 0, 600 * S, false,
                              "Kafka had forgotten how far a lane is; some records may have come twice."},
        [HEALTH_TOPIC_MISSING] = {"topic_missing", HEALTH_DEGRADED, 0, 2 * S, false, "Kafka does not have a topic."},
        [HEALTH_TOPIC_ABSENT] = {"topic_absent", HEALTH_NOTICE, 0, 0, false,
                                 "Kafka does not have a topic that records will need."},
        [HEALTH_HEARTBEAT_REFUSED] = {"heartbeat_refused", HEALTH_DEGRADED, 0, 0, false,
                                      "Kafka does not take the heartbeat."},
        [HEALTH_DEAD_LETTERS] = {"dead_letters", HEALTH_DEGRADED, 0, 600 * S, true,
                                 "Kafka will never take some records; they are kept apart."},
        [HEALTH_SOURCE_DOWN] = {"source_down", HEALTH_DEGRADED, 0, 3 * S, true, "A source is not connected."},
        [HEALTH_SOURCE_CONNECTING] = {"source_connecting", HEALTH_DEGRADED, 5 * S, 0, false,
                                      "A source does not answer yet."},
        [HEALTH_DEVICE_DOWN] = {"device_down", HEALTH_DEGRADED, 0, 0, true, "Devices behind a source do not answer."},
        [HEALTH_SOURCE_FAULT] = {"source_fault", HEALTH_DEGRADED, 0, 5 * S, false,
                                 "A source is connected, and part of it fails."},
        [HEALTH_SOURCE_MALFORMED] = {"source_malformed", HEALTH_NOTICE, 0, 0, false,
                                     "Messages came that could not be read."},
        [HEALTH_SOURCE_PAUSED] = {"source_paused", HEALTH_DEGRADED, 5 * S, 2 * S, false,
                                  "Nothing is taken from a source."},
        [HEALTH_SOURCE_LATE] = {"source_late", HEALTH_NOTICE, 30 * S, 60 * S, false, "A source is asked too often."},
        [HEALTH_SOURCE_REFUSED] = {"source_refused", HEALTH_DEGRADED, 0, 600 * S, true,
                                   "Names came that belong to another item."},
        [HEALTH_TOPIC_SILENT] = {"topic_silent", HEALTH_NOTICE, 0, 0, false, "Nothing has come for a subscription."},
        [HEALTH_TAG_TEXT] = {"tag_text", HEALTH_NOTICE, 0, 600 * S, false, "A tag that was a number is a text now."},
        [HEALTH_NAMES_CHANGED] = {"names_changed", HEALTH_NOTICE, 0, 600 * S, false,
                                  "Names from the wire were changed."},
        [HEALTH_COMMITS_SMALL] = {"commits_small", HEALTH_NOTICE, 60 * S, 60 * S, false,
                                  "A broker's limit of messages in flight makes commits small, which wears the flash."},
        [HEALTH_TAGS_FULL] = {"tags_full", HEALTH_DEGRADED, 0, 10 * S, true, "There is no room for further names."},
        [HEALTH_TAGS_FILLING] = {"tags_filling", HEALTH_NOTICE, 0, 10 * S, true,
                                 "Four fifths of the room for names are used."},
        [HEALTH_NOTIFY_DOWN] = {"notify_down", HEALTH_DEGRADED, 5 * S, 0, false,
                                "Alarms are not told over MQTT, its broker is away."},
        [HEALTH_CONFIG_REFUSED] = {"config_refused", HEALTH_DEGRADED, 0, 0, true,
                                   "The configuration was changed, and is not in use."},
        [HEALTH_CONFIG_PARTLY] = {"config_partly", HEALTH_DEGRADED, 0, 0, true,
                                  "Not all of the configuration is in use."},
        [HEALTH_RESTART_NEEDED] = {"restart_needed", HEALTH_NOTICE, 0, 0, true,
                                   "A changed key is in use after a restart only."},
        [HEALTH_CERTIFICATE_OVER] = {"certificate_over", HEALTH_DEGRADED, 0, 0, false, "A certificate has expired."},
        [HEALTH_CERTIFICATE_SOON] = {"certificate_soon", HEALTH_NOTICE, 0, 0, false,
                                     "A certificate expires within 30 days."},
        [HEALTH_FLASH_OVER] = {"flash_over", HEALTH_NOTICE, 0, 20 * S, false,
                               "More is written than the flash budget says; commits wait longer."},
        [HEALTH_CLOCK_UNSYNCED] = {"clock_unsynced", HEALTH_NOTICE, 2 * S, 2 * S, false,
                                   "The system clock is not synchronised; readings are marked."},
};

void health_fini(struct health *h)
{
        for (size_t i = 0; i < h->n; i++)
                free(h->v[i]);
        free(h->v);
        h->v = NULL;
        h->n = 0;
}

void health_begin(struct health *h, int64_t mono_us)
{
        h->now_us = mono_us;
        h->n_left_out = 0;
        h->worst_left_out = HEALTH_NOTICE;
}

/* ---- the order ---- */

static bool stands_before(const struct health_condition *a, const struct health_condition *b)
{
        enum health_severity of_a = health_rules[a->id].severity, of_b = health_rules[b->id].severity;

        if (of_a != of_b)
                return of_a > of_b;
        return a->since_us < b->since_us;
}

static void put_in_place(struct health *h, size_t i)
{
        struct health_condition *c = h->v[i];

        for (; i && stands_before(c, h->v[i - 1]); i--)
                h->v[i] = h->v[i - 1];
        for (; i + 1 < h->n && stands_before(h->v[i + 1], c); i++)
                h->v[i] = h->v[i + 1];
        h->v[i] = c;
}

static size_t find(const struct health *h, enum health_id id, const char *subject)
{
        size_t i = 0;

        while (i < h->n && (h->v[i]->id != id || strncmp(h->v[i]->subject, subject, HEALTH_SUBJECT_MAX - 1) != 0))
                i++;
        return i;
}

static void end(struct health *h, size_t i)
{
        struct health_condition *c = h->v[i];

        memmove(&h->v[i], &h->v[i + 1], (--h->n - i) * sizeof(struct health_condition *));
        if (c->stands && h->on_change)
                h->on_change(h->ctx, c, false);
        free(c);
}

/*
 * Where all have room but one, the least and youngest gives way to a worse one:
 * five hundred notices hide nothing.
 */
static bool has_room(struct health *h, enum health_id id)
{
        enum health_severity least = h->n ? health_rules[h->v[h->n - 1]->id].severity : HEALTH_NOTICE;

        if (h->n < HEALTH_MOST)
                return true;
        if (health_rules[id].severity <= least)
                return false;
        if (h->v[h->n - 1]->held_us == h->now_us)
                h->n_left_out++; /* it is so, and not seen any more */
        end(h, h->n - 1);
        return true;
}

static struct health_condition *left_out(struct health *h, enum health_id id)
{
        if (h->n_left_out++ == 0 || health_rules[id].severity > h->worst_left_out)
                h->worst_left_out = health_rules[id].severity;
        return &h->spare;
}

struct health_condition *health_hold(struct health *h, enum health_id id, const char *subject, int64_t since_us)
{
        size_t i = find(h, id, subject);
        struct health_condition *c;

        if (i == h->n) {
                if (!has_room(h, id))
                        return left_out(h, id);
                h->v = mem_grow(h->v, h->n + 1, sizeof(struct health_condition *));
                c = h->v[h->n++] = mem_alloc(sizeof(*c));
                c->id = id;
                text_copy(c->subject, sizeof(c->subject), subject);
                c->since_us = since_us ? since_us : h->now_us;
                put_in_place(h, h->n - 1);
        } else {
                c = h->v[i];
                if (since_us && since_us != c->since_us) {
                        c->since_us = since_us;
                        put_in_place(h, i);
                }
        }
        c->held_us = h->now_us;
        return c;
}

struct health_condition *health_find(struct health *h, enum health_id id, const char *subject)
{
        size_t i = find(h, id, subject);

        return i < h->n ? h->v[i] : NULL;
}

void health_let_go(const struct health *h, struct health_condition *c)
{
        c->held_us = h->now_us - health_rules[c->id].linger_us - 1;
}

/*
 * One line: what is in it may come from the wire, and goes to terminals and to
 * the service manager.
 */
static void put_words(char out[HEALTH_WORDS_MAX], const char *fmt, va_list ap)
{
        char raw[HEALTH_WORDS_MAX];

        vsnprintf(raw, sizeof(raw), fmt, ap);
        for (char *at = raw; *at; at++)
                if ((unsigned char)*at < ' ' || *at == 0x7f)
                        *at = ' ';
        text_copy(out, HEALTH_WORDS_MAX, raw);
}

void health_what(struct health_condition *c, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        put_words(c->what, fmt, ap);
        va_end(ap);
}

void health_todo(struct health_condition *c, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        put_words(c->todo, fmt, ap);
        va_end(ap);
}

void health_end(struct health *h)
{
        for (size_t i = 0; i < h->n;) {
                struct health_condition *c = h->v[i];
                const struct health_rule *rule = &health_rules[c->id];

                if (c->held_us != h->now_us && h->now_us - c->held_us >= (c->stands ? rule->linger_us : 0)) {
                        end(h, i);
                        continue;
                }
                i++;
                if (c->stands || c->held_us != h->now_us || h->now_us - c->since_us < rule->after_us)
                        continue;
                c->stands = true;
                if (h->on_change)
                        h->on_change(h->ctx, c, true);
        }
}

/* ---- what stands ---- */

const struct health_condition *health_get(const struct health *h, size_t i)
{
        for (size_t k = 0; k < h->n; k++)
                if (h->v[k]->stands && !i--)
                        return h->v[k];
        return NULL;
}

size_t health_count(const struct health *h)
{
        size_t n = h->n_left_out;

        for (size_t i = 0; i < h->n; i++)
                n += h->v[i]->stands;
        return n;
}

const char *health_verdict(const struct health *h)
{
        const struct health_condition *first = health_get(h, 0);
        enum health_severity worst = h->n_left_out ? h->worst_left_out : HEALTH_NOTICE;

        if (first && health_rules[first->id].severity > worst)
                worst = health_rules[first->id].severity;
        return worst == HEALTH_NOTICE ? "ok" : health_severity_names[worst];
}

void health_by_kind(const struct health *h, unsigned n[HEALTH_IDS])
{
        memset(n, 0, HEALTH_IDS * sizeof(*n));
        for (size_t i = 0; i < h->n; i++)
                n[h->v[i]->id] += h->v[i]->stands;
}
