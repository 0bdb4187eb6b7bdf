/*
 * fuzz_record: any reading, tag and event as a record, read back by a JSON
 * library that is not ours.
 *
 * Names, units and texts may be any bytes, as a damaged file may have them;
 * labels are members, as both the drivers and the file's reader see to it.
 * Holds: one line of strict JSON within the bound; every member has the type
 * and the value of what went in, to the last bit; what JSON can't say leaves no
 * value and the quality bad/sensor.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "tests/fuzz/bytes.h"
#include "uplink/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAME_BYTES = 70, LABELS_BYTES = 3 * (12 * NAME_BYTES + 8), EXACT = 53 };

struct input {
        char gateway[TEXT_NAME_MAX + 1];
        uint64_t epoch;
        char source[NAME_BYTES], name[NAME_BYTES], unit[NAME_BYTES], labels[LABELS_BYTES];
        struct tag tag;
        struct spool_row row;
};

/* ---- the input ---- */

/* Up to `cap` - 1 bytes, none of them 0. */
static void take_text(struct bytes *b, char *out, size_t cap)
{
        size_t n = bytes_take(b) % cap;

        for (size_t i = 0; i < n; i++) {
                uint8_t c = bytes_take(b);

                out[i] = (char)(c ? c : 'x');
        }
        out[n] = '\0';
}

static void take_labels(struct bytes *b, char *out)
{
        int n = bytes_take(b) % 4;
        char text[NAME_BYTES];

        for (int i = 0; i < n; i++) {
                out += sprintf(out, "%s\"label%d\":\"", i ? "," : "", i);
                take_text(b, text, sizeof(text));
                out += text_put_json(out, text, strlen(text));
                *out++ = '"';
        }
        *out = '\0';
}

static void take_value(struct bytes *b, struct reading *r)
{
        uint64_t bits;

        switch (r->type) {
        case READING_F64:
                bits = bytes_u64(b);
                memcpy(&r->v.f64, &bits, sizeof(bits));
                break;
        case READING_I64:
                r->v.i64 = (int64_t)bytes_u64(b);
                break;
        case READING_BOOL:
                r->v.b = bytes_take(b) & 1;
                break;
        case READING_TEXT:
        case READING_RAW:
                r->v.text = (const char *)b->p;
                r->len = (uint32_t)b->n;
                break;
        default:
                break;
        }
}

static double take_double(struct bytes *b)
{
        uint64_t bits = bytes_u64(b);
        double v;

        memcpy(&v, &bits, sizeof(v));
        return isfinite(v) ? v : 0;
}

static void take_input(struct bytes *b, struct input *in)
{
        struct reading *r = &in->row.r;
        char text[NAME_BYTES];

        memset(in, 0, sizeof(*in));
        r->type = bytes_take(b) % (READING_RAW + 1);
        r->quality = bytes_take(b) % 16;
        r->flags = bytes_take(b);
        r->flags |= (uint16_t)((bytes_take(b) & 1) << 8);
        take_text(b, text, sizeof(text));
        text_map_name(in->gateway, text, strlen(text));
        in->epoch = bytes_u64(b) >> 11;
        in->row.seq = bytes_u64(b) >> 11;
        r->ts_us = (int64_t)bytes_u64(b) / 29; /* within 10,000 years, as the spool gives them */
        r->arrival_us = (int64_t)bytes_u64(b) / 29;
        take_text(b, in->source, sizeof(in->source));
        take_text(b, in->name, sizeof(in->name));
        take_text(b, in->unit, sizeof(in->unit));
        take_labels(b, in->labels);
        in->tag = (struct tag){.source = in->source, .name = in->name, .unit = in->unit, .labels = in->labels};
        if (r->flags & READING_AGGREGATE) {
                in->row.a.n = bytes_take(b);
                in->row.a.has_range = bytes_take(b) & 1;
                in->row.a.min = take_double(b);
                in->row.a.max = take_double(b);
        }
        take_value(b, r);
}

/* ---- what comes out ---- */

static const char *text_at(const json_t *o, const char *key)
{
        const char *s = json_string_value(json_object_get(o, key));

        BUG_ON(!s);
        return s;
}

static json_int_t int_at(const json_t *o, const char *key)
{
        const json_t *v = json_object_get(o, key);

        BUG_ON(!json_is_integer(v));
        return json_integer_value(v);
}

/* What was no UTF-8 comes out as something else. */
static void same_text(const json_t *o, const char *key, const char *text, size_t len)
{
        const json_t *v = json_object_get(o, key);

        BUG_ON(!json_is_string(v));
        if (text_is_utf8(text, len))
                BUG_ON(json_string_length(v) != len || memcmp(json_string_value(v), text, len) != 0);
}

