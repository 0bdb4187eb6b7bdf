/*
 * decode: see decode.h.
 *
 * Each kind of frame has a room of its own (decode_line and its neighbours);
 * here is what they have in common: setting up, and the result.
 *
 * Fails: a frame that can't be read is malformed, with the reason; a value that
 * can't be read is a bad reading of its own tag and harms no other; a value the
 * frame does not reach is counted as absent.
 */
#include "drivers/serial/decode.h"

#include "drivers/serial/decode_impl.h"
#include "drivers/serial/loose.h"

enum { LOOSE_MAX = 4096 };

/* ---- setting up ---- */

static int find_groups(struct serial_decoder *d, const char **key, struct err *e)
{
        const struct serial_reading_conf *r = d->conf->readings.items;

        *key = "readings";
        for (size_t i = 0; i < d->conf->readings.n; i++) {
                d->group[i] = serial_match_group(d->match, r[i].value ? r[i].value : r[i].tag, e);
                if (d->group[i] < 0)
                        return -1;
        }
        *key = "quality";
        if (!d->conf->quality.value)
                return 0;
        d->quality_group = serial_match_group(d->match, d->conf->quality.value, e);
        return d->quality_group < 0 ? -1 : 0;
}

static struct serial_match *make_loose(const struct serial_conf *c)
{
        char pattern[LOOSE_MAX];
        struct err e;

        if (!c->quality.value || !loose_pattern(pattern, sizeof(pattern), c->match, c->quality.value, &c->quality.bad))
                return NULL;
        return serial_match_new(pattern, &e);
}

static int make_ignored(struct serial_decoder *d, const char **key, struct err *e)
{
        const char *const *patterns = d->conf->ignore.items;

        *key = "ignore";
        if (d->conf->ignore.n > SERIAL_IGNORE_MAX)
                return err_set(e, "%zu expressions; allowed: %d", d->conf->ignore.n, SERIAL_IGNORE_MAX);
        for (; d->n_ignore < d->conf->ignore.n; d->n_ignore++) {
                d->ignore[d->n_ignore] = serial_match_new(patterns[d->n_ignore], e);
                if (!d->ignore[d->n_ignore])
                        return -1;
        }
        return 0;
}

static bool says_number(const struct serial_reading_conf *r)
{
        const struct convert_conf *c = &r->convert;

        return (r->unit && *r->unit) || c->scale != 1 || c->offset != 0 || c->range.n || c->mask || c->shift;
}

/*
 * A comma is the line's: with type auto it does not say that every group is a
 * number.
 */
struct convert_conf serial_convert_conf(const struct serial_conf *c, const struct serial_reading_conf *r)
{
        static const int types[] = {
                [SERIAL_NUMBER] = CONVERT_NUMBER,   [SERIAL_TEXT] = CONVERT_TEXT, [SERIAL_INTEGER] = CONVERT_INTEGER,
                [SERIAL_BOOLEAN] = CONVERT_BOOLEAN, [SERIAL_TIME] = CONVERT_TEXT, [SERIAL_BIT] = CONVERT_AUTO};
        struct convert_conf how = r->convert;
        bool has_decimal = c->frame == SERIAL_LINE || c->frame == SERIAL_P1 || c->frame == SERIAL_IEC62056;

        how.type = r->type == SERIAL_AUTO && says_number(r) ? CONVERT_NUMERIC : types[r->type];
        how.decimal = has_decimal && (r->type != SERIAL_AUTO || says_number(r)) ? c->decimal : CONVERT_POINT;
        return how;
}

static int make_converts(struct serial_decoder *d, const char **key, struct err *e)
{
        const struct serial_reading_conf *r = d->conf->readings.items;

        for (; d->n_convert < d->conf->readings.n; d->n_convert++) {
                struct convert_conf how = serial_convert_conf(d->conf, &r[d->n_convert]);
                unsigned bits = d->conf->frame == SERIAL_BINARY ? 8 * (unsigned)serial_width(&r[d->n_convert]) : 0;
                struct err why;

                if (convert_init(&d->convert[d->n_convert], &how, r[d->n_convert].unit, bits > 64 ? 0 : bits, key,
                                 &why) < 0) {
                        err_set(e, "%s: %s: %s", r[d->n_convert].tag, *key, why.text);
                        *key = "readings";
                        return -1;
                }
        }
        return 0;
}

int serial_decoder_init(struct serial_decoder *d, const struct serial_conf *conf, const char **key, struct err *e)
{
        *d = (struct serial_decoder){.conf = conf,
                                     .quality_group = -1,
                                     .decimal = conf->frame == SERIAL_NMEA0183 ? CONVERT_POINT : conf->decimal};
        if (make_converts(d, key, e) < 0 || make_ignored(d, key, e) < 0)
                return -1;
        if (conf->frame != SERIAL_LINE)
                return 0;
        *key = "match";
        d->match = serial_match_new(conf->match, e);
        if (!d->match)
                return -1;
        d->loose = make_loose(conf);
        d->has_branches = loose_has_branches(conf->match);
        return find_groups(d, key, e);
}

void serial_decoder_fini(struct serial_decoder *d)
{
        serial_match_free(d->match);
        serial_match_free(d->loose);
        for (size_t i = 0; i < d->n_ignore; i++)
                serial_match_free(d->ignore[i]);
        for (size_t i = 0; i < d->n_convert; i++)
                convert_fini(&d->convert[i]);
        d->match = d->loose = NULL;
        d->n_ignore = d->n_convert = 0;
}

bool serial_decoder_ignores(struct serial_decoder *d, const uint8_t *bytes, size_t len)
{
        for (size_t i = 0; i < d->n_ignore; i++)
                if (serial_match_run(d->ignore[i], bytes, len) == SERIAL_MATCHED)
                        return true;
        return false;
}

/* ---- the result ---- */

struct reading *decode_add(struct serial_decoded *out, size_t i, const struct reading *model)
{
        struct reading *r = &out->r[out->n];

        *r = *model;
        out->value[out->n++] = (uint8_t)i;
        return r;
}

int decode_malformed(struct serial_decoded *out, const char *reason)
{
        out->n = 0;
        out->reason = reason;
        return SERIAL_E_MALFORMED;
}

int serial_decode(struct serial_decoder *d, const uint8_t *frame, size_t len, int64_t now_us,
                  struct serial_decoded *out)
{
        struct reading model = {.ts_us = now_us, .arrival_us = now_us};

        out->n = out->n_absent = 0;
        out->reason = out->unfit = NULL;
        switch ((enum serial_framing)d->conf->frame) {
        case SERIAL_LINE:
                return decode_line(d, (const char *)frame, len, &model, out);
        case SERIAL_NMEA0183:
                return decode_sentence(d, frame, len, &model, out);
        case SERIAL_BINARY:
                return decode_binary(d, frame, len, &model, out);
        case SERIAL_TOLEDO:
                return decode_toledo(d, frame, len, &model, out);
        case SERIAL_P1:
        case SERIAL_IEC62056:
                return decode_telegram(d, (const char *)frame, len, &model, out);
        }
        return 0;
}
