/*
 * replay_syslog: a stream as plant servers send it (both RFCs, switches, bare words; lines and counted octets mixed),
 * whole, in pieces of seven bytes and byte by byte.  What comes out must be what is written down; each time.
 */
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/syslog/parse.h"
#include "drivers/syslog/stream.h"
#include "replay.h"

static void print(FILE *out, const char *message, size_t len)
{
        struct syslog_message m;
        char time[TEXT_TIME_MAX];

        syslog_parse(message, len, &m);
        fprintf(out, "%s.%s host=%.*s app=%.*s time=", syslog_facility(m.facility), syslog_severity(m.severity),
                (int)m.host_len, m.host, (int)m.app_len, m.app);
        if (m.has_zone)
                fwrite(time, 1, text_put_time(time, m.time_us), out);
        else
                fputs(m.has_time ? "without-zone" : "none", out);
        fprintf(out, " %.*s\n", (int)m.text_len, m.text);
}

static long run(const struct replay_input *in, FILE *out)
{
        struct syslog_stream s;
        const char *message;
        size_t n_message;
        long n_messages = 0;
        char *to;

        syslog_stream_init(&s);
        for (size_t at = 0; at < in->len;) {
                size_t n = syslog_stream_room(&s, &to);

                n = n < in->piece ? n : in->piece;
                n = n < in->len - at ? n : in->len - at;
                memcpy(to, in->bytes + at, n);
                syslog_stream_push(&s, n);
                at += n;
                for (; syslog_stream_next(&s, at == in->len, &message, &n_message); n_messages++) {
                        print(out, message, n_message);
                        syslog_stream_took(&s);
                }
        }
        syslog_stream_fini(&s);
        return n_messages;
}

const struct replay replay_syslog = {.run = run, .in_pieces = true};
