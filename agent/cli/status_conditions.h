/*
 * status_conditions: the top of the page of `millrace status`: the verdict, and
 * what is wrong, with since when and the way out.
 */
#ifndef MILLRACE_CLI_STATUS_CONDITIONS_H
#define MILLRACE_CLI_STATUS_CONDITIONS_H

#include <jansson.h>

#include "agent/cli/out.h"

void status_print_verdict(struct out *o, const json_t *status);
/* As many as have room in `most` lines, but the first; 0: all that a screen gets. */
void status_print_conditions(struct out *o, const json_t *status, size_t most);

#endif
