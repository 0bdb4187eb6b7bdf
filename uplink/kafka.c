/*
 * kafka: the sink that is Kafka, on librdkafka.  The only file of the agent
 * that includes rdkafka.h.
 *
 * librdkafka has threads of its own; its event queue wakes the loop through an
 * eventfd, which it writes only when the queue goes from empty to non-empty: so
 * each turn drains the queue, or, when it held more than a turn's worth, takes
 * another turn by a timer.  Delivery reports, errors and librdkafka's log lines
 * all come that way, on the loop thread.
 *
 * A fatal error (the broker lost the idempotent producer's state and order
 * can't be promised) ends the producer: what is out is purged and reported as
 * RETRY, the producer is destroyed and made anew off the loop, because both may
 * block.
 *
 *   RUNS --fatal--> PURGES --all reported--> REMAKES --made--> RUNS
 *   RUNS --apply--> DRAINS --all reported, or no answer for 3 s--> PURGES …
 *   any  --close--> PURGES --all reported--> ENDS    --destroyed--> on_closed
 *
 * A new configuration brings its producer along, made and found right off the
 * loop, so the change itself can't fail.  Until then nothing more goes to the
 * old one; what it does not report in time goes again through the new one,
 * under the same ids.
 *
 * A broker that is away is no failure of a record: message.timeout.ms is 0,
 * records wait inside librdkafka, the window bounds how many.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "uplink/kafka_wait.h"
#include "uplink/outstanding.h"
#include "uplink/secret.h"
#include "uplink/uplink.h"

enum {
        TURN_REPORTS = 4000,
        PURGE_TICK_US = 100000,
        PURGE_TICKS = 40, /* then what is left in it is reported as RETRY, and the producer destroyed with it */
        REMAKE_AGAIN_US = 5000000,
        SPARE_HEADERS = 4096, /* what a turn's reports give back; a record's copy and release are 4 allocations */
        DRAIN_TICK_US = 10000,
        SILENT_US = 10000000, /* records are out and none was answered: looked at so often */
        DRAIN_TICKS = 300,
        SPARE_RECORDS = 1024, /* the events' window and heartbeats, beside window_records */
        QUEUE_KIB_MIN = 8192,
        BATCHES = 10, /* a full window is so many batches: it goes out at once, where one larger batch would linger */
};

enum phase { PHASE_RUNS, PHASE_DRAINS, PHASE_PURGES, PHASE_REMAKES, PHASE_ENDS };

struct producer {
        rd_kafka_t *rk;
        rd_kafka_queue_t *queue;
        rd_kafka_topic_t *topic[SINK_TOPICS];
};

/* What a producer is made from. */
struct setup {
        rd_kafka_conf_t *conf;
        char *topic_name[SINK_TOPICS];
        char user[128];
        uint64_t fingerprint; /* of all that was set, secrets included */
};

struct kafka_next {
        struct kafka_next *after; /* applied later */
        struct setup setup;
        struct producer p;
};

struct kafka {
        struct sink sink; /* first */
        struct rt *rt;
        rd_kafka_headers_t *headers, *raw_headers; /* to copy */
        rd_kafka_headers_t *spare[SPARE_HEADERS];  /* as `headers`; of records that were reported */
        size_t n_spare;
        struct setup setup;
        struct producer p;
        struct kafka_next *next;  /* waits until the producer there is has ended */
        struct kafka_next *taken; /* by the work under way */
        uint64_t fingerprint;     /* of the latest applied */
        enum phase phase;
        bool closing, changing;
        int purge_ticks;
        uint64_t n_out;
        struct outstanding out;
        struct rt_watch watch;
        struct rt_timer turn, tick, silent;
        uint64_t n_answers, n_answers_seen;
        struct rt_work work;
        bool known, up;
        char fault[200]; /* what a broker connection failed with last */
        struct err made; /* of the work */
        void (*on_closed)(void *ctx);
        void *close_ctx;
};

/* ---- errors in words ---- */

static enum sink_result result_of(rd_kafka_resp_err_t err)
{
        switch (err) {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
                return SINK_DELIVERED;
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
                return SINK_POISON;
        default:
                return SINK_RETRY;
        }
}

