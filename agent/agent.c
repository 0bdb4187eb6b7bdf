/*
 * agent: see agent.h.
 *
 * Everything that connects two rooms is here, and only that: the spool's
 * upcalls become pauses, kicks and events; the uplink's become events. Stopping
 * goes the way the data goes: drivers, then uplink, then the last commit.
 *
 * Fails at start with a sentence (spool, driver); afterwards it does not fail:
 * faults are states that status shows.
 */
#include "agent/agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "agent/again.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/control/forget.h"

/*
 * What is on its way to Kafka can't be dropped from the spool, so it must be a
 * small part of it.
 */
enum {
        DROP_NOTE_US = 10000000,
        HEARTBEAT_US = 60000000,
        HEARTBEAT_AGAIN_US = 1000000,
        COMMIT_MAX_US = 60000000,
        LAST_ROWS_US = 20000,
        SPOOL_PER_WINDOW = 8
};

/* ---- what the spool tells ---- */

static void on_spool_room(void *ctx)
{
        struct agent *a = ctx;

        host_room(a->host);
}

static void on_spool_committed(void *ctx)
{
        struct agent *a = ctx;

        uplink_kick(a->uplink);
}

static void on_spool_interval(void *ctx)
{
        host_commits(((struct agent *)ctx)->host);
}

static void on_spool_pressure(void *ctx, bool high)
{
        struct agent *a = ctx;
        bool pauses = high && a->conf->spool.when_full == SPOOL_BLOCK;

        a->spool_high = high;
        if (high)
                log_warn("spool", "over 90 %% of what fits is held; %s",
                         a->conf->spool.when_full == SPOOL_BLOCK         ? "sources are paused until Kafka takes it"
                         : a->conf->spool.when_full == SPOOL_DROP_NEWEST ? "when it is full, new readings are dropped"
                         : a->conf->spool.when_full == SPOOL_THIN ? "when it is full, the oldest become one a minute"
                                                                  : "when it is full, the oldest are dropped");
        pipeline_event(&a->pipeline, "spool_pressure", high ? EVENT_BACKLOG : EVENT_NORMAL, SPOOL_NO_TAG,
                       "\"state\":\"%s\",\"paused\":%s", high ? "high" : "normal", pauses ? "true" : "false");
        host_pause(a->host, pauses);
}

static void on_spool_fault(void *ctx, const char *what)
{
        struct agent *a = ctx;
        struct event_words words;

        host_disk(a->host, what != NULL);
        pipeline_event(&a->pipeline, "spool_fault", what ? EVENT_FAILURE : EVENT_NORMAL, SPOOL_NO_TAG,
                       "\"state\":\"%s\",\"why\":\"%s\"", what ? "failing" : "normal",
                       event_words(&words, what ? what : "", EVENT_WORDS));
}

/* The next start finds the rescue's marker. */
static void on_spool_damaged(void *ctx)
{
        const struct agent *a = ctx;

        again_now(a->stopping);
}

static void tell_dropped(struct agent *a)
{
        struct drop_note *d = &a->dropped;

        if (!d->n)
                return;
        log_warn("spool", "dropped %llu readings (%s), seq %llu to %llu", (unsigned long long)d->n, d->reason,
                 (unsigned long long)d->first_seq, (unsigned long long)d->last_seq);
        pipeline_event(&a->pipeline, "dropped", EVENT_LOSS, SPOOL_NO_TAG,
                       "\"reason\":\"%s\",\"n\":%llu,\"first_seq\":%llu,\"last_seq\":%llu", d->reason,
                       (unsigned long long)d->n, (unsigned long long)d->first_seq, (unsigned long long)d->last_seq);
        d->n = 0;
        a->dropped_told_us = rt_mono_us(a->rt);
}

static void on_spool_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        struct agent *a = ctx;
        struct drop_note *d = &a->dropped;

        if (!health_drop_is_told(reason)) {
                a->n_dropped += n;
                snprintf(a->drop_reason, sizeof(a->drop_reason), "%s", reason);
        }
        if (d->n && strcmp(d->reason, reason))
                tell_dropped(a);
        if (!d->n) {
                d->first_seq = first_seq;
                snprintf(d->reason, sizeof(d->reason), "%s", reason);
        }
        d->n += n;
        d->last_seq = last_seq;
}

