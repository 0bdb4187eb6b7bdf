/*
 * record: see record.h.  A record is built by copying ready pieces around few
 * varying numbers:
 *
 *   {"id":"gw-7:3:  918273  ","gateway":"gw-7","source":"press-3","tag":"temp","ts":"  2026-…Z  ","ts_us":  …
 *   head            seq     mid (the tag's)                                            time
 *
 * so that its cost is the number formatting.  The bound is exact in what varies
 * with input (text, unit, labels, names) and generous in the rest.  Nothing
 * fails: what JSON can't say (NaN, infinity) leaves no value and the quality
 * bad/sensor.
 */
#include "uplink/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

enum {
        EVENT_LABELS_FACTOR = 3, /* room for labels, and once more with label_ in front of each */
        US_PER_S = 1000000,
        SECOND_TEXT = 20, /* 2026-11-23T10:00:00. */
        FIXED_MAX = 640,  /* all keys, numbers and words of a record; its longest combination is tested */
        AHEAD_MS = 60000,
        APART_US = 1000,
};

static const int64_t SET_MS = INT64_C(1577836800000); /* 2020: a clock before that was never set */

/* One tag's pieces, one behind the other in `text`. */
struct record_tag {
        char *text;
        uint32_t mid_len, unit_len, labels_len, event_len, key_len;
};

#define PUT(p, literal) (memcpy(p, literal, sizeof(literal) - 1), (p) + sizeof(literal) - 1)

static char *put(char *p, const char *s, size_t len)
{
        memcpy(p, s, len);
        return p + len;
}

static char *put_json(char *p, const char *s)
{
        return p + text_put_json(p, s, strlen(s));
}

static char *put_u64(char *p, uint64_t v)
{
        return v <= INT64_MAX ? p + text_put_i64(p, (int64_t)v) : p + sprintf(p, "%llu", (unsigned long long)v);
}

void record_encoder_init(struct record_encoder *enc, const struct uplink_identity *id)
{
        size_t n = strlen(id->gateway);
        char *p, *from;

        memset(enc, 0, sizeof(*enc));
        enc->second = INT64_MIN;
        p = enc->fixed = mem_alloc(5 * (6 * n + 64));
        p = put_json(PUT(p, "{\"id\":\""), id->gateway);
        *p++ = ':';
        p = put_u64(p, id->epoch);
        *p++ = ':';
        enc->head_len = (size_t)(p - enc->fixed);

        from = p;
        p = put_json(PUT(p, "\",\"event_id\":\""), id->gateway);
        *p++ = ':';
        p = put_u64(p, id->epoch);
        p = PUT(p, ":e");
        enc->event_len = (size_t)(p - from);

        from = p;
        p = put_json(PUT(p, "\",\"gateway\":\""), id->gateway);
        p = PUT(p, "\",\"ts\":\"");
        enc->mid_len = (size_t)(p - from);

        from = p;
        p = put_u64(PUT(p, ",\"epoch\":"), id->epoch);
        p = PUT(p, ",\"seq\":");
        enc->tail_len = (size_t)(p - from);

        enc->key_len = n;
        memcpy(p, id->gateway, n);
}

void record_encoder_fini(struct record_encoder *enc)
{
        for (size_t i = 0; i < enc->n_tags; i++)
                free(enc->tag[i].text);
        free(enc->tag);
        free(enc->fixed);
        memset(enc, 0, sizeof(*enc));
}

static const char *event_part(const struct record_encoder *enc)
{
        return enc->fixed + enc->head_len;
}

static const char *mid_part(const struct record_encoder *enc)
{
        return event_part(enc) + enc->event_len;
}

static const char *tail_part(const struct record_encoder *enc)
{
        return mid_part(enc) + enc->mid_len;
}

static const char *gateway_part(const struct record_encoder *enc)
{
        return tail_part(enc) + enc->tail_len;
}

