/*
 * judge: which conditions follow from the facts (see facts.h): the rounds, and
 * what its rooms share (see judge.h).
 */
#include <stdio.h>

#include "agent/health/judge.h"

bool health_rises(struct health_rise *r, uint64_t now, int64_t mono_us)
{
        bool rose = r->known && now > r->seen;

        r->by = rose ? now - r->seen : 0;
        r->seen = now;
        r->known = true;
        if (rose)
                r->at_us = mono_us;
        return rose;
}

int64_t health_mono(const struct health_facts *f, int64_t wall_us)
{
        int64_t at = wall_us ? f->now.mono_us - (f->now.wall_us - wall_us) : 0;

        return wall_us && at < 1 ? 1 : at > f->now.mono_us ? f->now.mono_us : at;
}

int64_t health_mono_kept(struct health_time *t, const struct health_facts *f, int64_t wall_us)
{
        if (wall_us != t->wall_us)
                *t = (struct health_time){wall_us, health_mono(f, wall_us)};
        return t->mono_us;
}

void health_judge(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        health_begin(h, f->now.mono_us);
        health_judge_spool(h, m, f);
        health_judge_uplink(h, m, f);
        health_judge_sources(h, f);
        health_judge_quiet(h, m, f);
        health_judge_gateway(h, m, f);
        health_end(h);
}
