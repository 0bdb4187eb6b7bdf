/*
 * sysfs: sensors that the kernel reads: IIO, hwmon, 1-Wire, thermal zones; each
 * value is a small text in a file of /sys.
 *
 *   conf     table of the section            file   finds a file and reads it; blocks, so off the loop
 *   decode   a text -> a reading; pure       gate   one file at a time, over all items
 *   sysfs    when which file is read, and what is said of it
 */
#ifndef MILLRACE_DRIVERS_SYSFS_SYSFS_H
#define MILLRACE_DRIVERS_SYSFS_SYSFS_H

#include "agent/base/convert.h"
#include "drivers/driver.h"

enum { SYSFS_READINGS_MAX = 256, SYSFS_PATH_MAX = 512, SYSFS_DEVICE_MAX = 64, SYSFS_TEXT_MAX = 256 };

enum sysfs_format {
        SYSFS_AUTO, /* w1 where the file is called w1_slave */
        SYSFS_NUMBER,
        SYSFS_W1,
};

struct sysfs_reading_conf {
        struct schema_at at;
        const char *tag, *unit;
        const char *file;   /* below the root; a pattern must fit one file */
        const char *device; /* what `name` or `type` beside the file holds; NULL: not looked at */
        int format;         /* enum sysfs_format */
        struct convert_conf convert;
};

struct sysfs_conf {
        struct schema_at at;
        const char *name, *source, *root;
        int64_t period_us, timeout_us;
        struct schema_list readings; /* struct sysfs_reading_conf */
};

/* Has it a character that stands for others? */
bool sysfs_is_pattern(const char *file);

void sysfs_names(const void *conf, struct driver_names *to);

extern const struct schema sysfs_schema;
extern const struct driver_ops sysfs_ops;

#endif
