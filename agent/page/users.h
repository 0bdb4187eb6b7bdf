/*
 * users: the file of those who may log in at the page.  Blocking; any thread
 * but while it is changed.
 *
 * A line for each, name:role:hash; role view or operate, hash as crypt(5) has it
 * (yescrypt).  Written as a whole, beside it first, readable to its owner and
 * group.
 */
#ifndef MILLRACE_PAGE_USERS_H
#define MILLRACE_PAGE_USERS_H

#include <stdbool.h>

#include "agent/base/err.h"

enum { USERS_NAME = 64, USERS_PASSWORD_MIN = 8, USERS_PASSWORD_MAX = 512 };

struct user {
        char name[USERS_NAME + 1];
        bool operate;
        char hash[384];
};

/* 0 and *out; 1: nobody of that name; -1: the file can't be read. */
int users_find(const char *path, const char *name, struct user *out, struct err *e);
/* Takes a while, on purpose; NULL: as long, and false. */
bool users_password_is(const struct user *u, const char *password);

/* For the tool.  password NULL: it stays. 0 or -1. */
int users_set(const char *path, const char *name, bool operate, const char *password, struct err *e);
int users_remove(const char *path, const char *name, struct err *e); /* 1: there is none */
int users_each(const char *path, void (*each)(void *ctx, const struct user *u), void *ctx, struct err *e);

bool users_name_is_right(const char *name); /* letters and digits of ASCII, _ - . @, 1 to 64 */

#endif
