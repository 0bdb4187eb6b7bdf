/*
 * value: see value.h.
 *
 * The meter's power of ten and that between its unit and the configured one are
 * added before anything is multiplied: 12565 of a litre each is 12.565 m3, and
 * not 12.565000000000001.
 *
 * Fails: see mbus_verdict.
 */
#include "drivers/mbus/value.h"

#include <string.h>

#include "agent/base/text.h"

#define EXACT_MAX (INT64_C(1) << 53)

bool mbus_is_wanted(const struct mbus_reading_conf *c, const struct mbus_record *r)
{
        if (c->record >= 0)
                return c->record == (int64_t)r->number;
        return c->quantity == r->quantity && c->function == r->function && c->storage == (int64_t)r->storage &&
               c->tariff == (int64_t)r->tariff && c->subunit == (int64_t)r->subunit && !r->qualified;
}

static const struct {
        const char *to, *from;
        int exponent;
        double divisor; /* 0: 1 */
} units[] = {
        {"kWh", "Wh", -3},
        {"MWh", "Wh", -6},
        {"GWh", "Wh", -9},
        {"kJ", "J", -3},
        {"MJ", "J", -6},
        {"GJ", "J", -9},
        {"mW", "W", 3},
        {"kW", "W", -3},
        {"MW", "W", -6},
        {"kJ/h", "J/h", -3},
        {"MJ/h", "J/h", -6},
        {"GJ/h", "J/h", -9},
        {"l", "m3", 3},
        {"L", "m3", 3},
        {"ml", "m3", 6},
        {"m\xc2\xb3", "m3", 0},
        {"l/h", "m3/h", 3},
        {"L/h", "m3/h", 3},
        {"m\xc2\xb3/h", "m3/h", 0},
        {"l/min", "m3/min", 3},
        {"l/s", "m3/s", 3},
        {"t", "kg", -3},
        {"g", "kg", 3},
        {"t/h", "kg/h", -3},
        {"\xc2\xb0"
         "C",
         "degC", 0},
        {"C", "degC", 0},
        {"\xc2\xb0"
         "F",
         "degF", 0},
        {"mbar", "bar", 3},
        {"hPa", "bar", 3},
        {"kPa", "bar", 2},
        {"Pa", "bar", 5},
        {"mV", "V", 3},
        {"kV", "V", -3},
        {"mA", "A", 3},
        {"kA", "A", -3},
        {"%RH", "%", 0},
        {"min", "s", 0, 60},
        {"h", "s", 0, 3600},
        {"d", "s", 0, 86400},
        {"kHz", "Hz", -3},
};

/*
 * The power of ten from the one unit to the other, and what it is divided by;
 * false: there is none.
 */
static bool find_unit(const char *from, const char *to, int *exponent, double *divisor)
{

        *exponent = 0;
        *divisor = 1;
        if (!to || !*to || !*from || strcmp(from, to) == 0)
                return true;
        for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
                if (strcmp(units[i].from, from) != 0 || strcmp(units[i].to, to) != 0)
                        continue;
                *exponent = units[i].exponent;
                *divisor = units[i].divisor != 0 ? units[i].divisor : 1;
                return true;
        }
        return false;
}

/* Powers of ten up to 22 are exact, and there are none beyond 34. */
static double times_ten(double v, int exponent)
{
        double power = 1;

        for (int i = exponent < 0 ? -exponent : exponent; i > 0; i--)
                power *= 10;
        return exponent < 0 ? v / power : v * power;
}

static void set_number(const struct mbus_record *r, int exponent, double factor, struct reading *out)
{
        if (r->kind == MBUS_INTEGER && exponent == 0 && factor == 1) {
                out->type = READING_I64;
                out->v.i64 = r->i64;
                return;
        }
        out->type = READING_F64;
        out->v.f64 = times_ten((r->kind == MBUS_INTEGER ? (double)r->i64 : r->f64) * factor, exponent);
}

static void set_text(const struct mbus_record *r, char room[MBUS_TEXT_MAX], struct reading *out)
{
        size_t len = r->len;

        while (len && (r->text[len - 1] == ' ' || r->text[len - 1] == '\0'))
                len--;
        memcpy(room, r->text, len);
        if (!len || !text_is_utf8(room, len)) {
                out->quality = QUALITY_BAD_SENSOR;
                return;
        }
        out->type = READING_TEXT;
        out->v.text = room;
        out->len = (uint32_t)len;
}

static enum mbus_verdict bad(struct reading *out, enum quality quality, enum mbus_verdict verdict)
{
        out->type = READING_NONE;
        out->quality = (uint16_t)quality;
        return verdict;
}

enum mbus_verdict mbus_set(const struct mbus_reading_conf *c, const struct convert *convert,
                           const struct mbus_record *r, char room[MBUS_TEXT_MAX], struct reading *out)
{
        double divisor;
        int exponent;

        if (r->kind == MBUS_NOTHING || r->kind == MBUS_INVALID || r->function == MBUS_IN_ERROR)
                return bad(out, QUALITY_BAD_SENSOR, MBUS_VALUE);
        if (r->kind == MBUS_TEXT)
                set_text(r, room, out);
        else if (find_unit(r->unit, c->unit, &exponent, &divisor))
                set_number(r, r->exponent + exponent, r->factor / divisor, out);
        else
                return bad(out, QUALITY_BAD_CONFIG, MBUS_UNIT);
        if (convert_apply(convert, out, room) == CONVERT_E_UNFIT)
                return MBUS_UNFIT;
        if (out->type == READING_I64 && c->type != CONVERT_INTEGER && out->v.i64 >= -EXACT_MAX &&
            out->v.i64 <= EXACT_MAX) {
                out->type = READING_F64;
                out->v.f64 = (double)out->v.i64;
        }
        return MBUS_VALUE;
}
