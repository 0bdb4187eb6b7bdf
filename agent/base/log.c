/*
 * log: see log.h.  One write(2) a line, so lines of several threads never mix;
 * the bound per second keeps a flapping link from filling a journal on flash.
 */
#include "agent/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINES_PER_S = 64 };

static struct {
        pthread_mutex_t mu;
        enum log_level most;
        bool journal;
        time_t second;
        int lines, held_back;
} L = {.mu = PTHREAD_MUTEX_INITIALIZER, .most = LOG_INFO};

void log_init(enum log_level most)
{
        L.most = most;
        L.journal = getenv("JOURNAL_STREAM") != NULL;
}

static size_t put_head(char *out, size_t cap, enum log_level level, time_t now)
{
        static const char *const words[] = {"", "", "", "error", "warning", "notice", "info", "debug"};
        struct tm tm;

        if (L.journal)
                return (size_t)snprintf(out, cap, "<%d>", level);
        gmtime_r(&now, &tm);
        return (size_t)snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02dZ %s: ", tm.tm_year + 1900, tm.tm_mon + 1,
                                tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, words[level]);
}

/* True when this line may go out; *told is how many did not before it. */
static bool take_turn(time_t now, int *told)
{
        bool go;

        pthread_mutex_lock(&L.mu);
        *told = 0;
        if (now != L.second) {
                *told = L.held_back;
                L.second = now;
                L.lines = L.held_back = 0;
        }
        go = L.lines < LINES_PER_S;
        if (go)
                L.lines++;
        else
                L.held_back++;
        pthread_mutex_unlock(&L.mu);
        return go;
}

static void put_line(char *line, size_t n, size_t cap)
{
        if (n > cap - 1)
                n = cap - 1;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char)line[i] < 32)
                        line[i] = ' ';
        line[n] = '\n';
        (void)!write(STDERR_FILENO, line, n + 1);
}

void log_line(enum log_level level, const char *scope, const char *fmt, ...)
{
        time_t now = time(NULL);
        char line[1024];
        size_t n;
        int told;
        va_list ap;

        if (level > L.most || !take_turn(now, &told))
                return;
        if (told) {
                n = put_head(line, sizeof(line), LOG_WARN, now);
                n += (size_t)snprintf(line + n, sizeof(line) - n, "log: %d lines left out in the last second", told);
                put_line(line, n, sizeof(line));
        }
        n = put_head(line, sizeof(line), level, now);
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s: ", scope);
        if (n < sizeof(line)) {
                va_start(ap, fmt);
                n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
                va_end(ap);
        }
        put_line(line, n, sizeof(line));
}
