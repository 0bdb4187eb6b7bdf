/*
 * The status of a running agent stays one whole JSON object, whatever words drivers and libraries left in it: cut in
 * the middle of a character by a snprintf of theirs, with quotes and control bytes, not UTF-8 at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/agent.h"
#include "agent/base/rt_sim.h"
#include "agent/base/text.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/temp_dir.h"

static struct {
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        struct rt_sim sim;
        struct fake_sink kafka;
        struct config_driver driver;
        struct config conf;
        struct agent agent;
        bool stopped;
} T;

static struct driver *the_driver;

static int fake_init(struct driver *d, struct err *e)
{
        the_driver = d;
        return 0;
}

static void fake_start(struct driver *d)
{
        d->host->link_up(d);
}

static void fake_pause(struct driver *d, bool on)
{
}

static void fake_stop(struct driver *d)
{
        d->host->stopped(d);
}

static void fake_fini(struct driver *d)
{
}

static const struct driver_ops fake_driver = {.kind = "fake",
                                              .init = fake_init,
                                              .start = fake_start,
                                              .pause = fake_pause,
                                              .stop = fake_stop,
                                              .fini = fake_fini};

static int on_produce(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *r)
{
        return SINK_E_FULL;
}

static int set_up(void **state)
{
        struct err e;

        memset(&T, 0, sizeof(T));
        temp_dir_init(&T.dir, "status");
        temp_dir_path(&T.dir, "spool.db", T.path);
        rt_sim_init(&T.sim, 1, INT64_C(1795428000000000));
        fake_sink_init(&T.kafka, &T.sim.rt);
        T.kafka.on_produce = on_produce;
        T.driver = (struct config_driver){&fake_driver, "plant", NULL};
        T.conf = (struct config){.gateway = "gw-7",
                                 .spool = {.path = T.path,
                                           .max_size_bytes = 16 << 20,
                                           .commit_interval_us = 1000000,
                                           .batch_rows = 1000,
                                           .batch_bytes = 1 << 20,
                                           .quarantine_bytes = 1 << 16},
                                 .kafka = {.window_records = 100, .window_bytes = 1 << 20},
                                 .drivers = &T.driver,
                                 .n_drivers = 1,
                                 .max_tags = 100};
        if (agent_open(&T.agent, &T.sim.rt, &T.conf, &T.kafka.sink, &e) < 0)
                fail_msg("%s", e.text);
        agent_start(&T.agent);
        return 0;
}

static int tear_down(void **state)
{
        agent_abandon(&T.agent);
        fake_sink_fini(&T.kafka);
        rt_sim_fini(&T.sim);
        temp_dir_fini(&T.dir);
        return 0;
}

/* The status as a JSON parser that insists on UTF-8 reads it. */
static json_t *read_status(void)
{
        char *text = status_json(&T.agent);
        json_error_t fault;
        json_t *o;

        assert_non_null(text);
        assert_true(text_is_utf8(text, strlen(text)));
        o = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
        if (!o)
                fail_msg("%s: %s", fault.text, text);
        free(text);
        return o;
}

static const char *words_of(const json_t *of)
{
        const char *words = json_string_value(json_object_get(of, "last_error"));

        assert_non_null(words);
        return words;
}

/* What stands before the cut is there to the letter; of a character that was cut at most a U+FFFD a byte is left. */
static void check_words(const char *words, const char *whole, size_t n)
{
        size_t kept = n, left;

        while (kept && !text_is_utf8(whole, kept))
                kept--;
        assert_int_equal(strncmp(words, whole, kept), 0);
        for (left = strlen(words); left > kept; left -= 3)
                assert_int_equal(memcmp(words + left - 3, "\xef\xbf\xbd", 3), 0);
        assert_int_equal(left, kept);
        assert_true(strlen(words) <= kept + 9);
}

static void words_are_cut_anywhere(void **state)
{
        static const char whole[] =
                "mqtt://u\xc3\xa4ser@h\xe2\x82\xac/\"a\\b\"\n\t: \xf0\x9f\x9a\xa8 Gr\xc3\xb6\xc3\x9f"
                "e \xe6\xb8\xa9\xe5\xba\xa6 \\u00e4 \x01 mqtt://u\xc3\xa4ser@h\xe2\x82\xac/\"a";
        char cut[sizeof(whole)];

        for (size_t n = 0; n < sizeof(whole); n++) {
                json_t *o;

                snprintf(cut, n + 1, "%s", whole);
                snprintf(the_driver->last_error, sizeof(the_driver->last_error), "%s", cut);
                T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, false, cut);
                o = read_status();
                assert_int_equal(json_array_size(json_object_get(o, "drivers")), 1);
                check_words(words_of(json_array_get(json_object_get(o, "drivers"), 0)), whole, n);
                check_words(words_of(json_object_get(o, "uplink")), whole, n);
                json_decref(o);
        }
}

