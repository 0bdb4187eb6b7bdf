/*
 * rules_conf: see rules_conf.h.
 *
 * Why no defaults in the table for what belongs to one kind only: so a key that
 * means nothing to the rule it stands in (`sigma` in a limits rule) is seen and
 * told, instead of being read and ignored.  The kinds' assumptions are
 * therefore filled in by the check, and told in the help texts.
 *
 * Fails with a sentence at the key.
 */
#include "agent/rules/rules_conf.h"

#include <math.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/rules/together.h"

#define MS     1e3
#define SECOND 1e6
#define DAY    86400e6

static const char *const kinds[] = {"limits",     "rate",  "deviation", "stuck",    "silent", "device_down",
                                    "off_normal", "count", "duplicate", "together", NULL};
static const char *const directions[] = {"both", "rise", "fall", NULL};
/* The first choice is what stands there when nothing was said. */
static const char *const whats[] = {"default", "readings", "sum", "distinct", NULL};
static const char *const pers[] = {"default", "tag", "value", NULL};

/* Where the configuration says none; of limits that of hi and lo. */
static const int severities[RULE_KINDS] = {
        [RULE_LIMITS] = 500,    [RULE_RATE] = 500,        [RULE_DEVIATION] = 400,  [RULE_STUCK] = 300,
        [RULE_SILENT] = 300,    [RULE_DEVICE_DOWN] = 700, [RULE_OFF_NORMAL] = 500, [RULE_COUNT] = 400,
        [RULE_DUPLICATE] = 300, [RULE_TOGETHER] = 400,
};

const char *rule_kind_name(enum rule_kind kind)
{
        return kinds[kind];
}

/* ---- patterns ---- */

enum { PATTERN_MAX = 2048 /* a longer one is taken as it is written */ };

/*
 * A pattern that says nothing of labels means all of them; one that says
 * nothing of how a name was changed means it all the same.
 */
static bool part_matches(const char *p, const char *end, const char *s)
{
        size_t len = strlen(s);

        if (!memchr(p, '{', (size_t)(end - p))) {
                len = strcspn(s, "{");
                if (!memmem(p, (size_t)(end - p), "._", 2))
                        len = text_name_head(s, len);
        }
        return text_part_matches(p, (size_t)(end - p), s, len);
}

static bool is_in_form(const char *s)
{
        while (*s > 0 && *s < '~')
                s++;
        return !*s;
}

bool rule_matches(const char *pattern, const char *source, const char *tag)
{
        char room[PATTERN_MAX];
        const char *end, *slash;

        if (!is_in_form(pattern) && text_name_pattern(room, sizeof(room), pattern))
                pattern = room;
        end = pattern + strlen(pattern);
        slash = strchr(pattern, '/');
        if (!part_matches(pattern, slash ? slash : end, source))
                return false;
        return !tag || !slash || part_matches(slash + 1, end, tag);
}

static bool is_pattern(const char *s, bool of_source)
{
        const char *slash = strchr(s, '/');

        for (const char *p = s; *p;) {
                size_t n = text_char(p, strlen(p));

                if (!n ||
                    (n == 1 && !text_is_ascii_name(p, n) && !strchr(slash && p > slash ? "*?/~{=,}" : "*?/~", *p)))
                        return false;
                p += n;
        }
        if (!slash)
                return of_source && *s;
        return slash > s && slash[1] && !strchr(slash + 1, '/');
}

/* ---- sense ---- */

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

enum {
        K_LIMITS = 1 << RULE_LIMITS,
        K_RATE = 1 << RULE_RATE,
        K_DEVIATION = 1 << RULE_DEVIATION,
        K_STUCK = 1 << RULE_STUCK,
        K_SILENT = 1 << RULE_SILENT,
        K_DOWN = 1 << RULE_DEVICE_DOWN,
        K_OFF = 1 << RULE_OFF_NORMAL,
        K_COUNT = 1 << RULE_COUNT,
        K_DUPLICATE = 1 << RULE_DUPLICATE,
        K_TOGETHER = 1 << RULE_TOGETHER
};

