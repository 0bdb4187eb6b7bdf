/*
 * kafka_conf: the `kafka:` section, as a table and the checks a table can't
 * say.
 *
 * Pure: no I/O and no rdkafka.h, so that `millrace check` says the same on a
 * laptop as on the gateway.  Properties are passed to librdkafka verbatim by
 * uplink/kafka.c, which names a wrong one when it opens; refused here are only
 * those that would break what the uplink promises (acks, idempotence, timeouts,
 * queue sizes) or that have a key of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "uplink/uplink.h"

static const char *const deliveries[] = {
        [KAFKA_AT_LEAST_ONCE] = "at_least_once", [KAFKA_EXACTLY_ONCE] = "exactly_once", NULL};
static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};

#define AT(member) offsetof(struct kafka_conf, member)

static const struct schema_key keys[] = {
        {.name = "brokers",
         .type = SCHEMA_TEXTS,
         .flags = SCHEMA_REQUIRED,
         .offset = AT(brokers),
         .help = "Brokers to begin with, as host:port; the others are learnt from them."},
        {.name = "delivery",
         .type = SCHEMA_CHOICE,
         .offset = AT(delivery),
         .choices = deliveries,
         .def = "at_least_once",
         .help = "at_least_once: idempotent; a crash may send one window twice, with the same ids. exactly_once: in "
                 "transactions, a second each; readers with isolation.level=read_committed see no record twice: see "
                 "integrator.md."},
        {.name = "compression",
         .type = SCHEMA_CHOICE,
         .offset = AT(compression),
         .choices = compressions,
         .def = "lz4",
         .help = "How batches are compressed on the way and in the topic. zstd (at its level 1; another one by the "
                 "property compression.level) halves what lz4 sends, but not every reader has it: see integrator.md."},
        {.name = "rate_limit",
         .type = SCHEMA_TEXT,
         .offset = AT(rate_limit),
         .help = "Most bytes of samples a second before compression, as 256KiB/s; events are exempt. Absent: no "
                 "limit."},
        {.name = "live_first",
         .type = SCHEMA_BOOL,
         .offset = AT(live_first),
         .def = "false",
         .help = "Fresh readings overtake a backlog: that follows through the backfill topic, so that consumers of the "
                 "samples topic see fresh ones only."},
        {.name = "backfill_after",
         .type = SCHEMA_DURATION,
         .offset = AT(backfill_after_us),
         .min = 1e6,
         .max = 365.0 * 86400e6,
         .def = "5m",
         .help = "With live_first: when the next reading is older, all that waits is left to the backfill topic."},
        {.name = "backfill_rate_limit",
         .type = SCHEMA_TEXT,
         .offset = AT(backfill_rate_limit),
         .help = "Most bytes of the backfill topic a second, within rate_limit. Absent: what fresh readings leave."},
        {.name = "hours",
         .type = SCHEMA_LIST,
         .sub = &hours_schema,
         .offset = AT(hours),
         .help = "Times of the day with a rate of their own."},
        {.name = "linger",
         .type = SCHEMA_DURATION,
         .offset = AT(linger_us),
         .min = 0,
         .max = 10e6,
         .def = "5ms",
         .help = "How long a record waits for company, alarms too. What one commit brings goes together anyway; only "
                 "what is longer than commits are apart means fewer, larger requests."},
        {.name = "window_records",
         .type = SCHEMA_INT,
         .offset = AT(window_records),
         .min = 100,
         .max = 1000000,
         .def = "10000",
         .help = "Most records on their way at once: also the most that a crash can send twice."},
        {.name = "window_bytes",
         .type = SCHEMA_SIZE,
         .offset = AT(window_bytes),
         .min = 65536,
         .max = 268435456,
         .def = "6MiB",
         .help = "Most bytes on their way at once."},
        {.name = "samples_topic",
         .type = SCHEMA_NAME,
         .flags = SCHEMA_ASCII,
         .offset = AT(samples_topic),
         .def = "edge_samples_v1",
         .help = "Topic of the readings."},
        {.name = "events_topic",
         .type = SCHEMA_NAME,
         .flags = SCHEMA_ASCII,
         .offset = AT(events_topic),
         .def = "edge_events_v1",
         .help = "Topic of alarms and of the agent's own events."},
        {.name = "status_topic",
         .type = SCHEMA_NAME,
         .flags = SCHEMA_ASCII,
         .offset = AT(status_topic),
         .def = "edge_status_v1",
         .help = "Topic of the gateway's heartbeat; best compacted."},
        {.name = "backfill_topic",
         .type = SCHEMA_NAME,
         .flags = SCHEMA_ASCII,
         .offset = AT(backfill_topic),
         .def = "edge_backfill_v1",
         .help = "Topic of old readings, with live_first."},
        {.name = "raw_topic",
         .type = SCHEMA_NAME,
         .flags = SCHEMA_ASCII,
         .offset = AT(raw_topic),
         .def = "edge_raw_v1",
         .help = "Topic of raw payloads, fresh or old: whatever reads the other topics as JSON would stop at them."},
        {.name = "properties",
         .type = SCHEMA_TEXTS,
         .offset = AT(properties),
         .help = "Any further librdkafka property, as name=value, in this order."},
        {.name = "secrets",
         .type = SCHEMA_TEXTS,
         .offset = AT(secrets),
         .help = "Properties whose value is read at start, as name=file:/path or name=credential:NAME (systemd)."},
        {.name = "token",
         .type = SCHEMA_MAP,
         .offset = AT(token),
         .sub = &token_schema,
         .help = "Tokens for SASL OAUTHBEARER."},
        {.name = "client_id",
         .type = SCHEMA_NAME,
         .flags = SCHEMA_ASCII,
         .offset = AT(client_id),
         .help = "Name in the brokers' logs and quotas; absent: millrace-<gateway>."},
        {.name = "seal",
         .type = SCHEMA_BOOL,
         .offset = AT(seal),
         .def = "true",
         .help = "Heartbeats carry a running hash of what was delivered and the ledger's ranges, by which anybody "
                 "can tell what is missing or altered in the topics: see verify.md. Not with exactly_once."},
        {.name = "sign_key",
         .type = SCHEMA_TEXT,
         .offset = AT(sign_key),
         .help = "A file with an Ed25519 private key in PEM (openssl genpkey -algorithm ed25519) that signs these "
                 "hashes; absent: they are not signed."},
        {.name = NULL},
};

static bool is_broker(const char *s)
{
        const char *colon = strrchr(s, ':');
        char *end;
        long port;

        if (!colon || colon == s || !strncmp(colon, "://", 3) || strpbrk(s, ", \t/"))
                return false;
        port = strtol(colon + 1, &end, 10);
        return colon[1] >= '0' && colon[1] <= '9' && !*end && port >= 1 && port <= 65535;
}

static int check_brokers(const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->brokers.items;

        if (!c->brokers.n)
                return err_set(e, "at least one broker is needed, as host:port");
        for (size_t i = 0; i < c->brokers.n; i++)
                if (!is_broker(items[i]))
                        return err_set(e, "\"%s\" is not a broker: host:port is expected", items[i]);
        return 0;
}

/*
 * Properties that would break a promise of the uplink, or that have a key of
 * their own; and why.
 */
