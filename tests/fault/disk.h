/*
 * disk: a disk that can lose power and fail calls, under everything that works in one directory.
 *
 * The program's own definitions of open, write, pwrite, pread, ftruncate, fsync, fdatasync, rename, unlink and close
 * stand before libc's, for SQLite as for us.  They do what they say on the real files, and keep beside it what a power
 * cut would leave: per file the synced bytes and the operations since, per directory the synced names and the changes
 * since.
 *
 * A cut falls at the n-th operation; what is done after it touches only the real files, which disk_power_on() then
 * replaces. One thread.  -shm files are not durable and not recorded.
 */
#ifndef MILLRACE_TESTS_FAULT_DISK_H
#define MILLRACE_TESTS_FAULT_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_call {
        DISK_OPEN = 1,
        DISK_READ = 2,
        DISK_WRITE = 4,
        DISK_TRUNCATE = 8,
        DISK_SYNC = 16,
        DISK_NAME = 32, /* rename, unlink */
};

/* Watches `dir`, which is empty or all of it durable. */
void disk_begin(const char *dir);
void disk_end(void);

/* ---- power ---- */

void disk_cut_after(uint64_t n_ops); /* from now; 0: never */
void disk_cut_now(void);
bool disk_is_cut(void);
enum disk_call disk_cut_in(void);  /* what the cut interrupted */
const char *disk_cut_file(void);   /* and the last part of its name */
void disk_power_on(uint64_t seed); /* the files are now one of the states the cut may have left */

uint64_t disk_shrunk(void); /* how often a database file was cut shorter, since disk_begin() */

/* ---- failing calls ---- */

struct disk_fault {
        unsigned calls;     /* enum disk_call, or-ed */
        uint64_t at;        /* the at-th of them fails, counted from disk_fail() */
        bool persistent;    /* and all behind it */
        int error;          /* errno */
        bool short_write;   /* a failing write writes half first */
        const char *suffix; /* only files that end so; NULL: all */
};
void disk_fail(const struct disk_fault *f); /* NULL: no more */
uint64_t disk_failed(void);                 /* how many calls failed since disk_fail() */

#endif
