/*
 * payload_bench: what decoding costs, for the payload of the throughput benchmark and for bare numbers.
 *
 * Prints nanoseconds of CPU per message, the best of five rounds.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "drivers/mqtt/payload.h"

enum { ROUNDS = 5, MESSAGES = 500000 };

static double cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(const struct mqtt_sub_conf *conf, const char *payload)
{
        static struct mqtt_decoded out;
        struct mqtt_decoder d;
        struct err e;
        double best = 1e12;
        size_t len = strlen(payload);

        BUG_ON(mqtt_decoder_init(&d, conf, &e) < 0);
        for (int round = 0; round < ROUNDS; round++) {
                double start = cpu_ns(), took;

                for (int i = 0; i < MESSAGES; i++)
                        BUG_ON(mqtt_decode(&d, payload, len, 1795428000000000, &out) != 0);
                took = (cpu_ns() - start) / MESSAGES;
                best = took < best ? took : best;
        }
        mqtt_decoder_fini(&d);
        return best;
}

int main(void)
{
        struct mqtt_reading_conf one = {.tag = "n", .value = "/seq"};
        struct mqtt_sub_conf json = {
                .payload = MQTT_JSON, .time = "/ts", .time_format = MQTT_UNIX_US, .readings = {&one, 1}};
        struct mqtt_sub_conf number = {.payload = MQTT_NUMBER};

        printf("json, 117 bytes, 1 value and time: %.0f ns\n",
               measure(&json, "{\"dev\":\"d0042\",\"metric\":\"temperature\",\"ts\":1795427999123456,\"value\":45.123,"
                              "\"seq\":918273,\"unit\":\"C\",\"q\":\"goodgoodgood\"}"));
        printf("number, 5 bytes: %.0f ns\n", measure(&number, "71.35"));
        return 0;
}
