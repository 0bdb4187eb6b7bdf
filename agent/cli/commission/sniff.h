/*
 * sniff: between the listening of `serial sniff` and what it proposes.
 */
#ifndef MILLRACE_CLI_COMMISSION_SNIFF_H
#define MILLRACE_CLI_COMMISSION_SNIFF_H

#include <stdio.h>

#include "agent/cli/commission/sniff_guess.h"

struct site;

/* False: nothing can be proposed for it. */
bool sniff_print_part(FILE *f, const struct site *p, const struct sniff_guess *g, const uint8_t *bytes, size_t n);

#endif
