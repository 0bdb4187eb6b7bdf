/*
 * own_spool: see own_spool.h.  Nothing is dropped by policy meanwhile: the file
 * may be as large as it is.
 *
 * Fails with a sentence; the file is then as it was, or as a daemon that was
 * killed would leave it.
 */
#include "agent/cli/own_spool.h"

#include <sys/stat.h>
#include <unistd.h>

enum { STEP_US = 100000 };

static int be_its_owner(const char *path, struct err *e)
{
        struct stat st;

        if (stat(path, &st) != 0)
                return err_errno(e, "spool %s", path);
        if (geteuid() != 0 || (setegid(st.st_gid) == 0 && seteuid(st.st_uid) == 0))
                return 0;
        return err_errno(e, "spool %s: cannot become its owner", path);
}

int own_spool_open(struct own_spool *o, const char *path, const char *gateway, int64_t now_us, struct err *e)
{
        struct spool_conf conf = {.path = path,
                                  .max_size_bytes = (uint64_t)1 << 40,
                                  .when_full = SPOOL_DROP_NEWEST,
                                  .commit_interval_us = STEP_US,
                                  .keep_delivered_us = INT64_MAX / 4,
                                  .batch_rows = 100,
                                  .batch_bytes = 1 << 16,
                                  .quarantine_bytes = 64 << 20};

        *o = (struct own_spool){.path = path};
        rt_sim_init(&o->sim, 1, now_us);
        o->tags = tags_new(TAGS_ROWS_MAX);
        if (be_its_owner(path, e) == 0 && spool_open(&o->spool, &o->sim.rt, &conf, gateway, o->tags, NULL, e) == 0)
                return 0;
        rt_sim_fini(&o->sim);
        tags_free(o->tags);
        return -1;
}

void own_spool_step(struct own_spool *o)
{
        rt_sim_run(&o->sim, o->sim.now.mono_us + STEP_US, NULL, NULL);
}

int own_spool_close(struct own_spool *o, struct err *e)
{
        int r;

        rt_sim_cut(&o->sim);
        r = spool_close(o->spool) ? 0 : err_set(e, "spool %s: cannot be written", o->path);
        rt_sim_fini(&o->sim);
        tags_free(o->tags);
        return r;
}
