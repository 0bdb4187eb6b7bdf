/*
 * packet: see packet.h.
 *
 * What libmosquitto would break at, or could not go on with, is told before it
 * sees it.
 *
 * Refused is also what belongs to things we never ask for.  A message at QoS 2
 * is kept by the library in memory until its PUBREL, without a bound, and each
 * PUBREC or PUBREL makes it queue an answer; AUTH and topic aliases need a
 * CONNECT that offers them.
 *
 * Fails: with a sentence that names packet, place and what is wrong.
 */
#include "drivers/mqtt/packet.h"

#include "drivers/mqtt/property.h"

enum {
        SERVER_PACKETS = 1 << MQTT_CONNACK | 1 << MQTT_PUBLISH | 1 << MQTT_PUBACK | 1 << MQTT_SUBACK |
                         1 << MQTT_UNSUBACK | 1 << MQTT_PINGRESP | 1 << MQTT_DISCONNECT
};

const char *mqtt_packet_name(unsigned char first)
{
        static const char *const names[] = {"packet of type 0", "CONNECT",  "CONNACK",     "PUBLISH",
                                            "PUBACK",           "PUBREC",   "PUBREL",      "PUBCOMP",
                                            "SUBSCRIBE",        "SUBACK",   "UNSUBSCRIBE", "UNSUBACK",
                                            "PINGREQ",          "PINGRESP", "DISCONNECT",  "AUTH"};

        return names[first >> 4];
}

int mqtt_packet_header(const unsigned char *p, size_t n, size_t *header_len, uint32_t *body_len)
{
        *body_len = 0;
        for (size_t i = 1; i < n && i < MQTT_HEADER_MAX; i++) {
                *body_len |= (uint32_t)(p[i] & 0x7f) << (7 * (i - 1));
                *header_len = i + 1;
                if (!(p[i] & 0x80))
                        return 1;
        }
        return n < MQTT_HEADER_MAX ? 0 : -1;
}

int mqtt_packet_allowed(unsigned char first, bool v311, struct err *e)
{
        unsigned type = first >> 4, flags = first & 0x0f;
        const char *name = mqtt_packet_name(first);

        if (type >= 5 && type <= 7)
                return err_set(e, "the broker sends a %s, which is of QoS 2, and we never ask for that", name);
        if (!(SERVER_PACKETS & 1 << type) || (type == MQTT_DISCONNECT && v311))
                return err_set(e, "the broker breaks the protocol: it sends a %s", name);
        if (type != MQTT_PUBLISH && flags)
                return err_set(e, "the broker breaks the protocol: a %s with the flags 0x%x", name, flags);
        if (type == MQTT_PUBLISH && (flags & 6) == 6)
                return err_set(e, "the broker breaks the protocol: a PUBLISH at QoS 3");
        if (type == MQTT_PUBLISH && flags & 4)
                return err_set(e, "the broker sends a message at QoS 2, which we never ask for: did another program "
                                  "subscribe under our client id?");
        return 0;
}

static int cut_short(unsigned char first, size_t len, struct err *e)
{
        return err_set(e, "the broker breaks the protocol: a %s of %zu bytes", mqtt_packet_name(first), len);
}

static int check_connack(const unsigned char *body, size_t len, bool v311, struct mqtt_connack *out, struct err *e)
{
        struct cursor c = {body, body + len};
        uint32_t flags, code;

        if (!cursor_uint(&c, 1, &flags) || !cursor_uint(&c, 1, &code) || (v311 && cursor_left(&c)))
                return cut_short(MQTT_CONNACK << 4, len, e);
        if (flags > 1)
                return err_set(e, "the broker breaks the protocol: a CONNACK with the flags 0x%x", flags);
        *out = (struct mqtt_connack){.accepted = code == 0, .takes = {.max_packet = UINT32_MAX, .ids = !v311}};
        if (v311 || (!cursor_left(&c) && code)) /* a broker of 3.1.1 refuses in its own way */
                return 0;
        if (!cursor_left(&c))
                return err_set(e, "the broker answers in MQTT 3.1.1: set `protocol: 3.1.1`");
        if (mqtt_properties_check(&c, MQTT_CONNACK, "CONNACK", &out->takes, e) < 0)
                return -1;
        return cursor_left(&c) ? cut_short(MQTT_CONNACK << 4, len, e) : 0;
}

