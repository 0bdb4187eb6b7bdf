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

#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"
#include "drivers/tty.h"

#define MS     1e3
#define SECOND 1e6
#define HOUR   3600e6
#define DAY    86400e6

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const rs485s[] = {"auto", "on", "off", NULL};
static const char *const frames[] = {"line", "nmea0183", "binary", NULL};
static const char *const types[] = {"auto",  "number", "text",    "latitude", "longitude", "time",
                                    "int8",  "uint8",  "int16",   "uint16",   "int32",     "uint32",
                                    "int64", "uint64", "float32", "float64",  "bit",       NULL};
static const char *const orders[] = {"big", "little", NULL};
static const char *const checksums[] = {"none",         "sum8",        "xor8",         "sum16",
                                        "crc16_modbus", "crc16_ccitt", "crc16_xmodem", NULL};
static const char *const checksum_orders[] = {"usual", "big", "little", NULL};
static const char *const decimals[] = {"point", "comma", NULL};
static const char *const times[] = {"arrival", "sentence", NULL};

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

/* ---- bytes written by people ---- */

static int hex_value(char c)
{
        static const char digits[] = "0123456789abcdef";
        const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;

        return at ? (int)(at - digits) : -1;
}

static int hex_byte(const char *s)
{
        int high = hex_value(s[0]), low = high < 0 ? -1 : hex_value(s[1]);

        return low < 0 ? -1 : high << 4 | low;
}

/* `s` is behind a backslash. Returns behind the escape, or NULL. */
static const char *escaped(const char *s, uint8_t *out)
{
        static const char letters[] = "rnt0\\", bytes[] = "\r\n\t\0\\";
        const char *at = *s ? strchr(letters, *s) : NULL;
        int byte = *s == 'x' ? hex_byte(s + 1) : -1;

        if (at) {
                *out = (uint8_t)bytes[at - letters];
                return s + 1;
        }
        *out = (uint8_t)byte;
        return byte < 0 ? NULL : s + 3;
}

int serial_unescape(uint8_t *out, size_t cap, const char *text, struct err *e)
{
        size_t n = 0;

        for (const char *s = text; *s; n++) {
                if (n == cap)
                        return err_set(e, "longer than %zu bytes", cap);
                if (*s != '\\') {
                        out[n] = (uint8_t)*s++;
                        continue;
                }
                s = escaped(s + 1, &out[n]);
                if (!s)
                        return err_set(e,
                                       "a backslash with nothing it could mean; allowed: \\r \\n \\t \\0 \\\\ \\xHH");
        }
        return (int)n;
}

int serial_unhex(uint8_t *out, size_t cap, const char *text, struct err *e)
{
        size_t n = 0;

        for (const char *s = text; *s;) {
                int byte;

                if (*s == ' ') {
                        s++;
                        continue;
                }
                byte = hex_byte(s);
                if (byte < 0)
                        return err_set(e, "\"%.40s\" is not bytes in hexadecimal; allowed: as \"AA 55\"", text);
                if (n == cap)
                        return err_set(e, "longer than %zu bytes", cap);
                out[n++] = (uint8_t)byte;
                s += 2;
        }
        return (int)n;
}

/* ---- readings ---- */

static int fault_reading(const struct serial_reading_conf *r, struct err *e, const char *what)
{
        return err_set(e, "%s: %s", r->tag, what);
}

static int check_scale(const struct serial_reading_conf *r, struct err *e)
{
        bool scaled = r->scale != 1 || r->offset != 0;

        if (r->scale == 0)
                return fault_reading(r, e, "scale 0 would make every value the same");
        if (scaled && (r->type == SERIAL_TEXT || r->type == SERIAL_TIME || r->type == SERIAL_BIT))
                return fault_reading(r, e, "scale and offset are only for numbers");
        return 0;
}

static int check_line_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (r->sentence || r->field >= 0 || r->where >= 0 || r->length >= 0 || r->bit >= 0)
                return fault_reading(r, e, "a reading of a line has tag, value, type, unit, scale and offset");
        if (r->type > SERIAL_TEXT)
                return fault_reading(r, e, "the type of a reading of a line is auto, number or text");
        return 0;
}

static int check_sentence_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (!r->sentence || r->field < 0)
                return fault_reading(r, e, "sentence or field is missing; as sentence: GGA, field: 9");
        if (r->value || r->where >= 0 || r->length >= 0 || r->bit >= 0)
                return fault_reading(r, e,
                                     "a reading of a sentence has tag, sentence, field, type, unit, scale, offset");
        if (r->type > SERIAL_TIME)
                return fault_reading(
                        r, e,
                        "the type of a reading of a sentence is auto, number, text, latitude, longitude or "
                        "time");
        return 0;
}

