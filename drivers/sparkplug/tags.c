/*
 * tags: a birth -> metrics with their tags (see impl.h).
 *
 * A tag is the metric's name as a name may be (text_map_name), which depends on
 * that name alone: in which order a birth lists its metrics, and what others it
 * has, changes nothing.  Two metrics are one tag only if their names are one in
 * normal form C, or two of more than 64 characters have one hash: then the
 * second is refused by name.
 *
 * What a birth leaves out is bad/not_connected once: it was told to be gone.  A
 * birth is taken with its faults: a metric without a name, or with another's,
 * is left out by name, the others are known.
 *
 * Fails: only as a whole when the metrics of all births would be too many; the
 * part then counts as not born.
 */
#include <stdio.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/sparkplug/impl.h"
#include "drivers/sparkplug/value.h"

enum { UNIT_BYTES = 32 };

/* A metric's name as it may be shown. */
static const char *show(const Spb__Metric *metric, char out[TEXT_NAME_MAX + 1])
{
        text_map_name(out, (const char *)metric->name.data, metric->name.len);
        return out;
}

struct sparkplug_owner *sparkplug_owner_of(struct sparkplug *s, uint32_t tag)
{
        size_t n = s->n_owner;

        if (tag >= n) {
                s->n_owner = tag < 2 * n ? 2 * n : tag + 64;
                s->owner = mem_grow(s->owner, s->n_owner, sizeof(*s->owner));
                memset(s->owner + n, 0, (s->n_owner - n) * sizeof(*s->owner));
        }
        return &s->owner[tag];
}

