/*
 * Tag lists: fields of a CSV, what headers mean, addresses, types and scales as integrators write them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/cli/commission/tag_row.h"

static void test_fields(void **state)
{
        char text[] = "\xef\xbb\xbf"
                      "a;b ;\"c;d\"\r\n\n;;\n1;\"say \"\"no\"\"\";\n\"open;2\n;x;\"\"";
        struct csv c;
        size_t len = strlen(text);
        char *room = mem_alloc(len + 1);

        memcpy(room, text, len);
        csv_init(&c, room, len);
        assert_true(csv_next(&c));
        assert_int_equal(c.n, 3);
        assert_string_equal(c.field[1], "b");
        assert_string_equal(c.field[2], "c;d");
        assert_true(csv_next(&c));
        assert_int_equal(c.line, 4);
        assert_string_equal(c.field[1], "say \"no\"");
        assert_string_equal(c.field[2], "");
        assert_true(csv_next(&c));
        assert_string_equal(c.field[0], "\"open");
        assert_string_equal(c.field[1], "2");
        assert_true(csv_next(&c));
        assert_string_equal(c.field[1], "x");
        assert_string_equal(c.field[2], "");
        assert_false(csv_next(&c));
        free(room);
}

static void test_windows_1252(void **state)
{
        size_t len = 5;
        char *out = csv_utf8("\xd6l\x80\xb0 ", &len);

        assert_string_equal(out, "Öl€° ");
        assert_int_equal(len, strlen(out));
        free(out);
        len = 3;
        out = csv_utf8("Öa", &len);
        assert_string_equal(out, "Öa");
        free(out);
}

/* One line under a header, as text: "table:address type order bit length scale offset slave unit", or why not. */
static void read_line(const char *header, const char *line, char *out, size_t cap)
{
        static const char *const tables[] = {"coil", "discrete", "holding", "input"};
        struct tag_columns columns;
        struct tag_row r;
        struct csv c;
        struct err e;
        size_t n, len = strlen(header) + strlen(line) + 1;
        char *text = mem_alloc(len + 1);

        sprintf(text, "%s\n%s", header, line);
        csv_init(&c, text, len);
        assert_true(csv_next(&c));
        tag_columns_find(&columns, &c, &n);
        assert_true(csv_next(&c));
        if (tag_row_read(&r, &columns, &c, &e) < 0)
                snprintf(out, cap, "%s", e.text);
        else
                snprintf(out, cap, "%s %s:%u %s %s %d %d %g %g %d %s", r.name, tables[r.table], r.address, r.type,
                         r.order ? r.order : "-", r.bit, r.length, r.scale, r.offset, r.slave, r.unit);
        free(text);
}

static void test_rows(void **state)
{
        static const struct {
                const char *header, *line, *want;
        } rows[] = {
                {"name,address,type,unit,scale", "v,40001,float,V,0.1", "v holding:0 float32 - -1 -1 0.1 0 1 V"},
                {"Tag Name,Address,Data Type", "v,400100,Word", "v holding:99 uint16 - -1 -1 1 0 1 "},
                {"Tag;Register;Datentyp;Faktor;Einheit", "v;30010;DINT;1/10;°C", "v input:9 int32 - -1 -1 0.1 0 1 °C"},
                {"signal\tmodbus address\tFC", "v\t0x10\t4", "v input:16 uint16 - -1 -1 1 0 1 "},
                {"name,reg,function code,slave id", "v,7,03,17", "v holding:7 uint16 - -1 -1 1 0 17 "},
                {"name,address", "v,40001.3", "v holding:0 bit - 3 -1 1 0 1 "},
                {"name,address,bit", "v,HR5,12", "v holding:5 bit - 12 -1 1 0 1 "},
                {"name,address,type", "v,%MW100,REAL", "v holding:100 float32 - -1 -1 1 0 1 "},
                {"name,address,type", "v,3x0012,S16", "v input:11 int16 - -1 -1 1 0 1 "},
                {"name,address,type", "v,00017,bool", "v coil:16 bool - -1 -1 1 0 1 "},
                {"name,address,type", "v,holding:12,U32", "v holding:12 uint32 - -1 -1 1 0 1 "},
                {"name,address,type,length", "v,40010,string,8", "v holding:9 string - -1 8 1 0 1 "},
                {"name,address,word order,type", "v,40010,little-endian,double",
                 "v holding:9 float64 DCBA -1 -1 1 0 1 "},
                {"name,address,divisor,offset", "v,40001,10,-40", "v holding:0 uint16 - -1 -1 0.1 -40 1 "},
                {"name,address,scaling,raw low,raw high,scaled low,scaled high", "v,400001,Linear,0,1000,-50,50",
                 "v holding:0 uint16 - -1 -1 0.1 -50 1 "},
                {"name,address,scaling", "v,400001,None", "v holding:0 uint16 - -1 -1 1 0 1 "},
                {"name,address,scale", "v,40001-40002,\"0,01\"", "v holding:0 uint16 - -1 -1 0.01 0 1 "},
                {"name,address,scale", "v,40001,10^-2", "v holding:0 uint16 - -1 -1 0.01 0 1 "},
                {"name,address,scale", "v,40001,big", "scale \"big\" is no number"},
                {"name,address,type", "v,40001,complex", "type \"complex\" is not known"},
                {"name,address,type", "v,40001,string", "a string needs its length in registers, 1 to 125"},
                {"name,address,access", "v,40001,W", "it can only be written"},
                {"name,address", "v,", "no address"},
                {"name,address", "v,DB5.DBW2",
                 "address \"DB5.DBW2\" can't be read; known: 40001, 400001, holding:0, HR0, %MW0"},
                {"name,address,table", "v,5,queue",
                 "\"queue\" is no table; allowed: coil, discrete, holding, input, or 1 to 4"},
                {"name,address,unit id", "v,40001,300", "\"300\" is no unit id: 0 to 255"},
                {"name,address,scale", "v,40001,0", "a scale of 0 would make every value the same"},
        };
        char out[600];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                read_line(rows[i].header, rows[i].line, out, sizeof(out));
                assert_string_equal(out, rows[i].want);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_windows_1252),
                cmocka_unit_test(test_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
