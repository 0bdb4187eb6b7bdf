/*
 * file: the text of a file of the configuration.  Blocking.
 */
#ifndef MILLRACE_CONFIG_FILE_H
#define MILLRACE_CONFIG_FILE_H

#include <stddef.h>

/*
 * At most one byte more than `most`, so that the caller can say that it is too
 * large. NULL: errno says why; a folder is EISDIR. To be freed.
 */
char *file_read(const char *path, size_t most, size_t *len);

#endif