/* ---- what the uplink tells ---- */

static void on_uplink_state(void *ctx, bool up, const char *why)
{
        struct agent *a = ctx;
        struct event_words words;

        pipeline_event(&a->pipeline, "uplink", up ? EVENT_NORMAL : EVENT_BACKLOG, SPOOL_NO_TAG,
                       "\"state\":\"%s\",\"why\":\"%s\"", up ? "up" : "down",
                       event_words(&words, why ? why : "", EVENT_WORDS));
}

static void on_uplink_resent(void *ctx, uint32_t token, bool delivered, const char *why)
{
        requeue_report(((struct agent *)ctx)->requeue, token, delivered, why);
}

/* ---- timers ---- */

/*
 * Readings of this run that came while the clock was wrong are moved to where
 * they belong.
 */
static void watch_clock(struct agent *a, bool unsynced)
{
        uint64_t seq = spool_appended_seq(a->spool, SPOOL_SAMPLES);
        struct rt_time now;
        bool was_unsynced;
        int64_t by_us;

        rt_now(a->rt, &now);
        by_us = clock_update(&a->clock, &now, unsynced, &was_unsynced);
        a->pipeline.clock_unsynced = unsynced;
        if (by_us) {
                log_notice("clock", "stepped by %.3f s%s", (double)by_us / 1e6,
                           was_unsynced ? "; readings not yet sent are moved by it" : "");
                pipeline_event(&a->pipeline, "clock", EVENT_NOTICE, SPOOL_NO_TAG, "\"step_ms\":%lld,\"repaired\":%s",
                               (long long)(by_us / 1000), was_unsynced ? "true" : "false");
                if (was_unsynced)
                        spool_repair_time(a->spool, by_us, a->first_seq, a->seq_at_update);
        }
        a->seq_at_update = seq;
}

void agent_set_interval(struct agent *a)
{
        int64_t interval_us = (int64_t)((double)a->conf->spool.commit_interval_us * a->flash.slowdown);

        spool_set_commit_interval(a->spool, interval_us < COMMIT_MAX_US ? interval_us : COMMIT_MAX_US);
        host_slow_acks(a->host, a->flash.slowdown);
}

/*
 * What is written a day against the budget: commits and acknowledgements wait
 * longer when it would be exceeded.
 */
static void spare_flash(struct agent *a)
{
        if (flash_update(&a->flash, &a->conf->flash, status_bytes_written(), rt_mono_us(a->rt)))
                agent_set_interval(a);
}

static void on_each_second(struct rt_timer *t)
{
        struct agent *a = list_entry(t, struct agent, each_second);
        struct timex clock = {0};

        rt_timer_set(a->rt, t, 1000000);
        watch_clock(a, adjtimex(&clock) == TIME_ERROR);
        status_each_second(a);
        spare_flash(a);
        spool_watch(a->spool);
        log_tell_left_out();
        shares_tell(&a->shares, a->tags, &a->pipeline);
        forget_settle(a);
        if (a->dropped.n && rt_mono_us(a->rt) - a->dropped_told_us >= DROP_NOTE_US)
                tell_dropped(a);
        conditions_look(a);
        books_look(a);
}

static void on_heartbeat(struct rt_timer *t)
{
        struct agent *a = list_entry(t, struct agent, heartbeat);
        char *json = status_heartbeat_json(a);

        rt_timer_set(a->rt, t, uplink_heartbeat(a->uplink, json, strlen(json)) ? HEARTBEAT_US : HEARTBEAT_AGAIN_US);
        free(json);
}

/* ---- life ---- */

static int add_drivers(struct agent *a, struct err *e)
{
        for (size_t i = 0; i < a->conf->n_drivers; i++) {
                const struct config_driver *d = &a->conf->drivers[i];

                if (host_add(a->host, d->ops, d->name, d->conf, e) < 0)
                        return -1;
        }
        shares_set(a->tags, a->conf);
        return 0;
}

