/*
 * packet and property: what a broker may send, written down a second time, and each thing it may not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/mqtt/packet.h"
#include "drivers/mqtt/property.h"

/* MQTT 5.0, table 2-4, of what a server sends: C CONNACK, P PUBLISH, A PUBACK, S SUBACK, U UNSUBACK, D DISCONNECT. */
static const struct {
        unsigned id;
        const char *in, *value;
        size_t len;
} known[] = {
        {0x01, "P", "\1", 1},        {0x02, "P", "\0\0\0\1", 4},
        {0x03, "P", "\0\1x", 3},     {0x08, "P", "\0\1x", 3},
        {0x09, "P", "\0\1\0", 3},    {0x0b, "P", "\1", 1},
        {0x11, "CD", "\0\0\0\0", 4}, {0x12, "C", "\0\1x", 3},
        {0x13, "C", "\0\0", 2},      {0x15, "C", "\0\1x", 3},
        {0x16, "C", "\0\1\0", 3},    {0x1a, "C", "\0\1x", 3},
        {0x1c, "CD", "\0\1x", 3},    {0x1f, "CASUD", "\0\1x", 3},
        {0x21, "C", "\0\1", 2},      {0x22, "C", "\0\0", 2},
        {0x23, "P", "\0\1", 2},      {0x24, "C", "\1", 1},
        {0x25, "C", "\0", 1},        {0x26, "CPASUD", "\0\1a\0\0", 5},
        {0x27, "C", "\0\0\0\1", 4},  {0x28, "C", "\1", 1},
        {0x29, "C", "\1", 1},        {0x2a, "C", "\1", 1},
};
enum { N_KNOWN = sizeof(known) / sizeof(*known) };

static const struct packet {
        char letter;
        unsigned char first;
        const char *before, *after; /* of the properties */
        size_t n_before, n_after;
} packets[] = {
        {'C', 0x20, "\0\0", "", 2, 0},   {'P', 0x30, "\0\1t", "7", 3, 1}, {'A', 0x40, "\0\1\0", "", 3, 0},
        {'S', 0x90, "\0\1", "\1", 2, 1}, {'U', 0xb0, "\0\1", "\0", 2, 1}, {'D', 0xe0, "\0", "", 1, 0},
};
enum { N_PACKETS = sizeof(packets) / sizeof(*packets) };

static struct err why;
static struct mqtt_connack connack;
static struct mqtt_ids ids;

static int check_publish(unsigned char first, const unsigned char *body, size_t len, bool v311)
{
        struct mqtt_publish p;

        if (mqtt_publish_head(first, body, len, (uint32_t)len, v311, &p, &why) < 0)
                return -1;
        return mqtt_properties_of_publish(body + p.properties_at, p.properties_len, &ids, &why);
}

/* With these properties. */
static int check(const struct packet *p, const void *props, size_t len)
{
        unsigned char body[2000];
        size_t n = p->n_before;

        why.text[0] = '\0';
        memcpy(body, p->before, n);
        if (len > 127)
                body[n++] = (unsigned char)(len & 0x7f) | 0x80;
        body[n++] = (unsigned char)(len > 127 ? len >> 7 : len);
        memcpy(body + n, props, len);
        n += len;
        memcpy(body + n, p->after, p->n_after);
        n += p->n_after;
        if (p->first >> 4 == MQTT_PUBLISH)
                return check_publish(p->first, body, n, false);
        return mqtt_packet_check(p->first, body, n, false, &connack, &why);
}

static int find(unsigned id)
{
        for (int i = 0; i < N_KNOWN; i++)
                if (known[i].id == id)
                        return i;
        return -1;
}

static void test_every_property_in_every_packet(void **state)
{
        unsigned char props[20];

        for (size_t i = 0; i < N_PACKETS; i++)
                for (unsigned id = 0; id < 256; id++) {
                        int at = find(id);
                        size_t len = at < 0 ? 6 : known[at].len;
                        bool may = at >= 0 && strchr(known[at].in, packets[i].letter);

                        props[0] = (unsigned char)id;
                        memcpy(props + 1, at < 0 ? "\0\0\0\1\0\0" : known[at].value, len);
                        assert_int_equal(check(&packets[i], props, 1 + len), may ? 0 : -1);
                        assert_int_equal(why.text[0] != '\0', !may);
                        if (!may) {
                                char named[8];

                                snprintf(named, sizeof(named), "0x%02x", id);
                                assert_non_null(strstr(why.text, named));
                                assert_non_null(strstr(why.text, mqtt_packet_name(packets[i].first)));
                        }
                }
}

