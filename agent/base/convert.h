/*
 * convert: what a source sent -> the value that was meant, the same for all
 * drivers.
 *
 * A driver puts what it read into the reading as it came: a number, a boolean,
 * or a text borrowed from the message.  This then does, in this order:
 *
 *   none, bad        a word or code: bad/sensor, no value
 *   mask, shift      of an integer: the bits that are meant
 *   true, false      a word or code: a boolean; where only one of them is
 *                    configured, and with type boolean, the other is the usual
 *                    words: true on yes 1, false off no 0
 *   map              a word or code: another word, or a number; one that is
 *                    not in it stays as it is and is uncertain
 *   text to number   when a number is meant: that is with type number or
 *                    integer, or with type auto without true, false or map
 *                    and with any of scale, offset, decimal, range, mask; with
 *                    a unit alone a text that is no number stays, uncertain
 *   scale, offset    in floating point: value * scale + offset
 *   type             what the value is to be
 *   range            outside of it: bad/out_of_range
 *
 * Words are compared without blanks around them and without regard to case of
 * A-Z; codes as numbers, 0xFFFF is one.  A code for a signed value of `bits`
 * bits may be written as its bits: 0xFFFF is -1 of 16.
 *
 * A text that is to be a number: [sign] digits, as people and displays write
 * them (+007, - 3.1, .5, 12., 1e3); with `decimal: comma` a comma where the
 * point stands.  Behind it may be the unit: that of the configuration, or,
 * where none is configured, one of the usual ones; another word there makes it
 * uncertain, and another unit than the configured one is no number.  "nan",
 * "inf", "null" and nothing are what sensors write: bad/sensor.
 *
 * Pure, no allocation but by convert_init; any thread.
 */
#ifndef MILLRACE_BASE_CONVERT_H
#define MILLRACE_BASE_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/reading.h"
#include "agent/base/schema.h"

enum convert_type {
        CONVERT_AUTO,
        CONVERT_NUMBER,
        CONVERT_INTEGER,
        CONVERT_BOOLEAN,
        CONVERT_TEXT,
        CONVERT_NUMERIC, /* by a driver, for auto: a number is meant unless there are true, false or map */
};
enum convert_decimal { CONVERT_POINT, CONVERT_COMMA };

enum { CONVERT_E_UNFIT = 1, CONVERT_ROOM = 32, CONVERT_WORDS_MAX = 1024 };

/* In a driver's own struct of a reading, filled by CONVERT_KEYS. */
struct convert_conf {
        int type;    /* enum convert_type */
        int decimal; /* enum convert_decimal */
        double scale, offset;
        struct schema_list yes, no, none, bad; /* const char * */
        struct schema_list map;                /* struct schema_pair */
        struct schema_list range;              /* const char *: lowest, highest */
        const char *mask;                      /* NULL: all bits */
        int64_t shift;
};

extern const char *const convert_types[], *const convert_decimals[];

/* clang-format off */
#define CONVERT_TYPE_KEY(s, member, otherwise)                                                                         \
        {"type", SCHEMA_CHOICE, 0, offsetof(s, member.type), .choices = convert_types, .def = otherwise,               \
         .help = "What the value is: number, integer, boolean, text, or auto: as it was sent, but a number where "     \
                 "scale, offset, decimal, range or mask say that one is meant, or the unit, if it is one."}
#define CONVERT_DECIMAL_KEY(s, member)                                                                                 \
        {"decimal", SCHEMA_CHOICE, 0, offsetof(s, member.decimal), .choices = convert_decimals, .def = "point",        \
         .help = "What stands before the fraction of a number that is sent as text."}
#define CONVERT_KEYS(s, member)                                                                                        \
        {"scale", SCHEMA_FLOAT, 0, offsetof(s, member.scale), .def = "1",                                              \
         .help = "The number is multiplied by this."},                                                                 \
        {"offset", SCHEMA_FLOAT, 0, offsetof(s, member.offset), .def = "0", .help = "Added behind that."},             \
        {"none", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(s, member.none),                                                \
         .help = "Words or codes, as sent, that mean that there is no value: bad, sensor."},                           \
        {"bad", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(s, member.bad),                                                  \
         .help = "Words or codes, as sent, that tell of a fault: bad, sensor."},                                       \
        {"true", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(s, member.yes), .help = "Words or codes that mean true."},      \
        {"false", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(s, member.no), .help = "Words or codes that mean false."},     \
        {"map", SCHEMA_PAIRS, 0, offsetof(s, member.map),                                                              \
         .help = "What a word or code stands for: another word or a number. One that is not here is uncertain."},      \
        {"mask", SCHEMA_TEXT, SCHEMA_SCALAR, offsetof(s, member.mask),                                                 \
         .help = "Of an integer, the bits that are meant, as 0x0FF0."},                                                \
        {"shift", SCHEMA_INT, 0, offsetof(s, member.shift), 0, 63, .def = "0",                                         \
         .help = "How many bits it is then shifted to the right."},                                                    \
        {"range", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(s, member.range),                                              \
         .help = "Lowest and highest number that can be true, as [-40, 125]; others are bad, out_of_range."}
/* clang-format on */

struct convert_word;

struct convert {
        bool plain; /* nothing is to be done */
        bool number_meant, scaled, has_mask, has_range, has_map;
        bool number_hoped;            /* a unit alone says so: a text that is none stays, and is uncertain */
        bool booleans;                /* it is true or false that is meant */
        bool usual_true, usual_false; /* no list of it is configured */
        int type, decimal;
        uint8_t bits, shift;
        double scale, offset, divisor, low, high;
        uint64_t mask;
        const char *unit;           /* NULL: none is configured */
        struct convert_word *words; /* ours */
        size_t n_words;
};

/*
 * Borrows from `conf` and `unit` (may be NULL).  `bits`: how many a raw integer
 * has, 0: not known.  0; or -1 with the key that is wrong and a sentence, and
 * nothing to free.
 */
int convert_init(struct convert *c, const struct convert_conf *conf, const char *unit, unsigned bits, const char **key,
                 struct err *e);
void convert_fini(struct convert *c);

/* convert_init for a schema's check(): whether it would work. 0 or -1. */
int convert_check(const struct convert_conf *conf, const char *unit, const char **key, struct err *e);

int convert_any(const struct convert *c, struct reading *r, char room[CONVERT_ROOM]);

/*
 * In place; readings without a value and raw ones stay.  0; or CONVERT_E_UNFIT:
 * it is bad/sensor now, because it is not what was meant (a text where a number
 * was meant, a number where true or false was): the driver names what came
 * (driver_refuse).  `room` is where the text of a number is written; it, the
 * configuration and what was borrowed before are what *r borrows from.
 */
static inline int convert_apply(const struct convert *c, struct reading *r, char room[CONVERT_ROOM])
{
        return c->plain ? 0 : convert_any(c, r, room);
}

/* A number as people and displays write one, all of it. False: it is none. */
bool convert_number(const char *s, size_t len, int decimal, double *f64, int64_t *i64, bool *is_i64);

#endif
