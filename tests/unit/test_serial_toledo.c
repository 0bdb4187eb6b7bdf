/*
 * The continuous output of scales: frames worked out by hand from the table of status words in Mettler-Toledo's manuals
 * (IND560 technical manual, "Continuous output mode").
 */
#include "tests/lib/serial_frames.h"

#include "drivers/serial/decode.h"
#include "drivers/serial/toledo.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }
#define BYTES(s) s, sizeof(s) - 1

static void frames(void **state)
{
        struct serial_conf conf = {.frame = SERIAL_TOLEDO};

        frames_check(&conf, BYTES("345   12\r\x02,0   1250   200\r\x02,0   1251   200\r\x02,"),
                     "345   12|\\02,0   1250   200|\\02,0   1251   200|#!the line was not ended|");
        conf.checksum.kind = SERIAL_CHECK_SUM7_TWOS;
        frames_check(&conf, BYTES("\x02,0   1250   200\r{\x02,0   1251   200\r{12\r9\x02,0   1251   200\rz"),
                     ",0   1250   200|!wrong checksum|!no checksum|,0   1251   200|#");
}

static struct serial_decoded out;

/* w t n m u, as they come out; ? behind what is uncertain, - for what is bad. */
static const char *told(const char *frame, const char *unit)
{
        static char text[200];
        const struct serial_reading_conf readings[] = {{.tag = "weight", .unit = unit, .convert.scale = 1},
                                                       {.tag = "t", .value = "tare", .convert.scale = 1},
                                                       {.tag = "net", .convert.scale = 1},
                                                       {.tag = "motion", .convert.scale = 1},
                                                       {.tag = "unit", .convert.scale = 1}};
        struct serial_conf conf = {.frame = SERIAL_TOLEDO, .readings = LIST(readings)};
        struct serial_decoder d;
        const char *key;
        struct err e;
        size_t n = 0;

        assert_int_equal(serial_decoder_init(&d, &conf, &key, &e), 0);
        *text = '\0';
        if (serial_decode(&d, (const uint8_t *)frame, strlen(frame), 0, &out) == SERIAL_E_MALFORMED)
                strcpy(text, out.reason);
        for (size_t i = 0; i < out.n; i++) {
                const struct reading *r = &out.r[i];
                const char *sure = r->quality == QUALITY_UNCERTAIN ? "?" : "";

                if (r->type == READING_F64)
                        n += (size_t)sprintf(text + n, "%.10g%s ", r->v.f64, sure);
                else if (r->type == READING_BOOL)
                        n += (size_t)sprintf(text + n, "%d ", r->v.b);
                else if (r->type == READING_TEXT)
                        n += (size_t)sprintf(text + n, "%.*s", (int)r->len, r->v.text);
                else
                        n += (size_t)sprintf(text + n, "- ");
        }
        serial_decoder_fini(&d);
        return text;
}

static void weights(void **state)
{
        static const struct {
                const char *frame, *unit, *told;
        } rows[] = {
                {"\x02,0   1250   200", NULL, "12.5 2 0 0 kg"},
                {"noise\x02,0   1250   200", "kg", "12.5 2 0 0 kg"},
                {",0   1250   200", "kg", "12.5 2 0 0 kg"},
                {"\x02+3   1250   200", NULL, "-125 20 1 0 kg"},
                {"\x02*8   1250   200", NULL, "1250? 200 0 1 kg"},
                {"\x02)  000012000000", NULL, "120 0 0 0 lb"},
                {"\x02(  000012000000", NULL, "1200 0 0 0 lb"},
                {"\x02/0!123456000000", NULL, "1.23456 0 0 0 g"},
                {"\x02,2     0     0 ", NULL, "- - 0 0 kg"},
                {"\x02,2      0     0", NULL, "0 0 0 0 kg"}, /* there is no -0 */
                {"\x02,4   1250   200", NULL, "- 2 0 0 kg"},
                {"\x02,p   1250   200", NULL, "- 2 0 0 kg"},
                {"\x02,0 ------   200", NULL, "- 2 0 0 kg"},
                {"\x02,0 -----   200", NULL, "not the output of a scale"},
                {"\x02,0        ", NULL, "not the output of a scale"},
                {"\x02\x0c"
                 "0   1250   200",
                 NULL, "not the output of a scale"},
                {"\x02,0   1250   200", "lb", "- 2 0 0 kg"},
                {"\x02,00001250   200", NULL, "12.5? 2 0 0 kg"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (strcmp(told(rows[i].frame, rows[i].unit), rows[i].told) != 0)
                        fail_msg("%zu: %s, not %s", i, told(rows[i].frame, rows[i].unit), rows[i].told);
        }
        told("\x02,0   1250   200", "lb");
        assert_string_equal(out.unfit, "weight");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(frames), cmocka_unit_test(weights)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