static const struct {
        const char *name, *why;
} ours[] = {
        {"acks", "rows leave the spool only when all replicas have them"},
        {"request.required.acks", "rows leave the spool only when all replicas have them"},
        {"enable.idempotence", "without it a retry could double or reorder records"},
        {"message.timeout.ms", "the spool keeps records, however long Kafka is away"},
        {"delivery.timeout.ms", "the spool keeps records, however long Kafka is away"},
        {"transactional.id", "it follows from gateway:, with delivery: exactly_once"},
        {"transaction.timeout.ms", "it goes with delivery: exactly_once"},
        {"bootstrap.servers", "write it as brokers:"},
        {"metadata.broker.list", "write it as brokers:"},
        {"client.id", "write it as client_id:"},
        {"compression.codec", "write it as compression:"},
        {"compression.type", "write it as compression:"},
        {"linger.ms", "write it as linger:"},
        {"queue.buffering.max.ms", "write it as linger:"},
        {"queue.buffering.max.messages", "it follows from window_records:"},
        {"queue.buffering.max.kbytes", "it follows from window_bytes:"},
        {"log_level", "librdkafka's log goes through the agent's"},
};

static int check_properties(const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->properties.items;

        for (size_t i = 0; i < c->properties.n; i++) {
                const char *eq = strchr(items[i], '=');

                if (!eq || eq == items[i])
                        return err_set(e, "\"%s\" is not a property: name=value is expected", items[i]);
                for (size_t k = 0; k < sizeof(ours) / sizeof(*ours); k++)
                        if (strlen(ours[k].name) == (size_t)(eq - items[i]) &&
                            !strncmp(ours[k].name, items[i], (size_t)(eq - items[i])))
                                return err_set(e, "%s can't be set: %s", ours[k].name, ours[k].why);
        }
        return 0;
}

static bool is_secret(const char *s)
{
        const char *eq = strchr(s, '=');

        if (!eq || eq == s)
                return false;
        if (!strncmp(eq + 1, "file:/", 6))
                return eq[7] != '\0';
        return !strncmp(eq + 1, "credential:", 11) && text_is_ascii_name(eq + 12, strlen(eq + 12));
}

static int check_secrets(const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->secrets.items;

        for (size_t i = 0; i < c->secrets.n; i++)
                if (!is_secret(items[i])) /* not shown: it may be the secret itself, written here by mistake */
                        return err_set(e,
                                       "item %zu is not a secret: name=file:/path or name=credential:NAME is expected",
                                       i + 1);
        return 0;
}

static int check(void *obj, const char **key, struct err *e)
{
        struct kafka_conf *c = obj;

        *key = "brokers";
        if (check_brokers(c, e) < 0)
                return -1;
        *key = "rate_limit";
        if (hours_rate(c->rate_limit, &c->rate_limit_bytes_s, e) < 0)
                return -1;
        *key = "backfill_rate_limit";
        if (hours_rate(c->backfill_rate_limit, &c->backfill_rate_limit_bytes_s, e) < 0)
                return -1;
        *key = "properties";
        if (check_properties(c, e) < 0)
                return -1;
        *key = "secrets";
        return check_secrets(c, e);
}

const struct schema kafka_schema = {
        .name = "kafka",
        .help = "Where readings and events go.",
        .keys = keys,
        .size = sizeof(struct kafka_conf),
        .has_at = true,
        .check = check,
};
