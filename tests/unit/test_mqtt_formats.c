/*
 * mqtt_formats: payloads other than JSON, by the same pointers.
 *
 * The bytes of CBOR and MessagePack were made by Python's cbor2 and msgpack of what stands above them; those of SenML
 * are the examples of RFC 8428 (5.1 and 6); lines are those of InfluxDB's line protocol reference.
 */
#include <zlib.h>

#include "tests/lib/mqtt_take.h"

static struct mqtt_reading_conf by_id[] = {{.tag = "{/id}", .value = "/v"}};

/* {"n": "pump", "vals": [{"id": "a", "v": 1.5}, {"id": "b", "v": -7}, {"id": 7, "v": True}, {"id": "d", "v": None},
 * {"id": "e", "v": "on"}, {"id": "f", "v": 2**40}, {"id": "g", "v": {"x": 1}}, {"id": "h", "v": b"\\x01\\xff"}], "t":
 * 1795427999} */
static const char cbor[] =
        "\xa3\x61\x6e\x64\x70\x75\x6d\x70\x64\x76\x61\x6c\x73\x88\xa2\x62\x69\x64\x61\x61\x61\x76\xfb\x3f"
        "\xf8\x00\x00\x00\x00\x00\x00\xa2\x62\x69\x64\x61\x62\x61\x76\x26\xa2\x62\x69\x64\x07\x61\x76\xf5"
        "\xa2\x62\x69\x64\x61\x64\x61\x76\xf6\xa2\x62\x69\x64\x61\x65\x61\x76\x62\x6f\x6e\xa2\x62\x69\x64"
        "\x61\x66\x61\x76\x1b\x00\x00\x01\x00\x00\x00\x00\x00\xa2\x62\x69\x64\x61\x67\x61\x76\xa1\x61\x78"
        "\x01\xa2\x62\x69\x64\x61\x68\x61\x76\x42\x01\xff\x61\x74\x1a\x6b\x04\x0e\x9f";
static const char msgpack[] =
        "\x83\xa1\x6e\xa4\x70\x75\x6d\x70\xa4\x76\x61\x6c\x73\x98\x82\xa2\x69\x64\xa1\x61\xa1\x76\xcb\x3f"
        "\xf8\x00\x00\x00\x00\x00\x00\x82\xa2\x69\x64\xa1\x62\xa1\x76\xf9\x82\xa2\x69\x64\x07\xa1\x76\xc3"
        "\x82\xa2\x69\x64\xa1\x64\xa1\x76\xc0\x82\xa2\x69\x64\xa1\x65\xa1\x76\xa2\x6f\x6e\x82\xa2\x69\x64"
        "\xa1\x66\xa1\x76\xcf\x00\x00\x01\x00\x00\x00\x00\x00\x82\xa2\x69\x64\xa1\x67\xa1\x76\x81\xa1\x78"
        "\x01\x82\xa2\x69\x64\xa1\x68\xa1\x76\xc4\x02\x01\xff\xa1\x74\xce\x6b\x04\x0e\x9f";

static void test_the_same_in_both(void **state)
{
        struct mqtt_sub_conf sub = {.topic = "b",
                                    .payload = MQTT_CBOR,
                                    .each = "/vals",
                                    .source = "{$/n}",
                                    .time = "$/t",
                                    .readings = {by_id, 1}};
        static const char want[] =
                "pump/a=1.5@-1000 pump/b=-7@-1000 pump/7=true@-1000 pump/d:sensor@-1000 pump/e=on@-1000 "
                "pump/f=1.099511628e+12@-1000 pump/g:config@-1000 pump/h=\x01\xff@-1000 ";

        assert_string_equal(TAKE_BYTES(&sub, "b", cbor), want);
        sub.payload = MQTT_MSGPACK;
        assert_string_equal(TAKE_BYTES(&sub, "b", msgpack), want);
        for (size_t n = 0; n < sizeof(cbor) - 1; n++) { /* whatever is missing at the end */
                struct mqtt_bytes part[] = {{cbor, n}, {NULL, 0}};

                sub.payload = MQTT_CBOR;
                assert_int_equal(strncmp(mqtt_take(&sub, "b", part), "kept(", 5), 0);
        }
        for (size_t n = 0; n < sizeof(msgpack) - 1; n++) {
                struct mqtt_bytes part[] = {{msgpack, n}, {NULL, 0}};

                sub.payload = MQTT_MSGPACK;
                assert_int_equal(strncmp(mqtt_take(&sub, "b", part), "kept(", 5), 0);
        }
}

