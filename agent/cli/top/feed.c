/*
 * feed: see feed.h.
 *
 * Reads as `spool tail -f` does, read-only and in short steps.  A look takes at
 * most LOOK_ROWS of the newest rows: where more come in a second, `top` shows
 * the last of them, and what is between is left out of the curves.  A spool
 * that was replaced is opened anew.
 */
#include "agent/cli/top/feed.h"

#include <sys/stat.h>

enum { LOOK_ROWS = 20000, LOOK_EVENTS = SEEN_EVENTS_MAX };

struct look {
        struct feed *feed;
        int64_t now_us;
        struct seen *seen;
};

static bool on_reading(void *ctx, const struct spool_query_row *row)
{
        struct look *l = ctx;

        l->feed->last_seq[SPOOL_SAMPLES] = row->seq;
        seen_reading(l->seen, row, l->now_us);
        return true;
}

static bool on_event(void *ctx, const struct spool_query_row *row)
{
        struct look *l = ctx;

        l->feed->last_seq[SPOOL_EVENTS] = row->seq;
        seen_event(l->seen, row);
        return true;
}

void feed_close(struct feed *f)
{
        if (f->q)
                spool_query_close(f->q);
        f->q = NULL;
}

static int look_at_file(struct feed *f, struct seen *seen, struct err *e)
{
        struct stat st;
        ino_t inode = stat(f->path, &st) == 0 ? st.st_ino : 0;

        if (f->q && inode == f->inode)
                return 0;
        if (f->q)
                seen_forget(seen);
        feed_close(f);
        f->inode = inode;
        f->last_seq[SPOOL_SAMPLES] = f->last_seq[SPOOL_EVENTS] = 0;
        if (spool_query_open(&f->q, f->path, e) == 0)
                return 0;
        f->q = NULL;
        return -1;
}

/* From where on: behind the last one seen, and not more than `most`. */
static uint64_t first_of(uint64_t seen, uint64_t newest, uint64_t most)
{
        return newest > most && newest - most > seen ? newest - most + 1 : seen + 1;
}

int feed_look(struct feed *f, struct seen *seen, int64_t now_us, struct err *e)
{
        struct look l = {.feed = f, .seen = seen, .now_us = now_us};
        struct spool_filter readings = {.lane = SPOOL_SAMPLES}, events = {.lane = SPOOL_EVENTS};
        struct spool_counts counts;

        if (look_at_file(f, seen, e) < 0 || spool_query_counts(f->q, &counts, e) < 0)
                return -1;
        readings.first_seq = first_of(f->last_seq[SPOOL_SAMPLES], counts.last_seq[SPOOL_SAMPLES], LOOK_ROWS);
        events.first_seq = first_of(f->last_seq[SPOOL_EVENTS], counts.last_seq[SPOOL_EVENTS], LOOK_EVENTS);
        if (spool_query_rows(f->q, &readings, on_reading, &l, e) < 0)
                return -1;
        return spool_query_rows(f->q, &events, on_event, &l, e);
}
