/*
 * conf_reading: what one of the `readings:` may hold; which of its keys belong
 * to which framing.
 *
 * Fails with a sentence that has the tag's name.
 */
#include <string.h>

#include "drivers/serial/conf_impl.h"
#include "drivers/serial/decode_impl.h"

static const char *const types[] = {"auto",  "number", "text",    "integer", "boolean", "latitude", "longitude",
                                    "time",  "int8",   "uint8",   "int16",   "uint16",  "int32",    "uint32",
                                    "int64", "uint64", "float32", "float64", "bit",     NULL};
const char *const serial_orders[] = {"big", "little", NULL};

static int fault_reading(const struct serial_reading_conf *r, struct err *e, const char *what)
{
        return err_set(e, "%s: %s", r->tag, what);
}

static int check_scale(const struct serial_reading_conf *r, struct err *e)
{
        bool scaled = r->convert.scale != 1 || r->convert.offset != 0;

        if (r->convert.scale == 0)
                return fault_reading(r, e, "scale 0 would make every value the same");
        if (scaled && (r->type == SERIAL_TEXT || r->type == SERIAL_TIME || r->type == SERIAL_BIT))
                return fault_reading(r, e, "scale and offset are only for numbers");
        return 0;
}

static int check_line_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (r->sentence || r->field >= 0 || r->where >= 0 || r->length >= 0 || r->bit >= 0)
                return fault_reading(r, e, "a reading of a line has tag, value, type, unit and what the value means");
        if (r->type > SERIAL_BOOLEAN)
                return fault_reading(r, e, "the type of a reading of a line is auto, number, integer, boolean or text");
        return 0;
}

static int check_sentence_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (!r->sentence || r->field < 0)
                return fault_reading(r, e, "sentence or field is missing; as sentence: GGA, field: 9");
        if (r->value || r->where >= 0 || r->length >= 0 || r->bit >= 0)
                return fault_reading(
                        r, e, "a reading of a sentence has tag, sentence, field, type, unit and what the value means");
        if (r->type > SERIAL_TIME)
                return fault_reading(r, e,
                                     "the type of a reading of a sentence is auto, number, integer, boolean, text, "
                                     "latitude, longitude or "
                                     "time");
        return 0;
}

static int check_telegram_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (r->sentence || r->where >= 0 || r->length >= 0 || r->bit >= 0)
                return fault_reading(
                        r, e, "a reading of a telegram has tag, value, field, type, unit and what the value means");
        if (r->type > SERIAL_BOOLEAN && r->type != SERIAL_TIME)
                return fault_reading(
                        r, e, "the type of a reading of a telegram is auto, number, integer, boolean, text or time");
        return 0;
}

static int check_scale_reading(const struct serial_reading_conf *r, struct err *e)
{
        const char *name = r->value ? r->value : r->tag;
        size_t i = 0;

        if (r->sentence || r->field >= 0 || r->where >= 0 || r->length >= 0 || r->bit >= 0 || r->type > SERIAL_BOOLEAN)
                return fault_reading(r, e, "a reading of a scale has tag, value, type, unit and what the value means");
        while (serial_toledo_values[i] && strcmp(serial_toledo_values[i], name) != 0)
                i++;
        return serial_toledo_values[i] ? 0 : fault_reading(r, e, "value is weight, tare, net, motion or unit");
}

static int check_binary_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (r->where < 0)
                return fault_reading(r, e, "at is missing; its offset from the frame's first byte, which is 0");
        if (r->value || r->sentence || r->field >= 0)
                return fault_reading(
                        r, e,
                        "a reading of a frame has tag, at, type, order, length, bit, unit and what the value means");
        if (r->type != SERIAL_TEXT && r->type < SERIAL_INT8)
                return fault_reading(r, e, "type is missing; allowed: int8 to uint64, float32, float64, bit, text");
        if ((r->type == SERIAL_TEXT) != (r->length >= 0))
                return fault_reading(r, e, "length goes with type text: how many bytes");
        if ((r->type == SERIAL_BIT) != (r->bit >= 0))
                return fault_reading(r, e, "bit goes with type bit: which, 0 is the lowest");
        return 0;
}

