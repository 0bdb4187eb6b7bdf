/*
 * tag_row: see tag_row.h.
 *
 * Addresses are read in the notations that are told apart without guessing:
 * 40001 and 400001 count from 1, table names, function codes, HR12 and %MW12
 * from 0.  A bare small number without a table is a holding register counted
 * from 0, and that is said.
 *
 * Fails with a sentence about the one field that can't be used.
 */
#include "agent/cli/commission/tag_row.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

/* ---- fields ---- */

static const char *text_of(const struct tag_columns *t, const struct csv *line, enum tag_column column)
{
        int at = t->at[column];

        return at >= 0 && (size_t)at < line->n ? line->field[at] : "";
}

/* "0.1", "0,1", "x0.1", "1/10", "/10", "10^-2" are numbers of an integrator. */
static bool number(const char *s, double *out)
{
        char text[32];
        double base, over = 1;
        char *end;

        if (strlen(s) >= sizeof(text))
                return false;
        strcpy(text, s[0] == 'x' || s[0] == 'X' || s[0] == '*' ? s + 1 : s);
        if (strchr(text, ',') && !strchr(text, '.'))
                *strchr(text, ',') = '.';
        if (text[0] == '/')
                memmove(text + 1, text, strlen(text) < 30 ? strlen(text) + 1 : 30), text[0] = '1';
        if (!isdigit((unsigned char)text[0]) && !strchr("+-.", text[0]))
                return false;
        base = strtod(text, &end);
        if (end == text)
                return false;
        if (*end == '/')
                over = strtod(end + 1, &end);
        else if (*end == '^')
                base = pow(base, strtod(end + 1, &end));
        *out = base / over;
        return *end == '\0' && isfinite(*out);
}

static int whole(const char *s, int least, int most)
{
        char *end;
        long v = strtol(s, &end, 10);

        return isdigit((unsigned char)s[0]) && *end == '\0' && v >= least && v <= most ? (int)v : -1;
}

/* ---- types ---- */

static const struct {
        const char *word, *type;
} types[] = {
        {"int16", "int16"},
        {"short", "int16"},
        {"s16", "int16"},
        {"i16", "int16"},
        {"int", "int16"},
        {"integer", "int16"},
        {"signed", "int16"},
        {"signed16", "int16"},
        {"sint16", "int16"},
        {"16bitsigned", "int16"},
        {"signed16bit", "int16"},
        {"uint16", "uint16"},
        {"word", "uint16"},
        {"u16", "uint16"},
        {"uint", "uint16"},
        {"ushort", "uint16"},
        {"unsigned", "uint16"},
        {"unsigned16", "uint16"},
        {"16bitunsigned", "uint16"},
        {"unsigned16bit", "uint16"},
        {"unsignedint", "uint16"},
        {"int32", "int32"},
        {"long", "int32"},
        {"dint", "int32"},
        {"s32", "int32"},
        {"i32", "int32"},
        {"signed32", "int32"},
        {"sint32", "int32"},
        {"32bitsigned", "int32"},
        {"signed32bit", "int32"},
        {"uint32", "uint32"},
        {"dword", "uint32"},
        {"u32", "uint32"},
        {"udint", "uint32"},
        {"ulong", "uint32"},
        {"unsigned32", "uint32"},
        {"32bitunsigned", "uint32"},
        {"unsigned32bit", "uint32"},
        {"float", "float32"},
        {"real", "float32"},
        {"float32", "float32"},
        {"single", "float32"},
        {"f32", "float32"},
        {"32bitfloat", "float32"},
        {"ieee754", "float32"},
        {"real32", "float32"},
        {"floatingpoint", "float32"},
        {"float64", "float64"},
        {"double", "float64"},
        {"lreal", "float64"},
        {"f64", "float64"},
        {"64bitfloat", "float64"},
        {"real64", "float64"},
        {"int64", "int64"},
        {"lint", "int64"},
        {"s64", "int64"},
        {"i64", "int64"},
        {"llong", "int64"},
        {"uint64", "uint64"},
        {"ulint", "uint64"},
        {"lword", "uint64"},
        {"qword", "uint64"},
        {"u64", "uint64"},
        {"bool", "bool"},
        {"boolean", "bool"},
        {"digital", "bool"},
        {"binary", "bool"},
        {"coil", "bool"},
        {"bit", "bit"},
        {"string", "string"},
        {"char", "string"},
        {"ascii", "string"},
        {"text", "string"},
};

