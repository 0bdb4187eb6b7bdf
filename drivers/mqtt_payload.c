/*
 * mqtt_payload: bytes of a message -> readings, and nothing else.
 *
 * A bare payload is one JSON scalar; NaN and the infinities, which sensors do write, become a bad reading without value.
 * JSON goes through jansson, whose memory is a bump arena of 64 KiB that is forgotten as a whole before the next message:
 * no malloc and no free per message.  A message that needs more continues on the heap, and is then freed piece by piece.
 * The arena is of the thread that decodes; other users of the library in the process keep the heap.
 *
 * Time: what the payload says is believed when it has a zone, is not before 2020 and at most a minute ahead of us; else
 * the arrival stands and the reading is uncertain.
 *
 * Fails: MQTT_E_MALFORMED with a reason for people.  One value that is null is a bad reading (sensor), an object or list
 * where a value should be is a bad reading (config), a value that is not there is counted; only when none is there, the
 * message is malformed.
 */
#include "drivers/mqtt_payload.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/text.h"

#define EXACT_MAX     (INT64_C(1) << 53)
#define FUTURE_MAX_US INT64_C(60000000)
#define YEAR_2020_US  INT64_C(1577836800000000)

/* ---- the arena ---- */

static struct {
        _Alignas(16) char bytes[64 << 10];
        size_t used;
        bool spilled;
} arena;
static _Thread_local bool in_arena;
static json_t *held; /* what the last decode returned points into it */
static char reason_text[160];

static void *arena_alloc(size_t n)
{
        void *p;

        if (!in_arena)
                return malloc(n);
        if (n > sizeof(arena.bytes) - arena.used) {
                arena.spilled = true;
                return malloc(n);
        }
        p = arena.bytes + arena.used;
        arena.used = (arena.used + n + 15) & ~(size_t)15;
        return p;
}

static void arena_free(void *p)
{
        uintptr_t at = (uintptr_t)p, start = (uintptr_t)arena.bytes;

        if (at < start || at >= start + sizeof(arena.bytes))
                free(p);
}

static void arena_reset(void)
{
        if (arena.spilled && held)
                json_decref(held);
        held = NULL;
        arena.used = 0;
        arena.spilled = false;
}

void mqtt_decode_setup(void)
{
        json_object_seed(0);
        json_set_alloc_funcs(arena_alloc, arena_free);
}

/* ---- JSON pointers ---- */

static int32_t as_index(const char *s)
{
        size_t len = strspn(s, "0123456789");

        if (len == 0 || len > 9 || s[len] || (*s == '0' && len > 1))
                return -1;
        return (int32_t)strtol(s, NULL, 10);
}

/* One level, unescaped; returns behind it, or NULL at a bad escape. */
static const char *unescape(char *to, const char *s)
{
        for (; *s && *s != '/'; s++) {
                if (*s == '~') {
                        s++;
                        if (*s != '0' && *s != '1')
                                return NULL;
                        *to++ = *s == '0' ? '~' : '/';
                } else {
                        *to++ = *s;
                }
        }
        *to = '\0';
        return s;
}

int mqtt_pointer_parse(struct mqtt_pointer *p, const char *text, struct err *e)
{
        char *to = p->bytes;

        p->n_levels = 0;
        if (*text && *text != '/')
                return err_set(e, "'%s': a JSON pointer begins with / (like /temp)", text);
        if (strlen(text) >= sizeof(p->bytes) || !text_is_utf8(text, strlen(text)))
                return err_set(e, "a JSON pointer is UTF-8 and shorter than %d bytes", MQTT_POINTER_BYTES);
        while (*text) {
                if (p->n_levels == MQTT_POINTER_LEVELS)
                        return err_set(e, "'%s': more than %d levels", text, MQTT_POINTER_LEVELS);
                text = unescape(to, text + 1);
                if (!text)
                        return err_set(e, "in a JSON pointer ~ is written ~0 and / inside a name ~1");
                p->at[p->n_levels] = (uint16_t)(to - p->bytes);
                p->index[p->n_levels++] = as_index(to);
                to += strlen(to) + 1;
        }
        return 0;
}

static const json_t *pointer_get(const struct mqtt_pointer *p, const json_t *j)
{
        for (int i = 0; i < p->n_levels && j; i++) {
                if (json_is_object(j))
                        j = json_object_get(j, p->bytes + p->at[i]);
                else if (json_is_array(j) && p->index[i] >= 0)
                        j = json_array_get(j, (size_t)p->index[i]);
                else
                        j = NULL;
        }
        return j;
}

/* ---- decoders ---- */

static int init_values(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e)
{
        const struct mqtt_reading_conf *r = conf->readings.items;
        char pointer[MQTT_POINTER_BYTES];

        d->n_values = conf->readings.n;
        BUG_ON(d->n_values > MQTT_READINGS_MAX);
        d->values = mem_alloc(d->n_values * sizeof(*d->values));
        for (size_t i = 0; i < d->n_values; i++) {
                if (!r[i].value)
                        snprintf(pointer, sizeof(pointer), "/%s", r[i].tag);
                if (mqtt_pointer_parse(&d->values[i], r[i].value ? r[i].value : pointer, e) < 0)
                        return -1;
        }
        return 0;
}

