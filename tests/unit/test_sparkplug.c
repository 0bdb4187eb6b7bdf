/*
 * sparkplug: births, data, deaths and gaps as stories; every datatype with every way its values are sent; bytes by
 * hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/sparkplug/sparkplug.h"
#include "drivers/sparkplug/value.h"

#define NOW_US INT64_C(1795428000000000)
#define NOW_MS (NOW_US / 1000)

static struct sparkplug *s;
static struct tags *tags;
static struct sparkplug_result out;
static struct rt_time now;

static void begin(size_t most_tags)
{
        tags = tags_new(most_tags);
        s = sparkplug_new(tags, "plant");
        now = (struct rt_time){.mono_us = 1000000, .wall_us = NOW_US};
}

static void end(void)
{
        sparkplug_free(s);
        tags_free(tags);
}

/* ---- messages, made with protobuf-c ---- */

enum { METRICS = 70000 };
static Spb__Metric metric[METRICS], *metrics[METRICS];
static Spb__Payload payload;
static uint8_t *packed;

static void new_payload(int seq)
{
        payload = (Spb__Payload)SPB__PAYLOAD__INIT;
        payload.has_timestamp = true;
        payload.timestamp = NOW_MS - 1000;
        payload.has_seq = seq >= 0;
        payload.seq = seq < 0 ? 0 : (uint64_t)seq;
        payload.metrics = metrics;
}

static ProtobufCBinaryData text(const char *x)
{
        return (ProtobufCBinaryData){strlen(x), (uint8_t *)(uintptr_t)x};
}

static Spb__Metric *put(const char *name, int alias, unsigned type)
{
        Spb__Metric *m = &metric[payload.n_metrics];

        metrics[payload.n_metrics++] = m;
        *m = (Spb__Metric)SPB__METRIC__INIT;
        m->has_name = name != NULL;
        if (name)
                m->name = text(name);
        m->has_alias = alias >= 0;
        m->alias = alias < 0 ? 0 : (uint64_t)alias;
        m->has_datatype = type != 0;
        m->datatype = type;
        return m;
}

static Spb__Metric *put_double(const char *name, int alias, double v)
{
        Spb__Metric *m = put(name, alias, name ? SPARKPLUG_DOUBLE : 0);

        m->value_case = SPB__METRIC__VALUE_DOUBLE_VALUE;
        m->double_value = v;
        return m;
}

static void put_bd_seq(uint64_t v)
{
        Spb__Metric *m = put("bdSeq", -1, SPARKPLUG_INT64);

        m->value_case = SPB__METRIC__VALUE_LONG_VALUE;
        m->long_value = v;
}

static void take_bytes(const char *topic, const void *bytes, size_t len)
{
        uint8_t *copy = malloc(len + (len == 0)); /* so that a read behind the end is seen */

        memcpy(copy, bytes, len);
        sparkplug_take(s, topic, copy, len, &now, &out);
        free(copy);
}

static void take(const char *topic)
{
        size_t len = spb__payload__get_packed_size(&payload);

        packed = mem_grow(packed, len + 1, 1);
        spb__payload__pack(&payload, packed);
        take_bytes(topic, packed, len);
}

static void check_tag(size_t i, const char *source, const char *name, const char *unit, const char *labels)
{
        const struct tag *t;

        assert_true(i < out.n);
        t = tags_get(tags, out.r[i].tag);
        assert_string_equal(t->source, source);
        assert_string_equal(t->name, name);
        assert_string_equal(t->unit, unit);
        assert_string_equal(t->labels, labels);
        assert_string_equal(t->driver, "plant");
}

static void check_f64(size_t i, double v, unsigned quality)
{
        assert_true(i < out.n);
        assert_int_equal(out.r[i].type, READING_F64);
        assert_true(out.r[i].v.f64 == v);
        assert_int_equal(out.r[i].quality, quality);
}

static void check_all_bad(size_t n)
{
        assert_int_equal(out.n, n);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(out.r[i].type, READING_NONE);
                assert_int_equal(out.r[i].quality, QUALITY_BAD_NOT_CONNECTED);
                assert_true(out.r[i].ts_us == now.wall_us);
        }
}

#define NBIRTH "spBv1.0/plant/NBIRTH/edge-3"
#define NDATA  "spBv1.0/plant/NDATA/edge-3"
#define NDEATH "spBv1.0/plant/NDEATH/edge-3"
#define DBIRTH "spBv1.0/plant/DBIRTH/edge-3/press-1"
#define DDATA  "spBv1.0/plant/DDATA/edge-3/press-1"
#define DDEATH "spBv1.0/plant/DDEATH/edge-3/press-1"
#define LABELS "\"group\":\"plant\",\"edge\":\"edge-3\""

static void node_birth(uint64_t bd_seq)
{
        new_payload(0);
        put_bd_seq(bd_seq);
        put("Node Control/Rebirth", -1, SPARKPLUG_BOOLEAN)->value_case = SPB__METRIC__VALUE_BOOLEAN_VALUE;
        put_double("Uptime", 1, 5);
        take(NBIRTH);
}

static void device_birth(int seq)
{
        static uint8_t *key = (uint8_t *)"engUnit";
        ProtobufCBinaryData keys[] = {{7, key}};
        Spb__PropertyValue unit = SPB__PROPERTY_VALUE__INIT, *values[] = {&unit};
        Spb__PropertySet set = SPB__PROPERTY_SET__INIT;

        unit.value_case = SPB__PROPERTY_VALUE__VALUE_STRING_VALUE;
        unit.string_value = text("degC");
        set.n_keys = set.n_values = 1;
        set.keys = keys;
        set.values = values;
        new_payload(seq);
        put_double("Outputs/Temp 1", 10, 70)->properties = &set;
        put_double("vib", 11, 2);
        take(DBIRTH);
}

static void data(const char *topic, int seq, int alias, double v)
{
        new_payload(seq);
        put_double(NULL, alias, v);
        take(topic);
}

/* ---- stories ---- */

