/*
 * `millrace doctor`: what leaves the house holds no secret, and findings are
 * bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/text.h"
#include "agent/cli/doctor.h"

static const struct {
        const char *line, *masked;
} lines[] = {
        {"sasl.password=abc", "sasl.password=***"},
        {"    - \"sasl.password=a b\"", "    - \"sasl.password=***\""},
        {"{\"what\":\"x token=a 'b' c\",\"y\":1}", "{\"what\":\"x token=*******\",\"y\":1}"},
        {"{\"password\":\"a b,c\",\"x\":1}", "{\"password\":\"*****\",\"x\":1}"},
        {"ssl.key.password: 'geheim' # x", "ssl.key.password: '******' # x"},
        {"sasl.jaas.config=… Secret=x;", "sasl.jaas.config=… Secret=*;"},
        {"mqtt://ann:pw@h:1883 and http://h/a:b@c", "mqtt://ann:**@h:1883 and http://h/a:b@c"},
        {"password_file: /etc/millrace/mqtt.password", "password_file: /etc/millrace/mqtt.password"},
        {"- sasl.password=file:/etc/x", "- sasl.password=file:/etc/x"},
        {"- \"sasl.password=<not shown>\"", "- \"sasl.password=<not shown>\""},
        {"token=", "token="},
        {"the password crosses the network", "the password crosses the network"},
        {"", ""},
};

static void test_secrets_are_masked(void **state)
{
        for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
                char text[200];

                strcpy(text, lines[i].line);
                doctor_mask(text);
                assert_string_equal(text, lines[i].masked);
        }
}

static void test_findings_are_counted_and_bounded(void **state)
{
        struct doctor d = {.n = 0};

        for (int i = 0; i < FINDINGS_MAX + 3; i++)
                doctor_find(&d, i % 2 ? FINDING_FAULT : FINDING_OK, "disk", "/", "", "%d", i);
        assert_int_equal(d.n, FINDINGS_MAX);
        assert_int_equal(d.n_more, 3);
        assert_int_equal(d.count[FINDING_OK] + d.count[FINDING_FAULT], FINDINGS_MAX + 3);
        assert_string_equal(d.list[7].what, "7");
        free(d.list);
}

static void test_a_report_takes_nobodys_place(void **state)
{
        char path[] = "/tmp/test_doctor_XXXXXX";
        struct doctor d = {.n = 0};
        struct err e;
        int fd = mkstemp(path);

        close(fd);
        assert_int_equal(doctor_report(&d, path, &e), -1);
        assert_non_null(strstr(e.text, "exists"));
        unlink(path);
        assert_int_equal(doctor_report(&d, path, &e), 0);
        unlink(path);
}

/* A command's option and what is behind it stand in two lines. */
static void test_a_secret_of_a_command(void **state)
{
        static const char text[] =
                "gateway: g1\nkafka:\n  brokers: [k:9092]\nspool:\n  path: /tmp/s.db\n"
                "notify:\n  exec: {command: [/bin/true, --token, hidden, --shown, \"--x-secret=hid den\"]}\n";
        char path[] = "/tmp/test_doctor_XXXXXX", found[8192] = "";
        struct faults faults = {0};
        struct doctor d = {.n = 0};
        struct err e;
        FILE *f;

        close(mkstemp(path));
        unlink(path);
        assert_int_equal(config_load_text("t", text, strlen(text), &d.conf, &faults), 0);
        assert_int_equal(doctor_report(&d, path, &e), 0);
        f = fopen(path, "re");
        assert_true(f && fread(found, 1, sizeof(found) - 1, f) > 0);
        fclose(f);
        unlink(path);
        assert_non_null(strstr(found, "--shown"));
        assert_null(strstr(found, "hid"));
        assert_null(strstr(found, "den"));
        config_free(d.conf);
        faults_fini(&faults);
}

/* What it takes from elsewhere may end within a character: the line is there all the same. */
static void test_a_finding_is_text(void **state)
{
        struct doctor d = {.n = 0};
        char long_one[2000];

        for (size_t i = 0; i + 2 < sizeof(long_one); i += 2)
                memcpy(long_one + i, "\xc3\xb6", 3);
        doctor_find(&d, FINDING_FAULT, "disk", "/", "", "x%s", long_one);
        doctor_find(&d, FINDING_FAULT, "disk", "/", "", "%s",
                    "a\xff"
                    "b");
        for (size_t i = 0; i < d.n; i++)
                assert_true(*d.list[i].what && text_is_utf8(d.list[i].what, strlen(d.list[i].what)));
        free(d.list);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_secrets_are_masked), cmocka_unit_test(test_findings_are_counted_and_bounded),
                cmocka_unit_test(test_a_report_takes_nobodys_place), cmocka_unit_test(test_a_secret_of_a_command),
                cmocka_unit_test(test_a_finding_is_text)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
