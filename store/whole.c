/*
 * whole: is what a fetch brought all that the file must have there?
 *
 * A damaged page need not be an error to SQLite: rows are missing, or say what
 * no row says.  Whoever went on behind such a gap would take the readings for
 * delivered.  The books know which rows are held, so each fetch is compared
 * with them; that costs nothing while its rows follow one another.
 *
 * While a commit writes, file and books differ for a moment: rows that it cut
 * are gone before the loop has heard of it.  Then the fetch is asked for again
 * behind the commit, a few times; a row above the pin may be missing after all.
 * How it fails: a fetch that is not whole has failed, and the file is damaged.
 */
#include "store/impl.h"

enum { AGAIN_MOST = 4 };

static bool is_reading(const struct spool *s, const struct reading *r)
{
        return r->tag < tags_count(s->tags) && r->quality < N_QUALITIES && r->type <= READING_RAW;
}

static bool is_held_between(const struct lane_account *l, uint64_t after, uint64_t before)
{
        return before > after + 1 && lane_held_below(l, before) > lane_held_below(l, after + 1);
}

static bool is_whole(const struct spool *s, const struct spool_fetch *f)
{
        const struct lane_account *l = &s->lanes[f->lane];
        uint64_t after = f->after_seq;

        for (uint32_t i = 0; i < f->n_rows; after = f->rows[i++].seq)
                if (is_held_between(l, after, f->rows[i].seq) ||
                    (f->lane == SPOOL_SAMPLES && !is_reading(s, &f->rows[i].r)))
                        return false;
        return f->n_rows || !is_held_between(l, after, l->last + 1);
}

enum spool_whole spool_fetch_is_whole(const struct spool *s, struct spool_fetch *f)
{
        bool settled = f->is_alone && f->n_launched == s->n_launched;

        if (is_whole(s, f)) {
                f->n_again = 0;
                return SPOOL_WHOLE;
        }
        if (settled)
                return SPOOL_NOT_WHOLE;
        if (f->n_again++ < AGAIN_MOST)
                return SPOOL_ASK_AGAIN;
        f->n_again = 0;
        return SPOOL_WHOLE;
}
