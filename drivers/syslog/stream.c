/*
 * stream: see stream.h.
 *
 * Senders do not say which framing they use, and some mix them, so it is
 * decided for each message: "123 <" begins one of counted octets, anything else
 * is a line.  A message is given out twice until it is taken, so that one for
 * which there is no room stays here, and TCP makes the sender wait.
 *
 * Fails: never.  What is longer than a message may be is given out cut, and its
 * rest is skipped.
 */
#include "drivers/syslog/stream.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT_DIGITS_MAX = 7 };

void syslog_stream_init(struct syslog_stream *s)
{
        *s = (struct syslog_stream){.buf = mem_alloc(SYSLOG_STREAM_BYTES)};
}

void syslog_stream_fini(struct syslog_stream *s)
{
        free(s->buf);
        s->buf = NULL;
}

void syslog_stream_reset(struct syslog_stream *s)
{
        *s = (struct syslog_stream){.buf = s->buf};
}

size_t syslog_stream_room(struct syslog_stream *s, char **at)
{
        if (s->at) {
                memmove(s->buf, s->buf + s->at, s->end - s->at);
                s->end -= s->at;
                s->at = 0;
        }
        *at = s->buf + s->end;
        return SYSLOG_STREAM_BYTES - s->end;
}

void syslog_stream_push(struct syslog_stream *s, size_t n)
{
        BUG_ON(n > SYSLOG_STREAM_BYTES - s->end);
        s->end += n;
}

/* The rest of what was cut. False: more of it is to come. */
static bool skip_rest(struct syslog_stream *s)
{
        size_t have = s->end - s->at, n = s->skip.octets < have ? s->skip.octets : have;
        const char *newline;

        s->at += n;
        s->skip.octets -= n;
        if (s->skip.octets)
                return false;
        if (s->skip.line) {
                newline = memchr(s->buf + s->at, '\n', s->end - s->at);
                s->at = newline ? (size_t)(newline + 1 - s->buf) : s->end;
                s->skip.line = !newline;
        }
        return !s->skip.line;
}

/*
 * "123 <": 1 and the count and its length; 0: it is no count; -1: too little is
 * there to tell.
 */
static int find_count(const char *p, size_t have, size_t *head, size_t *count)
{
        size_t i = 0;

        *count = 0;
        for (; i < have && i < COUNT_DIGITS_MAX && p[i] >= '0' && p[i] <= '9'; i++)
                *count = 10 * *count + (size_t)(p[i] - '0');
        if (i == 0 && have)
                return 0;
        if (i == have)
                return -1;
        if (p[i] != ' ' || p[0] == '0')
                return 0;
        *head = i + 1;
        return i + 1 == have ? -1 : p[i + 1] == '<';
}

static bool next_counted(struct syslog_stream *s, bool closed, size_t head, size_t count, size_t *len)
{
        size_t have = s->end - s->at - head, most = count < SYSLOG_MESSAGE_MAX ? count : SYSLOG_MESSAGE_MAX;

        if (have < most && !closed)
                return false;
        *len = have < most ? have : most;
        s->cut = *len < count;
        s->then_skip = (struct syslog_rest){.octets = count - *len};
        s->take_octets = head + *len;
        return true;
}

static bool next_line(struct syslog_stream *s, bool closed, size_t *len)
{
        size_t have = s->end - s->at, most = have <= SYSLOG_MESSAGE_MAX ? have : SYSLOG_MESSAGE_MAX + 1;
        const char *newline = memchr(s->buf + s->at, '\n', most);

        if (!newline && have <= SYSLOG_MESSAGE_MAX && !closed)
                return false;
        *len = newline ? (size_t)(newline - s->buf) - s->at : have < SYSLOG_MESSAGE_MAX ? have : SYSLOG_MESSAGE_MAX;
        s->cut = !newline && have > SYSLOG_MESSAGE_MAX;
        s->then_skip = (struct syslog_rest){.line = s->cut};
        s->take_octets = newline ? *len + 1 : *len;
        return true;
}

static size_t trimmed(const char *p, size_t len)
{
        while (len && (p[len - 1] == '\n' || p[len - 1] == '\r' || p[len - 1] == '\0'))
                len--;
        return len;
}

bool syslog_stream_next(struct syslog_stream *s, bool closed, const char **message, size_t *len)
{
        while (skip_rest(s) && s->at < s->end) {
                size_t head = 0, count;
                int counted = find_count(s->buf + s->at, s->end - s->at, &head, &count);
                bool whole;

                if (counted < 0 && !closed)
                        return false;
                whole = counted > 0 ? next_counted(s, closed, head, count, len) : next_line(s, closed, len);
                if (!whole)
                        return false;
                head = counted > 0 ? head : 0;
                *message = s->buf + s->at + head;
                *len = trimmed(*message, *len);
                if (*len)
                        return true;
                syslog_stream_took(s);
        }
        return false;
}

void syslog_stream_took(struct syslog_stream *s)
{
        s->at += s->take_octets;
        s->skip = s->then_skip;
        s->take_octets = 0;
        s->then_skip = (struct syslog_rest){.octets = 0};
}
