/*
 * purge: the loop's side of what an operator has taken away: the wish goes into
 * the batch, writer/purge.c carries it out.  A batch that waits for room takes
 * along what was wished since, as it does with acks: that makes the room.
 * Bounded: a batch forgets so many dead letters.  How it fails: the caller asks
 * again behind a commit.
 */
#include "store/impl.h"

void spool_purge(struct spool *s, uint64_t upto)
{
        struct spool_batch *b = s->gather;

        b->purge_upto = upto > b->purge_upto ? upto : b->purge_upto;
        spool_hurry(s, 0);
        spool_want_room(s, 0);
}

bool spool_is_purging(const struct spool *s)
{
        return s->gather->purge_upto || (s->state != COMMIT_IDLE && s->committing->purge_upto) || s->purging;
}

bool spool_forget_dead(struct spool *s, uint64_t id)
{
        if (!spool_batch_forget_dead(s->gather, id))
                return false;
        spool_arm(s);
        return true;
}
