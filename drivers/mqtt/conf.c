/*
 * conf: what one `mqtt:` item may hold, and what of it can't be right.
 *
 * Why here: the table makes the manual, `millrace check` and the struct the
 * driver reads, so a key exists once. The checks are those that need no I/O:
 * addresses, topic patterns, JSON pointers and keys that contradict each other.
 * Whether a file can be read or a broker answers is told when the driver
 * starts.
 *
 * Fails: every fault is a sentence that says what was found and what would be
 * right.
 */
#include "drivers/mqtt/mqtt.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/mqtt/payload.h"
#include "drivers/mqtt/topic.h"

#define SECOND 1e6
#define DAY    86400e6

static const char *const protocols[] = {"5", "3.1.1", NULL};
static const char *const payloads[] = {"number", "json",    "text",  "raw", "sparkplug_b", "ndjson",
                                       "cbor",   "msgpack", "senml", "csv", "influx",      NULL};
static const char *const time_formats[] = {"unix_s", "unix_ms", "unix_us", "iso8601", "unix_ns", NULL};

static const char *const compressed[] = {"no", "gzip", NULL};
static const char *const retained[] = {"keep", "skip", NULL};

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

/* What the payload is asked for is mapped to a name when it comes. */
static int check_name(const char **key, const char *which, const char *name, struct err *e)
{
        char why[TEXT_NAME_WHY];

        if (!name || payload_name_asks(name) || text_is_name(name, strlen(name)))
                return 0;
        text_name_fault(why, name, strlen(name));
        *key = which;
        return err_set(e,
                       "\"%.256s\" is no name: it %s; allowed: letters, digits, _ - . (1 to 64), or a part of the "
                       "payload in braces",
                       name, why);
}

static int check_reading(void *obj, const char **key, struct err *e)
{
        const struct mqtt_reading_conf *r = obj;

        if (!r->tag && !r->value)
                return fault(key, "tag", e, "a reading needs a tag, or at least a value when the topic has {tag}");
        if (check_name(key, "tag", r->tag, e) < 0)
                return -1;
        return convert_check(&r->convert, payload_unit_asks(r->unit) ? NULL : r->unit, key, e);
}

static const struct schema_key reading_keys[] = {
        {"tag", SCHEMA_TEXT, SCHEMA_UNIQUE | SCHEMA_SCALAR | SCHEMA_FORM, offsetof(struct mqtt_reading_conf, tag),
         .help = "Name of the tag; left out when the topic has {tag}. In braces stand parts of the payload: {/id} of "
                 "the element, {$/device} of the message, {key} the element's own name."},
        {"value", SCHEMA_TEXT, 0, offsetof(struct mqtt_reading_conf, value),
         .help = "JSON pointer (RFC 6901) to the value, from the element when there is `each`, from the message behind "
                 "$; default: / and the tag, or the element itself when the payload names the tag."},
        {"unit", SCHEMA_TEXT, 0, offsetof(struct mqtt_reading_conf, unit),
         .help = "Unit, as it is to be recorded; or one part of the payload in braces, as {/u}."},
        CONVERT_TYPE_KEY(struct mqtt_reading_conf, convert, "auto"),
        CONVERT_DECIMAL_KEY(struct mqtt_reading_conf, convert),
        CONVERT_KEYS(struct mqtt_reading_conf, convert),
        {NULL},
};

static const struct schema reading_schema = {
        .name = "mqtt reading",
        .help = "One value of a JSON payload, or of each of its elements.",
        .keys = reading_keys,
        .size = sizeof(struct mqtt_reading_conf),
        .has_at = true,
        .check = check_reading,
};

static int check_json(const struct mqtt_sub_conf *c, bool topic_has_tag, const char **key, struct err *e)
{
        const struct mqtt_reading_conf *r = c->readings.items;

        if (c->tag || c->unit)
                return fault(key, c->tag ? "tag" : "unit", e,
                             "belongs to each of `readings` with this payload, not to the subscription");
        if (!mqtt_sub_usual(c).n_readings)
                return fault(key, "readings", e, "this payload needs `readings`: which values become which tags");
        if (c->readings.n > 256)
                return fault(key, "readings", e, "more than 256 readings in one message");
        for (size_t i = 0; i < c->readings.n; i++) {
                if (r[i].tag && topic_has_tag)
                        return fault(key, "readings", e,
                                     "the topic has {tag} and a reading has a tag too: only one can name it");
                if (!r[i].tag && !topic_has_tag)
                        return fault(key, "readings", e, "a reading without tag, and the topic has no {tag}");
                if (topic_has_tag && c->readings.n > 1)
                        return fault(key, "readings", e, "the topic has {tag}, so only one reading can be taken");
        }
        if (check_name(key, "source", c->source, e) < 0)
                return -1;
        return mqtt_decoder_check(c, key, e);
}

