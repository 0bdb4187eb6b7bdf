/*
 * Every register map in packaging/profiles against bytes of its document, a capture, or another program's: the files
 * tests/profiles/NAME.txt, as packaging/profiles/README.md describes them.  What is loaded, planned and decoded is
 * what the daemon loads, plans and decodes.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/config/config.h"
#include "drivers/modbus/modbus.h"
#include "drivers/modbus/plan.h"

enum { TAGS_MAX = 2000 };

struct device {
        uint8_t registers[N_MODBUS_TABLES][2 * 65536]; /* a coil is one register here */
        struct config *conf;
        const struct modbus_conf *bus;
        struct modbus_plan *plan;
        char values[TAGS_MAX][300]; /* by point: as they are written in the file */
        bool tried[TAGS_MAX];
        int n_faults, n_values;
        const char *file;
        int line;
};

static void fault(struct device *d, const char *what, const char *more)
{
        d->n_faults++;
        fprintf(stderr, "%s:%d: %s%s\n", d->file, d->line, what, more);
}

/* ---- the profile ---- */

static int load(struct device *d, const char *folder, const char *name)
{
        struct faults faults = {0};
        char path[] = "/tmp/millrace-profile-XXXXXX";
        int fd = mkstemp(path), rc;
        FILE *out = fdopen(fd, "w");

        fprintf(out,
                "gateway: g\nspool: {path: /tmp/s.db}\nkafka: {brokers: [\"k:9092\"]}\nprofiles_dir: %s\n"
                "modbus: [{name: b, port: /dev/ttyS0}]\ndevices: [{source: s, bus: b, profile: %s}]\n",
                folder, name);
        fclose(out);
        rc = config_load(path, &d->conf, &faults);
        remove(path);
        if (rc < 0) {
                faults_print(&faults, stderr);
                return -1;
        }
        for (size_t i = 0; i < d->conf->n_drivers; i++) {
                if (d->conf->drivers[i].ops == &modbus_ops)
                        d->bus = d->conf->drivers[i].conf;
        }
        d->plan = modbus_plan_new(d->bus);
        faults_fini(&faults);
        return d->plan->n_points <= TAGS_MAX ? 0 : -1;
}

/* ---- what comes out ---- */

static void put_value(char *out, size_t cap, const struct reading *r, const char *unit)
{
        const char *behind = unit ? unit : "", *gap = unit ? " " : "", *sure = r->quality == QUALITY_GOOD ? "" : " ?";
        char number[40];

        snprintf(number, sizeof(number), "%.10g", r->v.f64);
        if (r->type == READING_I64)
                snprintf(number, sizeof(number), "%lld", (long long)r->v.i64);
        if (quality_is_bad(r->quality))
                snprintf(out, cap, ": %s", quality_reason(r->quality) ? quality_reason(r->quality) : "bad");
        else if (r->type == READING_BOOL)
                snprintf(out, cap, " = %s%s", r->v.b ? "true" : "false", sure);
        else if (r->type == READING_TEXT)
                snprintf(out, cap, " = \"%.*s\"%s", (int)r->len, r->v.text, sure);
        else
                snprintf(out, cap, " = %s%s%s%s", number, gap, behind, sure);
}

static void decode_read(struct device *d, const struct modbus_read *r)
{
        static char text[4 * MODBUS_REGISTERS_MAX];
        uint8_t data[2 * MODBUS_BITS_MAX] = {0};
        unsigned table = d->plan->points[r->first].table;
        const uint8_t *from = d->registers[table] + 2 * r->address;

        for (unsigned i = 0; i < r->count; i++) {
                if (r->function <= 2)
                        data[i / 8] |= (uint8_t)((from[2 * i + 1] & 1) << i % 8);
                else
                        memcpy(data + 2 * i, from + 2 * i, 2);
        }
        for (uint32_t i = r->first; i < r->first + r->n; i++) {
                struct reading out = {0};

                modbus_point_decode(&d->plan->points[i], r, data, text, &out);
                put_value(d->values[i], sizeof(d->values[i]), &out, d->plan->points[i].conf->unit);
        }
}

