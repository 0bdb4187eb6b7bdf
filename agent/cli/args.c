/*
 * args: the command line, read by one table.
 *
 * getopt_long is not used: it knows neither "options anywhere, the command's
 * own words between them" nor which options a command takes, and its messages
 * can't suggest.  Here every option is a row; the words that are left name the
 * command; then what was given is held against what the command takes.  A
 * negative number is an argument, not an option.
 *
 * Fails with one sentence that says what is wrong and, where there is one, what
 * was probably meant.  Pure: no I/O.
 */
#include "agent/cli/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"

enum value_kind { VALUE_NONE, VALUE_TEXT, VALUE_COUNT, VALUE_TIME };

struct option {
        const char *name;
        char letter;
        enum value_kind kind;
        const char *value; /* its name in the usage */
        size_t offset;     /* in struct cli */
        const char *help;
};

#define IN(member) offsetof(struct cli, member)

static const struct option options[CLI_OPTIONS] = {
        [CLI_OPT_CONFIG] = {"config", 'c', VALUE_TEXT, "FILE", IN(config),
                            "the configuration (default: /etc/millrace/millrace.yaml)"},
        [CLI_OPT_SPOOL] = {"spool", 0, VALUE_TEXT, "FILE", IN(spool), "this spool instead of the configured one"},
        [CLI_OPT_JSON] = {"json", 'j', VALUE_NONE, NULL, 0, "JSON, one object per line"},
        [CLI_OPT_CSV] = {"csv", 0, VALUE_NONE, NULL, 0, "comma-separated values with a header"},
        [CLI_OPT_TAG] = {"tag", 't', VALUE_TEXT, "SOURCE/TAG", IN(tag), "only this tag"},
        [CLI_OPT_SINCE] = {"since", 0, VALUE_TIME, "TIME", IN(since_us),
                           "not older than this: 2026-11-23T10:00:00Z, 2026-11-23, yesterday, or 1h (ago)"},
        [CLI_OPT_UNTIL] = {"until", 0, VALUE_TIME, "TIME", IN(until_us), "not younger than this"},
        [CLI_OPT_ALL] = {"all", 'a', VALUE_NONE, NULL, 0, "delivered readings that are still kept, too"},
        [CLI_OPT_LINES] = {"lines", 'n', VALUE_COUNT, "N", IN(lines), "the last N (default: 10)"},
        [CLI_OPT_FOLLOW] = {"follow", 'f', VALUE_NONE, NULL, 0, "go on with what arrives, until interrupted"},
        [CLI_OPT_DUMP] = {"dump", 0, VALUE_NONE, NULL, 0, "print the effective configuration, defaults included"},
        [CLI_OPT_UNIT] = {"unit", 'u', VALUE_TEXT, "U", IN(unit), "the value's unit"},
        [CLI_OPT_SECONDS] = {"seconds", 's', VALUE_COUNT, "N", IN(seconds),
                             "how long (default: 30; 0: until interrupted)"},
        [CLI_OPT_MQTT] = {"mqtt", 0, VALUE_TEXT, "URL", IN(mqtt),
                          "your MQTT broker: mqtt://host:1883 or mqtts://host:8883"},
        [CLI_OPT_KAFKA] = {"kafka", 0, VALUE_TEXT, "HOST:PORT", IN(kafka),
                           "a broker of your Kafka cluster, several with commas"},
        [CLI_OPT_TOPICS] = {"kafka", 0, VALUE_NONE, NULL, 0, "ask Kafka, too, what its topics are set to"},
        [CLI_OPT_RULES] = {"rules", 0, VALUE_TEXT, "FILE", IN(rules), "a configuration; only its alarms matter"},
        [CLI_OPT_INPUT] = {"input", 0, VALUE_TEXT, "FILE", IN(input), "a recording: CSV, or a spool"},
        [CLI_OPT_SOURCE] = {"source", 0, VALUE_TEXT, "NAME", IN(source),
                            "the source of a CSV's columns (default: the file's name), or only this one of a spool"},
        [CLI_OPT_EXPLAIN] = {"explain", 0, VALUE_TEXT, "ID", IN(explain), "show the readings around this alarm"},
        [CLI_OPT_OPERATOR] = {"operator", 0, VALUE_TEXT, "NAME", IN(by), "who says so (default: $SUDO_USER or $USER)"},
        [CLI_OPT_COMMENT] = {"comment", 'm', VALUE_TEXT, "TEXT", IN(comment), "why, for the alarm's journal"},
        [CLI_OPT_FOR] = {"for", 0, VALUE_TEXT, "TIME", IN(span), "how long: 30m, 2h, 1d"},
        [CLI_OPT_UNUSED_FOR] = {"unused-for", 0, VALUE_TEXT, "TIME", IN(unused),
                                "only those whose last reading is older: 30d, 12h"},
        [CLI_OPT_DRY_RUN] = {"dry-run", 0, VALUE_NONE, NULL, 0, "only say what would be done"},
        [CLI_OPT_YES] = {"yes", 'y', VALUE_NONE, NULL, 0, "do it"},
        [CLI_OPT_UNITS] = {"units", 0, VALUE_TEXT, "LIST", IN(units),
                           "these unit ids, as 1-247 or 1,3,10-20 (default: 1-247; of setup: 1-32)"},
        [CLI_OPT_REGISTERS] =
                {"registers", 0, VALUE_TEXT, "LIST", IN(registers),
                 "ask each of these registers, as 0-199 or 0-99,1000-1099 (default: 0-127, then samples)"},
        [CLI_OPT_TIMEOUT] = {"timeout", 0, VALUE_TEXT, "TIME", IN(timeout),
                             "how long an answer may take (default: the bus's, or 300ms)"},
        [CLI_OPT_AS] = {"as", 0, VALUE_TEXT, "TYPE", IN(as), "int16, float32 and so on, or all of them side by side"},
        [CLI_OPT_USERNAME] = {"username", 0, VALUE_TEXT, "NAME", IN(username), "user at the broker"},
        [CLI_OPT_PASSWORD_FILE] = {"password-file", 0, VALUE_TEXT, "FILE", IN(password_file),
                                   "a file with the password"},
        [CLI_OPT_CA_FILE] = {"ca-file", 0, VALUE_TEXT, "FILE", IN(ca_file),
                             "PEM of the authority that signed the broker (default: those of the system)"},
        [CLI_OPT_CERT_FILE] = {"cert-file", 0, VALUE_TEXT, "FILE", IN(cert_file), "PEM of our certificate"},
        [CLI_OPT_KEY_FILE] = {"key-file", 0, VALUE_TEXT, "FILE", IN(key_file), "PEM of the key to it"},
        [CLI_OPT_PUBLIC_KEY] = {"public-key", 0, VALUE_TEXT, "FILE", IN(public_key),
                                "PEM of the gateway's public key: only what it signed counts"},
        [CLI_OPT_BUS] = {"bus", 0, VALUE_TEXT, "NAME", IN(bus), "the modbus item that the devices hang on, or a port"},
        [CLI_OPT_NAME] = {"name", 0, VALUE_TEXT, "NAME", IN(name), "the source's, where the file names no device"},
        [CLI_OPT_LEARN] = {"learn", 0, VALUE_NONE, NULL, 0, "propose devices and profiles of what was heard"},
        [CLI_OPT_GATEWAY] = {"gateway", 0, VALUE_TEXT, "NAME", IN(gateway), "the gateway's name in every record"},
        [CLI_OPT_KAFKA_LOGIN] = {"kafka-login", 0, VALUE_TEXT, "HOW", IN(kafka_login),
                                 "none, tls, scram or plain: how Kafka lets us in"},
        [CLI_OPT_KAFKA_USER] = {"kafka-user", 0, VALUE_TEXT, "NAME", IN(kafka_user), "user at Kafka"},
        [CLI_OPT_KAFKA_PASSWORD_FILE] = {"kafka-password-file", 0, VALUE_TEXT, "FILE", IN(kafka_password_file),
                                         "a file with the password at Kafka"},
        [CLI_OPT_KAFKA_CA_FILE] = {"kafka-ca-file", 0, VALUE_TEXT, "FILE", IN(kafka_ca_file),
                                   "PEM of the authority that signed Kafka's certificate, or none"},
        [CLI_OPT_KAFKA_ENCRYPTED] = {"kafka-encrypted", 0, VALUE_TEXT, "WORD", IN(kafka_encrypted),
                                     "yes (default), or no: user and password without TLS"},
        [CLI_OPT_KAFKA_CERT_FILE] = {"kafka-cert-file", 0, VALUE_TEXT, "FILE", IN(kafka_cert_file),
                                     "PEM of our certificate, where Kafka asks for one, or none"},
        [CLI_OPT_KAFKA_KEY_FILE] = {"kafka-key-file", 0, VALUE_TEXT, "FILE", IN(kafka_key_file),
                                    "PEM of the key to it"},
        [CLI_OPT_MAKE_TOPICS] = {"topics", 0, VALUE_TEXT, "WORD", IN(topics),
                                 "make those that are missing, or leave that to others"},
        [CLI_OPT_SUBSCRIPTIONS] = {"subscriptions", 0, VALUE_TEXT, "LIST", IN(subscriptions),
                                   "all that are proposed, none, their numbers, or a pattern as plant/{source}/{tag}"},
        [CLI_OPT_PICK] = {"pick", 0, VALUE_TEXT, "LIST", IN(pick),
                          "registers, as '3 holding:20 float32 CDAB temp degC; …', all, or none"},
        [CLI_OPT_OUTAGE] = {"outage", 0, VALUE_TEXT, "TIME", IN(outage), "how long without Kafka is to be bridged: 3d"},
        [CLI_OPT_REPLACE] = {"replace", 0, VALUE_NONE, NULL, 0,
                             "replace a configuration that reads something; a copy is kept"},
        [CLI_OPT_SERVICE] = {"service", 0, VALUE_TEXT, "WORD", IN(service),
                             "start it now and with the machine, or leave"},
        [CLI_OPT_UNTRIED] = {"untried", 0, VALUE_NONE, NULL, 0, "keep what can't be reached now"},
        [CLI_OPT_REPORT] = {"report", 0, VALUE_TEXT, "FILE", IN(report),
                            "also a new file with all of it for support, without secrets"},
        [CLI_OPT_WIDE] = {"wide", 'w', VALUE_NONE, NULL, 0,
                          "all columns, and nothing shortened, however narrow the terminal is"},
        [CLI_OPT_UTC] = {"utc", 0, VALUE_NONE, NULL, 0, "times in UTC instead of the zone that TZ names"},
        [CLI_OPT_WATCH] = {"watch", 0, VALUE_NONE, NULL, 0, "again and again, until interrupted"},
        [CLI_OPT_KIND] = {"kind", 0, VALUE_TEXT, "LIST", IN(kind), "only these kinds, as link,device,condition"},
        [CLI_OPT_FORMAT] = {"format", 0, VALUE_TEXT, "FORM", IN(format), "text (default), html, csv or json"},
        [CLI_OPT_HELP] = {"help", 'h', VALUE_NONE, NULL, 0, "this text"},
        [CLI_OPT_VERSION] = {"version", 'V', VALUE_NONE, NULL, 0, "the version"},
};

