/*
 * sparkplug: what the messages of Sparkplug B mean (see sparkplug.h; names: sparkplug_parts.c, values: sparkplug_value.c).
 *
 * A birth says which metrics there are, their aliases, datatypes and units (property engUnit), and brings their values.
 * Data is read by what the last birth said, and by nothing else: a metric that is in no birth has no unit and perhaps no
 * datatype, so it is refused and a rebirth is asked for.  After our restart that is the first message of each node.
 *
 * What is missed is seen in `seq`.  Data behind a gap is read on, but its aliases may have been given anew by a birth we
 * have not seen: until the next birth what comes by alias is uncertain.  A node that honours no request thus loses
 * nothing, and nothing doubtful is called good.
 *
 * A death makes all tags of the node and its devices, or of the device, bad/not_connected, once.  A death whose bdSeq is
 * not that of the birth is the will of an earlier session, sent late.  Who died while we were away is known by the labels of
 * the tags an earlier run has made.  Tags that are no longer in a new birth go the same
 * way.  bdSeq, Node Control/ and Device Control/ are no readings; is_transient makes no difference; commands and STATE are
 * not for us.
 *
 * A tag is the metric's name as a name may be ('/' and blanks become _).  A name of more than 64 bytes, or one that would
 * meet another's, ends in _ and eight digits of its hash, so that two metrics are never one tag.
 *
 * Requests: 5 s after another at the earliest, with pauses doubling up to 5 min; 10 min without need begin anew.  A request
 * stands until the node's birth or death: each of its messages is an occasion to repeat it.
 *
 * Fails: nothing here does; what can't be read is named in `reason`, one metric of a message never takes the others along.
 * Bounded: nodes and devices, metrics in all, memory of one message.
 */
#include "drivers/sparkplug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/source_time.h"
#include "drivers/sparkplug_arena.h"
#include "drivers/sparkplug_parts.h"
#include "drivers/sparkplug_value.h"

#define FORGET_US INT64_C(600000000)

enum { READINGS_KEPT = 4096, UNIT_BYTES = 32 };

/* Whose a tag is, and by which birth. */
struct owner {
        uint32_t part, birth;
};

struct sparkplug {
        struct tags *tags;
        const char *driver;
        struct sparkplug_arena arena;
        struct sparkplug_parts parts;
        struct reading *r;
        size_t cap;
        struct owner *owner; /* of each tag */
        size_t n_owner;
        uint32_t n_births;
        size_t n_metrics; /* of all parts */
        char reason[400], gap[100];
};

/* One message on its way. */
struct message {
        struct sparkplug *s;
        struct sparkplug_turn *out;
        struct sparkplug_part *part;
        const Spb__Payload *payload;
        struct rt_time now;
};

struct sparkplug *sparkplug_new(struct tags *tags, const char *driver)
{
        struct sparkplug *s = mem_alloc(sizeof(*s));

        s->tags = tags;
        s->driver = driver;
        sparkplug_arena_init(&s->arena, SPARKPLUG_ARENA_BYTES);
        return s;
}

void sparkplug_free(struct sparkplug *s)
{
        if (!s)
                return;
        sparkplug_arena_release(&s->arena);
        sparkplug_parts_release(&s->parts);
        free(s->r);
        free(s->owner);
        free(s);
}

/* The first thing that is wrong is told. */
__attribute__((format(printf, 2, 3))) static void say(struct message *m, const char *fmt, ...)
{
        va_list ap;

        if (m->out->reason)
                return;
        va_start(ap, fmt);
        vsnprintf(m->s->reason, sizeof(m->s->reason), fmt, ap);
        va_end(ap);
        m->out->reason = m->s->reason;
}

/* A metric's name as it may be shown. */
static const char *show(const Spb__Metric *metric, char out[TEXT_NAME_MAX + 1])
{
        text_map_name(out, (const char *)metric->name.data, metric->name.len);
        return out;
}

static void ask_for_rebirth(struct message *m, const char *why)
{
        say(m, "%s, rebirth requested", why);
        m->part->node->wanted = true;
}

/* ---- readings ---- */

static struct reading *add_reading(struct message *m, uint32_t tag)
{
        struct sparkplug *s = m->s;
        struct reading *r;

