/*
 * log: see log.h.  One write(2) a line, so lines of several threads never mix.
 *
 * Two bounds, for what anybody outside can bring about: lines a second of all,
 * which keeps a storm from filling a journal on flash, and lines a minute of
 * one scope, so that a hostile publisher or a flapping link takes neither the
 * journal nor the others' lines.  A scope may say its minute's lines at once;
 * what is above is counted, and told once a minute, by log_tell_left_out or
 * with a line that goes out.  Errors are only bound by the second.
 *
 * Cannot fail; scopes beyond the table share one place.
 */
#include "agent/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINES_PER_S = 64, SCOPES = 64, PER_MINUTE = 30, TELL_MS = 60000 };

/* A bucket of lines that fills up with time; in thousandths of a line. */
struct scope {
        char name[96];
        int64_t at_ms, mlines;
        unsigned left_out;
        int64_t since_ms; /* of the first of these */
};

static struct {
        pthread_mutex_t mu;
        enum log_level most;
        bool journal;
        time_t second;
        int lines, held_back, per_minute;
        struct scope scopes[SCOPES];
} L = {.mu = PTHREAD_MUTEX_INITIALIZER, .most = LOG_INFO, .per_minute = PER_MINUTE};

void log_init(enum log_level most)
{
        L.most = most;
        L.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_bound(int lines_per_minute)
{
        pthread_mutex_lock(&L.mu);
        L.per_minute = lines_per_minute;
        pthread_mutex_unlock(&L.mu);
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

/* ---- whose turn it is; under the mutex ---- */

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The last place is for all that have none of their own. */
static struct scope *scope_of(const char *name, int64_t at_ms)
{
        struct scope *s = L.scopes;

        while (s < L.scopes + SCOPES - 1 && s->name[0] && strncmp(s->name, name, sizeof(s->name) - 1) != 0)
                s++;
        if (!s->name[0]) {
                snprintf(s->name, sizeof(s->name), "%s", s < L.scopes + SCOPES - 1 ? name : "others");
                s->at_ms = at_ms;
                s->mlines = INT64_C(1000) * L.per_minute;
        }
        return s;
}

/*
 * In steps of 60 ms, so that no part of a line is lost: per_minute is in
 * thousandths for so long.
 */
static bool scope_takes(struct scope *s, int64_t at_ms)
{
        int64_t steps = (at_ms - s->at_ms) / 60, most = INT64_C(1000) * L.per_minute;

        s->at_ms += steps * 60;
        s->mlines += steps * L.per_minute;
        if (s->mlines > most)
                s->mlines = most;
        if (s->mlines < 1000)
                return false;
        s->mlines -= 1000;
        return true;
}

static bool second_takes(time_t now, int *told)
{
        *told = 0;
        if (now != L.second) {
                *told = L.held_back;
                L.second = now;
                L.lines = L.held_back = 0;
        }
        if (L.lines < LINES_PER_S) {
                L.lines++;
                return true;
        }
        L.held_back++;
        return false;
}

/* How many of its lines were left out for a minute by now. */
static unsigned take_left_out(struct scope *s, int64_t at_ms)
{
        unsigned n = s->left_out && at_ms - s->since_ms >= TELL_MS ? s->left_out : 0;

        s->left_out -= n;
        return n;
}

struct turn {
        int held_back;     /* by the second before, of all */
        unsigned left_out; /* by the minute, of this scope */
};

static bool take_turn(enum log_level level, const char *name, time_t now, struct turn *t)
{
        bool go = true;

        *t = (struct turn){0};
        pthread_mutex_lock(&L.mu);
        if (level > LOG_ERROR) {
                int64_t at_ms = now_ms();
                struct scope *s = scope_of(name, at_ms);

                go = scope_takes(s, at_ms);
                if (!go && !s->left_out++)
                        s->since_ms = at_ms;
                t->left_out = go ? take_left_out(s, at_ms) : 0;
        }
        go = go && second_takes(now, &t->held_back);
        pthread_mutex_unlock(&L.mu);
        return go;
}

/* ---- lines ---- */

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

static void put_left_out(const char *name, unsigned n_lines, time_t now)
{
        char line[256];
        size_t n = put_head(line, sizeof(line), LOG_WARN, now);

        n += (size_t)snprintf(line + n, sizeof(line) - n, "%.96s: %u further lines were left out (log.per_minute)",
                              name, n_lines);
        put_line(line, n, sizeof(line));
}

void log_line(enum log_level level, const char *scope, const char *fmt, ...)
{
        time_t now = time(NULL);
        char line[1024];
        struct turn turn;
        size_t n;
        va_list ap;

        if (level > L.most || !take_turn(level, scope, now, &turn))
                return;
        if (turn.held_back) {
                n = put_head(line, sizeof(line), LOG_WARN, now);
                n += (size_t)snprintf(line + n, sizeof(line) - n, "log: %d lines left out in the last second",
                                      turn.held_back);
                put_line(line, n, sizeof(line));
        }
        if (turn.left_out)
                put_left_out(scope, turn.left_out, now);
        n = put_head(line, sizeof(line), level, now);
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s: ", scope);
        if (n < sizeof(line)) {
                va_start(ap, fmt);
                n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
                va_end(ap);
        }
        put_line(line, n, sizeof(line));
}

void log_tell_left_out(void)
{
        time_t now = time(NULL);

        for (int i = 0; i < SCOPES; i++) {
                struct scope *s = &L.scopes[i];
                unsigned n;

                pthread_mutex_lock(&L.mu);
                n = take_left_out(s, now_ms());
                pthread_mutex_unlock(&L.mu);
                if (n)
                        put_left_out(s->name, n, now);
        }
}
