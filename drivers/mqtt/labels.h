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
 * `topic` is the pattern, whose {names} are labels as well.
 */
void mqtt_labels_make(const struct payload_influx *line, const char *topic, struct payload_texts *b,
                      struct payload_text *out);

#endif
