/*
 * payload: the bytes of a message -> readings.
 *
 * Pure but for init; loop thread.  Text, raw and names of what is returned
 * point into the payload or, where escapes had to be taken out or pieces put
 * together, into buffers of the decoder, and are valid until its next call.
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
#include "drivers/payload/gzip.h"
#include "drivers/payload/lines.h"
#include "drivers/payload/name.h"
#include "drivers/payload/senml.h"

enum {
        MQTT_READINGS_MAX = 1000,
        MQTT_ELEMENTS_MAX = 1000,
        MQTT_ELEMENTS_USUAL = 256,
        MQTT_SLOTS_MAX = 1000,
        MQTT_UNPACKED_USUAL = 256 * 1024
};

union mqtt_lines {
        struct payload_csv csv;
        struct payload_influx influx;
};

/* How one value is read, and what it is called where the payload says so. */
struct mqtt_value {
        struct payload_ref ref;
        struct payload_name tag, unit;
        struct convert convert;
};

/* How the messages of one subscription are read. */
struct mqtt_decoder {
        int kind;        /* enum mqtt_payload_kind */
        size_t n_values; /* 1 for all but those with `readings` */
        bool walks;      /* elements */
        bool asks;       /* the payload for names */
        struct payload_name source;
        struct mqtt_value *value; /* NULL: a bare value */
        struct convert bare;
        bool converts; /* a bare value: what is not one of JSON is the conversion's */
        struct json_paths paths;
        struct payload_ref time_ref, quality_ref; /* at -1: the message carries none */
        struct payload_time time;
        const struct payload_quality_conf *quality;
        struct json_value *found;
        struct json_rows rows;
        struct payload_texts names;
        const char *topic;            /* the pattern */
        struct payload_text labels;   /* of the record, as in struct tag */
        size_t n_records, n_elements; /* of the message */
        union mqtt_lines *lines;      /* made when the first such message comes, as are the next two */
        struct payload_senml *senml;
        struct payload_gzip *gzip;
        bool is_packed;
        size_t max_bytes; /* unpacked */
        char *unescaped;  /* texts of the last decode that had escapes */
        size_t n_unescaped, cap_unescaped;
};
/*
 * Reads a time zone. 0, or -1 with a sentence and, when it is one of them, the
 * key.
 */
int mqtt_decoder_init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e);
int mqtt_decoder_check(const struct mqtt_sub_conf *conf, const char **key, struct err *e);
void mqtt_decoder_fini(struct mqtt_decoder *d);

enum { MQTT_E_MALFORMED = 1 };

/* What the payload calls a reading; at NULL: it does not say. */
struct mqtt_names {
        struct payload_text source, tag, unit, labels;
};

struct mqtt_decoded {
        struct reading r[MQTT_READINGS_MAX];
        uint16_t value[MQTT_READINGS_MAX];          /* which of the decoder's values r[i] is */
        struct mqtt_names names[MQTT_READINGS_MAX]; /* of decoders that ask */
        char room[MQTT_READINGS_MAX][CONVERT_ROOM];
        size_t n;
        size_t n_absent;    /* values the message did not hold */
        const char *reason; /* with MQTT_E_MALFORMED: why; else NULL, or a value that is not what was meant */
};

/*
 * Fills everything of the readings but `tag` and `mid`.  0 or MQTT_E_MALFORMED.
 * `now_us` is the wall time of arrival.  No readings: what is walked is empty.
 */
int mqtt_decode(struct mqtt_decoder *d, const void *payload, size_t len, int64_t now_us, struct mqtt_decoded *out);

#endif
