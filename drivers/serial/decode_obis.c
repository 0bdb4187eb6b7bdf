/*
 * decode_obis: the values of a meter's telegram -> readings.
 *
 * An address has one value or several: a gas meter behind P1 says when it
 * counted, then what.  Which is the reading's, is said where it is looked for.
 * The time is the meter's own where the configuration wants it: of the value,
 * when the first one under its address is a time, else of the telegram.
 *
 * Fails: a telegram whose form is wrong anywhere gives no reading at all.  An
 * address it does not have is counted as absent; an empty value is bad.
 */
#include <stdio.h>

#include "drivers/serial/decode_impl.h"
#include "drivers/serial/obis.h"
#include "drivers/source_time.h"

#define CLOCK "0-0:1.0.0"

enum { WRITTEN_MAX = 96 };

/* What was found for one reading. */
struct found {
        struct obis value;
        bool is_there, has_time;
        int64_t us; /* of the first value under its address */
};

struct telegram {
        struct found found[SERIAL_READINGS_MAX];
        int64_t winter_us, us;
        bool has_time;
};

/*
 * Behind P1 a value comes last, in a readout first: what follows it there is
 * when it was.
 */
static bool is_wanted(const struct serial_conf *conf, const struct serial_reading_conf *c, const struct obis *o)
{
        int64_t field = c->field < 0 && conf->frame == SERIAL_IEC62056 ? 1 : c->field;

        return obis_is(o, c->value ? c->value : c->tag) && (field < 0 || field == (int64_t)o->number);
}

static void keep(struct telegram *t, const struct serial_conf *conf, const struct obis *o, bool has_time, int64_t us)
{
        const struct serial_reading_conf *c = conf->readings.items;

        for (size_t i = 0; i < conf->readings.n; i++)
                if (is_wanted(conf, &c[i], o))
                        t->found[i] = (struct found){*o, true, has_time, us};
}

/* All of it is looked at: a telegram is right or wrong as a whole. */
static bool read_all(struct telegram *t, const struct serial_conf *conf, const char *text, size_t len)
{
        enum obis_next next;
        bool has_time = false;
        int64_t us = 0;
        struct obis o;

        obis_begin(&o, text, len);
        while ((next = obis_next(&o)) == OBIS_VALUE) {
                if (o.number == 1) {
                        has_time = obis_time(o.value, o.len, t->winter_us, &us);
                        if (has_time && obis_is(&o, CLOCK)) {
                                t->us = us;
                                t->has_time = true;
                        }
                }
                keep(t, conf, &o, has_time, us);
        }
        return next == OBIS_END;
}

static void set_time(const struct telegram *t, struct reading *r, const struct found *f)
{
        if (f->has_time || t->has_time)
                source_time_set(r, f->has_time ? f->us : t->us, true);
}

/*
 * A number that is to have a unit is read with the meter's: Wh are no kWh. Not
 * where it is scaled: that may be what brings the one to the other.
 */
static bool says_unit(const struct convert *c, const struct obis *o)
{
        return c->number_meant && c->unit && !c->scaled && o->unit_len > 0;
}

static void set_value(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                      const struct telegram *t)
{
        const struct serial_reading_conf *c = d->conf->readings.items;
        const struct obis *o = &t->found[i].value;
        char *text = out->text[i], written[WRITTEN_MAX];
        bool is_time;
        int64_t us;
        size_t len;
        int n;

        if (c[i].type == SERIAL_TIME) {
                is_time = obis_time(o->value, o->len, t->winter_us, &us);
                decode_set_text_or_bad(r, text, is_time ? text_put_time(text, us) : 0);
                return;
        }
        len = o->len + (c[i].type == SERIAL_TEXT && o->unit_len ? o->unit_len + 1 : 0);
        if (!says_unit(&d->convert[i], o)) {
                decode_set_written(d, out, i, r, o->value, len);
                return;
        }
        n = snprintf(written, sizeof(written), "%.*s %.*s", (int)o->len, o->value, (int)o->unit_len, o->unit);
        decode_set_written(d, out, i, r, written, (size_t)n < sizeof(written) ? (size_t)n : sizeof(written) - 1);
}

int decode_telegram(const struct serial_decoder *d, const char *text, size_t len, const struct reading *model,
                    struct serial_decoded *out)
{
        struct telegram t = {.winter_us = 0};

        obis_zone(d->conf->zone ? d->conf->zone : "+01:00", &t.winter_us);
        for (; d->conf->frame == SERIAL_P1 && len && *text != '\n' && *text != '\r'; text++) /* the identification */
                len--;
        if (!read_all(&t, d->conf, text, len))
                return decode_malformed(out, "not the text of a meter");
        for (size_t i = 0; i < d->conf->readings.n; i++) {
                struct reading *r;

                if (!t.found[i].is_there) {
                        out->n_absent++;
                        continue;
                }
                r = decode_add(out, i, model);
                if (d->conf->time == SERIAL_TIME_TELEGRAM)
                        set_time(&t, r, &t.found[i]);
                set_value(d, out, i, r, &t);
        }
        return out->n ? 0 : decode_malformed(out, "the telegram has none of the addresses");
}
