/*
 * tags: what the table of tags has that the file has not: rows that are
 * forgotten, or another tag's now.  On the loop; the writing is writer/tags.c.
 *
 * The rows a batch takes along are as they are when it is closed, so that a
 * batch holds both a reading and the row that it points at.  A reading of a
 * forgotten tag brings the tag back, whoever had its index.  Cannot fail.
 */
#include "store/impl.h"

/* `b` has the rows that are new; one of these may be forgotten already. */
void spool_snapshot_moves(struct spool *s, struct spool_batch *b)
{
        uint32_t row;

        while (tags_next_moved(s->tags, &row)) {
                const struct tag *t = tags_get(s->tags, row);

                if (row >= b->first_new_tag && !t->forgotten)
                        continue;
                if (b->n_moves == b->cap_moves) {
                        b->cap_moves = b->cap_moves ? 2 * b->cap_moves : 64;
                        b->moves = mem_grow(b->moves, b->cap_moves, sizeof(*b->moves));
                }
                b->moves[b->n_moves++] = (struct spool_tag_move){row, *t};
                if (!t->forgotten)
                        s->saved_ts[row] = t->last_ts_us;
        }
}

/* The tag under which it is kept, and that it is its last one. */
uint32_t spool_note_tag(struct spool *s, uint32_t tag, uint64_t seq)
{
        if (tags_get(s->tags, tag)->forgotten)
                tag = tags_remember(s->tags, tag);
        tags_get(s->tags, tag)->last_seq = seq;
        return tag;
}

/* An event of a forgotten tag: its row is needed for longer. */
void spool_note_event_tag(struct spool *s, uint32_t tag)
{
        if (tag != SPOOL_NO_TAG && tags_get(s->tags, tag)->forgotten)
                tags_touch(s->tags, tag);
}

bool spool_may_hold(const struct spool *s, uint32_t tag)
{
        return tags_get(s->tags, tag)->last_seq > s->lanes[SPOOL_SAMPLES].acked_durable;
}
