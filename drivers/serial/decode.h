/*
 * decode: a frame -> readings.  Pure; loop thread.  Text of what is returned
 * points into the frame or into the result.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_DECODE_H
#define MILLRACE_DRIVERS_SERIAL_DECODE_H

#include "agent/base/text.h"
#include "drivers/serial/match.h"
#include "drivers/serial/serial.h"

struct serial_decoder {
        const struct serial_conf *conf;
        struct convert convert[SERIAL_READINGS_MAX];
        size_t n_convert;
        int decimal;
        struct serial_match *match; /* of lines */
        int group[SERIAL_READINGS_MAX];
        int quality_group;          /* -1: none */
        struct serial_match *loose; /* of lines that do not match, but say that they are bad; or NULL */
        bool has_branches;          /* a value that took no part may be of another kind of line */
        struct serial_match *ignore[SERIAL_IGNORE_MAX]; /* of what nobody wants to know */
        size_t n_ignore;
};

/* Says at the key what is wrong with expression and groups. 0 or -1. */
int serial_decoder_init(struct serial_decoder *d, const struct serial_conf *conf, const char **key, struct err *e);
void serial_decoder_fini(struct serial_decoder *d);

enum { SERIAL_E_MALFORMED = 1 };

/*
 * Of a malformed line or sentence: the configuration says that it is no fault.
 */
bool serial_decoder_ignores(struct serial_decoder *d, const uint8_t *bytes, size_t len);

struct serial_decoded {
        struct reading r[SERIAL_READINGS_MAX];
        uint8_t value[SERIAL_READINGS_MAX]; /* which of the configured readings r[i] is */
        size_t n;
        size_t n_absent;    /* values the frame did not hold */
        const char *reason; /* with SERIAL_E_MALFORMED */
        const char *unfit;  /* tag of a value that is not what was meant, and bad; NULL: none */
        char text[SERIAL_READINGS_MAX][CONVERT_ROOM]; /* enough for TEXT_TIME_MAX */
};

/*
 * 0, also when the frame is of a kind nobody asked for (n is 0 then), or
 * SERIAL_E_MALFORMED. Fills all but `tag`.
 */
int serial_decode(struct serial_decoder *d, const uint8_t *frame, size_t len, int64_t now_us,
                  struct serial_decoded *out);

#endif
