/*
 * parse: see parse.h.
 *
 * RFC 5424 is a grammar; what calls itself "1" and is none is read as the older
 * kind (older.c).
 *
 * Fails: never.  A priority above 191: user.notice, and the whole is the text;
 * so it is without any, unless a time stands in front.
 */
#include "drivers/syslog/parse.h"

#include <string.h>

#include "agent/base/text.h"
#include "drivers/syslog/older.h"

enum { USER = 1, NOTICE = 5, PRIORITY_MAX = 191 };

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

/* ---- any ---- */

/*
 * "1 1479700413.123456789 MX84 flows src=…": Meraki, of version 1 with a time
 * of its own.
 */
static bool parse_epoch(struct reader r, struct syslog_message *m)
{
        int64_t us = 0, unit = 100000;
        const char *time, *word;
        size_t time_len, len;

        if (!take_byte(&r, '1') || !take_byte(&r, ' ') || !take_word(&r, &time, &time_len) || time_len < 12 ||
            time_len > 20 || time[10] != '.' || !take_word(&r, &word, &len) || is_digit(*word))
                return false;
        for (size_t i = 0; i < time_len; i++) {
                if (i == 10)
                        continue;
                if (!is_digit(time[i]))
                        return false;
                us = i < 10 ? us * 10 + (time[i] - '0') * INT64_C(1000000) : us + unit * (time[i] - '0');
                unit /= i > 10 ? 10 : 1;
        }
        m->has_time = m->has_zone = true;
        m->time_us = us;
        m->host = word;
        m->host_len = len;
        m->text = r.p;
        m->text_len = left(&r);
        return true;
}

void syslog_parse(const char *p, size_t len, struct syslog_message *m)
{
        const struct syslog_message whole = {
                .facility = USER, .severity = NOTICE, .host = p, .app = p, .text = p, .text_len = len};
        struct reader r = {p, p + len};

        *m = whole;
        if (left(&r) >= 3 && memcmp(r.p, "\xef\xbb\xbf", 3) == 0)
                r.p += 3;
        if (!take_priority(&r, m)) {
                syslog_parse_older(p, len, m);
                if (!m->has_time)
                        *m = whole;
        } else if (!parse_5424(r, m) && !parse_epoch(r, m)) {
                syslog_parse_older(r.p, left(&r), m);
        }
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
