/*
 * fuzz_syslog: any bytes as a message and as a stream.
 *
 * Holds: it returns and leaks nothing; every part of a message lies inside it; a stream gives out the same messages
 * however it is cut, none empty, none longer than allowed, and always has room for more bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/syslog/parse.h"
#include "drivers/syslog/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const char *message, size_t len, const char *part, size_t part_len)
{
        BUG_ON(part_len && (part < message || part + part_len > message + len));
}

static void check_message(const void *data, size_t len)
{
        char *copy = malloc(len + (len == 0)); /* so that a read behind the end is seen */
        struct syslog_message m;

        if (len)
                memcpy(copy, data, len);
        syslog_parse(copy, len, &m);
        BUG_ON(m.facility > 23 || m.severity > 7 || (m.has_zone && !m.has_time));
        check_part(copy, len, m.host, m.host_len);
        check_part(copy, len, m.app, m.app_len);
        check_part(copy, len, m.text, m.text_len);
        BUG_ON(m.text + m.text_len != copy + len);
        free(copy);
}

static uint64_t drain(struct syslog_stream *s, bool closed, uint64_t print)
{
        const char *m;
        size_t len;

        while (syslog_stream_next(s, closed, &m, &len)) {
                BUG_ON(len == 0 || len > SYSLOG_MESSAGE_MAX);
                print = text_hash(m, len, print * 31 + s->cut);
                check_message(m, len);
                syslog_stream_took(s);
        }
        return print;
}

static uint64_t run(const uint8_t *data, size_t size, size_t piece)
{
        struct syslog_stream s;
        uint64_t print = 0;

        syslog_stream_init(&s);
        while (size) {
                char *to;
                size_t n = syslog_stream_room(&s, &to);

                BUG_ON(n == 0);
                n = n < piece ? n : piece;
                n = n < size ? n : size;
                memcpy(to, data, n);
                syslog_stream_push(&s, n);
                data += n;
                size -= n;
                print = drain(&s, false, print);
        }
        print = drain(&s, true, print);
        syslog_stream_fini(&s);
        return print;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint64_t whole;

        check_message(data, size);
        whole = run(data, size, SIZE_MAX);
        BUG_ON(run(data, size, 1) != whole);
        BUG_ON(run(data, size, 7) != whole);
        return 0;
}
