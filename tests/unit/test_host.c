/*
 * test_host: what the host promises a driver, and drivers that leave while others go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/host.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"
#include "tests/lib/transcript.h"

enum { S = 1000000 };

static struct {
        struct fixture f;
        struct pipeline pipeline;
        struct host *host;
        const char *slow; /* this one does not end by itself */
        struct driver *ending;
        int n_recent;
} T;

/* ---- a driver that notes what is asked of it; its conf is a text ---- */

static void on_recent(void *ctx, const struct reading *r)
{
        T.n_recent++;
}

static int fake_init(struct driver *d, struct err *e)
{
        const char *conf = d->conf;

        if (!strcmp(conf, "bad"))
                return err_set(e, "%s can't be made", d->name);
        d->priv = strdup(conf);
        d->host->recent(d, on_recent, NULL);
        transcript_add("init %s.%s%s%s ", d->name, conf, d->before ? " after " : "",
                       d->before ? (const char *)d->before->priv : "");
        return 0;
}

static void fake_start(struct driver *d)
{
        transcript_add("start %s.%s%s ", d->name, (char *)d->priv, d->paused ? " paused" : "");
        if (strstr(d->priv, "dead"))
                d->host->link_down(d, "nobody answers");
        else
                d->host->link_up(d);
}

static void fake_pause(struct driver *d, bool on)
{
}

static void fake_stop(struct driver *d)
{
        transcript_add("stop %s.%s ", d->name, (char *)d->priv);
        if (T.slow && !strcmp(T.slow, d->name))
                T.ending = d;
        else
                d->host->stopped(d);
}

static void fake_fini(struct driver *d)
{
        transcript_add("fini %s.%s ", d->name, (char *)d->priv);
        free(d->priv);
}

/* The conf is its source, too. */
static void fake_names(const void *conf, struct driver_names *to)
{
        to->each(to, conf, "v", conf);
}

static const struct driver_ops fake_ops = {.kind = "fake",
                                           .names = fake_names,
                                           .init = fake_init,
                                           .start = fake_start,
                                           .pause = fake_pause,
                                           .stop = fake_stop,
                                           .fini = fake_fini};

/* ---- the house ---- */

static void open_host(void)
{
        fixture_open(&T.f);
        pipeline_init(&T.pipeline, &T.f.sim.rt, T.f.tags, T.f.spool, NULL, NULL);
        T.host = host_new(&T.f.sim.rt, &T.pipeline, T.f.spool, T.f.tags, "gw-7");
}

static void close_host(void)
{
        assert_true(spool_close(T.f.spool));
        host_free(T.host);
        fixture_leave(&T.f);
}

static int set_up(void **state)
{
        memset(&T, 0, sizeof(T));
        transcript[0] = '\0';
        fixture_init(&T.f, "host", 1);
        open_host();
        return 0;
}

static int tear_down(void **state)
{
        close_host();
        fixture_fini(&T.f);
        return 0;
}

static void add(const char *name, const char *conf)
{
        struct err e;

        assert_int_equal(host_add(T.host, &fake_ops, name, conf, &e), 0);
}

static void on_retired(void *ctx)
{
        transcript_add("retired ");
}

static void on_stopped(void *ctx)
{
        transcript_add("stopped ");
}

/* ---- the plays ---- */

static bool may_speak(const char *source)
{
        return tags_may_speak(T.f.tags, source, "wire");
}

/* Whatever becomes of an item, its sources are its own for as long as it is there, and no longer. */
static void test_sources_are_claimed(void **state)
{
        struct err e;

        assert_true(may_speak("m-1"));
        add("a", "m-1");
        add("b", "m-2");
        assert_false(may_speak("m-1"));
        assert_int_equal(host_replace(T.host, &fake_ops, "a", "m-3", &e), 0);
        assert_true(may_speak("m-1"));
        assert_false(may_speak("m-3"));
        assert_int_equal(host_replace(T.host, &fake_ops, "a", "bad", &e), -1);
        assert_true(may_speak("m-3") && may_speak("bad"));
        host_remove(T.host, "b");
        assert_true(may_speak("m-2"));
        assert_int_equal(host_add(T.host, &fake_ops, "c", "bad", &e), -1);
        assert_true(may_speak("bad"));
}

/* A damaged file, or one that was edited: the row is nobody's, and the start goes on. */
static void test_a_row_of_a_tag_that_is_not_there(void **state)
{
        struct reading r = {.type = READING_F64, .mid = 7, .arrival_us = INT64_C(1795428000) * S};

        r.ts_us = r.arrival_us;
        assert_int_equal(tags_intern(T.f.tags, "m", "v", "", "", "a", &r.tag), 0);
        assert_int_equal(spool_append(T.f.spool, &r), 0);
        assert_int_equal(spool_append(T.f.spool, &r), 0);
        close_host();
        db_run(T.f.path, "UPDATE sample SET bits = bits | 1000000 << 2 WHERE seq = 1");
        open_host();
        add("a", "1");
        assert_int_equal(T.n_recent, 1); /* the other one */
        add("b", "1");
        assert_int_equal(T.n_recent, 1); /* another driver's */
        transcript[0] = '\0';
}

