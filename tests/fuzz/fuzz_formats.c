/*
 * fuzz_formats: any bytes as any payload that is read by pointers.
 *
 * Input: one character, which of the subscriptions below; then the payload.  Holds: it returns and leaks nothing; what
 * comes out is fit for a record, and has names; all is said again when the same comes again; a refusal has a reason
 * that can be shown, and leaves nothing.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/mqtt/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now_us = 1795428000000000;
static struct mqtt_decoded out;

static const char *good[] = {"true", "Good", "192"}, *uncertain[] = {"64"};
static struct mqtt_reading_conf by_id[] = {{.tag = "{/id}", .value = "/v", .unit = "{/u}"}, {.tag = "x"}};
static struct mqtt_reading_conf by_key[] = {{.tag = "{key}.{$/group}", .value = ""}, {.tag = "a", .value = "/1"}};
static struct mqtt_reading_conf columns[] = {{.tag = "temp"}, {.tag = "{/device}", .value = "/state"}};

#define QUALITY                      \
        {                            \
                "/q", {good, 3},     \
                {                    \
                        uncertain, 1 \
                }                    \
        }

static const struct mqtt_sub_conf subs[] = {
        {.payload = MQTT_JSON,
         .each = "/values",
         .time = "/t",
         .time_format = MQTT_UNIX_MS,
         .quality = QUALITY,
         .readings = {by_id, 2}},
        {.payload = MQTT_JSON,
         .each = "",
         .source = "{$/node}",
         .time = "$/t",
         .time_format = MQTT_ISO8601,
         .time_zone = "Europe/Berlin",
         .readings = {by_key, 2}},
        {.payload = MQTT_NDJSON,
         .source = "{/d}",
         .time = "/t",
         .time_pattern = "%d.%m.%Y %H:%M:%S.%f",
         .time_zone = "+01:00",
         .readings = {by_id, 1}},
        {.payload = MQTT_CBOR, .each = "/values", .time = "/t", .quality = QUALITY, .readings = {by_id, 2}},
        {.payload = MQTT_CBOR, .each = "", .source = "{$/node}", .readings = {by_key, 2}},
        {.payload = MQTT_MSGPACK, .each = "/values", .time = "/t", .quality = QUALITY, .readings = {by_id, 2}},
        {.payload = MQTT_MSGPACK, .each = "", .source = "{$/node}", .readings = {by_key, 2}},
        {.payload = MQTT_SENML, .source = "{/device}"},
        {.payload = MQTT_CSV,
         .source = "{/device}",
         .time = "/time",
         .time_format = MQTT_ISO8601,
         .readings = {columns, 2}},
        {.payload = MQTT_INFLUX, .topic = "i"},
        {.payload = MQTT_JSON, .compressed = MQTT_GZIP, .each = "/values", .readings = {by_id, 1}},
};

static void check_text(const struct payload_text *t)
{
        BUG_ON(t->moves || t->len > 40000);
        BUG_ON(t->at && t->len && !text_is_utf8(t->at, t->len));
}

static void check_reading(const struct mqtt_decoder *d, size_t i)
{
        const struct reading *r = &out.r[i];

        BUG_ON(r->quality >= N_QUALITIES || out.value[i] >= d->n_values);
        BUG_ON(quality_is_bad(r->quality) != (r->type == READING_NONE));
        BUG_ON(r->type == READING_F64 && !isfinite(r->v.f64));
        BUG_ON(r->type == READING_TEXT && !text_is_utf8(r->v.text, r->len));
        BUG_ON(r->arrival_us != now_us || r->ts_us > now_us + 60000000);
        BUG_ON(!(r->flags & READING_SOURCE_TIME) && r->ts_us != now_us);
        if (!d->asks)
                return;
        check_text(&out.names[i].source);
        check_text(&out.names[i].tag);
        check_text(&out.names[i].unit);
        check_text(&out.names[i].labels);
        BUG_ON(d->value[out.value[i]].tag.n && !out.names[i].tag.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mqtt_sub_conf conf;
        struct mqtt_decoder d;
        size_t n = SIZE_MAX;
        struct err e;
        uint8_t *copy;

        if (!size)
                return 0;
        conf = subs[*data % (sizeof(subs) / sizeof(*subs))];
        if (!conf.topic)
                conf.topic = "t";
        BUG_ON(mqtt_decoder_init(&d, &conf, &e) < 0);
        copy = malloc(size); /* so that a read behind the end is seen */
        memcpy(copy, data + 1, size - 1);
        for (int round = 0; round < 2; round++) {
                if (mqtt_decode(&d, copy, size - 1, now_us, &out) == MQTT_E_MALFORMED)
                        BUG_ON(!out.reason || !text_is_utf8(out.reason, strlen(out.reason)) || out.n);
                for (size_t i = 0; i < out.n; i++)
                        check_reading(&d, i);
                BUG_ON(round && n != out.n);
                n = out.n;
        }
        free(copy);
        mqtt_decoder_fini(&d);
        return 0;
}
