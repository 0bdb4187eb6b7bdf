/*
 * shares: see shares.h.
 *
 * Why shares: one publisher that makes a name a message would else fill the
 * table for all.  What an item does not say it has an equal part of, of what
 * the others leave; so the shares together are no more than the table, unless
 * the configuration says so.
 *
 * A bound is told when four fifths of it are used, when all is, and when it is
 * under seven tenths again: once each, not once a name.  Of a source that
 * another item speaks for, once an hour.  Cannot fail.
 */
#include "agent/shares.h"

#include <inttypes.h>

#include "agent/base/log.h"

#define AGAIN_US INT64_C(3600000000)

void shares_set(struct tags *t, const struct config *c)
{
        size_t n_usual = 0, said = 0, most = (size_t)c->max_tags, usual;

        for (size_t i = 0; i < c->n_drivers; i++) {
                const struct driver_ops *ops = c->drivers[i].ops;
                size_t share = ops->share ? ops->share(c->drivers[i].conf, SIZE_MAX) : 0;

                n_usual += share == SIZE_MAX;
                said += share == SIZE_MAX ? 0 : share;
        }
        usual = (said < most / 2 ? most - said : most - most / 2) / (n_usual ? n_usual : 1);
        for (size_t i = 0; i < c->n_drivers; i++) {
                const struct driver_ops *ops = c->drivers[i].ops;

                tags_share(t, ops->kind, c->drivers[i].name,
                           ops->share ? ops->share(c->drivers[i].conf, usual ? usual : 1) : 0);
        }
}

int shares_level(size_t n, size_t most, int was)
{
        if (n >= most)
                return 2;
        if (was == 2 && n >= most - most / 20)
                return 2;
        return n >= most - most / 5 || (was && n >= most - most * 3 / 10) ? 1 : 0;
}

/* `item` NULL: of the table as a whole. */
static void tell_level(struct pipeline *p, const struct tags_item *item, size_t n, size_t most, int level)
{
        static const char *const states[] = {"normal", "high", "full"};
        static const enum event_severity severities[] = {EVENT_NORMAL, EVENT_NOTICE, EVENT_FAULT};
        const char *kind = item ? item->kind : "limits", *name = item ? item->name : "";

        if (level)
                log_warn("limits", "%s%s%s: %zu of %zu tags from the wire are used (%smax_tags)%s", kind,
                         item ? " " : "", name, n, most, item ? "" : "limits.",
                         level == 2 ? "; messages with further names go to the quarantine" : "");
        else
                log_notice("limits", "%s%s%s: %zu of %zu tags from the wire", kind, item ? " " : "", name, n, most);
        pipeline_event(p, "tag_limit", severities[level], SPOOL_NO_TAG,
                       "\"state\":\"%s\",\"driver\":\"%s\",\"key\":\"%smax_tags\",\"n\":%zu,\"most\":%zu",
                       states[level], name, item ? "" : "limits.", n, most);
}

static void tell_owner(struct pipeline *p, struct owner *o, int64_t now_us)
{
        uint64_t n = o->n_refused - o->n_told;

        if (!n || (o->told_us && now_us - o->told_us < AGAIN_US))
                return;
        o->n_told = o->n_refused;
        o->told_us = now_us ? now_us : 1;
        log_warn("names", "refused: source %s belongs to %s %s, and %s brought %" PRIu64 " of it", o->source, o->kind,
                 o->item, o->by, n);
        pipeline_event(p, "source_refused", EVENT_FAULT, SPOOL_NO_TAG,
                       "\"source\":\"%s\",\"driver\":\"%s\",\"owner\":\"%s\",\"n\":%" PRIu64, o->source, o->by, o->item,
                       n);
}

void shares_tell(struct shares *s, struct tags *t, struct pipeline *p)
{
        struct owners *owners = tags_owners(t);
        int64_t now_us = rt_mono_us(p->rt);
        struct tags_counts c;
        struct tags_item *item;
        int level;

        tags_counts(t, &c);
        level = shares_level(c.n_wire, c.most, s->told);
        if (level != s->told)
                tell_level(p, NULL, c.n_wire, c.most, level);
        s->told = level;
        for (size_t i = 0; (item = tags_item(t, i)); i++) {
                if (item->most == SIZE_MAX || item->most == 0)
                        continue;
                level = shares_level(item->n, item->most, item->told);
                if (level != item->told)
                        tell_level(p, item, item->n, item->most, level);
                item->told = level;
        }
        for (size_t i = 0; i < owners->n; i++)
                tell_owner(p, &owners->v[i], now_us);
}
