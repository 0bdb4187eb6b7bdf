/*
 * decode: what a file of the kernel held -> a reading.  Pure; any thread.
 */
#ifndef MILLRACE_DRIVERS_SYSFS_DECODE_H
#define MILLRACE_DRIVERS_SYSFS_DECODE_H

#include "drivers/sysfs/sysfs.h"

enum { SYSFS_FILE_MAX = 4096 }; /* bytes; what is longer is no value */

/* What came of reading one file. */
struct sysfs_answer {
        int error;         /* errno; 0: `bytes` are what it held */
        const char *unfit; /* constant: the configuration does not fit what is there; NULL: it does */
        char *bytes;       /* the caller's, SYSFS_FILE_MAX + 1 of them */
        size_t len;        /* one more than the most when it was longer */
};

enum sysfs_verdict {
        SYSFS_VALUE,   /* good, or uncertain */
        SYSFS_GONE,    /* there is no such file now: bad/not_connected */
        SYSFS_ERROR,   /* bad: the kernel or the sensor says so, or the configuration is wrong */
        SYSFS_GARBAGE, /* bad/sensor: a text that is no value; to be shown to somebody */
};

/*
 * Fills type, quality and value of `r`, whose text lies in `text`, in `convert`
 * or what that borrows from; *why is a constant sentence unless it is a value.
 * `convert` is of c->convert.
 */
enum sysfs_verdict sysfs_decode(const struct sysfs_reading_conf *c, const struct convert *convert,
                                const struct sysfs_answer *a, char text[SYSFS_TEXT_MAX], struct reading *r,
                                const char **why);

#endif
