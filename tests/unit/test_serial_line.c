/*
 * Lines that do not match: those that say that there is no value, and those that nobody wants to know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/serial/decode.h"
#include "drivers/serial/loose.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }

static struct serial_decoded out;
static const struct serial_reading_conf readings[] = {{.tag = "weight", .convert.scale = 1},
                                                      {.tag = "unit", .convert.scale = 1}};
static const char *const good[] = {"ST"}, *const bad[] = {"OL", "I", "+", "-"};

/* g: good, u: uncertain, one for each tag; b: bad; "": none; "malformed". */
static const char *told(const char *match, const char *line)
{
        static char text[32];
        struct serial_conf conf = {.match = match,
                                   .quality = {.value = "status", .good = LIST(good), .bad = LIST(bad)},
                                   .readings = LIST(readings)};
        struct serial_decoder d;
        const char *key;
        struct err e;
        size_t n = 0;

        assert_int_equal(serial_decoder_init(&d, &conf, &key, &e), 0);
        if (serial_decode(&d, (const uint8_t *)line, strlen(line), 1795428000000000, &out) == SERIAL_E_MALFORMED) {
                serial_decoder_fini(&d);
                return "malformed";
        }
        serial_decoder_fini(&d);
        for (; n < out.n; n++) {
                bool is_bad = quality_is_bad(out.r[n].quality);

                assert_int_equal(is_bad, out.r[n].type == READING_NONE);
                assert_int_equal(out.value[n], n);
                text[n] = is_bad ? 'b' : out.r[n].quality == QUALITY_GOOD ? 'g' : 'u';
        }
        text[n] = '\0';
        return text;
}

#define SCALE  "^(?<status>ST|US|OL),GS,(?<weight>[ +-][0-9.]+)(?<unit>kg|g)$"
#define STRICT "^(?<status>ST|US),GS,(?<weight>[ +-][0-9.]+)(?<unit>kg|g)$"
#define BEHIND "^ *(?<weight>[0-9.]+) *(?<unit>kg|g) (?<status>ST|OL)$"
#define SICS   "^S (?<status>[SDI+-])(?: +(?<weight>[0-9.-]+) (?<unit>g|kg))?$"
#define GROUPS "^(?:(?i)W(?<weight>[)0-9]+))(?:,(?P<unit>[\\])])),\\Q)(\\E(?<status>ST|OL)$"
#define TWO    "^T,(?<unit>g|kg)$|^W,(?<status>ST),(?<weight>[0-9]+)$"
#define INSIDE "^(?:T,(?<unit>g)|W,(?<status>ST),(?<weight>[0-9]+))$"
#define FIELDS "^(?<status>ST|OL),(?<weight>[0-9.]+)?,(?<unit>kg|g)?$"
#define KINDS  "^(?<status>ST|OL),(?:A(?<weight>[0-9]+)|B(?<unit>[a-z]+))$"
#define EMPTY  "^(?<status>ST|OL),(?<weight>[^,]*),(?<unit>.*)$"

