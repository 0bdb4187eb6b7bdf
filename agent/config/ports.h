/*
 * ports: what two items of the configuration can't both have.
 */
#ifndef MILLRACE_CONFIG_PORTS_H
#define MILLRACE_CONFIG_PORTS_H

#include "agent/config/config.h"
#include "agent/config/walk.h"

/*
 * A fault for each serial port, or serial server that passes bytes on, that a
 * second item uses, and for each two devices that read the same registers of
 * the same slave; a notice for two items with one TCP address.  Modbus is
 * linked.
 */
void ports_check(struct walk *w, struct config *c);
/* A notice where two names are one port on this machine. Looks at files. */
void ports_notice(struct walk *w, struct config *c);

#endif
