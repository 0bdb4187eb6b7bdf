/*
 * status: what people see of a running agent, as the JSON object of the control
 * socket and as the heartbeat record.
 *
 * health and its reasons come from agent/health (conditions.c).  Rates are means over the last
 * ten seconds.  Bytes written are the process's own (/proc/self/io write_bytes:
 * what went to the block layer), so they hold what SQLite's WAL really costs.
 */
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/base/text.h"
#include "agent/control/alarms.h"

enum { DAY_S = 86400, FAULTS_SHOWN = 20 };

uint64_t status_bytes_written(void)
{
        FILE *f = fopen("/proc/self/io", "re");
        char line[80];
        uint64_t n = 0;

        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "write_bytes: %" SCNu64, &n) == 1)
                        break;
        fclose(f);
        return n;
}

void status_each_second(struct agent *a)
{
        struct spool_counts c;
        struct rt_time now;
        unsigned i = a->n_past++ % (RATE_SECONDS + 1);

        rt_now(a->rt, &now);
        host_each_second(a->host);
        spool_counts(a->spool, &c);
        a->past[i].accepted = c.accepted;
        a->past[i].delivered = c.delivered;
        a->past[i].mono_us = now.mono_us;
        if (now.wall_us / 1000000 / DAY_S != a->day) {
                a->io_bytes_at_midnight = a->day ? status_bytes_written() : 0;
                a->day = now.wall_us / 1000000 / DAY_S;
        }
}

struct rates {
        double accept, deliver;
};

static struct rates rates_now(const struct agent *a, const struct spool_counts *c)
{
        struct rates r = {0};
        unsigned oldest = a->n_past > RATE_SECONDS ? a->n_past % (RATE_SECONDS + 1) : 0;
        double dt_s;

        if (!a->n_past)
                return r;
        dt_s = (double)(rt_mono_us(a->rt) - a->past[oldest].mono_us) / 1e6;
        if (dt_s < 0.1)
                return r;
        r.accept = (double)(c->accepted - a->past[oldest].accepted) / dt_s;
        r.deliver = (double)(c->delivered - a->past[oldest].delivered) / dt_s;
        return r;
}

static double oldest_age_s(const struct spool_counts *c, int64_t wall_us)
{
        int64_t age_us = c->held && c->oldest_held_ts_us ? wall_us - c->oldest_held_ts_us : 0;

        return age_us > 0 ? (double)age_us / 1e6 : 0;
}

/*
 * Whatever a driver or a library put there, it is valid UTF-8 here: or the
 * whole object would be missing.
 */
static json_t *words_json(const char *words)
{
        char text[256];

        text_copy(text, sizeof(text), words);
        return json_string(text);
}

static json_t *time_json(int64_t wall_us)
{
        char at[TEXT_TIME_MAX];

        if (!wall_us)
                return json_null();
        at[text_put_time(at, wall_us)] = '\0';
        return json_string(at);
}

/*
 * Tags that it made of names from the wire, and what was refused of these
 * names.
 */
static void put_names(json_t *o, const struct driver *d)
{
        const struct tags_item *it = tags_item_of(d->tags, d->name);
        bool bounded = it && it->most != SIZE_MAX && it->most != 0;

        json_object_set_new(o, "tags", json_integer(it ? (json_int_t)it->n : 0));
        json_object_set_new(o, "max_tags", bounded ? json_integer((json_int_t)it->most) : json_null());
        json_object_set_new(o, "names_refused", json_integer(it ? (json_int_t)it->n_full : 0));
        json_object_set_new(o, "sources_refused", json_integer(it ? (json_int_t)it->n_owned : 0));
}

/* 0 stays 0. */
static int64_t wall_of(const struct rt_time *now, int64_t mono_us)
{
        return mono_us ? now->wall_us - (now->mono_us - mono_us) : 0;
}

/* Drivers tell of a device that is down and of its end: one that is not, on a bus that is up, is up. */
static json_t *devices_json(const struct host_source *s, const struct rt_time *now)
{
        bool bus_up = s->d->state == DRIVER_UP;
        json_t *list = json_array();

        for (size_t i = 0; i < s->n_devices; i++) {
                const struct host_device *d = &s->devices[i];
                int64_t since_us = d->since_us > s->state_since_us ? d->since_us : s->state_since_us;

                if (d->down)
                        since_us = d->since_us;
                json_array_append_new(list,
                                      json_pack("{s:s, s:s, s:o, s:o}", "name", d->name, "state",
                                                d->down  ? "down"
                                                : bus_up ? "up"
                                                         : "unknown",
                                                "since", time_json(wall_of(now, since_us)), "why", words_json(d->why)));
        }
        return list;
}

