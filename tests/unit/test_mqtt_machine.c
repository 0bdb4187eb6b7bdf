/*
 * machine and step by their moves: what happened goes in, and what is to be
 * done is read off as a word. (That nothing is lost by it: tests/sim/test_mqtt_sim.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "drivers/mqtt/step.h"

#define MS     1000
#define SECOND 1000000

enum { KEEPALIVE_US = 40 * SECOND, DELAY_US = 20 * MS, BATCH = 10 };

/*
 * What is told before a turn, one letter each.  Within the turn the socket is
 * read dry, and takes all that is released, unless a letter says otherwise.
 */
struct row {
        const char *told;
        int64_t after_us; /* since the row before */
        const char *done; /* the actions of the turn, but for those that end it */
        enum mqtt_state state;
};

static struct {
        struct mqtt_machine m;
        int64_t now_us;
        bool wants_write, more_to_read, full;
        struct mqtt_next next;
        char done[200];
} T;

static void tell(char what)
{
        switch (what) {
        case 's':
                mqtt_machine_start(&T.m);
                break;
        case 'o':
                mqtt_machine_opened(&T.m, T.now_us);
                T.wants_write = true;
                break;
        case 'a':
                mqtt_machine_accepted(&T.m, T.now_us);
                T.wants_write = true; /* SUBSCRIBE */
                break;
        case 'm': /* a message at QoS 1 */
        case '0':
                mqtt_machine_took(&T.m, T.now_us, what == 'm', 1, 8);
                T.wants_write |= what == 'm';
                break;
        case 'd':
                mqtt_machine_deferred(&T.m);
                T.wants_write = true;
                break;
        case 'v':
                mqtt_machine_overflow(&T.m);
                break;
        case 'D':
                mqtt_machine_durable(&T.m, T.now_us, false);
                break;
        case 'l':
                mqtt_machine_lost(&T.m);
                break;
        case 'p':
        case 'u':
                mqtt_machine_pause(&T.m, T.now_us, what == 'p');
                break;
        case 'e':
                mqtt_machine_stop(&T.m, T.now_us);
                break;
        case 'r':
                T.more_to_read = true;
                break;
        case 'f':
                T.full = true;
                break;
        default:
                fail_msg("%c", what);
        }
}

static void note(const char *word)
{
        strncat(T.done, T.done[0] ? " " : "", sizeof(T.done) - strlen(T.done) - 1);
        strncat(T.done, word, sizeof(T.done) - strlen(T.done) - 1);
}

static const char *word_of(enum mqtt_action a)
{
        static const char *const words[] = {
                [MQTT_OPEN] = "open",       [MQTT_WRITE] = "write", [MQTT_READ] = "read",       [MQTT_TAKE] = "take",
                [MQTT_COLLECT] = "collect", [MQTT_SYNC] = "sync",   [MQTT_RELEASE] = "release", [MQTT_TICK] = "tick",
                [MQTT_TELL] = "tell",       [MQTT_WAIT] = ""};

        if (a == MQTT_CLOSE)
                return T.next.goodbye ? "goodbye" : T.next.down ? "lose" : "close";
        return words[a];
}

static void carry_out(enum mqtt_action a)
{
        if (a == MQTT_WRITE || a == MQTT_COLLECT || a == MQTT_CLOSE)
                T.wants_write = false;
        if (a == MQTT_READ)
                mqtt_machine_read(&T.m, !T.more_to_read);
        if (a == MQTT_RELEASE)
                mqtt_machine_released(&T.m, T.full);
        while (a == MQTT_TAKE && T.m.n_deferred) {
                mqtt_machine_undeferred(&T.m);
                mqtt_machine_took(&T.m, T.now_us, true, 1, 8);
        }
}

static void turn(void)
{
        enum mqtt_action a;

        T.done[0] = '\0';
        mqtt_machine_turn(&T.m);
        do {
                a = mqtt_step(&T.m, T.now_us, T.wants_write, &T.next);
                if (a != MQTT_WAIT)
                        note(word_of(a));
                carry_out(a);
        } while (a != MQTT_WAIT && a != MQTT_TELL);
        T.more_to_read = T.full = false;
}

static void begin(void)
{
        memset(&T, 0, sizeof(T));
        T.now_us = 100 * SECOND;
        mqtt_machine_init(&T.m, KEEPALIVE_US, &(struct mqtt_ack_pace){DELAY_US, DELAY_US}, BATCH);
}

static void check_rows(const struct row *rows)
{
        begin();
        for (const struct row *r = rows; r->told; r++) {
                T.now_us += r->after_us;
                for (const char *c = r->told; *c; c++)
                        tell(*c);
                turn();
                if (strcmp(T.done, r->done) != 0 || T.m.state != r->state)
                        fail_msg("row %d, '%s': '%s' in state %d, not '%s' in %d", (int)(r - rows), r->told, T.done,
                                 (int)T.m.state, r->done, (int)r->state);
        }
}

