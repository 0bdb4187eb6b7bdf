/*
 * kafka_events: what librdkafka tells, and its errors in words (see
 * kafka_impl.h).
 *
 * librdkafka has threads of its own; its event queue wakes the loop through an
 * eventfd, which it writes only when the queue goes from empty to non-empty: so
 * each turn drains the queue, or, when it held more than a turn's worth, takes
 * another turn by a timer.  Delivery reports, errors and librdkafka's log lines
 * all come that way, on the loop thread.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "uplink/kafka_impl.h"

enum {
        TURN_REPORTS = 4000,
        SILENT_US = 10000000, /* records are out and none was answered: looked at so often */
};

/* ---- errors in words ---- */

enum sink_result kafka_result_of(rd_kafka_resp_err_t err)
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

const char *kafka_words_of(const struct kafka *k, rd_kafka_resp_err_t err, const char *topic, char *out, size_t cap)
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

void kafka_tell_state(struct kafka *k, bool up, const char *why)
{
        if (up)
                k->fault[0] = '\0'; /* what failed before is over */
        if (up && k->known && k->up)
                return;
        if (up && k->known)
                kafka_ask_again(k);
        k->known = true;
        k->up = up;
        if (k->sink.up.on_state)
                k->sink.up.on_state(k->sink.up.ctx, up, why);
}

/* ---- events ---- */

void kafka_put_headers(struct kafka *k, rd_kafka_headers_t *h)
{
        if (k->n_spare < KAFKA_SPARE_HEADERS && rd_kafka_header_cnt(h) == rd_kafka_header_cnt(k->headers))
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
                kafka_put_headers(k, h);
}

size_t kafka_take_reports(struct kafka *k, rd_kafka_event_t *ev, uint64_t *n_out, struct outstanding *out)
{
        const rd_kafka_message_t *m;
        char text[256];
        size_t n = 0;

        while ((m = rd_kafka_event_message_next(ev))) {
                enum sink_result result = kafka_result_of(m->err);
                const char *why = NULL;

                n++;
                k->n_answers++;
                --*n_out;
                outstanding_remove(out, (uint32_t)(uintptr_t)m->_private);
                take_headers_back(k, m);
                if (result == SINK_DELIVERED) {
                        kafka_tell_state(k, true, "connected");
                        if (k->missing)
                                kafka_topic_is_there(k, rd_kafka_topic_name(m->rkt));
                } else {
                        why = kafka_words_of(k, m->err, rd_kafka_topic_name(m->rkt), text, sizeof(text));
                }
                k->sink.up.on_report(k->sink.up.ctx, (uint32_t)(uintptr_t)m->_private, result, why);
        }
        return n;
}

bool kafka_error_is_fatal(rd_kafka_event_t *ev)
{
        return rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(ev);
}

static void on_fatal(struct kafka *k)
{
        char text[200];

        if (k->phase != PHASE_RUNS && k->phase != PHASE_DRAINS)
                return;
        rd_kafka_fatal_error(k->p.rk, text, sizeof(text));
        log_warn("kafka", "the producer is made anew: %s", text);
        kafka_begin_purge(k);
}

/* What is wrong with a certificate, by the numbers of OpenSSL's x509_vfy.h. */
static const char *certificate_words(int x509_error)
{
        switch (x509_error) {
        case 9:
                return "its certificate is not valid yet (or the clock here is wrong)";
        case 10:
                return "its certificate has expired (or the clock here is wrong)";
        case 18:
        case 19:
        case 20:
        case 21:
                return "its certificate is of no authority that is trusted here (property ssl.ca.location)";
        case 23:
                return "its certificate is revoked";
        case 62:
        case 64:
                return "its certificate is for another name or address than the one that was connected to";
        default:
                return NULL;
        }
}

/* In ours: what is wrong with a certificate, and with the rest of it. */
void kafka_connection_words(const struct kafka_setup *s, const char *words, char *out, size_t cap)
{
        bool refused = strstr(words, "certificate verify failed") != NULL;
        const char *why = refused ? certificate_words(atomic_load(&s->shared->certificate)) : NULL;
        const char *broker_end = strstr(words, ": ");
        char plain[300] = "";

        if (why && broker_end)
                snprintf(plain, sizeof(plain), "%.*s: %s", (int)(broker_end - words), words, why);
        kafka_plain_words(*plain ? plain : words, out, cap);
}

void kafka_refused_words(const struct kafka_setup *s, const char *words, char *out, size_t cap)
{
        static const char no_token[] = "Failed to acquire SASL OAUTHBEARER token: ";
        const char *why = strstr(words, no_token);
        char plain[150];

        if (why) {
                snprintf(out, cap, "no token for Kafka: %s", why + sizeof(no_token) - 1);
                return;
        }
        kafka_plain_words(words, plain, sizeof(plain));
        snprintf(out, cap, "Kafka refuses %s%.64s: %s", *s->user ? "user " : "this client", s->user, plain);
}

void kafka_take_error(struct kafka *k, rd_kafka_event_t *ev)
{
        rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
        const char *words = rd_kafka_event_error_string(ev);
        char text[sizeof(k->fault)];

        if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED) {
                kafka_refused_words(&k->setup, words, text, sizeof(text));
                memcpy(k->fault, text, sizeof(k->fault));
                kafka_tell_state(k, false, text);
        } else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
                snprintf(text, sizeof(text), "no broker answers: %.150s", *k->fault ? k->fault : words);
                kafka_tell_state(k, false, text);
        } else {
                kafka_connection_words(&k->setup, words, k->fault, sizeof(k->fault));
                if (k->known && !k->up) { /* why it stays down may have changed */
                        snprintf(text, sizeof(text), "no broker answers: %.150s", k->fault);
                        kafka_tell_state(k, false, text);
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
                kafka_tell_state(k, false, text);
        }
        k->n_answers_seen = k->n_answers;
        rt_timer_set(k->rt, &k->silent, SILENT_US);
}

void kafka_take_log(rd_kafka_event_t *ev)
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
                return kafka_take_reports(k, ev, &k->n_out, &k->out);
        case RD_KAFKA_EVENT_ERROR:
                if (kafka_error_is_fatal(ev))
                        on_fatal(k);
                else
                        kafka_take_error(k, ev);
                return 1;
        case RD_KAFKA_EVENT_LOG:
                kafka_take_log(ev);
                return 1;
        case RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT:
                kafka_take_topics(k, ev);
                return 1;
        default:
                return 1;
        }
}

void kafka_serve(struct kafka *k)
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
        kafka_serve(list_entry(t, struct kafka, turn));
}

static void on_readable(struct rt_watch *w, unsigned events)
{
        uint64_t n;

        (void)!read(w->fd, &n, sizeof(n));
        kafka_serve(list_entry(w, struct kafka, watch));
}

void kafka_events_init(struct kafka *k)
{
        k->turn.on_due = on_turn;
        k->silent.on_due = on_silent;
        k->watch.on_event = on_readable;
}

void kafka_listen(struct kafka *k)
{
        static const uint64_t one = 1;

        rd_kafka_queue_io_event_enable(k->p.queue, k->watch.fd, &one, sizeof(one));
        rt_watch_set(k->rt, &k->watch, RT_READ);
        rt_timer_set(k->rt, &k->turn, 0); /* what came before is not told by the fd */
        kafka_ask(k);
}

void kafka_watch_silence(struct kafka *k)
{
        if (rt_timer_armed(&k->silent))
                return;
        k->n_answers_seen = k->n_answers;
        rt_timer_set(k->rt, &k->silent, SILENT_US);
}
