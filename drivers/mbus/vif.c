/*
 * vif: what a record is about, by its value information: tables of EN 13757-3.
 *
 * Each row is a range of codes that differ in their power of ten.  Units are
 * brought to one for each quantity (Wh, J, m3, W …), so that a meter that
 * counts kWh today and MWh tomorrow says the same.  Times of duration are
 * seconds.
 *
 * Fails: a code that no row has is of no known quantity, and its number is what
 * was sent.
 */
#include <string.h>

#include "drivers/mbus/record.h"

enum { MORE = 0x80, PLAIN_TEXT = 0x7c, TABLE_FB = 0x7b, TABLE_FD = 0x7d, OTHER_TABLE = 0x7c, MAKERS_OWN = 0x7f };

/*
 * A bit for each code below 0x20 that says what is wrong with the record: no
 * data, overflow, a unit it has not …
 */
#define FAULTS 0x11e0f8feu

static const struct row {
        uint8_t first, last;
        int8_t exponent; /* of the first; each next is ten times it */
        uint8_t quantity;
        const char *unit;
} main_rows[] =
        {
                {0x00, 0x07, -3, MBUS_ENERGY, "Wh"},
                {0x08, 0x0f, 0, MBUS_ENERGY, "J"},
                {0x10, 0x17, -6, MBUS_VOLUME, "m3"},
                {0x18, 0x1f, -3, MBUS_MASS, "kg"},
                {0x28, 0x2f, -3, MBUS_POWER, "W"},
                {0x30, 0x37, 0, MBUS_POWER, "J/h"},
                {0x38, 0x3f, -6, MBUS_FLOW, "m3/h"},
                {0x40, 0x47, -7, MBUS_FLOW, "m3/min"},
                {0x48, 0x4f, -9, MBUS_FLOW, "m3/s"},
                {0x50, 0x57, -3, MBUS_MASS_FLOW, "kg/h"},
                {0x58, 0x5b, -3, MBUS_FLOW_TEMPERATURE, "degC"},
                {0x5c, 0x5f, -3, MBUS_RETURN_TEMPERATURE, "degC"},
                {0x60, 0x63, -3, MBUS_TEMPERATURE_DIFFERENCE, "K"},
                {0x64, 0x67, -3, MBUS_TEMPERATURE, "degC"},
                {0x68, 0x6b, -3, MBUS_PRESSURE, "bar"},
                {0x6e, 0x6e, 0, MBUS_ALLOCATION, ""},
                {0x78, 0x78, 0, MBUS_SERIAL_NUMBER, ""},
},
  fb_rows[] =
          {
                  {0x00, 0x01, 5, MBUS_ENERGY, "Wh"},
                  {0x08, 0x09, 8, MBUS_ENERGY, "J"},
                  {0x10, 0x11, 2, MBUS_VOLUME, "m3"},
                  {0x18, 0x19, 5, MBUS_MASS, "kg"},
                  {0x1a, 0x1b, -1, MBUS_HUMIDITY, "%"},
                  {0x28, 0x29, 5, MBUS_POWER, "W"},
                  {0x2c, 0x2f, -3, MBUS_FREQUENCY, "Hz"},
                  {0x30, 0x31, 8, MBUS_POWER, "J/h"},
                  {0x58, 0x5b, -3, MBUS_FLOW_TEMPERATURE, "degF"},
                  {0x5c, 0x5f, -3, MBUS_RETURN_TEMPERATURE, "degF"},
                  {0x60, 0x63, -3, MBUS_TEMPERATURE_DIFFERENCE, "degF"},
                  {0x64, 0x67, -3, MBUS_TEMPERATURE, "degF"},
},
  fd_rows[] = {
          {0x17, 0x17, 0, MBUS_ERROR_FLAGS, ""},   {0x1a, 0x1a, 0, MBUS_DIGITAL_OUTPUT, ""},
          {0x1b, 0x1b, 0, MBUS_DIGITAL_INPUT, ""}, {0x3a, 0x3a, 0, MBUS_COUNT, ""},
          {0x40, 0x4f, -9, MBUS_VOLTAGE, "V"},     {0x50, 0x5f, -12, MBUS_CURRENT, "A"},
          {0x60, 0x61, 0, MBUS_COUNT, ""},
};

