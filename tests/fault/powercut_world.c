/*
 * powercut_world: see powercut_world.h.
 *
 * Kafka answers when a step says so, any of what is out in any order, some of it with a refusal; what is out when the
 * power goes may have reached it.  What is checked at once: a record is of a row that is on disk, its value is the one
 * that was appended, the same row is always the same record, and nothing is taken that was told as dropped.
 */
#include "tests/fault/powercut_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "tests/fault/disk.h"
#include "uplink/lane.h"

enum { REQUEUE_MOST = 400, LEFT_BEHIND = 4096 };

uint64_t next(struct world *w)
{
        uint64_t z = w->seed += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

uint64_t below(struct world *w, uint64_t n)
{
        return next(w) % n;
}

/* ---- Kafka ---- */

static enum spool_lane lane_of(const struct fake_record *o)
{
        return o->topic == SINK_EVENTS ? SPOOL_EVENTS : SPOOL_SAMPLES;
}

static bool is_resent(const struct fake_record *o)
{
        return (o->opaque & OPAQUE_LANE_MASK) == OPAQUE_AGAIN;
}

/* What it has it does not refuse. */
static bool is_poison(const struct world *w, enum spool_lane lane, uint64_t seq)
{
        return !w->takes_all && !(w->known[lane][seq] & TAKEN) && ((seq + lane) * 2654435761u >> 7) % 64 == 0;
}

static uint32_t print_of(const char *text)
{
        uint32_t h = 2166136261;

        for (; *text; text++)
                h = (h ^ (uint8_t)*text) * 16777619;
        return h ? h : 1;
}

static void check_value(struct world *w, const struct fake_record *o)
{
        const char *exact = strstr(o->value, ",\"value_int\":"), *text = strstr(o->value, ",\"value_str\":\"");

        if (strstr(o->value, ",\"agg\":\""))
                return;
        if (text)
                CHECK(w, strtoll(text + 14, NULL, 10) == w->value[o->seq]);
        else
                CHECK(w, fake_record_number(o, exact ? ",\"value_int\":" : ",\"value\":") == w->value[o->seq]);
}

/* A dead letter of an aggregate has lost what the aggregate stood for. */
static bool may_differ(const struct fake_record *o)
{
        return is_resent(o) && strstr(o->value, ",\"agg\":\"");
}

static int on_produce(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *o)
{
        struct world *w = (struct world *)k;
        enum spool_lane lane = lane_of(o);
        uint32_t print = print_of(o->value);
        struct spool_counts c;

        if (disk_is_cut() || !below(w, 500))
                return SINK_E_FULL;
        spool_counts(w->spool, &c);
        CHECK(w, o->seq && o->seq <= c.last_seq[lane]);
        if (lane == SPOOL_SAMPLES)
                check_value(w, o);
        CHECK(w, !w->print[lane][o->seq] || w->print[lane][o->seq] == print || may_differ(o));
        w->print[lane][o->seq] = print;
        return 0;
}

static void on_stored(struct fake_sink *k, const struct fake_record *o)
{
        struct world *w = (struct world *)k;
        uint8_t *known = &w->known[lane_of(o)][o->seq];

        CHECK(w, !is_poison(w, lane_of(o), o->seq));
        if (is_resent(o)) {
                seen.resent++;
                *known |= *known & TAKEN ? 0 : RESENT;
        } else {
                CHECK(w, !(*known & TOLD));
                seen.twice += (*known & TAKEN) != 0;
        }
        seen.taken++;
        *known |= TAKEN;
}

static bool survives(struct fake_sink *k, const struct fake_record *o)
{
        struct world *w = (struct world *)k;
        bool yes = !k->away && below(w, 2) && !is_poison(w, lane_of(o), o->seq);

        seen.survived += yes;
        return yes;
}

/* Some of what is out, in any order. */
static void answer(struct world *w)
{
        struct fake_sink *k = &w->kafka;
        uint64_t n = k->n_out ? below(w, (uint64_t)k->n_out + 1) : 0;

        if (k->away || !n)
                return;
        while (n-- && k->n_out) {
                int i = below(w, 3) ? 0 : (int)below(w, (uint64_t)k->n_out);
                struct fake_record *o = k->out[i];

                memmove(k->out + i, k->out + i + 1, (size_t)(--k->n_out - i) * sizeof(struct fake_record *));
                fake_sink_report(k, o,
                                 is_poison(w, lane_of(o), o->seq) ? SINK_POISON
                                 : below(w, 3000)                 ? SINK_DELIVERED
                                                                  : SINK_RETRY);
        }
        k->sink.up.on_reports_end(k->sink.up.ctx);
}

/* ---- the house ---- */

static void on_committed(void *ctx)
{
        uplink_kick(((struct world *)ctx)->uplink);
}

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        struct world *w = ctx;

        if (disk_is_cut())
                return;
        seen.drops += !strcmp(reason, "full");
        seen.thinned += !strcmp(reason, "thinned");
        seen.purged += !strcmp(reason, "purged") ? n : 0;
        seen.dead += !strcmp(reason, "dead_letter") ? n : 0;
        for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
                CHECK(w, !(w->known[SPOOL_SAMPLES][seq] & (TOLD | TAKEN)));
                w->known[SPOOL_SAMPLES][seq] |= TOLD;
        }
}

