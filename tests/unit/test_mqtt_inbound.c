/*
 * inbound: the same packets in pieces of every size; messages at every bound; and what comes out when one is too long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/mqtt/inbound.h"

enum { MAX_PAYLOAD = 100, HUGE_AT = MAX_PAYLOAD + MQTT_HEAD_MAX + 65536 /* a body longer than that is not gathered */ };

#define MARK ((const unsigned char *)"0123456789abcdef")

struct text {
        unsigned char *p;
        size_t n, size;
};

static void add(struct text *t, const void *bytes, size_t n)
{
        if (t->n + n >= t->size) {
                t->size = 2 * (t->n + n) + 64;
                t->p = realloc(t->p, t->size);
        }
        memcpy(t->p + t->n, bytes, n);
        t->n += n;
}

#define ADD(t, literal) add(t, literal, sizeof(literal) - 1)

static void add_header(struct text *t, unsigned char first, size_t len)
{
        add(t, &first, 1);
        do {
                unsigned char byte = (unsigned char)((len & 0x7f) | (len > 127 ? 0x80 : 0));

                add(t, &byte, 1);
                len >>= 7;
        } while (len);
}

/* Properties: the text, with its length in front, or NULL for 3.1.1. */
static void add_publish(struct text *t, unsigned char first, const char *topic, size_t topic_len,
                        const struct text *props, size_t payload_len)
{
        unsigned char two[2] = {(unsigned char)(topic_len >> 8), (unsigned char)topic_len};
        unsigned char *payload = malloc(payload_len + 1);

        for (size_t i = 0; i < payload_len; i++)
                payload[i] = (unsigned char)('a' + i % 23);
        add_header(t, first, 2 + topic_len + (first & 6 ? 2 : 0) + (props ? props->n : 0) + payload_len);
        add(t, two, 2);
        add(t, topic, topic_len);
        if (first & 6)
                add(t, "\x12\x34", 2);
        if (props)
                add(t, props->p, props->n);
        add(t, payload, payload_len);
        free(payload);
}

static const struct text no_props = {(unsigned char *)"\0", 1};

static void add_props(struct text *t, size_t len)
{
        struct text inner = {0};

        while (inner.n + 5 <= len)
                add(&inner, "\x26\0\0\0\0", 5);
        assert_int_equal(inner.n, len);
        do {
                unsigned char byte = (unsigned char)((len & 0x7f) | (len > 127 ? 0x80 : 0));

                add(t, &byte, 1);
                len >>= 7;
        } while (len);
        add(t, inner.p, inner.n);
        free(inner.p);
}

/* What comes out, taken after each piece or at the end. */
static struct text run(const struct text *t, size_t piece, bool v311, char *broken)
{
        struct mqtt_inbound in;
        struct text out = {0};
        int r = 0;

        mqtt_inbound_init(&in, v311, MAX_PAYLOAD, MARK);
        for (size_t at = 0; at < t->n && r == 0; at += piece) {
                size_t n = piece < t->n - at ? piece : t->n - at;
                unsigned char *copy = malloc(n); /* so that a read behind its end is seen */

                memcpy(copy, t->p + at, n);
                r = mqtt_inbound_feed(&in, copy, n);
                free(copy);
                if (in.from == in.to)
                        continue;
                add(&out, in.out + in.from, in.to - in.from);
                mqtt_inbound_took(&in, in.to - in.from);
        }
        assert_int_equal(r < 0, in.broken.text[0] != 0);
        if (broken)
                strcpy(broken, in.broken.text);
        else
                assert_string_equal(in.broken.text, "");
        mqtt_inbound_fini(&in);
        return out;
}

static void assert_same(const struct text *a, const struct text *b)
{
        assert_int_equal(a->n, b->n);
        assert_memory_equal(a->p, b->p, a->n);
}

static void assert_passes(struct text *t, bool v311)
{
        for (size_t piece = 1; piece <= t->n; piece += piece < 300 ? 1 : piece) {
                struct text out = run(t, piece, v311, NULL);

                assert_same(&out, t);
                free(out.p);
        }
        free(t->p);
        *t = (struct text){0};
}

