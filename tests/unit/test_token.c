/*
 * Tokens for Kafka: what a file or a program gives and what becomes of it, a program that does not do what it should,
 * and Amazon's, against values that another implementation of Signature Version 4 gave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/base64.h"
#include "agent/base/child.h"
#include "uplink/token.h"

static const int64_t now_us = 1796126400000000; /* 2026-12-01T12:00:00Z */

/* A JSON Web Token with this payload; the signature is nobody's. */
static const char *jwt(const char *payload)
{
        static char out[2048];
        char body[1024];

        base64_put_url(body, payload, strlen(payload));
        snprintf(out, sizeof(out), "eyJhbGciOiJub25lIn0.%s.c2ln", body);
        return out;
}

static void test_what_is_read(void **state)
{
        static const struct {
                const char *text; /* NULL: a web token of the payload */
                const char *payload, *who;
                int64_t good_s;
        } good[] = {
                {NULL, "{\"sub\":\"gw-7\",\"exp\":1796130000}", "gw-7", 3600},
                {NULL, "{\"client_id\":\"c\",\"exp\":1796130000.5}", "c", 3600},
                {NULL, "{\"sub\":\"s\",\"client_id\":\"c\",\"exp\":1796126401}", "s", 1},
                {NULL, "{\"sub\":5}", "millrace", 300},
                {"opaque-token_of/some+kind==", NULL, "millrace", 300},
                {"\n  abc.def \r\n", NULL, "millrace", 300},
                {"a.!.c", NULL, NULL, 0},
                {"{\"access_token\":\"abc\",\"expires_in\":120}", NULL, "millrace", 120},
                {" {\"access_token\":\"abc\",\"expires_in\":\"60\",\"token_type\":\"Bearer\"}\n", NULL, "millrace", 60},
                {"{\"access_token\":\"abc\"}", NULL, "millrace", 300},
                {"{\"access_token\":\"abc\",\"expires_in\":999999999}", NULL, "millrace", 365 * 86400},
        };

        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
                const char *text = good[i].text ? good[i].text : jwt(good[i].payload);
                struct token t;
                struct err e;

                if (!good[i].who) {
                        assert_int_equal(token_read(text, strlen(text), now_us, &t, &e), -1);
                        continue;
                }
                if (token_read(text, strlen(text), now_us, &t, &e) < 0)
                        fail_msg("%s: %s", text, e.text);
                assert_string_equal(t.who, good[i].who);
                assert_int_equal((t.until_us - now_us) / 1000000, good[i].good_s);
        }
}

static void test_an_answer_that_holds_a_web_token(void **state)
{
        char text[2200];
        struct token t;

        snprintf(text, sizeof(text), "{\"access_token\":\"%s\",\"expires_in\":99}",
                 jwt("{\"sub\":\"g\",\"exp\":1796126700}"));
        assert_int_equal(token_read(text, strlen(text), now_us, &t, NULL), 0);
        assert_string_equal(t.who, "g");
        assert_int_equal(t.until_us - now_us, 300000000); /* what it says itself is what the broker goes by */
}

static void test_what_is_none(void **state)
{
        static const struct {
                const char *text, *why;
        } bad[] = {
                {"", "empty"},
                {" \n", "empty"},
                {"two words", "byte 4"},
                {"caf\xc3\xa9", "byte 4"},
                {"{", "no JSON"},
                {"{\"token\":\"abc\"}", "without an access_token"},
                {"{\"access_token\":7}", "without an access_token"},
                {"{\"access_token\":\"\"}", "empty"},
                {"{\"error\":\"invalid_client\"}", "invalid_client"},
        };
        char *huge = malloc(TOKEN_MAX + 1);
        struct token t;
        struct err e;

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                assert_int_equal(token_read(bad[i].text, strlen(bad[i].text), now_us, &t, &e), -1);
                if (!strstr(e.text, bad[i].why))
                        fail_msg("\"%s\": %s", bad[i].text, e.text);
        }
        memset(huge, 'a', TOKEN_MAX);
        assert_int_equal(token_read(huge, TOKEN_MAX, now_us, &t, &e), -1);
        assert_non_null(strstr(e.text, "longer"));
        assert_int_equal(token_read(huge, TOKEN_MAX - 1, now_us, &t, &e), 0);
        free(huge);
        assert_int_equal(token_read(jwt("{\"exp\":1796126100}"), strlen(jwt("{\"exp\":1796126100}")), now_us, &t, &e),
                         -1);
        assert_non_null(strstr(e.text, "ended 300 s ago"));
        assert_null(strstr(e.text, "eyJ"));
}

