/*
 * import: `tags import`, a tag list as integrators have them (CSV) as profiles
 * and devices.
 *
 * Each line becomes a register, each device or unit id a profile and a device.
 * What comes of it is held against the very tables that `check` uses before it
 * is printed: a register that they refuse is left out and told with its line,
 * so that what is printed is accepted.
 *
 * Bounds: a file of 16 MiB, 50,000 tags, 500 devices; of what could not be used
 * the first 20 lines are told, and how many more there are.  Exit status 1 when
 * nothing could be used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/cli/commission/part.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/commission/tag_row.h"
#include "agent/config/config.h"

enum { TAGS_MAX = 50000, DEVICES_MAX = 500, TOLD_MAX = 20, ROUNDS_MAX = 5 };

struct entry {
        struct tag_row row; /* its texts lie in the file's */
        size_t device;
        int line, yaml_line; /* in the file, in what is printed */
        bool refused;
};

struct device {
        const char *name; /* in the file; "" */
        int slave;
        char source[PART_NAME_ROOM];
};

struct import {
        struct cli *c;
        const char *path;
        char *text;
        struct site port;
        struct entry *tags;
        struct device *devices;
        size_t n_tags, n_devices, n_refused, n_guessed;
};

static void refuse(struct import *m, int line, const char *why)
{
        if (m->n_refused++ < TOLD_MAX)
                fprintf(stderr, "%s:%d: not used: %s\n", m->path, line, why);
}

/* ---- in ---- */

static int read_file(struct import *m, size_t *len)
{
        FILE *f = fopen(m->path, "re");
        char *raw;
        struct stat st;

        if (!f || fstat(fileno(f), &st) < 0 || S_ISDIR(st.st_mode)) {
                int error = f && errno == 0 ? EISDIR : errno;

                if (f)
                        fclose(f);
                return cli_fail(CLI_AWAY, "%s: %s", m->path, strerror(error ? error : EISDIR));
        }
        raw = mem_alloc(CSV_FILE_MAX + 1);
        *len = fread(raw, 1, CSV_FILE_MAX + 1, f);
        fclose(f);
        if (*len <= CSV_FILE_MAX)
                m->text = csv_utf8(raw, len);
        free(raw);
        return m->text ? CLI_OK : cli_fail(CLI_NO, "%s is longer than 16 MiB", m->path);
}

static size_t device_of(struct import *m, const struct tag_row *r)
{
        for (size_t k = 0; k < m->n_devices; k++) {
                size_t i = m->n_devices - 1 - k; /* lists go device by device */

                if (m->devices[i].slave == r->slave && strcmp(m->devices[i].name, r->device) == 0)
                        return i;
        }
        if (m->n_devices == DEVICES_MAX)
                return DEVICES_MAX;
        m->devices = mem_grow(m->devices, m->n_devices + 1, sizeof(*m->devices));
        m->devices[m->n_devices] = (struct device){.name = r->device, .slave = r->slave};
        return m->n_devices++;
}

static void take_line(struct import *m, const struct tag_columns *columns, const struct csv *line)
{
        struct entry tag = {.line = line->line};
        struct err e;

        if (tag_row_read(&tag.row, columns, line, &e) < 0) {
                refuse(m, line->line, e.text);
                return;
        }
        tag.device = device_of(m, &tag.row);
        if (tag.device == DEVICES_MAX || m->n_tags == TAGS_MAX) {
                refuse(m, line->line, "more than 50,000 tags or 500 devices; divide the file");
                return;
        }
        m->n_guessed += tag.row.guessed_table;
        m->tags = mem_grow(m->tags, m->n_tags + 1, sizeof(*m->tags));
        m->tags[m->n_tags++] = tag;
}

