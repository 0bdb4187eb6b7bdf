/*
 * mqtt_payload: the bytes of a message -> readings.
 *
 * Pure; loop thread (one JSON arena).  Text and raw of what is returned points into the payload or into the decoder and is
 * valid until the next call.
 */
#ifndef MILLRACE_DRIVERS_MQTT_PAYLOAD_H
#define MILLRACE_DRIVERS_MQTT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/reading.h"
#include "drivers/mqtt.h"

enum { MQTT_READINGS_MAX = 256, MQTT_POINTER_LEVELS = 16, MQTT_POINTER_BYTES = 256 };

/* A JSON pointer (RFC 6901), unescaped and cut into its levels. */
struct mqtt_pointer {
        char bytes[MQTT_POINTER_BYTES];
        uint16_t at[MQTT_POINTER_LEVELS];   /* where in bytes each level's NUL-ended text starts */
        int32_t index[MQTT_POINTER_LEVELS]; /* as an array index; -1: can't be one */
        int n_levels;
};
int mqtt_pointer_parse(struct mqtt_pointer *p, const char *text, struct err *e);

/* How the messages of one subscription are read. */
struct mqtt_decoder {
        int kind; /* enum mqtt_payload_kind */
        int time_format;
        bool has_time;
        struct mqtt_pointer time;
        size_t n_values; /* 1 for all but JSON */
        struct mqtt_pointer *values;
};
int mqtt_decoder_init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e);
void mqtt_decoder_release(struct mqtt_decoder *d);

enum { MQTT_E_MALFORMED = 1 };

struct mqtt_decoded {
        struct reading r[MQTT_READINGS_MAX];
        uint16_t value[MQTT_READINGS_MAX]; /* which of the decoder's values r[i] is */
        size_t n;
        size_t n_absent;    /* values the message did not hold */
        const char *reason; /* with MQTT_E_MALFORMED: why, a constant or until the next call */
};

/*
 * Fills everything of the readings but `tag` and `mid`.  0 or MQTT_E_MALFORMED.  `now_us` is the wall time of arrival.
 */
int mqtt_decode(const struct mqtt_decoder *d, const void *payload, size_t len, int64_t now_us,
                struct mqtt_decoded *out);

/* The JSON library's memory is ours from now on: a small arena per message. Once, before the first decode. */
void mqtt_decode_setup(void);

#endif
