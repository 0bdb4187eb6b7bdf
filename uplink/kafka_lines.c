/*
 * kafka_lines: lanes with transactions (see kafka_impl.h): a producer each,
 * beside the one that has none.
 *
 * Why a producer each: a transaction is a producer's, and one that waits, for a
 * topic that is refused or for a second to be over, would hold up the others.
 * Events are committed at once this way.  Heartbeats, and rows that somebody
 * asked to have once more, go by the producer without transactions, which also
 * tells how the link is and which topics are missing.
 *
 *   RESTS --transact--> WAITS --(its records are reported)--> WORKS --> TELLS --(as well)--> RESTS
 *
 * What blocks is kafka_line_work.c's.  While it runs the loop goes on with the
 * line's reports, which librdkafka waits for.  Of a producer that is spent
 * nothing more is reported: the loop reports what is out as RETRY before the
 * next one is made.
 *
 * How it fails: by on_line, with words.  At the end a work that hangs is not
 * waited for: the process ends with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "uplink/kafka_impl.h"

enum {
        TIMEOUT_MS = 60000, /* of a transaction, at the broker */
        TIMEOUT_SPARE_MS = 5000,
        TURN_EVENTS = 64,
        TICK_US = 10000,
        TELL_TICKS = 500,  /* then what is out is reported as RETRY */
        CLOSE_TICKS = 250, /* then a work that hangs is left behind */
};

static const char *const line_names[] = {
        [SINK_LINE_EVENTS] = "events", [SINK_LINE_SAMPLES] = "samples", [SINK_LINE_BACKLOG] = "backlog"};

static struct kafka_line *line_of(struct kafka *k, enum sink_line no)
{
        return &k->line[no - SINK_LINE_EVENTS];
}

static void report_the_rest(struct kafka_line *l)
{
        struct sink_upcalls *up = &l->k->sink.up;
        uint32_t opaque;

        if (!l->n_out)
                return;
        l->n_out = 0;
        while (outstanding_pop(&l->out, &opaque))
                up->on_report(up->ctx, opaque, SINK_RETRY, "its transaction ended without it");
        up->on_reports_end(up->ctx);
}

/*
 * A broker that heard nothing of a transaction for its time gives it up, as it
 * does for a twin.
 */
static bool may_have_timed_out(const struct kafka_line *l)
{
        return l->begun_us && rt_mono_us(l->k->rt) - l->begun_us > (int64_t)(TIMEOUT_MS - TIMEOUT_SPARE_MS) * 1000;
}

/* The producer is as good as broken: the next is made from the new configuration. */
static void change(struct kafka_line *l)
{
        struct sink_upcalls *up = &l->k->sink.up;

        l->spent = true;
        up->on_line(up->ctx, l->no, TXN_BROKEN, NULL, "the configuration has changed");
}

static void tell(struct kafka_line *l, enum txn_event outcome)
{
        struct sink_upcalls *up = &l->k->sink.up;
        const struct sink_mark *mark = l->act == TXN_START && l->found ? &l->mark : NULL;
        const char *why = l->why;

        if (outcome == TXN_TWIN && may_have_timed_out(l)) {
                outcome = TXN_BROKEN;
                why = "the transaction took longer than Kafka waits";
        } else if (outcome == TXN_TWIN) {
                why = "another agent sends under this gateway's name, and Kafka listens to the last that came";
        }
        if (outcome == TXN_DONE) {
                l->begun_us = 0;
                kafka_tell_state(l->k, true, "connected");
        }
        l->phase = LINE_RESTS;
        up->on_line(up->ctx, l->no, outcome, mark, why);
        if (outcome == TXN_DONE && l->coming.conf && l->phase == LINE_RESTS)
                change(l);
}

/* ---- events ---- */

static size_t on_event(struct kafka_line *l, rd_kafka_event_t *ev)
{
        switch (rd_kafka_event_type(ev)) {
        case RD_KAFKA_EVENT_DR:
                return kafka_take_reports(l->k, ev, &l->n_out, &l->out);
        case RD_KAFKA_EVENT_ERROR:
                if (!kafka_error_is_fatal(ev))
                        kafka_take_error(l->k, ev);
                return 0;
        case RD_KAFKA_EVENT_LOG:
                kafka_take_log(ev);
                return 0;
        default:
                return 0;
        }
}

/*
 * A fatal error is seen here when nothing is under way that would say it.
 */
static void look_for_fatal(struct kafka_line *l)
{
        char text[160];
        rd_kafka_resp_err_t err = rd_kafka_fatal_error(l->p.rk, text, sizeof(text));

        if (!err || l->spent)
                return;
        l->spent = true;
        l->act = TXN_NOTHING;
        snprintf(l->why, sizeof(l->why), "the producer: %.150s", text);
        tell(l, kafka_is_twin(err) ? TXN_TWIN : TXN_BROKEN);
}

