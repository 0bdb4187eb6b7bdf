/*
 * log: one line per happening, to standard error.
 *
 * Under systemd (JOURNAL_STREAM set) lines start with <priority>; elsewhere
 * with a time and a level word.  Never per reading. Any thread.  A line is one
 * write(2).  At most 64 lines a second go out, and so many a minute of one
 * scope (errors aside); what is above is counted and told in one line.
 */
#ifndef MILLRACE_BASE_LOG_H
#define MILLRACE_BASE_LOG_H

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

void log_init(enum log_level most);
void log_bound(int lines_per_minute); /* of one scope; 30 until then */

/*
 * To be called now and then: tells, a minute after a scope was bound, how many
 * lines were left out.
 */
void log_tell_left_out(void);

/*
 * `scope` is where it happened, as people know it: "spool", "kafka", "mqtt
 * plant".
 */
void log_line(enum log_level level, const char *scope, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(scope, ...)  log_line(LOG_ERROR, scope, __VA_ARGS__)
#define log_warn(scope, ...)   log_line(LOG_WARN, scope, __VA_ARGS__)
#define log_notice(scope, ...) log_line(LOG_NOTICE, scope, __VA_ARGS__)
#define log_info(scope, ...)   log_line(LOG_INFO, scope, __VA_ARGS__)
#define log_debug(scope, ...)  log_line(LOG_DEBUG, scope, __VA_ARGS__)

#endif
