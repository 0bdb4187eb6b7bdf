/*
 * tags_forget: how tags go.
 *
 * Their rows stay where they are: readings in the spool point at them, and
 * others may have an index yet.  Only the name is free, so a reading of that
 * name makes a tag anew; one that comes by a remembered index brings the old
 * one back.  What is forgotten takes memory until a start that finds nothing
 * pointing at it, so there is a bound, as many as may be there.
 */
#include "agent/base/err.h"
#include "agent/base/tags_impl.h"

static void set_forgotten(struct tags *t, uint32_t tag, bool on)
{
        uint32_t row = tag;

        do {
                struct tag *g = &t->tag[row];

                tags_counted(t, g, -1);
                g->forgotten = on;
                tags_counted(t, g, 1);
                tags_mark_moved(t, row);
                row = g->next_unit;
        } while (row);
}

bool tags_forget(struct tags *t, uint32_t tag)
{
        BUG_ON(!tags_is_tag(t, tag) || t->tag[tag].configured);
        if (t->n_forgotten >= t->most)
                return false;
        tags_hash_out(t, tag);
        set_forgotten(t, tag, true);
        return true;
}

void tags_touch(struct tags *t, uint32_t row)
{
        tags_mark_moved(t, row);
}

uint32_t tags_remember(struct tags *t, uint32_t tag)
{
        const struct tag *g = &t->tag[tag];
        uint32_t now;

        if (!g->forgotten)
                return tag;
        if (tags_find(t, g->source, g->name, g->labels, &now) == 0)
                return now;
        set_forgotten(t, tag, false);
        tags_hash_in(t, tag);
        return tag;
}
