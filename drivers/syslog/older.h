/*
 * older: messages of the older kind (RFC 3164, and what calls itself so).
 * Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_OLDER_H
#define MILLRACE_DRIVERS_SYSLOG_OLDER_H

#include "drivers/syslog/parse.h"

/* What stands behind the priority. Sets all of *m but that. */
void syslog_parse_older(const char *p, size_t len, struct syslog_message *m);

#endif
