/*
 * fuzz_mqtt_broker: any bytes from a broker, through our filter into the
 * libmosquitto that is linked, with the whole driver behind it.
 *
 * The first byte says which protocol, and whether the broker greets as it
 * should; then pieces: a byte that says how long it is, and so many bytes. From
 * 250 on the byte is something that happens: the broker goes and the driver
 * comes again, a second passes, the spool is full or has room again, the disk
 * hangs or goes on.
 *
 * Holds: neither the library nor we end the process; every reading is sound;
 * what the broker gets is whole packets; nothing is acknowledged of what came
 * while the disk hangs; after a stop the driver ends, and nothing of it is left.
 *
 * No network: the connect() of this program is a socket pair.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "agent/config/config.h"
#include "drivers/mqtt/packet.h"
#include "tests/fuzz/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        S = 1000000,
        TAGS_MAX = 50,
        DRIVERS = 3,
        TURNS_MAX = 1000,
        IDLE_TURNS = 3,
        COMMIT_US = 20000,
        STARTS_MAX = 6,
        SECONDS_MAX = 40
};

enum happening { LEAVES = 250, PASSES, FULL, HANGS, SAYS_BYE, N_HAPPENINGS };

static const char config[] =
        "gateway: gw-7\n"
        "kafka: {brokers: [\"127.0.0.1:9\"]}\n"
        "mqtt:\n"
        " - name: five\n"
        "   url: mqtt://127.0.0.1:1\n"
        "   subscriptions:\n"
        "   - {topic: \"n/{source}/{tag}\", payload: number}\n"
        "   - {topic: \"r/{tag}\", payload: raw, source: raw}\n"
        "   - {topic: \"j/{line}/{source}\", payload: json, readings: [{tag: t, value: /v, unit: degC}]}\n"
        "   - {topic: \"spBv1.0/#\", payload: sparkplug_b}\n"
        "   - {topic: \"+/x/+\", payload: text, source: x, tag: beside}\n" /* the others have parts of it */
        " - name: three\n"
        "   url: mqtt://127.0.0.1:1\n"
        "   protocol: 3.1.1\n"
        "   subscriptions: [{topic: \"n/{source}/{tag}\", payload: number}, {topic: \"t/{tag}\", payload: text, "
        "source: t}]\n"
        " - name: zero\n"
        "   url: mqtt://127.0.0.1:1\n"
        "   qos: 0\n"
        "   max_payload: 1KiB\n"
        "   subscriptions: [{topic: \"n/{source}/{tag}\", payload: number}]\n";

static struct {
        struct config *conf;
        struct rt_sim sim;
        struct rt_ops ops;
        const struct rt_ops *sim_ops;
        struct rt_watch *watch;
        struct driver d;
        struct rt_timer committed, restart;
        struct driver_sync *sync;
        bool stopped, hangs, greets, v311, greeted;
        int broker_fd; /* -1: none is connected */
        int n_starts, seconds;
        unsigned char got[65536]; /* of what the driver has sent, what is no whole packet yet */
        size_t n_got;
} T = {.broker_fd = -1};

/* ---- the network ---- */

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
        int ends[2];

        BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0);
        BUG_ON(dup3(ends[1], fd, O_CLOEXEC) < 0);
        close(ends[1]);
        if (T.broker_fd >= 0)
                close(T.broker_fd);
        T.broker_fd = ends[0];
        T.n_got = 0;
        T.greeted = false;
        return 0;
}

static void on_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        BUG_ON(T.watch && T.watch != w && events);
        T.watch = events ? w : T.watch == w ? NULL : T.watch;
        T.sim_ops->watch(rt, w, events);
}

/* ---- what the broker hears ---- */

static void take_packets(void)
{
        size_t header_len;
        uint32_t len;
        int rc;

        while ((rc = mqtt_packet_header(T.got, T.n_got, &header_len, &len)) == 1 && T.n_got >= header_len + len) {
                BUG_ON(T.hangs && T.got[0] >> 4 == MQTT_PUBACK);
                T.n_got -= header_len + len;
                memmove(T.got, T.got + header_len + len, T.n_got);
        }
        BUG_ON(rc < 0 || T.n_got == sizeof(T.got));
}

static void say(const void *p, size_t n)
{
        if (T.broker_fd >= 0 && n)
                (void)!send(T.broker_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hear(void)
{
        ssize_t n;

        while (T.broker_fd >= 0 && (n = read(T.broker_fd, T.got + T.n_got, sizeof(T.got) - T.n_got)) > 0) {
                T.n_got += (size_t)n;
                take_packets();
                if (T.greets && !T.greeted)
                        say(T.v311 ? "\x20\2\0\0" : "\x20\3\0\0\0", T.v311 ? 4 : 5);
                T.greeted = true;
        }
}

/* ---- the host ---- */

static int on_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        BUG_ON(!n);
        if (d->paused && may_wait)
                return DRIVER_E_WAIT;
        for (size_t i = 0; i < n; i++) {
                BUG_ON(r[i].tag >= tags_count(d->tags) || r[i].quality >= N_QUALITIES || r[i].type > READING_RAW);
                BUG_ON(r[i].type == READING_TEXT && !text_is_utf8(r[i].v.text, r[i].len));
        }
        return 0;
}

static void on_sync(struct driver *d, struct driver_sync *q)
{
        q->d = d;
        q->waiting = true;
        BUG_ON(T.sync);
        T.sync = q;
        rt_timer_set(&T.sim.rt, &T.committed, COMMIT_US);
}

static void on_committed(struct rt_timer *t)
{
        struct driver_sync *q = T.sync;

        if (!q || T.hangs)
                return;
        T.sync = NULL;
        q->waiting = false;
        q->on_durable(q->d);
}

static void on_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        BUG_ON(!*reason || (len && !payload));
        d->n_malformed++;
}