static void same_double(const json_t *o, const char *key, double expected)
{
        const json_t *v = json_object_get(o, key);
        double got = json_real_value(v);

        BUG_ON(!json_is_real(v) || memcmp(&got, &expected, sizeof(got)) != 0);
}

static bool is_exact(int64_t v)
{
        return v <= INT64_C(1) << EXACT && v >= -(INT64_C(1) << EXACT);
}

static void check_absent(const json_t *o, const char *but)
{
        static const char *const keys[] = {"value", "value_int", "value_bool", "value_str"};

        for (int i = 0; i < 4; i++)
                BUG_ON((json_object_get(o, keys[i]) != NULL) != (but && !strcmp(but, keys[i])));
}

static void check_value(const json_t *o, const struct reading *r, unsigned quality)
{
        if (quality_is_bad(quality) || r->type == READING_NONE || r->type == READING_RAW) {
                check_absent(o, NULL);
        } else if (r->type == READING_F64) {
                check_absent(o, "value");
                same_double(o, "value", r->v.f64);
        } else if (r->type == READING_I64 && is_exact(r->v.i64)) {
                check_absent(o, "value");
                same_double(o, "value", (double)r->v.i64);
        } else if (r->type == READING_I64) {
                check_absent(o, "value_int");
                BUG_ON(int_at(o, "value_int") != r->v.i64);
        } else if (r->type == READING_BOOL) {
                check_absent(o, "value_bool");
                BUG_ON(!json_is_boolean(json_object_get(o, "value_bool")) ||
                       json_is_true(json_object_get(o, "value_bool")) != r->v.b);
        } else {
                check_absent(o, "value_str");
                same_text(o, "value_str", r->v.text, r->len);
        }
}

static void check_quality(const json_t *o, unsigned quality)
{
        const char *reason = quality_reason(quality);

        BUG_ON(strcmp(text_at(o, "quality"), quality_name(quality)) != 0);
        BUG_ON((json_object_get(o, "reason") != NULL) != (quality != QUALITY_GOOD && reason));
        if (quality != QUALITY_GOOD && reason)
                BUG_ON(strcmp(text_at(o, "reason"), reason) != 0);
}

static void check_aggregate(const json_t *o, const struct spool_row *row, unsigned quality)
{
        bool is = row->r.flags & READING_AGGREGATE, range = is && row->a.has_range && !quality_is_bad(quality);

        BUG_ON((json_object_get(o, "agg") != NULL) != is || (json_object_get(o, "n") != NULL) != is);
        if (is)
                BUG_ON(int_at(o, "n") != row->a.n);
        BUG_ON((json_object_get(o, "min") != NULL) != range || (json_object_get(o, "max") != NULL) != range);
        if (range) {
                same_double(o, "min", row->a.min);
                same_double(o, "max", row->a.max);
        }
}

static void check_time(const json_t *o, int64_t ts_us)
{
        const char *ts = text_at(o, "ts");
        int64_t us;
        bool has_zone;

        BUG_ON(int_at(o, "ts_us") != ts_us);
        BUG_ON(strlen(ts) != 27 || ts[10] != 'T' || ts[26] != 'Z');
        if (ts_us > 0 && ts_us < INT64_C(253402300800000000)) /* year 10000 */
                BUG_ON(!text_time(ts, strlen(ts), &us, &has_zone) || us != ts_us);
}

static json_t *parse(const char *text, size_t len)
{
        json_error_t wrong;
        json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &wrong);

        BUG_ON(!json_is_object(o) || memchr(text, '\n', len) || memchr(text, '\0', len));
        return o;
}

static void check_head(const json_t *o, const struct input *in, const char *letter)
{
        char id[TEXT_NAME_MAX + 64];

        snprintf(id, sizeof(id), "%s:%" PRIu64 ":%s%" PRIu64, in->gateway, in->epoch, letter, in->row.seq);
        BUG_ON(strcmp(text_at(o, "id"), id) != 0);
        BUG_ON(strcmp(text_at(o, "gateway"), in->gateway) != 0);
        BUG_ON((uint64_t)int_at(o, "epoch") != in->epoch || (uint64_t)int_at(o, "seq") != in->row.seq);
        check_time(o, in->row.r.ts_us);
}

/* By more than 1 ms, or because the time is the source's. */
static bool arrived_apart(const struct reading *r)
{
        __int128 apart = (__int128)r->arrival_us - r->ts_us;

        return r->flags & READING_SOURCE_TIME || apart > 1000 || apart < -1000;
}

