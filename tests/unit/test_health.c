/*
 * test_health: which conditions follow from which facts, how they begin and
 * end, and that each has a way out.  Time is an argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/health/facts.h"

#define S    INT64_C(1000000)
#define HOUR (3600 * S)
#define WALL INT64_C(1796000000000000)

/* ---- facts of a gateway on which all is well, and what changes them ---- */

struct plant {
        struct health health;
        struct health_memory memory;
        struct health_facts f;
        struct host_source source[2];
        struct host_device device[5];
        struct driver driver[2];
        struct tags_item item;
        struct spool_conf spool;
        struct kafka_conf kafka;
        struct health_certificate certificate;
        char said[2000]; /* "+name subject" and "-name subject" of what began and ended */
};

struct bus_conf {
        struct schema_at at;
        const char *port;
};

static struct bus_conf bus_conf = {.port = "/dev/ttyUSB0"};
static const struct driver_ops modbus = {.kind = "modbus", .where = offsetof(struct bus_conf, port)};
static const struct driver_ops mqtt = {.kind = "mqtt", .where = offsetof(struct bus_conf, port)};
static struct bus_conf mqtt_conf = {.port = "mqtt://10.0.0.2:1883"};
static const char *brokers[] = {"kafka-1:9092", "kafka-2:9092"};

static void on_change(void *ctx, const struct health_condition *c, bool began)
{
        struct plant *p = ctx;
        size_t used = strlen(p->said);

        snprintf(p->said + used, sizeof(p->said) - used, "%c%s %s;", began ? '+' : '-', health_rules[c->id].name,
                 c->subject);
}

static void plant_init(struct plant *p)
{
        *p = (struct plant){.spool = {.path = "/var/lib/millrace/spool.db", .max_size_bytes = 64 << 20},
                            .item = {.name = "plant", .kind = "mqtt", .most = 100, .n = 3}};
        p->kafka.brokers = (struct schema_list){.items = brokers, .n = 2};
        p->driver[0] = (struct driver){.ops = &mqtt, .name = "plant", .conf = &mqtt_conf, .state = DRIVER_UP};
        p->driver[1] = (struct driver){.ops = &modbus, .name = "line-1", .conf = &bus_conf, .state = DRIVER_UP};
        for (int i = 0; i < 5; i++)
                snprintf(p->device[i].name, sizeof(p->device[i].name), "meter-%d", i + 1);
        for (int i = 0; i < 2; i++)
                p->source[i] = (struct host_source){.d = &p->driver[i], .state_since_us = 1};
        p->source[0].tags = &p->item;
        p->source[1].devices = p->device;
        p->source[1].n_devices = 5;
        p->health.on_change = on_change;
        p->health.ctx = p;
        p->f = (struct health_facts){.now = {.mono_us = HOUR, .wall_us = WALL},
                                     .gateway = "gw-7",
                                     .spool_conf = &p->spool,
                                     .drop_reason = "",
                                     .kafka = &p->kafka,
                                     .sources = p->source,
                                     .n_sources = 2,
                                     .config_fault = "",
                                     .restart_keys = "",
                                     .turned = "press/temp",
                                     .flash_slowdown = 1};
        p->f.spool.usable_bytes = 60 << 20;
        p->f.uplink.state = p->f.uplink.heartbeat = "up";
        p->f.uplink.n_lanes = 2;
        p->f.uplink.lane[0] = (struct uplink_lane_status){.name = "events", .state = "up"};
        p->f.uplink.lane[1] = (struct uplink_lane_status){.name = "samples", .state = "up"};
        p->f.tags.most = 1000;
}

static void pass(struct plant *p, int64_t us)
{
        p->f.now.mono_us += us;
        p->f.now.wall_us += us;
        health_judge(&p->health, &p->memory, &p->f);
}

static void plant_fini(struct plant *p)
{
        health_fini(&p->health);
}

static const struct health_condition *only(struct plant *p, const char *name)
{
        const struct health_condition *c = health_get(&p->health, 0);

        if (!c || health_get(&p->health, 1))
                fail_msg("not one condition but %zu, of %s", health_count(&p->health), name);
        assert_string_equal(health_rules[c->id].name, name);
        return c;
}

static void expect(struct plant *p, const char *name, const char *subject, const char *what, const char *todo)
{
        const struct health_condition *c = only(p, name);

        assert_string_equal(c->subject, subject);
        assert_string_equal(c->what, what);
        assert_string_equal(c->todo, todo);
}

/* ---- one fact, one condition ---- */