static const char *words_of(const struct kafka *k, rd_kafka_resp_err_t err, const char *topic, char *out, size_t cap)
{
        switch (err) {
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
                snprintf(out, cap, "Kafka does not allow %s%s to write to topic %s",
                         *k->setup.user ? "user " : "this client", k->setup.user, topic);
                break;
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
                snprintf(out, cap, "Kafka has no topic %s (create it, or allow its automatic creation)", topic);
                break;
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
                snprintf(out, cap, "the record is larger than Kafka takes in topic %s", topic);
                break;
        default:
                snprintf(out, cap, "Kafka, topic %s: %s", topic, rd_kafka_err2str(err));
        }
        return out;
}

static void tell_state(struct kafka *k, bool up, const char *why)
{
        if (up)
                k->fault[0] = '\0'; /* what failed before is over */
        if (up && k->known && k->up)
                return;
        k->known = true;
        k->up = up;
        if (k->sink.up.on_state)
                k->sink.up.on_state(k->sink.up.ctx, up, why);
}

/* ---- the producer: made and destroyed anywhere but on the loop ---- */

static int producer_make(struct producer *p, const struct setup *s, struct err *e)
{
        rd_kafka_conf_t *conf = rd_kafka_conf_dup(s->conf);
        char text[400];

        p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
        if (!p->rk) {
                rd_kafka_conf_destroy(conf);
                return err_set(e, "kafka: %s", text);
        }
        p->queue = rd_kafka_queue_get_main(p->rk);
        rd_kafka_set_log_queue(p->rk, NULL); /* NULL: the main queue */
        for (int i = 0; i < SINK_TOPICS; i++)
                p->topic[i] = rd_kafka_topic_new(p->rk, s->topic_name[i], NULL);
        for (int i = 0; i < SINK_TOPICS; i++)
                if (!p->topic[i])
                        return err_set(e, "kafka: topic %s: %s", s->topic_name[i],
                                       rd_kafka_err2str(rd_kafka_last_error()));
        return 0;
}

static void producer_destroy(struct producer *p)
{
        if (!p->rk)
                return;
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        for (int i = 0; i < SINK_TOPICS; i++)
                if (p->topic[i])
                        rd_kafka_topic_destroy(p->topic[i]);
        rd_kafka_queue_destroy(p->queue);
        rd_kafka_destroy(p->rk);
        *p = (struct producer){0};
}

static void setup_fini(struct setup *s)
{
        rd_kafka_conf_destroy(s->conf);
        for (int i = 0; i < SINK_TOPICS; i++)
                free(s->topic_name[i]);
}

static void producer_listen(struct kafka *k)
{
        static const uint64_t one = 1;

        rd_kafka_queue_io_event_enable(k->p.queue, k->watch.fd, &one, sizeof(one));
        rt_watch_set(k->rt, &k->watch, RT_READ);
        rt_timer_set(k->rt, &k->turn, 0); /* what came before is not told by the fd */
}

/* ---- the end of a producer ---- */

static void run_work(struct rt_work *w)
{
        struct kafka *k = list_entry(w, struct kafka, work);

        producer_destroy(&k->p);
        if (k->taken) {
                setup_fini(&k->setup);
                k->setup = k->taken->setup;
                k->p = k->taken->p;
                free(k->taken);
                k->taken = NULL;
        } else if (k->phase == PHASE_REMAKES && producer_make(&k->p, &k->setup, &k->made) < 0) {
                producer_destroy(&k->p);
        }
}

static void remake(struct kafka *k)
{
        k->taken = k->next;
        k->next = k->next ? k->next->after : NULL;
        rt_work_start(k->rt, &k->work);
}

