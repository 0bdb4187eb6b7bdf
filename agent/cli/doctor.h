/*
 * doctor: what the parts of `millrace doctor` share: findings, and what is
 * looked at.  Blocking, each part bounded; nothing that runs is disturbed.
 */
#ifndef MILLRACE_CLI_DOCTOR_H
#define MILLRACE_CLI_DOCTOR_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/cli/cli.h"
#include "agent/config/config.h"

enum finding_level { FINDING_FAULT, FINDING_WARNING, FINDING_NOTE, FINDING_OK, N_FINDING_LEVELS };

enum { FINDING_TEXT_MAX = 500, FINDINGS_MAX = 500 };

struct finding {
        enum finding_level level;
        const char *area; /* "kafka": a constant */
        char subject[160];
        char what[FINDING_TEXT_MAX];
        char todo[240]; /* "": nothing */
};

struct doctor {
        struct cli *c;
        struct config *conf;  /* NULL: it has faults */
        json_t *status;       /* the daemon's; NULL: it does not answer */
        struct finding *list; /* in the order they were found */
        size_t n, n_more;     /* kept; beyond FINDINGS_MAX */
        size_t count[N_FINDING_LEVELS];
        bool daemon_is_silent; /* it runs, and does not speak to us */
};

/* `todo` may be "". */
void doctor_find(struct doctor *d, enum finding_level level, const char *area, const char *subject, const char *todo,
                 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* doctor_machine.c: clock, disk, spool, what the daemon's user may, ports. */
void doctor_clock(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_spool(struct doctor *d);
void doctor_rights(struct doctor *d);
void doctor_service(struct doctor *d);

/* doctor_peers.c: the daemon, Kafka, MQTT brokers, each source. */
void doctor_daemon(struct doctor *d);
void doctor_kafka(struct doctor *d);
void doctor_brokers(struct doctor *d);
void doctor_sources(struct doctor *d);

/* doctor_report.c: all that helps somebody far away, without a secret. 0, or -1 with a sentence. */
int doctor_report(const struct doctor *d, const char *path, struct err *e);
/* A line with what looks like a secret made unreadable; in place.  Pure. */
void doctor_mask(char *line);

/* "fault", "warning", "note", "ok" */
const char *finding_level_name(enum finding_level level);

#endif
