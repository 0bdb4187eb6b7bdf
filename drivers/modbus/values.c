/*
 * values: what lies in a slave's registers -> what is meant, see plan.h.
 *
 * The conversion is that of all drivers.  A power of ten in another register
 * comes between two halves of it: codes for "no value" are compared with what
 * lies there, and ranges are of what is meant.
 *
 * Fails: what does not fit is bad.
 */
#include <math.h>
#include <string.h>

#include "drivers/modbus/plan.h"

enum { POWER_MOST = 10, NO_POWER = INT16_MIN };

size_t modbus_points_of(const struct modbus_device_conf *d)
{
        const struct modbus_register_conf *r = d->map->registers.items;
        size_t n = 0;

        for (size_t i = 0; i < d->map->registers.n; i++)
                n += modbus_tags_of(&r[i]);
        return n;
}

static unsigned end_of(const struct modbus_register_conf *r)
{
        unsigned width =
                r->table <= MODBUS_DISCRETE ? 1 : modbus_type_width((enum modbus_type)r->type, (unsigned)r->length);

        return r->address + modbus_tags_of(r) * width;
}

bool modbus_overlap(const struct modbus_register_conf *a, const struct modbus_register_conf *b)
{
        return a->address < end_of(b) && b->address < end_of(a);
}

void modbus_extent(const struct modbus_register_conf *r, unsigned *low, unsigned *high)
{
        unsigned width =
                r->table <= MODBUS_DISCRETE ? 1 : modbus_type_width((enum modbus_type)r->type, (unsigned)r->length);

        *low = r->address;
        *high = r->address + modbus_tags_of(r) * width;
        if (!r->scale_where)
                return;
        *low = r->scale_address < *low ? r->scale_address : *low;
        *high = r->scale_address + 1 > *high ? r->scale_address + 1 : *high;
}

/* ---- conversions ---- */

/* The half of it that is about what lies in the register. */
static struct convert_conf codes_of(const struct convert_conf *c)
{
        return (struct convert_conf){.scale = 1, .none = c->none, .bad = c->bad, .mask = c->mask, .shift = c->shift};
}

static struct convert_conf behind_codes(const struct convert_conf *c)
{
        struct convert_conf out = *c;

        out.none = out.bad = (struct schema_list){NULL, 0};
        out.mask = NULL;
        out.shift = 0;
        return out;
}

void modbus_convert_init(struct modbus_convert *c, const struct modbus_register_conf *r)
{
        struct convert_conf codes = codes_of(&r->convert), rest = behind_codes(&r->convert);
        unsigned bits = modbus_type_bits((enum modbus_type)r->type);
        const char *key;

        if (!r->scale_where) {
                BUG_ON(convert_init(&c->all, &r->convert, NULL, bits, &key, NULL) < 0);
                return;
        }
        BUG_ON(convert_init(&c->codes, &codes, NULL, bits, &key, NULL) < 0);
        BUG_ON(convert_init(&c->all, &rest, NULL, 0, &key, NULL) < 0);
}

void modbus_convert_fini(struct modbus_convert *c)
{
        convert_fini(&c->all);
        convert_fini(&c->codes);
}

/* A power of ten as SunSpec has it; with a divisor, so that 3 becomes 0.03 and not 0.030000000000000002. */
static void apply_power(int16_t power, struct reading *r)
{
        double v = r->type == READING_I64 ? (double)r->v.i64 : r->v.f64, ten = 1;

        if (r->type != READING_I64 && r->type != READING_F64)
                return;
        if (power == NO_POWER || power > POWER_MOST || power < -POWER_MOST) {
                r->type = READING_NONE;
                r->quality = QUALITY_BAD_SENSOR;
                return;
        }
        for (int i = 0; i < (power < 0 ? -power : power); i++)
                ten *= 10;
        r->type = READING_F64;
        r->v.f64 = power < 0 ? v / ten : v * ten;
        if (!isfinite(r->v.f64)) {
                r->type = READING_NONE;
                r->quality = QUALITY_BAD_OUT_OF_RANGE;
        }
}

static int16_t word_at(const struct modbus_point *p, const uint8_t *at)
{
        bool swapped = p->format.order == MODBUS_BADC || p->format.order == MODBUS_DCBA;

        return (int16_t)(swapped ? at[1] << 8 | at[0] : at[0] << 8 | at[1]);
}

int modbus_point_decode(const struct modbus_point *p, const struct modbus_read *r, const uint8_t *data, char *text,
                        struct reading *out)
{
        unsigned at = (unsigned)(p->address - r->address);
        char room[CONVERT_ROOM];
        int result;

        if (r->function <= 2) {
                modbus_decode_bit(data, at, out);
                return convert_apply(&p->convert->all, out, room);
        }
        modbus_decode(&p->format, data + 2 * at, text, out);
        if (p->format.type == MODBUS_UINT64 && out->quality == QUALITY_UNCERTAIN && p->convert->all.scaled)
                out->quality = QUALITY_GOOD;
        if (p->scale_at < 0)
                return convert_apply(&p->convert->all, out, room);
        result = convert_apply(&p->convert->codes, out, room);
        apply_power(word_at(p, data + 2 * (unsigned)(p->scale_at - r->address)), out);
        return result ? result : convert_apply(&p->convert->all, out, room);
}
