/*
 * batch: what one commit writes, and the plan of sizes it keeps to.  Filled on
 * the loop, read by the writer while a commit runs.  Private to store/.
 */
#ifndef MILLRACE_STORE_BATCH_H
#define MILLRACE_STORE_BATCH_H

#include "agent/base/backoff.h"
#include "store/lane.h"
#include "store/spool.h"

enum {
        PAGE_BYTES = 1024, /* of a new file; those that are older have 4096 (plan) */
        ROW_BYTES = SPOOL_READING_BYTES,
        KEEP_ROWS = 65535, /* the newest seqs stay after delivery, for spool_recent: as many as MQTT has packet ids */
        FILE_VERSION = 10, /* user_version */
        FILE_ID = 0x4d4c5231, /* application_id, "MLR1" */
        FLAG_BOOL = 0x4000,   /* in the file's flags: the integer is a boolean */
        REASON_MAX = SPOOL_REASON_MAX,
        EVENT_BODY_MAX = 4096,
        QUARANTINE_SHARES = 8,
        VACUUM_PAGES = 512, /* given back to the file system per commit */
        BATCH_PAGES = 8,    /* that a batch of a single row takes, too */
        SPARE_PAGES = 24,   /* of the database, for small tables and inner pages */
};

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

extern const char *const spool_lane_names[SPOOL_LANES];

/* Derived from max_size once; see spool_plan for how. */
struct spool_plan {
        uint32_t page_bytes;                /* of the file */
        uint64_t all_bytes;                 /* database and WAL together never larger */
        uint64_t wal_bytes;                 /* that the WAL always has */
        uint64_t wal_most;                  /* WAL never larger, and only while the database leaves so much */
        uint64_t checkpoint_bytes;          /* checkpoint when it is larger, then */
        uint64_t db_pages;                  /* database never larger */
        uint64_t event_bytes;               /* of these for events */
        uint64_t note_bytes, learned_bytes; /* for the alarms' journal, and for what rules have learned */
        size_t batch_rows, batch_text, batch_events, batch_quarantine;
        uint64_t quarantine_bytes, dead_bytes;
        uint64_t save_bytes; /* tag times are saved after so many */
};
void spool_plan(struct spool_plan *p, const struct spool_conf *conf, uint32_t page_bytes);
/* And after so many readings. */
uint64_t spool_plan_save_rows(const struct spool_plan *p, size_t n_tags);

/*
 * Bytes a reading will take in the file, rather too much: what is left of a page
 * that the next row does not fit, and pages that can't be shared, included.
 */
static inline uint64_t spool_row_cost(size_t text_len, uint32_t page_bytes)
{
        if (text_len < page_bytes / 10)
                return ROW_BYTES + text_len + text_len / 8;
        if (text_len < page_bytes / 4)
                return ROW_BYTES + text_len + text_len / 3;
        return ROW_BYTES + text_len + (text_len < page_bytes ? text_len : text_len / 2);
}

/* ---- a batch: what one commit writes ---- */

struct spool_drop {
        enum spool_lane lane;
        uint64_t first, last;
        char reason[REASON_MAX];
};

struct spool_drops {
        struct spool_drop *v;
        size_t n, cap;
};
/* Joins what is adjacent and has the same reason. */
void spool_drops_add(struct spool_drops *d, enum spool_lane lane, uint64_t first, uint64_t last, const char *reason);

struct spool_bytes {
        char *p;
        size_t n, cap;
};

struct spool_event_item {
        uint64_t seq;
        int64_t ts_us;
        int severity;
        uint32_t tag;
        size_t at, kind_len, len; /* kind, then body, in event_bytes */
};

struct spool_quarantine_item {
        int64_t at_us;
        size_t at, driver_len, origin_len, reason_len, len; /* in quarantine_bytes */
};

struct spool_dead_item {
        enum spool_lane lane;
        uint64_t seq;
        char reason[200];
};

struct spool_alarm_item {
        struct spool_alarm alarm;
        uint64_t order;
};

struct spool_repair {
        int64_t step_us, now_us;    /* now by the clock after the step */
        uint64_t after, upto, sure; /* seqs of rows in the file */
};
enum { REPAIRS_MAX = 4 };
bool spool_repair_applies(const struct spool_repair *r, uint64_t seq, const struct reading *reading);

/* A row that is not as the file has it: forgotten, or another tag's. */
struct spool_tag_move {
        uint32_t row;
        struct tag tag;
};

