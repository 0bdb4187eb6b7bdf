/*
 * tags: host, program, facility and severity -> a tag; bounded, because whoever
 * can write to the port makes them. Loop thread.  Allocates once, in init.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_TAGS_H
#define MILLRACE_DRIVERS_SYSLOG_TAGS_H

#include "drivers/syslog/parse.h"
#include "drivers/syslog/syslog.h"

struct syslog_tags {
        struct driver *d;
        struct changed_names *changed;
        struct syslog_slot {
                uint64_t hash;
                uint32_t tag;
                bool used;
        } * slots;
        size_t n_slots, n, most; /* n: without those of "other" */
};

void syslog_tags_init(struct syslog_tags *t, struct driver *d);
void syslog_tags_fini(struct syslog_tags *t);

/*
 * `peer` is the host of a message that names none. 0, or TAGS_E_*: the host's
 * name is another item's, or there is no room, not for "other" either.
 */
int syslog_tags_find(struct syslog_tags *t, const struct syslog_message *m, const char *peer, uint32_t *tag);

#endif
