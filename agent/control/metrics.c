/*
 * metrics: see metrics.h.
 *
 * One row per family, in the order of the page; a driver's families are written
 * driver by driver, because a family's lines must stand together.  Every sample
 * carries the gateway's name, so that one Prometheus can take in a plant of
 * them.  Counters are those of the spool's epoch or of the process; both only
 * start anew at 0, which Prometheus expects of a counter.
 *
 * Only loopback is listened to: the page has no password, so who else may read
 * it is for a proxy in front to decide. Never fails on what the object holds: a
 * key that is absent or of another type is a sample that is not there.
 */
#include "agent/control/metrics.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/health/health.h"

enum value_kind {
        VALUE_NUMBER, /* as it is */
        VALUE_TRUE,   /* a boolean: 1 or 0 */
        VALUE_IS,     /* 1 when the text is `word` */
        VALUE_EACH,   /* one sample per word of `words`, 1 at the one it is: label state */
        VALUE_ONE,    /* 1, with the texts of `words` as labels */
};

struct family {
        const char *name, *type, *help;
        const char *section; /* object within the status; NULL: itself */
        const char *key;
        enum value_kind kind;
        const char *words; /* separated by blanks */
};

static const struct family families[] = {
        {"millrace_info", "gauge", "The gateway and its version.", NULL, NULL, VALUE_ONE, "site version"},
        {"millrace_health", "gauge", "1 for the state the gateway is in.", NULL, "health", VALUE_EACH,
         "ok degraded failed"},
        {"millrace_uptime_seconds", "gauge", "Since the daemon was started.", NULL, "uptime_s"},
        {"millrace_spool_epoch", "gauge", "Names the spool file; the counters of readings start anew with each.", NULL,
         "epoch"},
        {"millrace_readings_accepted_total", "counter", "Readings taken, on disk or dropped by policy.", NULL,
         "accepted"},
        {"millrace_readings_delivered_total", "counter", "Readings Kafka acknowledged.", NULL, "delivered"},
        {"millrace_readings_dropped_total", "counter", "Readings dropped by policy; the ledger names them.", NULL,
         "dropped"},
        {"millrace_readings_held", "gauge", "Readings Kafka has not acknowledged yet.", NULL, "held"},
        {"millrace_held_bytes", "gauge", "Estimated size of the held readings.", NULL, "held_bytes"},
        {"millrace_oldest_held_age_seconds", "gauge", "Age of the oldest held reading.", NULL, "oldest_held_age_s"},
        {"millrace_drain_eta_seconds", "gauge", "When nothing will be held at the present rates.", NULL, "drain_eta_s"},
        {"millrace_spool_bytes", "gauge", "Size of the spool's files.", NULL, "spool_bytes"},
        {"millrace_spool_max_bytes", "gauge", "Their hard cap.", NULL, "spool_max_bytes"},
        {"millrace_spool_usable_bytes", "gauge", "What held readings may take before when_full acts.", NULL,
         "spool_usable_bytes"},
        {"millrace_events_accepted_total", "counter", "Alarms and events of the agent.", "events", "accepted"},
        {"millrace_events_delivered_total", "counter", "Events Kafka acknowledged.", "events", "delivered"},
        {"millrace_events_dropped_total", "counter", "Events dropped by policy.", "events", "dropped"},
        {"millrace_events_held", "gauge", "Events Kafka has not acknowledged yet.", "events", "held"},
        {"millrace_alarms_active", "gauge", "Alarms whose condition holds.", "alarms", "active"},
        {"millrace_alarms_unacknowledged", "gauge", "Alarms nobody has acknowledged.", "alarms", "unacked"},
        {"millrace_alarms_shelved", "gauge", "Alarms put aside for a limited time.", "alarms", "shelved"},
        {"millrace_alarm_activations_total", "counter", "Alarms raised since start.", "alarms", "activations"},
        {"millrace_alarm_flood", "gauge", "1 while more than 10 alarms in 10 minutes are raised.", "alarms", "flood",
         VALUE_TRUE},
        {"millrace_uplink_up", "gauge", "1 while Kafka is reached.", "uplink", "state", VALUE_IS, "up"},
        {"millrace_uplink_paused", "gauge", "1 while nothing more is read from the spool.", "uplink", "paused",
         VALUE_TRUE},
        {"millrace_uplink_in_flight", "gauge", "Records on their way to Kafka.", "uplink", "in_flight"},
        {"millrace_uplink_retried_total", "counter", "Records that had to be sent again.", "uplink", "retried"},
        {"millrace_uplink_poisoned_total", "counter", "Records Kafka will never take.", "uplink", "poisoned"},
        {"millrace_uplink_sent_bytes_total", "counter", "Bytes of records given to Kafka.", "uplink", "bytes_sent"},
        {"millrace_flash_written_bytes_total", "counter", "Bytes written to disk, from 0 at midnight UTC.", "flash",
         "bytes_today"},
        {"millrace_tags", "gauge", "Tags the gateway knows.", NULL, "tags"},
        {"millrace_quarantined_total", "counter", "Malformed messages kept for inspection.", NULL, "quarantined"},
        {"millrace_dead_lettered_total", "counter", "Readings Kafka will never take, kept apart.", NULL,
         "dead_lettered"},
        {"millrace_clock_synchronised", "gauge", "1 while the system clock is.", NULL, "clock", VALUE_IS, "synced"},
        {0},
};