static void test_sound_packets_pass_as_they_are(void **state)
{
        struct text t = {0};

        ADD(&t, "\x20\x03\1\0\0");
        ADD(&t, "\x90\x05\0\1\0\1\x87");
        add_publish(&t, 0x32, "f/press/temp", 12, &no_props, 4);
        add_publish(&t, 0x3b,
                    "p/K\xc3\xbc"
                    "che",
                    8, &no_props, MAX_PAYLOAD);
        add_publish(&t, 0x31, "t", 1, &(struct text){(unsigned char *)"\2\1\1", 3}, 0);
        ADD(&t, "\x40\2\0\1\xd0\0\x40\3\0\2\x10\xb0\4\0\1\0\x11");
        add_publish(&t, 0x30, "t", 1, &no_props, 1);
        ADD(&t, "\xe0\1\x8e");
        assert_passes(&t, false);
        ADD(&t, "\x20\2\1\0\x90\3\0\1\x80");
        add_publish(&t, 0x32, "f/press/temp", 12, NULL, MAX_PAYLOAD);
        ADD(&t, "\x40\2\0\1\xd0\0\xb0\2\0\1");
        add_publish(&t, 0x30, "t", 1, NULL, 0);
        assert_passes(&t, true);
}

/* The one message that comes out behind the CONNACK. */
struct seen {
        bool aside;
        struct mqtt_set_aside set;
        char *topic;
        size_t topic_len, n_payload;
        uint16_t mid;
        unsigned char first;
        uint8_t what[MQTT_ASIDE_KEPT + 200];
};

static void look(const struct text *out, size_t skip, bool v311, struct seen *s)
{
        struct mqtt_inbound in;
        struct mqtt_publish p;
        struct err e;
        const unsigned char *packet = out->p + skip;
        size_t header;
        uint32_t body;

        assert_int_equal(mqtt_packet_header(packet, out->n - skip, &header, &body), 1);
        assert_int_equal(header + body, out->n - skip);
        assert_int_equal(mqtt_publish_head(*packet, packet + header, body, body, v311, &p, &e), 0);
        assert_true(mqtt_is_topic(p.topic, p.topic_len));
        assert_int_equal(p.properties_len, 0);
        *s = (struct seen){.first = *packet, .mid = p.mid, .topic_len = p.topic_len, .n_payload = body - p.payload_at};
        s->topic = malloc(p.topic_len + 1);
        memcpy(s->topic, p.topic, p.topic_len);
        s->topic[p.topic_len] = '\0';
        mqtt_inbound_init(&in, v311, MAX_PAYLOAD, MARK);
        s->aside = mqtt_inbound_aside(&in, packet + header + p.payload_at, s->n_payload, &s->set);
        if (s->aside) {
                assert_in_range(s->set.len, 0, MQTT_ASIDE_KEPT);
                for (size_t i = 0; i < s->set.len; i++)
                        assert_int_equal(((const unsigned char *)s->set.payload)[i], 'a' + i % 23);
        }
        mqtt_inbound_fini(&in);
}

static struct seen pass_one(unsigned char first, const char *topic, size_t topic_len, const struct text *props,
                            size_t payload_len, size_t piece)
{
        bool v311 = !props;
        size_t skip = v311 ? 4 : 5;
        struct text t = {0}, out;
        struct seen s;

        add(&t, v311 ? "\x20\2\0\0" : "\x20\3\0\0\0", skip);
        add_publish(&t, first, topic, topic_len, props, payload_len);
        out = run(&t, piece, v311, NULL);
        look(&out, skip, v311, &s);
        free(out.p);
        free(t.p);
        return s;
}

static void test_messages_at_every_bound(void **state)
{
        static const size_t payloads[] = {0,
                                          1,
                                          MAX_PAYLOAD - 1,
                                          MAX_PAYLOAD,
                                          MAX_PAYLOAD + 1,
                                          4096,
                                          65000,
                                          65536,
                                          HUGE_AT - 20,
                                          HUGE_AT - 19,
                                          HUGE_AT - 18,
                                          HUGE_AT - 17,
                                          HUGE_AT - 16,
                                          HUGE_AT - 15,
                                          HUGE_AT,
                                          HUGE_AT + 70000,
                                          3000000};
        static const size_t pieces[] = {1, 7, 4095, 4096, 65543, 65544, 1 << 20, SIZE_MAX};

        for (int v311 = 0; v311 < 2; v311++)
                for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
                        for (size_t k = payloads[i] <= 4096 ? 0 : 1; k < sizeof(pieces) / sizeof(*pieces); k++) {
                                struct seen s = pass_one(0x3b, "f/press/temp", 12, v311 ? NULL : &no_props, payloads[i],
                                                         pieces[k]);
                                bool aside = payloads[i] > MAX_PAYLOAD;

                                assert_int_equal(s.first, 0x3b);
                                assert_int_equal(s.mid, 0x1234);
                                assert_string_equal(s.topic, "f/press/temp");
                                assert_int_equal(s.aside, aside);
                                if (aside) {
                                        assert_int_equal(s.set.why, MQTT_ASIDE_LONG);
                                        assert_int_equal(s.set.size, payloads[i]);
                                        assert_int_equal(s.set.len, payloads[i] < 4096 ? payloads[i] : 4096);
                                } else {
                                        assert_int_equal(s.n_payload, payloads[i]);
                                }
                                free(s.topic);
                        }
}