static bool is_control(const void *name, size_t len)
{
        static const char *const prefixes[] = {"Node Control/", "Device Control/"};

        for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
                if (len >= strlen(prefixes[i]) && memcmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return len == 5 && memcmp(name, "bdSeq", 5) == 0;
}

/* A unit is short text that can be printed; else there is none. */
static void take_unit(struct sparkplug_message *m, const Spb__Metric *metric, char out[UNIT_BYTES + 1])
{
        const Spb__PropertyValue *p = sparkplug_property(metric, "engUnit");
        size_t len;

        *out = '\0';
        if (!p || p->value_case != SPB__PROPERTY_VALUE__VALUE_STRING_VALUE || !p->string_value.len)
                return;
        len = p->string_value.len;
        for (size_t i = 0; i < len; i++)
                if (p->string_value.data[i] < 0x20)
                        len = UNIT_BYTES + 1;
        if (len > UNIT_BYTES || !text_is_utf8((const char *)p->string_value.data, len)) {
                m->out->n_mapped++;
                return;
        }
        memcpy(out, p->string_value.data, len);
        out[len] = '\0';
}

/* True when another metric has this tag already. */
static bool is_taken(struct sparkplug_message *m, uint32_t tag)
{
        const struct sparkplug_owner *o = sparkplug_owner_of(m->s, tag);

        return o->part && (o->part != m->part->no || o->birth == m->s->n_births);
}

/* One more than the index of what the configuration says of the tag; 0: nothing. */
static uint32_t how_of(const struct sparkplug *s, const char *tag)
{
        for (size_t i = 0; i < s->n_how; i++)
                if (strcmp(s->how[i].tag, tag) == 0)
                        return (uint32_t)i + 1;
        return 0;
}

static uint32_t make_tag(struct sparkplug_message *m, const Spb__Metric *metric, uint32_t *how)
{
        struct sparkplug *s = m->s;
        size_t n_before = tags_count(s->tags);
        char name[TEXT_NAME_MAX + 1], unit[UNIT_BYTES + 1];
        bool changed = text_map_name(name, (const char *)metric->name.data, metric->name.len);
        uint32_t tag;

        take_unit(m, metric, unit);
        *how = how_of(s, name);
        if (tags_intern(s->tags, m->part->source, name, *how && s->how[*how - 1].unit ? s->how[*how - 1].unit : unit,
                        m->part->labels, s->driver, &tag) != 0)
                return SPARKPLUG_NO_TAG_FULL;
        if (is_taken(m, tag)) {
                sparkplug_say(m, "metric '%s' has another's tag", name);
                return SPARKPLUG_NO_TAG_FULL;
        }
        m->out->n_mapped += changed && tags_count(s->tags) > n_before;
        *sparkplug_owner_of(s, tag) = (struct sparkplug_owner){m->part->no, s->n_births};
        return tag;
}

static uint32_t tag_of(struct sparkplug_message *m, const Spb__Metric *metric, uint32_t *how)
{
        char name[TEXT_NAME_MAX + 1];
        uint32_t tag;

        if (is_control(metric->name.data, metric->name.len))
                return SPARKPLUG_NO_TAG_CONTROL;
        if (!sparkplug_type_supported(metric->datatype)) {
                if (!m->part->told_unsupported)
                        sparkplug_say(m, "metric '%s': its datatype %u (%s) is not supported", show(metric, name),
                                      metric->datatype, sparkplug_type_name(metric->datatype));
                m->part->told_unsupported = true;
                return SPARKPLUG_NO_TAG_UNSUPPORTED;
        }
        tag = make_tag(m, metric, how);
        if (tag == SPARKPLUG_NO_TAG_FULL)
                sparkplug_say(m, "%s", tags_why(m->s->tags));
        return tag;
}

static void take_birth_metric(struct sparkplug_message *m, struct sparkplug_birth *b, const Spb__Metric *metric)
{
        struct sparkplug_metric *known;
        char name[TEXT_NAME_MAX + 1];
        int rc;

        if (!metric->name.len || metric->name.len > SPARKPLUG_NAME_BYTES) {
                sparkplug_say(m,
                              metric->name.len ? "a metric's name of more than 256 bytes" : "a metric without a name");
                m->out->n_absent++;
                return;
        }
        rc = sparkplug_birth_add(b, metric->name.data, metric->name.len, metric->has_alias ? &metric->alias : NULL,
                                 &known);
        if (rc)
                sparkplug_say(m, "metric '%s': its %s is in the birth twice", show(metric, name),
                              rc == SPARKPLUG_BIRTH_E_NAME ? "name" : "alias");
        if (rc == SPARKPLUG_BIRTH_E_NAME) {
                m->out->n_absent++;
                return;
        }
        known->type = metric->datatype <= UINT8_MAX ? (uint8_t)metric->datatype : SPARKPLUG_UNKNOWN;
        known->tag = tag_of(m, metric, &known->how);
        sparkplug_read_metric(m, known, metric, false);
}

/* Tags the new birth does not have any more. */
static void drop_old(struct sparkplug_message *m)
{
        struct sparkplug_part *p = m->part;

        for (size_t i = 0; i < p->birth.n; i++) {
                uint32_t tag = p->birth.metric[i].tag;
                struct sparkplug_owner *o;

                if (tag >= SPARKPLUG_NO_TAG_FIRST)
                        continue;
                o = sparkplug_owner_of(m->s, tag);
                if (o->part != p->no || o->birth == m->s->n_births)
                        continue;
                *o = (struct sparkplug_owner){0};
                if (!p->bad)
                        sparkplug_go_bad(m, tag);
        }
}

void sparkplug_take_birth(struct sparkplug_message *m)
{
        const Spb__Payload *pl = m->payload;
        struct sparkplug_part *p = m->part;
        struct sparkplug_birth b;
        size_t names_bytes = 0;

        if (m->s->n_metrics - p->birth.n + pl->n_metrics > SPARKPLUG_METRICS_MAX) {
                sparkplug_say(m, "more than %d metrics in all births", SPARKPLUG_METRICS_MAX);
                m->out->n_absent += pl->n_metrics;
                p->born = false;
                return;
        }
        for (size_t i = 0; i < pl->n_metrics; i++)
                names_bytes += pl->metrics[i]->name.len;
        sparkplug_birth_init(&b, pl->n_metrics, names_bytes);
        m->s->n_births++;
        for (size_t i = 0; i < pl->n_metrics; i++)
                take_birth_metric(m, &b, pl->metrics[i]);
        drop_old(m);
        m->s->n_metrics += b.n - p->birth.n;
        sparkplug_birth_fini(&p->birth);
        p->birth = b;
        if (p->bad) {
                m->out->source = p->source;
                m->out->state = "up";
                m->out->why = "born again";
        }
        p->born = true;
        p->bad = false;
}