static void nothing_is_wrong(void **state)
{
        struct plant p;

        plant_init(&p);
        for (int i = 0; i < 100; i++)
                pass(&p, S);
        assert_int_equal(health_count(&p.health), 0);
        assert_string_equal(health_verdict(&p.health), "ok");
        plant_fini(&p);
}

#define CASE(name) static void name(struct plant *p)

CASE(a_disk_is_full)
{
        p->f.spool.failing = true;
        snprintf(p->f.spool.fault, sizeof(p->f.spool.fault), "database or disk is full");
        pass(p, S);
        expect(p, "spool_failing", "spool", "nothing can be kept: database or disk is full",
               "make room on the disk of /var/lib/millrace/spool.db: df -h /var/lib/millrace/spool.db");
        assert_string_equal(health_verdict(&p->health), "failed");
}

CASE(kafka_is_down)
{
        p->f.uplink.state = "down";
        p->f.spool.held = 3420;
        snprintf(p->f.uplink.fault.why, sizeof(p->f.uplink.fault.why),
                 "no broker answers: kafka-1:9092: connection refused");
        pass(p, S);
        expect(p, "uplink_down", "kafka", "no broker answers: kafka-1:9092: connection refused; 3420 held",
               "start Kafka at kafka-1:9092, or correct kafka.brokers; millrace check --kafka asks it");
        assert_string_equal(health_verdict(&p->health), "degraded");
}

CASE(kafka_hangs)
{
        p->f.uplink.in_flight = 12;
        p->f.spool.held = 20;
        p->f.uplink.delivered = 7;
        for (int i = 0; i < 5; i++)
                pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
        pass(p, S);
        expect(p, "uplink_stalled", "kafka", "12 records are out and Kafka answers none; 20 held",
               "look at the broker kafka-1:9092 and at the line to it; millrace check --kafka asks it");
        assert_int_equal(p->health.v[0]->since_us, p->f.now.mono_us - 5 * S);
        p->f.uplink.delivered++;
        pass(p, S);
        pass(p, S);
        pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
}

CASE(kafka_takes_its_time)
{
        p->f.uplink.in_flight = 12;
        for (int i = 0; i < 60; i++) {
                if (i % 4 == 0)
                        p->f.uplink.delivered++;
                pass(p, S);
                assert_int_equal(health_count(&p->health), 0);
        }
}

CASE(a_line_is_slow)
{
        p->f.uplink.in_flight = 12;
        for (int i = 0; i < 200; i++) { /* each batch takes eight seconds */
                p->f.uplink.delivered += i % 8 == 0;
                pass(p, S);
        }
        assert_string_equal(p->said, "+uplink_stalled kafka;-uplink_stalled kafka;");
        for (int i = 0; i < 17; i++)
                pass(p, S);
        only(p, "uplink_stalled"); /* it hangs all the same */
        for (int i = 0; i < 20; i++) {
                p->f.uplink.delivered++;
                pass(p, S);
        }
        assert_int_equal(health_count(&p->health), 0);
        for (int i = 0; i < 6; i++)
                pass(p, S);
        only(p, "uplink_stalled"); /* and it is fast again */
}

CASE(a_topic_is_missing)
{
        struct uplink_lane_status *l = &p->f.uplink.lane[1];

        p->f.uplink.state = l->state = "backoff";
        l->held = 5;
        snprintf(l->fault.why, sizeof(l->fault.why),
                 "Kafka has no topic edge_samples_v1 (create it, or allow its automatic creation)");
        pass(p, S);
        expect(p, "topic_missing", "kafka samples",
               "Kafka has no topic edge_samples_v1 (create it, or allow its automatic creation); 5 samples held",
               "create it: kafka-topics.sh --bootstrap-server kafka-1:9092 --create --topic edge_samples_v1");
}

CASE(a_topic_will_be_missed)
{
        p->kafka.samples_topic = "edge_samples_v1";
        p->kafka.events_topic = "edge_events_v1";
        p->f.uplink.missing = 1 << SINK_EVENTS | 1 << SINK_BACKFILL;
        pass(p, S);
        expect(p, "topic_absent", "kafka edge_events_v1", "Kafka has no topic edge_events_v1, which records will need",
               "create it: kafka-topics.sh --bootstrap-server kafka-1:9092 --create --topic edge_events_v1");
        assert_string_equal(health_verdict(&p->health), "ok");
        p->f.uplink.lane[0].held = p->f.uplink.in_flight = 1;
        for (int i = 0; i < 8; i++)
                pass(p, S);
        expect(p, "topic_missing", "kafka events", "Kafka has no topic edge_events_v1, records wait for it",
               "create it: kafka-topics.sh --bootstrap-server kafka-1:9092 --create --topic edge_events_v1");
}

