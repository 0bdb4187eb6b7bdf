/*
 * kafka_read: see read.h.
 *
 * A consumer without a group, as in kafka_visit.c.  Of all partitions the one
 * whose last record is the oldest is read next, some hundred records at a time:
 * so what was sent together is read about together, whatever the topics hold.
 */
#include "uplink/read.h"

#include <stdlib.h>
#include <string.h>

#include "uplink/kafka_impl.h"
#include "uplink/kafka_wait.h"

enum { AT_ONCE = 500, ASK_MS = 10000, SILENT_MS = 30000, WAIT_MS = 1000 };

struct part {
        rd_kafka_topic_t *topic;
        int32_t no;
        int64_t next, end, ts_ms; /* next: offset; ts_ms: of its last record */
        int silent_ms;
};

struct reader {
        struct kafka_setup setup;
        rd_kafka_t *rk;
        rd_kafka_topic_t *topic[SINK_TOPICS];
        struct part *part;
        size_t n_parts;
        int64_t n_all, n_read;
        const struct kafka_read *on;
};

static int set(struct reader *r, const char *name, const char *value, struct err *e)
{
        char text[200];

        if (rd_kafka_conf_set(r->setup.conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
                return 0;
        return err_set(e, "kafka: property %s: %s", name, text);
}

static int make_client(struct reader *r, struct err *e)
{
        static const char *const settings[][2] = {{"allow.auto.create.topics", "false"},
                                                  {"isolation.level", "read_committed"},
                                                  {"enable.partition.eof", "true"},
                                                  {"queued.max.messages.kbytes", "4096"},
                                                  {"log_level", "0"}};
        rd_kafka_conf_t *conf;
        char text[400];

        for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
                if (set(r, settings[i][0], settings[i][1], e) < 0)
                        return -1;
        conf = rd_kafka_conf_dup(r->setup.conf);
        r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
        if (r->rk) {
                kafka_wait_is_bound();
                return 0;
        }
        rd_kafka_conf_destroy(conf);
        return err_set(e, "kafka: %s", text);
}

static int add_part(struct reader *r, rd_kafka_topic_t *topic, int32_t no, struct err *e)
{
        struct part p = {.topic = topic, .no = no, .ts_ms = INT64_MIN};
        rd_kafka_resp_err_t err =
                rd_kafka_query_watermark_offsets(r->rk, rd_kafka_topic_name(topic), no, &p.next, &p.end, ASK_MS);

        if (err)
                return err_set(e, "topic %s can't be read: %s", rd_kafka_topic_name(topic), rd_kafka_err2str(err));
        if (p.next >= p.end)
                return 0;
        if (rd_kafka_consume_start(topic, no, p.next) < 0)
                return err_set(e, "topic %s can't be read: %s", rd_kafka_topic_name(topic),
                               rd_kafka_err2str(rd_kafka_last_error()));
        r->part = mem_grow(r->part, r->n_parts + 1, sizeof(*r->part));
        r->part[r->n_parts++] = p;
        r->n_all += p.end - p.next;
        return 0;
}

/* A topic that is not there holds nothing. */
static int add_topic(struct reader *r, enum sink_topic which, struct err *e)
{
        const struct rd_kafka_metadata *m;
        rd_kafka_resp_err_t err;
        int n, result = 0;

        for (int i = 0; i < SINK_TOPICS; i++)
                if (r->topic[i] && !strcmp(rd_kafka_topic_name(r->topic[i]), r->setup.topic_name[which]))
                        return 0;
        r->topic[which] = rd_kafka_topic_new(r->rk, r->setup.topic_name[which], NULL);
        if (!r->topic[which])
                return err_set(e, "topic %s: %s", r->setup.topic_name[which], rd_kafka_err2str(rd_kafka_last_error()));
        err = rd_kafka_metadata(r->rk, 0, r->topic[which], &m, ASK_MS);
        if (err)
                return err_set(e, "no broker answers: %s", rd_kafka_err2str(err));
        n = m->topic_cnt == 1 && !m->topics[0].err ? m->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(m);
        for (int i = 0; i < n && !result; i++)
                result = add_part(r, r->topic[which], i, e);
        return result;
}

static struct part *oldest(struct reader *r)
{
        struct part *found = NULL;

        for (size_t i = 0; i < r->n_parts; i++) {
                struct part *p = &r->part[i];

                if (p->next < p->end && (!found || p->ts_ms < found->ts_ms))
                        found = p;
        }
        return found;
}

static void give(struct reader *r, rd_kafka_message_t *m, bool is_status)
{
        struct kafka_read_record rec = {.value = m->payload, .value_len = m->len};
        rd_kafka_headers_t *headers;
        const void *identity;
        size_t n;

        if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            rd_kafka_header_get_last(headers, "millrace-record", &identity, &n) == RD_KAFKA_RESP_ERR_NO_ERROR) {
                rec.identity = identity;
                rec.identity_len = n;
        }
        rec.is_status = is_status;
        r->on->on_record(r->on->ctx, &rec);
}

static int take(struct reader *r, struct part *p, rd_kafka_message_t *m, bool is_status, struct err *e)
{
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                p->next = p->end; /* markers of transactions are at the end */
                return 0;
        }
        if (m->err)
                return err_set(e, "topic %s can't be read: %s", rd_kafka_topic_name(p->topic),
                               rd_kafka_message_errstr(m));
        if (m->offset >= p->end) {
                p->next = p->end;
                return 0;
        }
        r->n_read += m->offset + 1 - p->next;
        p->next = m->offset + 1;
        p->ts_ms = rd_kafka_message_timestamp(m, NULL);
        give(r, m, is_status);
        return 0;
}

