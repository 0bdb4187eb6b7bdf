/*
 * doctor_peers: whom `millrace doctor` asks (see doctor.h): the daemon, Kafka,
 * each MQTT broker, each source.
 *
 * While the daemon runs, it has the ports and the links, so it is asked about
 * them and nothing is opened a second time; only what it does not know is
 * tried.  An MQTT broker is asked for its limits by a guest with a name of its
 * own, for as long as its greeting takes.
 *
 * Fails never; what does not answer is a finding.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/commission/site.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/doctor.h"
#include "agent/cli/stop.h"
#include "agent/cli/trial.h"
#include "agent/rt_uv.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"

enum { GREETING_US = 8000000, TICK_US = 20000, SOURCES_US = 10000000 };

static const char *text_in(const json_t *o, const char *key)
{
        const char *text = json_string_value(json_object_get(o, key));

        return text ? text : "";
}

/* ---- the daemon ---- */

static void take_condition(struct doctor *d, const json_t *c)
{
        const char *severity = text_in(c, "severity"), *since = text_in(c, "since");
        enum finding_level level = strcmp(severity, "notice") == 0 ? FINDING_NOTE : FINDING_FAULT;

        if (json_is_object(c))
                doctor_find(d, level, "daemon", *text_in(c, "subject") ? text_in(c, "subject") : text_in(c, "name"),
                            text_in(c, "todo"), "%s%s%s", text_in(c, "what"), *since ? ", since " : "", since);
}

/* What it says of itself; a daemon without conditions has only the words. */
static void take_health(struct doctor *d)
{
        const char *health = text_in(d->status, "health"), *fault = text_in(d->status, "fault");
        const json_t *conditions = json_object_get(d->status, "conditions");

        for (size_t i = 0; i < json_array_size(conditions); i++)
                take_condition(d, json_array_get(conditions, i));
        if (strcmp(health, "ok") == 0)
                doctor_find(d, FINDING_OK, "daemon", "millraced", "", "runs, health is ok");
        else if (!json_array_size(conditions))
                doctor_find(d, FINDING_FAULT, "daemon", "millraced", "millrace status", "health is %s%s%s", health,
                            *fault ? ": " : "", fault);
}

static void look_at_age(struct doctor *d)
{
        double uptime_s = json_number_value(json_object_get(d->status, "uptime_s"));
        struct stat st;

        if (stat(d->c->config, &st) == 0 && uptime_s > 0 &&
            (double)d->c->now_us / 1e6 - (double)st.st_mtim.tv_sec < uptime_s)
                doctor_find(d, FINDING_NOTE, "daemon", d->c->config,
                            "systemctl reload millrace, if that was not done since",
                            "it was changed after the daemon had started");
}

void doctor_daemon(struct doctor *d)
{
        json_t *ask = json_pack("{s:s}", "cmd", "status");
        struct err e;
        int r = ctl_ask(d->conf->control_socket, ask, &d->status, &e);

        json_decref(ask);
        if (r == 0) {
                take_health(d);
                look_at_age(d);
                return;
        }
        d->status = NULL;
        if (r == CTL_E_AWAY)
                doctor_find(d, FINDING_WARNING, "daemon", "millraced",
                            "systemctl start millrace; journalctl -u millrace tells why not", "does not run");
        else {
                d->daemon_is_silent = true;
                doctor_find(d, FINDING_FAULT, "daemon", "millraced",
                            "run this as root, or as a member of the group millrace", "%s", e.text);
        }
}

/* ---- Kafka ---- */

struct kafka_look {
        struct doctor *d;
        size_t n;
};

static void on_topic(void *ctx, const char *text, enum kafka_note_kind kind)
{
        static const enum finding_level levels[] = {[KAFKA_NOTE_UNSEEN] = FINDING_NOTE,
                                                    [KAFKA_NOTE_LOSES] = FINDING_WARNING,
                                                    [KAFKA_NOTE_STOPS] = FINDING_FAULT};
        struct kafka_look *k = ctx;
        const char *colon = strstr(text, ": ");
        char subject[160] = "kafka";

        k->n++;
        if (colon && (size_t)(colon - text) < sizeof(subject))
                snprintf(subject, sizeof(subject), "%.*s", (int)(colon - text), text);
        doctor_find(k->d, levels[kind], "kafka", subject, "", "%s", colon ? colon + 2 : text);
}

void doctor_kafka(struct doctor *d)
{
        struct kafka_look k = {.d = d};
        const char *const *brokers = d->conf->kafka.brokers.items;
        const char *first = d->conf->kafka.brokers.n ? brokers[0] : "";
        struct err e;

        if (kafka_topics_check(&d->conf->kafka, d->conf->gateway, on_topic, &k, &e) < 0)
                doctor_find(d, FINDING_FAULT, "kafka", first, "is it up, and kafka.brokers right? nc -vz HOST PORT",
                            "%s", strncmp(e.text, "kafka: ", 7) ? e.text : e.text + 7);
        else if (!k.n)
                doctor_find(d, FINDING_OK, "kafka", first, "",
                            "answers; each broker is reached, the topics take what is held, and may be written to");
}