static void test_births_and_data(void **state)
{
        begin(100);
        node_birth(4);
        assert_null(out.reason);
        assert_int_equal(out.n, 1);
        check_tag(0, "edge-3", "Uptime", "", LABELS);
        check_f64(0, 5, QUALITY_GOOD);
        assert_true(out.r[0].ts_us == (NOW_MS - 1000) * 1000); /* the payload's */
        assert_true(out.r[0].flags == READING_SOURCE_TIME);
        device_birth(1);
        assert_int_equal(out.n, 2);
        check_tag(0, "press-1", "Outputs_Temp_1._2f20", "degC", LABELS);
        check_tag(1, "press-1", "vib", "", LABELS);
        assert_int_equal(out.n_mapped, 1);
        data(DDATA, 2, 10, 71.5);
        assert_int_equal(out.n, 1);
        check_tag(0, "press-1", "Outputs_Temp_1._2f20", "degC", LABELS);
        check_f64(0, 71.5, QUALITY_GOOD);
        data(NDATA, 3, 1, 6);
        check_tag(0, "edge-3", "Uptime", "", LABELS);
        new_payload(4);
        put_double("vib", -1, 2.5); /* by name */
        put_double("Outputs/Temp 1", 11, 72)->has_timestamp = true;
        metric[1].timestamp = NOW_MS - 500;
        take(DDATA);
        assert_int_equal(out.n, 2);
        check_tag(0, "press-1", "vib", "", LABELS);
        check_tag(1, "press-1", "Outputs_Temp_1._2f20", "degC", LABELS); /* a name counts more than an alias */
        assert_true(out.r[1].ts_us == (NOW_MS - 500) * 1000);
        assert_null(out.reason);
        assert_null(out.gap);
        assert_false(out.rebirth);
        assert_null(out.state);
        assert_int_equal(tags_count(tags), 3);
        device_birth(5); /* again: the same tags, nothing mapped anew */
        assert_int_equal(out.n, 2);
        assert_int_equal(out.n_mapped, 0);
        assert_int_equal(tags_count(tags), 3);
        end();
}

static void check_rebirth(void)
{
        Spb__Payload *p;

        assert_true(out.rebirth);
        assert_string_equal(out.command_topic, "spBv1.0/plant/NCMD/edge-3");
        p = spb__payload__unpack(NULL, out.command_len, out.command);
        assert_non_null(p);
        assert_int_equal(p->n_metrics, 1);
        assert_int_equal(p->timestamp, now.wall_us / 1000);
        assert_int_equal(p->metrics[0]->name.len, 20);
        assert_memory_equal(p->metrics[0]->name.data, "Node Control/Rebirth", 20);
        assert_int_equal(p->metrics[0]->datatype, 11);
        assert_int_equal(p->metrics[0]->value_case, SPB__METRIC__VALUE_BOOLEAN_VALUE);
        assert_true(p->metrics[0]->boolean_value);
        spb__payload__free_unpacked(p, NULL);
}

static void test_after_our_restart(void **state)
{
        begin(100);
        new_payload(77);
        put_double(NULL, 10, 1);
        put_double("vib", -1, 1); /* without its birth nobody knows the unit */
        take(DDATA);
        assert_int_equal(out.n, 0);
        assert_int_equal(out.n_absent, 2);
        assert_string_equal(out.reason, "no birth known, rebirth requested");
        check_rebirth();
        data(NDATA, 78, 1, 1);
        assert_non_null(out.reason);
        assert_false(out.rebirth); /* asked already */
        node_birth(4);
        device_birth(1);
        data(DDATA, 2, 10, 71.5);
        assert_null(out.reason);
        assert_int_equal(out.n, 1);
        assert_int_equal(tags_count(tags), 3);
        end();
}

static void test_unknown_alias(void **state)
{
        begin(100);
        node_birth(4);
        device_birth(1);
        new_payload(2);
        put_double(NULL, 10, 1);
        put_double(NULL, 99, 2);
        put_double("elsewhere", -1, 2);
        put(NULL, -1, 0); /* neither name nor alias */
        take(DDATA);
        assert_int_equal(out.n, 1); /* what can be read is */
        assert_int_equal(out.n_absent, 3);
        assert_string_equal(out.reason, "alias unknown, rebirth requested");
        check_rebirth();
        data("spBv1.0/plant/DDATA/edge-3/press-2", 3, 10, 1); /* a device without a birth, of a node with one */
        assert_int_equal(out.n, 0);
        assert_string_equal(out.reason, "no birth known, rebirth requested");
        end();
}

/* Requests come 5 s apart, then in doubling pauses, each node for itself. */
static void test_requests_are_limited(void **state)
{
        static const int at_s[] = {0, 5, 15, 35, 75, 155, 315, 615, 915};
        size_t n = 0;

        begin(100);
        for (int t = 0; t <= 1000; t++) {
                now.mono_us = 1000000 + t * INT64_C(1000000);
                data(NDATA, 5, 1, 1);
                if (!out.rebirth)
                        continue;
                assert_true(n < sizeof(at_s) / sizeof(*at_s));
                assert_int_equal(t, at_s[n++]);
        }
        assert_int_equal(n, sizeof(at_s) / sizeof(*at_s));
        data("spBv1.0/plant/NDATA/edge-4", 5, 1, 1);
        assert_true(out.rebirth);
        assert_string_equal(out.command_topic, "spBv1.0/plant/NCMD/edge-4");
        for (int i = 0; i < 2; i++) { /* after a long peace anew */
                now.mono_us += i ? INT64_C(5000000) : INT64_C(3000000000);
                data(NDATA, 5, 1, 1);
                assert_true(out.rebirth);
        }
        end();
}

static void test_sequence(void **state)
{
        begin(100);
        node_birth(4);
        device_birth(1);
        for (int i = 2; i < 600; i++) { /* over 255 and on */
                data(i % 2 ? NDATA : DDATA, i & 255, i % 2 ? 1 : 10, i);
                assert_null(out.gap);
        }
        data(DDATA, 90, 10, 1); /* 88 was due */
        assert_string_equal(out.gap, "sequence gap: 90 where 88 was due");
        check_rebirth();
        assert_null(out.reason); /* the message itself can be read */
        check_f64(0, 1, QUALITY_UNCERTAIN);
        data(DDATA, 91, 10, 1); /* the gap is told once; what it hid is not known yet */
        assert_null(out.gap);
        assert_false(out.rebirth);
        now.mono_us += 60000000;
        data(DDATA, 92, 10, 1); /* the request, or the birth, may be lost as well */
        check_rebirth();
        assert_null(out.gap);
        check_f64(0, 1, QUALITY_UNCERTAIN);
        new_payload(93);
        put_double("vib", -1, 3); /* a name is never doubtful */
        take(DDATA);
        check_f64(0, 3, QUALITY_GOOD);
        node_birth(5);
        device_birth(1);
        now.mono_us += 60000000;
        data(DDATA, 2, 10, 1);
        check_f64(0, 1, QUALITY_GOOD);
        assert_false(out.rebirth);
        new_payload(-1); /* without seq: nothing to say */
        put_double(NULL, 10, 1);
        take(DDATA);
        assert_null(out.gap);
        data(DDATA, 3, 10, 1);
        assert_null(out.gap);
        data(DDATA, 260, 10, 1); /* 4, but no seq goes beyond 255 */
        assert_non_null(out.gap);
        end();
}

