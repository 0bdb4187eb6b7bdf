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

static int64_t owned_at_us(void)
{
        struct host_source s;
        size_t i = 0;

        host_each_second(T.host);
        while (host_source(T.host, i, &s) && strcmp(s.d->name, "wire") != 0)
                i++;
        return s.owned.at_us;
}

/* What the one before it was refused is no news of the one that a reload brings. */
static void test_names_of_another_are_told_of_the_one_that_brings_them(void **state)
{
        struct err e;

        add("a", "m-1");
        add("wire", "m-9");
        assert_int_equal(owned_at_us(), 0);
        assert_false(may_speak("m-1"));
        assert_true(owned_at_us() > 0);
        assert_int_equal(host_replace(T.host, &fake_ops, "wire", "m-8", &e), 0);
        assert_int_equal(owned_at_us(), 0);
        assert_false(may_speak("m-1"));
        assert_true(owned_at_us() > 0);
}

static struct driver *driver_named(const char *name)
{
        size_t i = 0;

        while (strcmp(host_driver(T.host, i)->name, name) != 0)
                i++;
        return (struct driver *)host_driver(T.host, i);
}

static uint64_t n_events(void)
{
        return spool_appended_seq(T.f.spool, SPOOL_EVENTS);
}

/* The one that comes says nothing of a device that answers it at once: its alarm and its outage would have no end. */
static void test_devices_that_are_down_leave_with_their_driver(void **state)
{
        struct host_source s;
        struct driver *a;
        struct err e;
        uint64_t n;

        add("a", "1");
        add("b", "1");
        a = driver_named("a");
        a->host->device_event(a, "m-1", "down", "no answer");
        a->host->device_event(a, "m-2", "down", "no answer");
        a->host->device_event(a, "m-2", "up", "it answers");
        n = n_events();
        assert_int_equal(host_replace(T.host, &fake_ops, "a", "2", &e), 0);
        assert_int_equal(n_events(), n + 1);
        assert_true(host_source(T.host, 0, &s) && !s.n_down);
        a = driver_named("a");
        a->host->device_event(a, "m-1", "down", "no answer");
        host_remove(T.host, "b");
        assert_int_equal(n_events(), n + 2);
        host_remove(T.host, "a");
        assert_int_equal(n_events(), n + 3);
}

/* As long as the wire and the configuration may make them: the event has them all, and in whole characters. */
static void test_an_event_of_the_longest_names_and_reasons(void **state)
{
        static const char korean[] = "온", laughs[] = "𐍈";
        char name[TEXT_NAME_MAX + 1] = "", why[2000] = "", words[EVENT_WORDS + 1];
        struct driver *d;

        for (int i = 0; i < TEXT_NAME_CHARS; i++)
                strcat(name, laughs);
        memset(why, '\x01', 200);
        add(name, "1");
        d = driver_named(name);
        d->host->device_event(d, name, "down", why);
        d->host->link_down(d, why);
        for (int i = 0; i < 200; i++)
                memcpy(why + 3 * i, korean, 4);
        d->host->device_event(d, name, "down", why);
        fixture_run_for(&T.f, 2 * S);
        assert_int_equal(db_ask(T.f.path, "SELECT count(*) FROM event WHERE json_valid('{' || body || '}') AND "
                                          "json_extract('{' || body || '}', '$.state') = 'down'"),
                         3);
        assert_int_equal(db_ask(T.f.path, "SELECT min(length(json_extract('{' || body || '}', '$.source'))) FROM event "
                                          "WHERE kind = 'device'"),
                         TEXT_NAME_CHARS);
        assert_int_equal(db_ask(T.f.path, "SELECT length(json_extract('{' || body || '}', '$.why')) FROM event WHERE "
                                          "kind = 'device' ORDER BY seq DESC LIMIT 1"),
                         text_copy(words, sizeof(words), why) / 3);
}

static const char *error_after(struct driver *d, int seconds)
{
        for (int i = 0; i < seconds; i++) {
                fixture_run_for(&T.f, S);
                host_each_second(T.host);
        }
        return d->last_error;
}

