/*
 * kafka_life: how a producer ends, and how the next one comes (see
 * kafka_impl.h).
 *
 * A fatal error (the broker lost the idempotent producer's state and order
 * can't be promised) ends the producer: what is out is purged and reported as
 * RETRY, the producer is destroyed and made anew off the loop, because both may
 * block.
 *
 *   RUNS --fatal--> PURGES --all reported--> REMAKES --made--> RUNS
 *   RUNS --apply--> DRAINS --all reported, or no answer for 3 s--> PURGES …
 *   any  --close--> PURGES --all reported--> ENDS    --destroyed--> on_closed
 *
 * A new configuration brings its producer along, made and found right off the
 * loop, so the change itself can't fail.  Until then nothing more goes to the
 * old one; what it does not report in time goes again through the new one,
 * under the same ids.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "uplink/kafka_impl.h"

enum {
        PURGE_TICK_US = 100000,
        PURGE_TICKS = 40, /* then what is left in it is reported as RETRY, and the producer destroyed with it */
        REMAKE_AGAIN_US = 5000000,
        DRAIN_TICK_US = 10000,
        DRAIN_TICKS = 300,
};

static void run_work(struct rt_work *w)
{
        struct kafka *k = list_entry(w, struct kafka, work);

        kafka_producer_destroy(&k->p);
        if (k->taken) {
                kafka_setup_fini(&k->setup);
                k->setup = k->taken->setup;
                k->p = k->taken->p;
                kafka_lines_discard(k->taken);
                free(k->taken);
                k->taken = NULL;
        } else if (k->phase == PHASE_REMAKES && kafka_producer_make(&k->p, &k->setup, &k->made) < 0) {
                kafka_producer_destroy(&k->p);
        }
}

static void remake(struct kafka *k)
{
        k->taken = k->next;
        k->next = k->next ? k->next->after : NULL;
        rt_work_start(k->rt, &k->work);
}

static void purge(struct kafka *k)
{
        rd_kafka_purge(k->p.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void kafka_begin_purge(struct kafka *k)
{
        k->phase = PHASE_PURGES;
        k->purge_ticks = 0;
        purge(k);
        rt_timer_set(k->rt, &k->tick, 0);
}

static void begin_drain(struct kafka *k)
{
        k->phase = PHASE_DRAINS;
        k->changing = true;
        k->purge_ticks = 0;
        rt_timer_set(k->rt, &k->tick, 0);
}

static void look_at_drain(struct kafka *k)
{
        if (!k->n_out || (k->known && !k->up) || k->purge_ticks++ == DRAIN_TICKS)
                kafka_begin_purge(k);
        else
                rt_timer_set(k->rt, &k->tick, DRAIN_TICK_US);
}

/*
 * What the producer takes with it unreported: it may have been delivered, and
 * goes again.
 */
static void report_the_rest(struct kafka *k)
{
        uint32_t opaque;

        if (!k->n_out)
                return;
        log_warn("kafka", "the producer ends with %" PRIu64 " records unreported; they are sent again", k->n_out);
        k->n_out = 0;
        while (outstanding_pop(&k->out, &opaque))
                k->sink.up.on_report(k->sink.up.ctx, opaque, SINK_RETRY, "the Kafka producer ended without a report");
        k->sink.up.on_reports_end(k->sink.up.ctx);
}

/*
 * All is reported (or the time for it is over): the producer goes, off the
 * loop.
 */
void kafka_end_purge(struct kafka *k)
{
        rt_timer_cancel(k->rt, &k->tick);
        rt_timer_cancel(k->rt, &k->turn);
        rt_watch_set(k->rt, &k->watch, 0);
        k->phase = k->closing ? PHASE_ENDS : PHASE_REMAKES;
        report_the_rest(k);
        k->made.text[0] = '\0';
        if (k->closing)
                rt_work_start(k->rt, &k->work);
        else
                remake(k);
}

static void on_work_done(struct rt_work *w)
{
        struct kafka *k = list_entry(w, struct kafka, work);

        if (k->phase == PHASE_ENDS) {
                k->on_closed(k->close_ctx);
                return;
        }
        if (k->closing) {
                k->phase = PHASE_ENDS;
                rt_work_start(k->rt, &k->work);
                return;
        }
        if (!k->p.rk) {
                kafka_tell_state(k, false, k->made.text);
                rt_timer_set(k->rt, &k->tick, REMAKE_AGAIN_US);
                return;
        }
        k->phase = PHASE_RUNS;
        k->changing = false;
        k->fault[0] = '\0';
        kafka_listen(k);
        if (k->next)
                begin_drain(k);
}

static void on_tick(struct rt_timer *t)
{
        struct kafka *k = list_entry(t, struct kafka, tick);

        if (k->phase == PHASE_REMAKES) {
                remake(k);
                return;
        }
        kafka_serve(k);
        if (k->phase == PHASE_DRAINS)
                look_at_drain(k);
        if (k->phase != PHASE_PURGES)
                return;
        if (!k->n_out || k->purge_ticks++ == PURGE_TICKS) {
                kafka_end_purge(k);
                return;
        }
        purge(k);
        rt_timer_set(k->rt, &k->tick, PURGE_TICK_US);
}

void kafka_life_init(struct kafka *k)
{
        k->tick.on_due = on_tick;
        k->work = (struct rt_work){.run = run_work, .on_done = on_work_done, .slow = true};
}

/* ---- another configuration ---- */

int kafka_sink_prepare(const struct sink *s, const struct kafka_conf *conf, const char *gateway,
                       struct kafka_next **out, struct err *e)
{
        const struct kafka *k = (const struct kafka *)s;
        struct kafka_next *next = mem_alloc(sizeof(*next));

        *out = NULL;
        if (kafka_setup_fill(&next->setup, conf, gateway, e) < 0 || kafka_setup_complete(&next->setup, conf, e) < 0) {
                kafka_next_free(next);
                return -1;
        }
        if (next->setup.fingerprint == k->fingerprint) {
                kafka_next_free(next);
                return 0;
        }
        if (kafka_producer_make(&next->p, &next->setup, e) < 0) {
                kafka_next_free(next);
                return -1;
        }
        if (kafka_lines_prepare(next, conf, gateway, e) < 0) {
                kafka_next_free(next);
                return -1;
        }
        *out = next;
        return 0;
}

void kafka_sink_reconfigure(struct sink *s, struct kafka_next *next)
{
        struct kafka *k = (struct kafka *)s;
        struct kafka_next **last = &k->next;

        while (*last)
                last = &(*last)->after;
        *last = next;
        k->fingerprint = next->setup.fingerprint;
        kafka_lines_change(k, next);
        if (k->phase == PHASE_RUNS)
                begin_drain(k);
        else if (k->phase == PHASE_REMAKES && rt_timer_armed(&k->tick))
                rt_timer_set(k->rt, &k->tick, 0);
}

void kafka_next_free(struct kafka_next *next)
{
        if (!next)
                return;
        kafka_producer_destroy(&next->p);
        kafka_setup_fini(&next->setup);
        kafka_lines_discard(next);
        free(next);
}