        if (m->out->n == s->cap) {
                s->cap = s->cap ? 2 * s->cap : 64;
                s->r = mem_grow(s->r, s->cap, sizeof(*s->r));
        }
        r = &s->r[m->out->n++];
        *r = (struct reading){.tag = tag, .ts_us = m->now.wall_us, .arrival_us = m->now.wall_us};
        return r;
}

static void set_time(const struct message *m, const Spb__Metric *metric, struct reading *r)
{
        uint64_t ms = metric->has_timestamp ? metric->timestamp : m->payload->timestamp;

        if (metric->has_timestamp || m->payload->has_timestamp)
                source_time_set(r, ms < INT64_MAX / 1000 ? (int64_t)ms * 1000 : INT64_MAX / 2, true);
        if (metric->has_is_historical && metric->is_historical)
                r->flags |= READING_HISTORICAL;
}

static void read_metric(struct message *m, const struct sparkplug_metric *known, const Spb__Metric *metric,
                        bool doubtful)
{
        uint32_t type = metric->has_datatype ? metric->datatype : known->type;
        struct reading *r;
        const char *why;

        if (known->tag >= SPARKPLUG_NO_TAG_FIRST) {
                m->out->n_absent += known->tag == SPARKPLUG_NO_TAG_UNSUPPORTED;
                m->out->n_untagged += known->tag == SPARKPLUG_NO_TAG_FULL;
                return;
        }
        r = add_reading(m, known->tag);
        why = sparkplug_value(metric, type, r);
        set_time(m, metric, r);
        if (doubtful && r->quality == QUALITY_GOOD)
                r->quality = QUALITY_UNCERTAIN;
        if (why)
                say(m, "metric '%s': %s", tags_get(m->s->tags, known->tag)->name, why);
}

static void go_bad(struct message *m, uint32_t tag)
{
        struct reading *r = add_reading(m, tag);

        r->type = READING_NONE;
        r->quality = QUALITY_BAD_NOT_CONNECTED;
}

/* ---- births ---- */

static struct owner *owner_of(struct sparkplug *s, uint32_t tag)
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
static void take_unit(struct message *m, const Spb__Metric *metric, char out[UNIT_BYTES + 1])
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

/* True when the name had to be changed. */
static bool name_tag(char out[TEXT_NAME_MAX + 1], const ProtobufCBinaryData *name, bool apart)
{
        enum { KEPT = TEXT_NAME_MAX - 9 };
        bool changed = text_map_name(out, (const char *)name->data, name->len);

        if (name->len > TEXT_NAME_MAX || apart)
                snprintf(out + strnlen(out, KEPT), 10, "_%08x", (unsigned)text_hash(name->data, name->len, 0));
        return changed || apart;
}

/* True when another metric has this tag already. */
static bool is_taken(struct message *m, uint32_t tag)
{
        const struct owner *o = owner_of(m->s, tag);

        return o->part && (o->part != m->part->no || o->birth == m->s->n_births);
}

static uint32_t make_tag(struct message *m, const Spb__Metric *metric)
{
        struct sparkplug *s = m->s;
        size_t n_before = tags_count(s->tags);
        char name[TEXT_NAME_MAX + 1], unit[UNIT_BYTES + 1];
        bool changed = name_tag(name, &metric->name, false);
        uint32_t tag;

        take_unit(m, metric, unit);
        if (tags_intern(s->tags, m->part->source, name, unit, m->part->labels, s->driver, &tag) == TAGS_E_FULL)
                return SPARKPLUG_NO_TAG_FULL;
        if (is_taken(m, tag)) {
                changed = name_tag(name, &metric->name, true);
                if (tags_intern(s->tags, m->part->source, name, unit, m->part->labels, s->driver, &tag) ||
                    is_taken(m, tag))
                        return SPARKPLUG_NO_TAG_FULL;
        }
        m->out->n_mapped += changed && tags_count(s->tags) > n_before;
        *owner_of(s, tag) = (struct owner){m->part->no, s->n_births};
        return tag;
}

static uint32_t tag_of(struct message *m, const Spb__Metric *metric)
{
        char name[TEXT_NAME_MAX + 1];
        uint32_t tag;

        if (is_control(metric->name.data, metric->name.len))
                return SPARKPLUG_NO_TAG_CONTROL;
        if (!sparkplug_type_supported(metric->datatype)) {
                if (!m->part->told_unsupported)
                        say(m, "metric '%s': its datatype %u (%s) is not supported", show(metric, name),
                            metric->datatype, sparkplug_type_name(metric->datatype));
                m->part->told_unsupported = true;
                return SPARKPLUG_NO_TAG_UNSUPPORTED;
        }
        tag = make_tag(m, metric);
        if (tag == SPARKPLUG_NO_TAG_FULL)
                say(m, "tag table full");
        return tag;
}

