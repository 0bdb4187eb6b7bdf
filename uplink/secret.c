/*
 * secret: see secret.h.  Secrets come from files so that they stand neither in
 * the configuration, nor in the process list, nor in a log; a sentence about a
 * fault names the file and the property only.  At most 64 KiB - 1: larger is a
 * mistake.
 */
#include "uplink/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int path_of(const char *where, const char *name, char *path, size_t cap, struct err *e)
{
        const char *dir = getenv("CREDENTIALS_DIRECTORY");
        int n;

        if (!strncmp(where, "file:", 5)) {
                n = snprintf(path, cap, "%s", where + 5);
        } else if (!strncmp(where, "credential:", 11)) {
                if (!dir || !*dir)
                        return err_set(e,
                                       "%s is a systemd credential, but $CREDENTIALS_DIRECTORY is not set "
                                       "(LoadCredential= in the unit)",
                                       name);
                n = snprintf(path, cap, "%s/%s", dir, where + 11);
        } else {
                return err_set(e, "%s: file:/path or credential:NAME is expected", name);
        }
        return n < 0 || (size_t)n >= cap ? err_set(e, "%s: the path of the secret is too long", name) : 0;
}

static int read_file(const char *path, const char *name, char *value, size_t cap, struct err *e)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        size_t n = 0;
        ssize_t r = 1;

        if (fd < 0)
                return err_errno(e, "the secret of %s can't be read from %s", name, path);
        while (n < cap && (r = read(fd, value + n, cap - n)) > 0)
                n += (size_t)r;
        if (r < 0) {
                err_errno(e, "the secret of %s can't be read from %s", name, path);
                close(fd);
                return -1;
        }
        close(fd);
        if (n == cap)
                return err_set(e, "%s is too large for the secret of %s", path, name);
        if (n && value[n - 1] == '\n')
                n--;
        if (n && value[n - 1] == '\r')
                n--;
        value[n] = '\0';
        if (!n)
                return err_set(e, "%s is empty: the secret of %s is expected there", path, name);
        return strlen(value) == n ? 0 : err_set(e, "%s holds a NUL byte: not a secret of %s", path, name);
}

int secret_read(const char *spec, char *name, size_t name_cap, char *value, size_t value_cap, struct err *e)
{
        const char *eq = strchr(spec, '=');
        char path[512];

        if (!eq || (size_t)(eq - spec) >= name_cap)
                return err_set(e, "a secret is written name=file:/path or name=credential:NAME");
        memcpy(name, spec, (size_t)(eq - spec));
        name[eq - spec] = '\0';
        if (path_of(eq + 1, name, path, sizeof(path), e) < 0)
                return -1;
        return read_file(path, name, value, value_cap, e);
}

bool secret_is_here(const char *spec)
{
        const char *eq = strchr(spec, '=');
        char path[512];
        struct err e;

        return eq && path_of(eq + 1, spec, path, sizeof(path), &e) == 0 && access(path, R_OK) == 0;
}
