/*
 * disk: see disk.h.
 *
 * What a cut may leave of a file is chosen by sector: each is as it was after some number of the operations since the
 * last sync; so writes are lost, reordered and torn, but never undone once synced.  Bytes of a torn write may be
 * garbage.  Names (created, renamed, removed) survive up to some point in their order, as on a journalling file system,
 * and only as far as the directory's fsync for sure.  How it fails: by abort, a test tool's way.
 */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include "tests/fault/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FDS_MAX = 4096, NAMES_MAX = 64, NAME_BYTES = 96 };

struct op {
        bool truncates;
        uint64_t at, len; /* truncate: at = the new size */
        unsigned char *bytes;
};

struct file {
        struct file *before; /* all files ever, to free them */
        unsigned char *durable;
        uint64_t n, size; /* durable size; size now */
        struct op *ops;
        size_t n_ops, cap_ops;
};

struct name {
        char text[NAME_BYTES];
        struct file *file;
};

struct names {
        struct name v[NAMES_MAX];
        size_t n;
};

/* from "": made; to "": removed; both: renamed. */
struct name_op {
        char from[NAME_BYTES], to[NAME_BYTES];
        struct file *file;
};

static struct {
        char dir[256];
        size_t dir_len;
        struct names now, durable;
        struct file *files;
        struct name_op *ops;
        size_t n_ops, cap_ops;
        struct {
                struct file *file;
                char name[NAME_BYTES];
                bool inside, is_dir;
        } fd[FDS_MAX];
        uint64_t n_calls, cut_at;
        bool cut;
        enum disk_call cut_in;
        char cut_file[NAME_BYTES];
        struct disk_fault fault;
        uint64_t n_matching, n_failed, n_shrunk;
} disk;

static void *need(void *p)
{
        if (!p)
                abort();
        return p;
}

/* ---- names ---- */

static struct name *find(struct names *names, const char *text)
{
        for (size_t i = 0; i < names->n; i++)
                if (!strcmp(names->v[i].text, text))
                        return &names->v[i];
        return NULL;
}

static void put_name(struct names *names, const char *text, struct file *file)
{
        struct name *at = find(names, text);

        if (!at) {
                if (names->n == NAMES_MAX)
                        abort();
                at = &names->v[names->n++];
                snprintf(at->text, sizeof(at->text), "%s", text);
        }
        at->file = file;
}

static void drop_name(struct names *names, const char *text)
{
        struct name *at = find(names, text);

        if (at)
                *at = names->v[--names->n];
}

static void apply_name(struct names *names, const struct name_op *op)
{
        if (*op->from)
                drop_name(names, op->from);
        if (*op->to)
                put_name(names, op->to, op->file);
}

static void change_name(const char *from, const char *to, struct file *file)
{
        struct name_op *op;

        if (disk.n_ops == disk.cap_ops) {
                disk.cap_ops = disk.cap_ops ? 2 * disk.cap_ops : 16;
                disk.ops = need(realloc(disk.ops, disk.cap_ops * sizeof(*disk.ops)));
        }
        op = &disk.ops[disk.n_ops++];
        snprintf(op->from, sizeof(op->from), "%s", from);
        snprintf(op->to, sizeof(op->to), "%s", to);
        op->file = file;
        apply_name(&disk.now, op);
}

static void sync_names(void)
{
        for (size_t i = 0; i < disk.n_ops; i++)
                apply_name(&disk.durable, &disk.ops[i]);
        disk.n_ops = 0;
}

/* The name inside the watched directory, or NULL. */
static const char *inside(const char *path)
{
        if (!disk.dir_len || strncmp(path, disk.dir, disk.dir_len) != 0 || path[disk.dir_len] != '/')
                return NULL;
        return path + disk.dir_len + 1;
}

static bool ends_in(const char *s, const char *suffix)
{
        size_t n = strlen(s), k = strlen(suffix);

        return n >= k && !strcmp(s + n - k, suffix);
}

/* ---- bytes ---- */

static struct file *make_file(void)
{
        struct file *f = need(calloc(1, sizeof(*f)));

        f->before = disk.files;
        return disk.files = f;
}

static void put_op(struct file *f, bool truncates, uint64_t at, const void *bytes, uint64_t len)
{
        struct op *op;

        if (f->n_ops == f->cap_ops) {
                f->cap_ops = f->cap_ops ? 2 * f->cap_ops : 64;
                f->ops = need(realloc(f->ops, f->cap_ops * sizeof(*f->ops)));
        }
        op = &f->ops[f->n_ops++];
        *op = (struct op){.truncates = truncates, .at = at, .len = len};
        if (truncates) {
                f->size = at;
                return;
        }
        op->bytes = need(malloc(len));
        memcpy(op->bytes, bytes, len);
        if (at + len > f->size)
                f->size = at + len;
}