/* Keys that were given to a rule that does not know them. */
static int check_foreign(const struct rule_conf *c, const char **key, struct err *e)
{
        const struct {
                const char *key;
                bool given;
                unsigned kinds;
        } keys[] = {
                {"hihi", !isnan(c->hihi), K_LIMITS},
                {"hi", !isnan(c->hi), K_LIMITS},
                {"lo", !isnan(c->lo), K_LIMITS},
                {"lolo", !isnan(c->lolo), K_LIMITS},
                {"exclusive", c->exclusive, K_LIMITS},
                {"limit", !isnan(c->limit), K_RATE},
                {"over", c->over_us > 0, K_RATE},
                {"direction", c->direction != RULE_BOTH, K_RATE | K_DEVIATION},
                {"sigma", !isnan(c->sigma), K_DEVIATION},
                {"half_life", c->half_life_us > 0, K_DEVIATION},
                {"warm_up", c->warm_up_us > 0, K_DEVIATION},
                {"after", c->after_us > 0, K_STUCK | K_SILENT | K_DOWN},
                {"within", !isnan(c->within), K_STUCK},
                {"normal", c->normal, K_OFF},
                {"window", c->window_us > 0, K_COUNT | K_DUPLICATE},
                {"what", c->what, K_COUNT},
                {"per", c->per, K_COUNT},
                {"value", c->value, K_COUNT},
                {"settle", c->settle_rows && c->settle_rows != TOGETHER_SETTLE_ROWS, K_TOGETHER},
                {"at_least", !isnan(c->at_least), K_COUNT},
                {"at_most", !isnan(c->at_most), K_COUNT},
                {"deadband", !isnan(c->deadband), K_LIMITS | K_RATE | K_DEVIATION | K_COUNT},
        };

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                if (!keys[i].given || keys[i].kinds & 1u << c->kind)
                        continue;
                *key = keys[i].key;
                return err_set(e, "means nothing in rule %s; leave it out", kinds[c->kind]);
        }
        return 0;
}

static int check_limits(const struct rule_conf *c, const char **key, struct err *e)
{
        static const char *const names[] = {"lolo", "lo", "hi", "hihi"};
        const double limits[] = {c->lolo, c->lo, c->hi, c->hihi};
        double last = -HUGE_VAL;
        int n = 0;

        for (int i = 0; i < 4; i++) {
                if (isnan(limits[i]))
                        continue;
                *key = names[i];
                if (!(limits[i] > last))
                        return err_set(e, "%g is out of order; allowed: lolo < lo < hi < hihi", limits[i]);
                last = limits[i];
                n++;
        }
        if (!n)
                return fault(key, NULL, e, "rule limits without a limit; one of hihi, hi, lo, lolo is needed");
        if (!isnan(c->hi) && !isnan(c->lo) && c->deadband > c->hi - c->lo)
                return fault(key, "deadband", e, "is wider than the band between lo and hi; allowed: less than that");
        return 0;
}

static int check_deviation(struct rule_conf *c, const char **key, struct err *e)
{
        if (isnan(c->sigma))
                c->sigma = 4;
        if (isnan(c->deadband))
                c->deadband = c->sigma / 2;
        if (c->deadband >= c->sigma)
                return fault(key, "deadband", e, "is not below sigma (it counts in standard deviations here)");
        if (!c->warm_up_us)
                c->warm_up_us = c->half_life_us / 2;
        return 0;
}

static int check_count(struct rule_conf *c, const char **key, struct err *e)
{
        if (!c->window_us)
                return fault(key, "window", e, "missing; rule count needs a span, as 10m");
        if (isnan(c->at_least) && isnan(c->at_most))
                return fault(key, NULL, e, "rule count without a bound; at_least or at_most is needed");
        if (!isnan(c->at_least) && !isnan(c->at_most))
                return fault(key, "at_most", e, "stands beside at_least; one of them, two rules for both");
        c->what = c->what ? c->what : RULE_READINGS;
        c->per = c->per ? c->per : RULE_PER_TAG;
        if (c->what == RULE_DISTINCT && !(c->at_least <= RULES_DISTINCT_MAX) && !(c->at_most < RULES_DISTINCT_MAX))
                return fault(key, isnan(c->at_least) ? "at_most" : "at_least", e,
                             "is more different values than are told apart; allowed: up to 256");
        if (c->per == RULE_PER_VALUE && (c->what != RULE_READINGS || isnan(c->at_least)))
                return fault(key, "per", e, "value goes with what: readings and at_least only");
        return 0;
}

