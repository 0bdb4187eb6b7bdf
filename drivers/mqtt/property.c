/*
 * property: see property.h.
 *
 * One table says what there is.  libmosquitto 2.0.11 ends the process by an
 * assertion at a property it does not know, and compares each property with
 * every other; so what breaks the format costs the connection, and many
 * properties never reach the library.
 *
 * What any publisher may have written, by way of a sound broker, never costs
 * the connection: properties of a PUBLISH that are well-formed and wrong, or
 * many, are left out of it.
 *
 * Fails: with a sentence that names property, packet and what is wrong.
 */
#include "drivers/mqtt/property.h"

#include <string.h>

#include "drivers/mqtt/packet.h"

/* ---- text (1.5.4) ---- */

/*
 * What the library takes: no control characters, no surrogates, no
 * noncharacters.
 */
static bool is_character(uint32_t code, size_t len)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

        return code >= least[len] && code >= 0x20 && !(code >= 0x7f && code <= 0x9f) &&
               !(code >= 0xd800 && code <= 0xdfff) && !(code >= 0xfdd0 && code <= 0xfdef) &&
               (code & 0xfffe) != 0xfffe && code <= 0x10ffff;
}

size_t mqtt_char_len(const unsigned char *p, size_t n)
{
        size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 0;
        uint32_t code = len > 1 ? p[0] & (0x7fu >> len) : p[0];

        if (!len || len > n)
                return 0;
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (p[i] & 0x3f);
        }
        return is_character(code, len) ? len : 0;
}

