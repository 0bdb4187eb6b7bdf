/*
 * Messages of both RFCs and of the wire's own kinds, to their parts; the examples of RFC 5424 and 3164 among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/syslog/parse.h"

#define BOM "\xef\xbb\xbf"

/* facility.severity host app time text */
static void put(char *out, size_t cap, const struct syslog_message *m)
{
        char time[32] = "-";

        if (m->has_time && m->has_zone)
                snprintf(time, sizeof(time), "%lld", (long long)m->time_us);
        else if (m->has_time)
                strcpy(time, "?");
        snprintf(out, cap, "%s.%s [%.*s] [%.*s] %s [%.*s]", syslog_facility(m->facility), syslog_severity(m->severity),
                 (int)m->host_len, m->host, (int)m->app_len, m->app, time, (int)m->text_len, m->text);
}

static const struct {
        const char *message, *parts;
} rows[] = {
        /* RFC 5424 */
        {"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - " BOM "'su root' failed for lonvick",
         "auth.crit [mymachine.example.com] [su] 1065910455003000 ['su root' failed for lonvick]"},
        {"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time",
         "local4.notice [192.0.2.1] [myproc] 1061727255000003 [%% It's time]"},
        {"<165>1 2003-10-11T22:14:15.003Z m evntslog - ID47 [a@1 iut=\"3\" s=\"x\\\"]y\"][b@1 c=\"d\"] text",
         "local4.notice [m] [evntslog] 1065910455003000 [text]"},
        {"<165>1 2003-10-11T22:14:15.003Z m evntslog - ID47 [a@1 iut=\"3\"]",
         "local4.notice [m] [evntslog] 1065910455003000 [[a@1 iut=\"3\"]]"},
        {"<13>1 - - - - - -", "user.notice [] [] - []"},
        {"<13>1 - h a 1 2 - two  blanks ", "user.notice [h] [a] - [two  blanks ]"},
        {"<0>1 - h a - - - x", "kern.emerg [h] [a] - [x]"},
        {"<191>1 - h a - - - x", "local7.debug [h] [a] - [x]"},
        /* RFC 3164 */
        {"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
         "auth.crit [mymachine] [su] ? ['su root' failed for lonvick on /dev/pts/8]"},
        {"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "user.notice [10.0.0.99] [] ? [Use the BFG!]"},
        {"<86>Nov 23 05:37:26 plc-server sshd[312]: Accepted key",
         "authpriv.info [plc-server] [sshd] ? [Accepted key]"},
        {"<86>Nov 23 05:37:26 plc-server postfix/smtpd[312]: x", "authpriv.info [plc-server] [postfix/smtpd] ? [x]"},
        {"<30>Nov 23 05:37:26 dhclient[9]: bound", "daemon.info [] [dhclient] ? [bound]"},
        {"<30>Nov 23 05:37:26 dhclient: bound to x", "daemon.info [] [dhclient] ? [bound to x]"},
        {"<30>2026-11-23T05:37:26.5+01:00 plc app[1]: x", "daemon.info [plc] [app] 1795408646500000 [x]"},
        {"<30>2026-11-23T05:37:26 plc app: x", "daemon.info [plc] [app] ? [x]"},
        {"<190>%LINK-3-UPDOWN: Interface up", "local7.info [] [] - [%LINK-3-UPDOWN: Interface up]"},
        {"<30>app: no time", "daemon.info [] [app] - [no time]"},
        {"<30>app[12: x", "daemon.info [] [] - [app[12: x]"},
        {"<30>", "daemon.info [] [] - []"},
        /* neither */
        {"just words", "user.notice [] [] - [just words]"},
        {"<192>x: y", "user.notice [] [] - [<192>x: y]"},
        {"<1234>x", "user.notice [] [] - [<1234>x]"},
        {"<>x", "user.notice [] [] - [<>x]"},
        {"<13", "user.notice [] [] - [<13]"},
        {"", "user.notice [] [] - []"},
        /* what says it is of version 1 and is not */
        {"<13>1 yesterday h a - - - x", "user.notice [] [] - [1 yesterday h a - - - x]"},
        {"<13>1 - h a - - [open", "user.notice [] [] - [1 - h a - - [open]"},
        {"<13>1 - h a - - [a b=\"c\"]x", "user.notice [] [] - [1 - h a - - [a b=\"c\"]x]"},
        {"<13>1 - h a", "user.notice [] [] - [1 - h a]"},
        {"<13>2 - h a - - - x", "user.notice [] [] - [2 - h a - - - x]"},
        {"<13>Nov 23 05:37:2x host a: b", "user.notice [] [] - [Nov 23 05:37:2x host a: b]"},
        {"<13>Foo 23 05:37:26 host a: b", "user.notice [] [] - [Foo 23 05:37:26 host a: b]"},
};

static void messages(void **state)
{
        char got[400];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct syslog_message m;

                syslog_parse(rows[i].message, strlen(rows[i].message), &m);
                put(got, sizeof(got), &m);
                assert_string_equal(got, rows[i].parts);
        }
}

/* Cut anywhere, a message is still one, and nothing behind its end is looked at. */
static void cut_messages(void **state)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                size_t len = strlen(rows[i].message);

                for (size_t n = 0; n < len; n++) {
                        struct syslog_message m;
                        char copy[300];

                        memset(copy, '"', sizeof(copy));
                        memcpy(copy, rows[i].message, n);
                        syslog_parse(copy, n, &m);
                        assert_true(m.text >= copy && m.text + m.text_len == copy + n);
                        assert_true(!m.host_len || (m.host >= copy && m.host + m.host_len <= copy + n));
                        assert_true(!m.app_len || (m.app >= copy && m.app + m.app_len <= copy + n));
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(messages),
                cmocka_unit_test(cut_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
