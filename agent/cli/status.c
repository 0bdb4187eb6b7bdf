/*
 * status: the daemon's own words, or without it what the spool's file says.
 *
 * Both are the same JSON object (operator.md), so that a script need not care
 * who answered; what only a running daemon knows (rates, uptime, drivers) is
 * null or empty then, and health is failed.
 */
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"
#include "agent/cli/status_view.h"
#include "agent/cli/status_watch.h"

static void put_counts(json_t *o, const struct cli *c, const struct places *p, const struct spool_counts *n)
{
        int64_t age_us = n->held && n->oldest_held_ts_us ? c->now_us - n->oldest_held_ts_us : 0;

        json_object_set_new(o, "accepted", json_integer((json_int_t)n->accepted));
        json_object_set_new(o, "delivered", json_integer((json_int_t)n->delivered));
        json_object_set_new(o, "held", json_integer((json_int_t)n->held));
        json_object_set_new(o, "dropped", json_integer((json_int_t)n->dropped));
        json_object_set_new(o, "held_bytes", json_integer((json_int_t)n->held_bytes));
        json_object_set_new(o, "oldest_held_age_s", json_real(age_us > 0 ? (double)age_us / 1e6 : 0));
        json_object_set_new(o, "spool_bytes", json_integer((json_int_t)n->spool_bytes));
        json_object_set_new(o, "spool_max_bytes",
                            p->spool_max_bytes ? json_integer((json_int_t)p->spool_max_bytes) : json_null());
        json_object_set_new(o, "spool_usable_bytes",
                            p->spool_max_bytes ? json_integer((json_int_t)p->spool_usable_bytes) : json_null());
}

/*
 * Since when: the daemon's last write is the nearest that a file can tell.
 */
static json_t *not_running(const struct cli *c, const struct places *p)
{
        static const char *const ends[] = {"", "-wal"};
        char path[4096], at[TEXT_TIME_MAX] = "";
        int64_t last_us = 0;
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", "not_running", "severity", "failed", "subject",
                              "millraced", "what", "it does not run; the numbers are those of the spool's file", "todo",
                              "systemctl start millrace; why it ended: journalctl -u millrace -n 50");

        for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
                struct stat st;

                snprintf(path, sizeof(path), "%s%s", p->spool, ends[i]);
                if (stat(path, &st) == 0 && (int64_t)st.st_mtim.tv_sec * 1000000 > last_us)
                        last_us = (int64_t)st.st_mtim.tv_sec * 1000000;
        }
        at[last_us ? text_put_time(at, last_us) : 0] = '\0';
        json_object_set_new(o, "since", last_us ? json_string(at) : json_null());
        json_object_set_new(o, "for_s", last_us ? json_real((double)(c->now_us - last_us) / 1e6) : json_null());
        return o;
}

static json_t *from_file(const struct cli *c, const struct places *p, struct err *e)
{
        struct spool_counts n;
        struct spool_query *q;
        json_t *o;

        if (spool_query_open(&q, p->spool, e) < 0)
                return NULL;
        if (spool_query_counts(q, &n, e) < 0) {
                spool_query_close(q);
                return NULL;
        }
        o = json_pack("{s:s, s:s, s:I, s:n}", "health", "failed", "gateway", spool_query_gateway(q), "epoch",
                      (json_int_t)spool_query_epoch(q), "uptime_s");
        put_counts(o, c, p, &n);
        json_object_set_new(o, "accept_rate", json_null());
        json_object_set_new(o, "deliver_rate", json_null());
        json_object_set_new(o, "drain_eta_s", json_null());
        json_object_set_new(o, "alarms", json_pack("{s:n, s:n}", "active", "unacked"));
        json_object_set_new(o, "drivers", json_array());
        json_object_set_new(o, "uplink",
                            json_pack("{s:s, s:i, s:b, s:s, s:n, s:[]}", "state", "stopped", "in_flight", 0, "paused",
                                      0, "last_error", "", "last_error_at", "lanes"));
        json_object_set_new(o, "heartbeat", json_pack("{s:s, s:s, s:n}", "state", "stopped", "why", "", "why_at"));
        json_object_set_new(o, "flash", json_pack("{s:n, s:n}", "bytes_today", "bytes_per_reading"));
        json_object_set_new(o, "conditions", json_pack("[o]", not_running(c, p)));
        json_object_set_new(o, "conditions_total", json_integer(1));
        json_object_set_new(o, "fault", json_string("the daemon is not running; this is what the spool's file says"));
        spool_query_close(q);
        return o;
}

static int print(struct cli *c, const json_t *status)
{
        const char *health = json_string_value(json_object_get(status, "health"));

        if (c->out.json) {
                json_dumpf(status, c->out.f, JSON_COMPACT | JSON_REAL_PRECISION(9));
                fputc('\n', c->out.f);
        } else {
                status_print(&c->out, status);
        }
        return health && strcmp(health, "ok") == 0 ? CLI_OK : CLI_NO;
}

/* The daemon is silent for `why`: the file speaks. */
static int tell_from_file(struct cli *c, const struct places *p, const struct err *why)
{
        struct err e;
        json_t *status = from_file(c, p, &e);
        int r;

        if (!status)
                return cli_fail(CLI_AWAY, "%s; %s", why->text, e.text);
        r = print(c, status);
        json_decref(status);
        return r;
}

static int show(struct cli *c, const struct places *places)
{
        json_t *request = json_pack("{s:s}", "cmd", "status"), *reply;
        struct err e;
        int r = ctl_ask(places->socket, request, &reply, &e);

        if (r == 0) {
                r = print(c, reply);
                json_decref(reply);
        } else if (r == CTL_E_AWAY) {
                r = tell_from_file(c, places, &e);
        } else {
                r = cli_fail(CLI_AWAY, "%s", e.text);
        }
        json_decref(request);
        return r;
}

int cmd_status(struct cli *c)
{
        struct places places;
        int r = places_find(c, &places);

        if (r)
                return r;
        r = cli_has(c, CLI_BIT(WATCH)) ? status_watch(c, show, &places) : show(c, &places);
        places_fini(&places);
        return r;
}
