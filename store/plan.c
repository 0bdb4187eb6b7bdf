/*
 * plan: how max_size is shared out, and the names of lanes in the file.  Pure.
 *
 * Both sides of the spool keep to one plan: the loop's batches are no larger
 * than what the writer can make room for.
 */
#include "store/batch.h"

const char *const spool_lane_names[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "samples"};

enum { SAVE_ROWS = 100000 /* so many readings are looked through at the next start */ };

/*
 * Of max_size three eighths, at most 16 MiB, is the WAL's: room for two whole
 * batches above where it is checkpointed. 96 KiB are for the -shm file and the
 * two small files beside.
 */
void spool_plan(struct spool_plan *p, const struct spool_conf *conf)
{
        uint64_t max = conf->max_size_bytes, part = max / 32;

        p->wal_bytes = max * 3 / 8 < (16u << 20) ? max * 3 / 8 : 16u << 20;
        p->checkpoint_bytes = p->wal_bytes / 4;
        p->db_pages = (max - p->wal_bytes - (96u << 10)) / PAGE_BYTES;
        p->event_bytes = p->db_pages * PAGE_BYTES / 10;
        p->batch_rows = (size_t)conf->batch_rows;
        if (p->batch_rows > part / 64)
                p->batch_rows = (size_t)(part / 64);
        p->batch_text = (size_t)spool_text_most(conf);
        p->batch_events = (size_t)(part / 2 < (256u << 10) ? part / 2 : 256u << 10);
        p->quarantine_bytes = conf->quarantine_bytes < part ? conf->quarantine_bytes : part;
        p->batch_quarantine = (size_t)(p->quarantine_bytes / 2 < (64u << 10) ? p->quarantine_bytes / 2 : 64u << 10);
        p->dead_bytes = part;
        p->save_bytes = p->db_pages * PAGE_BYTES / 16;
        p->save_rows = min_u64(p->save_bytes / ROW_BYTES, SAVE_ROWS);
}
