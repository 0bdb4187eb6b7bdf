/*
 * setup: what the parts of `millrace setup` share.  Blocking, one thread, for
 * the tool only.
 */
#ifndef MILLRACE_CLI_SETUP_SETUP_H
#define MILLRACE_CLI_SETUP_SETUP_H

#include "agent/cli/cli.h"
#include "agent/cli/commission/broker.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/demo/parts.h"
#include "agent/cli/setup/dialogue.h"
#include "agent/cli/setup/plan.h"
#include "agent/config/config.h"
#include "uplink/visit.h"

enum { SETUP_PATH_MAX = 480 };

struct setup {
        struct cli *c;
        struct dialogue d;
        struct plan plan;
        char day[12], spool_path[SETUP_PATH_MAX], socket[SETUP_PATH_MAX];
        struct config *conf; /* of the plan as it was last looked at */
        struct visit *visit;
        struct visit_seen seen;
        struct broker broker;
        struct proposal proposal;
        struct site site;
        bool site_open, summarized;
        bool no_topics;             /* they could not be made */
        double rate_mqtt, rate_bus; /* readings a second that were seen, picked */
};

/* setup.c: a line for the person. */
void setup_say(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The plan as text, for free(). */
char *setup_text(const struct setup *s);
/* Has it judged: 0, s->conf is it; or the faults are told. */
int setup_judge(struct setup *s);

/* tries.c: what the dialogue wants tried; why not is told. */
bool setup_try(struct setup *s);
/* What Enter means on this machine. */
void setup_presets(struct setup *s);
/* What is to be known for the question that comes. */
void setup_before(struct setup *s);
/* How large the spool is to be, by what was answered and what the disk has. */
void setup_size(struct setup *s);
void setup_tries_fini(struct setup *s);

/* apply.c: what will be done, and doing it. CLI_OK or the exit status, told. */
void setup_summary(struct setup *s);
int setup_apply(struct setup *s);

/* first.c: waits for the first reading; CLI_OK or the exit status, told. */
int setup_first(struct setup *s);

#endif
