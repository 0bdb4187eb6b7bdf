/*
 * mqtt_take: what one subscription makes of payloads, as a text: source/tag=value[unit]@ms, as bench_note has it, the
 * time as its distance from the arrival; `why` is what was refused last.
 */
#ifndef MILLRACE_TESTS_MQTT_TAKE_H
#define MILLRACE_TESTS_MQTT_TAKE_H

#include "drivers/mqtt/intake.h"
#include "tests/lib/driver_bench.h"

#define NOW_US INT64_C(1795428000000000) /* 2026-11-23T10:00:00Z */

static struct driver_bench b;
static struct mqtt_intake in;
static char why[200]; /* the last refusal */

static void note(struct driver *d, const struct reading *r)
{
        const struct tag *t = tags_get(d->tags, r->tag);

        transcript_add("%s/", t->source);
        bench_note(d, r);
        if (t->unit[0])
                transcript_add("[%s]", t->unit);
        if (r->ts_us != NOW_US)
                transcript_add("@%+lld", (long long)(r->ts_us - NOW_US) / 1000);
}

static void (*mqtt_take_note)(struct driver *d, const struct reading *r) = note;

struct mqtt_bytes {
        const char *at;
        size_t len;
};

/* What comes of the payloads, one message after the other. */
static const char *mqtt_take(const struct mqtt_sub_conf *sub, const char *topic, const struct mqtt_bytes *payload)
{
        struct mqtt_conf conf = {
                .name = "plant", .max_payload_bytes = 1 << 18, .subscriptions = {(void *)(uintptr_t)sub, 1}};
        struct err e = {""};

        bench_init(&b, &mqtt_ops, "plant", &conf);
        b.note = mqtt_take_note;
        if (mqtt_intake_init(&in, &b.d, &e) < 0)
                fail_msg("init: %s", e.text);
        for (; payload->at; payload++) {
                size_t len = payload->len;
                char *copy = malloc(len + 1); /* so that a sanitizer sees a read behind the end */
                struct mqtt_message m = {.topic = topic, .payload = copy, .len = len};

                memcpy(copy, payload->at, len);
                assert_int_equal(mqtt_intake_take(&in, &m), 0);
                free(copy);
        }
        snprintf(why, sizeof(why), "%s", b.d.last_error);
        mqtt_intake_fini(&in);
        bench_fini(&b);
        return transcript;
}

static inline const char *mqtt_take_texts(const struct mqtt_sub_conf *sub, const char *topic, const char *const *text)
{
        struct mqtt_bytes bytes[16] = {{NULL, 0}};

        for (int i = 0; text[i]; i++)
                bytes[i] = (struct mqtt_bytes){text[i], strlen(text[i])};
        return mqtt_take(sub, topic, bytes);
}

#define TAKE(sub, topic, ...) mqtt_take_texts(sub, topic, (const char *const[]){__VA_ARGS__, NULL})
#define BYTES(text)                    \
        {                              \
                text, sizeof(text) - 1 \
        }
#define TAKE_BYTES(sub, topic, text) mqtt_take(sub, topic, (const struct mqtt_bytes[]){BYTES(text), {NULL, 0}})

#endif