static void death(int bd_seq)
{
        new_payload(-1);
        if (bd_seq >= 0)
                put_bd_seq((uint64_t)bd_seq);
        take(NDEATH);
}

static char gone[200];

static void on_gone(void *ctx, const char *source)
{
        strcat(strcat(gone, source), " ");
}

static void forget(const char *source)
{
        for (uint32_t i = 0; i < tags_count(tags); i++)
                if (tags_is_tag(tags, i) && !strcmp(tags_get(tags, i)->source, source))
                        assert_true(tags_forget(tags, i));
        *gone = '\0';
        sparkplug_forgotten(s, on_gone, NULL);
}

/* Which is what an operator says of those that will never be born again. */
static void test_the_dead_are_gone_with_their_tags(void **state)
{
        begin(100);
        node_birth(4);
        device_birth(1);
        forget("press-1"); /* it lives */
        assert_string_equal(gone, "");
        device_birth(2);
        new_payload(3);
        take(DDEATH);
        forget("another");
        assert_string_equal(gone, "");
        forget("press-1");
        assert_string_equal(gone, "press-1 ");
        device_birth(4);
        assert_string_equal(out.state, "up");
        death(4);
        forget("press-1");
        assert_string_equal(gone, "press-1 ");
        forget("edge-3");
        assert_string_equal(gone, "edge-3 press-1 ");
        end();
}

static void test_deaths(void **state)
{
        begin(100);
        node_birth(4);
        device_birth(1);
        new_payload(2);
        take(DDEATH);
        check_all_bad(2);
        assert_string_equal(out.source, "press-1");
        assert_string_equal(out.state, "down");
        new_payload(3);
        take(DDEATH); /* once */
        assert_int_equal(out.n, 0);
        assert_null(out.state);
        data(DDATA, 4, 10, 1);
        assert_int_equal(out.n, 0);
        assert_string_equal(out.reason, "data behind a death, rebirth requested");
        data(NDATA, 5, 1, 1); /* the node lives */
        assert_int_equal(out.n, 1);
        device_birth(6);
        assert_int_equal(out.n, 2);
        assert_string_equal(out.state, "up");
        assert_string_equal(out.source, "press-1");

        death(3); /* the will of the session before */
        assert_int_equal(out.n, 0);
        assert_string_equal(out.reason, "death of an earlier session (bdSeq 3, the node is at 4)");
        data(DDATA, 7, 10, 1);
        assert_int_equal(out.n, 1);
        death(4);
        check_all_bad(3); /* the node's and the device's */
        assert_string_equal(out.source, "edge-3");
        assert_string_equal(out.state, "down");
        death(4);
        assert_int_equal(out.n, 0);
        assert_null(out.state);
        now.mono_us += INT64_C(3000000000);
        data(NDATA, 8, 1, 1);
        assert_int_equal(out.n, 0);
        assert_null(out.gap); /* there is no sequence to break */
        check_rebirth();
        node_birth(5);
        assert_string_equal(out.state, "up");
        data(DDATA, 1, 10, 1); /* the device is to be born as well */
        assert_int_equal(out.n, 0);
        device_birth(2);
        assert_string_equal(out.state, "up");
        death(-1); /* without bdSeq it is believed */
        check_all_bad(3);
        end();
}

/* The node died while we were away; the tags are those of the run before. */
static void test_death_before_any_birth(void **state)
{
        uint32_t tag;

        begin(100);
        node_birth(4);
        device_birth(1);
        new_payload(2);
        put_double("x", 1, 1);
        take("spBv1.0/plant/DBIRTH/edge-3/press-2");
        sparkplug_free(s);
        s = sparkplug_new(tags, "plant");
        tags_intern(tags, "press-1", "vib", "", LABELS, "other", &tag); /* there: keeps its driver */
        tags_intern(tags, "press-1", "y", "", LABELS, "other", &tag);
        tags_intern(tags, "press-1", "vib", "", "", "plant", &tag);
        new_payload(7);
        take(DDEATH);
        check_all_bad(2);
        check_tag(1, "press-1", "vib", "", LABELS);
        assert_string_equal(out.state, "down");
        take(DDEATH);
        assert_int_equal(out.n, 0);
        death(4);
        check_all_bad(4); /* press-1 again: whether it was born meanwhile is not known */
        death(4);
        assert_int_equal(out.n, 0);
        node_birth(5);
        death(5);
        check_all_bad(1); /* as usual */
        end();
}

static void test_a_metric_that_is_gone(void **state)
{
        begin(100);
        node_birth(4);
        device_birth(1);
        new_payload(2);
        put_double("vib", 10, 9); /* under the alias the other one had */
        take(DBIRTH);
        assert_int_equal(out.n, 2);
        check_f64(0, 9, QUALITY_GOOD);
        check_tag(0, "press-1", "vib", "", LABELS);
        check_tag(1, "press-1", "Outputs_Temp_1._2f20", "degC", LABELS);
        assert_int_equal(out.r[1].quality, QUALITY_BAD_NOT_CONNECTED);
        data(DDATA, 3, 10, 8);
        check_tag(0, "press-1", "vib", "", LABELS);
        data(DDATA, 4, 11, 8);
        assert_int_equal(out.n, 0);
        new_payload(5);
        take(DDEATH);
        check_all_bad(1); /* what is gone is not told again */
        end();
}

static void test_names(void **state)
{
        char a[101], b[101];

        begin(100);
        memset(a, 'n', 100);
        memset(b, 'n', 100);
        a[100] = b[100] = '\0';
        b[99] = 'x';
        new_payload(0);
        put_double("a/b", 1, 1);
        put_double("a_b", 2, 2);
        put_double("a b", 3, 3);
        put_double(a, 4, 4);
        put_double(b, 5, 5);
        take(NBIRTH);
        assert_null(out.reason);
        assert_int_equal(out.n, 5);
        assert_int_equal(tags_count(tags), 5); /* each has its own */
        assert_int_equal(out.n_mapped, 4);     /* a_b is what was sent */
        for (size_t i = 0; i < 5; i++)
                assert_true(
                        text_is_name(tags_get(tags, out.r[i].tag)->name, strlen(tags_get(tags, out.r[i].tag)->name)));
        take(NBIRTH);
        assert_int_equal(tags_count(tags), 5); /* and the same the next time */
        assert_int_equal(out.n_mapped, 0);

        new_payload(0);
        put_double("x", 1, 1);
        take("spBv1.0/plant/DBIRTH/edge-3/edge-3");
        check_tag(0, "edge-3.edge-3", "x", "", LABELS);
        take("spBv1.0/plant/DBIRTH/edge-4/press 1");
        check_tag(0, "press_1._20", "x", "", "\"group\":\"plant\",\"edge\":\"edge-4\"");
        take("spBv1.0/plant/DBIRTH/edge-4/press_1");
        check_tag(0, "press_1", "x", "", "\"group\":\"plant\",\"edge\":\"edge-4\"");
        assert_int_equal(tags_count(tags), 8);
        take("spBv1.0/plant/DBIRTH/edge-3/edge-3.edge-3");
        check_tag(0, "edge-3.edge-3._z", "x", "", LABELS);
        end();
}