static void the_status_says_bad(void **state)
{
        static const struct {
                const char *match, *line, *told;
        } rows[] = {
                {SCALE, "ST,GS,+0012.5kg", "gg"},
                {SCALE, "US,GS,+0012.5kg", "uu"},
                {SCALE, "OL,GS,+0012.5kg", "bb"},
                {SCALE, "OL,GS,+--------kg", "bb"},
                {SCALE, "OL,GS,        kg", "bb"},
                {SCALE, "OL,GS,kg", "bb"},
                {SCALE, "OL,GS,,", "bb"},
                {SCALE, "OL,GS,  OVER  kg", "bb"},
                {SCALE, "OL", "bb"},
                {SCALE, "OLD,GS,1kg", "malformed"},
                {SCALE, "ST,GS,+--------kg", "malformed"},
                {SCALE, "noise OL", "malformed"},
                {STRICT, "OL,GS,+--------kg", "bb"},
                {BEHIND, "   12.5 kg ST", "gg"},
                {BEHIND, "-------- kg OL", "bb"},
                {BEHIND, "OL", "bb"},
                {BEHIND, "  ---  OL?", "bb"},
                {BEHIND, "GOLD", "malformed"},
                {SICS, "S S     100.00 g", "uu"},
                {SICS, "S I", "bb"},
                {SICS, "S +", "bb"},
                {SICS, "S -", "bb"},
                {SICS, "S IDLE", "malformed"},
                {SICS, "ES", "malformed"},
                {GROUPS, "w-,],)(OL", "bb"},
                {TWO, "W,OL,---", "bb"},
                {TWO, "T,OL", "malformed"},
                {INSIDE, "W,OL,---", "bb"},
                {INSIDE, "T,OL", "malformed"},
                {EMPTY, "OL,,", "bb"},
                {FIELDS, "ST,1,kg", "gg"},
                {FIELDS, "OL,,kg", "bb"},
                {FIELDS, "OL,,", "bb"},
                {EMPTY, "OL ,,", "bb"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++)
                if (strcmp(told(rows[i].match, rows[i].line), rows[i].told) != 0)
                        fail_msg("%s on %s: %s", rows[i].match, rows[i].line, told(rows[i].match, rows[i].line));
}

/* One that can't be made, or has no room. */
static void no_loose_expression(void **state)
{
        static const char *const odd[] = {"\\E"};
        const struct schema_list words = LIST(bad), strange = LIST(odd), none = {NULL, 0};
        char deep[200] = "", room[4096];

        assert_true(loose_pattern(room, sizeof(room), "(?<s>x)", "s", &words));
        assert_false(loose_pattern(room, sizeof(room), "(?<s>x)", "t", &words));
        assert_false(loose_pattern(room, sizeof(room), "(?<s>x)", "s", &strange));
        assert_false(loose_pattern(room, sizeof(room), "(?<s>x)", "s", &none));
        assert_false(loose_pattern(room, 16, "(?<s>x)", "s", &words));
        assert_false(loose_pattern(room, sizeof(room), ")(?<s>x)", "s", &words));
        assert_false(loose_pattern(room, sizeof(room), "[(?<s>x)", "s", &words));
        assert_false(loose_pattern(room, sizeof(room), "(?<s", "s", &words));
        for (int i = 0; i < 40; i++)
                strcat(deep, "(a");
        strcat(deep, "(?<s>x)");
        assert_false(loose_pattern(room, sizeof(room), deep, "s", &words));
}

/* Lines of two kinds: what is bad in the one says nothing of the other. */
static void kinds_of_lines(void **state)
{
        static const struct {
                const char *pattern;
                bool has_branches;
        } rows[] = {{"a|b", true},           {"(?<a>x|y)", false},     {"(?<a>(?:x|y))|z", true},
                    {"(?:x|(?<a>y))", true}, {"[|]\\|\\Q|\\E", false}, {"(?<a>x)(y|z)", true}};

        told(KINDS, "OL,A12");
        assert_int_equal(out.n, 1);
        assert_int_equal(out.value[0], 0);
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(loose_has_branches(rows[i].pattern), rows[i].has_branches);
}

static void lines_of_no_interest(void **state)
{
        static const char *const ignored[] = {"^[0-9]-[0-9]:", "^$|^/|^!"}, *const wrong[] = {"("};
        static const struct serial_reading_conf one[] = {{.tag = "power", .convert.scale = 1}};
        struct serial_conf conf = {
                .match = "^1-0:1\\.7\\.0\\((?<power>[0-9.]+)\\*kW\\)", .ignore = LIST(ignored), .readings = LIST(one)};
        static const struct {
                const char *line;
                bool is_read, is_ignored;
        } rows[] = {{"1-0:1.7.0(00.193*kW)", true, true},
                    {"1-0:2.7.0(00.000*kW)", false, true},
                    {"!522B", false, true},
                    {"hello", false, false}};
        struct serial_decoder d;
        const char *key;
        struct err e;

        assert_int_equal(serial_decoder_init(&d, &conf, &key, &e), 0);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                const uint8_t *line = (const uint8_t *)rows[i].line;

                assert_int_equal(serial_decode(&d, line, strlen(rows[i].line), 0, &out) == 0, rows[i].is_read);
                assert_int_equal(serial_decoder_ignores(&d, line, strlen(rows[i].line)), rows[i].is_ignored);
        }
        serial_decoder_fini(&d);
        conf.ignore = (struct schema_list)LIST(wrong);
        assert_int_equal(serial_decoder_init(&d, &conf, &key, &e), -1);
        assert_string_equal(key, "ignore");
        serial_decoder_fini(&d);
}

/* The conversion of all drivers, on what a line has. */
static void meanings(void **state)
{
        static const char *const words[] = {"ON"}, *const none[] = {"----"}, *const range[] = {"0", "100"};
        static const struct serial_reading_conf wanted[] = {
                {.tag = "a", .type = SERIAL_BOOLEAN, .convert = {.scale = 1, .yes = LIST(words)}},
                {.tag = "b", .type = SERIAL_INTEGER, .convert = {.scale = 0.1}},
                {.tag = "c", .unit = "kg", .convert = {.scale = 1, .none = LIST(none), .range = LIST(range)}},
                {.tag = "d", .convert = {.scale = 1}},
        };
        struct serial_conf conf = {
                .match = "(?<a>.*);(?<b>.*);(?<c>.*);(?<d>.*)", .decimal = CONVERT_COMMA, .readings = LIST(wanted)};
        struct serial_decoder d;
        const char *key;
        struct err e;

        assert_int_equal(serial_decoder_init(&d, &conf, &key, &e), 0);
        assert_int_equal(serial_decode(&d, (const uint8_t *)"on;125;12,5 kg;ST", 17, 0, &out), 0);
        assert_true(out.r[0].type == READING_BOOL && out.r[0].v.b);
        assert_true(out.r[1].type == READING_I64 && out.r[1].v.i64 == 13);
        assert_true(out.r[2].v.f64 == 12.5);
        assert_memory_equal(out.r[3].v.text, "ST", 2); /* a comma does not say that it is a number */
        assert_null(out.unfit);
        assert_int_equal(serial_decode(&d, (const uint8_t *)"off;x;----;1,5", 14, 0, &out), 0);
        assert_true(out.r[0].type == READING_BOOL && !out.r[0].v.b);
        assert_int_equal(out.r[1].quality, QUALITY_BAD_SENSOR);
        assert_int_equal(out.r[2].quality, QUALITY_BAD_SENSOR);
        assert_true(out.r[3].v.f64 == 1.5);
        assert_string_equal(out.unfit, "b");
        assert_int_equal(serial_decode(&d, (const uint8_t *)"0;1;100,5;1.5", 13, 0, &out), 0);
        assert_int_equal(out.r[2].quality, QUALITY_BAD_OUT_OF_RANGE);
        assert_int_equal(out.r[3].type, READING_TEXT);
        serial_decoder_fini(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_status_says_bad),
                cmocka_unit_test(no_loose_expression),
                cmocka_unit_test(kinds_of_lines),
                cmocka_unit_test(lines_of_no_interest),
                cmocka_unit_test(meanings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