CASE(a_topic_is_missing_that_is_never_asked_for)
{
        struct uplink_lane_status *l = &p->f.uplink.lane[1];

        p->kafka.samples_topic = "edge_samples_v1";
        p->kafka.events_topic = "edge_events_v1";
        p->f.uplink.missing = 1 << SINK_EVENTS; /* a notice */
        p->f.uplink.state = l->state = "backoff";
        l->held = 5;
        snprintf(l->fault.why, sizeof(l->fault.why), "Kafka has no topic edge_raw_v1 (create it)");
        pass(p, S);
        assert_string_equal(health_verdict(&p->health), "degraded");
        assert_string_equal(health_get(&p->health, 0)->subject, "kafka samples");
        assert_string_equal(health_get(&p->health, 1)->subject, "kafka edge_events_v1");
        p->f.uplink.missing = 1 << SINK_SAMPLES;
        snprintf(l->fault.why, sizeof(l->fault.why), "Kafka has no topic edge_samples_v1 (create it)");
        for (int i = 0; i < 5; i++)
                pass(p, S);
        assert_string_equal(only(p, "topic_missing")->what, "Kafka has no topic edge_samples_v1, records wait for it");
}

CASE(kafka_hangs_and_has_no_topic_for_heartbeats)
{
        p->kafka.status_topic = "edge_status_v1";
        p->kafka.linger_us = 10 * S;
        p->f.uplink.missing = 1 << SINK_STATUS;
        p->f.uplink.in_flight = 12;
        for (int i = 0; i < 15; i++)
                pass(p, S);
        only(p, "topic_missing"); /* they may still wait for company */
        pass(p, S);
        assert_int_equal(health_count(&p->health), 2);
        assert_string_equal(health_rules[health_get(&p->health, 1)->id].name, "uplink_stalled");
}

CASE(a_broker_that_says_what_it_lacks_has_answered)
{
        p->kafka.samples_topic = "edge_samples_v1";
        p->f.uplink.state = "connecting";
        p->f.spool.held = p->f.uplink.lane[1].held = 7;
        p->f.uplink.missing = 1 << SINK_SAMPLES;
        for (int i = 0; i < 8; i++)
                pass(p, S);
        only(p, "topic_missing");
}

CASE(it_will_be_full_before_somebody_comes)
{
        p->f.spool.held_bytes = p->f.spool.usable_bytes / 10;
        p->f.spool.held = 1000;
        p->f.spool.full_in_s = 13 * 3600;
        pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
        p->f.spool.full_in_s = 11.5 * 3600;
        pass(p, S);
        expect(p, "spool_filling", "spool",
               "10 % of the spool's room is used: 1000 readings are held; full in 11 h 30 min at this rate",
               "bring Kafka back, or raise spool.max_size (now 64.0 MiB)");
        for (int i = 0; i < 100; i++) { /* it does not come and go */
                p->f.spool.full_in_s = i % 2 ? 11 * 3600 : i % 40 ? 17 * 3600 : 0;
                pass(p, S);
                only(p, "spool_filling");
        }
        p->f.spool.full_in_s = 0;
        for (int i = 0; i < 40; i++)
                pass(p, S);
        assert_string_equal(p->said, "+spool_filling spool;-spool_filling spool;");
}

CASE(two_certificates_of_one_user_end)
{
        struct health_certificate both[] = {
                {.path = "a.pem", .user = "kafka", .not_after_us = WALL + 24 * HOUR / 2},
                {.path = "b.pem", .user = "kafka", .not_after_us = WALL + 9 * 24 * HOUR},
        };

        p->f.certificates = both;
        p->f.n_certificates = 2;
        pass(p, S);
        assert_string_equal(only(p, "certificate_soon")->what, "the certificate a.pem expires in 1 day");
        p->f.clock_unsynced = true;
        p->f.now.wall_us += 24 * HOUR;
        for (int i = 0; i < 5; i++)
                pass(p, S);
        assert_string_equal(health_verdict(&p->health), "ok");
        assert_string_equal(health_get(&p->health, 0)->what,
                            "the certificate a.pem has expired, or the clock here is wrong");
}

