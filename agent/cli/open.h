/*
 * open: how a command comes to its configuration, its spool and its daemon.
 * Each returns CLI_OK or the exit status, having told why on standard error.
 */
#ifndef MILLRACE_CLI_OPEN_H
#define MILLRACE_CLI_OPEN_H

#include <jansson.h>

#include "agent/cli/cli.h"
#include "store/inspect/query.h"

/*
 * The paths a command works on: from --spool alone, or from the configuration.
 */
struct places {
        char *spool, *socket;
        uint64_t spool_max_bytes; /* 0: not known */
        uint64_t spool_usable_bytes;
};
int places_find(const struct cli *c, struct places *p);
void places_fini(struct places *p);

/*
 * One question for the daemon there, for which nobody else can speak; the
 * request is given away. CLI_OK and *reply, the caller's.
 */
int ask_daemon(const struct cli *c, json_t *request, json_t **reply);

/* The configured spool, or the one of --spool. */
int open_spool(const struct cli *c, struct spool_query **q);

enum { SPLIT_MAX = 1024 };

/*
 * "press-3/temp", "press-3", patterns with * and ?: into source and name (NULL:
 * any). The halves live in `buf`.
 */
void split_tag(const char *tag, char buf[SPLIT_MAX], struct spool_filter *f);
/*
 * CLI_OK when some tag of the spool is meant (or none was named), else CLI_NO
 * with a sentence.
 */
int require_tag(const struct cli *c, struct spool_query *q, const struct spool_filter *pick);
bool pick_matches(const struct spool_filter *f, const char *source, const char *name, const char *labels);

#endif
