/*
 * conf: what one `serial:` item may hold.
 *
 * One list of readings serves all three framings, because it is one idea, tag
 * <- piece of a frame; which of its keys belong to which framing is checked
 * here, with the tag's name, before anything runs.  Expressions are compiled
 * for the check, so a wrong one is told by `millrace check` and not by a silent
 * line.
 *
 * Fails with a sentence at the key.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/port.h"
#include "drivers/serial/conf_impl.h"
#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"
#include "drivers/serial/iec.h"
#include "drivers/serial/obis.h"

#define MS     1e3
#define SECOND 1e6
#define HOUR   3600e6
#define DAY    86400e6

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const rs485s[] = {"auto", "on", "off", NULL};
static const char *const frames[] = {"line", "nmea0183", "binary", "p1", "iec62056", "toledo", NULL};
static const char *const decimals[] = {"point", "comma", NULL};
static const char *const times[] = {"arrival", "sentence", "telegram", NULL};

/* ---- quality of lines ---- */

static const struct schema_key quality_keys[] = {
        {"value", SCHEMA_TEXT, SCHEMA_REQUIRED, offsetof(struct serial_quality_conf, value),
         .help = "Name of the group in `match` that tells."},
        {"good", SCHEMA_TEXTS, 0, offsetof(struct serial_quality_conf, good),
         .help = "What it says when the values are good; anything else is uncertain."},
        {"bad", SCHEMA_TEXTS, 0, offsetof(struct serial_quality_conf, bad),
         .help = "What it says when there is no value (overload, sensor broken)."},
        {NULL},
};

static const struct schema quality_schema = {
        .name = "serial quality",
        .help = "What in a line tells how good its values are.",
        .keys = quality_keys,
        .size = sizeof(struct serial_quality_conf),
        .has_at = true,
};

static const struct schema_key iec_keys[] = {
        {"address", SCHEMA_TEXT, SCHEMA_SCALAR, offsetof(struct serial_iec_conf, address),
         .help = "Address of the meter, where there are several; default: whoever is there."},
        {"max_baud", SCHEMA_INT, 0, offsetof(struct serial_iec_conf, max_baud), 0, 19200, .def = "0",
         .help = "The highest speed that is agreed on; 0: the meter's. tcp:// stays with `baud`."},
        {NULL},
};

static const struct schema serial_iec_schema = {
        .name = "serial iec62056",
        .help = "A meter that is asked as IEC 62056-21 says.",
        .keys = iec_keys,
        .size = sizeof(struct serial_iec_conf),
        .has_at = true,
};

/* ---- the line ---- */

static int check_poll(const struct serial_conf *c, const char **key, struct err *e)
{
        uint8_t bytes[SERIAL_POLL_MAX];
        int n;

        *key = "poll";
        n = c->poll ? serial_unescape(bytes, sizeof(bytes), c->poll, e) : 1;
        if (n < 0)
                return -1;
        return n ? 0 : err_set(e, "empty; what is to be sent, as \"W\\r\\n\"");
}

static int check_match(const struct serial_conf *c, const char **key, struct err *e)
{
        uint8_t bytes[SERIAL_MARK_MAX];
        struct serial_decoder d;
        int r;

        if (!c->match)
                return conf_fault(key, "match", e,
                                  "missing; a line needs an expression with named groups, as (?<weight>[0-9.]+)");
        *key = "delimiter";
        if (c->delimiter && serial_unescape(bytes, sizeof(bytes), c->delimiter, e) < 0)
                return -1;
        if (conf_check_readings(c, key, e) < 0)
                return -1;
        r = serial_decoder_init(&d, c, key, e);
        serial_decoder_fini(&d);
        return r;
}

static int check_sum(const struct serial_conf *c, const char **key, struct err *e)
{
        if (c->checksum.kind == SERIAL_CHECK_NONE)
                return 0;
        if (c->frame == SERIAL_TOLEDO && c->checksum.kind != SERIAL_CHECK_SUM7_TWOS)
                return conf_fault(key, "checksum", e, "that of a scale is sum7_twos");
        if (c->frame != SERIAL_LINE && c->frame != SERIAL_TOLEDO)
                return conf_fault(key, "checksum", e,
                                  "only for frame line; nmea0183 and p1 have theirs, binary has a key");
        if (c->checksum.behind_end && c->delimiter && !*c->delimiter)
                return conf_fault(key, "checksum", e, "behind_end needs a delimiter");
        if (c->checksum.with_end && !c->checksum.behind_end)
                return conf_fault(key, "checksum", e, "with_end goes with behind_end");
        return 0;
}