static int read_tags(struct import *m)
{
        struct tag_columns columns;
        struct csv csv;
        size_t len, n_known;
        int r = read_file(m, &len);

        if (r)
                return r;
        csv_init(&csv, m->text, len);
        if (!csv_next(&csv))
                return cli_fail(CLI_NO, "%s is empty", m->path);
        tag_columns_find(&columns, &csv, &n_known);
        if (columns.at[TAG_ADDRESS] < 0)
                return cli_fail(CLI_NO,
                                "%s:%d: no column for addresses; the first line is to name the columns, as "
                                "name,address,type,unit,scale",
                                m->path, csv.line);
        for (size_t i = 0; i < csv.n; i++)
                if (!tag_column_used(&columns, i) && csv.field[i][0])
                        fprintf(stderr, "%s:%d: column not used: %.60s\n", m->path, csv.line, csv.field[i]);
        while (csv_next(&csv))
                take_line(m, &columns, &csv);
        return CLI_OK;
}

/* ---- out ---- */

static void put_number(FILE *f, const char *key, double v, double usual)
{
        char text[TEXT_DOUBLE_MAX];

        if (v != usual)
                fprintf(f, ", %s: %.*s", key, (int)text_put_double(text, v), text);
}

static void print_tag(FILE *f, struct entry *t, struct part_names *names, unsigned long *n_lines)
{
        static const char *const tables[] = {"coil", "discrete", "holding", "input"};
        const struct tag_row *r = &t->row;
        char name[PART_NAME_ROOM], other[32];
        bool changed;

        snprintf(other, sizeof(other), "%s-%u", tables[r->table], r->address);
        changed = part_name(name, r->name, strlen(r->name), other) && r->name[0];
        changed |= part_names_add(names, name);
        fprintf(f, "      - {tag: ");
        part_text(f, name, strlen(name));
        fprintf(f, ", at: \"%s:%u\", type: %s", tables[r->table], r->address, r->type);
        if (strcmp(r->type, "bit") == 0)
                fprintf(f, ", bit: %d", r->bit);
        if (r->length >= 0)
                fprintf(f, ", length: %d", r->length);
        put_number(f, "scale", r->scale, 1);
        put_number(f, "offset", r->offset, 0);
        if (r->unit[0]) {
                fprintf(f, ", unit: ");
                part_text(f, r->unit, strlen(r->unit));
        }
        if (r->order)
                fprintf(f, ", word_order: %s", r->order);
        if (r->period_ms)
                fprintf(f, ", period: %ldms", r->period_ms);
        fputc('}', f);
        if (changed && r->name[0]) {
                fprintf(f, " # line %d: ", t->line);
                part_text(f, r->name, strlen(r->name));
        }
        fputc('\n', f);
        t->yaml_line = (int)++*n_lines;
}

static size_t count(const struct import *m, size_t device)
{
        size_t n = 0;

        for (size_t i = 0; i < m->n_tags; i++)
                n += m->tags[i].device == device && !m->tags[i].refused;
        return n;
}

static void name_devices(struct import *m)
{
        struct part_names sources = {0};
        char other[32];

        for (size_t d = 0; d < m->n_devices; d++) {
                struct device *v = &m->devices[d];

                snprintf(other, sizeof(other), "unit-%d", v->slave);
                if (!v->name[0] && m->n_devices == 1 && m->c->name)
                        part_name(v->source, m->c->name, strlen(m->c->name), other);
                else
                        part_name(v->source, v->name, strlen(v->name), other);
                part_names_add(&sources, v->source);
        }
        part_names_fini(&sources);
}

static void put_quoted(FILE *f, const char *before, const char *s)
{
        fputs(before, f);
        part_text(f, s, strlen(s));
}

static unsigned long count_lines(const char *s)
{
        unsigned long n = 0;

        for (; *s; s++)
                n += *s == '\n';
        return n;
}

/* `head` and what is printed here, as one text; the caller's. */
static char *make(struct import *m, const char *head, size_t *len)
{
        unsigned long n_lines;
        const char *bus;
        char *text;
        FILE *f = open_memstream(&text, len);

        BUG_ON(!f);
        fputs(head, f);
        bus = part_bus(f, &m->port);
        fprintf(f, "profiles:\n");
        fflush(f);
        n_lines = count_lines(text);
        for (size_t d = 0; d < m->n_devices; d++) {
                struct part_names names = {0};

                if (!count(m, d))
                        continue;
                put_quoted(f, "  - name: ", m->devices[d].source);
                fprintf(f, "\n    registers:\n");
                n_lines += 2;
                for (size_t i = 0; i < m->n_tags; i++)
                        if (m->tags[i].device == d && !m->tags[i].refused)
                                print_tag(f, &m->tags[i], &names, &n_lines);
                part_names_fini(&names);
        }
        fprintf(f, "devices:\n");
        for (size_t d = 0; d < m->n_devices; d++) {
                if (!count(m, d))
                        continue;
                put_quoted(f, "  - {source: ", m->devices[d].source);
                put_quoted(f, ", bus: ", bus);
                fprintf(f, ", unit: %d", m->devices[d].slave);
                put_quoted(f, ", profile: ", m->devices[d].source);
                fprintf(f, "}\n");
        }
        fclose(f);
        return text;
}

