/*
 * older: see older.h.
 *
 * RFC 3164 describes what was seen on the wire, so this reads what is seen
 * there.  Names are taken only from where they can be told from text:
 *
 *   - a host stands behind a time, and is an address, or is followed by what
 *     can't be the middle of a sentence: `program:`, `program[12]:`, Cisco's
 *     %FACILITY-5-MNEMONIC, a list of values.  "Nov 21 16:53:33 Interface up"
 *     names no host;
 *   - a program is a word with a letter in it, with : and a blank behind it, or
 *     [12]: and a blank; without a host before it, of two digits at most, for
 *     "Order4711: done" would be a new one each time;
 *   - numbers, times and names that switches put in front (sequence numbers, a
 *     message counter, origin-id, a place in the chassis) are passed over, as
 *     far as a time or a %MNEMONIC ends them.  Of these only origin-id is a
 *     name.  The mnemonic stays in the text: a device has hundreds.
 *
 * Fails: never.  What can't be told apart is text, as a whole.
 */
#include "drivers/syslog/older.h"

#include <string.h>

#include "drivers/syslog/stamp.h"
#include "drivers/syslog/words.h"

enum { DIGITS_MAX = 2, SEQUENCE_MAX = 12, ITEMS_MAX = 8 };

/* "Order4711: ", without a process: the number is another one the next time. */
static bool is_counted(const char *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                n += s[i] >= '0' && s[i] <= '9';
        return n > DIGITS_MAX && s[len] != '[';
}

static void take_program(struct words *r, struct syslog_message *m)
{
        size_t whole, len = words_program(r, &whole);

        if (!m->host_len && len && is_counted(r->p, len))
                len = 0;
        m->app = r->p;
        m->app_len = len;
        r->p += len ? whole : 0;
}

/*
 * What can't be the middle of a sentence, so that the word before it is a host.
 */
static bool is_behind_host(const struct words *r)
{
        struct words at = *r;
        size_t whole, n;

        if (words_program(&at, &whole) || words_is_mnemonic(&at))
                return true;
        if (words_take(&at, ": ") || words_take(&at, "MSWinEventLog"))
                return true;
        n = words_count(&at, "_", true); /* date=2026-11-21, of firewalls */
        if (n && n < words_left(&at) && at.p[n] == '=' && words_has_letter(at.p, n))
                return true;
        n = words_count(&at, "_-!", true); /* system,info,account or 1,2026/11/21 */
        return n && n + 1 < words_left(&at) && at.p[n] == ',' && at.p[n + 1] != ' ' &&
               (!words_has_letter(at.p, n) || *at.p >= 'a');
}

static void take_host(struct words *r, struct syslog_message *m)
{
        struct words at = *r;
        const char *word, *blank;
        size_t len;

        m->host_len = 0;
        if (words_take(&at, "Message forwarded from ")) { /* AIX */
                len = words_count(&at, "._-", true);
                if (words_is_host(at.p, len) && len + 1 < words_left(&at) && at.p[len] == ':') {
                        *r = (struct words){at.p + len + 1, at.end};
                        m->host = at.p;
                        m->host_len = len;
                        words_skip_blanks(r);
                }
                return;
        }
        blank = memchr(at.p, ' ', words_left(&at));
        if (!blank)
                return;
        word = at.p;
        len = (size_t)(blank - at.p);
        at.p = blank;
        words_skip_blanks(&at);
        m->host_len = words_address(&word, len);
        if (!m->host_len && words_is_host(word, len) && (is_behind_host(&at) || words_dots(word, len) > 1))
                m->host_len = len;
        if (!m->host_len)
                return;
        m->host = word;
        if (words_take(&at, ": "))
                words_skip_blanks(&at);
        *r = at;
}

/* ---- switches ---- */

struct front {
        const char *host;
        size_t host_len;
        struct syslog_stamp stamp;
        bool has_stamp, ended; /* ended: by a time with something before it, so that it is no text */
        int n_before;          /* of the time */
};

/* "37972: ", ": ", ":" */
static bool take_sequence(struct words *r)
{
        struct words at = *r;
        size_t n = words_count(&at, "", false);

        at.p += n;
        if (n > SEQUENCE_MAX || !words_take(&at, ":") || (!words_take(&at, " ") && n))
                return false;
        *r = at;
        return true;
}

/* "00:01:23: ", "3d02h: ", "1y12w: " since the device has started */
static bool take_uptime(struct words *r)
{
        struct words at = *r;
        size_t n = words_count(&at, "ywdhms:", false);

        while (n && at.p[n - 1] == ':')
                n--;
        if (n < 3 || n > 12 || (*at.p < '0' || *at.p > '9'))
                return false;
        at.p += n;
        if (!words_take(&at, ": "))
                return false;
        *r = at;
        return true;
}

