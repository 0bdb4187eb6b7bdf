/*
 * tags: one identity (source, name, labels); units are rows of one tag; a table takes any file's rows in any order; who
 * may make tags, how many, and how they go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/tags.h"
#include "agent/base/text.h"

struct seen {
        int n;
        uint32_t tag;
        char old_unit[16];
};

static void on_unit(void *ctx, uint32_t tag, const char *old_unit)
{
        struct seen *s = ctx;

        s->n++;
        s->tag = tag;
        snprintf(s->old_unit, sizeof(s->old_unit), "%s", old_unit);
}

static uint32_t intern(struct tags *t, const char *source, const char *unit, const char *labels)
{
        uint32_t tag;

        assert_int_equal(tags_intern(t, source, "temp", unit, labels, "plant", &tag), 0);
        return tag;
}

static void a_tag_is_its_source_name_and_labels(void **state)
{
        struct tags *t = tags_new(10);
        uint32_t l1 = intern(t, "press", "", "\"line\":\"l1\""), l2 = intern(t, "press", "", "\"line\":\"l2\"");
        uint32_t found = 99;

        assert_int_not_equal(l1, l2);
        assert_int_equal(intern(t, "press", "", "\"line\":\"l1\""), l1);
        assert_int_equal(tags_find(t, "press", "temp", "\"line\":\"l2\"", &found), 0);
        assert_int_equal(found, l2);
        assert_int_equal(tags_find(t, "press", "temp", "", &found), TAGS_E_NONE);
        assert_int_equal(tags_count(t), 2);
        l1 = intern(t, "press", "", "\"line\":\"l1\",\"cell\":\"3\"");
        assert_int_equal(intern(t, "press", "", "\"cell\":\"3\",\"line\":\"l1\""), l1); /* in whatever order */
        assert_int_not_equal(intern(t, "press", "", "\"cell\":\"l1\",\"line\":\"3\""), l1);
        assert_int_equal(tags_count(t), 4);
        tags_free(t);
}

static void a_tag_as_people_write_it(void **state)
{
        static const struct {
                const char *ident, *wanted;
                bool means;
        } cases[] = {
                {"temp", "temp", true},
                {"temp{line=l2}", "temp", true},
                {"temp{line=l2}", "temp{line=l2}", true},
                {"temp{line=l2}", "temp{line=l1}", false},
                {"temp{line=l2}", "temp{line=l22}", false},
                {"temp{line=l2,cell=3}", "temp{cell=3}", true},
                {"temp{line=l2,cell=3}", "temp{cell=3,line=l2}", true},
                {"temp{line=l2,cell=3}", "temp{cell=3,line=l1}", false},
                {"temp", "temp{line=l2}", false},
                {"temp2{line=l2}", "temp", false},
                {"온도{라인=l2}", "온도{라인=l2}", true},
        };
        static const char *const idents[] = {"temp", "temp{line=l2}", "temp{line=l2,cell=3}", "온도{라인=둘}",
                                             "a_b._20"};
        static const char *const none[] = {"",
                                           "temp{",
                                           "temp{}",
                                           "temp{line}",
                                           "temp{line=}",
                                           "temp{=l2}",
                                           "temp{line=l2",
                                           "temp{line=l2,}",
                                           "temp{line=l2}x",
                                           "{line=l2}",
                                           "te mp{line=l2}"};
        char ident[TAGS_IDENT_MAX + 1], labels[2 * TAGS_IDENT_MAX], other[TAGS_IDENT_MAX + 1], many[900] = "";

        tags_put_ident(ident, "temp", "\"line\":\"l2\",\"cell\":\"3\"");
        assert_string_equal(ident, "temp{cell=3,line=l2}");
        assert_int_equal(tags_put_labels(labels, sizeof(labels), ident), 22);
        assert_string_equal(labels, "\"cell\":\"3\",\"line\":\"l2\"");
        tags_put_event_labels(labels, sizeof(labels), "\"line\":\"l2\",\"rule\":\"3\"");
        assert_string_equal(labels, ",\"line\":\"l2\",\"label_rule\":\"3\"");
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_int_equal(tags_ident_means(cases[i].ident, cases[i].wanted), cases[i].means);
        for (size_t i = 0; i < sizeof(idents) / sizeof(*idents); i++)
                assert_true(tags_is_ident(idents[i], strlen(idents[i])));
        for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
                assert_false(tags_is_ident(none[i], strlen(none[i])));
        for (int i = 0; i < 16; i++)
                sprintf(many + strlen(many), "%s\"label%d\":\"a-value-of-some-length\"", i ? "," : "", i);
        tags_put_ident(ident, "temp", many);
        many[strlen(many) - 2] = 'x';
        tags_put_ident(other, "temp", many);
        assert_true(strlen(ident) <= TAGS_IDENT_MAX && tags_is_ident(ident, strlen(ident)));
        assert_string_not_equal(ident, other);
        assert_true(tags_ident_means(ident, ident) && !tags_ident_means(ident, other));
        for (size_t i = 0; i < sizeof(idents) / sizeof(*idents); i++) {
                assert_true(tags_read_ident(ident, idents[i]));
                assert_true(tags_ident_means(ident, idents[i]));
        }
        for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
                assert_false(tags_read_ident(ident, none[i]));
        tags_put_ident(ident, "temp", "no labels of ours");
        assert_string_equal(ident, "temp");
}