#define ALWAYS (CLI_BIT(CONFIG) | CLI_BIT(HELP))

struct scan {
        struct cli *c;
        const char *const *argv;
        int argc, at;
        const char *words[CLI_ARGS_MAX + 2];
        int n_words;
};

const char *cli_option_help(enum cli_option_id id, char *left, size_t cap)
{
        const struct option *o = &options[id];

        snprintf(left, cap, "%s%c%s--%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                 o->letter ? ", " : "  ", o->name, o->value ? " " : "", o->value ? o->value : "");
        return o->help;
}

/* "2026-11-23 11:00:00+01" as 2026-11-23T11:00:00+01:00. */
static void put_iso(char *out, size_t cap, const char *s)
{
        size_t len = strlen(s);
        bool hours = len > 3 && (s[len - 3] == '+' || s[len - 3] == '-') && strchr(s, ':');

        snprintf(out, cap, "%.40s%s", s, hours ? ":00" : "");
        if (len > 10 && out[10] == ' ')
                out[10] = 'T';
}

/* When the day began that was `ago` days before; a day may have 23 hours. */
static int64_t day_us(int64_t now_us, int ago)
{
        time_t now = (time_t)(now_us / 1000000);
        struct tm tm;

        if (!localtime_r(&now, &tm))
                return now_us;
        tm.tm_mday -= ago;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_isdst = -1;
        return (int64_t)mktime(&tm) * 1000000;
}

bool cli_time(const char *s, int64_t now_us, int64_t *us)
{
        char day[64];
        bool has_zone;
        int64_t ago_us;

        if (strcmp(s, "today") == 0 || strcmp(s, "yesterday") == 0) {
                *us = day_us(now_us, s[0] == 'y');
                return true;
        }
        if (text_duration(s, &ago_us)) {
                *us = now_us - ago_us;
                return true;
        }
        if (strlen(s) == strlen("2026-11-23")) {
                snprintf(day, sizeof(day), "%sT00:00:00Z", s);
                return text_time(day, strlen(day), us, &has_zone);
        }
        put_iso(day, sizeof(day), s);
        return strlen(s) <= 40 && text_time(day, strlen(day), us, &has_zone);
}

static int put_count(const struct option *o, const char *value, uint64_t *out, struct err *e)
{
        char *end;

        if (!isdigit((unsigned char)value[0]))
                goto wrong;
        *out = strtoull(value, &end, 10);
        if (*end == '\0' && *out <= 1000000000)
                return 0;
wrong:
        err_set(e, "--%s %s: a whole number up to 1000000000 is needed", o->name, value);
        return CLI_USAGE;
}

static int put_value(struct cli *c, const struct option *o, const char *value, struct err *e)
{
        char *at = (char *)c + o->offset;

        switch (o->kind) {
        case VALUE_COUNT:
                return put_count(o, value, (uint64_t *)(void *)at, e);
        case VALUE_TIME:
                if (cli_time(value, c->now_us, (int64_t *)(void *)at))
                        return 0;
                err_set(e,
                        "--%s %s: a time is needed, as 2026-11-23T10:00:00Z, 2026-11-23, yesterday, or 1h for an hour "
                        "ago",
                        o->name, value);
                return CLI_USAGE;
        default:
                *(const char **)(void *)at = value;
                return 0;
        }
}

/* `value` is what stood behind = or the letter, or NULL: then the next word. */
static int take_option(struct scan *s, int id, const char *value, struct err *e)
{
        const struct option *o = &options[id];

        s->c->given |= UINT64_C(1) << id;
        if (o->kind == VALUE_NONE) {
                if (!value)
                        return 0;
                err_set(e, "--%s takes no value", o->name);
                return CLI_USAGE;
        }
        if (!value && s->at < s->argc)
                value = s->argv[s->at++];
        if (!value || value[0] == '\0') {
                err_set(e, "--%s needs a value: --%s %s", o->name, o->name, o->value);
                return CLI_USAGE;
        }
        return put_value(s->c, o, value, e);
}

/*
 * Does the command's name begin with this word, and end there or go on with a
 * second one?
 */
static bool first_word_is(const struct cli_command *k, const char *word)
{
        size_t len = strlen(word);

        return strncmp(k->name, word, len) == 0 && (k->name[len] == '\0' || k->name[len] == ' ');
}

/* The word that stands already is the first of a command that takes it. */
static bool is_taken_here(const struct scan *s, int id)
{
        for (const struct cli_command *k = cli_commands; k->name && s->n_words; k++)
                if (k->options & UINT64_C(1) << id && first_word_is(k, s->words[0]))
                        return true;
        return false;
}

/* The nearest of those that the command takes, as far as its words stand. */
static int unknown_option(const struct scan *s, const char *name, struct err *e)
{
        const char *names[CLI_OPTIONS], *near;
        size_t n = 0;

        for (int i = 0; i < CLI_OPTIONS; i++)
                if (s->n_words == 0 || ALWAYS & UINT64_C(1) << i || is_taken_here(s, i))
                        names[n++] = options[i].name;
        near = text_did_you_mean(name, names, n);
        err_set(e, "no such option: --%s%s%s%s", name, near ? "; did you mean --" : "", near ? near : "",
                near ? "?" : "");
        return CLI_USAGE;
}

/* Of several with one name it is that which the command takes; or -1. */
static int find_long(const struct scan *s, const char *name)
{
        int found = -1;

        for (int i = 0; i < CLI_OPTIONS; i++)
                if (strcmp(options[i].name, name) == 0 && (found < 0 || is_taken_here(s, i)))
                        found = i;
        return found;
}

static int long_option(struct scan *s, const char *text, struct err *e)
{
        size_t len = strcspn(text, "=");
        char name[64];
        int id;

        snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1), text);
        id = find_long(s, name);
        return id < 0 ? unknown_option(s, name, e) : take_option(s, id, text[len] == '=' ? text + len + 1 : NULL, e);
}