static int check_bare(const struct mqtt_sub_conf *c, bool topic_has_tag, const char **key, struct err *e)
{
        if (c->readings.n)
                return fault(key, "readings", e, "only for payload json: other payloads are one value");
        if (c->time)
                return fault(key, "time", e, "only for payload json: other payloads carry no time");
        if (c->each || c->quality.value)
                return fault(key, c->each ? "each" : "quality", e,
                             "only for payload json: other payloads are one value");
        if (payload_name_asks(c->source))
                return fault(key, "source", e, "only payload json can be asked for names");
        if (check_name(key, "source", c->source, e) < 0)
                return -1;
        if (topic_has_tag && c->tag)
                return fault(key, "tag", e, "the topic has {tag} already");
        if (!topic_has_tag && !c->tag)
                return fault(key, "tag", e, "required: the topic has no {tag} that could name it");
        return mqtt_decoder_check(c, key, e);
}

static int check_sparkplug(const struct mqtt_sub_conf *c, const struct mqtt_pattern *p, const char **key, struct err *e)
{
        const struct mqtt_reading_conf *r = c->readings.items;

        if (strncmp(c->topic, "spBv1.0/", 8) != 0)
                return fault(key, "topic", e, "topics of Sparkplug B begin with spBv1.0/");
        for (int i = 0; i < p->n_levels; i++)
                if (p->level[i].kind == MQTT_LEVEL_NAME)
                        return fault(
                                key, "topic", e,
                                "no {names} with sparkplug_b: device, group and edge node are known by themselves");
        if (c->source || c->tag || c->unit || c->time)
                return fault(key,
                             c->source ? "source"
                             : c->tag  ? "tag"
                             : c->unit ? "unit"
                                       : "time",
                             e, "not with sparkplug_b: its births tell names and units, its messages the time");
        if (c->each || c->quality.value || c->compressed)
                return fault(key,
                             c->each            ? "each"
                             : c->quality.value ? "quality"
                                                : "compressed",
                             e, "not with sparkplug_b: its metrics are read by themselves, and are not packed");
        for (size_t i = 0; i < c->readings.n; i++)
                if (!r[i].tag || r[i].value || payload_unit_asks(r[i].unit))
                        return fault(key, "readings", e,
                                     "with sparkplug_b a reading has the tag that its metric becomes, and what its "
                                     "value is");
        return mqtt_decoder_check(c, key, e);
}

static int check_sub(void *obj, const char **key, struct err *e)
{
        const struct mqtt_sub_conf *c = obj;
        struct mqtt_pattern p;
        bool has_tag;
        int r;

        *key = NULL;
        if (!c->topic)
                return 0;
        if (mqtt_pattern_init(&p, c->topic, e) < 0) {
                *key = "topic";
                return -1;
        }
        has_tag = p.tag_level >= 0;
        if (c->source && p.source_level >= 0)
                r = fault(key, "source", e, "the topic has {source} already");
        else if (mqtt_has_readings(c->payload))
                r = check_json(c, has_tag, key, e);
        else if (c->payload == MQTT_SPARKPLUG_B)
                r = check_sparkplug(c, &p, key, e);
        else
                r = check_bare(c, has_tag, key, e);
        mqtt_pattern_fini(&p);
        return r;
}

