/*
 * silences: rules that would take the time between two readings for silence.
 */
#ifndef MILLRACE_CONFIG_SILENCES_H
#define MILLRACE_CONFIG_SILENCES_H

#include "agent/config/config.h"
#include "agent/config/walk.h"

/*
 * A fault for each silent or device_down rule whose `after` is not longer than
 * the period of something it watches.  Modbus is linked.
 */
void silences_check(struct walk *w, struct config *c);

#endif