static bool is_configured(const void *ctx, const char *driver)
{
        const struct config *c = ctx;
        size_t i = 0;

        while (i < c->n_drivers && strcmp(c->drivers[i].name, driver) != 0)
                i++;
        return i < c->n_drivers;
}

void agent_watch_conf(struct agent *a, struct alarms_conf *out)
{
        *out = (struct alarms_conf){.gateway = a->gateway,
                                    .rules = a->conf->alarm_sections.alarms,
                                    .is_configured = is_configured,
                                    .ctx = a->conf,
                                    .put_event = pipeline_put_event,
                                    .event_ctx = &a->pipeline};
}

void agent_kafka_conf(struct agent *a)
{
        a->kafka = a->conf->kafka;
        if (a->kafka.window_bytes > a->conf->spool.max_size_bytes / SPOOL_PER_WINDOW)
                a->kafka.window_bytes = a->conf->spool.max_size_bytes / SPOOL_PER_WINDOW;
}

static int open_alarms(struct agent *a, struct err *e)
{
        struct alarms_conf conf;

        agent_watch_conf(a, &conf);
        a->alarms = alarms_new(a->rt, &conf, a->tags, a->spool, e);
        if (!a->alarms || notifiers_open(&a->notifiers, a->rt, a->conf, a->alarms, e) < 0)
                return -1;
        if (a->conf->alarm_sections.thin.n)
                a->thinning = thinning_new(&a->conf->alarm_sections.thin, a->tags);
        return 0;
}

/* A key that can't be used holds up no reading: seals go without a signature, which who checks them is told. */
static void open_signer(struct agent *a)
{
        struct err e;

        if (!a->kafka.sign_key || !a->kafka.seal)
                return;
        a->signer = signer_open(a->kafka.sign_key, &e);
        if (a->signer)
                log_info("kafka", "seals are signed, the public key's fingerprint is %s",
                         signer_fingerprint(a->signer));
        else
                log_error("kafka", "seals are not signed: %s", e.text);
}

int agent_open(struct agent *a, struct rt *rt, const struct config *conf, struct sink *sink, struct err *e)
{
        struct spool_upcalls from_spool = {.on_room = on_spool_room,
                                           .on_interval = on_spool_interval,
                                           .on_committed = on_spool_committed,
                                           .on_pressure = on_spool_pressure,
                                           .on_fault = on_spool_fault,
                                           .on_dropped = on_spool_dropped,
                                           .on_damaged = on_spool_damaged,
                                           .ctx = a};
        struct uplink_upcalls from_uplink = {.on_state = on_uplink_state, .on_again = on_uplink_resent, .ctx = a};
        struct spool_counts counts;
        bool damaged;

        *a = (struct agent){.rt = rt, .conf = conf, .sink = sink};
        flash_init(&a->flash);
        conditions_init(a);
        certificates_init(&a->certificates, rt, conf);
        a->each_second.on_due = on_each_second;
        a->heartbeat.on_due = on_heartbeat;
        a->gateway = mem_strdup(conf->gateway);
        a->tags = tags_new((size_t)conf->max_tags);
        if (spool_open(&a->spool, rt, &conf->spool, conf->gateway, a->tags, &from_spool, e) < 0) {
                agent_close(a);
                return -1;
        }
        if (open_alarms(a, e) < 0) {
                damaged = spool_is_damaged(a->spool);
                agent_abandon(a); /* what they gave to the spool is gone with them */
                if (damaged) {
                        log_error("spool", "%s; beginning anew to rescue it", e->text);
                        again_now(false);
                }
                return -1;
        }
        pipeline_init(&a->pipeline, rt, a->tags, a->spool, conf->alarm_sections.alarms.n ? a->alarms : NULL,
                      a->thinning);
        a->host = host_new(rt, &a->pipeline, a->spool, a->tags, a->gateway);
        spool_counts(a->spool, &counts);
        agent_kafka_conf(a);
        a->uplink =
                uplink_new(rt, &a->kafka, &(struct uplink_identity){.gateway = conf->gateway, .epoch = counts.epoch},
                           a->spool, a->tags, sink, &from_uplink);
        open_signer(a);
        a->requeue = requeue_new(rt, conf->spool.path, a->spool, a->uplink);
        tags_on_unit(a->tags, pipeline_unit_changed, &a->pipeline);
        if (add_drivers(a, e) < 0) {
                agent_close(a);
                return -1;
        }
        return 0;
}