/*
 * SUBACK and UNSUBACK: which packet is meant, properties, a code for each
 * filter (3.9, 3.11).
 */
static int check_suback(unsigned char first, const unsigned char *body, size_t len, bool v311, struct err *e)
{
        struct cursor c = {body, body + len};
        struct mqtt_broker_takes unused;
        uint32_t mid;
        bool codes = first >> 4 == MQTT_SUBACK || !v311;

        if (!cursor_uint(&c, 2, &mid) || !mid)
                return cut_short(first, len, e);
        if (!v311 && mqtt_properties_check(&c, first >> 4, mqtt_packet_name(first), &unused, e) < 0)
                return -1;
        return !cursor_left(&c) == codes ? cut_short(first, len, e) : 0;
}

/*
 * PUBACK and DISCONNECT: both may end early (3.4.2.1, 3.14.2.1); `n` bytes are
 * in front of the reason code.
 */
static int check_reason(unsigned char first, size_t n, const unsigned char *body, size_t len, bool v311, struct err *e)
{
        struct cursor c = {body, body + len};
        struct mqtt_broker_takes unused;
        uint32_t mid = 1, code;

        if ((n && !cursor_uint(&c, n, &mid)) || !mid || (v311 && cursor_left(&c)))
                return cut_short(first, len, e);
        if (!cursor_uint(&c, 1, &code) || !cursor_left(&c))
                return 0;
        if (mqtt_properties_check(&c, first >> 4, mqtt_packet_name(first), &unused, e) < 0)
                return -1;
        return cursor_left(&c) ? cut_short(first, len, e) : 0;
}

int mqtt_packet_check(unsigned char first, const unsigned char *body, size_t len, bool v311,
                      struct mqtt_connack *connack, struct err *e)
{
        switch (first >> 4) {
        case MQTT_CONNACK:
                return check_connack(body, len, v311, connack, e);
        case MQTT_SUBACK:
        case MQTT_UNSUBACK:
                return check_suback(first, body, len, v311, e);
        case MQTT_PUBACK:
                return check_reason(first, 2, body, len, v311, e);
        case MQTT_DISCONNECT:
                return check_reason(first, 0, body, len, v311, e);
        default:
                return len ? cut_short(first, len, e) : 0;
        }
}

int mqtt_publish_head(unsigned char first, const unsigned char *body, size_t n, uint32_t body_len, bool v311,
                      struct mqtt_publish *out, struct err *e)
{
        struct cursor c = {body, body + n};
        uint32_t topic_len, mid = 0;

        *out = (struct mqtt_publish){.qos = first >> 1 & 3};
        if (!cursor_uint(&c, 2, &topic_len) || cursor_left(&c) < topic_len)
                return err_set(e, "the broker breaks the protocol: the topic of a PUBLISH does not end where it does");
        out->topic = c.p;
        out->topic_len = topic_len;
        cursor_skip(&c, topic_len);
        if (!topic_len && !v311)
                return err_set(e, "the broker sends a topic alias, which we never allow");
        if (out->qos && (!cursor_uint(&c, 2, &mid) || !mid))
                return err_set(e, "the broker breaks the protocol: a PUBLISH at QoS 1 without a packet id");
        out->mid = (uint16_t)mid;
        if (!v311 && !cursor_varint(&c, &out->properties_len))
                return err_set(e, "the broker breaks the protocol: the properties of a PUBLISH without a length");
        out->properties_at = (size_t)(c.p - body);
        if (out->properties_len > body_len - out->properties_at)
                return err_set(e,
                               "the broker breaks the protocol: the properties of a PUBLISH do not end where it does");
        out->payload_at = out->properties_at + out->properties_len;
        return 0;
}
