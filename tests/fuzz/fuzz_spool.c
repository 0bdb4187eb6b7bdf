/*
 * fuzz_spool: any damage to the files of a spool, then an agent that starts on
 * them.
 *
 * The first two bytes say in which state they were and what the agent is to do;
 * the rest is damage (damage.h).  Holds, whatever is in the files: the tools read
 * what they can and end; the agent starts, after a rescue or
 * two, or says in a sentence why a person has to look; what
 * it sends to Kafka is sound (house.c); what it accepts is counted once; an
 * operator's purge and requeue end; and what it has left, or left in a hurry as it
 * met damage, starts again.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/reading_view.h"
#include "store/inspect/query.h"
#include "store/inspect/sql.h"
#include "store/inspect/verify.h"
#include "tests/fuzz/damage.h"
#include "tests/fuzz/house_fill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { S = 1000000, SQL_MS = 1000, STARTS = 4, LIVES = 4 };

/* Of the first two bytes; the lowest two bits are the state of the files. */
enum doing {
        WITH_KAFKA = 4,
        WITH_LIVE_FIRST = 8,
        WITH_PURGE = 16,
        WITH_REQUEUE = 32,
        WITH_LOOKS = 64,
        KILLED = 128,
        STARTED_AGAIN = 256,
        WITH_VERIFY = 512,
};

static struct house house;
static struct house_files files[HOUSE_STATES];

/* ---- the tools ---- */

static struct view *views[3]; /* people, record, CSV */

static void on_fault(void *ctx, const char *what)
{
        BUG_ON(!*what);
}

static void verify(void)
{
        struct spool_verify v = {.path = house.path, .pages = true, .on_fault = on_fault};
        struct err e = {""};

        if (spool_verify(&v, &e) < 0)
                BUG_ON(!e.text[0]);
}

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        BUG_ON(!row->source || !row->name || !row->unit || !row->labels || !row->kind);
        BUG_ON(row->r.type > READING_RAW);
        quality_name(row->r.quality);
        for (size_t i = 0; i < sizeof(views) / sizeof(*views) && !*row->kind; i++)
                view_row(views[i], row);
        return true;
}

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        BUG_ON(!t->source || !t->name || !t->unit || !t->labels || !t->driver);
        return true;
}

static bool on_drop(void *ctx, const struct spool_query_drop *d)
{
        BUG_ON(!d->reason);
        return true;
}

static bool on_quarantine(void *ctx, const struct spool_query_quarantine *q)
{
        BUG_ON(!q->driver || !q->origin || !q->reason || (q->len && !q->payload));
        return true;
}

static bool on_alarm(void *ctx, const struct spool_alarm *a)
{
        BUG_ON(!a->source || !a->tag || !a->rule || !a->limit_kind || !a->state);
        return true;
}

static bool on_note(void *ctx, const struct spool_query_alarm_note *n)
{
        BUG_ON(!n->n.source || !n->n.tag || !n->n.rule || !n->n.limit_kind || !n->n.change || !n->n.by);
        return true;
}

static bool on_dead(void *ctx, const struct spool_query_dead *d)
{
        BUG_ON(!d->reason);
        return on_row(ctx, &d->row);
}

static bool on_sql(void *ctx, const struct spool_sql_row *row)
{
        return true;
}

static void look(void)
{
        struct spool_filter filter = {.lane = SPOOL_SAMPLES, .newest = 20};
        static struct out out;
        struct spool_counts counts;
        struct spool_query *q;
        struct view v[3];
        struct err e;
        bool yes;

        if (!out.f)
                out.f = fopen("/dev/null", "we");
        BUG_ON(!out.f);

        spool_sql(house.path, "SELECT * FROM readings ORDER BY seq DESC LIMIT 5", SQL_MS, on_sql, NULL, &e);
        if (spool_query_open(&q, house.path, &e) < 0)
                return;
        for (int i = 0; i < 3; i++) {
                view_init(&v[i], &out, (enum view_form)i, q);
                views[i] = &v[i];
        }
        spool_query_counts(q, &counts, &e);
        spool_query_delivered(q, 12, &yes, &e);
        spool_query_rows(q, &filter, on_row, NULL, &e);
        filter = (struct spool_filter){.lane = SPOOL_EVENTS, .source = "press-*"};
        spool_query_rows(q, &filter, on_row, NULL, &e);
        filter = (struct spool_filter){.lane = SPOOL_SAMPLES, .held_only = true, .limit = 1000};
        spool_query_rows(q, &filter, on_row, NULL, &e);
        spool_query_tags(q, true, on_tag, NULL, &e);
        spool_query_dropped(q, on_drop, NULL, &e);
        spool_query_quarantine(q, on_quarantine, NULL, &e);
        spool_query_alarms(q, on_alarm, NULL, &e);
        spool_query_alarm_log(q, 0, 10, on_note, NULL, &e);
        spool_query_dead_letters(q, on_dead, NULL, &e);
        for (int i = 0; i < 3; i++)
                view_fini(&v[i]);
        spool_query_close(q);
}