/* A name is a function of what was sent, whatever came before it. */
static void test_the_order_changes_no_name(void **state)
{
        static const char *const names[] = {"t#1", "t_1", "t 1", "t/1", "온도", "온/도", "t_1._23"};
        static const char *const mapped[] = {"t_1._23", "t_1",       "t_1._20",      "t_1._2f",
                                             "온도",    "온_도._2f", "t_1._23._5f5f"};
        enum { N = sizeof(names) / sizeof(*names) };

        for (size_t first = 0; first < N; first++) {
                begin(100);
                for (int again = 0; again < 2; again++) {
                        new_payload(0);
                        for (size_t i = 0; i < N; i++) {
                                size_t at = (first + (again ? N - i : i)) % N;

                                put_double(names[at], (int)at, (double)at);
                        }
                        take(NBIRTH);
                        assert_null(out.reason);
                        assert_int_equal(out.n, N);
                        for (size_t i = 0; i < N; i++)
                                assert_string_equal(tags_get(tags, out.r[i].tag)->name, mapped[(size_t)out.r[i].v.f64]);
                }
                assert_int_equal(tags_count(tags), N);
                end();
        }
}

static void test_birth_with_faults(void **state)
{
        char name[300];

        begin(100);
        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        new_payload(0);
        put_double("a", 1, 1);
        put_double("a", 2, 2);
        put_double("b", 1, 3);
        put_double("", 4, 4);
        put_double(name, 5, 5);
        take(NBIRTH);
        assert_int_equal(out.n, 2);
        assert_int_equal(out.n_absent, 3);
        assert_string_equal(out.reason, "metric 'a': its name is in the birth twice");
        data(NDATA, 1, 1, 7); /* a's or b's? */
        check_tag(0, "edge-3", "a", "", LABELS);
        check_f64(0, 7, QUALITY_UNCERTAIN);
        new_payload(2);
        put_double("a", -1, 8);
        take(NDATA);
        check_f64(0, 8, QUALITY_GOOD);
        end();
}

static void test_unsupported(void **state)
{
        begin(100);
        new_payload(0);
        put("table", 1, SPARKPLUG_DATASET)->value_case = SPB__METRIC__VALUE_DATASET_VALUE;
        put("udt", 2, SPARKPLUG_TEMPLATE)->value_case = SPB__METRIC__VALUE_TEMPLATE_VALUE;
        put("what", 3, 99);
        put("none", 4, 0);
        put_double("x", 5, 1);
        take(NBIRTH);
        assert_int_equal(out.n, 1);
        assert_int_equal(out.n_absent, 4);
        assert_string_equal(out.reason, "metric 'table': its datatype 16 (DataSet) is not supported");
        data(NDATA, 1, 2, 1); /* counted, and no reason to ask for a rebirth */
        assert_int_equal(out.n_absent, 1);
        assert_null(out.reason);
        assert_false(out.rebirth);
        new_payload(0);
        put("table", 1, SPARKPLUG_DATASET)->value_case = SPB__METRIC__VALUE_DATASET_VALUE;
        take(NBIRTH);
        assert_null(out.reason); /* told once */
        end();
}

static void test_no_room_for_tags(void **state)
{
        begin(1);
        node_birth(1);
        device_birth(1);
        assert_int_equal(out.n, 0);
        assert_int_equal(out.n_untagged, 2);
        assert_string_equal(out.reason, "tag table full: limits.max_tags is 1");
        data(DDATA, 2, 10, 1);
        assert_int_equal(out.n_untagged, 1);
        assert_null(out.reason);
        data(NDATA, 3, 1, 1);
        assert_int_equal(out.n, 1);
        end();
}

/* The device's name is a polled machine's: its node and neighbours go on, their sequence holds. */
static void test_a_source_of_another_item(void **state)
{
        begin(100);
        node_birth(1);
        device_birth(1);
        assert_int_equal(out.n, 2);
        tags_claim(tags, "modbus", "plc-1", "press-1", NULL); /* by a reload */
        data(DDATA, 2, 10, 1);
        assert_int_equal(out.n, 0);
        assert_int_equal(out.n_untagged, 1);
        assert_string_equal(out.reason, "press-1 belongs to modbus plc-1");
        new_payload(3);
        take(DDEATH);
        assert_int_equal(out.n, 0);
        assert_null(out.source); /* nothing is down */
        data(NDATA, 4, 1, 1);
        assert_int_equal(out.n, 1);
        assert_null(out.gap);
        device_birth(5);
        assert_int_equal(out.n, 0);
        assert_string_equal(out.reason, "press-1 belongs to modbus plc-1");
        new_payload(-1);
        put_bd_seq(1);
        take(NDEATH);
        assert_int_equal(out.n, 1);
        assert_string_equal(out.source, "edge-3");
        end();
}

static void test_time(void **state)
{
        const struct {
                int64_t metric_ms, payload_ms; /* -1: none */
                bool historical;
                int64_t ts_us;
                unsigned flags, quality;
        } rows[] = {
                {-1, -1, false, NOW_US, 0, QUALITY_GOOD},
                {-1, NOW_MS - 5, false, (NOW_MS - 5) * 1000, READING_SOURCE_TIME, QUALITY_GOOD},
                {NOW_MS - 7, NOW_MS - 5, false, (NOW_MS - 7) * 1000, READING_SOURCE_TIME, QUALITY_GOOD},
                {NOW_MS + 59000, -1, false, NOW_US + 59000000, READING_SOURCE_TIME, QUALITY_GOOD},
                {NOW_MS + 61000, NOW_MS, false, NOW_US, READING_TIME_UNTRUSTED, QUALITY_UNCERTAIN},
                {0, -1, false, NOW_US, READING_TIME_UNTRUSTED, QUALITY_UNCERTAIN},
                {INT64_MAX, -1, false, NOW_US, READING_TIME_UNTRUSTED, QUALITY_UNCERTAIN},
                {INT64_MIN, -1, false, NOW_US, READING_TIME_UNTRUSTED, QUALITY_UNCERTAIN},
                {NOW_MS - 90000000, NOW_MS, true, (NOW_MS - 90000000) * 1000, READING_SOURCE_TIME | READING_HISTORICAL,
                 QUALITY_GOOD},
        };

        begin(100);
        node_birth(1);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                Spb__Metric *m;

                new_payload((int)i + 1);
                payload.has_timestamp = rows[i].payload_ms != -1;
                payload.timestamp = (uint64_t)rows[i].payload_ms;
                m = put_double(NULL, 1, 1);
                m->has_timestamp = rows[i].metric_ms != -1;
                m->timestamp = (uint64_t)rows[i].metric_ms;
                m->has_is_historical = rows[i].historical;
                m->is_historical = rows[i].historical;
                print_message("row %zu\n", i);
                take(NDATA);
                assert_true(out.r[0].ts_us == rows[i].ts_us);
                assert_int_equal(out.r[0].flags, rows[i].flags);
                check_f64(0, 1, rows[i].quality);
                assert_true(out.r[0].arrival_us == NOW_US);
        }
        end();
}

