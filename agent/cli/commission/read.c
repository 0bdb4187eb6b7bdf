/*
 * read: `modbus read`, some registers of a slave in all types and word orders,
 * so that a person sees which is right; then lines of a profile for them.
 *
 * One question with function 1 to 4, and one more try when nothing comes.
 * Fails: the slave refuses or is silent: 1, with its words; 69 when the port
 * can't be opened or is gone.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/cli/commission/part.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/commission/views.h"

static const char *const tables[] = {"coil", "discrete", "holding", "input"};

/* "holding:0/10", "40001/2", "holding:7" */
static int parse_where(const char *text, struct views *v, struct err *e)
{
        const char *slash = strchr(text, '/');
        char where[32], *end = NULL;
        unsigned long n = 1;

        if (slash) {
                n = strtoul(slash + 1, &end, 10);
                if (slash[1] < '0' || slash[1] > '9' || *end || (size_t)(slash - text) >= sizeof(where))
                        return err_set(e, "%.60s: a count is needed behind /, as holding:0/10", text);
        }
        snprintf(where, sizeof(where), "%.*s", slash ? (int)(slash - text) : 31, text);
        if (modbus_where_parse(where, &v->table, &v->address, e) < 0)
                return -1;
        if (n < 1 || n > (v->table <= MODBUS_DISCRETE ? (unsigned long)MODBUS_BITS_MAX : MODBUS_REGISTERS_MAX))
                return err_set(e, "%.60s: 1 to 125 registers, or 2000 bits, can be read at once", text);
        if (v->address + n > 65536)
                return err_set(e, "%.60s reaches beyond the last register, 65535", text);
        v->count = (unsigned)n;
        return 0;
}

static void print_part(FILE *f, const struct site *p, unsigned unit, const struct views *v, int as)
{
        static const struct {
                const char *name;
                unsigned width;
        } types[] = {{"uint16", 1},  {"uint16", 1}, {"int16", 1}, {"uint32", 2}, {"int32", 2},
                     {"float32", 2}, {"uint64", 4}, {"int64", 4}, {"float64", 4}};
        bool bits = v->table <= MODBUS_DISCRETE;
        unsigned width = bits ? 1 : types[as].width;
        const char *bus;

        if (width > v->count)
                return;
        bus = part_bus(f, p);
        fprintf(f, "profiles:\n  - name: read-%u\n    word_order: ABCD\n    registers:\n", unit);
        for (unsigned i = 0; i + width <= v->count; i += width)
                fprintf(f, "      - {tag: %s-%u, at: \"%s:%u\", type: %s}\n", tables[v->table], v->address + i,
                        tables[v->table], v->address + i, bits ? "bool" : types[as].name);
        if (site_source(p, unit))
                fprintf(f, "# unit %u is %s of the configuration\n", unit, site_source(p, unit));
        else
                fprintf(f, "devices:\n  - {source: unit-%u, bus: %s, unit: %u, profile: read-%u}\n", unit, bus, unit,
                        unit);
}

static int print(struct cli *c, struct site *p, unsigned unit, struct views *v, int as)
{
        char what[256];

        if (c->out.json) {
                views_json(c->out.f, v);
                return CLI_OK;
        }
        snprintf(what, sizeof(what), "%.150s, unit %u, %s:%u/%u", c->args[0], unit, tables[v->table], v->address,
                 v->count);
        part_head(c->out.f, what);
        fprintf(c->out.f, "#\n");
        views_print(c->out.f, v, as);
        fprintf(c->out.f, "#\n");
        print_part(c->out.f, p, unit, v, as);
        return CLI_OK;
}

static int ask(struct cli *c, struct site *p, unsigned unit, struct views *v, int as)
{
        struct site_reply reply;
        enum site_answer a = SITE_SILENT;

        for (int i = 0; i < 2 && a == SITE_SILENT; i++)
                a = site_read(p, unit, (unsigned)v->table + 1, v->address, v->count, &reply);
        switch (a) {
        case SITE_DATA:
                v->data = reply.pdu + 2;
                return print(c, p, unit, v, as);
        case SITE_EXCEPTION:
                return cli_fail(CLI_NO, "unit %u refuses %s: exception %u, %s", unit, c->args[2], reply.exception,
                                modbus_exception(reply.exception));
        case SITE_SILENT:
                return cli_fail(CLI_NO, "unit %u does not answer", unit);
        case SITE_STOPPED:
                return cli_fail(CLI_NO, "interrupted");
        case SITE_BROKEN:
                break;
        }
        return cli_fail(CLI_AWAY, "%s is gone", p->text);
}

int cmd_modbus_read(struct cli *c)
{
        struct views v = {0};
        struct site port;
        struct err e;
        char *end;
        unsigned long unit = strtoul(c->args[1], &end, 10);
        int as = views_as(c->as, &e), r;

        if (c->args[1][0] < '0' || c->args[1][0] > '9' || *end || unit > 255)
                return cli_fail(CLI_USAGE, "%s is no unit id: 0 to 255", c->args[1]);
        if (as < 0 || parse_where(c->args[2], &v, &e) < 0)
                return cli_fail(CLI_USAGE, "%s", e.text);
        r = site_open(&port, c, c->args[0]);
        if (r)
                return r;
        r = ask(c, &port, (unsigned)unit, &v, as);
        site_close(&port);
        return r;
}