/* "RP/0/RSP0/CPU0:", "*spamApTask0: " */
static bool take_place(struct words *r)
{
        struct words at = *r;
        bool task = words_take(&at, "*");
        size_t n = words_count(&at, task ? "_-" : "/", true);

        if (!n || (!task && !memchr(at.p, '/', n)))
                return false;
        at.p += n;
        if (!words_take(&at, ":"))
                return false;
        *r = at;
        return true;
}

/* "sw1: ", "sw1 : ", before a %MNEMONIC "sw1 ", "10.0.0.1: " */
static bool take_origin(struct words *r, struct front *f)
{
        const char *blank = memchr(r->p, ' ', words_left(r)), *word = r->p;
        size_t len = blank ? (size_t)(blank - r->p) : 0, host_len;
        bool colon = len && word[len - 1] == ':';
        struct words at = {blank ? blank : r->end, r->end};

        len -= colon;
        words_skip_blanks(&at);
        if (!len || f->host_len || at.p == at.end)
                return false;
        host_len = words_address(&word, len);
        if (!host_len && words_is_host(word, len))
                host_len = len;
        if (!host_len)
                return false;
        if (!colon && !words_take(&at, ": ") && !words_is_mnemonic(&at))
                return false;
        f->host_len = host_len;
        f->host = word;
        *r = at;
        return true;
}

static bool take_stamp(struct words *r, struct front *f)
{
        size_t n = f->has_stamp && f->n_before == 0 ? 0 : syslog_stamp_take(r->p, words_left(r), &f->stamp);
        struct words at = {r->p + n, r->end};

        if (!n)
                return false;
        words_skip_blanks(&at);
        f->ended = f->n_before > 0 && words_take(&at, ":");
        if (!f->ended)
                words_take(&at, ":");
        words_skip_blanks(&at);
        f->has_stamp = true;
        *r = at;
        return true;
}

/*
 * A zone with a name of its own stands where a host could: "16:53:33.1 NewYork:
 * %".
 */
static bool take_zone(struct words *r, const struct front *f)
{
        struct words at = *r;
        size_t n = 0;

        while (n < words_left(&at) && words_has_letter(at.p + n, 1))
                n++;
        at.p += n;
        if (!f->has_stamp || !n || !words_take(&at, ": ") || !words_is_mnemonic(&at))
                return false;
        *r = at;
        return true;
}

/* Whatever a switch puts in front. False: it is none, and *r as it was. */
static bool take_front(struct words *r, struct front *f)
{
        struct words at = *r;

        *f = (struct front){0};
        for (int i = 0; i < ITEMS_MAX && !words_is_mnemonic(&at); i++) {
                words_skip_blanks(&at);
                if (words_is_mnemonic(&at))
                        break;
                if (take_stamp(&at, f)) {
                        if (f->ended && !words_is_mnemonic(&at)) { /* debug output has no mnemonic */
                                *r = at;
                                return true;
                        }
                        continue;
                }
                if (take_zone(&at, f))
                        continue;
                f->n_before++;
                if (!take_sequence(&at) && !take_uptime(&at) && !take_place(&at) && !take_origin(&at, f))
                        return false;
        }
        if (!words_is_mnemonic(&at))
                return false;
        *r = at;
        return true;
}

static void set_stamp(struct syslog_message *m, const struct syslog_stamp *stamp)
{
        m->has_time = true;
        m->has_zone = stamp->has_zone;
        m->time_us = stamp->time_us;
}

void syslog_parse_older(const char *p, size_t len, struct syslog_message *m)
{
        struct words r = {p, p + len}, at;
        struct syslog_stamp stamp;
        struct front front;
        size_t n;

        m->has_time = m->has_zone = false;
        m->host_len = m->app_len = 0;
        words_take(&r, "\xef\xbb\xbf");
        at = r;
        words_skip_blanks(&at);
        if (take_front(&at, &front)) {
                r = at;
                m->host = front.host ? front.host : p;
                m->host_len = front.host_len;
                if (front.has_stamp)
                        set_stamp(m, &front.stamp);
                take_program(&at, m);
                if (m->app_len && words_is_mnemonic(&at))
                        r = at;
                else
                        m->app_len = 0;
        } else {
                n = syslog_stamp_take(at.p, words_left(&at), &stamp);
                if (n) {
                        r = (struct words){at.p + n, at.end};
                        set_stamp(m, &stamp);
                        words_take(&r, ":");
                        words_skip_blanks(&r);
                        take_host(&r, m);
                        at = r;
                        if (take_front(&at, &front))
                                r = at;
                }
                take_program(&r, m);
        }
        words_take(&r, "\xef\xbb\xbf");
        m->text = r.p;
        m->text_len = words_left(&r);
}