static void purge(struct kafka *k)
{
        rd_kafka_purge(k->p.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static void begin_purge(struct kafka *k)
{
        k->phase = PHASE_PURGES;
        k->purge_ticks = 0;
        purge(k);
        rt_timer_set(k->rt, &k->tick, 0);
}

static void begin_drain(struct kafka *k)
{
        k->phase = PHASE_DRAINS;
        k->changing = true;
        k->purge_ticks = 0;
        rt_timer_set(k->rt, &k->tick, 0);
}

static void look_at_drain(struct kafka *k)
{
        if (!k->n_out || (k->known && !k->up) || k->purge_ticks++ == DRAIN_TICKS)
                begin_purge(k);
        else
                rt_timer_set(k->rt, &k->tick, DRAIN_TICK_US);
}

/*
 * What the producer takes with it unreported: it may have been delivered, and
 * goes again.
 */
static void report_the_rest(struct kafka *k)
{
        uint32_t opaque;

        if (!k->n_out)
                return;
        log_warn("kafka", "the producer ends with %" PRIu64 " records unreported; they are sent again", k->n_out);
        k->n_out = 0;
        while (outstanding_pop(&k->out, &opaque))
                k->sink.up.on_report(k->sink.up.ctx, opaque, SINK_RETRY, "the Kafka producer ended without a report");
        k->sink.up.on_reports_end(k->sink.up.ctx);
}

/*
 * All is reported (or the time for it is over): the producer goes, off the
 * loop.
 */
static void end_purge(struct kafka *k)
{
        rt_timer_cancel(k->rt, &k->tick);
        rt_timer_cancel(k->rt, &k->turn);
        rt_watch_set(k->rt, &k->watch, 0);
        k->phase = k->closing ? PHASE_ENDS : PHASE_REMAKES;
        report_the_rest(k);
        k->made.text[0] = '\0';
        if (k->closing)
                rt_work_start(k->rt, &k->work);
        else
                remake(k);
}

static void on_work_done(struct rt_work *w)
{
        struct kafka *k = list_entry(w, struct kafka, work);

        if (k->phase == PHASE_ENDS) {
                k->on_closed(k->close_ctx);
                return;
        }
        if (k->closing) {
                k->phase = PHASE_ENDS;
                rt_work_start(k->rt, &k->work);
                return;
        }
        if (!k->p.rk) {
                tell_state(k, false, k->made.text);
                rt_timer_set(k->rt, &k->tick, REMAKE_AGAIN_US);
                return;
        }
        k->phase = PHASE_RUNS;
        k->changing = false;
        k->fault[0] = '\0';
        producer_listen(k);
        if (k->next)
                begin_drain(k);
}

static void serve(struct kafka *k);

static void on_tick(struct rt_timer *t)
{
        struct kafka *k = list_entry(t, struct kafka, tick);

        if (k->phase == PHASE_REMAKES) {
                remake(k);
                return;
        }
        serve(k);
        if (k->phase == PHASE_DRAINS)
                look_at_drain(k);
        if (k->phase != PHASE_PURGES)
                return;
        if (!k->n_out || k->purge_ticks++ == PURGE_TICKS) {
                end_purge(k);
                return;
        }
        purge(k);
        rt_timer_set(k->rt, &k->tick, PURGE_TICK_US);
}

/* ---- events ---- */

static void put_headers(struct kafka *k, rd_kafka_headers_t *h)
{
        if (k->n_spare < SPARE_HEADERS && rd_kafka_header_cnt(h) == rd_kafka_header_cnt(k->headers))
                k->spare[k->n_spare++] = h;
        else
                rd_kafka_headers_destroy(h);
}

/*
 * The record is ours until its event is destroyed, and its headers can serve
 * another.
 */
static void take_headers_back(struct kafka *k, const rd_kafka_message_t *m)
{
        rd_kafka_headers_t *h;

        if (!rd_kafka_message_detach_headers((rd_kafka_message_t *)m, &h))
                put_headers(k, h);
}

static size_t on_reports(struct kafka *k, rd_kafka_event_t *ev)
{
        const rd_kafka_message_t *m;
        char text[256];
        size_t n = 0;

        while ((m = rd_kafka_event_message_next(ev))) {
                enum sink_result result = result_of(m->err);
                const char *why = NULL;

                n++;
                k->n_answers++;
                k->n_out--;
                outstanding_remove(&k->out, (uint32_t)(uintptr_t)m->_private);
                take_headers_back(k, m);
                if (result == SINK_DELIVERED)
                        tell_state(k, true, "connected");
                else
                        why = words_of(k, m->err, rd_kafka_topic_name(m->rkt), text, sizeof(text));
                k->sink.up.on_report(k->sink.up.ctx, (uint32_t)(uintptr_t)m->_private, result, why);
        }
        return n;
}

static void on_fatal(struct kafka *k)
{
        char text[200];

        if (k->phase != PHASE_RUNS && k->phase != PHASE_DRAINS)
                return;
        rd_kafka_fatal_error(k->p.rk, text, sizeof(text));
        log_warn("kafka", "the producer is made anew: %s", text);
        begin_purge(k);
}

static void on_error(struct kafka *k, rd_kafka_event_t *ev)
{
        rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
        const char *words = rd_kafka_event_error_string(ev);
        char text[sizeof(k->fault)];

        if (err == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(ev)) {
                on_fatal(k);
        } else if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED) {
                snprintf(text, sizeof(text), "Kafka refuses %s%.64s: %.100s", *k->setup.user ? "user " : "this client",
                         k->setup.user, words);
                memcpy(k->fault, text, sizeof(k->fault));
                tell_state(k, false, text);
        } else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
                snprintf(text, sizeof(text), "no broker answers: %.150s", *k->fault ? k->fault : words);
                tell_state(k, false, text);
        } else {
                snprintf(k->fault, sizeof(k->fault), "%s", words);
                if (k->known && !k->up) { /* why it stays down may have changed */
                        snprintf(text, sizeof(text), "no broker answers: %.150s", words);
                        tell_state(k, false, text);
                }
        }
}