static const struct schema_key sub_keys[] = {
        {"topic", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_UNIQUE, offsetof(struct mqtt_sub_conf, topic),
         .help = "Topic pattern: {name} is one level and fills the reading ({source}, {tag}) or becomes a label; + and "
                 "# "
                 "match as in MQTT."},
        {"payload", SCHEMA_CHOICE, 0, offsetof(struct mqtt_sub_conf, payload), .choices = payloads, .def = "number",
         .help = "What a message holds: a bare value, JSON with `readings`, UTF-8 text, bytes passed through, "
                 "Sparkplug "
                 "B, whose births name source (device or edge node), tags and units; or with `readings` as JSON: lines "
                 "of JSON, CBOR, MessagePack, SenML (JSON or CBOR), CSV with a header, line protocol of InfluxDB."},
        {"compressed", SCHEMA_CHOICE, 0, offsetof(struct mqtt_sub_conf, compressed), .choices = compressed, .def = "no",
         .help = "gzip (or zlib): unpacked first, to at most max_payload."},
        {"source", SCHEMA_TEXT, SCHEMA_SCALAR | SCHEMA_FORM, offsetof(struct mqtt_sub_conf, source),
         .help = "Source of the readings when the topic has no {source}; default: the name of the mqtt item. May ask a "
                 "JSON payload, as the tag of a reading does."},
        {"tag", SCHEMA_NAME, 0, offsetof(struct mqtt_sub_conf, tag),
         .help = "Tag of the reading when the topic has no {tag} (not for json)."},
        {"unit", SCHEMA_TEXT, 0, offsetof(struct mqtt_sub_conf, unit), .help = "Unit of the value (not for json)."},
        CONVERT_TYPE_KEY(struct mqtt_sub_conf, convert, "auto"),
        CONVERT_DECIMAL_KEY(struct mqtt_sub_conf, convert),
        CONVERT_KEYS(struct mqtt_sub_conf, convert),
        {"each", SCHEMA_TEXT, 0, offsetof(struct mqtt_sub_conf, each),
         .help = "JSON pointer to an array or object: `readings` are taken from each of its elements or members, whose "
                 "pointers begin there; behind $ they begin at the message."},
        {"max_elements", SCHEMA_INT, 0, offsetof(struct mqtt_sub_conf, max_elements), 1, MQTT_ELEMENTS_MAX,
         .def = "256", .help = "A message with more elements goes to the quarantine as a whole."},
        {"time", SCHEMA_TEXT, 0, offsetof(struct mqtt_sub_conf, time),
         .help = "JSON pointer to the time of the values, of the element when there is `each`, of the message behind "
                 "$; without it, or when it can't be trusted: the time of arrival."},
        {"time_format", SCHEMA_CHOICE, 0, offsetof(struct mqtt_sub_conf, time_format), .choices = time_formats,
         .def = "iso8601", .help = "How the time is written."},
        {"time_pattern", SCHEMA_TEXT, 0, offsetof(struct mqtt_sub_conf, time_pattern),
         .help = "How it is written when it is none of these, as strptime(3) has it, with %f for a fraction: "
                 "\"%d.%m.%Y %H:%M:%S\". Goes before time_format."},
        {"time_zone", SCHEMA_TEXT, 0, offsetof(struct mqtt_sub_conf, time_zone),
         .help = "Zone of times that say none: Europe/Berlin, or an offset as +01:00. Without it they can't be "
                 "trusted."},
        {"quality", SCHEMA_MAP, 0, offsetof(struct mqtt_sub_conf, quality), .sub = &payload_quality_schema,
         .help = "How good the payload says its values are."},
        {"retained", SCHEMA_CHOICE, 0, offsetof(struct mqtt_sub_conf, retained), .choices = retained, .def = "keep",
         .help = "What the broker kept and sends again at each subscription: keep, marked as retained, or skip."},
        {"readings", SCHEMA_LIST, 0, offsetof(struct mqtt_sub_conf, readings), .sub = &reading_schema,
         .help = "The values of a JSON payload."},
        {NULL},
};

static const struct schema sub_schema = {
        .name = "mqtt subscription",
        .help = "Which topics are read, and how their payload becomes readings.",
        .keys = sub_keys,
        .size = sizeof(struct mqtt_sub_conf),
        .has_at = true,
        .check = check_sub,
};

static int check_port(struct mqtt_url *out, const char *s, struct err *e)
{
        char *end;
        long port = strtol(s, &end, 10);

        if (*s < '0' || *s > '9' || *end || port < 1 || port > 65535)
                return err_set(e, "'%s' is not a port (1 to 65535)", s);
        out->port = (int)port;
        return 0;
}

