/*
 * uplink: see uplink.h.  Lanes with the same parts (lane.c), pumped in their
 * order: events, readings, with live_first the backlog (lane_read.c).  Each has
 * a window and a backoff of its own: a topic that is refused holds up its lane
 * only.  One turn of the loop produces a bounded number of records of each,
 * then timers and fds have their turn.
 *
 * Order at the end: uplink_stop, the sink's close (its last reports come here
 * and are still acked), uplink_free.
 */
#include "uplink/uplink.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "uplink/lane.h"

_Static_assert((int)UPLINK_LANES == (int)UPLINK_LANES_MAX, "all lanes are shown");

enum { TURN_RECORDS = 2000, TURN_BACKLOG = 500, LATE_PARTS = 10, MINUTE_US = 60000000 };
enum { TXN_WINDOWS = 20, TXN_PART = 8, TXN_LEAST = 1000 };

void uplink_pump(struct uplink *u)
{
        bool again = false;

        for (int i = 0; i < u->n_lanes; i++) {
                uint32_t budget = i == UPLINK_BACKLOG ? TURN_BACKLOG : TURN_RECORDS;

                again |= lane_pump(&u->lane[i], &budget);
        }
        if (again && !u->stopping)
                rt_timer_set(u->rt, &u->turn, 0);
}

static void on_turn(struct rt_timer *t)
{
        uplink_pump(list_entry(t, struct uplink, turn));
}

/* ---- what the sink tells ---- */

void uplink_note(struct uplink *u, struct uplink_fault *f, const char *why)
{
        struct rt_time now;

        if (!why || !*why)
                return;
        rt_now(u->rt, &now);
        text_copy(f->why, sizeof(f->why), why);
        f->at_us = now.wall_us;
}

/*
 * A refused one is told, since nothing else is sent to its topic, also when it
 * is the first record of all; while the link is down it is the link that tells.
 */
static void on_heartbeat(struct uplink *u, uint32_t token, bool delivered, const char *why)
{
        if (delivered)
                seal_told(&u->seal, token);
        if (!delivered && u->link == LINK_DOWN)
                return;
        u->beats = delivered;
        u->heartbeat = (struct uplink_fault){.at_us = 0};
        if (!delivered)
                uplink_note(u, &u->heartbeat, why && *why ? why : "Kafka does not take it");
}

static void on_report(void *ctx, uint32_t opaque, enum sink_result result, const char *why)
{
        struct uplink *u = ctx;
        uint32_t lane = opaque & OPAQUE_LANE_MASK;

        if (lane == OPAQUE_AGAIN)
                u->up.on_again(u->up.ctx, opaque >> OPAQUE_LANE_BITS, result == SINK_DELIVERED, why);
        else if (lane == OPAQUE_HEARTBEAT)
                on_heartbeat(u, opaque >> OPAQUE_LANE_BITS, result == SINK_DELIVERED, why);
        else
                lane_report(&u->lane[lane], opaque >> OPAQUE_LANE_BITS, result, why);
}

static void on_reports_end(void *ctx)
{
        struct uplink *u = ctx;

        for (int i = 0; i < u->n_lanes; i++)
                lane_settle(&u->lane[i]);
        if (u->stopping)
                uplink_check_stopped(u);
        else
                uplink_pump(u);
}

static void on_state(void *ctx, bool up, const char *why)
{
        struct uplink *u = ctx;
        bool changed = u->link != (up ? LINK_UP : LINK_DOWN);

        u->link = up ? LINK_UP : LINK_DOWN;
        u->fault = (struct uplink_fault){.at_us = 0};
        if (!up)
                uplink_note(u, &u->fault, why);
        if (changed && u->up.on_state)
                u->up.on_state(u->up.ctx, up, why);
}

