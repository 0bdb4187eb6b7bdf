/*
 * mqtt_replay: recorded messages through topic, payload and tags; the readings must be those written down.
 *
 * A recording has a message per line: topic, a tab, the payload (\n, \t, \\ and \xHH written so).  What comes out is
 * printed, one line per reading or refusal, or compared with the file that is the second argument.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/rt_sim.h"
#include "drivers/mqtt_intake.h"

static struct mqtt_reading_conf press[] = {{.tag = "temp", .value = "/temp", .unit = "degC"},
                                           {.tag = "vib", .value = "/vibration/rms", .unit = "mm/s"}};
static struct mqtt_reading_conf rtl[] = {{.tag = "temperature_C"}, {.tag = "humidity"}, {.tag = "battery_ok"}};
static struct mqtt_sub_conf subs[] = {
        {.topic = "factory/{line}/{source}/{tag}", .payload = MQTT_NUMBER},
        {.topic = "sensors/{source}/state",
         .payload = MQTT_JSON,
         .time = "/ts",
         .time_format = MQTT_UNIX_MS,
         .readings = {press, 2}},
        {.topic = "rtl_433/{receiver}/events/{source}",
         .payload = MQTT_JSON,
         .time = "/time",
         .time_format = MQTT_ISO8601,
         .readings = {rtl, 3}},
        {.topic = "logs/#", .payload = MQTT_TEXT, .source = "plc", .tag = "log"},
};
static const struct mqtt_conf conf = {.name = "plant", .max_payload_bytes = 65536, .subscriptions = {subs, 4}};

static FILE *out;

static void print_value(const struct reading *r)
{
        char number[TEXT_DOUBLE_MAX];

        switch (r->type) {
        case READING_F64:
                fprintf(out, " %.*s", (int)text_put_double(number, r->v.f64), number);
                break;
        case READING_I64:
                fprintf(out, " int %.*s", (int)text_put_i64(number, r->v.i64), number);
                break;
        case READING_BOOL:
                fputs(r->v.b ? " true" : " false", out);
                break;
        case READING_TEXT:
                fprintf(out, " '%.*s'", (int)r->len, r->v.text);
                break;
        default:
                fputs(" -", out);
        }
}

static int emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        char ts[TEXT_TIME_MAX];

        for (size_t i = 0; i < n; i++) {
                const struct tag *t = tags_get(d->tags, r[i].tag);
                const char *why = quality_reason(r[i].quality);

                fprintf(out, "%.*s %s/%s", (int)text_put_time(ts, r[i].ts_us), ts, t->source, t->name);
                print_value(&r[i]);
                fprintf(out, " [%s] {%s} %s%s%s%s\n", t->unit, t->labels, quality_name(r[i].quality), why ? "/" : "",
                        why ? why : "", r[i].flags & READING_TIME_UNTRUSTED ? " time-untrusted" : "");
        }
        return 0;
}

static void quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        fprintf(out, "refused %s (%zu bytes): %s\n", origin, len, reason);
}

static size_t unescape(char *s)
{
        char *to = s, *start = s;
        unsigned byte;

        for (; *s; s++) {
                if (*s == '\\' && s[1] == 'x' && sscanf(s + 2, "%2x", &byte) == 1) {
                        *to++ = (char)byte;
                        s += 3;
                } else if (*s == '\\' && s[1]) {
                        s++;
                        *to++ = *s == 'n' ? '\n' : *s == 't' ? '\t' : *s;
                } else {
                        *to++ = *s;
                }
        }
        return (size_t)(to - start);
}

static void replay(struct mqtt_intake *in, FILE *recording)
{
        static char line[70000];

        while (fgets(line, sizeof(line), recording)) {
                struct mqtt_message m = {.topic = line};
                char *tab = strchr(line, '\t');

                line[strcspn(line, "\n")] = '\0';
                if (!tab)
                        continue;
                *tab = '\0';
                m.payload = tab + 1;
                m.len = unescape(tab + 1);
                mqtt_intake_take(in, &m);
        }
}

/* 0 when both are the same; tells the first line that differs. */
static int compare(const char *got, FILE *expected)
{
        static char want[70000];
        int n = 1;

        for (; fgets(want, sizeof(want), expected); n++) {
                size_t len = strlen(want);

                if (strncmp(got, want, len) != 0) {
                        printf("line %d\nexpected %sgot      %.*s\n", n, want, (int)strcspn(got, "\n"), got);
                        return 1;
                }
                got += len;
        }
        if (*got)
                printf("line %d: not expected: %.*s\n", n, (int)strcspn(got, "\n"), got);
        return *got != '\0';
}

int main(int argc, char **argv)
{
        static const struct driver_host host = {.emit = emit, .quarantine = quarantine};
        FILE *recording = argc > 1 ? fopen(argv[1], "r") : NULL, *expected = argc > 2 ? fopen(argv[2], "r") : NULL;
        struct rt_sim sim;
        struct driver d = {.name = "plant", .gateway = "gw", .conf = &conf, .rt = &sim.rt, .host = &host};
        struct mqtt_intake in;
        struct err e;
        char *text;
        size_t len;
        int rc = 0;

        if (!recording || (argc > 2 && !expected)) {
                fputs("usage: mqtt_replay RECORDING [EXPECTED]\n", stderr);
                return 2;
        }
        rt_sim_init(&sim, 1, 1795428000000000);
        d.tags = tags_new(100);
        BUG_ON(mqtt_intake_init(&in, &d, &e) < 0);
        out = open_memstream(&text, &len);
        replay(&in, recording);
        fclose(out);
        if (expected)
                rc = compare(text, expected);
        else
                fputs(text, stdout);
        free(text);
        fclose(recording);
        if (expected)
                fclose(expected);
        mqtt_intake_release(&in);
        tags_free(d.tags);
        rt_sim_release(&sim);
        return rc;
}
