/*
 * decode_toledo: the weights of a scale -> readings: weight, tare, net, motion,
 * unit.
 *
 * While it moves the weight is uncertain, and out of its range it is bad; the
 * tare and the states are what they are.
 *
 * Fails: a frame of another form is malformed; a weight in another unit than
 * the reading's is bad, and told.
 */
#include <string.h>

#include "drivers/serial/decode_impl.h"
#include "drivers/serial/toledo.h"

enum { STX = 0x02 };

const char *const serial_toledo_values[] = {"weight", "tare", "net", "motion", "unit", NULL};
enum { WEIGHT, TARE, NET, MOTION, UNIT };

static int which(const struct serial_reading_conf *c)
{
        const char *name = c->value ? c->value : c->tag;
        int i = 0;

        while (serial_toledo_values[i] && strcmp(serial_toledo_values[i], name) != 0)
                i++;
        return i;
}

static void set_weight(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                       const struct toledo *t, bool is_tare)
{
        const struct serial_reading_conf *c = (const struct serial_reading_conf *)d->conf->readings.items + i;

        if (c->unit && *c->unit && *t->unit && strcmp(c->unit, t->unit) != 0) {
                decode_set_bad(r, QUALITY_BAD_CONFIG);
                out->unfit = c->tag;
                return;
        }
        if (!is_tare && (t->in_motion || t->expanded))
                r->quality = QUALITY_UNCERTAIN;
        if (is_tare ? !t->has_tare : !t->has_weight || t->out_of_range)
                decode_set_bad(r, QUALITY_BAD_SENSOR);
        else
                decode_set_f64(d, out, i, r, is_tare ? t->tare : t->weight);
}

int decode_toledo(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                  struct serial_decoded *out)
{
        const uint8_t *stx = memrchr(frame, STX, len);
        struct toledo t;

        if (stx) {
                len -= (size_t)(stx + 1 - frame);
                frame = stx + 1;
        }
        if (!toledo_read(&t, frame, len))
                return decode_malformed(out, "not the output of a scale");
        for (size_t i = 0; i < d->conf->readings.n; i++) {
                const struct serial_reading_conf *c = d->conf->readings.items;
                struct reading *r = decode_add(out, i, model);

                switch (which(&c[i])) {
                case WEIGHT:
                case TARE:
                        set_weight(d, out, i, r, &t, which(&c[i]) == TARE);
                        break;
                case NET:
                        decode_set_bool(d, out, i, r, t.is_net);
                        break;
                case MOTION:
                        decode_set_bool(d, out, i, r, t.in_motion);
                        break;
                default:
                        decode_set_written(d, out, i, r, t.unit, strlen(t.unit));
                }
        }
        return 0;
}
