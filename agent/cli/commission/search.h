/*
 * search: who is on a Modbus bus, and which of its registers answer.  Only
 * reads; blocking, for the tool only.
 */
#ifndef MILLRACE_CLI_COMMISSION_SEARCH_H
#define MILLRACE_CLI_COMMISSION_SEARCH_H

#include "agent/cli/commission/site.h"
#include "agent/cli/commission/slave.h"
#include "agent/cli/progress.h"

/* Made with mem_alloc; what is above the line is the caller's. */
struct search {
        struct site *port; /* open */
        uint8_t wanted[256 / 8];
        uint8_t registers[RANGES_REGISTERS / 8];
        size_t n_registers; /* 0: 0 to 127, then samples; else those above and no others */
        int64_t until_us;
        /* ---- */
        struct slave *slaves;
        size_t n_slaves;
        bool over, broken, for_all; /* ended before its end; the port is gone; it answers to any unit */
        struct progress progress;
};

void search_run(struct search *s);
void search_free(struct search *s);

#endif