static int find_letter(char letter)
{
        for (int i = 0; i < CLI_OPTIONS; i++)
                if (options[i].letter && options[i].letter == letter)
                        return i;
        return -1;
}

/* "-f", "-fn5", "-n 5" */
static int letter_options(struct scan *s, const char *text, struct err *e)
{
        for (; *text; text++) {
                int id = find_letter(*text), r;
                bool takes;

                if (id < 0) {
                        err_set(e, "no such option: -%c", isprint((unsigned char)*text) ? *text : '?');
                        return CLI_USAGE;
                }
                takes = options[id].kind != VALUE_NONE;
                r = take_option(s, id, takes && text[1] ? text + 1 : NULL, e);
                if (r || takes)
                        return r;
        }
        return 0;
}

static bool is_option(const char *text)
{
        return text[0] == '-' && text[1] != '\0' && !isdigit((unsigned char)text[1]) && text[1] != '.';
}

static int scan_word(struct scan *s, const char *text, struct err *e)
{
        if (s->n_words == CLI_ARGS_MAX + 2) {
                err_set(e, "too many arguments: '%s'", text);
                return CLI_USAGE;
        }
        s->words[s->n_words++] = text;
        return 0;
}

static int scan_all(struct scan *s, struct err *e)
{
        bool words_only = false;
        int r = 0;

        while (!r && s->at < s->argc) {
                const char *text = s->argv[s->at++];

                if (words_only || !is_option(text))
                        r = scan_word(s, text, e);
                else if (strcmp(text, "--") == 0)
                        words_only = true;
                else if (text[1] == '-')
                        r = long_option(s, text + 2, e);
                else
                        r = letter_options(s, text + 1, e);
        }
        return r;
}

