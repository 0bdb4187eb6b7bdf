/*
 * intake: one line, and the way of its frames to readings.  Loop thread.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_INTAKE_H
#define MILLRACE_DRIVERS_SERIAL_INTAKE_H

#include "drivers/port.h"
#include "drivers/serial/decode.h"
#include "drivers/serial/frame.h"
#include "drivers/serial/iec_talk.h"

struct serial {
        struct driver *d;
        const struct serial_conf *conf;
        struct serial_framer framer;
        struct iec_talk talk; /* instead of it, with frame iec62056 */
        bool talks;
        struct serial_decoder decoder;
        struct serial_decoded decoded;
        uint32_t tags[SERIAL_READINGS_MAX];
        bool interned;

        struct port port;
        bool up;    /* the host was told so */
        bool heard; /* something came since it was opened */
        int64_t opened_us;
        bool was_brief; /* the connection before was closed as soon as it was open */
        bool asleep;    /* the other side has closed it: opened again with the next question */
        bool asking;    /* once it is open */
        struct rt_timer idle, answer, patience;
        size_t n_held;  /* decoded.r that there is no room for yet; nothing is read meanwhile */
        bool impatient; /* until the agent goes on */
        uint8_t poll[SERIAL_POLL_MAX];
        size_t n_poll;
        enum quality told;               /* what the tags were told last, good: they have values */
        struct driver_examples examples; /* of broken frames */
};

/* After the spool has loaded its tags, which is before the first start. */
void intake_intern(struct serial *s);

/* All at once, and only when it is news. */
void intake_tell_bad(struct serial *s, enum quality quality);

/*
 * The first n of decoded.r; those there is no room for are held, and nothing is
 * read meanwhile.
 */
void intake_hand_over(struct serial *s, size_t n);

void intake_frame(struct serial *s, const struct serial_frame *f);
void intake_all(struct serial *s, enum serial_found (*next)(struct serial_framer *f, struct serial_frame *out));

#endif