static void take_birth_metric(struct message *m, struct sparkplug_birth *b, const Spb__Metric *metric)
{
        struct sparkplug_metric *known;
        char name[TEXT_NAME_MAX + 1];
        int rc;

        if (!metric->name.len || metric->name.len > SPARKPLUG_NAME_BYTES) {
                say(m, metric->name.len ? "a metric's name of more than 256 bytes" : "a metric without a name");
                m->out->n_absent++;
                return;
        }
        rc = sparkplug_birth_add(b, metric->name.data, metric->name.len, metric->has_alias ? &metric->alias : NULL,
                                 &known);
        if (rc)
                say(m, "metric '%s': its %s is in the birth twice", show(metric, name),
                    rc == SPARKPLUG_BIRTH_E_NAME ? "name" : "alias");
        if (rc == SPARKPLUG_BIRTH_E_NAME) {
                m->out->n_absent++;
                return;
        }
        known->type = metric->datatype <= UINT8_MAX ? (uint8_t)metric->datatype : SPARKPLUG_UNKNOWN;
        known->tag = tag_of(m, metric);
        read_metric(m, known, metric, false);
}

/* Tags the new birth does not have any more. */
static void drop_old(struct message *m)
{
        struct sparkplug_part *p = m->part;

        for (size_t i = 0; i < p->birth.n; i++) {
                uint32_t tag = p->birth.metric[i].tag;
                struct owner *o;

                if (tag >= SPARKPLUG_NO_TAG_FIRST)
                        continue;
                o = owner_of(m->s, tag);
                if (o->part != p->no || o->birth == m->s->n_births)
                        continue;
                *o = (struct owner){0};
                if (!p->bad)
                        go_bad(m, tag);
        }
}

