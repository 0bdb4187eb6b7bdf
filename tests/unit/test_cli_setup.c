/*
 * The dialogue of `millrace setup`: what is asked in which order, what an answer may be, what flags and --yes answer,
 * and the configuration that comes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/commission/part.h"
#include "agent/cli/setup/dialogue.h"
#include "agent/cli/setup/pick.h"
#include "agent/cli/setup/plan.h"
#include "agent/config/config.h"

enum { LINES = 32 };

struct line {
        const char
                *what; /* the flag that is asked; "try": a try; "done", "no", "missing", "wrong", "failed": the end */
        const char *says; /* the answer, or how the try ends: "good", "bad"; of an end: the flag */
};

struct row {
        const char *name;
        struct setup_facts facts;
        const char *flags[8][2];
        struct line lines[LINES];
};

static const struct row rows[] = {
        {"everything by Enter",
         {.terminal = true},
         {{NULL}},
         {{"--gateway", "gw-7"},
          {"--kafka", "kafka-1:9092"},
          {"--kafka-login", ""},
          {"try", "good"},
          {"--mqtt", ""},
          {"--bus", ""},
          {"--outage", ""},
          {"--yes", ""},
          {"done"}}},
        {"what is known decides what is asked",
         {.terminal = true, .n_missing = 2, .n_proposed = 3, .n_slaves = 1, .service = true, .configured = true},
         {{NULL}},
         {{"--gateway", "gw-7"},
          {"--kafka", "a:1,b:2"},
          {"--kafka-login", "scram"},
          {"--kafka-user", "u"},
          {"--kafka-password-file", "/p"},
          {"--kafka-encrypted", ""},
          {"--kafka-ca-file", ""},
          {"try", "good"},
          {"--topics", "n"},
          {"--mqtt", "mqtts://b"},
          {"--username", "u"},
          {"--password-file", "/q"},
          {"--ca-file", "/ca"},
          {"--cert-file", "/crt"},
          {"--key-file", "/key"},
          {"try", "good"},
          {"--subscriptions", "1,3"},
          {"--bus", "tcp://10.0.0.1:502"},
          {"--units", "1-3"},
          {"try", "good"},
          {"--pick", "3 holding:0 uint16 speed"},
          {"try", "good"},
          {"--outage", "12h"},
          {"--replace", "y"},
          {"--service", "y"},
          {"--yes", "yes"},
          {"done"}}},
        {"an old configuration stays by Enter",
         {.terminal = true, .configured = true, .yes = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}, {"--bus", "none"}},
         {{"try", "good"}, {"--replace", ""}, {"no"}}},
        {"not agreed",
         {.terminal = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}},
         {{"--kafka-login", ""},
          {"try", "good"},
          {"--mqtt", ""},
          {"--bus", ""},
          {"--outage", ""},
          {"--yes", "n"},
          {"no"}}},
        {"a try that fails: the answers are changed",
         {.terminal = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}, {"--kafka-login", "none"}},
         {{"try", "bad"},
          {"--untried", ""},
          {"--kafka", ""}, /* Enter: what it was */
          {"--kafka-login", "tls"},
          {"--kafka-ca-file", ""},
          {"--kafka-cert-file", ""},
          {"try", "bad"},
          {"--untried", "again"},
          {"try", "bad"},
          {"--untried", "keep"},
          {"--mqtt", "none"},
          {"--bus", "none"},
          {"--outage", "1d"},
          {"--yes", "y"},
          {"done"}}},
        {"a certificate is asked for with its key, and not behind a user",
         {.terminal = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}},
         {{"--kafka-login", "tls"},
          {"--kafka-ca-file", ""},
          {"--kafka-cert-file", "/crt"},
          {"--kafka-key-file", "/key"},
          {"try", "bad"},
          {"--untried", "change"},
          {"--kafka", ""},
          {"--kafka-login", "plain"},
          {"--kafka-user", "u"},
          {"--kafka-password-file", "/p"},
          {"--kafka-encrypted", "n"},
          {"try", "good"},
          {"--mqtt", "mqtts://b"},
          {"--username", ""},
          {"--ca-file", ""},
          {"--cert-file", ""},
          {"try", "good"},
          {"--subscriptions", "{source}/{tag}"},
          {"--bus", ""},
          {"--outage", ""},
          {"--yes", ""},
          {"done"}}},
        {"script: a certificate with a user, by flags",
         {.yes = true},
         {{"--gateway", "g"},
          {"--kafka", "a:1"},
          {"--kafka-login", "scram"},
          {"--kafka-user", "u"},
          {"--kafka-password-file", "/p"},
          {"--kafka-cert-file", "/crt"},
          {"--bus", "none"}},
         {{"missing", "--kafka-key-file"}}},
        {"script: all by flags",
         {.yes = true, .n_proposed = 1},
         {{"--gateway", "g"}, {"--kafka", "a:1"}, {"--mqtt", "mqtt://b"}},
         {{"try", "good"}, {"try", "good"}, {"done"}}},
        {"script: the gateway's name is missing", {.yes = true}, {{NULL}}, {{"missing", "--gateway"}}},
        {"script: Kafka is missing", {.yes = true}, {{"--gateway", "g"}}, {{"missing", "--kafka"}}},
        {"script: a gateway that would read nothing",
         {.yes = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}},
         {{"try", "good"}, {"missing", "--mqtt"}}},
        {"script: without --yes presets are no answers",
         {0},
         {{"--gateway", "g"}, {"--kafka", "a:1"}},
         {{"missing", "--kafka-login"}}},
        {"script: agreement is asked for",
         {0},
         {{"--gateway", "g"},
          {"--kafka", "a:1"},
          {"--kafka-login", "none"},
          {"--mqtt", "none"},
          {"--bus", "none"},
          {"--outage", "3d"}},
         {{"try", "good"}, {"missing", "--yes"}}},
        {"script: an old configuration is not agreed away",
         {.yes = true, .configured = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}, {"--bus", "none"}},
         {{"try", "good"}, {"missing", "--replace"}}},
        {"script: a wrong flag", {.yes = true}, {{"--gateway", "g w"}}, {{"wrong", "--gateway"}}},
        {"script: a try fails",
         {.yes = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}},
         {{"try", "bad"}, {"failed", "--untried"}}},
        {"script: what can't be tried is kept",
         {.yes = true, .untried = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}, {"--bus", "none"}},
         {{"try", "bad"}, {"done"}}},
        {"script: registers of a bus that is not there yet",
         {.yes = true, .untried = true},
         {{"--gateway", "g"}, {"--kafka", "a:1"}, {"--bus", "tcp://h:502"}, {"--pick", "3 holding:0 uint16 speed"}},
         {{"try", "bad"}, {"try", "bad"}, {"try", "bad"}, {"done"}}},
};

