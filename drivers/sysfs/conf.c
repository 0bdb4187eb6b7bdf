/*
 * conf: what one `sysfs:` item may hold.
 *
 * Files are named from the root on and never lead out of it: what a number is
 * looked for in ends in the quarantine when it is none, and a secret must not.
 * Whether a file is there is not asked here: a sensor may be plugged in later,
 * and a configuration may be checked on another machine.
 */
#include <string.h>

#include "drivers/sysfs/sysfs.h"

#define SECOND 1e6
#define DAY    86400e6

static const char *const formats[] = {"auto", "number", "w1", NULL};

bool sysfs_is_pattern(const char *file)
{
        return strpbrk(file, "*?[\\") != NULL;
}

static bool is_below(const char *file)
{
        for (const char *p = file; *p; p++) {
                size_t len = strcspn(p, "/");

                if (len == 0 || (len == 1 && *p == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                p += len;
                if (!*p)
                        return true;
        }
        return false; /* empty, or nothing behind the last slash */
}

static int check_reading(void *obj, const char **key, struct err *e)
{
        const struct sysfs_reading_conf *r = obj;

        *key = "file";
        if (r->file && (!is_below(r->file) || strlen(r->file) > SYSFS_PATH_MAX / 2))
                return err_set(e, "\"%.80s\" is not below the root; allowed: class/hwmon/hwmon*/temp1_input, without .",
                               r->file);
        *key = "device";
        if (r->device && (!*r->device || strlen(r->device) > SYSFS_DEVICE_MAX))
                return err_set(e, "allowed: 1 to %d characters, as the file name or type beside it has them",
                               SYSFS_DEVICE_MAX);
        return convert_check(&r->convert, r->unit, key, e);
}

static int check_item(void *obj, const char **key, struct err *e)
{
        const struct sysfs_conf *c = obj;

        *key = "root";
        if (c->root && (sysfs_is_pattern(c->root) || strlen(c->root) > SYSFS_PATH_MAX / 2))
                return err_set(e, "a folder is needed; patterns are for file");
        *key = "readings";
        if (c->readings.n == 0 || c->readings.n > SYSFS_READINGS_MAX)
                return err_set(e, "%zu readings; allowed: 1 to %d", c->readings.n, SYSFS_READINGS_MAX);
        *key = NULL;
        return 0;
}

#define AT(member) offsetof(struct sysfs_reading_conf, member)
static const struct schema_key reading_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(tag), .help = "Name of the tag."},
        {"file", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(file),
         .help = "The file below the root, as class/thermal/thermal_zone0/temp. A pattern (* ? [ ]) must fit exactly "
                 "one "
                 "file."},
        {"device", SCHEMA_TEXT, SCHEMA_SCALAR, AT(device),
         .help = "Of the files that fit, the one in whose folder `name` or `type` holds just this, as coretemp."},
        {"format", SCHEMA_CHOICE, 0, AT(format), .choices = formats, .def = "auto",
         .help = "A number, or w1: a 1-Wire thermometer; auto: w1 where the file is called w1_slave."},
        CONVERT_TYPE_KEY(struct sysfs_reading_conf, convert, "auto"),
        CONVERT_DECIMAL_KEY(struct sysfs_reading_conf, convert),
        CONVERT_KEYS(struct sysfs_reading_conf, convert),
        {"unit", SCHEMA_TEXT, 0, AT(unit), .help = "Unit, as it is to be recorded."},
        {NULL},
};
#undef AT

static const struct schema reading_schema = {
        .name = "sysfs reading",
        .help = "One file of the kernel.",
        .keys = reading_keys,
        .size = sizeof(struct sysfs_reading_conf),
        .has_at = true,
        .check = check_reading,
};

#define AT(member) offsetof(struct sysfs_conf, member)
static const struct schema_key item_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name),
         .help = "Name of these sensors in status, logs and metrics."},
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED, AT(source), .help = "Source of the readings."},
        {"root", SCHEMA_PATH, 0, AT(root), .def = "/sys", .help = "The folder the files are named from."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), SECOND / 10, DAY, .def = "10s",
         .help = "How often every file is read. A 1-Wire thermometer takes 0.75 s."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), SECOND / 10, 600 * SECOND, .def = "5s",
         .help = "A file that the kernel gives no answer for so long is bad with comm_failure."},
        {"readings", SCHEMA_LIST, SCHEMA_REQUIRED, AT(readings), .sub = &reading_schema, .help = "The files to read."},
        {NULL},
};
#undef AT

const struct schema sysfs_schema = {
        .name = "sysfs",
        .help = "Sensors that the kernel reads: IIO, hwmon, 1-Wire, thermal zones.",
        .keys = item_keys,
        .size = sizeof(struct sysfs_conf),
        .has_at = true,
        .check = check_item,
};

void sysfs_names(const void *conf, struct driver_names *to)
{
        const struct sysfs_conf *c = conf;
        const struct sysfs_reading_conf *r = c->readings.items;

        to->period_us = c->period_us;
        for (size_t i = 0; i < c->readings.n; i++)
                to->each(to, c->source, r[i].tag, &r[i].tag);
}
