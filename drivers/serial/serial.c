/*
 * serial: one line, its port and its bytes.  What the bytes mean is decided in
 * serial_frame and serial_decode.
 *
 * An instrument does not wait, but the kernel's buffer does for a moment: while
 * a commit makes room, a burst stays there. After a tenth of a second it would
 * overflow without a word, so reading goes on, however long the agent is
 * paused, and what the spool can't take is dropped there, counted and named.
 * The poll command rests meanwhile.  While an answer is awaited, no second
 * question goes out.
 *
 * Fails: a port that can't be opened or is unplugged ends in link_down, its
 * tags go bad/not_connected once, and the host calls start again with its
 * backoff. A connection to a device server that is closed idly is opened again.
 * An unanswered question makes them bad/comm_failure once. Broken frames are
 * counted all, and some are kept as examples.
 */
#include "drivers/serial/serial.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/port.h"
#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"

enum { ROUNDS_MAX = 16, PATIENCE_US = 100000 };

struct serial {
        struct driver *d;
        const struct serial_conf *conf;
        struct serial_framer framer;
        struct serial_decoder decoder;
        struct serial_decoded decoded;
        uint32_t tags[SERIAL_READINGS_MAX];
        bool interned;

        struct port port;
        bool up;     /* the host was told so */
        bool heard;  /* something came since it was opened */
        bool asleep; /* the other side has closed it: opened again with the next question */
        bool asking; /* once it is open */
        struct rt_timer idle, answer, patience;
        size_t n_held;  /* decoded.r that there is no room for yet; nothing is read meanwhile */
        bool impatient; /* until the agent goes on */
        uint8_t poll[SERIAL_POLL_MAX];
        size_t n_poll;
        enum quality told;               /* what the tags were told last, good: they have values */
        struct driver_examples examples; /* of broken frames */
};

/* ---- readings ---- */

/* After the spool has loaded its tags, which is before the first start. */
static void intern_tags(struct serial *s)
{
        const struct serial_reading_conf *c = s->conf->readings.items;

        s->interned = true;
        for (size_t i = 0; i < s->conf->readings.n; i++)
                s->tags[i] = driver_tag(s->d, s->conf->source, c[i].tag, c[i].unit);
}

/* All at once, and only when it is news. */
static void tell_bad(struct serial *s, enum quality quality)
{
        if (s->told == quality)
                return;
        s->told = quality;
        driver_bad(s->d, s->tags, s->conf->readings.n, quality);
}

static void hand_over(struct serial *s, size_t n)
{
        s->n_held = 0;
        if (n == 0 || driver_emit(s->d, s->decoded.r, n, !s->impatient) == 0)
                return;
        s->n_held = n;
        port_watch(&s->port, 0);
        rt_timer_set(s->d->rt, &s->patience, PATIENCE_US);
}

static void emit(struct serial *s)
{
        struct serial_decoded *out = &s->decoded;

        s->d->n_absent += out->n_absent;
        for (size_t i = 0; i < out->n; i++)
                out->r[i].tag = s->tags[out->value[i]];
        hand_over(s, driver_tagged(s->d, out->r, out->n));
}

static void broken(struct serial *s, const struct serial_frame *f, const char *reason)
{
        if (serial_decoder_ignores(&s->decoder, f->bytes, f->len))
                s->d->n_ignored++;
        else
                driver_refuse(s->d, &s->examples, s->conf->source, reason, f->bytes, f->len);
}

static void take(struct serial *s, const struct serial_frame *f)
{
        struct rt_time now;
        char why[2 * TEXT_NAME_MAX];

        rt_now(s->d->rt, &now);
        if (serial_decode(&s->decoder, f->bytes, f->len, now.wall_us, &s->decoded) == SERIAL_E_MALFORMED) {
                broken(s, f, s->decoded.reason);
                return;
        }
        if (!s->decoded.n)
                return;
        if (s->decoded.unfit) {
                text_format(why, sizeof(why), "%s: not what its type says", s->decoded.unfit);
                driver_refuse(s->d, &s->examples, s->conf->source, why, f->bytes, f->len);
        }
        rt_timer_cancel(s->d->rt, &s->answer);
        s->told = QUALITY_GOOD;
        emit(s);
}

