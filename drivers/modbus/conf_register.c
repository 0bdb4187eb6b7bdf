/*
 * conf_register: what a profile says of one value, see modbus.h.
 *
 * Fails with a sentence at the key.
 */
#include <stdio.h>

#include "drivers/modbus/modbus.h"

#define MS  1e3
#define DAY 86400e6

static const char *const own_word_orders[] = {"profile", "ABCD", "CDAB", "BADC", "DCBA", NULL};
static const char *const types[] = {"int16",   "uint16",  "int32",     "uint32",    "int64",     "uint64",
                                    "float32", "float64", "bool",      "bit",       "string",    "int8",
                                    "uint8",   "int48",   "uint48",    "bcd16",     "bcd32",     "bcd64",
                                    "unix32",  "unix64",  "datetime3", "datetime4", "datetime6", NULL};
static const char *const bytes[] = {"low", "high", NULL};

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

const char *modbus_tag_name(const struct modbus_register_conf *r, unsigned k, char room[MODBUS_NAME_MAX])
{
        if (r->count <= 0)
                return r->tag;
        snprintf(room, MODBUS_NAME_MAX, "%.256s-%u", r->tag, k + 1);
        return room;
}

static int check_bits(const struct modbus_register_conf *r, const char **key, struct err *e)
{
        bool of_bits = r->table <= MODBUS_DISCRETE;

        if (of_bits && r->type != MODBUS_BOOL)
                return fault(key, "type", e, "a coil or discrete input is one bit; allowed: bool");
        if (r->type == MODBUS_BIT && r->bit < 0)
                return fault(key, "bit", e, "missing; type bit needs which: 0 (lowest) to 15");
        if (r->type != MODBUS_BIT && r->bit >= 0)
                return fault(key, "bit", e, "only for type bit");
        return 0;
}

static bool is_half(const struct modbus_register_conf *r)
{
        return r->type == MODBUS_INT8 || r->type == MODBUS_UINT8;
}

static int check_length(const struct modbus_register_conf *r, const char **key, struct err *e)
{
        if (r->type == MODBUS_STRING && r->length < 0)
                return fault(key, "length", e, "missing; a string needs its length in registers (two characters each)");
        if (r->type != MODBUS_STRING && r->length >= 0)
                return fault(key, "length", e, "only for type string");
        if (!is_half(r) && r->byte != MODBUS_LOW)
                return fault(key, "byte", e, "only for types int8 and uint8");
        if (r->address + modbus_tags_of(r) * modbus_type_width((enum modbus_type)r->type, (unsigned)r->length) > 65536)
                return fault(key, "at", e, "the value reaches beyond the last register, 65535");
        return 0;
}

/* A value and its power of ten are read in one request. */
static int check_scale(struct modbus_register_conf *r, const char **key, struct err *e)
{
        unsigned width = modbus_type_width((enum modbus_type)r->type, (unsigned)r->length), low, high;
        enum modbus_table table;

        if (!r->scale_where)
                return 0;
        *key = "scale_register";
        if (modbus_where_parse(r->scale_where, &table, &r->scale_address, e) < 0)
                return -1;
        if (table != r->table)
                return err_set(e, "in another table than its value; allowed: the same, they are read together");
        low = r->address < r->scale_address ? r->address : r->scale_address;
        high = r->address + modbus_tags_of(r) * width;
        high = high > r->scale_address + 1 ? high : r->scale_address + 1;
        if (high - low > MODBUS_REGISTERS_MAX)
                return err_set(e, "%u registers from one end to the other; allowed: %d, they are read together",
                               high - low, MODBUS_REGISTERS_MAX);
        return 0;
}

static int check_convert(const struct modbus_register_conf *r, const char **key, struct err *e)
{
        bool plain = r->type == MODBUS_BOOL || r->type == MODBUS_BIT || modbus_is_text((unsigned)r->type);

        if (plain && (r->convert.scale != 1 || r->convert.offset != 0))
                return fault(key, r->convert.scale != 1 ? "scale" : "offset", e, "only for numbers");
        if (plain && r->scale_where)
                return fault(key, "scale_register", e, "only for numbers");
        if (r->convert.scale == 0)
                return fault(key, "scale", e, "0 would make every value the same");
        return convert_check(&r->convert, NULL, key, e);
}

static int check_register(void *obj, const char **key, struct err *e)
{
        struct modbus_register_conf *r = obj;

        *key = "at";
        if (modbus_where_parse(r->where, &r->table, &r->address, e) < 0)
                return -1;
        if (check_bits(r, key, e) < 0 || check_length(r, key, e) < 0 || check_scale(r, key, e) < 0)
                return -1;
        return check_convert(r, key, e);
}

#define AT(member) offsetof(struct modbus_register_conf, member)
static const struct schema_key register_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(tag), .help = "Name of the tag."},
        {"at", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SCALAR, AT(where),
         .help = "First register: holding:0, input:0, coil:0, discrete:0; or as manuals count from 1: 400001, 40001."},
        {"type", SCHEMA_CHOICE, 0, AT(type), .choices = types, .def = "uint16",
         .help = "How it lies there. bool: a coil, or a register that is not 0; bcd: decimal digits; unix: seconds "
                 "since "
                 "1970; datetime3, 4, 6: a calendar in so many registers."},
        {"unit", SCHEMA_TEXT, 0, AT(unit), .help = "Unit, as it is to be recorded."},
        {"bit", SCHEMA_INT, SCHEMA_MINUS, AT(bit), 0, 15,
         .help = "Type bit: which bit of the register, 0 is the lowest."},
        {"length", SCHEMA_INT, SCHEMA_MINUS, AT(length), 1, MODBUS_REGISTERS_MAX,
         .help = "Type string: registers, two characters each."},
        {"byte", SCHEMA_CHOICE, 0, AT(byte), .choices = bytes, .def = "low",
         .help = "Types int8 and uint8: which half of the register; high is the first on the wire."},
        {"count", SCHEMA_INT, SCHEMA_MINUS, AT(count), 1, MODBUS_COUNT_MAX,
         .help = "So many values of this kind one behind the other: tags tag-1, tag-2, ..."},
        {"scale_register", SCHEMA_TEXT, SCHEMA_SCALAR, AT(scale_where),
         .help = "Where the power of ten of the value lies (int16, as in SunSpec), read in the same request; 0x8000 "
                 "there: bad, sensor."},
        CONVERT_KEYS(struct modbus_register_conf, convert),
        {"period", SCHEMA_DURATION, 0, AT(period_us), 10 * MS, DAY,
         .help = "How often it is read; default: the device's or the profile's."},
        {"group", SCHEMA_NAME, 0, AT(group),
         .help = "Registers of one group are read in one request or not at all, so that they are of one moment."},
        {"word_order", SCHEMA_CHOICE, 0, AT(word_order), .choices = own_word_orders, .def = "profile",
         .help = "Where it differs from the profile's."},
        {NULL},
};
#undef AT

const struct schema modbus_register_schema = {
        .name = "profile register",
        .help = "One value of a slave.",
        .keys = register_keys,
        .size = sizeof(struct modbus_register_conf),
        .has_at = true,
        .check = check_register,
};