/* What is typed, or stands in an older file, is the tag's text whatever the form. */
static void the_form_of_a_text(void **state)
{
        static const struct {
                const char *was, *is;
        } cases[] = {
                {"t_1~23", "t_1._23"},
                {"e\u0301{line=l2}", "\u00e9{line=l2}"},
                {"temp{z=a_b~20,line=o\u0308}", "temp{line=\u00f6,z=a_b._20}"},
                {"temp{id~z=1,ida=2}", "temp{id._z=1,ida=2}"},
                {"temp{a=b,~x0123456789abcdef}", "temp{a=b,~x0123456789abcdef}"},
        };
        char ident[TAGS_IDENT_MAX + 1], labels[200];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                assert_true(tags_read_ident(ident, cases[i].was));
                assert_string_equal(ident, cases[i].is);
                assert_true(tags_ident_today(ident, cases[i].was));
                assert_string_equal(ident, cases[i].is);
        }
        assert_false(tags_read_ident(ident, "°C{line=l2}"));
        assert_true(tags_ident_today(ident, "°C{line=l2}"));
        assert_string_equal(ident, "__C._c2b0{line=l2}");
        assert_true(tags_labels_today(labels, sizeof(labels), "\"line\":\"a_b~20\",\"id~z\":\"m\u00b3\""));
        assert_string_equal(labels, "\"line\":\"a_b._20\",\"id._z\":\"m__._c2b3\"");
        assert_false(tags_labels_today(labels, sizeof(labels), "no labels"));
        assert_false(tags_labels_today(labels, 20, "\"line\":\"a-longer-one\""));
}

/* The longest of all have room, and a short name's text is as long as ever. */
static void a_text_has_room(void **state)
{
        char name[TEXT_NAME_MAX + 1], labels[700], ident[TAGS_IDENT_MAX + 1];

        for (int i = 0; i < TEXT_NAME_CHARS; i++)
                memcpy(name + 4 * i, "\U00020000", 4);
        name[TEXT_NAME_MAX] = '\0';
        snprintf(labels, sizeof(labels), "\"line\":\"%s\"", name);
        tags_put_ident(ident, name, labels);
        assert_true(strlen(ident) <= TAGS_IDENT_MAX && !strncmp(ident, name, TEXT_NAME_MAX));
        assert_non_null(strstr(ident, "{~x"));
        snprintf(labels, sizeof(labels), "\"line\":\"%.180s\"", name);
        tags_put_ident(ident, name, labels);
        assert_int_equal(strlen(ident), TEXT_NAME_MAX + 7 + 180);
        tags_put_ident(ident, "temp", labels);
        assert_int_equal(strlen(ident), 4 + 7 + 180);
        snprintf(labels, sizeof(labels), "\"line\":\"%s\"", name);
        tags_put_ident(ident, "temp", labels);
        assert_non_null(strstr(ident, "{~x")); /* 267 bytes: 256 was the bound before, too */
}

