/*
 * fuzz_marks: any bytes as the two small files beside a spool that say what it
 * had: the sidecar (`<path>.epoch`) and the mark in the lock file.
 *
 * The first byte says how many of the others are the sidecar's. Holds: what is
 * read is within its bounds, or nothing; a new epoch is greater than all that
 * could be read, and one that a file may have; and what is written is read back.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "store/writer/db.h"
#include "tests/fuzz/bytes.h"
#include "tests/lib/temp_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MARK_AT = 32, MARK_MAX = 300 };

#define WALL_US INT64_C(1795428000000000)

static struct temp_dir dir;
static char path[TEMP_PATH_MAX];

static int put(const char *suffix, const struct bytes *b, off_t at)
{
        char name[TEMP_PATH_MAX];
        int fd = open(temp_dir_beside(path, suffix, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        BUG_ON(fd < 0 || pwrite(fd, b->p, b->n, at) != (ssize_t)b->n);
        return fd;
}

static void check_mark(const struct spool_mark *m, bool there)
{
        static const struct spool_mark none;

        if (!there)
                BUG_ON(memcmp(m, &none, sizeof(none)) != 0);
        for (int i = 0; i < SPOOL_LANES; i++)
                BUG_ON(m->last[i] > SPOOL_SEQ_MAX || m->acked[i] > SPOOL_SEQ_MAX);
}

static void check_epoch(struct spool_db *db, const struct spool_mark *m)
{
        uint64_t beside = spool_epoch_beside(db), next = spool_epoch_next(db, WALL_US), unset = spool_epoch_next(db, 0);

        BUG_ON(beside > SPOOL_EPOCH_MAX);
        BUG_ON(next <= beside || unset <= beside || next > SPOOL_EPOCH_MAX || unset > SPOOL_EPOCH_MAX);
        BUG_ON(m->epoch < SPOOL_EPOCH_MAX && (next <= m->epoch || unset <= m->epoch));
}

static void check_written(struct spool_db *db, const struct spool_mark *m)
{
        struct spool_mark mine = *m, again;
        struct err e;

        mine.epoch = m->epoch ? m->epoch : 7;
        mine.last[SPOOL_EVENTS] = 5;
        spool_mark_note(db, &mine);
        BUG_ON(!spool_mark_read(db, &again) || memcmp(&mine, &again, sizeof(mine)) != 0);
        BUG_ON(spool_epoch_write(db, 12, &e) < 0 || spool_epoch_beside(db) != 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes b = {data, size}, part;
        struct spool_db db = {.path = path, .lock_fd = -1, .random = 77};
        size_t n = bytes_take(&b);
        struct spool_mark m;
        bool there;

        if (!path[0]) {
                temp_dir_init_in_memory(&dir, "fuzz_marks");
                temp_dir_path(&dir, "spool.db", path);
        }
        part = bytes_cut(&b, n);
        close(put(".epoch", &part, 0));
        part = bytes_cut(&b, MARK_MAX);
        db.lock_fd = put(".lock", &part, MARK_AT);
        there = spool_mark_read(&db, &m);
        check_mark(&m, there);
        check_epoch(&db, &m);
        check_written(&db, &m);
        close(db.lock_fd);
        return 0;
}