struct spool_tag_save {
        uint32_t id;
        int64_t last_ts_us;
};

/* The row of `cursor` that is no watermark (seal.c). */
#define SPOOL_SEAL_ROW "seal"
struct spool_seal {
        size_t n;
        unsigned char bytes[SPOOL_SEAL_MAX];
};

struct spool_batch {
        uint64_t no;
        struct spool_row *rows; /* text points into `text` */
        char *text;
        size_t n_rows, text_used;
        size_t cap_rows, cap_text;
        uint64_t cost_bytes; /* of the rows */
        uint32_t page_bytes;
        struct spool_event_item *events;
        size_t n_events, cap_events;
        struct spool_quarantine_item *quarantine;
        size_t n_quarantine, cap_quarantine;
        struct spool_bytes event_bytes, quarantine_bytes;
        size_t quarantine_of[QUARANTINE_SHARES]; /* bytes, by the hash of the driver's name */
        struct spool_drops refused;
        struct spool_dead_item *dead;
        size_t n_dead, cap_dead;
        struct spool_repair repairs[REPAIRS_MAX];
        size_t n_repairs;
        uint64_t purge_upto; /* 0: nothing */
        uint64_t *forget;    /* dead letters */
        size_t n_forget;
        struct spool_alarm_item *alarms;
        size_t n_alarms, cap_alarms;
        uint64_t alarm_order;
        struct spool_alarm_note *notes; /* by: NULL, or ours with the comment behind it */
        size_t n_notes, cap_notes;
        bool notified;   /* notifiers are done with all notes up to here */
        bool tags_moved; /* `moves` will not be empty */
        struct spool_baseline *baselines;
        size_t n_baselines, cap_baselines;

        /* Set when the commit starts. */
        uint64_t last[SPOOL_LANES], acked[SPOOL_LANES];
        struct lane_ahead ahead; /* of the readings */
        struct spool_seal seal;
        struct tag *new_tags;
        size_t n_new_tags, cap_new_tags;
        uint32_t first_new_tag;
        struct spool_tag_move *moves;
        size_t n_moves, cap_moves;
        struct spool_tag_save *saves;
        size_t n_saves, cap_saves;
        bool save; /* tag times are complete up to last[SPOOL_SAMPLES] */
        int64_t wall_us;
};

void spool_batch_init(struct spool_batch *b, const struct spool_plan *plan);
/* Memory for what is planned; of an empty one. */
void spool_batch_fit(struct spool_batch *b, const struct spool_plan *plan);
void spool_batch_clear(struct spool_batch *b);
void spool_batch_fini(struct spool_batch *b);
bool spool_batch_empty(const struct spool_batch *b);
/*
 * What it takes in the file but for its events, with `n_new_tags`; rather too
 * much.
 */
uint64_t spool_batch_bytes(const struct spool_batch *b, size_t n_new_tags);
void spool_batch_put(struct spool_batch *b, uint64_t seq, const struct reading *r, size_t text_len);
/* False: no memory for it (the batch's share of events is used up). */
bool spool_batch_put_event(struct spool_batch *b, const struct spool_plan *plan, uint64_t seq, int64_t ts_us,
                           const char *kind, int severity, uint32_t tag, const char *body, size_t len);
/* False: no room, or the item has its share: an eighth is for others. */
bool spool_batch_put_quarantine(struct spool_batch *b, const struct spool_plan *plan, int64_t at_us, const char *driver,
                                const char *origin, const char *reason, const void *payload, size_t len);
void spool_batch_put_dead(struct spool_batch *b, enum spool_lane lane, uint64_t seq, const char *reason);

/* ---- alarms ---- */

void spool_batch_put_alarm(struct spool_batch *b, const struct spool_alarm *a);
bool spool_batch_put_alarm_note(struct spool_batch *b, const struct spool_alarm_note *n); /* false: no room */
void spool_batch_compact_alarms(struct spool_batch *b);                                   /* the last row of each */
void spool_batch_clear_alarms(struct spool_batch *b);
uint64_t spool_alarm_lines(const struct spool_plan *plan); /* of the journal, at most */

/* ---- what rules have learned ---- */

void spool_batch_clear_baselines(struct spool_batch *b);
bool spool_batch_forget_dead(struct spool_batch *b, uint64_t id);              /* false: no more in this batch */
void spool_batch_take_wishes(struct spool_batch *b, struct spool_batch *from); /* to purge and to forget */
uint64_t spool_baseline_rows(const struct spool_plan *plan);                   /* at most */

#endif