/* ---- the agent ---- */

static void on_recent(void *ctx, const struct reading *r)
{
        BUG_ON(r->type > READING_RAW);
}

static void take(const char *name, const char *unit, double v)
{
        struct reading r = {.type = READING_F64, .v.f64 = v};
        uint64_t before = spool_appended_seq(house.agent.spool, SPOOL_SAMPLES);

        if (tags_intern(house.agent.tags, "press-1", name, unit, "", "send", &r.tag) != 0)
                return;
        r.ts_us = r.arrival_us = house.sim.now.wall_us;
        if (pipeline_take(&house.agent.pipeline, &r, 1, true) == 0)
                BUG_ON(spool_appended_seq(house.agent.spool, SPOOL_SAMPLES) != before + 1);
}

static void check_books(void)
{
        struct spool_counts c;

        spool_counts(house.agent.spool, &c);
        BUG_ON(c.accepted != c.delivered + c.held + c.dropped);
        BUG_ON(c.events_accepted != c.events_delivered + c.events_held + c.events_dropped);
}

/* What a person has to look at: it is not ours, or of another time. */
static bool is_for_people(const char *why)
{
        return strstr(why, "belongs to gateway") || strstr(why, "written by a newer") || strstr(why, "not a spool");
}

/* systemd starts it again and again. False: it is refused, for a good reason. */
static bool start(bool with_kafka)
{
        struct err e = {""};

        for (int i = 0; i < STARTS; i++) {
                if (house_open(&house, &e) == 0) {
                        fake_sink_set_away(&house.kafka, !with_kafka);
                        check_books();
                        return true;
                }
                BUG_ON(!e.text[0]);
        }
        if (!is_for_people(e.text))
                fprintf(stderr, "%s\n", e.text);
        BUG_ON(!is_for_people(e.text));
        return false;
}

/* What it does until it ends, in order or not. */
static void work(unsigned doing)
{
        spool_recent(house.agent.spool, 100, on_recent, NULL);
        take("temp", "degC", 71.5);
        take("temp", "degF", 99);
        take("new", "", 1);
        house_run_for(&house, 3 * S);
        if (doing & WITH_PURGE)
                spool_purge(house.agent.spool, spool_appended_seq(house.agent.spool, SPOOL_SAMPLES) / 2);
        if (doing & WITH_REQUEUE)
                requeue_start(house.agent.requeue, doing & WITH_PURGE ? SPOOL_EVENTS : SPOOL_SAMPLES, 1, INT64_MAX);
        take("temp", "degC", 96);
        house_run_for(&house, 3 * S);
        if (doing & WITH_LOOKS) {
                look();
                house_check_status(&house);
        }
        check_books();
        if (doing & KILLED)
                house_leave(&house);
        else
                house_close(&house);
}

/* False: it ended as its file is damaged. */
static bool live(unsigned doing)
{
        if (setjmp(house.ended)) {
                house_leave(&house);
                return false;
        }
        work(doing);
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes b = {data, size};
        unsigned low = bytes_take(&b), doing = low | (unsigned)bytes_take(&b) << 8;

        if (!house.conf) {
                house_init(&house, "fuzz_spool", house_rules);
                house_fill(&house, files);
        }
        house_put(&house, &files[(doing & 3) % HOUSE_STATES]);
        house.damaged = b.n > 0;
        damage_files(&house, &b);
        if (doing & WITH_VERIFY)
                verify();
        if (doing & WITH_LOOKS)
                look();
        house.conf->kafka.live_first = doing & WITH_LIVE_FIRST;
        house.conf->kafka.backfill_after_us = 5 * S;
        for (int i = 0; i < LIVES && start(doing & WITH_KAFKA); i++)
                if (live(doing) && (!(doing & STARTED_AGAIN) || i))
                        break;
        return 0;
}