static void forget_ops(struct file *f)
{
        for (size_t i = 0; i < f->n_ops; i++)
                free(f->ops[i].bytes);
        f->n_ops = 0;
}

static void resize(struct file *f, uint64_t n)
{
        f->durable = need(realloc(f->durable, n + 1));
        if (n > f->n)
                memset(f->durable + f->n, 0, n - f->n);
        f->n = n;
}

static void sync_file(struct file *f)
{
        for (size_t i = 0; i < f->n_ops; i++) {
                struct op *op = &f->ops[i];

                if (op->truncates || op->at + op->len > f->n)
                        resize(f, op->truncates ? op->at : op->at + op->len);
                if (!op->truncates)
                        memcpy(f->durable + op->at, op->bytes, op->len);
        }
        forget_ops(f);
}

/* ---- calls ---- */

/* True: the call fails (errno is set). */
static bool fails(enum disk_call call, const char *name)
{
        const struct disk_fault *f = &disk.fault;

        if (!(f->calls & call) || (f->suffix && !ends_in(name, f->suffix)))
                return false;
        disk.n_matching++;
        if (disk.n_matching != f->at && !(f->persistent && disk.n_matching > f->at))
                return false;
        disk.n_failed++;
        errno = f->error;
        return true;
}

/* Counts an operation; true while it still counts for what survives. */
static bool power_is_on(enum disk_call call, const char *name)
{
        if (disk.cut)
                return false;
        if (++disk.n_calls != disk.cut_at)
                return true;
        disk.cut = true;
        disk.cut_in = call;
        snprintf(disk.cut_file, sizeof(disk.cut_file), "%s", name);
        return call == DISK_WRITE || call == DISK_TRUNCATE || call == DISK_NAME;
}

static bool watched(int fd)
{
        return fd >= 0 && fd < FDS_MAX && disk.fd[fd].inside;
}

static int do_open(const char *path, int flags, mode_t mode)
{
        const char *name = inside(path);
        bool is_dir = disk.dir_len && !strcmp(path, disk.dir);
        struct name *at;
        int fd;

        if (name && fails(DISK_OPEN, name))
                return -1;
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
        if (fd < 0 || fd >= FDS_MAX)
                return fd;
        disk.fd[fd].inside = false;
        disk.fd[fd].is_dir = is_dir;
        if (!name)
                return fd;
        disk.fd[fd].inside = true;
        snprintf(disk.fd[fd].name, NAME_BYTES, "%s", name);
        disk.fd[fd].file = NULL;
        if (ends_in(name, "-shm") || disk.cut)
                return fd;
        at = find(&disk.now, name);
        if (!at) {
                if (!power_is_on(DISK_NAME, name))
                        return fd;
                change_name("", name, make_file());
                at = find(&disk.now, name);
        } else if ((flags & O_TRUNC) && power_is_on(DISK_TRUNCATE, name)) {
                put_op(at->file, true, 0, NULL, 0);
        }
        disk.fd[fd].file = at->file;
        return fd;
}

static ssize_t do_write(int fd, const void *bytes, size_t n, int64_t at)
{
        ssize_t done;

        if (watched(fd) && fails(DISK_WRITE, disk.fd[fd].name)) {
                if (!disk.fault.short_write || n < 2)
                        return -1;
                n /= 2;
        }
        if (watched(fd) && disk.fd[fd].file && power_is_on(DISK_WRITE, disk.fd[fd].name))
                put_op(disk.fd[fd].file, false, at >= 0 ? (uint64_t)at : (uint64_t)lseek(fd, 0, SEEK_CUR), bytes, n);
        if (at < 0)
                done = syscall(SYS_write, fd, bytes, n);
        else
                done = syscall(SYS_pwrite64, fd, bytes, n, at);
        return done;
}

static int do_truncate(int fd, int64_t size)
{
        if (watched(fd) && fails(DISK_TRUNCATE, disk.fd[fd].name))
                return -1;
        if (watched(fd) && disk.fd[fd].file && power_is_on(DISK_TRUNCATE, disk.fd[fd].name))
                put_op(disk.fd[fd].file, true, (uint64_t)size, NULL, 0);
        if (watched(fd) && ends_in(disk.fd[fd].name, ".db"))
                disk.n_shrunk++;
        return (int)syscall(SYS_ftruncate, fd, size);
}