/* ---- values ---- */

#define INT(x)  .field = SPB__METRIC__VALUE_INT_VALUE, .u = (x)
#define LONG(x) .field = SPB__METRIC__VALUE_LONG_VALUE, .u = (x)
#define IS(x)   .type = READING_I64, .i64 = (x)
#define RANGE   .type = READING_NONE, .quality = QUALITY_BAD_OUT_OF_RANGE
#define OTHER   .type = READING_NONE, .quality = QUALITY_BAD_CONFIG
#define SENSOR  .type = READING_NONE, .quality = QUALITY_BAD_SENSOR

static void test_values(void **state)
{
        static const struct {
                unsigned datatype;
                int field;
                uint64_t u;
                double f;
                const char *text;
                size_t len;
                unsigned type, quality;
                int64_t i64;
                double f64;
        } rows[] = {
                {SPARKPLUG_INT8, INT(0), IS(0)},
                {SPARKPLUG_INT8, INT(127), IS(127)},
                {SPARKPLUG_INT8, INT(0xffffffff), IS(-1)}, /* as wide as the field */
                {SPARKPLUG_INT8, INT(0xffffff80), IS(-128)},
                {SPARKPLUG_INT8, INT(0xff), IS(-1)}, /* as wide as the type */
                {SPARKPLUG_INT8, INT(0x80), IS(-128)},
                {SPARKPLUG_INT8, INT(0x100), RANGE},
                {SPARKPLUG_INT8, INT(0xffffff7f), RANGE},
                {SPARKPLUG_INT8, LONG(UINT64_MAX), IS(-1)},
                {SPARKPLUG_INT16, INT(0x7fff), IS(32767)},
                {SPARKPLUG_INT16, INT(0x8000), IS(-32768)},
                {SPARKPLUG_INT16, INT(0xffff8000), IS(-32768)},
                {SPARKPLUG_INT16, INT(0x10000), RANGE},
                {SPARKPLUG_INT32, INT(0x7fffffff), IS(2147483647)},
                {SPARKPLUG_INT32, INT(0x80000000), IS(-2147483648LL)},
                {SPARKPLUG_INT32, INT(0xffffffff), IS(-1)},
                {SPARKPLUG_INT32, LONG(0xffffffff), IS(-1)},
                {SPARKPLUG_INT32, LONG(UINT64_MAX - 1), IS(-2)},
                {SPARKPLUG_INT32, LONG(0x100000000), RANGE},
                {SPARKPLUG_INT64, LONG(UINT64_MAX), IS(-1)},
                {SPARKPLUG_INT64, LONG(INT64_MAX), IS(INT64_MAX)},
                {SPARKPLUG_INT64, LONG(UINT64_C(1) << 63), IS(INT64_MIN)},
                {SPARKPLUG_INT64, INT(0xffffffff), IS(0xffffffff)},
                {SPARKPLUG_UINT8, INT(255), IS(255)},
                {SPARKPLUG_UINT8, INT(256), RANGE},
                {SPARKPLUG_UINT8, INT(0xffffffff), RANGE},
                {SPARKPLUG_UINT16, INT(65535), IS(65535)},
                {SPARKPLUG_UINT16, INT(65536), RANGE},
                {SPARKPLUG_UINT32, INT(0xffffffff), IS(0xffffffff)},
                {SPARKPLUG_UINT32, LONG(0xffffffff), IS(0xffffffff)},
                {SPARKPLUG_UINT32, LONG(0x100000000), RANGE},
                {SPARKPLUG_UINT64, LONG(INT64_MAX), IS(INT64_MAX)},
                {SPARKPLUG_UINT64, LONG(UINT64_MAX), .type = READING_F64, .f64 = 18446744073709551615.0,
                 .quality = QUALITY_UNCERTAIN},
                {SPARKPLUG_DATETIME, LONG(1795428000000), IS(1795428000000)},
                {SPARKPLUG_INT8, SPB__METRIC__VALUE_FLOAT_VALUE, .f = 1, OTHER},
                {SPARKPLUG_FLOAT, SPB__METRIC__VALUE_FLOAT_VALUE, .f = 0.5, .type = READING_F64, .f64 = 0.5},
                {SPARKPLUG_FLOAT, SPB__METRIC__VALUE_DOUBLE_VALUE, .f = 0.1, .type = READING_F64, .f64 = 0.1},
                {SPARKPLUG_FLOAT, SPB__METRIC__VALUE_FLOAT_VALUE, .f = (double)NAN, SENSOR},
                {SPARKPLUG_DOUBLE, SPB__METRIC__VALUE_DOUBLE_VALUE, .f = -1e300, .type = READING_F64, .f64 = -1e300},
                {SPARKPLUG_DOUBLE, SPB__METRIC__VALUE_DOUBLE_VALUE, .f = (double)INFINITY, SENSOR},
                {SPARKPLUG_DOUBLE, INT(1), OTHER},
                {SPARKPLUG_BOOLEAN, SPB__METRIC__VALUE_BOOLEAN_VALUE, .u = 1, .type = READING_BOOL, .i64 = 1},
                {SPARKPLUG_BOOLEAN, SPB__METRIC__VALUE_BOOLEAN_VALUE, .u = 0, .type = READING_BOOL, .i64 = 0},
                {SPARKPLUG_BOOLEAN, INT(1), OTHER},
                {SPARKPLUG_STRING, SPB__METRIC__VALUE_STRING_VALUE, .text = "läuft", .len = 6, .type = READING_TEXT},
                {SPARKPLUG_TEXT, SPB__METRIC__VALUE_STRING_VALUE, .text = "", .len = 0, .type = READING_TEXT},
                {SPARKPLUG_UUID, SPB__METRIC__VALUE_STRING_VALUE, .text = "a-b", .len = 3, .type = READING_TEXT},
                {SPARKPLUG_STRING, SPB__METRIC__VALUE_STRING_VALUE, .text = "a\0b", .len = 3, OTHER},
                {SPARKPLUG_STRING, SPB__METRIC__VALUE_STRING_VALUE, .text = "\xff", .len = 1, OTHER},
                {SPARKPLUG_STRING, SPB__METRIC__VALUE_BYTES_VALUE, .text = "a", .len = 1, OTHER},
                {SPARKPLUG_BYTES, SPB__METRIC__VALUE_BYTES_VALUE, .text = "\0\xff", .len = 2, .type = READING_RAW},
                {SPARKPLUG_FILE, SPB__METRIC__VALUE_BYTES_VALUE, .text = "", .len = 0, .type = READING_RAW},
                {SPARKPLUG_INT8_ARRAY, SPB__METRIC__VALUE_BYTES_VALUE, .text = "\1\2", .len = 2, .type = READING_RAW},
                {SPARKPLUG_BYTES, SPB__METRIC__VALUE_STRING_VALUE, .text = "a", .len = 1, OTHER},
                {SPARKPLUG_BYTES, SPB__METRIC__VALUE_DATASET_VALUE, .text = "a", .len = 1, OTHER},
                {SPARKPLUG_INT32, SPB__METRIC__VALUE__NOT_SET, .u = 0, SENSOR},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                Spb__Metric *m, *back;
                struct reading r = {0};
                const char *why;
                uint8_t wire[100];
                size_t len;

                print_message("row %zu\n", i);
                new_payload(0);
                m = put("x", 1, rows[i].datatype);
                m->value_case = (Spb__Metric__ValueCase)rows[i].field;
                if (m->value_case == SPB__METRIC__VALUE_INT_VALUE)
                        m->int_value = (uint32_t)rows[i].u;
                else if (m->value_case == SPB__METRIC__VALUE_LONG_VALUE)
                        m->long_value = rows[i].u;
                else if (m->value_case == SPB__METRIC__VALUE_FLOAT_VALUE)
                        m->float_value = (float)rows[i].f;
                else if (m->value_case == SPB__METRIC__VALUE_DOUBLE_VALUE)
                        m->double_value = rows[i].f;
                else if (m->value_case == SPB__METRIC__VALUE_BOOLEAN_VALUE)
                        m->boolean_value = rows[i].u;
                else
                        m->bytes_value = (ProtobufCBinaryData){rows[i].len, (uint8_t *)(uintptr_t)rows[i].text};
                len = spb__metric__pack(m, wire);
                back = spb__metric__unpack(NULL, len, wire);
                why = sparkplug_value(back, back->datatype, &r);
                assert_int_equal(r.type, rows[i].type);
                assert_int_equal(r.quality, rows[i].quality);
                assert_int_equal(why != NULL,
                                 rows[i].quality == QUALITY_BAD_CONFIG || rows[i].quality == QUALITY_BAD_OUT_OF_RANGE);
                if (r.type == READING_I64)
                        assert_true(r.v.i64 == rows[i].i64);
                else if (r.type == READING_F64)
                        assert_true(r.v.f64 == rows[i].f64);
                else if (r.type == READING_BOOL)
                        assert_int_equal(r.v.b, rows[i].i64);
                else if (r.type != READING_NONE) {
                        assert_int_equal(r.len, rows[i].len);
                        assert_memory_equal(r.v.text, rows[i].text, r.len);
                }
                spb__metric__free_unpacked(back, NULL);
        }
}