CASE(a_right_is_missing)
{
        p->f.uplink.heartbeat = "refused";
        snprintf(p->f.uplink.heartbeat_fault.why, sizeof(p->f.uplink.heartbeat_fault.why),
                 "Kafka does not allow user gw to write to topic edge_status_v1");
        pass(p, S);
        expect(p, "heartbeat_refused", "kafka heartbeat",
               "Kafka does not allow user gw to write to topic edge_status_v1",
               "give its user the right to write: kafka-acls.sh --bootstrap-server kafka-1:9092 --add --operation "
               "Write "
               "--topic edge_status_v1 --allow-principal User:…");
}

CASE(one_of_five_devices_is_down)
{
        struct host_device *d = &p->device[2];

        d->down = true;
        d->since_us = HOUR - 90 * S;
        snprintf(d->why, sizeof(d->why), "no answer");
        p->source[1].n_down = 1;
        pass(p, S);
        expect(p, "device_down", "modbus line-1", "1 of 5 devices is down: meter-3 (no answer)",
               "look at power, cable (A and B swapped?), unit, baud, parity: millrace modbus scan line-1");
        assert_int_equal(p->health.v[0]->since_us, HOUR - 90 * S);
}

CASE(one_device_is_down_and_a_register_of_another_is_refused)
{
        struct host_device *d = &p->device[2];

        d->down = true;
        d->since_us = HOUR - 90 * S;
        snprintf(d->why, sizeof(d->why), "no answer");
        p->source[1].n_down = 1;
        for (int i = 0; i < 20; i++) { /* the one that is down is asked now and then */
                snprintf(p->driver[1].last_error, sizeof(p->driver[1].last_error), "%s",
                         i % 4 == 3 ? "meter-3, 1 from holding:1: no answer"
                                    : "meter-1, 1 from holding:5000: illegal data address, it has no such register");
                pass(p, S);
                assert_int_equal(health_count(&p->health), 2);
        }
        assert_string_equal(p->said, "+device_down modbus line-1;+source_fault modbus line-1;");
}

CASE(a_device_has_errors_until_it_is_down)
{
        struct host_device *d = &p->device[2];

        snprintf(p->driver[1].last_error, sizeof(p->driver[1].last_error), "meter-3, 1 from holding:1: no answer");
        pass(p, S);
        only(p, "source_fault");
        d->down = true;
        d->since_us = HOUR;
        snprintf(d->why, sizeof(d->why), "no answer");
        p->source[1].n_down = 1;
        pass(p, S);
        only(p, "device_down");
}

CASE(all_devices_are_down)
{
        for (int i = 0; i < 5; i++) {
                p->device[i].down = true;
                p->device[i].since_us = HOUR - i * S;
                snprintf(p->device[i].why, sizeof(p->device[i].why), "no answer");
        }
        p->source[1].n_down = 5;
        pass(p, S);
        expect(p, "device_down", "modbus line-1",
               "5 of 5 devices are down: meter-1 (no answer), meter-2 (no answer), meter-3 (no answer) and 2 more",
               "look at power, cable (A and B swapped?), unit, baud, parity: millrace modbus scan line-1");
        assert_int_equal(p->health.v[0]->since_us, HOUR - 4 * S);
}

CASE(a_register_is_refused)
{
        snprintf(p->driver[1].last_error, sizeof(p->driver[1].last_error),
                 "meter-1, 2 from holding:100: illegal data address, it has no such register");
        p->source[1].error_since_us = HOUR - 7 * S;
        pass(p, S);
        expect(p, "source_fault", "modbus line-1",
               "meter-1, 2 from holding:100: illegal data address, it has no such register",
               "the device has no such register: millrace modbus read line-1 UNIT holding:0/10");
        assert_int_equal(p->health.v[0]->since_us, HOUR - 7 * S);
}

CASE(what_came_cannot_be_read)
{
        snprintf(p->driver[0].last_error, sizeof(p->driver[0].last_error), "a/b: no JSON");
        p->source[0].error_is_malformed = true;
        pass(p, S);
        expect(p, "source_malformed", "mqtt plant", "a/b: no JSON",
               "millrace spool quarantine shows what came; then mend the sender or its item in the configuration");
        p->source[0].n_malformed = 12;
        pass(p, S);
        assert_string_equal(only(p, "source_malformed")->what, "a/b: no JSON; 12 messages could not be read");
        p->driver[0].last_error[0] = '\0';
        snprintf(p->driver[1].last_error, sizeof(p->driver[1].last_error), "temp: not what is meant");
        p->source[1].error_is_malformed = true;
        pass(p, S);
        expect(p, "source_malformed", "modbus line-1", "temp: not what is meant",
               "correct type, word order or scale of the register in its profile");
}

