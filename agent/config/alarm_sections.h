/*
 * alarm_sections: the sections about what is watched on the plant floor:
 * alarms, who is notified of them, and what is thinned after them.
 */
#ifndef MILLRACE_CONFIG_ALARM_SECTIONS_H
#define MILLRACE_CONFIG_ALARM_SECTIONS_H

#include "agent/base/schema.h"

struct notify_mqtt_conf {
        struct schema_at at;
        const char *connection;
};

struct notify_exec_conf {
        struct schema_at at;
        struct schema_list command; /* const char * */
        int64_t timeout_us;
        int64_t per_minute;
};

struct notify_conf {
        struct schema_at at;
        struct notify_mqtt_conf mqtt;
        struct notify_exec_conf exec;
        bool journal;
};

struct alarm_sections {
        struct schema_list alarms; /* struct rule_conf */
        struct notify_conf notify;
        struct schema_list thin; /* struct thinning_conf */
};

enum { N_ALARM_SECTIONS = 3 };

/*
 * Rows for a table whose struct has a struct alarm_sections; their offsets
 * count from it.
 */
extern const struct schema_key alarm_section_keys[N_ALARM_SECTIONS + 1];

#endif
