/*
 * silences: see silences.h.
 *
 * Why it is refused and not counted from when a reading was due: what a person
 * wants to hear of within five seconds has to be asked more often than that,
 * and no reckoning makes it so.  Only what is asked for with a period is looked
 * at; a source that speaks by itself may be as silent as it likes.
 *
 * Cannot fail.
 */
#include "agent/config/silences.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/config/scalar.h"
#include "agent/rules/rules_conf.h"

struct heard {
        char *source, *tag;
        int64_t period_us;        /* 0: it comes by itself */
        int64_t source_period_us; /* the shortest of the source */
};

struct all {
        struct driver_names names;
        struct heard *v;
        size_t n, cap;
};

static void on_name(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        struct all *a = (struct all *)to;

        if (a->n == a->cap) {
                a->cap = a->cap ? 2 * a->cap : 256;
                a->v = mem_grow(a->v, a->cap, sizeof(*a->v));
        }
        a->v[a->n++] = (struct heard){mem_strdup(source), tag ? mem_strdup(tag) : NULL, to->period_us, to->period_us};
}

static void gather(struct walk *w, struct all *a, const struct config *c)
{
        for (size_t i = 0; drivers_known[i]; i++) {
                const struct schema *schema = drivers_known[i]->schema;

                for (size_t k = 0; k < c->sections[i].n; k++) {
                        const void *item = (const char *)c->sections[i].items + k * schema->size;

                        a->names.period_us = 0;
                        if (walk_is_right(w, item))
                                drivers_known[i]->names(item, &a->names);
                }
        }
}

static int by_source(const void *x, const void *y)
{
        const struct heard *a = x, *b = y;
        int order = strcmp(a->source, b->source);

        return order ? order : (a->period_us > b->period_us) - (a->period_us < b->period_us);
}

/*
 * Sorted, the first of each source has its shortest period; 0, by itself, is
 * shorter than any.
 */
static void find_shortest(struct all *a)
{
        if (a->n)
                qsort(a->v, a->n, sizeof(*a->v), by_source);
        for (size_t i = 1; i < a->n; i++) {
                if (strcmp(a->v[i].source, a->v[i - 1].source) == 0)
                        a->v[i].source_period_us = a->v[i - 1].source_period_us;
        }
}

static void tell(struct walk *w, const struct rule_conf *rule, const struct heard *h, int64_t period_us)
{
        bool device = rule->kind == RULE_DEVICE_DOWN;
        char after[32] = "", period[32] = "";

        config_put_duration(after, rule->after_us);
        config_put_duration(period, period_us);
        walk_fault(w, &rule->after_us,
                   "%s, and %.100s%s%.100s is read every %s: it would be silent between its readings; allowed: more "
                   "than its period",
                   after, h->source, device ? "" : "/", device ? "" : h->tag, period);
}

static void check(struct walk *w, const struct rule_conf *rule, const struct all *a)
{
        bool device = rule->kind == RULE_DEVICE_DOWN;

        for (size_t i = 0; i < a->n; i++) {
                const struct heard *h = &a->v[i];
                int64_t period_us = device ? h->source_period_us : h->period_us;

                if (period_us < rule->after_us || !h->tag ||
                    !rule_matches(rule->match, h->source, device ? NULL : h->tag))
                        continue;
                tell(w, rule, h, period_us);
                return;
        }
}

void silences_check(struct walk *w, struct config *c)
{
        const struct rule_conf *rules = c->alarm_sections.alarms.items;
        struct all a = {.names = {.each = on_name}};

        gather(w, &a, c);
        find_shortest(&a);
        for (size_t i = 0; i < c->alarm_sections.alarms.n; i++) {
                if ((rules[i].kind == RULE_SILENT || rules[i].kind == RULE_DEVICE_DOWN) && rules[i].after_us &&
                    walk_is_right(w, &rules[i]))
                        check(w, &rules[i], &a);
        }
        for (size_t i = 0; i < a.n; i++) {
                free(a.v[i].source);
                free(a.v[i].tag);
        }
        free(a.v);
}
