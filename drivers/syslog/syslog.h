/*
 * syslog: what plant servers, switches and panels log, as text readings; RFC
 * 5424 and 3164 over UDP and TCP.
 *
 * A reading's source is the message's host, its tag the program that wrote it,
 * its text the message.  Facility and severity are labels of the tag, so that
 * they stand beside the text in every record
 * ("facility":"auth","severity":"warning") where those who search and count
 * expect them; they are 24 and 8, so a program has a few tags and no more.
 * Process and message ids are left out: as labels they would make a tag each.
 * Who wants them and structured data sets `text: line` and gets the line as it
 * came.
 *
 *   syslog_conf    table of the section        syslog_stream   a TCP stream -> messages, both framings
 *   syslog_parse   a message -> its parts      syslog_tags     parts -> tags, bounded
 *   syslog         sockets
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_SYSLOG_H
#define MILLRACE_DRIVERS_SYSLOG_SYSLOG_H

#include "drivers/driver.h"

enum { SYSLOG_HOSTS_MAX = 1000 };   /* tags "other" of hosts, see tags.c */
enum { SYSLOG_MESSAGE_MAX = 8192 }; /* bytes; longer ones are cut and counted */

enum { SYSLOG_BOTH, SYSLOG_UDP, SYSLOG_TCP };
enum { SYSLOG_TEXT_MESSAGE, SYSLOG_TEXT_LINE };

struct syslog_conf {
        struct schema_at at;
        const char *name, *listen, *source, *tag;
        int protocol, text;
        int64_t max_connections, max_tags, idle_timeout_us;
};

struct syslog_address {
        _Alignas(8) unsigned char bytes[32]; /* a struct sockaddr_in or _in6 */
        unsigned len;
        bool loopback;
};

/*
 * "127.0.0.1:5514", "[::]:5514": numbers only, nothing is looked up. 0 or -1
 * with a sentence.
 */
int syslog_address_parse(struct syslog_address *out, const char *text, struct err *e);

void syslog_names(const void *conf, struct driver_names *to);
size_t syslog_share(const void *conf, size_t usual);

extern const struct schema syslog_schema;
extern const struct driver_ops syslog_ops;

#endif