static enum setup_step step_of(const char *flag)
{
        struct dialogue d = {0};

        for (int i = 0; i < SETUP_STEPS; i++) {
                d.at = (enum setup_step)i;
                if (dialogue_question(&d)->flag && strcmp(dialogue_question(&d)->flag, flag) == 0)
                        return d.at;
        }
        fail_msg("no step has the flag %s", flag);
        return SETUP_STEPS;
}

static const char *name_of(enum dialogue_act act)
{
        static const char *const names[] = {
                [DIALOGUE_TRY] = "try",     [DIALOGUE_DONE] = "done",     [DIALOGUE_MISSING] = "missing",
                [DIALOGUE_WRONG] = "wrong", [DIALOGUE_FAILED] = "failed", [DIALOGUE_NO] = "no"};

        return names[act];
}

static void play(const struct row *row, struct dialogue *d)
{
        for (const struct line *l = row->lines; l->what; l++) {
                enum dialogue_act act = dialogue_next(d);
                const char *flag = d->at == SETUP_STEPS ? NULL : dialogue_question(d)->flag,
                           *what = act == DIALOGUE_ASK ? flag : name_of(act);
                struct err e = {""};

                if (strcmp(what, l->what) != 0)
                        fail_msg("%s, line %td: %s (%s), not %s", row->name, l - row->lines, what, flag ? flag : "",
                                 l->what);
                if (act == DIALOGUE_ASK && dialogue_answer(d, l->says, &e) < 0)
                        fail_msg("%s: %s: %s", row->name, l->says, e.text);
                else if (act == DIALOGUE_TRY)
                        dialogue_tried(d, strcmp(l->says, "good") == 0);
                else if (act > DIALOGUE_DONE && l->says)
                        assert_string_equal(flag, l->says);
                if (act == DIALOGUE_WRONG)
                        assert_non_null(strstr(d->why.text, "is no name"));
        }
}

