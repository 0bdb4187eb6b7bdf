/*
 * part: what the commissioning commands print: a part of a configuration, to be
 * read, changed and put into conf.d/.  What was seen stands in comments.
 */
#ifndef MILLRACE_CLI_COMMISSION_PART_H
#define MILLRACE_CLI_COMMISSION_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/base/text.h"

struct site;

/* Two lines: what this is, and what to do with it. */
void part_head(FILE *f, const char *what);

/*
 * A text as a YAML scalar in quotes; control characters and invalid UTF-8 are
 * escaped.
 */
void part_text(FILE *f, const char *s, size_t len);

/* The same without the quotes, for a comment: no line ends in it. */
void part_remark(FILE *f, const char *s, size_t len);

/* The configuration's tables take this, beside a gateway and Kafka. */
bool part_accepted(const char *text);

enum { PART_NAME_ROOM = TEXT_NAME_MAX + 1 };

/*
 * The nearest text that is a name; "" becomes `other`. True when it had to be
 * changed.
 */
bool part_name(char out[PART_NAME_ROOM], const char *s, size_t len, const char *other);

/* Names that are there already. */
struct part_names {
        char **items;
        size_t n, cap; /* cap: a power of two */
};
/*
 * Makes `name` one that is not there, by -2, -3 … behind it, and adds it. True
 * when it had to.
 */
bool part_names_add(struct part_names *p, char name[PART_NAME_ROOM]);
void part_names_fini(struct part_names *p);

/*
 * `modbus:` with one item, unless the configuration has it. Returns the bus's
 * name.
 */
const char *part_bus(FILE *f, const struct site *p);

#endif