static void test_long_topics(void **state)
{
        static const size_t lengths[] = {1, 127, 128, 65534, 65535};
        char *topic = malloc(65536);

        memset(topic, 'x', 65535);
        topic[65535] = '\0';
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
                for (size_t payload = 0; payload <= 200000; payload += 100000) {
                        struct seen s = pass_one(0x32, topic, lengths[i], &no_props, payload, 1000);

                        assert_int_equal(s.topic_len, lengths[i]);
                        assert_int_equal(s.aside, payload > MAX_PAYLOAD);
                        free(s.topic);
                }
        free(topic);
}

static void test_topics_that_none_may_have(void **state)
{
        static const struct {
                const char *topic;
                size_t len;
                const char *mended;
        } rows[] = {
                {"a\nb", 3, "a?b"},
                {"a\0b", 3, "a?b"},
                {"a/#", 3, "a/?"},
                {"+", 1, "?"},
                {"\xff\xfe", 2, "??"},
                {"\xc3", 1, "?"},
                {"\xc3\xa4\xc3", 3, "\xc3\xa4?"},
                {"\xed\xa0\x80", 3, "???"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                for (size_t payload = 3; payload < 1000000; payload = payload * 100000 + 1) {
                        struct seen s = pass_one(0x32, rows[i].topic, rows[i].len, &no_props, payload, 5);

                        assert_string_equal(s.topic, rows[i].mended);
                        assert_true(s.aside);
                        assert_int_equal(s.set.why, payload > MAX_PAYLOAD ? MQTT_ASIDE_LONG : MQTT_ASIDE_TOPIC);
                        assert_int_equal(s.set.size, payload);
                        free(s.topic);
                }
        free(pass_one(0x32, "", 0, NULL, 3, 5).topic); /* 3.1.1: an empty one */
}

static void test_many_properties_are_left_out(void **state)
{
        static const struct {
                size_t props, payload;
                enum mqtt_aside why;
        } rows[] = {
                {MQTT_HEAD_MAX / 5 * 5 + 200000, 7, MQTT_ASIDE_PROPERTIES},
                {500000, 0, MQTT_ASIDE_PROPERTIES},
                {500000, 101, MQTT_ASIDE_LONG},
                {5000, 200000, MQTT_ASIDE_LONG},
                {65000, 100, MQTT_NOT_ASIDE},
                {4100, 0, MQTT_NOT_ASIDE},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                for (size_t piece = 13; piece < 1 << 22; piece = piece * 13) {
                        struct text props = {0};
                        struct seen s;

                        add_props(&props, rows[i].props);
                        s = pass_one(0x32, "t", 1, &props, rows[i].payload, piece);
                        assert_int_equal(s.aside ? s.set.why : MQTT_NOT_ASIDE, rows[i].why);
                        if (s.aside)
                                assert_int_equal(s.set.size,
                                                 rows[i].why == MQTT_ASIDE_LONG ? rows[i].payload : rows[i].props);
                        else
                                assert_int_equal(s.n_payload, rows[i].payload);
                        free(s.topic);
                        free(props.p);
                }
}

/* What is behind it in the bytes goes on, and it comes out when its last byte is in. */
static void test_a_huge_message_among_others(void **state)
{
        struct text t = {0}, sound = {0}, out;
        size_t end;

        ADD(&t, "\x20\3\0\0\0");
        add_publish(&t, 0x32, "a", 1, &no_props, 10);
        sound = (struct text){0};
        add(&sound, t.p, t.n);
        add_publish(&t, 0x32, "b", 1, &no_props, 1000000);
        end = t.n;
        add_publish(&t, 0x32, "c", 1, &no_props, 10);
        for (size_t piece = 11; piece < 4 * t.n; piece *= 3) {
                out = run(&t, piece, false, NULL);
                assert_int_equal(out.n, sound.n + 3 + 6 + 25 + 4096 + (t.n - end));
                assert_memory_equal(out.p + out.n - (t.n - end), t.p + end, t.n - end);
                free(out.p);
        }
        t.n = end - 1;
        out = run(&t, 1000, false, NULL);
        assert_same(&out, &sound);
        free(out.p);
        free(sound.p);
        free(t.p);
}

/* The sentence, the same for every size of pieces; what was sound in front of it comes out. */
static void assert_broken(const char *bytes, size_t n, bool v311, const char *words)
{
        struct text t = {0}, out;
        char said[sizeof(((struct err *)0)->text)];
        size_t sound;

        add(&t, v311 ? "\x20\2\0\0" : "\x20\3\0\0\0", v311 ? 4 : 5);
        add_publish(&t, 0x30, "t", 1, v311 ? NULL : &no_props, 3);
        sound = t.n;
        add(&t, bytes, n);
        for (size_t piece = 1; piece <= t.n; piece++) {
                out = run(&t, piece, v311, said);
                assert_non_null(strstr(said, words));
                assert_int_equal(out.n, sound);
                assert_memory_equal(out.p, t.p, sound);
                free(out.p);
        }
        free(t.p);
}

#define BROKEN(literal, v311, words) assert_broken(literal, sizeof(literal) - 1, v311, words)

static void test_what_breaks_the_protocol(void **state)
{
        for (int v311 = 0; v311 < 2; v311++) {
                BROKEN("\x10\0", v311, "CONNECT");
                BROKEN("\x00\0", v311, "type 0");
                BROKEN("\x82\0", v311, "SUBSCRIBE");
                BROKEN("\xa2\0", v311, "UNSUBSCRIBE");
                BROKEN("\xc0\0", v311, "PINGREQ");
                BROKEN("\xf0\0", v311, "AUTH");
                BROKEN("\x50\2\0\1", v311, "PUBREC");
                BROKEN("\x62\2\0\1", v311, "PUBREL");
                BROKEN("\x70\2\0\1", v311, "PUBCOMP");
                BROKEN("\x34\6\0\1t\0\1\0", v311, "QoS 2");
                BROKEN("\x36\6\0\1t\0\1\0", v311, "QoS 3");
                BROKEN("\xd1\0", v311, "flags");
                BROKEN("\x32\5\0\1t\0\0", v311, "packet id");
                BROKEN("\x30\2\0\1", v311, "topic");
                BROKEN("\x30\xff\xff\xff\xff\1", v311, "length");
                BROKEN("\x90\x81\x80\4", v311, "65537 bytes");
        }
        BROKEN("\x20\3\0\0\0", false, "second CONNACK");
        BROKEN("\x20\2\0\0", true, "second CONNACK");
        BROKEN("\xe0\0", true, "DISCONNECT");
        BROKEN("\x30\x05\0\1t\1\x7d", false, "0x7d in its PUBLISH");
        BROKEN("\x30\x05\0\1t\1\0", false, "0x00 in its PUBLISH");
        BROKEN("\x40\5\0\1\0\1\x7e", false, "0x7e in its PUBACK");
        BROKEN("\x90\5\0\1\1\x7e\1", false, "0x7e in its SUBACK");
        BROKEN("\xe0\3\0\1\x7e", false, "0x7e in its DISCONNECT");
        BROKEN("\x30\x03\0\0\0", false, "alias");
}

static void test_before_the_connack(void **state)
{
        static const char *const rows[] = {"\x30\4\0\1t", "\x90\4\0\1\0", "\xd0", "\x40\2\0\1"};
        struct text t = {0}, out;
        char said[500];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                t.n = 0;
                add(&t, rows[i], rows[i][0] == '\xd0' ? 2 : 5);
                out = run(&t, 1, false, said);
                assert_non_null(strstr(said, "before it has accepted us"));
                assert_int_equal(out.n, 0);
                free(out.p);
        }
        t.n = 0;
        ADD(&t, "\x20\3\0\x87\0\xd0\0"); /* it refused us, and goes on */
        out = run(&t, 1, false, said);
        assert_non_null(strstr(said, "before it has accepted us"));
        assert_int_equal(out.n, 5);
        free(out.p);
        free(t.p);
}

static void test_what_the_broker_takes(void **state)
{
        struct mqtt_inbound in;

        mqtt_inbound_init(&in, false, MAX_PAYLOAD, MARK);
        assert_int_equal(in.takes.max_packet, UINT32_MAX);
        assert_int_equal(mqtt_inbound_feed(&in, (const unsigned char *)"\x20\x08\0\0\5\x27\0\0\1\0", 10), 0);
        assert_int_equal(in.takes.max_packet, 256);
        mqtt_inbound_fini(&in);
}

/* However many there are, and whatever else a publisher has written. */
static void test_identifiers(void **state)
{
        static const struct {
                const char *props;
                size_t len, n_ids;
        } rows[] = {
                {"\x0b\x05", 2, 1},
                {"\x0b\x05\x01\x01\x0b\x80\x01\x26\0\1a\0\1b\x0b\xff\xff\xff\x7f", 19, 3},
                {"\x01\x07\x0b\x05", 4, 1}, /* what is wrong is left out, not they */
                {"\x0b\0", 2, 0},
                {"\x09\0\x14"
                 "0123456789abcdeF\0\0\0\5",
                 23, 0}, /* a publisher's own */
        };
        static const uint32_t want[] = {5, 128, 268435455};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                unsigned char len = (unsigned char)rows[i].len;
                struct text t = {0}, out, props = {0};
                struct mqtt_publish p;
                struct mqtt_inbound in;
                uint32_t ids[MQTT_IDS_MAX];
                struct err e;
                size_t n = 0;

                ADD(&t, "\x20\3\0\0\0");
                add(&props, &len, 1);
                add(&props, rows[i].props, rows[i].len);
                add_publish(&t, 0x32, "a/b", 3, &props, 9);
                out = run(&t, 3, false, NULL);
                assert_int_equal(mqtt_publish_head(0x32, out.p + 7, out.n - 7, (uint32_t)out.n - 7, false, &p, &e), 0);
                assert_int_equal(p.mid, 0x1234);
                assert_int_equal(out.n - 7 - p.payload_at, 9);
                mqtt_inbound_init(&in, false, MAX_PAYLOAD, MARK);
                if (p.properties_len)
                        n = mqtt_inbound_ids(&in, out.p + 7 + p.properties_at + 3, p.properties_len - 3, ids);
                assert_int_equal(n, rows[i].n_ids);
                assert_memory_equal(ids, want, n * sizeof(*ids));
                mqtt_inbound_fini(&in);
                free(out.p);
                free(props.p);
                free(t.p);
        }
}

static void test_many_identifiers(void **state)
{
        for (size_t n = 20; n <= 300; n += 20) {
                struct text props = {0}, t = {0}, out;
                unsigned char len[2] = {(unsigned char)(0x80 | (2 * n & 0x7f)), (unsigned char)(2 * n >> 7)};

                add(&props, len, 2);
                for (size_t i = 0; i < n; i++)
                        add(&props, (unsigned char[]){0x0b, (unsigned char)(1 + i % 127)}, 2);
                ADD(&t, "\x20\3\0\0\0");
                if (2 * n > 127)
                        add_publish(&t, 0x30, "a/b", 3, &props, 9);
                out = run(&t, 50, false, NULL);
                if (2 * n > 127) /* four bytes each and their head; too many are none */
                        assert_int_equal(out.n, n <= MQTT_IDS_MAX ? 5 + 3 + 5 + 2 + 19 + 4 * n + 9 : 5 + 2 + 5 + 1 + 9);
                free(out.p);
                free(props.p);
                free(t.p);
        }
}

/* Memory: one packet, and not for good. */
static void test_memory_is_bounded(void **state)
{
        struct text t = {0};
        struct mqtt_inbound in;

        ADD(&t, "\x20\3\0\0\0");
        add_publish(&t, 0x32, "t", 1, &no_props, 8000000);
        mqtt_inbound_init(&in, false, MAX_PAYLOAD, MARK);
        for (size_t at = 0; at < t.n; at += 1000) {
                assert_int_equal(mqtt_inbound_feed(&in, t.p + at, t.n - at < 1000 ? t.n - at : 1000), 0);
                assert_in_range(in.part_size + in.out_size, 0, 400000);
        }
        mqtt_inbound_took(&in, in.to - in.from);
        assert_in_range(in.part_size + in.out_size, 0, 2 * 128 * 1024);
        mqtt_inbound_fini(&in);
        free(t.p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sound_packets_pass_as_they_are),
                cmocka_unit_test(test_messages_at_every_bound),
                cmocka_unit_test(test_long_topics),
                cmocka_unit_test(test_topics_that_none_may_have),
                cmocka_unit_test(test_many_properties_are_left_out),
                cmocka_unit_test(test_a_huge_message_among_others),
                cmocka_unit_test(test_what_breaks_the_protocol),
                cmocka_unit_test(test_before_the_connack),
                cmocka_unit_test(test_what_the_broker_takes),
                cmocka_unit_test(test_identifiers),
                cmocka_unit_test(test_many_identifiers),
                cmocka_unit_test(test_memory_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
