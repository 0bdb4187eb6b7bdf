/*
 * tag_row: a line of a tag list -> one register of a profile.  Pure.
 */
#ifndef MILLRACE_CLI_COMMISSION_TAG_ROW_H
#define MILLRACE_CLI_COMMISSION_TAG_ROW_H

#include "agent/base/err.h"
#include "agent/cli/commission/csv.h"
#include "drivers/modbus/decode.h"

enum tag_column {
        TAG_NAME,
        TAG_ADDRESS,
        TAG_TYPE,
        TAG_UNIT,
        TAG_SCALE,
        TAG_DIVISOR,
        TAG_OFFSET,
        TAG_TABLE,
        TAG_DEVICE,
        TAG_SLAVE,
        TAG_BIT,
        TAG_LENGTH,
        TAG_ORDER,
        TAG_PERIOD,
        TAG_ACCESS,
        TAG_RAW_LOW,
        TAG_RAW_HIGH,
        TAG_SCALED_LOW,
        TAG_SCALED_HIGH,
        TAG_COLUMNS
};

/*
 * A word's small letters and digits, and what is beyond ASCII; what stands in
 * brackets is a remark: "Period (ms)".
 */
enum { TAG_WORD_ROOM = 40 };
void tag_word(char out[TAG_WORD_ROOM], const char *s);

struct tag_columns {
        int at[TAG_COLUMNS]; /* which field; -1: there is no such column */
};

/* Of the header's words; n_known: how many of its columns say something. */
void tag_columns_find(struct tag_columns *t, const struct csv *header, size_t *n_known);
/*
 * The first column of that meaning was taken already, or nobody knows the word.
 */
bool tag_column_used(const struct tag_columns *t, size_t field);

struct tag_row {
        const char *name, *unit, *device; /* of the line's fields; "" when it does not say */
        enum modbus_table table;
        unsigned address;
        const char *type, *order; /* as the configuration writes them; order NULL: the profile's */
        int bit, length;          /* -1: not said */
        double scale, offset;
        int slave;          /* 1 when it does not say */
        long period_ms;     /* 0: not said */
        bool guessed_table; /* no table was said: taken as holding */
};

/* 0, or -1 with what can't be used. */
int tag_row_read(struct tag_row *r, const struct tag_columns *t, const struct csv *line, struct err *e);

#endif
