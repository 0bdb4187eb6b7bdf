/*
 * purge: the loop's side of what an operator has taken away: the wish goes into
 * the batch, writer/purge.c carries it out.  A batch that waits for room takes
 * along what was wished since, as it does with acks: that makes the room.
 * Bounded: no more dead letters at a time than FORGET_MAX.
 */
#include "agent/base/err.h"
#include "store/impl.h"

enum { FORGET_MAX = 2000 };

void spool_purge(struct spool *s, uint64_t upto)
{
        struct spool_batch *b = s->gather;

        b->purge_upto = upto > b->purge_upto ? upto : b->purge_upto;
        spool_hurry(s, 0);
        spool_want_room(s, 0);
}

static uint64_t *room_to_forget(struct spool_batch *b)
{
        if (!b->forget)
                b->forget = mem_alloc(FORGET_MAX * sizeof(*b->forget));
        return b->n_forget < FORGET_MAX ? &b->forget[b->n_forget++] : NULL;
}

void spool_take_purge(struct spool *s, struct spool_batch *b)
{
        struct spool_batch *from = s->gather;
        uint64_t *to;

        b->purge_upto = from->purge_upto > b->purge_upto ? from->purge_upto : b->purge_upto;
        from->purge_upto = 0;
        while (from->n_forget && (to = room_to_forget(b)))
                *to = from->forget[--from->n_forget];
}

bool spool_is_purging(const struct spool *s)
{
        return s->gather->purge_upto || (s->state != COMMIT_IDLE && s->committing->purge_upto) || s->purging;
}

bool spool_forget_dead(struct spool *s, uint64_t id)
{
        uint64_t *to = room_to_forget(s->gather);

        if (!to)
                return false;
        *to = id;
        spool_arm(s);
        return true;
}