static void make_tag(const struct record_encoder *enc, struct record_tag *g, const struct tag *tag)
{
        static const char ts[] = "\",\"ts\":\"";
        size_t n_ts = sizeof(ts) - 1, gateway_len = enc->mid_len - n_ts;
        size_t n_names = strlen(tag->source) + strlen(tag->name) + strlen(tag->unit);
        char *text = mem_alloc(6 * n_names + EVENT_LABELS_FACTOR * (strlen(tag->labels) + 2) + strlen(tag->source) +
                               enc->mid_len + enc->key_len + 64);
        char *p = put(text, mid_part(enc), gateway_len), *from;

        p = put_json(PUT(p, "\",\"source\":\""), tag->source);
        p = put_json(PUT(p, "\",\"tag\":\""), tag->name);
        p = put(p, ts, n_ts);
        g->mid_len = (uint32_t)(p - text);
        from = p;
        if (*tag->unit) {
                p = put_json(PUT(p, ",\"unit\":\""), tag->unit);
                *p++ = '"';
        }
        g->unit_len = (uint32_t)(p - from);
        from = p;
        if (*tag->labels) {
                *p++ = ',';
                p = put(p, tag->labels, strlen(tag->labels));
        }
        g->labels_len = (uint32_t)(p - from);
        g->event_len =
                (uint32_t)tags_put_event_labels(p, (EVENT_LABELS_FACTOR - 1) * (strlen(tag->labels) + 2), tag->labels);
        p += g->event_len;
        from = p;
        p = put(p, gateway_part(enc), enc->key_len);
        *p++ = '/';
        p = put(p, tag->source, strlen(tag->source));
        g->key_len = (uint32_t)(p - from);
        g->text = mem_grow(text, (size_t)(p - text), 1);
}

static const struct record_tag *tag_of(struct record_encoder *enc, const struct tag *tag, uint32_t index)
{
        if (__builtin_expect(index >= enc->n_tags, 0)) {
                size_t n = (size_t)index + 1 + index / 2;

                enc->tag = mem_grow(enc->tag, n, sizeof(*enc->tag));
                memset(enc->tag + enc->n_tags, 0, (n - enc->n_tags) * sizeof(*enc->tag));
                enc->n_tags = n;
        }
        if (__builtin_expect(!enc->tag[index].text, 0))
                make_tag(enc, &enc->tag[index], tag);
        return &enc->tag[index];
}

const char *record_key(struct record_encoder *enc, const struct tag *tag_or_null, uint32_t index, size_t *len)
{
        const struct record_tag *g;

        if (!tag_or_null) {
                *len = enc->key_len;
                return gateway_part(enc);
        }
        g = tag_of(enc, tag_or_null, index);
        *len = g->key_len;
        return g->text + g->mid_len + g->unit_len + g->labels_len + g->event_len;
}

static size_t bound_of(struct record_encoder *enc, const struct tag *tag, uint32_t index)
{
        const struct record_tag *g = tag ? tag_of(enc, tag, index) : NULL;
        size_t n = FIXED_MAX + enc->head_len + enc->event_len + enc->mid_len + enc->tail_len;

        return g ? n + g->mid_len + g->unit_len + g->labels_len + g->event_len : n;
}

size_t record_bound(struct record_encoder *enc, const struct tag *tag, const struct spool_row *row)
{
        return bound_of(enc, tag, row->r.tag) + (row->r.type == READING_TEXT ? 6 * (size_t)row->r.len : 0);
}

size_t record_event_bound(struct record_encoder *enc, const struct tag *tag_or_null, const struct spool_row *row)
{
        return bound_of(enc, tag_or_null, row->r.tag) + row->r.len;
}

static void render_second(struct record_encoder *enc, int64_t second)
{
        char text[TEXT_TIME_MAX];

        text_put_time(text, second * US_PER_S);
        memcpy(enc->second_text, text, SECOND_TEXT);
        enc->n_second_digits = second > 0 ? put_u64(enc->second_digits, (uint64_t)second) - enc->second_digits : 0;
        enc->second = second;
}

