/*
 * dialogue: see dialogue.h.
 *
 * Steps are a table: the words, what an answer may be, and when the step is
 * there at all.  A try that fails goes back to the first question of its group
 * when the person wants to change it; what they said before is then what Enter
 * means, and flags count no longer.
 *
 * An answer is: the flag's, else with --yes the preset, else the person's.
 * Where none of them is to be had it ends and names the flag.
 *
 * Fails: never; what is wrong with an answer is a sentence.
 */
#include "agent/cli/setup/dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/text.h"
#include "agent/cli/commission/broker.h"
#include "agent/cli/commission/ranges.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/setup/pick.h"

struct step {
        struct setup_question words;
        int (*check)(const char *s, struct err *e); /* NULL: any text, or one of choices */
        bool (*is_there)(const struct dialogue *d); /* NULL: always */
        const char *const *choices;                 /* of two the first is what y means, the second n */
        enum setup_step back_to;                    /* of a try */
};

/* ---- what an answer may be ---- */

static const char *const yes_or_no[] = {"yes", "no", NULL}, *const make_or_leave[] = {"make", "leave", NULL},
                         *const start_or_leave[] = {"start", "leave", NULL},
                         *const logins[] = {"none", "tls", "scram", "plain", NULL},
                         *const retries[] = {"change", "again", "keep", NULL};

static bool is_one_of(const char *s, const char *const *words)
{
        while (*words && strcmp(*words, s) != 0)
                words++;
        return *words;
}

static int check_choice(const char *const *choices, const char *s, struct err *e)
{
        char list[80] = "";

        if (is_one_of(s, choices))
                return 0;
        for (size_t i = 0, n = 0; choices[i] && n < sizeof(list); i++)
                n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
                                      i == 0           ? ""
                                      : choices[i + 1] ? ", "
                                                       : " or ",
                                      choices[i]);
        return err_set(e, "\"%.40s\": %s is needed", s, list);
}

static int check_name(const char *s, struct err *e)
{
        if (text_is_ascii_name(s, strlen(s)))
                return 0;
        return err_set(e, "\"%.80s\" is no name: 1 to 64 letters, digits, _ - and . are allowed", s);
}

static bool is_broker(const char *s, size_t len)
{
        const char *colon = memrchr(s, ':', len);
        size_t n = colon ? len - (size_t)(colon + 1 - s) : 0;
        char port[8], *end;
        long number;

        if (!colon || colon == s || n < 1 || n >= sizeof(port) || memchr(s, ' ', len) || memchr(s, '/', len) ||
            memchr(s, '"', len))
                return false;
        snprintf(port, sizeof(port), "%.*s", (int)n, colon + 1);
        number = strtol(port, &end, 10);
        return strspn(port, "0123456789") == n && *end == '\0' && number >= 1 && number <= 65535;
}

/* "a:9092,b:9092" */
static int check_brokers(const char *s, struct err *e)
{
        for (;;) {
                size_t len = strcspn(s, ",");

                if (!is_broker(s, len))
                        return err_set(e, "\"%.*s\" is no broker: host:port is needed, as kafka-1.example:9092",
                                       (int)(len < 80 ? len : 80), s);
                if (!s[len])
                        return 0;
                s += len + 1;
        }
}

static int check_path(const char *s, struct err *e)
{
        return s[0] == '/' ? 0 : err_set(e, "\"%.80s\": a file's whole path is needed, as /etc/millrace/secret", s);
}

static int check_path_or_none(const char *s, struct err *e)
{
        return strcmp(s, "none") == 0 ? 0 : check_path(s, e);
}

static int check_url(const char *s, struct err *e)
{
        struct mqtt_url url;

        return strcmp(s, "none") == 0 ? 0 : mqtt_url_parse(&url, s, e);
}