int mqtt_decoder_init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e)
{
        *d = (struct mqtt_decoder){.kind = conf->payload, .time_format = conf->time_format, .n_values = 1};
        if (conf->payload != MQTT_JSON)
                return 0;
        d->has_time = conf->time;
        if (conf->time && mqtt_pointer_parse(&d->time, conf->time, e) < 0)
                return -1;
        return init_values(d, conf, e);
}

void mqtt_decoder_release(struct mqtt_decoder *d)
{
        free(d->values);
        d->values = NULL;
}

/* ---- values ---- */

static int malformed(struct mqtt_decoded *out, const char *reason)
{
        out->n = 0;
        out->reason = reason;
        return MQTT_E_MALFORMED;
}

static void set_bad(struct reading *r, enum quality quality)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
}

static void set_f64(struct reading *r, double v)
{
        r->type = READING_F64;
        r->v.f64 = v;
}

static void set_text(struct reading *r, const char *s, size_t len)
{
        r->type = READING_TEXT;
        r->v.text = s;
        r->len = (uint32_t)len;
}

/* An integer a double can hold is a number like any other. */
static void set_i64(struct reading *r, int64_t v)
{
        if (v >= -EXACT_MAX && v <= EXACT_MAX) {
                set_f64(r, (double)v);
                return;
        }
        r->type = READING_I64;
        r->v.i64 = v;
}