static void take_all(struct serial *s, enum serial_found (*next)(struct serial_framer *f, struct serial_frame *out))
{
        struct serial_frame f;
        enum serial_found found;

        while (!s->n_held && (found = next(&s->framer, &f)) != SERIAL_MORE) {
                if (found == SERIAL_FRAME)
                        take(s, &f);
                else
                        broken(s, &f, f.reason);
        }
}

/* ---- the port ---- */

static void shut(struct serial *s)
{
        rt_timer_cancel(s->d->rt, &s->idle);
        rt_timer_cancel(s->d->rt, &s->answer);
        rt_timer_cancel(s->d->rt, &s->patience);
        if (s->n_held)
                driver_emit(s->d, s->decoded.r, s->n_held, false);
        s->n_held = 0;
        port_shut(&s->port);
        serial_framer_reset(&s->framer);
}

static void fail(struct serial *s, const char *why)
{
        shut(s);
        s->up = s->asleep = false;
        tell_bad(s, QUALITY_BAD_NOT_CONNECTED);
        s->d->host->link_down(s->d, why);
}

/*
 * A device server that closes a connection on which nothing was asked, or on
 * which something came, is no failure: it is opened again, once.
 */
static void lost(struct serial *s, bool closed, const char *why)
{
        bool awaited = rt_timer_armed(&s->answer), heard = s->heard;

        if (!closed || (s->n_poll ? awaited : !heard)) {
                fail(s, why);
                return;
        }
        shut(s);
        s->asleep = s->n_poll;
        if (!s->asleep)
                port_open_again(&s->port);
}

/* 1: there may be more; 0: nothing to read now; -1: it failed. */
static int read_some(struct serial *s)
{
        char why[PORT_WHY_MAX];
        uint8_t *at;
        size_t room = serial_framer_room(&s->framer, &at);
        bool closed;
        ssize_t n = port_read(&s->port, at, room, &closed, why);

        if (n < 0)
                lost(s, closed, why);
        if (n <= 0)
                return (int)n;
        s->heard = true;
        serial_framer_push(&s->framer, (size_t)n);
        take_all(s, serial_frame_next);
        return (size_t)n == room && !s->n_held;
}

static void watch_idle(struct serial *s)
{
        if (serial_framer_empty(&s->framer))
                rt_timer_cancel(s->d->rt, &s->idle);
        else
                rt_timer_set(s->d->rt, &s->idle, s->conf->idle_us);
}

static void on_event(struct port *p, unsigned events)
{
        struct serial *s = list_entry(p, struct serial, port);
        int r = 1;

        for (int i = 0; i < ROUNDS_MAX && r > 0; i++)
                r = read_some(s);
        if (r >= 0)
                watch_idle(s);
}

/* There may be room again. */
static void go_on(struct serial *s)
{
        rt_timer_cancel(s->d->rt, &s->patience);
        hand_over(s, s->n_held);
        take_all(s, serial_frame_next);
        if (s->n_held)
                return;
        port_watch(&s->port, RT_READ);
        watch_idle(s);
}

static void on_impatient(struct rt_timer *t)
{
        struct serial *s = list_entry(t, struct serial, patience);

        s->impatient = true;
        go_on(s);
}

static void on_idle(struct rt_timer *t)
{
        take_all(list_entry(t, struct serial, idle), serial_frame_flush);
}

static void on_unanswered(struct rt_timer *t)
{
        struct serial *s = list_entry(t, struct serial, answer);

        driver_error(s->d, "%s: no answer", s->conf->source);
        tell_bad(s, QUALITY_BAD_COMM_FAILURE);
}

