/*
 * stray: subscriptions that the session at the broker has, and nobody asked for
 * in this life: what was taken out of the configuration while we were stopped,
 * or another program's under our client id.  They would bring messages for as
 * long as the session lives.
 *
 * MQTT has no way to ask what a session has, and nothing is kept here that could
 * be lost or be another one's: the topic that comes tells.  There are 3 * 2^n - 1
 * filters that match a topic of n levels; the broker is told to forget all of
 * them but those that are asked for.  What it has queued until then still comes,
 * each of which would start it anew, so the pauses grow.
 *
 * Fails: a topic of more than MQTT_STRAY_LEVELS or MQTT_STRAY_BYTES, whose
 * filters would fill the memory, is only told in the log.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "drivers/mqtt/session.h"

enum { PAUSE_US = 1000000, PAUSES_MOST = 300 };

/* ---- the filters of a topic ---- */

static size_t count_levels(const char *topic)
{
        size_t n = 1;

        for (; *topic; topic++)
                n += *topic == '/';
        return n;
}

/* So many levels of it, each of which has its bit in `wild` as a +. */
static char *put_levels(char *out, const char *topic, size_t n, size_t wild)
{
        for (size_t i = 0; i < n; i++, topic += *topic == '/') {
                size_t len = strcspn(topic, "/");

                if (i)
                        *out++ = '/';
                if (wild >> i & 1) {
                        *out++ = '+';
                } else {
                        memcpy(out, topic, len);
                        out += len;
                }
                topic += len;
        }
        return out;
}

size_t mqtt_stray_count(const char *topic)
{
        size_t n = count_levels(topic);

        return n <= MQTT_STRAY_LEVELS && strlen(topic) <= MQTT_STRAY_BYTES ? ((size_t)3 << n) - 1 : 0;
}

void mqtt_stray_filter(const char *topic, size_t i, char *out)
{
        size_t n = count_levels(topic), n_levels = 0;

        if (i < (size_t)1 << n) {
                *put_levels(out, topic, n, i) = '\0';
                return;
        }
        for (i -= (size_t)1 << n; i >= (size_t)1 << n_levels; n_levels++)
                i -= (size_t)1 << n_levels;
        out = put_levels(out, topic, n_levels, i);
        strcpy(out, n_levels ? "/#" : "#");
}

/* ---- at the broker ---- */

static int forget(struct mqtt_session *s, struct mqtt_link *l, const char *topic)
{
        char *filter = mem_alloc(strlen(topic) + MQTT_STRAY_ROOM);
        size_t n = mqtt_stray_count(topic);
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i++) {
                mqtt_stray_filter(topic, i, filter);
                if (mqtt_filter_covers(filter, topic) && !mqtt_session_asks(s, filter))
                        rc = mqtt_link_unsubscribe(l, 1, &filter, &s->stray_mid);
        }
        free(filter);
        return rc;
}

void mqtt_session_stray(struct mqtt_session *s, struct mqtt_link *l, const char *topic, int64_t mono_us)
{
        char shown[101];

        if (s->stray_mid || mono_us < s->stray_after_us || (s->joined && mqtt_filters_bring(s->filters, topic)))
                return;
        s->n_strays += s->n_strays < PAUSES_MOST;
        s->stray_after_us = mono_us + s->n_strays * (int64_t)PAUSE_US;
        text_copy(shown, sizeof(shown), topic);
        if (!mqtt_stray_count(topic))
                log_warn(s->scope,
                         "%s comes, and no subscription is for it: our session at the broker is older, and has "
                         "subscriptions that can't be found; another client_id of the item is a new session",
                         shown);
        else if (forget(s, l, topic) == 0)
                log_notice(s->scope,
                           "%s comes, and no subscription is for it: our session at the broker is older, and is told "
                           "to forget what brings it",
                           shown);
}
