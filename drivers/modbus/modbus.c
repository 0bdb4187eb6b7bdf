/*
 * modbus: one bus, its port and its bytes.  What is asked when, and what an
 * answer means, is decided in modbus_bus and its neighbours; here bytes are
 * carried between them and a file descriptor, and values become readings.
 *
 * Serial: everything that can be read is read before the next request goes out,
 * because an answer that came late must not be waiting in the kernel then.  How
 * a connection comes to be is in drivers/tcp.
 *
 * Fails: a port that can't be opened, is unplugged (read says 0), takes nothing
 * for five seconds or whose peer is gone ends in link_down; the host calls
 * start again with its backoff.  Tags go bad/not_connected once, readings are
 * never held back.
 */
#include "drivers/modbus/modbus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "drivers/modbus/bus.h"
#include "drivers/modbus/listen.h"
#include "drivers/tcp.h"
#include "drivers/tty.h"

enum { ROUNDS_MAX = 64, STUCK_US = 5000000 };

enum port_state { SHUT, CONNECTING, OPEN, ASLEEP /* open, but the other side has closed */ };

struct modbus {
        struct driver *d;
        const struct modbus_conf *conf;
        struct modbus_address address;
        struct modbus_plan *plan;
        struct modbus_bus *bus;
        enum port_state port_state;
        bool interned;
        bool up; /* the host was told so */

        struct rt_watch watch; /* fd -1: none */
        unsigned watched;
        struct rt_timer timer;
        struct modbus_action out; /* what is to be sent; out.len - sent is left */
        size_t sent;

        struct tcp tcp;

        struct reading *readings; /* of one read */
        char *text;
};

static void run(struct modbus *m);

/* ---- values ---- */

static bool is_known(const struct modbus_point *p)
{
        return p->tag != DRIVER_NO_TAG;
}

static void emit(struct modbus *m, size_t n)
{
        if (n)
                driver_emit(m->d, m->readings, n, false);
}

static struct reading *next_reading(struct modbus *m, size_t *n, const struct modbus_point *p, int64_t wall_us)
{
        struct reading *r = &m->readings[(*n)++];

        *r = driver_reading(p->tag, wall_us);
        return r;
}

static void on_data(void *ctx, size_t read, const uint8_t *data)
{
        struct modbus *m = ctx;
        const struct modbus_read *rd = &m->plan->reads[read];
        char *text = m->text;
        struct rt_time now;
        size_t n = 0;

        rt_now(m->d->rt, &now);
        for (uint32_t i = rd->first; i < rd->first + rd->n; i++) {
                const struct modbus_point *p = &m->plan->points[i];

                if (!is_known(p)) {
                        m->d->n_untagged++;
                        continue;
                }
                if (modbus_point_decode(p, rd, data, text, next_reading(m, &n, p, now.wall_us)))
                        driver_malformed(m->d, p->conf->tag, "not what is meant");
                text += modbus_text_room(&p->format);
        }
        emit(m, n);
}

static void on_bad(void *ctx, size_t read, enum quality quality, const char *why)
{
        struct modbus *m = ctx;
        const struct modbus_read *rd = &m->plan->reads[read];
        const struct modbus_device_conf *device = m->plan->devices[rd->device];
        struct rt_time now;
        size_t n = 0;

        rt_now(m->d->rt, &now);
        for (uint32_t i = rd->first; i < rd->first + rd->n; i++) {
                const struct modbus_point *p = &m->plan->points[i];

                if (is_known(p))
                        next_reading(m, &n, p, now.wall_us)->quality = (uint16_t)quality;
        }
        emit(m, n);
        if (quality == QUALITY_BAD_NOT_CONNECTED)
                return;
        driver_error(m->d, "%s, %u from %s:%u: %s", device->source, rd->count, modbus_table_of(rd->function),
                     rd->address, why);
}

static void on_device(void *ctx, size_t device, bool up, const char *why)
{
        struct modbus *m = ctx;

        m->d->host->device_event(m->d, m->plan->devices[device]->source, up ? "up" : "down", why);
}

/* No error by itself, but what stands in the way. */
static void on_odd(void *ctx, size_t device, const char *why)
{
        struct modbus *m = ctx;

        text_format(m->d->last_error, sizeof(m->d->last_error), "%s: %s", m->plan->devices[device]->source, why);
}

/* After the spool has loaded its tags, which is before the first start. */
static void intern_tags(struct modbus *m)
{
        char name[MODBUS_NAME_MAX];

        m->interned = true;
        for (size_t i = 0; i < m->plan->n_points; i++) {
                struct modbus_point *p = &m->plan->points[i];

                p->tag = driver_tag(m->d, m->plan->devices[p->device]->source, modbus_tag_name(p->conf, p->index, name),
                                    p->conf->unit);
        }
}

/* ---- the port ---- */

static void watch(struct modbus *m, unsigned events)
{
        if (m->watched != events)
                rt_watch_set(m->d->rt, &m->watch, events);
        m->watched = events;
}

