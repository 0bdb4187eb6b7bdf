/*
 * record: the user data of a telegram -> records (EN 13757-3, variable and
 * fixed data structure).  Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_MBUS_RECORD_H
#define MILLRACE_DRIVERS_MBUS_RECORD_H

#include "drivers/mbus/frame.h"
#include "drivers/mbus/mbus.h"

enum mbus_kind {
        MBUS_NOTHING, /* no data: bad */
        MBUS_INTEGER, /* i64 x 10^exponent */
        MBUS_REAL,    /* f64 x 10^exponent */
        MBUS_TEXT,    /* text, len */
        MBUS_INVALID, /* the meter says that it has no value: bad */
};

enum { MBUS_TEXT_MAX = 64 };

struct mbus_record {
        unsigned number; /* from 0, over all telegrams of a readout */
        int function;    /* enum mbus_function */
        uint64_t storage;
        unsigned tariff, subunit;
        int quantity;     /* enum mbus_quantity */
        const char *unit; /* of what comes out; "": it has none, or it is not known */
        bool qualified;   /* there is more to it than its quantity: a limit, backward flow … */
        bool faulty;      /* the meter says with it that the value is none */
        int exponent;
        double factor; /* seconds of its unit of time; else 1 */
        enum mbus_kind kind;
        int64_t i64;
        double f64;
        char text[MBUS_TEXT_MAX]; /* not terminated */
        size_t len;
};

enum mbus_walked {
        MBUS_RECORD,
        MBUS_END,         /* that was all */
        MBUS_END_OF_PART, /* there is another telegram */
        MBUS_MALFORMED,   /* `why` */
};

struct mbus_walk {
        const uint8_t *at, *end;
        unsigned number;
        bool is_fixed, has_head;
        struct mbus_secondary meter; /* with has_head */
        uint8_t status;
        uint8_t fixed[2]; /* what the two counters are */
        const char *why;
};

/* `number`: of its first record. 0; or -1: why. */
int mbus_walk_begin(struct mbus_walk *w, const struct mbus_frame *f, unsigned number);
enum mbus_walked mbus_walk_next(struct mbus_walk *w, struct mbus_record *out);

/* ---- what it is about ---- */

/*
 * VIF and VIFE at p: how many bytes; 0: they go on behind the end. Of `out`
 * quantity, unit, exponent, qualified.
 */
size_t mbus_vif(const uint8_t *p, size_t n, struct mbus_record *out, bool *is_time);
/* Of the fixed data structure: six bits. */
void mbus_fixed_unit(unsigned code, struct mbus_record *out);

/*
 * 2, 3, 4 or 6 bytes of types G, J, F and I -> a text as 2026-11-30T12:05; 0:
 * the meter says that it is none.
 */
size_t mbus_put_time(char out[MBUS_TEXT_MAX], const uint8_t *p, size_t n);

#endif