static int check_binary_reading(const struct serial_reading_conf *r, struct err *e)
{
        if (r->where < 0)
                return fault_reading(r, e, "at is missing; its offset from the frame's first byte, which is 0");
        if (r->value || r->sentence || r->field >= 0)
                return fault_reading(r, e,
                                     "a reading of a frame has tag, at, type, order, length, bit, unit, scale, offset");
        if (r->type != SERIAL_TEXT && r->type < SERIAL_INT8)
                return fault_reading(r, e, "type is missing; allowed: int8 to uint64, float32, float64, bit, text");
        if ((r->type == SERIAL_TEXT) != (r->length >= 0))
                return fault_reading(r, e, "length goes with type text: how many bytes");
        if ((r->type == SERIAL_BIT) != (r->bit >= 0))
                return fault_reading(r, e, "bit goes with type bit: which, 0 is the lowest");
        return 0;
}

static int check_readings(const struct serial_conf *c, const char **key, struct err *e)
{
        static int (*const checks[])(const struct serial_reading_conf *r, struct err *e) = {
                [SERIAL_LINE] = check_line_reading,
                [SERIAL_NMEA0183] = check_sentence_reading,
                [SERIAL_BINARY] = check_binary_reading,
        };
        const struct serial_reading_conf *r = c->readings.items;

        *key = "readings";
        if (!c->readings.n)
                return err_set(e, "missing; which %s become which tags",
                               c->frame == SERIAL_LINE     ? "groups"
                               : c->frame == SERIAL_BINARY ? "bytes"
                                                           : "fields");
        if (c->readings.n > SERIAL_READINGS_MAX)
                return err_set(e, "%zu readings; allowed: %d", c->readings.n, SERIAL_READINGS_MAX);
        for (size_t i = 0; i < c->readings.n; i++)
                if (checks[c->frame](&r[i], e) < 0 || check_scale(&r[i], e) < 0)
                        return -1;
        return 0;
}

#define AT(member) offsetof(struct serial_reading_conf, member)
static const struct schema_key reading_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(tag), .help = "Name of the tag."},
        {"value", SCHEMA_TEXT, 0, AT(value), .help = "line: name of the group in `match`; default: the tag's."},
        {"sentence", SCHEMA_NAME, 0, AT(sentence),
         .help = "nmea0183: which sentence, of any talker (GGA) or of one (GPGGA, PGRME)."},
        {"field", SCHEMA_INT, SCHEMA_MINUS, AT(field), 1, 63,
         .help = "nmea0183: which field of it; 1 is behind the first comma."},
        {"at", SCHEMA_INT, SCHEMA_MINUS, AT(where), 0, SERIAL_FRAME_MAX - 1,
         .help = "binary: offset of its first byte in the frame; the frame's first byte is 0."},
        {"type", SCHEMA_CHOICE, 0, AT(type), .choices = types, .def = "auto",
         .help = "line, nmea0183: auto (a number when it is one, else text), number, text (barcodes!); nmea0183 also "
                 "latitude, longitude (degrees; the hemisphere is in the next field), time (UTC). binary: all others."},
        {"order", SCHEMA_CHOICE, 0, AT(order), .choices = orders, .def = "big",
         .help = "binary: which byte comes first, the highest (big) or the lowest (little)."},
        {"length", SCHEMA_INT, SCHEMA_MINUS, AT(length), 1, 255, .help = "binary, type text: how many bytes."},
        {"bit", SCHEMA_INT, SCHEMA_MINUS, AT(bit), 0, 7,
         .help = "binary, type bit: which bit of the byte, 0 is lowest."},
        {"scale", SCHEMA_FLOAT, 0, AT(scale), .def = "1", .help = "A number is multiplied by this."},
        {"offset", SCHEMA_FLOAT, 0, AT(offset), .def = "0", .help = "Added after scaling."},
        {"unit", SCHEMA_TEXT, 0, AT(unit), .help = "Unit, as it is to be recorded."},
        {NULL},
};
#undef AT

static const struct schema reading_schema = {
        .name = "serial reading",
        .help = "One value of a line, sentence or frame.",
        .keys = reading_keys,
        .size = sizeof(struct serial_reading_conf),
        .has_at = true,
};

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

/* ---- binary frames ---- */

