/*
 * sniff_guess: what bytes of a serial line look like, and how well that speaks
 * for the speed and parity they were taken with.  Pure.
 */
#ifndef MILLRACE_CLI_COMMISSION_SNIFF_GUESS_H
#define MILLRACE_CLI_COMMISSION_SNIFF_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sniff_kind { SNIFF_NOTHING, SNIFF_BINARY, SNIFF_LINES, SNIFF_NMEA, SNIFF_MODBUS_RTU, SNIFF_MODBUS_ASCII };
extern const char *const sniff_kinds[];

/*
 * What the kernel marks (PARMRK): a byte with a wrong parity or no stop bit as
 * FF 00 byte, a byte FF as FF FF.  Takes `n` marked bytes; the state goes on
 * from call to call.
 */
struct sniff_marks {
        unsigned state;
};
/* Writes the bytes to `out`, at most `n`, and counts those in error. */
size_t sniff_unmark(struct sniff_marks *m, const uint8_t *p, size_t n, uint8_t *out, size_t *n_errors);

struct sniff_guess {
        enum sniff_kind kind;
        char parity7; /* 'E' or 'O': seven bits and a parity; 0 */
        int score;    /* 0 to 100; -1: nothing came */
        size_t n_lines;
        const char *line_end; /* "\\r\\n" and the like, for people and for YAML */
};

/* `p` is changed when the eighth bit is a parity: it is taken off. */
struct sniff_guess sniff_judge(uint8_t *p, size_t n, size_t n_errors);

/*
 * A regular expression with a named group for each number of the lines, v1, v2
 * …, into `out`; `comma`: numbers have a decimal comma. How many; 0: they are
 * too different, or hold none.
 */
enum { SNIFF_NUMBERS_MAX = 16, SNIFF_MATCH_ROOM = 1024 };
size_t sniff_match(const uint8_t *p, size_t n, char out[SNIFF_MATCH_ROOM], bool *comma);

/*
 * The next whole line and its length without the end; *at goes behind it. NULL:
 * no more.
 */
const uint8_t *sniff_line(const uint8_t *p, size_t n, size_t *at, size_t *len);
bool sniff_is_nmea(const uint8_t *s, size_t len); /* with a right checksum */

#endif