#define CONNECT                                                                 \
        {"s", 0, "open", MQTT_OPENING}, {"o", 0, "read write", MQTT_ACCEPTING}, \
        {                                                                       \
                "a", 0, "read collect release", MQTT_UP                         \
        }

static void test_a_round_is_read_collect_sync_and_release_when_durable(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"m", 0, "read", MQTT_UP},
                                          {"", DELAY_US, "read collect sync", MQTT_UP},
                                          {"mm", MS, "read", MQTT_UP}, /* wait in the library's queue */
                                          {"D", MS, "release read", MQTT_UP},
                                          {"", DELAY_US, "read collect sync", MQTT_UP},
                                          {"D", MS, "release read", MQTT_UP},
                                          {NULL}};

        check_rows(rows);
}

static void test_the_next_commit_waits_for_the_last_byte_of_the_acknowledgements(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"m", 0, "read", MQTT_UP},
                                          {"", DELAY_US, "read collect sync", MQTT_UP},
                                          {"mDf", MS, "release read", MQTT_UP},
                                          {"f", DELAY_US, "release read", MQTT_UP},
                                          {"", MS, "release read collect sync", MQTT_UP},
                                          {NULL}};

        check_rows(rows);
}

static void test_a_full_batch_is_committed_at_once_and_not_read_beyond_two(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"mmmmmmmmmm", 0, "collect sync read", MQTT_UP},
                                          {"mmmmmmmmmm", 0, "", MQTT_UP},
                                          {"", 10 * SECOND, "", MQTT_UP},
                                          {"D", 0, "release collect sync read", MQTT_UP},
                                          {NULL}};

        check_rows(rows);
}

static void test_what_a_refusal_leaves_stuck_is_collected_before_more_is_read(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"mmpd", 0, "sync", MQTT_UP},
                                          {"D", MS, "", MQTT_UP},
                                          {"u", MS, "take collect sync read", MQTT_UP},
                                          {"", MS, "read", MQTT_UP},
                                          {"D", MS, "release read", MQTT_UP},
                                          {NULL}};

        check_rows(rows);
}

static void test_a_pause_commits_what_is_there_and_leaves_before_the_keepalive_breaks(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"mp", 0, "collect sync", MQTT_UP},
                                          {"D", MS, "release", MQTT_UP},
                                          {"", KEEPALIVE_US / 4 * 3, "goodbye", MQTT_AWAY},
                                          {"s", MS, "", MQTT_AWAY},
                                          {"u", MS, "open", MQTT_OPENING},
                                          {NULL}};

        check_rows(rows);
        assert_true(T.m.limit_us == INT64_MAX);
}

static void test_a_pause_with_a_disk_that_does_not_answer_closes(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"mp", 0, "collect sync", MQTT_UP},
                                          {"", KEEPALIVE_US / 4 * 3, "close", MQTT_AWAY},
                                          {"u", MS, "open", MQTT_OPENING},
                                          {"o", 0, "read write", MQTT_ACCEPTING},
                                          {"a", 0, "read collect release", MQTT_UP}, /* subscribed all the same */
                                          {"m", 0, "read", MQTT_UP},
                                          {"", DELAY_US, "read", MQTT_UP}, /* one commit at a time */
                                          {"D", MS, "read collect sync", MQTT_UP},
                                          {"D", MS, "release read", MQTT_UP},
                                          {NULL}};

        check_rows(rows);
}

/*
 * Once it waited for ever: not reading, it could not see that nobody was there.
 */
static void test_leaving_has_an_end_though_the_broker_takes_nothing(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"mp", 0, "collect sync", MQTT_UP},
                                          {"Df", MS, "release", MQTT_UP},
                                          {"f", KEEPALIVE_US / 4 * 3, "release", MQTT_LEAVING},
                                          {"f", 2 * SECOND, "close", MQTT_AWAY},
                                          {NULL}};

        check_rows(rows);
}

static void test_a_pause_that_ends_while_we_leave_brings_us_back(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"mp", 0, "collect sync", MQTT_UP},
                                          {"Df", MS, "release", MQTT_UP},
                                          {"f", KEEPALIVE_US / 4 * 3, "release", MQTT_LEAVING},
                                          {"u", MS, "release tick read", MQTT_UP},
                                          {NULL}};

        check_rows(rows);
}

static void test_a_stop_ends_with_the_last_acknowledgement(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"me", 0, "collect sync", MQTT_ENDING},
                                          {"D", MS, "release goodbye tell", MQTT_STOPPED},
                                          {"see", MS, "", MQTT_STOPPED},
                                          {NULL}};

        check_rows(rows);
}

static void test_a_stop_waits_for_a_commit_but_not_with_the_link(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"me", 0, "collect sync", MQTT_ENDING},
                                          {"", 2 * SECOND, "close", MQTT_ENDED},
                                          {"pu", SECOND, "", MQTT_ENDED},
                                          {"D", SECOND, "tell", MQTT_STOPPED},
                                          {NULL}};

        check_rows(rows);
}