int conf_check_readings(const struct serial_conf *c, const char **key, struct err *e)
{
        static int (*const checks[])(const struct serial_reading_conf *r, struct err *e) = {
                [SERIAL_LINE] = check_line_reading,         [SERIAL_NMEA0183] = check_sentence_reading,
                [SERIAL_BINARY] = check_binary_reading,     [SERIAL_P1] = check_telegram_reading,
                [SERIAL_IEC62056] = check_telegram_reading, [SERIAL_TOLEDO] = check_scale_reading,
        };
        const struct serial_reading_conf *r = c->readings.items;

        *key = "readings";
        if (!c->readings.n)
                return err_set(e, "missing; which %s become which tags",
                               c->frame == SERIAL_LINE     ? "groups"
                               : c->frame == SERIAL_BINARY ? "bytes"
                               : c->frame == SERIAL_TOLEDO ? "values"
                               : c->frame >= SERIAL_P1     ? "addresses"
                                                           : "fields");
        if (c->readings.n > SERIAL_READINGS_MAX)
                return err_set(e, "%zu readings; allowed: %d", c->readings.n, SERIAL_READINGS_MAX);
        for (size_t i = 0; i < c->readings.n; i++)
                if (checks[c->frame](&r[i], e) < 0 || check_scale(&r[i], e) < 0)
                        return -1;
        return 0;
}

#define AT(member) offsetof(struct serial_reading_conf, member)
static const struct schema_key reading_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(tag), .help = "Name of the tag."},
        {"value", SCHEMA_TEXT, SCHEMA_SCALAR, AT(value),
         .help = "line: name of the group in `match`; p1, iec62056: the address, as 1-0:1.8.1; toledo: weight, tare, "
                 "net, motion or unit; default: the tag's."},
        {"sentence", SCHEMA_NAME, 0, AT(sentence),
         .help = "nmea0183: which sentence, of any talker (GGA) or of one (GPGGA, PGRME)."},
        {"field", SCHEMA_INT, SCHEMA_MINUS, AT(field), 1, 63,
         .help = "nmea0183: which field of it; 1 is behind the first comma. p1: which value of the address; default: "
                 "the last."},
        {"at", SCHEMA_INT, SCHEMA_MINUS, AT(where), 0, SERIAL_FRAME_MAX - 1,
         .help = "binary: offset of its first byte in the frame; the frame's first byte is 0."},
        {"type", SCHEMA_CHOICE, 0, AT(type), .choices = types, .def = "auto",
         .help = "line, nmea0183, p1: auto (a number when it is one, else text), number, integer, boolean, text "
                 "(barcodes!); nmea0183 "
                 "also "
                 "latitude, longitude (degrees; the hemisphere is in the next field), time (UTC), p1 time. binary: all "
                 "others."},
        {"order", SCHEMA_CHOICE, 0, AT(order), .choices = serial_orders, .def = "big",
         .help = "binary: which byte comes first, the highest (big) or the lowest (little)."},
        {"length", SCHEMA_INT, SCHEMA_MINUS, AT(length), 1, 255, .help = "binary, type text: how many bytes."},
        {"bit", SCHEMA_INT, SCHEMA_MINUS, AT(bit), 0, 7,
         .help = "binary, type bit: which bit of the byte, 0 is lowest."},
        CONVERT_KEYS(struct serial_reading_conf, convert),
        {"unit", SCHEMA_TEXT, 0, AT(unit), .help = "Unit, as it is to be recorded."},
        {NULL},
};
#undef AT

const struct schema serial_reading_schema = {
        .name = "serial reading",
        .help = "One value of a line, sentence or frame.",
        .keys = reading_keys,
        .size = sizeof(struct serial_reading_conf),
        .has_at = true,
};
