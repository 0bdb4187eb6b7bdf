/*
 * payload: bytes of a message -> readings, and nothing else.
 *
 * A bare payload is one JSON scalar; NaN and the infinities, which sensors do
 * write, become a bad reading without value. JSON is scanned once for what is
 * asked for (json_scan); texts with escapes are unescaped into a buffer that
 * grows to the longest message seen (max_payload bounds it) and stays.
 *
 * Time: what the payload says is believed when it has a zone, is not before
 * 2020 and at most a minute ahead of us; else the arrival stands and the
 * reading is uncertain.
 *
 * Fails: MQTT_E_MALFORMED with a reason for people.  One value that is null is
 * a bad reading (sensor), an object or list where a value should be is a bad
 * reading (config), a value that is not there is counted; only when none is
 * there, the message is malformed.
 */
#include "drivers/mqtt/payload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/text.h"

#define EXACT_MAX     (INT64_C(1) << 53)
#define FUTURE_MAX_US INT64_C(60000000)
#define YEAR_2020_US  INT64_C(1577836800000000)

static char *unescaped; /* texts of the last decode that had escapes */
static size_t n_unescaped, cap_unescaped;
static char reason_text[160];

/* ---- decoders ---- */

static int init_values(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e)
{
        const struct mqtt_reading_conf *r = conf->readings.items;
        char pointer[JSON_POINTER_MAX];

        d->n_values = conf->readings.n;
        BUG_ON(d->n_values > MQTT_READINGS_MAX);
        d->slot = mem_alloc(d->n_values * sizeof(*d->slot));
        for (size_t i = 0; i < d->n_values; i++) {
                if (!r[i].value)
                        snprintf(pointer, sizeof(pointer), "/%s", r[i].tag);
                d->slot[i] = json_paths_add(&d->paths, r[i].value ? r[i].value : pointer, e);
                if (d->slot[i] < 0)
                        return -1;
        }
        return 0;
}

int mqtt_decoder_init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e)
{
        *d = (struct mqtt_decoder){
                .kind = conf->payload, .time_format = conf->time_format, .n_values = 1, .time_slot = -1};
        if (conf->payload != MQTT_JSON)
                return 0;
        if (init_values(d, conf, e) < 0)
                return -1;
        if (conf->time) {
                d->time_slot = json_paths_add(&d->paths, conf->time, e);
                if (d->time_slot < 0)
                        return -1;
        }
        d->found = mem_alloc((size_t)d->paths.n_slots * sizeof(*d->found));
        return 0;
}