static void test_a_stop_while_connecting_is_at_once(void **state)
{
        static const struct row opening[] = {
                {"s", 0, "open", MQTT_OPENING}, {"e", 0, "close tell", MQTT_STOPPED}, {NULL}};
        static const struct row accepting[] = {{"s", 0, "open", MQTT_OPENING},
                                               {"o", 0, "read write", MQTT_ACCEPTING},
                                               {"e", 0, "close tell", MQTT_STOPPED},
                                               {NULL}};
        static const struct row down[] = {{"e", 0, "tell", MQTT_STOPPED}, {NULL}};

        check_rows(opening);
        check_rows(accepting);
        check_rows(down);
}

static void test_a_link_that_is_lost_leaves_its_commit_behind(void **state)
{
        static const struct row rows[] = {CONNECT,
                                          {"m", 0, "read", MQTT_UP},
                                          {"", DELAY_US, "read collect sync", MQTT_UP},
                                          {"l", MS, "lose", MQTT_DOWN},
                                          {"pu", MS, "", MQTT_DOWN}, /* the host says when */
                                          {"s", MS, "open", MQTT_OPENING},
                                          {"D", MS, "", MQTT_OPENING},
                                          {"l", MS, "lose", MQTT_DOWN},
                                          {"s", MS, "open", MQTT_OPENING},
                                          {"o", 0, "read write", MQTT_ACCEPTING},
                                          {"", 10 * SECOND, "lose", MQTT_DOWN},
                                          {NULL}};

        check_rows(rows);
        assert_int_equal(T.m.commit, MQTT_COMMIT_NONE);
}

static void test_too_much_that_is_deferred_gives_the_link_up(void **state)
{
        static const struct row paused[] = {
                CONNECT, {"mpdv", 0, "close", MQTT_AWAY}, {"u", 0, "open", MQTT_OPENING}, {NULL}};
        static const struct row not_paused[] = {CONNECT, {"v", 0, "lose", MQTT_DOWN}, {NULL}};

        check_rows(paused);
        check_rows(not_paused);
}

/*
 * QoS 0 asks for no commit; the bound on rows only lets others have their turn.
 */
static void test_messages_nobody_waits_for_are_not_committed(void **state)
{
        begin();
        check_rows((const struct row[]){CONNECT, {NULL}});
        for (int i = 0; i < 4000; i++)
                tell('0');
        turn();
        assert_string_equal(T.done, "");
        turn();
        assert_string_equal(T.done, "read");
}

static void test_a_busy_socket_is_left_alone_for_a_moment(void **state)
{
        check_rows((const struct row[]){CONNECT, {NULL}});
        for (int i = 0; i < 1500; i++)
                tell('0');
        T.now_us += SECOND;
        turn();
        assert_string_equal(T.done, "tick read");
        assert_false(T.next.read);
        assert_true(T.next.until_us == T.now_us + 2 * MS);
        T.now_us += SECOND; /* a second without any */
        turn();
        assert_true(T.next.read);
}

static void test_what_is_not_read_dry_is_read_in_the_next_turn(void **state)
{
        check_rows((const struct row[]){CONNECT, {"r", 0, "read", MQTT_UP}, {NULL}});
        assert_true(T.next.until_us == T.now_us);
        assert_false(T.next.read);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_round_is_read_collect_sync_and_release_when_durable),
                cmocka_unit_test(test_the_next_commit_waits_for_the_last_byte_of_the_acknowledgements),
                cmocka_unit_test(test_a_full_batch_is_committed_at_once_and_not_read_beyond_two),
                cmocka_unit_test(test_what_a_refusal_leaves_stuck_is_collected_before_more_is_read),
                cmocka_unit_test(test_a_pause_commits_what_is_there_and_leaves_before_the_keepalive_breaks),
                cmocka_unit_test(test_a_pause_with_a_disk_that_does_not_answer_closes),
                cmocka_unit_test(test_leaving_has_an_end_though_the_broker_takes_nothing),
                cmocka_unit_test(test_a_pause_that_ends_while_we_leave_brings_us_back),
                cmocka_unit_test(test_a_stop_ends_with_the_last_acknowledgement),
                cmocka_unit_test(test_a_stop_waits_for_a_commit_but_not_with_the_link),
                cmocka_unit_test(test_a_stop_while_connecting_is_at_once),
                cmocka_unit_test(test_a_link_that_is_lost_leaves_its_commit_behind),
                cmocka_unit_test(test_too_much_that_is_deferred_gives_the_link_up),
                cmocka_unit_test(test_messages_nobody_waits_for_are_not_committed),
                cmocka_unit_test(test_a_busy_socket_is_left_alone_for_a_moment),
                cmocka_unit_test(test_what_is_not_read_dry_is_read_in_the_next_turn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
