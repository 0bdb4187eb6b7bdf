/*
 * spool_stream: `spool tail` and `spool export`, the listings without an end.
 *
 * Rows are printed as the query hands them over, slice by slice, so memory
 * stays bounded and no read transaction outlives a slice.  Following is asking
 * again, twice a second, for what comes behind the last seq seen: a
 * notification by the daemon would not work without the daemon.  When the spool
 * was replaced (a new epoch), tail goes on with the new one.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/cli/open.h"
#include "agent/cli/progress.h"
#include "agent/cli/reading_view.h"

enum { FOLLOW_EVERY_MS = 500 };

struct stream {
        struct view view;
        uint64_t last_seq;
        struct progress progress; /* of an export */
        uint64_t first, end;
};

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct stream *s = ctx;

        s->last_seq = row->seq;
        s->first = s->first ? s->first : row->seq;
        if (s->progress.on)
                progress_show(&s->progress, (double)(row->seq - s->first) / (double)(s->end - s->first + 1));
        view_row(&s->view, row);
        return !out_broken(s->view.out);
}

static enum view_form form_of(const struct cli *c, enum view_form otherwise)
{
        return cli_has(c, CLI_BIT(JSON)) ? VIEW_RECORD : cli_has(c, CLI_BIT(CSV)) ? VIEW_CSV : otherwise;
}

int cmd_spool_export(struct cli *c)
{
        struct spool_filter filter = {.lane = SPOOL_SAMPLES, .held_only = !cli_has(c, CLI_BIT(ALL))};
        struct spool_query *q;
        struct spool_counts counts;
        struct stream s = {0};
        char tag[SPLIT_MAX];
        struct err e;
        int r = open_spool(c, &q);

        if (r)
                return r;
        split_tag(c->tag, tag, &filter);
        r = require_tag(c, q, &filter);
        if (r) {
                spool_query_close(q);
                return r;
        }
        filter.from_us = cli_has(c, CLI_BIT(SINCE)) ? c->since_us : 0;
        filter.to_us = cli_has(c, CLI_BIT(UNTIL)) ? c->until_us : 0;
        view_init(&s.view, &c->out, form_of(c, VIEW_RECORD), q);
        view_head(&s.view);
        if (spool_query_counts(q, &counts, NULL) == 0) {
                s.end = counts.last_seq[SPOOL_SAMPLES];
                progress_begin(&s.progress, true);
        }
        if (spool_query_rows(q, &filter, on_row, &s, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        progress_end(&s.progress);
        view_fini(&s.view);
        spool_query_close(q);
        return r;
}

static ino_t inode_of(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* `-n 0`: only what comes from now on. */
static int skip_all(struct spool_query *q, struct spool_filter *filter, struct err *e)
{
        struct spool_counts counts;

        if (spool_query_counts(q, &counts, e) < 0)
                return -1;
        filter->first_seq = counts.last_seq[SPOOL_SAMPLES] + 1;
        return 0;
}

/*
 * The rows there are, then what comes; ends only by an error, a replaced file
 * or a closed output.
 */
static int tail_one(struct cli *c, const char *path, struct spool_filter *filter, struct err *e)
{
        struct timespec pause = {.tv_nsec = FOLLOW_EVERY_MS * 1000000L};
        ino_t inode = inode_of(path);
        struct spool_query *q;
        struct stream s = {0};
        int r;

        if (spool_query_open(&q, path, e) < 0)
                return -1;
        r = cli_has(c, CLI_BIT(FOLLOW)) ? 0 : require_tag(c, q, filter); /* one that follows waits for it */
        if (r) {
                spool_query_close(q);
                return r;
        }
        view_init(&s.view, &c->out, form_of(c, VIEW_PEOPLE), q);
        view_head(&s.view);
        r = c->lines == 0 && !filter->first_seq ? skip_all(q, filter, e) : 0;
        while (r == 0) {
                r = spool_query_rows(q, filter, on_row, &s, e);
                if (r < 0 || !cli_has(c, CLI_BIT(FOLLOW)) || fflush(c->out.f) != 0 || inode_of(path) != inode)
                        break;
                if (s.last_seq) {
                        filter->first_seq = s.last_seq + 1;
                        filter->newest = 0;
                }
                nanosleep(&pause, NULL);
        }
        view_fini(&s.view);
        spool_query_close(q);
        return r;
}

int cmd_spool_tail(struct cli *c)
{
        struct spool_filter filter = {.lane = SPOOL_SAMPLES, .newest = c->lines};
        struct places places;
        char tag[SPLIT_MAX];
        struct err e;
        int r = places_find(c, &places);

        if (r)
                return r;
        split_tag(c->tag, tag, &filter);
        r = tail_one(c, places.spool, &filter, &e);
        while (r == 0 && cli_has(c, CLI_BIT(FOLLOW)) && !out_broken(&c->out)) {
                filter.first_seq = 1;
                filter.newest = 0;
                r = tail_one(c, places.spool, &filter, &e);
        }
        if (r < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        places_fini(&places);
        return r;
}