static void check_msk(const char *credentials, const char *profile, const char *signature)
{
        char address[TOKEN_MAX];
        struct token t;
        struct err e;
        long n;

        if (token_msk("eu-central-1", profile, credentials, now_us, &t, &e) < 0)
                fail_msg("%s", e.text);
        assert_int_equal(t.until_us - now_us, 900000000);
        n = base64_read(address, t.text, strlen(t.text));
        assert_true(n > 0);
        address[n] = '\0';
        assert_non_null(strstr(address, signature));
        assert_non_null(strstr(address, "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&"));
        assert_null(strstr(address, "wJalr"));
}

static void test_amazons(void **state)
{
        static const char file[] = "# of the factory\n[other]\naws_access_key_id=X\naws_secret_access_key=Y\n"
                                   "[default]\r\naws_access_key_id = AKIDEXAMPLE\r\n"
                                   "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\r\n"
                                   "[short]\naws_access_key_id=AKIDEXAMPLE\n"
                                   "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n"
                                   "aws_session_token=FwoGZXIvYXdzEBYaD+/==";
        struct token t;
        struct err e;

        check_msk(file, "default", "44f7c74479a5d9a049c603c45799e5207255c2539ea0d9f82370359ab5af073f");
        check_msk(file, "short", "4759b8b1f630c53a26a9b65e301e9d9b7b4f14c8c3d5773d165063ee87c90321");
        assert_int_equal(token_msk("eu-central-1", "none", file, now_us, &t, &e), -1);
        assert_non_null(strstr(e.text, "[none]"));
        assert_int_equal(token_msk("eu-central-1", "default", "", now_us, &t, &e), -1);
        assert_int_equal(token_msk("eu-central-1", "def", file, now_us, &t, &e), -1);
}

static long run(const char *script, int64_t timeout_us, char *out, size_t cap, struct err *e)
{
        char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};

        return child_read(argv, timeout_us, out, cap, e);
}

static void test_programs(void **state)
{
        static const struct {
                const char *script, *out, *why;
        } cases[] = {
                {"echo abc", "abc\n", NULL},
                {"echo why >&2; echo abc", "abc\n", NULL},
                {"true", "", NULL},
                {"echo first >&2; echo no such user >&2; exit 3", NULL, "exit status 3: no such user"},
                {"exit 1", NULL, "exit status 1"},
                {"kill -9 $$", NULL, "signal 9"},
                {"yes", NULL, "more than 99 bytes"},
                {"yes >&2", NULL, "killed after"},
                {"cat; echo gone", "gone\n", NULL}, /* its input is empty */
                {"sleep 100", NULL, "killed after"},
                {"sleep 100 & exec >&- 2>&-; wait", NULL, "killed after"},
                {"exec >&- 2>&-; exit 4", NULL, "exit status 4"},
                {"printf '\\033[31mred\\n' >&2; exit 1", NULL, ":  [31mred"},
        };
        char out[100];
        struct err e;

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                int64_t timeout_us = cases[i].why && strstr(cases[i].why, "killed") ? 300000 : 60000000;
                long n = run(cases[i].script, timeout_us, out, sizeof(out), &e);

                if (cases[i].out ? n < 0 || strcmp(out, cases[i].out) != 0 : n >= 0 || !strstr(e.text, cases[i].why))
                        fail_msg("%s: %ld, \"%s\"", cases[i].script, n, n < 0 ? e.text : out);
        }
        assert_int_equal(child_read((char *[]){"/does/not/exist", NULL}, 1000000, out, sizeof(out), &e), -1);
        assert_non_null(strstr(e.text, "/does/not/exist can't be started: No such file"));
}

static void test_base64(void **state)
{
        static const char *const pairs[][2] = {{"", ""},           {"f", "Zg"},        {"fo", "Zm8"},
                                               {"foo", "Zm9v"},    {"foob", "Zm9vYg"}, {"\xff\xfe\xfd", "__79"},
                                               {"\xfb\xff", "-_8"}};
        char out[16];

        for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
                size_t len = strlen(pairs[i][0]);

                assert_int_equal(base64_put_url(out, pairs[i][0], len), strlen(pairs[i][1]));
                assert_string_equal(out, pairs[i][1]);
                assert_int_equal(base64_read(out, pairs[i][1], strlen(pairs[i][1])), len);
                assert_memory_equal(out, pairs[i][0], len);
        }
        assert_int_equal(base64_read(out, "//79", 4), 3);
        assert_int_equal(base64_read(out, "Zg==", 4), 1);
        assert_int_equal(base64_read(out, "Z g=", 4), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_read), cmocka_unit_test(test_an_answer_that_holds_a_web_token),
                cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_amazons),
                cmocka_unit_test(test_programs),     cmocka_unit_test(test_base64),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