static void test_null_and_wrong_values(void **state)
{
        begin(100);
        node_birth(1);
        new_payload(1);
        put_double(NULL, 1, 5)->has_is_null = true;
        metric[0].is_null = true;
        take(NDATA);
        assert_int_equal(out.r[0].type, READING_NONE);
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        assert_null(out.reason);
        new_payload(2);
        put(NULL, 1, 0)->value_case = SPB__METRIC__VALUE_STRING_VALUE;
        metric[0].string_value = text("five");
        take(NDATA);
        assert_int_equal(out.n, 1); /* one bad value does not take the message along */
        assert_int_equal(out.r[0].quality, QUALITY_BAD_CONFIG);
        assert_string_equal(out.reason, "metric 'Uptime': the value is not of its datatype");
        assert_false(out.rebirth);
        end();
}

static void test_quality(void **state)
{
        static const struct {
                uint32_t code;
                enum quality quality;
        } rows[] = {
                {192, QUALITY_GOOD},
                {216, QUALITY_GOOD},
                {0, QUALITY_BAD},
                {4, QUALITY_BAD_CONFIG},
                {8, QUALITY_BAD_NOT_CONNECTED},
                {12, QUALITY_BAD_COMM_FAILURE},
                {16, QUALITY_BAD_SENSOR},
                {20, QUALITY_BAD_STALE},
                {24, QUALITY_BAD_COMM_FAILURE},
                {28, QUALITY_BAD},
                {64, QUALITY_UNCERTAIN},
                {80, QUALITY_UNCERTAIN},
                {255, QUALITY_GOOD},
                {500, QUALITY_BAD_STALE},
                {300, QUALITY_BAD_CONFIG},
                {301, QUALITY_BAD_COMM_FAILURE},
                {404, QUALITY_BAD_CONFIG},
                {700, QUALITY_BAD},
                {0x80000200, QUALITY_BAD},
                {0x40000200, QUALITY_UNCERTAIN},
                {UINT32_MAX, QUALITY_BAD},
        };
        ProtobufCBinaryData keys[] = {{4, (uint8_t *)"Else"}, {7, (uint8_t *)"Quality"}};
        Spb__PropertyValue other = SPB__PROPERTY_VALUE__INIT, code = SPB__PROPERTY_VALUE__INIT;
        Spb__PropertyValue *values[] = {&other, &code};
        Spb__PropertySet set = SPB__PROPERTY_SET__INIT;

        set.n_keys = set.n_values = 2;
        set.keys = keys;
        set.values = values;
        code.value_case = SPB__PROPERTY_VALUE__VALUE_INT_VALUE;
        begin(100);
        node_birth(1);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                print_message("code %u\n", rows[i].code);
                code.int_value = rows[i].code;
                new_payload((int)i + 1);
                put_double(NULL, 1, 5)->properties = &set;
                take(NDATA);
                assert_int_equal(out.r[0].quality, rows[i].quality);
                assert_int_equal(out.r[0].type, quality_is_bad(rows[i].quality) ? READING_NONE : READING_F64);
                assert_null(out.reason);
        }
        code.value_case = SPB__PROPERTY_VALUE__VALUE_LONG_VALUE;
        code.long_value = (UINT64_C(1) << 32) + 192;
        new_payload((int)(sizeof(rows) / sizeof(*rows)) + 1);
        put_double(NULL, 1, 5)->properties = &set;
        take(NDATA);
        assert_int_equal(out.r[0].quality, QUALITY_BAD);
        code.value_case = SPB__PROPERTY_VALUE__VALUE_STRING_VALUE; /* none that is known */
        code.string_value = text("Bad");
        new_payload((int)(sizeof(rows) / sizeof(*rows)) + 2);
        put_double(NULL, 1, 5)->properties = &set;
        take(NDATA);
        check_f64(0, 5, QUALITY_UNCERTAIN);
        set.n_values = 1; /* a key without a value */
        data(NDATA, (int)(sizeof(rows) / sizeof(*rows)) + 3, 1, 5);
        check_f64(0, 5, QUALITY_GOOD);
        end();
}

