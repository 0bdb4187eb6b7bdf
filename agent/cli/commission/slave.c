/*
 * slave: see slave.h.
 *
 * What is proposed is what can be known without a manual: which registers are
 * there.  Type, scale and name are the person's: each register is an uint16
 * named after its place, and `modbus read --as all` shows what else it may be.
 * A profile is cut at 250 registers, the ranges in the comment are not.
 *
 * Fails: never.
 */
#include "agent/cli/commission/slave.h"

#include <jansson.h>
#include <string.h>

#include "agent/cli/commission/site.h"

static const char *const tables[] = {"coil", "discrete", "holding", "input"};

static void copy_object(char *out, size_t cap, const uint8_t *text, size_t len)
{
        char raw[256];

        for (size_t i = 0; i < len; i++)
                raw[i] = (char)(text[i] < ' ' || text[i] >= 0x7f ? '?' : text[i]);
        raw[len] = '\0';
        text_copy(out, cap, raw);
}

void slave_identify(struct slave *s, const uint8_t *pdu, size_t len)
{
        size_t at = 7;

        for (unsigned i = 0; len >= 7 && i < pdu[6] && at + 2 <= len && at + 2 + pdu[at + 1] <= len; i++) {
                const uint8_t *text = pdu + at + 2;

                if (pdu[at] == 0)
                        copy_object(s->vendor, sizeof(s->vendor), text, pdu[at + 1]);
                else if (pdu[at] == 1)
                        copy_object(s->product, sizeof(s->product), text, pdu[at + 1]);
                else if (pdu[at] == 2)
                        copy_object(s->revision, sizeof(s->revision), text, pdu[at + 1]);
                at += 2u + pdu[at + 1];
        }
}

static const char *state_text(const struct ranges *r)
{
        switch (r->state) {
        case RANGES_UNKNOWN_FUNCTION:
                return "not known to it";
        case RANGES_GAVE_UP:
                return "no answer, given up";
        case RANGES_SEARCHING:
                return "not searched to the end";
        case RANGES_DONE:
                break;
        }
        return "no register found";
}

static void print_table(FILE *f, const struct slave *s, unsigned table)
{
        const struct ranges *r = s->tables[table];
        unsigned at = 0, n, k = 0;

        if (!r)
                return;
        fprintf(f, "  # unit %u, function %u (%s): ", s->unit, table + 1, tables[table]);
        for (; ranges_run(r, &at, &n); at += n) {
                fprintf(f, k == 0 ? "" : k % 12 ? ", " : ",\n  #     ");
                fprintf(f, n > 1 ? "%u-%u" : "%u", at, at + n - 1);
                k++;
        }
        if (r->state != RANGES_DONE || !k)
                fprintf(f, "%s%s", k ? "; " : "", state_text(r));
        fputc('\n', f);
}

static size_t print_registers(FILE *f, const struct slave *s, unsigned table, size_t room)
{
        const char *type = table <= MODBUS_DISCRETE ? "bool" : "uint16";
        unsigned at = 0, n;
        size_t k = 0;

        for (; s->tables[table] && ranges_run(s->tables[table], &at, &n); at += n)
                for (unsigned i = 0; i < n && k < room; i++, k++)
                        fprintf(f, "      - {tag: %s-%u, at: \"%s:%u\", type: %s}\n", tables[table], at + i,
                                tables[table], at + i, type);
        return k;
}

/* What can be proposed: nothing for one that the configuration has already. */
static size_t count(const struct site *port, const struct slave *s)
{
        size_t n = 0;

        for (int k = 0; k < 4; k++)
                n += s->tables[k] ? s->tables[k]->n_there : 0;
        return site_source(port, s->unit) ? 0 : n;
}

static void put_name(FILE *f, const struct site *port, const struct slave *s)
{
        fprintf(f, "%s%sunit-%u", port->item ? port->item : "", port->item ? "-" : "", s->unit);
}

static void print_profile(FILE *f, const struct site *port, const struct slave *s)
{
        static const unsigned order[] = {MODBUS_HOLDING, MODBUS_INPUT, MODBUS_COIL, MODBUS_DISCRETE};
        size_t n = 0;

        if (s->vendor[0] || s->product[0])
                fprintf(f, "  # unit %u says it is: %s %s %s\n", s->unit, s->vendor, s->product, s->revision);
        for (unsigned i = 0; i < 4; i++)
                print_table(f, s, order[i]);
        if (site_source(port, s->unit))
                fprintf(f, "  # unit %u is %s of the configuration\n", s->unit, site_source(port, s->unit));
        if (!count(port, s))
                return;
        fprintf(f, "  - name: ");
        put_name(f, port, s);
        fputc('\n', f);
        if (s->period_us)
                fprintf(f, "    period: %lldms\n", (long long)(s->period_us / 1000));
        fprintf(f, "    registers:\n");
        for (unsigned i = 0; i < 4; i++)
                n += print_registers(f, s, order[i], SLAVE_REGISTERS_MAX - n);
        if (count(port, s) > n)
                fprintf(f, "      # %zu more are there\n", count(port, s) - n);
}

static void print_device(FILE *f, const struct site *port, const struct slave *s, const char *bus)
{
        fprintf(f, "  - {source: ");
        put_name(f, port, s);
        fprintf(f, ", bus: %s, unit: %u, profile: ", bus, s->unit);
        put_name(f, port, s);
        fprintf(f, "}\n");
}

void slaves_print(FILE *f, const struct site *port, const struct slave *slaves, size_t n)
{
        const char *bus = part_bus(f, port);
        size_t n_mapped = 0;

        for (size_t i = 0; i < n; i++)
                n_mapped += count(port, &slaves[i]) != 0;
        fprintf(f, n_mapped ? "profiles:\n" : "# no register was found, so there is nothing to propose:\n");
        for (size_t i = 0; i < n; i++)
                print_profile(f, port, &slaves[i]);
        fprintf(f, n_mapped ? "devices:\n" : "");
        for (size_t i = 0; i < n; i++)
                if (count(port, &slaves[i]))
                        print_device(f, port, &slaves[i], bus);
}

void slave_json(FILE *f, const struct slave *s)
{
        static const char *const states[] = {"unfinished", "done", "unknown_function", "no_answer"};
        json_t *o = json_pack("{s:i, s:s, s:s, s:s}", "unit", s->unit, "vendor", s->vendor, "product", s->product,
                              "revision", s->revision);

        for (unsigned t = 0; t < 4; t++) {
                json_t *list = json_array();
                unsigned at = 0, n;

                if (!s->tables[t]) {
                        json_decref(list);
                        continue;
                }
                for (; ranges_run(s->tables[t], &at, &n); at += n)
                        json_array_append_new(list, json_pack("[i, i]", (int)at, (int)(at + n - 1)));
                json_object_set_new(o, tables[t],
                                    json_pack("{s:s, s:o}", "state", states[s->tables[t]->state], "ranges", list));
        }
        if (s->period_us)
                json_object_set_new(o, "period_ms", json_integer(s->period_us / 1000));
        json_dumpf(o, f, JSON_COMPACT);
        fputc('\n', f);
        json_decref(o);
}
