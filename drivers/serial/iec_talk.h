/*
 * iec_talk: the readouts of struct iec over a port.  Loop thread.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_IEC_TALK_H
#define MILLRACE_DRIVERS_SERIAL_IEC_TALK_H

#include "agent/base/rt.h"
#include "drivers/port.h"
#include "drivers/serial/iec.h"

struct iec_talk {
        /* The owner's. */
        void (*on_block)(struct iec_talk *t, const char *text, size_t len);
        void (*on_fail)(struct iec_talk *t, const char *why);

        struct iec iec;
        struct port *port;
        struct rt_timer timer;
};

void iec_talk_init(struct iec_talk *t, struct port *port, const struct iec_conf *conf);
void iec_talk_begin(struct iec_talk *t);
void iec_talk_input(struct iec_talk *t, const uint8_t *bytes, size_t n);
void iec_talk_abort(struct iec_talk *t);

#endif
