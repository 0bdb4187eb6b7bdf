/*
 * swinging_door: see swinging_door.h.
 *
 * The usual swinging door keeps two doors open and sends the reading before the
 * one that shuts them; the line it then draws may miss earlier readings by up
 * to twice the band, because that reading need not lie between the doors
 * itself. Here a reading may only be held when the line to it lies between the
 * doors of all before it: a little more is sent, and the bound is the band that
 * was asked for.
 *
 * A reading that is not later than the last one begins anew and is sent: order
 * is never guessed.
 */
#include "agent/rules/swinging_door.h"

#include <math.h>

static int start(struct swinging_door *t, struct swinging_door_point p)
{
        *t = (struct swinging_door){.sent = p, .low = -HUGE_VAL, .high = HUGE_VAL, .begun = true};
        return 1;
}

int swinging_door_break(struct swinging_door *t, struct swinging_door_point out[1])
{
        bool holds = t->holds;

        out[0] = t->held;
        *t = (struct swinging_door){.begun = false};
        return holds;
}

static int send(struct swinging_door *t, struct swinging_door_point p, struct swinging_door_point out[2])
{
        int n = 0;

        if (t->holds)
                out[n++] = t->held;
        out[n++] = p;
        start(t, p);
        return n;
}

static int by_exception(struct swinging_door *t, const struct swinging_door_conf *c, struct swinging_door_point p,
                        struct swinging_door_point out[2])
{
        int64_t since_us = p.ts_us - t->sent.ts_us;

        if ((fabs(p.v - t->sent.v) > c->band && since_us >= c->min_us) || (c->max_us && since_us >= c->max_us))
                return send(t, p, out);
        t->held = p;
        t->holds = true;
        return 0;
}

static void swing(struct swinging_door *t, double band, struct swinging_door_point p)
{
        double span = (double)(p.ts_us - t->sent.ts_us);
        double low = (p.v - band - t->sent.v) / span, high = (p.v + band - t->sent.v) / span;

        t->low = low > t->low ? low : t->low;
        t->high = high < t->high ? high : t->high;
        t->held = p;
        t->holds = true;
}

static int by_door(struct swinging_door *t, const struct swinging_door_conf *c, struct swinging_door_point p,
                   struct swinging_door_point out[2])
{
        double slope = (p.v - t->sent.v) / (double)(p.ts_us - t->sent.ts_us);
        int n = 0;

        if (slope < t->low || slope > t->high) {
                out[n++] = t->held;
                start(t, t->held);
        }
        if (c->max_us && p.ts_us - t->sent.ts_us >= c->max_us) {
                out[n++] = p;
                start(t, p);
                return n;
        }
        swing(t, c->band, p);
        return n;
}

int swinging_door_push(struct swinging_door *t, const struct swinging_door_conf *c, struct swinging_door_point p,
                       struct swinging_door_point out[2])
{
        const struct swinging_door_point *last = t->holds ? &t->held : &t->sent;

        if (c->mode == THIN_NONE || !t->begun || p.ts_us <= last->ts_us)
                return send(t, p, out);
        return c->mode == THIN_EXCEPTION ? by_exception(t, c, p, out) : by_door(t, c, p, out);
}
