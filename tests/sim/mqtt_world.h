/*
 * mqtt_world: a broker, a connection and libmosquitto's manners, in virtual
 * time: the other side of drivers/mqtt/link.h.
 *
 * Packets instead of bytes.  What the library queues, what the gate holds and
 * what is on the wire are three queues, so the instant an acknowledgement
 * leaves is known, and that it may is asked there: its message is on the disk,
 * and it is the next in order of arrival.
 */
#ifndef MILLRACE_TESTS_SIM_MQTT_WORLD_H
#define MILLRACE_TESTS_SIM_MQTT_WORLD_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/rt_sim.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"

#define MS     1000
#define SECOND 1000000

enum { MESSAGES_MAX = 6000, LOG_MAX = 60000, FAT_BYTES = 30000, FAT_MAX = 150, MIDS = 65536 };

enum packet_type { CONNECT, CONNACK, SUBSCRIBE, SUBACK, PUBLISH, PUBACK, PINGREQ, PINGRESP, DISCONNECT };

struct packet {
        enum packet_type type;
        uint32_t number; /* of the message; PUBACK also: the how manieth delivery of this link it answers */
        uint32_t delivery;
        uint16_t mid;
        bool dup, session;
        int64_t at_us;
};

struct fifo {
        struct packet *p;
        size_t from, to, size;
};

enum message_state { QUEUED, IN_FLIGHT, ACKED, GONE };
enum message_kind { NUMBER, FAT, MALFORMED };

struct message {
        uint16_t mid;
        uint8_t qos;
        enum message_kind kind;
        enum message_state state;
        bool on_disk;
        uint32_t arrival; /* of the last time it came */
};

/* What the host was given, in order; the first n_durable are on the disk. */
struct logged {
        uint32_t number;
        uint16_t mid;
        struct reading r;
};

enum wire { WIRE_OK, WIRE_ENDS, WIRE_BROKEN, WIRE_MUTE };

struct mqtt_link {
        struct world *w;
        struct mqtt_link_upcalls up;
        bool accepted;
        struct fifo queue, held; /* the library's, the gate's */
        uint64_t end, released;
        int64_t keepalive_us, next_out_us, last_in_us, ping_us, accepted_us;
        uint32_t n_delivered, n_acked; /* at QoS 1 */
        int n_asked;                   /* SUBSCRIBEs */
};

struct world {
        struct rt_sim sim; /* first */
        struct rt_ops ops;
        uint64_t seed, rng;
        struct rt_watch *watch;
        unsigned watched;
        long n_reads, n_idle, n_same_time;
        int64_t same_us;

        /* The broker. */
        bool session, subscribed, connected, down, stuck;
        bool lowest_mid;
        size_t window, n_in_flight, n_resent;
        uint32_t in_flight[MESSAGES_MAX], number_of_mid[MIDS];
        uint16_t last_mid;
        uint32_t n_published, next, n_arrived, last_arrival;
        struct message message[MESSAGES_MAX + 1];
        int64_t broker_due_us, latency_us, heard_us;
        int keepalive_s; /* that it wants; 0: ours */
        unsigned record; /* one read brings up to so many packets */

        /* The connection. */
        struct mqtt_link *link;
        int64_t opened_due_us;
        enum wire wire;
        struct fifo to_client, to_broker;
        size_t wire_room;

        /* The host and its disk. */
        struct driver d;
        struct mqtt_conf conf;
        struct mqtt_sub_conf subs[2];
        bool dead, blocks, waits_for_room, disk_fails, waits_for_disk, refusing, stopping, stopped;
        bool sure_stop; /* nothing is in its way: what is durable has to be acknowledged */
        struct driver_sync *sync;
        size_t n_log, n_durable, n_sync, room;
        struct logged log[LOG_MAX];
        int64_t disk_due_us, disk_us, start_due_us, room_due_us, paused_since_us, publish_due_us, chaos_due_us;
        int64_t publish_every_us;
        unsigned publish_burst, qos0_percent, fat_percent, n_fat;
        size_t batch;
};

/* Over all seeds: what must have happened for the runs to mean something. */
static struct {
        long published, acked, cuts, stops, reloads, left, lost, dry, refused, overflows, doubled, orphans, recognised;
        long deferred_stops, kept_stops, session_lost, kept_alive;
} N;