/* Numbers of what was heard, or a pattern of one's own. */
static int check_subscriptions(const char *s, struct err *e)
{
        uint8_t bits[256 / 8] = {0};
        char sub[300];

        if (strcmp(s, "all") == 0 || strcmp(s, "none") == 0 || ranges_list(s, 255, bits))
                return 0;
        if (!strchr(s, '{') || strpbrk(s, "\"\\") || strlen(s) > 200)
                return err_set(
                        e, "\"%.80s\": all, none, numbers as 1,3-5, or a pattern as plant/{source}/{tag} is needed", s);
        snprintf(sub, sizeof(sub), "{topic: \"%s\", payload: number}", s);
        return broker_accepts(&(struct mqtt_conf){.url = "mqtt://localhost"}, sub)
                       ? 0
                       : err_set(e, "\"%.80s\" is no pattern: as plant/{line}/{source}/{tag}, a name is a whole level",
                                 s);
}

static int check_units(const char *s, struct err *e)
{
        uint8_t bits[256 / 8] = {0};

        return ranges_list(s, 255, bits) ? 0 : err_set(e, "\"%.40s\": unit ids as 1-32 or 1,3,10-20 are needed", s);
}

static int check_bus(const char *s, struct err *e)
{
        struct site site;

        return strcmp(s, "none") == 0 ? 0 : site_parse(&site, s, e);
}

static int check_picks(const char *s, struct err *e)
{
        struct pick picks[PICKS_MAX];
        size_t n = 0;

        return picks_parse(s, picks, &n, e);
}

static int check_outage(const char *s, struct err *e)
{
        int64_t us;

        if (text_duration(s, &us) && us >= 60 * INT64_C(1000000) && us <= 366 * 86400 * INT64_C(1000000))
                return 0;
        return err_set(e, "\"%.40s\": a time from 1m to 366d is needed, as 12h or 3d", s);
}

/* ---- when a step is there ---- */

static bool has_login(const struct dialogue *d)
{
        const char *login = dialogue_said(d, SETUP_LOGIN);

        return strcmp(login, "scram") == 0 || strcmp(login, "plain") == 0;
}

static bool has_tls(const struct dialogue *d)
{
        return dialogue_wants(d, SETUP_LOGIN) && strcmp(dialogue_said(d, SETUP_ENCRYPTED), "no") != 0;
}

/* With a user a certificate of one's own is rare: not asked for, but taken. */
static bool may_show_certificate(const struct dialogue *d)
{
        return has_tls(d) && (!has_login(d) || d->given[SETUP_CERT]);
}

static bool has_certificate(const struct dialogue *d)
{
        return has_tls(d) && dialogue_wants(d, SETUP_CERT);
}

static bool has_missing(const struct dialogue *d)
{
        return d->facts.n_missing > 0;
}

static bool has_mqtt(const struct dialogue *d)
{
        return dialogue_wants(d, SETUP_MQTT);
}

static bool has_mqtt_user(const struct dialogue *d)
{
        return has_mqtt(d) && dialogue_wants(d, SETUP_MQTT_USER);
}

static bool has_mqtts(const struct dialogue *d)
{
        return strncmp(dialogue_said(d, SETUP_MQTT), "mqtts:", 6) == 0;
}

static bool has_mqtt_certificate(const struct dialogue *d)
{
        return has_mqtts(d) && dialogue_wants(d, SETUP_MQTT_CERT);
}

static bool has_bus(const struct dialogue *d)
{
        return dialogue_wants(d, SETUP_BUS);
}

/* Or registers of slaves that are named, whether they answer or not. */
static bool has_slaves(const struct dialogue *d)
{
        return has_bus(d) && (d->facts.n_slaves > 0 || d->given[SETUP_PICK]);
}

static bool has_picks(const struct dialogue *d)
{
        return has_slaves(d) && dialogue_wants(d, SETUP_PICK);
}

static bool is_configured(const struct dialogue *d)
{
        return d->facts.configured;
}