/* The field's own end cuts too: longer words, shifted so that each byte of a character comes to lie there. */
static void words_are_longer_than_their_field(void **state)
{
        char whole[1000];

        for (size_t shift = 0; shift < 8; shift++) {
                json_t *o;

                memset(whole, 'x', shift);
                whole[shift] = '\0';
                while (strlen(whole) < 900)
                        strcat(whole, "\xf0\x9f\x9a\xa8\"");
                memcpy(the_driver->last_error, whole, sizeof(the_driver->last_error) - 1);
                T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, false, whole);
                o = read_status();
                check_words(words_of(json_array_get(json_object_get(o, "drivers"), 0)), whole,
                            sizeof(the_driver->last_error) - 1);
                check_words(words_of(json_object_get(o, "uplink")), whole,
                            strlen(words_of(json_object_get(o, "uplink"))));
                json_decref(o);
        }
}

static void bytes_that_are_no_text(void **state)
{
        json_t *o;

        for (int c = 1; c < 256; c++)
                the_driver->last_error[(c - 1) % 199] = (char)c;
        T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, false, "\xff\xfe\xc0\x80 \xed\xa0\x80");
        o = read_status();
        assert_string_equal(json_string_value(json_object_get(o, "gateway")), "gw-7");
        assert_int_equal(json_array_size(json_object_get(o, "drivers")), 1);
        assert_non_null(strstr(words_of(json_array_get(json_object_get(o, "drivers"), 0)), "\xef\xbf\xbd"));
        assert_non_null(strstr(words_of(json_object_get(o, "uplink")), "\xef\xbf\xbd"));
        json_decref(o);
}

/* ---- errors have a time and an end ---- */

static void wait_s(int seconds)
{
        rt_sim_run(&T.sim, rt_mono_us(&T.sim.rt) + seconds * INT64_C(1000000), NULL, NULL);
}

/* "" and null, or these words and a time. */
static void check_fault(const json_t *of, const char *words, const char *words_key, const char *at_key)
{
        const json_t *at = json_object_get(of, at_key);

        assert_string_equal(json_string_value(json_object_get(of, words_key)), words);
        if (*words)
                assert_non_null(strstr(json_string_value(at), "2026-11-23T"));
        else
                assert_true(json_is_null(at));
}

static void check_driver(const char *words)
{
        json_t *o = read_status();

        check_fault(json_array_get(json_object_get(o, "drivers"), 0), words, "last_error", "last_error_at");
        json_decref(o);
}

static void bring(enum quality quality)
{
        struct reading r;
        struct rt_time now;

        rt_now(&T.sim.rt, &now);
        r = driver_reading(driver_tag(the_driver, "press", "temp", NULL), now.wall_us);
        r.quality = (uint16_t)quality;
        r.type = quality == QUALITY_GOOD ? READING_F64 : READING_NONE;
        assert_int_equal(driver_emit(the_driver, &r, 1, false), 0);
}

static void a_link_s_error_is_over_when_it_is_up(void **state)
{
        wait_s(1);
        check_driver("");
        the_driver->host->link_down(the_driver, "nobody answers");
        check_driver("nobody answers");
        wait_s(100);
        check_driver("");
}

static void an_error_is_over_when_good_readings_come_without_it(void **state)
{
        wait_s(1);
        driver_error(the_driver, "unit 4: no answer");
        wait_s(600);
        bring(QUALITY_BAD);
        wait_s(1);
        check_driver("unit 4: no answer"); /* nothing good has come */
        bring(QUALITY_GOOD);
        driver_error(the_driver, "unit 4: no answer");
        wait_s(600);
        check_driver("unit 4: no answer"); /* it came again after that */
        bring(QUALITY_GOOD);
        wait_s(2);
        check_driver("");
}

static void an_error_stands_while_a_device_is_down(void **state)
{
        wait_s(1);
        driver_error(the_driver, "unit 4: no answer");
        the_driver->host->device_event(the_driver, "pump", "down", "no answer");
        wait_s(1);
        bring(QUALITY_GOOD);
        wait_s(600);
        check_driver("unit 4: no answer");
        the_driver->host->device_event(the_driver, "pump", "up", "answers");
        wait_s(2);
        check_driver("");
        driver_error(the_driver, "the broker refuses the subscription of a/b");
        the_driver->error_stands = true;
        wait_s(1);
        bring(QUALITY_GOOD);
        wait_s(600);
        check_driver("the broker refuses the subscription of a/b");
}

/* What is said of it; the clock of the machine may have something to say as well. */
static void check_condition(const char *verdict, const char *name, const char *what)
{
        json_t *o = read_status(), *list = json_object_get(o, "conditions");
        size_t i = 0;

        while (i < json_array_size(list) &&
               strcmp(json_string_value(json_object_get(json_array_get(list, i), "name")), name) != 0)
                i++;
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "what")), what);
        assert_string_equal(json_string_value(json_object_get(o, "health")), verdict);
        json_decref(o);
}

