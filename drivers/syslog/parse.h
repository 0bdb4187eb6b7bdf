/*
 * parse: one syslog message -> its parts.  Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_PARSE_H
#define MILLRACE_DRIVERS_SYSLOG_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrows the message. Parts that it does not have are of length 0. */
struct syslog_message {
        unsigned facility, severity;
        bool has_time, has_zone;
        int64_t time_us;
        const char *host, *app, *text;
        size_t host_len, app_len, text_len;
};

/*
 * Whatever it is, it is a message: what can't be understood is text of
 * user.notice.
 */
void syslog_parse(const char *p, size_t len, struct syslog_message *m);

const char *syslog_facility(unsigned facility); /* kern … local7 */
const char *syslog_severity(unsigned severity); /* emerg … debug */

#endif