static int check_zone(const struct serial_conf *c, const char **key, struct err *e)
{
        int64_t us;

        if (!c->zone)
                return 0;
        if (c->frame != SERIAL_P1)
                return conf_fault(key, "zone", e, "only for frame p1");
        *key = "zone";
        return obis_zone(c->zone, &us) ? 0 : err_set(e, "\"%.40s\" is no zone; allowed: as \"+01:00\"", c->zone);
}

static int check_times(const struct serial_conf *c, const char **key, struct err *e)
{
        if (c->time == SERIAL_TIME_SENTENCE && c->frame != SERIAL_NMEA0183)
                return conf_fault(key, "time", e, "sentence is only for frame nmea0183");
        if (c->time == SERIAL_TIME_TELEGRAM && c->frame != SERIAL_P1)
                return conf_fault(key, "time", e, "telegram is only for frame p1");
        return check_zone(c, key, e);
}

static int check_iec(const struct serial_conf *c, const char **key, struct err *e)
{
        if (c->frame != SERIAL_IEC62056 && (c->iec.address || c->iec.max_baud))
                return conf_fault(key, "iec62056", e, "only for frame iec62056");
        if (c->frame == SERIAL_IEC62056 && c->poll)
                return conf_fault(key, "poll", e, "what a meter is asked stands in IEC 62056-21");
        if (c->iec.address && (strlen(c->iec.address) > IEC_ADDRESS_MAX || strpbrk(c->iec.address, "/?!\r\n\\ ")))
                return conf_fault(key, "iec62056", e, "the address has at most 32 letters and digits");
        return 0;
}

static int check_not_line(const struct serial_conf *c, const char **key, struct err *e)
{
        const char *only = c->match ? "match" : c->delimiter ? "delimiter" : c->quality.value ? "quality" : NULL;
        struct serial_decoder d;
        int r;

        if (only)
                return conf_fault(key, only, e, "only for frame line");
        if (c->frame == SERIAL_BINARY && !c->binary.at.line)
                return conf_fault(key, "binary", e, "missing; how a frame is built: start, length, checksum");
        if (c->frame != SERIAL_NMEA0183 && c->ignore.n)
                return conf_fault(key, "ignore", e, "only for frame line and nmea0183");
        if (conf_check_readings(c, key, e) < 0)
                return -1;
        r = serial_decoder_init(&d, c, key, e);
        serial_decoder_fini(&d);
        return r;
}

static int check_line(void *obj, const char **key, struct err *e)
{
        const struct serial_conf *c = obj;

        *key = "port";
        if (port_check(c->port, 9600, e) < 0)
                return -1;
        *key = "baud";
        if (port_check(c->port, c->baud, e) < 0)
                return -1;
        if (check_poll(c, key, e) < 0)
                return -1;
        if (c->binary.at.line && c->frame != SERIAL_BINARY)
                return conf_fault(key, "binary", e, "only for frame binary");
        if (c->binary.at.line && c->binary.length > (int64_t)serial_max_frame(c))
                return conf_fault(key, "max_frame", e, "smaller than binary.length");
        if (check_times(c, key, e) < 0 || check_sum(c, key, e) < 0 || check_iec(c, key, e) < 0)
                return -1;
        return c->frame == SERIAL_LINE ? check_match(c, key, e) : check_not_line(c, key, e);
}