static int check_lengths(const struct serial_binary_conf *b, const char **key, struct err *e)
{
        if ((b->length < 0) == (b->length_at < 0))
                return fault(key, b->length < 0 ? "length" : "length_at", e,
                             "either length (always the same) or length_at (where the frame tells it)");
        if (b->checksum_from >= (b->length < 0 ? SERIAL_FRAME_MAX : b->length))
                return fault(key, "checksum_from", e, "behind the end of the frame");
        return 0;
}

static int check_binary(void *obj, const char **key, struct err *e)
{
        const struct serial_binary_conf *b = obj;
        uint8_t bytes[SERIAL_MARK_MAX];
        int n_start, n_end;

        *key = "start";
        n_start = serial_unhex(bytes, sizeof(bytes), b->start, e);
        if (n_start < 0)
                return -1;
        *key = "end";
        n_end = b->end ? serial_unhex(bytes, sizeof(bytes), b->end, e) : 0;
        if (n_end < 0)
                return -1;
        if (n_start == 0 && b->checksum == SERIAL_CHECK_NONE)
                return fault(key, "start", e,
                             "empty; without start bytes and checksum no frame can be told from noise");
        return check_lengths(b, key, e);
}

#define AT(member) offsetof(struct serial_binary_conf, member)
static const struct schema_key binary_keys[] = {
        {"start", SCHEMA_TEXT, SCHEMA_REQUIRED | SCHEMA_SCALAR, AT(start),
         .help = "Bytes a frame begins with, as \"AA 55\"; at most 8; \"\" when only the checksum tells."},
        {"end", SCHEMA_TEXT, SCHEMA_SCALAR, AT(end), .help = "Bytes behind the checksum, as \"03\"; at most 8."},
        {"length", SCHEMA_INT, SCHEMA_MINUS, AT(length), 1, SERIAL_FRAME_MAX,
         .help = "Bytes of a frame, when it is always the same."},
        {"length_at", SCHEMA_INT, SCHEMA_MINUS, AT(length_at), 0, 255,
         .help = "Offset of the length field from the frame's first byte, which is 0."},
        {"length_size", SCHEMA_INT, 0, AT(length_size), 1, 4, .def = "1", .help = "Bytes of the length field."},
        {"length_order", SCHEMA_CHOICE, 0, AT(length_order), .choices = orders, .def = "big",
         .help = "Which byte of the length field comes first, the highest (big) or the lowest (little)."},
        {"length_adds", SCHEMA_INT, 0, AT(length_adds), -255, 255, .def = "0",
         .help = "Bytes of the whole frame that the length field does not count: start, the field itself, checksum …"},
        {"checksum", SCHEMA_CHOICE, 0, AT(checksum), .choices = checksums, .def = "none",
         .help = "Checksum at the end of the frame, before `end`. crc16_ccitt begins with FFFF, crc16_xmodem with 0."},
        {"checksum_order", SCHEMA_CHOICE, 0, AT(checksum_order), .choices = checksum_orders, .def = "usual",
         .help = "Which byte of the checksum comes first; usual: the lowest for crc16_modbus, the highest for others."},
        {"checksum_from", SCHEMA_INT, 0, AT(checksum_from), 0, 255, .def = "0",
         .help = "Offset of the first byte the checksum is over; it goes up to the checksum."},
        {NULL},
};
#undef AT

static const struct schema binary_schema = {
        .name = "serial binary",
        .help = "How a binary frame is built.",
        .keys = binary_keys,
        .size = sizeof(struct serial_binary_conf),
        .has_at = true,
        .check = check_binary,
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
                return fault(key, "match", e,
                             "missing; a line needs an expression with named groups, as (?<weight>[0-9.]+)");
        *key = "delimiter";
        if (c->delimiter && serial_unescape(bytes, sizeof(bytes), c->delimiter, e) < 0)
                return -1;
        if (check_readings(c, key, e) < 0)
                return -1;
        r = serial_decoder_init(&d, c, key, e);
        serial_decoder_fini(&d);
        return r;
}

static int check_not_line(const struct serial_conf *c, const char **key, struct err *e)
{
        const char *only = c->match ? "match" : c->delimiter ? "delimiter" : c->quality.value ? "quality" : NULL;
        struct serial_decoder d;
        int r;

        if (only)
                return fault(key, only, e, "only for frame line");
        if (c->frame == SERIAL_BINARY && !c->binary.at.line)
                return fault(key, "binary", e, "missing; how a frame is built: start, length, checksum");
        if (c->frame == SERIAL_BINARY && c->ignore.n)
                return fault(key, "ignore", e, "only for frame line and nmea0183");
        if (check_readings(c, key, e) < 0)
                return -1;
        r = serial_decoder_init(&d, c, key, e);
        serial_decoder_fini(&d);
        return r;
}