static bool equals(const char *s, size_t len, const char *word)
{
        return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

static bool is_not_finite(const char *s, size_t len)
{
        if (len && (*s == '-' || *s == '+')) {
                s++;
                len--;
        }
        return equals(s, len, "nan") || equals(s, len, "inf") || equals(s, len, "infinity");
}

/* `s` begins with a quote. */
static int decode_quoted(const char *s, size_t len, struct mqtt_decoded *out)
{
        json_error_t je;
        bool plain = len >= 2 && s[len - 1] == '"' && !memchr(s, '\\', len) && !memchr(s + 1, '"', len - 2);

        for (size_t i = 0; i < len && plain; i++)
                plain = (unsigned char)s[i] >= 0x20;
        if (plain && text_is_utf8(s, len)) {
                set_text(out->r, s + 1, len - 2);
                return 0;
        }
        in_arena = true;
        held = json_loadb(s, len, JSON_DECODE_ANY, &je);
        in_arena = false;
        if (!held)
                return malformed(out, "a quoted text that is not valid JSON");
        set_text(out->r, json_string_value(held), json_string_length(held));
        return 0;
}

static int decode_numeral(const char *s, size_t len, struct mqtt_decoded *out)
{
        double f64;
        int64_t i64;
        bool is_i64, is_integer = true;

        if (!text_number(s, len, &f64, &i64, &is_i64))
                return malformed(out, "neither a number (that can be held), true, false nor a quoted text");
        for (size_t i = 0; i < len; i++)
                is_integer &= s[i] == '-' || (s[i] >= '0' && s[i] <= '9');
        if (is_integer && !is_i64 && f64 != 0)
                return malformed(out, "an integer of more than 64 bits");
        if (is_i64 && f64 != 0)
                set_i64(out->r, i64);
        else
                set_f64(out->r, f64); /* -0 keeps its sign */
        return 0;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int decode_number(const char *s, size_t len, struct mqtt_decoded *out)
{
        struct reading *r = out->r;

        while (len && is_space(s[len - 1]))
                len--;
        for (; len && is_space(*s); s++)
                len--;
        if (!len)
                return malformed(out, "empty");
        if (*s == '"')
                return decode_quoted(s, len, out);
        if (*s == '{' || *s == '[')
                return malformed(out, "an object or list, where one bare value was expected");
        if (len == 4 && memcmp(s, "true", 4) == 0) {
                r->type = READING_BOOL;
                r->v.b = true;
        } else if (len == 5 && memcmp(s, "false", 5) == 0) {
                r->type = READING_BOOL;
                r->v.b = false;
        } else if (is_not_finite(s, len) || (len == 4 && memcmp(s, "null", 4) == 0)) {
                set_bad(r, QUALITY_BAD_SENSOR);
        } else {
                return decode_numeral(s, len, out);
        }
        return 0;
}

static int decode_text(const char *s, size_t len, struct mqtt_decoded *out)
{
        if (!len)
                return malformed(out, "empty");
        if (!text_is_utf8(s, len))
                return malformed(out, memchr(s, '\0', len) ? "a NUL byte in the text" : "not valid UTF-8");
        set_text(out->r, s, len);
        return 0;
}

/* ---- JSON ---- */

static bool scale_time(double v, double per_unit, int64_t *us)
{
        if (!(fabs(v * per_unit) < 9e18))
                return false;
        *us = (int64_t)llround(v * per_unit);
        return true;
}

static bool number_time(const json_t *j, int format, int64_t *us)
{
        static const int64_t per_unit[] = {[MQTT_UNIX_S] = 1000000, [MQTT_UNIX_MS] = 1000, [MQTT_UNIX_US] = 1};
        int64_t i64;
        double f64;
        bool is_i64;

        if (json_is_integer(j)) {
                i64 = json_integer_value(j);
                is_i64 = true;
        } else if (json_is_string(j)) {
                if (!text_number(json_string_value(j), json_string_length(j), &f64, &i64, &is_i64))
                        return false;
        } else if (json_is_real(j)) {
                f64 = json_real_value(j);
                is_i64 = false;
        } else {
                return false;
        }
        if (is_i64)
                return !__builtin_mul_overflow(i64, per_unit[format], us);
        return scale_time(f64, (double)per_unit[format], us);
}

static bool source_time(const json_t *j, int format, int64_t now_us, int64_t *us)
{
        bool has_zone = true;

        if (format == MQTT_ISO8601) {
                if (!json_is_string(j) || !text_time(json_string_value(j), json_string_length(j), us, &has_zone) ||
                    !has_zone)
                        return false;
        } else if (!number_time(j, format, us)) {
                return false;
        }
        return *us >= YEAR_2020_US && *us <= now_us + FUTURE_MAX_US;
}

/* The time that all readings of the message share, as flags, quality and ts_us of a model reading. */
static void model_time(const struct mqtt_decoder *d, const json_t *root, int64_t now_us, struct reading *model)
{
        const json_t *j = d->has_time ? pointer_get(&d->time, root) : NULL;
        int64_t us;

        *model = (struct reading){.ts_us = now_us, .arrival_us = now_us};
        if (!j || json_is_null(j))
                return;
        if (source_time(j, d->time_format, now_us, &us)) {
                model->ts_us = us;
                model->flags = READING_SOURCE_TIME;
        } else {
                model->flags = READING_TIME_UNTRUSTED;
                model->quality = QUALITY_UNCERTAIN;
        }
}

static void set_value(struct reading *r, const json_t *j)
{
        switch (json_typeof(j)) {
        case JSON_REAL:
                set_f64(r, json_real_value(j));
                break;
        case JSON_INTEGER:
                set_i64(r, json_integer_value(j));
                break;
        case JSON_TRUE:
        case JSON_FALSE:
                r->type = READING_BOOL;
                r->v.b = json_is_true(j);
                break;
        case JSON_STRING:
                set_text(r, json_string_value(j), json_string_length(j));
                break;
        case JSON_NULL:
                set_bad(r, QUALITY_BAD_SENSOR);
                break;
        default:
                set_bad(r, QUALITY_BAD_CONFIG);
        }
}

static void take_values(const struct mqtt_decoder *d, const json_t *root, int64_t now_us, struct mqtt_decoded *out)
{
        struct reading model;

        model_time(d, root, now_us, &model);
        out->n = 0;
        for (size_t i = 0; i < d->n_values; i++) {
                const json_t *j = pointer_get(&d->values[i], root);

                if (!j) {
                        out->n_absent++;
                        continue;
                }
                out->r[out->n] = model;
                out->value[out->n] = (uint16_t)i;
                set_value(&out->r[out->n++], j);
        }
}

/* Without the piece of payload the library quotes: it may hold anything. */
static const char *json_reason(const json_error_t *je)
{
        const char *near = strstr(je->text, " near ");
        int len = near ? (int)(near - je->text) : (int)strnlen(je->text, sizeof(reason_text) - 40);

        snprintf(reason_text, sizeof(reason_text), "not JSON: %.*s (byte %d)", len > 110 ? 110 : len, je->text,
                 je->position);
        return reason_text;
}

static int decode_json(const struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                       struct mqtt_decoded *out)
{
        json_error_t je;

        if (!len)
                return malformed(out, "empty");
        in_arena = true;
        held = json_loadb(s, len, 0, &je);
        in_arena = false;
        if (!held) {
                return malformed(out, json_reason(&je));
        }
        take_values(d, held, now_us, out);
        return out->n ? 0 : malformed(out, "none of the configured values is in the message");
}

int mqtt_decode(const struct mqtt_decoder *d, const void *payload, size_t len, int64_t now_us, struct mqtt_decoded *out)
{
        arena_reset();
        out->n = 1;
        out->n_absent = 0;
        out->reason = NULL;
        out->value[0] = 0;
        if (!payload)
                payload = "";
        if (d->kind == MQTT_JSON)
                return decode_json(d, payload, len, now_us, out);
        out->r[0] = (struct reading){.ts_us = now_us, .arrival_us = now_us};
        if (d->kind == MQTT_NUMBER)
                return decode_number(payload, len, out);
        if (d->kind == MQTT_TEXT)
                return decode_text(payload, len, out);
        out->r[0].type = READING_RAW;
        out->r[0].v.text = payload;
        out->r[0].len = (uint32_t)len;
        return 0;
}