static void shut(struct modbus *m)
{
        rt_timer_cancel(m->d->rt, &m->timer);
        if (m->watch.fd >= 0) {
                watch(m, 0);
                if (m->address.tcp)
                        close(m->watch.fd);
                else
                        tty_close(m->watch.fd);
        }
        m->watch.fd = -1;
        m->out.len = m->sent = 0;
        m->port_state = SHUT;
}

static void take_counts(struct modbus *m)
{
        const struct modbus_counts *c = modbus_bus_counts(m->bus);

        m->d->n_overruns = c->overruns;
        m->d->busy_us = c->busy_us / m->conf->in_flight;
        m->d->n_late = c->late;
        m->d->n_mismatched = c->mismatched;
        m->d->n_crc = c->crc;
        m->d->n_garbage = c->garbage_bytes;
}

static void fail(struct modbus *m, const char *why)
{
        shut(m);
        take_counts(m);
        m->up = false;
        modbus_bus_close(m->bus, rt_mono_us(m->d->rt), why);
        m->d->host->link_down(m->d, why);
}

static void opened(struct modbus *m)
{
        m->port_state = OPEN;
        watch(m, RT_READ);
        if (m->up) {
                modbus_bus_connected(m->bus, rt_mono_us(m->d->rt));
        } else {
                m->up = true;
                modbus_bus_open(m->bus, rt_mono_us(m->d->rt));
                m->d->host->link_up(m->d);
        }
        run(m);
}

/* The other side has closed the connection, which by itself is no failure. */
static void lost(struct modbus *m, const char *why)
{
        char text[200];

        shut(m);
        if (modbus_bus_lost(m->bus, rt_mono_us(m->d->rt)) < 0) {
                snprintf(text, sizeof(text), "%s as soon as it is asked: does another client have the only one?", why);
                fail(m, text);
                return;
        }
        m->port_state = ASLEEP;
        rt_timer_set(m->d->rt, &m->timer, 0);
}

static void open_serial(struct modbus *m)
{
        struct tty_conf c = {.path = m->conf->port,
                             .baud = m->conf->baud,
                             .data_bits = (int)m->conf->data_bits,
                             .stop_bits = (int)m->conf->stop_bits,
                             .parity = (enum tty_parity)m->conf->parity,
                             .rs485 = (enum tty_rs485)m->conf->rs485};
        struct err e;

        m->watch.fd = tty_open(&c, &e);
        if (m->watch.fd < 0)
                fail(m, e.text);
        else
                opened(m);
}

static void connect_again(struct modbus *m)
{
        shut(m);
        m->port_state = CONNECTING;
        tcp_connect_again(&m->tcp);
}

static void on_connected(struct tcp *t, int fd)
{
        struct modbus *m = list_entry(t, struct modbus, tcp);

        m->watch.fd = fd;
        opened(m);
}

static void on_not_connected(struct tcp *t, const char *why)
{
        fail(list_entry(t, struct modbus, tcp), why);
}

static void on_cancelled(struct tcp *t)
{
        struct modbus *m = list_entry(t, struct modbus, tcp);

        m->d->host->stopped(m->d);
}

static void init_tcp(struct modbus *m)
{
        struct tcp_address a;

        snprintf(a.host, sizeof(a.host), "%s", m->address.host);
        snprintf(a.service, sizeof(a.service), "%s", m->address.service);
        m->tcp.on_open = on_connected;
        m->tcp.on_fail = on_not_connected;
        m->tcp.on_cancelled = on_cancelled;
        tcp_init(&m->tcp, m->d->rt, &a);
}

/* ---- bytes ---- */

/* A read or write has failed, or read says 0. */
static void gone(struct modbus *m, int error)
{
        if (m->address.tcp && tcp_is_closed(error))
                lost(m, "the other side closes the connection");
        else
                fail(m, error ? strerror(error) : "the serial port is gone");
}

/* 1: there may be more; 0: nothing to read now; -1: it failed. */
static int read_some(struct modbus *m)
{
        uint8_t bytes[1024];
        ssize_t n = read(m->watch.fd, bytes, sizeof(bytes));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                gone(m, n < 0 ? errno : 0);
                return -1;
        }
        if (modbus_bus_input(m->bus, rt_mono_us(m->d->rt), bytes, (size_t)n) < 0) {
                fail(m, modbus_bus_why(m->bus));
                return -1;
        }
        return (size_t)n == sizeof(bytes);
}

static int read_all(struct modbus *m)
{
        int r = 1;

        for (int i = 0; i < ROUNDS_MAX && r > 0; i++)
                r = read_some(m);
        return r;
}

/* 0: all is out; 1: the rest waits for room; -1: it failed. */
static int write_out(struct modbus *m)
{
        ssize_t n = write(m->watch.fd, m->out.bytes + m->sent, m->out.len - m->sent);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
                gone(m, errno);
                return -1;
        }
        m->sent += n > 0 ? (size_t)n : 0;
        if (m->sent < m->out.len) {
                watch(m, RT_READ | RT_WRITE);
                rt_timer_set(m->d->rt, &m->timer, STUCK_US);
                return 1;
        }
        m->out.len = m->sent = 0;
        watch(m, RT_READ);
        return 0;
}

