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
#include "agent/base/tags.h"
#include "agent/base/text.h"

void alarms_notice_of(struct alarms *a, const struct rules_row *row, struct alarm_notice *out, char *buf, size_t cap)
{
        BUG_ON(cap < ALARM_TEXT_MAX);
        *out = (struct alarm_notice){.row = row, .json = buf, .severity = row->severity};
        out->len = alarm_put_state(buf, a->conf.gateway, row);
        out->several = alarms_has_several(a, row);
        out->only = rules_is_only(a->rules, row->source, row->tag);
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

bool alarm_key_read(char *out, size_t cap, const char *written)
{
        const char *tag = strchr(written, '/'), *rule = tag ? strchr(tag + 1, '/') : NULL;
        char source[TEXT_NAME_MAX + 1], ident[TAGS_IDENT_MAX + 1], its[2 * TAGS_IDENT_MAX];
        int n;

        if (!rule || (size_t)(rule - tag) > sizeof(its) || !text_read_name(source, written, (size_t)(tag - written)))
                return (size_t)snprintf(out, cap, "%s", written) < cap;
        snprintf(its, sizeof(its), "%.*s", (int)(rule - tag - 1), tag + 1);
        n = snprintf(out, cap, "%s/%s/", source, tags_read_ident(ident, its) ? ident : its);
        return (size_t)n < cap && text_name_pattern(out + n, cap - (size_t)n, rule + 1);
}

enum { NAMED_MAX = 8 };

static size_t find_meant(const struct alarms *a, const struct alarm_key *key, const char *tag, struct rules_ref *out)
{
        const char *dot = strrchr(key->rule, '.');
        char rule[TEXT_NAME_MAX + 1];
        size_t n = rules_find_meant(a->rules, key->source, tag, key->rule, NULL, out, NAMED_MAX);

        if (n || !dot || (size_t)(dot - key->rule) >= sizeof(rule))
                return n;
        snprintf(rule, sizeof(rule), "%.*s", (int)(dot - key->rule), key->rule); /* its name may have a dot as well */
        return rules_find_meant(a->rules, key->source, tag, rule, dot + 1, out, NAMED_MAX);
}

static int find_exactly(const struct alarms *a, const struct alarm_key *key, struct rules_ref *out)
{
        const char *dot = strrchr(key->rule, '.');
        char rule[TEXT_NAME_MAX + 1];
        int rc = rules_find(a->rules, key->source, key->tag, key->rule, NULL, out);

        if (rc != RULES_E_UNKNOWN || !dot || (size_t)(dot - key->rule) >= sizeof(rule))
                return rc;
        snprintf(rule, sizeof(rule), "%.*s", (int)(dot - key->rule), key->rule);
        return rules_find(a->rules, key->source, key->tag, rule, dot + 1, out);
}

static void name_all(struct alarms *a, const struct alarm_key *key, const struct rules_ref *refs, size_t n)
{
        size_t len = (size_t)snprintf(a->several, sizeof(a->several), "several are meant, name one:");

        for (size_t i = 0; i < n && i < NAMED_MAX && len < sizeof(a->several); i++) {
                struct rules_row row;

                rules_row_of(a->rules, refs[i], &row);
                len += (size_t)snprintf(a->several + len, sizeof(a->several) - len, " %s/%s/%s", row.source, row.tag,
                                        key->rule);
        }
}

/* The alarm that is meant: of the tag without labels, or the only one. */
static int find(struct alarms *a, const struct alarm_key *key, struct rules_ref *out)
{
        struct rules_ref refs[NAMED_MAX];
        size_t n;
        int rc;

        if (key->event_id)
                return rules_find_event(a->rules, key->event_id, out);
        rc = find_exactly(a, key, out);
        if (rc == 0)
                return 0;
        n = find_meant(a, key, *key->tag ? key->tag : "-", refs); /* a tag may be called so */
        if (n > 1)
                name_all(a, key, refs, n);
        *out = refs[0];
        return n == 0 ? rc : n == 1 ? 0 : ALARMS_E_SEVERAL;
}

const char *alarms_several(const struct alarms *a)
{
        return a->several;
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
