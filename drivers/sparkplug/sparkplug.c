/*
 * sparkplug: what the messages of Sparkplug B mean (see sparkplug.h; names:
 * parts.c, births: tags.c, values: value.c).
 *
 * A birth says which metrics there are, their aliases, datatypes and units
 * (property engUnit), and brings their values. Data is read by what the last
 * birth said, and by nothing else: a metric that is in no birth has no unit and
 * perhaps no datatype, so it is refused and a rebirth is asked for.  After our
 * restart that is the first message of each node.
 *
 * What is missed is seen in `seq`.  Data behind a gap is read on, but its
 * aliases may have been given anew by a birth we have not seen: until the next
 * birth what comes by alias is uncertain.  A node that honours no request thus
 * loses nothing, and nothing doubtful is called good.
 *
 * A death makes all tags of the node and its devices, or of the device,
 * bad/not_connected, once.  A death whose bdSeq is not that of the birth is the
 * will of an earlier session, sent late.  Who died while we were away is known
 * by the labels of the tags an earlier run has made.
 *
 * bdSeq, Node Control/ and Device Control/ are no readings; is_transient makes
 * no difference; commands and STATE are not for us.
 *
 * A node or device whose name is a source of another item's configuration is
 * followed, so that its neighbours' sequence holds, and not believed: it has
 * neither readings nor births nor deaths.
 *
 * Requests: 5 s after another at the earliest, with pauses doubling up to 5
 * min; 10 min without need begin anew.  A request stands until the node's birth
 * or death: each of its messages is an occasion to repeat it.
 *
 * Fails: nothing here does; what can't be read is named in `reason`, one metric
 * of a message never takes the others along. Bounded: nodes and devices,
 * metrics in all, memory of one message.
 */
#include "drivers/sparkplug/sparkplug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/source_time.h"
#include "drivers/sparkplug/impl.h"
#include "drivers/sparkplug/value.h"

#define FORGET_US INT64_C(600000000)

enum { READINGS_KEPT = 4096 };

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
        sparkplug_arena_fini(&s->arena);
        sparkplug_parts_fini(&s->parts);
        for (size_t i = 0; i < s->n_how; i++)
                convert_fini(&s->how[i].convert);
        free(s->how);
        free(s->r);
        free(s->owner);
        free(s);
}

int sparkplug_convert(struct sparkplug *s, const char *tag, const char *unit, const struct convert_conf *conf,
                      struct err *e)
{
        struct sparkplug_how how = {.tag = tag, .unit = unit};
        const char *key;

        if (convert_init(&how.convert, conf, unit, 0, &key, e) < 0)
                return -1;
        s->how = mem_grow(s->how, s->n_how + 1, sizeof(*s->how));
        s->how[s->n_how++] = how;
        return 0;
}

void sparkplug_say(struct sparkplug_message *m, const char *fmt, ...)
{
        va_list ap;

        if (m->out->reason)
                return;
        va_start(ap, fmt);
        vsnprintf(m->s->reason, sizeof(m->s->reason), fmt, ap);
        va_end(ap);
        m->out->reason = m->s->reason;
}

static void ask_for_rebirth(struct sparkplug_message *m, const char *why)
{
        sparkplug_say(m, "%s, rebirth requested", why);
        m->part->node->wanted = true;
}

/* ---- readings ---- */

static struct reading *add_reading(struct sparkplug_message *m, uint32_t tag)
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

static void set_time(const struct sparkplug_message *m, const Spb__Metric *metric, struct reading *r)
{
        uint64_t ms = metric->has_timestamp ? metric->timestamp : m->payload->timestamp;

        if (metric->has_timestamp || m->payload->has_timestamp)
                source_time_set(r, ms < INT64_MAX / 1000 ? (int64_t)ms * 1000 : INT64_MAX / 2, true);
        if (metric->has_is_historical && metric->is_historical)
                r->flags |= READING_HISTORICAL;
}

/* What the configuration says of it. The text of a number stands as long as the message. */
static const char *convert(struct sparkplug_message *m, const struct sparkplug_metric *known, uint32_t type,
                           struct reading *r)
{
        static char none[CONVERT_ROOM]; /* of all that found no place */
        ProtobufCAllocator *a = &m->s->arena.allocator;
        char *room = a->alloc(a->allocator_data, CONVERT_ROOM);
        struct convert how = m->s->how[known->how - 1].convert;

        if (type >= SPARKPLUG_INT8 && type <= SPARKPLUG_INT32)
                how.bits = (uint8_t)(8u << (type - SPARKPLUG_INT8));
        if (convert_apply(&how, r, room ? room : none) == CONVERT_E_UNFIT)
                return "its value is not what is meant";
        if (r->type != READING_TEXT || r->v.text != none)
                return NULL;
        *r = (struct reading){.tag = r->tag, .ts_us = r->ts_us, .arrival_us = r->arrival_us, .quality = QUALITY_BAD};
        return "no room for its text, more metrics than one message may hold";
}

void sparkplug_read_metric(struct sparkplug_message *m, const struct sparkplug_metric *known, const Spb__Metric *metric,
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
        if (known->how && !why)
                why = convert(m, known, type, r);
        set_time(m, metric, r);
        if (doubtful && r->quality == QUALITY_GOOD)
                r->quality = QUALITY_UNCERTAIN;
        if (why)
                sparkplug_say(m, "metric '%s': %s", tags_get(m->s->tags, known->tag)->name, why);
}

