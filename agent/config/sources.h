/*
 * sources: whose a tag is, over all items of the configuration.
 */
#ifndef MILLRACE_CONFIG_SOURCES_H
#define MILLRACE_CONFIG_SOURCES_H

#include "agent/config/config.h"
#include "agent/config/walk.h"

/*
 * A fault for each tag that two items read by themselves, a notice where one of
 * them is pushed to.  Modbus is linked; names are in the walk.
 */
void sources_check(struct walk *w, struct config *c);

#endif