/*
 * librdkafka says that all brokers are down once, and only of those it has
 * tried: never where one answers and names another that can't be reached.  So
 * records without an answer, and a connection that failed since the last one,
 * are a link that is down.
 */
static void on_silent(struct rt_timer *t)
{
        struct kafka *k = list_entry(t, struct kafka, silent);
        char text[sizeof(k->fault)];

        if (!k->n_out || k->phase != PHASE_RUNS)
                return;
        if (k->n_answers == k->n_answers_seen && *k->fault) {
                snprintf(text, sizeof(text), "no answer from Kafka: %.170s", k->fault);
                tell_state(k, false, text);
        }
        k->n_answers_seen = k->n_answers;
        rt_timer_set(k->rt, &k->silent, SILENT_US);
}

static void on_log(rd_kafka_event_t *ev)
{
        const char *facility, *text;
        int level;

        /* What matters to people comes as an error event as well. */
        if (!rd_kafka_event_log(ev, &facility, &text, &level))
                log_line(level <= LOG_WARN ? LOG_INFO : LOG_DEBUG, "kafka", "%s: %s", facility, text);
}

static size_t on_event(struct kafka *k, rd_kafka_event_t *ev)
{
        switch (rd_kafka_event_type(ev)) {
        case RD_KAFKA_EVENT_DR:
                return on_reports(k, ev);
        case RD_KAFKA_EVENT_ERROR:
                on_error(k, ev);
                return 1;
        case RD_KAFKA_EVENT_LOG:
                on_log(ev);
                return 1;
        default:
                return 1;
        }
}

static void serve(struct kafka *k)
{
        uint64_t before = k->n_out;
        rd_kafka_event_t *ev;
        size_t n = 0;

        while (n < TURN_REPORTS && (ev = rd_kafka_queue_poll(k->p.queue, 0))) {
                n += on_event(k, ev);
                rd_kafka_event_destroy(ev);
        }
        if (n >= TURN_REPORTS)
                rt_timer_set(k->rt, &k->turn, 0);
        if (k->n_out != before)
                k->sink.up.on_reports_end(k->sink.up.ctx);
}

static void on_turn(struct rt_timer *t)
{
        serve(list_entry(t, struct kafka, turn));
}

static void on_readable(struct rt_watch *w, unsigned events)
{
        uint64_t n;

        (void)!read(w->fd, &n, sizeof(n));
        serve(list_entry(w, struct kafka, watch));
}

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

static int kafka_produce(struct sink *s, const struct sink_record *rec, struct err *e)
{
        struct kafka *k = (struct kafka *)s;
        rd_kafka_headers_t *headers;
        rd_kafka_resp_err_t err;
        char text[256];

        if (k->changing)
                return SINK_E_FULL;
        if (k->phase != PHASE_RUNS) {
                err_set(e, "the Kafka producer is being made anew");
                return SINK_E_RETRY;
        }
        headers = headers_for(k, rec);
        err = rd_kafka_producev(k->p.rk, RD_KAFKA_V_RKT(k->p.topic[rec->topic]), RD_KAFKA_V_KEY(rec->key, rec->key_len),
                                RD_KAFKA_V_VALUE((void *)rec->value, rec->value_len),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(rec->ts_ms),
                                RD_KAFKA_V_OPAQUE((void *)(uintptr_t)rec->opaque), RD_KAFKA_V_HEADERS(headers),
                                RD_KAFKA_V_END);
        if (!err) {
                k->n_out++;
                if (!rt_timer_armed(&k->silent)) {
                        k->n_answers_seen = k->n_answers;
                        rt_timer_set(k->rt, &k->silent, SILENT_US);
                }
                outstanding_add(&k->out, rec->opaque);
                return 0;
        }
        put_headers(k, headers);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
                return SINK_E_FULL;
        err_set(e, "%s", words_of(k, err, k->setup.topic_name[rec->topic], text, sizeof(text)));
        return result_of(err) == SINK_POISON ? -1 : SINK_E_RETRY;
}

