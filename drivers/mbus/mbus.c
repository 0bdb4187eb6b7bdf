/*
 * mbus: one bus, its port and its bytes.  Whose turn it is, is decided in bus;
 * here bytes are carried between it and the port, and records become readings.
 *
 * The values of a meter are handed over when its readout is over: all of them,
 * or none.
 *
 * Fails: a port that can't be opened or is gone ends in link_down, all tags go
 * bad/not_connected once, and the host calls start again with its backoff.  A
 * meter that says nothing is down, with its tags bad/not_connected; one whose
 * answer can't be read has them bad/comm_failure.
 */
#include "drivers/mbus/mbus.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/mbus/bus.h"
#include "drivers/mbus/value.h"
#include "drivers/port.h"

enum { READ_BYTES = 512, ROUNDS_MAX = 16, STATUS_ERROR = 0x18, STATUS_APPLICATION = 3, WHY_MAX = 200 };

struct meter {
        const struct mbus_device_conf *conf;
        uint32_t *tags;
        struct convert *convert;
        bool is_down;
        enum quality told; /* what its tags were told last, good: they have values */
};

struct mbus {
        struct driver *d;
        const struct mbus_conf *conf;
        struct port port;
        struct mbus_bus *bus;
        struct rt_timer timer;
        bool interned, up, asleep, asking, paused;
        struct meter *meters;
        struct driver_examples examples; /* of telegrams that can't be read */
        /* The readout that is under way. */
        unsigned n_records;
        struct reading readings[MBUS_READINGS_MAX];
        bool is_there[MBUS_READINGS_MAX];
        char text[MBUS_READINGS_MAX][MBUS_TEXT_MAX];
};

/* ---- readings ---- */

static void intern_tags(struct mbus *m)
{
        m->interned = true;
        for (size_t i = 0; i < m->conf->devices.n; i++) {
                struct meter *meter = &m->meters[i];
                const struct mbus_reading_conf *r = meter->conf->readings.items;

                for (size_t k = 0; k < meter->conf->readings.n; k++)
                        meter->tags[k] = driver_tag(m->d, meter->conf->source, r[k].tag, r[k].unit);
        }
}

static void tell_bad(struct mbus *m, struct meter *meter, enum quality quality)
{
        if (meter->told == quality)
                return;
        meter->told = quality;
        driver_bad(m->d, meter->tags, meter->conf->readings.n, quality);
}

static void refuse(struct mbus *m, const struct meter *meter, const struct mbus_frame *f, const char *why)
{
        driver_refuse(m->d, &m->examples, meter->conf->source, why, f->data, f->len);
}

static void set_reading(struct mbus *m, const struct meter *meter, size_t i, const struct mbus_frame *f,
                        const struct mbus_record *record)
{
        const struct mbus_reading_conf *c = (const struct mbus_reading_conf *)meter->conf->readings.items + i;
        char why[WHY_MAX];

        m->is_there[i] = true;
        switch (mbus_set(c, &meter->convert[i], record, m->text[i], &m->readings[i])) {
        case MBUS_VALUE:
                break;
        case MBUS_UNFIT:
                text_format(why, sizeof(why), "%s: not what its type says", c->tag);
                refuse(m, meter, f, why);
                break;
        case MBUS_UNIT:
                driver_error(m->d, "%s: %s: the meter's unit is %s, which is no %s", meter->conf->source, c->tag,
                             record->unit, c->unit);
                break;
        }
}

static void take_record(struct mbus *m, const struct meter *meter, const struct mbus_frame *f,
                        const struct mbus_record *record)
{
        const struct mbus_reading_conf *c = meter->conf->readings.items;

        for (size_t i = 0; i < meter->conf->readings.n; i++)
                if (!m->is_there[i] && mbus_is_wanted(&c[i], record))
                        set_reading(m, meter, i, f, record);
}

static void begin_readout(struct mbus *m, const struct meter *meter)
{
        struct rt_time now;

        rt_now(m->d->rt, &now);
        m->n_records = 0;
        for (size_t i = 0; i < meter->conf->readings.n; i++) {
                m->is_there[i] = false;
                m->readings[i] = driver_reading(meter->tags[i], now.wall_us);
        }
}

static void end_readout(struct mbus *m, struct meter *meter)
{
        size_t n = 0;

        for (size_t i = 0; i < meter->conf->readings.n; i++) {
                if (m->is_there[i])
                        m->readings[n++] = m->readings[i];
                else
                        m->d->n_absent++;
        }
        meter->told = QUALITY_GOOD;
        if (meter->is_down)
                m->d->host->device_event(m->d, meter->conf->source, "up", "it answers again");
        meter->is_down = false;
        n = driver_tagged(m->d, m->readings, n);
        if (n)
                driver_emit(m->d, m->readings, n, false);
}

