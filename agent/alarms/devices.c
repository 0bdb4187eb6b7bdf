/*
 * devices: devices and links that are known to be down by other means than
 * their readings.
 *
 * A link stands for all sources behind its driver.  A device that was down
 * before its link was stays down when the link is back, so the sources whose
 * device is down are remembered by name.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"

static size_t find_down(const struct alarms *a, const char *source)
{
        size_t i = 0;

        while (i < a->n_down && strcmp(a->down[i], source) != 0)
                i++;
        return i;
}

static void note_down(struct alarms *a, const char *source, bool down)
{
        size_t i = find_down(a, source);

        if (down && i == a->n_down) {
                a->down = mem_grow(a->down, a->n_down + 1, sizeof(*a->down));
                a->down[a->n_down++] = mem_strdup(source);
        } else if (!down && i < a->n_down) {
                free(a->down[i]);
                a->down[i] = a->down[--a->n_down];
        }
}

void alarms_device(struct alarms *a, const char *source, bool down)
{
        struct rt_time now;

        rt_now(a->rt, &now);
        note_down(a, source, down);
        rules_source_down(a->rules, source, down, &now);
        alarms_settle(a);
}

static int by_text(const void *x, const void *y)
{
        return strcmp(*(const char *const *)x, *(const char *const *)y);
}

void alarms_link(struct alarms *a, const char *driver, bool down)
{
        size_t n = 0, all = tags_count(a->tags);
        const char **sources = mem_alloc((all + 1) * sizeof(*sources));
        struct rt_time now;

        rt_now(a->rt, &now);
        for (uint32_t i = 0; i < all; i++) {
                const struct tag *t = tags_get(a->tags, i);

                if (!strcmp(t->driver, driver) && (!n || strcmp(sources[n - 1], t->source) != 0))
                        sources[n++] = t->source;
        }
        qsort(sources, n, sizeof(*sources), by_text);
        for (size_t i = 0; i < n; i++) {
                if ((i == 0 || strcmp(sources[i], sources[i - 1]) != 0) && find_down(a, sources[i]) == a->n_down)
                        rules_source_down(a->rules, sources[i], down, &now);
        }
        free(sources);
        alarms_settle(a);
}

void alarms_forget_driver(struct alarms *a, const char *driver)
{
        for (uint32_t i = 0; i < tags_count(a->tags); i++) {
                const struct tag *t = tags_get(a->tags, i);

                if (strcmp(t->driver, driver) != 0)
                        continue;
                note_down(a, t->source, false);
                rules_forget_source(a->rules, t->source);
        }
}
