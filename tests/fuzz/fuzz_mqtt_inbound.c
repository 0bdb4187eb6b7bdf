/*
 * fuzz_mqtt_inbound: any bytes from a broker. The first byte says which MQTT, and whether a CONNACK comes in front.
 *
 * Holds: it returns and leaks nothing; however the bytes are cut the same comes out, and the same sentence; memory
 * stays within its bound; what comes out is whole packets that are sound, and comes out of a second filter as it is,
 * but for messages that were set aside, whose payload is longer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "drivers/mqtt/inbound.h"
#include "drivers/mqtt/property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PAYLOAD = 64, MEMORY_MAX = 1 << 20, LONG = 4096 /* and cut into larger pieces */ };

struct run {
        struct mqtt_inbound in;
        unsigned char *out;
        size_t n;
};

static void take_out(struct run *r)
{
        size_t n = r->in.to - r->in.from;

        if (!n)
                return;
        r->out = mem_grow(r->out, r->n + n, 1);
        memcpy(r->out + r->n, r->in.out + r->in.from, n);
        r->n += n;
        mqtt_inbound_took(&r->in, n);
}

static void feed(struct run *r, const uint8_t *data, size_t size, size_t piece)
{
        int rc = 0;

        while (size && rc == 0) {
                size_t n = size < piece ? size : piece;
                unsigned char *copy = mem_alloc(n); /* so that a read behind the end is seen */

                memcpy(copy, data, n);
                rc = mqtt_inbound_feed(&r->in, copy, n);
                BUG_ON((rc < 0) != (r->in.broken.text[0] != 0));
                BUG_ON(r->in.part_size > MEMORY_MAX || r->in.out_size > MEMORY_MAX + 2 * size);
                free(copy);
                take_out(r);
                data += n;
                size -= n;
        }
}

static void start(struct run *r, bool v311, size_t max_payload)
{
        memset(r, 0, sizeof(*r));
        mqtt_inbound_init(&r->in, v311, max_payload, (const unsigned char *)"0123456789abcdef");
}

static void end(struct run *r)
{
        mqtt_inbound_fini(&r->in);
        free(r->out);
}

/* All that a library would break at. */
static void check_packet(const unsigned char *p, size_t header_len, uint32_t len, bool v311)
{
        struct mqtt_connack connack;
        struct mqtt_publish head;
        struct mqtt_ids ids;
        struct err e;

        BUG_ON(mqtt_packet_allowed(*p, v311, &e) < 0);
        if (*p >> 4 != MQTT_PUBLISH) {
                BUG_ON(mqtt_packet_check(*p, p + header_len, len, v311, &connack, &e) < 0);
                return;
        }
        BUG_ON(mqtt_publish_head(*p, p + header_len, len, len, v311, &head, &e) < 0);
        BUG_ON(!mqtt_is_topic(head.topic, head.topic_len) || head.properties_len > MQTT_PROPERTIES_MAX);
        BUG_ON(mqtt_properties_of_publish(p + header_len + head.properties_at, head.properties_len, &ids, &e) != 0);
        BUG_ON(len - head.payload_at > MQTT_ASIDE_KEPT + 25);
}

static void check_out(const struct run *r, bool v311)
{
        struct run again;

        for (size_t at = 0; at < r->n;) {
                size_t header_len;
                uint32_t len;

                BUG_ON(mqtt_packet_header(r->out + at, r->n - at, &header_len, &len) != 1);
                BUG_ON(r->n - at - header_len < len);
                check_packet(r->out + at, header_len, len, v311);
                at += header_len + len;
        }
        start(&again, v311, MQTT_ASIDE_KEPT + 25);
        feed(&again, r->out, r->n, 1000);
        BUG_ON(again.n != r->n || (r->n && memcmp(again.out, r->out, r->n) != 0) || again.in.broken.text[0]);
        end(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const size_t pieces[] = {1, 7, 4096};
        struct run whole, cut;
        bool v311 = size && *data & 1, greeted = size && *data & 2;
        const unsigned char *connack = (const unsigned char *)(v311 ? "\x20\2\0\0" : "\x20\3\0\0\0");

        if (!size)
                return 0;
        start(&whole, v311, MAX_PAYLOAD);
        feed(&whole, connack, greeted ? (v311 ? 4 : 5) : 0, SIZE_MAX);
        feed(&whole, data + 1, size - 1, SIZE_MAX);
        check_out(&whole, v311);
        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
                start(&cut, v311, MAX_PAYLOAD);
                feed(&cut, connack, greeted ? (v311 ? 4 : 5) : 0, 1);
                feed(&cut, data + 1, size - 1, pieces[i] * (1 + size / LONG));
                BUG_ON(cut.n != whole.n || (cut.n && memcmp(cut.out, whole.out, cut.n) != 0));
                BUG_ON(strcmp(cut.in.broken.text, whole.in.broken.text) != 0);
                end(&cut);
        }
        end(&whole);
        return 0;
}
