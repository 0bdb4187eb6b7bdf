/*
 * kafka: the sink that is Kafka, on librdkafka.  Only its rooms include
 * kafka_impl.h, and with it rdkafka.h.
 *
 * A broker that is away is no failure of a record: message.timeout.ms is 0,
 * records wait inside librdkafka, the window bounds how many.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "uplink/kafka_impl.h"
#include "uplink/kafka_wait.h"

/* ---- the sink ---- */

static rd_kafka_headers_t *headers_for(struct kafka *k, const struct sink_record *rec)
{
        rd_kafka_headers_t *h;

        if (!rec->headers)
                return k->n_spare ? k->spare[--k->n_spare] : rd_kafka_headers_copy(k->headers);
        h = rd_kafka_headers_copy(k->raw_headers);
        rd_kafka_header_add(h, "millrace-record", -1, rec->headers, (ssize_t)rec->headers_len);
        return h;
}

int kafka_put(struct kafka *k, struct kafka_producer *p, const struct kafka_setup *s, const struct sink_record *rec,
              struct err *e)
{
        rd_kafka_topic_t *topic = kafka_producer_topic(p, s, rec->topic);
        rd_kafka_headers_t *headers;
        rd_kafka_resp_err_t err;
        char text[256];

        if (!topic) {
                err_set(e, "topic %s: %s", s->topic_name[rec->topic], rd_kafka_err2str(rd_kafka_last_error()));
                return SINK_E_RETRY;
        }
        headers = headers_for(k, rec);
        err = rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_KEY(rec->key, rec->key_len),
                                RD_KAFKA_V_VALUE((void *)rec->value, rec->value_len),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(rec->ts_ms),
                                RD_KAFKA_V_OPAQUE((void *)(uintptr_t)rec->opaque), RD_KAFKA_V_HEADERS(headers),
                                RD_KAFKA_V_END);
        if (!err) {
                if (rec->topic == SINK_RAW)
                        kafka_ask_of_raw(k);
                return 0;
        }
        kafka_put_headers(k, headers);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
                return SINK_E_FULL;
        err_set(e, "%s", kafka_words_of(k, err, s->topic_name[rec->topic], text, sizeof(text)));
        return kafka_result_of(err) == SINK_POISON ? -1 : SINK_E_RETRY;
}

static int kafka_produce(struct sink *s, const struct sink_record *rec, struct err *e)
{
        struct kafka *k = (struct kafka *)s;
        int r;

        if (rec->line != SINK_BESIDE)
                return kafka_lines_produce(k, rec, e);
        if (k->changing)
                return SINK_E_FULL;
        if (k->phase != PHASE_RUNS) {
                err_set(e, "the Kafka producer is being made anew");
                return SINK_E_RETRY;
        }
        r = kafka_put(k, &k->p, &k->setup, rec, e);
        if (!r) {
                k->n_out++;
                kafka_watch_silence(k);
                outstanding_add(&k->out, rec->opaque);
        }
        return r;
}

static void close_the_rest(struct kafka *k)
{
        if (k->phase == PHASE_RUNS || k->phase == PHASE_DRAINS)
                kafka_begin_purge(k);
        else if (k->phase == PHASE_REMAKES && rt_timer_armed(&k->tick))
                kafka_end_purge(k); /* no producer and no work under way: straight to the end */
}

static void kafka_close(struct sink *s, void (*on_closed)(void *ctx), void *ctx)
{
        struct kafka *k = (struct kafka *)s;

        BUG_ON(k->closing);
        k->closing = true;
        k->on_closed = on_closed;
        k->close_ctx = ctx;
        kafka_lines_close(k, close_the_rest);
}

static const struct sink_ops kafka_ops = {.produce = kafka_produce, .close = kafka_close};
static const struct sink_ops with_transactions = {
        .produce = kafka_produce, .close = kafka_close, .transact = kafka_lines_transact};

/* ---- opening it ---- */

static void make_headers(struct kafka *k)
{
        k->headers = rd_kafka_headers_new(2);
        rd_kafka_header_add(k->headers, "content-type", -1, "application/json", -1);
        rd_kafka_header_add(k->headers, "millrace-schema", -1, "1", -1);
        k->raw_headers = rd_kafka_headers_new(3);
        rd_kafka_header_add(k->raw_headers, "content-type", -1, "application/octet-stream", -1);
        rd_kafka_header_add(k->raw_headers, "millrace-schema", -1, "1", -1);
}

struct sink *kafka_sink_open(struct rt *rt, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        struct kafka *k = mem_alloc(sizeof(*k));

        k->sink.ops = conf->delivery == KAFKA_EXACTLY_ONCE ? &with_transactions : &kafka_ops;
        k->rt = rt;
        kafka_events_init(k);
        kafka_life_init(k);
        kafka_ask_init(k);
        k->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        make_headers(k);
        if (kafka_setup_fill(&k->setup, conf, gateway, e) == 0 && kafka_setup_complete(&k->setup, conf, e) == 0) {
                k->fingerprint = k->setup.fingerprint;
                if (k->watch.fd < 0)
                        err_errno(e, "kafka: no eventfd");
                else if (kafka_producer_make(&k->p, &k->setup, e) == 0 && kafka_lines_open(k, conf, gateway, e) == 0) {
                        if (!kafka_wait_is_bound())
                                log_warn("kafka", "a clock that is set back will stop Kafka for as long");
                        kafka_listen(k);
                        return &k->sink;
                }
        }
        kafka_producer_destroy(&k->p);
        kafka_sink_close(&k->sink);
        return NULL;
}

void kafka_sink_close(struct sink *s)
{
        struct kafka *k = (struct kafka *)s;
        struct kafka_next *next;

        if (!k)
                return;
        rt_timer_cancel(k->rt, &k->turn);
        rt_timer_cancel(k->rt, &k->tick);
        rt_timer_cancel(k->rt, &k->silent);
        rt_timer_cancel(k->rt, &k->ask);
        kafka_lines_free(k);
        if (k->watch.fd >= 0)
                close(k->watch.fd);
        while (k->n_spare)
                rd_kafka_headers_destroy(k->spare[--k->n_spare]);
        rd_kafka_headers_destroy(k->headers);
        rd_kafka_headers_destroy(k->raw_headers);
        kafka_setup_fini(&k->setup);
        while ((next = k->next)) {
                k->next = next->after;
                kafka_next_free(next);
        }
        outstanding_fini(&k->out);
        free(k);
}
