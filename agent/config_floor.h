/*
 * config_floor: the sections of the plant floor that are checked but not yet acted upon: serial, alarms, notify.  Their keys are fixed; a section moves to its module when that is built, with its table.
 */
#ifndef MILLRACE_AGENT_CONFIG_FLOOR_H
#define MILLRACE_AGENT_CONFIG_FLOOR_H

#include "agent/base/schema.h"

struct floor_line_reading_conf {
        struct schema_at at;
        const char *tag, *value, *unit;
};

struct floor_serial_conf {
        struct schema_at at;
        const char *name, *port, *source, *delimiter, *match, *poll;
        int64_t baud, data_bits, stop_bits;
        int parity, frame;
        int64_t period_us, timeout_us;
        struct schema_list readings; /* struct floor_line_reading_conf */
};

struct floor_notify_mqtt_conf {
        struct schema_at at;
        const char *connection;
};

struct floor_notify_exec_conf {
        struct schema_at at;
        struct schema_list command; /* const char * */
        int64_t timeout_us;
};

struct floor_notify_conf {
        struct schema_at at;
        struct floor_notify_mqtt_conf mqtt;
        struct floor_notify_exec_conf exec;
};

struct floor_conf {
        struct schema_list serial;
        struct schema_list alarms; /* struct rule_conf */
        struct floor_notify_conf notify;
};

enum { FLOOR_SECTIONS = 3 };

/* Rows for a table whose struct has a struct floor_conf; their offsets count from it. */
extern const struct schema_key floor_keys[FLOOR_SECTIONS + 1];

#endif
