/*
 * bad_disk: LD_PRELOAD for a disk that is slow, or fails, as long as a test wants it to.
 *
 * $BAD_DISK names a file of one line, read at each call, so that the disk falls ill and heals while the daemon runs:
 *   eio|enospc|rofs CALL…    the calls fail with that error
 *   slow MS CALL…            each takes that much longer
 *   hold CALL…               each waits until the line is another
 * CALL is fdatasync, fsync, pwrite64 or ftruncate64, the names SQLite uses; only calls on files below $BAD_DISK_UNDER
 * count. An empty or absent file: a disk as it should be.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void wait_ms(long ms)
{
        struct timespec t = {ms / 1000, ms % 1000 * 1000000};

        nanosleep(&t, NULL);
}

static int is_under(int fd)
{
        const char *under = getenv("BAD_DISK_UNDER");
        char link[64], path[4096];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        return under && n > 0 && !strncmp(path, under, strlen(under));
}

/* The first word; "" when the line says nothing about the call. *ms is what stands behind slow. */
static const char *ask(const char *call, char line[256], long *ms)
{
        const char *rules = getenv("BAD_DISK");
        int fd = rules ? open(rules, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd >= 0 ? read(fd, line, 254) : 0;
        char *at;

        if (fd >= 0)
                close(fd);
        line[n > 0 ? n : 0] = ' ';
        line[(n > 0 ? n : 0) + 1] = '\0';
        line[strcspn(line, "\n")] = ' ';
        at = strstr(line, call);
        if (!at || at == line || at[-1] != ' ' || at[strlen(call)] != ' ')
                return "";
        line[strcspn(line, " ")] = '\0';
        *ms = !strcmp(line, "slow") ? atol(line + 5) : 0;
        return line;
}

/* 0, or the errno to fail with. */
static int suffer(int fd, const char *call)
{
        char line[256];
        const char *word;
        long ms = 0;

        if (!is_under(fd))
                return 0;
        while (!strcmp(word = ask(call, line, &ms), "hold"))
                wait_ms(10);
        wait_ms(ms);
        return !strcmp(word, "eio") ? EIO : !strcmp(word, "enospc") ? ENOSPC : !strcmp(word, "rofs") ? EROFS : 0;
}

#define PASS_ON(name, type, ...)                     \
        static type next;                            \
        int fault = suffer(fd, name);                \
                                                     \
        if (!next)                                   \
                next = (type)dlsym(RTLD_NEXT, name); \
        if (!fault)                                  \
                return next(__VA_ARGS__);            \
        errno = fault;                               \
        return -1

typedef int (*sync_call)(int fd);
typedef ssize_t (*write_call)(int fd, const void *p, size_t n, off64_t at);
typedef int (*truncate_call)(int fd, off64_t length);

int fdatasync(int fd)
{
        PASS_ON("fdatasync", sync_call, fd);
}

int fsync(int fd)
{
        PASS_ON("fsync", sync_call, fd);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
        PASS_ON("pwrite64", write_call, fd, p, n, at);
}

int ftruncate64(int fd, off64_t length)
{
        PASS_ON("ftruncate64", truncate_call, fd, length);
}