static void test_numbers(void **state)
{
        struct mqtt_reading_conf all[] = {{.tag = "{key}"}}, u[] = {{.tag = "u"}},
                                 h[] = {{.tag = "h"}, {.tag = "d"}, {.tag = "f"}};
        struct mqtt_sub_conf sub = {.topic = "b", .payload = MQTT_MSGPACK, .each = "", .readings = {all, 1}};

        assert_string_equal(
                TAKE_BYTES(&sub, "b",
                           "\x8b\xa1\x66\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa2\x75\x38\xcc\xc8\xa3\x75\x31\x36\xcd"
                           "\xea\x60"
                           "\xa3\x75\x33\x32\xce\xee\x6b\x28\x00\xa3\x75\x36\x34\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"
                           "\xa2\x69"
                           "\x38\xd0\x9c\xa3\x69\x31\x36\xd1\x8a\xd0\xa3\x69\x33\x32\xd2\x88\xca\x6c\x00\xa3\x69\x36"
                           "\x34\xd3"
                           "\xc0\x00\x00\x00\x00\x00\x00\x00\xa1\x73\xd9\x28\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78"
                           "\x78\x78"
                           "\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78\x78"
                           "\x78\x78"
                           "\x78\x78\x78\x78\xa2\x74\x73\xd7\xff\x77\x35\x94\x00\x6b\x04\x0e\x9f"),
                "plant/f=1.5 plant/u8=200 plant/u16=60000 plant/u32=4000000000 plant/u64=9223372036854775807 "
                "plant/i8=-100 plant/i16=-30000 plant/i32=-2000000000 plant/i64=-4611686018427387904 "
                "plant/s=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx plant/ts=1795428000 ");
        TAKE_BYTES(&sub, "b", "\x81\xa1\x75\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_non_null(strstr(why, "an integer of more than 64 bits"));
        /* {"h": 1.5, "f": 3.4028234663852886e+38, "d": 1.1, "n": -2**64, "u": 2**64 - 1}, as short as can be */
        sub = (struct mqtt_sub_conf){.topic = "b", .payload = MQTT_CBOR, .readings = {h, 3}};
        assert_string_equal(
                TAKE_BYTES(&sub, "b",
                           "\xa5\x61\x64\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a\x61\x66\xfa\x7f\x7f\xff\xff\x61\x68\xf9"
                           "\x3e\x00"
                           "\x61\x6e\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x61\x75\x1b\xff\xff\xff\xff\xff\xff\xff\xff"),
                "plant/h=1.5 plant/d=1.1 plant/f=3.402823466e+38 ");
        sub.readings = (struct schema_list){u, 1};
        TAKE_BYTES(&sub, "b",
                   "\xa5\x61\x64\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a\x61\x66\xfa\x7f\x7f\xff\xff\x61\x68\xf9\x3e\x00"
                   "\x61\x6e\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x61\x75\x1b\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_non_null(strstr(why, "an integer of more than 64 bits"));
        /* {"t": 2026-11-23T09:59:59Z (tag 0), "v": 4} */
        sub = (struct mqtt_sub_conf){
                .topic = "b", .payload = MQTT_CBOR, .time = "/t", .time_format = MQTT_ISO8601, .readings = {by_id, 1}};
        by_id[0].tag = "v";
        assert_string_equal(TAKE_BYTES(&sub, "b",
                                       "\xa2\x61\x74\xc0\x74\x32\x30\x32\x36\x2d\x31\x31\x2d\x32\x33\x54\x30\x39\x3a"
                                       "\x35\x39\x3a\x35\x39"
                                       "\x5a\x61\x76\x04"),
                            "plant/v=4@-1000 ");
        by_id[0].tag = "{/id}";
}

/* Ids of 64 bits (EUI-64), as whatever they are sent. */
static void test_names_of_64_bits(void **state)
{
        struct mqtt_sub_conf sub = {.topic = "b", .payload = MQTT_CBOR, .each = "", .readings = {by_id, 1}};
        static const char want[] = "plant/18374686479671623681=1 plant/18374686479671623682=2 ";
        struct mqtt_reading_conf by_key[] = {{.tag = "{key}"}};

        assert_string_equal(TAKE_BYTES(&sub, "b",
                                       "\x82\xa2\x62\x69\x64\x1b\xff\x00\x00\x00\x00\x00\x00\x01\x61\x76\x01"
                                       "\xa2\x62\x69\x64\x1b\xff\x00\x00\x00\x00\x00\x00\x02\x61\x76\x02"),
                            want);
        sub.payload = MQTT_MSGPACK;
        assert_string_equal(TAKE_BYTES(&sub, "b",
                                       "\x92\x82\xa2\x69\x64\xcf\xff\x00\x00\x00\x00\x00\x00\x01\xa1\x76\x01"
                                       "\x82\xa2\x69\x64\xcf\xff\x00\x00\x00\x00\x00\x00\x02\xa1\x76\x02"),
                            want);
        sub.readings = (struct schema_list){by_key, 1};
        assert_string_equal(TAKE_BYTES(&sub, "b",
                                       "\x82\xcf\xff\x00\x00\x00\x00\x00\x00\x01\x01\xcf\xff\x00\x00\x00\x00"
                                       "\x00\x00\x02\x02"),
                            want);
        /* below -2^63 nothing tells them apart any more */
        sub.payload = MQTT_CBOR;
        TAKE_BYTES(&sub, "b", "\xa1\x3b\xff\x00\x00\x00\x00\x00\x00\x01\x01");
        assert_non_null(strstr(why, "a name that is not there"));
}

/* Containers without a length, and what claims to be long. */
static void test_odd_containers(void **state)
{
        struct mqtt_sub_conf sub = {.topic = "b", .payload = MQTT_CBOR, .each = "", .readings = {by_id, 1}};
        static const struct {
                int payload;
                struct mqtt_bytes bytes;
                const char *want; /* or a part of the reason */
        } rows[] = {
                {MQTT_CBOR, BYTES("\x9f\xbf\x62id\x61x\x61v\x02\xff\xff"), "plant/x=2 "},
                {MQTT_CBOR, BYTES("\x9f\xff"), ""},
                {MQTT_CBOR, BYTES("\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), "more than there is"},
                {MQTT_CBOR, BYTES("\x9a\x7f\xff\xff\xff\x01"), "more than there is"},
                {MQTT_CBOR, BYTES("\x7b\x7f\xff\xff\xff\xff\xff\xff\xff"), "too early"},
                {MQTT_CBOR, BYTES("\xbf\x01\xff"), "a break where"},
                {MQTT_CBOR, BYTES("\xff"), "a break where"},
                {MQTT_CBOR, BYTES("\x7f\x61\x61\xff"), "in pieces"},
                {MQTT_CBOR, BYTES("\x1c"), "CBOR does not have"},
                {MQTT_CBOR, BYTES("\xf8\x01"), "CBOR does not have"},
                {MQTT_CBOR, BYTES("\x9f\xa2\x62id\xd2\x61x\x61v\xc6\xd4\xd9\xd9\xf7\x02\xff"), "plant/x=2 "}, /* tags */
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x61x\x61v\xe0"), "plant/x:sensor "}, /* values without a meaning */
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x61x\x61v\xf3"), "plant/x:sensor "},
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x61x\x61v\xf8\xff"), "plant/x:sensor "},
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x61x\x61v\xf7"), "plant/x:sensor "},
                {MQTT_CBOR, BYTES("\xf8"), "CBOR does not have"},
                /* more than 32 bits, of which the lower ones would do */
                {MQTT_CBOR, BYTES("\x9b\0\0\0\x01\0\0\0\x01\xa2\x62id\x61x\x61v\x02"), "more than there is"},
                {MQTT_CBOR, BYTES("\xbb\0\0\0\x01\0\0\0\x01\x62id\x61x"), "more than there is"},
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x7b\0\0\0\x01\0\0\0\x01x\x61v\x02"), "too early"},
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x5b\xff\0\0\0\0\0\0\x01x\x61v\x02"), "too early"},
                {MQTT_CBOR, BYTES("\x81\xa2\x62id\x7b\0\0\0\0\0\0\0\x01x\x61v\x02"), "plant/x=2 "},
                {MQTT_CBOR, BYTES("\x80\x80"), "behind the end"},
                {MQTT_CBOR, BYTES("\xa1\x80\x01"), "a name that is"},
                {MQTT_CBOR, BYTES("\xc1"), "too early"},
                {MQTT_MSGPACK, BYTES("\xdd\xff\xff\xff\xff"), "more than there is"},
                {MQTT_MSGPACK, BYTES("\xdf\x7f\xff\xff\xff\x01\x01"), "more than there is"},
                {MQTT_MSGPACK, BYTES("\xc6\xff\xff\xff\xff"), "too early"},
                {MQTT_MSGPACK, BYTES("\xc9\xff\xff\xff\xff\x01"), "too early"},
                {MQTT_MSGPACK, BYTES("\xc1"), "MessagePack does not have"},
        };
        char deep[100];
        /* {true: {"id": "a", "v": 1}, false: {"id": "b", "v": 2}} */
        static const char odd_keys[] = "\xa2\xf5\xa2\x62id\x61"
                                       "a\x61v\x01\xf4\xa2\x62id\x61"
                                       "b\x61v\x02";

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const struct mqtt_bytes one[] = {rows[i].bytes, {NULL, 0}};
                const char *got;

                sub.payload = rows[i].payload;
                got = mqtt_take(&sub, "b", one);
                print_message("row %zu: %s\n", i, why);
                if (strncmp(got, "kept(", 5))
                        assert_string_equal(got, rows[i].want);
                else
                        assert_non_null(strstr(why, rows[i].want));
        }
        memset(deep, 0x81, sizeof(deep));
        sub.payload = MQTT_CBOR;
        assert_string_equal(TAKE_BYTES(&sub, "b", odd_keys), "plant/a=1 plant/b=2 ");
        mqtt_take(&sub, "b", (const struct mqtt_bytes[]){{deep, sizeof(deep)}, {NULL, 0}});
        assert_non_null(strstr(why, "deeper"));
}

/* Two members of one name: see test_mqtt_each. */
static void test_a_name_that_stands_twice(void **state)
{
        static struct mqtt_reading_conf v[] = {{.tag = "v"}}, by_key[] = {{.tag = "{key}"}},
                                        one[] = {{.tag = "one", .value = "/1"}};
        static const struct {
                int payload;
                struct mqtt_reading_conf *r;
                struct mqtt_bytes bytes;
        } rows[] = {
                {MQTT_CBOR, v, BYTES("\xa3\x61w\x01\x61v\x02\x61v\x03")},
                {MQTT_CBOR, v, BYTES("\xbf\x61v\x02\x61v\x02\xff")},
                {MQTT_CBOR, one, BYTES("\xa2\x01\x02\x61\x31\x03")}, /* 1 and "1" */
                {MQTT_CBOR, by_key, BYTES("\xa3\x61w\x01\x61v\x02\x61w\x03")},
                {MQTT_CBOR, by_key, BYTES("\xa3\x01\x01\x61v\x02\x61\x31\x03")},
                {MQTT_CBOR, by_key, BYTES("\xa2\x01\x01\x01\x02")},
                {MQTT_MSGPACK, v, BYTES("\x82\xa1v\x02\xa1v\x03")},
                {MQTT_MSGPACK, by_key, BYTES("\x82\xa1v\x02\xa1v\x03")},
                {MQTT_NDJSON, v, BYTES("{\"v\":1}\n{\"v\":1,\"v\":2}\n")},
                {MQTT_CSV, v, BYTES("v,w,v\n1,2,3\n")},
                {MQTT_CSV, by_key, BYTES("v,w,v\n1,2,3\n")},
                {MQTT_INFLUX, v, BYTES("m v=1,w=2,v=3")},
                {MQTT_INFLUX, by_key, BYTES("m v=1,w=2,v=3")},
                {MQTT_SENML, NULL, BYTES("[{\"n\":\"a\",\"v\":1,\"v\":2}]")},
                {MQTT_SENML, NULL, BYTES("\x81\xa3\x00\x61\x61\x02\x01\x02\x02")},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct mqtt_sub_conf sub = {.topic = "b",
                                            .source = "s",
                                            .payload = rows[i].payload,
                                            .readings = {rows[i].r, rows[i].r != NULL}};
                const struct mqtt_bytes bytes[] = {rows[i].bytes, {NULL, 0}};

                if (rows[i].payload == MQTT_INFLUX && rows[i].r == v)
                        v[0].value = "/fields/v";
                if (rows[i].payload == MQTT_INFLUX)
                        sub.each = rows[i].r == by_key ? "/fields" : NULL;
                else if (rows[i].r == by_key)
                        sub.each = "";
                print_message("row %zu\n", i);
                assert_int_equal(strncmp(mqtt_take(&sub, "b", bytes), "kept(", 5), 0);
                assert_non_null(strstr(why, JSON_TWICE));
        }
}

/* RFC 8428, 5.1.1 to 5.1.6; their times are of 2010, and not believed. */
static void test_senml_of_the_rfc(void **state)
{
        struct mqtt_sub_conf sub = {.topic = "s", .payload = MQTT_SENML, .source = "pack"};
        /* 6: the pack of 5.1.2 in CBOR */
        static const char pack[] =
                "\x87\xa7\x21\x78\x1burn:dev:ow:10e2073a0108006:\x22\xfb\x41\xd3\x03\xa1\x5b\x00\x10\x62\x23\x61\x41"
                "\x20\x05\x00\x67voltage\x01\x61V\x02\xfb\x40\x5e\x06\x66\x66\x66\x66\x66\xa3\x00\x67"
                "current\x06\x24\x02\xfb\x3f\xf3\x33\x33\x33\x33\x33\x33\xa3\x00\x67"
                "current\x06\x23\x02\xfb\x3f\xf4\xcc\xcc\xcc\xcc\xcc\xcd\xa3\x00\x67"
                "current\x06\x22\x02\xfb\x3f\xf6\x66\x66\x66\x66\x66\x66\xa3\x00\x67"
                "current\x06\x21\x02\xf9\x3e\x00\xa3\x00\x67"
                "current\x06\x20\x02\xfb\x3f\xf9\x99\x99\x99\x99\x99\x9a\xa3\x00\x67"
                "current\x06\x00\x02\xfb\x3f\xfb\x33\x33\x33\x33\x33\x33";
        struct mqtt_reading_conf split[] = {{.tag = "{/name}", .value = "/v", .unit = "{/u}"}};
        const struct mqtt_sub_conf in_one = {
                .topic = "s", .payload = MQTT_SENML, .source = "p", .readings = {split, 1}};
        const struct mqtt_sub_conf by_device = {
                .topic = "s", .payload = MQTT_SENML, .source = "{/device}", .readings = {split, 1}};

        assert_string_equal(TAKE(&by_device, "s", "[{\"n\":\"urn:dev:ow:10e2073a01080063\",\"u\":\"Cel\",\"v\":23.1}]"),
                            "urn_dev_ow._3a3a/10e2073a01080063=23.1[Cel] ");
        assert_string_equal(
                TAKE(&by_device, "s",
                     "[{\"bn\":\"dev-1/"
                     "\",\"n\":\"temp\",\"u\":\"Cel\",\"v\":20.7},{\"n\":\"hum\",\"u\":\"%RH\",\"v\":67.6}]"),
                "dev-1/temp=20.7[Cel] dev-1/hum=67.6[%RH] ");
        TAKE_BYTES(&sub, "s", pack);
        assert_int_equal(b.n_taken, 7);
        assert_string_equal(
                TAKE_BYTES(&in_one, "s", pack),
                "p/voltage=120.1?[V] p/current=1.2?[A] p/current=1.3?[A] p/current=1.4?[A] p/current=1.5?[A] "
                "p/current=1.6?[A] p/current=1.7?[A] ");
        assert_string_equal(
                TAKE(&by_device, "s",
                     "[{\"bn\":\"2001:db8::2\",\"bt\":1.320078429e+09,\"n\":\":temperature\",\"u\":\"Cel\",\"v\":25.2},"
                     "{\"n\":\":lock\",\"vb\":true},{\"n\":\":s\",\"vs\":\"Machine "
                     "Room\"},{\"n\":\":d\",\"vd\":\"aGkg\"}]"),
                "2001_db8__2._3a3a3a/temperature=25.2?[Cel] 2001_db8__2._3a3a3a/lock=true? "
                "2001_db8__2._3a3a3a/s=Machine "
                "Room? "
                "2001_db8__2._3a3a3a/d=hi ? ");
}

static void test_senml_bases(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "{/n}", .value = "/v", .unit = "{/u}"},
                                        {.tag = "{/n}.sum", .value = "/s"}};
        const struct mqtt_sub_conf sub = {.topic = "s", .payload = MQTT_SENML, .source = "p", .readings = {r, 2}};
        const struct mqtt_sub_conf usual = {.topic = "s", .payload = MQTT_SENML, .source = "p"};
        static const char text[] = "[{\"bn\":\"a.\",\"bt\":1795427990,\"bv\":100,\"bs\":1000,\"bu\":\"W\"},"
                                   "{\"n\":\"x\",\"v\":1,\"t\":5},{\"n\":\"y\",\"v\":-2,\"s\":7,\"u\":\"J\"},"
                                   "{\"bn\":\"b.\",\"bv\":0,\"n\":\"x\",\"v\":3},{\"bt\":0,\"n\":\"now\",\"v\":4},"
                                   "{\"n\":\"back\",\"v\":5,\"t\":-2.5}]";
        static const char *const wrong[] = {
                "{}",
                "[{\"v\":1}]",
                "[{\"n\":\"a\",\"v\":\"1\"}]",
                "[{\"n\":\"a\",\"v\":1,\"bver\":11}]",
                "[{\"n\":\"a\",\"vd\":\"?\"}]",
                "[{\"n\":\"a\",\"vb\":1}]",
                "[{\"n\":\"a\",\"v\":1,\"t\":\"x\"}]",
                "[1",
                "",
        };
        static const char want[] = "p/a.x=101[W]@-5000 p/a.y=98[J]@-10000 p/a.y.sum=1007@-10000 p/b.x=3[W]@-10000 "
                                   "p/b.now=4[W] p/b.back=5[W]@-2500 ";

        assert_string_equal(TAKE(&sub, "s", text), want);
        assert_string_equal(TAKE(&usual, "s", text), want);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                assert_int_equal(strncmp(TAKE(&usual, "s", wrong[i]), "kept(", 5), 0);
                print_message("%s\n", why);
        }
        assert_string_equal(TAKE(&usual, "s", "[]"), "");
        /* a sensor that has no value says so: the last one does not stand */
        assert_string_equal(TAKE(&usual, "s", "[{\"n\":\"a\",\"v\":null},{\"n\":\"b\",\"v\":1}]"), "p/a:sensor p/b=1 ");
        assert_string_equal(TAKE_BYTES(&usual, "s", "\x81\xa2\x00\x61\x61\x02\xf9\x7e\x00"), "p/a:sensor ");
}

