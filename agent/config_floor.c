/*
 * config_floor: see config_floor.h.
 *
 * Why tables before the drivers: a configuration is written once for a plant and should be checked whole, and the
 * names of its keys are a promise.  What a table can't say is in the check functions, without I/O; what needs two
 * sections (does the bus exist?) is in config.c.  Fails with a sentence at the key.
 */
#include "agent/config_floor.h"

#include "agent/base/err.h"
#include "agent/rules/rules_conf.h"

#define MS     1e3
#define SECOND 1e6
#define HOUR   3600e6
#define DAY    86400e6

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const frames[] = {"line", "nmea", NULL};

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

static int check_port(const char *port, const char **key, struct err *e)
{
        *key = "port";
        return port[0] == '/' ? 0 : err_set(e, "\"%.80s\" is not a port; allowed: /dev/…", port);
}

#define AT(member) offsetof(struct floor_line_reading_conf, member)
static const struct schema_key line_reading_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(tag), .help = "Name of the tag."},
        {"value", SCHEMA_TEXT, 0, AT(value), .help = "Name of the group in `match`; default: the tag's."},
        {"unit", SCHEMA_TEXT, 0, AT(unit), .help = "Unit, as it is to be recorded."},
        {NULL},
};
#undef AT

static const struct schema line_reading_schema = {
        .name = "serial reading",
        .help = "One value of a line.",
        .keys = line_reading_keys,
        .size = sizeof(struct floor_line_reading_conf),
        .has_at = true,
};

static int check_serial(void *obj, const char **key, struct err *e)
{
        const struct floor_serial_conf *c = obj;

        if (c->frame == 0 && !c->match)
                return fault(key, "match", e,
                             "missing; a line needs an expression with named groups, as (?<weight>[0-9.]+)");
        if (c->frame == 0 && !c->readings.n)
                return fault(key, "readings", e, "missing; which groups become which tags");
        return check_port(c->port, key, e);
}

#define AT(member) offsetof(struct floor_serial_conf, member)
static const struct schema_key serial_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name), .help = "Name of this line."},
        {"port", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(port), .help = "Serial device."},
        {"baud", SCHEMA_INT, 0, AT(baud), 300, 4000000, .def = "9600", .help = "Bits per second of the line."},
        {"parity", SCHEMA_CHOICE, 0, AT(parity), .choices = parities, .def = "none", .help = "Parity of the line."},
        {"data_bits", SCHEMA_INT, 0, AT(data_bits), 7, 8, .def = "8", .help = "Data bits of the line."},
        {"stop_bits", SCHEMA_INT, 0, AT(stop_bits), 1, 2, .def = "1", .help = "Stop bits of the line."},
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED, AT(source), .help = "Source of the readings."},
        {"frame", SCHEMA_CHOICE, 0, AT(frame), .choices = frames, .def = "line",
         .help = "Lines of text, or NMEA 0183 sentences (their checksum is verified)."},
        {"delimiter", SCHEMA_TEXT, 0, AT(delimiter), .help = "What ends a line; default: CR, LF or both."},
        {"match", SCHEMA_TEXT, 0, AT(match), .help = "Regular expression with named groups; other lines are counted."},
        {"poll", SCHEMA_TEXT, 0, AT(poll), .help = "Sent every `period` to ask for a line."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), 10 * MS, DAY, .def = "1s", .help = "How often `poll` is sent."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), 10 * MS, HOUR, .def = "1s",
         .help = "How long an answer may take."},
        {"readings", SCHEMA_LIST, 0, AT(readings), .sub = &line_reading_schema, .help = "Its values."},
        {NULL},
};
#undef AT

static const struct schema_key notify_mqtt_keys[] = {
        {"connection", SCHEMA_NAME, SCHEMA_REQUIRED, offsetof(struct floor_notify_mqtt_conf, connection),
         .help = "Name of the mqtt item whose broker gets the retained alarm states."},
        {NULL},
};

static const struct schema notify_mqtt_schema = {
        .name = "notify mqtt",
        .help = "Retained messages under millrace/<gateway>/alarm/.",
        .keys = notify_mqtt_keys,
        .size = sizeof(struct floor_notify_mqtt_conf),
        .has_at = true,
};

static int check_exec(void *obj, const char **key, struct err *e)
{
        const struct floor_notify_exec_conf *c = obj;
        const char *const *argv = c->command.items;

        if (!c->command.n || argv[0][0] != '/')
                return fault(key, "command", e, "the command needs a program by its absolute path; no shell is used");
        return 0;
}

static const struct schema_key notify_exec_keys[] = {
        {"command", SCHEMA_TEXTS, SCHEMA_REQUIRED, offsetof(struct floor_notify_exec_conf, command),
         .help = "Program and arguments; it gets the event as JSON on its standard input."},
        {"timeout", SCHEMA_DURATION, 0, offsetof(struct floor_notify_exec_conf, timeout_us), 100 * MS, HOUR,
         .def = "5s", .help = "It is ended after this."},
        {NULL},
};

static const struct schema notify_exec_schema = {
        .name = "notify exec",
        .help = "A program of your own.",
        .keys = notify_exec_keys,
        .size = sizeof(struct floor_notify_exec_conf),
        .has_at = true,
        .check = check_exec,
};

static const struct schema_key notify_keys[] = {
        {"mqtt", SCHEMA_MAP, 0, offsetof(struct floor_notify_conf, mqtt), .sub = &notify_mqtt_schema,
         .help = "Retained messages on an MQTT broker."},
        {"exec", SCHEMA_MAP, 0, offsetof(struct floor_notify_conf, exec), .sub = &notify_exec_schema,
         .help = "A program of your own."},
        {NULL},
};

static const struct schema serial_schema = {
        .name = "serial",
        .help = "Instruments that send lines of text.",
        .keys = serial_keys,
        .size = sizeof(struct floor_serial_conf),
        .has_at = true,
        .check = check_serial,
};

static const struct schema notify_schema = {
        .name = "notify",
        .help = "Who is told of alarms, besides Kafka.",
        .keys = notify_keys,
        .size = sizeof(struct floor_notify_conf),
        .has_at = true,
};

#define AT(member) offsetof(struct floor_conf, member)
const struct schema_key floor_keys[FLOOR_SECTIONS + 1] = {
        {"serial", SCHEMA_LIST, 0, AT(serial), .sub = &serial_schema, .help = "Instruments that send lines of text."},
        {"alarms", SCHEMA_LIST, 0, AT(alarms), .sub = &rules_schema, .help = "What is watched, and how."},
        {"notify", SCHEMA_MAP, 0, AT(notify), .sub = &notify_schema, .help = "Who is told of alarms, besides Kafka."},
        {NULL},
};
