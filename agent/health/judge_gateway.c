/*
 * judge_gateway: the gateway itself: its configuration, certificates, clock,
 * flash, and who tells of alarms.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/health/judge.h"

enum { CERTIFICATE_DAYS = 30 };

static void judge_config(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        struct health_condition *at;

        if (f->config_refused || f->config_partly) {
                at = health_hold(h, f->config_refused ? HEALTH_CONFIG_REFUSED : HEALTH_CONFIG_PARTLY, "configuration",
                                 health_mono_kept(&m->config, f, f->config_at_us));
                health_what(at, "%s: %s",
                            f->config_refused ? "it was changed and is not in use" : "not all of it is in use",
                            *f->config_fault ? f->config_fault : "the log says why");
                health_todo(at, "millrace check; then systemctl reload millrace");
        }
        if (*f->restart_keys) {
                at = health_hold(h, HEALTH_RESTART_NEEDED, "configuration",
                                 health_mono_kept(&m->config, f, f->config_at_us));
                health_what(at, "changed, and in use after a restart only: %s", f->restart_keys);
                health_todo(at, "systemctl restart millrace");
        }
}

/* Of one user: the others are told when it is mended. */
static bool ends_first(const struct health_facts *f, size_t i)
{
        const struct health_certificate *c = f->certificates;
        bool first = true;

        for (size_t k = 0; k < f->n_certificates; k++)
                if (k != i && !strcmp(c[k].user, c[i].user))
                        first &= c[k].not_after_us > c[i].not_after_us ||
                                 (c[k].not_after_us == c[i].not_after_us && k > i);
        return first;
}

/*
 * By a clock that nobody has set to anything it is a notice: a plant without a
 * time server has certificates, too, and one whose clock is wrong is well.
 */
static void judge_certificates(struct health *h, const struct health_facts *f)
{
        const char *unsure = f->clock_unsynced ? ", or the clock here is wrong" : "";

        for (size_t i = 0; i < f->n_certificates; i++) {
                const struct health_certificate *c = &f->certificates[i];
                double days = (double)(c->not_after_us - f->now.wall_us) / (86400.0 * 1e6);
                bool over = days <= 0 && !f->clock_unsynced;
                struct health_condition *at;

                if (days > CERTIFICATE_DAYS || !ends_first(f, i))
                        continue;
                at = health_hold(h, over ? HEALTH_CERTIFICATE_OVER : HEALTH_CERTIFICATE_SOON, c->user,
                                 over ? health_mono(f, c->not_after_us) : 0);
                if (days <= 0)
                        health_what(at, "the certificate %s has expired%s", c->path, unsure);
                else
                        health_what(at, "the certificate %s expires in %.0f day%s%s", c->path, ceil(days),
                                    days > 1 ? "s" : "", unsure);
                health_todo(at, "put a new one at %s, then systemctl reload millrace", c->path);
        }
}

static void judge_host(struct health *h, const struct health_facts *f)
{
        struct health_condition *at;
        char day[24], budget[24];

        if (f->clock_unsynced) {
                at = health_hold(h, HEALTH_CLOCK_UNSYNCED, "clock", 0);
                health_what(at, "the system clock is not synchronised; readings are marked");
                health_todo(at, "timedatectl set-ntp true, or install chrony; timedatectl timesync-status says more");
        }
        if (f->flash_slowdown > 1) {
                text_put_size(day, sizeof(day), (uint64_t)f->flash_day_bytes);
                text_put_size(budget, sizeof(budget), f->flash_budget_bytes);
                at = health_hold(h, HEALTH_FLASH_OVER, "flash", 0);
                health_what(at, "%s a day would be written, the budget is %s: commits wait %.1f times as long", day,
                            budget, f->flash_slowdown);
                health_todo(at, "nothing, if acknowledgements may be late; else raise flash.max_per_day or thin tags");
        }
        if (f->notifies && !f->notify_up) {
                at = health_hold(h, HEALTH_NOTIFY_DOWN, "notify", 0);
                health_what(at, "alarms are not told over MQTT: its broker is away");
                health_todo(at, "start the broker of notify.mqtt, or correct its url");
        }
}

void health_judge_gateway(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        judge_config(h, m, f);
        judge_certificates(h, f);
        judge_host(h, f);
}