static void note_labels(struct driver *d, const struct reading *r)
{
        note(d, r);
        if (tags_get(d->tags, r->tag)->labels[0])
                transcript_add("{%s}", tags_get(d->tags, r->tag)->labels);
}

static void test_influx(void **state)
{
        const struct mqtt_sub_conf sub = {.topic = "i", .payload = MQTT_INFLUX};
        static const char *const wrong[] = {
                "weather",           "weather temp", "weather temp=", "weather temp=x", "weather,loc temp=1",
                "weather temp=1 1x", ",a=b c=1",     "weather a=\"x", "weather a=1i2",  "weather,loc=a,loc=b temp=1"};

        mqtt_take_note = note_labels;
        assert_string_equal(TAKE(&sub, "i",
                                 "# a comment\n"
                                 "weather,location=us-midwest temperature=82 1795427999000000000\n\n"
                                 "weather,season=summer,location=us-midwest temperature=82i,ok=t,text=\"a "
                                 "\\\"b\\\\\",n=7u 1795427998000000000\r\n"
                                 "weather,location=us-midwest,season=summer temperature=83\n"
                                 "my\\ meas,id=1,tag\\,k=v\\=w field\\ k=-1.5e3"),
                            "weather/temperature=82@-1000{\"location\":\"us-midwest\"} "
                            "weather/temperature=82@-2000{\"location\":\"us-midwest\",\"season\":\"summer\"} "
                            "weather/ok=true@-2000{\"location\":\"us-midwest\",\"season\":\"summer\"} "
                            "weather/text=a \"b\\@-2000{\"location\":\"us-midwest\",\"season\":\"summer\"} "
                            "weather/n=7@-2000{\"location\":\"us-midwest\",\"season\":\"summer\"} "
                            "weather/temperature=83{\"location\":\"us-midwest\",\"season\":\"summer\"} "
                            "my_meas._20/field_k._20=-1500{\"id._z\":\"1\",\"tag_k._2c\":\"v_w._3d\"} ");
        /* a text in front, with what JSON calls escapes */
        assert_string_equal(TAKE(&sub, "i", "m text=\"a\\\\nb\""), "m/text=a\\nb ");
        /* the record has these two whatever the topic says */
        assert_string_equal(TAKE(&sub, "i", "m,source=roof,tag=a t=1"),
                            "m/t=1{\"source._z\":\"roof\",\"tag._z\":\"a\"} ");
        mqtt_take_note = note;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                assert_int_equal(strncmp(TAKE(&sub, "i", wrong[i]), "kept(", 5), 0);
                print_message("%s\n", why);
        }
}

