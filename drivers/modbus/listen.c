/*
 * listen: see listen.h.
 *
 * What was overheard and is sure (overhear.c) is laid over the plan: a value
 * that lies whole within the answered registers is decoded as if we had asked.
 * The master's requests decide when a value comes; `period` only says how often
 * it is expected.
 *
 * A request that is not answered within the bus's time-out makes its values
 * bad/comm_failure, once; so does one whose answer was damaged.  What the
 * master does not read at all for three periods, at least ten seconds, is
 * bad/not_connected: a line that went quiet is not a line on which all is well.
 *
 * Fails: as a bus that asks: a port that can't be had or goes away is
 * link_down.
 */
#include "drivers/modbus/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/modbus/frame.h"
#include "drivers/modbus/overhear.h"
#include "drivers/modbus/plan.h"
#include "drivers/tty.h"

enum { ROUNDS_MAX = 64, LOOK_US = 1000000, QUIET_MIN_US = 100000, UNREAD_MIN_US = 10000000, SILENT_MAX = 3 };

struct heard_point {
        int64_t heard_us;    /* its last value */
        int64_t fail_due_us; /* a request is unanswered: bad from then on; 0: none */
        uint16_t bad;        /* what was told: enum quality; QUALITY_GOOD */
};

struct heard_device {
        unsigned n_silent; /* unanswered requests in a row */
        bool down;
};

struct modbus_listen {
        struct driver *d;
        const struct modbus_conf *conf;
        struct modbus_plan *plan;
        struct modbus_overhear ear;
        struct heard_point *points;
        struct heard_device *devices;
        struct rt_watch watch; /* fd -1: none */
        struct rt_timer timer;
        bool interned;
        int64_t look_us; /* when what is due is looked for next */
        struct reading *readings;
        char *text, *text_at; /* text_at: where the next text of this pair goes */
        size_t n;             /* readings that wait to be handed over */
};

/* ---- readings ---- */

static struct reading *add(struct modbus_listen *m, size_t point, int64_t at_us)
{
        struct reading *r = &m->readings[m->n++];
        struct rt_time now;

        rt_now(m->d->rt, &now);
        *r = driver_reading(m->plan->points[point].tag, now.wall_us - (now.mono_us - at_us));
        return r;
}

static void emit(struct modbus_listen *m)
{
        if (m->n)
                driver_emit(m->d, m->readings, m->n, false);
        m->n = 0;
}

static void set_bad(struct modbus_listen *m, size_t point, enum quality quality, int64_t now_us)
{
        struct heard_point *h = &m->points[point];

        h->fail_due_us = 0;
        if (h->bad == quality || (h->bad != QUALITY_GOOD && quality == QUALITY_BAD_NOT_CONNECTED))
                return;
        h->bad = (uint16_t)quality;
        if (m->plan->points[point].tag != DRIVER_NO_TAG)
                add(m, point, now_us)->quality = (uint16_t)quality;
}

static bool is_asked(const struct modbus_listen *m, const struct modbus_read *r,
                     const struct modbus_overheard_request *q)
{
        return m->plan->devices[r->device]->unit == q->unit && r->function == q->function;
}

/* With the register that holds its scale. */
static bool is_within(const struct modbus_point *p, const struct modbus_overheard_request *q)
{
        return p->low >= q->address && modbus_point_end(p) <= (unsigned)q->address + q->count;
}

/* Calls `each` for all values that the request covers. */
static void cover(struct modbus_listen *m, const struct modbus_overheard *e,
                  void (*each)(struct modbus_listen *m, const struct modbus_overheard *e, size_t device, size_t point))
{
        for (size_t i = 0; i < m->plan->n_reads; i++) {
                const struct modbus_read *r = &m->plan->reads[i];

                if (!is_asked(m, r, &e->request))
                        continue;
                for (uint32_t k = r->first; k < r->first + r->n; k++)
                        if (is_within(&m->plan->points[k], &e->request))
                                each(m, e, r->device, k);
        }
}

/* ---- what was overheard ---- */

static void take_value(struct modbus_listen *m, const struct modbus_overheard *e, size_t device, size_t point)
{
        const struct modbus_point *p = &m->plan->points[point];
        const struct modbus_read as_asked = {.device = (uint16_t)device,
                                             .function = e->request.function,
                                             .address = e->request.address,
                                             .count = e->request.count,
                                             .first = (uint32_t)point,
                                             .n = 1};

        m->points[point] = (struct heard_point){.heard_us = e->at_us, .bad = QUALITY_GOOD};
        if (p->tag == DRIVER_NO_TAG) {
                m->d->n_untagged++;
                return;
        }
        if (modbus_point_decode(p, &as_asked, e->data, m->text_at, add(m, point, e->at_us)))
                driver_malformed(m->d, p->conf->tag, "not what is meant");
        m->text_at += modbus_text_room(&p->format);
}

