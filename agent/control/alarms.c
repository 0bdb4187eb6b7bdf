/*
 * alarms: see alarms.h.
 *
 * An alarm is named by its event_id, or as in its MQTT topic: source/tag/rule,
 * source/tag/rule.limit where a rule has several, source/-/rule for a source as
 * a whole; source/tag{line=l2}/rule where several tags have the name.  Who may
 * speak is decided by the socket's mode; the operator's name is what the caller
 * says, for the journal.
 */
#include "agent/control/alarms.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

/* ---- the list ---- */

static void put_time(json_t *o, const char *key, int64_t us)
{
        char text[TEXT_TIME_MAX];

        json_object_set_new(o, key, us ? json_stringn(text, text_put_time(text, us)) : json_null());
}

static void put_row(void *ctx, const struct rules_row *row)
{
        char labels[2 * TAGS_IDENT_MAX];
        json_t *o = json_pack("{s:s, s:s%, s:s, s:s, s:s, s:b, s:b, s:b, s:i, s:I, s:s}", "source", row->source, "tag",
                              row->tag, strcspn(row->tag, "{"), "rule", row->rule, "limit_kind", row->limit_kind,
                              "state", alarm_state_name(row->state), "active", row->active, "unacked", row->unacked,
                              "latched", row->latched, "severity", row->severity, "activations", (json_int_t)row->seq,
                              "event_id", row->event_id);

        tags_put_labels(labels, sizeof(labels), row->tag);
        json_object_set_new(o, "labels", json_string(labels));
        put_time(o, "since", row->since_us);
        put_time(o, "shelved_until", row->shelved_until_us);
        json_array_append_new(ctx, o);
}

json_t *alarms_ctl_list(struct alarms *a, bool all)
{
        json_t *list = json_array();

        alarms_each(a, all, put_row, list);
        return json_pack("{s:o}", "alarms", list);
}

json_t *alarms_ctl_metrics(struct alarms *a)
{
        struct rules_metrics m;
        json_t *o;

        alarms_metrics(a, &m);
        o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "active", (json_int_t)m.active, "unacked",
                      (json_int_t)m.unacked, "shelved", (json_int_t)m.shelved, "out_of_service",
                      (json_int_t)m.out_of_service, "latched", (json_int_t)m.latched, "stale", (json_int_t)m.stale,
                      "chattering", (json_int_t)m.chattering, "per_10min", (json_int_t)m.per_10min, "peak_per_10min",
                      (json_int_t)m.peak_per_10min, "flood", m.flood);
        json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "activations",
                                            (json_int_t)m.activations, "returns", (json_int_t)m.returns, "fleeting",
                                            (json_int_t)m.fleeting, "chattered", (json_int_t)m.chattered, "floods",
                                            (json_int_t)m.floods, "grouped", (json_int_t)m.grouped, "not_judged",
                                            (json_int_t)m.untyped, "watched", (json_int_t)m.alarms));
        return o;
}

/* ---- an operator's word ---- */

enum { OPERATOR_MAX = 64 };

static const struct action {
        const char *name;
        enum alarm_input in;
} actions[] = {
        {"ack", ALARM_ACK},           {"reset", ALARM_RESET},           {"shelve", ALARM_SHELVE},
        {"unshelve", ALARM_UNSHELVE}, {"out-of-service", ALARM_REMOVE}, {"in-service", ALARM_RESTORE},
};

static const struct action *find_action(const char *name)
{
        for (size_t i = 0; name && i < sizeof(actions) / sizeof(*actions); i++) {
                if (strcmp(actions[i].name, name) == 0)
                        return &actions[i];
        }
        return NULL;
}

static bool is_event_id(const char *s)
{
        return strlen(s) == RULES_ID_MAX && strspn(s, "0123456789abcdef") == RULES_ID_MAX;
}

static int command(struct alarms *a, char *name, enum alarm_input in, int64_t until_us,
                   const struct alarm_operator *operator)
{
        struct alarm_key key = {.event_id = is_event_id(name) ? name : NULL};

        if (!key.event_id && !alarm_key_cut(name, &key))
                return RULES_E_UNKNOWN;
        return alarms_command(a, &key, in, until_us, operator->by, operator->comment);
}

static const char *words_of(const struct alarms *a, int rc, enum alarm_input in)
{
        if (rc == ALARMS_E_SEVERAL)
                return alarms_several(a);
        if (rc == RULES_E_UNKNOWN)
                return "no such alarm; as `millrace alarms ls` shows it: an event id, or source/tag/rule or "
                       "source/tag/rule.limit, labels behind the tag: source/tag{line=l2}/rule";
        if (rc == RULES_E_ACTIVE)
                return "its condition is still there: a latch can be reset when it is gone";
        if (rc == RULES_E_FULL)
                return "too many alarms are shelved (1024)";
        if (rc == RULES_E_SAME && in == ALARM_ACK)
                return "there is nothing to acknowledge";
        return rc ? "it is so already, or does not apply in its present state" : NULL;
}

const char *alarms_ctl_command(struct alarms *a, const json_t *request, int64_t now_wall_us)
{
        const struct action *action = find_action(json_string_value(json_object_get(request, "action")));
        const char *alarm = json_string_value(json_object_get(request, "alarm"));
        const char *by = json_string_value(json_object_get(request, "operator"));
        const char *comment = json_string_value(json_object_get(request, "comment"));
        json_int_t for_s = json_integer_value(json_object_get(request, "for_s"));
        char name[3 * TAGS_IDENT_MAX];
        struct alarm_operator operator= {by, comment ? comment : ""};

        if (!action)
                return "action: ack, reset, shelve, unshelve, out-of-service or in-service";
        if (!alarm || strlen(alarm) >= sizeof(name))
                return words_of(a, RULES_E_UNKNOWN, action->in);
        if (!by || !*by || strlen(by) > OPERATOR_MAX)
                return "operator: who says so, 1 to 64 bytes";
        if (strlen(operator.comment) > ALARM_OPERATOR_MAX)
                return "comment: at most 200 bytes";
        if (action->in == ALARM_SHELVE && (for_s < 1 || for_s > 365 * 86400))
                return "for: how long it is shelved, 1 s to 365 days";
        if (!alarm_key_read(name, sizeof(name), alarm))
                return words_of(a, RULES_E_UNKNOWN, action->in);
        return words_of(a, command(a, name, action->in, now_wall_us + for_s * 1000000, &operator), action->in);
}