static const struct family driver_families[] = {
        {"millrace_driver_up", "gauge", "1 while the source is connected.", NULL, "state", VALUE_IS, "up"},
        {"millrace_driver_devices", "gauge", "Devices behind the source; absent: it has none.", NULL, "n_devices"},
        {"millrace_driver_devices_down", "gauge", "Of these, how many do not answer.", NULL, "n_devices_down"},
        {"millrace_driver_paused", "gauge", "1 while nothing is taken from the source.", NULL, "paused", VALUE_TRUE},
        {"millrace_driver_readings_total", "counter", "Readings of the source.", NULL, "readings"},
        {"millrace_driver_errors_total", "counter", "Failures of the source.", NULL, "errors"},
        {"millrace_driver_malformed_total", "counter", "Messages that could not be read.", NULL, "malformed"},
        {"millrace_driver_redelivered_total", "counter", "Messages that came again and were known.", NULL,
         "redelivered"},
        {"millrace_driver_names_mapped_total", "counter", "Names that had to be changed.", NULL, "names_mapped"},
        {"millrace_driver_untagged_total", "counter", "Readings whose tag had no room, or was another item's.", NULL,
         "untagged"},
        {"millrace_driver_tags", "gauge", "Tags made of names from the wire.", NULL, "tags"},
        {"millrace_driver_tags_max", "gauge", "Most of them; absent: none are made.", NULL, "max_tags"},
        {"millrace_driver_names_refused_total", "counter", "Names from the wire that had no room.", NULL,
         "names_refused"},
        {"millrace_driver_sources_refused_total", "counter", "Names from the wire that belong to another item.", NULL,
         "sources_refused"},
        {"millrace_driver_absent_total", "counter", "Values a message did not hold.", NULL, "absent"},
        {"millrace_driver_ignored_total", "counter", "Messages that the configuration leaves out.", NULL, "ignored"},
        {"millrace_driver_overruns_total", "counter", "Polls that were skipped, the last one was not over.", NULL,
         "overruns"},
        {"millrace_bus_busy_seconds_total", "counter", "Time a bus could not have carried more; its rate is the load.",
         NULL, "busy_s"},
        {"millrace_bus_late_total", "counter", "Answers that came when nobody waited for them any more.", NULL, "late"},
        {"millrace_bus_mismatched_total", "counter", "Answers to what was not asked, and questions of other masters.",
         NULL, "mismatched"},
        {"millrace_bus_crc_errors_total", "counter", "Answers whose checksum is wrong.", NULL, "crc"},
        {"millrace_bus_garbage_bytes_total", "counter", "Bytes that are no Modbus.", NULL, "garbage"},
        {0},
};

#define AT(member) offsetof(struct metrics_conf, member)
static const struct schema_key keys[] = {
        {"listen", SCHEMA_TEXT, 0, AT(listen),
         .help = "Address and port of the page for Prometheus, loopback only, as 127.0.0.1:9464 or [::1]:9464; absent: "
                 "none."},
        {NULL},
};
#undef AT

static int check(void *obj, const char **key, struct err *e)
{
        const struct metrics_conf *conf = obj;
        struct sockaddr_storage address;

        *key = "listen";
        return conf->listen ? metrics_address(conf->listen, &address, e) : 0;
}

const struct schema metrics_schema = {
        .name = "metrics",
        .help = "Numbers for Prometheus over HTTP, at /metrics.",
        .keys = keys,
        .size = sizeof(struct metrics_conf),
        .has_at = true,
        .check = check,
};

static bool take_port(const char *s, in_port_t *port)
{
        char *end;
        unsigned long n = strtoul(s, &end, 10);

        *port = htons((uint16_t)n);
        return *s >= '0' && *s <= '9' && !*end && n >= 1 && n <= UINT16_MAX;
}

int metrics_address(const char *listen, struct sockaddr_storage *out, struct err *e)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        const char *colon = strrchr(listen, ':');
        char host[INET6_ADDRSTRLEN + 2];

        *out = (struct sockaddr_storage){0};
        if (!colon || (size_t)(colon - listen) >= sizeof(host))
                return err_set(e, "\"%.80s\" is no address with a port; allowed: 127.0.0.1:9464, [::1]:9464", listen);
        snprintf(host, sizeof(host), "%.*s", (int)(colon - listen), listen);
        if (inet_pton(AF_INET, host, &v4->sin_addr) == 1 && take_port(colon + 1, &v4->sin_port)) {
                v4->sin_family = AF_INET;
                if (ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
                        return 0;
                return err_set(e, "%s is not a loopback address; allowed: 127.0.0.1, and a proxy in front for others",
                               host);
        }
        if (!strcmp(host, "[::1]") && take_port(colon + 1, &v6->sin6_port)) {
                v6->sin6_family = AF_INET6;
                v6->sin6_addr = in6addr_loopback;
                return 0;
        }
        return err_set(e, "\"%.80s\" is no loopback address with a port; allowed: 127.0.0.1:9464, [::1]:9464", listen);
}