/* The master will ask again. */
static bool is_busy(unsigned exception)
{
        return exception == 5 || exception == 6;
}

/* As for a bus that asks itself. */
static enum quality quality_of(unsigned exception)
{
        if (exception == 10 || exception == 11)
                return QUALITY_BAD_COMM_FAILURE;
        return exception <= 3 ? QUALITY_BAD_CONFIG : exception == 4 ? QUALITY_BAD_SENSOR : QUALITY_BAD;
}

static void take_failure(struct modbus_listen *m, const struct modbus_overheard *e, size_t device, size_t point)
{
        struct heard_point *h = &m->points[point];

        h->heard_us = e->at_us;
        if (e->kind == MODBUS_HEARD_EXCEPTION && !is_busy(e->exception))
                set_bad(m, point, quality_of(e->exception), e->at_us);
        else if (!h->fail_due_us)
                h->fail_due_us = e->request.at_us + modbus_timeout_us(m->conf, m->plan->devices[device]);
}

static void tell_device(struct modbus_listen *m, const struct modbus_overheard *e)
{
        bool silent = e->kind == MODBUS_HEARD_NO_ANSWER;

        for (size_t i = 0; i < m->plan->n_devices; i++) {
                struct heard_device *h = &m->devices[i];

                if (m->plan->devices[i]->unit != e->request.unit)
                        continue;
                h->n_silent = silent ? h->n_silent + 1 : 0;
                if (h->down != (h->n_silent >= SILENT_MAX)) {
                        h->down = !h->down;
                        m->d->host->device_event(m->d, m->plan->devices[i]->source, h->down ? "down" : "up",
                                                 h->down ? "it does not answer its master" : "answers again");
                }
                if (e->kind != MODBUS_HEARD_PAIR)
                        driver_error(m->d, "%s, %u from %s:%u: %s", m->plan->devices[i]->source, e->request.count,
                                     modbus_table_of(e->request.function), e->request.address,
                                     silent ? "no answer was heard" : modbus_exception(e->exception));
        }
}

static void take(struct modbus_listen *m, const struct modbus_overheard *e)
{
        m->text_at = m->text;
        cover(m, e, e->kind == MODBUS_HEARD_PAIR ? take_value : take_failure);
        emit(m);
        tell_device(m, e);
}

/* ---- time ---- */

/* What is bad by now; and when the next is. */
static int64_t look(struct modbus_listen *m, int64_t now_us)
{
        int64_t due_us = now_us + LOOK_US;

        for (size_t i = 0; i < m->plan->n_points; i++) {
                struct heard_point *h = &m->points[i];
                int64_t unread_us = 3 * m->plan->points[i].period_us;

                unread_us = unread_us > UNREAD_MIN_US ? unread_us : UNREAD_MIN_US;
                if (h->fail_due_us && now_us >= h->fail_due_us)
                        set_bad(m, i, QUALITY_BAD_COMM_FAILURE, now_us);
                else if (now_us - h->heard_us >= unread_us)
                        set_bad(m, i, QUALITY_BAD_NOT_CONNECTED, now_us);
                if (h->fail_due_us && h->fail_due_us < due_us)
                        due_us = h->fail_due_us;
        }
        emit(m);
        return due_us;
}

static void run(struct modbus_listen *m)
{
        int64_t now_us = rt_mono_us(m->d->rt), due_us;
        struct modbus_overheard e;

        while (modbus_overhear_next(&m->ear, now_us, &e)) {
                take(m, &e);
                if (e.kind == MODBUS_HEARD_NO_ANSWER)
                        m->look_us = now_us;
        }
        if (now_us >= m->look_us)
                m->look_us = look(m, now_us);
        due_us = modbus_overhear_due(&m->ear);
        due_us = due_us < m->look_us ? due_us : m->look_us;
        rt_timer_set(m->d->rt, &m->timer, due_us > now_us ? due_us - now_us : 0);
}

/* ---- the port ---- */

static void shut(struct modbus_listen *m)
{
        rt_timer_cancel(m->d->rt, &m->timer);
        if (m->watch.fd < 0)
                return;
        rt_watch_set(m->d->rt, &m->watch, 0);
        tty_close(m->watch.fd);
        m->watch.fd = -1;
}

static void fail(struct modbus_listen *m, const char *why)
{
        int64_t now_us = rt_mono_us(m->d->rt);

        shut(m);
        for (size_t i = 0; i < m->plan->n_points; i++) {
                m->points[i].bad = m->points[i].bad == QUALITY_BAD_NOT_CONNECTED ? m->points[i].bad : QUALITY_GOOD;
                set_bad(m, i, QUALITY_BAD_NOT_CONNECTED, now_us);
        }
        emit(m);
        m->d->host->link_down(m->d, why);
}

