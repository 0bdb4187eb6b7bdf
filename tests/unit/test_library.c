/*
 * Register maps that are files of their own: where they are looked for, that they are as if written into the
 * configuration, and that what is wrong with one is told with its own lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/config/config.h"
#include "drivers/modbus/modbus.h"

#define HEAD                                   \
        "gateway: gw-7\n"                      \
        "spool: {path: /var/spool.db}\n"       \
        "kafka: {brokers: [127.0.0.1:9092]}\n" \
        "modbus: [{name: b, port: /dev/ttyS0}]\n"
#define DEVICE "devices: [{source: s, bus: b, profile: meter}]\n"
#define MAP    "profiles: [{name: meter, registers: [{tag: v, at: \"input:0\"}]}]\n"

static char dir[200];

static const char *in_dir(const char *name)
{
        static char path[300];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static void put(const char *name, const char *text)
{
        FILE *out = fopen(in_dir(name), "w");

        assert_non_null(out);
        fputs(text, out);
        fclose(out);
}

static void set_up(void)
{
        strcpy(dir, "/tmp/millrace-library-XXXXXX");
        assert_non_null(mkdtemp(dir));
        mkdir(in_dir("profiles"), 0700);
        mkdir(in_dir("own"), 0700);
}

static void tear_down(void)
{
        char command[300];

        snprintf(command, sizeof(command), "rm -r %s", dir);
        assert_int_equal(system(command), 0);
}

/* What is told, with the folder cut away; "" when it is accepted. */
static const char *load(const char *yaml, struct config **out)
{
        static char text[4000];
        struct faults faults = {0};
        char *at;
        FILE *f;

        put("c.yaml", yaml);
        memset(text, 0, sizeof(text));
        if (config_load(in_dir("c.yaml"), out, &faults) < 0) {
                f = fmemopen(text, sizeof(text) - 1, "w");
                faults_print(&faults, f);
                fclose(f);
        }
        faults_fini(&faults);
        while ((at = strstr(text, dir)))
                memmove(at, at + strlen(dir), strlen(at + strlen(dir)) + 1);
        return text;
}

static const struct modbus_device_conf *device_of(const struct config *c)
{
        return c->devices.items;
}

static void a_profile_beside_the_configuration(void **state)
{
        struct config *c, *again;
        struct faults faults = {0};
        char *dump = NULL;
        size_t len;
        FILE *out;

        set_up();
        put("profiles/meter.yaml", MAP);
        assert_string_equal(load(HEAD DEVICE, &c), "");
        assert_string_equal(device_of(c)->map->name, "meter");
        assert_int_equal(device_of(c)->map->registers.n, 1);
        assert_int_equal(device_of(c)->map->at.line, 1);

        /* shown as written into the file, so that it is accepted where the library is not */
        out = open_memstream(&dump, &len);
        config_dump(c, out);
        fclose(out);
        assert_non_null(strstr(dump, "meter"));
        assert_int_equal(config_load_text("dump", dump, len, &again, &faults), 0);
        faults_fini(&faults);
        config_free(again);
        config_free(c);
        free(dump);
        tear_down();
}

static void what_comes_first(void **state)
{
        static const char *const two = "profiles: [{name: meter, registers: [{tag: v, at: \"input:0\"}, {tag: w, at: "
                                       "\"input:1\"}]}]\n";
        char yaml[1000];
        struct config *c;

        set_up();
        put("profiles/meter.yaml", "this is not looked at:");
        put("own/meter.yaml", two);
        snprintf(yaml, sizeof(yaml), "%s%sprofiles_dir: %s/own\n", HEAD, DEVICE, dir);
        assert_string_equal(load(yaml, &c), "");
        assert_int_equal(device_of(c)->map->registers.n, 2);
        config_free(c);
        strcat(yaml, MAP);
        assert_string_equal(load(yaml, &c), "");
        assert_int_equal(device_of(c)->map->registers.n, 1);
        config_free(c);
        tear_down();
}

static void what_is_wrong_has_its_own_lines(void **state)
{
        static const struct {
                const char *text, *told;
        } cases[] = {
                {"profiles:\n  - name: meter\n    registers:\n      - {tag: v, at: \"input:0\", typ: int16}\n",
                 "/profiles/meter.yaml:4:33: profiles[0].registers[0]: unknown key \"typ\""},
                {"profiles:\n  - name: other\n    registers: [{tag: v, at: \"input:0\"}]\n",
                 "/profiles/meter.yaml:2:11: profiles[0].name: \"other\" in a file of another name; allowed: meter"},
                {MAP "gateway: gw-8\n", "/profiles/meter.yaml:2:1: unknown key \"gateway\"; allowed: profiles"},
                {"profiles: [{name: meter, registers: [\n {tag: v, at: \"input:0\", group: g},\n {tag: w, at: "
                 "\"input:900\", group: g}]}]\n",
                 "/profiles/meter.yaml:2:33: profiles[0].registers[0].group: group \"g\" is 901 registers long"},
                {"", "/profiles/meter.yaml:"},
                {NULL, "/c.yaml:5:40: devices[0].profile: \"meter\" is not in profiles, nor in the library"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                const char *said;
                struct config *c;

                set_up();
                if (cases[i].text)
                        put("profiles/meter.yaml", cases[i].text);
                said = load(HEAD DEVICE, &c);
                if (strncmp(said, cases[i].told, strlen(cases[i].told)) != 0)
                        fail_msg("told: %s\nexpected: %s", said, cases[i].told);
                assert_null(c);
                tear_down();
        }
}

/* One file for many devices, and two files. */
static void several_devices(void **state)
{
        struct config *c;

        set_up();
        put("profiles/meter.yaml", MAP);
        put("profiles/pump.yaml", "profiles: [{name: pump, registers: [{tag: v, at: \"input:0\"}]}]\n");
        assert_string_equal(load(HEAD "profiles: [{name: own, registers: [{tag: v, at: \"input:0\"}]}]\n"
                                      "devices:\n"
                                      "- {source: a, bus: b, unit: 1, profile: meter}\n"
                                      "- {source: b, bus: b, unit: 2, profile: pump}\n"
                                      "- {source: c, bus: b, unit: 3, profile: own}\n"
                                      "- {source: d, bus: b, unit: 4, profile: meter}\n",
                                 &c),
                            "");
        assert_int_equal(c->profiles.n, 3);
        assert_ptr_equal(device_of(c)[0].map, device_of(c)[3].map);
        assert_string_equal(device_of(c)[1].map->name, "pump");
        assert_string_equal(device_of(c)[2].map->name, "own");
        config_free(c);
        tear_down();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_profile_beside_the_configuration),
                cmocka_unit_test(what_comes_first),
                cmocka_unit_test(what_is_wrong_has_its_own_lines),
                cmocka_unit_test(several_devices),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