static int check_kind(struct rule_conf *c, const char **key, struct err *e)
{
        switch ((enum rule_kind)c->kind) {
        case RULE_LIMITS:
                return check_limits(c, key, e);
        case RULE_RATE:
                if (isnan(c->limit))
                        return fault(key, "limit", e, "missing; rule rate needs how much is too much");
                return c->over_us ? 0 : fault(key, "over", e, "missing; rule rate needs a span, as 10s");
        case RULE_DEVIATION:
                return check_deviation(c, key, e);
        case RULE_STUCK:
                c->within = isnan(c->within) ? 0 : c->within;
                /* fall through */
        case RULE_SILENT:
                return c->after_us ? 0 : fault(key, "after", e, "missing; the rule needs a time, as 60s");
        case RULE_OFF_NORMAL:
                return c->normal ? 0 : fault(key, "normal", e, "missing; the rule needs the value that is normal");
        case RULE_COUNT:
                return check_count(c, key, e);
        case RULE_DUPLICATE:
                return c->window_us ? 0
                                    : fault(key, "window", e, "missing; how long a value may not come again, as 8h");
        case RULE_TOGETHER:
                c->settle_rows = c->settle_rows ? c->settle_rows : TOGETHER_SETTLE_ROWS;
                break;
        case RULE_DEVICE_DOWN:
        case RULE_KINDS:
                break;
        }
        return 0;
}

static int check_rule(void *obj, const char **key, struct err *e)
{
        struct rule_conf *c = obj;

        if (!is_pattern(c->match, c->kind == RULE_DEVICE_DOWN)) {
                *key = "match";
                return err_set(e, "\"%.80s\" is not a pattern; allowed: source/tag, with * and ?, as press-*/temp",
                               c->match);
        }
        if (check_foreign(c, key, e) || check_kind(c, key, e))
                return -1;
        if (isnan(c->deadband) && (c->kind == RULE_LIMITS || c->kind == RULE_RATE || c->kind == RULE_COUNT))
                c->deadband = 0;
        c->severity_outer = c->severity ? c->severity : 800;
        c->severity = c->severity ? c->severity : severities[c->kind];
        return 0;
}

/* ---- the table ---- */

