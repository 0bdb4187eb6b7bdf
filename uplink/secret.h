/* secret: a configured secret's value, read from where it lies. Blocking. */
#ifndef MILLRACE_UPLINK_SECRET_H
#define MILLRACE_UPLINK_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"

/*
 * `spec` is name=file:/path or name=credential:NAME (a file in
 * $CREDENTIALS_DIRECTORY, systemd's).  The name is copied to name[], the value
 * to value[] without its trailing newline.  0, or -1 with a sentence that never
 * holds the value.
 */
int secret_read(const char *spec, char *name, size_t name_cap, char *value, size_t value_cap, struct err *e);
/* There is a file for it that can be read on this machine. */
bool secret_is_here(const char *spec);

#endif
