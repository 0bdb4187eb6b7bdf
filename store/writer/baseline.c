/*
 * baseline: what rules have learned about their tags (mean and spread of `deviation`), so that a restart need not
 * begin anew.
 *
 * It is not worth a commit of its own: it waits for the next one, and what a crash loses is learned again.  The memory is
 * bytes of this machine; `form` says which layout, and who reads it back judges whether it can be believed.  The table
 * keeps the newest rows within a small part of the events' share; of a plant with more than that the rest is learned anew.
 *
 * Fails as the rest of the transaction: db->rc says so, and all of it is tried again.
 */
#include <stdlib.h>
#include <string.h>

#include "store/impl.h"

enum { ROW_BYTES_MOST = 512 };

uint64_t spool_learned_rows(const struct spool_plan *plan)
{
        return plan->event_bytes / 8 / ROW_BYTES_MOST;
}

/* ---- gathering ---- */

void spool_put_learned(struct spool *s, const struct spool_learned *l)
{
        struct spool_batch *b = s->gather;

        BUG_ON(l->n_bytes > SPOOL_LEARNED_MOST);
        if (b->n_learned >= spool_learned_rows(&s->plan))
                return;
        if (b->n_learned == b->cap_learned) {
                b->cap_learned = b->cap_learned ? 2 * b->cap_learned : 64;
                b->learned = mem_grow(b->learned, b->cap_learned, sizeof(*b->learned));
        }
        b->learned[b->n_learned] = *l;
        memcpy(b->learned[b->n_learned++].memory, l->memory, l->n_bytes);
}

/* Once an hour is too rarely to keep room for. */
void spool_batch_clear_learned(struct spool_batch *b)
{
        free(b->learned);
        b->learned = NULL;
        b->n_learned = b->cap_learned = 0;
}

/* ---- writing ---- */

static void write_one(struct spool_db *db, const struct spool_learned *l)
{
        sqlite3_stmt *st = db->stmt[STMT_PUT_LEARNED];
        const char *texts[] = {l->source, l->tag, l->rule, l->limit_kind};
        int rc;

        sqlite3_bind_int64(st, 1, l->at_us);
        for (int i = 0; i < 4; i++)
                sqlite3_bind_text(st, 2 + i, texts[i], -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 6, l->form);
        sqlite3_bind_blob(st, 7, l->memory, (int)l->n_bytes, SQLITE_STATIC);
        rc = sqlite3_step(st);
        sqlite3_reset(st);
        if (rc != SQLITE_DONE)
                db->rc = rc;
}

void spool_db_put_learned(struct spool_db *db, const struct spool_batch *b)
{
        sqlite3_stmt *cut = db->stmt[STMT_CUT_LEARNED];
        int rc;

        for (size_t i = 0; i < b->n_learned && db->rc == SQLITE_OK; i++)
                write_one(db, &b->learned[i]);
        if (!b->n_learned || db->rc != SQLITE_OK)
                return;
        sqlite3_bind_int64(cut, 1, (int64_t)spool_learned_rows(&db->plan));
        rc = sqlite3_step(cut);
        sqlite3_reset(cut);
        if (rc != SQLITE_DONE)
                db->rc = rc;
}

/* ---- reading ---- */

static const char *text_of(sqlite3_stmt *st, int column)
{
        const char *s = (const char *)sqlite3_column_text(st, column);

        return s ? s : "";
}

static void read_one(sqlite3_stmt *st, struct spool_learned *l)
{
        const void *memory = sqlite3_column_blob(st, 6);
        int n = sqlite3_column_bytes(st, 6);

        *l = (struct spool_learned){.at_us = sqlite3_column_int64(st, 0),
                                    .source = text_of(st, 1),
                                    .tag = text_of(st, 2),
                                    .rule = text_of(st, 3),
                                    .limit_kind = text_of(st, 4),
                                    .form = sqlite3_column_int(st, 5)};
        if (!memory || n > SPOOL_LEARNED_MOST)
                return;
        l->n_bytes = (size_t)n;
        memcpy(l->memory, memory, l->n_bytes);
}

int spool_each_learned(struct spool *s, void (*each)(void *ctx, const struct spool_learned *l), void *ctx,
                       struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(
                s->db.conn, "SELECT at_us, source, tag, rule, limit_kind, form, memory FROM learned", -1, &st, NULL);
        struct spool_learned l;

        while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
                read_one(st, &l);
                each(ctx, &l);
                rc = SQLITE_OK;
        }
        sqlite3_finalize(st);
        if (rc == SQLITE_DONE)
                return 0;
        return err_set(e, "spool %s: what its rules have learned cannot be read: %s", s->conf.path,
                       sqlite3_errmsg(s->db.conn));
}
