/*
 * Telegrams of meters: what is one, and what is in it. The values were read of the same telegrams with dsmr_parser 1.11
 * (PyPI), which also found their CRC right.
 */
#include "tests/lib/serial_frames.h"

#include "drivers/serial/decode.h"
#include "drivers/serial/obis.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }
#define NOW_US INT64_C(1796040000000000)

static const char
        version_5[] = "/MLR5meter-1\r\n"
                      "\r\n"
                      "1-3:0.2.8(50)\r\n"
                      "0-0:1.0.0(261130120005W)\r\n"
                      "1-0:1.8.1(012345.678*kWh)\r\n"
                      "1-0:1.8.2(000000.001*kWh)\r\n"
                      "1-0:1.7.0(01.193*kW)\r\n"
                      "1-0:99.97.0(2)(0-0:96.7.19)(260104180320W)(0000237126*s)(260701000001S)(0000000301*s)\r\n"
                      "0-0:96.13.0()\r\n"
                      "0-1:24.1.0(003)\r\n"
                      "0-1:96.1.0(4D4C52)\r\n"
                      "0-1:24.2.1(260701110500S)(00981.443*m3)\r\n"
                      "!7EB9\r\n",
        version_3[] = "/MLR3meter-2\r\n"
                      "\r\n"
                      "0-0:96.1.1(4D4C52)\r\n"
                      "1-0:1.8.1(00512.250*kWh)\r\n"
                      "0-1:24.1.0(03)\r\n"
                      "0-1:24.3.0(121030140000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n"
                      "(00042.125)\r\n"
                      "!\r\n",
        mode_d[] = "/MLR5D0 V1.0\r\n\r\n1-0:1.8.0*255(00052185.7825309*kWh)\r\n1-0:1.7.0*255(-00412.86*W)\r\n!\r\n";

/* How many frames, and how many broken ones with which reason last. */
static void counted(const char *bytes, size_t n_frames, size_t n_broken, const char *reason)
{
        struct serial_conf conf = {.frame = SERIAL_P1};
        static char got[32768];
        size_t n = 0, broken = 0;

        for (size_t piece = 1; piece < 4096; piece *= 9) {
                frames_run(&conf, bytes, strlen(bytes), piece, got);
                n = broken = 0;
                for (char *s = strtok(got, "|#"); s; s = strtok(NULL, "|#")) {
                        if (*s == '!')
                                assert_string_equal(s + 1, reason);
                        n += *s != '!';
                        broken += *s == '!';
                }
                assert_int_equal(n, n_frames);
                assert_int_equal(broken, n_broken);
        }
}

static void framing(void **state)
{
        char text[8192];

        counted(version_5, 1, 0, "");
        counted(version_3, 1, 0, "");
        counted(mode_d, 1, 0, "");
        sprintf(text, "3*kWh)\r\n!AB12\r\n%s\xff\xff  25803103\r\n/ nothing\r\n%s", mode_d, version_5);
        counted(text, 2, 0, "");
        sprintf(text, "%.200s\r\n%s", version_5, version_5); /* the end was lost */
        counted(text, 1, 1, "the telegram was not ended");
        sprintf(text, "%.200s", version_5);
        counted(text, 0, 1, "the telegram was not ended");
        strcpy(text, version_5);
        text[100] ^= 1;
        counted(text, 0, 1, "wrong checksum");
        text[100] = '\x80';
        counted(text, 0, 1, "a byte that is no text");
        sprintf(text, "%.*s\r\n", (int)(strrchr(version_5, '!') - version_5 + 1), version_5);
        counted(text, 0, 1, "no checksum"); /* it names its version: that has one */
        sprintf(text, "%.*sZ\r\n", (int)(strrchr(version_5, '!') - version_5 + 4), version_5);
        counted(text, 0, 1, "wrong checksum");
        memset(text, 'x', 6000);
        memcpy(text, "/MLR", 4);
        text[6000] = '\0';
        counted(text, 0, 1, "longer than max_frame");
}

static struct serial_decoded out;

static int decode(const struct serial_conf *conf, const char *telegram)
{
        struct serial_decoder d;
        const char *key;
        struct err e;
        int r;

        assert_int_equal(serial_decoder_init(&d, conf, &key, &e), 0);
        r = serial_decode(&d, (const uint8_t *)telegram, (size_t)(strrchr(telegram, '!') - telegram), NOW_US, &out);
        serial_decoder_fini(&d);
        return r;
}