/* ---- the page ---- */

static void put_label(FILE *f, const char *name, const char *value, char before)
{
        fprintf(f, "%c%s=\"", before, name);
        for (; *value; value++) {
                if (*value == '\n') {
                        fputs("\\n", f);
                        continue;
                }
                if (*value == '"' || *value == '\\')
                        fputc('\\', f);
                fputc(*value, f);
        }
        fputc('"', f);
}

/* What all samples of an object carry. */
struct labels {
        const char *gateway, *driver, *kind;
};

/* name{gateway="gw-7",driver="plant": a label may follow, or the brace. */
static void put_name(FILE *f, const struct family *m, const struct labels *l)
{
        fputs(m->name, f);
        put_label(f, "gateway", l->gateway, '{');
        if (l->driver) {
                put_label(f, "driver", l->driver, ',');
                put_label(f, "kind", l->kind, ',');
        }
}

static void put_number(FILE *f, const struct family *m, const struct labels *l, double v)
{
        char text[TEXT_DOUBLE_MAX];

        put_name(f, m, l);
        if (v == floor(v) && fabs(v) < 1e15)
                fprintf(f, "} %.0f\n", v);
        else
                fprintf(f, "} %.*s\n", (int)text_put_double(text, v), text);
}

/* Calls with each word, as a text of its own. */
static const char *next_word(const char *words, char *word, size_t cap)
{
        size_t n = strcspn(words, " ");

        snprintf(word, cap, "%.*s", (int)n, words);
        return words[n] ? words + n + 1 : NULL;
}

static void put_words(FILE *f, const struct family *m, const struct labels *l, const json_t *o)
{
        const char *state = m->key ? json_string_value(json_object_get(o, m->key)) : NULL;
        char word[32];

        if (m->kind == VALUE_ONE)
                put_name(f, m, l);
        for (const char *at = m->words; at;) {
                at = next_word(at, word, sizeof(word));
                if (m->kind == VALUE_ONE) {
                        const char *text = json_string_value(json_object_get(o, word));

                        put_label(f, word, text ? text : "", ',');
                        continue;
                }
                put_name(f, m, l);
                put_label(f, "state", word, ',');
                fprintf(f, "} %d\n", state && !strcmp(state, word));
        }
        if (m->kind == VALUE_ONE)
                fputs("} 1\n", f);
}

static void put_sample(FILE *f, const struct family *m, const struct labels *l, const json_t *status)
{
        const json_t *o = m->section ? json_object_get(status, m->section) : status;
        const json_t *v = m->key ? json_object_get(o, m->key) : NULL;

        if (m->kind == VALUE_EACH || m->kind == VALUE_ONE)
                put_words(f, m, l, o);
        else if (m->kind == VALUE_NUMBER && json_is_number(v))
                put_number(f, m, l, json_number_value(v));
        else if (m->kind == VALUE_TRUE && json_is_boolean(v))
                put_number(f, m, l, json_is_true(v));
        else if (m->kind == VALUE_IS && json_is_string(v))
                put_number(f, m, l, !strcmp(json_string_value(v), m->words));
}

static void put_head(FILE *f, const struct family *m)
{
        fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

/* Each kind that there is, also those of which none stands: an alert asks for one by name. */
static void put_conditions(FILE *f, const struct labels *l, const json_t *by_name)
{
        static const struct family m = {"millrace_condition", "gauge",
                                        "How many of a condition stand; millrace status says which and what to do."};

        put_head(f, &m);
        for (size_t id = 0; id < HEALTH_IDS; id++) {
                const struct health_rule *rule = &health_rules[id];
                put_name(f, &m, l);
                put_label(f, "name", rule->name, ',');
                put_label(f, "severity", health_severity_names[rule->severity], ',');
                fprintf(f, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(by_name, rule->name)));
        }
}

static void put_drivers(FILE *f, const struct labels *l, const json_t *drivers)
{
        for (const struct family *m = driver_families; m->name; m++) {
                put_head(f, m);
                for (size_t i = 0; i < json_array_size(drivers); i++) {
                        const json_t *d = json_array_get(drivers, i);
                        const char *name = json_string_value(json_object_get(d, "name"));
                        const char *kind = json_string_value(json_object_get(d, "kind"));
                        struct labels of = {l->gateway, name, kind ? kind : ""};

                        if (name)
                                put_sample(f, m, &of, d);
                }
        }
}

char *metrics_text(const json_t *status)
{
        const char *gateway = json_string_value(json_object_get(status, "gateway"));
        struct labels l = {.gateway = gateway ? gateway : ""};
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        BUG_ON(!f);
        for (const struct family *m = families; m->name; m++) {
                put_head(f, m);
                put_sample(f, m, &l, status);
        }
        put_conditions(f, &l, json_object_get(status, "conditions_by_name"));
        put_drivers(f, &l, json_object_get(status, "drivers"));
        BUG_ON(fclose(f) != 0);
        return text;
}
