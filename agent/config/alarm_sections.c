/*
 * alarm_sections: see alarm_sections.h.
 *
 * What a table can't say is in the check functions, without I/O; what needs two
 * sections (does the connection exist?) is in config.c.  Fails with a sentence
 * at the key.
 */
#include "agent/config/alarm_sections.h"

#include "agent/base/err.h"
#include "agent/rules/rules_conf.h"
#include "agent/thinning.h"

#define MS   1e3
#define HOUR 3600e6

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

static const struct schema_key notify_mqtt_keys[] = {
        {"connection", SCHEMA_NAME, SCHEMA_REQUIRED, offsetof(struct notify_mqtt_conf, connection),
         .help = "Name of the mqtt item whose broker gets the retained alarm states."},
        {NULL},
};

static const struct schema notify_mqtt_schema = {
        .name = "notify mqtt",
        .help = "Retained messages under millrace/<gateway>/alarm/.",
        .keys = notify_mqtt_keys,
        .size = sizeof(struct notify_mqtt_conf),
        .has_at = true,
};

static int check_exec(void *obj, const char **key, struct err *e)
{
        const struct notify_exec_conf *c = obj;
        const char *const *argv = c->command.items;

        if (!c->command.n || argv[0][0] != '/')
                return fault(key, "command", e, "the command needs a program by its absolute path; no shell is used");
        return 0;
}

static const struct schema_key notify_exec_keys[] = {
        {"command", SCHEMA_TEXTS, SCHEMA_REQUIRED, offsetof(struct notify_exec_conf, command),
         .help = "Program and arguments; it gets the event as JSON on its standard input."},
        {"timeout", SCHEMA_DURATION, 0, offsetof(struct notify_exec_conf, timeout_us), 100 * MS, HOUR, .def = "5s",
         .help = "It is ended after this."},
        {"max_per_minute", SCHEMA_INT, 0, offsetof(struct notify_exec_conf, per_minute), 1, 6000, .def = "60",
         .help = "Not started more often; the rest is counted."},
        {NULL},
};

static const struct schema notify_exec_schema = {
        .name = "notify exec",
        .help = "A program of your own.",
        .keys = notify_exec_keys,
        .size = sizeof(struct notify_exec_conf),
        .has_at = true,
        .check = check_exec,
};

static const struct schema_key notify_keys[] = {
        {"mqtt", SCHEMA_MAP, 0, offsetof(struct notify_conf, mqtt), .sub = &notify_mqtt_schema,
         .help = "Retained messages on an MQTT broker."},
        {"exec", SCHEMA_MAP, 0, offsetof(struct notify_conf, exec), .sub = &notify_exec_schema,
         .help = "A program of your own."},
        {"journal", SCHEMA_BOOL, 0, offsetof(struct notify_conf, journal), .def = "true",
         .help = "A line in the log for each."},
        {NULL},
};

static const struct schema notify_schema = {
        .name = "notify",
        .help = "Who is told of alarms, besides Kafka.",
        .keys = notify_keys,
        .size = sizeof(struct notify_conf),
        .has_at = true,
};

#define AT(member) offsetof(struct alarm_sections, member)
const struct schema_key alarm_section_keys[N_ALARM_SECTIONS + 1] = {
        {"alarms", SCHEMA_LIST, 0, AT(alarms), .sub = &rules_schema, .help = "What is watched, and how."},
        {"notify", SCHEMA_MAP, 0, AT(notify), .sub = &notify_schema, .help = "Who is told of alarms, besides Kafka."},
        {"thin", SCHEMA_LIST, 0, AT(thin), .sub = &thinning_schema, .help = "What is left out, and when."},
        {NULL},
};