static uint64_t next_random(struct world *w)
{
        uint64_t z = w->rng += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static uint64_t below(struct world *w, uint64_t n)
{
        return next_random(w) % n;
}

static bool chance(struct world *w, unsigned percent)
{
        return below(w, 100) < percent;
}

/* As often between 1 and 2 as between 2 and 4, and so on. */
static int64_t scattered(struct world *w, int64_t from, int64_t to)
{
        uint64_t n = 1;
        int64_t us;

        for (us = from; us < to; us *= 2)
                n++;
        us = from << below(w, n);
        us = us < to ? us : to;
        return us / 2 + (int64_t)below(w, (uint64_t)us / 2 + 1);
}

static int64_t now_of(const struct world *w)
{
        return w->sim.now.mono_us;
}

#define CHECK(w, cond)                                                                                            \
        do {                                                                                                      \
                if (!(cond))                                                                                      \
                        fail_msg("seed %" PRIu64 " at %.6f s: %s", (w)->seed, (double)now_of(w) / SECOND, #cond); \
        } while (0)

/* ---- queues ---- */

static size_t fifo_count(const struct fifo *f)
{
        return f->to - f->from;
}

static void fifo_clear(struct fifo *f)
{
        f->from = f->to = 0;
}

static void fifo_put(struct fifo *f, struct packet p)
{
        if (f->from == f->to)
                fifo_clear(f);
        if (f->to == f->size) {
                f->size = f->size ? 2 * f->size : 64;
                f->p = mem_grow(f->p, f->size, sizeof(*f->p));
        }
        f->p[f->to++] = p;
}

static struct packet *fifo_first(const struct fifo *f)
{
        return f->from < f->to ? &f->p[f->from] : NULL;
}

static struct packet fifo_take(struct fifo *f)
{
        return f->p[f->from++];
}

static void fifo_fini(struct fifo *f)
{
        free(f->p);
        *f = (struct fifo){NULL};
}

/* ---- messages ---- */

static size_t write_payload(const struct world *w, uint32_t number, char out[FAT_BYTES + 1])
{
        enum message_kind kind = w->message[number].kind;
        int n = snprintf(out, FAT_BYTES, kind == MALFORMED ? "bad %u" : "%u", number);

        if (kind != FAT)
                return (size_t)n;
        out[n] = ' ';
        memset(out + n + 1, 'x', (size_t)(FAT_BYTES - n - 1));
        return FAT_BYTES;
}

static void broker_poke(struct world *w)
{
        if (w->broker_due_us > now_of(w) + w->latency_us)
                w->broker_due_us = now_of(w) + w->latency_us;
}

static void publish(struct world *w)
{
        struct message *m;

        if (w->n_published == MESSAGES_MAX)
                return;
        m = &w->message[++w->n_published];
        *m = (struct message){.qos = !chance(w, w->qos0_percent),
                              .kind = w->n_fat < FAT_MAX && chance(w, w->fat_percent) ? FAT
                                      : chance(w, 2)                                  ? MALFORMED
                                                                                      : NUMBER,
                              .state = w->session && w->subscribed ? QUEUED : GONE};
        if (m->qos == 0 && !w->connected)
                m->state = GONE;
        w->n_fat += m->kind == FAT;
        N.published += m->state == QUEUED;
        broker_poke(w);
}

/* ---- the broker ---- */

static void break_wire(struct world *w, enum wire how)
{
        if (!w->link || w->wire == WIRE_BROKEN)
                return;
        w->wire = how;
        w->connected = w->connected && how == WIRE_MUTE;
        if (how == WIRE_BROKEN)
                fifo_clear(&w->to_client);
}

static void lose_session(struct world *w)
{
        for (uint32_t i = 1; i <= w->n_published; i++)
                if (w->message[i].state == QUEUED || w->message[i].state == IN_FLIGHT)
                        w->message[i].state = GONE;
        memset(w->number_of_mid, 0, sizeof(w->number_of_mid));
        w->n_in_flight = 0;
        w->session = w->subscribed = false;
        N.session_lost++;
        break_wire(w, WIRE_ENDS);
}

static void on_puback(struct world *w, const struct packet *p)
{
        uint32_t number = w->number_of_mid[p->mid];
        size_t i = 0;

        CHECK(w, number && number == p->number);
        w->number_of_mid[p->mid] = 0;
        w->message[number].state = ACKED;
        N.acked++;
        while (w->in_flight[i] != number)
                i++;
        CHECK(w, i < w->n_resent);
        w->n_resent--;
        memmove(&w->in_flight[i], &w->in_flight[i + 1], (--w->n_in_flight - i) * sizeof(*w->in_flight));
}

static void say(struct world *w, struct packet p)
{
        p.at_us = now_of(w) + w->latency_us;
        fifo_put(&w->to_client, p);
}

static void on_connect(struct world *w)
{
        say(w, (struct packet){.type = CONNACK, .session = w->session});
        w->connected = w->session = true;
        w->n_resent = 0;
        for (uint32_t i = 1; i <= w->n_published; i++)
                if (w->message[i].state == QUEUED && w->message[i].qos == 0)
                        w->message[i].state = GONE;
}

static void broker_hear(struct world *w, const struct packet *p)
{
        w->heard_us = now_of(w);
        switch (p->type) {
        case CONNECT:
                on_connect(w);
                break;
        case SUBSCRIBE:
                w->subscribed = true;
                say(w, (struct packet){.type = SUBACK, .mid = p->mid});
                break;
        case PUBACK:
                on_puback(w, p);
                break;
        case PINGREQ:
                say(w, (struct packet){.type = PINGRESP});
                break;
        default:
                N.left++;
                break_wire(w, WIRE_ENDS);
        }
}

static uint16_t free_mid(struct world *w)
{
        uint16_t mid = w->lowest_mid ? 0 : w->last_mid;

        do
                mid = mid == UINT16_MAX ? 1 : (uint16_t)(mid + 1);
        while (w->number_of_mid[mid]);
        return w->last_mid = mid;
}

static void send_message(struct world *w, uint32_t number, bool dup)
{
        struct message *m = &w->message[number];

        say(w, (struct packet){.type = PUBLISH, .number = number, .mid = m->mid, .dup = dup});
}

static void send_next(struct world *w)
{
        struct message *m = &w->message[w->next];

        if (m->state == QUEUED && m->qos == 0) {
                m->mid = 0;
                m->state = ACKED;
                send_message(w, w->next, false);
        } else if (m->state == QUEUED) {
                m->mid = free_mid(w);
                w->number_of_mid[m->mid] = w->next;
                m->state = IN_FLIGHT;
                w->in_flight[w->n_in_flight++] = w->next;
                w->n_resent++;
                send_message(w, w->next, false);
        }
        w->next++;
}

static void broker_send(struct world *w)
{
        while (fifo_count(&w->to_client) < 3000 && w->n_resent < w->n_in_flight)
                send_message(w, w->in_flight[w->n_resent++], true);
        while (fifo_count(&w->to_client) < 3000 && w->next <= w->n_published) {
                if (w->window && w->n_in_flight >= w->window && w->message[w->next].qos &&
                    w->message[w->next].state == QUEUED)
                        return;
                send_next(w);
        }
}

/* What the client has sent arrives, also behind its closing. */
static void broker_drain(struct world *w)
{
        while (fifo_count(&w->to_broker)) {
                struct packet p = fifo_take(&w->to_broker);

                broker_hear(w, &p);
        }
}

static int64_t keepalive_s(const struct world *w)
{
        return w->keepalive_s ? w->keepalive_s : w->conf.keepalive_us / SECOND;
}

static void broker_turn(struct world *w)
{
        w->broker_due_us = INT64_MAX;
        if (w->stuck || w->wire == WIRE_MUTE || !w->link)
                return;
        if (w->wire == WIRE_OK)
                broker_drain(w);
        if (w->connected && now_of(w) - w->heard_us > keepalive_s(w) * SECOND * 3 / 2) {
                N.kept_alive++;
                break_wire(w, WIRE_ENDS);
        }
        if (w->connected && w->subscribed)
                broker_send(w);
        if (w->connected)
                w->broker_due_us = w->heard_us + keepalive_s(w) * SECOND * 3 / 2 + 1;
}

/* ---- the library ---- */

/* Nothing else decides what a power cut may cost. */
static void put_on_wire(struct mqtt_link *l, struct packet p)
{
        struct world *w = l->w;

        if (p.type == PUBACK) {
                CHECK(w, w->message[p.number].on_disk);
                CHECK(w, p.delivery == l->n_acked);
                l->n_acked++;
        }
        if (w->wire == WIRE_OK || w->wire == WIRE_MUTE)
                fifo_put(&w->to_broker, p);
        else
                break_wire(w, WIRE_BROKEN);
        broker_poke(w);
}

struct mqtt_link_conf mqtt_link_conf_of(const struct mqtt_conf *c, const struct mqtt_url *url, const char *client_id)
{
        return (struct mqtt_link_conf){.host = url->host, .client_id = client_id, .v311 = c->protocol == MQTT_V311};
}

struct mqtt_link *mqtt_link_open(struct rt *rt, const struct mqtt_link_conf *conf, const struct mqtt_link_upcalls *up)
{
        struct world *w = (struct world *)rt;
        struct mqtt_link *l = mem_alloc(sizeof(*l));

        CHECK(w, !w->link && !w->dead);
        l->w = w;
        l->up = *up;
        l->keepalive_us = keepalive_s(w) * SECOND;
        w->link = l;
        w->wire = WIRE_OK;
        fifo_clear(&w->to_client);
        fifo_clear(&w->to_broker);
        w->connected = false;
        w->opened_due_us = now_of(w) + scattered(w, 1 * MS, 4 * SECOND);
        return l;
}

/* The work of connecting has come back. */
static void link_opened(struct world *w)
{
        w->opened_due_us = INT64_MAX;
        if (w->down) {
                w->link->up.on_opened(w->link->up.ctx, "nobody there");
                return;
        }
        fifo_put(&w->link->queue, (struct packet){.type = CONNECT});
        w->link->last_in_us = now_of(w);
        w->link->next_out_us = now_of(w) + w->link->keepalive_us;
        w->link->up.on_opened(w->link->up.ctx, NULL);
}

static void check_nothing_durable(const struct world *w, const struct fifo *f)
{
        for (size_t i = f->from; i < f->to; i++)
                CHECK(w, f->p[i].type != PUBACK || !w->message[f->p[i].number].on_disk);
}

void mqtt_link_close(struct mqtt_link *l)
{
        struct world *w = l->w;

        if (w->sure_stop) {
                check_nothing_durable(w, &l->queue);
                check_nothing_durable(w, &l->held);
        }
        if (w->wire == WIRE_OK && !w->stuck && chance(w, 50))
                broker_drain(w);
        w->connected = false;
        w->opened_due_us = INT64_MAX;
        w->link = NULL;
        w->refusing = false;
        fifo_clear(&w->to_broker);
        fifo_clear(&w->to_client);
        fifo_fini(&l->queue);
        fifo_fini(&l->held);
        free(l);
}

static void deliver(struct mqtt_link *l, const struct packet *p)
{
        struct world *w = l->w;
        static char payload[FAT_BYTES + 1];
        struct mqtt_message m = {
                .topic = w->message[p->number].kind == FAT ? "t/fat" : "n/press/force",
                .payload = payload,
                .len = write_payload(w, p->number, payload),
                .mid = p->mid,
                .dup = p->dup,
        };

        w->message[p->number].arrival = ++w->n_arrived;
        if (p->mid)
                fifo_put(&l->queue,
                         (struct packet){
                                 .type = PUBACK, .number = p->number, .mid = p->mid, .delivery = l->n_delivered++});
        CHECK(w, l->n_delivered - l->n_acked <= 2 * (w->batch + w->record));
        l->up.on_message(l->up.ctx, &m);
}

static void take_packet(struct mqtt_link *l, const struct packet *p)
{
        l->last_in_us = now_of(l->w);
        if (p->type == CONNACK) {
                l->accepted = true;
                l->accepted_us = now_of(l->w);
                l->up.on_accepted(l->up.ctx, p->session);
        } else if (p->type == SUBACK) {
                l->up.on_subscribed(l->up.ctx, p->mid, 2, (const int[]){1, 1});
        } else if (p->type == PINGRESP) {
                l->ping_us = 0;
        } else {
                deliver(l, p);
        }
}

int mqtt_link_read(struct mqtt_link *l)
{
        struct world *w = l->w;
        unsigned n = 1 + (unsigned)below(w, w->record);

        CHECK(w, !(l->accepted && w->d.paused));
        CHECK(w, !w->refusing);
        w->n_reads++;
        w->sim.now.mono_us += 2;
        if (!fifo_count(&w->to_client) || fifo_first(&w->to_client)->at_us > now_of(w))
                return w->wire == WIRE_BROKEN || w->wire == WIRE_ENDS ? MQTT_LINK_E_LOST : MQTT_LINK_E_DRY;
        while (n-- && fifo_count(&w->to_client) && fifo_first(&w->to_client)->at_us <= now_of(w)) {
                struct packet p = fifo_take(&w->to_client);

                take_packet(l, &p);
        }
        if (w->next <= w->n_published || w->n_resent < w->n_in_flight)
                broker_poke(w);
        return 0;
}

static void written(struct mqtt_link *l)
{
        l->next_out_us = now_of(l->w) + l->keepalive_us;
}

int mqtt_link_write(struct mqtt_link *l)
{
        CHECK(l->w, !fifo_count(&l->held)); /* it would be overtaken */
        if (l->w->wire == WIRE_BROKEN)
                return MQTT_LINK_E_LOST;
        while (fifo_count(&l->queue)) {
                if (fifo_count(&l->w->to_broker) >= l->w->wire_room && l->w->wire != WIRE_ENDS)
                        return MQTT_LINK_E_DRY;
                put_on_wire(l, fifo_take(&l->queue));
        }
        written(l);
        return 0;
}

int mqtt_link_collect(struct mqtt_link *l, uint64_t *position)
{
        while (fifo_count(&l->queue)) {
                fifo_put(&l->held, fifo_take(&l->queue));
                l->end++;
        }
        written(l);
        *position = l->end;
        return 0;
}

int mqtt_link_release(struct mqtt_link *l, uint64_t position)
{
        CHECK(l->w, position <= l->end);
        while (l->released < position) {
                if (l->w->wire == WIRE_BROKEN)
                        return MQTT_LINK_E_LOST;
                if (fifo_count(&l->w->to_broker) >= l->w->wire_room && l->w->wire != WIRE_ENDS) {
                        N.dry++;
                        return MQTT_LINK_E_DRY;
                }
                put_on_wire(l, fifo_take(&l->held));
                l->released++;
        }
        return 0;
}

int mqtt_link_tick(struct mqtt_link *l)
{
        int64_t now_us = now_of(l->w);

        if (now_us < l->next_out_us && now_us - l->last_in_us < l->keepalive_us)
                return 0;
        if (l->ping_us)
                return MQTT_LINK_E_LOST;
        fifo_put(&l->queue, (struct packet){.type = PINGREQ});
        l->ping_us = l->last_in_us = now_us;
        l->next_out_us = now_us + l->keepalive_us;
        return 0;
}

int mqtt_link_fd(const struct mqtt_link *l)
{
        return 7;
}

bool mqtt_link_wants_write(const struct mqtt_link *l)
{
        return fifo_count(&l->queue) > 0;
}

bool mqtt_link_has_more(const struct mqtt_link *l)
{
        return fifo_count(&l->w->to_client) && fifo_first(&l->w->to_client)->at_us <= now_of(l->w);
}

const char *mqtt_link_why(const struct mqtt_link *l)
{
        return "the wire is cut";
}

const struct mqtt_limits *mqtt_link_limits(const struct mqtt_link *l)
{
        static struct mqtt_limits limits;

        limits.keepalive_s = (int)keepalive_s(l->w);
        limits.session_s = UINT32_MAX;
        return &limits;
}

bool mqtt_link_takes_ids(const struct mqtt_link *l)
{
        return true;
}

int mqtt_link_subscribe(struct mqtt_link *l, int n, char *const *filters, int qos, uint32_t id, int *mid)
{
        *mid = ++l->n_asked;
        fifo_put(&l->queue, (struct packet){.type = SUBSCRIBE, .mid = (uint16_t)*mid});
        return 0;
}

int mqtt_link_unsubscribe(struct mqtt_link *l, int n, char *const *filters, int *mid)
{
        return 0;
}

int mqtt_link_publish(struct mqtt_link *l, const char *topic, const void *payload, size_t len)
{
        return -1;
}

int mqtt_link_publish_sure(struct mqtt_link *l, const char *topic, const void *payload, size_t len, bool retain)
{
        return -1;
}

void mqtt_link_goodbye(struct mqtt_link *l)
{
        fifo_put(&l->queue, (struct packet){.type = DISCONNECT});
}

#endif