static int check_line(void *obj, const char **key, struct err *e)
{
        const struct serial_conf *c = obj;

        *key = "port";
        if (c->port[0] != '/')
                return err_set(e, "\"%.80s\" is not a port; allowed: /dev/…", c->port);
        *key = "baud";
        if (!tty_is_baud(c->baud))
                return err_set(
                        e, "%lld is no speed of a serial port; allowed: 9600, 19200, 38400, 57600, 115200 and the like",
                        (long long)c->baud);
        if (check_poll(c, key, e) < 0)
                return -1;
        if (c->binary.at.line && c->frame != SERIAL_BINARY)
                return fault(key, "binary", e, "only for frame binary");
        if (c->binary.at.line && c->binary.length > (int64_t)c->max_frame)
                return fault(key, "max_frame", e, "smaller than binary.length");
        if (c->time != SERIAL_TIME_ARRIVAL && c->frame != SERIAL_NMEA0183)
                return fault(key, "time", e, "sentence is only for frame nmea0183");
        return c->frame == SERIAL_LINE ? check_match(c, key, e) : check_not_line(c, key, e);
}

#define AT(member) offsetof(struct serial_conf, member)
static const struct schema_key line_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name),
         .help = "Name of this line in status, logs and metrics."},
        {"port", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(port),
         .help = "Serial device; /dev/serial/by-id/… is the one that stays."},
        {"baud", SCHEMA_INT, 0, AT(baud), 300, 4000000, .def = "9600", .help = "Bits per second of the line."},
        {"parity", SCHEMA_CHOICE, 0, AT(parity), .choices = parities, .def = "none", .help = "Parity of the line."},
        {"data_bits", SCHEMA_INT, 0, AT(data_bits), 7, 8, .def = "8", .help = "Data bits of the line."},
        {"stop_bits", SCHEMA_INT, 0, AT(stop_bits), 1, 2, .def = "1", .help = "Stop bits of the line."},
        {"rs485", SCHEMA_CHOICE, 0, AT(rs485), .choices = rs485s, .def = "auto",
         .help = "Direction of an RS-485 line by the kernel: on, off, or auto: as the port is set up."},
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED, AT(source), .help = "Source of the readings."},
        {"frame", SCHEMA_CHOICE, 0, AT(frame), .choices = frames, .def = "line",
         .help = "Lines of text, NMEA 0183 sentences (their checksum is verified), or binary frames."},
        {"delimiter", SCHEMA_TEXT, 0, AT(delimiter),
         .help = "What ends a line, with escapes as \\x03; default: CR, LF or both. \"\": a silence of `idle`."},
        {"max_frame", SCHEMA_SIZE, 0, AT(max_frame), 8, SERIAL_FRAME_MAX, .def = "1KiB",
         .help = "A longer line or frame is refused and counted."},
        {"idle", SCHEMA_DURATION, 0, AT(idle_us), 5 * MS, HOUR, .def = "1s",
         .help = "A line or frame that is not ended after this silence is given up."},
        {"match", SCHEMA_TEXT, 0, AT(match),
         .help = "line: regular expression (PCRE2) with named groups; lines that do not match go to the quarantine."},
        {"ignore", SCHEMA_TEXTS, 0, AT(ignore),
         .help = "line, nmea0183: expressions; a line that can't be read and matches one is counted, and is no fault."},
        {"decimal", SCHEMA_CHOICE, 0, AT(decimal), .choices = decimals, .def = "point",
         .help = "line: what numbers have before their fraction."},
        {"quality", SCHEMA_MAP, 0, AT(quality), .sub = &quality_schema,
         .help = "line: what in it tells how good its values are; default: they are good."},
        {"time", SCHEMA_CHOICE, 0, AT(time), .choices = times, .def = "arrival",
         .help = "nmea0183: the time of the readings of RMC and ZDA: when they came, or what they say."},
        {"binary", SCHEMA_MAP, 0, AT(binary), .sub = &binary_schema, .help = "binary: how a frame is built."},
        {"poll", SCHEMA_TEXT, 0, AT(poll),
         .help = "Sent every `period` to ask for a line, with escapes as \"W\\r\\n\"; default: it speaks by itself."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), 10 * MS, DAY, .def = "1s", .help = "How often `poll` is sent."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), 10 * MS, HOUR, .def = "1s",
         .help = "How long an answer to `poll` may take before the tags are bad."},
        {"readings", SCHEMA_LIST, 0, AT(readings), .sub = &reading_schema, .help = "Its values."},
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

        for (size_t i = 0; i < c->readings.n; i++)
                to->each(to, c->source, r[i].tag, &r[i].tag);
}
