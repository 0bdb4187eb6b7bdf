/*
 * json: transitions, states and groups as JSON, for the event record, the
 * notifiers and the control socket.
 *
 * Names come from the tag table and the rules, so they need no escaping; an
 * operator's name and comment do, and are cut at ALARM_OPERATOR_MAX bytes.
 * Bounds: with all names at their longest a text is under half of
 * ALARM_TEXT_MAX, a comment of nothing but control characters included.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/alarms/alarms.h"
#include "agent/base/err.h"
#include "agent/base/text.h"

struct text {
        char *p;
        size_t n;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *fmt, ...)
{
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(t->p + t->n, ALARM_TEXT_MAX - t->n, fmt, ap);
        va_end(ap);
        BUG_ON(n < 0 || t->n + (size_t)n >= ALARM_TEXT_MAX);
        t->n += (size_t)n;
}

static void put_number(struct text *t, const char *key, double v)
{
        char number[TEXT_DOUBLE_MAX];

        if (isfinite(v))
                put(t, ",\"%s\":%.*s", key, (int)text_put_double(number, v), number);
}

/* `limit` is a word of SQL: tables take the other name. */
static void put_limit(struct text *t, double v)
{
        put_number(t, "limit", v);
        put_number(t, "limit_value", v);
}

static void put_operator(struct text *t, const char *key, const char *s)
{
        char escaped[6 * ALARM_OPERATOR_MAX];

        if (*s)
                put(t, ",\"%s\":\"%.*s\"", key, (int)text_put_json(escaped, s, strnlen(s, ALARM_OPERATOR_MAX)),
                    escaped);
}

static void put_time(struct text *t, const char *key, int64_t us)
{
        char time[TEXT_TIME_MAX];

        put(t, ",\"%s\":\"%.*s\"", key, (int)text_put_time(time, us), time);
}

/*
 * `what` happened: the word of the contract; for a state told again what it
 * comes down to.
 */
static void put_row(struct text *t, const struct rules_row *row, const char *what)
{
        put(t, "\"event_id\":\"%s\",\"kind\":\"alarm\",\"rule\":\"%s\",\"limit_kind\":\"%s\",\"state\":\"%s\"",
            row->event_id, row->rule, row->limit_kind, what);
        put(t, ",\"severity\":%d,\"alarm_state\":\"%s\",\"active\":%s,\"unacked\":%s,\"activations\":%" PRIu32,
            row->severity, alarm_state_name(row->state), row->active ? "true" : "false",
            row->unacked ? "true" : "false", row->seq);
        if (row->shelved_until_us)
                put_time(t, "shelved_until", row->shelved_until_us);
}

static void put_transition(struct text *x, const struct rules_transition *t, const struct alarm_operator *operator)
{
        put_row(x, &t->row, alarm_change_name(t->change));
        put_number(x, "value", t->value);
        put_limit(x, t->limit);
        if (t->says)
                put(x, ",\"says\":\"%s\"", t->says);
        if (t->grouped)
                put(x, ",\"grouped\":true");
        put_operator(x, "operator", operator->by);
        put_operator(x, "comment", operator->comment);
}

static void put_identity(struct text *x, const char *gateway, const struct rules_row *row, int64_t ts_us)
{
        char labels[2 * TAGS_IDENT_MAX], members[4 * TAGS_IDENT_MAX];

        put(x, "{\"gateway\":\"%s\",\"source\":\"%s\"", gateway, row->source);
        if (*row->tag)
                put(x, ",\"tag\":\"%.*s\"", (int)strcspn(row->tag, "{"), row->tag);
        put_time(x, "ts", ts_us);
        put(x, ",\"ts_us\":%" PRId64, ts_us);
        tags_put_labels(labels, sizeof(labels), row->tag);
        put(x, "%.*s,", (int)tags_put_event_labels(members, sizeof(members), labels), members);
}

size_t alarm_put_event(char *buf, const struct rules_transition *t, const struct alarm_operator *operator,
                       uint64_t sample_seq)
{
        struct text x = {buf, 0};

        put_transition(&x, t, operator);
        if (sample_seq)
                put(&x, ",\"sample_seq\":%" PRIu64, sample_seq);
        if (t->tag == RULES_NO_TAG)
                put(&x, ",\"source\":\"%s\"", t->row.source);
        return x.n;
}

size_t alarm_put_notice(char *buf, const char *gateway, const struct rules_transition *t,
                        const struct alarm_operator *operator)
{
        struct text x = {buf, 0};

        put_identity(&x, gateway, &t->row, t->ts_us);
        put_transition(&x, t, operator);
        put(&x, "}");
        return x.n;
}

size_t alarm_put_state(char *buf, const char *gateway, const struct rules_row *row)
{
        struct text x = {buf, 0};

        put_identity(&x, gateway, row, row->since_us);
        put_row(&x, row,
                row->visibility != ALARM_SHOWN ? alarm_state_name(row->state)
                : row->active                  ? "active"
                                               : "returned");
        put(&x, "}");
        return x.n;
}

size_t alarm_put_again(char *buf, const char *gateway, const struct spool_alarm_note *n)
{
        struct rules_row row = {.source = n->source, .tag = n->tag};
        struct text x = {buf, 0};

        put_identity(&x, gateway, &row, n->at_us);
        put(&x, "\"event_id\":\"%s\",\"kind\":\"alarm\",\"rule\":\"%s\",\"limit_kind\":\"%s\",\"state\":\"%s\"",
            n->event_id, n->rule, n->limit_kind, n->change);
        put(&x, ",\"severity\":%d,\"again\":true", n->severity);
        put_number(&x, "value", n->value);
        put_limit(&x, n->limit);
        put_operator(&x, "operator", n->by);
        put_operator(&x, "comment", n->comment);
        put(&x, "}");
        return x.n;
}

/* Flat, and no word of SQL: a table takes it as it is. */
static void put_group(struct text *x, const struct rules_group *g)
{
        put(x, "\"kind\":\"alarm_group\",\"severity\":%d,\"activated\":%" PRIu32 ",\"returned\":%" PRIu32,
            g->worst_severity, g->n_activated, g->n_returned);
        put_time(x, "since_ts", g->from_us);
        put_time(x, "until_ts", g->to_us);
        if (!g->n_activated)
                return;
        put(x, ",\"worst_source\":\"%s\",\"worst_tag\":\"%.*s\",\"worst_rule\":\"%s\",\"worst_event_id\":\"%s\"",
            g->worst.source, (int)strcspn(g->worst.tag, "{"), g->worst.tag, g->worst.rule, g->worst.event_id);
}

size_t alarm_put_group(char *buf, const struct rules_group *g)
{
        struct text x = {buf, 0};

        put_group(&x, g);
        return x.n;
}

size_t alarm_put_group_notice(char *buf, const char *gateway, const struct rules_group *g)
{
        struct text x = {buf, 0};

        put(&x, "{\"gateway\":\"%s\"", gateway);
        put_time(&x, "ts", g->to_us);
        put(&x, ",\"ts_us\":%" PRId64 ",", g->to_us);
        put_group(&x, g);
        put(&x, "}");
        return x.n;
}