static bool has_service(const struct dialogue *d)
{
        return d->facts.service;
}

static const struct step steps[SETUP_STEPS] = {
        [SETUP_GATEWAY] = {{"--gateway", "This gateway's name",
                            "It stands in every record in Kafka; chosen once, then left alone.", NULL},
                           check_name},
        [SETUP_KAFKA] = {{"--kafka", "Kafka's brokers", "host:port, several with commas; one of them is enough.", NULL},
                         check_brokers},
        [SETUP_LOGIN] = {{"--kafka-login", "How does Kafka let you in",
                          "none; tls: encrypted, no user, perhaps a certificate of yours; scram: user and password; "
                          "plain: the same, older.",
                          "none"},
                         .choices = logins},
        [SETUP_USER] = {{"--kafka-user", "User at Kafka", NULL, NULL}, NULL, has_login},
        [SETUP_PASSWORD] = {{"--kafka-password-file", "File with the password",
                             "The user millrace must be able to read it: root:millrace, mode 0640.", NULL},
                            check_path,
                            has_login},
        [SETUP_ENCRYPTED] = {{"--kafka-encrypted", "Is the connection encrypted",
                              "no: without TLS, user and readings cross the network readable by all on the way.",
                              "yes"},
                             .is_there = has_login,
                             .choices = yes_or_no},
        [SETUP_CA] = {{"--kafka-ca-file", "File with the certificate that signed Kafka's",
                       "PEM; none: those that this system trusts.", "none"},
                      check_path_or_none,
                      has_tls},
        [SETUP_CERT] = {{"--kafka-cert-file", "File with this gateway's certificate", "PEM; none: Kafka asks for none.",
                         "none"},
                        check_path_or_none,
                        may_show_certificate},
        [SETUP_KEY] = {{"--kafka-key-file", "File with the key to it",
                        "PEM, without a password. The user millrace must be able to read it: root:millrace, mode 0640.",
                        NULL},
                       check_path,
                       has_certificate},
        [SETUP_TRY_KAFKA] = {.back_to = SETUP_KAFKA},
        [SETUP_TOPICS] = {{"--topics", "Make them", "make, or leave: somebody else makes them. The commands are shown.",
                           "make"},
                          .is_there = has_missing,
                          .choices = make_or_leave},
        [SETUP_MQTT] = {{"--mqtt", "MQTT broker", "mqtt://host:1883, mqtts://host:8883, or none.", "none"}, check_url},
        [SETUP_MQTT_USER] = {{"--username", "User at the MQTT broker", "none: it takes everybody.", "none"},
                             NULL,
                             has_mqtt},
        [SETUP_MQTT_PASSWORD] = {{"--password-file", "File with the password",
                                  "The user millrace must be able to read it: root:millrace, mode 0640.", NULL},
                                 check_path,
                                 has_mqtt_user},
        [SETUP_MQTT_CA] = {{"--ca-file", "File with the certificate that signed the MQTT broker's",
                            "PEM; none: those that this system trusts.", "none"},
                           check_path_or_none,
                           has_mqtts},
        [SETUP_MQTT_CERT] = {{"--cert-file", "File with this gateway's certificate",
                              "PEM; none: the broker asks for none.", "none"},
                             check_path_or_none,
                             has_mqtts},
        [SETUP_MQTT_KEY] =
                {{"--key-file", "File with the key to it",
                  "PEM, without a password. The user millrace must be able to read it: root:millrace, mode 0640.",
                  NULL},
                 check_path,
                 has_mqtt_certificate},
        [SETUP_TRY_MQTT] = {.is_there = has_mqtt, .back_to = SETUP_MQTT},
        [SETUP_SUBSCRIPTIONS] = {{"--subscriptions", "Which of them",
                                  "all, none, their numbers as 1,3-5, or a pattern as plant/{source}/{tag}.", "all"},
                                 check_subscriptions,
                                 has_mqtt},
        [SETUP_BUS] = {{"--bus", "Modbus bus", "/dev/ttyUSB0:9600,8E1, tcp://host:502, rtu+tcp://host:port, or none.",
                        "none"},
                       check_bus},
        [SETUP_UNITS] = {{"--units", "Unit ids to look for", "As 1-32 or 1,3,10-20. 32 that are silent take 20 s.",
                          "1-32"},
                         check_units,
                         has_bus},
        [SETUP_TRY_BUS] = {.is_there = has_bus, .back_to = SETUP_BUS},
        [SETUP_PICK] = {{"--pick", "Which registers", PICK_HELP, "all"}, check_picks, has_slaves},
        [SETUP_TRY_PICK] = {.is_there = has_picks, .back_to = SETUP_PICK},
        [SETUP_OUTAGE] = {{"--outage", "How long without Kafka is to be bridged",
                           "Readings are held on this machine's disk meanwhile: a weekend is 3d.", "3d"},
                          check_outage},
        [SETUP_REPLACE] = {{"--replace", "Replace it", "A copy is kept beside it.", "no"},
                           .is_there = is_configured,
                           .choices = yes_or_no},
        [SETUP_SERVICE] = {{"--service", "Start millrace now, and whenever this machine starts",
                            "start, or leave: the command is shown.", "start"},
                           .is_there = has_service,
                           .choices = start_or_leave},
        [SETUP_AGREE] = {{"--yes", "Do that", "Nothing was written or changed until here.", "yes"},
                         .choices = yes_or_no},
};

