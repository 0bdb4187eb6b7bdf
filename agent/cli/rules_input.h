/*
 * rules_input: what the `rules` commands work on: the rules of a file, and a
 * recording.
 */
#ifndef MILLRACE_CLI_RULES_INPUT_H
#define MILLRACE_CLI_RULES_INPUT_H

#include "agent/cli/cli.h"
#include "agent/config/config.h"
#include "agent/rules/rules_replay.h"

/* A configuration of which only the rules (and the gateway's name) matter. */
struct rules_file {
        struct config config;
        struct arena arena;
        const struct rule_conf *rules;
        size_t n_rules;
        const char *gateway;
};

/* CLI_OK or CLI_CONFIG, having printed every fault. */
int rules_file_load(const char *path, struct rules_file *f);
void rules_file_fini(struct rules_file *f);

/*
 * Plays --input into `p`: a CSV file, or a spool (all readings that are still
 * in it). CLI_OK; or the exit status, having told why.
 */
int rules_input_play(const struct cli *c, struct replay *p);

#endif
