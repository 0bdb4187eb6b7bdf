/*
 * conditions: what is wrong with this agent, and who is told.
 *
 * Between the agent, which has the facts, and agent/health, which judges them:
 * gathers once a second and before anything is shown, and tells the log and the
 * events lane when a condition begins and ends.  Loop thread.
 */
#ifndef MILLRACE_AGENT_CONDITIONS_H
#define MILLRACE_AGENT_CONDITIONS_H

#include <jansson.h>

#include "agent/health/facts.h"

struct agent;

struct conditions {
        struct health health;
        struct health_memory memory;
        struct host_source *sources;
        size_t n_sources;
        char config_fault[200], restart_keys[200], turned[HEALTH_SUBJECT_MAX];
};

void conditions_init(struct agent *a);
void conditions_fini(struct conditions *c);

/* A round, from what is so now. */
void conditions_look(struct agent *a);

/*
 * Of the last round: for status, the worst hundred first; times as the wall
 * clock has them.
 */
json_t *conditions_json(const struct agent *a);

/*
 * How many there are of each name that stands, also of those beyond what is
 * shown.
 */
json_t *conditions_by_name(const struct agent *a);

/* The worst one in a line, "" when nothing is wrong. */
void conditions_headline(const struct agent *a, char *out, size_t cap);

#endif
