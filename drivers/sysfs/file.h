/*
 * file: finds a file of the kernel and reads it.  Blocks, for as long as the
 * kernel pleases: off the loop thread only; no state of its own.
 */
#ifndef MILLRACE_DRIVERS_SYSFS_FILE_H
#define MILLRACE_DRIVERS_SYSFS_FILE_H

#include "drivers/sysfs/decode.h"

/*
 * What the reading's file below `root` holds, or why that can't be told;
 * out->bytes is set.
 */
void sysfs_file_read(const char *root, const char *file, const char *device, struct sysfs_answer *out);

#endif
