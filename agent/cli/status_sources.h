/*
 * status_sources: the lower part of the page of `millrace status`: the sources
 * with their devices.
 */
#ifndef MILLRACE_CLI_STATUS_SOURCES_H
#define MILLRACE_CLI_STATUS_SOURCES_H

#include <jansson.h>

#include "agent/cli/out.h"

/* `brief`: those that are well are counted where there are many, and their devices left out. */
void status_print_sources(struct out *o, const json_t *drivers, bool brief);

#endif