static void kafka_close(struct sink *s, void (*on_closed)(void *ctx), void *ctx)
{
        struct kafka *k = (struct kafka *)s;

        BUG_ON(k->closing);
        k->closing = true;
        k->on_closed = on_closed;
        k->close_ctx = ctx;
        if (k->phase == PHASE_RUNS || k->phase == PHASE_DRAINS)
                begin_purge(k);
        else if (k->phase == PHASE_REMAKES && rt_timer_armed(&k->tick))
                end_purge(k); /* no producer and no work under way: straight to the end */
}

static const struct sink_ops kafka_ops = {.produce = kafka_produce, .close = kafka_close};

/* ---- a producer's configuration ---- */

static void note(struct setup *s, const char *name, const char *value)
{
        s->fingerprint = text_hash(value, strlen(value) + 1, text_hash(name, strlen(name) + 1, s->fingerprint));
}

static int set(struct setup *s, const char *name, const char *value, struct err *e)
{
        char text[400];

        note(s, name, value);
        if (rd_kafka_conf_set(s->conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
                return 0;
        return err_set(e, "kafka: property %s: %s", name, text);
}

static int set_number(struct setup *s, const char *name, uint64_t v, struct err *e)
{
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, v);
        return set(s, name, text, e);
}

static int set_brokers(struct setup *s, const struct kafka_conf *c, struct err *e)
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
static int set_ours(struct setup *s, const struct kafka_conf *c, const char *gateway, struct err *e)
{
        static const char *const fixed[][2] = {
                {"acks", "all"},
                {"enable.idempotence", "true"},
                {"message.timeout.ms", "0"},
                {"partitioner", "murmur2_random"}, /* as Java clients */
                {"statistics.interval.ms", "0"},
                {"reconnect.backoff.max.ms", "2000"}, /* its 10 s would add as much to every outage */
                {"log.queue", "true"},
        };
        static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};
        uint64_t kib = c->window_bytes / 1024 + c->window_bytes / 4096 + 1024;
        char id[128];

        for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
                if (set(s, fixed[i][0], fixed[i][1], e) < 0)
                        return -1;
        snprintf(id, sizeof(id), "millrace-%s", gateway);
        if (set(s, "client.id", c->client_id ? c->client_id : id, e) < 0 ||
            set(s, "compression.codec", compressions[c->compression], e) < 0 ||
            set_number(s, "linger.ms", (uint64_t)c->linger_us / 1000, e) < 0 ||
            set_number(s, "batch.num.messages", (uint64_t)c->window_records / BATCHES, e) < 0 ||
            set_number(s, "queue.buffering.max.messages", (uint64_t)c->window_records + SPARE_RECORDS, e) < 0 ||
            set_number(s, "queue.buffering.max.kbytes", kib > QUEUE_KIB_MIN ? kib : QUEUE_KIB_MIN, e) < 0)
                return -1;
        rd_kafka_conf_set_events(s->conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
        return 0;
}

static int set_properties(struct setup *s, const struct kafka_conf *c, struct err *e)
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

static int set_secrets(struct setup *s, const struct kafka_conf *c, struct err *e)
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

static void make_headers(struct kafka *k)
{
        k->headers = rd_kafka_headers_new(2);
        rd_kafka_header_add(k->headers, "content-type", -1, "application/json", -1);
        rd_kafka_header_add(k->headers, "millrace-schema", -1, "1", -1);
        k->raw_headers = rd_kafka_headers_new(3);
        rd_kafka_header_add(k->raw_headers, "content-type", -1, "application/octet-stream", -1);
        rd_kafka_header_add(k->raw_headers, "millrace-schema", -1, "1", -1);
}

/* On failure there is something to release as well. */
static int setup_fill(struct setup *s, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        const char *const names[SINK_TOPICS] = {conf->samples_topic, conf->events_topic, conf->status_topic,
                                                conf->backfill_topic};

        *s = (struct setup){.conf = rd_kafka_conf_new()};
        for (int i = 0; i < SINK_TOPICS; i++) {
                s->topic_name[i] = mem_strdup(names[i]);
                note(s, "topic", names[i]);
        }
        return set_ours(s, conf, gateway, e) < 0 ? -1 : set_properties(s, conf, e);
}

static int setup_complete(struct setup *s, const struct kafka_conf *conf, struct err *e)
{
        return set_brokers(s, conf, e) < 0 ? -1 : set_secrets(s, conf, e);
}

/* ---- what opening would refuse ---- */

static int check_secret_names(const struct setup *s, const struct kafka_conf *c, struct err *e)
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
        struct setup s;
        struct producer p = {0};
        int r = setup_fill(&s, conf, gateway, e) < 0 ? -1 : check_secret_names(&s, conf, e);

        if (r == 0 && files_are_here(conf))
                r = set_secrets(&s, conf, e) < 0 ? -1 : producer_make(&p, &s, e);
        producer_destroy(&p);
        setup_fini(&s);
        return r;
}

