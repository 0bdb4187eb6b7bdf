/*
 * tags: host, program, facility and severity -> a tag; bounded, because whoever
 * can write to the port makes them. Loop thread.  Allocates once, in init.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_TAGS_H
#define MILLRACE_DRIVERS_SYSLOG_TAGS_H

#include "drivers/syslog/parse.h"
#include "drivers/syslog/syslog.h"

enum { SYSLOG_PEERS_MAX = 256 };

struct syslog_tags {
        struct driver *d;
        struct changed_names *changed;
        struct syslog_slot {
                uint64_t hash;
                uint32_t tag;
                bool used;
        } * slots;
        size_t n_slots;
        struct syslog_bound {
                size_t n, most;
        } tags, hosts; /* hosts: tags "other" of hosts that have no more room */
        struct syslog_peer {
                uint64_t hash; /* 0: nobody's */
                size_t n_tags, n_hosts;
        } peers[SYSLOG_PEERS_MAX + 1]; /* the last: all others together */
};

void syslog_tags_init(struct syslog_tags *t, struct driver *d);
void syslog_tags_fini(struct syslog_tags *t);

/*
 * `peer` is the host of a message that names none. 0, or TAGS_E_*: the host's
 * name is another item's, or there is no room, not for "other" either.  *whole:
 * the tag has no name of the message, so the text has to be the line as it
 * came.
 */
int syslog_tags_find(struct syslog_tags *t, const struct syslog_message *m, const char *peer, uint32_t *tag,
                     bool *whole);

#endif