static void serve(struct kafka_line *l)
{
        rd_kafka_event_t *ev;
        size_t n = 0;
        int turns = 0;

        while (turns++ < TURN_EVENTS && (ev = rd_kafka_queue_poll(l->p.queue, 0))) {
                n += on_event(l, ev);
                rd_kafka_event_destroy(ev);
        }
        if (n)
                l->k->sink.up.on_reports_end(l->k->sink.up.ctx);
        if (turns > TURN_EVENTS && !rt_timer_armed(&l->tick))
                rt_timer_set(l->k->rt, &l->tick, 0);
}

static void on_readable(struct rt_watch *w, unsigned events)
{
        struct kafka_line *l = list_entry(w, struct kafka_line, watch);
        uint64_t n;

        (void)!read(w->fd, &n, sizeof(n));
        serve(l);
        if (l->phase == LINE_RESTS && l->p.rk)
                look_for_fatal(l);
}

static void listen_to(struct kafka_line *l)
{
        static const uint64_t one = 1;

        rd_kafka_queue_io_event_enable(l->p.queue, l->watch.fd, &one, sizeof(one));
        rt_watch_set(l->k->rt, &l->watch, RT_READ);
}

/* ---- working ---- */

static void begin_work(struct kafka_line *l)
{
        if (l->act == TXN_START || l->phase == LINE_ENDS) {
                rt_watch_set(l->k->rt, &l->watch, 0);
                if (l->spent || l->phase == LINE_ENDS)
                        report_the_rest(l);
                if (l->coming.conf) {
                        kafka_setup_fini(&l->next);
                        l->next = l->coming;
                        l->coming = (struct kafka_setup){0};
                }
        }
        if (l->phase != LINE_ENDS)
                l->phase = LINE_WORKS;
        rt_work_start(l->k->rt, &l->work);
}

static void finish_telling(struct kafka_line *l)
{
        serve(l);
        if (l->outcome == TXN_DONE && l->n_out && l->ticks++ < TELL_TICKS) {
                rt_timer_set(l->k->rt, &l->tick, TICK_US);
                return;
        }
        if (l->outcome == TXN_DONE)
                report_the_rest(l);
        tell(l, l->outcome);
}

static void run_work(struct rt_work *w)
{
        kafka_line_work(list_entry(w, struct kafka_line, work));
}

static void all_ended(struct kafka *k)
{
        for (int i = 0; i < SINK_LINES - 1; i++)
                if (k->line[i].phase != LINE_ENDED)
                        return;
        k->on_lines_closed(k);
}

static void end(struct kafka_line *l)
{
        rt_timer_cancel(l->k->rt, &l->tick);
        l->phase = LINE_ENDS;
        l->act = TXN_NOTHING;
        begin_work(l);
        rt_timer_set(l->k->rt, &l->tick, TICK_US);
}

static void on_work_done(struct rt_work *w)
{
        struct kafka_line *l = list_entry(w, struct kafka_line, work);

        if (l->phase == LINE_ENDS) {
                rt_timer_cancel(l->k->rt, &l->tick);
                l->phase = LINE_ENDED;
                all_ended(l->k);
                return;
        }
        if (l->k->closing) {
                end(l);
                return;
        }
        if (l->p.rk && l->act == TXN_START)
                listen_to(l);
        l->phase = LINE_TELLS;
        l->ticks = 0;
        rt_timer_set(l->k->rt, &l->tick, 0);
}

/* A work that hangs in librdkafka: all that is its own stays as it is. */
static void leave_behind(struct kafka_line *l)
{
        if (l->phase == LINE_ENDED)
                return;
        if (l->ticks++ < CLOSE_TICKS) {
                rt_timer_set(l->k->rt, &l->tick, TICK_US);
                return;
        }
        log_warn("kafka", "the transactions of %s do not end, and are left", line_names[l->no]);
        l->left = true;
        report_the_rest(l);
        l->phase = LINE_ENDED;
        all_ended(l->k);
}

static void on_tick(struct rt_timer *t)
{
        struct kafka_line *l = list_entry(t, struct kafka_line, tick);

        if (l->k->closing) {
                leave_behind(l);
                return;
        }
        switch (l->phase) {
        case LINE_WAITS:
                begin_work(l);
                break;
        case LINE_TELLS:
                finish_telling(l);
                break;
        case LINE_RESTS:
        case LINE_WORKS:
                if (l->watch.impl)
                        serve(l);
                break;
        default:
                break;
        }
}

/* ---- the sink ---- */

