/*
 * views: see views.h.
 *
 * The values are made by the driver's own decoding, so what stands in a column
 * is what a profile with that type and order gives.  A person looks for the
 * column that holds the number on the device's display.
 *
 * Fails: never; what is no number of a type is "-".
 */
#include "agent/cli/commission/views.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "agent/base/text.h"

enum { VALUE_ROOM = 48 };

static const struct {
        const char *name;
        enum modbus_type type;
        unsigned width;
} types[] = {
        {"uint16", MODBUS_UINT16, 1}, {"int16", MODBUS_INT16, 1},     {"uint32", MODBUS_UINT32, 2},
        {"int32", MODBUS_INT32, 2},   {"float32", MODBUS_FLOAT32, 2}, {"uint64", MODBUS_UINT64, 4},
        {"int64", MODBUS_INT64, 4},   {"float64", MODBUS_FLOAT64, 4},
};
enum { N_TYPES = sizeof(types) / sizeof(*types) };

static const char *const orders[N_MODBUS_ORDERS] = {"ABCD", "CDAB", "BADC", "DCBA"};
static const char *const tables[N_MODBUS_TABLES] = {"coil", "discrete", "holding", "input"};

int views_as(const char *as, struct err *e)
{
        if (!as || strcmp(as, "all") == 0)
                return 0;
        for (int i = 0; i < N_TYPES; i++)
                if (strcmp(as, types[i].name) == 0)
                        return i + 1;
        return err_set(e, "--as %.40s: allowed: all, uint16, int16, uint32, int32, float32, uint64, int64, float64",
                       as);
}

static bool decode(const struct views *v, unsigned i, unsigned type, unsigned order, struct reading *r)
{
        struct modbus_format format = {.type = (uint8_t)types[type].type, .order = (uint8_t)order};
        char text[1];

        if (i + types[type].width > v->count)
                return false;
        modbus_decode(&format, v->data + 2 * (size_t)i, text, r);
        return r->type == READING_I64 || r->type == READING_F64;
}

static const char *value(const struct views *v, unsigned i, unsigned type, unsigned order, char out[VALUE_ROOM])
{
        struct reading r;

        if (!decode(v, i, type, order, &r))
                return "-";
        if (r.type == READING_I64)
                snprintf(out, VALUE_ROOM, "%" PRId64, r.v.i64);
        else
                snprintf(out, VALUE_ROOM, types[type].width == 4 ? "%.12g" : "%.7g", r.v.f64);
        return out;
}

static unsigned word(const struct views *v, unsigned i)
{
        return (unsigned)v->data[2 * i] << 8 | v->data[2 * i + 1];
}

static void put_place(FILE *f, const struct views *v, unsigned i)
{
        char place[32];

        snprintf(place, sizeof(place), "%s:%u", tables[v->table], v->address + i);
        fprintf(f, "#   %-14s", place);
}

/* Each register by itself. */
static void print_words(FILE *f, const struct views *v)
{
        char u[VALUE_ROOM], s[VALUE_ROOM];

        fprintf(f, "#   %-14s %-4s  %6s %6s  %s\n", "at", "hex", "uint16", "int16", "text");
        for (unsigned i = 0; i < v->count; i++) {
                int a = v->data[2 * i], b = v->data[2 * i + 1];

                put_place(f, v, i);
                fprintf(f, " %04x  %6s %6s  %c%c\n", word(v, i), value(v, i, 0, 0, u), value(v, i, 1, 0, s),
                        isprint(a) ? a : '.', isprint(b) ? b : '.');
        }
}

/* One type, the orders beside each other. */
static void print_type(FILE *f, const struct views *v, unsigned type)
{
        int wide = types[type].width == 4 ? 21 : 15;
        unsigned n_orders = types[type].width == 1 ? 1 : N_MODBUS_ORDERS;
        char text[VALUE_ROOM];

        if (v->count < types[type].width)
                return;
        fprintf(f, "#\n#   %-14s", types[type].name);
        for (unsigned k = 0; k < n_orders; k++)
                fprintf(f, " %*s", wide, orders[k]);
        fputc('\n', f);
        for (unsigned i = 0; i + types[type].width <= v->count; i++) {
                put_place(f, v, i);
                for (unsigned k = 0; k < n_orders; k++)
                        fprintf(f, " %*s", wide, value(v, i, type, k, text));
                fputc('\n', f);
        }
}

static bool bit(const struct views *v, unsigned i)
{
        return v->data[i / 8] >> i % 8 & 1;
}

void views_print(FILE *f, const struct views *v, int as)
{
        if (v->table <= MODBUS_DISCRETE) {
                for (unsigned i = 0; i < v->count; i++) {
                        put_place(f, v, i);
                        fprintf(f, " %s\n", bit(v, i) ? "true" : "false");
                }
                return;
        }
        if (!as)
                print_words(f, v);
        for (unsigned t = as ? (unsigned)as - 1 : 2; t < (as ? (unsigned)as : N_TYPES); t++)
                print_type(f, v, t);
}

static json_t *json_value(const struct views *v, unsigned i, unsigned type, unsigned order)
{
        struct reading r;

        if (!decode(v, i, type, order, &r))
                return json_null();
        return r.type == READING_I64 ? json_integer(r.v.i64) : json_real(r.v.f64);
}

static void line_json(FILE *f, const struct views *v, unsigned i)
{
        char place[32], hex[8];
        json_t *o = json_object();

        snprintf(place, sizeof(place), "%s:%u", tables[v->table], v->address + i);
        json_object_set_new(o, "at", json_string(place));
        if (v->table <= MODBUS_DISCRETE) {
                json_object_set_new(o, "bool", json_boolean(bit(v, i)));
        } else {
                snprintf(hex, sizeof(hex), "%04x", word(v, i));
                json_object_set_new(o, "hex", json_string(hex));
                for (unsigned t = 0; t < N_TYPES; t++) {
                        json_t *by = json_object();

                        if (types[t].width == 1) {
                                json_decref(by);
                                by = json_value(v, i, t, 0);
                        }
                        for (unsigned k = 0; types[t].width > 1 && k < N_MODBUS_ORDERS; k++)
                                json_object_set_new(by, orders[k], json_value(v, i, t, k));
                        json_object_set_new(o, types[t].name, by);
                }
        }
        json_dumpf(o, f, JSON_COMPACT);
        fputc('\n', f);
        json_decref(o);
}

void views_json(FILE *f, const struct views *v)
{
        for (unsigned i = 0; i < v->count; i++)
                line_json(f, v, i);
}
