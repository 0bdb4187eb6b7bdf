/*
 * slave: what is known of a slave that was found, or overheard, and how that is
 * proposed as a profile and a device.  Pure but for the writing.
 */
#ifndef MILLRACE_CLI_COMMISSION_SLAVE_H
#define MILLRACE_CLI_COMMISSION_SLAVE_H

#include "agent/cli/commission/part.h"
#include "agent/cli/commission/ranges.h"

enum { SLAVE_REGISTERS_MAX = 250 }; /* in one proposed profile */

struct slave {
        uint8_t unit;
        char vendor[48], product[48], revision[24]; /* "": it does not say */
        struct ranges *tables[4];                   /* by function code - 1; NULL: not asked */
        int64_t period_us;                          /* how often somebody else reads it; 0: not known */
};

/* The answer to 43/14. */
void slave_identify(struct slave *s, const uint8_t *pdu, size_t len);

/* modbus:, profiles:, devices: */
void slaves_print(FILE *f, const struct site *port, const struct slave *slaves, size_t n);
void slave_json(FILE *f, const struct slave *s);

#endif
