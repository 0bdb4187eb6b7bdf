/*
 * gate: files of the kernel are read one at a time, over all items of the
 * agent.
 *
 * Why: a read of the kernel can't be called back, and a work that hangs keeps a
 * thread (rt.h).  Sensors that hang by the dozen, each asked again, would use
 * up those there are.  So sensors have one between them, file by file in turns,
 * and wait for each other.
 *
 * Loop thread, but for what it runs itself.  Ownership: a job is its item's
 * until the item leaves it; then it frees itself.
 */
#ifndef MILLRACE_DRIVERS_SYSFS_GATE_H
#define MILLRACE_DRIVERS_SYSFS_GATE_H

#include "drivers/sysfs/decode.h"

/* One file to read; holds all it needs, so that it can outlive its item. */
struct sysfs_job {
        char root[SYSFS_PATH_MAX], file[SYSFS_PATH_MAX], device[SYSFS_DEVICE_MAX + 1]; /* device "": any */
        struct sysfs_answer answer;
        char text[SYSFS_FILE_MAX + 1]; /* answer.bytes */
        void (*on_answer)(void *ctx);  /* NULL: left alone */
        void *ctx;

        struct rt *rt; /* the gate's, from here on */
        struct rt_work work;
        struct list node; /* while it waits */
        enum { SYSFS_JOB_IDLE, SYSFS_JOB_WAITS, SYSFS_JOB_READS } state;
};

/*
 * Reads it now, or behind those that came before; then on_answer. It is idle.
 */
void sysfs_gate_enter(struct sysfs_job *j, struct rt *rt);

/*
 * Since when (monotonic) the file is being read that everybody waits for. It is
 * not idle.
 */
int64_t sysfs_gate_since_us(void);
/* The file that is being read. */
const char *sysfs_gate_file(void);

/*
 * No on_answer any more; frees the job, now or when the kernel lets go of it.
 */
void sysfs_gate_leave(struct sysfs_job *j);

#endif