/* 2026-11-23T10:00:00.123456Z","ts_us":1795428000123456 */
static char *put_time(struct record_encoder *enc, char *p, int64_t ts_us)
{
        int64_t second = ts_us / US_PER_S, us = ts_us % US_PER_S;
        char digits[6];

        if (us < 0) {
                second--;
                us += US_PER_S;
        }
        if (second != enc->second)
                render_second(enc, second);
        for (int i = 5; i >= 0; i--, us /= 10)
                digits[i] = (char)('0' + us % 10);
        p = put(p, enc->second_text, SECOND_TEXT);
        p = PUT(put(p, digits, 6), "Z\",\"ts_us\":");
        if (!enc->n_second_digits)
                return p + text_put_i64(p, ts_us);
        return put(put(p, enc->second_digits, enc->n_second_digits), digits, 6);
}

static char *put_integer(char *p, int64_t v)
{
        if (v > (INT64_C(1) << 53) || v < -(INT64_C(1) << 53)) {
                p = PUT(p, ",\"value_int\":");
                return p + text_put_i64(p, v);
        }
        p = PUT(p, ",\"value\":");
        p += text_put_i64(p, v);
        return PUT(p, ".0");
}

static char *put_value(char *p, const struct reading *r)
{
        switch (r->type) {
        case READING_F64:
                p = PUT(p, ",\"value\":");
                return p + text_put_double(p, r->v.f64);
        case READING_I64:
                return put_integer(p, r->v.i64);
        case READING_BOOL:
                return r->v.b ? PUT(p, ",\"value_bool\":true") : PUT(p, ",\"value_bool\":false");
        case READING_TEXT:
                p = PUT(p, ",\"value_str\":\"");
                p += text_put_json(p, r->v.text, r->len);
                *p++ = '"';
                return p;
        default:
                return p;
        }
}

static char *put_quality(char *p, unsigned quality)
{
        const char *reason = quality_reason(quality);

        if (quality == QUALITY_GOOD)
                return PUT(p, ",\"quality\":\"good\"");
        p = put_json(PUT(p, ",\"quality\":\""), quality_name(quality));
        *p++ = '"';
        if (reason) {
                p = put_json(PUT(p, ",\"reason\":\""), reason);
                *p++ = '"';
        }
        return p;
}

/* More than one thing may have happened to a time: "untrusted+moved". */
static char *put_time_words(char *p, unsigned flags)
{
        static const struct {
                unsigned flag;
                const char *word;
        } words[] = {{READING_TIME_UNTRUSTED, "untrusted"},
                     {READING_TIME_MOVED, "moved"},
                     {READING_TIME_BACK, "back"},
                     {READING_TIME_REPAIRED, "repaired"}};
        char *from;

        p = from = PUT(p, ",\"time\":\"");
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
                if (!(flags & words[i].flag))
                        continue;
                if (p != from)
                        *p++ = '+';
                p = put(p, words[i].word, strlen(words[i].word));
        }
        *p++ = '"';
        return p;
}

static char *put_flags(char *p, unsigned flags)
{
        if (flags & READING_CLOCK_UNSYNCED)
                p = PUT(p, ",\"clock\":\"unsynced\"");
        if (flags & (READING_TIME_UNTRUSTED | READING_TIME_MOVED | READING_TIME_BACK | READING_TIME_REPAIRED))
                p = put_time_words(p, flags);
        if (flags & READING_HISTORICAL)
                p = PUT(p, ",\"historical\":true");
        if (flags & READING_RETAINED)
                p = PUT(p, ",\"retained\":true");
        if (flags & READING_TEST)
                p = PUT(p, ",\"test\":true");
        return p;
}

/* What a thinned minute keeps of its readings beside the value. */
static char *put_aggregate(char *p, const struct spool_aggregate *a, bool with_range)
{
        p = with_range ? PUT(p, ",\"agg\":\"mean\",\"n\":") : PUT(p, ",\"agg\":\"last\",\"n\":");
        p = put_u64(p, a->n);
        if (!with_range)
                return p;
        p = PUT(p, ",\"min\":");
        p += text_put_double(p, a->min);
        p = PUT(p, ",\"max\":");
        return p + text_put_double(p, a->max);
}