static int read_type(struct tag_row *r, const char *text, struct err *e)
{
        char word[TAG_WORD_ROOM];
        bool of_bits = r->table <= MODBUS_DISCRETE;

        tag_word(word, text);
        r->type = of_bits ? "bool" : r->bit >= 0 ? "bit" : "uint16";
        if (!word[0] || of_bits || r->bit >= 0)
                return 0;
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
                if (strcmp(types[i].word, word) != 0)
                        continue;
                r->type = types[i].type;
                if (strcmp(r->type, "bit") == 0 && r->bit < 0)
                        r->type = "bool";
                return 0;
        }
        return err_set(e, "type \"%.40s\" is not known", text);
}

static int read_order(struct tag_row *r, const char *text, struct err *e)
{
        static const struct {
                const char *word, *order;
        } orders[] = {{"abcd", "ABCD"}, {"cdab", "CDAB"},      {"badc", "BADC"},         {"dcba", "DCBA"},
                      {"big", "ABCD"},  {"bigendian", "ABCD"}, {"littleendian", "DCBA"}, {"little", "DCBA"},
                      {"be", "ABCD"},   {"le", "DCBA"},        {"wordswap", "CDAB"},     {"swapped", "CDAB"},
                      {"swap", "CDAB"}, {"byteswap", "BADC"},  {"msb", "ABCD"},          {"lsb", "CDAB"}};
        char word[TAG_WORD_ROOM];

        tag_word(word, text);
        for (size_t i = 0; word[0] && i < sizeof(orders) / sizeof(*orders); i++)
                if (strcmp(orders[i].word, word) == 0) {
                        r->order = orders[i].order;
                        return 0;
                }
        return word[0] ? err_set(e, "order \"%.40s\" is not known; allowed: ABCD, CDAB, BADC, DCBA", text) : 0;
}

/* ---- addresses ---- */

static bool table_of(const char *text, enum modbus_table *out)
{
        static const struct {
                const char *word;
                enum modbus_table table;
        } tables[] = {{"coil", MODBUS_COIL},
                      {"coils", MODBUS_COIL},
                      {"coilstatus", MODBUS_COIL},
                      {"0x", MODBUS_COIL},
                      {"1", MODBUS_COIL},
                      {"01", MODBUS_COIL},
                      {"fc1", MODBUS_COIL},
                      {"fc01", MODBUS_COIL},
                      {"m", MODBUS_COIL},
                      {"do", MODBUS_COIL},
                      {"discrete", MODBUS_DISCRETE},
                      {"discreteinput", MODBUS_DISCRETE},
                      {"discreteinputs", MODBUS_DISCRETE},
                      {"inputstatus", MODBUS_DISCRETE},
                      {"1x", MODBUS_DISCRETE},
                      {"2", MODBUS_DISCRETE},
                      {"02", MODBUS_DISCRETE},
                      {"fc2", MODBUS_DISCRETE},
                      {"fc02", MODBUS_DISCRETE},
                      {"di", MODBUS_DISCRETE},
                      {"i", MODBUS_DISCRETE},
                      {"holding", MODBUS_HOLDING},
                      {"holdingregister", MODBUS_HOLDING},
                      {"holdingregisters", MODBUS_HOLDING},
                      {"hr", MODBUS_HOLDING},
                      {"4x", MODBUS_HOLDING},
                      {"3", MODBUS_HOLDING},
                      {"03", MODBUS_HOLDING},
                      {"fc3", MODBUS_HOLDING},
                      {"fc03", MODBUS_HOLDING},
                      {"mw", MODBUS_HOLDING},
                      {"input", MODBUS_INPUT},
                      {"inputregister", MODBUS_INPUT},
                      {"inputregisters", MODBUS_INPUT},
                      {"ir", MODBUS_INPUT},
                      {"3x", MODBUS_INPUT},
                      {"4", MODBUS_INPUT},
                      {"04", MODBUS_INPUT},
                      {"fc4", MODBUS_INPUT},
                      {"fc04", MODBUS_INPUT},
                      {"iw", MODBUS_INPUT}};
        char word[TAG_WORD_ROOM];

        tag_word(word, text);
        for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
                if (strcmp(tables[i].word, word) == 0) {
                        *out = tables[i].table;
                        return true;
                }
        return false;
}

