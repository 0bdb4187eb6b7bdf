/*
 * All drivers, held to what CONTRIBUTING.md asks of one: operations, tables, pages and tests that are there. What is
 * forgotten is told with the file or key it is about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/drivers.h"

#define NAME(kind) #kind,
static const char *const names[] = {DRIVERS_EACH(NAME) NULL};

/* Those that have no such file, and why. */
static const struct {
        const char *kind, *pattern, *why;
} exempt[] = {
        {"sim", "tests/fuzz/fuzz_%s*.c", "takes no bytes from outside"},
        {"sim", "tests/replay/{%1$s*,%1$s/*}.expected", "takes no bytes from outside"},
};

static void all_of_the_list_are_there(void **state)
{
        for (size_t i = 0; i <= DRIVERS_KNOWN; i++) {
                if (!names[i]) {
                        assert_null(drivers_known[i]);
                        assert_int_equal(i, DRIVERS_KNOWN);
                        continue;
                }
                assert_string_equal(drivers_known[i]->kind, names[i]);
                assert_true(text_is_name(names[i], strlen(names[i])));
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(names[i], names[k]);
        }
}

static void operations_are_complete(void **state)
{
        for (size_t i = 0; drivers_known[i]; i++) {
                const struct driver_ops *o = drivers_known[i];

                if (!o->schema || !o->names || !o->init || !o->start || !o->pause || !o->stop || !o->fini)
                        fail_msg("%s_ops: only poll and share may be missing", o->kind);
        }
}

/* ---- tables; that a default is allowed by its own row, test_config looks at ---- */

static size_t size_of(const struct schema_key *k)
{
        switch (k->type) {
        case SCHEMA_BOOL:
                return sizeof(bool);
        case SCHEMA_CHOICE:
                return sizeof(int);
        case SCHEMA_TEXTS:
        case SCHEMA_PAIRS:
        case SCHEMA_LIST:
                return sizeof(struct schema_list);
        case SCHEMA_MAP:
                return k->sub->size;
        default:
                return 8;
        }
}

static void check_schema(const struct schema *s);