/* ---- bytes by hand ---- */

#define BYTES(x) (x), sizeof(x) - 1

static void test_bytes(void **state)
{
        static const struct {
                const char *bytes;
                size_t len;
                bool readable;
                size_t n;
        } rows[] = {
                {BYTES(""), true, 0},
                /* timestamp, seq 0, metric x, alias 1, Int8, 0xff */
                {BYTES("\x08\xe8\x07\x12\x09\x0a\x01x\x10\x01\x20\x01\x50\x05\x18\x00"), true, 1},
                {BYTES("\x12\x0a\x0a\x01x\x10\x01\x20\x01\x50\xff\x01"), true, 1},
                /* unknown fields of every wire type are stepped over */
                {BYTES("\xb8\x3e\x05\xba\x3e\x01z\xbd\x3e\x01\x02\x03\x04\xb9\x3e\x01\x02\x03\x04\x05\x06\x07\x08"),
                 true, 0},
                /* properties twice in a metric, keys without values */
                {BYTES("\x12\x0d\x0a\x01x\x20\x01\x4a\x03\x0a\x01k\x4a\x01\x00"), false, 0},
                {BYTES("\x12\x0e\x0a\x01x\x20\x01\x4a\x03\x0a\x01k\x4a\x02\x12\x00"), true, 1},
                {BYTES("\x12\x7f"), false, 0},                 /* longer than the message */
                {BYTES("\x12\xff\xff\xff\xff\x0f"), false, 0}, /* 4 GiB */
                {BYTES("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), false, 0},
                {BYTES("\x0a"), false, 0},
                {BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false, 0}, /* a varint without end */
                {BYTES("\x0b"), false, 0},                                             /* a group */
                {BYTES("\x00\x00"), false, 0},                                         /* field 0 */
                {BYTES("{\"temp\":1}"), false, 0},
                {BYTES("\x22\x12SPBV1.0_COMPRESSED\x2a\x02zz"), false, 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                begin(100);
                print_message("row %zu\n", i);
                take_bytes(NBIRTH, rows[i].bytes, rows[i].len);
                assert_int_equal(out.reason == NULL, rows[i].readable);
                assert_int_equal(out.n, rows[i].n);
                end();
        }
        begin(100);
        take_bytes(NBIRTH, rows[2].bytes, rows[2].len);
        assert_true(out.r[0].v.i64 == -1);
        for (size_t cut = 1; cut < rows[1].len; cut++) /* every cut: refused or read, never more */
                take_bytes(NBIRTH, rows[1].bytes, cut);
        end();
}

static void test_topics(void **state)
{
        static const struct {
                const char *topic;
                bool refused;
        } rows[] = {
                {"spBv1.0/plant/NCMD/edge-3", false},
                {"spBv1.0/plant/DCMD/edge-3/press-1", false},
                {"spBv1.0/STATE/scada", false},
                {"spBv1.0/plant/NBIRTH", true},
                {"spBv1.0/plant/NBIRTH/", true},
                {"spBv1.0//NBIRTH/edge", true},
                {"spBv1.0/plant/NBIRTH/edge/device", true},
                {"spBv1.0/plant/DBIRTH/edge", true},
                {"spBv1.0/plant/DBIRTH/edge/", true},
                {"spBv1.0/plant/DBIRTH/edge/a/b", true},
                {"spBv1.0/plant/XBIRTH/edge", true},
                {"spBv1.0/plant", true},
                {"spBv1.0/", true},
                {"spAv1.0/plant/NBIRTH/edge-3", true},
                {"", true},
        };
        char longer[700];

        begin(100);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                print_message("%s\n", rows[i].topic);
                take_bytes(rows[i].topic, "\xff", 1); /* what is not for us is not even unpacked */
                assert_int_equal(out.n, 0);
                assert_int_equal(out.reason != NULL, rows[i].refused);
                assert_false(out.rebirth);
        }
        memset(longer, 'e', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        memcpy(longer, "spBv1.0/plant/NDATA/", 20);
        take_bytes(longer, "", 0);
        assert_non_null(out.reason);
        longer[500] = '\0';
        take_bytes(longer, "", 0);
        assert_int_equal(strlen(out.command_topic), 499);
        assert_true(out.rebirth);
        end();
}

/* ---- bounds ---- */

static void test_bounds(void **state)
{
        static char names[10000][8];
        char topic[60];
        uint8_t *empty = malloc(400000);

        begin(100000);
        for (size_t i = 0; i < 400000; i += 2)
                memcpy(empty + i, "\x12\x00", 2); /* 200,000 empty metrics */
        take_bytes(NBIRTH, empty, 400000);
        assert_string_equal(out.reason, "more metrics than one message may hold");
        free(empty);

        new_payload(0);
        for (int i = 0; i < 10000; i++)
                put("n", -1, 9);
        for (int i = 0; i < 10000; i++) {
                metric[i].name.data = (uint8_t *)names[i];
                metric[i].name.len = (size_t)snprintf(names[i], sizeof(names[i]), "m%d", i);
                metric[i].has_alias = true;
                metric[i].alias = (uint64_t)i * 4096;
        }
        for (int node = 0; node < 6; node++) {
                snprintf(topic, sizeof(topic), "spBv1.0/g/NBIRTH/n%d", node);
                take(topic);
                assert_int_equal(out.n, node < 5 ? 10000 : 0);
                assert_int_equal(out.reason != NULL, node == 5);
        }
        assert_string_equal(out.reason, "more than 50000 metrics in all births");
        take("spBv1.0/g/NBIRTH/n4"); /* what is there may be born again */
        assert_int_equal(out.n, 10000);
        data("spBv1.0/g/NDATA/n4", 1, 4096 * 9999, 5);
        assert_string_equal(tags_get(tags, out.r[0].tag)->name, "m9999");
        data("spBv1.0/g/NDATA/n5", 1, 0, 5);
        assert_string_equal(out.reason, "no birth known, rebirth requested");
        take_bytes("spBv1.0/g/NDEATH/n4", "", 0);
        check_all_bad(10000);
        for (int node = 6; node < SPARKPLUG_PARTS_MAX; node++) {
                snprintf(topic, sizeof(topic), "spBv1.0/g/NDATA/n%d", node);
                data(topic, 1, 1, 1);
                assert_string_equal(out.reason, "no birth known, rebirth requested");
        }
        data("spBv1.0/g/NDATA/one-more", 1, 1, 1);
        assert_string_equal(out.reason, "more than 2048 nodes and devices");
        data("spBv1.0/g/NDATA/n3", 1, 4096, 5);
        assert_int_equal(out.n, 1);
        end();
}

static int forget_packed(void **state)
{
        free(packed);
        return 0;
}

static void put_int(const char *name, int alias, unsigned v)
{
        Spb__Metric *m = put(name, alias, name ? SPARKPLUG_INT16 : 0);

        m->value_case = SPB__METRIC__VALUE_INT_VALUE;
        m->int_value = v;
}

static void say_how(const char *tag, const char *unit, struct convert_conf conf)
{
        struct err e;

        assert_int_equal(sparkplug_convert(s, tag, unit, &conf, &e), 0);
}

/* What the configuration says of a metric holds for births and data, by name and by alias. */
static void test_values_are_converted(void **state)
{
        static const char *none[] = {"0x7FFF"};
        static struct schema_pair states[] = {{"0", "stopped"}, {"1", "running"}};

        begin(100);
        say_how("Press_Temp._2f", "degC", (struct convert_conf){.scale = 0.1, .none = {none, 1}});
        say_how("Mode", NULL, (struct convert_conf){.scale = 1, .map = {states, 2}});
        say_how("Serial", NULL, (struct convert_conf){.scale = 1, .type = CONVERT_TEXT});
        new_payload(0);
        put_int("Press/Temp", 1, 235);
        put_int("Mode", 2, 1);
        put_int("Serial", 3, 4711);
        put_int("Plain", 4, 7);
        take("spBv1.0/g/NBIRTH/edge");
        assert_int_equal(out.n, 4);
        check_tag(0, "edge", "Press_Temp._2f", "degC", "\"group\":\"g\",\"edge\":\"edge\"");
        check_f64(0, 23.5, QUALITY_GOOD);
        assert_true(out.r[1].type == READING_TEXT && out.r[1].len == 7 && !memcmp(out.r[1].v.text, "running", 7));
        assert_true(out.r[2].type == READING_TEXT && out.r[2].len == 4 && !memcmp(out.r[2].v.text, "4711", 4));
        assert_true(out.r[3].type == READING_I64 && out.r[3].v.i64 == 7);
        new_payload(1);
        put_int(NULL, 1, 0x7fff);
        put_int(NULL, 2, 9);
        put_int("Press/Temp", -1, 0);
        take("spBv1.0/g/NDATA/edge");
        assert_int_equal(out.n, 3);
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        assert_int_equal(out.r[1].quality, QUALITY_UNCERTAIN);
        check_f64(2, 0, QUALITY_GOOD);
        assert_null(out.reason);
        end();
}

static void test_a_text_where_a_number_is_meant_is_told(void **state)
{
        Spb__Metric *m;

        begin(100);
        say_how("t", NULL, (struct convert_conf){.scale = 1, .type = CONVERT_NUMBER});
        new_payload(0);
        m = put("t", 1, SPARKPLUG_STRING);
        m->value_case = SPB__METRIC__VALUE_STRING_VALUE;
        m->string_value = text("21,3 C");
        take("spBv1.0/g/NBIRTH/edge");
        assert_int_equal(out.n, 1);
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        assert_non_null(strstr(out.reason, "metric 't': its value is not what is meant"));
        end();
}

/* 0xFFFF is -1 of 16 bits, whatever it is sent as. */
static void test_codes_are_of_the_datatype(void **state)
{
        static const char *none[] = {"0xFFFF"};

        begin(100);
        say_how("a", NULL, (struct convert_conf){.scale = 1, .none = {none, 1}});
        new_payload(0);
        put_int("a", 1, 0xffff);
        take("spBv1.0/g/NBIRTH/edge");
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        new_payload(1);
        put_int(NULL, 1, 0xffffffff);
        put_int(NULL, 1, 0xfffe);
        take("spBv1.0/g/NDATA/edge");
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        assert_true(out.r[1].type == READING_I64 && out.r[1].v.i64 == -2 && out.r[1].quality == QUALITY_GOOD);
        end();
}

/* Where a message has no place left for the texts of numbers, they are no other number's. */
static void test_room_for_texts_of_numbers(void **state)
{
        size_t n_bad = 0;

        begin(100);
        say_how("n", NULL, (struct convert_conf){.scale = 1, .type = CONVERT_TEXT});
        new_payload(0);
        put_int("n", 1, 0);
        take("spBv1.0/g/NBIRTH/edge");
        for (int n = 20000, seq = 1; n < 50000; n += 2000, seq++) {
                new_payload(seq);
                for (int i = 0; i < n; i++)
                        put_int(NULL, 1, (unsigned)i & 0x7fff);
                take("spBv1.0/g/NDATA/edge");
                for (size_t i = 0; i < out.n; i++) {
                        char want[12];
                        int len = snprintf(want, sizeof(want), "%zu", i & 0x7fff);

                        n_bad += out.r[i].type == READING_NONE;
                        assert_true(out.r[i].type == READING_NONE ||
                                    (out.r[i].len == (size_t)len && !memcmp(out.r[i].v.text, want, (size_t)len)));
                }
        }
        assert_true(n_bad > 0);
        end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_births_and_data),
                cmocka_unit_test(test_values_are_converted),
                cmocka_unit_test(test_the_dead_are_gone_with_their_tags),
                cmocka_unit_test(test_a_text_where_a_number_is_meant_is_told),
                cmocka_unit_test(test_codes_are_of_the_datatype),
                cmocka_unit_test(test_room_for_texts_of_numbers),
                cmocka_unit_test(test_after_our_restart),
                cmocka_unit_test(test_unknown_alias),
                cmocka_unit_test(test_requests_are_limited),
                cmocka_unit_test(test_sequence),
                cmocka_unit_test(test_deaths),
                cmocka_unit_test(test_death_before_any_birth),
                cmocka_unit_test(test_a_metric_that_is_gone),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_the_order_changes_no_name),
                cmocka_unit_test(test_birth_with_faults),
                cmocka_unit_test(test_unsupported),
                cmocka_unit_test(test_no_room_for_tags),
                cmocka_unit_test(test_a_source_of_another_item),
                cmocka_unit_test(test_time),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_null_and_wrong_values),
                cmocka_unit_test(test_quality),
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_topics),
                cmocka_unit_test(test_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, forget_packed);
}