/* 1: there may be more; 0: nothing to read now; -1: it failed. */
static int read_some(struct modbus_listen *m)
{
        uint8_t bytes[MODBUS_OVERHEAR_PUSH];
        ssize_t n = read(m->watch.fd, bytes, sizeof(bytes));
        struct modbus_overheard e;
        int64_t now_us = rt_mono_us(m->d->rt);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                fail(m, n < 0 ? strerror(errno) : "the serial port is gone");
                return -1;
        }
        m->d->busy_us += n * modbus_char_ns(m->conf) / 1000;
        modbus_overhear_push(&m->ear, now_us, bytes, (size_t)n);
        while (modbus_overhear_next(&m->ear, now_us, &e)) {
                take(m, &e);
                if (e.kind == MODBUS_HEARD_NO_ANSWER)
                        m->look_us = now_us;
        }
        return (size_t)n == sizeof(bytes);
}

/*
 * All that is there before time is looked at: what waits in the kernel may be
 * the answer.
 */
static void read_all(struct modbus_listen *m)
{
        int r = 1;

        for (int i = 0; i < ROUNDS_MAX && r > 0; i++)
                r = read_some(m);
        if (r >= 0)
                run(m);
}

static void on_event(struct rt_watch *w, unsigned events)
{
        read_all(list_entry(w, struct modbus_listen, watch));
}

static void on_timer(struct rt_timer *t)
{
        read_all(list_entry(t, struct modbus_listen, timer));
}

/* ---- the driver's operations ---- */

static void intern_tags(struct modbus_listen *m)
{
        char name[MODBUS_NAME_MAX];

        m->interned = true;
        for (size_t i = 0; i < m->plan->n_points; i++) {
                struct modbus_point *p = &m->plan->points[i];

                p->tag = driver_tag(m->d, m->plan->devices[p->device]->source, modbus_tag_name(p->conf, p->index, name),
                                    p->conf->unit);
        }
}

void modbus_listen_init(struct driver *d)
{
        struct modbus_listen *m = mem_alloc(sizeof(*m));
        size_t room = 1;

        m->d = d;
        m->conf = d->conf;
        m->plan = modbus_plan_new(m->conf);
        for (size_t i = 0; i < m->plan->n_points; i++)
                room += modbus_text_room(&m->plan->points[i].format);
        m->text = mem_alloc(room);
        m->readings = mem_alloc((m->plan->n_points + 1) * sizeof(*m->readings));
        m->points = mem_alloc((m->plan->n_points + 1) * sizeof(*m->points));
        m->devices = mem_alloc((m->plan->n_devices + 1) * sizeof(*m->devices));
        m->watch = (struct rt_watch){.fd = -1, .on_event = on_event};
        m->timer.on_due = on_timer;
        d->priv = m;
        d->is_bus = true;
}

void modbus_listen_start(struct driver *d)
{
        struct modbus_listen *m = d->priv;
        struct tty_conf c = {.path = m->conf->port,
                             .baud = m->conf->baud,
                             .data_bits = (int)m->conf->data_bits,
                             .stop_bits = (int)m->conf->stop_bits,
                             .parity = (enum tty_parity)m->conf->parity,
                             .rs485 = (enum tty_rs485)m->conf->rs485};
        int64_t now_us = rt_mono_us(d->rt);
        struct err e;

        if (!m->interned)
                intern_tags(m);
        m->watch.fd = tty_open(&c, &e);
        if (m->watch.fd < 0) {
                fail(m, e.text);
                return;
        }
        /* A frame that pauses longer does not go on; the next frame's bytes show it sooner, so there is no hurry. */
        modbus_overhear_init(&m->ear, m->conf->timeout_us,
                             m->conf->timeout_us > QUIET_MIN_US ? m->conf->timeout_us : QUIET_MIN_US);
        for (size_t i = 0; i < m->plan->n_points; i++)
                m->points[i].heard_us = now_us;
        m->look_us = now_us + LOOK_US;
        rt_watch_set(d->rt, &m->watch, RT_READ);
        d->host->link_up(d);
        run(m);
}

void modbus_listen_stop(struct driver *d)
{
        shut(d->priv);
        d->host->stopped(d);
}

void modbus_listen_fini(struct driver *d)
{
        struct modbus_listen *m = d->priv;

        shut(m);
        modbus_plan_free(m->plan);
        free(m->points);
        free(m->devices);
        free(m->readings);
        free(m->text);
        free(m);
}
