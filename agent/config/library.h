/*
 * library: register maps that are files of their own, so that a device of a
 * widespread kind is one line: `profile: eastron-sdm630`.
 *
 * A file NAME.yaml is a `profiles:` section with one item of that name.  It is
 * looked for in the folder that the configuration names (profiles_dir), else in
 * profiles/ beside the configuration, then among those that are installed; what
 * the configuration itself has under `profiles:` comes first.  Blocking: before
 * the loop runs.
 */
#ifndef MILLRACE_CONFIG_LIBRARY_H
#define MILLRACE_CONFIG_LIBRARY_H

#include "agent/config/config.h"
#include "agent/config/walk.h"

struct library;

/*
 * Adds the profiles that devices want and the configuration has not.  Faults
 * are told with the file's own lines; a profile that is nowhere is left to
 * modbus_link.  `path`: the configuration's.
 */
struct library *library_load(struct config *c, struct faults *faults, const char *path);
void library_free(struct library *l);

/* The place of a field of such a profile; NULL: it is none of it. */
struct walk *library_walk(struct library *l, const void *field);

#endif
