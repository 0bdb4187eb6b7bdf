/*
 * kafka_reach: can what the cluster says about itself be used from here?
 *
 * A bootstrap broker answers with the addresses at which the brokers want to be
 * spoken to (advertised.listeners); one that is right in the broker's own
 * network and leads nowhere from here is the commonest reason why a producer
 * that "connects" delivers nothing.  So each of them is connected to, all at
 * once.  And a topic may be seen and not be written to: that is only known by
 * writing.  What is written is one record larger than the topic takes, by the
 * topic's own word, so that it is refused: for its size by who may write, for
 * the right by who may not.  Where that word can't be had it is not tried.
 *
 * For the tool; blocks, for CONNECT_MS and WRITE_MS at most, and for as long as
 * the look-up of a name takes.  Fails never: what could not be found out is not
 * told.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "uplink/kafka_impl.h"

enum {
        CONNECT_MS = 3000,
        WRITE_MS = 10000,
        ASK_MS = 5000,
        BROKERS_MAX = 64,
        OVER_BYTES = 4096,
        SIZE_MAX_BYTES = 2 << 20
};

static int64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the brokers' addresses ---- */

/* A socket that connects, or -1 with why. */
static int begin_connect(const struct rd_kafka_metadata_broker *b, char why[120])
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
        char port[16];
        int fd, r;

        snprintf(port, sizeof(port), "%d", b->port);
        r = getaddrinfo(b->host, port, &hints, &found);
        if (r) {
                snprintf(why, 120, "the name is not known here: %s", gai_strerror(r));
                return -1;
        }
        fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS) {
                snprintf(why, 120, "%s", strerror(errno));
                close(fd);
                fd = -1;
        }
        freeaddrinfo(found);
        return fd;
}

/* Connected, or why not. */
static bool has_connected(const struct pollfd *p, char why[120])
{
        int error = 0;
        socklen_t len = sizeof(error);

        if (!p->revents) {
                snprintf(why, 120, "no answer within %d s", CONNECT_MS / 1000);
                return false;
        }
        getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        snprintf(why, 120, "%s", strerror(error));
        return error == 0;
}

static void wait_for_all(struct pollfd *p, size_t n)
{
        int64_t until = now_ms() + CONNECT_MS;
        struct pollfd left[BROKERS_MAX];
        size_t n_left;

        do {
                n_left = 0;
                for (size_t i = 0; i < n; i++)
                        if (p[i].fd >= 0 && !p[i].revents)
                                left[n_left++] = p[i];
                if (n_left && poll(left, n_left, (int)(until > now_ms() ? until - now_ms() : 0)) <= 0)
                        return;
                for (size_t k = 0; k < n_left; k++)
                        for (size_t i = 0; i < n; i++)
                                if (p[i].fd == left[k].fd)
                                        p[i].revents = left[k].revents;
        } while (n_left && now_ms() < until);
}

static void look_at_brokers(const struct rd_kafka_metadata *md, const struct kafka_note *n)
{
        struct pollfd p[BROKERS_MAX];
        char why[BROKERS_MAX][120] = {""};
        size_t count = (size_t)md->broker_cnt < BROKERS_MAX ? (size_t)md->broker_cnt : BROKERS_MAX;

        for (size_t i = 0; i < count; i++)
                p[i] = (struct pollfd){begin_connect(&md->brokers[i], why[i]), POLLOUT, 0};
        wait_for_all(p, count);
        for (size_t i = 0; i < count; i++) {
                bool up = p[i].fd >= 0 && has_connected(&p[i], why[i]);

                if (p[i].fd >= 0)
                        close(p[i].fd);
                if (!up)
                        kafka_note_say(
                                n, true,
                                "broker %d: the cluster sends us to %.120s:%d (advertised.listeners), which can't "
                                "be reached from here: %s; what it leads can't be sent: make that address right, "
                                "or known here",
                                (int)md->brokers[i].id, md->brokers[i].host, md->brokers[i].port, why[i]);
        }
}

/* ---- the topics' partitions ---- */