CASE(a_broker_makes_commits_small)
{
        p->driver[0].commits_window = 20;
        for (int i = 0; i < 59; i++)
                pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
        pass(p, S);
        pass(p, S);
        expect(p, "commits_small", "mqtt plant",
               "the broker lets only 20 messages be under way, and each 20 are a commit of their own, which wears the "
               "flash",
               "max_inflight_messages 1000 in mosquitto.conf; of another broker its limit of messages in flight for a "
               "client");
        p->driver[0].commits_window = 0;
        for (int i = 0; i < 61; i++)
                pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
}

/* It is over when no new one has come for ten minutes. */
CASE(names_are_changed)
{
        p->driver[0].n_mapped = 2;
        p->source[0].mapped = (struct host_rise){2, HOUR + S};
        pass(p, S);
        expect(p, "names_changed", "mqtt plant", "2 names have characters that names may not have, and were changed",
               "nothing, if you can live with them (millrace tags); else name them in the configuration");
        for (int i = 0; i < 599; i++)
                pass(p, S);
        only(p, "names_changed");
        pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
}

CASE(a_broker_refuses)
{
        p->driver[0].state = DRIVER_DOWN;
        p->source[0].was_down = true;
        p->source[0].down_since_us = HOUR - 30 * S;
        snprintf(p->driver[0].last_error, sizeof(p->driver[0].last_error), "connection refused");
        pass(p, S);
        expect(p, "source_down", "mqtt plant", "not connected: connection refused",
               "start the broker at mqtt://10.0.0.2:1883, or correct url");
        p->driver[0].state = DRIVER_CONNECTING; /* it tries again: the same condition */
        pass(p, S);
        expect(p, "source_down", "mqtt plant", "not connected: connection refused",
               "start the broker at mqtt://10.0.0.2:1883, or correct url");
        assert_string_equal(p->said, "+source_down mqtt plant;");
}

CASE(it_is_full)
{
        p->f.spool.held_bytes = p->f.spool.usable_bytes / 20 * 19;
        p->f.spool.held = 100000;
        p->f.spool.full_in_s = 12000;
        pass(p, S);
        expect(p, "spool_filling", "spool",
               "95 % of the spool's room is used: 100000 readings are held; full in 3 h 20 min at this rate",
               "bring Kafka back, or raise spool.max_size (now 64.0 MiB)");
        p->f.spool.full_since_us = WALL;
        p->f.spool.gone_per_s[SPOOL_GONE_OLDEST] = 150;
        p->f.spool.dropped += 150;
        pass(p, S);
        expect(p, "spool_full", "spool", "the spool is full, the oldest readings go for good: 150 a second",
               "bring Kafka back, or raise spool.max_size (now 64.0 MiB); which went: millrace spool dropped");
        p->spool.when_full = SPOOL_BLOCK;
        p->f.spool.gone_per_s[SPOOL_GONE_OLDEST] = 0;
        pass(p, S);
        assert_string_equal(only(p, "spool_full")->what, "the spool is full, sources wait");
}

CASE(a_disk_is_slow)
{
        p->f.spool.commit_us = 3200000;
        pass(p, S);
        expect(p, "disk_slow", "spool", "the disk is slow: to write what came takes it 3.2 s, and sources wait for it",
               "end what else writes to the disk (iotop); if nothing does the card wears out: have a new one ready");
}

CASE(a_disk_has_less_room_than_the_spool_may_take)
{
        p->f.spool.spool_bytes = 4 << 20;
        p->f.spool.disk_free_bytes = 20 << 20;
        for (int i = 0; i < 7; i++)
                pass(p, S);
        expect(p, "disk_low", "spool", "its disk has 20.0 MiB left, and the spool may take 60.0 MiB more",
               "make room on the disk of /var/lib/millrace/spool.db (df -h says how much), or lower spool.max_size");
        p->f.spool.disk_free_bytes = UINT64_MAX;
        for (int i = 0; i < 12; i++)
                pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
}

static size_t two_are_silent(const struct driver *d, char *out, size_t cap)
{
        snprintf(out, cap, "a/+, b/{tag}");
        return 2;
}

CASE(topics_are_silent)
{
        static const struct driver_ops quiet = {
                .kind = "mqtt", .where = offsetof(struct bus_conf, port), .silent = two_are_silent};

        p->driver[0].ops = &quiet;
        p->source[0].state_since_us = p->f.now.mono_us;
        pass(p, 599 * S);
        assert_int_equal(health_count(&p->health), 0);
        pass(p, S);
        expect(p, "topic_silent", "mqtt plant", "nothing has come for 2 subscriptions: a/+, b/{tag}",
               "does anybody publish there? millrace mqtt watch mqtt://10.0.0.2:1883 '#' shows what does; else correct "
               "the topic");
        assert_string_equal(health_verdict(&p->health), "ok");
}

