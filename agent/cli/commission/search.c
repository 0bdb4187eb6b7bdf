/*
 * search: see search.h.
 *
 * First one question to each unit (register 0 with function 3; those that are
 * silent are asked once more with function 4, as some answer only what they
 * know); any answer, also an exception, is somebody.  Then each of them is
 * asked for its name (43/14) and searched by ranges.c with the functions 1 to
 * 4.  Nothing is written, and no other function is used.
 *
 * On TCP a device without a bus behind it often answers for every unit id: when
 * more than 32 do, only the first is searched.
 */
#include "agent/cli/commission/search.h"

#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/cli/commission/ranges.h"
#include "agent/cli/stop.h"

enum { UNITS = 256, ANSWERS_FOR_ALL = 32, BUSY_TRIES = 3 };

static bool go_on(struct search *s)
{
        if (stop_asked() || mono_us() >= s->until_us)
                s->over = true;
        return !s->over && !s->broken;
}

/* Busy is asked again, a gateway's "did not answer" is silence. */
static enum site_answer ask(struct search *s, unsigned unit, unsigned function, unsigned at, unsigned n,
                            struct site_reply *reply)
{
        enum site_answer a = SITE_SILENT;

        for (int i = 0; i < BUSY_TRIES; i++) {
                a = site_read(s->port, unit, function, at, n, reply);
                if (a != SITE_EXCEPTION || (reply->exception != 5 && reply->exception != 6))
                        break;
        }
        s->broken |= a == SITE_BROKEN;
        return a == SITE_EXCEPTION && (reply->exception == 10 || reply->exception == 11) ? SITE_SILENT : a;
}

static void find_units(struct search *s, unsigned function, bool found[UNITS])
{
        struct site_reply reply;

        for (unsigned u = 0; u < UNITS && go_on(s); u++) {
                enum site_answer a;

                if (!ranges_bit(s->wanted, u) || found[u])
                        continue;
                a = ask(s, u, function, 0, 1, &reply);
                found[u] = a == SITE_DATA || a == SITE_EXCEPTION;
                s->n_slaves += found[u];
                if (s->port->wire == SITE_TCP && s->n_slaves > ANSWERS_FOR_ALL) {
                        s->for_all = true;
                        return;
                }
                progress_show(&s->progress, 0.3 * u / UNITS);
        }
}

static void search_table(struct search *s, struct slave *slave, unsigned function)
{
        struct ranges *r = slave->tables[function - 1];
        struct site_reply reply;
        unsigned at, n;

        while (go_on(s) && ranges_next(r, &at, &n)) {
                switch (ask(s, slave->unit, function, at, n, &reply)) {
                case SITE_DATA:
                        ranges_told(r, RANGES_THERE);
                        break;
                case SITE_EXCEPTION:
                        ranges_told(r, reply.exception == 1 ? RANGES_NO_FUNCTION : RANGES_REFUSED);
                        break;
                default:
                        ranges_told(r, RANGES_SILENT);
                }
        }
}

static void want_registers(const struct search *s, struct ranges *r)
{
        ranges_init(r);
        if (!s->n_registers) {
                ranges_want(r, 0, 2 * RANGES_BLOCK - 1, false);
                return;
        }
        for (unsigned i = 0; i < RANGES_REGISTERS; i++)
                if (ranges_bit(s->registers, i))
                        ranges_want(r, i, i, true);
}

static void search_slaves(struct search *s)
{
        static const unsigned order[] = {3, 4, 1, 2};
        struct site_reply reply;

        for (size_t i = 0; i < s->n_slaves && go_on(s); i++) {
                struct slave *slave = &s->slaves[i];

                if (site_identify(s->port, slave->unit, &reply) == SITE_DATA)
                        slave_identify(slave, reply.pdu, reply.len);
                for (size_t k = 0; k < 4; k++) {
                        struct ranges *r = mem_alloc(sizeof(*r));

                        slave->tables[order[k] - 1] = r;
                        want_registers(s, r);
                        search_table(s, slave, order[k]);
                        progress_show(&s->progress,
                                      0.3 + 0.7 * ((double)i + (double)(k + 1) / 4) / (double)s->n_slaves);
                }
        }
}

void search_run(struct search *s)
{
        bool found[UNITS] = {false};

        progress_begin(&s->progress, false);
        find_units(s, 3, found);
        if (!s->for_all)
                find_units(s, 4, found);
        s->slaves = mem_alloc((s->n_slaves + 1) * sizeof(*s->slaves));
        s->n_slaves = 0;
        for (unsigned u = 0; u < UNITS && !(s->for_all && s->n_slaves); u++)
                if (found[u])
                        s->slaves[s->n_slaves++].unit = (uint8_t)u;
        search_slaves(s);
        progress_end(&s->progress);
}

void search_free(struct search *s)
{
        for (size_t i = 0; s->slaves && i < s->n_slaves; i++)
                for (int k = 0; k < 4; k++)
                        free(s->slaves[i].tables[k]);
        free(s->slaves);
        free(s);
}