static void check_time_words(const json_t *o, unsigned flags)
{
        static const struct {
                unsigned flag;
                const char *word;
        } all[] = {{READING_TIME_UNTRUSTED, "untrusted"},
                   {READING_TIME_MOVED, "moved"},
                   {READING_TIME_BACK, "back"},
                   {READING_TIME_REPAIRED, "repaired"}};
        const char *words = json_string_value(json_object_get(o, "time"));

        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
                BUG_ON((words && strstr(words, all[i].word)) != ((flags & all[i].flag) != 0));
        BUG_ON(words && !*words);
}

static void check_sample(const json_t *o, const struct input *in)
{
        const struct reading *r = &in->row.r;
        unsigned quality = r->quality;

        if (r->type == READING_F64 && !isfinite(r->v.f64) && !quality_is_bad(quality))
                quality = QUALITY_BAD_SENSOR;
        check_head(o, in, r->flags & READING_AGGREGATE ? "a" : "");
        same_text(o, "source", in->source, strlen(in->source));
        same_text(o, "tag", in->name, strlen(in->name));
        BUG_ON((json_object_get(o, "unit") != NULL) != (in->unit[0] != '\0'));
        if (in->unit[0])
                same_text(o, "unit", in->unit, strlen(in->unit));
        check_value(o, r, quality);
        check_quality(o, quality);
        check_aggregate(o, &in->row, quality);
        BUG_ON((json_object_get(o, "arrival_us") != NULL) != arrived_apart(r));
        if (arrived_apart(r))
                BUG_ON(int_at(o, "arrival_us") != r->arrival_us);
        check_time_words(o, r->flags);
        BUG_ON((json_object_get(o, "historical") != NULL) != ((r->flags & READING_HISTORICAL) != 0));
        BUG_ON((json_object_get(o, "retained") != NULL) != ((r->flags & READING_RETAINED) != 0));
        BUG_ON((json_object_get(o, "clock") != NULL) != ((r->flags & READING_CLOCK_UNSYNCED) != 0));
}

/* In a buffer of exactly the bound, so that what goes beyond is seen. */
static json_t *encode(struct record_encoder *enc, const struct input *in, bool event)
{
        size_t bound = event ? record_event_bound(enc, &in->tag, &in->row) : record_bound(enc, &in->tag, &in->row);
        char *buf = mem_alloc(bound);
        size_t len = event ? record_encode_event(enc, buf, bound, &in->tag, &in->row)
                           : record_encode_sample(enc, buf, bound, &in->tag, &in->row);
        json_t *o;

        BUG_ON(len > bound);
        o = parse(buf, len);
        free(buf);
        return o;
}

static void check_key(struct record_encoder *enc, const struct input *in)
{
        size_t len, n = strlen(in->gateway);
        const char *key = record_key(enc, &in->tag, 0, &len);

        BUG_ON(len != n + 1 + strlen(in->source));
        BUG_ON(memcmp(key, in->gateway, n) != 0 || key[n] != '/' || memcmp(key + n + 1, in->source, len - n - 1) != 0);
}

/* The same row as an event, whose text is a body that our own code made. */
static void check_event(struct record_encoder *enc, struct input *in)
{
        static const char *const bodies[] = {"", "\"kind\":\"link\",\"state\":\"down\"",
                                             "\"event_id\":\"b51de59b4d22e51a\",\"kind\":\"alarm\""};
        json_t *o;

        in->row.r.v.text = bodies[in->row.seq % 3];
        in->row.r.len = (uint32_t)strlen(in->row.r.v.text);
        in->row.r.type = READING_TEXT;
        o = encode(enc, in, true);
        check_head(o, in, "e");
        same_text(o, "source", in->source, strlen(in->source));
        BUG_ON(in->row.r.len > 20 && !json_is_string(json_object_get(o, "kind")));
        text_at(o, "event_id");
        json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes b = {data, size};
        struct record_encoder enc;
        struct input in;
        json_t *o;

        take_input(&b, &in);
        record_encoder_init(&enc, &(struct uplink_identity){.gateway = in.gateway, .epoch = in.epoch});
        o = encode(&enc, &in, false);
        check_sample(o, &in);
        json_decref(o);
        check_key(&enc, &in);
        check_event(&enc, &in);
        BUG_ON(record_timestamp_ms(in.row.r.ts_us, in.row.r.arrival_us) < RECORD_NO_TIMESTAMP);
        record_encoder_fini(&enc);
        return 0;
}
