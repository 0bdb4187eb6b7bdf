/*
 * rules_test: `rules test`, the alarms that recorded readings would have
 * raised.
 *
 * It runs what the daemon runs, with the recording's time, so the same
 * recording and rules say the same for ever; that makes it fit for a rule's own
 * test.  --explain plays the recording twice: once to learn where the alarm is,
 * once to show the readings around it, so that nothing has to be kept.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/rules_input.h"

enum { AROUND = 10 };

struct tally {
        char name[TEXT_NAME_MAX + 8];
        uint64_t n;
};

struct run {
        struct cli *c;
        struct tally *rules;
        size_t n_rules;
        uint64_t n_activated, n_readings;

        /* --explain */
        char source[TEXT_NAME_MAX + 1], tag[TAGS_IDENT_MAX + 1];
        uint64_t from, to; /* readings of the recording at the activation and the return; 0: not there */
        struct {
                int64_t ts_us;
                char text[64];
        } ring[AROUND];
        uint64_t n_ring, after, left_out;
};

static struct tally *tally_of(struct run *run, const char *name)
{
        for (size_t i = 0; i < run->n_rules; i++) {
                if (strcmp(run->rules[i].name, name) == 0)
                        return &run->rules[i];
        }
        run->rules = mem_grow(run->rules, run->n_rules + 1, sizeof(*run->rules));
        run->rules[run->n_rules] = (struct tally){.n = 0};
        snprintf(run->rules[run->n_rules].name, sizeof(run->rules[0].name), "%s", name);
        return &run->rules[run->n_rules++];
}

static void put_value(char *out, size_t cap, double v)
{
        char number[TEXT_DOUBLE_MAX];

        if (isfinite(v))
                snprintf(out, cap, "%.*s", (int)text_put_double(number, v), number);
        else
                snprintf(out, cap, "-");
}

static void print_line(struct run *run, const struct rules_transition *t)
{
        char time[TEXT_TIME_MAX], json[REPLAY_JSON_MAX], value[48], limit[48];
        FILE *f = run->c->out.f;

        if (run->c->out.json) {
                size_t n = replay_put_json(json, t);

                fprintf(f, "%.*s\n", (int)n, json);
                return;
        }
        put_value(value, sizeof(value), t->value);
        put_value(limit, sizeof(limit), t->limit);
        fprintf(f, "%.*s  %-8s  %4d  %s/%s %s %s  value %s, limit %s%s%s  %s\n", (int)text_put_time(time, t->ts_us),
                time, alarm_change_name(t->change), t->row.severity, t->row.source, t->row.tag, t->row.rule,
                t->row.limit_kind, value, limit, t->says ? ", " : "", t->says ? t->says : "", t->row.event_id);
}

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct run *run = ctx;

        if (t->change != ALARM_ACTIVATED && t->change != ALARM_RETURNED)
                return;
        if (t->change == ALARM_ACTIVATED) {
                run->n_activated++;
                tally_of(run, t->row.rule)->n++;
        }
        print_line(run, t);
}

static void print_summary(struct run *run)
{
        FILE *f = run->c->out.f;

        if (!run->c->out.json) {
                fprintf(f, "%" PRIu64 " readings, %" PRIu64 " activations\n", run->n_readings, run->n_activated);
                for (size_t i = 0; i < run->n_rules; i++)
                        fprintf(f, "  %-20s %" PRIu64 "\n", run->rules[i].name, run->rules[i].n);
                return;
        }
        fprintf(f, "{\"summary\":{\"readings\":%" PRIu64 ",\"activations\":%" PRIu64 ",\"per_rule\":{", run->n_readings,
                run->n_activated);
        for (size_t i = 0; i < run->n_rules; i++)
                fprintf(f, "%s\"%s\":%" PRIu64, i ? "," : "", run->rules[i].name, run->rules[i].n);
        fputs("}}}\n", f);
}

static int play(struct run *run, const struct rules_file *file, const struct replay_upcalls *up)
{
        struct replay *p = replay_new(file->rules, file->n_rules, file->gateway, up);
        int r = rules_input_play(run->c, p);

        run->n_readings = replay_readings(p);
        replay_free(p);
        return r;
}

/* ---- one alarm ---- */

static void count_reading(void *ctx, const char *source, const char *tag, const struct reading *r)
{
        ((struct run *)ctx)->n_readings++;
}