static json_t *driver_json(const struct host_source *s, const struct rt_time *now)
{
        const struct driver *d = s->d;
        json_t *o = json_pack("{s:s, s:s, s:s, s:b}", "name", d->name, "kind", d->ops->kind, "state",
                              host_state_name(d), "paused", (int)d->paused);
        const struct {
                const char *name;
                uint64_t n;
        } counts[] = {
                {"readings", d->n_readings},       {"errors", d->n_errors},     {"malformed", d->n_malformed},
                {"redelivered", d->n_redelivered}, {"overruns", d->n_overruns}, {"thinned", d->n_thinned},
                {"names_mapped", d->n_mapped},     {"untagged", d->n_untagged}, {"absent", d->n_absent},
                {"ignored", d->n_ignored},
        };

        for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
                json_object_set_new(o, counts[i].name, json_integer((json_int_t)counts[i].n));
        put_names(o, d);
        if (d->is_bus) {
                json_object_set_new(o, "busy_s", json_real((double)d->busy_us / 1e6));
                json_object_set_new(o, "load", json_real(d->load < 1 ? d->load : 1));
                json_object_set_new(o, "late", json_integer((json_int_t)d->n_late));
                json_object_set_new(o, "mismatched", json_integer((json_int_t)d->n_mismatched));
                json_object_set_new(o, "crc", json_integer((json_int_t)d->n_crc));
                json_object_set_new(o, "garbage", json_integer((json_int_t)d->n_garbage));
        }
        json_object_set_new(o, "last_error", words_json(d->last_error));
        json_object_set_new(o, "last_error_at", time_json(*d->last_error ? d->last_error_us : 0));
        json_object_set_new(o, "since", time_json(wall_of(now, s->state_since_us)));
        if (s->n_devices) {
                json_object_set_new(o, "devices", devices_json(s, now));
                json_object_set_new(o, "n_devices", json_integer((json_int_t)s->n_devices));
                json_object_set_new(o, "n_devices_down", json_integer((json_int_t)s->n_down));
        }
        return o;
}

static json_t *drivers_json(const struct agent *a)
{
        json_t *list = json_array();
        struct host_source s;
        struct rt_time now;

        rt_now(a->rt, &now);
        for (size_t i = 0; host_source(a->host, i, &s); i++)
                json_array_append_new(list, driver_json(&s, &now));
        return list;
}

static void put_counts(json_t *o, const struct agent *a, const struct spool_counts *c, int64_t wall_us)
{
        json_object_set_new(o, "accepted", json_integer((json_int_t)c->accepted));
        json_object_set_new(o, "delivered", json_integer((json_int_t)c->delivered));
        json_object_set_new(o, "held", json_integer((json_int_t)c->held));
        json_object_set_new(o, "dropped", json_integer((json_int_t)c->dropped));
        json_object_set_new(o, "held_bytes", json_integer((json_int_t)c->held_bytes));
        json_object_set_new(o, "oldest_held_age_s", json_real(oldest_age_s(c, wall_us)));
        json_object_set_new(o, "spool_bytes", json_integer((json_int_t)c->spool_bytes));
        json_object_set_new(o, "spool_max_bytes", json_integer((json_int_t)a->conf->spool.max_size_bytes));
        json_object_set_new(o, "spool_usable_bytes", json_integer((json_int_t)c->usable_bytes));
}

static json_t *lanes_json(const struct uplink_status *up)
{
        json_t *list = json_array();

        for (int i = 0; i < up->n_lanes; i++) {
                const struct uplink_lane_status *l = &up->lane[i];

                json_t *o =
                        json_pack("{s:s, s:I, s:s, s:o, s:o}", "name", l->name, "held", (json_int_t)l->held, "state",
                                  l->state, "why", words_json(l->fault.why), "why_at", time_json(l->fault.at_us));

                if (*l->transaction)
                        json_object_set_new(o, "transaction", json_string(l->transaction));
                json_array_append_new(list, o);
        }
        return list;
}

static json_t *uplink_json(const struct uplink_status *up)
{
        return json_pack("{s:s, s:I, s:I, s:b, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "state", up->state,
                         "in_flight", (json_int_t)up->in_flight, "backlog", (json_int_t)up->backlog, "paused",
                         (int)up->paused, "quiet_until", time_json(up->quiet_until_us), "rate_limit_bytes_s",
                         (json_int_t)up->rate_limit_bytes_s, "last_error", words_json(up->fault.why), "last_error_at",
                         time_json(up->fault.at_us), "lanes", lanes_json(up), "delivered", (json_int_t)up->delivered,
                         "retried", (json_int_t)up->retried, "poisoned", (json_int_t)up->poisoned, "bytes_sent",
                         (json_int_t)up->bytes_sent);
}