static bool is_text(const unsigned char *p, size_t n)
{
        while (n) {
                size_t len = *p >= 0x20 && *p < 0x7f ? 1 : mqtt_char_len(p, n);

                if (!len)
                        return false;
                p += len;
                n -= len;
        }
        return true;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Some byte of it is 0, where none is over 0x7f. */
static uint64_t has_zero(uint64_t w)
{
        return (w - EACH(1)) & ~w;
}

/* Eight bytes that any topic may have. */
static bool are_plain(const unsigned char *p)
{
        uint64_t w;

        memcpy(&w, p, sizeof(w));
        return !((w | (w - EACH(0x20)) | (w + EACH(1)) | has_zero(w ^ EACH('+')) | has_zero(w ^ EACH('#'))) &
                 EACH(0x80));
}

/* The last eight may be looked at twice. */
static bool is_plain(const unsigned char *p, size_t n)
{
        size_t at = 0;

        while (at + 8 < n && are_plain(p + at))
                at += 8;
        return n >= 8 && at + 8 >= n && are_plain(p + n - 8);
}

bool mqtt_is_topic(const unsigned char *p, size_t n)
{
        return is_plain(p, n) || (n && is_text(p, n) && !memchr(p, '+', n) && !memchr(p, '#', n));
}

/* ---- properties (2.2.2.2) ---- */

enum kind { NONE, BYTE, TWO, FOUR, VARINT, TEXT, BINARY, PAIR };

#define IN(type) (1u << MQTT_##type)
#define ANSWERS  (IN(CONNACK) | IN(PUBACK) | IN(SUBACK) | IN(UNSUBACK) | IN(DISCONNECT))

static const struct {
        enum kind kind;
        unsigned in;
} properties[] = {
        [0x01] = {BYTE, IN(PUBLISH)},                  /* payload format indicator */
        [0x02] = {FOUR, IN(PUBLISH)},                  /* message expiry interval */
        [0x03] = {TEXT, IN(PUBLISH)},                  /* content type */
        [0x08] = {TEXT, IN(PUBLISH)},                  /* response topic */
        [0x09] = {BINARY, IN(PUBLISH)},                /* correlation data */
        [0x0b] = {VARINT, IN(PUBLISH)},                /* subscription identifier */
        [0x11] = {FOUR, IN(CONNACK) | IN(DISCONNECT)}, /* session expiry interval */
        [0x12] = {TEXT, IN(CONNACK)},                  /* assigned client identifier */
        [0x13] = {TWO, IN(CONNACK)},                   /* server keep alive */
        [0x15] = {TEXT, IN(CONNACK)},                  /* authentication method */
        [0x16] = {BINARY, IN(CONNACK)},                /* authentication data */
        [0x1a] = {TEXT, IN(CONNACK)},                  /* response information */
        [0x1c] = {TEXT, IN(CONNACK) | IN(DISCONNECT)}, /* server reference */
        [0x1f] = {TEXT, ANSWERS},                      /* reason string */
        [0x21] = {TWO, IN(CONNACK)},                   /* receive maximum */
        [0x22] = {TWO, IN(CONNACK)},                   /* topic alias maximum */
        [0x23] = {TWO, IN(PUBLISH)},                   /* topic alias */
        [0x24] = {BYTE, IN(CONNACK)},                  /* maximum QoS */
        [0x25] = {BYTE, IN(CONNACK)},                  /* retain available */
        [0x26] = {PAIR, ANSWERS | IN(PUBLISH)},        /* user property */
        [0x27] = {FOUR, IN(CONNACK)},                  /* maximum packet size */
        [0x28] = {BYTE, IN(CONNACK)},                  /* wildcard subscription available */
        [0x29] = {BYTE, IN(CONNACK)},                  /* subscription identifiers available */
        [0x2a] = {BYTE, IN(CONNACK)},                  /* shared subscription available */
};

enum {
        SUBSCRIPTION_ID = 0x0b,
        SERVER_KEEPALIVE = 0x13,
        RECEIVE_MAXIMUM = 0x21,
        MAXIMUM_QOS = 0x24,
        USER_PROPERTY = 0x26,
        MAXIMUM_PACKET = 0x27,
        IDS_AVAILABLE = 0x29
};

struct property {
        unsigned id;
        uint32_t value; /* of numbers */
        bool right;     /* what it says; how it is written is checked apart */
};

/* False: it does not end where its packet does. */
static bool take_string(struct cursor *c, bool is_binary, bool *sound)
{
        uint32_t len;

        if (!cursor_uint(c, 2, &len) || cursor_left(c) < len)
                return false;
        *sound = *sound && (is_binary || is_text(c->p, len));
        return cursor_skip(c, len);
}

static bool take_value(struct cursor *c, enum kind kind, struct property *out)
{
        switch (kind) {
        case BYTE:
                return cursor_uint(c, 1, &out->value);
        case TWO:
                return cursor_uint(c, 2, &out->value);
        case FOUR:
                return cursor_uint(c, 4, &out->value);
        case VARINT:
                return cursor_varint(c, &out->value);
        case TEXT:
        case BINARY:
                return take_string(c, kind == BINARY, &out->right);
        case PAIR:
                return take_string(c, false, &out->right) && take_string(c, false, &out->right);
        case NONE:
                break;
        }
        return false;
}

/* 2.2.2.2, 3.2.2.3: values that are protocol errors. */
static bool value_is_right(const struct property *p)
{
        if (p->id == 0x01 || (p->id >= 0x28 && p->id <= 0x2a) || p->id == 0x25 || p->id == MAXIMUM_QOS)
                return p->value <= 1;
        if (p->id == RECEIVE_MAXIMUM || p->id == MAXIMUM_PACKET || p->id == 0x23 || p->id == SUBSCRIPTION_ID)
                return p->value != 0;
        return true;
}

static int take_property(struct cursor *c, unsigned type, const char *name, struct property *out, struct err *e)
{
        unsigned id = *c->p++;

        *out = (struct property){.id = id, .right = true};
        if (id >= sizeof(properties) / sizeof(*properties) || properties[id].kind == NONE)
                return err_set(e,
                               "the broker breaks the protocol: property 0x%02x in its %s, which MQTT 5 does not know",
                               id, name);
        if (!(properties[id].in & 1u << type))
                return err_set(e, "the broker breaks the protocol: property 0x%02x in its %s, where it may not be", id,
                               name);
        if (!take_value(c, properties[id].kind, out))
                return err_set(e,
                               "the broker breaks the protocol: property 0x%02x in its %s does not end where it should",
                               id, name);
        out->right &= value_is_right(out);
        return 0;
}

static int twice(unsigned id, const char *name, struct err *e)
{
        return err_set(e, "the broker breaks the protocol: property 0x%02x comes twice in its %s", id, name);
}

/* One more; too many are as if there were none. */
static void add_id(struct mqtt_ids *ids, const struct property *p)
{
        if (!p->right)
                return;
        if (ids->n < MQTT_IDS_MAX)
                ids->id[ids->n] = p->value;
        ids->n++;
}

int mqtt_properties_of_publish(const unsigned char *p, size_t len, struct mqtt_ids *ids, struct err *e)
{
        struct cursor c = {p, p + len};
        uint64_t seen = 0;
        bool strip = len > MQTT_PROPERTIES_MAX;
        struct property one;

        ids->n = 0;
        while (c.p < c.end) {
                if (take_property(&c, MQTT_PUBLISH, "PUBLISH", &one, e) < 0)
                        return -1;
                if (seen & UINT64_C(1) << one.id) {
                        if (one.id != USER_PROPERTY && one.id != SUBSCRIPTION_ID)
                                return twice(one.id, "PUBLISH", e);
                        strip |= one.id == SUBSCRIPTION_ID;
                }
                if (one.id == SUBSCRIPTION_ID)
                        add_id(ids, &one);
                seen |= UINT64_C(1) << one.id;
                strip |= !one.right;
        }
        if (ids->n > MQTT_IDS_MAX)
                ids->n = 0;
        return strip ? MQTT_PROPERTY_E_STRIP : 0;
}

int mqtt_properties_check(struct cursor *c, unsigned type, const char *name, struct mqtt_broker_takes *takes,
                          struct err *e)
{
        struct cursor inner = {NULL, NULL};
        struct property one;
        uint64_t seen = 0;
        uint32_t len;

        if (!cursor_varint(c, &len) || cursor_left(c) < len)
                return err_set(e, "the broker breaks the protocol: the properties of its %s do not end where it does",
                               name);
        inner.p = c->p;
        inner.end = c->p + len;
        cursor_skip(c, len);
        for (int n = 0; inner.p < inner.end; n++) {
                if (n == MQTT_ANSWER_PROPERTIES)
                        return err_set(e, "the broker sends a %s with more than %d properties", name,
                                       MQTT_ANSWER_PROPERTIES);
                if (take_property(&inner, type, name, &one, e) < 0)
                        return -1;
                if (!one.right)
                        return err_set(e,
                                       "the broker breaks the protocol: property 0x%02x in its %s says what it may not",
                                       one.id, name);
                if (seen & UINT64_C(1) << one.id && one.id != USER_PROPERTY)
                        return twice(one.id, name, e);
                seen |= UINT64_C(1) << one.id;
                if (one.id == MAXIMUM_PACKET)
                        takes->max_packet = one.value;
                else if (one.id == IDS_AVAILABLE)
                        takes->ids = one.value;
                else if (one.id == SERVER_KEEPALIVE)
                        takes->keepalive = inner.p - 2;
        }
        return 0;
}
