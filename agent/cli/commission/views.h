/*
 * views: registers as each type and word order would read them, side by side.
 * Pure but for the writing.
 */
#ifndef MILLRACE_CLI_COMMISSION_VIEWS_H
#define MILLRACE_CLI_COMMISSION_VIEWS_H

#include "agent/cli/cli.h"
#include "drivers/modbus/decode.h"

struct views {
        enum modbus_table table;
        unsigned address, count;
        const uint8_t *data; /* as on the wire, `count` registers or bits */
};

/* 0: all; or a type's number + 1; -1 with a sentence. */
int views_as(const char *as, struct err *e);
void views_print(FILE *f, const struct views *v, int as);
void views_json(FILE *f, const struct views *v);

#endif
