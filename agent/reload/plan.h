/*
 * plan: what a new configuration changes of the one that runs.  Pure; both
 * configurations outlive the plan.
 *
 * Two sections are one item when a driver has something from each: a bus and
 * its devices and their profiles.
 */
#ifndef MILLRACE_RELOAD_PLAN_H
#define MILLRACE_RELOAD_PLAN_H

#include "agent/config/config.h"

enum { RELOAD_NONE = -1, RELOAD_KEYS_MAX = 8 };

struct reload_driver {
        int was, is;  /* in the drivers of the old and of the new configuration; RELOAD_NONE: not there */
        bool changed; /* both, and they differ */
};

struct reload_plan {
        struct reload_driver *drivers; /* those of the new one in its order, then those that are gone */
        size_t n_drivers, n_kept, n_changed, n_added, n_removed;
        uint32_t *same_rules; /* by rule of the old one: 1 + the one of the new that says the same; 0: none */
        bool metrics, notify_mqtt, when_full;
        const char *sections[24]; /* that differ, for the log; NULL-ended */
};

void reload_plan(struct reload_plan *p, const struct config *was, const struct config *is);
void reload_plan_fini(struct reload_plan *p);

/*
 * What can't change while it runs stays in `is` as it was; the names of such
 * keys that differ go to `keys`, the number of them is returned.  Right after
 * `is` was loaded.
 */
size_t reload_hold_back(struct config *is, const struct config *was, const char *keys[RELOAD_KEYS_MAX]);

#endif
