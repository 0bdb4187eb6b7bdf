/*
 * fuzz_payload: any topic and any bytes against any subscription.
 *
 * Input: four lines, then the payload.  First line: two characters, which payload and time format; then the topic
 * pattern, the topic, and the JSON pointers to value and time, cut at a blank. Holds: it returns and leaks nothing;
 * what comes out is fit for a record: finite numbers, valid UTF-8, names that are names, a quality that fits the value;
 * a refusal has a reason that can be shown.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/mqtt/payload.h"
#include "drivers/mqtt/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 4, LINE_MAX_BYTES = 700 };
static const int64_t now_us = 1795428000000000;

/* Copies one line as a text; returns how many bytes it took. */
static size_t take_line(char out[LINE_MAX_BYTES], const uint8_t *data, size_t size)
{
        size_t n = 0;

        while (n < size && n < LINE_MAX_BYTES - 1 && data[n] != '\n' && data[n])
                n++;
        memcpy(out, data, n);
        out[n] = '\0';
        return n < size ? n + 1 : n;
}

/* "name":"value","name":"value" */
static void check_labels(const char *s)
{
        while (*s) {
                size_t len = *s == '"' ? strcspn(s + 1, "\"") : 0;

                BUG_ON(!text_is_name(s + 1, len) || s[len + 1] != '"');
                s += len + 2;
                BUG_ON(*s && !strchr(":,", *s));
                s += *s != '\0';
        }
}

static void check_topic(const char *pattern, const char *topic)
{
        struct mqtt_pattern p;
        struct mqtt_match m;
        struct err e;

        if (mqtt_pattern_init(&p, pattern, &e) < 0) {
                BUG_ON(!e.text[0]);
                return;
        }
        BUG_ON(strpbrk(p.filter, "{}"));
        if (mqtt_pattern_match(&p, topic, &m)) {
                BUG_ON(p.source_level >= 0 && !text_is_name(m.source, strlen(m.source)));
                BUG_ON(p.tag_level >= 0 && !text_is_name(m.tag, strlen(m.tag)));
                check_labels(m.labels);
        }
        mqtt_pattern_fini(&p);
}

static void check_reading(const struct reading *r)
{
        BUG_ON(r->quality >= N_QUALITIES);
        BUG_ON(quality_is_bad(r->quality) != (r->type == READING_NONE));
        BUG_ON(r->type == READING_F64 && !isfinite(r->v.f64));
        BUG_ON(r->type == READING_TEXT && !text_is_utf8(r->v.text, r->len));
        BUG_ON(r->arrival_us != now_us || r->ts_us > now_us + 60000000);
        BUG_ON(!(r->flags & READING_SOURCE_TIME) && r->ts_us != now_us);
}

static void check_payload(const struct mqtt_sub_conf *conf, const uint8_t *data, size_t size)
{
        static struct mqtt_decoded out;
        struct mqtt_decoder d;
        struct err e;

        if (mqtt_decoder_init(&d, conf, &e) == 0) {
                uint8_t *copy = malloc(size + (size == 0)); /* so that a read behind the end is seen */

                memcpy(copy, data, size);
                if (mqtt_decode(&d, copy, size, now_us, &out) == MQTT_E_MALFORMED)
                        BUG_ON(!out.reason || !text_is_utf8(out.reason, strlen(out.reason)));
                else
                        BUG_ON(out.n == 0 || out.n + out.n_absent != d.n_values);
                for (size_t i = 0; i < out.n; i++)
                        check_reading(&out.r[i]);
                free(copy);
        }
        mqtt_decoder_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char line[LINES][LINE_MAX_BYTES];
        struct mqtt_reading_conf readings[] = {{.tag = "a"}, {.tag = "b", .value = line[3]}};
        struct mqtt_sub_conf conf = {.readings = {readings, 2}};

        for (int i = 0; i < LINES; i++) {
                size_t n = take_line(line[i], data, size);

                data += n;
                size -= n;
        }
        conf.payload = line[0][0] & 3; /* up to raw */
        conf.time_format = line[0][0] ? line[0][1] & 3 : 0;
        conf.time = strchr(line[3], ' ');
        if (conf.time) {
                line[3][conf.time - line[3]] = '\0';
                conf.time++;
        }
        check_topic(line[1], line[2]);
        check_payload(&conf, data, size);
        return 0;
}
