/*
 * plan: what setup's answers come to: how large a spool, and the configuration
 * as a commented file.  Pure but for the writing.
 */
#ifndef MILLRACE_CLI_SETUP_PLAN_H
#define MILLRACE_CLI_SETUP_PLAN_H

#include <stdint.h>
#include <stdio.h>

#include "agent/cli/commission/propose.h"
#include "agent/cli/commission/search.h"
#include "agent/cli/setup/dialogue.h"
#include "drivers/mqtt/mqtt.h"

enum { PLAN_RATE_UNKNOWN = 10 }; /* readings a second, when nothing was seen */

struct plan {
        const struct dialogue *d;
        const char *day;         /* 2026-11-30 */
        const char *spool_path;  /* of the file */
        const char *socket;      /* NULL: beside the spool */
        uint64_t max_size_bytes; /* 0: the default */
        double rate;             /* readings a second that were seen */
        enum mqtt_protocol protocol;
        const struct proposal *proposal; /* what was heard; NULL: nothing was listened to */
        const struct site *site;         /* the bus; NULL: none was searched */
        const struct search *search;
};

/*
 * For that many readings a second over such an outage, rounded up to what a
 * person would write.
 */
uint64_t plan_spool_bytes(double rate, int64_t outage_us);
/* The reverse: how long such a spool lasts. */
int64_t plan_outage_us(double rate, uint64_t bytes);

/* Is the proposal's subscription i (from 0) among those chosen? */
bool plan_takes(const struct plan *p, size_t i);
/* The item of `mqtt:` that the answers make; borrows from them. */
struct mqtt_conf plan_mqtt(const struct plan *p);

/* The whole file, with what is answered so far. */
void plan_print(FILE *f, const struct plan *p);

#endif
