/*
 * config: the whole configuration, as the agent and the command-line tool read
 * it.
 *
 * One YAML file and the *.yaml files of conf.d/ beside it, checked against the
 * tables of the modules.  config_load reads files (blocking: before the loop
 * runs); nothing else here does I/O.  A configuration is immutable once loaded
 * and owns all it points to.
 */
#ifndef MILLRACE_CONFIG_CONFIG_H
#define MILLRACE_CONFIG_CONFIG_H

#include <stdio.h>

#include "agent/base/log.h"
#include "agent/base/schema.h"
#include "agent/config/alarm_sections.h"
#include "agent/config/fault.h"
#include "agent/control/metrics.h"
#include "agent/drivers.h"
#include "agent/flash.h"
#include "agent/page/conf.h"
#include "store/spool.h"
#include "uplink/uplink.h"

#define CONFIG_DEFAULT_PATH "/etc/millrace/millrace.yaml"

/* One item of a driver's section. */
struct config_driver {
        const struct driver_ops *ops;
        const char *name;
        const void *conf;
};

struct config {
        struct schema_at at;
        const char *gateway;
        const char *site;         /* NULL: not said */
        const char *profiles_dir; /* NULL: profiles/ beside the file */
        struct spool_conf spool;
        struct kafka_conf kafka;
        struct schema_list sections[DRIVERS_KNOWN]; /* as in drivers_known */
        struct schema_list profiles, devices;       /* of modbus */
        struct config_driver *drivers;              /* all items of all sections */
        size_t n_drivers;
        struct {
                const char *socket;
        } control;
        struct {
                int level;
                int64_t per_minute;
        } log;
        struct {
                int64_t max_tags;
        } limits;
        struct metrics_conf metrics;
        struct page_conf page;
        struct flash_conf flash;
        struct alarm_sections alarm_sections;

        const char *control_socket; /* control.socket, or millrace.sock beside the spool */
        enum log_level log_level;
        int64_t max_tags;

        struct faults notices; /* what is allowed, but is better known */
        struct arena arena;
};

/*
 * 0; or -1, *out is NULL and `faults` (zeroed before) tells all that is wrong,
 * sorted.
 */
int config_load(const char *path, struct config **out, struct faults *faults);
/*
 * The same; `more` adds what a part of the program would refuse that asks others
 * for it.  It is called when gateway and kafka are right, whatever else is not,
 * and looks at nothing but these.
 */
int config_load_more(const char *path, void (*more)(const struct config *c, struct faults *faults), struct config **out,
                     struct faults *faults);
/*
 * The same of a text in memory: no conf.d, no look at files that are named in
 * it.
 */
int config_load_text(const char *name, const char *text, size_t len, struct config **out, struct faults *faults);
/*
 * Of a configuration that has faults, but not there: where its spool and its
 * daemon's socket are, for free(). 0, or -1: not even that can be told.
 */
int config_places(const char *path, char **spool, char **socket);
void config_free(struct config *c); /* NULL is fine */

void config_log_notices(const struct config *c);

/*
 * The effective configuration as YAML, defaults included; passwords are left
 * out.
 */
void config_dump(const struct config *c, FILE *out);
/* The key tables for the manual page, in scdoc. */
void config_manual(FILE *out);

/* The table of the whole file. */
const struct schema *config_schema(void);

#endif
