/*
 * file: see file.h.  A pipe or a device in place of a file is refused, not
 * waited for.
 */
#include "agent/config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"

char *file_read(const char *path, size_t most, size_t *len)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        char *text;
        ssize_t n = 1;

        if (fd < 0)
                return NULL;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                close(fd);
                errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
                return NULL;
        }
        text = mem_alloc(most + 1);
        for (*len = 0; n > 0 && *len <= most; *len += n > 0 ? (size_t)n : 0)
                n = read(fd, text + *len, most + 1 - *len);
        close(fd);
        if (n >= 0)
                return text;
        free(text);
        return NULL;
}