/* The real files need no sync: the test's power never goes. */
static int do_sync(int fd)
{
        if (fd >= 0 && fd < FDS_MAX && disk.fd[fd].is_dir) {
                if (fails(DISK_SYNC, "/"))
                        return -1;
                if (power_is_on(DISK_SYNC, "/"))
                        sync_names();
                return 0;
        }
        if (!watched(fd))
                return (int)syscall(SYS_fdatasync, fd);
        if (fails(DISK_SYNC, disk.fd[fd].name))
                return -1;
        if (disk.fd[fd].file && power_is_on(DISK_SYNC, disk.fd[fd].name))
                sync_file(disk.fd[fd].file);
        return 0;
}

int open(const char *path, int flags, ...)
{
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return do_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return do_open(path, flags, mode);
}

int close(int fd)
{
        if (fd >= 0 && fd < FDS_MAX)
                disk.fd[fd].inside = disk.fd[fd].is_dir = false;
        return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
        return do_write(fd, bytes, n, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
        return do_write(fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
        return do_write(fd, bytes, n, at);
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t at)
{
        if (watched(fd) && fails(DISK_READ, disk.fd[fd].name))
                return -1;
        return syscall(SYS_pread64, fd, bytes, n, at);
}

int ftruncate64(int fd, off64_t size)
{
        return do_truncate(fd, size);
}

int ftruncate(int fd, off_t size)
{
        return do_truncate(fd, size);
}

int fdatasync(int fd)
{
        return do_sync(fd);
}

int fsync(int fd)
{
        return do_sync(fd);
}

int unlink(const char *path)
{
        const char *name = inside(path);
        struct name *at = name ? find(&disk.now, name) : NULL;

        if (name && fails(DISK_NAME, name))
                return -1;
        if (at && power_is_on(DISK_NAME, name))
                change_name(name, "", NULL);
        return (int)syscall(SYS_unlink, path);
}

int rename(const char *from, const char *to)
{
        const char *a = inside(from), *b = inside(to);
        struct name *at = a ? find(&disk.now, a) : NULL;

        if (a && fails(DISK_NAME, a))
                return -1;
        if (at && b && power_is_on(DISK_NAME, a))
                change_name(a, b, at->file);
        return (int)syscall(SYS_rename, from, to);
}

/* ---- power ---- */

static uint64_t next(uint64_t *seed)
{
        uint64_t z = *seed += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

enum survival { NOTHING, IN_ORDER, BY_SECTOR, EVERYTHING, SURVIVALS };

struct survivor {
        unsigned char *bytes;
        uint64_t n;        /* room */
        uint64_t sector;   /* bytes of one */
        size_t *reached;   /* per sector: how many operations it saw */
        size_t size_after; /* how many operations the size saw */
};

static void plan_survival(const struct file *f, struct survivor *s, uint64_t *seed)
{
        enum survival how = (enum survival)(next(seed) % SURVIVALS);
        size_t n_sectors = s->n / s->sector + 1, prefix = next(seed) % (f->n_ops + 1);

        if (how == NOTHING)
                prefix = 0;
        else if (how == EVERYTHING)
                prefix = f->n_ops;
        for (size_t i = 0; i < n_sectors; i++)
                s->reached[i] = how == BY_SECTOR ? next(seed) % (f->n_ops + 1) : prefix;
        s->size_after = how == BY_SECTOR ? next(seed) % (f->n_ops + 1) : prefix;
}

static void survive_truncate(struct survivor *s, size_t i, uint64_t size)
{
        for (uint64_t at = size; at < s->n;) {
                uint64_t end = (at / s->sector + 1) * s->sector;

                if (end > s->n)
                        end = s->n;
                if (i < s->reached[at / s->sector])
                        memset(s->bytes + at, 0, end - at);
                at = end;
        }
}

/* The first write a sector did not see may have been under way: its bytes up to some point, or garbage. */
static void survive_write(struct survivor *s, size_t i, const struct op *op, uint64_t *seed)
{
        for (uint64_t at = op->at; at < op->at + op->len;) {
                uint64_t end = (at / s->sector + 1) * s->sector, n;

                if (end > op->at + op->len)
                        end = op->at + op->len;
                n = end - at;
                if (i == s->reached[at / s->sector] && next(seed) % 4 == 0) {
                        n = next(seed) % n;
                        if (next(seed) % 2)
                                for (uint64_t k = 0; k < n; k++)
                                        s->bytes[at + k] = (unsigned char)next(seed);
                        else
                                memcpy(s->bytes + at, op->bytes + (at - op->at), n);
                } else if (i < s->reached[at / s->sector]) {
                        memcpy(s->bytes + at, op->bytes + (at - op->at), n);
                }
                at = end;
        }
}

static void survive(struct file *f, uint64_t *seed)
{
        struct survivor s = {.n = f->n, .sector = next(seed) % 2 ? 512 : 4096};
        uint64_t size = f->n;

        for (size_t i = 0; i < f->n_ops; i++) {
                uint64_t end = f->ops[i].truncates ? f->ops[i].at : f->ops[i].at + f->ops[i].len;

                s.n = end > s.n ? end : s.n;
        }
        s.bytes = need(calloc(1, s.n + 1));
        s.reached = need(calloc(s.n / s.sector + 1, sizeof(*s.reached)));
        if (f->n)
                memcpy(s.bytes, f->durable, f->n);
        plan_survival(f, &s, seed);
        for (size_t i = 0; i < f->n_ops; i++) {
                const struct op *op = &f->ops[i];

                if (op->truncates)
                        survive_truncate(&s, i, op->at);
                else
                        survive_write(&s, i, op, seed);
                if (i < s.size_after)
                        size = op->truncates ? op->at : op->at + op->len > size ? op->at + op->len : size;
        }
        free(s.reached);
        free(f->durable);
        f->durable = s.bytes;
        f->n = f->size = size;
        forget_ops(f);
}

static void remove_real_files(void)
{
        DIR *dir = need(opendir(disk.dir));
        struct dirent *d;
        char path[600];

        while ((d = readdir(dir)))
                if (d->d_name[0] != '.') {
                        snprintf(path, sizeof(path), "%s/%s", disk.dir, d->d_name);
                        syscall(SYS_unlink, path);
                }
        closedir(dir);
}

static void write_real_file(const struct name *name)
{
        char path[600];
        ssize_t done;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", disk.dir, name->text);
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_TRUNC | O_WRONLY, 0640);
        done = syscall(SYS_write, fd, name->file->durable, name->file->n);
        if (done != (ssize_t)name->file->n)
                abort();
        syscall(SYS_close, fd);
}

void disk_power_on(uint64_t seed)
{
        size_t n_names = next(&seed) % (disk.n_ops + 1);

        for (size_t i = 0; i < n_names; i++)
                apply_name(&disk.durable, &disk.ops[i]);
        disk.n_ops = 0;
        disk.now = disk.durable;
        remove_real_files();
        for (size_t i = 0; i < disk.now.n; i++) {
                survive(disk.now.v[i].file, &seed);
                write_real_file(&disk.now.v[i]);
        }
        disk.cut = false;
        disk.cut_at = 0;
}

void disk_cut_after(uint64_t n_ops)
{
        disk.n_calls = 0;
        disk.cut_at = n_ops;
}

uint64_t disk_shrunk(void)
{
        return disk.n_shrunk;
}

void disk_cut_now(void)
{
        disk.cut = true;
        disk.cut_in = DISK_SYNC;
        disk.cut_file[0] = '\0';
}

bool disk_is_cut(void)
{
        return disk.cut;
}

enum disk_call disk_cut_in(void)
{
        return disk.cut_in;
}

const char *disk_cut_file(void)
{
        return disk.cut_file;
}

/* ---- begin, end, faults ---- */

static struct file *load(const char *path)
{
        struct file *f = make_file();
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) != 0)
                abort();
        f->n = f->size = (uint64_t)st.st_size;
        f->durable = need(malloc(f->n + 1));
        if (syscall(SYS_read, fd, f->durable, f->n) != (long)f->n)
                abort();
        syscall(SYS_close, fd);
        return f;
}

void disk_begin(const char *dir)
{
        struct dirent *d;
        char path[600];
        DIR *all = need(opendir(dir));

        memset(&disk, 0, sizeof(disk));
        while ((d = readdir(all)))
                if (d->d_name[0] != '.' && !ends_in(d->d_name, "-shm")) {
                        snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
                        put_name(&disk.durable, d->d_name, load(path));
                }
        closedir(all);
        disk.now = disk.durable;
        snprintf(disk.dir, sizeof(disk.dir), "%s", dir);
        disk.dir_len = strlen(dir);
}

void disk_end(void)
{
        struct file *f = disk.files;

        remove_real_files();
        while (f) {
                struct file *before = f->before;

                forget_ops(f);
                free(f->ops);
                free(f->durable);
                free(f);
                f = before;
        }
        free(disk.ops);
        memset(&disk, 0, sizeof(disk));
}

void disk_fail(const struct disk_fault *f)
{
        disk.fault = f ? *f : (struct disk_fault){0};
        disk.n_matching = disk.n_failed = 0;
}

uint64_t disk_failed(void)
{
        return disk.n_failed;
}
