/*
 * operator: what operators say, and what they are shown.
 *
 * An operator's word goes the way of a reading's transition, with the name and
 * the comment, after all that was due before it.  Cannot fail but by RULES_E_*.
 */
#include <stdio.h>
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"

void alarms_notice_of(struct alarms *a, const struct rules_row *row, struct alarm_notice *out, char *buf, size_t cap)
{
        BUG_ON(cap < ALARM_TEXT_MAX);
        *out = (struct alarm_notice){.row = row, .json = buf, .severity = row->severity};
        out->len = alarm_put_state(buf, a->conf.gateway, row);
        out->several = alarms_has_several(a, row);
}

bool alarm_key_cut(char *name, struct alarm_key *key)
{
        char *tag = strchr(name, '/'), *rule = tag ? strchr(tag + 1, '/') : NULL;

        if (!rule)
                return false;
        *tag++ = *rule++ = '\0';
        *key = (struct alarm_key){.source = name, .tag = strcmp(tag, "-") == 0 ? "" : tag, .rule = rule};
        return true;
}

/* A rule's name may have a dot in it as well. */
static int find(const struct alarms *a, const struct alarm_key *key, struct rules_ref *out)
{
        const char *dot = key->event_id ? NULL : strrchr(key->rule, '.');
        char rule[TEXT_NAME_MAX + 1];
        int rc;

        if (key->event_id)
                return rules_find_event(a->rules, key->event_id, out);
        rc = rules_find(a->rules, key->source, key->tag, key->rule, NULL, out);
        if (rc != RULES_E_UNKNOWN || !dot || (size_t)(dot - key->rule) >= sizeof(rule))
                return rc;
        snprintf(rule, sizeof(rule), "%.*s", (int)(dot - key->rule), key->rule);
        return rules_find(a->rules, key->source, key->tag, rule, dot + 1, out);
}

int alarms_row(struct alarms *a, const struct alarm_key *key, struct rules_row *out)
{
        struct rules_ref ref;
        int rc = find(a, key, &ref);

        if (rc == 0)
                rules_row_of(a->rules, ref, out);
        return rc;
}

int alarms_command(struct alarms *a, const struct alarm_key *key, enum alarm_input in, int64_t until_wall_us,
                   const char *by, const char *comment)
{
        struct rules_ref ref;
        struct rt_time now;
        int rc = find(a, key, &ref);

        if (rc)
                return rc;
        rt_now(a->rt, &now);
        rules_tick(a->rules, &now);
        alarms_settle(a);
        a->said = (struct alarm_operator){by, comment};
        rc = rules_command(a->rules, ref, in, until_wall_us, &now);
        alarms_settle(a);
        a->said = (struct alarm_operator){"", ""};
        return rc;
}

bool alarm_ever_was(const struct rules_row *row)
{
        return row->seq || row->state != ALARM_IS_NORMAL;
}

void alarms_each(struct alarms *a, bool all, void (*each)(void *ctx, const struct rules_row *row), void *ctx)
{
        rules_each(a->rules, all, each, ctx);
}

void alarms_metrics(struct alarms *a, struct rules_metrics *out)
{
        struct rt_time now;

        rt_now(a->rt, &now);
        rules_metrics(a->rules, out, &now);
}