static void on_line(void *ctx, enum sink_line line, enum txn_event outcome, const struct sink_mark *mark,
                    const char *why)
{
        struct uplink *u = ctx;

        lane_txn_answer(&u->lane[line - SINK_LINE_EVENTS], outcome, mark, why);
        on_reports_end(u);
}

static void on_missing(void *ctx, unsigned missing)
{
        ((struct uplink *)ctx)->missing = missing;
}

/* ---- hours ---- */

/*
 * Looked at each minute: the clock may be set, and the time zone changed under
 * us.
 */
static void look_at_hours(struct uplink *u)
{
        struct rt_time now;

        rt_now(u->rt, &now);
        hours_at(&u->conf->hours, u->conf->rate_limit_bytes_s, now.wall_us, &u->hours);
        if (u->pace.bytes_s != u->hours.bytes_s)
                pace_init(&u->pace, u->hours.bytes_s, now.mono_us);
        if (u->conf->hours.n)
                rt_timer_set(u->rt, &u->hour, MINUTE_US - now.wall_us % MINUTE_US);
        else
                rt_timer_cancel(u->rt, &u->hour);
}

static void on_hour(struct rt_timer *t)
{
        struct uplink *u = list_entry(t, struct uplink, hour);
        struct hours_now before = u->hours;

        look_at_hours(u);
        if (u->hours.quiet != before.quiet)
                log_info("uplink", u->hours.quiet ? "quiet hours: readings wait, events go" : "quiet hours are over");
        if (!u->hours.quiet)
                uplink_kick(u);
}

/* ---- stopping ---- */

static bool is_busy(const struct uplink *u)
{
        bool busy = false;

        for (int i = 0; i < u->n_lanes; i++)
                busy |= lane_is_reading(&u->lane[i]) ||
                        ((u->lane[i].w.n_out || lane_txn_is_busy(&u->lane[i])) && !u->stop_expired);
        return busy;
}

void uplink_check_stopped(struct uplink *u)
{
        if (u->stopped || is_busy(u))
                return;
        u->stopped = true;
        rt_timer_cancel(u->rt, &u->stop_timer);
        u->on_stopped(u->stop_ctx);
}

static void on_stop_expired(struct rt_timer *t)
{
        struct uplink *u = list_entry(t, struct uplink, stop_timer);

        u->stop_expired = true;
        uplink_check_stopped(u);
}

void uplink_stop(struct uplink *u, int64_t within_us, void (*on_stopped)(void *ctx), void *ctx)
{
        BUG_ON(u->stopping);
        u->stopping = true;
        u->on_stopped = on_stopped;
        u->stop_ctx = ctx;
        rt_timer_cancel(u->rt, &u->turn);
        for (int i = 0; i < u->n_lanes; i++) {
                lane_stop(&u->lane[i]);
                lane_txn_end(&u->lane[i]);
        }
        rt_timer_set(u->rt, &u->stop_timer, is_busy(u) ? within_us : 0);
}

/* ---- making, asking ---- */

/*
 * None with exactly once: a seal counts what is acknowledged record by record,
 * not what a transaction takes back or a start finds at the broker.
 */
static void begin_seal(struct uplink *u, uint64_t epoch)
{
        struct spool_counts c;
        const void *packed;
        size_t n;

        u->seals = u->conf->seal && !u->exact;
        spool_counts(u->spool, &c);
        packed = spool_get_seal(u->spool, &n);
        seal_init(&u->seal, epoch, c.acked_seq, packed, n);
}

/*
 * What a transaction may hold is pinned in the spool, also after a restart:
 * so much of it, and no more, can't give way when it is full.
 */
static uint64_t most_rows_of_txn(const struct uplink *u)
{
        uint64_t most = TXN_WINDOWS * (uint64_t)u->conf->window_records, fits;
        struct spool_counts c;

        spool_counts(u->spool, &c);
        fits = c.usable_bytes / TXN_PART / SPOOL_READING_BYTES;
        return most < fits ? most : fits > TXN_LEAST ? fits : TXN_LEAST;
}