CASE(a_number_becomes_a_text)
{
        p->f.n_turned++;
        pass(p, S);
        expect(p, "tag_text", "press/temp", "it was a number and is a text now",
               "what it sends: millrace tail press/temp; `type: number` in its item makes a text bad, which is told");
        for (int i = 0; i < 600; i++)
                pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
}

CASE(memory_is_full)
{
        p->f.drop_reason = "memory_full";
        p->f.n_dropped += 3;
        p->f.spool.dropped += 150; /* the others are a full spool's, which is told */
        pass(p, S);
        expect(p, "readings_dropped", "spool", "3 readings were dropped (memory_full), 150 in all",
               "millrace spool dropped says which; the disk is too slow or fails: dmesg");
        assert_false(health_drop_is_told("memory_full"));
        assert_true(health_drop_is_told("purged") && health_drop_is_told("full") && health_drop_is_told("dead_letter"));
}

CASE(a_certificate_is_nearly_over)
{
        p->certificate = (struct health_certificate){
                .path = "/etc/millrace/ca.pem", .user = "kafka", .not_after_us = WALL + 40 * 24 * HOUR};
        p->f.certificates = &p->certificate;
        p->f.n_certificates = 1;
        pass(p, S);
        assert_int_equal(health_count(&p->health), 0);
        p->certificate.not_after_us = WALL + 3 * 24 * HOUR;
        pass(p, S);
        expect(p, "certificate_soon", "kafka", "the certificate /etc/millrace/ca.pem expires in 3 days",
               "put a new one at /etc/millrace/ca.pem, then systemctl reload millrace");
        assert_string_equal(health_verdict(&p->health), "ok");
        p->certificate.not_after_us = WALL - HOUR / 2;
        pass(p, S);
        expect(p, "certificate_over", "kafka", "the certificate /etc/millrace/ca.pem has expired",
               "put a new one at /etc/millrace/ca.pem, then systemctl reload millrace");
        assert_string_equal(health_verdict(&p->health), "degraded");
}

CASE(a_configuration_is_refused)
{
        p->f.config_refused = true;
        p->f.config_at_us = WALL - 10 * S;
        p->f.config_fault = "millrace.yaml:7: kafka: no such key: brokesr";
        pass(p, 0);
        expect(p, "config_refused", "configuration",
               "it was changed and is not in use: millrace.yaml:7: kafka: no such key: brokesr",
               "millrace check; then systemctl reload millrace");
        assert_int_equal(p->health.v[0]->since_us, HOUR - 10 * S);
}

static void each_fact_has_its_condition(void **state)
{
        static void (*const cases[])(struct plant *) = {
                a_disk_is_full,
                kafka_is_down,
                kafka_hangs,
                kafka_takes_its_time,
                a_line_is_slow,
                a_topic_is_missing,
                a_right_is_missing,
                all_devices_are_down,
                a_device_has_errors_until_it_is_down,
                one_device_is_down_and_a_register_of_another_is_refused,
                a_register_is_refused,
                one_of_five_devices_is_down,
                what_came_cannot_be_read,
                names_are_changed,
                a_broker_makes_commits_small,
                a_broker_refuses,
                it_is_full,
                a_disk_is_slow,
                a_disk_has_less_room_than_the_spool_may_take,
                a_certificate_is_nearly_over,
                topics_are_silent,
                a_number_becomes_a_text,
                memory_is_full,
                a_configuration_is_refused,
                a_topic_will_be_missed,
                a_topic_is_missing_that_is_never_asked_for,
                kafka_hangs_and_has_no_topic_for_heartbeats,
                a_broker_that_says_what_it_lacks_has_answered,
                it_will_be_full_before_somebody_comes,
                two_certificates_of_one_user_end,
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct plant p;

                plant_init(&p);
                pass(&p, 0);
                cases[i](&p);
                plant_fini(&p);
        }
}

/* ---- how they begin and end ---- */

static void what_comes_and_goes_is_told_once(void **state)
{
        struct plant p;

        plant_init(&p);
        pass(&p, 0);
        p.f.drop_reason = "memory_full";
        for (int i = 0; i < 100; i++) {
                p.f.n_dropped += i % 10 == 0;
                pass(&p, S);
        }
        assert_string_equal(p.said, "+readings_dropped spool;");
        for (int i = 0; i < 60; i++)
                pass(&p, S);
        assert_string_equal(p.said, "+readings_dropped spool;-readings_dropped spool;");
        plant_fini(&p);
}