static void test_csv(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "temp", .value = "/Temp (C)"}, {.tag = "state", .value = "/state"}};
        struct mqtt_sub_conf sub = {.topic = "c",
                                    .payload = MQTT_CSV,
                                    .source = "{/device}",
                                    .time = "/time",
                                    .time_format = MQTT_ISO8601,
                                    .time_zone = "UTC",
                                    .readings = {r, 2}};

        assert_string_equal(
                TAKE(&sub, "c",
                     "\xef\xbb\xbftime,device,Temp (C),state\r\n2026-11-23 09:59:59,p-1,20.5,\"on, \"\"hot\"\"\"\r\n"
                     "2026-11-23 09:59:58,p-2,,off\r\n\r\n2026-11-23 09:59:57,p-3, 7 \r\n"),
                "p-1/temp=20.5@-1000 p-1/state=on, \"hot\"@-1000 p-2/state=off@-2000 p-3/temp=7@-3000 ");
        sub.time = NULL;
        assert_string_equal(TAKE(&sub, "c", "device;Temp (C)\np-1;1\n"), "p-1/temp=1 ");
        assert_string_equal(TAKE(&sub, "c", "device\tstate\np-1\t\"7\"\n"), "p-1/state=7 ");
        TAKE(&sub, "c", "device,state\np-1,1\np-1,2,3\n");
        assert_non_null(strstr(why, "record 2: a line with more fields"));
        TAKE(&sub, "c", "device,state\np-1,\"x\n");
        assert_non_null(strstr(why, "record 1: a quote"));
        TAKE(&sub, "c", "device,state\n,1\n");
        assert_non_null(strstr(why, "a name that is not there"));
        assert_string_equal(TAKE(&sub, "c", "device,state\n"), ""); /* a header alone */
        transcript_expect("");
}

