/*
 * session: see session.h.
 *
 * With 3.1.1 every subscribe brings the retained messages again, so a session
 * that has our subscriptions is left alone.  Whether it has can only be known
 * by the SUBACK of this process: a connection that broke before its CONNACK was
 * read may have made a new session, which the next CONNACK calls "present".
 *
 * Of subscriptions that have topics in common the broker is asked for the
 * widest only, and the intake gives each message to all it is for: whether a
 * broker sends a message once or once for each subscription is left to it
 * (3.3.4), and the copies can't be told apart.  A narrower one may be in a
 * session from before, so it is unsubscribed from.
 *
 * What the configuration does not name any more would come for as long as the
 * session lives, so a driver that follows another one unsubscribes from it.
 *
 * Fails: a refused subscription is an error of the driver that stands, and is
 * asked for again, alone, until it is granted: rights are given while we run.
 */
#include "drivers/mqtt/session.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"

static const struct mqtt_conf *conf_of(const struct mqtt_session *s)
{
        return s->d->conf;
}

static void leave(struct mqtt_session *s, const char *filter)
{
        for (int i = 0; i < s->n_filters; i++)
                if (!strcmp(s->filters[i], filter))
                        return;
        for (int i = 0; i < s->n_left; i++)
                if (!strcmp(s->left[i], filter))
                        return;
        s->left = mem_grow(s->left, (size_t)s->n_left + 1, sizeof(*s->left));
        s->left[s->n_left++] = mem_strdup(filter);
}

/* Another one brings all of its messages; of equal ones the first. */
static bool is_covered(const struct mqtt_intake *in, size_t i)
{
        const char *own = in->subs[i].pattern.filter;

        for (size_t k = 0; k < in->n_subs; k++) {
                const char *other = in->subs[k].pattern.filter;

                if (k != i && mqtt_filter_covers(other, own) && (k < i || !mqtt_filter_covers(own, other)))
                        return true;
        }
        return false;
}

void mqtt_session_init(struct mqtt_session *s, struct driver *d, const struct mqtt_intake *in, const char *scope)
{
        *s = (struct mqtt_session){.d = d, .scope = scope};
        s->filters = mem_alloc((in->n_subs + 1) * sizeof(*s->filters));
        s->asked = mem_alloc((in->n_subs + 1) * sizeof(*s->asked));
        for (size_t i = 0; i < in->n_subs; i++)
                if (!is_covered(in, i))
                        s->filters[s->n_filters++] = in->subs[i].pattern.filter;
        for (size_t i = 0; i < in->n_subs; i++)
                if (is_covered(in, i))
                        leave(s, in->subs[i].pattern.filter);
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
        free(s->asked);
        free(s->filters);
}

/* ---- the one before ---- */

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

static void subscribe(struct mqtt_session *s, struct mqtt_link *l)
{
        if (mqtt_link_subscribe(l, s->n_asked, s->asked, (int)conf_of(s)->qos))
                log_error(s->scope, "subscribing fails: %s", mqtt_link_why(l));
}

void mqtt_session_accepted(struct mqtt_session *s, struct mqtt_link *l, bool session_present)
{
        s->subscribed = s->subscribed && session_present;
        s->again = false;
        if (s->n_filters && !(s->subscribed && conf_of(s)->protocol == MQTT_V311)) {
                s->n_asked = s->n_filters;
                memcpy(s->asked, s->filters, (size_t)s->n_filters * sizeof(*s->asked));
                subscribe(s, l);
        }
        if (s->n_left && mqtt_link_unsubscribe(l, s->n_left, s->left)) /* behind it: a wider one may stand for it */
                log_error(s->scope, "unsubscribing fails: %s", mqtt_link_why(l));
        forget_left(s);
}

void mqtt_session_ask_again(struct mqtt_session *s, struct mqtt_link *l)
{
        subscribe(s, l);
}

static void say_fault(struct mqtt_session *s, const char *what, const char *filter, int reason, bool told)
{
        struct driver *d = s->d;

        d->n_errors++;
        d->error_stands = true;
        text_format(d->last_error, sizeof(d->last_error), "the broker %s %s", what, filter);
        if (!told)
                log_error(s->scope, "%s (reason %d): not allowed for this user?", d->last_error, reason);
}

int mqtt_session_granted(struct mqtt_session *s, int n, const int *granted)
{
        int n_refused = 0, most = n < s->n_asked ? n : s->n_asked;

        s->d->error_stands = false;
        for (int i = 0; i < most; i++) {
                if (granted[i] >= 128) {
                        say_fault(s, "refuses the subscription of", s->asked[i], granted[i], s->again);
                        s->asked[n_refused++] = s->asked[i];
                } else if (granted[i] < (int)conf_of(s)->qos) {
                        say_fault(s, "grants QoS 0 only, at which messages can be lost, for", s->asked[i], granted[i],
                                  s->again);
                } else if (s->again) {
                        log_notice(s->scope, "the broker grants the subscription of %s now", s->asked[i]);
                }
        }
        s->n_asked = n_refused;
        s->again = n_refused > 0;
        s->subscribed = n_refused == 0;
        return n_refused;
}

void mqtt_session_doubt(struct mqtt_session *s)
{
        s->subscribed = false;
}
