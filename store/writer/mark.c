/*
 * mark: a seq the file must have, noted beside it, so that a WAL which vanished
 * is told.
 *
 * SQLite opens a database whose WAL was deleted, or an older copy of it,
 * without a word: readings are gone, and their seqs would be given twice.  So
 * the first commit behind each checkpoint notes its last seq in the lock file,
 * a few bytes that need no sync: kill -9 does not lose them, and after a cut of
 * power an older mark, or none, only means that less is told. The mark is never
 * ahead of what is on disk; it is there twice, as a torn write may make a
 * larger number of two.  A file that is behind it is damaged, and a rescue
 * gives it a new epoch. How it fails: what can't be read or written is no mark.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/writer/db.h"

enum { MARK_AT = 32, MARK_BYTES = 84 };

/* Behind a commit: what it brought is in the WAL alone. */
void spool_mark_note(struct spool_db *db, uint64_t seq)
{
        char text[MARK_BYTES + 1];

        if (db->marked)
                return;
        snprintf(text, sizeof(text), "%20" PRIu64 " %20" PRIu64 " %20" PRIu64 " %20" PRIu64 "\n", db->epoch, seq,
                 db->epoch, seq);
        db->marked = pwrite(db->lock_fd, text, strlen(text), MARK_AT) == (ssize_t)strlen(text);
}

/* The seq that was noted for this epoch; 0: none. */
uint64_t spool_mark_of(const struct spool_db *db, uint64_t epoch)
{
        char text[MARK_BYTES + 1] = "";
        uint64_t noted, seq, again[2];

        if (pread(db->lock_fd, text, MARK_BYTES, MARK_AT) <= 0 ||
            sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &noted, &seq, &again[0], &again[1]) != 4 ||
            !strchr(text, '\n') || noted != again[0] || seq != again[1])
                return 0;
        return noted == epoch ? seq : 0;
}

int spool_mark_check(struct spool_db *db, uint64_t last, struct err *e)
{
        uint64_t seq = spool_mark_of(db, db->epoch);

        if (seq <= last)
                return 0;
        db->damaged = true;
        return err_set(e,
                       "spool %s: readings %" PRIu64 " to %" PRIu64
                       " at least are gone: its -wal was removed, or it is an"
                       " older copy",
                       db->path, last + 1, seq);
}