/*
 * "0x01 0x02": tenths of its life that an eMMC's two kinds of cells have behind
 * them; absent where there is none.
 */
static void put_emmc_life(json_t *o)
{
        static char path[300];
        unsigned a, b;
        glob_t found;
        FILE *f;

        if (!*path && glob("/sys/block/mmcblk*/device/life_time", 0, NULL, &found) == 0) {
                snprintf(path, sizeof(path), "%s", found.gl_pathv[0]);
                globfree(&found);
        }
        f = *path ? fopen(path, "re") : NULL;
        if (!f)
                return;
        if (fscanf(f, "%x %x", &a, &b) == 2)
                json_object_set_new(o, "emmc_life_used_percent", json_pack("[i, i]", (int)a * 10, (int)b * 10));
        fclose(f);
}

static json_t *flash_json(const struct agent *a, const struct spool_counts *c)
{
        uint64_t written = status_bytes_written();
        json_t *o = json_pack(
                "{s:I, s:f, s:I, s:f}", "bytes_today", (json_int_t)(written - a->io_bytes_at_midnight),
                "bytes_per_reading", c->rows_committed ? (double)written / (double)c->rows_committed : 0.0,
                "forecast_bytes_per_day", (json_int_t)flash_forecast(&a->flash), "stretch", a->flash.slowdown);

        put_emmc_life(o);
        return o;
}

static json_t *alarms_json(struct agent *a)
{
        json_t *o = alarms_ctl_metrics(a->alarms), *notify = json_object();
        struct notify_exec_counts exec;
        struct notify_mqtt_counts mqtt;

        if (a->notifiers.has_exec) {
                notify_exec_counts(a->notifiers.exec, &exec);
                json_object_set_new(notify, "exec",
                                    json_pack("{s:I, s:I, s:I, s:I, s:I}", "started", (json_int_t)exec.started,
                                              "failed", (json_int_t)exec.failed, "timed_out",
                                              (json_int_t)exec.timed_out, "not_run", (json_int_t)exec.not_run,
                                              "waiting", (json_int_t)exec.waiting));
        }
        if (a->notifiers.mqtt) {
                notify_mqtt_counts(a->notifiers.mqtt, &mqtt);
                json_object_set_new(notify, "mqtt",
                                    json_pack("{s:I, s:b, s:b}", "published", (json_int_t)mqtt.published, "up", mqtt.up,
                                              "behind", mqtt.behind));
        }
        json_object_set_new(o, "notify", notify);
        return o;
}

static json_t *events_json(const struct spool_counts *c)
{
        return json_pack("{s:I, s:I, s:I, s:I}", "accepted", (json_int_t)c->events_accepted, "delivered",
                         (json_int_t)c->events_delivered, "held", (json_int_t)c->events_held, "dropped",
                         (json_int_t)c->events_dropped);
}

static json_t *tag_table_json(const struct tags_counts *c)
{
        return json_pack("{s:I, s:I, s:I, s:I}", "known", (json_int_t)c->n, "from_wire", (json_int_t)c->n_wire, "max",
                         (json_int_t)c->most, "forgotten", (json_int_t)c->n_forgotten);
}

static json_t *head_json(const struct agent *a, const struct spool_counts *c)
{
        json_t *o = json_pack("{s:s, s:s, s:I, s:f, s:s}", "health", health_verdict(&a->conditions.health), "gateway",
                              a->conf->gateway, "epoch", (json_int_t)c->epoch, "uptime_s",
                              (double)(rt_mono_us(a->rt) - a->started_us) / 1e6, "version", MILLRACE_VERSION);

        if (a->conf->site)
                json_object_set_new(o, "site", json_string(a->conf->site));
        return o;
}

/* At most so many faults: the rest is counted in the last. */
static json_t *faults_json(const char *lines)
{
        json_t *list = json_array();

        while (lines && *lines && json_array_size(list) < FAULTS_SHOWN) {
                size_t len = strcspn(lines, "\n");

                json_array_append_new(list, json_stringn(lines, len));
                lines += len + (lines[len] == '\n');
        }
        return list;
}

