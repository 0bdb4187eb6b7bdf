/*
 * doctor: goes through all that can be tried, and says what is wrong first:
 * `millrace doctor`.
 *
 * For somebody who has just installed it, or stands before it at night and
 * knows nothing: one command, and for each finding what to do.  Each part is
 * tried by itself, so that one that hangs or fails hides no other; what needs
 * the configuration waits until that is right.
 *
 * Exit status 0: nothing is wrong (warnings and notes may be); 1: a fault; 78:
 * the configuration has faults, and what needs it was not tried.
 */
#include "agent/cli/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/stop.h"

const char *finding_level_name(enum finding_level level)
{
        static const char *const names[N_FINDING_LEVELS] = {"fault", "warning", "note", "ok"};

        return names[level];
}

void doctor_find(struct doctor *d, enum finding_level level, const char *area, const char *subject, const char *todo,
                 const char *fmt, ...)
{
        char words[2 * FINDING_TEXT_MAX];
        struct finding *f;
        va_list ap;

        d->count[level]++;
        if (d->n == FINDINGS_MAX) {
                d->n_more++;
                return;
        }
        d->list = mem_grow(d->list, d->n + 1, sizeof(*d->list));
        f = &d->list[d->n++];
        *f = (struct finding){.level = level, .area = area};
        text_copy(f->subject, sizeof(f->subject), subject);
        text_copy(f->todo, sizeof(f->todo), todo);
        va_start(ap, fmt);
        vsnprintf(words, sizeof(words), fmt, ap);
        va_end(ap);
        text_copy(f->what, sizeof(f->what), words);
}

/* ---- the configuration ---- */

static void on_loaded(const struct config *conf, struct faults *faults)
{
        struct err e;

        if (kafka_sink_check(&conf->kafka, conf->gateway, &e) < 0)
                faults_add(faults, &conf->kafka.at, "", "%s", e.text);
}

static void take_faults(struct doctor *d, const struct faults *faults, enum finding_level level, const char *todo)
{
        char at[160];

        for (size_t i = 0; i < faults->n; i++) {
                const struct fault *f = &faults->items[i];

                snprintf(at, sizeof(at), f->at.line ? "%.120s:%d:%d" : "%.120s", f->at.file ? f->at.file : d->c->config,
                         f->at.line, f->at.column);
                doctor_find(d, level, "configuration", at, todo, "%s", f->text);
        }
}

static void look_at_configuration(struct doctor *d)
{
        struct faults faults = {0};

        if (config_load_more(d->c->config, on_loaded, &d->conf, &faults) < 0)
                take_faults(d, &faults, FINDING_FAULT, "millrace check shows the line");
        else if (d->conf->notices.n)
                take_faults(d, &d->conf->notices, FINDING_WARNING, "");
        else
                doctor_find(d, FINDING_OK, "configuration", d->c->config, "", "gateway %s, %zu source%s",
                            d->conf->gateway, d->conf->n_drivers, d->conf->n_drivers == 1 ? "" : "s");
        faults_fini(&faults);
}

/* ---- what was found ---- */

static void print_json(struct cli *c, const struct finding *f)
{
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "level", finding_level_name(f->level), "area", f->area,
                              "subject", f->subject, "what", f->what, "todo", *f->todo ? f->todo : NULL);

        json_dumpf(o, c->out.f, JSON_COMPACT);
        fputc('\n', c->out.f);
        json_decref(o);
}

static void print_finding(struct cli *c, const struct finding *f)
{
        static const enum out_colour colours[N_FINDING_LEVELS] = {OUT_RED, OUT_YELLOW, OUT_BOLD, OUT_GREEN};
        char subject[sizeof(f->subject)], what[FINDING_TEXT_MAX], todo[sizeof(f->todo)];

        out_put_clean(todo, sizeof(todo), f->todo);
        out_put_clean(subject, sizeof(subject), f->subject);
        out_put_clean(what, sizeof(what), f->what);
        fprintf(c->out.f, "%s%-8s%s %s %s: %s\n", out_on(&c->out, colours[f->level]), finding_level_name(f->level),
                out_off(&c->out), f->area, subject, what);
        if (*todo)
                fprintf(c->out.f, "         -> %s\n", todo);
}

static void print_verdict(struct doctor *d)
{
        const size_t *n = d->count;

        fprintf(d->c->out.f, "%zu fault%s, %zu warning%s, %zu note%s; %zu right\n", n[FINDING_FAULT],
                n[FINDING_FAULT] == 1 ? "" : "s", n[FINDING_WARNING], n[FINDING_WARNING] == 1 ? "" : "s",
                n[FINDING_NOTE], n[FINDING_NOTE] == 1 ? "" : "s", n[FINDING_OK]);
}

static void print(struct doctor *d)
{
        if (!d->c->out.json)
                print_verdict(d);
        for (int level = 0; level < N_FINDING_LEVELS; level++)
                for (size_t i = 0; i < d->n; i++)
                        if (d->list[i].level == (enum finding_level)level)
                                d->c->out.json ? print_json(d->c, &d->list[i]) : print_finding(d->c, &d->list[i]);
        if (d->n_more && !d->c->out.json)
                fprintf(d->c->out.f, "and %zu more\n", d->n_more);
}

/* ---- the round ---- */

static const struct {
        const char *what;
        void (*look)(struct doctor *d);
} rounds[] = {
        {"rights", doctor_rights}, {"the daemon", doctor_daemon}, {"the clock", doctor_clock},
        {"the disk", doctor_disk}, {"the spool", doctor_spool},   {"the service", doctor_service},
        {"Kafka", doctor_kafka},   {"MQTT", doctor_brokers},      {"the sources", doctor_sources},
};

static void look_around(struct doctor *d)
{
        for (size_t i = 0; i < sizeof(rounds) / sizeof(*rounds) && !stop_asked(); i++) {
                if (d->c->out.terminal)
                        fprintf(stderr, "looking at %s …\r\033[K", rounds[i].what);
                rounds[i].look(d);
        }
}

static int end(struct doctor *d)
{
        struct err e;
        int r = d->count[FINDING_FAULT] ? CLI_NO : CLI_OK;

        r = d->conf ? r : CLI_CONFIG;
        if (cli_has(d->c, CLI_BIT(REPORT)) && doctor_report(d, d->c->report, &e) < 0)
                r = cli_fail(CLI_NO, "%s", e.text);
        json_decref(d->status);
        config_free(d->conf);
        free(d->list);
        return r;
}

int cmd_doctor(struct cli *c)
{
        struct doctor d = {.c = c};

        stop_arm();
        look_at_configuration(&d);
        if (d.conf)
                look_around(&d);
        else
                doctor_clock(&d);
        print(&d);
        return end(&d);
}
