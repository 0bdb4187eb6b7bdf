/*
 * filters: see filters.h.
 *
 * A broker sends a message that several subscriptions of a client match once,
 * or once for each, as it likes (MQTT 3.1.1 3.3.5, MQTT 5.0 3.3.4), and copies
 * can't be told from messages that are alike.  So where one filter has all of
 * the others, the broker is asked for that one alone, and the intake gives each
 * message to all it is for.
 *
 * a/+/c and a/b/+ have parts of each other only.  With identifiers (MQTT 5)
 * each is asked for with its own: a copy says which of them it came for, a
 * single one names them all, and either way each is named once.  Without, the
 * broker is asked for a/+/+, which has all of both; what it has beyond is
 * nobody's.  That costs the way of those messages, and a right that we may not
 * have, so identifiers are better where the broker has them.
 *
 * An identifier is made from the filter alone, and each filter has its own: a
 * message that waited at the broker while the configuration changed names those
 * that asked for it then, whatever there is beside them now.
 *
 * Fails: nothing.
 */
#include "drivers/mqtt/filters.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/mqtt/filter_rows.h"

enum { ID_MAX = 268435455 /* MQTT 5.0, 3.8.2.1.2 */ };

/* ---- two ---- */

/*
 * A first level that is a wildcard, and one of the broker's own topics ($SYS).
 */
static bool is_apart(const char *wild, const char *own)
{
        return (*wild == '+' || *wild == '#') && *own == '$';
}

static bool is_rest(const char *s)
{
        return s[0] == '#' && !s[1];
}

bool mqtt_filter_covers(const char *a, const char *b)
{
        if (is_apart(a, b))
                return false;
        for (;;) {
                size_t na = strcspn(a, "/"), nb = strcspn(b, "/");

                if (is_rest(a))
                        return true;
                if (is_rest(b) || (!(na == 1 && *a == '+') && (na != nb || strncmp(a, b, na) != 0)))
                        return false;
                if (!a[na])
                        return !b[nb];
                if (!b[nb])
                        return is_rest(a + na + 1); /* a/# is for a as well */
                a += na + 1;
                b += nb + 1;
        }
}

bool mqtt_filter_meets(const char *a, const char *b)
{
        if (is_apart(a, b) || is_apart(b, a))
                return false;
        for (;;) {
                size_t na = strcspn(a, "/"), nb = strcspn(b, "/");
                bool any = (na == 1 && *a == '+') || (nb == 1 && *b == '+');

                if (is_rest(a) || is_rest(b))
                        return true;
                if (!any && (na != nb || strncmp(a, b, na) != 0))
                        return false;
                if (!a[na] || !b[nb])
                        return (!a[na] && !b[nb]) || is_rest(a[na] ? a + na + 1 : b + nb + 1);
                a += na + 1;
                b += nb + 1;
        }
}

void mqtt_filter_join(const char *a, const char *b, char *out)
{
        for (;;) {
                size_t na = strcspn(a, "/"), nb = strcspn(b, "/");

                if (is_rest(a) || is_rest(b))
                        break;
                if (na == nb && strncmp(a, b, na) == 0) {
                        memcpy(out, a, na);
                        out += na;
                } else {
                        *out++ = '+';
                }
                if (!a[na] && !b[nb]) {
                        *out = '\0';
                        return;
                }
                *out++ = '/';
                if (!a[na] || !b[nb]) /* the other one ends in # */
                        break;
                a += na + 1;
                b += nb + 1;
        }
        strcpy(out, "#");
}

/* ---- all ---- */

uint64_t mqtt_filter_hash(const char *text)
{
        return text_hash(text, strlen(text), 0);
}

static const struct mqtt_filter *find(const struct mqtt_filter *list, size_t n, const char *text)
{
        uint64_t hash = mqtt_filter_hash(text);

        for (size_t i = 0; i < n; i++)
                if (list[i].hash == hash && !strcmp(list[i].text, text))
                        return &list[i];
        return NULL;
}

static bool has_id(const struct mqtt_filters *f, uint32_t id)
{
        for (size_t i = 0; i < f->n_own; i++)
                if (f->own[i].id == id)
                        return true;
        return false;
}

