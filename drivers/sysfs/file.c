/*
 * file: see file.h.
 *
 * The numbers of hwmon, IIO and thermal zones change from one start of the
 * machine to the next, so a file may be a pattern, and the device be told by
 * what the kernel wrote beside it: `name` (hwmon, IIO) or `type` (thermal
 * zones).  It is looked up at each reading: what is plugged in later is found,
 * and costs no more than the reading itself.
 *
 * Only a plain file is opened: to open a device is to do something to it, and a
 * FIFO would wait for its writer.  A link that leads out of the root is
 * refused.
 *
 * Fails: into the answer.
 */
#include "drivers/sysfs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void unfit(struct sysfs_answer *out, const char *why)
{
        out->unfit = why;
}

static void read_all(int fd, struct sysfs_answer *out)
{
        while (out->len <= SYSFS_FILE_MAX) {
                ssize_t n = read(fd, out->bytes + out->len, SYSFS_FILE_MAX + 1 - out->len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        out->error = errno;
                if (n <= 0)
                        return;
                out->len += (size_t)n;
        }
}

static bool is_in(const char *path, const char *root)
{
        size_t len = strlen(root);

        return strncmp(path, root, len) == 0 && (path[len] == '/' || (len && root[len - 1] == '/'));
}

/* `root` is resolved. */
static void read_file(const char *root, const char *path, struct sysfs_answer *out)
{
        char real[PATH_MAX];
        struct stat st;
        int fd;

        if (!realpath(path, real) || stat(real, &st) < 0) {
                out->error = errno;
                return;
        }
        if (!is_in(real, root)) {
                unfit(out, "a link leads out of the root");
                return;
        }
        if (!S_ISREG(st.st_mode)) {
                unfit(out, S_ISDIR(st.st_mode) ? "a folder, not a file" : "not a plain file");
                return;
        }
        fd = open(real, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                out->error = errno;
                return;
        }
        read_all(fd, out);
        close(fd);
}

/* Does the file `beside` in the folder of `path` hold just that? */
static bool says(const char *root, const char *path, const char *beside, const char *device)
{
        const char *slash = strrchr(path, '/');
        char name[2 * SYSFS_PATH_MAX];
        char text[SYSFS_FILE_MAX + 1];
        struct sysfs_answer a = {.bytes = text};
        int n = snprintf(name, sizeof(name), "%.*s/%s", (int)(slash - path), path, beside);

        if (n < 0 || (size_t)n >= sizeof(name))
                return false;
        read_file(root, name, &a);
        while (a.len && (a.bytes[a.len - 1] == '\n' || a.bytes[a.len - 1] == ' '))
                a.len--;
        return !a.error && !a.unfit && a.len == strlen(device) && memcmp(a.bytes, device, a.len) == 0;
}

static bool is_of(const char *root, const char *path, const char *device)
{
        return !device || says(root, path, "name", device) || says(root, path, "type", device);
}

static void read_match(const char *root, const char *pattern, const char *device, struct sysfs_answer *out)
{
        const char *path = NULL;
        glob_t found;
        size_t n = 0;

        if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0) {
                out->error = ENOENT;
                return;
        }
        for (size_t i = 0; i < found.gl_pathc; i++) {
                if (!is_of(root, found.gl_pathv[i], device))
                        continue;
                path = found.gl_pathv[i];
                n++;
        }
        if (n > 1)
                unfit(out, "more than one file fits the pattern; see `device`");
        else if (n == 1)
                read_file(root, path, out);
        else
                out->error = ENOENT;
        globfree(&found);
}

void sysfs_file_read(const char *root, const char *file, const char *device, struct sysfs_answer *out)
{
        char real[PATH_MAX], path[2 * SYSFS_PATH_MAX];

        out->error = 0;
        out->unfit = NULL;
        out->len = 0;
        if (!realpath(root, real)) {
                out->error = errno;
                return;
        }
        snprintf(path, sizeof(path), "%s/%s", root, file);
        if (sysfs_is_pattern(file))
                read_match(real, path, device, out);
        else if (is_of(real, path, device))
                read_file(real, path, out);
        else
                out->error = ENOENT;
}