void kafka_lines_transact(struct sink *s, enum sink_line line, enum txn_act act, const struct sink_mark *mark)
{
        struct kafka *k = (struct kafka *)s;
        struct kafka_line *l = line_of(k, line);

        if (k->closing)
                return;
        BUG_ON(l->phase != LINE_RESTS);
        l->act = act;
        l->mark = *mark;
        if (act == TXN_START)
                snprintf(l->group, sizeof(l->group), "%s-%" PRIu64, l->setup.transactional_id, mark->epoch);
        l->phase = LINE_WAITS;
        rt_timer_set(k->rt, &l->tick, 0);
}

int kafka_lines_produce(struct kafka *k, const struct sink_record *rec, struct err *e)
{
        struct kafka_line *l = line_of(k, rec->line);
        int r;

        if (l->phase != LINE_RESTS || l->spent || k->closing)
                return SINK_E_FULL;
        r = kafka_put(k, &l->p, &l->setup, rec, e);
        if (r)
                return r;
        if (!l->begun_us)
                l->begun_us = rt_mono_us(k->rt);
        l->n_out++;
        outstanding_add(&l->out, rec->opaque);
        return 0;
}

/* ---- opening, closing ---- */

static int fill(struct kafka_setup *s, enum sink_line no, const struct kafka_conf *conf, const char *gateway,
                struct err *e)
{
        char id[160];

        if (kafka_setup_fill(s, conf, gateway, e) < 0)
                return -1;
        snprintf(id, sizeof(id), "millrace-%s-%s", gateway, line_names[no]);
        return kafka_setup_transactional(s, id, TIMEOUT_MS, e) < 0 ? -1 : kafka_setup_complete(s, conf, e);
}

int kafka_lines_prepare(struct kafka_next *next, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        if (conf->delivery != KAFKA_EXACTLY_ONCE)
                return 0;
        next->line = mem_alloc((SINK_LINES - 1) * sizeof(*next->line));
        for (int i = 0; i < SINK_LINES - 1; i++)
                if (fill(&next->line[i], (enum sink_line)(SINK_LINE_EVENTS + i), conf, gateway, e) < 0)
                        return -1;
        return 0;
}

void kafka_lines_discard(struct kafka_next *next)
{
        for (int i = 0; next->line && i < SINK_LINES - 1; i++)
                kafka_setup_fini(&next->line[i]);
        free(next->line);
}

void kafka_lines_change(struct kafka *k, struct kafka_next *next)
{
        for (int i = 0; k->line && next->line && i < SINK_LINES - 1; i++) {
                struct kafka_line *l = &k->line[i];

                kafka_setup_fini(&l->coming);
                l->coming = next->line[i];
                next->line[i] = (struct kafka_setup){0};
                if (l->phase == LINE_RESTS && l->p.rk && !l->spent)
                        change(l);
        }
}

static int open_line(struct kafka_line *l, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        l->watch = (struct rt_watch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .on_event = on_readable};
        if (l->watch.fd < 0)
                return err_errno(e, "kafka: no eventfd");
        l->tick.on_due = on_tick;
        l->work = (struct rt_work){.run = run_work, .on_done = on_work_done, .slow = true};
        return fill(&l->setup, l->no, conf, gateway, e);
}

int kafka_lines_open(struct kafka *k, const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        if (conf->delivery != KAFKA_EXACTLY_ONCE)
                return 0;
        k->line = mem_alloc((SINK_LINES - 1) * sizeof(*k->line));
        for (int i = 0; i < SINK_LINES - 1; i++)
                k->line[i] = (struct kafka_line){.k = k, .no = (enum sink_line)(SINK_LINE_EVENTS + i), .watch.fd = -1};
        for (int i = 0; i < SINK_LINES - 1; i++)
                if (open_line(&k->line[i], conf, gateway, e) < 0)
                        return -1;
        return 0;
}

void kafka_lines_close(struct kafka *k, void (*on_closed)(struct kafka *k))
{
        k->on_lines_closed = on_closed;
        if (!k->line) {
                on_closed(k);
                return;
        }
        for (int i = 0; i < SINK_LINES - 1; i++) {
                k->line[i].ticks = 0;
                if (k->line[i].phase == LINE_WORKS)
                        rt_timer_set(k->rt, &k->line[i].tick, TICK_US);
                else
                        end(&k->line[i]);
        }
}

void kafka_lines_free(struct kafka *k)
{
        bool left = false;

        for (int i = 0; k->line && i < SINK_LINES - 1; i++) {
                struct kafka_line *l = &k->line[i];

                rt_timer_cancel(k->rt, &l->tick);
                if (l->watch.fd >= 0)
                        close(l->watch.fd);
                left |= l->left;
                if (l->left)
                        continue;
                kafka_setup_fini(&l->setup);
                kafka_setup_fini(&l->coming);
                kafka_setup_fini(&l->next);
                outstanding_fini(&l->out);
        }
        if (!left)
                free(k->line);
}
