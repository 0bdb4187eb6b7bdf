/*
 * iec_talk: see iec_talk.h.
 *
 * Fails: what can't be sent, or a speed the port does not have, ends the
 * readout; a port that is gone is seen by who reads it.
 */
#include "drivers/serial/iec_talk.h"

static void stop_with(struct iec_talk *t, const char *why)
{
        iec_abort(&t->iec);
        t->on_fail(t, why);
}

/* false: it is over. */
static bool send_out(struct iec_talk *t, const struct iec_action *a)
{
        char why[PORT_WHY_MAX];
        bool closed;
        ssize_t n = port_write(t->port, a->bytes, a->len, &closed, why);

        if (n == (ssize_t)a->len)
                return true;
        stop_with(t, n < 0 ? why : "the port takes nothing");
        return false;
}

static bool set_baud(struct iec_talk *t, int64_t baud)
{
        struct err e;

        if (port_set_baud(t->port, baud, &e) == 0)
                return true;
        stop_with(t, e.text);
        return false;
}

static void run(struct iec_talk *t)
{
        struct rt *rt = t->port->rt;
        struct iec_action a;

        rt_timer_cancel(rt, &t->timer);
        for (bool goes_on = true; goes_on;) {
                int64_t now_us = rt_mono_us(rt);

                switch (iec_next(&t->iec, now_us, &a)) {
                case IEC_WAIT:
                        if (a.until_us != INT64_MAX)
                                rt_timer_set(rt, &t->timer, a.until_us - now_us);
                        return;
                case IEC_SEND:
                        goes_on = send_out(t, &a);
                        break;
                case IEC_BAUD:
                        goes_on = set_baud(t, a.baud);
                        break;
                case IEC_BLOCK:
                        t->on_block(t, a.text, a.len);
                        return;
                case IEC_FAIL:
                        t->on_fail(t, a.why);
                        return;
                }
        }
}

static void on_due(struct rt_timer *timer)
{
        run(list_entry(timer, struct iec_talk, timer));
}

void iec_talk_init(struct iec_talk *t, struct port *port, const struct iec_conf *conf)
{
        t->port = port;
        t->timer.on_due = on_due;
        iec_init(&t->iec, conf);
}

void iec_talk_begin(struct iec_talk *t)
{
        iec_begin(&t->iec);
        run(t);
}

void iec_talk_input(struct iec_talk *t, const uint8_t *bytes, size_t n)
{
        iec_input(&t->iec, rt_mono_us(t->port->rt), bytes, n);
        if (iec_is_busy(&t->iec))
                run(t);
}

void iec_talk_abort(struct iec_talk *t)
{
        rt_timer_cancel(t->port->rt, &t->timer);
        iec_abort(&t->iec);
}
