/*
 * test_yaml_words: what a person did who wrote no YAML, and where.
 *
 * Each text is read as a configuration is, and what is told is compared as a
 * person sees it; faults of the sections are of no interest here, so they are
 * without any.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/excerpt.h"
#include "agent/config/yaml.h"
#include "agent/config/yaml_words.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

static const struct {
        const char *yaml, *told;
} rows[] = {
        {"kafka:\n\tbrokers: [a]\n", "t:2:1: a tab indents this line; allowed: blanks\n"},
        {"kafka:\n  brokers: [a]\n\tlinger: 5ms\n", "t:3:1: a tab indents this line; allowed: blanks\n"},
        {"kafka:\n  a: 1\n \tb: 2\n", "t:3:2: a tab indents this line; allowed: blanks\n"},
        {"kafka:\r\n\ta: b\r\n", "t:2:1: a tab indents this line; allowed: blanks\n"},
        {"alarms:\n  - match: */temp\n    x: 1\n",
         "t:2:12: a value can't begin with *; allowed: in quotes: \"*/temp\"\n"},
        {"alarms: [{match: */temp, x: 1}]\n", "t:1:18: a value can't begin with *; allowed: in quotes: \"*/temp\"\n"},
        {"site: & # what\n", "t:1:7: a value can't begin with &; allowed: in quotes: \"&\"\n"},
        {"site: @home # it\n", "t:1:7: a value can't begin with @; allowed: in quotes: \"@home\"\n"},
        /* a byte order mark in front; what YAML takes for the end of a line, and no editor does */
        {"\xef\xbb\xbfsite: a\nkafka: @b\n", "t:2:8: a value can't begin with @; allowed: in quotes: \"@b\"\n"},
        {"site: a\rkafka: @b\r", "t:1:8: a carriage return without a line feed; allowed: line feeds\n"},
        {"site: \xe2\x80\xa8x\nkafka: @b\n",
         "t:1:7: an end of a line that nobody sees (U+2028); allowed: line feeds\n"},
        {"site: \"a\xc2\x9b"
         "31m\"\n",
         "t:1:9: a control character (U+009B); allowed: UTF-8 text\n"},
        {"site: a\n# x\xc2\x85y\n", "t:2:4: an end of a line that nobody sees (U+0085); allowed: line feeds\n"},
        {"site: `a`\n", "t:1:7: a value can't begin with `; allowed: in quotes: \"`a`\"\n"},
        {"site: %a\n", "t:1:7: a value can't begin with %; allowed: in quotes: \"%a\"\n"},
        {"%a: b\nsite: a\n", "t:1:1: a line can't begin with %; allowed: key: value\n"},
        {"subs:\n  - topic: {source}/temp\n    x: 1\n",
         "t:2:12: a text that begins with { needs quotes: \"{source}/temp\"\n"},
        {"subs: [{topic: {source}/{tag}, unit: a}]\n",
         "t:1:16: a text that begins with { needs quotes: \"{source}/{tag}\"\n"},
        {"subs: [{topic: plant/{source}/x, unit: a}]\n",
         "t:1:16: a text with { within braces needs quotes: \"plant/{source}/x\"\n"},
        {"site: [a\nkafka: b\n", "t:1:7: the [ that opens here is not closed\n"},
        {"kafka: {brokers: [a]\nspool: {path: x}\n", "t:1:8: the { that opens here is not closed\n"},
        {"kafka: {a: b,\n  c: d\n  e: f}\n",
         "t:1:8: the { that opens here is not closed, or a comma is missing before line 3\n"},
        {"kafka: {a: 1 b: 2}\n", "t:1:15: a comma is missing here, or the } that closes the { of column 8\n"},
        {"kafka: {brokers: [a]}}\nspool: {path: x}\n", "t:1:22: a } that nothing opened\n"},
        {"site: \"a\nkafka: {b: c}\n", "t:1:7: the quote that opens here is not closed\n"},
        {"site: 'a\nkafka: {b: c}\n", "t:1:7: the quote that opens here is not closed\n"},
        {"site: \"a\" b\n",
         "t:1:11: the value has ended before this; allowed: one value, in quotes when it has quotes or braces of its "
         "own\n"},
        {"site: \"C:\\Users\"\n",
         "t:1:12: no escape is written like this; allowed: single quotes, in which \\ is a character\n"},
        {"site: a: b # c\n", "t:1:8: a second colon in one value; allowed: the value in quotes: \"a: b\"\n"},
        {"kafka:\n  brokers:[a]\n  linger: 5ms\n",
         "t:2:11: a blank is missing behind the colon; allowed: key: value\n"},
        {"gateway:gw-7\nkafka: {a: b}\n", "t:1:9: a blank is missing behind the colon; allowed: key: value\n"},
        {"kafka\nspool: a\n", "t:1:1: \"kafka\" stands alone; allowed: key: value\n"},
        {"spool: a\nkafka\n", "t:2:1: \"kafka\" stands alone; allowed: key: value\n"},
        {"site = a\nkafka: b\n", "t:1:1: = where a colon is needed; allowed: key: value\n"},
        {"kafka:\n  a: 1\n   b: 2\n",
         "t:3:4: indented deeper than line 2, which has its value already; allowed: as deep as the keys beside it\n"},
        {"kafka:\n   a: 1\n  b: 2\n",
         "t:3:3: the indentation fits none of the lines above; allowed: that of the keys beside it\n"},
        {"mqtt:\n  - name: a\n - name: b\n",
         "t:3:2: a list item where a key is expected: its - stands under no - above it\n"},
        {"mqtt: - name: a\n",
         "t:1:7: a list begins behind a key; allowed: each item on a line of its own below the key\n"},
        {"mqtt:\n  - name: a\n   url: b\n",
         "t:3:4: a key among list items; allowed: 4 blanks in front of a key of the item above\n"},
        {"mqtt:\n  - name: a\n    url: b\n   - name: c\n",
         "t:4:4: the indentation of this - fits none above it; allowed: 2 blanks, as line 2\n"},
        {"site: | a\n",
         "t:1:7: behind | or > at the beginning of a value nothing may stand; allowed: the value in quotes\n"},
        {"site: a\n...\nfoo: a\n",
         "t:3:1: this stands behind the end of the document; allowed: one document, key: value\n"},
        {"a: {b: [c, \"]\", # }\n  d\n", "t:1:8: the [ that opens here is not closed\n"},
        {"a: {b: c,, d: e}\n", "t:1:10: a value is missing here\n"},
        /* each section by itself */
        {"a: [\nb: c\nd: \"\ne: {f: g}}\n",
         "t:1:4: the brace that opens here is not closed\nt:3:4: the quote that opens here is not closed\n"
         "t:4:10: a } that nothing opened\n"},
};

