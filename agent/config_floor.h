/*
 * config_floor: the sections of the plant floor that are checked but not yet acted upon: alarms, notify.  Their keys are
 * fixed; a section moves to its module when that is built, with its table.
 */
#ifndef MILLRACE_AGENT_CONFIG_FLOOR_H
#define MILLRACE_AGENT_CONFIG_FLOOR_H

#include "agent/base/schema.h"

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
        struct schema_list alarms; /* struct rule_conf */
        struct floor_notify_conf notify;
};

enum { FLOOR_SECTIONS = 2 };

/* Rows for a table whose struct has a struct floor_conf; their offsets count from it. */
extern const struct schema_key floor_keys[FLOOR_SECTIONS + 1];

#endif