/* `seq`: its digits, as they stand in the id. */
static char *put_tail(const struct record_encoder *enc, char *p, const char *seq, size_t seq_len)
{
        p = put(put(p, tail_part(enc), enc->tail_len), seq, seq_len);
        *p++ = '}';
        return p;
}

/* A tie apart is said by nothing: it is less than any clock is sure of. */
static bool arrived_apart(const struct reading *r)
{
        return r->flags & READING_SOURCE_TIME ||
               (uint64_t)r->arrival_us - (uint64_t)r->ts_us + APART_US > 2 * (uint64_t)APART_US;
}

size_t record_encode_sample(struct record_encoder *enc, char *buf, size_t cap, const struct tag *tag,
                            const struct spool_row *row)
{
        const struct reading *r = &row->r;
        const struct record_tag *g = tag_of(enc, tag, r->tag);
        unsigned quality = r->quality;
        char *p, *seq;
        size_t seq_len;

        BUG_ON(cap < record_bound(enc, tag, row));
        if (r->type == READING_F64 && !isfinite(r->v.f64) && !quality_is_bad(quality))
                quality = QUALITY_BAD_SENSOR;
        p = put(buf, enc->fixed, enc->head_len);
        if (r->flags & READING_AGGREGATE)
                *p++ = 'a'; /* its seq was a reading's that may be known elsewhere, as an alarm's sample_seq */
        seq = p;
        p = put_u64(p, row->seq);
        seq_len = (size_t)(p - seq);
        p = put_time(enc, put(p, g->text, g->mid_len), r->ts_us);
        if (!quality_is_bad(quality))
                p = put_value(p, r);
        p = put_quality(put(p, g->text + g->mid_len, g->unit_len), quality);
        if (r->flags & ~READING_SOURCE_TIME)
                p = put_flags(p, r->flags);
        if (r->flags & READING_AGGREGATE)
                p = put_aggregate(p, &row->a, row->a.has_range && !quality_is_bad(quality));
        p = put(p, g->text + g->mid_len + g->unit_len, g->labels_len);
        if (arrived_apart(r)) {
                p = PUT(p, ",\"arrival_us\":");
                p += text_put_i64(p, r->arrival_us);
        }
        return (size_t)(put_tail(enc, p, seq, seq_len) - buf);
}

/* An alarm's event_id names the activation, so it comes with the body. */
static bool names_itself(const struct reading *r)
{
        static const char key[] = "\"event_id\":";

        return r->len >= sizeof(key) && !memcmp(r->v.text, key, sizeof(key) - 1);
}

size_t record_encode_event(struct record_encoder *enc, char *buf, size_t cap, const struct tag *tag_or_null,
                           const struct spool_row *row)
{
        const struct reading *r = &row->r;
        const struct record_tag *g = tag_or_null ? tag_of(enc, tag_or_null, r->tag) : NULL;
        char *p = put(buf, enc->fixed, enc->head_len), *seq;
        size_t seq_len;

        BUG_ON(cap < record_event_bound(enc, tag_or_null, row));
        *p++ = 'e';
        seq = p;
        p = put_u64(p, row->seq);
        seq_len = (size_t)(p - seq);
        if (!names_itself(r))
                p = put(put(p, event_part(enc), enc->event_len), seq, seq_len);
        p = g ? put(p, g->text, g->mid_len) : put(p, mid_part(enc), enc->mid_len);
        p = put_time(enc, p, r->ts_us);
        if (g)
                p = put(p, g->text + g->mid_len + g->unit_len + g->labels_len, g->event_len);
        if (r->len) {
                *p++ = ',';
                p = put(p, r->v.text, r->len);
        }
        return (size_t)(put_tail(enc, p, seq, seq_len) - buf);
}

int64_t record_timestamp_ms(int64_t ts_us, int64_t now_us)
{
        int64_t ms = ts_us / 1000, now_ms = now_us / 1000;

        if (now_ms < SET_MS)
                return RECORD_NO_TIMESTAMP;
        if (ms < SET_MS)
                return now_ms;
        return ms < now_ms + AHEAD_MS ? ms : now_ms + AHEAD_MS;
}