static int split_host(struct mqtt_url *out, const char *s, struct err *e)
{
        const char *host = s, *end = s + strcspn(s, ":"), *rest = end;

        if (*s == '[') {
                host = s + 1;
                end = strchr(s, ']');
                if (!end)
                        return err_set(e, "[ without ] around an IPv6 address");
                rest = end + 1;
        }
        if (end == host)
                return err_set(e, "no host; write mqtt://host:port");
        if ((size_t)(end - host) >= sizeof(out->host))
                return err_set(e, "the host name is longer than 255 characters");
        memcpy(out->host, host, (size_t)(end - host));
        out->host[end - host] = '\0';
        if (!*rest)
                return 0;
        if (*rest != ':')
                return err_set(e, "'%s' behind the host; write mqtt://host:port", rest);
        return check_port(out, rest + 1, e);
}

int mqtt_url_parse(struct mqtt_url *out, const char *url, struct err *e)
{
        const char *s;

        *out = (struct mqtt_url){.port = 1883};
        if (strncmp(url, "mqtt://", 7) == 0) {
                s = url + 7;
        } else if (strncmp(url, "mqtts://", 8) == 0) {
                s = url + 8;
                out->tls = true;
                out->port = 8883;
        } else {
                return err_set(e, "'%s' is not mqtt://host:port or mqtts://host:port", url);
        }
        if (strchr(s, '@'))
                return err_set(e, "no user or password in the address: use username and password_file");
        if (strpbrk(s, "/?# "))
                return err_set(e, "nothing may follow the port in an mqtt address");
        return split_host(out, s, e);
}

static int check_item(void *obj, const char **key, struct err *e)
{
        const struct mqtt_conf *c = obj;
        struct mqtt_url url;

        *key = NULL;
        if (c->url && mqtt_url_parse(&url, c->url, e) < 0) {
                *key = "url";
                return -1;
        }
        if (c->qos == 2)
                return fault(key, "qos", e,
                             "QoS 2 is not offered: its half-done state would be lost in a crash, and the message with "
                             "it; use 1, redeliveries are recognised");
        if (c->password_file && !c->username)
                return fault(key, "password_file", e, "needs `username`");
        if (!c->cert_file != !c->key_file)
                return fault(key, c->cert_file ? "cert_file" : "key_file", e, "cert_file and key_file go together");
        if (c->url && !url.tls && (c->ca_file || c->cert_file))
                return fault(key, c->ca_file ? "ca_file" : "cert_file", e,
                             "only with mqtts://, this address is mqtt://");
        if (c->client_id && (!*c->client_id || strlen(c->client_id) > 128))
                return fault(key, "client_id", e, "1 to 128 characters");
        return 0;
}

