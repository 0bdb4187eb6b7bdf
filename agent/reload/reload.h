/*
 * reload: SIGHUP.  The configuration is read again off the loop; a faulty one
 * changes nothing and says so, a good one is put to work item by item
 * (apply.c).  Loop thread.
 */
#ifndef MILLRACE_RELOAD_RELOAD_H
#define MILLRACE_RELOAD_RELOAD_H

#include "agent/agent.h"
#include "agent/control/metrics_http.h"

struct reload;

struct reload_parts {
        const char *path; /* of the configuration */
        struct agent *agent;
        struct metrics_http **metrics; /* opened, moved and closed as `metrics:` says */
        char *(*page)(void *ctx);      /* of metrics_http_open */
        void *ctx;
};

/* `first`, which the agent runs with, is owned from now on. */
struct reload *reload_new(const struct reload_parts *parts, struct config *first);

/* While one is under way another follows it. */
void reload_request(struct reload *r);

/* The daemon ends: nothing more is changed. */
void reload_stop(struct reload *r);

/*
 * After agent_close. `quiet`: no work is under way any more, so all can be
 * freed.
 */
void reload_free(struct reload *r, bool quiet);

#endif