static void wait_until(struct modbus *m, int64_t now_us)
{
        if (m->out.until_us == INT64_MAX)
                rt_timer_cancel(m->d->rt, &m->timer);
        else if (!rt_timer_armed(&m->timer) || m->timer.due_us != m->out.until_us)
                rt_timer_set(m->d->rt, &m->timer, m->out.until_us - now_us);
}

/*
 * Sends what is due. Late bytes on a serial line are taken in first; on TCP an
 * answer has its number.
 */
static void run(struct modbus *m)
{
        int64_t now_us;

        for (int i = 0; (m->port_state == OPEN || m->port_state == ASLEEP) && !m->out.len; i++) {
                if (i == ROUNDS_MAX) { /* a slave as fast as we are: others have their turn too */
                        rt_timer_set(m->d->rt, &m->timer, 0);
                        return;
                }
                if (m->address.framing != MODBUS_TCP && m->port_state == OPEN && read_all(m) < 0)
                        return;
                now_us = rt_mono_us(m->d->rt);
                switch (modbus_bus_next(m->bus, now_us, &m->out)) {
                case MODBUS_SEND:
                        if (write_out(m) != 0)
                                return;
                        break;
                case MODBUS_WAIT:
                        take_counts(m);
                        wait_until(m, now_us);
                        return;
                case MODBUS_CONNECT:
                        connect_again(m);
                        return;
                case MODBUS_BROKEN:
                        fail(m, m->out.why);
                        return;
                }
        }
}

static void on_event(struct rt_watch *w, unsigned events)
{
        struct modbus *m = list_entry(w, struct modbus, watch);

        if (events & RT_WRITE && m->out.len && write_out(m) < 0)
                return;
        if (events & (RT_READ | RT_ERROR) && m->port_state == OPEN && read_all(m) < 0)
                return;
        run(m);
}

static void on_timer(struct rt_timer *t)
{
        struct modbus *m = list_entry(t, struct modbus, timer);

        if (m->out.len)
                fail(m, "the port takes nothing");
        else
                run(m);
}

/* ---- the driver's seven ---- */

static bool only_listens(const struct driver *d)
{
        return ((const struct modbus_conf *)d->conf)->listen;
}

static int modbus_init(struct driver *d, struct err *e)
{
        struct modbus *m;

        if (only_listens(d)) {
                modbus_listen_init(d);
                return 0;
        }
        m = mem_alloc(sizeof(*m));
        m->d = d;
        m->conf = d->conf;
        if (modbus_address_parse(&m->address, m->conf->port, m->conf->framing, e) < 0) {
                free(m);
                return -1;
        }
        m->plan = modbus_plan_new(m->conf);
        m->bus = modbus_bus_new(
                m->conf, m->plan,
                &(struct modbus_outcome){
                        .on_data = on_data, .on_bad = on_bad, .on_device = on_device, .on_odd = on_odd, .ctx = m});
        m->readings = mem_alloc((modbus_plan_points_most(m->plan) + 1) * sizeof(*m->readings));
        m->text = mem_alloc(modbus_plan_text_room(m->plan) + 1);
        m->watch = (struct rt_watch){.fd = -1, .on_event = on_event};
        m->timer.on_due = on_timer;
        init_tcp(m);
        d->priv = m;
        d->is_bus = true;
        return 0;
}

static void modbus_start(struct driver *d)
{
        struct modbus *m = d->priv;

        if (only_listens(d)) {
                modbus_listen_start(d);
                return;
        }
        if (!m->interned)
                intern_tags(m);
        if (!m->address.tcp) {
                open_serial(m);
                return;
        }
        m->port_state = CONNECTING;
        tcp_connect(&m->tcp);
}

static void modbus_pause(struct driver *d, bool on)
{
        struct modbus *m = d->priv;

        if (only_listens(d)) /* nobody can be asked to wait: what has no room is dropped and named */
                return;
        modbus_bus_pause(m->bus, on);
        if (!on && !m->out.len && (m->port_state == OPEN || m->port_state == ASLEEP))
                rt_timer_set(d->rt, &m->timer, 0);
}

/* Name resolution can't be called back: stopped comes when it ends. */
static void modbus_stop(struct driver *d)
{
        struct modbus *m = d->priv;

        if (only_listens(d)) {
                modbus_listen_stop(d);
                return;
        }
        shut(m);
        if (!m->address.tcp || tcp_cancel(&m->tcp))
                d->host->stopped(d);
}

static void modbus_fini(struct driver *d)
{
        struct modbus *m = d->priv;

        if (only_listens(d)) {
                modbus_listen_fini(d);
                return;
        }
        shut(m);
        modbus_bus_free(m->bus);
        modbus_plan_free(m->plan);
        free(m->readings);
        free(m->text);
        free(m);
}

const struct driver_ops modbus_ops = {
        .kind = "modbus",
        .schema = &modbus_schema,
        .names = modbus_names,
        .where = offsetof(struct modbus_conf, port),
        .has_devices = true,
        .init = modbus_init,
        .start = modbus_start,
        .pause = modbus_pause,
        .stop = modbus_stop,
        .fini = modbus_fini,
};
