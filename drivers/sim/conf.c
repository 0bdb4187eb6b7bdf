/*
 * conf: what one `sim:` item may hold.  See sim.h; the waves themselves are in
 * wave.c.
 */
#include "drivers/sim/sim.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

#define DAY 86400e6

static const char *const waves[] = {"constant", "sine", "ramp", "step", "noise", "text", "bool", NULL};

static int check_tag(void *obj, const char **key, struct err *e)
{
        const struct sim_tag_conf *t = obj;

        *key = NULL;
        if (!(t->min <= t->max)) {
                *key = "min";
                return err_set(e, "%g is above max (%g)", t->min, t->max);
        }
        if (!t->fail_every_us != !t->fail_for_us) {
                *key = t->fail_every_us ? "fail_every" : "fail_for";
                return err_set(e, "fail_every and fail_for go together");
        }
        if (t->fail_for_us && t->fail_for_us >= t->fail_every_us) {
                *key = "fail_for";
                return err_set(e, "must be shorter than fail_every");
        }
        return 0;
}

static const struct schema_key tag_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, offsetof(struct sim_tag_conf, tag),
         .help = "Name of the tag."},
        {"wave", SCHEMA_CHOICE, 0, offsetof(struct sim_tag_conf, wave), .choices = waves, .def = "sine",
         .help = "Shape of the value over time."},
        {"min", SCHEMA_FLOAT, 0, offsetof(struct sim_tag_conf, min), -1e15, 1e15, .def = "0",
         .help = "Lowest value; the value of a constant."},
        {"max", SCHEMA_FLOAT, 0, offsetof(struct sim_tag_conf, max), -1e15, 1e15, .def = "100",
         .help = "Highest value."},
        {"cycle", SCHEMA_DURATION, 0, offsetof(struct sim_tag_conf, cycle_us), 1e4, 366 * DAY, .def = "1m",
         .help = "How long one wave takes; a step, text or bool changes halfway."},
        {"noise", SCHEMA_FLOAT, 0, offsetof(struct sim_tag_conf, noise), 0, 1e15, .def = "0",
         .help = "Added on top, at most this much up or down."},
        {"unit", SCHEMA_TEXT, 0, offsetof(struct sim_tag_conf, unit), .help = "Unit, as it is to be recorded."},
        {"fail_every", SCHEMA_DURATION, 0, offsetof(struct sim_tag_conf, fail_every_us), 0, 366 * DAY, .def = "0s",
         .help = "Every so often the tag can't be read; 0s: never."},
        {"fail_for", SCHEMA_DURATION, 0, offsetof(struct sim_tag_conf, fail_for_us), 0, 366 * DAY, .def = "0s",
         .help = "How long a failure lasts; its readings are bad with comm_failure."},
        {NULL},
};

static const struct schema tag_schema = {
        .name = "sim tag",
        .help = "One made-up value.",
        .keys = tag_keys,
        .size = sizeof(struct sim_tag_conf),
        .has_at = true,
        .check = check_tag,
};

static const struct schema_key item_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, offsetof(struct sim_conf, name),
         .help = "Name of this simulator in status, logs and metrics."},
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED, offsetof(struct sim_conf, source), .help = "Source of the readings."},
        {"period", SCHEMA_DURATION, 0, offsetof(struct sim_conf, period_us), 1e3, DAY, .def = "1s",
         .help = "How often every tag is read."},
        {"seed", SCHEMA_INT, 0, offsetof(struct sim_conf, seed), 0, 9007199254740991.0, .def = "1",
         .help = "Two runs with the same seed tell the same story."},
        {"count", SCHEMA_INT, 0, offsetof(struct sim_conf, count), 1, 100000, .def = "1",
         .help = "More than 1: as many sources, named source-1, source-2, …"},
        {"tags", SCHEMA_LIST, SCHEMA_REQUIRED, offsetof(struct sim_conf, tags), .sub = &tag_schema,
         .help = "Its tags."},
        {NULL},
};

/* source-100000 must still be a name */
static int check_item(void *obj, const char **key, struct err *e)
{
        const struct sim_conf *c = obj;

        *key = "source";
        if (c->count > 1 && c->source && text_name_chars(c->source) > TEXT_NAME_CHARS - 7)
                return err_set(e, "'%s' is too long for a number behind it: at most %d characters with count",
                               c->source, TEXT_NAME_CHARS - 7);
        *key = NULL;
        return 0;
}

const struct schema sim_schema = {
        .name = "sim",
        .help = "Made-up readings, for trying things out.",
        .keys = item_keys,
        .size = sizeof(struct sim_conf),
        .has_at = true,
        .check = check_item,
};

const char *sim_source(const struct sim_conf *c, int64_t i, char buf[SIM_SOURCE_MAX])
{
        if (c->count == 1)
                return c->source;
        snprintf(buf, SIM_SOURCE_MAX, "%s-%lld", c->source, (long long)i + 1);
        return buf;
}

void sim_names(const void *conf, struct driver_names *to)
{
        const struct sim_conf *c = conf;
        const struct sim_tag_conf *t = c->tags.items;
        char buf[SIM_SOURCE_MAX];

        to->period_us = c->period_us;
        for (int64_t i = 0; i < c->count; i++)
                for (size_t k = 0; k < c->tags.n; k++)
                        to->each(to, sim_source(c, i, buf), t[k].tag, &t[k].tag);
}
