/*
 * flood: see flood.h.
 *
 * Why not a plain rate limit: the one alarm that matters must not wait behind
 * the hundred that follow from it, and the first one of an avalanche is usually
 * its cause.  Nothing is lost here: what is not told one by one is still a
 * transition, stored and sent as an event; only the notifier hears of it as a
 * group.
 *
 * The ring is walked only when an alarm becomes active, never per reading.
 */
#include "agent/rules/flood.h"

#include <string.h>

static const int64_t minute_us = 60000000;
static const int64_t span_us = 600000000;

void flood_init(struct flood *f)
{
        memset(f, 0, sizeof(*f));
        f->interval_us = INT64_MAX;
}

static void forget_old(struct flood *f, int64_t mono_us)
{
        while (f->n && mono_us - f->ring[f->first].at_us > span_us) {
                f->first = (f->first + 1) % FLOOD_KEPT;
                f->n--;
        }
}

static void push(struct flood *f, uint64_t key, int64_t mono_us)
{
        uint32_t at, nth = 1;

        for (uint32_t i = f->n; i > 0; i--) {
                at = (f->first + i - 1) % FLOOD_KEPT;
                if (mono_us - f->ring[at].at_us > minute_us)
                        break;
                nth += f->ring[at].key == key;
        }
        if (f->n == FLOOD_KEPT) {
                f->first = (f->first + 1) % FLOOD_KEPT;
                f->n--;
        }
        at = (f->first + f->n++) % FLOOD_KEPT;
        f->ring[at].at_us = mono_us;
        f->ring[at].key = key;
        f->ring[at].nth = nth;
        f->n_chattering += nth == FLOOD_CHATTER;
        f->peak = f->n > f->peak ? f->n : f->peak;
}

static void begin_interval(struct flood *f, int64_t mono_us)
{
        f->worst_passed = 0;
        f->interval_us = mono_us + minute_us;
        memset(&f->group, 0, sizeof(f->group));
        f->group.from_us = mono_us;
}

bool flood_activated(struct flood *f, uint64_t key, int severity, int64_t mono_us)
{
        forget_old(f, mono_us);
        push(f, key, mono_us);
        if (!f->flooding && f->n > FLOOD_BEGIN) {
                f->flooding = true;
                f->n_floods++;
                begin_interval(f, mono_us);
        }
        if (!f->flooding)
                return true;
        if (severity > f->worst_passed) {
                f->worst_passed = severity;
                return true;
        }
        f->group.n_activated++;
        f->group.to_us = mono_us;
        if (severity > f->group.worst) {
                f->group.worst = severity;
                f->group.worst_key = key;
        }
        return false;
}

void flood_returned(struct flood *f, int64_t mono_us)
{
        if (!f->flooding)
                return;
        f->group.n_returned++;
        f->group.to_us = mono_us;
}

bool flood_close(struct flood *f, int64_t mono_us, struct flood_group *out)
{
        bool any = f->flooding && (f->group.n_activated || f->group.n_returned);

        *out = f->group;
        forget_old(f, mono_us);
        if (f->flooding && f->n >= FLOOD_END) {
                begin_interval(f, mono_us);
        } else {
                f->flooding = false;
                f->interval_us = INT64_MAX;
        }
        return any;
}

uint32_t flood_count(struct flood *f, int64_t mono_us)
{
        forget_old(f, mono_us);
        return f->n;
}

uint32_t flood_chattering(struct flood *f, int64_t mono_us)
{
        uint32_t n = 0;

        for (uint32_t i = f->n; i > 0; i--) {
                uint32_t at = (f->first + i - 1) % FLOOD_KEPT;

                if (mono_us - f->ring[at].at_us > minute_us)
                        break;
                n += f->ring[at].nth == FLOOD_CHATTER;
        }
        return n;
}
