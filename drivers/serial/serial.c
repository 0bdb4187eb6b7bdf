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
 * Fails: a port that can't be opened or is unplugged (read says 0) ends in
 * link_down, its tags go bad/not_connected once, and the host calls start again
 * with its backoff.  An unanswered question makes them bad/comm_failure once.
 * Broken frames are counted all, and some are kept as examples.
 */
#include "drivers/serial/serial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"
#include "drivers/tty.h"

enum { ROUNDS_MAX = 16, PATIENCE_US = 100000 };

struct serial {
        struct driver *d;
        const struct serial_conf *conf;
        struct serial_framer framer;
        struct serial_decoder decoder;
        struct serial_decoded decoded;
        uint32_t tags[SERIAL_READINGS_MAX];
        bool interned;

        struct rt_watch watch; /* fd -1: none */
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
        rt_watch_set(s->d->rt, &s->watch, 0);
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
        if (s->watch.fd >= 0) {
                rt_watch_set(s->d->rt, &s->watch, 0);
                tty_close(s->watch.fd);
        }
        s->watch.fd = -1;
        serial_framer_reset(&s->framer);
}

static void fail(struct serial *s, const char *why)
{
        shut(s);
        tell_bad(s, QUALITY_BAD_NOT_CONNECTED);
        s->d->host->link_down(s->d, why);
}

/* 1: there may be more; 0: nothing to read now; -1: it failed. */
static int read_some(struct serial *s)
{
        uint8_t *at;
        size_t room = serial_framer_room(&s->framer, &at);
        ssize_t n = read(s->watch.fd, at, room);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                fail(s, n < 0 ? strerror(errno) : "the serial port is gone");
                return -1;
        }
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

static void on_event(struct rt_watch *w, unsigned events)
{
        struct serial *s = list_entry(w, struct serial, watch);
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
        rt_watch_set(s->d->rt, &s->watch, RT_READ);
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

/* ---- the driver's seven ---- */

static int serial_init(struct driver *d, struct err *e)
{
        struct serial *s = mem_alloc(sizeof(*s));
        const char *key;
        int n;

        s->d = d;
        s->conf = d->conf;
        s->watch = (struct rt_watch){.fd = -1, .on_event = on_event};
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
        d->period_us = s->n_poll ? s->conf->period_us : 0;
        d->priv = s;
        return 0;
}

static void serial_start(struct driver *d)
{
        struct serial *s = d->priv;
        const struct tty_conf c = {.path = s->conf->port,
                                   .baud = s->conf->baud,
                                   .data_bits = (int)s->conf->data_bits,
                                   .stop_bits = (int)s->conf->stop_bits,
                                   .parity = (enum tty_parity)s->conf->parity,
                                   .rs485 = (enum tty_rs485)s->conf->rs485};
        struct err e;

        if (!s->interned)
                intern_tags(s);
        s->watch.fd = tty_open(&c, &e);
        if (s->watch.fd < 0) {
                fail(s, e.text);
                return;
        }
        rt_watch_set(d->rt, &s->watch, RT_READ);
        d->host->link_up(d);
}

static void serial_poll(struct driver *d)
{
        struct serial *s = d->priv;
        ssize_t n;

        if (s->watch.fd < 0)
                return;
        if (rt_timer_armed(&s->answer)) {
                d->n_overruns++;
                return;
        }
        n = write(s->watch.fd, s->poll, s->n_poll);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
                fail(s, strerror(errno));
                return;
        }
        rt_timer_set(d->rt, &s->answer, s->conf->timeout_us);
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
        shut(d->priv);
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