#define AT(member) offsetof(struct rule_conf, member)
static const struct schema_key keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_UNIQUE, AT(name),
         .help = "Name of the rule; default: its kind, and kind-2 for the second one on the same tag."},
        {"match", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(match),
         .help = "Which tags: source/tag, with * and ?; for device_down which sources."},
        {"rule", SCHEMA_CHOICE, SCHEMA_REQUIRED, AT(kind), .choices = kinds, .help = "What is watched."},
        {"hihi", SCHEMA_FLOAT, SCHEMA_NAN, AT(hihi), .help = "limits: upper alarm limit, severity 800."},
        {"hi", SCHEMA_FLOAT, SCHEMA_NAN, AT(hi), .help = "limits: upper warning limit, severity 500."},
        {"lo", SCHEMA_FLOAT, SCHEMA_NAN, AT(lo), .help = "limits: lower warning limit, severity 500."},
        {"lolo", SCHEMA_FLOAT, SCHEMA_NAN, AT(lolo), .help = "limits: lower alarm limit, severity 800."},
        {"exclusive", SCHEMA_BOOL, 0, AT(exclusive), .def = "false",
         .help = "limits: hihi takes the place of hi, and lolo of lo, instead of joining it."},
        {"limit", SCHEMA_FLOAT, SCHEMA_NAN, AT(limit), 1e-300, 1e300, .help = "rate: this much change is too much."},
        {"over", SCHEMA_DURATION, 0, AT(over_us), 8 * MS, 14 * DAY, .help = "rate: within this span."},
        {"direction", SCHEMA_CHOICE, 0, AT(direction), .choices = directions, .def = "both",
         .help = "rate, deviation: which way is watched (restlessness: only with both)."},
        {"sigma", SCHEMA_FLOAT, SCHEMA_NAN, AT(sigma), 0.5, 1000,
         .help = "deviation: how many standard deviations from the mean; default: 4."},
        {"half_life", SCHEMA_DURATION, 0, AT(half_life_us), SECOND, 366 * DAY,
         .help = "deviation: how fast mean and deviation forget; default: as long as 1,000 readings take."},
        {"warm_up", SCHEMA_DURATION, 0, AT(warm_up_us), SECOND, 366 * DAY,
         .help = "deviation: no alarm before it has learned this long; default: half of half_life."},
        {"after", SCHEMA_DURATION, 0, AT(after_us), MS, 14 * DAY,
         .help = "stuck, silent: how long is too long; device_down: the same for a whole source."},
        {"within", SCHEMA_FLOAT, SCHEMA_NAN, AT(within), 0, 1e300,
         .help = "stuck: a change of at most this is none; default: 0."},
        {"normal", SCHEMA_TEXT, SCHEMA_SCALAR, AT(normal), .help = "off_normal: any other value is an alarm."},
        {"window", SCHEMA_DURATION, 0, AT(window_us), SECOND, 14 * DAY,
         .help = "count: the sliding span that is counted in; duplicate: how long a value may not come again."},
        {"what", SCHEMA_CHOICE, 0, AT(what), .choices = whats, .def = "default",
         .help = "count: readings (default), the sum of their values, or how many distinct values."},
        {"per", SCHEMA_CHOICE, 0, AT(per), .choices = pers, .def = "default",
         .help = "count: over all readings of the tag (default), or for each value by itself."},
        {"value", SCHEMA_TEXT, SCHEMA_SCALAR, AT(value), .help = "count: only readings with this value."},
        {"settle", SCHEMA_INT, 0, AT(settle_rows), 50, 1000000, .def = "1000",
         .help = "together: a state that stays for so many rows is taken as normal."},
        {"at_least", SCHEMA_FLOAT, SCHEMA_NAN, AT(at_least), -1e300, 1e300, .help = "count: so many are an alarm."},
        {"at_most", SCHEMA_FLOAT, SCHEMA_NAN, AT(at_most), -1e300, 1e300,
         .help = "count: so few are an alarm, once a whole window has been seen."},
        {"deadband", SCHEMA_FLOAT, SCHEMA_NAN, AT(deadband), 0, 1e300,
         .help = "How far back inside the value must go to clear; in the value's unit, for deviation in standard "
                 "deviations (default there: half of sigma)."},
        {"on_delay", SCHEMA_DURATION, 0, AT(on_delay_us), 0, DAY, .def = "0s",
         .help = "The condition holds this long first."},
        {"off_delay", SCHEMA_DURATION, 0, AT(off_delay_us), 0, DAY, .def = "0s",
         .help = "It is clear this long first."},
        {"severity", SCHEMA_INT, 0, AT(severity), 1, 1000,
         .help = "1 to 1000, the higher the worse; default: by kind and limit."},
        {"re_alarm", SCHEMA_DURATION, 0, AT(re_alarm_us), 0, 14 * DAY, .def = "0s",
         .help = "An alarm that stays is told again this often, acknowledged or not; 0s: never."},
        {"latching", SCHEMA_BOOL, 0, AT(latching), .def = "false",
         .help = "It stays, also when it is over, until reset."},
        {"ack_required", SCHEMA_BOOL, 0, AT(ack_required), .def = "true", .help = "Somebody has to acknowledge it."},
        {NULL},
};
#undef AT

const struct schema rules_schema = {
        .name = "alarms",
        .help = "What is watched, and how.",
        .keys = keys,
        .size = sizeof(struct rule_conf),
        .has_at = true,
        .check = check_rule,
};
