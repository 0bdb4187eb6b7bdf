/*
 * salvage: what a salvage knows while it goes on.  Private to store/.
 *
 * First the old file's small tables are read (watermarks, ledger, spans, tags),
 * then its rows go into the fresh file.
 */
#ifndef MILLRACE_STORE_RESCUE_SALVAGE_H
#define MILLRACE_STORE_RESCUE_SALVAGE_H

#include <time.h>

#include "agent/base/text.h"
#include "store/rescue/pages.h"
#include "store/writer/db.h"

struct range {
        uint64_t first, last;
};

struct found_span {
        uint64_t first;
        int64_t base_us;
};

/* A reading of any format. */
struct found {
        int64_t ts_us, delay_us, bits;
        uint32_t tag;
        const struct pages_value *value;
};

struct salvage {
        struct spool_rescue *r;
        struct spool_db *db;
        struct pages *pages;
        sqlite3_stmt *put, *put_event, *put_small, *move_aggregate;
        char gateway[TEXT_NAME_MAX + 1];
        bool has_gateway;
        uint64_t acked[SPOOL_LANES];
        int64_t notified_alarms; /* of the journal, to hooks */
        bool has_notified;
        struct range *dropped; /* of the samples lane, ascending */
        size_t n_dropped, cap_dropped;
        struct found_span *spans; /* ascending */
        size_t n_spans, cap_spans;
        struct {
                char *text[5];
                int64_t turn; /* of files that have it: how many tags had this row before */
        } * tags;             /* by id; NULL: not found */
        size_t n_tags, cap_tags;
        size_t n_tags_seen;             /* in readings */
        uint64_t last_seq[SPOOL_LANES]; /* carried over or known lost */
        uint64_t in_transaction;
        uint64_t done_readings, done_events; /* committed */
        struct timespec began, told;
        int rc;
};

/* Of the old file, into `s`: callbacks for pages_each. */
bool salvage_pair(void *ctx, const struct pages_row *row);
bool salvage_dropped(void *ctx, const struct pages_row *row);
bool salvage_tag(void *ctx, const struct pages_row *row);
bool salvage_span(void *ctx, const struct pages_row *row);
void salvage_sort(struct salvage *s);
/* False: not a reading, or nobody knows its time. */
bool salvage_reading(const struct salvage *s, const struct pages_row *row, struct found *out);
/* *last: how far it is as it is at `seq`. */
bool salvage_was_dropped(const struct salvage *s, uint64_t seq, uint64_t *last);
void salvage_bind(sqlite3_stmt *st, int at, const struct pages_value *v);

/*
 * Alarms, their journal, and aggregates, which wait for their readings
 * (salvage_alarm.c).
 */
void salvage_small(struct salvage *s);
void salvage_move_aggregate(struct salvage *s, uint64_t from, uint64_t to);
void salvage_end_aggregates(struct salvage *s);
void salvage_fini(struct salvage *s);

#endif
