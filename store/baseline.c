/*
 * baseline: the loop's side of what rules have learned, see writer/baseline.c.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "store/impl.h"

/* ---- reading ---- */

static const char *text_of(sqlite3_stmt *st, int column)
{
        const char *s = (const char *)sqlite3_column_text(st, column);

        return s ? s : "";
}

static void read_one(sqlite3_stmt *st, struct spool_baseline *l)
{
        const void *memory = sqlite3_column_blob(st, 6);
        int n = sqlite3_column_bytes(st, 6);

        *l = (struct spool_baseline){.at_us = spool_read_time(st, 0),
                                     .source = text_of(st, 1),
                                     .tag = text_of(st, 2),
                                     .rule = text_of(st, 3),
                                     .limit_kind = text_of(st, 4),
                                     .form = sqlite3_column_int(st, 5)};
        if (!memory || n > SPOOL_BASELINE_MAX)
                return;
        l->n_bytes = (size_t)n;
        memcpy(l->memory, memory, l->n_bytes);
}

int spool_each_baseline(struct spool *s, void (*each)(void *ctx, const struct spool_baseline *l), void *ctx,
                        struct err *e)
{
        static const char sql[] = "SELECT at_us, source, tag, rule, limit_kind, form, memory FROM learned";
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(s->db.conn, sql, -1, &st, NULL);
        struct spool_baseline l;

        while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
                read_one(st, &l);
                each(ctx, &l);
                rc = SQLITE_OK;
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_unreadable(s, rc, sql, "what its rules have learned", e);
}

void spool_put_baseline(struct spool *s, const struct spool_baseline *l)
{
        struct spool_batch *b = s->gather;

        BUG_ON(l->n_bytes > SPOOL_BASELINE_MAX);
        if (b->n_baselines >= spool_baseline_rows(&s->plan))
                return;
        if (b->n_baselines == b->cap_baselines) {
                b->cap_baselines = b->cap_baselines ? 2 * b->cap_baselines : 64;
                b->baselines = mem_grow(b->baselines, b->cap_baselines, sizeof(*b->baselines));
        }
        b->baselines[b->n_baselines] = *l;
        memcpy(b->baselines[b->n_baselines++].memory, l->memory, l->n_bytes);
}
