/* books: see books.h.  Fails never. */
#include "agent/cli/past/books.h"

void books_anew(struct books_time *b, int64_t ts_us)
{
        b->from = b->to = (struct books_mark){0};
        b->last_accepted = 0;
        b->anew_us = ts_us > b->from_us && ts_us < b->until_us ? ts_us : 0;
}

void books_take(struct books_time *b, const struct books_mark *m)
{
        if (m->accepted < b->last_accepted)
                books_anew(b, m->ts_us);
        b->last_accepted = m->accepted;
        if (!b->from.ts_us || m->ts_us <= b->from_us) {
                b->from = *m;
                b->to = (struct books_mark){0}; /* of a clock that was set back since */
        } else if (!b->to.ts_us || b->to.ts_us < b->until_us) {
                b->to = *m;
        }
}

bool books_known(const struct books_time *b)
{
        return b->from.ts_us && b->to.ts_us && b->from.ts_us < b->until_us && b->to.ts_us > b->from_us;
}
