/*
 * session: see session.h.
 *
 * With 3.1.1 every subscribe brings the retained messages again, so a session
 * that has our subscriptions is left alone.  Whether it has can only be known
 * by the SUBACK of this process: a connection that broke before its CONNACK was
 * read may have made a new session, which the next CONNACK calls "present".
 *
 * What the configuration does not name any more would come for as long as the
 * session lives, so a driver that follows another one unsubscribes from it.
 *
 * Fails: a refused subscription is an error of the driver, and is asked for
 * again on the next connection.
 */
#include "drivers/mqtt/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"

static const struct mqtt_conf *conf_of(const struct mqtt_session *s)
{
        return s->d->conf;
}

void mqtt_session_init(struct mqtt_session *s, struct driver *d, const struct mqtt_intake *in, const char *scope)
{
        *s = (struct mqtt_session){.d = d, .scope = scope, .n_filters = (int)in->n_subs};
        s->filters = mem_alloc((in->n_subs + 1) * sizeof(*s->filters));
        for (size_t i = 0; i < in->n_subs; i++)
                s->filters[i] = in->subs[i].pattern.filter;
}

static void forget_left(struct mqtt_session *s)
{
        while (s->n_left)
                free(s->left[--s->n_left]);
}

void mqtt_session_fini(struct mqtt_session *s)
{
        forget_left(s);
        free(s->left);
        free(s->filters);
}

/* ---- the one before ---- */

static void leave(struct mqtt_session *s, const char *filter)
{
        for (int i = 0; i < s->n_filters; i++)
                if (!strcmp(s->filters[i], filter))
                        return;
        s->left = mem_grow(s->left, (size_t)s->n_left + 1, sizeof(*s->left));
        s->left[s->n_left++] = mem_strdup(filter);
}

bool mqtt_session_same_filters(const struct mqtt_session *s, const struct mqtt_session *before)
{
        bool same = s->n_filters == before->n_filters;

        for (int i = 0; same && i < s->n_filters; i++)
                same = !strcmp(s->filters[i], before->filters[i]);
        return same;
}

void mqtt_session_inherit(struct mqtt_session *s, const struct mqtt_session *before, bool same)
{
        s->subscribed = before->subscribed && same;
        for (int i = 0; i < before->n_filters; i++)
                leave(s, before->filters[i]);
        for (int i = 0; i < before->n_left; i++)
                leave(s, before->left[i]);
}

/* ---- at the broker ---- */

void mqtt_session_accepted(struct mqtt_session *s, struct mqtt_link *l, bool session_present)
{
        s->subscribed = s->subscribed && session_present;
        if (s->n_left && mqtt_link_unsubscribe(l, s->n_left, s->left))
                log_error(s->scope, "unsubscribing fails: %s", mqtt_link_why(l));
        forget_left(s);
        if (s->n_filters == 0 || (s->subscribed && conf_of(s)->protocol == MQTT_V311))
                return;
        if (mqtt_link_subscribe(l, s->n_filters, s->filters, (int)conf_of(s)->qos))
                log_error(s->scope, "subscribing fails: %s", mqtt_link_why(l));
}

void mqtt_session_granted(struct mqtt_session *s, int n, const int *granted)
{
        struct driver *d = s->d;

        s->subscribed = true;
        for (int i = 0; i < n && i < s->n_filters; i++) {
                if (granted[i] < 128)
                        continue;
                s->subscribed = false;
                d->n_errors++;
                d->error_stands = true;
                snprintf(d->last_error, sizeof(d->last_error), "the broker refuses the subscription of %s",
                         s->filters[i]);
                log_error(s->scope, "%s (reason %d): not allowed for this user?", d->last_error, granted[i]);
        }
}

void mqtt_session_doubt(struct mqtt_session *s)
{
        s->subscribed = false;
}
