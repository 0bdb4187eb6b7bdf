/*
 * payload: the bytes of a message -> readings.
 *
 * Pure; loop thread.  Text and raw of what is returned points into the payload
 * or, where JSON's escapes had to be taken out, into a buffer of ours, and is
 * valid until the next call.
 */
#ifndef MILLRACE_DRIVERS_MQTT_PAYLOAD_H
#define MILLRACE_DRIVERS_MQTT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json_scan.h"
#include "agent/base/reading.h"
#include "drivers/mqtt/mqtt.h"

enum { MQTT_READINGS_MAX = 256 };

/* How the messages of one subscription are read. */
struct mqtt_decoder {
        int kind; /* enum mqtt_payload_kind */
        int time_format;
        size_t n_values; /* 1 for all but JSON */
        struct json_paths paths;
        int time_slot; /* -1: the message carries no time */
        int *slot;     /* of each value */
        struct json_value *found;
};
int mqtt_decoder_init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e);
void mqtt_decoder_fini(struct mqtt_decoder *d);

enum { MQTT_E_MALFORMED = 1 };

struct mqtt_decoded {
        struct reading r[MQTT_READINGS_MAX];
        uint16_t value[MQTT_READINGS_MAX]; /* which of the decoder's values r[i] is */
        size_t n;
        size_t n_absent;    /* values the message did not hold */
        const char *reason; /* with MQTT_E_MALFORMED: why, a constant or until the next call */
};

/*
 * Fills everything of the readings but `tag` and `mid`.  0 or MQTT_E_MALFORMED.
 * `now_us` is the wall time of arrival.
 */
int mqtt_decode(const struct mqtt_decoder *d, const void *payload, size_t len, int64_t now_us,
                struct mqtt_decoded *out);

#endif
