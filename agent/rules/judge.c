/*
 * judge: the kinds by name, and the kinds that need only a few lines: stuck,
 * silent, off_normal.
 *
 * stuck is judged when readings come: a tag that says nothing is silent, not
 * stuck.  silent counts readings that can be used: a tag that reports "bad" for
 * ever is as silent as one that reports nothing.  Its waiting begins when the
 * engine first knows the tag, so that a device that is dead from the start is
 * told as well.
 */
#include "agent/rules/judge.h"

#include <math.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "agent/base/text.h"

static size_t no_bytes(const struct rule_conf *c)
{
        return 0;
}

/* Which group of its source, and its place there: rules_together.c. */
static size_t group_bytes(const struct rule_conf *c)
{
        return 2 * sizeof(uint32_t);
}

const struct judge judges[RULE_KINDS] = {
        [RULE_LIMITS] = {no_bytes},
        [RULE_RATE] = {rate_bytes, rate_judge},
        [RULE_DEVIATION] = {deviation_bytes, deviation_judge, .form = 2, .sound = deviation_is_sound},
        [RULE_STUCK] = {stuck_bytes, stuck_judge},
        [RULE_SILENT] = {silent_bytes, silent_judge, silent_pass, silent_due},
        [RULE_DEVICE_DOWN] = {no_bytes},
        [RULE_OFF_NORMAL] = {no_bytes, off_normal_judge},
        [RULE_COUNT] = {count_bytes, count_judge, count_pass, count_due},
        [RULE_DUPLICATE] = {duplicate_bytes, duplicate_judge},
        [RULE_TOGETHER] = {group_bytes},
};

static bool is_text(const struct sample *s)
{
        return s->r->type == READING_TEXT || s->r->type == READING_RAW;
}

uint64_t sample_hash(const struct sample *s)
{
        double num = s->num + 0.0; /* -0.0 is 0.0 */

        if (is_text(s))
                return table_hash(s->r->v.text, s->r->len, 1);
        if (s->r->type == READING_I64 && fabs(num) >= 0x1p53)
                return table_hash(&s->r->v.i64, sizeof(s->r->v.i64), 2);
        return table_hash(&num, sizeof(num), 0);
}

bool sample_is(const struct sample *s, const char *written)
{
        size_t len = strlen(written);
        double num;
        int64_t i64;
        bool is_i64;

        if (is_text(s))
                return s->r->len == len && memcmp(s->r->v.text, written, len) == 0;
        if (strcmp(written, "true") == 0 || strcmp(written, "false") == 0)
                return (s->num != 0) == (written[0] == 't');
        return text_number(written, len, &num, &i64, &is_i64) && num == s->num;
}

struct verdict off_normal_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        return (struct verdict){sample_is(s, c->normal) ? ALARM_FALSE : ALARM_TRUE, s->num, NAN};
}

/* ---- stuck ---- */

struct stuck {
        double at;        /* numbers: the value it stays near */
        uint64_t hash;    /* others */
        int64_t since_us; /* monotonic; 0: no reading yet */
};

size_t stuck_bytes(const struct rule_conf *c)
{
        return sizeof(struct stuck);
}

struct verdict stuck_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        struct stuck *m = memory;
        uint64_t hash = isnan(s->num) ? sample_hash(s) : 0;
        bool moved = isnan(s->num) ? hash != m->hash : hash != m->hash || !(fabs(s->num - m->at) <= c->within);

        if (moved || !m->since_us) {
                m->at = s->num;
                m->hash = hash;
                m->since_us = s->mono_us + 1; /* +1: time 0 is a time too */
        }
        return (struct verdict){s->mono_us + 1 - m->since_us >= c->after_us ? ALARM_TRUE : ALARM_FALSE, s->num, NAN};
}

/* ---- silent ---- */

struct silent {
        int64_t last_us; /* monotonic */
        bool told;
};

size_t silent_bytes(const struct rule_conf *c)
{
        return sizeof(struct silent);
}

void silent_restart(void *memory, int64_t mono_us)
{
        *(struct silent *)memory = (struct silent){.last_us = mono_us};
}

struct verdict silent_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        silent_restart(memory, s->mono_us);
        return (struct verdict){ALARM_FALSE, s->num, NAN};
}

struct verdict silent_pass(const struct rule_conf *c, void *memory, int64_t mono_us, bool active)
{
        struct silent *m = memory;

        m->told = mono_us - m->last_us >= c->after_us;
        return (struct verdict){m->told ? ALARM_TRUE : ALARM_FALSE, NAN, NAN};
}

int64_t silent_due(const struct rule_conf *c, const void *memory)
{
        const struct silent *m = memory;

        return m->told ? INT64_MAX : m->last_us + c->after_us;
}
