/*
 * config_floor: see config_floor.h.
 *
 * Why tables before the drivers: a configuration is written once for a plant and should be checked whole, and the
 * names of its keys are a promise.  What a table can't say is in the check functions, without I/O; what needs two
 * sections (does the bus exist?) is in config.c.  Fails with a sentence at the key.
 */
#include "agent/config_floor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

#define MS     1e3
#define SECOND 1e6
#define HOUR   3600e6
#define DAY    86400e6

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const frames[] = {"line", "nmea", NULL};
static const char *const rules[] = {"limits", "rate", "deviation", "stuck", "silent", "state", NULL};

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

/* source/tag, where * stands for any run of characters and ? for one. */
static bool is_match(const char *s)
{
        const char *slash = strchr(s, '/');

        if (!slash || slash == s || !slash[1] || strchr(slash + 1, '/'))
                return false;
        for (; *s; s++) {
                if (!strchr("/*?", *s) && !text_is_name(s, 1))
                        return false;
        }
        return true;
}

static int check_limits(const struct floor_alarm_conf *c, const char **key, struct err *e)
{
        static const char *const names[] = {"lolo", "lo", "hi", "hihi"};
        const double limits[] = {c->lolo, c->lo, c->hi, c->hihi};
        double last = -HUGE_VAL;
        int n = 0;

        for (int i = 0; i < 4; i++) {
                if (isnan(limits[i]))
                        continue;
                *key = names[i];
                if (!(limits[i] > last))
                        return err_set(e, "%g is out of order; allowed: lolo < lo < hi < hihi", limits[i]);
                last = limits[i];
                n++;
        }
        return n ? 0 : fault(key, NULL, e, "rule limits without a limit; one of hihi, hi, lo, lolo is needed");
}

static int check_alarm(void *obj, const char **key, struct err *e)
{
        const struct floor_alarm_conf *c = obj;

        if (!is_match(c->match)) {
                *key = "match";
                return err_set(e, "\"%.80s\" is not a pattern; allowed: source/tag, with * and ?, as press-*/temp",
                               c->match);
        }
        switch ((enum floor_rule)c->rule) {
        case FLOOR_LIMITS:
                return check_limits(c, key, e);
        case FLOOR_RATE:
                if (isnan(c->limit))
                        return fault(key, "limit", e, "missing; rule rate needs how much is too much");
                return c->over_us ? 0 : fault(key, "over", e, "missing; rule rate needs a span, as 10s");
        case FLOOR_DEVIATION:
                return isnan(c->sigma) ? fault(key, "sigma", e, "missing; rule deviation needs it") : 0;
        case FLOOR_STUCK:
        case FLOOR_SILENT:
                return c->after_us ? 0 : fault(key, "after", e, "missing; the rule needs a time, as 60s");
        case FLOOR_STATE:
                return c->normal ? 0 : fault(key, "normal", e, "missing; rule state needs the value that is normal");
        }
        return 0;
}

#define AT(member) offsetof(struct floor_alarm_conf, member)
static const struct schema_key alarm_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_UNIQUE, AT(name), .help = "Name of the rule; default: what it does."},
        {"match", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(match), .help = "Which tags: source/tag, with * and ?."},
        {"rule", SCHEMA_CHOICE, SCHEMA_REQUIRED, AT(rule), .choices = rules, .help = "What is watched."},
        {"hihi", SCHEMA_FLOAT, SCHEMA_NAN, AT(hihi), .help = "limits: upper alarm limit."},
        {"hi", SCHEMA_FLOAT, SCHEMA_NAN, AT(hi), .help = "limits: upper warning limit."},
        {"lo", SCHEMA_FLOAT, SCHEMA_NAN, AT(lo), .help = "limits: lower warning limit."},
        {"lolo", SCHEMA_FLOAT, SCHEMA_NAN, AT(lolo), .help = "limits: lower alarm limit."},
        {"limit", SCHEMA_FLOAT, SCHEMA_NAN, AT(limit), 0, 1e300, .help = "rate: most change within `over`."},
        {"over", SCHEMA_DURATION, 0, AT(over_us), MS, 31 * DAY, .help = "rate: the span that is looked at."},
        {"sigma", SCHEMA_FLOAT, SCHEMA_NAN, AT(sigma), 0.1, 1000, .help = "deviation: how many standard deviations."},
        {"half_life", SCHEMA_DURATION, 0, AT(half_life_us), SECOND, 31 * DAY, .def = "1h",
         .help = "deviation: how fast the mean forgets."},
        {"warm_up", SCHEMA_DURATION, 0, AT(warm_up_us), 0, 31 * DAY, .def = "30m",
         .help = "deviation: no alarm before the mean is known that long."},
        {"after", SCHEMA_DURATION, 0, AT(after_us), MS, 31 * DAY, .help = "stuck, silent: how long is too long."},
        {"normal", SCHEMA_TEXT, SCHEMA_SCALAR, AT(normal), .help = "state: any other value is an alarm."},
        {"deadband", SCHEMA_FLOAT, 0, AT(deadband), 0, 1e300, .def = "0",
         .help = "How far back a value must go to clear."},
        {"on_delay", SCHEMA_DURATION, 0, AT(on_delay_us), 0, DAY, .def = "0s",
         .help = "The condition holds this long first."},
        {"off_delay", SCHEMA_DURATION, 0, AT(off_delay_us), 0, DAY, .def = "0s",
         .help = "It is clear this long first."},
        {"severity", SCHEMA_INT, 0, AT(severity), 1, 1000, .def = "500", .help = "1 to 1000, the higher the worse."},
        {"re_alarm", SCHEMA_DURATION, 0, AT(re_alarm_us), 0, 31 * DAY, .def = "0s",
         .help = "An alarm that stays is told again this often; 0s: never."},
        {"latching", SCHEMA_BOOL, 0, AT(latching), .def = "false", .help = "It stays until acknowledged."},
        {"ack_required", SCHEMA_BOOL, 0, AT(ack_required), .def = "true", .help = "Somebody has to acknowledge it."},
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

static const struct schema alarm_schema = {
        .name = "alarms",
        .help = "What is watched, and how.",
        .keys = alarm_keys,
        .size = sizeof(struct floor_alarm_conf),
        .has_at = true,
        .check = check_alarm,
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
        {"alarms", SCHEMA_LIST, 0, AT(alarms), .sub = &alarm_schema, .help = "What is watched, and how."},
        {"notify", SCHEMA_MAP, 0, AT(notify), .sub = &notify_schema, .help = "Who is told of alarms, besides Kafka."},
        {NULL},
};