#define AT(member) offsetof(struct serial_conf, member)
static const struct schema_key line_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name),
         .help = "Name of this line in status, logs and metrics."},
        {"port", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(port),
         .help = "Serial device (/dev/serial/by-id/… is the one that stays), or tcp://host:port of a device server."},
        {"baud", SCHEMA_INT, 0, AT(baud), 300, 4000000, .def = "9600", .help = "Bits per second of the line."},
        {"parity", SCHEMA_CHOICE, 0, AT(parity), .choices = parities, .def = "none", .help = "Parity of the line."},
        {"data_bits", SCHEMA_INT, 0, AT(data_bits), 7, 8, .def = "8", .help = "Data bits of the line."},
        {"stop_bits", SCHEMA_INT, 0, AT(stop_bits), 1, 2, .def = "1", .help = "Stop bits of the line."},
        {"rs485", SCHEMA_CHOICE, 0, AT(rs485), .choices = rs485s, .def = "auto",
         .help = "Direction of an RS-485 line by the kernel: on, off, or auto: as the port is set up."},
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED, AT(source), .help = "Source of the readings."},
        {"frame", SCHEMA_CHOICE, 0, AT(frame), .choices = frames, .def = "line",
         .help = "Lines of text, NMEA 0183 sentences (their checksum is verified), binary frames, or p1: telegrams of "
                 "meters (P1, DSMR; IEC 62056-21 mode D); iec62056: meters that are asked every `period` (modes A, B, "
                 "C); toledo: the continuous output of scales."},
        {"delimiter", SCHEMA_TEXT, 0, AT(delimiter),
         .help = "What ends a line, with escapes as \\x03; default: CR, LF or both. \"\": a silence of `idle`."},
        {"max_frame", SCHEMA_SIZE, 0, AT(max_frame), 8, SERIAL_FRAME_MAX,
         .help = "A longer line or frame is refused and counted; default: 1KiB, p1 4KiB, iec62056 16KiB."},
        {"idle", SCHEMA_DURATION, 0, AT(idle_us), 5 * MS, HOUR, .def = "1s",
         .help = "A line or frame that is not ended after this silence is given up."},
        {"match", SCHEMA_TEXT, 0, AT(match),
         .help = "line: regular expression (PCRE2) with named groups; lines that do not match go to the quarantine."},
        {"ignore", SCHEMA_TEXTS, 0, AT(ignore),
         .help = "line, nmea0183: expressions; a line that can't be read and matches one is counted, and is no fault."},
        {"decimal", SCHEMA_CHOICE, 0, AT(decimal), .choices = decimals, .def = "point",
         .help = "line, p1, iec62056: what numbers have before their fraction."},
        {"quality", SCHEMA_MAP, 0, AT(quality), .sub = &quality_schema,
         .help = "line: what in it tells how good its values are; default: they are good."},
        {"time", SCHEMA_CHOICE, 0, AT(time), .choices = times, .def = "arrival",
         .help = "arrival; nmea0183: sentence: the time that RMC and ZDA say; p1: telegram: the meter's time."},
        {"zone", SCHEMA_TEXT, 0, AT(zone), .help = "p1: zone of the meter's clock in winter; default: +01:00."},
        {"iec62056", SCHEMA_MAP, 0, AT(iec), .sub = &serial_iec_schema, .help = "iec62056: which meter is asked."},
        {"checksum", SCHEMA_MAP, 0, AT(checksum), .sub = &serial_line_sum_schema, .help = "line: its checksum."},
        {"binary", SCHEMA_MAP, 0, AT(binary), .sub = &serial_binary_schema, .help = "binary: how a frame is built."},
        {"poll", SCHEMA_TEXT, 0, AT(poll),
         .help = "Sent every `period` to ask for a line, with escapes as \"W\\r\\n\"; default: it speaks by itself."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), 10 * MS, DAY, .def = "1s", .help = "How often `poll` is sent."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), 10 * MS, HOUR, .def = "1s",
         .help = "How long an answer to `poll` may take before the tags are bad; iec62056: a silence, never less than "
                 "2s."},
        {"readings", SCHEMA_LIST, 0, AT(readings), .sub = &serial_reading_schema, .help = "Its values."},
        {NULL},
};
#undef AT

const struct schema serial_schema = {
        .name = "serial",
        .help = "Instruments on a serial line: lines of text, NMEA 0183, binary frames.",
        .keys = line_keys,
        .size = sizeof(struct serial_conf),
        .has_at = true,
        .check = check_line,
};

void serial_names(const void *conf, struct driver_names *to)
{
        const struct serial_conf *c = conf;
        const struct serial_reading_conf *r = c->readings.items;

        to->period_us = c->poll || c->frame == SERIAL_IEC62056 ? c->period_us : 0;
        for (size_t i = 0; i < c->readings.n; i++)
                to->each(to, c->source, r[i].tag, &r[i].tag);
}
