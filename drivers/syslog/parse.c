/*
 * parse: see parse.h.
 *
 * RFC 5424 is a grammar; what calls itself "1" and is none is read as the older
 * kind.  RFC 3164 describes what was seen on the wire, so this reads what is
 * seen there: with and without host (glibc leaves it out), with program[pid]:
 * or without, with a time of 15 characters, with an ISO time (rsyslog's forward
 * format), or with nothing but a priority.  The old time has no year and no
 * zone and is never used; it is only told that there was one.
 *
 * Fails: never.  A priority above 191 or none at all: user.notice, and the
 * whole is the text.
 */
#include "drivers/syslog/parse.h"

#include <string.h>

#include "agent/base/text.h"

enum { USER = 1, NOTICE = 5, PRIORITY_MAX = 191, APP_MAX = 48, OLD_TIME_LEN = 15 };

struct reader {
        const char *p, *end;
};

static size_t left(const struct reader *r)
{
        return (size_t)(r->end - r->p);
}

static bool take_byte(struct reader *r, char c)
{
        if (r->p == r->end || *r->p != c)
                return false;
        r->p++;
        return true;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* <134>; leaves the reader where it was when there is none. */
static bool take_priority(struct reader *r, struct syslog_message *m)
{
        struct reader at = *r;
        unsigned n = 0;

        if (!take_byte(&at, '<') || !left(&at) || !is_digit(*at.p))
                return false;
        for (int i = 0; i < 3 && left(&at) && is_digit(*at.p); i++)
                n = 10 * n + (unsigned)(*at.p++ - '0');
        if (n > PRIORITY_MAX || !take_byte(&at, '>'))
                return false;
        m->facility = n / 8;
        m->severity = n % 8;
        *r = at;
        return true;
}

/* Up to a blank, which is taken too; false when nothing is there. */
static bool take_word(struct reader *r, const char **word, size_t *len)
{
        const char *blank = memchr(r->p, ' ', left(r));

        *word = r->p;
        *len = blank ? (size_t)(blank - r->p) : left(r);
        r->p = blank ? blank + 1 : r->end;
        return *len > 0;
}

/* ---- RFC 5424 ---- */

static bool is_nil(const char *s, size_t len)
{
        return len == 1 && *s == '-';
}

/* - or [id name="value" …]…, where " ] \ are escaped inside values. */
static bool take_structured(struct reader *r)
{
        if (take_byte(r, '-'))
                return true;
        if (!left(r) || *r->p != '[')
                return false;
        while (take_byte(r, '[')) {
                bool quoted = false;

                for (; left(r) && (quoted || *r->p != ']'); r->p++) {
                        if (*r->p == '"')
                                quoted = !quoted;
                        else if (quoted && *r->p == '\\' && left(r) > 1)
                                r->p++;
                }
                if (!take_byte(r, ']'))
                        return false;
        }
        return true;
}

static bool take_name(struct reader *r, const char **name, size_t *len)
{
        if (!take_word(r, name, len))
                return false;
        if (is_nil(*name, *len))
                *len = 0;
        return true;
}

static bool parse_5424(struct reader r, struct syslog_message *m)
{
        const char *time, *word, *data;
        size_t time_len, len;

        if (!take_byte(&r, '1') || !take_byte(&r, ' ') || !take_word(&r, &time, &time_len))
                return false;
        m->has_time = !is_nil(time, time_len);
        if (m->has_time && !text_time(time, time_len, &m->time_us, &m->has_zone))
                return false;
        if (!take_name(&r, &m->host, &m->host_len) || !take_name(&r, &m->app, &m->app_len) ||
            !take_word(&r, &word, &len) || !take_word(&r, &word, &len))
                return false;
        data = r.p;
        if (!take_structured(&r))
                return false;
        m->text = r.p;
        if (take_byte(&r, ' ')) {
                m->text = r.p;
                if (left(&r) >= 3 && memcmp(r.p, "\xef\xbb\xbf", 3) == 0)
                        m->text += 3;
        } else if (left(&r)) {
                return false;
        }
        m->text_len = (size_t)(r.end - m->text);
        if (!m->text_len && *data == '[') {
                m->text = data;
                m->text_len = (size_t)(r.end - data);
        }
        return true;
}

/* ---- RFC 3164 ---- */

/* "Nov 23 05:37:26 ", also with a one-digit day behind a blank. */
static bool take_old_time(struct reader *r)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec", form[] = "aaa d0 00:00:00";
        const char *p = r->p;

        if (left(r) < OLD_TIME_LEN)
                return false;
        for (int i = 3; i < OLD_TIME_LEN; i++) {
                bool fits = form[i] == '0'   ? is_digit(p[i])
                            : form[i] == 'd' ? is_digit(p[i]) || p[i] == ' '
                                             : p[i] == form[i];

                if (!fits)
                        return false;
        }
        for (int i = 0; i < 36; i += 3) {
                if (memcmp(p, months + i, 3) == 0) {
                        r->p += OLD_TIME_LEN;
                        take_byte(r, ' ');
                        return true;
                }
        }
        return false;
}