/* Its sender may be gone for good, and with it the good readings that would end it. */
static void test_what_could_not_be_read_is_over_without_good_readings(void **state)
{
        struct host_source s;
        struct driver *d;

        add("a", "1");
        host_start(T.host);
        fixture_run_for(&T.f, S);
        d = driver_named("a");
        d->host->quarantine(d, "m-1/v", "no number", "x", 1);
        d->host->quarantine(d, "m-1/v", "no number", "y", 1);
        assert_string_equal(error_after(d, 500), "m-1/v: no number");
        d->host->quarantine(d, "m-1/v", "no number", "z", 1);
        assert_string_equal(error_after(d, 600), "m-1/v: no number");
        assert_true(host_source(T.host, 0, &s) && s.error_is_malformed);
        assert_int_equal(s.n_malformed, 3);
        assert_string_equal(error_after(d, 2), "");
        d->host->quarantine(d, "m-1/v", "no number", "x", 1);
        error_after(d, 1);
        assert_true(host_source(T.host, 0, &s));
        assert_int_equal(s.n_malformed, 1);
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

/* A tag of numbers that brings a text is told, once; one that says it has nothing is the same tag. */
static void test_a_number_that_becomes_a_text(void **state)
{
        static const struct {
                uint16_t type;
                unsigned n_turned;
        } rows[] = {{READING_TEXT, 0}, {READING_F64, 0},  {READING_NONE, 0}, {READING_F64, 0},
                    {READING_TEXT, 1}, {READING_TEXT, 1}, {READING_BOOL, 1}, {READING_TEXT, 1},
                    {READING_I64, 1},  {READING_NONE, 1}, {READING_TEXT, 2}};
        uint32_t tag;

        assert_int_equal(tags_configure(T.f.tags, "press", "temp", "", "", "a", &tag), 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct reading r = {.tag = tag, .type = rows[i].type, .ts_us = (int64_t)i + 1, .arrival_us = 1};

                r.quality = r.type == READING_NONE ? QUALITY_BAD_SENSOR : QUALITY_GOOD;
                if (r.type == READING_TEXT) {
                        r.v.text = "offline";
                        r.len = 7;
                }
                assert_int_equal(pipeline_take(&T.pipeline, &r, 1, false), 0);
                assert_int_equal(T.pipeline.n_turned, rows[i].n_turned);
        }
        assert_int_equal(T.pipeline.turned, tag);
}

/* Devices that the configuration names are there from the start; which are down, and since when. */
static void test_devices_are_known(void **state)
{
        static struct driver_ops ops;
        struct host_source s;
        struct err e;

        ops = fake_ops;
        ops.has_devices = true;
        assert_int_equal(host_add(T.host, &ops, "bus", "meter-1", &e), 0);
        host_start(T.host);
        fixture_run_for(&T.f, S);
        assert_true(host_source(T.host, 0, &s));
        assert_int_equal(s.n_devices, 1);
        assert_string_equal(s.devices[0].name, "meter-1");
        assert_int_equal(s.devices[0].since_us, 0); /* nothing was heard of it */
        for (int i = 0; i < 2; i++) {               /* told twice is down once */
                s.d->host->device_event((struct driver *)s.d, "meter-1", "down", "no answer");
                fixture_run_for(&T.f, S);
        }
        s.d->host->device_event((struct driver *)s.d, "of the wire", "down", "death");
        assert_true(host_source(T.host, 0, &s));
        assert_int_equal(s.n_devices, 2);
        assert_int_equal(s.n_down, 2);
        assert_int_equal(rt_mono_us(&T.f.sim.rt) - s.devices[0].since_us, 2 * S);
        assert_string_equal(s.devices[0].why, "no answer");
        s.d->host->device_event((struct driver *)s.d, "meter-1", "up", "it answers again");
        assert_true(host_source(T.host, 0, &s));
        assert_int_equal(s.n_down, 1);
        assert_int_equal(rt_mono_us(&T.f.sim.rt) - s.devices[0].since_us, 0);
        assert_string_equal(s.devices[0].why, "");
        assert_false(host_source(T.host, 1, &s));
        for (int i = 0; i < 2; i++) /* one that is not there any more is no news */
                s.d->host->device_event((struct driver *)s.d, "of the wire", "forgotten", "its tags were");
        assert_true(host_source(T.host, 0, &s));
        assert_int_equal(s.n_devices, 1);
        assert_int_equal(s.n_down, 0);
        s.d->host->device_event((struct driver *)s.d, "meter-1", "forgotten", "it is not down");
        assert_true(host_source(T.host, 0, &s));
        assert_int_equal(s.n_devices, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_number_that_becomes_a_text, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_devices_are_known, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_row_of_a_tag_that_is_not_there, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sources_are_claimed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_names_of_another_are_told_of_the_one_that_brings_them, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_devices_that_are_down_leave_with_their_driver, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_could_not_be_read_is_over_without_good_readings, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_an_event_of_the_longest_names_and_reasons, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_is_replaced_while_others_go_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_all_have_ended_before_one_begins, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_end_comes_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_that_can_not_be_made_is_missing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_new_one_waits_with_the_others, set_up, tear_down),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
