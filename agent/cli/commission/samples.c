/*
 * samples: see samples.h.
 *
 * A topic's kind is the weakest that was seen: a number once and "unavailable"
 * once is a text.  Leaves are gathered over all messages of a topic, so that a
 * value that is only sent now and then is there too.
 *
 * Bounds: 2,000 topics, 64 leaves each, 16 levels of JSON; what is beyond is
 * left out.  Fails: never; what is no JSON is a text, what is no text is raw.
 */
#include "agent/cli/commission/samples.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

enum { DEPTH_MAX = 16, CLOCK_OFF_US = 600000000 };

/* ---- times ---- */

static bool is_time_name(const char *key)
{
        static const char *const names[] = {"time",      "timestamp",  "ts",         "t",
                                            "date",      "datetime",   "utc",        "received_at",
                                            "last_seen", "created_at", "updated_at", "sampletime",
                                            "epoch",     "when",       "time_stamp", "timestamp_ms"};

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strcasecmp(key, names[i]) == 0)
                        return true;
        return false;
}

/* Between 2001 and 2100, or it is no time. */
static enum leaf_time time_of_number(double v)
{
        static const enum leaf_time times[] = {TIME_UNIX_S, TIME_UNIX_MS, TIME_UNIX_US};

        for (size_t i = 0; i < 3; i++, v /= 1000)
                if (v > 978307200 && v < 4102444800)
                        return times[i];
        return TIME_NONE;
}

static enum leaf_time time_without_zone(const struct samples *all, int64_t us)
{
        int64_t off = us - all->local_us;

        return all->zone && off > -CLOCK_OFF_US && off < CLOCK_OFF_US ? TIME_LOCAL : TIME_UNCLEAR;
}

static enum leaf_time time_of_text(const struct samples *all, const char *s, size_t len)
{
        bool has_zone;
        int64_t us;

        if (!text_time(s, len, &us, &has_zone))
                return len >= 8 && isdigit((unsigned char)s[0]) && strpbrk(s, ":-/") ? TIME_UNCLEAR : TIME_NONE;
        return has_zone ? TIME_ISO8601 : time_without_zone(all, us);
}

enum leaf_time samples_time_of_both(enum leaf_time a, enum leaf_time b)
{
        if (a == b)
                return a;
        return a >= TIME_LOCAL && b >= TIME_LOCAL ? TIME_LOCAL : TIME_NONE;
}

/* ---- leaves ---- */

static void add_leaf(struct sample *s, const char *pointer, enum leaf_type type, enum leaf_time time)
{
        for (size_t i = 0; i < s->n_leaves; i++) {
                if (strcmp(s->leaves[i].pointer, pointer) != 0)
                        continue;
                if (s->leaves[i].type != type)
                        s->leaves[i].type = LEAF_TEXT;
                s->leaves[i].time = samples_time_of_both(s->leaves[i].time, time);
                return;
        }
        if (s->n_leaves == SAMPLES_LEAVES_MAX)
                return;
        s->leaves = mem_grow(s->leaves, s->n_leaves + 1, sizeof(*s->leaves));
        s->leaves[s->n_leaves] = (struct leaf){.type = type, .time = time};
        strcpy(s->leaves[s->n_leaves++].pointer, pointer);
}

/* False: it has no room. */
static bool put_key(char *pointer, size_t at, const char *key)
{
        pointer[at++] = '/';
        for (; *key; key++) {
                if (at + 3 >= SAMPLES_POINTER_ROOM || (unsigned char)*key < ' ')
                        return false;
                if (*key == '~' || *key == '/') {
                        pointer[at++] = '~';
                        pointer[at++] = *key == '~' ? '0' : '1';
                } else {
                        pointer[at++] = *key;
                }
        }
        pointer[at] = '\0';
        return true;
}

static void walk(struct sample *s, const json_t *v, char *pointer, const char *key, int depth);

static void walk_object(struct sample *s, const json_t *object, char *pointer, int depth)
{
        size_t at = strlen(pointer);
        const char *key;
        json_t *v;

        if (at + 4 >= SAMPLES_POINTER_ROOM)
                return;
        json_object_foreach((json_t *)object, key, v)
        {
                if (put_key(pointer, at, key))
                        walk(s, v, pointer, key, depth + 1);
                pointer[at] = '\0';
        }
}

/* The first of these keys that the object has. */
static void find_key(const json_t *o, const char *const *keys, char out[SAMPLES_KEY_ROOM])
{
        for (; *keys && !out[0]; keys++)
                if (json_object_get(o, *keys))
                        snprintf(out, SAMPLES_KEY_ROOM, "%s", *keys);
}

static void look_at_elements(struct sample *s, const json_t *first, const char *pointer)
{
        static const char *const ids[] = {"id", "name", "tag", "n", "key", "Name", "Id", "tagname", "nodeId", NULL};
        static const char *const values[] = {"v", "value", "val", "Value", "V", NULL};
        static const char *const times[] = {"t", "ts", "timestamp", "time", "Timestamp", "SourceTimestamp", NULL};
        const json_t *at;

        s->has_array = true;
        snprintf(s->array, sizeof(s->array), "%s", pointer);
        find_key(first, ids, s->id);
        find_key(first, values, s->value);
        find_key(first, times, s->at);
        at = s->at[0] ? json_object_get(first, s->at) : NULL;
        if (json_is_number(at))
                s->at_time = time_of_number(json_number_value(at));
        else if (json_is_string(at))
                s->at_time = time_of_text(s->all, json_string_value(at), json_string_length(at));
}