static const struct setup_question retry = {
        "--untried", "change, again or keep",
        "change the answers, try it again, or keep them although they could not be tried.", "change"};

/* ---- answers ---- */

const char *dialogue_said(const struct dialogue *d, enum setup_step step)
{
        return d->answer[step] ? d->answer[step] : "";
}

bool dialogue_wants(const struct dialogue *d, enum setup_step step)
{
        static const char *const refusals[] = {"", "none", "no", "leave", NULL};

        return !is_one_of(dialogue_said(d, step), refusals);
}

const struct setup_question *dialogue_question(const struct dialogue *d)
{
        BUG_ON(d->at >= SETUP_STEPS);
        return d->retrying ? &retry : &steps[d->at].words;
}

const char *dialogue_preset(const struct dialogue *d)
{
        if (d->retrying)
                return retry.preset;
        return d->preset[d->at] ? d->preset[d->at] : steps[d->at].words.preset;
}

static void keep(char **at, const char *text)
{
        char *copy = text ? mem_strdup(text) : NULL;

        free(*at);
        *at = copy;
}

void dialogue_preset_set(struct dialogue *d, enum setup_step step, const char *text)
{
        keep(&d->preset[step], text);
}

static void go_back(struct dialogue *d)
{
        enum setup_step from = steps[d->at].back_to;

        for (enum setup_step s = from; s < d->at; s++) {
                d->given[s] = NULL;
                if (d->answer[s])
                        dialogue_preset_set(d, s, d->answer[s]);
                keep(&d->answer[s], NULL);
        }
        d->at = from;
}

static int answer_retry(struct dialogue *d, const char *text, struct err *e)
{
        if (check_choice(retries, text, e) < 0)
                return -1;
        d->retrying = false;
        if (strcmp(text, "change") == 0)
                go_back(d);
        else if (strcmp(text, "keep") == 0)
                d->at++;
        return 0;
}

/* What people write for it. */
static const char *meant(const struct step *s, const char *text)
{
        static const char *const words[2][2] = {{"y", "yes"}, {"n", "no"}};

        for (int i = 0; s->choices && s->choices[1] && !s->choices[2] && i < 2; i++)
                if (strcasecmp(text, words[i][0]) == 0 || strcasecmp(text, words[i][1]) == 0)
                        return s->choices[i];
        return text;
}

