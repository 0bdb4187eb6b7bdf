/*
 * The driver on loopback sockets: tags and labels, times, a spool without room that makes TCP senders wait and loses
 * nothing, bounds on connections, tags and lengths.
 */
#include "tests/lib/driver_bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "drivers/syslog/syslog.h"

static struct driver_bench b;
static struct syslog_conf conf;
static char listen_at[32];
static int port;

static void note_message(struct driver *d, const struct reading *r)
{
        const struct tag *tag = tags_get(d->tags, r->tag);

        transcript_add("%s/%s %.*s", tag->source, tag->name, (int)r->len, r->v.text);
}

static int sender(int type)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, type, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        return fd;
}

static void send_all(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
        bench_turn(&b);
}

static int free_port(void)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
        close(fd);
        return ntohs(at.sin_port);
}

static int set_up(void **state)
{
        port = free_port();
        snprintf(listen_at, sizeof(listen_at), "127.0.0.1:%d", port);
        conf = (struct syslog_conf){
                .name = "plant", .listen = listen_at, .max_connections = 2, .max_tags = 5, .idle_timeout_us = 60000000};
        bench_init(&b, &syslog_ops, "plant", &conf);
        b.note = note_message;
        b.end = '|';
        bench_start(&b);
        transcript_expect("up|");
        return 0;
}

static int tear_down(void **state)
{
        bench_fini(&b);
        return 0;
}

/* ---- the tests ---- */

static void both_protocols(void **state)
{
        int udp = sender(SOCK_DGRAM), tcp = sender(SOCK_STREAM);

        send_all(udp, "<86>1 2026-11-23T05:20:00Z plc sshd 3 - - hello");
        transcript_expect("plc/sshd hello|");
        assert_string_equal(tags_get(b.d.tags, b.last.tag)->labels, "\"facility\":\"authpriv\",\"severity\":\"info\"");
        assert_int_equal(b.last.ts_us, INT64_C(1795411200) * 1000000);
        assert_int_equal(b.last.flags, READING_SOURCE_TIME);
        assert_int_equal(b.last.quality, QUALITY_GOOD);
        send_all(udp, "no header at all\n");
        transcript_expect("127.0.0.1/message no header at all|");
        assert_int_equal(b.last.flags, 0);
        send_all(udp, "");
        send_all(udp, "\r\n");
        transcript_expect("");

        send_all(tcp, "<30>Nov 23 05:20:00 plc dhclient[1]: bound\n5 <13>x<13");
        transcript_expect("plc/dhclient bound|127.0.0.1/message x|");
        send_all(tcp, ">y");
        close(tcp);
        bench_turn(&b);
        transcript_expect("127.0.0.1/message y|");
        close(udp);
}

static void an_old_time_is_not_believed(void **state)
{
        int udp = sender(SOCK_DGRAM);

        send_all(udp, "<30>Nov 23 05:20:00 plc app: x");
        assert_int_equal(b.last.ts_us, b.last.arrival_us);
        assert_int_equal(b.last.flags, READING_TIME_UNTRUSTED);
        assert_int_equal(b.last.quality, QUALITY_UNCERTAIN);
        send_all(udp, "<30>1 2046-11-23T05:20:00Z plc app - - - x");
        assert_int_equal(b.last.flags, READING_TIME_UNTRUSTED);
        send_all(udp, "<30>1 - plc app - - - x");
        assert_int_equal(b.last.flags, 0);
        assert_int_equal(b.last.quality, QUALITY_GOOD);
        close(udp);
}

/* Three messages of room at a time; nothing is lost, nothing twice, each sender's order is kept. */
static void senders_wait(void **state)
{
        enum { N = 5000 };
        int tcp[2] = {sender(SOCK_STREAM), sender(SOCK_STREAM)}, udp = sender(SOCK_DGRAM);
        unsigned next[2] = {0, 0};
        char text[64];

        bench_turn(&b);
        b.room = 3;
        for (int i = 0; i < N; i++) {
                for (int k = 0; k < 2; k++) {
                        snprintf(text, sizeof(text), "<13>h%d: %d\n", k, i);
                        assert_int_equal(send(tcp[k], text, strlen(text), 0), strlen(text));
                }
        }
        bench_turn(&b);
        assert_true(b.d.paused);
        assert_int_equal(b.n_taken, 3);
        send_all(udp, "<13>1 - u a - - - can not wait");
        assert_int_equal(b.n_taken, 4);
        while (b.n_taken < 2 * N + 1) {
                size_t before = b.n_taken;

                bench_make_room(&b, 3);
                bench_turn(&b);
                assert_true(b.n_taken > before);
        }
        for (const char *p = transcript; *p; p = strchr(p, '|') + 1) {
                unsigned k, i;

                if (sscanf(p, "127.0.0.1/h%u %u|", &k, &i) == 2)
                        assert_int_equal(i, next[k]++);
        }
        assert_int_equal(next[0], N);
        assert_int_equal(next[1], N);
        for (int k = 0; k < 2; k++)
                close(tcp[k]);
        close(udp);
}

