/*
 * decode_nmea: the fields of a sentence -> readings.
 *
 * Fails: a field that can't be read is a bad reading of its own tag; one the
 * sentence does not have is counted as absent.
 */
#include "drivers/serial/decode_impl.h"
#include "drivers/serial/nmea.h"
#include "drivers/source_time.h"

static void set_time(struct reading *r, const struct nmea *s, size_t field, char text[TEXT_TIME_MAX])
{
        int64_t us;

        if (field != 1 || !nmea_has_date(s))
                decode_set_text_or_bad(r, text, nmea_put_clock(text, s, field));
        else
                decode_set_text_or_bad(r, text, nmea_date_time(s, &us) ? text_put_time(text, us) : 0);
}

static void set_field(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                      const struct nmea *s)
{
        const struct serial_reading_conf *c = (const struct serial_reading_conf *)d->conf->readings.items + i;
        size_t field = (size_t)c->field;
        enum nmea_trust trust = nmea_trust(s, field);
        double degrees;

        if (trust == NMEA_VOID) {
                decode_set_bad(r, QUALITY_BAD_SENSOR);
                return;
        }
        if (trust == NMEA_DOUBTFUL)
                r->quality = QUALITY_UNCERTAIN;
        switch (c->type) {
        case SERIAL_LATITUDE:
        case SERIAL_LONGITUDE:
                if (nmea_degrees(s, field, c->type == SERIAL_LATITUDE, &degrees))
                        decode_set_f64(d, out, i, r, degrees);
                else
                        decode_set_bad(r, QUALITY_BAD_SENSOR);
                break;
        case SERIAL_TIME:
                set_time(r, s, field, out->text[i]);
                break;
        default:
                decode_set_written(d, out, i, r, s->field[field], s->len[field]);
        }
}

int decode_sentence(const struct serial_decoder *d, const uint8_t *frame, size_t len, struct reading *model,
                    struct serial_decoded *out)
{
        const struct serial_reading_conf *c = d->conf->readings.items;
        struct nmea s;
        int64_t us;

        nmea_split(&s, frame, len);
        if (d->conf->time == SERIAL_TIME_SENTENCE && nmea_date_time(&s, &us))
                source_time_set(model, us, true);
        for (size_t i = 0; i < d->conf->readings.n; i++) {
                if (!nmea_is(&s, c[i].sentence))
                        continue;
                if ((size_t)c[i].field >= s.n)
                        out->n_absent++;
                else
                        set_field(d, out, i, decode_add(out, i, model), &s);
        }
        return 0;
}
