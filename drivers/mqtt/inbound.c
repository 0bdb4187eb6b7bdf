/*
 * inbound: see inbound.h.
 *
 * Memory is not what a packet's header says it needs; and a broker sends a
 * message at QoS 1 again until it is acknowledged.  So one message of 100 MB
 * would end an agent with less memory than that at each start.  Here a packet
 * is gathered up to the longest we want, and of a longer PUBLISH only what
 * names it; the rest is counted as it passes.  It comes out when its last byte
 * is in: it is acknowledged when all of it has been sent.
 *
 * Memory: one packet of max_payload and its topic, and what a read brought.
 *
 * What comes out is packets of MQTT, so a message set aside is known by its
 * payload, and identifiers by their correlation data: both begin with bytes
 * drawn at random for this connection, which no publisher knows.
 *
 * Fails: what breaks the protocol is told once, in `broken`; nothing is taken
 * from then on.
 */
#include "drivers/mqtt/inbound.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/mqtt/property.h"

enum {
        ASIDE_HEAD = MQTT_MARK_BYTES + 1 + 8,        /* mark, why, size */
        PROPERTIES_MOST = 65536,                     /* beyond that a PUBLISH is not gathered */
        KEEP_BYTES = 128 * 1024,                     /* of memory, when nothing is in it */
        HUGE_PART = MQTT_HEAD_MAX + MQTT_ASIDE_KEPT, /* the head, and behind it what is kept */
};

void mqtt_inbound_init(struct mqtt_inbound *in, bool v311, size_t max_payload, const unsigned char *mark)
{
        *in = (struct mqtt_inbound){.v311 = v311, .max_payload = max_payload, .takes = {.max_packet = UINT32_MAX}};
        memcpy(in->mark, mark, MQTT_MARK_BYTES);
}

void mqtt_inbound_fini(struct mqtt_inbound *in)
{
        free(in->part);
        free(in->out);
        *in = (struct mqtt_inbound){0};
}

/* ---- out ---- */

static unsigned char *room(unsigned char **p, size_t used, size_t *size, size_t n)
{
        if (*size - used < n) {
                *size = used + n > *size * 2 ? used + n : *size * 2;
                *p = mem_grow(*p, *size, 1);
        }
        return *p + used;
}

/* Memory that one long packet needed is not kept for good. */
static void shrink(unsigned char **p, size_t *size)
{
        if (*size <= KEEP_BYTES)
                return;
        free(*p);
        *p = NULL;
        *size = 0;
}

static void put(struct mqtt_inbound *in, const void *bytes, size_t n)
{
        if (n)
                memcpy(room(&in->out, in->to, &in->out_size, n), bytes, n);
        in->to += n;
}

static void put_number(struct mqtt_inbound *in, uint64_t value, int n_bytes)
{
        unsigned char bytes[8];

        for (int i = 0; i < n_bytes; i++)
                bytes[i] = (unsigned char)(value >> (8 * (n_bytes - 1 - i)));
        put(in, bytes, (size_t)n_bytes);
}

static void put_header(struct mqtt_inbound *in, unsigned char first, size_t len)
{
        put(in, &first, 1);
        do {
                unsigned char byte = (unsigned char)((len & 0x7f) | (len > 0x7f ? 0x80 : 0));

                put(in, &byte, 1);
                len >>= 7;
        } while (len);
}

void mqtt_inbound_took(struct mqtt_inbound *in, size_t n)
{
        in->from += n;
        if (in->from < in->to)
                return;
        in->from = in->to = 0;
        shrink(&in->out, &in->out_size);
}

static size_t data_len(const struct mqtt_ids *ids)
{
        return MQTT_MARK_BYTES + 4 * ids->n;
}

/* All properties, without their length. */
static size_t ids_len(const struct mqtt_ids *ids)
{
        return ids->n ? 3 + data_len(ids) : 0;
}

static void put_ids(struct mqtt_inbound *in, const struct mqtt_ids *ids)
{
        size_t len = ids_len(ids);

        put_number(in, len > 0x7f ? (0x80 | (len & 0x7f)) << 8 | len >> 7 : len, len > 0x7f ? 2 : 1);
        if (!len)
                return;
        put_number(in, MQTT_CORRELATION, 1);
        put_number(in, data_len(ids), 2);
        put(in, in->mark, MQTT_MARK_BYTES);
        for (size_t i = 0; i < ids->n; i++)
                put_number(in, ids->id[i], 4);
}