/*
 * Leaves out what the configuration's tables refuse. How many that were; -1:
 * they refuse something else.
 */
static int sift(struct import *m)
{
        static const char head[] = "gateway: g\nkafka: {brokers: [\"127.0.0.1:9092\"]}\n";
        struct faults faults = {0};
        struct config *conf = NULL;
        size_t len;
        char *text, bus[400] = "";
        int n = 0;

        if (m->port.item)
                snprintf(bus, sizeof(bus), "modbus: [{name: \"%s\", port: \"tcp://127.0.0.1:502\"}]\n", m->port.item);
        snprintf(bus + strlen(bus), sizeof(bus) - strlen(bus), "%s", head);
        text = make(m, bus, &len);
        if (config_load_text("part", text, len, &conf, &faults) == 0) {
                config_free(conf);
        } else {
                for (size_t i = 0; i < m->n_tags; i++) {
                        struct entry *t = &m->tags[i];

                        for (size_t k = 0; k < faults.n && !t->refused; k++) {
                                if (faults.items[k].at.line != t->yaml_line)
                                        continue;
                                refuse(m, t->line, faults.items[k].text);
                                t->refused = true;
                                n++;
                        }
                }
                if (!n)
                        faults_print(&faults, stderr);
                n = n ? n : -1;
        }
        faults_fini(&faults);
        free(text);
        return n;
}

static int print(struct import *m)
{
        FILE *f = m->c->out.f;
        size_t len, n = 0;
        char what[300], *text;
        int r = m->n_tags ? 1 : 0;

        for (int i = 0; i < ROUNDS_MAX && r > 0; i++)
                r = sift(m);
        for (size_t i = 0; i < m->n_tags; i++)
                n += !m->tags[i].refused;
        if (m->n_refused > TOLD_MAX)
                fprintf(stderr, "%s: %zu more lines not used\n", m->path, m->n_refused - TOLD_MAX);
        if (r || !n)
                return cli_fail(CLI_NO, "%s: no line could be used", m->path);
        snprintf(what, sizeof(what), "%.200s: %zu tags of %zu devices, %zu lines not used", m->path, n, m->n_devices,
                 m->n_refused);
        part_head(f, what);
        if (m->n_guessed)
                fprintf(f,
                        "# %zu addresses name no table: they are taken as holding registers, counted from 0. `millrace "
                        "modbus read` shows.\n",
                        m->n_guessed);
        if (!m->c->bus)
                fprintf(f, "# The port is made up; --bus names the right one.\n");
        text = make(m, "", &len);
        fwrite(text, 1, len, f);
        free(text);
        return CLI_OK;
}

static int find_bus(struct import *m)
{
        const char *bus = m->c->bus ? m->c->bus : "/dev/ttyUSB0";
        struct err e;

        if (bus[0] != '/' && !strstr(bus, "://")) {
                if (!text_is_name(bus, strlen(bus)))
                        return cli_fail(CLI_USAGE, "--bus %s: the name of a modbus item, or a port", bus);
                m->port.item = bus;
                return CLI_OK;
        }
        return site_parse(&m->port, bus, &e) < 0 ? cli_fail(CLI_USAGE, "%s", e.text) : CLI_OK;
}

int cmd_tags_import(struct cli *c)
{
        struct import m = {.c = c, .path = c->args[0], .port = {.fd = -1}};
        int r = find_bus(&m);

        if (!r)
                r = read_tags(&m);
        if (!r) {
                name_devices(&m);
                r = print(&m);
        }
        free(m.tags);
        free(m.devices);
        free(m.text);
        return r;
}