static void look_up(const struct row *rows, size_t n, uint8_t code, struct mbus_record *out)
{
        for (size_t i = 0; i < n; i++) {
                if (code < rows[i].first || code > rows[i].last)
                        continue;
                out->quantity = rows[i].quantity;
                out->unit = rows[i].unit;
                out->exponent = rows[i].exponent + (rows[i].quantity == MBUS_COUNT ? 0 : code - rows[i].first);
                return;
        }
}

/* Seconds, minutes, hours, days: no power of ten. */
static void set_duration(struct mbus_record *out, uint8_t code, enum mbus_quantity quantity)
{
        static const double seconds[] = {1, 60, 3600, 86400};

        out->quantity = quantity;
        out->unit = "s";
        out->factor = seconds[code & 3];
}

static void look_up_main(uint8_t code, struct mbus_record *out, bool *is_time)
{
        *is_time = code == 0x6c || code == 0x6d;
        if (*is_time)
                out->quantity = MBUS_DATE;
        else if (code >= 0x20 && code <= 0x27)
                set_duration(out, code, code < 0x24 ? MBUS_ON_TIME : MBUS_OPERATING_TIME);
        else
                look_up(main_rows, sizeof(main_rows) / sizeof(*main_rows), code, out);
}

/* Behind the value's own code: it may be multiplied, or mean something else. */
static void extend(uint8_t code, struct mbus_record *out)
{
        if (code >= 0x70 && code <= 0x77)
                out->exponent += code - 0x76;
        else if (code == 0x7d)
                out->exponent += 3;
        else if (code < 0x20 && FAULTS >> code & 1)
                out->faulty = true;
        else
                out->qualified = true;
}

size_t mbus_vif(const uint8_t *p, size_t n, struct mbus_record *out, bool *is_time)
{
        uint8_t code = n ? p[0] & 0x7f : 0;
        size_t i = 1;
        bool more = n && p[0] & MORE;

        *is_time = false;
        if (n == 0)
                return 0;
        if (code == PLAIN_TEXT) {
                if (n < 2 || n - 2 < p[1])
                        return 0;
                i = 2 + (size_t)p[1];
        } else if (more && (code == TABLE_FB || code == TABLE_FD)) {
                if (n < 2)
                        return 0;
                look_up(code == TABLE_FB ? fb_rows : fd_rows,
                        code == TABLE_FB ? sizeof(fb_rows) / sizeof(*fb_rows) : sizeof(fd_rows) / sizeof(*fd_rows),
                        p[1] & 0x7f, out);
                more = p[1] & MORE;
                i = 2;
        } else {
                look_up_main(code, out, is_time);
        }
        for (bool known = code != MAKERS_OWN; more; i++) {
                if (i >= n)
                        return 0;
                code = p[i] & 0x7f;
                known &= code != OTHER_TABLE && code != MAKERS_OWN;
                if (known)
                        extend(code, out);
                out->qualified |= !known;
                more = p[i] & MORE;
        }
        return i;
}

void mbus_fixed_unit(unsigned code, struct mbus_record *out)
{
        static const struct row rows[] = {
                {0x02, 0x0a, 0, MBUS_ENERGY, "Wh"},         {0x0b, 0x13, 3, MBUS_ENERGY, "J"},
                {0x14, 0x1c, 0, MBUS_POWER, "W"},           {0x1d, 0x25, 3, MBUS_POWER, "J/h"},
                {0x26, 0x2e, -6, MBUS_VOLUME, "m3"},        {0x2f, 0x37, -6, MBUS_FLOW, "m3/h"},
                {0x38, 0x38, -3, MBUS_TEMPERATURE, "degC"}, {0x39, 0x39, 0, MBUS_ALLOCATION, ""},
        };

        look_up(rows, sizeof(rows) / sizeof(*rows), (uint8_t)code, out);
}
