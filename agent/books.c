/*
 * books: see books.h.
 *
 * The hour is that of the wall clock, so a clock that is set may bring one more
 * event, or leave one out.  Cannot fail.
 */
#include "agent/books.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/agent.h"

#define HOUR_US (3600 * INT64_C(1000000))

const char *books_members(char out[BOOKS_MEMBERS], const struct agent *a)
{
        struct spool_counts c;

        spool_counts(a->spool, &c);
        snprintf(out, BOOKS_MEMBERS,
                 "\"accepted\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"held\":%" PRIu64 ",\"dropped\":%" PRIu64,
                 c.accepted, c.delivered, c.held, c.dropped);
        return out;
}

void books_look(struct agent *a)
{
        char members[BOOKS_MEMBERS];
        struct rt_time now;
        int64_t hour;

        rt_now(a->rt, &now);
        hour = now.wall_us / HOUR_US;
        if (a->books.hour && hour != a->books.hour && !a->stopping)
                pipeline_event(&a->pipeline, "books", EVENT_NORMAL, SPOOL_NO_TAG, "%s", books_members(members, a));
        a->books.hour = hour;
}