static const char *second_word(const struct cli_command *k)
{
        const char *space = strchr(k->name, ' ');

        return space ? space + 1 : NULL;
}

/*
 * The nearest of the words at the place of `word`: the first ones, or the
 * second ones behind `group`.
 */
static int unknown_command(const char *group, const char *word, struct err *e)
{
        const char *names[64], *near;
        char firsts[64][24];
        size_t n = 0;

        for (const struct cli_command *k = cli_commands; k->name && n < 64; k++) {
                const char *name = group ? second_word(k) : k->name;

                if (!name || (group && !first_word_is(k, group)))
                        continue;
                snprintf(firsts[n], sizeof(firsts[n]), "%.*s", (int)strcspn(name, " "), name);
                names[n] = firsts[n];
                n++;
        }
        near = text_did_you_mean(word, names, n);
        err_set(e, "no such command: %s%s%s%s%s%s%s%s", group ? group : "", group ? " " : "", word,
                near ? "; did you mean '" : "; 'millrace help' lists them", near && group ? group : "",
                near && group ? " " : "", near ? near : "", near ? "'?" : "");
        return CLI_USAGE;
}

static int find_command(struct scan *s, int *n_words, struct err *e)
{
        const char *group = NULL, *first = NULL;

        for (const struct cli_command *k = cli_commands; k->name; k++) {
                const char *second = second_word(k);

                if (!first_word_is(k, s->words[0]))
                        continue;
                if (!second || (s->n_words > 1 && strcmp(second, s->words[1]) == 0)) {
                        s->c->command = k;
                        *n_words = second ? 2 : 1;
                        return 0;
                }
                group = s->words[0];
                first = first ? first : k->name;
        }
        if (group && s->n_words == 1) {
                err_set(e, "'%s' needs one more word, as in '%s'; 'millrace help' lists them", group, first);
                return CLI_USAGE;
        }
        return group ? unknown_command(group, s->words[1], e) : unknown_command(NULL, s->words[0], e);
}

