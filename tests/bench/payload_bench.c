/*
 * payload_bench: what decoding costs, for the payload of the throughput benchmark and for bare numbers.
 *
 * Prints nanoseconds of CPU per message, the best of five rounds.  With the name of a case and a number it decodes that
 * many messages and prints nothing: for valgrind to count instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/mqtt/payload.h"

enum { ROUNDS = 5, BYTES = 60000000 };

struct bench_case {
        const char *name, *what;
        const struct mqtt_sub_conf *conf;
        const char *payload;
        size_t len; /* 0: a text */
};

static double cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void decode(struct mqtt_decoder *d, const char *payload, size_t len, int n)
{
        static struct mqtt_decoded out;

        for (int i = 0; i < n; i++)
                BUG_ON(mqtt_decode(d, payload, len, 1795428000000000, &out) != 0);
}

static double measure(struct mqtt_decoder *d, const char *payload, size_t len)
{
        double best = 1e12;
        int n = (int)(BYTES / len / 4) + 1;

        for (int round = 0; round < ROUNDS; round++) {
                double start = cpu_ns(), took;

                decode(d, payload, len, n);
                took = (cpu_ns() - start) / n;
                best = took < best ? took : best;
        }
        return best;
}

static void run(const struct bench_case *c, int n)
{
        size_t len = c->len ? c->len : strlen(c->payload);
        struct mqtt_decoder d;
        struct err e;

        BUG_ON(mqtt_decoder_init(&d, c->conf, &e) < 0);
        if (n)
                decode(&d, c->payload, len, n);
        else
                printf("%s: %.0f ns\n", c->what, measure(&d, c->payload, len));
        mqtt_decoder_fini(&d);
}

/* As OPC UA gateways send them. */
static const char *hundred(void)
{
        static char text[100 * 64 + 100];
        char *to = text + sprintf(text, "{\"timestamp\":1795427999000,\"values\":[");

        for (int i = 0; i < 100; i++)
                to += sprintf(to, "%s{\"id\":\"ch.dev.A%02d\",\"v\":%d.5,\"q\":true,\"t\":1795427999%03d}",
                              i ? "," : "", i, 20 + i, i);
        strcpy(to, "]}");
        return text;
}

/* The same as CBOR. */
static const char *hundred_in_cbor(size_t *len)
{
        static char text[100 * 64 + 100];
        char *to = text;

        to += sprintf(to, "\xa1\x66values\x98\x64");
        for (int i = 0; i < 100; i++) {
                to += sprintf(to,
                              "\xa4\x62id\x69"
                              "ch.dev.%c%c\x61v\xf9%c%c\x61q\xf5\x61t",
                              'A' + i / 10, '0' + i % 10, 0x4d, 0x40);
                memcpy(to, "\x1b\0\0\x01\xa2\x08\x31\x0a\x18", 9);
                to += 9;
        }
        *len = (size_t)(to - text);
        return text;
}

int main(int argc, char **argv)
{
        static const char *yes = "true";
        struct mqtt_reading_conf one = {.tag = "n", .value = "/seq"};
        struct mqtt_sub_conf json = {
                .payload = MQTT_JSON, .time = "/ts", .time_format = MQTT_UNIX_US, .readings = {&one, 1}};
        struct mqtt_reading_conf element = {.tag = "{/id}", .value = "/v"};
        struct mqtt_sub_conf each = {.payload = MQTT_JSON,
                                     .each = "/values",
                                     .time = "/t",
                                     .time_format = MQTT_UNIX_MS,
                                     .quality = {.value = "/q", .good = {&yes, 1}},
                                     .readings = {&element, 1}};
        struct mqtt_sub_conf number = {.payload = MQTT_NUMBER}, cbor = each;
        size_t len;
        const char *in_cbor = hundred_in_cbor(&len);
        const struct bench_case cases[] = {
                {"json", "json, 117 bytes, 1 value and time", &json,
                 "{\"dev\":\"d0042\",\"metric\":\"temperature\",\"ts\":1795427999123456,\"value\":45.123,"
                 "\"seq\":918273,\"unit\":\"C\",\"q\":\"goodgoodgood\"}"},
                {"number", "number, 5 bytes", &number, "71.35"},
                {"each", "json, an object of 100 elements of 55 bytes: name, value, quality and time", &each,
                 hundred()},
                {"cbor", "the same in CBOR", &cbor, in_cbor, len},
        };

        cbor.payload = MQTT_CBOR;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                if (argc < 3 || !strcmp(argv[1], cases[i].name))
                        run(&cases[i], argc < 3 ? 0 : atoi(argv[2]));
        return 0;
}