static enum mbus_taken refused(struct mbus *m, struct meter *meter, const struct mbus_frame *f, const char *why)
{
        refuse(m, meter, f, why);
        tell_bad(m, meter, QUALITY_BAD_COMM_FAILURE);
        return MBUS_REFUSED;
}

/* The meter itself says that its values are not to be trusted. */
static void doubt(struct mbus *m, const struct meter *meter)
{
        for (size_t i = 0; i < meter->conf->readings.n; i++)
                if (m->readings[i].quality == QUALITY_GOOD)
                        m->readings[i].quality = QUALITY_UNCERTAIN;
}

static enum mbus_taken on_telegram(void *ctx, size_t device, const struct mbus_frame *f, bool first)
{
        struct mbus *m = ctx;
        struct meter *meter = &m->meters[device];
        struct mbus_record record;
        struct mbus_secondary wanted;
        enum mbus_walked walked;
        struct mbus_walk w;

        if (first)
                begin_readout(m, meter);
        if (mbus_walk_begin(&w, f, m->n_records) < 0)
                return refused(m, meter, f, w.why);
        if (meter->conf->secondary && w.has_head) {
                wanted = mbus_secondary_of(meter->conf);
                if (!mbus_is_meant(&wanted, &w.meter))
                        return refused(m, meter, f, "another meter answers");
        }
        while ((walked = mbus_walk_next(&w, &record)) == MBUS_RECORD)
                take_record(m, meter, f, &record);
        m->n_records = w.number;
        if (walked == MBUS_MALFORMED)
                return refused(m, meter, f, w.why);
        if (!w.is_fixed && (w.status & STATUS_ERROR || (w.status & STATUS_APPLICATION) == 2))
                doubt(m, meter);
        if (walked == MBUS_END_OF_PART)
                return MBUS_MORE_FOLLOWS;
        end_readout(m, meter);
        return MBUS_LAST;
}

static void on_failed(void *ctx, size_t device, bool silent, const char *why)
{
        struct mbus *m = ctx;
        struct meter *meter = &m->meters[device];

        driver_error(m->d, "%s: %s", meter->conf->source, why);
        if (silent && !meter->is_down)
                m->d->host->device_event(m->d, meter->conf->source, "down", why);
        meter->is_down |= silent;
        tell_bad(m, meter, silent ? QUALITY_BAD_NOT_CONNECTED : QUALITY_BAD_COMM_FAILURE);
}

/* ---- the port ---- */

static void shut(struct mbus *m)
{
        rt_timer_cancel(m->d->rt, &m->timer);
        mbus_bus_abort(m->bus);
        port_shut(&m->port);
}

static void fail(struct mbus *m, const char *why)
{
        shut(m);
        m->up = m->asleep = m->asking = false;
        for (size_t i = 0; i < m->conf->devices.n; i++)
                tell_bad(m, &m->meters[i], QUALITY_BAD_NOT_CONNECTED);
        m->d->host->link_down(m->d, why);
}

/*
 * A device server that closes while nothing is asked is opened again with the
 * next round.
 */
static void lost(struct mbus *m, bool closed, const char *why)
{
        if (!closed || mbus_bus_is_busy(m->bus)) {
                fail(m, why);
                return;
        }
        shut(m);
        m->asleep = true;
}

/* false: it failed. */
static bool send_out(struct mbus *m, const struct mbus_action *a)
{
        char why[PORT_WHY_MAX];
        bool closed;

        if (port_write(&m->port, a->bytes, a->len, &closed, why) >= 0)
                return true;
        fail(m, why);
        return false;
}

static void run(struct mbus *m)
{
        struct mbus_action a;
        int64_t now_us = rt_mono_us(m->d->rt);

        rt_timer_cancel(m->d->rt, &m->timer);
        while (mbus_bus_next(m->bus, now_us, &a) == MBUS_SEND)
                if (!send_out(m, &a))
                        return;
        if (a.until_us != INT64_MAX)
                rt_timer_set(m->d->rt, &m->timer, a.until_us - now_us);
}

static void on_due(struct rt_timer *t)
{
        run(list_entry(t, struct mbus, timer));
}

static void on_event(struct port *p, unsigned events)
{
        struct mbus *m = list_entry(p, struct mbus, port);
        uint8_t bytes[READ_BYTES];
        char why[PORT_WHY_MAX];
        ssize_t n = sizeof(bytes);
        bool closed;

        for (int i = 0; i < ROUNDS_MAX && n == sizeof(bytes); i++) {
                n = port_read(p, bytes, sizeof(bytes), &closed, why);
                if (n < 0) {
                        lost(m, closed, why);
                        return;
                }
                mbus_bus_input(m->bus, rt_mono_us(m->d->rt), bytes, (size_t)n);
        }
        if (mbus_bus_is_busy(m->bus))
                run(m);
}

