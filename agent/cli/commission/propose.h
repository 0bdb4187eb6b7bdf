/*
 * propose: subscriptions for messages that were seen.  Pure: samples in, text
 * out.
 */
#ifndef MILLRACE_CLI_COMMISSION_PROPOSE_H
#define MILLRACE_CLI_COMMISSION_PROPOSE_H

#include <stdio.h>

#include "agent/cli/commission/samples.h"

/*
 * One text per subscription: a list item in flow style, without line end, that
 * goes under `subscriptions:`; `notes`: what was seen and is not proposed, as
 * comment lines.
 */
struct proposal {
        char **subs;
        size_t n;
        char *notes; /* "" or lines */
};
void propose(const struct samples *s, struct proposal *out);
void proposal_fini(struct proposal *p);

#endif
