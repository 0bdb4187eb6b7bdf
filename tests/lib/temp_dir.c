/*
 * temp_dir: the folders are kept in a table of this file, not in their struct:
 * a test that failed may have overwritten that, or freed it.  A child that
 * exits removes nothing: the folders are its parent's.
 *
 * Fails by ending the program, see temp_dir.h.
 */
#include "temp_dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIRS_MAX = 64, OPEN_FDS = 16 };

static char made[DIRS_MAX][TEMP_DIR_MAX]; /* "": free */
static pid_t owner;

__attribute__((format(printf, 1, 2))) static _Noreturn void end(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(2);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
        return remove(path);
}

static void remove_tree(const char *path)
{
        if (nftw(path, remove_one, OPEN_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
                fprintf(stderr, "%s: can't be removed: %s\n", path, strerror(errno));
}

static void remove_all(void)
{
        for (int i = 0; i < DIRS_MAX && owner == getpid(); i++)
                if (made[i][0])
                        remove_tree(made[i]);
}

static char *entry_of(const char *path)
{
        for (int i = 0; i < DIRS_MAX; i++)
                if (!strcmp(made[i], path))
                        return made[i];
        end("%s: not one of the %d temporary folders there may be at once", path, DIRS_MAX);
}

void temp_dir_init_in(struct temp_dir *d, const char *parent, const char *name)
{
        if (!owner && atexit(remove_all) != 0)
                end("no room to have folders removed at exit");
        owner = getpid();
        if (snprintf(d->path, sizeof(d->path), "%s/test_%s_XXXXXX", parent, name) >= (int)sizeof(d->path))
                end("%s: too long for the folder of temporary files; allowed: %d bytes with what comes behind it",
                    parent, TEMP_DIR_MAX - 1);
        if (!mkdtemp(d->path))
                end("%s: can't be made: %s", d->path, strerror(errno));
        strcpy(entry_of(""), d->path);
}

void temp_dir_init(struct temp_dir *d, const char *name)
{
        const char *parent = getenv("TMPDIR");

        temp_dir_init_in(d, parent && *parent ? parent : "/tmp", name);
}

void temp_dir_init_in_memory(struct temp_dir *d, const char *name)
{
        if (access("/dev/shm", W_OK) == 0)
                temp_dir_init_in(d, "/dev/shm", name);
        else
                temp_dir_init(d, name);
}

void temp_dir_fini(struct temp_dir *d)
{
        remove_tree(d->path);
        entry_of(d->path)[0] = '\0';
}

char *temp_dir_path(const struct temp_dir *d, const char *name, char path[static TEMP_PATH_MAX])
{
        if (snprintf(path, TEMP_PATH_MAX, "%s/%s", d->path, name) >= TEMP_PATH_MAX)
                end("%s/%s: too long a path", d->path, name);
        return path;
}

char *temp_dir_beside(const char *file, const char *suffix, char path[static TEMP_PATH_MAX])
{
        if (snprintf(path, TEMP_PATH_MAX, "%s%s", file, suffix) >= TEMP_PATH_MAX)
                end("%s%s: too long a path", file, suffix);
        return path;
}

void temp_dir_write(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");

        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                end("%s: can't be written: %s", path, strerror(errno));
}