void mqtt_decoder_fini(struct mqtt_decoder *d)
{
        json_paths_fini(&d->paths);
        free(d->slot);
        free(d->found);
        d->slot = NULL;
        d->found = NULL;
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

/*
 * Takes the escapes out of the texts found in a message of `len` bytes.  They
 * are pieces of it, and none grows by that, so that together they have room in
 * a buffer as long as the message.
 */
static void unescape_found(struct json_value *found, int n, size_t len)
{
        char *to;

        for (int i = 0; i < n; i++) {
                if (found[i].type != SCAN_TEXT || !found[i].escaped)
                        continue;
                if (len > cap_unescaped) {
                        cap_unescaped = len;
                        unescaped = mem_grow(unescaped, cap_unescaped, 1);
                }
                to = unescaped + n_unescaped;
                found[i].len = (uint32_t)json_unescape(to, &found[i]);
                found[i].at = to;
                found[i].escaped = false;
                n_unescaped += found[i].len;
        }
}

/* `s` begins with a quote. */
static int decode_quoted(const char *s, size_t len, struct mqtt_decoded *out)
{
        static const struct json_node whole = {.index = -1, .slot = 0, .child = -1, .next = -1};
        const struct json_paths paths = {.node = (struct json_node *)&whole, .n_nodes = 1, .n_slots = 1};
        struct json_wrong wrong;
        struct json_value v;

        if (json_scan(&paths, s, len, &v, &wrong) < 0)
                return malformed(out, "a quoted text that is not valid JSON");
        unescape_found(&v, 1, len);
        set_text(out->r, v.at, v.len);
        return 0;
}

/* A number's text, known to be one; NULL, or why it can't be held. */
static const char *set_numeral(struct reading *r, const char *s, size_t len)
{
        double f64;
        int64_t i64;
        bool is_i64, is_integer = true;

        if (!text_number(s, len, &f64, &i64, &is_i64) || !isfinite(f64))
                return "a number beyond what can be held";
        for (size_t i = 0; i < len; i++)
                is_integer &= s[i] == '-' || (s[i] >= '0' && s[i] <= '9');
        if (is_integer && !is_i64 && f64 != 0)
                return "an integer of more than 64 bits";
        if (is_i64 && i64 != 0)
                set_i64(r, i64);
        else
                set_f64(r, f64); /* -0 keeps its sign */
        return NULL;
}

static int decode_numeral(const char *s, size_t len, struct mqtt_decoded *out)
{
        const char *why;
        double f64;
        int64_t i64;
        bool is_i64;

        if (!text_number(s, len, &f64, &i64, &is_i64))
                return malformed(out, "neither a number, true, false nor a quoted text");
        why = set_numeral(out->r, s, len);
        return why ? malformed(out, why) : 0;
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

static bool number_time(const struct json_value *v, int format, int64_t *us)
{
        static const int64_t per_unit[] = {[MQTT_UNIX_S] = 1000000, [MQTT_UNIX_MS] = 1000, [MQTT_UNIX_US] = 1};
        int64_t i64;
        double f64;
        bool is_i64;

        if ((v->type != SCAN_NUMBER && v->type != SCAN_TEXT) || !text_number(v->at, v->len, &f64, &i64, &is_i64))
                return false;
        if (is_i64)
                return !__builtin_mul_overflow(i64, per_unit[format], us);
        return scale_time(f64, (double)per_unit[format], us);
}

static bool source_time(const struct json_value *v, int format, int64_t now_us, int64_t *us)
{
        bool has_zone = true;

        if (format == MQTT_ISO8601) {
                if (v->type != SCAN_TEXT || !text_time(v->at, v->len, us, &has_zone) || !has_zone)
                        return false;
        } else if (!number_time(v, format, us)) {
                return false;
        }
        return *us >= YEAR_2020_US && *us <= now_us + FUTURE_MAX_US;
}

/*
 * The time that all readings of the message share, as flags, quality and ts_us
 * of a model reading.
 */
static void model_time(const struct mqtt_decoder *d, int64_t now_us, struct reading *model)
{
        const struct json_value *v = d->time_slot >= 0 ? &d->found[d->time_slot] : NULL;
        int64_t us;

        *model = (struct reading){.ts_us = now_us, .arrival_us = now_us};
        if (!v || v->type == SCAN_ABSENT || v->type == SCAN_NULL)
                return;
        if (source_time(v, d->time_format, now_us, &us)) {
                model->ts_us = us;
                model->flags = READING_SOURCE_TIME;
        } else {
                model->flags = READING_TIME_UNTRUSTED;
                model->quality = QUALITY_UNCERTAIN;
        }
}

/* NULL, or why it can't be held. */
static const char *set_value(struct reading *r, const struct json_value *v)
{
        switch (v->type) {
        case SCAN_NUMBER:
                return set_numeral(r, v->at, v->len);
        case SCAN_TRUE:
        case SCAN_FALSE:
                r->type = READING_BOOL;
                r->v.b = v->type == SCAN_TRUE;
                break;
        case SCAN_TEXT:
                set_text(r, v->at, v->len);
                break;
        case SCAN_NULL:
                set_bad(r, QUALITY_BAD_SENSOR);
                break;
        default:
                set_bad(r, QUALITY_BAD_CONFIG);
        }
        return NULL;
}

static const char *take_values(const struct mqtt_decoder *d, int64_t now_us, struct mqtt_decoded *out)
{
        const char *why = NULL;
        struct reading model;

        model_time(d, now_us, &model);
        out->n = 0;
        for (size_t i = 0; i < d->n_values && !why; i++) {
                const struct json_value *v = &d->found[d->slot[i]];

                if (v->type == SCAN_ABSENT) {
                        out->n_absent++;
                        continue;
                }
                out->r[out->n] = model;
                out->value[out->n] = (uint16_t)i;
                why = set_value(&out->r[out->n++], v);
        }
        return why || out->n ? why : "none of the configured values is in the message";
}

static int decode_json(const struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                       struct mqtt_decoded *out)
{
        struct json_wrong wrong;
        const char *why;

        if (!len)
                return malformed(out, "empty");
        if (json_scan(&d->paths, s, len, d->found, &wrong) < 0) {
                snprintf(reason_text, sizeof(reason_text), "not JSON: %s (byte %zu)", wrong.why, wrong.byte);
                return malformed(out, reason_text);
        }
        unescape_found(d->found, d->paths.n_slots, len);
        why = take_values(d, now_us, out);
        return why ? malformed(out, why) : 0;
}

int mqtt_decode(const struct mqtt_decoder *d, const void *payload, size_t len, int64_t now_us, struct mqtt_decoded *out)
{
        n_unescaped = 0;
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