/* ---- opening it ---- */

struct sink *kafka_sink_open(struct rt *rt, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        struct kafka *k = mem_alloc(sizeof(*k));

        k->sink.ops = &kafka_ops;
        k->rt = rt;
        k->turn.on_due = on_turn;
        k->tick.on_due = on_tick;
        k->silent.on_due = on_silent;
        k->work = (struct rt_work){.run = run_work, .on_done = on_work_done, .slow = true};
        k->watch.on_event = on_readable;
        k->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        make_headers(k);
        if (setup_fill(&k->setup, conf, gateway, e) == 0 && setup_complete(&k->setup, conf, e) == 0) {
                k->fingerprint = k->setup.fingerprint;
                if (k->watch.fd < 0)
                        err_errno(e, "kafka: no eventfd");
                else if (producer_make(&k->p, &k->setup, e) == 0) {
                        if (!kafka_wait_is_bound())
                                log_warn("kafka", "a clock that is set back will stop Kafka for as long");
                        producer_listen(k);
                        return &k->sink;
                }
        }
        producer_destroy(&k->p);
        kafka_sink_close(&k->sink);
        return NULL;
}

/* ---- another configuration ---- */

int kafka_sink_prepare(const struct sink *s, const struct kafka_conf *conf, const char *gateway,
                       struct kafka_next **out, struct err *e)
{
        const struct kafka *k = (const struct kafka *)s;
        struct kafka_next *next = mem_alloc(sizeof(*next));

        *out = NULL;
        if (setup_fill(&next->setup, conf, gateway, e) < 0 || setup_complete(&next->setup, conf, e) < 0) {
                kafka_next_free(next);
                return -1;
        }
        if (next->setup.fingerprint == k->fingerprint) {
                kafka_next_free(next);
                return 0;
        }
        if (producer_make(&next->p, &next->setup, e) < 0) {
                kafka_next_free(next);
                return -1;
        }
        *out = next;
        return 0;
}

void kafka_sink_reconfigure(struct sink *s, struct kafka_next *next)
{
        struct kafka *k = (struct kafka *)s;
        struct kafka_next **last = &k->next;

        while (*last)
                last = &(*last)->after;
        *last = next;
        k->fingerprint = next->setup.fingerprint;
        if (k->phase == PHASE_RUNS)
                begin_drain(k);
        else if (k->phase == PHASE_REMAKES && rt_timer_armed(&k->tick))
                rt_timer_set(k->rt, &k->tick, 0);
}

void kafka_next_free(struct kafka_next *next)
{
        if (!next)
                return;
        producer_destroy(&next->p);
        setup_fini(&next->setup);
        free(next);
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
        if (k->watch.fd >= 0)
                close(k->watch.fd);
        while (k->n_spare)
                rd_kafka_headers_destroy(k->spare[--k->n_spare]);
        rd_kafka_headers_destroy(k->headers);
        rd_kafka_headers_destroy(k->raw_headers);
        setup_fini(&k->setup);
        while ((next = k->next)) {
                k->next = next->after;
                kafka_next_free(next);
        }
        outstanding_fini(&k->out);
        free(k);
}
