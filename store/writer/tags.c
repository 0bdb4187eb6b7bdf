/*
 * tags: the table of tags in the file: new rows, rows that are forgotten, rows
 * that are another tag's now.
 *
 * A forgotten tag's row stays, with its names, for as long as anything points
 * at it: readings and events in the file, held or delivered, and dead letters.
 * The table `forgotten` has how far both lanes were; the start that finds no
 * reading of before that, and no event of the tag (they stay for long), gives
 * the row away (spool_db_tag_is_free).  A row that is another tag's counts its
 * `turn`, so that a rescue that finds two versions of it knows the later one.
 */
#include <string.h>

#include "store/writer/stmt.h"

static void bind_names(struct spool_db *db, enum spool_stmt which, uint64_t id, const struct tag *t)
{
        stmt_bind(db, which, 1, id);
        stmt_bind_text(db, which, 2, t->source, strlen(t->source));
        stmt_bind_text(db, which, 3, t->name, strlen(t->name));
        stmt_bind_text(db, which, 4, t->unit, strlen(t->unit));
        stmt_bind_text(db, which, 5, t->labels, strlen(t->labels));
        stmt_bind_text(db, which, 6, t->driver, strlen(t->driver));
}

static void forget(struct spool_db *db, const struct spool_batch *b, uint32_t row)
{
        stmt_bind(db, STMT_FORGET_TAG, 1, row);
        stmt_bind(db, STMT_FORGET_TAG, 2, b->last[SPOOL_SAMPLES]);
        stmt_bind(db, STMT_FORGET_TAG, 3, b->last[SPOOL_EVENTS]);
        stmt_run(db, STMT_FORGET_TAG);
}

static void move(struct spool_db *db, const struct spool_tag_move *m)
{
        bind_names(db, STMT_MOVE_TAG, m->row, &m->tag);
        stmt_bind(db, STMT_MOVE_TAG, 7, (uint64_t)m->tag.last_ts_us);
        stmt_run(db, STMT_MOVE_TAG);
        stmt_bind(db, STMT_REMEMBER_TAG, 1, m->row);
        stmt_run(db, STMT_REMEMBER_TAG);
}

void spool_db_put_tags(struct spool_db *db, const struct spool_batch *b)
{
        bool moved = false;

        for (size_t i = 0; i < b->n_new_tags && stmt_fine(db); i++) {
                bind_names(db, STMT_PUT_TAG, b->first_new_tag + i, &b->new_tags[i]);
                stmt_run(db, STMT_PUT_TAG);
        }
        for (size_t i = 0; i < b->n_moves && stmt_fine(db); i++) {
                if (b->moves[i].tag.forgotten)
                        forget(db, b, b->moves[i].row);
                else
                        move(db, &b->moves[i]);
                moved |= !b->moves[i].tag.forgotten;
        }
        if (!moved)
                return;
        stmt_bind_text(db, STMT_PUT_META, 1, "tags_moved", 10);
        stmt_bind(db, STMT_PUT_META, 2, (uint64_t)b->wall_us);
        stmt_run(db, STMT_PUT_META);
}

/* Of a row of SPOOL_FORGOTTEN_COLUMNS. */
bool spool_db_tag_is_free(const struct spool_db *db, sqlite3_stmt *st, int at)
{
        uint64_t first = db->v.first[SPOOL_SAMPLES], seq = (uint64_t)sqlite3_column_int64(st, at);

        return (!first || seq < first) && !sqlite3_column_int(st, at + 1);
}