static void test_lines_of_json(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "v"}};
        struct mqtt_sub_conf sub = {
                .topic = "n", .payload = MQTT_NDJSON, .source = "{/d}", .max_elements = 3, .readings = {r, 1}};

        assert_string_equal(TAKE(&sub, "n", "{\"d\":\"a\",\"v\":1}\n\n{\"d\":\"\\u0062\",\"v\":2}\r\n{\"d\":\"c\"}"),
                            "a/v=1 b/v=2 ");
        TAKE(&sub, "n", "{\"d\":\"a\",\"v\":1}\n{\"d\":}\n");
        assert_non_null(strstr(why, "record 2: a value was expected"));
        TAKE(&sub, "n", "{\"d\":1,\"v\":1}\n{\"d\":1,\"v\":1}\n{\"d\":1,\"v\":1}\n{\"d\":1,\"v\":1}\n");
        assert_non_null(strstr(why, "more elements than max_elements"));
}

static void test_gzip(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "v"}};
        const struct mqtt_sub_conf sub = {
                .topic = "g", .payload = MQTT_JSON, .compressed = MQTT_GZIP, .readings = {r, 1}};
        static const char packed[] =
                "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x53\xb2\x32\x32\xd0\x33\xad\x05\x00\xcf\x9f"
                "\x44\x43\x0a\x00\x00\x00"; /* {"v":20.5}, by Python */
        static char bomb[4096], zeros[400000];
        z_stream z = {0};

        assert_string_equal(TAKE_BYTES(&sub, "g", packed), "plant/v=20.5 ");
        mqtt_take(&sub, "g", (const struct mqtt_bytes[]){{packed, sizeof(packed) - 5}, {NULL, 0}});
        assert_non_null(strstr(why, "cut short"));
        TAKE(&sub, "g", "{\"v\":1}");
        assert_non_null(strstr(why, "neither gzip"));
        /* 400 kB of zeros in a few hundred bytes, and the bound is 256 KiB */
        assert_int_equal(deflateInit(&z, 9), Z_OK);
        z.next_in = (Bytef *)zeros;
        z.avail_in = sizeof(zeros);
        z.next_out = (Bytef *)bomb;
        z.avail_out = sizeof(bomb);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        mqtt_take(&sub, "g", (const struct mqtt_bytes[]){{bomb, z.total_out}, {NULL, 0}});
        deflateEnd(&z);
        assert_non_null(strstr(why, "longer than max_payload"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_same_in_both),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_names_of_64_bits),
                cmocka_unit_test(test_odd_containers),
                cmocka_unit_test(test_a_name_that_stands_twice),
                cmocka_unit_test(test_senml_of_the_rfc),
                cmocka_unit_test(test_senml_bases),
                cmocka_unit_test(test_influx),
                cmocka_unit_test(test_csv),
                cmocka_unit_test(test_lines_of_json),
                cmocka_unit_test(test_gzip),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
