/*
 * conf_binary: how a binary frame is built, and the checksum of a line.
 *
 * Fails with a sentence at the key.
 */
#include "drivers/serial/conf_impl.h"

static const char *const checksum_orders[] = {"usual", "big", "little", NULL};
static const char *const forms[] = {"binary", "hex", "decimal", NULL};

static int check_lengths(const struct serial_binary_conf *b, const char **key, struct err *e)
{
        if ((b->length < 0) == (b->length_at < 0))
                return conf_fault(key, b->length < 0 ? "length" : "length_at", e,
                                  "either length (always the same) or length_at (where the frame tells it)");
        if (b->checksum_from >= (b->length < 0 ? SERIAL_FRAME_MAX : b->length))
                return conf_fault(key, "checksum_from", e, "behind the end of the frame");
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
                return conf_fault(key, "start", e,
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
        {"length_order", SCHEMA_CHOICE, 0, AT(length_order), .choices = serial_orders, .def = "big",
         .help = "Which byte of the length field comes first, the highest (big) or the lowest (little)."},
        {"length_adds", SCHEMA_INT, 0, AT(length_adds), -255, 255, .def = "0",
         .help = "Bytes of the whole frame that the length field does not count: start, the field itself, checksum …"},
        {"checksum", SCHEMA_CHOICE, 0, AT(checksum), .choices = serial_checksum_names, .def = "none",
         .help = "Checksum at the end of the frame, before `end`. crc16_ccitt begins with FFFF, crc16_xmodem with 0."},
        {"checksum_order", SCHEMA_CHOICE, 0, AT(checksum_order), .choices = checksum_orders, .def = "usual",
         .help = "Which byte of the checksum comes first; usual: the lowest for crc16_modbus, the highest for others."},
        {"checksum_form", SCHEMA_CHOICE, 0, AT(checksum_form), .choices = forms, .def = "binary",
         .help = "How it is written: its bytes, two hexadecimal digits a byte, or decimal digits (3, 5 or 10)."},
        {"checksum_behind", SCHEMA_INT, 0, AT(checksum_behind), 0, 255, .def = "0",
         .help = "Bytes between the checksum and `end`, or the end of the frame."},
        {"checksum_from", SCHEMA_INT, 0, AT(checksum_from), 0, 255, .def = "0",
         .help = "Offset of the first byte the checksum is over; it goes up to the checksum."},
        {NULL},
};
#undef AT

const struct schema serial_binary_schema = {
        .name = "serial binary",
        .help = "How a binary frame is built.",
        .keys = binary_keys,
        .size = sizeof(struct serial_binary_conf),
        .has_at = true,
        .check = check_binary,
};

/* ---- of a line ---- */

static int check_line_sum(void *obj, const char **key, struct err *e)
{
        const struct serial_line_sum_conf *c = obj;
        uint8_t bytes[SERIAL_MARK_MAX];

        *key = "start";
        if (c->start && serial_unescape(bytes, sizeof(bytes), c->start, e) < 0)
                return -1;
        *key = "mark";
        return c->mark ? serial_unescape(bytes, sizeof(bytes), c->mark, e) < 0 ? -1 : 0 : 0;
}

#define AT(member) offsetof(struct serial_line_sum_conf, member)
static const struct schema_key line_sum_keys[] = {
        {"kind", SCHEMA_CHOICE, 0, AT(kind), .choices = serial_checksum_names, .def = "none",
         .help = "Which; none: the line has no checksum."},
        {"form", SCHEMA_CHOICE, 0, AT(form), .choices = forms, .def = "hex",
         .help = "How it is written: two hexadecimal digits a byte, decimal digits (3, 5 or 10), or the bytes."},
        {"order", SCHEMA_CHOICE, 0, AT(order), .choices = checksum_orders, .def = "usual",
         .help = "Which of its bytes comes first."},
        {"start", SCHEMA_TEXT, SCHEMA_SCALAR, AT(start),
         .help = "What the line begins with, as \"\\x02\"; what lies before it is left out, and so is this."},
        {"mark", SCHEMA_TEXT, SCHEMA_SCALAR, AT(mark), .help = "What stands right before the checksum, as \"*\"."},
        {"behind_end", SCHEMA_BOOL, 0, AT(behind_end), .def = "false",
         .help = "The checksum comes behind the `delimiter`, as STX … ETX BCC."},
        {"with_start", SCHEMA_BOOL, 0, AT(with_start), .def = "false", .help = "It is over the start as well."},
        {"with_mark", SCHEMA_BOOL, 0, AT(with_mark), .def = "false", .help = "It is over the mark as well."},
        {"with_end", SCHEMA_BOOL, 0, AT(with_end), .def = "false",
         .help = "It is over the delimiter as well; with behind_end."},
        {NULL},
};
#undef AT

const struct schema serial_line_sum_schema = {
        .name = "serial checksum",
        .help = "The checksum of a line; it is cut off before `match`.",
        .keys = line_sum_keys,
        .size = sizeof(struct serial_line_sum_conf),
        .has_at = true,
        .check = check_line_sum,
};
