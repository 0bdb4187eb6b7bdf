/*
 * toledo: see toledo.h.
 *
 * Three status words, six digits of the weight, six of the tare; no decimal
 * point and no sign: they are bits of the first two words.  Bit 5 of each is 1,
 * which makes them characters.  Blanks in front of a number are zeros.
 *
 * Fails: another length, or a status word without its bit, is no frame; a
 * weight that is not made of digits is none.
 */
#include "drivers/serial/toledo.h"

enum { LENGTH = 15, DIGITS = 6, WORD_BIT = 0x20, POWER_UP = 0x40, EXPANDED = 0x10 };
enum { NET = 0x01, NEGATIVE = 0x02, OUT_OF_RANGE = 0x04, MOTION = 0x08, KILOGRAM = 0x10 };

static bool read_digits(const uint8_t *p, uint32_t *out)
{
        bool any = false;

        *out = 0;
        for (int i = 0; i < DIGITS; i++) {
                if (p[i] == ' ' && !any)
                        continue;
                if (p[i] < '0' || p[i] > '9')
                        return false;
                *out = 10 * *out + (uint32_t)(p[i] - '0');
                any = true;
        }
        return any;
}

/*
 * The first word's lowest bits: 0 is hundreds, 2 ones, 7 five digits behind the
 * point.
 */
static double place(uint32_t digits, unsigned code)
{
        static const double powers[] = {100, 10, 1, 10, 100, 1000, 10000, 100000};

        return code < 2 ? digits * powers[code] : digits / powers[code];
}

static const char *unit_of(uint8_t b, uint8_t c)
{
        static const char *const units[] = {NULL, "g", "t", "oz", "ozt", "dwt", "ton", ""};

        return c & 7 ? units[c & 7] : b & KILOGRAM ? "kg" : "lb";
}

bool toledo_read(struct toledo *out, const uint8_t *p, size_t len)
{
        uint32_t weight, tare;

        if (len != LENGTH || !(p[0] & p[1] & p[2] & WORD_BIT))
                return false;
        *out = (struct toledo){.has_weight = read_digits(p + 3, &weight), .has_tare = read_digits(p + 9, &tare)};
        out->weight = place(weight, p[0] & 7);
        if (p[1] & NEGATIVE && out->weight != 0)
                out->weight = -out->weight;
        out->tare = place(tare, p[0] & 7);
        out->is_net = p[1] & NET;
        out->in_motion = p[1] & MOTION;
        out->out_of_range = p[1] & (OUT_OF_RANGE | POWER_UP);
        out->expanded = p[2] & EXPANDED;
        out->unit = unit_of(p[1], p[2]);
        return true;
}
