/*
 * replay_mqtt: recorded messages through topic, payload and tags; the readings must be those written down.
 *
 * A recording has a message per line: topic, a tab, the payload (\n, \t, \\ and \xHH written so).  What comes out is
 * printed, one line per reading or refusal.
 */
#include <string.h>

#include "intake_replay.h"

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

static void on_line(struct intake_replay *r, char *line)
{
        struct mqtt_message m = {.topic = line};
        char *tab = strchr(line, '\t');

        if (!tab)
                return;
        *tab = '\0';
        m.payload = tab + 1;
        m.len = unescape(tab + 1);
        mqtt_intake_take(&r->in, &m);
}

static long run(const struct replay_input *in, FILE *out)
{
        struct intake_replay r = {.conf = &conf, .on_line = on_line};

        return intake_replay_run(&r, in, out);
}

const struct replay replay_mqtt = {.run = run};