static void ask(struct serial *s)
{
        char why[PORT_WHY_MAX];
        bool closed;

        if (port_write(&s->port, s->poll, s->n_poll, &closed, why) < 0)
                fail(s, why);
        else
                rt_timer_set(s->d->rt, &s->answer, s->conf->timeout_us);
}

static void on_open(struct port *p)
{
        struct serial *s = list_entry(p, struct serial, port);

        s->heard = false;
        port_watch(p, RT_READ);
        if (!s->up)
                s->d->host->link_up(s->d);
        s->up = true;
        if (s->asking)
                ask(s);
        s->asking = false;
}

static void on_fail(struct port *p, const char *why)
{
        struct serial *s = list_entry(p, struct serial, port);

        s->asking = false;
        fail(s, why);
}

static void on_stopped(struct port *p)
{
        struct serial *s = list_entry(p, struct serial, port);

        s->d->host->stopped(s->d);
}

/* ---- the driver's seven ---- */

static void init_port(struct serial *s)
{
        const struct tty_conf c = {.path = s->conf->port,
                                   .baud = s->conf->baud,
                                   .data_bits = (int)s->conf->data_bits,
                                   .stop_bits = (int)s->conf->stop_bits,
                                   .parity = (enum tty_parity)s->conf->parity,
                                   .rs485 = (enum tty_rs485)s->conf->rs485};

        s->port.on_open = on_open;
        s->port.on_fail = on_fail;
        s->port.on_event = on_event;
        s->port.on_stopped = on_stopped;
        port_init(&s->port, s->d->rt, &c);
}

static int serial_init(struct driver *d, struct err *e)
{
        struct serial *s = mem_alloc(sizeof(*s));
        const char *key;
        int n;

        s->d = d;
        s->conf = d->conf;
        s->idle.on_due = on_idle;
        s->answer.on_due = on_unanswered;
        s->patience.on_due = on_impatient;
        n = s->conf->poll ? serial_unescape(s->poll, sizeof(s->poll), s->conf->poll, e) : 0;
        if (n < 0 || serial_decoder_init(&s->decoder, s->conf, &key, e) < 0) {
                serial_decoder_fini(&s->decoder);
                free(s);
                return -1;
        }
        s->n_poll = (size_t)n;
        serial_framer_init(&s->framer, s->conf);
        init_port(s);
        d->period_us = s->n_poll ? s->conf->period_us : 0;
        d->priv = s;
        return 0;
}

static void serial_start(struct driver *d)
{
        struct serial *s = d->priv;

        if (!s->interned)
                intern_tags(s);
        port_open(&s->port);
}

static void serial_poll(struct driver *d)
{
        struct serial *s = d->priv;

        if (s->asleep) {
                s->asleep = false;
                s->asking = true;
                port_open_again(&s->port);
        } else if (port_is_open(&s->port) && rt_timer_armed(&s->answer)) {
                d->n_overruns++;
        } else if (port_is_open(&s->port)) {
                ask(s);
        }
}

static void serial_pause(struct driver *d, bool on)
{
        struct serial *s = d->priv;

        if (on)
                return;
        s->impatient = false;
        if (s->n_held)
                go_on(s);
}

static void serial_stop(struct driver *d)
{
        struct serial *s = d->priv;

        shut(s);
        if (port_stop(&s->port))
                d->host->stopped(d);
}

static void serial_fini(struct driver *d)
{
        struct serial *s = d->priv;

        shut(s);
        serial_framer_fini(&s->framer);
        serial_decoder_fini(&s->decoder);
        free(s);
}

const struct driver_ops serial_ops = {
        .kind = "serial",
        .schema = &serial_schema,
        .names = serial_names,
        .init = serial_init,
        .start = serial_start,
        .poll = serial_poll,
        .pause = serial_pause,
        .stop = serial_stop,
        .fini = serial_fini,
};