static int read_all(struct reader *r, bool is_status, struct err *e)
{
        rd_kafka_message_t *m[AT_ONCE];
        struct part *p;
        int result = 0;

        while (!result && (p = oldest(r))) {
                ssize_t n = rd_kafka_consume_batch(p->topic, p->no, WAIT_MS, m, AT_ONCE);

                p->silent_ms = n > 0 ? 0 : p->silent_ms + WAIT_MS;
                if (p->silent_ms > SILENT_MS)
                        return err_set(e, "topic %s: no answer from Kafka", rd_kafka_topic_name(p->topic));
                for (ssize_t i = 0; i < n; i++) {
                        if (!result)
                                result = take(r, p, m[i], is_status, e);
                        rd_kafka_message_destroy(m[i]);
                }
                if (r->on->on_progress)
                        r->on->on_progress(r->on->ctx, r->n_all ? (double)r->n_read / (double)r->n_all : 1);
        }
        return result;
}

static void stop(struct reader *r)
{
        for (size_t i = 0; i < r->n_parts; i++)
                rd_kafka_consume_stop(r->part[i].topic, r->part[i].no);
        r->n_parts = 0;
        r->n_all = r->n_read = 0;
        for (int i = 0; i < SINK_TOPICS; i++) {
                if (r->topic[i])
                        rd_kafka_topic_destroy(r->topic[i]);
                r->topic[i] = NULL;
        }
}

int kafka_read_all(const struct kafka_conf *conf, const struct kafka_read *on, struct err *e)
{
        struct reader r = {.on = on};
        int result = -1;

        if (kafka_setup_fill(&r.setup, conf, "verify", e) < 0 || kafka_setup_complete(&r.setup, conf, e) < 0 ||
            make_client(&r, e) < 0)
                goto out;
        /* The records first that are to be read first, and as they were then: what comes later is behind them. */
        if (add_topic(&r, SINK_STATUS, e) < 0 || read_all(&r, true, e) < 0)
                goto out;
        stop(&r);
        result = 0;
        for (int i = 0; i < SINK_TOPICS && !result; i++)
                if (i != SINK_STATUS)
                        result = add_topic(&r, (enum sink_topic)i, e);
        if (!result)
                result = read_all(&r, false, e);
out:
        if (r.rk) {
                stop(&r);
                rd_kafka_destroy(r.rk);
        }
        free(r.part);
        kafka_setup_fini(&r.setup);
        return result;
}