static int check_options(const struct cli *c, struct err *e)
{
        uint64_t excess = c->given & ~(c->command->options | ALWAYS);

        for (int i = 0; i < CLI_OPTIONS; i++) {
                if (excess & (UINT64_C(1) << i)) {
                        err_set(e, "'%s' takes no --%s; 'millrace help %s' lists what it takes", c->command->name,
                                options[i].name, c->command->name);
                        return CLI_USAGE;
                }
        }
        if (cli_has(c, CLI_BIT(JSON)) && cli_has(c, CLI_BIT(CSV))) {
                err_set(e, "--json and --csv exclude each other");
                return CLI_USAGE;
        }
        return 0;
}

/* Is there a command of two words that begins with this one? */
static bool second_of(const char *name)
{
        size_t len = strlen(name);

        for (const struct cli_command *k = cli_commands; k->name; k++)
                if (!strncmp(k->name, name, len) && k->name[len] == ' ')
                        return true;
        return false;
}

static int check_args(const struct cli *c, struct err *e)
{
        const struct cli_command *k = c->command;

        if (c->n_args >= k->least && c->n_args <= k->most)
                return 0;
        if (c->n_args > k->most && second_of(k->name)) /* "tags" is a command, and "tags forget" another */
                return unknown_command(k->name, c->args[k->most], e);
        if (c->n_args > k->most)
                err_set(e, "'%s' does not take '%s'; usage: millrace %s %s", k->name, c->args[k->most], k->name,
                        k->args);
        else
                err_set(e, "'%s' needs more; usage: millrace %s %s", k->name, k->name, k->args);
        return CLI_USAGE;
}

int cli_parse(struct cli *c, int argc, const char *const *argv, struct err *e)
{
        struct scan s = {.c = c, .argv = argv, .argc = argc, .at = 1};
        int n_words = 0, r;

        r = scan_all(&s, e);
        if (r)
                return r;
        if (s.n_words == 0) {
                if (cli_has(c, CLI_BIT(HELP) | CLI_BIT(VERSION)))
                        return 0;
                err_set(e, "a command is needed; 'millrace help' lists them");
                return CLI_USAGE;
        }
        r = find_command(&s, &n_words, e);
        if (r && cli_has(c, CLI_BIT(HELP)) && s.n_words == 1 && strcmp(s.words[0], "spool") == 0)
                return 0;
        if (r)
                return r;
        for (int i = n_words; i < s.n_words; i++) {
                if (c->n_args == CLI_ARGS_MAX) {
                        err_set(e, "too many arguments: '%s'", s.words[i]);
                        return CLI_USAGE;
                }
                c->args[c->n_args++] = s.words[i];
        }
        r = check_options(c, e);
        if (r || cli_has(c, CLI_BIT(HELP)))
                return r;
        return check_args(c, e);
}
