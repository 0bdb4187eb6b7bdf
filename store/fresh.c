/*
 * fresh: the rows of the last commit, once more from memory.
 *
 * Where readings go out as they come, each is read back from the file a moment
 * after it was written: a work off the loop and a walk through SQLite for what
 * still lies in the batch.  It lies there until the next commit begins, and
 * until then a reader of the file would find the same: what a commit drops,
 * moves in time or gives another tag, it does to the file when it runs, and the
 * batch is gone by then.  After a crash the row is read from the file and must
 * become the same record, so a commit with a row that does not read back as it
 * was put (NaN, minus zero, an impossible time) is read from the file, and so
 * is one that dropped something.
 *
 * Only for who wants rows, not for who looks whether the file has them.
 */
#include <math.h>
#include <string.h>

#include "store/impl.h"

/* Rows of a fetch, from wherever, keep their text in its buffer. */
bool spool_keep_text(struct spool_fetch *f, struct reading *r, size_t *used)
{
        if (r->type != READING_TEXT && r->type != READING_RAW)
                return true;
        if (f->text_cap - *used < r->len) {
                if (f->n_rows)
                        return false;
                f->text = mem_grow(f->text, r->len, 1);
                f->text_cap = r->len;
        }
        if (r->len)
                memcpy(f->text + *used, r->v.text, r->len);
        r->v.text = f->text + *used;
        *used += r->len;
        return true;
}

static bool is_time(int64_t us)
{
        return us >= 0 && us < SPOOL_TIME_MAX / 2;
}

static bool reads_back(const struct reading *r)
{
        if (!is_time(r->ts_us) || !is_time(r->arrival_us) || r->flags & READING_AGGREGATE)
                return false;
        return r->type != READING_F64 || (isfinite(r->v.f64) && !(r->v.f64 == 0 && signbit(r->v.f64)));
}

/* The commit of `b` is on disk; nobody was told yet. */
void spool_keep_fresh(struct spool *s, const struct spool_batch *b)
{
        s->n_fresh = s->result.drops.n || s->result.gone || b->purge_upto ? 0 : b->n_rows;
        s->fresh_after = s->lanes[SPOOL_SAMPLES].last;
        for (size_t i = 0; i < s->n_fresh; i++)
                if (!reads_back(&b->rows[i].r))
                        s->n_fresh = 0;
}

bool spool_take_fresh(const struct spool *s, struct spool_fetch *f)
{
        const struct spool_row *row = s->committing->rows, *end = row + s->n_fresh;
        size_t used = 0;

        if (!s->n_fresh || f->lane != SPOOL_SAMPLES || f->after_seq < s->fresh_after)
                return false;
        f->n_rows = 0;
        f->failed = false;
        while (row < end && row->seq <= f->after_seq)
                row++;
        for (; row < end && f->n_rows < f->most_rows; row++) {
                struct spool_row *to = &f->rows[f->n_rows];

                to->seq = row->seq;
                to->r = row->r;
                if (!spool_keep_text(f, &to->r, &used))
                        break;
                f->n_rows++;
        }
        return f->n_rows > 0;
}