static void which_tag_is_meant(void **state)
{
        struct tags *t = tags_new(10);
        uint32_t l1 = intern(t, "press", "", "\"line\":\"l1\""), found = 99, l2, none;
        char several[200];

        assert_int_equal(tags_find_meant(t, "press", "temp", &found, several, sizeof(several)), 0);
        assert_int_equal(found, l1);
        l2 = intern(t, "press", "", "\"line\":\"l2\"");
        assert_int_equal(tags_find_meant(t, "press", "temp", &found, several, sizeof(several)), TAGS_E_SEVERAL);
        assert_string_equal(several, "press/temp{line=l1}, press/temp{line=l2}");
        assert_int_equal(tags_find_meant(t, "press", "temp{line=l2}", &found, several, sizeof(several)), 0);
        assert_int_equal(found, l2);
        assert_int_equal(tags_find_meant(t, "press", "temp{line=l3}", &found, several, sizeof(several)), TAGS_E_NONE);
        none = intern(t, "press", "", "");
        assert_int_equal(tags_find_meant(t, "press", "temp", &found, several, sizeof(several)), 0);
        assert_int_equal(found, none);
        tags_free(t);
}

static void a_unit_changes_and_the_tag_stays(void **state)
{
        struct tags *t = tags_new(10);
        struct seen s = {0};
        uint32_t tag = intern(t, "press", "degC", "");

        tags_on_unit(t, on_unit, &s);
        assert_int_equal(intern(t, "press", "degC", ""), tag);
        assert_int_equal(intern(t, "press", NULL, ""), tag);
        assert_int_equal(s.n, 0);
        assert_int_equal(intern(t, "press", "degF", ""), tag);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.tag, tag);
        assert_string_equal(s.old_unit, "degC");
        assert_string_equal(tags_unit(t, tag), "degF");
        assert_int_equal(intern(t, "press", "", ""), tag);
        assert_string_equal(tags_unit(t, tag), "");
        assert_int_equal(tags_count(t), 3);
        for (int i = 0; i < 100; i++)
                assert_int_equal(intern(t, "press", i % 2 ? "degC" : "degF", ""), tag);
        assert_int_equal(tags_count(t), 3);
        assert_true(tags_is_tag(t, tag));
        assert_false(tags_is_tag(t, 1));
        assert_false(tags_is_tag(t, 3));
        assert_int_equal(tags_get(t, 2)->first, tag);
        tags_free(t);
}

static void a_full_table_leaves_the_unit_as_it_was(void **state)
{
        struct tags *t = tags_new(1);
        uint32_t tag = intern(t, "press", "degC", ""), other;

        assert_int_equal(tags_intern(t, "press", "temp", "degF", "", "plant", &other), TAGS_E_FULL);
        assert_int_equal(tags_intern(t, "mill", "temp", "degC", "", "plant", &other), TAGS_E_FULL);
        assert_string_equal(tags_unit(t, tag), "degC");
        tags_free(t);
}

static void load(struct tags *t, const char *source, const char *unit, const char *labels, int64_t last_ts_us)
{
        struct tag row = {.source = source,
                          .name = "temp",
                          .unit = unit,
                          .labels = labels,
                          .driver = "plant",
                          .last_ts_us = last_ts_us};

        tags_load(t, &row);
}

/* The bound is for what comes from the wire; rows of an older version may be in any order, the same one twice even. */
static void any_file_can_be_loaded(void **state)
{
        struct tags *t = tags_new(0);
        struct seen s = {0};

        load(t, "press", "degC", "\"line\":\"l1\"", 50);
        load(t, "press", "degC", "\"line\":\"l2\"", 10);
        load(t, "press", "degF", "\"line\":\"l1\"", 90);
        load(t, "press", "K", "\"line\":\"l1\"", 70);
        load(t, "press", "degC", "\"line\":\"l2\"", 10);
        assert_int_equal(tags_count(t), 5);
        tags_on_unit(t, on_unit, &s);
        assert_int_equal(intern(t, "press", "degF", "\"line\":\"l1\""), 0);
        assert_int_equal(intern(t, "press", "degC", "\"line\":\"l2\""), 1);
        assert_int_equal(s.n, 0);
        assert_int_equal(tags_get(t, 0)->last_ts_us, 90);
        tags_seen(t, 3, 95);
        assert_string_equal(tags_unit(t, 0), "K");
        assert_int_equal(tags_get(t, 0)->last_ts_us, 95);
        tags_seen(t, 0, 60); /* the clock went back: the last one counts, not the latest */
        assert_string_equal(tags_unit(t, 0), "degC");
        assert_int_equal(tags_get(t, 0)->last_ts_us, 60);
        tags_free(t);
}

