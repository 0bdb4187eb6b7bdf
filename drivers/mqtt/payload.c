/*
 * payload: bytes of a message -> readings, and nothing else.
 *
 * A bare payload is one JSON scalar; NaN and the infinities, which sensors do
 * write, become a bad reading without value. JSON is scanned once for what is
 * asked for (json_scan); texts with escapes are unescaped into a buffer that
 * grows to the longest message seen (max_payload bounds it) and stays.
 *
 * Where a part of the message is walked, the scan puts what is asked for into a
 * row for each element (struct json_rows), and the readings are made when all
 * of it was read: what the message has once may stand behind the elements.
 *
 * Fails: MQTT_E_MALFORMED with a reason for people.  One value that is null is
 * a bad reading (sensor), an object or list where a value should be is a bad
 * reading (config), a value that is not there is counted; only when none is
 * there, the message is malformed.  Of a message that is walked all elements
 * are taken, or none: one without its name makes the message malformed.
 */
#include "drivers/mqtt/payload.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/base/text.h"
#include "drivers/mqtt/labels.h"
#include "drivers/payload/value.h"

static char reason_text[160];

static int malformed(struct mqtt_decoded *out, const char *reason)
{
        out->n = 0;
        out->reason = reason;
        return MQTT_E_MALFORMED;
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
static void unescape_found(struct mqtt_decoder *d, struct json_value *found, size_t n, size_t len)
{
        char *to;

        for (size_t i = 0; i < n; i++) {
                if (found[i].type != SCAN_TEXT || !found[i].escaped)
                        continue;
                if (len > d->cap_unescaped) {
                        d->cap_unescaped = len;
                        d->unescaped = mem_grow(d->unescaped, d->cap_unescaped, 1);
                }
                to = d->unescaped + d->n_unescaped;
                found[i].len = (uint32_t)json_unescape(to, &found[i]);
                found[i].at = to;
                found[i].escaped = false;
                d->n_unescaped += found[i].len;
        }
}

/* `s` begins with a quote. */
static int decode_quoted(struct mqtt_decoder *d, const char *s, size_t len, struct mqtt_decoded *out)
{
        struct json_node whole = {.index = -1, .slot = 0, .child = -1, .next = -1, .any = -1};
        const struct json_paths paths = {.node = &whole, .n_nodes = 1, .n_slots = 1};
        struct json_wrong wrong;
        struct json_value v;

        if (json_scan(&paths, s, len, &v, &wrong) < 0)
                return malformed(out, "a quoted text that is not valid JSON");
        unescape_found(d, &v, 1, len);
        payload_set_text(out->r, v.at, v.len);
        return 0;
}

static int decode_numeral(const char *s, size_t len, struct mqtt_decoded *out)
{
        const char *why;
        double f64;
        int64_t i64;
        bool is_i64;

        if (!text_number(s, len, &f64, &i64, &is_i64))
                return malformed(out, "neither a number, true, false nor a quoted text");
        why = payload_set_numeral(out->r, s, len);
        return why ? malformed(out, why) : 0;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int decode_number(struct mqtt_decoder *d, const char *s, size_t len, struct mqtt_decoded *out)
{
        struct reading *r = out->r;

        while (len && is_space(s[len - 1]))
                len--;
        for (; len && is_space(*s); s++)
                len--;
        if (!len)
                return malformed(out, "empty");
        if (*s == '"')
                return decode_quoted(d, s, len, out);
        if (*s == '{' || *s == '[')
                return malformed(out, "an object or list, where one bare value was expected");
        if (len == 4 && memcmp(s, "true", 4) == 0) {
                r->type = READING_BOOL;
                r->v.b = true;
        } else if (len == 5 && memcmp(s, "false", 5) == 0) {
                r->type = READING_BOOL;
                r->v.b = false;
        } else if (is_not_finite(s, len) || (len == 4 && memcmp(s, "null", 4) == 0)) {
                payload_set_bad(r, QUALITY_BAD_SENSOR);
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
        payload_set_text(out->r, s, len);
        return 0;
}

/* ---- readings of what was found ---- */

static const char *add_names(struct mqtt_decoder *d, const struct mqtt_value *v, const struct json_value *row,
                             struct mqtt_names *to)
{
        const char *why = NULL;

        *to = (struct mqtt_names){.labels = d->labels};
        if (d->source.n)
                why = payload_name_make(&d->source, d->found, row, &d->names, &to->source);
        if (!why && v->tag.n)
                why = payload_name_make(&v->tag, d->found, row, &d->names, &to->tag);
        if (!why && v->unit.n && payload_name_make(&v->unit, d->found, row, &d->names, &to->unit))
                to->unit = (struct payload_text){0};
        return why;
}

/* The value is what was meant, or bad and told. */
static void convert(const struct convert *c, size_t i, struct mqtt_decoded *out)
{
        struct reading *r = &out->r[i];

        if (c->plain || r->type == READING_NONE)
                return;
        if ((c->has_mask || c->n_words || c->type == CONVERT_TEXT) && r->type == READING_F64 &&
            fabs(r->v.f64) < 0x1p53 && r->v.f64 == (double)(int64_t)r->v.f64) {
                r->type = READING_I64; /* codes and bits are of integers, and a text has no .0 */
                r->v.i64 = (int64_t)r->v.f64;
        }
        if (convert_apply(c, r, out->room[i]) == CONVERT_E_UNFIT)
                out->reason = c->number_meant ? "a text where a number is meant" : "a value that is not of its type";
        if (r->type == READING_I64 && c->type != CONVERT_INTEGER && r->v.i64 < INT64_C(1) << 53 &&
            r->v.i64 > -(INT64_C(1) << 53)) { /* as all numbers that a double can hold */
                r->type = READING_F64;
                r->v.f64 = (double)r->v.i64;
        }
}

static const char *set_converted(const struct convert *c, const struct json_value *v, struct reading *r,
                                 struct mqtt_decoded *out)
{
        const char *why = payload_set_value(r, v);

        if (!why)
                convert(c, (size_t)(r - out->r), out);
        return why;
}

/*
 * The readings of one element.  `model` has what they share.  NULL, or why the
 * message is none.
 */
static const char *take_element(struct mqtt_decoder *d, const struct json_value *row, const struct reading *model,
                                struct mqtt_decoded *out)
{
        const char *why = NULL;

        for (size_t i = 0; i < d->n_values && !why; i++) {
                const struct json_value *v = payload_ref_value(&d->value[i].ref, d->found, row);
                struct reading *r = &out->r[out->n];

                if (v->type == SCAN_ABSENT && !quality_is_bad(model->quality)) { /* who is bad needs no value */
                        out->n_absent++;
                        continue;
                }
                if (out->n == MQTT_READINGS_MAX)
                        return "more than 1000 readings in one message";
                *r = *model;
                out->value[out->n] = (uint16_t)i;
                if (d->asks)
                        why = add_names(d, &d->value[i], row, &out->names[out->n]);
                out->n++;
                if (quality_is_bad(model->quality))
                        r->type = READING_NONE;
                else if (!why)
                        why = set_converted(&d->value[i].convert, v, r, out);
        }
        return why;
}

/* Time and quality of all readings of an element. */
static void set_model(const struct mqtt_decoder *d, const struct json_value *row, int64_t now_us, struct reading *model)
{
        *model = (struct reading){.ts_us = now_us, .arrival_us = now_us};
        if (d->quality_ref.at >= 0)
                model->quality =
                        (uint16_t)payload_quality_of(d->quality, payload_ref_value(&d->quality_ref, d->found, row));
        payload_time_set(&d->time, payload_ref_value(&d->time_ref, d->found, row), model);
}

static const char *in_element(const struct mqtt_decoder *d, size_t i, const char *why)
{
        if (d->kind == MQTT_JSON || d->kind == MQTT_CBOR || d->kind == MQTT_MSGPACK || d->kind == MQTT_SENML)
                snprintf(reason_text, sizeof(reason_text), "element %zu: %s", i, why);
        else
                snprintf(reason_text, sizeof(reason_text), "record %zu, element %zu: %s", d->n_records, i, why);
        return reason_text;
}

static const char *take_rows(struct mqtt_decoder *d, int64_t now_us, struct mqtt_decoded *out)
{
        const char *why = NULL;
        struct reading model;

        if (!d->rows.entered)
                return "nothing stands where `each` points";
        d->n_elements += d->rows.n;
        if (d->n_elements > d->rows.most)
                return "more elements than max_elements";
        for (size_t i = 0; i < d->rows.n && !why; i++) {
                const struct json_value *row = json_rows_at(&d->paths, &d->rows, i);

                set_model(d, row, now_us, &model);
                why = take_element(d, row, &model, out);
                if (why)
                        why = in_element(d, i, why);
        }
        return why;
}

static const char *take_once(struct mqtt_decoder *d, int64_t now_us, struct mqtt_decoded *out)
{
        struct reading model;

        if (d->n_elements++ == d->rows.most)
                return "more elements than max_elements";
        set_model(d, NULL, now_us, &model);
        return take_element(d, NULL, &model, out);
}

/*
 * What a scan has found becomes readings, behind those that are there.  NULL,
 * or why the message is none.
 */
static const char *take_found(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                              struct mqtt_decoded *out)
{
        unescape_found(d, d->found, (size_t)d->paths.n_slots, len);
        if (!d->walks)
                return take_once(d, now_us, out);
        if (memchr(s, '\\', len))
                unescape_found(d, d->rows.cell, d->rows.n * (size_t)d->paths.n_cells, len);
        return json_rows_twice(&d->paths, &d->rows) ? JSON_TWICE : take_rows(d, now_us, out);
}

static void settle_names(const struct mqtt_decoder *d, struct mqtt_decoded *out)
{
        for (size_t i = 0; i < out->n; i++) {
                payload_text_settle(&out->names[i].source, &d->names);
                payload_text_settle(&out->names[i].tag, &d->names);
                payload_text_settle(&out->names[i].unit, &d->names);
                payload_text_settle(&out->names[i].labels, &d->names);
        }
}

static void begin_record(struct mqtt_decoder *d)
{
        d->rows.n = 0;
        d->rows.entered = d->rows.over = false;
        d->n_records++;
}

/* ---- formats ---- */

static const char *not_right(const struct mqtt_decoder *d, const char *what, const struct json_wrong *wrong)
{
        if (d->rows.over)
                return "more elements than max_elements";
        if (!strcmp(wrong->why, JSON_TWICE))
                snprintf(reason_text, sizeof(reason_text), "%s (byte %zu)", wrong->why, wrong->byte);
        else
                snprintf(reason_text, sizeof(reason_text), "not %s: %s (byte %zu)", what, wrong->why, wrong->byte);
        return reason_text;
}

static const char *read_json(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                             struct mqtt_decoded *out)
{
        struct json_wrong wrong;

        begin_record(d);
        if (json_scan_rows(&d->paths, s, len, d->found, &d->rows, &wrong) < 0)
                return not_right(d, "JSON", &wrong);
        return take_found(d, s, len, now_us, out);
}

static const char *read_binary(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                               struct mqtt_decoded *out)
{
        bool is_cbor = d->kind == MQTT_CBOR;
        struct json_wrong wrong;

        begin_record(d);
        if (payload_binary_scan(&d->paths, is_cbor ? payload_cbor_token : payload_msgpack_token, s, len, d->found,
                                &d->rows, &wrong) < 0)
                return not_right(d, is_cbor ? "CBOR" : "MessagePack", &wrong);
        return take_found(d, s, len, now_us, out);
}

static const char *read_senml(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                              struct mqtt_decoded *out)
{
        const char *why;

        if (!d->senml)
                d->senml = payload_senml_new(d->rows.most);
        begin_record(d);
        why = payload_senml_read(d->senml, s, len, now_us, &d->paths, &d->rows);
        return why ? why : take_rows(d, now_us, out);
}

static const char *in_record(const struct mqtt_decoder *d, const char *why)
{
        static char text[200];

        if (why == reason_text)
                return why;
        snprintf(text, sizeof(text), "record %zu: %s", d->n_records, why);
        return text;
}

static const char *read_ndjson(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                               struct mqtt_decoded *out)
{
        struct payload_lines lines = {s, s + len, NULL};
        struct json_wrong wrong;
        const char *why = NULL, *line;
        size_t n;

        while (!why && payload_lines_next(&lines, &line, &n)) {
                begin_record(d);
                if (json_scan_rows(&d->paths, line, n, d->found, &d->rows, &wrong) < 0)
                        why = d->rows.over ? "more elements than max_elements" : wrong.why;
                else
                        why = take_found(d, s, len, now_us, out);
        }
        return why ? in_record(d, why) : NULL;
}

/* Room for the texts of all records without their escapes. */
static char *room_for(struct mqtt_decoder *d, size_t len)
{
        if (len > d->cap_unescaped) {
                d->cap_unescaped = len;
                d->unescaped = mem_grow(d->unescaped, d->cap_unescaped, 1);
        }
        if (!d->lines)
                d->lines = mem_alloc(sizeof(*d->lines));
        return d->unescaped;
}

static const char *read_csv(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us, struct mqtt_decoded *out)
{
        char *room = room_for(d, len);
        struct payload_csv *c = &d->lines->csv;
        const char *why = payload_csv_begin(c, s, len, room);
        struct payload_walk w;
        int r = 1;

        while (!why && r > 0) {
                begin_record(d);
                payload_walk_begin(&w, &d->paths, d->found, &d->rows);
                r = payload_csv_record(c, &w);
                why = r < 0 ? w.why : r ? take_found(d, s, len, now_us, out) : NULL;
        }
        return why ? in_record(d, why) : NULL;
}

static const char *read_influx(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us,
                               struct mqtt_decoded *out)
{
        char *room = room_for(d, len);
        struct payload_influx *c = &d->lines->influx;
        const char *why = NULL;
        struct payload_walk w;
        int r = 1;

        c->lines = (struct payload_lines){s, s + len, room};
        while (!why && r > 0) {
                begin_record(d);
                payload_walk_begin(&w, &d->paths, d->found, &d->rows);
                r = payload_influx_record(c, &w);
                if (r > 0)
                        mqtt_labels_make(c, d->topic, &d->names, &d->labels);
                why = r < 0 ? w.why : r ? take_found(d, s, len, now_us, out) : NULL;
        }
        return why ? in_record(d, why) : NULL;
}

static int decode_records(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us, struct mqtt_decoded *out)
{
        static const char *(*const read[])(struct mqtt_decoder *, const char *, size_t, int64_t,
                                           struct mqtt_decoded *) = {
                [MQTT_JSON] = read_json,      [MQTT_NDJSON] = read_ndjson, [MQTT_CBOR] = read_binary,
                [MQTT_MSGPACK] = read_binary, [MQTT_SENML] = read_senml,   [MQTT_CSV] = read_csv,
                [MQTT_INFLUX] = read_influx,
        };
        const char *why;

        d->names.n = d->n_records = d->n_elements = 0;
        d->labels = (struct payload_text){0};
        why = len ? read[d->kind](d, s, len, now_us, out) : "empty";
        if (!why && !out->n && d->n_elements)
                why = d->walks ? "none of the configured values is in any element"
                               : "none of the configured values is in the message";
        if (why)
                return malformed(out, why);
        if (d->asks)
                settle_names(d, out);
        return 0;
}

/* ON, unavailable, 21,5 C: what no JSON is, and the conversion may know. */
static bool is_bare_word(const char *s, size_t len)
{
        while (len && is_space(*s)) {
                s++;
                len--;
        }
        return len && *s != '{' && *s != '[' && *s != '"';
}

/*
 * What no JSON is.  Where the unit alone is configured it may stand behind the
 * number, and anything else is no value.
 */
static int decode_word(struct mqtt_decoder *d, const char *s, size_t len, struct mqtt_decoded *out)
{
        const char *reason = out->reason;

        out->n = 1;
        out->reason = NULL;
        if (decode_text(s, len, out))
                return MQTT_E_MALFORMED;
        convert(&d->bare, 0, out);
        return !d->converts && out->r[0].type == READING_TEXT ? malformed(out, reason) : 0;
}

static int decode_bare(struct mqtt_decoder *d, const char *s, size_t len, int64_t now_us, struct mqtt_decoded *out)
{
        out->n = 1;
        out->value[0] = 0;
        out->r[0] = (struct reading){.ts_us = now_us, .arrival_us = now_us};
        if (d->kind == MQTT_NUMBER || d->kind == MQTT_TEXT) {
                int r = d->kind == MQTT_NUMBER ? decode_number(d, s, len, out) : decode_text(s, len, out);

                if (r && (d->converts || d->bare.unit) && is_bare_word(s, len))
                        return decode_word(d, s, len, out);
                if (!r)
                        convert(&d->bare, 0, out);
                return r;
        }
        out->r[0].type = READING_RAW;
        out->r[0].v.text = s;
        out->r[0].len = (uint32_t)len;
        return 0;
}

int mqtt_decode(struct mqtt_decoder *d, const void *payload, size_t len, int64_t now_us, struct mqtt_decoded *out)
{
        const char *s = payload ? payload : "", *why;

        d->n_unescaped = 0;
        out->n = 0;
        out->n_absent = 0;
        out->reason = NULL;
        if (d->is_packed) {
                if (!d->gzip)
                        d->gzip = payload_gzip_new(d->max_bytes);
                why = payload_gzip_unpack(d->gzip, s, len, &s, &len);
                if (why)
                        return malformed(out, why);
        }
        return mqtt_has_readings(d->kind) ? decode_records(d, s, len, now_us, out)
                                          : decode_bare(d, s, len, now_us, out);
}