static void test_the_order_of_questions(void **state)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct dialogue d = {.facts = rows[i].facts};

                for (int k = 0; k < 8 && rows[i].flags[k][0]; k++)
                        d.given[step_of(rows[i].flags[k][0])] = rows[i].flags[k][1];
                play(&rows[i], &d);
                dialogue_fini(&d);
        }
}

static void test_what_an_answer_may_be(void **state)
{
        static const struct {
                enum setup_step step;
                const char *good[5], *bad[6];
        } cases[] = {
                {SETUP_GATEWAY, {"gw-7", "a.b_c"}, {"", "gw 7", "Größe", "a/b"}},
                {SETUP_KAFKA, {"a:9092", "a:1,b:65535", "[::1]:9092"}, {"", "a:+1", "a:", ":1", "a:1,", "a:65536"}},
                {SETUP_LOGIN, {"none", "tls", "scram", "plain", ""}, {"ssl"}},
                {SETUP_PASSWORD, {"/etc/p"}, {"", "p", "none"}},
                {SETUP_CA, {"/etc/p", "none", ""}, {"p"}},
                {SETUP_ENCRYPTED, {"yes", "no", "n", ""}, {"perhaps"}},
                {SETUP_CERT, {"/etc/c", "none", ""}, {"c"}},
                {SETUP_KEY, {"/etc/k"}, {"", "k", "none"}},
                {SETUP_TOPICS, {"make", "leave", "Y", "no", ""}, {"perhaps"}},
                {SETUP_MQTT, {"mqtt://a", "mqtts://a:8883", "none", ""}, {"a:1883", "http://a"}},
                {SETUP_SUBSCRIPTIONS,
                 {"all", "none", "1", "2-3", "a/{source}/+/{tag}"},
                 {"1,", "x", "0", "4", "{source", "a{tag}"}},
                {SETUP_BUS, {"/dev/ttyUSB0:9600,8N1", "tcp://a:502", "none", ""}, {"ttyUSB0", "/dev/tty:9601"}},
                {SETUP_UNITS, {"1", "1-247", ""}, {"256", "all"}},
                {SETUP_OUTAGE, {"3d", "12h", "1m", ""}, {"3", "0s", "10s", "400d"}},
                {SETUP_AGREE, {"yes", "no", "y", "N", ""}, {"maybe"}},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                for (int k = 0; k < 5 && cases[i].good[k]; k++) {
                        struct dialogue d = {.at = cases[i].step, .facts.n_proposed = 3};
                        struct err e = {""};

                        if (dialogue_answer(&d, cases[i].good[k], &e) < 0)
                                fail_msg("\"%s\": %s", cases[i].good[k], e.text);
                        dialogue_fini(&d);
                }
                for (int k = 0; k < 6 && cases[i].bad[k]; k++) {
                        struct dialogue d = {.at = cases[i].step, .facts.n_proposed = 3};
                        struct err e = {""};

                        if (dialogue_answer(&d, cases[i].bad[k], &e) == 0)
                                fail_msg("\"%s\" was taken", cases[i].bad[k]);
                        assert_string_not_equal(e.text, "");
                        dialogue_fini(&d);
                }
        }
}

static void test_every_question_has_a_flag_and_words(void **state)
{
        for (int i = 0; i < SETUP_STEPS; i++) {
                struct dialogue d = {.at = (enum setup_step)i};
                const struct setup_question *q = dialogue_question(&d);

                if (i == SETUP_TRY_KAFKA || i == SETUP_TRY_MQTT || i == SETUP_TRY_BUS || i == SETUP_TRY_PICK) {
                        assert_null(q->flag);
                        continue;
                }
                assert_true(strncmp(q->flag, "--", 2) == 0 && q->prompt);
        }
}

static void test_all_of_nothing_is_no_answer(void **state)
{
        struct dialogue d = {.at = SETUP_SUBSCRIPTIONS};
        struct err e;

        assert_int_equal(dialogue_answer(&d, "", &e), -1);
        assert_non_null(strstr(e.text, "nothing was heard"));
        assert_int_equal(dialogue_answer(&d, "1", &e), -1);
        assert_int_equal(dialogue_answer(&d, "plant/{source}/{tag}", &e), 0);
        dialogue_fini(&d);
}

/* ---- picks ---- */

