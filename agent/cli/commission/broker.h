/*
 * broker: listening to an MQTT broker for a time, with a session of its own,
 * and a section of a configuration for it.  Blocking, for the tool only; ^C
 * ends it.
 */
#ifndef MILLRACE_CLI_COMMISSION_BROKER_H
#define MILLRACE_CLI_COMMISSION_BROKER_H

#include <stdio.h>

#include "agent/cli/commission/samples.h"
#include "agent/rt_uv.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"

/* Zeroed before; what is above the line is the caller's. */
struct broker {
        struct mqtt_conf conf; /* url, login, TLS; its protocol is set to that which was taken */
        const char *filter;
        int64_t span_us;                                            /* of listening, from the broker's welcome on */
        void (*on_message)(void *ctx, const struct mqtt_message *); /* NULL is fine; it is in the samples already */
        bool (*is_enough)(void *ctx);                               /* asked ten times a second; NULL: never */
        void *ctx;
        /* ---- */
        struct samples samples;
        uint64_t n_messages;
        bool accepted, subscribed, lost;
        char why[400];  /* it was lost */
        char zone[100]; /* of this machine; "": not known */
};

/*
 * 0: it was listened to, for all of the time unless `lost`; or -1 with a
 * sentence.  MQTT 5 is tried first, then 3.1.1.
 */
int broker_listen(struct broker *b, struct err *e);
void broker_fini(struct broker *b);

/* `mqtt:` up to and with `subscriptions:`. */
void broker_section(FILE *f, const struct mqtt_conf *conf);
/* The configuration's tables take this subscription. */
bool broker_accepts(const struct mqtt_conf *conf, const char *sub);

#endif