static void ten_thousand_tags_with_three_units_are_found_again(void **state)
{
        struct tags *t = tags_new(100000);
        char source[16];

        for (int unit = 0; unit < 3; unit++)
                for (int i = 0; i < 10000; i++) {
                        snprintf(source, sizeof(source), "s-%d", i);
                        assert_int_equal(intern(t, source, (const char *[]){"a", "b", "c"}[unit], ""), i);
                }
        assert_int_equal(tags_count(t), 30000);
        tags_free(t);
}

/* ---- names and shares ---- */

static struct tags_counts counts(const struct tags *t)
{
        struct tags_counts c;

        tags_counts(t, &c);
        return c;
}

static int from_wire(struct tags *t, const char *source, const char *driver)
{
        uint32_t tag;

        return tags_intern(t, source, "temp", "", "", driver, &tag);
}

static void what_is_configured_always_has_room(void **state)
{
        struct tags *t = tags_new(2);
        uint32_t tag, again;

        from_wire(t, "a", "plant");
        from_wire(t, "b", "plant");
        assert_int_equal(from_wire(t, "c", "plant"), TAGS_E_FULL);
        assert_string_equal(tags_why(t), "tag table full: limits.max_tags is 2");
        assert_int_equal(tags_configure(t, "press", "temp", "degC", "", "plc-1", &tag), 0);
        assert_int_equal(tags_configure(t, "press", "temp", "K", "", "plc-1", &again), 0); /* and a further unit */
        assert_int_equal(tag, again);
        assert_string_equal(tags_unit(t, tag), "K");
        assert_int_equal(counts(t).n, 4);
        assert_int_equal(counts(t).n_wire, 2);

        /* one that a flood made is the configured item's now, and leaves room for another */
        assert_int_equal(tags_configure(t, "a", "temp", "", "", "plc-1", &tag), 0);
        assert_string_equal(tags_get(t, tag)->driver, "plc-1");
        assert_int_equal(from_wire(t, "c", "plant"), 0);
        assert_int_equal(from_wire(t, "d", "plant"), TAGS_E_FULL);
        tags_release(t, "plc-1");
        assert_int_equal(counts(t).n_wire, 5);
        tags_free(t);
}

static void an_item_has_its_share(void **state)
{
        struct tags *t = tags_new(10);

        tags_share(t, "mqtt", "plant", 3);
        tags_share(t, "syslog", "logs", 7);
        for (int i = 0; i < 3; i++)
                assert_int_equal(from_wire(t, (const char *[]){"a", "b", "c"}[i], "plant"), 0);
        assert_int_equal(from_wire(t, "d", "plant"), TAGS_E_FULL);
        assert_string_equal(tags_why(t), "tag table full: max_tags of mqtt plant is 3");
        assert_int_equal(from_wire(t, "d", "logs"), 0);
        assert_int_equal(from_wire(t, "d", "plant"), 0); /* it is there, whoever made it */
        assert_int_equal(tags_item_of(t, "plant")->n, 3);
        assert_int_equal(tags_item_of(t, "plant")->n_full, 1);
        assert_int_equal(tags_item_of(t, "logs")->n, 1);
        tags_release(t, "plant"); /* a new configuration; its tags stay its own */
        tags_share(t, "mqtt", "plant", 4);
        assert_int_equal(from_wire(t, "e", "plant"), 0);
        assert_int_equal(from_wire(t, "f", "plant"), TAGS_E_FULL);
        tags_free(t);
}

