/*
 * query_impl: what the files of spool_query share.  Private to store/.
 */
#ifndef MILLRACE_STORE_INSPECT_QUERY_IMPL_H
#define MILLRACE_STORE_INSPECT_QUERY_IMPL_H

#include <stdatomic.h>

#include "agent/base/text.h"
#include "store/inspect/query.h"
#include "store/writer/db.h"

enum {
        SLICE_ROWS = 512,
        QUERY_KEY_BYTES = TEXT_NAME_MAX + 32,
        QUERY_DISORDER = -2, /* beside SQLite's codes, which are none below zero */
};

struct spool_query {
        sqlite3 *conn;
        sqlite3_stmt *aggregate; /* NULL: an old file has none */
        char *path;
        char gateway[TEXT_NAME_MAX + 1];
        uint64_t epoch;
        bool live;
        bool has_forgotten;      /* not in an old file */
        uint64_t tags_moved;     /* when rows became other tags' last, as far as we know */
        struct tags *tags;       /* by id */
        const atomic_bool *over; /* NULL: nobody gives up */
};

int query_fail(struct spool_query *q, struct err *e);
sqlite3_stmt *query_prepare(struct spool_query *q, const char *sql, struct err *e); /* NULL: told */
void query_say(struct spool_query *q, int rc, struct err *e);                       /* of a step that failed */
/* Ends the statement; `rc` is what its last step said. */
int query_finish(struct spool_query *q, sqlite3_stmt *st, int rc, struct err *e);
/*
 * The next row; its place must be behind the last one's, or a listing of a
 * damaged file would never end.  By number: of `column` above *edge, which
 * becomes it (or below, `down`).  By text: > 0 behind the key that was copied,
 * which becomes it.
 */
int query_next(sqlite3_stmt *st, int column, bool down, uint64_t *edge);
int query_key_order(const char *const *key, char (*last)[QUERY_KEY_BYTES], int n);
int query_int(struct spool_query *q, const char *sql, uint64_t *out, struct err *e);
const char *query_text(sqlite3_stmt *st, int column);                /* never NULL */
size_t query_keep(struct spool_bytes *b, const void *p, size_t len); /* where it is in `b` */

struct lane_sums {
        uint64_t acked, first, last, dropped, delivered, held, n_ahead; /* n_ahead: of the delivered */
        struct lane_ahead ahead;
};
bool query_is_delivered(const struct lane_sums *l, uint64_t seq);
int query_lane(struct spool_query *q, enum spool_lane lane, struct lane_sums *l, struct err *e);

/* New rows since the last call. */
int query_load_tags(struct spool_query *q, struct err *e);
/* Never NULL: a row whose tag we don't know (yet) has empty names. */
const struct tag *query_tag(const struct spool_query *q, uint32_t tag);
bool query_is_text(const struct reading *r);

struct slice {
        struct spool_row rows[SLICE_ROWS];
        int severity[SLICE_ROWS];
        size_t text_at[SLICE_ROWS], kind_at[SLICE_ROWS];
        int n;
        struct spool_bytes bytes;
        bool end; /* nothing behind it */
};

void slice_put(struct slice *s, sqlite3_stmt *st, enum spool_lane lane);
void slice_show(const struct spool_query *q, enum spool_lane lane, const struct slice *s, int i, bool delivered,
                struct spool_query_row *out);

#endif