struct uplink *uplink_new(struct rt *rt, const struct kafka_conf *conf, const struct uplink_identity *id,
                          struct spool *spool, struct tags *tags, struct sink *sink, const struct uplink_upcalls *up)
{
        struct uplink *u = mem_alloc(sizeof(*u));

        u->rt = rt;
        u->conf = conf;
        u->spool = spool;
        u->tags = tags;
        u->sink = sink;
        u->up = *up;
        u->gateway = mem_strdup(id->gateway);
        u->epoch = id->epoch;
        u->exact = conf->delivery == KAFKA_EXACTLY_ONCE && sink->ops->transact;
        u->turn.on_due = on_turn;
        u->stop_timer.on_due = on_stop_expired;
        record_encoder_init(&u->enc, id);
        begin_seal(u, id->epoch);
        u->hour.on_due = on_hour;
        look_at_hours(u);
        /* A backlog that was overtaken is ended as it began, also when live_first is off by now. */
        u->n_lanes = conf->live_first || spool_goes_ahead_from(spool) ? UPLINK_LANES : UPLINK_BACKLOG;
        for (int i = 0; i < u->n_lanes; i++)
                lane_init(&u->lane[i], u, (enum uplink_lane)i, u->n_lanes == UPLINK_LANES ? 2 : 1);
        u->most_txn = most_rows_of_txn(u);
        spool_pin_sent(spool, SPOOL_EVENTS, u->lane[UPLINK_EVENTS].w.cap);
        spool_pin_sent(spool, SPOOL_SAMPLES, u->exact ? u->most_txn : (uint64_t)conf->window_records);
        sink->up = (struct sink_upcalls){.on_report = on_report,
                                         .on_reports_end = on_reports_end,
                                         .on_state = on_state,
                                         .on_missing = on_missing,
                                         .on_line = on_line,
                                         .ctx = u};
        for (int i = 0; i < u->n_lanes; i++)
                lane_txn_start(&u->lane[i]);
        return u;
}

void uplink_free(struct uplink *u)
{
        if (!u)
                return;
        rt_timer_cancel(u->rt, &u->turn);
        rt_timer_cancel(u->rt, &u->stop_timer);
        rt_timer_cancel(u->rt, &u->hour);
        for (int i = 0; i < u->n_lanes; i++)
                lane_fini(&u->lane[i]);
        record_encoder_fini(&u->enc);
        free(u->gateway);
        free(u->buf);
        free(u);
}

void uplink_kick(struct uplink *u)
{
        if (u->stopping)
                return;
        for (int i = 0; i < u->n_lanes; i++)
                lane_kick(&u->lane[i]);
        uplink_pump(u);
}

/*
 * live_first that comes later: the other window can't shrink, so a crash may
 * send a little more twice until the next start.
 */
static void begin_backlog(struct uplink *u)
{
        u->n_lanes = UPLINK_LANES;
        lane_init(&u->lane[UPLINK_BACKLOG], u, UPLINK_BACKLOG, LATE_PARTS);
        lane_txn_start(&u->lane[UPLINK_BACKLOG]);
}

void uplink_reconfigure(struct uplink *u)
{
        if (u->conf->live_first && u->n_lanes < UPLINK_LANES)
                begin_backlog(u);
        look_at_hours(u);
        for (int i = 0; i < u->n_lanes; i++)
                lane_reconfigure(&u->lane[i]);
        uplink_kick(u);
}

static const char *const link_names[] = {[LINK_UNKNOWN] = "connecting", [LINK_UP] = "up", [LINK_DOWN] = "down"};

static const char *lane_state(const struct uplink_lane_state *l)
{
        bool rests = l->w.phase != WINDOW_FLOWS || *l->fault.why;

        return l->u->link != LINK_DOWN && rests ? "backoff" : link_names[l->u->link];
}

