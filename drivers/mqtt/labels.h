/*
 * labels: what a payload says of all its readings beside their names, as
 * members of a tag's labels.  Pure; loop thread.
 */
#ifndef MILLRACE_DRIVERS_MQTT_LABELS_H
#define MILLRACE_DRIVERS_MQTT_LABELS_H

#include "drivers/payload/lines.h"
#include "drivers/payload/name.h"

/*
 * The tags of a line, in the order of their names; put behind what is in `b`.
 */
void mqtt_labels_make(const struct payload_influx *line, struct payload_texts *b, struct payload_text *out);

#endif