static uint32_t make_id(const struct mqtt_filters *f, const char *text)
{
        uint32_t id = (uint32_t)(mqtt_filter_hash(text) % ID_MAX) + 1;

        while (has_id(f, id))
                id = id % ID_MAX + 1;
        return id;
}

/* By the first of a group: those of it that are not covered. */
static size_t *count_widest(const struct filter_relation *r, size_t n)
{
        size_t *n_widest = mem_alloc((n + 1) * sizeof(*n_widest));

        for (size_t i = 0; i < n; i++)
                n_widest[r[i].group] += !r[i].covered;
        return n_widest;
}

static void add_own(struct mqtt_filters *f, char *const *texts, size_t n, const struct filter_relation *r)
{
        size_t *n_widest = count_widest(r, n);

        for (size_t i = 0; i < n; i++) {
                bool has_id = n_widest[r[i].group] > 1 && !r[i].again; /* none has all of the others */

                if (r[i].covered && !has_id)
                        continue;
                f->own[f->n_own] = (struct mqtt_filter){.text = mem_strdup(texts[i]),
                                                        .hash = mqtt_filter_hash(texts[i]),
                                                        .id = has_id ? make_id(f, texts[i]) : 0};
                f->n_own++;
        }
        free(n_widest);
}

/* One of each group, at the place of its first; how many. */
static size_t join_groups(char **texts, size_t n, const struct filter_relation *r)
{
        size_t n_left = 0;

        for (size_t i = 0; i < n; i++) {
                char **first = &texts[r[i].group], *wide;

                if (r[i].group == i)
                        continue;
                wide = mem_alloc(strlen(*first) + strlen(texts[i]) + 2);
                mqtt_filter_join(*first, texts[i], wide);
                free(*first);
                free(texts[i]);
                *first = wide;
                texts[i] = NULL;
        }
        for (size_t i = 0; i < n; i++)
                if (texts[i])
                        texts[n_left++] = texts[i];
        return n_left;
}

/* What was joined is wider, and may meet others. */
static void add_joined(struct mqtt_filters *f, char *const *given, size_t n, struct filter_relation *r)
{
        char **texts = mem_alloc((n + 1) * sizeof(*texts));
        size_t n_left;

        for (size_t i = 0; i < n; i++)
                texts[i] = mem_strdup(given[i]);
        while ((n_left = join_groups(texts, n, r)) < n) {
                n = n_left;
                free(r);
                r = mqtt_filter_relations(texts, n);
        }
        for (size_t i = 0; i < n; i++)
                f->joined[i] = (struct mqtt_filter){.text = texts[i], .hash = mqtt_filter_hash(texts[i])};
        f->n_joined = n;
        free(texts);
        free(r);
}

void mqtt_filters_init(struct mqtt_filters *f, char *const *texts, size_t n)
{
        struct filter_relation *r = mqtt_filter_relations(texts, n);

        *f = (struct mqtt_filters){.own = mem_alloc((n + 1) * sizeof(*f->own)),
                                   .joined = mem_alloc((n + 1) * sizeof(*f->joined))};
        add_own(f, texts, n, r);
        add_joined(f, texts, n, r);
}

static void release(struct mqtt_filter *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(list[i].text);
        free(list);
}

void mqtt_filters_fini(struct mqtt_filters *f)
{
        release(f->own, f->n_own);
        release(f->joined, f->n_joined);
        *f = (struct mqtt_filters){0};
}

uint32_t mqtt_filters_id(const struct mqtt_filters *f, const char *text)
{
        const struct mqtt_filter *own = find(f->own, f->n_own, text);

        return own ? own->id : 0;
}

bool mqtt_filters_own(const struct mqtt_filters *f, const char *text)
{
        return find(f->own, f->n_own, text);
}

bool mqtt_filters_bring(const struct mqtt_filters *f, const char *topic)
{
        for (size_t i = 0; i < f->n_joined; i++)
                if (mqtt_filter_covers(f->joined[i].text, topic))
                        return true;
        return false;
}
