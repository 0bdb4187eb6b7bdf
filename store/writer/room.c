/*
 * room: how max_size is shared between the database and its WAL, from commit to
 * commit.
 *
 * The WAL has a share of its own, in which the largest batch fits.  What the
 * database has not grown to yet the WAL may take as well: then it is written
 * back rarely, and a reader that stays long holds nothing up.  As the database
 * grows the WAL gives that back, and where a reader keeps it from that, the
 * database has so much less.  So at no time do the files together pass
 * max_size, and a full spool is all readings but for the WAL's own share and
 * the events'.
 *
 * Before a commit that would push the WAL over what it may take, it starts
 * over, waiting for readers.  What may as well wait for the next commit
 * (trimming, giving pages back) has what this batch leaves.  How it fails: a
 * reader that never ends can keep the WAL from starting over, and then commits
 * fail with that reason rather than break the cap.
 */
#include <errno.h>
#include <stdio.h>

#include "store/writer/stmt.h"

enum {
        TAG_BYTES = 128,
        FEW_FRAMES = 8, /* it has just started over */
};

/* In the WAL, with what may be thinned for it. */
static uint64_t bytes_for(const struct spool_db *db, const struct spool_batch *b)
{
        uint64_t tags = (uint64_t)(b->first_new_tag + b->n_new_tags) * TAG_BYTES / db->plan.page_bytes + 1;
        uint64_t bytes = spool_batch_bytes(b, b->n_new_tags) + 2 * b->event_bytes.n +
                         min_u64(b->n_saves, tags) * db->plan.page_bytes;

        return bytes + bytes / 32 + (db->thin ? spool_thin_wal_bytes(&db->plan) : 0);
}

/* That the database has, or is to have with the batch in it. */
static uint64_t pages_with(struct spool_db *db, const struct spool_batch *b)
{
        uint64_t pages = stmt_pages(db, STMT_PAGES), there = spool_disk_size(db->path, "") / db->plan.page_bytes;
        uint64_t wanted = spool_db_taken_pages(db) + spool_batch_bytes(b, b->n_new_tags) / db->plan.page_bytes;

        pages = pages > there ? pages : there;
        return min_u64(pages > wanted ? pages : wanted, db->plan.db_pages);
}

static void share_out(struct spool_db *db, const struct spool_batch *b, uint64_t wal_size)
{
        const struct spool_plan *p = &db->plan;
        uint64_t taken = wal_size > p->wal_bytes ? min_u64(wal_size, p->wal_most) : p->wal_bytes;

        db->wal_most = min_u64(p->all_bytes - pages_with(db, b) * db->plan.page_bytes, p->wal_most);
        db->pages_most = (p->all_bytes - taken) / p->page_bytes;
}

static bool starts_over(struct spool_db *db, int mode, struct spool_result *res)
{
        int rc;

        errno = 0;
        rc = spool_pair_join(db, mode);
        if (rc == SQLITE_OK)
                return true;
        if (db->overwritten)
                spool_pair_say(db, res);
        else if (rc == SQLITE_BUSY)
                snprintf(res->fault, sizeof(res->fault), "another program has been reading the spool for too long");
        else
                spool_fault_say(db->conn, rc, errno, res->fault, sizeof(res->fault));
        return false;
}

bool spool_room_share(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        uint64_t need = bytes_for(db, b), wal_size = spool_disk_size(db->path, "-wal");

        share_out(db, b, wal_size);
        if (wal_size > db->wal_most) {
                if (!starts_over(db, SQLITE_CHECKPOINT_TRUNCATE, res) && db->overwritten)
                        return false;
                share_out(db, b, spool_disk_size(db->path, "-wal"));
        }
        if (spool_wal_bytes(db) + need > db->wal_most && db->wal_frames > FEW_FRAMES &&
            !starts_over(db, SQLITE_CHECKPOINT_RESTART, res))
                return false;
        need += spool_wal_bytes(db);
        db->wal_left = db->wal_most > need ? db->wal_most - need : 0;
        return true;
}

bool spool_room_wants_checkpoint(const struct spool_db *db)
{
        enum { LOW_SPACE_BYTES = 128 << 10 };

        return spool_wal_bytes(db) >
               (db->low_space ? LOW_SPACE_BYTES : min_u64(db->plan.checkpoint_bytes, db->wal_most / 4));
}
