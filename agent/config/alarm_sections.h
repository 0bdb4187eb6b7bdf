/*
 * alarm_sections: the sections about what is watched on the plant floor:
 * alarms, who is notified of them, and what is thinned after them.
 */
#ifndef MILLRACE_CONFIG_ALARM_SECTIONS_H
#define MILLRACE_CONFIG_ALARM_SECTIONS_H

#include "agent/base/schema.h"

struct floor_notify_mqtt_conf {
        struct schema_at at;
        const char *connection;
};

struct floor_notify_exec_conf {
        struct schema_at at;
        struct schema_list command; /* const char * */
        int64_t timeout_us;
        int64_t per_minute;
};

struct floor_notify_conf {
        struct schema_at at;
        struct floor_notify_mqtt_conf mqtt;
        struct floor_notify_exec_conf exec;
        bool journal;
};

struct floor_conf {
        struct schema_list alarms; /* struct rule_conf */
        struct floor_notify_conf notify;
        struct schema_list thin; /* struct thinning_conf */
};

enum { FLOOR_SECTIONS = 3 };

/*
 * Rows for a table whose struct has a struct floor_conf; their offsets count
 * from it.
 */
extern const struct schema_key floor_keys[FLOOR_SECTIONS + 1];

#endif