static void take_birth(struct message *m)
{
        const Spb__Payload *pl = m->payload;
        struct sparkplug_part *p = m->part;
        struct sparkplug_birth b;
        size_t names_bytes = 0;

        if (m->s->n_metrics - p->birth.n + pl->n_metrics > SPARKPLUG_METRICS_MAX) {
                say(m, "more than %d metrics in all births", SPARKPLUG_METRICS_MAX);
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
        sparkplug_birth_release(&p->birth);
        p->birth = b;
        if (p->bad) {
                m->out->source = p->source;
                m->out->state = "up";
                m->out->why = "born again";
        }
        p->born = true;
        p->bad = false;
}

/* ---- sequences ---- */

static bool bd_seq_of(const Spb__Payload *pl, uint64_t *out)
{
        for (size_t i = 0; i < pl->n_metrics; i++) {
                const Spb__Metric *x = pl->metrics[i];

                if (x->name.len != 5 || memcmp(x->name.data, "bdSeq", 5) != 0)
                        continue;
                *out = x->value_case == SPB__METRIC__VALUE_LONG_VALUE ? x->long_value : x->int_value;
                return x->value_case == SPB__METRIC__VALUE_LONG_VALUE || x->value_case == SPB__METRIC__VALUE_INT_VALUE;
        }
        return false;
}

static void check_seq(struct message *m)
{
        struct sparkplug_part *node = m->part->node;
        int expected = (node->seq + 1) & 255, seq = (int)(m->payload->seq & 255);

        if (!m->payload->has_seq)
                return;
        if (node->born && node->seq >= 0 && (seq != expected || m->payload->seq > 255)) {
                snprintf(m->s->gap, sizeof(m->s->gap), "sequence gap: %llu where %d was due",
                         (unsigned long long)m->payload->seq, expected);
                m->out->gap = m->s->gap;
                node->doubtful = true;
                m->part->node->wanted = true;
        }
        node->seq = seq;
}

/* ---- the kinds of messages ---- */

static void take_nbirth(struct message *m)
{
        struct sparkplug_part *node = m->part;

        for (size_t i = 0; i < m->s->parts.n; i++)
                if (m->s->parts.part[i]->node == node)
                        m->s->parts.part[i]->born = false;
        take_birth(m);
        node->seq = m->payload->has_seq ? (int)(m->payload->seq & 255) : -1;
        node->doubtful = node->wanted = false;
        node->has_bd_seq = bd_seq_of(m->payload, &node->bd_seq);
}

static void take_dbirth(struct message *m)
{
        check_seq(m);
        take_birth(m);
        if (!m->part->node->born)
                m->part->node->wanted = true;
}

static void take_data(struct message *m)
{
        const struct sparkplug_part *p = m->part;
        bool doubtful;

        check_seq(m);
        if (!p->node->born || !p->born) {
                m->out->n_absent += m->payload->n_metrics;
                ask_for_rebirth(m, p->bad ? "data behind a death" : "no birth known");
                return;
        }
        doubtful = p->node->doubtful;
        for (size_t i = 0; i < m->payload->n_metrics; i++) {
                const Spb__Metric *x = m->payload->metrics[i];
                const struct sparkplug_metric *known =
                        x->name.len    ? sparkplug_birth_by_name(&p->birth, x->name.data, x->name.len)
                        : x->has_alias ? sparkplug_birth_by_alias(&p->birth, x->alias)
                                       : NULL;

                if (known) {
                        read_metric(m, known, x, doubtful && !x->name.len);
                        continue;
                }
                m->out->n_absent++;
                ask_for_rebirth(m, x->name.len ? "metric unknown" : "alias unknown");
        }
}

/* It died before we heard a birth: its tags are those an earlier run of ours made. */
static void die_unseen(struct message *m, const struct sparkplug_part *p)
{
        size_t n = tags_count(m->s->tags);

        for (uint32_t i = 0; i < n; i++) {
                const struct tag *t = tags_get(m->s->tags, i);

                if (!owner_of(m->s, i)->part && !strcmp(t->driver, m->s->driver) && !strcmp(t->labels, p->labels) &&
                    (p == p->node || !strcmp(t->source, p->source)))
                        go_bad(m, i);
        }
}

static void die(struct message *m, struct sparkplug_part *p)
{
        p->born = false;
        if (p->bad)
                return;
        p->bad = true;
        if (p == m->part && !p->birth.metric)
                die_unseen(m, p);
        for (size_t i = 0; i < p->birth.n; i++)
                if (p->birth.metric[i].tag < SPARKPLUG_NO_TAG_FIRST)
                        go_bad(m, p->birth.metric[i].tag);
}

static void tell_death(struct message *m, const char *why)
{
        m->out->source = m->part->source;
        m->out->state = "down";
        m->out->why = why;
}

static void take_ndeath(struct message *m)
{
        struct sparkplug_part *node = m->part;
        uint64_t bd_seq;

        if (node->has_bd_seq && bd_seq_of(m->payload, &bd_seq) && bd_seq != node->bd_seq) {
                say(m, "death of an earlier session (bdSeq %llu, the node is at %llu)", (unsigned long long)bd_seq,
                    (unsigned long long)node->bd_seq);
                return;
        }
        if (!node->bad)
                tell_death(m, "NDEATH");
        for (size_t i = 0; i < m->s->parts.n; i++)
                if (m->s->parts.part[i]->node == node)
                        die(m, m->s->parts.part[i]);
        node->seq = -1;
        node->has_bd_seq = node->wanted = false;
}

static void take_ddeath(struct message *m)
{
        check_seq(m);
        if (!m->part->bad)
                tell_death(m, "DDEATH");
        die(m, m->part);
}

/* ---- asking for a rebirth ---- */

static size_t pack_command(int64_t now_us, uint8_t out[SPARKPLUG_COMMAND_BYTES])
{
        static char name[] = "Node Control/Rebirth";
        Spb__Metric metric = SPB__METRIC__INIT, *metrics[] = {&metric};
        Spb__Payload payload = SPB__PAYLOAD__INIT;

        metric.name = (ProtobufCBinaryData){sizeof(name) - 1, (uint8_t *)name};
        metric.has_name = metric.has_timestamp = metric.has_datatype = true;
        metric.timestamp = (uint64_t)now_us / 1000;
        metric.datatype = SPARKPLUG_BOOLEAN;
        metric.value_case = SPB__METRIC__VALUE_BOOLEAN_VALUE;
        metric.boolean_value = true;
        payload.has_timestamp = true;
        payload.timestamp = metric.timestamp;
        payload.n_metrics = 1;
        payload.metrics = metrics;
        BUG_ON(spb__payload__get_packed_size(&payload) > SPARKPLUG_COMMAND_BYTES);
        return spb__payload__pack(&payload, out);
}

static void request(struct message *m)
{
        struct sparkplug_part *node = m->part->node;
        int64_t now_us = m->now.mono_us;

        if (now_us < node->next_request_us)
                return;
        if (node->next_request_us == INT64_MIN || now_us - node->next_request_us > FORGET_US)
                node->backoff.n = 0;
        node->next_request_us = now_us + backoff_next_us(&node->backoff, 1);
        snprintf(m->out->command_topic, sizeof(m->out->command_topic), "spBv1.0/%.*s/NCMD%s", (int)node->group_len,
                 node->key, node->key + node->group_len);
        m->out->command_len = pack_command(m->now.wall_us, m->out->command);
        m->out->rebirth = true;
}

/* ---- topics ---- */

struct kind {
        const char *name;
        bool of_device;
        void (*take)(struct message *m); /* NULL: not for us */
};

static const struct kind kinds[] = {
        {"NDATA", false, take_data},   {"DDATA", true, take_data},     {"NBIRTH", false, take_nbirth},
        {"DBIRTH", true, take_dbirth}, {"NDEATH", false, take_ndeath}, {"DDEATH", true, take_ddeath},
        {"NCMD", false, NULL},         {"DCMD", true, NULL},
};

static const char *take_level(const char **s, size_t *len)
{
        const char *level = *s;

        *len = strcspn(level, "/");
        *s = level[*len] ? level + *len + 1 : NULL;
        return level;
}

static const struct kind *find_kind(const char *name, size_t len)
{
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
                if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, name, len) == 0)
                        return &kinds[i];
        return NULL;
}