static void on_again(void *ctx, uint32_t token, bool delivered, const char *why)
{
        requeue_report(((struct world *)ctx)->requeue, token, delivered, why);
}

/* Larger and smaller by turns, so that the file has to shrink. */
void world_choose_conf(struct world *w)
{
        w->conf.max_size_bytes = below(w, 3) ? 4 << 20 : 6 << 20;
        w->conf.keep_delivered_us = below(w, 2) ? 0 : 300000;
        w->conf.commit_interval_us = (int64_t)(10000 + below(w, 500000));
        w->kafka_conf.live_first = below(w, 3) != 0;
        w->kafka_conf.backfill_after_us = (int64_t)(50000 + below(w, 2000000));
        w->kafka.away = below(w, 4) ? w->slow : !w->slow;
}

static void open_uplink(struct world *w)
{
        struct uplink_upcalls from_uplink = {.on_again = on_again, .ctx = w};
        struct spool_counts c;

        spool_counts(w->spool, &c);
        w->uplink = uplink_new(&w->sim.rt, &w->kafka_conf, &(struct uplink_identity){"gw-7", c.epoch}, w->spool,
                               w->tags, &w->kafka.sink, &from_uplink);
        w->requeue = requeue_new(&w->sim.rt, w->path, w->spool, w->uplink);
        uplink_kick(w->uplink);
}

bool world_open(struct world *w)
{
        struct spool_upcalls up = {.on_dropped = on_dropped, .on_committed = on_committed, .ctx = w};
        struct err e = {{0}};
        int rc;

        w->tags = tags_new(100);
        rc = spool_open(&w->spool, &w->sim.rt, &w->conf, "gw-7", w->tags, &up, &e);
        if (rc < 0) {
                if (!disk_is_cut()) {
                        fprintf(stderr, "%s\n", e.text);
                        wrong(w, __FILE__, __LINE__, "the spool opens");
                }
                tags_free(w->tags);
                return false;
        }
        for (uint32_t i = 0, at; i < N_TAGS; i++) {
                char name[16];

                snprintf(name, sizeof(name), "tag-%u", i);
                CHECK(w, tags_intern(w->tags, "press-1", name, "", "", "sim", &at) == 0 && at == i);
        }
        list_init(&w->sync.node);
        w->syncing = false;
        w->unsynced = below(w, 2);
        w->since = spool_appended_seq(w->spool, SPOOL_SAMPLES);
        open_uplink(w);
        return true;
}

struct requeue *left_behind[LEFT_BEHIND]; /* one that is reading is not freed: its thread may use it */

