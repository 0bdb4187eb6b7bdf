/*
 * cli: what the parts of the `millrace` command share: the command table, the
 * options, the exit codes.
 *
 * One flat table of options (args.c), one table of commands (cmds.c); a command
 * names the options it takes as a mask, so that an option means the same
 * wherever it is taken.  Single thread.  Strings point into argv or the
 * configuration.
 */
#ifndef MILLRACE_CLI_CLI_H
#define MILLRACE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/cli/out.h"

enum cli_exit {
        CLI_OK = 0,
        CLI_NO = 1,      /* the answer is no: not healthy, not there, not durable */
        CLI_USAGE = 2,   /* the command line is wrong */
        CLI_AWAY = 69,   /* the daemon or the file can't be reached */
        CLI_CONFIG = 78, /* the configuration is wrong */
};

enum cli_option_id {
        CLI_OPT_CONFIG,
        CLI_OPT_SPOOL,
        CLI_OPT_JSON,
        CLI_OPT_CSV,
        CLI_OPT_TAG,
        CLI_OPT_SINCE,
        CLI_OPT_UNTIL,
        CLI_OPT_ALL,
        CLI_OPT_LINES,
        CLI_OPT_FOLLOW,
        CLI_OPT_DUMP,
        CLI_OPT_UNIT,
        CLI_OPT_SECONDS,
        CLI_OPT_MQTT,
        CLI_OPT_KAFKA,
        CLI_OPT_TOPICS,
        CLI_OPT_RULES,
        CLI_OPT_INPUT,
        CLI_OPT_SOURCE,
        CLI_OPT_EXPLAIN,
        CLI_OPT_OPERATOR,
        CLI_OPT_COMMENT,
        CLI_OPT_FOR,
        CLI_OPT_UNUSED_FOR,
        CLI_OPT_DRY_RUN,
        CLI_OPT_YES,
        CLI_OPT_UNITS,
        CLI_OPT_REGISTERS,
        CLI_OPT_TIMEOUT,
        CLI_OPT_AS,
        CLI_OPT_USERNAME,
        CLI_OPT_PASSWORD_FILE,
        CLI_OPT_CA_FILE,
        CLI_OPT_CERT_FILE,
        CLI_OPT_KEY_FILE,
        CLI_OPT_BUS,
        CLI_OPT_NAME,
        CLI_OPT_LEARN,
        CLI_OPT_GATEWAY,
        CLI_OPT_KAFKA_LOGIN,
        CLI_OPT_KAFKA_USER,
        CLI_OPT_KAFKA_PASSWORD_FILE,
        CLI_OPT_KAFKA_CA_FILE,
        CLI_OPT_KAFKA_ENCRYPTED,
        CLI_OPT_KAFKA_CERT_FILE,
        CLI_OPT_KAFKA_KEY_FILE,
        CLI_OPT_MAKE_TOPICS,
        CLI_OPT_SUBSCRIPTIONS,
        CLI_OPT_PICK,
        CLI_OPT_OUTAGE,
        CLI_OPT_REPLACE,
        CLI_OPT_SERVICE,
        CLI_OPT_UNTRIED,
        CLI_OPT_REPORT,
        CLI_OPT_WIDE,
        CLI_OPT_UTC,
        CLI_OPT_WATCH,
        CLI_OPT_KIND,
        CLI_OPT_FORMAT,
        CLI_OPT_PUBLIC_KEY,
        CLI_OPT_HELP,
        CLI_OPT_VERSION,
        CLI_OPTIONS
};
#define CLI_BIT(option) (UINT64_C(1) << CLI_OPT_##option)

enum { CLI_ARGS_MAX = 4 };

struct cli;

struct cli_command {
        const char *name; /* "spool ls": one or two words */
        const char *args; /* as in the usage line */
        int least, most;  /* positional arguments */
        uint64_t options; /* CLI_BIT()s; --help and --config are always taken */
        int (*run)(struct cli *c);
        const char *summary; /* one line */
        const char *detail;
        const char *no; /* what exit status 1 means here; NULL: it is not used */
        const char *example;
};
extern const struct cli_command cli_commands[]; /* ended by a NULL name */

