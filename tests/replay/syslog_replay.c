/*
 * syslog_replay: a stream as plant servers send it (both RFCs, switches, bare words; lines and counted octets mixed),
 * whole, in pieces of seven bytes and byte by byte.  What comes out must be what is written down; each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/syslog/parse.h"
#include "drivers/syslog/stream.h"

enum { FILE_MAX = 1 << 20 };

static char *read_file(const char *path, size_t *len)
{
        char *p = malloc(FILE_MAX);
        FILE *in = fopen(path, "rb");

        if (!in || !p) {
                perror(path);
                exit(1);
        }
        *len = fread(p, 1, FILE_MAX, in);
        fclose(in);
        return p;
}

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

static int run(const char *bytes, size_t len, size_t piece, FILE *out)
{
        struct syslog_stream s;
        const char *message;
        size_t n_message;
        int n_messages = 0;
        char *to;

        syslog_stream_init(&s);
        for (size_t at = 0; at < len;) {
                size_t n = syslog_stream_room(&s, &to);

                n = n < piece ? n : piece;
                n = n < len - at ? n : len - at;
                memcpy(to, bytes + at, n);
                syslog_stream_push(&s, n);
                at += n;
                for (; syslog_stream_next(&s, at == len, &message, &n_message); n_messages++) {
                        print(out, message, n_message);
                        syslog_stream_took(&s);
                }
        }
        syslog_stream_fini(&s);
        return n_messages;
}

int main(int argc, char **argv)
{
        static const size_t pieces[] = {FILE_MAX, 7, 1};
        size_t len, n_expected, n_got;
        char *bytes, *expected, *got;
        int n_messages = 0;

        if (argc != 3) {
                fprintf(stderr, "usage: syslog_replay RECORDING EXPECTED\n");
                return 2;
        }
        bytes = read_file(argv[1], &len);
        expected = read_file(argv[2], &n_expected);
        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
                FILE *out = open_memstream(&got, &n_got);

                if (!out)
                        return 1;
                n_messages = run(bytes, len, pieces[i], out);
                fclose(out);
                if (n_got != n_expected || memcmp(got, expected, n_got) != 0) {
                        printf("pieces of %zu, got:\n%.*s", pieces[i], (int)n_got, got);
                        return 1;
                }
                free(got);
        }
        printf("%d messages\n", n_messages);
        free(bytes);
        free(expected);
        return n_messages ? 0 : 1;
}