void world_leave(struct world *w)
{
        fake_sink_cut(&w->kafka, survives);
        rt_sim_cut(&w->sim);
        left_behind[seen.cuts % LEFT_BEHIND] = w->requeue;
        requeue_free(w->requeue);
        uplink_free(w->uplink);
        spool_abandon(w->spool);
        tags_free(w->tags);
        w->spool = NULL;
}

/* ---- use ---- */

static void on_durable(struct spool_sync *q)
{
        struct world *w = list_entry(q, struct world, sync);

        w->syncing = false;
        if (!disk_is_cut())
                memcpy(w->durable, w->sync_seq, sizeof(w->durable));
}

static void sync_up(struct world *w)
{
        if (w->syncing)
                return;
        w->syncing = true;
        w->sync_seq[SPOOL_SAMPLES] = w->n;
        w->sync_seq[SPOOL_EVENTS] = w->n_events;
        w->sync.on_durable = on_durable;
        spool_sync(w->spool, &w->sync);
}

static void make_text(struct world *w, struct reading *r)
{
        static char text[6000];

        memset(text, ' ', sizeof(text));
        text[sprintf(text, "%" PRId64, r->v.i64)] = ' ';
        r->type = READING_TEXT;
        r->len = 20 + (uint32_t)below(w, w->heaviest);
        r->v.text = text;
}

static void refuse(struct world *w)
{
        spool_refuse(w->spool, 1, "memory_full");
        w->value[++w->n] = 0;
}

void world_append(struct world *w)
{
        bool heavy = w->heaviest && below(w, 3), thin = w->conf.when_full == SPOOL_THIN;

        if (thin && !w->unsynced)
                w->sim.now.wall_us += (int64_t)below(w, 40000000); /* minutes must pass */
        for (uint64_t i = below(w, 600); i && w->n + 1 < MOST; i--) {
                struct reading r = {.ts_us = w->sim.now.wall_us - (int64_t)below(w, 3000),
                                    .arrival_us = w->sim.now.wall_us,
                                    .tag = (uint32_t)below(w, N_TAGS),
                                    .type = READING_I64,
                                    .flags = w->unsynced ? READING_CLOCK_UNSYNCED : 0};
                int64_t value = (int64_t)(next(w) >> (thin ? 20 : 2)) + 1;

                r.v.i64 = value;
                if (heavy)
                        make_text(w, &r);
                if (spool_append(w->spool, &r) != 0) {
                        refuse(w);
                        continue;
                }
                w->value[++w->n] = value;
                w->arrival_us[w->n] = r.arrival_us;
                w->moved_us[w->n] = 0;
        }
}

/* Once a session: what came since its begin is moved as far as it is not on its way to Kafka. */
static void set_clock(struct world *w)
{
        int64_t by_us = (int64_t)below(w, 20000000000) - 10000000000 + 1;

        if (!w->unsynced)
                return;
        rt_sim_step_wall(&w->sim, by_us);
        spool_repair_time(w->spool, by_us, w->since, w->n);
        for (uint64_t seq = w->since + 1; seq <= w->n; seq++)
                w->moved_us[seq] = by_us;
        w->unsynced = false;
        seen.repairs++;
}

static void append_events(struct world *w)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";

        for (uint64_t i = below(w, 30); i && w->n_events + 1 < MOST; i--, w->n_events++)
                spool_append_event(w->spool, w->sim.now.wall_us, "link", 100, SPOOL_NO_TAG, body, sizeof(body) - 1);
}

/* A part of what is held or kept, or all of it; what comes meanwhile is not meant. */
static void purge(struct world *w)
{
        struct spool_counts c;

        spool_counts(w->spool, &c);
        if (!w->n || below(w, w->slow ? 40 : 6))
                return;
        seen.purges++;
        if (below(w, 3))
                spool_purge(w->spool, c.acked_seq[SPOOL_SAMPLES] + 1 + below(w, c.held + 1));
        else
                spool_purge(w->spool, 1 + below(w, w->n));
}

