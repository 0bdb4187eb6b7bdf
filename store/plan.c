/*
 * plan: how max_size is shared out, and the names of lanes in the file.  Pure.
 *
 * Both sides of the spool keep to one plan: the loop's batches are no larger
 * than what the writer can make room for.
 */
#include "store/batch.h"

const char *const spool_lane_names[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "samples"};

enum {
        SAVE_ROWS = 100000, /* so many readings are looked through at the next start, */
        SAVE_EACH = 16,     /* or so many of each tag: its row is written each time */
        BESIDE_BYTES = 96 << 10,
        WAL_BESIDE_BYTES = 96 << 10, /* of a transaction: small tables, inner pages, frames' heads */
        WAL_BYTES = 16 << 20,
};

static void plan_batch(struct spool_plan *p, const struct spool_conf *conf)
{
        uint64_t part = conf->max_size_bytes / 32;

        p->batch_rows = (size_t)min_u64((uint64_t)conf->batch_rows, part / 64);
        p->batch_text = (size_t)spool_text_most(conf);
        p->batch_events = (size_t)min_u64(part / 2, 256 << 10);
        p->quarantine_bytes = min_u64(conf->quarantine_bytes, part);
        p->batch_quarantine = (size_t)min_u64(p->quarantine_bytes / 2, 64 << 10);
        p->dead_bytes = part;
}

/* What the largest batch takes there. */
static uint64_t batch_wal_bytes(const struct spool_plan *p)
{
        uint64_t bytes = p->batch_rows * ROW_BYTES + 2 * p->batch_text + p->batch_quarantine;

        return bytes + bytes / 16 + bytes / 32 + 2 * p->batch_events + WAL_BESIDE_BYTES;
}

/*
 * The database gets what the WAL must have: the largest batch, and no less than
 * a 32nd, at most 16 MiB; in a small spool three eighths.  As long as the
 * database has not grown so far the WAL takes more (writer/room.c).  96 KiB are
 * for the -shm file and the two small files beside.
 */
void spool_plan(struct spool_plan *p, const struct spool_conf *conf, uint32_t page_bytes)
{
        uint64_t max = conf->max_size_bytes, part = max * 3 / 8, least;

        p->page_bytes = page_bytes;
        plan_batch(p, conf);
        least = min_u64(max / 32, WAL_BYTES);
        least = least < batch_wal_bytes(p) ? batch_wal_bytes(p) : least;
        p->wal_bytes = min_u64(part, least < 3 << 20 ? 3 << 20 : least);
        p->wal_most = min_u64(part, WAL_BYTES);
        p->wal_most = p->wal_most < p->wal_bytes ? p->wal_bytes : p->wal_most;
        p->checkpoint_bytes = p->wal_most / 4;
        p->all_bytes = max - BESIDE_BYTES;
        p->db_pages = (p->all_bytes - p->wal_bytes) / page_bytes;
        part = p->db_pages * page_bytes;
        p->event_bytes = min_u64(part / 10, 1 << 20);
        p->event_bytes = p->event_bytes < part / 32 ? part / 32 : p->event_bytes;
        p->note_bytes = part / 40;
        p->learned_bytes = part / 80;
        p->save_bytes = part / 16;
}

uint64_t spool_plan_save_rows(const struct spool_plan *p, size_t n_tags)
{
        uint64_t rows = (uint64_t)SAVE_EACH * n_tags;

        return min_u64(p->save_bytes / ROW_BYTES, rows < SAVE_ROWS ? SAVE_ROWS : rows);
}