static const struct schema_key item_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, offsetof(struct mqtt_conf, name),
         .help = "Name of this connection in status, logs and metrics."},
        {"url", SCHEMA_TEXT, SCHEMA_REQUIRED, offsetof(struct mqtt_conf, url),
         .help = "mqtt://host:port (port 1883) or mqtts://host:port with TLS (port 8883)."},
        {"client_id", SCHEMA_TEXT, 0, offsetof(struct mqtt_conf, client_id),
         .help = "Must stay the same, the broker keeps the session under it; default: millrace-<gateway>-<name>."},
        {"username", SCHEMA_TEXT, 0, offsetof(struct mqtt_conf, username), .help = "User at the broker."},
        {"password_file", SCHEMA_PATH, 0, offsetof(struct mqtt_conf, password_file),
         .help = "File with the password; read at each connect."},
        {"ca_file", SCHEMA_PATH, 0, offsetof(struct mqtt_conf, ca_file),
         .help = "PEM file of the authority that signed the broker; default: those of the system."},
        {"cert_file", SCHEMA_PATH, 0, offsetof(struct mqtt_conf, cert_file),
         .help = "PEM file with our certificate, for brokers that ask for one."},
        {"key_file", SCHEMA_PATH, 0, offsetof(struct mqtt_conf, key_file),
         .help = "PEM file with the key to cert_file."},
        {"protocol", SCHEMA_CHOICE, 0, offsetof(struct mqtt_conf, protocol), .choices = protocols, .def = "5",
         .help = "Version of MQTT."},
        {"qos", SCHEMA_INT, 0, offsetof(struct mqtt_conf, qos), 0, 2, .def = "1",
         .help = "1: acknowledged when it is on disk; 0: messages can be lost on the way. 2 is not offered."},
        {"keepalive", SCHEMA_DURATION, 0, offsetof(struct mqtt_conf, keepalive_us), 5 * SECOND, 65535 * SECOND,
         .def = "30s", .help = "A silent broker is given up after about one and a half times this."},
        {"session_expiry", SCHEMA_DURATION, 0, offsetof(struct mqtt_conf, session_expiry_us), 60 * SECOND,
         4294967294 * SECOND, .def = "7d",
         .help = "How long the broker is to hold messages while we are away (MQTT 5; with 3.1.1 the broker decides)."},
        {"ack_delay", SCHEMA_DURATION, 0, offsetof(struct mqtt_conf, ack_delay_us), 0, 5 * SECOND, .def = "1s",
         .help = "How long acknowledgements may be held to fill a commit: more saves flash, less adds no delay. With "
                 "250 messages waiting it is a twentieth, at least 20 ms."},
        {"max_payload", SCHEMA_SIZE, 0, offsetof(struct mqtt_conf, max_payload_bytes), 64, 16 << 20, .def = "256KiB",
         .help = "Longer messages go to the quarantine. At most spool.batch_bytes and spool.max_size / 32; so is the "
                 "default."},
        {"receive_maximum", SCHEMA_INT, 0, offsetof(struct mqtt_conf, receive_maximum), 1, 65535, .def = "2000",
         .help = "How many messages the broker may send before we acknowledge (MQTT 5)."},
        {"max_tags", SCHEMA_INT, 0, offsetof(struct mqtt_conf, max_tags), 0, 1000000, .def = "0",
         .help = "Most tags that names in topics or Sparkplug births may make; messages of further ones go to the "
                 "quarantine. 0: an equal part of what limits.max_tags has left beside items that say a number."},
        {"subscriptions", SCHEMA_LIST, SCHEMA_REQUIRED, offsetof(struct mqtt_conf, subscriptions), .sub = &sub_schema,
         .help = "The topics to read."},
        {NULL},
};

const struct schema mqtt_schema = {
        .name = "mqtt",
        .help = "Readings from an MQTT broker.",
        .keys = item_keys,
        .size = sizeof(struct mqtt_conf),
        .has_at = true,
        .check = check_item,
};

/* ---- names ---- */

static const char *source_of(const struct mqtt_conf *item, const struct mqtt_sub_conf *c)
{
        return c->source ? c->source : item->name;
}

/*
 * The source is not from the wire; tags may be, or differ by labels that are.
 */
static void sub_names(const struct mqtt_conf *item, const struct mqtt_sub_conf *c, const struct mqtt_pattern *p,
                      struct driver_names *to)
{
        const struct mqtt_reading_conf *r = c->readings.items;

        bool from_wire = p->n_names || mqtt_sub_asks(c);

        if (payload_name_asks(mqtt_sub_usual(c).source))
                return;
        if (from_wire || !mqtt_has_readings(c->payload))
                to->each(to, source_of(item, c), from_wire ? NULL : c->tag, &c->topic);
        for (size_t i = 0; i < c->readings.n && !from_wire; i++)
                to->each(to, source_of(item, c), r[i].tag, &r[i].tag);
}

void mqtt_names(const void *conf, struct driver_names *to)
{
        const struct mqtt_conf *item = conf;
        const struct mqtt_sub_conf *c = item->subscriptions.items;

        for (size_t i = 0; i < item->subscriptions.n; i++) {
                struct mqtt_pattern p;
                struct err e;

                if (mqtt_pattern_init(&p, c[i].topic, &e) == 0 && p.source_level < 0 &&
                    c[i].payload != MQTT_SPARKPLUG_B)
                        sub_names(item, &c[i], &p, to);
                mqtt_pattern_fini(&p);
        }
}

size_t mqtt_share(const void *conf, size_t usual)
{
        const struct mqtt_conf *item = conf;
        const struct mqtt_sub_conf *c = item->subscriptions.items;
        bool from_wire = false;

        for (size_t i = 0; i < item->subscriptions.n && !from_wire; i++)
                from_wire = c[i].payload == MQTT_SPARKPLUG_B || strchr(c[i].topic, '{') || mqtt_sub_asks(&c[i]);
        if (!from_wire)
                return 0;
        return item->max_tags ? (size_t)item->max_tags : usual;
}
