/*
 * kafka_topics: what the brokers are set to do with our records (see uplink.h).
 *
 * A gateway sends late what it held: Kafka must not delete it for its age when
 * it arrives, nor refuse it for that, nor keep the last record of a key only.
 * What a topic is set to is asked of the brokers (DescribeConfigs), which say
 * what is in force, their own defaults included.  Then kafka_reach.c looks at
 * whether they can be reached and written to.
 *
 * For the tool: it blocks, for ASK_MS at most and for as long as a look-up of a
 * name may take, and then for as long as that does.  Fails with a sentence when no broker answers; what is wrong
 * with one topic, not to be seen included, is a sentence to on_note.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uplink/kafka_impl.h"

enum { ASK_MS = 10000, POLL_MS = 100 };
#define DAY_MS   INT64_C(86400000)
#define LEAST_MS (30 * DAY_MS) /* what a topic should keep or take, if it goes by our time */

struct note {
        struct kafka_note to;
        const char *topic;
        bool live_first;
        enum kafka_note_kind kind; /* of what is said next */
        int64_t most[SINK_TOPICS]; /* bytes of a record, of those that are there and used */
};

void kafka_note_say(const struct kafka_note *n, enum kafka_note_kind kind, const char *fmt, ...)
{
        char text[480];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        n->on_note(n->ctx, text, kind);
}

static void say(const struct note *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct note *n, const char *fmt, ...)
{
        char text[400];
        va_list ap;
        int len = snprintf(text, sizeof(text), "topic %.100s: ", n->topic);

        va_start(ap, fmt);
        vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, ap);
        va_end(ap);
        n->to.on_note(n->to.ctx, text, n->kind);
}

/* ---- one topic ---- */

/* NULL: an older broker does not know it. */
static const char *value_of(const rd_kafka_ConfigResource_t *topic, const char *name)
{
        size_t n;
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(topic, &n);

        for (size_t i = 0; i < n; i++)
                if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), name))
                        return rd_kafka_ConfigEntry_value(entries[i]);
        return NULL;
}

/* A time that is shorter than it should be; -1 is for ever. */
static bool is_short(const rd_kafka_ConfigResource_t *topic, const char *name, int64_t *ms)
{
        const char *value = value_of(topic, name);

        *ms = value ? strtoll(value, NULL, 10) : -1;
        return *ms >= 0 && *ms < LEAST_MS;
}

static void look_at_times(const struct note *n, const rd_kafka_ConfigResource_t *topic, bool deletes)
{
        static const char *const bounds[] = {"message.timestamp.before.max.ms", "message.timestamp.difference.max.ms"};
        const char *type = value_of(topic, "message.timestamp.type");
        int64_t ms;

        if (type && !strcmp(type, "LogAppendTime"))
                return;
        if (deletes && is_short(topic, "retention.ms", &ms))
                say(n,
                    "retention.ms is %" PRId64 " (%.3g days) and counts from the reading's time: what was held here "
                    "for longer is deleted when it arrives; set message.timestamp.type=LogAppendTime, or 30 days or "
                    "more",
                    ms, (double)ms / DAY_MS);
        for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
                if (!is_short(topic, bounds[i], &ms))
                        continue;
                say(n,
                    "%s is %" PRId64 " (%.3g days): what was held here for longer is refused and becomes a dead "
                    "letter; set message.timestamp.type=LogAppendTime, or 30 days or more",
                    bounds[i], ms, (double)ms / DAY_MS);
                return; /* the second is the first's old name */
        }
}

static void look_at_topic(const struct note *n, enum sink_topic which, const rd_kafka_ConfigResource_t *topic)
{
        const char *policy = value_of(topic, "cleanup.policy");
        bool compacts = policy && strstr(policy, "compact"), deletes = !policy || strstr(policy, "delete");

        if (which == SINK_STATUS) {
                if (!compacts)
                        say(n, "cleanup.policy is %s: with compact the last heartbeat of each gateway stays", policy);
                return;
        }
        if (compacts)
                say(n, "cleanup.policy is %s: Kafka keeps only the last record of each source; set delete", policy);
        look_at_times(n, topic, deletes);
}