void agent_start(struct agent *a)
{
        char books[BOOKS_MEMBERS];

        a->started_us = rt_mono_us(a->rt);
        a->first_seq = a->seq_at_update = spool_appended_seq(a->spool, SPOOL_SAMPLES);
        a->dropped_told_us = a->started_us - DROP_NOTE_US;
        pipeline_event(&a->pipeline, "agent", EVENT_NORMAL, SPOOL_NO_TAG, "\"state\":\"started\",\"version\":\"%s\",%s",
                       MILLRACE_VERSION, books_members(books, a));
        rt_timer_set(a->rt, &a->each_second, 0);
        rt_timer_set(a->rt, &a->heartbeat, 1000000);
        uplink_kick(a->uplink);
        alarms_start(a->alarms);
        notifiers_start(&a->notifiers);
        host_start(a->host);
        certificates_look(&a->certificates, a->conf);
}

static void on_last_durable(struct spool_sync *q)
{
}

/*
 * While Kafka takes records, what was committed last goes out too; an uplink
 * that is down is not waited for.
 */
static void on_last_rows(struct rt_timer *t)
{
        struct agent *a = list_entry(t, struct agent, last_rows);
        int64_t left_us = a->stop_by_us - rt_mono_us(a->rt);
        struct uplink_status up;
        struct spool_counts c;
        bool is_up;

        uplink_status(a->uplink, &up);
        spool_counts(a->spool, &c);
        is_up = !strcmp(up.state, "up");
        if (is_up && left_us > 0 && c.held + c.events_held > 0) {
                if (list_empty(&a->last_sync.node))
                        spool_sync(a->spool, &a->last_sync);
                rt_timer_set(a->rt, t, LAST_ROWS_US);
                return;
        }
        spool_sync_cancel(&a->last_sync);
        uplink_stop(a->uplink, is_up && left_us > 0 ? left_us : 0, a->on_stopped, a->ctx);
}

static void on_host_stopped(void *ctx)
{
        struct agent *a = ctx;

        alarms_stop(a->alarms);
        pipeline_end(&a->pipeline);
        tell_dropped(a);
        a->last_rows.on_due = on_last_rows;
        a->last_sync.on_durable = on_last_durable;
        list_init(&a->last_sync.node);
        spool_sync(a->spool, &a->last_sync);
        rt_timer_set(a->rt, &a->last_rows, LAST_ROWS_US);
}

void agent_stop(struct agent *a, int64_t within_us, void (*on_stopped)(void *ctx), void *ctx)
{
        char books[BOOKS_MEMBERS];

        a->on_stopped = on_stopped;
        a->ctx = ctx;
        a->stop_by_us = rt_mono_us(a->rt) + within_us;
        rt_timer_cancel(a->rt, &a->heartbeat);
        requeue_stop(a->requeue);
        a->stopping = true;
        pipeline_event(&a->pipeline, "agent", EVENT_NORMAL, SPOOL_NO_TAG, "\"state\":\"stopping\",%s",
                       books_members(books, a));
        host_stop(a->host, on_host_stopped, a);
}

static void release(struct agent *a)
{
        rt_timer_cancel(a->rt, &a->each_second);
        rt_timer_cancel(a->rt, &a->heartbeat);
        rt_timer_cancel(a->rt, &a->last_rows);
        if (a->host)
                host_free(a->host);
        notifiers_close(&a->notifiers);
        alarms_free(a->alarms);
        if (a->thinning)
                thinning_free(a->thinning);
        requeue_free(a->requeue);
        uplink_free(a->uplink);
        signer_free(a->signer);
        free(a->reload.faults);
        conditions_fini(&a->conditions);
        certificates_fini(&a->certificates);
        free(a->gateway);
        tags_free(a->tags);
}

bool agent_close(struct agent *a)
{
        bool all = !a->spool || spool_close(a->spool);

        release(a);
        return all;
}

void agent_abandon(struct agent *a)
{
        spool_abandon(a->spool);
        release(a);
}