static void what_waits_at_the_end_is_handed_over(void **state)
{
        int tcp = sender(SOCK_STREAM);

        bench_turn(&b);
        b.room = 0;
        send_all(tcp, "<13>a: 1\n<13>a: 2\n<13>a: 3");
        transcript_expect("");
        syslog_ops.stop(&b.d);
        transcript_expect("dropped:127.0.0.1/a 1|dropped:127.0.0.1/a 2|dropped:127.0.0.1/a 3|stopped|");
        close(tcp);
}

static bool is_closed(int fd)
{
        char c;

        return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void connections_are_bounded(void **state)
{
        int tcp[3];

        for (int i = 0; i < 3; i++) {
                tcp[i] = sender(SOCK_STREAM);
                bench_turn(&b);
        }
        assert_false(is_closed(tcp[0]) || is_closed(tcp[1]));
        assert_true(is_closed(tcp[2]));
        assert_int_equal(b.d.n_errors, 1);
        close(tcp[2]);
        close(tcp[0]);
        bench_turn(&b);
        tcp[0] = sender(SOCK_STREAM);
        send_all(tcp[0], "<13>a: x\n");
        transcript_expect("127.0.0.1/a x|");
        /* who says nothing for long makes room */
        bench_pass(&b, 61000000);
        assert_true(is_closed(tcp[0]) && is_closed(tcp[1]));
        close(tcp[0]);
        close(tcp[1]);
}

static void tags_are_bounded(void **state)
{
        int udp = sender(SOCK_DGRAM);
        char text[64];

        for (int i = 0; i < 100; i++) {
                snprintf(text, sizeof(text), "<13>1 - h app%d - - - %d", i, i);
                send_all(udp, text);
        }
        assert_int_equal(tags_count(b.d.tags), 6);
        assert_int_equal(b.d.n_mapped, 95);
        assert_non_null(strstr(transcript, "h/app4 4|plant/other 5|plant/other 6|"));
        transcript[0] = '\0';
        send_all(udp, "<13>1 - h app3 - - - known");
        transcript_expect("h/app3 known|");
        send_all(udp, "<14>1 - h app99 - - - met before");
        transcript_expect("plant/other met before|");
        assert_int_equal(b.d.n_mapped, 95);
        close(udp);
}

static const char *labels_of(const char *text)
{
        for (uint32_t i = 0; i < tags_count(b.d.tags); i++)
                if (strstr(tags_get(b.d.tags, i)->labels, text))
                        return tags_get(b.d.tags, i)->name;
        return "";
}

/* A number that a switch counts up is no name, and a host over the bound keeps its own in the record. */
static void a_switch_that_counts(void **state)
{
        int udp = sender(SOCK_DGRAM);
        char text[120];

        for (int i = 0; i < 2000; i++) {
                snprintf(text, sizeof(text), "<187>%d: Nov 21 16:53:33.%03d: %%LINK-3-UPDOWN: Interface up", 37972 + i,
                         i % 1000);
                send_all(udp, text);
        }
        assert_int_equal(tags_count(b.d.tags), 1);
        for (int i = 0; i < 20; i++) {
                snprintf(text, sizeof(text), "<86>Nov 23 05:37:26 plc-%d sshd[%d]: x", i, i);
                send_all(udp, text);
        }
        transcript[0] = '\0';
        send_all(udp, "<86>Nov 23 05:37:26 plc-19 sshd[7]: hello");
        transcript_expect("plant/other hello|");
        assert_string_equal(labels_of("\"host\":\"plc-19\""), "other");
        assert_string_equal(labels_of("\"host\":\"plc-1\""), "");
        close(udp);
}

/* Made-up hosts without end: their tags have an end, and the name is in the text then. */
static void hosts_are_bounded(void **state)
{
        int udp = sender(SOCK_DGRAM);
        char text[120];

        for (int i = 0; i < 3000; i++) {
                snprintf(text, sizeof(text), "<86>Nov 23 05:37:26 made-up-%d sshd[1]: x", i);
                send_all(udp, text);
        }
        assert_int_equal(tags_count(b.d.tags), 5 + 750 + 1); /* a quarter is for other peers */
        transcript[0] = '\0';
        send_all(udp, "<86>Nov 23 05:37:26 made-up-3000 sshd[1]: x");
        transcript_expect("plant/other <86>Nov 23 05:37:26 made-up-3000 sshd[1]: x|");
        close(udp);
}

/* The shared table is a flood's: what can't have its name is kept as other; a name that is another item's is not. */
static void others_have_the_table(void **state)
{
        int udp = sender(SOCK_DGRAM);

        tags_set_most(b.d.tags, 0);
        tags_claim(b.d.tags, "modbus", "plc-1", "press-3", NULL);
        send_all(udp, "<13>1 - h a - - - x");
        transcript_expect("plant/other x|");
        send_all(udp, "<13>1 - press-3 a - - - y");
        transcript_expect("kept(<13>1 - press-3 a - - - y)|");
        assert_int_equal(b.d.n_untagged, 1);
        close(udp);
}

static void names_and_bytes_are_mended(void **state)
{
        int udp = sender(SOCK_DGRAM);

        send_all(udp, "<13>1 - fe80::1 my:app - - - 20\xb0"
                      "C \xc3\xa4 \xe2\x82");
        transcript_expect("fe80__1._3a3a/my_app._3a 20?C \xc3\xa4 ??|");
        assert_int_equal(b.d.n_mapped, 2);
        assert_int_equal(b.d.n_malformed, 1);
        assert_string_equal(b.d.last_error, "127.0.0.1: a message was not UTF-8");
        close(udp);
}

/* A name counts once and a message once, also when the sender has to wait and its message is looked at again. */
static void what_is_mended_is_counted_once(void **state)
{
        int tcp = sender(SOCK_STREAM);

        bench_turn(&b);
        for (int i = 0; i < 3; i++) {
                b.room = 0;
                send_all(tcp, "<13>1 - fe80::1 my:app - - - 20\xb0\n");
                bench_make_room(&b, 0);
                bench_make_room(&b, 1);
                bench_turn(&b);
        }
        transcript_expect("fe80__1._3a3a/my_app._3a 20?|fe80__1._3a3a/my_app._3a 20?|fe80__1._3a3a/my_app._3a 20?|");
        assert_int_equal(b.d.n_mapped, 2);
        assert_int_equal(b.d.n_malformed, 3);
        bench_make_room(&b, 2);
        send_all(tcp, "<13>1 - fe80::2 my_app - - - x\n<13>1 - fe80__1 my?app - - - x\n");
        assert_int_equal(b.d.n_mapped, 4);
        close(tcp);
}

static void long_ones_are_cut(void **state)
{
        int udp = sender(SOCK_DGRAM), tcp = sender(SOCK_STREAM);
        char *text = malloc(20001);

        memset(text, 'x', 20000);
        text[20000] = '\0';
        send_all(udp, text);
        assert_int_equal(b.last.len, SYSLOG_MESSAGE_MAX);
        assert_int_equal(b.d.n_malformed, 1);
        text[19999] = '\n';
        send_all(tcp, text);
        assert_int_equal(b.last.len, SYSLOG_MESSAGE_MAX);
        assert_int_equal(b.d.n_malformed, 2);
        send_all(tcp, "after\n");
        assert_int_equal(b.last.len, 5);
        free(text);
        close(udp);
        close(tcp);
}

static void the_whole_line(void **state)
{
        int udp = sender(SOCK_DGRAM);

        conf.text = SYSLOG_TEXT_LINE;
        conf.source = "servers";
        conf.tag = "log";
        send_all(udp, "<13>1 - h a 7 - - x");
        transcript_expect("servers/log <13>1 - h a 7 - - x|");
        close(udp);
}

static void a_port_in_use(void **state)
{
        struct syslog_conf other = conf;
        struct driver second = b.d;
        struct err e;

        second.conf = &other;
        assert_int_equal(syslog_ops.init(&second, &e), 0);
        syslog_ops.start(&second);
        transcript_expect("down|");
        syslog_ops.fini(&second);
}

static void addresses(void **state)
{
        static const struct {
                const char *text;
                bool right, loopback;
        } rows[] = {
                {"127.0.0.1:5514", true, true},
                {"0.0.0.0:514", true, false},
                {"[::1]:5514", true, true},
                {"[::]:5514", true, false},
                {"localhost:5514", false},
                {":5514", false},
                {"127.0.0.1", false},
                {"127.0.0.1:0", false},
                {"127.0.0.1:65536", false},
                {"127.0.0.1:x", false},
                {"::1:5514", false},
                {"[127.0.0.1]:5514", false},
                {"[::1]", false},
                {"", false},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct syslog_address a;
                struct err e;

                assert_int_equal(syslog_address_parse(&a, rows[i].text, &e), rows[i].right ? 0 : -1);
                if (rows[i].right)
                        assert_int_equal(a.loopback, rows[i].loopback);
        }
}

#define AROUND(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                AROUND(both_protocols),
                AROUND(an_old_time_is_not_believed),
                AROUND(senders_wait),
                AROUND(what_waits_at_the_end_is_handed_over),
                AROUND(connections_are_bounded),
                AROUND(tags_are_bounded),
                AROUND(a_switch_that_counts),
                AROUND(hosts_are_bounded),
                AROUND(others_have_the_table),
                AROUND(names_and_bytes_are_mended),
                AROUND(what_is_mended_is_counted_once),
                AROUND(long_ones_are_cut),
                AROUND(the_whole_line),
                AROUND(a_port_in_use),
                cmocka_unit_test(addresses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