struct cli {
        const struct cli_command *command; /* NULL: none given (--help, --version) */
        uint64_t given;                    /* CLI_BIT()s of the options on the command line */
        const char *config, *spool, *tag, *unit, *mqtt, *kafka, *rules, *input, *source, *explain;
        const char *by, *comment, *span, *unused; /* --operator, --comment, --for, --unused-for */
        const char *units, *registers, *timeout, *as, *username, *password_file, *ca_file, *cert_file, *key_file;
        const char *bus, *name;
        const char *gateway, *kafka_login, *kafka_user, *kafka_password_file, *kafka_ca_file, *topics, *subscriptions;
        const char *kafka_encrypted, *kafka_cert_file, *kafka_key_file;
        const char *pick, *outage, *service;
        const char *report;
        const char *kind, *format, *public_key;
        int64_t since_us, until_us; /* when given */
        uint64_t lines, seconds;
        const char *args[CLI_ARGS_MAX];
        int n_args;
        int64_t now_us; /* set before cli_parse */
        struct out out;
};

static inline bool cli_has(const struct cli *c, uint64_t bits)
{
        return (c->given & bits) != 0;
}

/*
 * Options may stand before, between and behind the command's words. 0, or
 * CLI_USAGE with a sentence.
 */
int cli_parse(struct cli *c, int argc, const char *const *argv, struct err *e);

/*
 * "2026-11-23T10:00:00Z", "2026-11-23 11:00:00+01" as lists show it,
 * "2026-11-23" (UTC), a duration: that long before now; or today, yesterday: when that day began, as TZ has it.
 */
bool cli_time(const char *s, int64_t now_us, int64_t *us);

/*
 * The option's line of a help page: "  -n, --lines N   …"; returns the help
 * text and writes the left part.
 */
const char *cli_option_help(enum cli_option_id id, char *left, size_t cap);

void cli_print_help(const struct cli_command *command, FILE *f); /* NULL: the overview */

/* "millrace: <sentence>" to standard error; returns `code`. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int cmd_status(struct cli *c);
int cmd_metrics(struct cli *c);
int cmd_top(struct cli *c);
int cmd_check(struct cli *c);
int cmd_try(struct cli *c);
int cmd_doctor(struct cli *c);
int cmd_tags(struct cli *c);
int cmd_tags_forget(struct cli *c);
int cmd_tail(struct cli *c);
int cmd_events(struct cli *c);
int cmd_report(struct cli *c);
int cmd_send(struct cli *c);
int cmd_demo(struct cli *c);
int cmd_modbus_scan(struct cli *c);
int cmd_modbus_read(struct cli *c);
int cmd_modbus_listen(struct cli *c);
int cmd_serial_sniff(struct cli *c);
int cmd_mqtt_watch(struct cli *c);
int cmd_setup(struct cli *c);
int cmd_tags_import(struct cli *c);
int cmd_help(struct cli *c);
int cmd_version(struct cli *c);
int cmd_verify(struct cli *c);
int cmd_alarms_ls(struct cli *c);
int cmd_alarms_history(struct cli *c);
int cmd_alarms_command(struct cli *c);
int cmd_rules_test(struct cli *c);
int cmd_rules_learn(struct cli *c);
int cmd_spool_ls(struct cli *c);
int cmd_spool_show(struct cli *c);
int cmd_spool_tail(struct cli *c);
int cmd_spool_export(struct cli *c);
int cmd_spool_stats(struct cli *c);
int cmd_spool_dropped(struct cli *c);
int cmd_spool_quarantine(struct cli *c);
int cmd_spool_verify(struct cli *c);
int cmd_spool_sql(struct cli *c);
int cmd_spool_purge(struct cli *c);
int cmd_spool_requeue(struct cli *c);

#endif