static const char *state_name(const struct uplink *u)
{
        for (int i = 0; i < u->n_lanes && u->link != LINK_DOWN; i++)
                if (u->lane[i].w.phase != WINDOW_FLOWS)
                        return "backoff";
        return link_names[u->link];
}

static const char *heartbeat_state(const struct uplink *u)
{
        if (u->link != LINK_DOWN && *u->heartbeat.why)
                return "refused";
        return u->link == LINK_DOWN || u->beats ? link_names[u->link] : "connecting";
}

/*
 * While the link is down it is the link that holds up all; what was refused
 * before is the reason again when a broker answers.
 */
static struct uplink_fault reason_of(const struct uplink *u, const struct uplink_fault *own)
{
        return u->link == LINK_DOWN || !*own->why ? u->fault : *own;
}

static void lanes_status(const struct uplink *u, struct uplink_status *out)
{
        static const char *const names[] = {"events", "samples", "backlog"};
        struct spool_counts c;

        spool_counts(u->spool, &c);
        for (int i = 0; i < u->n_lanes; i++) {
                const uint64_t held[] = {c.events_held, c.held - (out->backlog < c.held ? out->backlog : c.held),
                                         out->backlog};
                const struct uplink_lane_state *l = &u->lane[i];

                out->lane[i] = (struct uplink_lane_status){.name = names[i],
                                                           .state = lane_state(l),
                                                           .held = held[i],
                                                           .fault = reason_of(u, &l->fault),
                                                           .transaction = u->exact ? txn_state_names[l->txn.state] : "",
                                                           .fenced = u->exact && l->txn.state == TXN_FENCED,
                                                           .unmarked = l->txn.unmarked};
                if (!*out->fault.why)
                        out->fault = out->lane[i].fault;
        }
        out->n_lanes = u->n_lanes;
        out->heartbeat = heartbeat_state(u);
        out->heartbeat_fault = reason_of(u, &u->heartbeat);
}

void uplink_status(const struct uplink *u, struct uplink_status *out)
{
        *out = (struct uplink_status){.state = state_name(u),
                                      .paused = !window_is_open(&u->lane[UPLINK_SAMPLES].w),
                                      .delivered = u->delivered,
                                      .retried = u->retried,
                                      .poisoned = u->poisoned,
                                      .bytes_sent = u->bytes_sent,
                                      .missing = u->missing,
                                      .quiet_until_us = u->hours.quiet ? u->hours.until_us : 0,
                                      .rate_limit_bytes_s = u->pace.bytes_s,
                                      .fault = u->fault};
        if (u->lane[UPLINK_SAMPLES].first)
                out->backlog = spool_held_below(u->spool, u->lane[UPLINK_SAMPLES].first);
        for (int i = 0; i < u->n_lanes; i++)
                out->in_flight += u->lane[i].w.n_out;
        lanes_status(u, out);
}

bool uplink_seal(struct uplink *u, int64_t at_us, char out[SEAL_TEXT_MAX])
{
        if (u->seals)
                seal_text(&u->seal, u->gateway, at_us, spool_ledger(u->spool), out);
        return u->seals;
}

bool uplink_heartbeat(struct uplink *u, const char *json, size_t len)
{
        struct sink_record rec = {.topic = SINK_STATUS,
                                  .key = u->gateway,
                                  .key_len = strlen(u->gateway),
                                  .value = json,
                                  .value_len = len,
                                  .opaque = u->seal.token << OPAQUE_LANE_BITS | OPAQUE_HEARTBEAT};
        struct rt_time now;
        struct err e = {""};
        int r;

        if (u->stopping)
                return true;
        rt_now(u->rt, &now);
        rec.ts_ms = record_timestamp_ms(now.wall_us, now.wall_us);
        r = u->sink->ops->produce(u->sink, &rec, &e);
        if (r && r != SINK_E_FULL)
                on_heartbeat(u, 0, false, e.text);
        return r != SINK_E_FULL;
}