static void test_picks_are_accepted_by_the_configuration(void **state)
{
        static const char line[] =
                " 3 holding:20 float32 CDAB temp degC;3 40001 uint16 speed ; 4 profile eastron-sdm630 meter-1;"
                "5 coil:0 bool on;";
        static const char want[] =
                "profiles:\n  - name: unit-3\n    period: 1s               # how often it is read\n    registers:\n"
                "      - {tag: \"temp\", at: \"holding:20\", type: float32, word_order: CDAB, unit: \"degC\"}\n"
                "      - {tag: \"speed\", at: \"holding:0\", type: uint16}\n"
                "  - name: unit-5\n    period: 1s               # how often it is read\n    registers:\n"
                "      - {tag: \"on\", at: \"coil:0\", type: bool}\n"
                "devices:\n  - {source: \"unit-3\", bus: bus1, unit: 3, profile: \"unit-3\"}\n"
                "  - {source: \"meter-1\", bus: bus1, unit: 4, profile: \"eastron-sdm630\"}\n"
                "  - {source: \"unit-5\", bus: bus1, unit: 5, profile: \"unit-5\"}\n";
        struct pick picks[PICKS_MAX];
        struct err e = {""};
        char *text;
        size_t n, len;
        FILE *f;

        assert_int_equal(picks_parse(line, picks, &n, &e), 0);
        assert_int_equal(n, 4);
        f = open_memstream(&text, &len);
        picks_print(f, picks, n, "bus1");
        fclose(f);
        assert_string_equal(text, want);
        free(text);
        f = open_memstream(&text, &len);
        fputs("modbus: [{name: bus1, port: \"tcp://127.0.0.1:502\"}]\n", f);
        picks_print(f, picks, 2, "bus1");
        fclose(f);
        assert_true(part_accepted(text));
        free(text);
}