static char *told(const char *yaml)
{
        struct faults f = {.n = 0};
        struct arena arena = {NULL};
        const struct node *root;
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        config_yaml(&arena, &f, "t", yaml, strlen(yaml), &root);
        faults_print(&f, out);
        fclose(out);
        faults_fini(&f);
        arena_fini(&arena);
        return text;
}

static void test_each_trouble_in_words(void **state)
{
        for (size_t i = 0; i < LENGTH(rows); i++) {
                char *text = told(rows[i].yaml);

                if (strcmp(text, rows[i].told) != 0)
                        print_error("of:\n%stold:\n%sexpected:\n%s\n", rows[i].yaml, text, rows[i].told);
                assert_string_equal(text, rows[i].told);
                free(text);
        }
}

static void test_what_could_be_read_is_there(void **state)
{
        static const char yaml[] = "a: 1\nb: [\nc: 2\n";
        struct faults f = {.n = 0};
        struct arena arena = {NULL};
        const struct node *root;

        assert_int_equal(config_yaml(&arena, &f, "t", yaml, strlen(yaml), &root), -1);
        assert_non_null(root);
        assert_int_equal(root->n, 4);
        assert_string_equal(root->items[2]->text, "c");
        assert_int_equal(root->items[2]->line, 3);
        faults_fini(&f);
        arena_fini(&arena);
}

/* Words of no row stay as they are, and no place is outside of the text. */
static void test_any_words_at_any_place(void **state)
{
        static const char *const contexts[] = {NULL, "while parsing a flow mapping", "while parsing a block mapping",
                                               "while scanning an alias", "while parsing a block collection"};
        static const char *const problems[] = {NULL,
                                               "it is odd",
                                               "found character that cannot start any token",
                                               "mapping values are not allowed in this context",
                                               "did not find expected key",
                                               "did not find expected '-' indicator",
                                               "could not find expected ':'"};
        static const char text[] = "a: {b}/é: [\n \t- x: y: z\n\n}";
        char out[400];

        for (size_t c = 0; c < LENGTH(contexts); c++)
                for (size_t p = 0; p < LENGTH(problems); p++)
                        for (size_t at = 0; at < 100; at++) {
                                struct yaml_trouble t = {
                                        contexts[c], problems[p], {at / 20, at % 20}, {at % 5, at / 5}};

                                yaml_words(text, strlen(text), &t, out, sizeof(out));
                                assert_true(*out != '\0');
                        }
}

static const struct {
        const char *text;
        int line, column;
        const char *shown;
} excerpts[] = {
        /* no password of an address, and nothing that a terminal obeys */
        {"url: mqtt://u:geheim@h\n", 1, 6, ""},
        {"a\xc2\x9b"
         "31m: b\n",
         1, 1, "     1 | a?31m: b\n       | ^\n"},
        {"a: b\nc: d\n", 2, 4, "     2 | c: d\n       |    ^\n"},
        {"a: b\n\tc: d", 2, 1, "     2 | →c: d\n       | ^\n"},
        {"é: ü\r\n", 1, 4, "     1 | é: ü\n       |    ^\n"},
        {"a\n", 2, 1, "     2 | \n       | ^\n"},
        {"a\n", 3, 1, ""},
        {"a\n", 1, 9, ""},
        {"a\n", 0, 0, ""},
        {"\x1b[1m\xff\n", 1, 2, "     1 | ?[1m?\n       |  ^\n"},
        {"x: {Password: a}\n", 1, 4, ""},
};

static void test_a_line_and_its_mark(void **state)
{
        char out[EXCERPT_BYTES], text[1000];

        for (size_t i = 0; i < LENGTH(excerpts); i++) {
                excerpt(excerpts[i].text, strlen(excerpts[i].text), excerpts[i].line, excerpts[i].column, out);
                assert_string_equal(out, excerpts[i].shown);
        }
        for (size_t i = 0; i < sizeof(text) - 1; i++)
                text[i] = i % 50 ? 'a' : 'b';
        text[sizeof(text) - 1] = '\0';
        excerpt(text, strlen(text), 1, 501, out);
        assert_int_equal(strchr(strchr(out, '\n'), '^') - strchr(out, '\n'), strlen("\n       | ") + 60);
        assert_memory_equal(out + strlen("     1 | …") + 59, "b", 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_trouble_in_words),
                cmocka_unit_test(test_what_could_be_read_is_there),
                cmocka_unit_test(test_any_words_at_any_place),
                cmocka_unit_test(test_a_line_and_its_mark),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