static void a_source_belongs_to_who_names_it(void **state)
{
        struct tags *t = tags_new(10);
        uint32_t tag;

        tags_claim(t, "modbus", "plc-1", "press-3", NULL);
        tags_claim(t, "mqtt", "cell", "press-3", NULL);
        assert_int_equal(from_wire(t, "press-3", "plant"), TAGS_E_OWNED);
        assert_string_equal(tags_why(t), "press-3 belongs to modbus plc-1");
        assert_int_equal(tags_count(t), 0);
        assert_int_equal(tags_item_of(t, "plant")->n_owned, 1);
        assert_int_equal(owners_of(tags_owners(t), "press-3")->n_refused, 1);
        assert_string_equal(owners_of(tags_owners(t), "press-3")->by, "plant");
        assert_int_equal(from_wire(t, "press-3", "cell"), 0);
        assert_int_equal(from_wire(t, "press-4", "plant"), 0);
        assert_int_equal(tags_intern_any(t, "press-3", "test", NULL, "", "send", &tag), 0);
        tags_claim(t, "mqtt", "cell", "press-3", "test"); /* it is there: an operator made it */
        assert_true(tags_get(t, tag)->configured);
        assert_string_equal(tags_get(t, tag)->driver, "cell");
        tags_release(t, "plc-1");
        assert_false(tags_may_speak(t, "press-3", "plant"));
        assert_string_equal(tags_why(t), "press-3 belongs to mqtt cell");
        tags_release(t, "cell");
        assert_true(tags_may_speak(t, "press-3", "plant"));
        tags_free(t);
}

static void many_owners_come_and_go(void **state)
{
        struct owners o = {0};
        char source[16];

        for (int i = 0; i < 2000; i++) {
                snprintf(source, sizeof(source), "s-%d", i / 2);
                owners_add(&o, source, "sim", i % 2 ? "odd" : "even");
                owners_add(&o, source, "sim", i % 2 ? "odd" : "even");
        }
        assert_int_equal(o.n, 2000);
        owners_drop(&o, "even");
        assert_int_equal(o.n, 1000);
        for (int i = 0; i < 1000; i++) {
                snprintf(source, sizeof(source), "s-%d", i);
                assert_string_equal(owners_of(&o, source)->item, "odd");
                assert_false(owners_allow(&o, source, "even"));
        }
        assert_null(owners_of(&o, "s-1000"));
        owners_drop(&o, "odd");
        assert_true(owners_allow(&o, "s-7", "even"));
        owners_fini(&o);
}

/* ---- forgetting ---- */

static void a_forgotten_name_is_made_anew(void **state)
{
        struct tags *t = tags_new(3);
        uint32_t tag = intern(t, "press", "degC", ""), row, found;

        intern(t, "press", "K", "");
        intern(t, "mill", "", "");
        assert_int_equal(from_wire(t, "saw", "plant"), TAGS_E_FULL);
        assert_true(tags_forget(t, tag));
        assert_false(tags_is_tag(t, tag));
        assert_int_equal(tags_find(t, "press", "temp", "", &found), TAGS_E_NONE);
        assert_int_equal(counts(t).n, 1);
        assert_int_equal(counts(t).n_forgotten, 2);
        assert_string_equal(tags_get(t, tag)->source, "press"); /* for readings that point at it */
        while (tags_next_moved(t, &row))
                assert_true(tags_get(t, row)->forgotten && row <= 1);
        assert_int_equal(intern(t, "press", "degC", ""), 3);
        assert_int_equal(tags_remember(t, tag), 3); /* who has the old index means the new one */
        assert_int_equal(tags_remember(t, 3), 3);
        tags_free(t);
}

static void who_has_the_index_brings_it_back(void **state)
{
        struct tags *t = tags_new(3);
        uint32_t tag = intern(t, "press", "degC", ""), row;

        assert_true(tags_forget(t, tag));
        while (tags_next_moved(t, &row))
                ;
        assert_int_equal(tags_remember(t, tag), tag);
        assert_int_equal(intern(t, "press", "degC", ""), tag);
        assert_true(tags_next_moved(t, &row) && row == tag && !tags_get(t, row)->forgotten);
        assert_int_equal(counts(t).n_forgotten, 0);
        tags_free(t);
}