static void test_what_is_no_pick_is_told(void **state)
{
        static const struct {
                const char *text, *said;
        } cases[] = {
                {"", "what is to be read is needed"},
                {";", "what is to be read is needed"},
                {"x holding:0 uint16 a", "\"x\" is no unit id"},
                {"256 holding:0 uint16 a", "is no unit id"},
                {"3", "place, type and tag are needed"},
                {"3 holding:0 uint16", "place, type and tag are needed"},
                {"3 nowhere:0 uint16 a", "nowhere"},
                {"3 holding:0 float a", "\"float\" is no type"},
                {"3 holding:0 float32 CDAB", "a tag is needed"},
                {"3 holding:65535 float32 a", "reaches beyond the last register"},
                {"3 holding:0 uint16 a/b", "\"a/b\" is no name"},
                {"3 holding:0 uint16 a b c", "a tag is needed, and at most a unit"},
                {"3 holding:0 uint16 ABCD a b c", "too many words"},
                {"3 profile", "a profile's name is needed"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct pick picks[PICKS_MAX];
                struct err e = {""};
                size_t n;

                if (picks_parse(cases[i].text, picks, &n, &e) == 0)
                        fail_msg("\"%s\" was taken", cases[i].text);
                if (!strstr(e.text, cases[i].said))
                        fail_msg("\"%s\": %s", cases[i].text, e.text);
        }
}

/* ---- the plan ---- */

static void test_the_size_of_the_spool(void **state)
{
        static const int64_t day_us = 86400 * INT64_C(1000000);
        static const struct {
                double rate;
                int64_t days;
                uint64_t mib;
        } cases[] = {
                {0, 3, 192}, {1, 1, 64}, {12, 3, 192}, {150, 3, 1984}, {1000, 3, 13 * 1024}, {1e9, 366, 1024 * 1024},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                uint64_t bytes = plan_spool_bytes(cases[i].rate, cases[i].days * day_us);

                assert_int_equal(bytes >> 20, cases[i].mib);
                if (cases[i].rate < 1e6)
                        assert_true(plan_outage_us(cases[i].rate, bytes) >= cases[i].days * day_us);
        }
}

static char *text_of(const struct plan *p)
{
        char *text;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        plan_print(f, p);
        fclose(f);
        return text;
}

static void say(struct dialogue *d, enum setup_step step, const char *text)
{
        free(d->answer[step]);
        d->answer[step] = mem_strdup(text);
}

static void must_be_accepted(const char *text)
{
        struct faults faults = {0};
        struct config *conf;

        if (config_load_text("plan", text, strlen(text), &conf, &faults) < 0) {
                faults_print(&faults, stderr);
                fail_msg("not accepted:\n%s", text);
        }
        config_free(conf);
        faults_fini(&faults);
}

/* What it says of the time is true of the size, however much was wished for; and a long path is whole. */
static void test_what_the_file_says_of_an_outage(void **state)
{
        struct dialogue d = {.at = SETUP_GATEWAY};
        struct plan p = {.d = &d, .day = "2026-11-30", .spool_path = "/s.db", .rate = 100};
        char path[700], *text;

        memset(path, 'p', sizeof(path));
        path[0] = '/';
        strcpy(path + sizeof(path) - 5, ".end");
        say(&d, SETUP_GATEWAY, "g");
        say(&d, SETUP_KAFKA, "a:1");
        say(&d, SETUP_LOGIN, "plain");
        say(&d, SETUP_USER, "u");
        say(&d, SETUP_PASSWORD, path);
        say(&d, SETUP_OUTAGE, "3d");
        p.max_size_bytes = UINT64_C(54) * 100 * 86400;
        text = text_of(&p);
        assert_non_null(strstr(text, "# about 1d 0h without Kafka at 100 readings"));
        assert_non_null(strstr(text, "ppp.end\""));
        free(text);
        p.max_size_bytes *= 3;
        text = text_of(&p);
        assert_non_null(strstr(text, "# about 3d without Kafka at 100 readings"));
        free(text);
        dialogue_fini(&d);
}

static void test_the_file_as_a_whole(void **state)
{
        static const char want[] =
                "# Made by 'millrace setup' on 2026-11-30. Change what you like, then: millrace check && "
                "systemctl reload millrace\n# Every key is in millrace.yaml(5).\n\n"
                "gateway: \"gw-7\"   # this gateway's name in every record; chosen once, then left alone\n\n"
                "spool:\n  path: \"/var/lib/millrace/spool.db\"\n"
                "  max_size: 1GiB                   # about 12h without Kafka at 150 readings a second; a hard cap\n\n"
                "kafka:\n  brokers: [\"a:9093\", \"b:9093\"]\n  properties:\n    - \"security.protocol=SASL_SSL\"\n"
                "    - \"sasl.mechanism=SCRAM-SHA-512\"\n    - \"sasl.username=u\"\n"
                "    - \"ssl.ca.location=/etc/ca.pem\"\n"
                "  secrets:                         # or credential:kafka.password, see millrace.yaml(5)\n"
                "    - \"sasl.password=file:/etc/millrace/kafka.password\"\n\n"
                "control:\n  socket: \"/run/millrace/control.sock\"\n\n"
                "mqtt:\n  - name: plant\n    url: \"mqtt://b\"\n    protocol: \"3.1.1\"\n    subscriptions:\n"
                "      - {topic: \"x/{source}/{tag}\", payload: number}\n\n"
                "modbus:\n  - name: bus1\n    port: \"tcp://127.0.0.1:502\"\n"
                "profiles:\n  - name: unit-3\n    period: 1s               # how often it is read\n    registers:\n"
                "      - {tag: \"temp\", at: \"holding:20\", type: float32, word_order: CDAB}\n"
                "devices:\n  - {source: \"unit-3\", bus: bus1, unit: 3, profile: \"unit-3\"}\n";
        struct dialogue d = {0};
        char first[] = "{topic: \"y/{source}/{tag}\", payload: number}",
             second[] = "{topic: \"x/{source}/{tag}\", payload: number}";
        char *subs[] = {first, second};
        struct proposal proposal = {.subs = subs, .n = 2};
        struct site site;
        struct plan p = {.d = &d,
                         .day = "2026-11-30",
                         .spool_path = "/var/lib/millrace/spool.db",
                         .socket = "/run/millrace/control.sock",
                         .max_size_bytes = 1 << 30,
                         .rate = 150,
                         .protocol = MQTT_V311,
                         .proposal = &proposal,
                         .site = &site};
        struct err e;
        char *text;

        assert_int_equal(site_parse(&site, "tcp://127.0.0.1:502", &e), 0);
        say(&d, SETUP_GATEWAY, "gw-7");
        say(&d, SETUP_KAFKA, "a:9093,b:9093");
        say(&d, SETUP_LOGIN, "scram");
        say(&d, SETUP_USER, "u");
        say(&d, SETUP_PASSWORD, "/etc/millrace/kafka.password");
        say(&d, SETUP_CA, "/etc/ca.pem");
        say(&d, SETUP_MQTT, "mqtt://b");
        say(&d, SETUP_SUBSCRIPTIONS, "2");
        say(&d, SETUP_BUS, "tcp://127.0.0.1:502");
        say(&d, SETUP_PICK, "3 holding:20 float32 CDAB temp");
        say(&d, SETUP_OUTAGE, "12h");
        text = text_of(&p);
        assert_string_equal(text, want);
        must_be_accepted(text);
        free(text);
        dialogue_fini(&d);
}

static void test_the_file_is_accepted_whatever_was_typed(void **state)
{
        struct dialogue d = {0};
        struct plan p = {
                .d = &d, .day = "2026-11-30", .spool_path = "/a b/\"c\"#: spool.db", .max_size_bytes = 64 << 20};
        char *text;

        say(&d, SETUP_GATEWAY, "gw");
        say(&d, SETUP_KAFKA, "a:9093");
        say(&d, SETUP_LOGIN, "plain");
        say(&d, SETUP_USER, "a\"b\\c: {d} #\te");
        say(&d, SETUP_PASSWORD, "/a \"b\\c: #");
        say(&d, SETUP_CA, "none");
        say(&d, SETUP_MQTT, "mqtt://b");
        say(&d, SETUP_MQTT_USER, "a\"b\\c: {d} #");
        say(&d, SETUP_MQTT_PASSWORD, "/x \"y");
        say(&d, SETUP_SUBSCRIPTIONS, "{source}/{tag}");
        text = text_of(&p);
        must_be_accepted(text);
        free(text);
        dialogue_fini(&d);
}

static void test_certificates_and_a_password_in_the_clear(void **state)
{
        struct dialogue d = {0};
        struct plan p = {.d = &d, .day = "2026-11-30", .spool_path = "/s/spool.db", .max_size_bytes = 64 << 20};
        char *text;

        say(&d, SETUP_GATEWAY, "gw");
        say(&d, SETUP_KAFKA, "a:9093");
        say(&d, SETUP_LOGIN, "tls");
        say(&d, SETUP_CA, "none");
        say(&d, SETUP_CERT, "/c.pem");
        say(&d, SETUP_KEY, "/k.pem");
        say(&d, SETUP_MQTT, "mqtts://b");
        say(&d, SETUP_MQTT_CERT, "/mc.pem");
        say(&d, SETUP_MQTT_KEY, "/mk.pem");
        say(&d, SETUP_SUBSCRIPTIONS, "{source}/{tag}");
        text = text_of(&p);
        must_be_accepted(text);
        assert_non_null(strstr(text, "    - \"security.protocol=SSL\"\n    - \"ssl.certificate.location=/c.pem\"\n"
                                     "    - \"ssl.key.location=/k.pem\"\n"));
        assert_non_null(strstr(text, "    cert_file: \"/mc.pem\"\n    key_file: \"/mk.pem\"\n"));
        free(text);
        say(&d, SETUP_LOGIN, "plain");
        say(&d, SETUP_USER, "u");
        say(&d, SETUP_PASSWORD, "/p");
        say(&d, SETUP_ENCRYPTED, "no");
        say(&d, SETUP_CERT, "none");
        say(&d, SETUP_KEY, "none");
        text = text_of(&p);
        must_be_accepted(text);
        assert_non_null(strstr(text, "security.protocol=SASL_PLAINTEXT\"\n    - \"sasl.mechanism=PLAIN\""));
        assert_null(strstr(text, "ssl."));
        free(text);
        dialogue_fini(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_of_nothing_is_no_answer),
                cmocka_unit_test(test_the_size_of_the_spool),
                cmocka_unit_test(test_certificates_and_a_password_in_the_clear),
                cmocka_unit_test(test_the_file_is_accepted_whatever_was_typed),
                cmocka_unit_test(test_what_the_file_says_of_an_outage),
                cmocka_unit_test(test_the_file_as_a_whole),
                cmocka_unit_test(test_the_order_of_questions),
                cmocka_unit_test(test_what_an_answer_may_be),
                cmocka_unit_test(test_every_question_has_a_flag_and_words),
                cmocka_unit_test(test_picks_are_accepted_by_the_configuration),
                cmocka_unit_test(test_what_is_no_pick_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