static void on_up(struct driver *d)
{
        d->state = DRIVER_UP;
}

static void on_down(struct driver *d, const char *why)
{
        BUG_ON(!*why);
        d->state = DRIVER_DOWN;
        if (T.n_starts < STARTS_MAX)
                rt_timer_set(&T.sim.rt, &T.restart, S);
}

static void on_restart(struct rt_timer *t)
{
        T.n_starts++;
        T.d.ops->start(&T.d);
}

static void on_stopped(struct driver *d)
{
        T.stopped = true;
}

static void on_device(struct driver *d, const char *source, const char *state, const char *why)
{
        BUG_ON(!*source || !*state);
}

static void on_recent(struct driver *d, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
}

static const struct driver_host host = {.emit = on_emit,
                                        .sync = on_sync,
                                        .quarantine = on_quarantine,
                                        .link_up = on_up,
                                        .link_down = on_down,
                                        .stopped = on_stopped,
                                        .device_event = on_device,
                                        .recent = on_recent};

/* ---- time ---- */

static void pass(int64_t us)
{
        rt_sim_run(&T.sim, T.sim.now.mono_us + us, NULL, NULL);
}

static unsigned events_of(struct rt_watch *w)
{
        unsigned wanted = (unsigned)(uintptr_t)w->impl;
        struct pollfd p = {.fd = w->fd,
                           .events = (short)((wanted & RT_READ ? POLLIN : 0) | (wanted & RT_WRITE ? POLLOUT : 0))};

        if (poll(&p, 1, 0) <= 0)
                return 0;
        return wanted & ((p.revents & (POLLIN | POLLHUP | POLLERR) ? RT_READ : 0u) |
                         (p.revents & (POLLOUT | POLLERR) ? RT_WRITE : 0u));
}

/* What there is to do now is done. */
static void turn(void)
{
        for (int i = 0, idle = 0; i < TURNS_MAX && idle < IDLE_TURNS; i++) {
                unsigned events = T.watch ? events_of(T.watch) : 0;

                if (events)
                        T.watch->on_event(T.watch, events);
                hear();
                pass(1000); /* works end, timers of no delay run */
                idle = events || (T.watch && events_of(T.watch)) ? 0 : idle + 1;
        }
}

/* ---- the input ---- */

static void happens(enum happening what)
{
        switch (what) {
        case LEAVES:
                if (T.broker_fd >= 0)
                        close(T.broker_fd);
                T.broker_fd = -1;
                break;
        case PASSES:
                if (T.seconds++ < SECONDS_MAX)
                        pass(S);
                break;
        case FULL:
                T.d.paused = !T.d.paused;
                T.d.ops->pause(&T.d, T.d.paused);
                break;
        case HANGS:
                hear();
                T.hangs = !T.hangs;
                if (!T.hangs)
                        rt_timer_set(&T.sim.rt, &T.committed, 0);
                break;
        default:
                say("\xe0\0", 2); /* DISCONNECT */
        }
        turn();
}

static void start(unsigned how)
{
        const struct config_driver *c = &T.conf->drivers[(how & 3) % DRIVERS];
        struct err e;

        rt_sim_init(&T.sim, 1, INT64_C(1795428000000000));
        T.sim_ops = T.sim.rt.ops;
        T.ops = *T.sim_ops;
        T.ops.watch = on_watch;
        T.sim.rt.ops = &T.ops;
        T.committed = (struct rt_timer){.on_due = on_committed};
        T.restart = (struct rt_timer){.on_due = on_restart};
        T.sync = NULL;
        T.stopped = T.hangs = false;
        T.v311 = (how & 3) == 1;
        T.greets = how & 4;
        T.n_starts = T.seconds = 0;
        T.d = (struct driver){.ops = c->ops,
                              .name = c->name,
                              .gateway = "gw-7",
                              .conf = c->conf,
                              .rt = &T.sim.rt,
                              .tags = tags_new(TAGS_MAX),
                              .host = &host,
                              .ack_slowdown = 1};
        BUG_ON(T.d.ops->init(&T.d, &e) < 0);
        T.d.ops->start(&T.d);
        turn();
}

static void end(void)
{
        if (T.hangs)
                happens(HANGS);
        rt_timer_cancel(&T.sim.rt, &T.restart);
        T.d.ops->stop(&T.d);
        for (int i = 0; !T.stopped && i < 30; i++) {
                turn();
                pass(S);
        }
        BUG_ON(!T.stopped);
        T.d.ops->fini(&T.d);
        pass(INT64_C(60) * S);
        BUG_ON(T.watch || T.sim.rt.n_timers || !list_empty(&T.sim.works));
        tags_free(T.d.tags);
        rt_sim_fini(&T.sim);
        if (T.broker_fd >= 0)
                close(T.broker_fd);
        T.broker_fd = -1;
}

static void load(void)
{
        struct faults faults = {0};

        log_init((enum log_level)0);
        if (config_load_text("mqtt", config, sizeof(config) - 1, &T.conf, &faults) < 0)
                faults_print(&faults, stderr);
        BUG_ON(!T.conf || T.conf->n_drivers != DRIVERS);
        faults_fini(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes b = {data, size}, piece;

        if (!T.conf)
                load();
        start(bytes_take(&b));
        while (b.n) {
                uint8_t n = bytes_take(&b);

                if (n >= LEAVES) {
                        happens(LEAVES + (n - LEAVES) % (N_HAPPENINGS - LEAVES));
                        continue;
                }
                piece = bytes_cut(&b, n);
                say(piece.p, piece.n);
                turn();
        }
        end();
        return 0;
}
