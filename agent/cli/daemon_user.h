/*
 * daemon_user: what the user that the service runs as may do, whoever asks.
 * Blocking, for the tool only.
 */
#ifndef MILLRACE_CLI_DAEMON_USER_H
#define MILLRACE_CLI_DAEMON_USER_H

#include <pwd.h>
#include <stdbool.h>

#define DAEMON_USER "millrace"

enum daemon_user_way {
        DAEMON_USER_IS_US,   /* or there is none: the daemon is run as whoever asks */
        DAEMON_USER_BECOMES, /* this is root */
        DAEMON_USER_IS_OTHER /* can't be tried from here */
};

enum daemon_user_way daemon_user_way(void);

/*
 * For a child of root: becomes that user, with the groups that its service
 * gives it.  -1: errno.
 */
int daemon_user_become(const struct passwd *user);

/*
 * What fn returns (0 to 255) when that user runs it, in a child where that is
 * not us; -1: it can't be tried.
 */
int daemon_user_run(int (*fn)(void *ctx), void *ctx);

/* 0, or the errno that access() fails with; -1: it can't be tried. */
int daemon_user_access(const char *path, int mode);

#endif
