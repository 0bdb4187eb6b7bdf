/*
 * daemon_user: see daemon_user.h.
 *
 * Root may read all and learns nothing by it; bits of owner and group leave out
 * access lists and the folders on the way.  So a child becomes that user and
 * does what the daemon will do.  The service adds the group of serial lines;
 * the user need not be in it.
 *
 * Fails: -1, when no child can be made or it can't become that user.
 */
#include "agent/cli/daemon_user.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_GROUPS = 256, NOT_BECOME = 255 };

enum daemon_user_way daemon_user_way(void)
{
        const struct passwd *user = getpwnam(DAEMON_USER);

        if (!user || user->pw_uid == geteuid())
                return DAEMON_USER_IS_US;
        return geteuid() == 0 ? DAEMON_USER_BECOMES : DAEMON_USER_IS_OTHER;
}

int daemon_user_become(const struct passwd *user)
{
        const struct group *lines;
        gid_t groups[MOST_GROUPS + 1];
        uid_t uid = user->pw_uid;
        gid_t gid = user->pw_gid;
        int n = MOST_GROUPS;

        if (getgrouplist(user->pw_name, gid, groups, &n) < 0)
                n = MOST_GROUPS;
        lines = getgrnam("dialout");
        if (lines)
                groups[n++] = lines->gr_gid;
        return setgroups((size_t)n, groups) < 0 || setgid(gid) < 0 || setuid(uid) < 0 ? -1 : 0;
}

int daemon_user_run(int (*fn)(void *ctx), void *ctx)
{
        enum daemon_user_way way = daemon_user_way();
        int status = 0;
        pid_t child;

        if (way != DAEMON_USER_BECOMES)
                return way == DAEMON_USER_IS_US ? fn(ctx) : -1;
        fflush(NULL);
        child = fork();
        if (child == 0) {
                int r = daemon_user_become(getpwnam(DAEMON_USER)) < 0 ? NOT_BECOME : fn(ctx);

                fflush(NULL);
                _exit(r);
        }
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) != NOT_BECOME ? WEXITSTATUS(status) : -1;
}

struct wish {
        const char *path;
        int mode;
};

static int try_access(void *ctx)
{
        const struct wish *w = ctx;

        return access(w->path, w->mode) < 0 ? errno : 0;
}

int daemon_user_access(const char *path, int mode)
{
        return daemon_user_run(try_access, &(struct wish){path, mode});
}
