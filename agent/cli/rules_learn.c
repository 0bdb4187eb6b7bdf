/*
 * rules_learn: `rules learn`, limits proposed from a recording, as YAML to
 * read, change and put into a configuration.
 *
 * Nothing is applied.  Each rule is preceded by what was seen, so that a person
 * who knows the machine can judge it; a tag that moved too little or was read
 * too seldom says so instead of having a rule.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/rules_input.h"
#include "agent/config/scalar.h"
#include "agent/rules/learn.h"

struct pupil {
        char source[TEXT_NAME_MAX + 1], tag[TAGS_IDENT_MAX + 1]; /* with its labels */
        struct learn learn;
        uint64_t n_other; /* readings that are no number */
};

struct lesson {
        const struct cli *c;
        struct pupil *pupils;
        size_t n, last;
};

static struct pupil *pupil_of(struct lesson *l, const char *source, const char *tag)
{
        for (size_t k = 0; k < l->n; k++) {
                size_t i = (l->last + 1 + k) % l->n; /* readings come in the same order round after round */

                if (strcmp(l->pupils[i].tag, tag) == 0 && strcmp(l->pupils[i].source, source) == 0) {
                        l->last = i;
                        return &l->pupils[i];
                }
        }
        l->pupils = mem_grow(l->pupils, l->n + 1, sizeof(*l->pupils));
        l->last = l->n++;
        l->pupils[l->last] = (struct pupil){.n_other = 0};
        snprintf(l->pupils[l->last].source, sizeof(l->pupils[0].source), "%s", source);
        snprintf(l->pupils[l->last].tag, sizeof(l->pupils[0].tag), "%s", tag);
        return &l->pupils[l->last];
}

static void on_reading(void *ctx, const char *source, const char *tag, const struct reading *r)
{
        struct lesson *l = ctx;
        struct pupil *p;

        if (cli_has(l->c, CLI_BIT(SINCE)) && r->ts_us < l->c->since_us)
                return;
        if (cli_has(l->c, CLI_BIT(UNTIL)) && r->ts_us > l->c->until_us)
                return;
        if (quality_is_bad(r->quality))
                return;
        p = pupil_of(l, source, tag);
        if (r->type == READING_F64)
                learn_add(&p->learn, r->ts_us, r->v.f64);
        else if (r->type == READING_I64)
                learn_add(&p->learn, r->ts_us, (double)r->v.i64);
        else
                p->n_other++;
}

static void put(FILE *f, const char *key, double v)
{
        char number[TEXT_DOUBLE_MAX];

        fprintf(f, ", %s: %.*s", key, (int)text_put_double(number, v), number);
}

static void print_rule(FILE *f, const struct pupil *p, const struct learned *o)
{
        char period[32], on[32], off[32];

        text_put_duration(period, sizeof(period), o->period_us);
        config_put_duration(on, o->on_delay_us);
        config_put_duration(off, o->off_delay_us);
        fprintf(f, "  # %zu readings, one in %s: median %.6g, 99.8 %% of them %.6g to %.6g, noise %.3g\n", p->learn.n,
                period, o->median, o->low, o->high, o->noise);
        fprintf(f, "  - {match: \"%s/%s\", rule: limits", p->source, p->tag);
        put(f, "hihi", o->hihi);
        put(f, "hi", o->hi);
        put(f, "lo", o->lo);
        put(f, "lolo", o->lolo);
        put(f, "deadband", o->deadband);
        fprintf(f, ", on_delay: %s, off_delay: %s}\n", on, off);
}

static size_t print_pupil(FILE *f, const struct pupil *p)
{
        struct learned out;

        switch (p->learn.n ? learn_propose(&p->learn, &out) : LEARN_E_FEW) {
        case 0:
                print_rule(f, p, &out);
                return 1;
        case LEARN_E_STILL:
                fprintf(f, "  # %s/%s: %zu readings, all about %.6g: no limits can be learned\n", p->source, p->tag,
                        p->learn.n, out.median);
                break;
        default:
                fprintf(f, "  # %s/%s: %zu numbers and %" PRIu64 " other readings; at least %d numbers are needed\n",
                        p->source, p->tag, p->learn.n, p->n_other, LEARN_MIN);
        }
        return 0;
}

/* A rule names labels only where they tell two tags apart. */
static bool is_only(const struct lesson *l, const struct pupil *p)
{
        size_t len = strcspn(p->tag, "{");

        for (size_t i = 0; i < l->n; i++) {
                const struct pupil *other = &l->pupils[i];

                if (other != p && strcmp(other->source, p->source) == 0 && strcspn(other->tag, "{") == len &&
                    memcmp(other->tag, p->tag, len) == 0)
                        return false;
        }
        return true;
}

int cmd_rules_learn(struct cli *c)
{
        struct lesson l = {.c = c};
        struct replay_upcalls up = {.on_reading = on_reading, .ctx = &l};
        struct replay *p;
        size_t n = 0;
        int r;

        if (!c->input)
                return cli_fail(CLI_USAGE, "--input FILE is needed");
        p = replay_new(NULL, 0, "test", &up);
        r = rules_input_play(c, p);
        replay_free(p);
        if (r == CLI_OK)
                fputs("# Proposed from a recording; review it: limits come from the process, not from its past alone.\n"
                      "alarms:\n",
                      c->out.f);
        for (size_t i = 0; i < l.n; i++) {
                if (is_only(&l, &l.pupils[i]))
                        l.pupils[i].tag[strcspn(l.pupils[i].tag, "{")] = '\0';
                n += r == CLI_OK ? print_pupil(c->out.f, &l.pupils[i]) : 0;
                learn_fini(&l.pupils[i].learn);
        }
        free(l.pupils);
        return r ? r : n ? CLI_OK : cli_fail(CLI_NO, "nothing could be learned from %s", c->input);
}
