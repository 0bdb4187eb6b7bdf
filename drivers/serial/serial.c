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

#include "drivers/serial/intake.h"

enum { ROUNDS_MAX = 16, METER_US = 2000000 /* a meter may take 1.5 s to answer */, BRIEF_US = 100000 };

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
        if (s->talks)
                iec_talk_abort(&s->talk);
}

static void fail(struct serial *s, const char *why)
{
        shut(s);
        s->up = s->asleep = false;
        intake_tell_bad(s, QUALITY_BAD_NOT_CONNECTED);
        s->d->host->link_down(s->d, why);
}

/* A question is out. */
static bool is_asking(const struct serial *s)
{
        return s->talks ? iec_is_busy(&s->talk.iec) : rt_timer_armed(&s->answer);
}

/*
 * A device server that closes a connection on which nothing was asked, or on
 * which something came, is no failure: it is opened again, once.  One that says
 * a word and closes at once, twice in a row, does not want us.
 */
static void lost(struct serial *s, bool closed, const char *why)
{
        bool polled = s->d->period_us, brief = rt_mono_us(s->d->rt) - s->opened_us < BRIEF_US,
             spoke = s->heard && !(brief && s->was_brief);

        s->was_brief = brief;
        if (!closed || (polled ? is_asking(s) : !spoke)) {
                fail(s, why);
                return;
        }
        shut(s);
        s->asleep = polled;
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
        if (s->talks) {
                iec_talk_input(&s->talk, at, (size_t)n);
                return (size_t)n == room && port_is_open(&s->port);
        }
        serial_framer_push(&s->framer, (size_t)n);
        intake_all(s, serial_frame_next);
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
        intake_hand_over(s, s->n_held);
        intake_all(s, serial_frame_next);
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
        intake_all(list_entry(t, struct serial, idle), serial_frame_flush);
}

static void on_unanswered(struct rt_timer *t)
{
        struct serial *s = list_entry(t, struct serial, answer);

        driver_error(s->d, "%s: no answer", s->conf->source);
        intake_tell_bad(s, QUALITY_BAD_COMM_FAILURE);
}

static void ask(struct serial *s)
{
        char why[PORT_WHY_MAX];
        bool closed;

        if (s->talks) {
                iec_talk_begin(&s->talk);
                return;
        }
        if (port_write(&s->port, s->poll, s->n_poll, &closed, why) < 0)
                fail(s, why);
        else
                rt_timer_set(s->d->rt, &s->answer, s->conf->timeout_us);
}

static void on_block(struct iec_talk *t, const char *text, size_t len)
{
        const struct serial_frame f = {(const uint8_t *)text, len, NULL};

        intake_frame(list_entry(t, struct serial, talk), &f);
}

static void on_no_block(struct iec_talk *t, const char *why)
{
        struct serial *s = list_entry(t, struct serial, talk);

        driver_error(s->d, "%s: %s", s->conf->source, why);
        intake_tell_bad(s, QUALITY_BAD_COMM_FAILURE);
}

static void on_open(struct port *p)
{
        struct serial *s = list_entry(p, struct serial, port);

        s->heard = false;
        s->opened_us = rt_mono_us(s->d->rt);
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

/* Over TCP the speed is the device server's: it stays. */
static void init_talk(struct serial *s)
{
        const struct serial_iec_conf *c = &s->conf->iec;
        int64_t most = c->max_baud ? c->max_baud : INT64_MAX;
        struct iec_conf conf = {.address = c->address ? c->address : "",
                                .baud = s->conf->baud,
                                .max_baud = s->port.is_tcp ? s->conf->baud : most,
                                .timeout_us = s->conf->timeout_us > METER_US ? s->conf->timeout_us : METER_US,
                                .max_block = serial_max_frame(s->conf)};

        s->talks = true;
        s->talk.on_block = on_block;
        s->talk.on_fail = on_no_block;
        iec_talk_init(&s->talk, &s->port, &conf);
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
        if (s->conf->frame == SERIAL_IEC62056)
                init_talk(s);
        d->period_us = s->n_poll || s->talks ? s->conf->period_us : 0;
        d->priv = s;
        return 0;
}

static void serial_start(struct driver *d)
{
        struct serial *s = d->priv;

        if (!s->interned)
                intake_intern(s);
        port_open(&s->port);
}

static void serial_poll(struct driver *d)
{
        struct serial *s = d->priv;

        if (s->asleep) {
                s->asleep = false;
                s->asking = true;
                port_open_again(&s->port);
        } else if (port_is_open(&s->port) && (is_asking(s) || (s->talks && s->n_held))) {
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
        if (s->talks)
                iec_fini(&s->talk.iec);
        serial_framer_fini(&s->framer);
        serial_decoder_fini(&s->decoder);
        free(s);
}

const struct driver_ops serial_ops = {
        .kind = "serial",
        .schema = &serial_schema,
        .names = serial_names,
        .where = offsetof(struct serial_conf, port),
        .init = serial_init,
        .start = serial_start,
        .poll = serial_poll,
        .pause = serial_pause,
        .stop = serial_stop,
        .fini = serial_fini,
};
