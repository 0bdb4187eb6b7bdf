/*
 * pick: which registers of which slave a person wants, as they write it in one
 * line.  Pure.
 *
 * "3 holding:20 float32 CDAB temp degC; 4 profile eastron-sdm630 meter-1": the
 * unit id, then a register with type, word order (not needed for one register),
 * tag and unit, or a profile of the library and what the source is to be
 * called. "all": every register that was found, as uint16; "none".
 */
#ifndef MILLRACE_CLI_SETUP_PICK_H
#define MILLRACE_CLI_SETUP_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/modbus/decode.h"

enum { PICKS_MAX = 64, PICK_UNIT_ROOM = 24 };

#define PICK_HELP                                                                                              \
        "UNIT PLACE TYPE [ORDER] TAG [UNIT], as 3 holding:20 float32 CDAB temp degC; several with ; between. " \
        "Or UNIT profile NAME [SOURCE], all (each as uint16), or none."

struct pick {
        unsigned unit;
        char profile[TEXT_NAME_MAX + 1]; /* "": a register */
        char source[TEXT_NAME_MAX + 1];  /* of a profile; "": unit-N */
        enum modbus_table table;
        unsigned address, width;
        struct modbus_format format;
        const char *type, *order; /* their names; order NULL: none */
        char tag[TEXT_NAME_MAX + 1], measure[PICK_UNIT_ROOM];
};

/* 0, and none for "all" and "none"; or -1 with a sentence. */
int picks_parse(const char *text, struct pick picks[PICKS_MAX], size_t *n, struct err *e);

/* profiles: and devices: for them; `bus`: the name of the modbus item. */
void picks_print(FILE *f, const struct pick *picks, size_t n, const char *bus);

#endif
