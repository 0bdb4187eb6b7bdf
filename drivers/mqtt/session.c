/*
 * session: see session.h.
 *
 * With 3.1.1 every subscribe brings the retained messages again, so a session
 * that has our subscriptions is left alone.  Whether it has can only be known
 * by the SUBACK of this process: a connection that broke before its CONNACK was
 * read may have made a new session, which the next CONNACK calls "present".
 *
 * What is asked for where subscriptions have topics in common, filters.c says;
 * which of its two ways is gone, this broker's CONNACK.  What the other way
 * asks for, and the narrower ones that a wider one stands for, may be in a
 * session from before, so they are unsubscribed from.
 *
 * What the configuration does not name any more would come for as long as the
 * session lives, so a driver that follows another one unsubscribes from it: at
 * each connection, until the broker has said that it is done.  What nobody
 * remembers is known by what it brings (stray.c).
 *
 * Fails: a refused subscription is an error of the driver that stands, and is
 * asked for again, alone, until it is granted: rights are given while we run.
 * One that is not answered is such an error until it is; it is not asked for
 * again, for the connection loses nothing.
 */
#include "drivers/mqtt/session.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"

enum {
        ANSWER_S = 5,
        QUIET_S = 3,
        LISTENED_S = 600,
        NO_CODE = 0x80, /* unspecified error: a broker that answered fewer than were asked for */
        NO_IDS = 0xa1   /* reason code: subscription identifiers not supported */
};

static const struct mqtt_conf *conf_of(const struct mqtt_session *s)
{
        return s->d->conf;
}

/* ---- what is asked for, and what is not any more ---- */

bool mqtt_session_asks(const struct mqtt_session *s, const char *filter)
{
        uint64_t hash = mqtt_filter_hash(filter);

        for (size_t i = 0; i < s->n_asked; i++)
                if (s->asked[i].hash == hash && !strcmp(s->asked[i].text, filter))
                        return true;
        return false;
}

static void leave(struct mqtt_session *s, const char *filter)
{
        uint64_t hash = mqtt_filter_hash(filter);

        if (mqtt_session_asks(s, filter))
                return;
        for (int i = 0; i < s->n_left; i++)
                if (s->left[i].hash == hash && !strcmp(s->left[i].text, filter))
                        return;
        s->left = mem_grow(s->left, (size_t)s->n_left + 1, sizeof(*s->left));
        s->left[s->n_left++] = (struct mqtt_left){mem_strdup(filter), hash};
}

static void stay(struct mqtt_session *s)
{
        for (int i = 0; i < s->n_left;) {
                if (!mqtt_session_asks(s, s->left[i].text)) {
                        i++;
                        continue;
                }
                free(s->left[i].text);
                s->left[i] = s->left[--s->n_left];
        }
}

/* From now on one of the two ways is gone. */
static void choose(struct mqtt_session *s, bool joined)
{
        const struct mqtt_filters *f = s->filters;
        const struct mqtt_filter *from = joined ? f->joined : f->own, *other = joined ? f->own : f->joined;
        size_t n_other = joined ? f->n_own : f->n_joined;

        s->joined = joined;
        s->subscribed = false;
        s->n_asked = joined ? f->n_joined : f->n_own;
        for (size_t i = 0; i < s->n_asked; i++)
                s->asked[i] = (struct mqtt_asked){.text = from[i].text, .hash = from[i].hash, .id = from[i].id};
        for (size_t i = 0; i < n_other; i++)
                leave(s, other[i].text);
        stay(s);
}

void mqtt_session_init(struct mqtt_session *s, struct driver *d, const struct mqtt_intake *in, const char *scope)
{
        *s = (struct mqtt_session){.d = d, .scope = scope, .filters = &in->filters};
        s->room = mem_alloc((in->n_subs + 1) * sizeof(*s->room));
        s->asked = mem_alloc((in->n_subs + 1) * sizeof(*s->asked));
        choose(s, mqtt_filters_differ(s->filters) && conf_of(s)->protocol == MQTT_V311);
        for (size_t i = 0; i < in->n_subs; i++)
                leave(s, in->subs[i].pattern.filter);
}