/* ---- MQTT brokers: their limits ---- */

struct greeting {
        struct rt *rt;
        struct mqtt_link *link;
        struct rt_watch fd;
        struct rt_timer tick;
        int64_t until_us;
        bool opened, over, accepted;
        char why[400];
};

static void serve(struct greeting *g)
{
        int r = 0;

        while (!g->accepted && (r = mqtt_link_read(g->link)) == 0)
                ;
        if (!g->accepted && r != MQTT_LINK_E_LOST)
                r = mqtt_link_write(g->link);
        if (!g->accepted && r == MQTT_LINK_E_LOST) {
                snprintf(g->why, sizeof(g->why), "%s", mqtt_link_why(g->link));
                g->over = true;
        }
}

static void on_opened(void *ctx, const char *why_not)
{
        struct greeting *g = ctx;

        g->opened = !why_not;
        g->over = why_not != NULL;
        snprintf(g->why, sizeof(g->why), "%s", why_not ? why_not : "");
}

static void on_accepted(void *ctx, bool session_present)
{
        struct greeting *g = ctx;

        g->accepted = g->over = true;
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
}

static void on_subscribed(void *ctx, int mid, int n, const int *granted)
{
}

/* A few ticks are all there is to wait for, so the socket is just looked at. */
static void on_tick(struct rt_timer *t)
{
        struct greeting *g = list_entry(t, struct greeting, tick);

        if (g->opened && !g->over)
                serve(g);
        if (g->over || rt_mono_us(g->rt) >= g->until_us)
                rt_uv_stop(g->rt);
        else
                rt_timer_set(g->rt, &g->tick, TICK_US);
}

static void tell_limits(struct doctor *d, const struct mqtt_conf *m, const struct mqtt_limits *l)
{
        size_t before = d->n;

        if (l->max_qos < m->qos)
                doctor_find(d, FINDING_FAULT, "mqtt", m->name,
                            "raise it at the broker: at QoS 0 what comes while we are away is lost",
                            "%s takes QoS %d at most, and qos is %lld", m->url, l->max_qos, (long long)m->qos);
        if (!l->wildcards)
                doctor_find(d, FINDING_FAULT, "mqtt", m->name,
                            "allow it there, or subscribe to topics without names in braces",
                            "%s allows no subscriptions with + and #", m->url);
        if (l->max_packet && l->max_packet < m->max_payload_bytes)
                doctor_find(d, FINDING_NOTE, "mqtt", m->name, "raise it at the broker if larger messages are meant",
                            "%s takes packets up to %u bytes, and max_payload is %llu", m->url, l->max_packet,
                            (unsigned long long)m->max_payload_bytes);
        if (!l->retain && d->conf->alarm_sections.notify.mqtt.connection &&
            strcmp(d->conf->alarm_sections.notify.mqtt.connection, m->name) == 0)
                doctor_find(d, FINDING_WARNING, "mqtt", m->name, "allow it at the broker",
                            "%s keeps no retained messages: who connects later sees no alarm", m->url);
        if (d->n == before)
                doctor_find(d, FINDING_OK, "mqtt", m->name, "", "%s takes us, and its limits are wide enough", m->url);
}

static void ask_broker(struct doctor *d, const struct mqtt_conf *m)
{
        struct greeting g = {.rt = rt_uv_new(), .tick.on_due = on_tick};
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .ctx = &g};
        struct mqtt_link_conf lc;
        struct mqtt_url url;
        char id[64];

        if (mqtt_url_parse(&url, m->url, NULL) < 0)
                return;
        snprintf(id, sizeof(id), "millrace-doctor-%ld", (long)getpid());
        lc = mqtt_link_conf_of(m, &url, id);
        lc.keepalive_s = 30;
        lc.receive_maximum = 10;
        g.until_us = rt_mono_us(g.rt) + GREETING_US;
        g.link = mqtt_link_open(g.rt, &lc, &up);
        rt_timer_set(g.rt, &g.tick, TICK_US);
        rt_uv_run(g.rt);
        if (g.accepted) {
                tell_limits(d, m, mqtt_link_limits(g.link));
                mqtt_link_goodbye(g.link);
                mqtt_link_write(g.link);
        } else {
                doctor_find(d, FINDING_FAULT, "mqtt", m->name, "is the broker up, and url, user and password right?",
                            "%s: %s", m->url, *g.why ? g.why : "no answer");
        }
        mqtt_link_close(g.link);
        if (rt_uv_quiesce(g.rt))
                rt_uv_free(g.rt);
}

void doctor_brokers(struct doctor *d)
{
        for (size_t i = 0; i < d->conf->n_drivers; i++)
                if (d->conf->drivers[i].ops == &mqtt_ops)
                        ask_broker(d, d->conf->drivers[i].conf);
}

/* ---- sources ---- */

/* The daemon's word on it; NULL: it does not know it. */
static const json_t *driver_of(const struct doctor *d, const char *name)
{
        const json_t *drivers = json_object_get(d->status, "drivers");

        for (size_t i = 0; i < json_array_size(drivers); i++)
                if (strcmp(text_in(json_array_get(drivers, i), "name"), name) == 0)
                        return json_array_get(drivers, i);
        return NULL;
}