/*
 * A PUBLISH, of its properties only the identifiers; the payload is the
 * caller's to put.
 */
static void put_head(struct mqtt_inbound *in, unsigned char first, const unsigned char *topic, size_t topic_len,
                     uint16_t mid, const struct mqtt_ids *ids, size_t payload_len)
{
        size_t props = in->v311 ? 0 : ids_len(ids) + (ids_len(ids) > 0x7f ? 2 : 1);

        put_header(in, first, 2 + topic_len + (mid ? 2 : 0) + props + payload_len);
        put_number(in, topic_len, 2);
        put(in, topic, topic_len);
        if (mid)
                put_number(in, mid, 2);
        if (!in->v311)
                put_ids(in, ids);
}

size_t mqtt_inbound_ids(const struct mqtt_inbound *in, const void *data, size_t len, uint32_t *out)
{
        const unsigned char *p = (const unsigned char *)data + MQTT_MARK_BYTES;
        size_t n = len < MQTT_MARK_BYTES ? 0 : (len - MQTT_MARK_BYTES) / 4;

        if (!n || n > MQTT_IDS_MAX || memcmp(data, in->mark, MQTT_MARK_BYTES) != 0)
                return 0;
        for (size_t i = 0; i < n; i++, p += 4)
                out[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        return n;
}

/*
 * A topic that any library takes; as long as it was, but for one that is empty.
 */
static size_t mend_topic(unsigned char *out, const struct mqtt_publish *p)
{
        size_t i = 0;

        while (i < p->topic_len) {
                size_t len = mqtt_char_len(p->topic + i, p->topic_len - i);
                bool right = len && p->topic[i] != '+' && p->topic[i] != '#';

                memcpy(out + i, right ? p->topic + i : (const unsigned char *)"?", right ? len : 1);
                i += right ? len : 1;
        }
        if (!i)
                out[i++] = '?';
        return i;
}

static void set_aside(struct mqtt_inbound *in, unsigned char first, const struct mqtt_publish *p, enum mqtt_aside why,
                      uint64_t size, const unsigned char *payload, size_t len)
{
        static const struct mqtt_ids none;
        unsigned char *topic = mem_alloc(p->topic_len + 1);
        size_t topic_len = mend_topic(topic, p);

        len = len < MQTT_ASIDE_KEPT ? len : MQTT_ASIDE_KEPT;
        put_head(in, first, topic, topic_len, p->mid, &none, ASIDE_HEAD + len);
        put(in, in->mark, MQTT_MARK_BYTES);
        put_number(in, why, 1);
        put_number(in, size, 8);
        put(in, payload, len);
        free(topic);
}

bool mqtt_inbound_aside(const struct mqtt_inbound *in, const void *payload, size_t len, struct mqtt_set_aside *out)
{
        const unsigned char *p = payload;

        if (len < ASIDE_HEAD || memcmp(p, in->mark, MQTT_MARK_BYTES) != 0)
                return false;
        *out = (struct mqtt_set_aside){.why = p[MQTT_MARK_BYTES], .payload = p + ASIDE_HEAD, .len = len - ASIDE_HEAD};
        for (int i = 0; i < 8; i++)
                out->size = out->size << 8 | p[MQTT_MARK_BYTES + 1 + i];
        return true;
}

/* ---- a packet that is all there ---- */

static int pass_publish(struct mqtt_inbound *in, const unsigned char *p, size_t header_len, uint32_t body_len)
{
        const unsigned char *body = p + header_len;
        struct mqtt_publish head;
        struct mqtt_ids ids;
        size_t payload_len;
        int r;

        if (mqtt_publish_head(*p, body, body_len, body_len, in->v311, &head, &in->broken) < 0)
                return -1;
        r = mqtt_properties_of_publish(body + head.properties_at, head.properties_len, &ids, &in->broken);
        if (r < 0)
                return -1;
        payload_len = body_len - head.payload_at;
        if (payload_len > in->max_payload) {
                set_aside(in, *p, &head, MQTT_ASIDE_LONG, payload_len, body + head.payload_at, payload_len);
        } else if (!mqtt_is_topic(head.topic, head.topic_len)) {
                set_aside(in, *p, &head, MQTT_ASIDE_TOPIC, payload_len, body + head.payload_at, payload_len);
        } else if (r == MQTT_PROPERTY_E_STRIP || ids.n) {
                put_head(in, *p, head.topic, head.topic_len, head.mid, &ids, payload_len);
                put(in, body + head.payload_at, payload_len);
        } else {
                put(in, p, header_len + body_len);
        }
        return 0;
}

/*
 * Who sends more than he must is in his right (MQTT 5.0, 3.1.2.10); who sends
 * nothing does not see that the link is dead.
 */
static void keep_alive(const struct mqtt_inbound *in, unsigned char *broker_s)
{
        uint16_t s = (uint16_t)(broker_s[0] << 8 | broker_s[1]);

        if (!in->keepalive_s || (s && s <= in->keepalive_s))
                return;
        broker_s[0] = (unsigned char)(in->keepalive_s >> 8);
        broker_s[1] = (unsigned char)in->keepalive_s;
}

static int pass_answer(struct mqtt_inbound *in, const unsigned char *p, size_t header_len, uint32_t body_len)
{
        struct mqtt_connack connack;

        if (mqtt_packet_check(*p, p + header_len, body_len, in->v311, &connack, &in->broken) < 0)
                return -1;
        if (*p >> 4 == MQTT_CONNACK) {
                in->answered = true;
                in->accepted = connack.accepted;
                in->takes = connack.takes;
        }
        put(in, p, header_len + body_len);
        if (*p >> 4 == MQTT_CONNACK && connack.takes.keepalive)
                keep_alive(in, in->out + in->to - (p + header_len + body_len - connack.takes.keepalive));
        in->takes.keepalive = NULL;
        return 0;
}

static void pass(struct mqtt_inbound *in, const unsigned char *p, size_t header_len, uint32_t body_len)
{
        if (*p >> 4 == MQTT_PUBLISH)
                pass_publish(in, p, header_len, body_len);
        else
                pass_answer(in, p, header_len, body_len);
}

/* ---- one that is longer than we want ---- */

/*
 * Its head is there: where does the payload begin, and what of it is there
 * already?
 */
static int read_huge_head(struct mqtt_inbound *in)
{
        struct mqtt_publish *head = &in->huge_head;

        if (mqtt_publish_head(in->huge_first, in->part, in->n_part, in->huge_len, in->v311, head, &in->broken) < 0)
                return -1;
        if (head->payload_at < in->n_part) {
                in->n_kept = in->n_part - head->payload_at;
                in->n_kept = in->n_kept < MQTT_ASIDE_KEPT ? in->n_kept : MQTT_ASIDE_KEPT;
                memcpy(in->part + MQTT_HEAD_MAX, in->part + head->payload_at, in->n_kept);
        }
        return 0;
}

/* The payload's beginning, which may lie anywhere in or behind these. */
static void keep(struct mqtt_inbound *in, const unsigned char *bytes, size_t n)
{
        size_t want = MQTT_ASIDE_KEPT - in->n_kept, gap;

        if (!want || in->huge_at + n <= in->huge_head.payload_at)
                return;
        gap = in->huge_at < in->huge_head.payload_at ? in->huge_head.payload_at - in->huge_at : 0;
        want = want < n - gap ? want : n - gap;
        memcpy(in->part + MQTT_HEAD_MAX + in->n_kept, bytes + gap, want);
        in->n_kept += want;
}

static void end_huge(struct mqtt_inbound *in)
{
        uint64_t size = in->huge_len - in->huge_head.payload_at;
        bool is_long = size > in->max_payload;

        set_aside(in, in->huge_first, &in->huge_head, is_long ? MQTT_ASIDE_LONG : MQTT_ASIDE_PROPERTIES,
                  is_long ? size : in->huge_head.properties_len, in->part + MQTT_HEAD_MAX, in->n_kept);
        in->huge = false;
        in->n_part = in->n_kept = 0;
        shrink(&in->part, &in->part_size);
}

static size_t swallow(struct mqtt_inbound *in, const unsigned char *bytes, size_t n)
{
        bool in_head = in->n_part < MQTT_HEAD_MAX;
        size_t most = in_head ? MQTT_HEAD_MAX - in->n_part : in->huge_len - in->huge_at;

        n = n < most ? n : most;
        if (in_head) {
                memcpy(in->part + in->n_part, bytes, n);
                in->n_part += n;
                if (in->n_part == MQTT_HEAD_MAX)
                        read_huge_head(in);
        } else {
                keep(in, bytes, n);
        }
        in->huge_at += (uint32_t)n;
        if (in->huge_at == in->huge_len && !in->broken.text[0])
                end_huge(in);
        return n;
}

/* ---- pieces ---- */

/* What the header says is looked at before anything is gathered. */
static int admit(struct mqtt_inbound *in, unsigned char first, uint32_t body_len)
{
        bool is_connack = first >> 4 == MQTT_CONNACK;

        if (mqtt_packet_allowed(first, in->v311, &in->broken) < 0)
                return -1;
        if (is_connack && in->answered)
                return err_set(&in->broken, "the broker breaks the protocol: a second CONNACK");
        if (!is_connack && !in->accepted && first >> 4 != MQTT_DISCONNECT)
                return err_set(&in->broken, "the broker breaks the protocol: a %s before it has accepted us",
                               mqtt_packet_name(first));
        if (first >> 4 != MQTT_PUBLISH && body_len > MQTT_ANSWER_MAX)
                return err_set(&in->broken, "the broker sends a %s of %u bytes", mqtt_packet_name(first), body_len);
        return 0;
}

static bool is_huge(const struct mqtt_inbound *in, uint32_t body_len)
{
        return body_len > (uint64_t)in->max_payload + MQTT_HEAD_MAX + PROPERTIES_MOST;
}

static void begin_huge(struct mqtt_inbound *in, unsigned char first, uint32_t body_len)
{
        in->huge = true;
        in->huge_first = first;
        in->huge_len = body_len;
        in->huge_at = 0;
        in->n_part = in->n_kept = 0;
        room(&in->part, 0, &in->part_size, HUGE_PART);
}

/* A packet begins at `bytes`: how many of them are done with. */
static size_t begin(struct mqtt_inbound *in, const unsigned char *bytes, size_t n)
{
        size_t header_len;
        uint32_t body_len;
        int r = mqtt_packet_header(bytes, n, &header_len, &body_len);

        if (r < 0) {
                err_set(&in->broken,
                        "the broker breaks the protocol: a packet without a length; is it an MQTT broker?");
                return n;
        }
        if (r && admit(in, *bytes, body_len) < 0)
                return n;
        if (r && is_huge(in, body_len)) {
                begin_huge(in, *bytes, body_len);
                return header_len;
        }
        if (r && n - header_len >= body_len) {
                pass(in, bytes, header_len, body_len);
                return header_len + body_len;
        }
        memmove(room(&in->part, 0, &in->part_size, n), bytes, n); /* they may lie there already */
        in->n_part = n;
        return n;
}

/* The packet that has begun goes on. */
static size_t gather(struct mqtt_inbound *in, const unsigned char *bytes, size_t n)
{
        size_t header_len = 0, want = 1;
        uint32_t body_len;
        int r = mqtt_packet_header(in->part, in->n_part, &header_len, &body_len);

        if (r)
                want = header_len + body_len - in->n_part;
        n = n < want ? n : want;
        memcpy(room(&in->part, in->n_part, &in->part_size, n), bytes, n);
        in->n_part += n;
        if (!r) { /* one byte more of the header: look again */
                n = in->n_part;
                in->n_part = 0;
                begin(in, in->part, n);
                return 1;
        }
        if (n == want) {
                in->n_part = 0;
                pass(in, in->part, header_len, body_len);
                shrink(&in->part, &in->part_size);
        }
        return n;
}

int mqtt_inbound_feed(struct mqtt_inbound *in, const unsigned char *bytes, size_t n)
{
        while (n && !in->broken.text[0]) {
                size_t used = in->huge     ? swallow(in, bytes, n)
                              : in->n_part ? gather(in, bytes, n)
                                           : begin(in, bytes, n);

                bytes += used;
                n -= used;
        }
        return in->broken.text[0] ? -1 : 0;
}