static void take_time(struct reader *r, struct syslog_message *m)
{
        struct reader at = *r;
        const char *word;
        bool has_zone;
        size_t len;

        m->has_time = take_old_time(r);
        m->has_zone = false;
        if (m->has_time || !take_word(&at, &word, &len) || !text_time(word, len, &m->time_us, &has_zone))
                return;
        m->has_time = true;
        m->has_zone = has_zone;
        *r = at;
}

static bool is_app_char(char c)
{
        return c == '/' || text_is_ascii_name(&c, 1);
}

/* "sshd[312]: " or "sshd: "; what has neither is text. */
static void take_app(struct reader *r, struct syslog_message *m)
{
        const char *p = r->p, *end = r->end;

        while (p < end && p - r->p < APP_MAX && is_app_char(*p))
                p++;
        m->app = r->p;
        m->app_len = 0;
        if (p == end || p == r->p || (*p != '[' && *p != ':'))
                return;
        m->app_len = (size_t)(p - r->p);
        if (*p == '[') {
                const char *closed = memchr(p, ']', (size_t)(end - p));

                if (!closed) {
                        m->app_len = 0;
                        return;
                }
                p = closed + 1;
        }
        r->p = p;
        take_byte(r, ':');
        take_byte(r, ' ');
}

static void take_host(struct reader *r, struct syslog_message *m)
{
        struct reader at = *r;
        const char *word;
        size_t len;

        m->host_len = 0;
        if (!take_word(&at, &word, &len) || at.p == at.end || word[len - 1] == ':' || memchr(word, '[', len))
                return;
        m->host = word;
        m->host_len = len;
        *r = at;
}

static void parse_3164(struct reader r, struct syslog_message *m)
{
        take_time(&r, m);
        if (m->has_time)
                take_host(&r, m);
        else
                m->host_len = 0;
        take_app(&r, m);
        m->text = r.p;
        m->text_len = left(&r);
}

void syslog_parse(const char *p, size_t len, struct syslog_message *m)
{
        struct reader r = {p, p + len};

        *m = (struct syslog_message){
                .facility = USER, .severity = NOTICE, .host = p, .app = p, .text = p, .text_len = len};
        if (!take_priority(&r, m))
                return;
        if (!parse_5424(r, m))
                parse_3164(r, m);
}

const char *syslog_facility(unsigned facility)
{
        static const char *const names[] = {"kern",   "user",   "mail",   "daemon", "auth",     "syslog",
                                            "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
                                            "ntp",    "audit",  "alert",  "clock",  "local0",   "local1",
                                            "local2", "local3", "local4", "local5", "local6",   "local7"};

        return names[facility];
}

const char *syslog_severity(unsigned severity)
{
        static const char *const names[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};

        return names[severity];
}