static void forget_left(struct mqtt_session *s)
{
        while (s->n_left)
                free(s->left[--s->n_left].text);
        s->left_mid = 0;
}

void mqtt_session_fini(struct mqtt_session *s)
{
        forget_left(s);
        free(s->left);
        free(s->room);
        free(s->asked);
}

/* ---- the one before ---- */

static bool same_filters(const struct mqtt_session *s, const struct mqtt_session *before)
{
        bool same = s->n_asked == before->n_asked;

        for (size_t i = 0; same && i < s->n_asked; i++)
                same = s->asked[i].id == before->asked[i].id && !strcmp(s->asked[i].text, before->asked[i].text);
        return same;
}

void mqtt_session_inherit(struct mqtt_session *s, const struct mqtt_session *before, bool same)
{
        s->subscribed = before->subscribed && same && same_filters(s, before);
        s->no_ids = before->no_ids && same;
        for (size_t i = 0; i < before->n_asked; i++)
                leave(s, before->asked[i].text);
        for (int i = 0; i < before->n_left; i++)
                leave(s, before->left[i].text);
}

/* ---- at the broker ---- */

static bool ask(struct mqtt_session *s, struct mqtt_link *l, int n, char *const *filters, uint32_t id, int *mid)
{
        if (mqtt_link_subscribe(l, n, filters, (int)conf_of(s)->qos, id, mid) == 0)
                return true;
        log_error(s->scope, "subscribing fails: %s", mqtt_link_why(l));
        return false;
}

/* An identifier is its packet's, so each that has one goes in its own. */
static void subscribe(struct mqtt_session *s, struct mqtt_link *l, bool refused_only)
{
        struct mqtt_asked *end = s->asked + s->n_asked;
        int n = 0, mid = 0;

        s->waited_s = 0;
        for (struct mqtt_asked *a = s->asked; a < end; a++) {
                if (refused_only && a->answer != MQTT_REFUSED)
                        continue;
                if (!a->id)
                        s->room[n++] = a->text;
                else if (!ask(s, l, 1, &a->text, a->id, &a->mid))
                        return;
        }
        if (!n || !ask(s, l, n, s->room, 0, &mid))
                return;
        for (struct mqtt_asked *a = s->asked; a < end; a++)
                if (!a->id && (!refused_only || a->answer == MQTT_REFUSED))
                        a->mid = mid;
}

/*
 * Behind what was subscribed to: a wider one may stand for it.  One by one: the
 * broker may take no long packet.
 */
static void unsubscribe(struct mqtt_session *s, struct mqtt_link *l)
{
        int rc = 0;

        for (int i = 0; i < s->n_left && !rc; i++)
                rc = mqtt_link_unsubscribe(l, 1, &s->left[i].text, &s->left_mid);
        if (rc)
                log_error(s->scope, "unsubscribing fails: %s", mqtt_link_why(l));
}

void mqtt_session_unsubscribed(struct mqtt_session *s, int mid)
{
        if (mid == s->left_mid)
                forget_left(s);
        if (mid == s->stray_mid)
                s->stray_mid = 0;
}

static void say_wide(struct mqtt_session *s)
{
        for (size_t i = 0; s->joined && !s->told_wide && i < s->n_asked; i++)
                if (!mqtt_filters_own(s->filters, s->asked[i].text))
                        log_notice(s->scope,
                                   "subscriptions have topics in common, and this broker can't say which a message is "
                                   "for: it is asked for %s, which may bring others as well",
                                   s->asked[i].text);
        s->told_wide = s->joined;
}

void mqtt_session_accepted(struct mqtt_session *s, struct mqtt_link *l, bool session_present)
{
        bool v311 = conf_of(s)->protocol == MQTT_V311;
        bool joined = mqtt_filters_differ(s->filters) && (v311 || s->no_ids || !mqtt_link_takes_ids(l));

        if (joined != s->joined)
                choose(s, joined);
        s->is_new = !session_present;
        s->came = false;
        s->quiet_s = s->listened_s = 0;
        s->stray_mid = 0;
        s->subscribed = s->subscribed && session_present;
        if (!session_present)
                forget_left(s);
        for (size_t i = 0; i < s->n_asked; i++)
                s->asked[i] =
                        (struct mqtt_asked){.text = s->asked[i].text, .hash = s->asked[i].hash, .id = s->asked[i].id};
        say_wide(s);
        if (!(s->subscribed && v311))
                subscribe(s, l, false);
        unsubscribe(s, l);
}

