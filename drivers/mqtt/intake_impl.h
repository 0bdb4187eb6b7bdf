/*
 * intake_impl: what the three rooms of the intake share.  intake.c: a message
 * as a whole; naming.c: the tags of its readings; births.c: Sparkplug, which
 * remembers.
 */
#ifndef MILLRACE_DRIVERS_MQTT_INTAKE_IMPL_H
#define MILLRACE_DRIVERS_MQTT_INTAKE_IMPL_H

#include "drivers/mqtt/intake.h"

enum { MQTT_KEPT_BYTES = 4096 };

static inline void mqtt_intake_quarantine(struct mqtt_intake *in, const struct mqtt_message *m, const char *reason)
{
        size_t len = m->len < MQTT_KEPT_BYTES ? m->len : MQTT_KEPT_BYTES;

        in->d->host->quarantine(in->d, m->topic, reason, m->payload, len);
}

/* These are with the host. */
static inline void mqtt_intake_count(struct mqtt_intake *in, const struct reading *r, size_t n)
{
        in->n_rows += n;
        for (size_t i = 0; i < n; i++)
                in->n_bytes += r[i].len;
}

/*
 * Of a topic: one for each subscription it is of, in their order. NULL: none.
 */
struct mqtt_route *mqtt_naming_route(struct mqtt_intake *in, const char *topic);
/*
 * Gives every reading in `decoded` its tag; those that get none are taken out.
 */
void mqtt_naming_all(struct mqtt_intake *in, struct mqtt_route *route, const struct mqtt_message *m);
/* NULL, or why it is bad now: its tag has another unit than it came with. */
const char *mqtt_naming_judge_unit(const struct mqtt_intake *in, const struct payload_text *unit, struct reading *r);
/* The first of them, if its tag is known already; makes none. */
bool mqtt_naming_known(struct mqtt_intake *in, const struct mqtt_route *route, const struct mqtt_message *m);

int mqtt_births_init(struct mqtt_intake *in, const struct mqtt_sub_conf *conf, struct err *e);
/* Once for each message: its readings stand in `turn`. */
void mqtt_births_read(struct mqtt_intake *in, const struct mqtt_message *m, const struct rt_time *now);
/* False: there was no room for all of `turn`; the rest waits in it. */
bool mqtt_births_give(struct mqtt_intake *in, bool may_wait);

#endif