static void forgetting_has_a_bound(void **state)
{
        struct tags *t = tags_new(2);
        char source[16];

        for (int i = 0; i < 2; i++) {
                snprintf(source, sizeof(source), "s-%d", i);
                assert_true(tags_forget(t, intern(t, source, "", "")));
        }
        assert_false(tags_forget(t, intern(t, "s-2", "", "")));
        assert_true(tags_is_tag(t, 2));
        tags_free(t);
}

static void rows_that_nothing_points_at_are_used_again(void **state)
{
        struct tags *t = tags_new(10);
        uint32_t row, tag;

        tags_load_free(t);
        load(t, "press", "degC", "", 50);
        tags_load_free(t);
        tags_load(t, &(struct tag){.source = "press",
                                   .name = "temp",
                                   .unit = "K",
                                   .labels = "",
                                   .driver = "plant",
                                   .last_ts_us = 70,
                                   .forgotten = true});
        assert_int_equal(tags_count(t), 4);
        assert_int_equal(counts(t).n, 1);
        assert_int_equal(counts(t).n_forgotten, 1);
        assert_string_equal(tags_unit(t, 1), "degC"); /* the forgotten one is another tag */
        assert_int_equal(intern(t, "mill", "", ""), 2);
        assert_true(tags_next_moved(t, &row) && row == 2);
        assert_int_equal(intern(t, "press", "K", ""), 1); /* its row of another unit is not row 0, which ends a list */
        assert_int_equal(tags_get(t, 1)->current, 4);
        assert_int_equal(intern(t, "saw", "", ""), 0);
        assert_int_equal(tags_find(t, "saw", "temp", "", &tag), 0);
        assert_int_equal(counts(t).n, 4);
        tags_free(t);
}

/* Against a list of what must be there. */
static void a_thousand_names_come_and_go(void **state)
{
        enum { NAMES = 1000 };
        struct tags *t = tags_new(100000);
        bool there[NAMES] = {0};
        uint32_t seed = 7, found;
        char source[16];

        for (int i = 0; i < 60000; i++) {
                unsigned n = (seed = seed * 1664525 + 1013904223) >> 16 & 1023;

                if (n >= NAMES)
                        continue;
                snprintf(source, sizeof(source), "s-%u", n);
                assert_int_equal(tags_find(t, source, "temp", "", &found), there[n] ? 0 : TAGS_E_NONE);
                if (there[n])
                        assert_true(tags_forget(t, found));
                else
                        intern(t, source, "", "");
                there[n] = !there[n];
        }
        for (int n = 0; n < NAMES; n++) {
                snprintf(source, sizeof(source), "s-%d", n);
                assert_int_equal(tags_find(t, source, "temp", "", &found), there[n] ? 0 : TAGS_E_NONE);
        }
        tags_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tag_is_its_source_name_and_labels),
                cmocka_unit_test(a_tag_as_people_write_it),
                cmocka_unit_test(the_form_of_a_text),
                cmocka_unit_test(a_text_has_room),
                cmocka_unit_test(which_tag_is_meant),
                cmocka_unit_test(a_unit_changes_and_the_tag_stays),
                cmocka_unit_test(a_full_table_leaves_the_unit_as_it_was),
                cmocka_unit_test(any_file_can_be_loaded),
                cmocka_unit_test(ten_thousand_tags_with_three_units_are_found_again),
                cmocka_unit_test(what_is_configured_always_has_room),
                cmocka_unit_test(an_item_has_its_share),
                cmocka_unit_test(a_source_belongs_to_who_names_it),
                cmocka_unit_test(many_owners_come_and_go),
                cmocka_unit_test(a_forgotten_name_is_made_anew),
                cmocka_unit_test(who_has_the_index_brings_it_back),
                cmocka_unit_test(forgetting_has_a_bound),
                cmocka_unit_test(rows_that_nothing_points_at_are_used_again),
                cmocka_unit_test(a_thousand_names_come_and_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
