/*
 * gate: see gate.h.
 *
 * The only state of the driver that items share, and it is one job and a list
 * of those that wait.
 *
 * Fails: never.  A file that the kernel never gives back keeps the gate shut,
 * and every item says so of its own files.
 */
#include "drivers/sysfs/gate.h"

#include <stdlib.h>

#include "drivers/sysfs/file.h"

static struct sysfs_job *reads;
static int64_t since_us;
static struct list waiting = {&waiting, &waiting};

static void run(struct rt_work *w)
{
        struct sysfs_job *j = list_entry(w, struct sysfs_job, work);

        sysfs_file_read(j->root, j->file, *j->device ? j->device : NULL, &j->answer);
}

static void start(struct sysfs_job *j);

static void on_done(struct rt_work *w)
{
        struct sysfs_job *j = list_entry(w, struct sysfs_job, work);
        struct list *next = list_take(&waiting);

        reads = NULL;
        j->state = SYSFS_JOB_IDLE;
        if (next)
                start(list_entry(next, struct sysfs_job, node));
        if (j->on_answer)
                j->on_answer(j->ctx);
        else
                free(j);
}

static void start(struct sysfs_job *j)
{
        reads = j;
        since_us = rt_mono_us(j->rt);
        j->state = SYSFS_JOB_READS;
        j->work = (struct rt_work){.run = run, .on_done = on_done, .slow = true};
        rt_work_start(j->rt, &j->work);
}

void sysfs_gate_enter(struct sysfs_job *j, struct rt *rt)
{
        BUG_ON(j->state != SYSFS_JOB_IDLE);
        j->rt = rt;
        j->answer.bytes = j->text;
        if (!reads) {
                start(j);
                return;
        }
        j->state = SYSFS_JOB_WAITS;
        list_append(&waiting, &j->node);
}

int64_t sysfs_gate_since_us(void)
{
        return since_us;
}

const char *sysfs_gate_file(void)
{
        return reads->file;
}

void sysfs_gate_leave(struct sysfs_job *j)
{
        j->on_answer = NULL;
        if (j->state == SYSFS_JOB_READS)
                return;
        if (j->state == SYSFS_JOB_WAITS)
                list_remove(&j->node);
        free(j);
}