static void ask_all(struct mbus *m)
{
        mbus_bus_begin(m->bus, rt_mono_us(m->d->rt));
        run(m);
}

static void on_open(struct port *p)
{
        struct mbus *m = list_entry(p, struct mbus, port);

        port_watch(p, RT_READ);
        if (!m->up)
                m->d->host->link_up(m->d);
        m->up = true;
        if (m->asking)
                ask_all(m);
        m->asking = false;
}

static void on_fail(struct port *p, const char *why)
{
        fail(list_entry(p, struct mbus, port), why);
}

static void on_stopped(struct port *p)
{
        struct mbus *m = list_entry(p, struct mbus, port);

        m->d->host->stopped(m->d);
}

/* ---- the driver's seven ---- */

static void init_port(struct mbus *m)
{
        const struct tty_conf c = {.path = m->conf->port,
                                   .baud = m->conf->baud,
                                   .data_bits = (int)m->conf->data_bits,
                                   .stop_bits = (int)m->conf->stop_bits,
                                   .parity = (enum tty_parity)m->conf->parity};

        m->port.on_open = on_open;
        m->port.on_fail = on_fail;
        m->port.on_event = on_event;
        m->port.on_stopped = on_stopped;
        port_init(&m->port, m->d->rt, &c);
}

static void init_meter(struct meter *meter, const struct mbus_device_conf *conf)
{
        const struct mbus_reading_conf *r = conf->readings.items;
        struct convert_conf how;
        const char *key;
        struct err e;

        meter->conf = conf;
        meter->tags = mem_alloc(conf->readings.n * sizeof(*meter->tags));
        meter->convert = mem_alloc(conf->readings.n * sizeof(*meter->convert));
        for (size_t i = 0; i < conf->readings.n; i++) {
                how = r[i].convert;
                how.type = r[i].type;
                BUG_ON(convert_init(&meter->convert[i], &how, r[i].unit, 0, &key, &e) < 0);
        }
}

static int mbus_init(struct driver *d, struct err *e)
{
        struct mbus *m = mem_alloc(sizeof(*m));
        const struct mbus_device_conf *devices;
        struct mbus_bus_conf bus;

        m->d = d;
        m->conf = d->conf;
        devices = m->conf->devices.items;
        m->meters = mem_alloc(m->conf->devices.n * sizeof(*m->meters));
        for (size_t i = 0; i < m->conf->devices.n; i++)
                init_meter(&m->meters[i], &devices[i]);
        bus = (struct mbus_bus_conf){.baud = m->conf->baud,
                                     .timeout_us = m->conf->timeout_us,
                                     .retries = (int)m->conf->retries,
                                     .n_devices = m->conf->devices.n,
                                     .devices = devices};
        m->bus = mbus_bus_new(&bus, &(struct mbus_outcome){on_telegram, on_failed, m});
        m->timer.on_due = on_due;
        init_port(m);
        d->period_us = m->conf->period_us;
        d->priv = m;
        return 0;
}

static void mbus_start(struct driver *d)
{
        struct mbus *m = d->priv;

        if (!m->interned)
                intern_tags(m);
        m->asking = true; /* not only when the first period is over */
        port_open(&m->port);
}

static void mbus_poll(struct driver *d)
{
        struct mbus *m = d->priv;

        if (m->paused)
                return;
        if (mbus_bus_is_busy(m->bus)) {
                d->n_overruns++;
        } else if (m->asleep) {
                m->asleep = false;
                m->asking = true;
                port_open_again(&m->port);
        } else if (port_is_open(&m->port)) {
                ask_all(m);
        }
}

static void mbus_pause(struct driver *d, bool on)
{
        struct mbus *m = d->priv;

        m->paused = on;
}

static void mbus_stop(struct driver *d)
{
        struct mbus *m = d->priv;

        shut(m);
        if (port_stop(&m->port))
                d->host->stopped(d);
}

static void mbus_fini(struct driver *d)
{
        struct mbus *m = d->priv;

        shut(m);
        for (size_t i = 0; i < m->conf->devices.n; i++) {
                for (size_t k = 0; k < m->meters[i].conf->readings.n; k++)
                        convert_fini(&m->meters[i].convert[k]);
                free(m->meters[i].convert);
                free(m->meters[i].tags);
        }
        mbus_bus_free(m->bus);
        free(m->meters);
        free(m);
}

const struct driver_ops mbus_ops = {
        .kind = "mbus",
        .schema = &mbus_schema,
        .names = mbus_names,
        .where = offsetof(struct mbus_conf, port),
        .has_devices = true,
        .init = mbus_init,
        .start = mbus_start,
        .poll = mbus_poll,
        .pause = mbus_pause,
        .stop = mbus_stop,
        .fini = mbus_fini,
};