static void test_every_property_cut_or_twice(void **state)
{
        unsigned char props[40];

        for (size_t i = 0; i < N_PACKETS; i++)
                for (size_t k = 0; k < N_KNOWN; k++) {
                        size_t len = known[k].len + 1;
                        int twice = known[k].id == 0x26 ? 0 : known[k].id == 0x0b ? MQTT_PROPERTY_E_STRIP : -1;

                        if (!strchr(known[k].in, packets[i].letter))
                                continue;
                        props[0] = (unsigned char)known[k].id;
                        memcpy(props + 1, known[k].value, known[k].len);
                        for (size_t n = 1; n < len; n++)
                                assert_int_equal(check(&packets[i], props, n), -1);
                        memcpy(props + len, props, len);
                        assert_int_equal(check(&packets[i], props, 2 * len), twice);
                }
}

static void test_values_that_may_not_be(void **state)
{
        static const struct {
                size_t packet, len;
                const char *props;
                int result;
        } rows[] = {
                {0, 2, "\x24\2", -1},
                {0, 2, "\x25\2", -1},
                {0, 2, "\x28\2", -1},
                {0, 2, "\x29\2", -1},
                {0, 2, "\x2a\2", -1},
                {0, 3, "\x21\0\0", -1},
                {0, 5, "\x27\0\0\0\0", -1},
                {0, 4, "\x1f\0\1\xff", -1},
                {0, 4, "\x1f\0\1\0", -1},
                {0, 4, "\x12\0\1\n", -1},
                {0, 6, "\x26\0\1a\0\1", -1},
                {0, 5, "\x12\0\2\xc3\xa4", 0},
                {1, 2, "\1\2", MQTT_PROPERTY_E_STRIP}, /* what any publisher may have written costs no connection */
                {1, 3, "\x23\0\0", MQTT_PROPERTY_E_STRIP},
                {1, 2, "\x0b\0", MQTT_PROPERTY_E_STRIP},
                {1, 4, "\x03\0\1\xff", MQTT_PROPERTY_E_STRIP},
                {1, 7, "\x26\0\1\n\0\1b", MQTT_PROPERTY_E_STRIP},
                {1, 3, "\x0b\x80\1", 0},
                {1, 3, "\x0b\x80\0", -1}, /* longer than it need be */
                {1, 6, "\x0b\x80\x80\x80\x80\1", -1},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_int_equal(check(&packets[rows[i].packet], rows[i].props, rows[i].len), rows[i].result);
        assert_int_equal(check(&packets[0], "\x27\0\1\0\2", 5), 0);
        assert_int_equal(connack.takes.max_packet, 0x10002);
        assert_int_equal(check(&packets[0], "", 0), 0);
        assert_int_equal(connack.takes.max_packet, UINT32_MAX);
        assert_true(connack.accepted);
}

static void test_many_properties(void **state)
{
        unsigned char props[MQTT_PROPERTIES_MAX + 5];
        size_t len = 5;
        struct err e = {0};

        memset(props, 0, sizeof(props));
        for (size_t i = 0; i < sizeof(props); i += 5)
                props[i] = 0x26;
        assert_int_equal(mqtt_properties_of_publish(props, MQTT_PROPERTIES_MAX / 5 * 5, &ids, &e), 0);
        assert_int_equal(mqtt_properties_of_publish(props, MQTT_PROPERTIES_MAX / 5 * 5 + 5, &ids, &e),
                         MQTT_PROPERTY_E_STRIP);
        for (len = 0; len < 1900; len += 5)
                assert_int_equal(check(&packets[0], props, len), 0);
}

static void test_text(void **state)
{
        static const struct {
                const char *text;
                size_t len, n;
        } rows[] = {
                {"a", 1, 1},
                {"~", 1, 1},
                {" ", 1, 1},
                {"\0", 1, 0},
                {"\x1f", 1, 0},
                {"\x7f", 1, 0},
                {"\x80", 1, 0},
                {"\xc2\x80", 2, 0},
                {"\xc2\x9f", 2, 0},
                {"\xc2\xa0", 2, 2},
                {"\xc3\xa4", 1, 0},
                {"\xc0\x80", 2, 0},
                {"\xc1\xbf", 2, 0},
                {"\xc3z", 2, 0},
                {"\xe0\x9f\xbf", 3, 0},
                {"\xe0\xa0\x80", 3, 3},
                {"\xea\xb0\x80", 3, 3},
                {"\xed\x9f\xbf", 3, 3},
                {"\xed\xa0\x80", 3, 0},
                {"\xee\x80\x80", 3, 3},
                {"\xef\xb7\x90", 3, 0},
                {"\xef\xb7\xaf", 3, 0},
                {"\xef\xbf\xbd", 3, 3},
                {"\xef\xbf\xbe", 3, 0},
                {"\xef\xbf\xbf", 3, 0},
                {"\xf0\x8f\xbf\xbf", 4, 0},
                {"\xf0\x90\x80\x80", 4, 4},
                {"\xf0\x9f\xbf\xbe", 4, 0},
                {"\xf4\x8f\xbf\xbd", 4, 4},
                {"\xf4\x90\x80\x80", 4, 0},
                {"\xf5\x80\x80\x80", 4, 0},
                {"\xff", 1, 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_int_equal(mqtt_char_len((const unsigned char *)rows[i].text, rows[i].len), rows[i].n);
        assert_true(mqtt_is_topic((const unsigned char *)"f/press/temp", 12));
        assert_true(mqtt_is_topic((const unsigned char *)"p/K\xc3\xbc"
                                                         "che",
                                  8));
        assert_false(mqtt_is_topic((const unsigned char *)"", 0));
        assert_false(mqtt_is_topic((const unsigned char *)"f/+", 3));
        assert_false(mqtt_is_topic((const unsigned char *)"f/#", 3));
        for (size_t n = 1; n < 20; n++) /* wherever it stands */
                for (size_t at = 0; at < n; at++)
                        for (unsigned byte = 0; byte < 256; byte++) {
                                unsigned char topic[20];

                                memset(topic, at % 2 ? ' ' : '~', n);
                                topic[at] = (unsigned char)byte;
                                assert_int_equal(mqtt_is_topic(topic, n),
                                                 byte >= 0x20 && byte < 0x7f && byte != '+' && byte != '#');
                        }
        assert_false(mqtt_is_topic((const unsigned char *)"f\0g", 3));
}

static void test_the_first_byte(void **state)
{
        static const unsigned char fives[] = {0x20, 0x30, 0x31, 0x32, 0x33, 0x38, 0x3a,
                                              0x3b, 0x39, 0x40, 0x90, 0xb0, 0xd0, 0xe0};
        struct err e = {0};

        for (unsigned first = 0; first < 256; first++) {
                bool may = memchr(fives, (int)first, sizeof(fives)) != NULL;

                assert_int_equal(mqtt_packet_allowed((unsigned char)first, false, &e), may ? 0 : -1);
                assert_int_equal(mqtt_packet_allowed((unsigned char)first, true, &e), may && first != 0xe0 ? 0 : -1);
        }
}

static void test_headers(void **state)
{
        static const struct {
                const char *bytes;
                size_t n, header;
                uint32_t body;
                int result;
        } rows[] = {
                {"\x30", 1, 0, 0, 0},
                {"\x30\0", 2, 2, 0, 1},
                {"\x30\x7f", 2, 2, 127, 1},
                {"\x30\x80", 2, 0, 0, 0},
                {"\x30\x80\1", 3, 3, 128, 1},
                {"\x30\xff\x7f", 3, 3, 16383, 1},
                {"\x30\x80\x80\1", 4, 4, 16384, 1},
                {"\x30\xff\xff\xff", 4, 0, 0, 0},
                {"\x30\xff\xff\xff\x7f", 5, 5, 268435455, 1},
                {"\x30\xff\xff\xff\x80", 5, 0, 0, -1},
                {"\x30\xff\xff\xff\xff\1", 6, 0, 0, -1},
        };
        size_t header;
        uint32_t body;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                int r = mqtt_packet_header((const unsigned char *)rows[i].bytes, rows[i].n, &header, &body);

                assert_int_equal(r, rows[i].result);
                if (r == 1) {
                        assert_int_equal(header, rows[i].header);
                        assert_int_equal(body, rows[i].body);
                }
        }
}

/* Each packet's bytes, its length and what is said of it in MQTT 5 and in 3.1.1. */
static void test_bodies(void **state)
{
        static const struct {
                unsigned char first;
                const char *body;
                size_t len;
                int v5, v311;
        } rows[] = {
                {0x20, "", 0, -1, -1},
                {0x20, "\0", 1, -1, -1},
                {0x20, "\0\0", 2, -1, 0}, /* 3.1.1 to our MQTT 5 */
                {0x20, "\0\1", 2, 0, 0},  /* it does not know the version */
                {0x20, "\1\0\0", 3, 0, -1},
                {0x20, "\2\0\0", 3, -1, -1},
                {0x20, "\0\x87\0", 3, 0, -1},
                {0x20, "\0\0\1", 3, -1, -1},
                {0x20, "\0\0\0x", 4, -1, -1},
                {0x20, "\0\0\xff\xff\xff\xff\1", 7, -1, -1},
                {0x40, "\0\1", 2, 0, 0},
                {0x40, "\0\0", 2, -1, -1},
                {0x40, "\0", 1, -1, -1},
                {0x40, "\0\1\x10", 3, 0, -1},
                {0x40, "\0\1\x10\0", 4, 0, -1},
                {0x40, "\0\1\x10\0\0", 5, -1, -1},
                {0x90, "\0\1\0\1", 4, 0, 0}, /* in 3.1.1 two codes */
                {0x90, "\0\1\0", 3, -1, 0},
                {0x90, "\0\1", 2, -1, -1},
                {0x90, "\0\0\0\1", 4, -1, -1},
                {0xb0, "\0\1", 2, -1, 0},
                {0xb0, "\0\1\0\0", 4, 0, -1},
                {0xb0, "\0\1\0", 3, -1, -1},
                {0xd0, "", 0, 0, 0},
                {0xd0, "\0", 1, -1, -1},
                {0xe0, "", 0, 0, 0}, /* 3.1.1: not even allowed */
                {0xe0, "\x8e", 1, 0, -1},
                {0xe0, "\x8e\0", 2, 0, -1},
                {0xe0, "\x8e\0\0", 3, -1, -1},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                for (int v311 = 0; v311 < 2; v311++) {
                        why.text[0] = '\0';
                        assert_int_equal(mqtt_packet_check(rows[i].first, (const unsigned char *)rows[i].body,
                                                           rows[i].len, v311, &connack, &why),
                                         v311 ? rows[i].v311 : rows[i].v5);
                        assert_int_equal(why.text[0] != 0, (v311 ? rows[i].v311 : rows[i].v5) < 0);
                }
}

static void test_publish_heads(void **state)
{
        static const struct {
                unsigned char first;
                const char *body;
                size_t len;
                int v5, v311;
        } rows[] = {
                {0x30, "\0\1t\0", 4, 0, 0},     {0x30, "\0\1t", 3, -1, 0},
                {0x30, "\0\2t", 3, -1, -1},     {0x30, "\0", 1, -1, -1},
                {0x30, "\0\0\0", 3, -1, 0}, /* an alias; in 3.1.1 a topic to be mended */
                {0x32, "\0\1t\0\1\0", 6, 0, 0}, {0x32, "\0\1t\0\0\0", 6, -1, -1},
                {0x32, "\0\1t\0", 4, -1, -1},   {0x30, "\0\1t\1", 4, -1, 0},
                {0x30, "\0\1t\x80", 4, -1, 0},  {0x30, "\0\1t\xff\xff\xff\xff\1", 8, -1, 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                for (int v311 = 0; v311 < 2; v311++)
                        assert_int_equal(
                                check_publish(rows[i].first, (const unsigned char *)rows[i].body, rows[i].len, v311),
                                v311 ? rows[i].v311 : rows[i].v5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_property_in_every_packet),
                cmocka_unit_test(test_every_property_cut_or_twice),
                cmocka_unit_test(test_values_that_may_not_be),
                cmocka_unit_test(test_many_properties),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_the_first_byte),
                cmocka_unit_test(test_headers),
                cmocka_unit_test(test_bodies),
                cmocka_unit_test(test_publish_heads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