/* What was heard, so many; "all" of nothing is no answer. */
static int check_against_facts(const struct dialogue *d, const char *text, struct err *e)
{
        size_t n = d->facts.n_proposed;
        uint8_t bits[256 / 8] = {0};

        if (d->at != SETUP_SUBSCRIPTIONS || strchr(text, '{') || strcmp(text, "none") == 0)
                return 0;
        if (strcmp(text, "all") != 0 && ranges_list(text, 255, bits)) {
                for (unsigned i = 0; i < 256; i++)
                        if (ranges_bit(bits, i) && (i == 0 || i > n))
                                return err_set(e, "%u: 1 to %zu are proposed", i, n);
        } else if (n == 0) {
                return err_set(e,
                               "nothing was heard that could be proposed: a pattern as plant/{source}/{tag} is needed");
        }
        return 0;
}

int dialogue_answer(struct dialogue *d, const char *text, struct err *e)
{
        const struct step *s = &steps[d->at];
        const char *preset = dialogue_preset(d);

        if (!*text && !preset)
                return err_set(e, "an answer is needed%s%s", s->words.help ? ": " : "",
                               s->words.help ? s->words.help : "");
        text = *text ? text : preset;
        if (d->retrying)
                return answer_retry(d, text, e);
        text = meant(s, text);
        if ((s->check && s->check(text, e) < 0) || (s->choices && check_choice(s->choices, text, e) < 0))
                return -1;
        if (check_against_facts(d, text, e) < 0)
                return -1;
        keep(&d->answer[d->at++], text);
        return 0;
}

/* ---- steps ---- */

/*
 * --yes answers what has a preset, but for what could not be taken back, and
 * for a gateway that would read nothing.
 */
static bool is_agreed(const struct dialogue *d)
{
        bool reads = dialogue_wants(d, SETUP_MQTT) || d->given[SETUP_BUS] || d->at != SETUP_MQTT;
        const char *preset = dialogue_preset(d);

        return d->facts.yes && d->at != SETUP_REPLACE && preset && (reads || strcmp(preset, "none") != 0);
}

static enum dialogue_act ask(struct dialogue *d)
{
        const char *text = d->given[d->at];

        if (!text && is_agreed(d))
                text = dialogue_preset(d);
        if (text)
                return dialogue_answer(d, text, &d->why) < 0 ? DIALOGUE_WRONG : DIALOGUE_TRY;
        return d->facts.terminal ? DIALOGUE_ASK : DIALOGUE_MISSING;
}

static bool is_refused(const struct dialogue *d)
{
        return (d->at > SETUP_REPLACE && strcmp(dialogue_said(d, SETUP_REPLACE), "no") == 0) ||
               (d->at > SETUP_AGREE && strcmp(dialogue_said(d, SETUP_AGREE), "no") == 0);
}

enum dialogue_act dialogue_next(struct dialogue *d)
{
        if (d->retrying)
                return d->facts.terminal ? DIALOGUE_ASK : DIALOGUE_FAILED;
        for (;;) {
                enum dialogue_act act;

                if (is_refused(d))
                        return DIALOGUE_NO;
                while (d->at < SETUP_STEPS && steps[d->at].is_there && !steps[d->at].is_there(d))
                        keep(&d->answer[d->at++], NULL);
                if (d->at == SETUP_STEPS)
                        return DIALOGUE_DONE;
                if (!steps[d->at].words.flag)
                        return DIALOGUE_TRY;
                act = ask(d);
                if (act != DIALOGUE_TRY) /* answered without asking */
                        return act;
        }
}

void dialogue_tried(struct dialogue *d, bool good)
{
        d->retrying = !good && !d->facts.untried;
        if (!d->retrying)
                d->at++;
}

void dialogue_fini(struct dialogue *d)
{
        for (int i = 0; i < SETUP_STEPS; i++) {
                free(d->preset[i]);
                free(d->answer[i]);
        }
}
