/*
 * intake: see intake.h.
 *
 * Fails: a frame that can't be read is counted, and some are kept as examples;
 * one the configuration leaves out is counted apart.
 */
#include "drivers/serial/intake.h"

enum { PATIENCE_US = 100000 };

void intake_intern(struct serial *s)
{
        const struct serial_reading_conf *c = s->conf->readings.items;

        s->interned = true;
        for (size_t i = 0; i < s->conf->readings.n; i++)
                s->tags[i] = driver_tag(s->d, s->conf->source, c[i].tag, c[i].unit);
}

void intake_tell_bad(struct serial *s, enum quality quality)
{
        if (s->told == quality)
                return;
        s->told = quality;
        driver_bad(s->d, s->tags, s->conf->readings.n, quality);
}

void intake_hand_over(struct serial *s, size_t n)
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
        intake_hand_over(s, driver_tagged(s->d, out->r, out->n));
}

static void broken(struct serial *s, const struct serial_frame *f, const char *reason)
{
        if (serial_decoder_ignores(&s->decoder, f->bytes, f->len))
                s->d->n_ignored++;
        else
                driver_refuse(s->d, &s->examples, s->conf->source, reason, f->bytes, f->len);
}

void intake_frame(struct serial *s, const struct serial_frame *f)
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

void intake_all(struct serial *s, enum serial_found (*next)(struct serial_framer *f, struct serial_frame *out))
{
        struct serial_frame f;
        enum serial_found found;

        while (!s->n_held && (found = next(&s->framer, &f)) != SERIAL_MORE) {
                if (found == SERIAL_FRAME)
                        intake_frame(s, &f);
                else
                        broken(s, &f, f.reason);
        }
}