static void decode(struct device *d)
{
        for (size_t i = 0; i < d->plan->n_reads; i++)
                decode_read(d, &d->plan->reads[i]);
}

/* ---- the file ---- */

/* "input:0x0000  43 66 33 34" */
static bool take_bytes(struct device *d, const char *line)
{
        char where[64];
        enum modbus_table table;
        unsigned address, byte;
        size_t len = strcspn(line, " \t");
        struct err e;
        int n;

        snprintf(where, sizeof(where), "%.*s", (int)len, line);
        if (modbus_where_parse(where, &table, &address, &e) < 0)
                return false;
        line += len;
        for (size_t at = 2 * address; sscanf(line, " %2x%n", &byte, &n) == 1; line += n) {
                if (at >= sizeof(d->registers[table]))
                        return false;
                d->registers[table][at++] = (uint8_t)byte;
        }
        return line[strspn(line, " \t")] == '\0';
}

static size_t point_of(const struct device *d, const char *tag, size_t len)
{
        size_t i = 0;

        while (i < d->plan->n_points &&
               (strlen(d->plan->points[i].conf->tag) != len || strncmp(d->plan->points[i].conf->tag, tag, len) != 0))
                i++;
        return i;
}

/* "voltage-l1 = 230.2 V", "spare: sensor" */
static void take_value(struct device *d, const char *line)
{
        size_t len = strcspn(line, " :="), i = point_of(d, line, len);

        if (i == d->plan->n_points) {
                fault(d, "no such register or tag: ", line);
                return;
        }
        decode(d);
        d->n_values++;
        d->tried[i] = true;
        if (strcmp(d->values[i], line + len) != 0)
                fault(d, "comes out as", d->values[i]);
}

static void take_line(struct device *d, char *line)
{
        size_t len = strcspn(line, "\r\n");

        while (len > 0 && isspace((unsigned char)line[len - 1]))
                len--;
        line[len] = '\0';
        if (len == 0 || line[0] == '#' || take_bytes(d, line))
                return;
        take_value(d, line);
}

static int try_profile(const char *folder, const char *name)
{
        static struct device d;
        char path[600], line[2000];
        size_t n_tried = 0;
        FILE *in;

        memset(&d, 0, sizeof(d));
        snprintf(path, sizeof(path), "%s/tests/profiles/%s.txt", TEST_ROOT, name);
        d.file = path;
        if (load(&d, folder, name) < 0)
                return 1;
        in = fopen(path, "r");
        if (!in)
                fault(&d, "is missing: no bytes to try this profile with", "");
        while (in && fgets(line, sizeof(line), in)) {
                d.line++;
                take_line(&d, line);
        }
        if (in)
                fclose(in);
        for (size_t i = 0; i < d.plan->n_points; i++)
                n_tried += d.tried[i];
        printf("%s: %zu of %zu tags tried, %d values, %d wrong\n", name, n_tried, d.plan->n_points, d.n_values,
               d.n_faults);
        modbus_plan_free(d.plan);
        config_free(d.conf);
        return d.n_faults > 0 || n_tried == 0;
}

int main(void)
{
        const char *folder = TEST_ROOT "/packaging/profiles";
        DIR *dir = opendir(folder);
        struct dirent *e;
        int n = 0, failed = 0;

        while (dir && (e = readdir(dir))) {
                size_t len = strlen(e->d_name);
                char name[256];

                if (len <= 5 || strcmp(e->d_name + len - 5, ".yaml") != 0)
                        continue;
                snprintf(name, sizeof(name), "%.*s", (int)len - 5, e->d_name);
                n++;
                failed += try_profile(folder, name);
        }
        if (dir)
                closedir(dir);
        printf("%d profiles, %d wrong\n", n, failed);
        return n == 0 || failed > 0;
}