static void look(struct note *n, enum sink_topic which, const rd_kafka_ConfigResource_t *topic)
{
        const char *most = value_of(topic, "max.message.bytes");
        rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(topic);

        bool absent = err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;

        n->kind = absent && which != SINK_RAW ? KAFKA_NOTE_STOPS
                  : err && !absent            ? KAFKA_NOTE_UNSEEN
                                              : KAFKA_NOTE_LOSES;
        if (absent && which == SINK_RAW)
                say(n, "it is not there; a source with payload: raw needs it");
        else if (absent)
                say(n, "it is not there: create it, or allow its automatic creation");
        else if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
                say(n, "what it is set to can't be seen, and so whether it may be written to is not tried: grant "
                       "DescribeConfigs "
                       "on it to have that looked at");
        else if (err)
                say(n, "what it is set to can't be seen: %.200s", rd_kafka_ConfigResource_error_string(topic));
        else
                look_at_topic(n, which, topic);
        n->most[which] = most ? strtoll(most, NULL, 10) : 0;
}

/* ---- asking ---- */

static void ask(const struct kafka_producer *p, const struct kafka_setup *s)
{
        rd_kafka_ConfigResource_t *topics[SINK_TOPICS];
        rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(p->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
        char text[200];

        rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, text, sizeof(text));
        for (int i = 0; i < SINK_TOPICS; i++)
                topics[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, s->topic_name[i]);
        rd_kafka_DescribeConfigs(p->rk, topics, SINK_TOPICS, options, p->queue);
        rd_kafka_ConfigResource_destroy_array(topics, SINK_TOPICS);
        rd_kafka_AdminOptions_destroy(options);
}

/*
 * The answer, also one that says no: librdkafka gives one in any case.  NULL:
 * it did not.
 */
static rd_kafka_event_t *wait_for_answer(const struct kafka_producer *p, const struct kafka_setup *s, struct err *e)
{
        char text[200];

        e->text[0] = '\0';
        for (int idle = 0; idle < 2 * ASK_MS / POLL_MS;) {
                rd_kafka_event_t *ev = rd_kafka_queue_poll(p->queue, POLL_MS);

                idle += !ev;
                if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)
                        return ev;
                if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR &&
                    rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
                        kafka_connection_words(s, rd_kafka_event_error_string(ev), text, sizeof(text));
                        err_set(e, "kafka: no broker answers: %s", text);
                }
                rd_kafka_event_destroy(ev);
        }
        return NULL;
}

static int take_answer(rd_kafka_event_t *ev, const struct kafka_setup *s, struct note *n, struct err *e)
{
        const rd_kafka_ConfigResource_t **topics;
        size_t n_topics;

        if (!ev || rd_kafka_event_error(ev)) {
                if (!*e->text)
                        err_set(e, "kafka: no broker answers: %s", ev ? rd_kafka_event_error_string(ev) : "timed out");
                return -1;
        }
        topics = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev), &n_topics);
        for (size_t i = 0; i < n_topics; i++) {
                enum sink_topic which = SINK_SAMPLES;

                n->topic = rd_kafka_ConfigResource_name(topics[i]);
                while (which < SINK_RAW && strcmp(s->topic_name[which], n->topic) != 0)
                        which++;
                if (which != SINK_BACKFILL || n->live_first)
                        look(n, which, topics[i]);
        }
        return 0;
}

int kafka_topics_check(const struct kafka_conf *conf, const char *gateway,
                       void (*on_note)(void *ctx, const char *text, enum kafka_note_kind kind), void *ctx,
                       struct err *e)
{
        struct note n = {.to = {on_note, ctx}, .live_first = conf->live_first};
        struct kafka_producer p = {0};
        struct kafka_setup s;
        rd_kafka_event_t *ev;
        int r = kafka_setup_fill(&s, conf, gateway, e) < 0 ? -1 : kafka_setup_complete(&s, conf, e);

        if (r == 0 && (r = kafka_producer_make(&p, &s, e)) == 0) {
                ask(&p, &s);
                kafka_look_around(&p, &n.to); /* also of a cluster that then does not answer */
                ev = wait_for_answer(&p, &s, e);
                r = take_answer(ev, &s, &n, e);
                rd_kafka_event_destroy(ev);
        }
        if (r == 0)
                kafka_try_writing(&s, n.most, &n.to);
        kafka_producer_destroy(&p);
        kafka_setup_fini(&s);
        return r;
}
