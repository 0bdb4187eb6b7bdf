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
        /* Cisco, by what service timestamps, sequence-numbers and origin-id leave in front */
        {"<187>37972: Nov 21 16:53:33: %LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
         "local7.err [] [] ? [%LINK-3-UPDOWN: Interface Gi0/1, changed state to down]"},
        {"<187>37973: Nov 21 16:53:33.123: %LINK-3-UPDOWN: x", "local7.err [] [] ? [%LINK-3-UPDOWN: x]"},
        {"<187>37974: *Nov 21 16:53:33.123: %LINK-3-UPDOWN: x", "local7.err [] [] ? [%LINK-3-UPDOWN: x]"},
        {"<187>37975: .Nov 21 16:53:33.123: %LINK-3-UPDOWN: x", "local7.err [] [] ? [%LINK-3-UPDOWN: x]"},
        {"<187>37976: *Nov  1 2026 16:53:33.123 UTC: %LINK-3-UPDOWN: x", "local7.err [] [] ? [%LINK-3-UPDOWN: x]"},
        {"<187>37976: Nov 21 2026 16:53:33.123 UTC: %LINK-3-UPDOWN: x",
         "local7.err [] [] 1795280013123000 [%LINK-3-UPDOWN: x]"},
        {"<187>37977: Nov 21 2026 16:53:33 KST: %LINK-3-UPDOWN: x", "local7.err [] [] ? [%LINK-3-UPDOWN: x]"},
        {"<188>179767: fakhost: Nov 23 22:23:27.833 NewYork: %SW_MATM-4-MACFLAP_NOTIF: Host bd60",
         "local7.warning [fakhost] [] ? [%SW_MATM-4-MACFLAP_NOTIF: Host bd60]"},
        {"<189>7662: Nov 23 22:23:27.921 NewYork: %SEC_LOGIN-5-LOGIN_SUCCESS: ok",
         "local7.notice [] [] ? [%SEC_LOGIN-5-LOGIN_SUCCESS: ok]"},
        {"<190>421370: 421366: Nov 23 22:23:27: %SEC-6-IPACCESSLOGP: list",
         "local7.info [] [] ? [%SEC-6-IPACCESSLOGP: list]"},
        {"<190>421370: 10.20.0.1: 421366: Nov 23 22:23:27: %SEC-6-IPACCESSLOGP: list",
         "local7.info [10.20.0.1] [] ? [%SEC-6-IPACCESSLOGP: list]"},
        {"<190>sw1: 421366: Nov 23 22:23:27: %SEC-6-IPACCESSLOGP: list",
         "local7.info [sw1] [] ? [%SEC-6-IPACCESSLOGP: list]"},
        {"<189>45: 00:01:23: %SYS-5-RESTART: System restarted",
         "local7.notice [] [] - [%SYS-5-RESTART: System restarted]"},
        {"<189>46: 3d02h: %SYS-5-CONFIG_I: x", "local7.notice [] [] - [%SYS-5-CONFIG_I: x]"},
        {"<189>46: 1y12w: %SYS-5-CONFIG_I: x", "local7.notice [] [] - [%SYS-5-CONFIG_I: x]"},
        {"<189>47: %SYS-5-CONFIG_I: x", "local7.notice [] [] - [%SYS-5-CONFIG_I: x]"},
        {"<191>48: Nov 21 16:53:33: OSPF: rcv. v:2 t:1", "local7.debug [] [] ? [OSPF: rcv. v:2 t:1]"},
        {"<187>Mar 23 10:21:03 93: *2003 Mar 23 12:12:12 PDT -8:00 %PIX-4-106023 x",
         "local7.err [] [] ? [%PIX-4-106023 x]"},
        {"<187>*Mar 23 12:12:12 PDT %PIX-4-106023 x", "local7.err [] [] ? [%PIX-4-106023 x]"},
        {"<189>Nov 21 16:53:33 10.0.0.1 123: *Nov 21 16:53:33.123: %SYS-5-CONFIG_I: x",
         "local7.notice [10.0.0.1] [] ? [%SYS-5-CONFIG_I: x]"},
        {"<134>25: host-w3k: Feb 13 2007 18:23:21.408 +0000: %ICM_Router_CallRouter-6-10500FF: [comp=Router-A]",
         "local0.info [host-w3k] [] 1171391001408000 [%ICM_Router_CallRouter-6-10500FF: [comp=Router-A]]"},
        /* NX-OS, IOS XR, ASA, wireless controllers */
        {"<189>: 2026 Nov 21 16:53:33 KST: %ETHPORT-5-IF_UP: x", "local7.notice [] [] ? [%ETHPORT-5-IF_UP: x]"},
        {"<190>sw01.pdx01: 2017 Jul 28 14:42:46 UTC: %AUTHPRIV-6-SYSTEM_MSG: pam_unix(x)",
         "local7.info [sw01.pdx01] [] 1501252966000000 [%AUTHPRIV-6-SYSTEM_MSG: pam_unix(x)]"},
        {"<187>2026 Nov 21 16:53:33.123 sw-1 %$VDC-1$ %ETHPORT-3-IF_DOWN: x",
         "local7.err [sw-1] [] ? [%$VDC-1$ %ETHPORT-3-IF_DOWN: x]"},
        {"<189>123: RP/0/RSP0/CPU0:Nov 21 16:53:33.123 : ifmgr[216]: %PKT_INFRA-LINK-3-UPDOWN : x",
         "local7.notice [] [ifmgr] ? [%PKT_INFRA-LINK-3-UPDOWN : x]"},
        {"<166>Nov 21 2026 16:53:33 fw1 : %ASA-6-302013: Built", "local4.info [fw1] [] ? [%ASA-6-302013: Built]"},
        {"<166>Nov 21 2026 16:53:33: %ASA-6-302013: Built", "local4.info [] [] ? [%ASA-6-302013: Built]"},
        {"<166>:Nov 21 16:53:33 KST: %ASA-session-6-302013: Built",
         "local4.info [] [] ? [%ASA-session-6-302013: Built]"},
        {"<166>%ASA-6-302013: Built", "local4.info [] [] - [%ASA-6-302013: Built]"},
        {"<134>wlc1: *spamApTask0: Nov 21 16:53:33.123: %CAPWAP-3-ECHO_ERR: x",
         "local0.info [wlc1] [] ? [%CAPWAP-3-ECHO_ERR: x]"},
        /* Juniper, Meraki, MikroTik, firewalls, switches of the shop floor */
        {"<28>Nov 21 16:53:33  router-1 mib2d[2132]: SNMP_TRAP_LINK_DOWN: ifIndex 5",
         "daemon.warning [router-1] [mib2d] ? [SNMP_TRAP_LINK_DOWN: ifIndex 5]"},
        {"<28>Nov 21 16:53:33.123 2026 router-1 mgd[1]: x", "daemon.warning [router-1] [mgd] ? [x]"},
        {"<134>1 1479700413.123456789 MX84 flows src=10.0.0.1",
         "local0.info [MX84] [] 1479700413123456 [flows src=10.0.0.1]"},
        {"<30>Nov 21 16:53:33 MikroTik system,info,account user admin logged in",
         "daemon.info [MikroTik] [] ? [system,info,account user admin logged in]"},
        {"<30>system,info,account user admin logged in",
         "daemon.info [] [] - [system,info,account user admin logged in]"},
        {"<14>Nov 21 16:53:33 PA-220 1,2026/11/21 16:53:33,0123,TRAFFIC",
         "user.info [PA-220] [] ? [1,2026/11/21 16:53:33,0123,TRAFFIC]"},
        {"<189>date=2026-11-21 time=16:53:33 devname=\"FG100\" logid=1",
         "local7.notice [] [] - [date=2026-11-21 time=16:53:33 devname=\"FG100\" logid=1]"},
        {"<189>Nov 21 16:53:33 FG100 date=2026-11-21 time=16:53:33",
         "local7.notice [FG100] [] ? [date=2026-11-21 time=16:53:33]"},
        {"<134>Nov 21 16:53:33 10.0.0.2 00077 ports:  port 3 is now off-line",
         "local0.info [10.0.0.2] [] ? [00077 ports:  port 3 is now off-line]"},
        {"<14>Nov 21 16:53:33 192.168.0.239-1 TRAPMGR[53034816]: traputil.c(696) 1 %% Link Up",
         "user.info [192.168.0.239-1] [TRAPMGR] ? [traputil.c(696) 1 %% Link Up]"},
        {"<14> Nov 21 16:53:33 192.168.127.253 Moxa: Port 1 link on",
         "user.info [192.168.127.253] [Moxa] ? [Port 1 link on]"},
        {"<14>Nov 21 16:53:33 fw CEF:0|Vendor|P|1|2|n|5|src=1",
         "user.info [fw] [CEF] ? [CEF:0|Vendor|P|1|2|n|5|src=1]"},
        {"<14>Nov 21 16:53:33 WIN1 MSWinEventLog\t1\tSecurity", "user.info [WIN1] [] ? [MSWinEventLog\t1\tSecurity]"},
        {"<13>Nov 21 16:53:33 Message forwarded from aix1: cron[12]: x", "user.notice [aix1] [cron] ? [x]"},
        {"<38>Nov 21 16:53:33 sshd[312]: [ID 800047 auth.info] x", "auth.info [] [sshd] ? [[ID 800047 auth.info] x]"},
        {"<166>2026-11-21T16:53:33.123Z esx1 Hostd: info hostd[2100] x",
         "local4.info [esx1] [Hostd] 1795280013123000 [info hostd[2100] x]"},
        /* times */
        {"<13>2026-11-21 16:53:33 plc app: x", "user.notice [plc] [app] ? [x]"},
        {"<13>2026-11-21 16:53:33,123 UTC plc app: x", "user.notice [plc] [app] 1795280013123000 [x]"},
        {"<13>2026-11-21 16:53:33 +0900 plc app: x", "user.notice [plc] [app] 1795247613000000 [x]"},
        {"<13>Sat Nov 21 16:53:33 2026 plc app: x", "user.notice [plc] [app] ? [x]"},
        {"<13>Nov 1 16:53:33 plc app: x", "user.notice [plc] [app] ? [x]"},
        {"<13>Nov 01 16:53:33 UTC plc app: x", "user.notice [plc] [app] ? [x]"},
        {"<13>Nov 21 16:53:33 2026 UTC plc app: x", "user.notice [plc] [app] 1795280013000000 [x]"},
        {"<13>Nov 21 24:53:33 plc app: x", "user.notice [] [] - [Nov 21 24:53:33 plc app: x]"},
        {"<13>Nov 32 16:53:33 plc app: x", "user.notice [] [] - [Nov 32 16:53:33 plc app: x]"},
        /* hosts */
        {"<13>Nov 21 16:53:33 fe80::1 app: x", "user.notice [fe80::1] [app] ? [x]"},
        {"<13>Nov 21 16:53:33 [2001:db8::7]:514 app: x", "user.notice [2001:db8::7] [app] ? [x]"},
        {"<13>Nov 21 16:53:33 10.0.0.1:514 app: x", "user.notice [10.0.0.1] [app] ? [x]"},
        {"<13>Nov 21 16:53:33 ::ffff:10.0.0.1 words", "user.notice [::ffff:10.0.0.1] [] ? [words]"},
        {"<13>Nov 21 16:53:33 src@relay/10.0.0.9 app: x", "user.notice [src@relay/10.0.0.9] [app] ? [x]"},
        {"<13>Nov 21 16:53:33 공장-1 펌프: x", "user.notice [공장-1] [펌프] ? [x]"},
        {"<13>Nov 21 16:53:33 press.line.plant words", "user.notice [press.line.plant] [] ? [words]"},
        /* what is text is no name */
        {"<13>Nov 21 16:53:33 Interface up", "user.notice [] [] ? [Interface up]"},
        {"<13>Nov 21 16:53:33 last message repeated 3 times", "user.notice [] [] ? [last message repeated 3 times]"},
        {"<13>Nov 21 16:53:33 Motor 3: hot", "user.notice [] [] ? [Motor 3: hot]"},
        {"<13>Nov 21 16:53:33 42: hot", "user.notice [] [] ? [42: hot]"},
        {"<13>37972: words", "user.notice [] [] - [37972: words]"},
        {"<13>12:30:05: words", "user.notice [] [] - [12:30:05: words]"},
        {"<13>http://10.0.0.1/x", "user.notice [] [] - [http://10.0.0.1/x]"},
        {"<13>Order4711: done", "user.notice [] [] - [Order4711: done]"},
        {"<13>Nov 21 16:53:33 Order4711: done", "user.notice [] [] ? [Order4711: done]"},
        {"<13>Nov 21 16:53:33 php7.4[4711]: x", "user.notice [] [php7.4] ? [x]"},
        {"<13>python3: x", "user.notice [] [python3] - [x]"},
        {"<13>two words: x", "user.notice [] [] - [two words: x]"},
        {"<13>Motor[links] steht", "user.notice [] [] - [Motor[links] steht]"},
        {"<13>Nov 21 16:53:33 a, b and c", "user.notice [] [] ? [a, b and c]"},
        /* marks and no priority */
        {BOM "<13>Nov 21 16:53:33 plc app: x", "user.notice [plc] [app] ? [x]"},
        {"<13>" BOM "Nov 21 16:53:33 plc app: " BOM "x", "user.notice [plc] [app] ? [x]"},
        {"Nov 21 16:53:33 plc app: x", "user.notice [plc] [app] ? [x]"},
        {"37972: Nov 21 16:53:33: %LINK-3-UPDOWN: x", "user.notice [] [] ? [%LINK-3-UPDOWN: x]"},
        {"app: x", "user.notice [] [] - [app: x]"},
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
                print_message("%s\n", rows[i].message);
                put(got, sizeof(got), &m);
                assert_string_equal(got, rows[i].parts);
        }
}

/* Cut anywhere, a message is still one, and nothing behind its end is looked at. */
static void cut_messages(void **state)
{
        assert_true(sizeof(rows) / sizeof(*rows) > 100);
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
