/*
 * scan: `modbus scan`, who is on a bus and which registers answer (search.c).
 *
 * Bounds: --for (10 minutes); what was found until then, or until ^C, is
 * printed.  Fails when the port goes away: 69.
 */
#include "agent/cli/commission/search.h"

#include "agent/base/text.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/ranges.h"

struct scan {
        struct cli *c;
        struct site site;
        struct search *search;
        size_t n_units;
};

static void print(const struct scan *s, const char *bus)
{
        const struct search *found = s->search;
        FILE *f = s->c->out.f;
        char what[256];

        if (s->c->out.json) {
                for (size_t i = 0; i < found->n_slaves; i++)
                        slave_json(f, &found->slaves[i]);
                return;
        }
        snprintf(what, sizeof(what), "%.150s: %zu of %zu unit ids answer%s", bus, found->n_slaves, s->n_units,
                 found->over ? ", but the search was not finished" : "");
        part_head(f, what);
        if (found->for_all)
                fprintf(f, "# It answers whatever the unit id: only the first was searched.\n");
        if (found->n_slaves)
                slaves_print(f, &s->site, found->slaves, found->n_slaves);
}

static int read_lists(struct scan *s)
{
        const char *units = s->c->units ? s->c->units : "1-247", *registers = s->c->registers;

        if (!ranges_list(units, 255, s->search->wanted))
                return cli_fail(CLI_USAGE, "--units %s: numbers from 0 to 255 are needed, as 1-247 or 1,3,10-20",
                                units);
        if (registers && !ranges_list(registers, RANGES_REGISTERS - 1, s->search->registers))
                return cli_fail(CLI_USAGE, "--registers %s: numbers from 0 to 65535 are needed, as 0-199", registers);
        for (unsigned u = 0; u < 256; u++)
                s->n_units += ranges_bit(s->search->wanted, u);
        for (unsigned i = 0; registers && i < RANGES_REGISTERS; i++)
                s->search->n_registers += ranges_bit(s->search->registers, i);
        return CLI_OK;
}

static int run(struct scan *s, int64_t span_us)
{
        struct search *search = s->search;
        int r = CLI_OK;

        search->port = &s->site;
        search->until_us = mono_us() + span_us;
        search_run(search);
        print(s, s->c->args[0]);
        if (search->broken)
                r = cli_fail(CLI_AWAY, "%s is gone", s->site.text);
        else if (!search->n_slaves)
                r = cli_fail(CLI_NO, "nobody answers on %s%s", s->site.text,
                             s->site.wire == SITE_RTU ? "; are baud, parity and the two wires right?" : "");
        site_close(&s->site);
        return r;
}

int cmd_modbus_scan(struct cli *c)
{
        struct scan s = {.c = c};
        int64_t span_us = 600 * INT64_C(1000000);
        int r;

        if (c->span && (!text_duration(c->span, &span_us) || span_us <= 0))
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 30s or 10m", c->span);
        s.search = mem_alloc(sizeof(*s.search));
        r = read_lists(&s);
        if (!r)
                r = site_open(&s.site, c, c->args[0]);
        if (!r)
                r = run(&s, span_us);
        search_free(s.search);
        return r;
}
