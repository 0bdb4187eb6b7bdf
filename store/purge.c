/*
 * purge: the loop's side of what an operator has taken away: the wish goes into
 * the batch, writer/purge.c carries it out.  Bounded: no more dead letters at a
 * time than FORGET_MAX.
 */
#include "agent/base/err.h"
#include "store/impl.h"

enum { FORGET_MAX = 2000 };

void spool_purge(struct spool *s, uint64_t upto)
{
        struct spool_batch *b = s->gather;

        b->purge_upto = upto > b->purge_upto ? upto : b->purge_upto;
        spool_hurry(s, 0);
}

bool spool_is_purging(const struct spool *s)
{
        return s->gather->purge_upto || (s->state != COMMIT_IDLE && s->committing->purge_upto) || s->purging;
}

bool spool_forget_dead(struct spool *s, uint64_t id)
{
        struct spool_batch *b = s->gather;

        if (b->n_forget == FORGET_MAX)
                return false;
        if (!b->forget)
                b->forget = mem_alloc(FORGET_MAX * sizeof(*b->forget));
        b->forget[b->n_forget++] = id;
        spool_arm(s);
        return true;
}