static bool wire_number(const char *s, unsigned *out)
{
        bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
        char *end;
        unsigned long v;

        if (!isdigit((unsigned char)s[0]))
                return false;
        v = strtoul(s + 2 * hex, &end, hex ? 16 : 10);
        *out = (unsigned)v;
        return *end == '\0' && end > s + 2 * hex && v <= 65535;
}

/*
 * "40001.3" and "HR5.03" have a bit behind them, "40001-40002" and "40001 [2]"
 * say their length once more.
 */
static void cut_address(char text[TAG_WORD_ROOM], int *bit)
{
        char *dot = strchr(text, '.'), *end;

        if (dot) {
                long v = strtol(dot + 1, &end, 10);

                if (isdigit((unsigned char)dot[1]) && *end == '\0' && v <= 15)
                        *bit = (int)v;
                if (isdigit((unsigned char)dot[1]) && *end == '\0')
                        *dot = '\0';
        }
        text[strcspn(text, "-[ ")] = '\0';
}

/*
 * HR12, %MW12, IR3, 3x0012: letters of a table, then a number from 0; behind an
 * x it counts from 1.
 */
static bool prefixed(const char *text, struct tag_row *r)
{
        char prefix[8];
        size_t n = 0;

        text += *text == '%';
        while (n < 3 && (isalpha((unsigned char)text[n]) ||
                         (n == 0 && text[0] && strchr("0134", text[0]) && (text[1] == 'x' || text[1] == 'X'))))
                n++;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)n, text);
        if (n == 0 || !table_of(prefix, &r->table) || !wire_number(text + n + strspn(text + n, "_: "), &r->address))
                return false;
        if (prefix[1] != 'x' && prefix[1] != 'X')
                return true;
        return r->address-- != 0;
}

static int read_address(struct tag_row *r, const char *text, const char *table, struct err *e)
{
        bool said = table[0] && table_of(table, &r->table);
        enum modbus_table other;
        char cut[TAG_WORD_ROOM];

        if (table[0] && !said)
                return err_set(e, "\"%.40s\" is no table; allowed: coil, discrete, holding, input, or 1 to 4", table);
        if (!text[0] || strlen(text) >= sizeof(cut))
                return err_set(e, text[0] ? "address \"%.40s\" can't be read" : "no address%.0s", text);
        strcpy(cut, text);
        cut_address(cut, &r->bit);
        if (strlen(cut) >= 5 && isdigit((unsigned char)cut[0]) &&
            modbus_where_parse(cut, &other, &r->address, NULL) == 0 && (!said || other == r->table)) {
                r->table = other;
                return 0;
        }
        if (strchr(cut, ':') && modbus_where_parse(cut, &r->table, &r->address, NULL) == 0)
                return 0;
        if (wire_number(cut, &r->address)) {
                r->guessed_table = !said;
                r->table = said ? r->table : MODBUS_HOLDING;
                return 0;
        }
        if (prefixed(cut, r))
                return 0;
        return err_set(e, "address \"%.40s\" can't be read; known: 40001, 400001, holding:0, HR0, %%MW0", text);
}

/* ---- scale ---- */

