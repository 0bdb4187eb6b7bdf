/*
 * kafka_setup: the `kafka:` section -> what a producer is made from, and the
 * producer (see kafka_impl.h).
 *
 * The fingerprint is of all that was set, secrets included: an equal one is the
 * same producer.  What opening would refuse is found by opening but for the
 * brokers: nobody is looked up or connected to.
 *
 * Fails with a sentence that names the property; never with the value of a
 * secret.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "uplink/kafka_impl.h"
#include "uplink/secret.h"

enum {
        SPARE_RECORDS = 1024, /* the events' window and heartbeats, beside window_records */
        QUEUE_KIB_MIN = 8192,
        BATCHES = 10, /* a full window is so many batches: it goes out at once, where one larger batch would linger */
};

/* ---- a producer's configuration ---- */

static void note(struct kafka_setup *s, const char *name, const char *value)
{
        s->fingerprint = text_hash(value, strlen(value) + 1, text_hash(name, strlen(name) + 1, s->fingerprint));
}

static int set(struct kafka_setup *s, const char *name, const char *value, struct err *e)
{
        char text[400];

        note(s, name, value);
        if (rd_kafka_conf_set(s->conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
                return 0;
        return err_set(e, "kafka: property %s: %s", name, text);
}

static int set_number(struct kafka_setup *s, const char *name, uint64_t v, struct err *e)
{
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, v);
        return set(s, name, text, e);
}

static int set_brokers(struct kafka_setup *s, const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->brokers.items;
        size_t cap = 1, n = 0;
        char *list;
        int r;

        for (size_t i = 0; i < c->brokers.n; i++)
                cap += strlen(items[i]) + 1;
        list = mem_alloc(cap);
        for (size_t i = 0; i < c->brokers.n; i++)
                n += (size_t)sprintf(list + n, "%s%s", i ? "," : "", items[i]);
        r = set(s, "bootstrap.servers", list, e);
        free(list);
        return r;
}

/* All that is ours but for the brokers. */
static int set_ours(struct kafka_setup *s, const struct kafka_conf *c, const char *gateway, struct err *e)
{
        static const char *const fixed[][2] = {
                {"acks", "all"},
                {"enable.idempotence", "true"},
                {"message.timeout.ms", "0"},
                {"partitioner", "murmur2_random"}, /* as Java clients */
                {"statistics.interval.ms", "0"},
                {"reconnect.backoff.max.ms", "2000"},          /* its 10 s would add as much to every outage */
                {"topic.metadata.propagation.max.ms", "4000"}, /* a topic that is not there is told, not waited for */
                {"log.queue", "true"},
        };
        /* zstd's own level, 3, is four times the work on a batch of a few records, for no fewer bytes. */
        static const struct {
                const char *name, *level;
        } codecs[] = {{"none", "-1"}, {"gzip", "-1"}, {"snappy", "-1"}, {"lz4", "-1"}, {"zstd", "1"}};
        uint64_t kib = c->window_bytes / 1024 + c->window_bytes / 4096 + 1024;
        char id[128];

        for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
                if (set(s, fixed[i][0], fixed[i][1], e) < 0)
                        return -1;
        snprintf(id, sizeof(id), "millrace-%s", gateway);
        if (set(s, "client.id", c->client_id ? c->client_id : id, e) < 0 ||
            set(s, "compression.codec", codecs[c->compression].name, e) < 0 ||
            set(s, "compression.level", codecs[c->compression].level, e) < 0 ||
            set_number(s, "linger.ms", (uint64_t)c->linger_us / 1000, e) < 0 ||
            set_number(s, "batch.num.messages", (uint64_t)c->window_records / BATCHES, e) < 0 ||
            set_number(s, "queue.buffering.max.messages", (uint64_t)c->window_records + SPARE_RECORDS, e) < 0 ||
            set_number(s, "queue.buffering.max.kbytes", kib > QUEUE_KIB_MIN ? kib : QUEUE_KIB_MIN, e) < 0)
                return -1;
        rd_kafka_conf_set_events(s->conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
        return 0;
}

static int set_properties(struct kafka_setup *s, const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->properties.items;

        for (size_t i = 0; i < c->properties.n; i++) {
                const char *eq = strchr(items[i], '=');
                char name[128];

                if (!eq || (size_t)(eq - items[i]) >= sizeof(name))
                        return err_set(e, "kafka: \"%s\" is not a property: name=value is expected", items[i]);
                snprintf(name, sizeof(name), "%.*s", (int)(eq - items[i]), items[i]);
                if (set(s, name, eq + 1, e) < 0)
                        return -1;
                if (!strcmp(name, "sasl.username"))
                        snprintf(s->user, sizeof(s->user), "%s", eq + 1);
        }
        return 0;
}

static int set_secrets(struct kafka_setup *s, const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->secrets.items;
        char name[128], value[65536], text[400];
        int r = 0;

        for (size_t i = 0; i < c->secrets.n && !r; i++) {
                r = secret_read(items[i], name, sizeof(name), value, sizeof(value), e);
                if (!r)
                        note(s, name, value);
                /* librdkafka's own words may hold the value: not shown. */
                if (!r && rd_kafka_conf_set(s->conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
                        r = err_set(e, "kafka: property %s does not exist, or does not take what its secret holds",
                                    name);
        }
        explicit_bzero(value, sizeof(value));
        explicit_bzero(text, sizeof(text));
        return r;
}

/*
 * librdkafka's own words on a certificate it refuses are the same whatever is
 * wrong with it.  Its verdict stays OpenSSL's.
 */
static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *x509_error, int depth, const char *der,
                          size_t size, char *words, size_t cap, void *opaque)
{
        if (!*x509_error)
                return 1;
        atomic_store(&((struct kafka_shared *)opaque)->certificate, *x509_error);
        snprintf(words, cap, "OpenSSL's error %d", *x509_error);
        return 0;
}

static void watch_certificates(struct kafka_setup *s)
{
        char looked_at[8];
        size_t size = sizeof(looked_at);

        if (rd_kafka_conf_get(s->conf, "enable.ssl.certificate.verification", looked_at, &size) ||
            strcmp(looked_at, "true") != 0)
                return;
        rd_kafka_conf_set_opaque(s->conf, s->shared);
        rd_kafka_conf_set_ssl_cert_verify_cb(s->conf, on_certificate);
}

static void note_token(struct kafka_setup *s, const struct token_conf *c)
{
        const char *const *argv = c->command.items, *const of[] = {c->file, c->msk_region, c->aws_credentials,
                                                                   c->aws_profile};

        for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++)
                note(s, "token", of[i] ? of[i] : "");
        for (size_t i = 0; i < c->command.n; i++)
                note(s, "token", argv[i]);
}

int kafka_setup_fill(struct kafka_setup *s, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        const char *const names[SINK_TOPICS] = {conf->samples_topic, conf->events_topic, conf->status_topic,
                                                conf->backfill_topic, conf->raw_topic};

        *s = (struct kafka_setup){.conf = rd_kafka_conf_new(), .shared = mem_alloc(sizeof(*s->shared))};
        for (int i = 0; i < SINK_TOPICS; i++) {
                s->topic_name[i] = mem_strdup(names[i]);
                note(s, "topic", names[i]);
        }
        if (set_ours(s, conf, gateway, e) < 0 || kafka_token_set(s, &conf->token, e) < 0 ||
            set_properties(s, conf, e) < 0)
                return -1;
        note_token(s, &conf->token);
        watch_certificates(s);
        return 0;
}

/*
 * A record can't wait for longer than its transaction, which is tried again as
 * a whole.
 */
int kafka_setup_transactional(struct kafka_setup *s, const char *id, int timeout_ms, struct err *e)
{
        snprintf(s->transactional_id, sizeof(s->transactional_id), "%s", id);
        return set(s, "transactional.id", id, e) < 0 ||
                               set_number(s, "transaction.timeout.ms", (uint64_t)timeout_ms, e) < 0 ||
                               set_number(s, "message.timeout.ms", (uint64_t)timeout_ms, e) < 0
                       ? -1
                       : 0;
}

int kafka_setup_complete(struct kafka_setup *s, const struct kafka_conf *conf, struct err *e)
{
        return set_brokers(s, conf, e) < 0 ? -1 : set_secrets(s, conf, e);
}

/* ---- the producer: made and destroyed anywhere but on the loop ---- */

/*
 * The brokers are asked for a topic that is known here, and may make it: so one
 * that few need is known when it is first used.
 */
rd_kafka_topic_t *kafka_producer_topic(struct kafka_producer *p, const struct kafka_setup *s, enum sink_topic which)
{
        if (!p->topic[which])
                p->topic[which] = rd_kafka_topic_new(p->rk, s->topic_name[which], NULL);
        return p->topic[which];
}

int kafka_producer_make(struct kafka_producer *p, const struct kafka_setup *s, struct err *e)
{
        rd_kafka_conf_t *conf = rd_kafka_conf_dup(s->conf);
        char text[400];

        p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
        if (!p->rk) {
                rd_kafka_conf_destroy(conf);
                return err_set(e, "kafka: %s", text);
        }
        p->queue = rd_kafka_queue_get_main(p->rk);
        if (kafka_token_serve(p->rk, s, e) < 0)
                return -1;
        rd_kafka_set_log_queue(p->rk, NULL); /* NULL: the main queue */
        for (int i = 0; i < SINK_BACKFILL; i++)
                if (!kafka_producer_topic(p, s, i))
                        return err_set(e, "kafka: topic %s: %s", s->topic_name[i],
                                       rd_kafka_err2str(rd_kafka_last_error()));
        return 0;
}

void kafka_producer_destroy(struct kafka_producer *p)
{
        if (!p->rk)
                return;
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        for (int i = 0; i < SINK_TOPICS; i++)
                if (p->topic[i])
                        rd_kafka_topic_destroy(p->topic[i]);
        rd_kafka_queue_destroy(p->queue);
        rd_kafka_destroy(p->rk);
        *p = (struct kafka_producer){0};
}

void kafka_setup_fini(struct kafka_setup *s)
{
        if (s->shared)
                token_source_free(s->shared->token);
        free(s->shared);
        if (s->conf)
                rd_kafka_conf_destroy(s->conf);
        for (int i = 0; i < SINK_TOPICS; i++)
                free(s->topic_name[i]);
}

/* ---- what opening would refuse ---- */

static int check_secret_names(const struct kafka_setup *s, const struct kafka_conf *c, struct err *e)
{
        const char *const *items = c->secrets.items;
        rd_kafka_conf_t *trial = rd_kafka_conf_dup(s->conf);
        int r = 0;

        for (size_t i = 0; i < c->secrets.n && !r; i++) {
                char name[128];

                snprintf(name, sizeof(name), "%.*s", (int)strcspn(items[i], "="), items[i]);
                if (rd_kafka_conf_set(trial, name, "", NULL, 0) == RD_KAFKA_CONF_UNKNOWN)
                        r = err_set(e, "kafka: property %s does not exist", name);
        }
        rd_kafka_conf_destroy(trial);
        return r;
}

/*
 * Whether all that the section names in the file system can be read on this
 * machine.
 */
static bool files_are_here(const struct kafka_conf *c)
{
        const char *const *properties = c->properties.items, *const *secrets = c->secrets.items;

        for (size_t i = 0; i < c->properties.n; i++) {
                const char *value = strchr(properties[i], '=') + 1;

                if (*value == '/' && access(value, R_OK) < 0)
                        return false;
        }
        for (size_t i = 0; i < c->secrets.n; i++)
                if (!secret_is_here(secrets[i]))
                        return false;
        return true;
}

/*
 * The same as opening, but for the brokers: nobody is looked up or connected
 * to.
 */
int kafka_sink_check(const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        struct kafka_setup s;
        struct kafka_producer p = {0};
        int r = kafka_setup_fill(&s, conf, gateway, e) < 0 ? -1 : check_secret_names(&s, conf, e);

        token_source_free(s.shared->token); /* nor is a program run for one */
        s.shared->token = NULL;
        if (r == 0 && files_are_here(conf))
                r = set_secrets(&s, conf, e) < 0 ? -1 : kafka_producer_make(&p, &s, e);
        kafka_producer_destroy(&p);
        kafka_setup_fini(&s);
        return r;
}