void sparkplug_go_bad(struct sparkplug_message *m, uint32_t tag)
{
        struct reading *r = add_reading(m, tag);

        r->type = READING_NONE;
        r->quality = QUALITY_BAD_NOT_CONNECTED;
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

static void check_seq(struct sparkplug_message *m)
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

static void take_nbirth(struct sparkplug_message *m)
{
        struct sparkplug_part *node = m->part;

        for (size_t i = 0; i < m->s->parts.n; i++)
                if (m->s->parts.part[i]->node == node)
                        m->s->parts.part[i]->born = false;
        sparkplug_take_birth(m);
        node->seq = m->payload->has_seq ? (int)(m->payload->seq & 255) : -1;
        node->doubtful = node->wanted = false;
        node->has_bd_seq = bd_seq_of(m->payload, &node->bd_seq);
}

static void take_dbirth(struct sparkplug_message *m)
{
        check_seq(m);
        sparkplug_take_birth(m);
        if (!m->part->node->born)
                m->part->node->wanted = true;
}

static void take_data(struct sparkplug_message *m)
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
                        sparkplug_read_metric(m, known, x, (doubtful || known->is_twice) && !x->name.len);
                        continue;
                }
                m->out->n_absent++;
                ask_for_rebirth(m, x->name.len ? "metric unknown" : "alias unknown");
        }
}

/*
 * It died before we heard a birth: its tags are those an earlier run of ours
 * made.
 */
static void die_unseen(struct sparkplug_message *m, const struct sparkplug_part *p)
{
        size_t n = tags_count(m->s->tags);

        for (uint32_t i = 0; i < n; i++) {
                const struct tag *t = tags_get(m->s->tags, i);

                if (!tags_is_tag(m->s->tags, i) || sparkplug_owner_of(m->s, i)->part)
                        continue;
                if (!strcmp(t->driver, m->s->driver) && !strcmp(t->labels, p->labels) &&
                    (p == p->node || !strcmp(t->source, p->source)))
                        sparkplug_go_bad(m, i);
        }
}

static void die(struct sparkplug_message *m, struct sparkplug_part *p)
{
        p->born = false;
        if (p->bad)
                return;
        p->bad = true;
        if (p == m->part && !p->birth.metric)
                die_unseen(m, p);
        for (size_t i = 0; i < p->birth.n; i++)
                if (p->birth.metric[i].tag < SPARKPLUG_NO_TAG_FIRST)
                        sparkplug_go_bad(m, p->birth.metric[i].tag);
}

static void tell_death(struct sparkplug_message *m, const char *why)
{
        m->out->source = m->part->source;
        m->out->state = "down";
        m->out->why = why;
}

static void take_ndeath(struct sparkplug_message *m)
{
        struct sparkplug_part *node = m->part;
        uint64_t bd_seq;

        if (node->has_bd_seq && bd_seq_of(m->payload, &bd_seq) && bd_seq != node->bd_seq) {
                sparkplug_say(m, "death of an earlier session (bdSeq %llu, the node is at %llu)",
                              (unsigned long long)bd_seq, (unsigned long long)node->bd_seq);
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

static void take_ddeath(struct sparkplug_message *m)
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

static void request(struct sparkplug_message *m)
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
        void (*take)(struct sparkplug_message *m); /* NULL: not for us */
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

/*
 * Also by the tags it has from before a reload: readings whose source is
 * another item's go.
 */
static void keep_ours(struct sparkplug_message *m)
{
        struct sparkplug_result *out = m->out;
        const char *last = NULL;
        size_t n = 0;
        bool ours = true;

        for (size_t i = 0; i < out->n; i++) {
                const char *source = tags_get(m->s->tags, out->r[i].tag)->source;

                if (!last || strcmp(last, source) != 0)
                        ours = tags_may_speak(m->s->tags, source, m->s->driver);
                last = source;
                if (ours)
                        out->r[n++] = out->r[i];
                else
                        sparkplug_say(m, "%s", tags_why(m->s->tags));
        }
        out->n_untagged += out->n - n;
        out->n = n;
        if (out->source && !owners_allow(tags_owners(m->s->tags), out->source, m->s->driver))
                out->source = NULL;
}

static bool unpack(struct sparkplug_message *m, const void *payload, size_t len)
{
        struct sparkplug_arena *a = &m->s->arena;

        m->payload = spb__payload__unpack(&a->allocator, len, payload);
        if (!m->payload) {
                sparkplug_say(m, a->full ? "more metrics than one message may hold" : "not a Sparkplug B payload");
                return false;
        }
        if (!m->payload->n_metrics && m->payload->has_body)
                sparkplug_say(m, "a payload packed into a body (compressed?) is not supported");
        return !m->out->reason;
}

static void begin(struct sparkplug *s, struct sparkplug_result *out)
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
                    struct sparkplug_result *out)
{
        struct sparkplug_message m = {.s = s, .out = out, .now = *now};
        struct sparkplug_address address;
        const struct kind *kind;

        begin(s, out);
        kind = read_topic(topic, &address);
        if (!kind && strncmp(topic, "spBv1.0/STATE/", 14) != 0)
                sparkplug_say(&m, "not a topic of Sparkplug B");
        if (!kind || !kind->take || !unpack(&m, payload ? payload : "", len))
                return;
        m.part = sparkplug_parts_get(&s->parts, &address, &out->n_mapped);
        if (!m.part) {
                sparkplug_say(&m, "more than %d nodes and devices", SPARKPLUG_PARTS_MAX);
                return;
        }
        kind->take(&m);
        if (m.part->node->wanted)
                request(&m);
        out->r = s->r;
        keep_ours(&m);
}