static void look_at_partitions(const struct rd_kafka_metadata *md, const struct rd_kafka_metadata_topic *t,
                               const struct kafka_note *n)
{
        int leaderless = 0, single = 0;

        for (int i = 0; i < t->partition_cnt; i++) {
                leaderless += t->partitions[i].leader < 0;
                single += t->partitions[i].replica_cnt < 2;
        }
        if (leaderless)
                kafka_note_say(n, KAFKA_NOTE_STOPS,
                               "topic %.100s: %d of its %d partitions have no leader: what belongs there waits",
                               t->topic, leaderless, t->partition_cnt);
        if (single && md->broker_cnt > 1)
                kafka_note_say(n, KAFKA_NOTE_LOSES,
                               "topic %.100s: kept by one broker only, of %d there are: its disk is the only copy; set "
                               "a replication factor of 2 or more",
                               t->topic, md->broker_cnt);
}

/* ---- rights ---- */

/*
 * A producer that sends what the topic is too small for.  Nothing of it may be
 * gathered or made smaller.
 */
static int make_writer(struct kafka_producer *w, const struct kafka_setup *s)
{
        static const char *const settings[][2] = {{"message.max.bytes", "8000000"},
                                                  {"compression.codec", "none"},
                                                  {"linger.ms", "0"},
                                                  {"message.timeout.ms", "8000"}};
        struct kafka_setup with = *s;
        struct err unused;
        int r = 0;

        with.conf = rd_kafka_conf_dup(s->conf);
        for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
                r |= rd_kafka_conf_set(with.conf, settings[i][0], settings[i][1], NULL, 0);
        if (!r)
                r = kafka_producer_make(w, &with, &unused);
        rd_kafka_conf_destroy(with.conf);
        return r;
}

static const char *right_missing(rd_kafka_resp_err_t err)
{
        switch (err) {
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
                return "Write on the topic";
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
                return "IdempotentWrite on the cluster, or Write on any topic";
        default:
                return NULL;
        }
}

static void take_reports(rd_kafka_event_t *ev, const struct kafka_note *n, int *open)
{
        const rd_kafka_message_t *m;

        while ((m = rd_kafka_event_message_next(ev))) {
                const char *right = right_missing(m->err);

                (*open)--;
                if (right)
                        kafka_note_say(n, KAFKA_NOTE_STOPS, "topic %.100s: the user may not write to it: grant %s",
                                       rd_kafka_topic_name(m->rkt), right);
        }
}

void kafka_try_writing(const struct kafka_setup *s, const int64_t most[SINK_TOPICS], const struct kafka_note *n)
{
        char *record = mem_alloc(SIZE_MAX_BYTES + OVER_BYTES);
        struct kafka_producer w = {0};
        int64_t until = now_ms() + WRITE_MS;
        int open = 0, r = make_writer(&w, s);

        for (int i = 0; i < SINK_TOPICS && !r; i++)
                if (most[i] > 0 && most[i] <= SIZE_MAX_BYTES && kafka_producer_topic(&w, s, i))
                        open += !rd_kafka_produce(w.topic[i], RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, record,
                                                  (size_t)most[i] + OVER_BYTES, "millrace-check", 14, NULL);
        while (open > 0 && now_ms() < until) {
                rd_kafka_event_t *ev = rd_kafka_queue_poll(w.queue, 100);

                if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
                        take_reports(ev, n, &open);
                rd_kafka_event_destroy(ev);
        }
        if (w.rk)
                rd_kafka_purge(w.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        kafka_producer_destroy(&w);
        free(record);
}

/* ---- all of it ---- */

void kafka_look_around(const struct kafka_producer *p, const struct kafka_note *n)
{
        const struct rd_kafka_metadata *md;

        if (rd_kafka_metadata(p->rk, 0, NULL, &md, ASK_MS))
                return;
        look_at_brokers(md, n);
        for (int i = 0; i < md->topic_cnt; i++)
                look_at_partitions(md, &md->topics[i], n);
        rd_kafka_metadata_destroy(md);
}