static bool limits(const struct tag_columns *t, const struct csv *line, struct tag_row *r)
{
        double raw_low, raw_high, low, high;

        if (!number(text_of(t, line, TAG_RAW_LOW), &raw_low) || !number(text_of(t, line, TAG_RAW_HIGH), &raw_high) ||
            !number(text_of(t, line, TAG_SCALED_LOW), &low) || !number(text_of(t, line, TAG_SCALED_HIGH), &high) ||
            raw_high == raw_low || high == low)
                return false;
        r->scale = (high - low) / (raw_high - raw_low);
        r->offset = low - raw_low * r->scale;
        return true;
}

static int read_scale(struct tag_row *r, const struct tag_columns *t, const struct csv *line, struct err *e)
{
        const char *scale = text_of(t, line, TAG_SCALE), *divisor = text_of(t, line, TAG_DIVISOR),
                   *offset = text_of(t, line, TAG_OFFSET);
        double by;
        char word[TAG_WORD_ROOM];

        tag_word(word, scale);
        if (strcmp(word, "linear") == 0 && limits(t, line, r))
                return 0;
        if (strcmp(word, "none") == 0 || strcmp(word, "no") == 0)
                scale = "";
        if (scale[0] && !number(scale, &r->scale))
                return err_set(e, "scale \"%.40s\" is no number", scale);
        if (divisor[0] && (!number(divisor, &by) || by == 0))
                return err_set(e, "divisor \"%.40s\" is no number", divisor);
        if (divisor[0])
                r->scale /= by;
        if (offset[0] && !number(offset, &r->offset))
                return err_set(e, "offset \"%.40s\" is no number", offset);
        return r->scale == 0 ? err_set(e, "a scale of 0 would make every value the same") : 0;
}

static bool is_number(const struct tag_row *r)
{
        return strcmp(r->type, "bool") != 0 && strcmp(r->type, "bit") != 0 && strcmp(r->type, "string") != 0;
}

static int read_rest(struct tag_row *r, const struct tag_columns *t, const struct csv *line, struct err *e)
{
        const char *length = text_of(t, line, TAG_LENGTH), *slave = text_of(t, line, TAG_SLAVE),
                   *period = text_of(t, line, TAG_PERIOD);
        double ms;

        if (strcmp(r->type, "string") == 0) {
                r->length = whole(length, 1, MODBUS_REGISTERS_MAX);
                if (r->length < 0)
                        return err_set(e, "a string needs its length in registers, 1 to 125");
        }
        if (slave[0]) {
                r->slave = whole(slave, 0, 255);
                if (r->slave < 0)
                        return err_set(e, "\"%.40s\" is no unit id: 0 to 255", slave);
        }
        if (period[0] && number(period, &ms) && ms >= 10 && ms <= 86400000)
                r->period_ms = (long)ms;
        if (!is_number(r)) {
                r->scale = 1;
                r->offset = 0;
        }
        return 0;
}

int tag_row_read(struct tag_row *r, const struct tag_columns *t, const struct csv *line, struct err *e)
{
        const char *bit = text_of(t, line, TAG_BIT);
        char access[TAG_WORD_ROOM];

        *r = (struct tag_row){.name = text_of(t, line, TAG_NAME),
                              .unit = text_of(t, line, TAG_UNIT),
                              .device = text_of(t, line, TAG_DEVICE),
                              .bit = -1,
                              .length = -1,
                              .scale = 1,
                              .slave = 1};
        tag_word(access, text_of(t, line, TAG_ACCESS));
        if (strcmp(access, "w") == 0 || strcmp(access, "wo") == 0 || strcmp(access, "writeonly") == 0)
                return err_set(e, "it can only be written");
        if (read_address(r, text_of(t, line, TAG_ADDRESS), text_of(t, line, TAG_TABLE), e) < 0)
                return -1;
        if (bit[0] && (r->bit = whole(bit, 0, 15)) < 0)
                return err_set(e, "bit \"%.40s\" is not 0 to 15", bit);
        if (r->table <= MODBUS_DISCRETE)
                r->bit = -1;
        if (read_type(r, text_of(t, line, TAG_TYPE), e) < 0 || read_order(r, text_of(t, line, TAG_ORDER), e) < 0 ||
            read_scale(r, t, line, e) < 0)
                return -1;
        return read_rest(r, t, line, e);
}