/* Of readings often where dead letters are: they may be anywhere. */
static void resend(struct world *w)
{
        enum spool_lane lane = below(w, 4) ? SPOOL_SAMPLES : SPOOL_EVENTS;
        uint64_t last = spool_appended_seq(w->spool, lane), first = last ? 1 + below(w, last) : 1;

        w->takes_all = !below(w, 3);
        requeue_start(w->requeue, lane, first, first + below(w, REQUEUE_MOST));
}

static void reload(struct world *w)
{
        w->kafka_conf.live_first = !w->kafka_conf.live_first;
        w->kafka_conf.backfill_after_us = (int64_t)(50000 + below(w, 2000000));
        uplink_reconfigure(w->uplink);
        seen.switched++;
}

static void go_away(struct world *w)
{
        w->kafka.away = !w->kafka.away;
        w->kafka.sink.up.on_state(w->kafka.sink.up.ctx, !w->kafka.away, "made up");
}

void world_step(struct world *w)
{
        static const char payload[] = "\"kind\":\"link\"";

        switch (below(w, 48)) {
        case 0 ... 11:
                world_append(w);
                break;
        case 12 ... 14:
                refuse(w);
                break;
        case 15 ... 19:
                sync_up(w);
                break;
        case 20 ... 34:
                answer(w);
                break;
        case 35 ... 36:
                append_events(w);
                break;
        case 37 ... 38:
                set_clock(w);
                break;
        case 39:
                spool_quarantine(w->spool, "mqtt", "a/b", "not JSON", payload, sizeof(payload));
                break;
        case 40 ... 42:
                purge(w);
                break;
        case 43 ... 45:
                resend(w);
                break;
        case 46:
                if (!below(w, 4))
                        reload(w);
                break;
        default:
                if (!below(w, w->kafka.away != w->slow ? 1 : 4))
                        go_away(w);
        }
        rt_sim_run(&w->sim, w->sim.now.mono_us + (int64_t)below(w, 60000), NULL, NULL);
}

/* ---- life ---- */

void world_init(struct world *w, uint64_t seed, const struct temp_dir *dir)
{
        memset(w, 0, sizeof(*w));
        w->seed = w->file_seed = seed;
        w->value = calloc(MOST + 1000, sizeof(*w->value));
        w->arrival_us = calloc(MOST + 1000, sizeof(*w->arrival_us));
        w->moved_us = calloc(MOST + 1000, sizeof(*w->moved_us));
        w->fate = calloc(MOST + 1000, 1);
        for (int i = 0; i < SPOOL_LANES; i++) {
                w->known[i] = calloc(MOST + 1000, 1);
                w->print[i] = calloc(MOST + 1000, sizeof(*w->print[i]));
        }
        w->dir = dir;
        temp_dir_path(dir, "spool.db", w->path);
        rt_sim_init(&w->sim, seed, 1795428000000000);
        fake_sink_init(&w->kafka, &w->sim.rt);
        w->kafka.answer_after_us = 0;
        w->kafka.on_produce = on_produce;
        w->kafka.on_stored = on_stored;
        w->conf = (struct spool_conf){.path = w->path,
                                      .when_full = (int)below(w, 4),
                                      .batch_rows = 100 + (int64_t)below(w, 1900),
                                      .batch_bytes = 64 << 10,
                                      .quarantine_bytes = 16 << 10};
        w->kafka_conf.window_records = 100 + (int64_t)below(w, 2000);
        w->kafka_conf.window_bytes = 64 << 10;
        w->slow = below(w, 3) != 0;
        w->heaviest = below(w, 2) ? 0 : 1 + below(w, 5900);
        w->cuts_left = below(w, 2) ? 2 : 40;
}

void world_fini(struct world *w)
{
        fake_sink_fini(&w->kafka);
        rt_sim_fini(&w->sim);
        for (int i = 0; i < SPOOL_LANES; i++) {
                free(w->known[i]);
                free(w->print[i]);
        }
        free(w->value);
        free(w->arrival_us);
        free(w->moved_us);
        free(w->fate);
}
