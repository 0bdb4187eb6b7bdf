/*
 * status_view: the status object as a page for people. Pure but for the writer;
 * a key that is missing or null is shown as "-".
 */
#ifndef MILLRACE_CLI_STATUS_VIEW_H
#define MILLRACE_CLI_STATUS_VIEW_H

#include <jansson.h>

#include "agent/cli/out.h"

void status_print(struct out *o, const json_t *status);

#endif