static void what_is_short_is_not_told(void **state)
{
        struct plant p;

        plant_init(&p);
        for (int i = 0; i < 100; i++) {
                p.f.clock_unsynced = i % 4 == 0; /* its rule wants two seconds */
                pass(&p, S);
        }
        assert_string_equal(p.said, "");
        assert_int_equal(p.health.n, 0);
        plant_fini(&p);
}

static void the_worst_stands_first_then_the_oldest(void **state)
{
        struct health h = {0};
        static const enum health_id ids[] = {HEALTH_CLOCK_UNSYNCED, HEALTH_SOURCE_DOWN, HEALTH_SPOOL_FAILING,
                                             HEALTH_SOURCE_DOWN};
        static const char *const subjects[] = {"clock", "young", "spool", "old"};
        static const char *const order[] = {"spool", "old", "young", "clock"};
        static const int64_t since_us[] = {1, 90 * S, 80 * S, 10 * S};

        health_begin(&h, 100 * S);
        for (int i = 0; i < 4; i++)
                health_hold(&h, ids[i], subjects[i], since_us[i]);
        health_end(&h);
        for (size_t i = 0; i < 4; i++)
                assert_string_equal(health_get(&h, i)->subject, order[i]);
        assert_null(health_get(&h, 4));
        assert_string_equal(health_verdict(&h), "failed");
        health_fini(&h);
}

/* Whoever can make five hundred notices can't hide what is worse. */
static void beyond_the_bound_the_worst_are_seen(void **state)
{
        struct health h = {0};
        char subject[20];

        for (int round = 0; round < 3; round++) {
                health_begin(&h, (100 + round) * S);
                for (int i = 0; i < HEALTH_MOST + 7; i++) {
                        snprintf(subject, sizeof(subject), "s%d", i);
                        health_what(health_hold(&h, HEALTH_TOPIC_SILENT, subject, 0), "%d", i);
                }
                health_hold(&h, HEALTH_SOURCE_DOWN, "mqtt plant", 0);
                health_hold(&h, HEALTH_SPOOL_FAILING, "spool", 0);
                health_end(&h);
                assert_int_equal(h.n, HEALTH_MOST);
                assert_int_equal(health_count(&h), HEALTH_MOST + 9);
                assert_string_equal(health_verdict(&h), "failed");
                assert_string_equal(health_get(&h, 0)->subject, "spool");
                assert_string_equal(health_get(&h, 1)->subject, "mqtt plant");
        }
        health_begin(&h, 104 * S);
        health_end(&h);
        assert_int_equal(health_count(&h), 1); /* it lingers */
        health_fini(&h);
}

static void a_step_of_the_clock_moves_no_since(void **state)
{
        struct plant p;

        plant_init(&p);
        p.f.uplink.state = "down";
        p.f.spool.full_since_us = WALL;
        p.f.config_refused = true;
        p.f.config_at_us = WALL + S / 2;
        pass(&p, S);
        for (int i = 0; i < 3; i++) {
                p.f.now.wall_us += i % 2 ? 20 * HOUR : -8 * HOUR;
                pass(&p, S);
                assert_int_equal(health_get(&p.health, 0)->since_us, HOUR);
                assert_int_equal(health_get(&p.health, 1)->since_us, HOUR + S / 2);
                assert_int_equal(health_get(&p.health, 2)->since_us, HOUR + S);
        }
        plant_fini(&p);
}

/* ---- rules and ways ---- */

static void each_rule_is_whole(void **state)
{
        for (int i = 0; i < HEALTH_IDS; i++) {
                assert_non_null(health_rules[i].name);
                assert_non_null(health_rules[i].help);
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(health_rules[i].name, health_rules[k].name);
        }
}

static void each_rule_is_in_the_manual(void **state)
{
        char row[400], text[131072];
        FILE *f = fopen(TEST_ROOT "/packaging/doc/operator.md", "r");

        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        for (int i = 0; i < HEALTH_IDS; i++) {
                const struct health_rule *r = &health_rules[i];

                snprintf(row, sizeof(row), "| `%s` | %s | %s |\n", r->name, health_severity_names[r->severity],
                         r->help);
                if (!strstr(text, row))
                        fail_msg("not in operator.md: %s", row);
        }
}