static bool is_new(void *ctx, const struct config_driver *driver)
{
        return !driver_of(ctx, driver->name);
}

/* What helps most often against a link that can't be had. */
static const char *way_out(const char *why)
{
        static const struct {
                int code;
                const char *todo;
        } ways[] = {
                {ENOENT, "plug it in, or name the port as it is called here: ls /dev/serial/by-id"},
                {EACCES, "usermod -aG dialout millrace, then restart it"},
                {ECONNREFUSED, "it is there, and nobody listens on that port: is the port right, the service on?"},
                {EADDRINUSE, "another program has that port: ss -lnp names it"},
                {EHOSTUNREACH, "power, cable, address: ping it"},
        };

        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
                if (strstr(why, strerror(ways[i].code)))
                        return ways[i].todo;
        return "is it switched on, is the cable in, the address right?";
}

/* The daemon's own conditions named it already: "modbus line1". */
static bool is_told(const struct doctor *d, const char *name)
{
        for (size_t i = 0; i < d->n; i++) {
                const struct finding *f = &d->list[i];
                const char *blank = strchr(f->subject, ' ');

                if (f->level <= FINDING_NOTE && strcmp(f->area, "daemon") == 0 &&
                    strcmp(blank ? blank + 1 : f->subject, name) == 0)
                        return true;
        }
        return false;
}

static void take_driver(struct doctor *d, const json_t *driver)
{
        const char *name = text_in(driver, "name"), *state = text_in(driver, "state"),
                   *why = text_in(driver, "last_error");
        const json_t *devices = json_object_get(driver, "devices");

        if (strcmp(state, "up") == 0 && !*why)
                doctor_find(d, FINDING_OK, "source", name, "", "%s, %lld readings, says the daemon", state,
                            (long long)json_integer_value(json_object_get(driver, "readings")));
        else if (!is_told(d, name))
                doctor_find(d,
                            strcmp(state, "up") == 0 || strcmp(state, "paused") == 0 ? FINDING_WARNING : FINDING_FAULT,
                            "source", name, *why ? way_out(why) : "millrace status", "%s, says the daemon%s%s", state,
                            *why ? ": " : "", why);
        for (size_t i = 0; i < json_array_size(devices); i++) {
                const json_t *one = json_array_get(devices, i);

                if (strcmp(text_in(one, "state"), "down") == 0 && !is_told(d, text_in(one, "name")) &&
                    !is_told(d, name))
                        doctor_find(d, FINDING_FAULT, "source", text_in(one, "name"),
                                    "power, cable and address of the device", "down behind %s: %s", name,
                                    text_in(one, "why"));
        }
}

static void on_tag(void *ctx, const struct trial_tag *t)
{
        struct doctor *d = ctx;
        char subject[160];

        if (t->n && !quality_is_bad(t->quality))
                return;
        snprintf(subject, sizeof(subject), "%.70s/%.70s", t->source, t->name);
        doctor_find(d, FINDING_WARNING, "source", subject, "millrace try shows it again, with its neighbours", "%s",
                    !t->n                        ? "nothing came"
                    : quality_reason(t->quality) ? quality_reason(t->quality)
                                                 : "bad");
}

static void take_item(struct doctor *d, const struct trial *t, const struct trial_item *item)
{
        if (!item->connected && strcmp(item->kind, mqtt_ops.kind) == 0)
                return; /* its broker was asked, and told of */
        if (!item->connected)
                doctor_find(d, FINDING_FAULT, "source", item->name, way_out(item->why), "not connected: %s", item->why);
        else if (item->n == 0)
                doctor_find(d, FINDING_WARNING, "source", item->name,
                            "does it send, and to here? millrace try --for 1m",
                            "connected, and nothing came within %d s", SOURCES_US / 1000000);
        else
                doctor_find(d, item->n_good ? FINDING_OK : FINDING_FAULT, "source", item->name,
                            item->n_good ? "" : "millrace try shows each tag", "%zu of %zu tags are good%s%s",
                            item->n_good, item->n_tags, *item->why ? "; " : "", item->why);
        if (item->connected)
                trial_tags(t, item, on_tag, d);
}

void doctor_sources(struct doctor *d)
{
        const struct trial_item *items;
        struct trial *t;
        size_t n;

        for (size_t i = 0; i < d->conf->n_drivers; i++) {
                const json_t *driver = driver_of(d, d->conf->drivers[i].name);

                if (driver)
                        take_driver(d, driver);
        }
        if (d->daemon_is_silent) {
                doctor_find(d, FINDING_NOTE, "source", "all", "",
                            "not tried: the daemon has them, and does not say how they are");
                return;
        }
        t = trial_new(d->conf, is_new, d);
        n = trial_items(t, &items);
        if (n)
                trial_run(t, SOURCES_US, true, stop_asked);
        for (size_t i = 0; i < n; i++)
                take_item(d, t, &items[i]);
        trial_free(t);
}
