/*
 * watch: is the spool still at its place while nothing is committed?
 *
 * Asked once a second, off the loop, as a stat may block; what it says is only
 * a reason for a commit, which looks itself (writer/place.c) and fails.  It has
 * a copy of what it needs, so that it may outlive the spool at the end. How it
 * fails: it does not; a disk that does not answer is not asked twice.
 */
#include <stdlib.h>
#include <string.h>

#include "store/impl.h"

struct spool_watch {
        struct rt_work work;
        struct spool *spool; /* NULL: it is closed */
        struct spool_place place;
        char *path;
        bool ours, running;
        struct spool_watch *next; /* of those left behind */
};

/* Their threads may use them as long as the program lives. */
static struct spool_watch *left_behind;

static void run_watch(struct rt_work *w)
{
        struct spool_watch *watch = list_entry(w, struct spool_watch, work);

        watch->ours = spool_place_is_ours(&watch->place, watch->path);
}

static void on_watched(struct rt_work *w)
{
        struct spool_watch *watch = list_entry(w, struct spool_watch, work);

        watch->running = false;
        if (watch->spool && !watch->ours)
                spool_want_commit(watch->spool);
}

void spool_watch(struct spool *s)
{
        struct spool_watch *w = s->watch;

        if (s->state != COMMIT_IDLE || (w && w->running))
                return;
        if (!w) {
                w = s->watch = mem_alloc(sizeof(*w));
                w->spool = s;
                w->path = mem_strdup(s->conf.path);
                w->work.run = run_watch;
                w->work.on_done = on_watched;
        }
        w->place = s->db.place;
        w->running = true;
        rt_work_start(s->rt, &w->work);
}

void spool_watch_free(struct spool_watch *w)
{
        if (!w)
                return;
        if (w->running) {
                w->spool = NULL;
                w->next = left_behind;
                left_behind = w;
                return;
        }
        free(w->path);
        free(w);
}
