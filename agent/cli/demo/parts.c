/*
 * parts: see parts.h.
 *
 * Every child has PR_SET_PDEATHSIG, so that nothing stays when the demo is
 * killed outright; and a process group of its own, so that Ctrl-C reaches the
 * demo alone, which then ends them in order.  A child's output goes to a file
 * in the temporary directory and is shown only when something went wrong.
 */
#include "agent/cli/demo/parts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/daemon_user.h"

enum { LOG_SHOWN = 2000, LOOK_EVERY_MS = 20 };

static bool is_program(const char *dir, size_t dir_len, const char *program, char path[PART_PATH_MAX])
{
        int n = snprintf(path, PART_PATH_MAX, "%.*s/%s", (int)dir_len, dir, program);

        return dir_len > 0 && n < PART_PATH_MAX && access(path, X_OK) == 0;
}

static bool find_beside(const char *program, char path[PART_PATH_MAX])
{
        char self[PART_PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        while (n > 0 && self[n - 1] != '/')
                n--;
        return n > 1 && is_program(self, (size_t)n - 1, program, path);
}

bool part_find(const char *program, bool beside, char path[PART_PATH_MAX])
{
        static const char *const dirs[] = {"/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"};
        const char *search = getenv("PATH");

        if (beside && find_beside(program, path))
                return true;
        while (search && *search) {
                size_t len = strcspn(search, ":");

                if (is_program(search, len, program, path))
                        return true;
                search += len + (search[len] == ':');
        }
        for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
                if (is_program(dirs[i], strlen(dirs[i]), program, path))
                        return true;
        return false;
}

pid_t part_fork(int death_signal)
{
        pid_t parent = getpid(), pid;

        fflush(NULL);
        pid = fork();
        if (pid != 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, death_signal);
        if (getppid() != parent)
                _exit(1);
        setpgid(0, 0);
        for (int i = 1; i < NSIG; i++)
                signal(i, SIG_DFL);
        return 0;
}

/*
 * Root is not needed to be a broker. mosquitto would leave root by itself, but
 * the kernel forgets the death signal then, and it would stay behind when the
 * demo is killed; so it is left here first, and the signal set again.
 */
static void leave_root(struct part_kind kind)
{
        const struct passwd *user = geteuid() == 0 ? getpwnam(kind.user) : NULL;
        bool left;

        if (!user)
                return;
        if (strcmp(kind.user, DAEMON_USER) == 0)
                left = daemon_user_become(user) == 0;
        else
                left = setgroups(0, NULL) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;
        if (!left)
                _exit(126);
        prctl(PR_SET_PDEATHSIG, kind.death_signal);
}

_Noreturn static void become(const char *log, char *const argv[], struct part_kind kind)
{
        int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        if (kind.user)
                leave_root(kind);
        execv(argv[0], argv);
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
}

int part_start(struct part *p, const char *name, const char *dir, char *const argv[], struct part_kind kind,
               struct err *e)
{
        p->name = name;
        snprintf(p->log, sizeof(p->log), "%s/%s.log", dir, name);
        p->pid = part_fork(kind.death_signal);
        if (p->pid == 0)
                become(p->log, argv, kind);
        if (p->pid > 0)
                return 0;
        p->pid = 0;
        return err_errno(e, "%s can't be started", name);
}

bool part_runs(struct part *p)
{
        if (p->pid && waitpid(p->pid, NULL, WNOHANG) == p->pid)
                p->pid = 0;
        return p->pid != 0;
}

int part_wait(struct part *p, int within_ms)
{
        int status = 0;
        pid_t ended = 0;

        if (!p->pid)
                return -1;
        for (int waited = 0; waited < within_ms && ended == 0; waited += LOOK_EVERY_MS) {
                struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};

                ended = waitpid(p->pid, &status, WNOHANG);
                if (ended == 0)
                        nanosleep(&pause, NULL);
        }
        if (ended == 0) {
                kill(p->pid, SIGKILL);
                waitpid(p->pid, &status, 0);
        }
        p->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int part_stop(struct part *p, int within_ms)
{
        if (p->pid)
                kill(p->pid, SIGTERM);
        return part_wait(p, within_ms);
}

void part_print_log(const struct part *p)
{
        char text[LOG_SHOWN + 1];
        FILE *f = p->log[0] ? fopen(p->log, "re") : NULL;
        size_t n;

        if (!f)
                return;
        if (fseek(f, -LOG_SHOWN, SEEK_END) != 0)
                rewind(f);
        n = fread(text, 1, LOG_SHOWN, f);
        fclose(f);
        if (n > 0)
                fprintf(stderr, "--- the last of %s's log:\n%.*s---\n", p->name, (int)n, text);
}

int part_free_port(void)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = -1;

        if (fd < 0)
                return -1;
        if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0)
                port = ntohs(a.sin_port);
        close(fd);
        return port;
}

int part_write_file(const char *path, const char *text, struct err *e)
{
        FILE *f = fopen(path, "we");

        if (!f)
                return err_errno(e, "%s", path);
        fputs(text, f);
        fchmod(fileno(f), 0644);
        return fclose(f) == 0 ? 0 : err_errno(e, "%s", path);
}

/* The demo's directory is flat: what is in it are files and a socket. */
void part_remove_dir(const char *dir)
{
        DIR *d = opendir(dir);
        struct dirent *entry;

        while (d && (entry = readdir(d)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        unlinkat(dirfd(d), entry->d_name, 0);
        if (d)
                closedir(d);
        rmdir(dir);
}

void part_sleep_ms(int ms)
{
        struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};

        nanosleep(&pause, NULL);
}