static const struct serial_reading_conf readings[] = {
        {.tag = "energy", .value = "1-0:1.8.1", .field = -1, .unit = "kWh", .convert.scale = 1},
        {.tag = "1-0:1.7.0", .field = -1, .convert.scale = 1000},
        {.tag = "gas", .value = "0-1:24.2.1", .field = 2, .convert.scale = 1},
        {.tag = "gas-at", .value = "0-1:24.2.1", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
        {.tag = "note", .value = "0-0:96.13.0", .field = -1, .convert.scale = 1},
        {.tag = "cut", .value = "1-0:99.97.0", .field = -1, .type = SERIAL_TEXT, .convert.scale = 1},
        {.tag = "gone", .value = "1-0:1.8.4", .field = -1, .convert.scale = 1},
};

static void values(void **state)
{
        struct serial_conf conf = {.frame = SERIAL_P1, .readings = LIST(readings)};

        assert_int_equal(decode(&conf, version_5), 0);
        assert_int_equal(out.n, 6);
        assert_int_equal(out.n_absent, 1);
        assert_true(out.r[0].v.f64 == 12345.678);
        assert_true(out.r[1].v.f64 == 1193);
        assert_true(out.r[2].v.f64 == 981.443);
        assert_memory_equal(out.r[3].v.text, "2026-07-01T09:05:00.000000Z", out.r[3].len);
        assert_int_equal(out.r[4].quality, QUALITY_BAD_SENSOR);
        assert_memory_equal(out.r[5].v.text, "0000000301*s", out.r[5].len);
        assert_int_equal(out.r[0].ts_us, NOW_US);

        conf.time = SERIAL_TIME_TELEGRAM;
        assert_int_equal(decode(&conf, version_5), 0);
        assert_int_equal(out.r[0].ts_us, INT64_C(1796036405000000)); /* 2026-11-30 11:00:05 */
        assert_int_equal(out.r[2].ts_us, INT64_C(1782896700000000)); /* 2026-07-01 09:05:00 */
        assert_int_equal(out.r[2].flags, READING_SOURCE_TIME);
        conf.zone = "+02:00";
        assert_int_equal(decode(&conf, version_5), 0);
        assert_int_equal(out.r[0].ts_us, INT64_C(1796032805000000));
}

/* The value in the line behind its address; *255. */
static void older_ones(void **state)
{
        static const struct serial_reading_conf gas[] = {
                {.tag = "gas", .value = "0-1:24.3.0", .field = -1, .convert.scale = 1},
                {.tag = "unit", .value = "0-1:24.3.0", .field = 6, .convert.scale = 1}};
        static const struct serial_reading_conf now[] = {
                {.tag = "energy", .value = "1-0:1.8.0", .field = -1, .convert.scale = 1},
                {.tag = "power", .value = "1-0:1.7.0*255", .field = -1, .convert.scale = 1}};
        struct serial_conf conf = {.frame = SERIAL_P1, .readings = LIST(gas)};

        assert_int_equal(decode(&conf, version_3), 0);
        assert_true(out.r[0].v.f64 == 42.125);
        assert_memory_equal(out.r[1].v.text, "m3", 2);
        conf.readings = (struct schema_list)LIST(now);
        assert_int_equal(decode(&conf, mode_d), 0);
        assert_true(out.r[0].v.f64 == 52185.7825309);
        assert_true(out.r[1].v.f64 == -412.86);
}

/* A meter that counts Wh where kWh are configured. */
static void another_unit(void **state)
{
        static const struct serial_reading_conf wanted[] = {
                {.tag = "a", .value = "1-0:1.8.0", .field = -1, .unit = "kWh", .convert.scale = 1},
                {.tag = "b", .value = "1-0:1.8.0", .field = -1, .unit = "kWh", .convert.scale = 0.001},
                {.tag = "c", .value = "1-0:1.8.0", .field = -1, .convert.scale = 1},
                {.tag = "d", .value = "1-0:1.8.0", .field = -1, .unit = "Wh", .convert.scale = 1},
                {.tag = "e", .value = "0-1:24.2.1", .field = -1, .unit = "m3", .convert.scale = 1}};
        struct serial_conf conf = {.frame = SERIAL_P1, .readings = LIST(wanted)};

        assert_int_equal(decode(&conf, "/EST5\r\n1-0:1.8.0(006545766*Wh)\r\n0-1:24.2.1(101209112500W)(12785.123*m3)!"),
                         0);
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        assert_string_equal(out.unfit, "a");
        assert_true(out.r[1].v.f64 == 6545.766);
        assert_true(out.r[2].v.f64 == 6545766);
        assert_true(out.r[3].v.f64 == 6545766);
        assert_true(out.r[4].v.f64 == 12785.123);
}

static void all_or_none(void **state)
{
        static const char *const wrong[] = {
                "/MLR\r\n1-0:1.8.1(1)\r\n1-0:1.8.2(2!", "/MLR\r\n1-0:1.8.1(1)\r\n1-0:1.8.2!",
                "/MLR\r\n(1)\r\n1-0:1.8.1(1)!",         "/MLR\r\n1-0:1.8.1(1)\r\n1-0:1.8.2(2\r\n)!",
                "/MLR\r\n1-0:1.8.1(1)\r\nx y!",         "/MLR\r\n1-0:1.8.1(1(2))!"};
        struct serial_conf conf = {.frame = SERIAL_P1, .readings = LIST(readings)};

        for (size_t i = 0; i < LENGTH(wrong); i++) {
                assert_int_equal(decode(&conf, wrong[i]), SERIAL_E_MALFORMED);
                assert_string_equal(out.reason, "not the text of a meter");
                assert_int_equal(out.n, 0);
        }
        assert_int_equal(decode(&conf, "/MLR\r\n1-0:9.9.9(1)!"), SERIAL_E_MALFORMED);
}

static void times(void **state)
{
        static const char *const wrong[] = {"",
                                            "261130120005",
                                            "261130120005X",
                                            "261330120005W",
                                            "2611301200055W",
                                            "26113a120005W",
                                            "(61130120005W"};
        int64_t us;

        assert_true(obis_time("260701000001S", 13, 0, &us));
        assert_int_equal(us, INT64_C(1782860401000000));
        for (size_t i = 0; i < LENGTH(wrong); i++)
                assert_false(obis_time(wrong[i], strlen(wrong[i]), 0, &us));
        assert_true(obis_zone("-03:30", &us));
        assert_int_equal(us, INT64_C(-12600000000));
        assert_false(obis_zone("CET", &us));
        assert_false(obis_zone("", &us));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(framing),      cmocka_unit_test(values),
                                           cmocka_unit_test(older_ones),   cmocka_unit_test(all_or_none),
                                           cmocka_unit_test(another_unit), cmocka_unit_test(times)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