static void test_one_is_replaced_while_others_go_on(void **state)
{
        struct err e;

        add("a", "1");
        add("b", "1");
        add("c", "1");
        host_start(T.host);
        fixture_run_for(&T.f, S);
        transcript[0] = '\0';
        host_retire(T.host, (const char *const[]){"b", "c", "nobody"}, 3, on_retired, NULL);
        transcript_expect("stop b.1 stop c.1 ");
        fixture_run_for(&T.f, S);
        transcript_expect("retired ");
        assert_int_equal(host_replace(T.host, &fake_ops, "b", "2", &e), 0);
        transcript_expect("init b.2 after 1 fini b.1 ");
        host_remove(T.host, "c");
        host_remove(T.host, "c");
        transcript_expect("fini c.1 ");
        assert_int_equal(host_replace(T.host, &fake_ops, "d", "1", &e), 0);
        transcript_expect("init d.1 ");
        fixture_run_for(&T.f, S);
        transcript_expect("start b.2 start d.1 ");
        assert_string_equal(host_driver(T.host, 0)->name, "a");
        assert_string_equal(host_driver(T.host, 1)->name, "b");
        assert_string_equal(host_driver(T.host, 2)->name, "d");
        assert_null(host_driver(T.host, 3));
        assert_null(host_driver(T.host, 1)->before);
        assert_int_equal(T.n_recent, 0);
        assert_true(host_has(T.host, "d"));
        assert_false(host_has(T.host, "c"));
}

static void test_all_have_ended_before_one_begins(void **state)
{
        add("a", "1");
        add("b", "1");
        host_start(T.host);
        fixture_run_for(&T.f, S);
        transcript[0] = '\0';
        T.slow = "a";
        host_retire(T.host, (const char *const[]){"a", "b"}, 2, on_retired, NULL);
        fixture_run_for(&T.f, 10 * S);
        transcript_expect("stop a.1 stop b.1 ");
        T.ending->host->stopped(T.ending);
        transcript_expect(""); /* not from within a driver */
        fixture_run_for(&T.f, S);
        transcript_expect("retired ");
        host_retire(T.host, NULL, 0, on_retired, NULL);
        fixture_run_for(&T.f, S);
        transcript_expect("retired ");
}

static void test_the_end_comes_first(void **state)
{
        add("a", "1");
        add("b", "1");
        host_start(T.host);
        fixture_run_for(&T.f, S);
        transcript[0] = '\0';
        T.slow = "a";
        host_retire(T.host, (const char *const[]){"a"}, 1, on_retired, NULL);
        host_stop(T.host, on_stopped, NULL);
        transcript_expect("stop a.1 stop b.1 ");
        T.ending->host->stopped(T.ending);
        fixture_run_for(&T.f, S);
        transcript_expect("stopped ");
}

static void test_one_that_can_not_be_made_is_missing(void **state)
{
        struct err e;

        add("a", "1");
        host_start(T.host);
        fixture_run_for(&T.f, S);
        host_retire(T.host, (const char *const[]){"a"}, 1, on_retired, NULL);
        fixture_run_for(&T.f, S);
        assert_int_equal(host_replace(T.host, &fake_ops, "a", "bad", &e), -1);
        assert_string_equal(e.text, "a can't be made");
        assert_null(host_driver(T.host, 0));
        transcript[0] = '\0';
        assert_int_equal(host_replace(T.host, &fake_ops, "a", "2", &e), 0);
        fixture_run_for(&T.f, S);
        transcript_expect("init a.2 start a.2 ");
}

static void test_a_new_one_waits_with_the_others(void **state)
{
        struct err e;

        add("a", "1");
        host_start(T.host);
        host_slow_acks(T.host, 3);
        host_pause(T.host, true);
        fixture_run_for(&T.f, S);
        transcript[0] = '\0';
        assert_int_equal(host_add(T.host, &fake_ops, "b", "1", &e), 0);
        fixture_run_for(&T.f, S);
        transcript_expect("init b.1 start b.1 paused ");
        assert_true(host_driver(T.host, 1)->ack_slowdown == 3);
        host_pause(T.host, false);
        assert_false(host_driver(T.host, 1)->paused);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_row_of_a_tag_that_is_not_there, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sources_are_claimed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_is_replaced_while_others_go_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_all_have_ended_before_one_begins, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_end_comes_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_that_can_not_be_made_is_missing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_new_one_waits_with_the_others, set_up, tear_down),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
