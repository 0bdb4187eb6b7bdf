/*
 * kafka_ask: are the topics there?  Asked of the brokers as soon as there is a
 * producer, and again, soon while one is missing (see kafka_impl.h).
 *
 * Why: librdkafka says that a topic is missing when a record for it has waited
 * for some seconds (kafka_setup.c), and a topic that is needed seldom (events)
 * would be missed only when an alarm is raised.  DescribeConfigs is asked
 * because it does not make topics by asking, comes back as an event like all
 * others, and old brokers and librdkafka have it.
 *
 * What a broker makes when it is written to is there once a record was taken.
 * That of raw payloads is needed by few: it is asked for once a record of it is
 * out, a moment later, since a broker may make it for that record.
 *
 * Names that two topics share are asked for once: librdkafka takes no answer
 * with one twice.
 *
 * Fails silently: a broker that does not say (rights, version) is one that may
 * have them all, until a record has waited in vain; and what was known stays
 * when nobody answers.
 */
#include <string.h>

#include "uplink/kafka_impl.h"

enum {
        ANSWER_MS = 10000,
        AGAIN_US = 5000000, /* while one is missing: it may be made now */
        RAW_US = 2000000,
        SELDOM_US = 300000000, /* while none is: one may be deleted */
};

static void tell(struct kafka *k, unsigned missing)
{
        k->missing = missing;
        if (k->sink.up.on_missing)
                k->sink.up.on_missing(k->sink.up.ctx, missing);
}

/* Bits of all that have this name. */
static unsigned topics_of(const struct kafka *k, const char *name)
{
        unsigned found = 0;

        for (int which = 0; which < SINK_TOPICS; which++)
                if (!strcmp(k->setup.topic_name[which], name))
                        found |= 1U << which;
        return found;
}

static void ask(struct kafka *k)
{
        rd_kafka_ConfigResource_t *topics[SINK_TOPICS];
        rd_kafka_AdminOptions_t *options;
        unsigned named = 0;
        char text[200];
        size_t n = 0;

        options = rd_kafka_AdminOptions_new(k->p.rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
        rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, text, sizeof(text));
        k->asked_raw = k->sends_raw;
        for (int which = 0; which < SINK_TOPICS; which++) {
                const char *name = k->setup.topic_name[which];

                if (named & 1U << which || (which == SINK_RAW && !k->asked_raw))
                        continue;
                topics[n++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
                named |= topics_of(k, name);
        }
        rd_kafka_DescribeConfigs(k->p.rk, topics, n, options, k->p.queue);
        rd_kafka_ConfigResource_destroy_array(topics, n);
        rd_kafka_AdminOptions_destroy(options);
}

static void on_due(struct rt_timer *t)
{
        struct kafka *k = list_entry(t, struct kafka, ask);

        if (k->phase == PHASE_RUNS)
                ask(k);
}

void kafka_take_topics(struct kafka *k, rd_kafka_event_t *ev)
{
        bool failed = rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR;
        const rd_kafka_ConfigResource_t **topics = NULL;
        unsigned missing = failed ? k->missing : 0;
        size_t n = 0;

        if (!failed)
                topics = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev), &n);
        for (size_t i = 0; i < n; i++)
                if (rd_kafka_ConfigResource_error(topics[i]) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
                        missing |= topics_of(k, rd_kafka_ConfigResource_name(topics[i]));
        if (k->phase != PHASE_RUNS)
                return;
        tell(k, missing);
        rt_timer_set(k->rt, &k->ask, k->asked_raw != k->sends_raw ? RAW_US : missing || failed ? AGAIN_US : SELDOM_US);
}

void kafka_ask_of_raw(struct kafka *k)
{
        if (k->sends_raw)
                return;
        k->sends_raw = true;
        rt_timer_set(k->rt, &k->ask, RAW_US);
}

void kafka_topic_is_there(struct kafka *k, const char *name)
{
        unsigned missing = k->missing & ~topics_of(k, name);

        if (missing != k->missing)
                tell(k, missing);
}

void kafka_ask_init(struct kafka *k)
{
        k->ask.on_due = on_due;
}

void kafka_ask(struct kafka *k)
{
        tell(k, 0);
        kafka_ask_again(k);
}

void kafka_ask_again(struct kafka *k)
{
        rt_timer_set(k->rt, &k->ask, 0);
}