static void hostile_words_stay_within_bounds(void **state)
{
        struct health_condition c;
        char words[2 * HEALTH_WORDS_MAX];

        memset(words, 'x', sizeof(words) - 1);
        words[sizeof(words) - 1] = '\0';
        memcpy(words, "topic ", 6);
        memcpy(words + 40, "has no topic", 12);
        health_what(&c, "%s", words);
        health_way(&c, &(struct health_names){.kind = "kafka", .where = words}, words);
        health_way(&c, &(struct health_names){.kind = "mqtt"}, "resolve");
        assert_string_equal(c.todo, "correct the host in url, or the name server: getent hosts it");
        health_what(&c, "a\xff\x1b[2J\nWATCHDOG=1");
        assert_string_equal(c.what, "a\xef\xbf\xbd [2J WATCHDOG=1");
}

static void the_way_fits_the_words(void **state)
{
        static const struct {
                const char *kind, *why, *todo;
        } rows[] = {
                {"mqtt", "name server does not resolve broker.plant",
                 "correct the host in url, or the name server: getent hosts 10.0.0.2"},
                {"mqtt", "the broker refuses the user", "correct username and password_file of the item"},
                {"serial", "/dev/ttyUSB0: No such file or directory",
                 "plug it in, or correct the path: ls -l /dev/serial/by-id mqtt://10.0.0.2:1883"},
                {"mqtt", "the broker does not answer the subscription of a/b",
                 "nothing comes until it does: look at the broker's log, and restart the broker mqtt://10.0.0.2:1883"},
                {"mqtt", "NDEATH",
                 "look at node-7 and its line: it has ended; is it gone for good: "
                 "millrace tags forget '*/*{edge=node-7}' --yes"},
                {"mqtt", "DDEATH",
                 "look at node-7 and its line: it has ended; is it gone for good: "
                 "millrace tags forget 'node-7/*' --yes"},
                {"mqtt", "no address for 'broker.plant': Name or service not known",
                 "correct the host in url, or the name server: getent hosts 10.0.0.2"},
                {"mqtt", "password_file /etc/millrace/p: Permission denied",
                 "correct password_file of the item; user millrace must be able to read it: ls -l"},
                {"mqtt", "/etc/millrace/ca.pem: No such file or directory",
                 "correct ca_file, cert_file or key_file of the item"},
                {"kafka", "no broker answers: k:9093: there is no TLS at that port, or it wants our certificate",
                 "correct security.protocol in kafka.properties: plaintext, ssl, sasl_…"},
                {"sysfs", "class/hwmon/hwmon0/temp1_input: No such file or directory",
                 "is the module loaded? ls /sys/class/hwmon; then correct file of the item"},
                {"syslog", "0.0.0.0:514, udp: Permission denied",
                 "a port below 1024 is not for user millrace: listen at 5514, and let senders name it"},
                {"kafka", "Kafka refuses user u: has no topic `reboot`",
                 "create it: kafka-topics.sh --bootstrap-server mqtt://10.0.0.2:1883 --create --topic TOPIC"},
                {"kafka", "another agent sends events as gateway gw-7; this one waits, 3 held",
                 "stop the other one, or give one of the two another name (gateway:); this one tries again every 5 "
                 "minutes"},
                {"kafka", "Kafka has no mark of samples", "nothing; readers tell records that came twice by their id"},
                {"kafka", "the mark: Broker: Group authorization failed",
                 "give its user the right: kafka-acls.sh --bootstrap-server mqtt://10.0.0.2:1883 --add --operation "
                 "Read "
                 "--group millrace- --resource-pattern-type prefixed --allow-principal User:…"},
                {"nothing", "whatever", "journalctl -u millrace says more; millrace doctor looks further"},
        };
        struct health_condition c;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                health_way(&c,
                           &(struct health_names){
                                   .kind = rows[i].kind, .item = "x", .where = mqtt_conf.port, .device = "node-7"},
                           rows[i].why);
                assert_string_equal(c.todo, rows[i].todo);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_wrong),
                cmocka_unit_test(each_fact_has_its_condition),
                cmocka_unit_test(what_comes_and_goes_is_told_once),
                cmocka_unit_test(what_is_short_is_not_told),
                cmocka_unit_test(the_worst_stands_first_then_the_oldest),
                cmocka_unit_test(beyond_the_bound_the_worst_are_seen),
                cmocka_unit_test(a_step_of_the_clock_moves_no_since),
                cmocka_unit_test(each_rule_is_whole),
                cmocka_unit_test(each_rule_is_in_the_manual),
                cmocka_unit_test(hostile_words_stay_within_bounds),
                cmocka_unit_test(the_way_fits_the_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