static void find_alarm(void *ctx, const struct rules_transition *t)
{
        struct run *run = ctx;

        if (strcmp(t->row.event_id, run->c->explain) != 0)
                return;
        if (t->change == ALARM_ACTIVATED)
                run->from = run->n_readings;
        else if (t->change == ALARM_RETURNED)
                run->to = run->n_readings;
        snprintf(run->source, sizeof(run->source), "%s", t->row.source);
        snprintf(run->tag, sizeof(run->tag), "%s", t->row.tag);
}

static void put_reading(char *out, size_t cap, const struct reading *r)
{
        if (r->type == READING_F64)
                put_value(out, cap, r->v.f64);
        else if (r->type == READING_I64)
                snprintf(out, cap, "%" PRId64, r->v.i64);
        else if (r->type == READING_BOOL)
                snprintf(out, cap, "%s", r->v.b ? "true" : "false");
        else if (r->type == READING_TEXT)
                snprintf(out, cap, "%.*s", (int)(r->len < cap ? r->len : cap - 1), r->v.text);
        else
                snprintf(out, cap, "%s", quality_reason(r->quality) ? quality_reason(r->quality) : "bad");
}

static void print_reading(struct run *run, int64_t ts_us, const char *text)
{
        char time[TEXT_TIME_MAX], clean[64];

        out_put_clean(clean, sizeof(clean), text);
        fprintf(run->c->out.f, "%.*s  %s\n", (int)text_put_time(time, ts_us), time, clean);
}

static void print_before(struct run *run)
{
        uint64_t n = run->n_ring < AROUND ? run->n_ring : AROUND;

        if (run->n_ring > n && run->left_out)
                fprintf(run->c->out.f, "… %" PRIu64 " readings …\n", run->n_ring - n);
        for (uint64_t i = run->n_ring - n; i < run->n_ring; i++)
                print_reading(run, run->ring[i % AROUND].ts_us, run->ring[i % AROUND].text);
        run->n_ring = 0;
}

static void show_reading(void *ctx, const char *source, const char *tag, const struct reading *r)
{
        struct run *run = ctx;
        char text[64];

        run->n_readings++;
        if (strcmp(source, run->source) != 0 || (run->tag[0] && strcmp(tag, run->tag) != 0))
                return;
        put_reading(text, sizeof(text), r);
        if (run->after) {
                run->after--;
                print_reading(run, r->ts_us, text);
                return;
        }
        run->ring[run->n_ring % AROUND].ts_us = r->ts_us;
        memcpy(run->ring[run->n_ring++ % AROUND].text, text, sizeof(text));
}

static void show_transition(void *ctx, const struct rules_transition *t)
{
        struct run *run = ctx;

        if (strcmp(t->row.event_id, run->c->explain) != 0 ||
            (t->change != ALARM_ACTIVATED && t->change != ALARM_RETURNED))
                return;
        print_before(run);
        print_line(run, t);
        run->after = AROUND;
        run->left_out = 1;
}

static int explain(struct run *run, const struct rules_file *file)
{
        struct replay_upcalls find = {count_reading, find_alarm, run}, show = {show_reading, show_transition, run};
        int r = play(run, file, &find);

        if (r)
                return r;
        if (!run->from)
                return cli_fail(CLI_NO, "no alarm with the id %s is raised by this recording", run->c->explain);
        run->n_readings = 0;
        run->c->out.json = false;
        return play(run, file, &show);
}

int cmd_rules_test(struct cli *c)
{
        struct replay_upcalls up = {.on_transition = on_transition};
        struct run run = {.c = c};
        struct rules_file file;
        int r;

        if (!c->rules || !c->input)
                return cli_fail(CLI_USAGE, "--rules FILE and --input FILE are needed");
        r = rules_file_load(c->rules, &file);
        if (r)
                return r;
        up.ctx = &run;
        for (size_t i = 0; i < file.n_rules; i++)
                tally_of(&run, file.rules[i].name ? file.rules[i].name : rule_kind_name(file.rules[i].kind));
        if (c->explain) {
                r = explain(&run, &file);
        } else {
                r = play(&run, &file, &up);
                if (r == CLI_OK)
                        print_summary(&run);
        }
        free(run.rules);
        rules_file_fini(&file);
        return r;
}
