/*
 * stream: a TCP stream -> messages (RFC 6587: counted octets, or lines).  Pure;
 * loop thread.  Allocates once.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_STREAM_H
#define MILLRACE_DRIVERS_SYSLOG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/syslog/syslog.h"

enum { SYSLOG_STREAM_BYTES = SYSLOG_MESSAGE_MAX + 64 };

struct syslog_stream {
        char *buf; /* SYSLOG_STREAM_BYTES */
        size_t at, end;
        struct syslog_rest {
                size_t octets;
                bool line;  /* up to the next end of line */
        } skip, then_skip;  /* the rest of one that was cut; of the one that is given out */
        size_t take_octets; /* what syslog_stream_took lets go */
        bool cut;           /* the message that was given last is the beginning of a longer one */
};

void syslog_stream_init(struct syslog_stream *s);
void syslog_stream_fini(struct syslog_stream *s);
void syslog_stream_reset(struct syslog_stream *s);

/* Room for the next read; never 0 after syslog_stream_next has said false. */
size_t syslog_stream_room(struct syslog_stream *s, char **at);
void syslog_stream_push(struct syslog_stream *s, size_t n);

/*
 * The next message, not empty, without its end of line; the same again until
 * syslog_stream_took.  `closed`: nothing more comes, so what lies there is the
 * last.
 */
bool syslog_stream_next(struct syslog_stream *s, bool closed, const char **message, size_t *len);
void syslog_stream_took(struct syslog_stream *s);

#endif