static json_t *config_json(const struct agent *a)
{
        const struct reload_report *r = &a->reload;
        json_t *keys = json_array();

        for (size_t i = 0; i < r->n_keys; i++)
                json_array_append_new(keys, json_string(r->keys[i]));
        return json_pack("{s:s, s:o, s:I, s:I, s:o, s:o}", "state", r->refused ? "refused" : "ok", "reload_at",
                         time_json(r->at_us), "reloads", (json_int_t)r->n_applied, "refused", (json_int_t)r->n_refused,
                         "faults", faults_json(r->faults), "restart_for", keys);
}

char *status_json(struct agent *a)
{
        struct spool_counts c;
        struct uplink_status up;
        struct rt_time now;
        struct rates rates;
        struct tags_counts tags;
        json_t *o;
        char *text;

        rt_now(a->rt, &now);
        spool_counts(a->spool, &c);
        uplink_status(a->uplink, &up);
        tags_counts(a->tags, &tags);
        conditions_look(a);
        rates = rates_now(a, &c);
        o = head_json(a, &c);
        json_object_set_new(o, "conditions", conditions_json(a));
        json_object_set_new(o, "conditions_total", json_integer((json_int_t)health_count(&a->conditions.health)));
        json_object_set_new(o, "conditions_by_name", conditions_by_name(a));
        put_counts(o, a, &c, now.wall_us);
        json_object_set_new(o, "accept_rate", json_real(rates.accept));
        json_object_set_new(o, "deliver_rate", json_real(rates.deliver));
        json_object_set_new(o, "drain_eta_s",
                            c.held && rates.deliver > rates.accept
                                    ? json_real((double)c.held / (rates.deliver - rates.accept))
                                    : json_null());
        json_object_set_new(o, "alarms", alarms_json(a));
        json_object_set_new(o, "drivers", drivers_json(a));
        json_object_set_new(o, "uplink", uplink_json(&up));
        json_object_set_new(o, "heartbeat",
                            json_pack("{s:s, s:o, s:o}", "state", up.heartbeat, "why",
                                      words_json(up.heartbeat_fault.why), "why_at",
                                      time_json(up.heartbeat_fault.at_us)));
        json_object_set_new(o, "events", events_json(&c));
        json_object_set_new(o, "flash", flash_json(a, &c));
        json_object_set_new(o, "config", config_json(a));
        json_object_set_new(o, "thinned", json_integer((json_int_t)pipeline_thinned(&a->pipeline)));
        json_object_set_new(o, "refused", json_integer((json_int_t)a->pipeline.n_refused));
        json_object_set_new(o, "tags", json_integer((json_int_t)tags.n));
        json_object_set_new(o, "tag_table", tag_table_json(&tags));
        json_object_set_new(o, "quarantined", json_integer((json_int_t)c.quarantined));
        json_object_set_new(o, "dead_lettered", json_integer((json_int_t)c.dead_lettered));
        json_object_set_new(o, "clock", json_string(a->pipeline.clock_unsynced ? "unsynced" : "synced"));
        json_object_set_new(o, "fault", words_json(c.fault));
        text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        return text;
}

/*
 * The seal is a text in the heartbeat, so that what is signed are its bytes and
 * no reader's idea of the same JSON.
 */
static void put_seal(json_t *o, struct agent *a, int64_t wall_us)
{
        char *text = mem_alloc(SEAL_TEXT_MAX), signature[SIGN_TEXT];

        if (uplink_seal(a->uplink, wall_us, text)) {
                json_object_set_new(o, "seal", json_string(text));
                if (a->signer && signer_sign(a->signer, text, strlen(text), signature)) {
                        json_object_set_new(o, "seal_signature", json_string(signature));
                        json_object_set_new(o, "seal_key", json_string(signer_fingerprint(a->signer)));
                }
        }
        free(text);
}

char *status_heartbeat_json(struct agent *a)
{
        struct spool_counts c;
        struct rt_time now;
        char ts[TEXT_TIME_MAX], why[256];
        json_t *o;
        char *text;

        rt_now(a->rt, &now);
        spool_counts(a->spool, &c);
        ts[text_put_time(ts, now.wall_us)] = '\0';
        conditions_look(a);
        conditions_headline(a, why, sizeof(why));
        o = head_json(a, &c);
        json_object_set_new(o, "why", json_string(why));
        json_object_set_new(o, "ts", json_string(ts));
        json_object_set_new(o, "ts_us", json_integer(now.wall_us));
        put_counts(o, a, &c, now.wall_us);
        put_seal(o, a, now.wall_us);
        text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        return text;
}