static void walk_array(struct sample *s, const json_t *array, char *pointer, int depth)
{
        size_t at = strlen(pointer), i;
        char key[24];
        json_t *v;

        if (json_is_object(json_array_get(array, 0))) { /* its elements may change places */
                if (!s->has_array)
                        look_at_elements(s, json_array_get(array, 0), pointer);
                return;
        }
        json_array_foreach((json_t *)array, i, v)
        {
                snprintf(key, sizeof(key), "%zu", i);
                if (i < SAMPLES_LEAVES_MAX && at + 4 < SAMPLES_POINTER_ROOM && put_key(pointer, at, key))
                        walk(s, v, pointer, "", depth + 1);
                pointer[at] = '\0';
        }
}

static void walk(struct sample *s, const json_t *v, char *pointer, const char *key, int depth)
{
        bool named = is_time_name(key);

        if (depth > DEPTH_MAX)
                return;
        if (json_is_object(v))
                walk_object(s, v, pointer, depth);
        else if (json_is_array(v))
                walk_array(s, v, pointer, depth);
        else if (json_is_number(v))
                add_leaf(s, pointer, LEAF_NUMBER, named ? time_of_number(json_number_value(v)) : TIME_NONE);
        else if (json_is_boolean(v))
                add_leaf(s, pointer, LEAF_BOOL, TIME_NONE);
        else if (json_is_string(v))
                add_leaf(s, pointer, LEAF_TEXT,
                         named ? time_of_text(s->all, json_string_value(v), json_string_length(v)) : TIME_NONE);
}

/* ---- messages ---- */

/* What payload `number` takes beside numbers. */
static bool is_number_word(const char *s, size_t len)
{
        static const char *const words[] = {"true", "false", "null", "nan", "NaN"};

        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (len == strlen(words[i]) && memcmp(s, words[i], len) == 0)
                        return true;
        return false;
}

static enum sample_kind look(struct sample *s, const char *payload, size_t len)
{
        char pointer[SAMPLES_POINTER_ROOM] = "";
        enum sample_kind kind = SAMPLE_TEXT;
        double f64;
        int64_t i64;
        bool is_i64;
        json_t *v;

        if (strncmp(s->topic, "spBv1.0/", 8) == 0)
                return SAMPLE_SPARKPLUG;
        while (len && isspace((unsigned char)payload[len - 1]))
                len--;
        while (len && isspace((unsigned char)*payload)) {
                payload++;
                len--;
        }
        if (text_number(payload, len, &f64, &i64, &is_i64) || is_number_word(payload, len))
                return SAMPLE_NUMBER;
        if (!text_is_utf8(payload, len))
                return SAMPLE_RAW;
        if (!len || (*payload != '{' && *payload != '['))
                return SAMPLE_TEXT;
        v = json_loadb(payload, len, 0, NULL);
        if (json_is_object(v))
                kind = SAMPLE_JSON;
        else if (json_is_array(v))
                kind = SAMPLE_ARRAY;
        walk(s, v, pointer, "", 0);
        json_decref(v);
        return kind;
}

static void cut_levels(struct sample *s)
{
        char *at = s->text, *slash;

        do {
                if (s->n_levels == SAMPLES_LEVELS_MAX) {
                        s->n_levels = 0; /* no pattern can be that long */
                        return;
                }
                slash = strchr(at, '/');
                s->level[s->n_levels++] = at;
                if (slash)
                        *slash = '\0';
                at = slash ? slash + 1 : at;
        } while (slash);
}

static enum sample_kind weaker(enum sample_kind a, enum sample_kind b)
{
        if (a == b || a == SAMPLE_SPARKPLUG)
                return a;
        return a == SAMPLE_RAW || b == SAMPLE_RAW ? SAMPLE_RAW : SAMPLE_TEXT;
}

void samples_add(struct samples *s, const char *topic, const void *payload, size_t len)
{
        struct sample *t = NULL;
        enum sample_kind kind;

        for (size_t i = 0; i < s->n && !t; i++)
                t = strcmp(s->items[i].topic, topic) == 0 ? &s->items[i] : NULL;
        if (!len)
                return; /* a retained message is taken back */
        if (!t && s->n == SAMPLES_TOPICS_MAX) {
                s->n_left_out++;
                return;
        }
        if (!t) {
                s->items = mem_grow(s->items, s->n + 1, sizeof(*s->items));
                t = &s->items[s->n++];
                *t = (struct sample){.topic = mem_strdup(topic), .text = mem_strdup(topic), .all = s};
                cut_levels(t);
        }
        kind = look(t, payload, len);
        t->kind = t->n_messages ? weaker(t->kind, kind) : kind;
        t->n_messages++;
}

void samples_fini(struct samples *s)
{
        for (size_t i = 0; i < s->n; i++) {
                free(s->items[i].topic);
                free(s->items[i].text);
                free(s->items[i].leaves);
        }
        free(s->items);
        *s = (struct samples){0};
}
