/*
 * unwise: what a configuration may say and had better not: the daemon runs with
 * it, and somebody will be sorry.
 */
#ifndef MILLRACE_CONFIG_UNWISE_H
#define MILLRACE_CONFIG_UNWISE_H

#include "agent/config/config.h"
#include "agent/config/walk.h"

/* Notices; drivers are gathered. Pure. */
void unwise_notice(const struct walk *w, struct config *c);
/* What is so on this machine only. Looks at the spool's folder. */
void unwise_notice_here(const struct walk *w, struct config *c);

/*
 * Readings a second that are asked for with a period; what comes by itself is
 * not known.
 */
double unwise_polled_rate(const struct config *c);

#endif