/* The broker does not do what it says. */
static void do_without_ids(struct mqtt_session *s, struct mqtt_link *l)
{
        if (s->joined || !mqtt_filters_differ(s->filters))
                return;
        s->no_ids = true;
        choose(s, true);
        say_wide(s);
        subscribe(s, l, false);
        unsubscribe(s, l);
}

/*
 * In a session that was there before it may have waited since it was asked for
 * otherwise; not when all that waited has come.
 */
void mqtt_session_lacks_ids(struct mqtt_session *s, struct mqtt_link *l)
{
        if (s->is_new)
                do_without_ids(s, l);
}

void mqtt_session_ask_again(struct mqtt_session *s, struct mqtt_link *l)
{
        subscribe(s, l, true);
}

/* What waited at the broker has come: seconds without a message, or long ago. */
static void note_quiet(struct mqtt_session *s)
{
        s->quiet_s = s->came ? 0 : s->quiet_s + 1;
        s->came = false;
        s->listened_s++;
        s->is_new = s->is_new || s->quiet_s >= QUIET_S || s->listened_s >= LISTENED_S;
}

void mqtt_session_tick(struct mqtt_session *s)
{
        const struct mqtt_asked *first = NULL;
        size_t n = 0;

        for (size_t i = 0; i < s->n_asked; i++) {
                if (!s->asked[i].mid)
                        continue;
                first = first ? first : &s->asked[i];
                n++;
        }
        if (!n)
                note_quiet(s);
        if (!n || ++s->waited_s != ANSWER_S)
                return;
        s->d->error_stands = true;
        if (n == 1)
                driver_error(s->d, "the broker does not answer the subscription of %s", first->text);
        else
                driver_error(s->d, "the broker does not answer the subscription of %s and %zu more", first->text,
                             n - 1);
}

static void say_fault(struct mqtt_session *s, const char *what, struct mqtt_asked *a, int reason)
{
        struct driver *d = s->d;

        driver_error(d, "the broker %s %s", what, a->text);
        if (!a->told)
                log_error(s->scope, "%s (reason %d): not allowed for this user?", d->last_error, reason);
        a->told = true;
}

static void judge(struct mqtt_session *s, struct mqtt_asked *a, int reason)
{
        a->mid = 0;
        if (reason >= 128) {
                a->answer = MQTT_REFUSED;
                say_fault(s, "refuses the subscription of", a, reason);
        } else if (reason < (int)conf_of(s)->qos) {
                a->answer = MQTT_GRANTED_LESS;
                say_fault(s, "grants QoS 0 only, at which messages can be lost, for", a, reason);
        } else {
                a->answer = MQTT_GRANTED;
                if (a->told)
                        log_notice(s->scope, "the broker grants the subscription of %s now", a->text);
                a->told = false;
        }
}

int mqtt_session_granted(struct mqtt_session *s, struct mqtt_link *l, int mid, int n, const int *granted)
{
        int k = 0, count[MQTT_REFUSED + 1] = {0};

        s->waited_s = 0;
        for (size_t i = 0; i < s->n_asked; i++) {
                struct mqtt_asked *a = &s->asked[i];

                if (a->mid == mid && k < n && a->id && granted[k] == NO_IDS) {
                        do_without_ids(s, l);
                        return 0;
                }
                if (a->mid == mid)
                        judge(s, a, k < n ? granted[k++] : NO_CODE);
                count[a->answer]++;
        }
        s->d->error_stands = count[MQTT_REFUSED] + count[MQTT_GRANTED_LESS] > 0;
        s->subscribed = count[MQTT_REFUSED] + count[MQTT_UNANSWERED] == 0;
        return count[MQTT_REFUSED];
}

void mqtt_session_doubt(struct mqtt_session *s)
{
        s->subscribed = false;
}