/* NULL: no such topic. */
static const struct kind *read_topic(const char *topic, struct sparkplug_address *a)
{
        const char *s = topic, *name;
        const struct kind *kind;
        size_t len;

        *a = (struct sparkplug_address){.device = ""};
        if (strncmp(topic, "spBv1.0/", 8) != 0 || strlen(topic) >= SPARKPLUG_TOPIC_MAX)
                return NULL;
        s += 8;
        a->group = take_level(&s, &a->group_len);
        if (!s)
                return NULL;
        name = take_level(&s, &len);
        kind = find_kind(name, len);
        if (!kind || !s)
                return NULL;
        a->edge = take_level(&s, &a->edge_len);
        if (s)
                a->device = take_level(&s, &a->device_len);
        if (s || !a->group_len || !a->edge_len || (a->device_len > 0) != kind->of_device)
                return NULL;
        return kind;
}

/* ---- one message ---- */

static bool unpack(struct message *m, const void *payload, size_t len)
{
        struct sparkplug_arena *a = &m->s->arena;

        m->payload = spb__payload__unpack(&a->allocator, len, payload);
        if (!m->payload) {
                say(m, a->full ? "more metrics than one message may hold" : "not a Sparkplug B payload");
                return false;
        }
        if (!m->payload->n_metrics && m->payload->has_body)
                say(m, "a payload packed into a body (compressed?) is not supported");
        return !m->out->reason;
}

static void begin(struct sparkplug *s, struct sparkplug_turn *out)
{
        sparkplug_arena_reset(&s->arena);
        if (s->cap > READINGS_KEPT) {
                free(s->r);
                s->r = NULL;
                s->cap = 0;
        }
        out->n = out->n_absent = out->n_untagged = out->n_mapped = out->command_len = 0;
        out->reason = out->gap = out->source = out->state = out->why = NULL;
        out->rebirth = false;
}

void sparkplug_take(struct sparkplug *s, const char *topic, const void *payload, size_t len, const struct rt_time *now,
                    struct sparkplug_turn *out)
{
        struct message m = {.s = s, .out = out, .now = *now};
        struct sparkplug_address address;
        const struct kind *kind;

        begin(s, out);
        kind = read_topic(topic, &address);
        if (!kind && strncmp(topic, "spBv1.0/STATE/", 14) != 0)
                say(&m, "not a topic of Sparkplug B");
        if (!kind || !kind->take || !unpack(&m, payload ? payload : "", len))
                return;
        m.part = sparkplug_parts_get(&s->parts, &address, &out->n_mapped);
        if (!m.part) {
                say(&m, "more than %d nodes and devices", SPARKPLUG_PARTS_MAX);
                return;
        }
        kind->take(&m);
        if (m.part->node->wanted)
                request(&m);
        out->r = s->r;
}
