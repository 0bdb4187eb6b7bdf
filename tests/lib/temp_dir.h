/*
 * temp_dir: a folder of a test's own, gone when the test is.
 *
 * It is made under $TMPDIR, or /tmp.  What is still there when the program
 * exits is removed then, so that a test that failed half-way, or in its
 * tear-down, leaves nothing behind either; only what ends by a signal or _exit
 * does, to be looked at.  Programs without cmocka may use it too: what can't be
 * made, or does not fit, ends the program with a sentence and the result 2.
 */
#ifndef MILLRACE_TESTS_TEMP_DIR_H
#define MILLRACE_TESTS_TEMP_DIR_H

/* A folder is that short so that a socket in it has a name that can be bound. */
enum { TEMP_DIR_MAX = 80, TEMP_PATH_MAX = 160 };

struct temp_dir {
        char path[TEMP_DIR_MAX];
};

void temp_dir_init(struct temp_dir *d, const char *name);
void temp_dir_init_in(struct temp_dir *d, const char *parent, const char *name);

/* Where a sync costs nothing; on a disk where there is no such place. */
void temp_dir_init_in_memory(struct temp_dir *d, const char *name);

/* Removes the folder and all in it. */
void temp_dir_fini(struct temp_dir *d);

/* Into `path`, which is returned: `name` in the folder, or beside `file`. */
char *temp_dir_path(const struct temp_dir *d, const char *name, char path[static TEMP_PATH_MAX]);
char *temp_dir_beside(const char *file, const char *suffix, char path[static TEMP_PATH_MAX]);

/* Makes the file, or what is in it, anew. */
void temp_dir_write(const char *path, const char *text);

#endif