/* Anybody can send what can't be read. */
static void what_cannot_be_read_hides_no_fault(void **state)
{
        T.kafka.on_produce = NULL;
        T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, true, "connected");
        wait_s(1);
        driver_error(the_driver, "the broker refuses the subscription of a/b");
        the_driver->error_stands = true;
        driver_malformed(the_driver, "a/c", "no JSON");
        for (int i = 0; i < 200; i++) {
                wait_s(1);
                bring(QUALITY_GOOD);
                the_driver->host->quarantine(the_driver, "a/c", "no JSON", "x", 1);
                check_condition("degraded", "source_fault", "the broker refuses the subscription of a/b");
        }
        the_driver->error_stands = false;
        wait_s(2);
        driver_error(the_driver, "one that comes once");
        for (int i = 0; i < 80; i++) {
                wait_s(1);
                bring(QUALITY_GOOD);
                driver_malformed(the_driver, "a/c", "no JSON");
        }
        check_condition("ok", "source_malformed", "a/c: no JSON; 20 messages could not be read");
}

static void an_uplink_s_error_is_over_when_it_is_up(void **state)
{
        json_t *o;

        T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, false, "no broker answers");
        o = read_status();
        check_fault(json_object_get(o, "uplink"), "no broker answers", "last_error", "last_error_at");
        check_fault(json_object_get(o, "heartbeat"), "no broker answers", "why", "why_at");
        json_decref(o);
        T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, true, "connected");
        o = read_status();
        check_fault(json_object_get(o, "uplink"), "", "last_error", "last_error_at");
        json_decref(o);
}

static int refuse_status(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *r)
{
        return rec->topic == SINK_STATUS ? SINK_E_RETRY : 0;
}

static int refuse_events(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *r)
{
        return rec->topic == SINK_EVENTS ? SINK_E_RETRY : 0;
}

static void a_refused_heartbeat_is_told_and_no_lane_is(void **state)
{
        json_t *o;

        T.kafka.on_produce = refuse_status;
        T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, true, "connected");
        wait_s(120);
        o = read_status();
        assert_string_equal(json_string_value(json_object_get(o, "health")), "degraded");
        assert_string_equal(json_string_value(json_object_get(json_object_get(o, "heartbeat"), "state")), "refused");
        check_fault(json_object_get(o, "heartbeat"), "Kafka does not take it", "why", "why_at");
        assert_string_equal(json_string_value(json_object_get(json_object_get(o, "uplink"), "state")), "up");
        json_decref(o);
        T.kafka.on_produce = NULL;
        wait_s(120);
        o = read_status();
        assert_string_equal(json_string_value(json_object_get(o, "health")), "ok");
        assert_string_equal(json_string_value(json_object_get(json_object_get(o, "heartbeat"), "state")), "up");
        check_fault(json_object_get(o, "heartbeat"), "", "why", "why_at");
        json_decref(o);
}

static const json_t *lane(const json_t *status, size_t i, const char *name)
{
        const json_t *l = json_array_get(json_object_get(json_object_get(status, "uplink"), "lanes"), i);

        assert_string_equal(json_string_value(json_object_get(l, "name")), name);
        return json_object_get(l, "state");
}

static void a_lane_that_is_refused_is_told_by_its_name(void **state)
{
        json_t *o;

        T.kafka.on_produce = refuse_events;
        T.kafka.sink.up.on_state(T.kafka.sink.up.ctx, true, "connected");
        wait_s(1);
        the_driver->host->link_down(the_driver, "nobody answers"); /* an event */
        bring(QUALITY_GOOD);
        wait_s(5);
        o = read_status();
        assert_string_equal(json_string_value(lane(o, 0, "events")), "backoff");
        assert_string_equal(json_string_value(lane(o, 1, "samples")), "up");
        json_decref(o);
        T.kafka.on_produce = NULL;
        wait_s(120);
        o = read_status();
        assert_string_equal(json_string_value(lane(o, 0, "events")), "up");
        json_decref(o);
}

#define AROUND(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                AROUND(words_are_cut_anywhere),
                AROUND(words_are_longer_than_their_field),
                AROUND(bytes_that_are_no_text),
                AROUND(a_link_s_error_is_over_when_it_is_up),
                AROUND(an_error_is_over_when_good_readings_come_without_it),
                AROUND(an_error_stands_while_a_device_is_down),
                AROUND(what_cannot_be_read_hides_no_fault),
                AROUND(an_uplink_s_error_is_over_when_it_is_up),
                AROUND(a_refused_heartbeat_is_told_and_no_lane_is),
                AROUND(a_lane_that_is_refused_is_told_by_its_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