static void check_key(const struct schema *s, const struct schema_key *k)
{
        size_t len = strlen(k->name);

        if (strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
                fail_msg("%s.%s: a key is of a-z, 0-9 and _", s->name, k->name);
        for (const struct schema_key *other = s->keys; other < k; other++)
                if (strcmp(other->name, k->name) == 0)
                        fail_msg("%s.%s: twice", s->name, k->name);
        if (!k->help || strlen(k->help) < 5 || !strchr(".\xa6", k->help[strlen(k->help) - 1])) /* or an ellipsis */
                fail_msg("%s.%s: .help is a sentence for the manual", s->name, k->name);
        if ((k->type == SCHEMA_MAP || k->type == SCHEMA_LIST) != (k->sub != NULL))
                fail_msg("%s.%s: maps and lists, and only these, have a .sub", s->name, k->name);
        if ((k->type == SCHEMA_CHOICE) != (k->choices != NULL))
                fail_msg("%s.%s: choices, and only these, have .choices", s->name, k->name);
        if (k->offset + size_of(k) > s->size || (s->has_at && k->offset < sizeof(struct schema_at)))
                fail_msg("%s.%s: lies outside of its struct", s->name, k->name);
        if (k->min > k->max)
                fail_msg("%s.%s: its lowest is above its highest", s->name, k->name);
        if (k->def && k->flags & SCHEMA_REQUIRED)
                fail_msg("%s.%s: required, and has a default", s->name, k->name);
        if (k->sub)
                check_schema(k->sub);
}

static void check_schema(const struct schema *s)
{
        if (!s->name || !s->help || !*s->help || !s->keys || !s->size)
                fail_msg("schema %s: name, help, keys and size are needed", s->name ? s->name : "without a name");
        for (const struct schema_key *k = s->keys; k->name; k++)
                check_key(s, k);
}

static void tables_are_sound(void **state)
{
        for (size_t i = 0; drivers_known[i]; i++) {
                const struct schema *s = drivers_known[i]->schema;
                const struct schema_key *name = &s->keys[0];

                assert_string_equal(s->name, drivers_known[i]->kind);
                if (strcmp(name->name, "name") != 0 || name->type != SCHEMA_NAME ||
                    name->flags != (SCHEMA_REQUIRED | SCHEMA_UNIQUE) || !s->has_at)
                        fail_msg("%s: its first key is the item's name, required and unique", s->name);
                check_schema(s);
        }
}

/* ---- files ---- */

static char *read_file(const char *path)
{
        char whole[4096], *text = calloc(1, 1 << 20);
        FILE *in;

        snprintf(whole, sizeof(whole), TEST_ROOT "/%s", path);
        in = fopen(whole, "r");
        if (!in)
                fail_msg("%s is missing", path);
        assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
        fclose(in);
        return text;
}

static void every_driver_has_its_page(void **state)
{
        char *readme = read_file("README.md");

        for (size_t i = 0; names[i]; i++) {
                char path[200], block[200], *page;

                snprintf(path, sizeof(path), "packaging/doc/%s.md", names[i]);
                snprintf(block, sizeof(block), "\n%s:", names[i]);
                page = read_file(path);
                if (*page != '#' || !strstr(page, block))
                        fail_msg("%s: begins with a title, and shows a section %s:", path, names[i]);
                if (!strstr(readme, path))
                        fail_msg("%s is not linked in README.md", path);
                free(page);
        }
        free(readme);
}

static bool is_exempt(const char *kind, const char *pattern)
{
        for (size_t i = 0; i < sizeof(exempt) / sizeof(*exempt); i++)
                if (strcmp(exempt[i].kind, kind) == 0 && strcmp(exempt[i].pattern, pattern) == 0)
                        return true;
        return false;
}

static void check_there(const char *kind, const char *pattern)
{
        char one[200], whole[4096];
        glob_t found;
        int r;

        snprintf(one, sizeof(one), pattern, kind);
        snprintf(whole, sizeof(whole), TEST_ROOT "/%s", one);
        r = glob(whole, GLOB_BRACE, NULL, &found);
        if (r == 0)
                globfree(&found);
        if ((r == 0) == is_exempt(kind, pattern))
                fail_msg("%s: %s", one, r == 0 ? "is there, and exempt in test_drivers" : "there is none");
}

static void every_driver_has_its_tests(void **state)
{
        for (size_t i = 0; names[i]; i++) {
                check_there(names[i], "tests/unit/test_%s*.c");
                check_there(names[i], "tests/fuzz/fuzz_%s*.c");
                check_there(names[i], "tests/replay/{%1$s*,%1$s/*}.expected");
        }
}

static void every_folder_is_in_the_list(void **state)
{
        glob_t found;

        assert_int_equal(glob(TEST_ROOT "/drivers/*/meson.build", 0, NULL, &found), 0);
        assert_true(found.gl_pathc >= DRIVERS_KNOWN);
        for (size_t i = 0; i < found.gl_pathc; i++) {
                char *kind = found.gl_pathv[i] + strlen(TEST_ROOT "/drivers/");
                size_t k = 0;

                *strchr(kind, '/') = '\0';
                while (names[k] && strcmp(names[k], kind) != 0)
                        k++;
                if (!names[k])
                        fail_msg("drivers/%s is not in driver_kinds of drivers/meson.build", kind);
        }
        globfree(&found);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_of_the_list_are_there),  cmocka_unit_test(operations_are_complete),
                cmocka_unit_test(tables_are_sound),           cmocka_unit_test(every_driver_has_its_page),
                cmocka_unit_test(every_driver_has_its_tests), cmocka_unit_test(every_folder_is_in_the_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
