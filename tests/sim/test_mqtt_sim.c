/*
 * test_mqtt_sim: the mqtt driver between a broker that may be odd and a disk
 * that may be slow, with power cuts, in virtual time, many seeds.
 *
 * Asked at every instant (here and in mqtt_world.h): no acknowledgement leaves
 * before its message is on the disk, or out of its order; nothing is read while
 * the host pauses, or while a message it refused waits; one commit at a time;
 * no more than two batches wait for acknowledgement; what is handed over is in
 * order of arrival; a pause longer than the keepalive allows finds no link.
 * After every cut: what the broker believes acknowledged is on the disk.  After
 * every stop: it was over in time, and what was durable is acknowledged.  After
 * every trouble: all that was published is.
 *
 * MQTT_SIM_SEED=n runs that one; MQTT_SIM_SEEDS=n so many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "mqtt_world.h"

enum { SEEDS = 3000 };

static struct world W;

/* ---- the host ---- */

static void pause_update(struct world *w)
{
        bool on = w->blocks || w->waits_for_room || (w->disk_fails && w->waits_for_disk);

        if (on == w->d.paused || w->dead)
                return;
        w->d.paused = on;
        w->paused_since_us = now_of(w);
        w->d.ops->pause(&w->d, on);
}

static void keep(struct world *w, uint32_t number, const struct reading *r)
{
        CHECK(w, number >= 1 && number <= w->n_published && w->n_log < LOG_MAX);
        CHECK(w, w->message[number].arrival > w->last_arrival);
        w->last_arrival = w->message[number].arrival;
        w->log[w->n_log++] =
                (struct logged){.number = number, .mid = r ? r->mid : 0, .r = r ? *r : (struct reading){0}};
}

/* Texts and payloads are not terminated. */
static uint32_t digits(const char *p, size_t len)
{
        uint32_t n = 0;

        for (size_t i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++)
                n = 10 * n + (uint32_t)(p[i] - '0');
        return n;
}

static uint32_t number_in(const struct reading *r)
{
        return r->type == READING_TEXT  ? digits(r->v.text, r->len)
               : r->type == READING_I64 ? (uint32_t)r->v.i64
                                        : (uint32_t)r->v.f64;
}

static int up_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        struct world *w = d->host_priv;

        bool of_malformed = r->type == READING_NONE; /* behind it the message itself comes, to the quarantine */
        size_t weight = !of_malformed && w->message[number_in(r)].kind == FAT ? 10 : n;

        if (weight > w->room && may_wait) {
                N.refused++;
                w->waits_for_room = w->refusing = true;
                pause_update(w);
                return DRIVER_E_WAIT;
        }
        w->refusing = false;
        w->room -= w->room == SIZE_MAX ? 0 : weight;
        CHECK(w, !of_malformed || (n == 1 && r->quality == QUALITY_BAD_SENSOR));
        for (size_t i = 0; i < n && !of_malformed; i++)
                keep(w, number_in(&r[i]), &r[i]);
        return 0;
}

static void up_sync(struct driver *d, struct driver_sync *q)
{
        struct world *w = d->host_priv;

        CHECK(w, !w->sync);
        w->sync = q;
        w->waits_for_disk = true;
        pause_update(w);
        w->n_sync = w->n_log;
        w->disk_due_us = w->disk_fails ? INT64_MAX : now_of(w) + scattered(w, MS, w->disk_us);
}

static void up_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        CHECK((struct world *)d->host_priv, len > 4);
        keep(d->host_priv, digits((const char *)payload + 4, len - 4), NULL);
}

static void up_link_up(struct driver *d)
{
}

static void up_link_down(struct driver *d, const char *why)
{
        struct world *w = d->host_priv;

        CHECK(w, !w->stopped);
        N.lost++;
        N.orphans += w->sync != NULL;
        if (!w->stopping)
                w->start_due_us = now_of(w) + scattered(w, 100 * MS, 4 * SECOND);
}

static void up_stopped(struct driver *d)
{
        struct world *w = d->host_priv;

        CHECK(w, !w->stopped && !w->sync && !w->link);
        w->stopped = true;
}

static void up_recent(struct driver *d, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
        struct world *w = d->host_priv;
        static char text[FAT_BYTES + 1];

        for (size_t i = 0; i < w->n_durable; i++) {
                struct reading r = w->log[i].r;

                if (!r.mid)
                        continue;
                if (r.type == READING_TEXT)
                        write_payload(w, w->log[i].number, text);
                r.v.text = r.type == READING_TEXT ? text : r.v.text;
                each(ctx, &r);
        }
}

static const struct driver_host host = {.emit = up_emit,
                                        .sync = up_sync,
                                        .quarantine = up_quarantine,
                                        .link_up = up_link_up,
                                        .link_down = up_link_down,
                                        .stopped = up_stopped,
                                        .recent = up_recent};

/* ---- the disk ---- */

static void land(struct world *w, size_t n)
{
        for (size_t i = w->n_durable; i < n; i++)
                w->message[w->log[i].number].on_disk = true;
        w->n_durable = n > w->n_durable ? n : w->n_durable;
}

static void disk_done(struct world *w)
{
        struct driver_sync *q = w->sync;

        w->disk_due_us = INT64_MAX;
        land(w, w->n_sync);
        w->sync = NULL;
        w->waits_for_disk = false;
        q->on_durable(q->d);
}

static void set_disk(struct world *w, int64_t latency_us, bool fails)
{
        w->disk_us = latency_us;
        w->disk_fails = fails;
        if (w->sync && !fails)
                w->disk_due_us = now_of(w) + scattered(w, MS, latency_us);
        else if (fails)
                w->disk_due_us = INT64_MAX;
        pause_update(w);
}

static void make_room(struct world *w, size_t n)
{
        w->room = n;
        w->waits_for_room = false;
        pause_update(w);
}

/* ---- time ---- */

static void watch(struct rt *rt, struct rt_watch *q, unsigned events)
{
        struct world *w = (struct world *)rt;

        w->watch = q;
        w->watched = events;
}

static unsigned readiness(const struct world *w)
{
        bool ends = w->wire == WIRE_BROKEN || w->wire == WIRE_ENDS, came = fifo_count(&w->to_client);

        if (!w->link || w->opened_due_us != INT64_MAX)
                return 0;
        return ((came && fifo_first(&w->to_client)->at_us <= now_of(w)) || (ends && !came) ? RT_READ : 0) |
               (ends || fifo_count(&w->to_broker) < w->wire_room ? RT_WRITE : 0);
}

/*
 * Watches are of the level kind: what is there and not read is told again, and
 * must be read some time.
 */
static void fire(struct world *w)
{
        unsigned events = readiness(w) & w->watched;
        long reads = w->n_reads;

        if (!events)
                return;
        w->watch->on_event(w->watch, events);
        w->n_idle = w->n_reads == reads && events == RT_READ ? w->n_idle + 1 : 0;
        CHECK(w, w->n_idle < 20);
}

static void check(void *ctx)
{
        struct world *w = ctx;

        int64_t limit_us = w->conf.keepalive_us / 4 * 3 + 2100 * MS, since_us = w->paused_since_us;

        w->n_same_time = w->same_us == now_of(w) ? w->n_same_time + 1 : 0;
        w->same_us = now_of(w);
        CHECK(w, w->n_same_time < 10000);
        if (!w->d.paused || !w->link || !w->link->accepted)
                return;
        since_us = since_us > w->link->accepted_us ? since_us : w->link->accepted_us;
        CHECK(w, now_of(w) - since_us <= limit_us);
}

static void trouble(struct world *w);

static int64_t earliest(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static void publish_burst(struct world *w)
{
        for (uint64_t n = 1 + below(w, w->publish_burst); n; n--)
                publish(w);
        w->publish_due_us = now_of(w) + scattered(w, w->publish_every_us / 8, w->publish_every_us);
}

static void world_events(struct world *w)
{
        int64_t now_us = now_of(w);

        if (w->opened_due_us <= now_us)
                link_opened(w);
        if (w->broker_due_us <= now_us)
                broker_turn(w);
        if (w->disk_due_us <= now_us)
                disk_done(w);
        if (w->room_due_us <= now_us) {
                w->room_due_us = INT64_MAX;
                make_room(w, chance(w, 60) ? SIZE_MAX : below(w, 20));
                w->room_due_us = w->room == SIZE_MAX ? INT64_MAX : now_us + scattered(w, MS, 20 * SECOND);
        }
        if (w->start_due_us <= now_us) {
                w->start_due_us = INT64_MAX;
                w->d.ops->start(&w->d);
        }
        if (w->publish_due_us <= now_us)
                publish_burst(w);
        if (w->chaos_due_us <= now_us)
                trouble(w);
}

static int64_t next_event_us(const struct world *w)
{
        int64_t us = earliest(earliest(w->opened_due_us, w->broker_due_us), earliest(w->disk_due_us, w->room_due_us));

        us = earliest(earliest(us, w->start_due_us), earliest(w->publish_due_us, w->chaos_due_us));
        if (w->link && fifo_count(&w->to_client) && w->watched & RT_READ)
                us = earliest(us, fifo_first(&w->to_client)->at_us);
        return readiness(w) & w->watched ? now_of(w) + 5 : us;
}

static void run(struct world *w, int64_t for_us)
{
        int64_t until_us = now_of(w) + for_us;

        while (now_of(w) < until_us && !w->stopped) {
                int64_t us = earliest(until_us, earliest(next_event_us(w), rt_next_due(&w->sim.rt)));

                rt_sim_run(&w->sim, us > now_of(w) ? us : now_of(w), check, w);
                world_events(w);
                check(w);
                fire(w);
                check(w);
        }
}

/* ---- trouble ---- */

static void trouble_wire(struct world *w)
{
        switch (below(w, 8)) {
        case 0:
                break_wire(w, WIRE_BROKEN);
                break;
        case 1:
                break_wire(w, WIRE_ENDS);
                break;
        case 2:
                if (chance(w, 30))
                        break_wire(w, WIRE_MUTE);
                break;
        case 3:
                if (chance(w, 10))
                        lose_session(w);
                break;
        default:
                w->wire_room = chance(w, 50) ? 1 + below(w, 5) : 1 + below(w, 5000);
        }
}

/* Each that is under way is more often ended than another is begun. */
static void trouble(struct world *w)
{
        static const int64_t latency_us[] = {1 * MS, 5 * MS, 40 * MS, 300 * MS, 3 * SECOND, 30 * SECOND};

        w->chaos_due_us = now_of(w) + scattered(w, MS, 8 * SECOND);
        switch (below(w, 8)) {
        case 0:
                trouble_wire(w);
                break;
        case 1:
                w->stuck = !w->stuck && chance(w, 40);
                break;
        case 2:
                w->down = !w->down && chance(w, 40);
                break;
        case 3:
                set_disk(w, latency_us[below(w, 6)], chance(w, 15));
                break;
        case 4:
                w->blocks = !w->blocks && chance(w, 50);
                pause_update(w);
                break;
        case 5:
                w->room = w->room == SIZE_MAX ? below(w, chance(w, 50) ? 5 : 100) : w->room;
                w->room_due_us = now_of(w) + scattered(w, MS, 20 * SECOND);
                break;
        case 6:
                for (uint64_t n = below(w, chance(w, 2) ? 3000 : 100); n; n--)
                        publish(w);
                break;
        default:
                w->d.ack_slowdown = (double)(1 + below(w, 5));
        }
        broker_poke(w);
}

static void heal(struct world *w)
{
        w->chaos_due_us = w->publish_due_us = w->room_due_us = INT64_MAX;
        w->stuck = w->down = w->blocks = false;
        w->wire_room = 5000;
        set_disk(w, 5 * MS, false);
        make_room(w, SIZE_MAX);
        broker_poke(w);
}

static void check_acked(struct world *w)
{
        for (uint32_t i = 1; i <= w->n_published; i++)
                if (w->message[i].qos && w->message[i].state == ACKED)
                        CHECK(w, w->message[i].on_disk);
}

static size_t n_unacknowledged(const struct world *w)
{
        size_t n = 0;

        for (uint32_t i = 1; i <= w->n_published; i++)
                n += w->message[i].qos && (w->message[i].state == QUEUED || w->message[i].state == IN_FLIGHT);
        return n;
}

/* What so many messages take when nothing is wrong, a window at a time. */
static int64_t duration_us(const struct world *w, size_t n)
{
        size_t windows = w->window ? n / w->window + 1 : 1 + n / 1000;

        return (int64_t)windows * (5 * w->conf.ack_delay_us + 4 * w->latency_us + 20 * MS);
}

/*
 * A mute wire is noticed after two keepalives at most; then the host waits, and
 * an open may take its time.
 */
static void check_progress(struct world *w)
{
        heal(w);
        run(w, 2 * w->conf.keepalive_us + 30 * SECOND + duration_us(w, n_unacknowledged(w)));
        CHECK(w, w->link && w->link->accepted && w->session && w->subscribed);
        CHECK(w, n_unacknowledged(w) == 0);
        CHECK(w, w->next == w->n_published + 1);
        check_acked(w);
        CHECK(w, w->link->n_acked == w->link->n_delivered);
}

/*
 * With everything well, but for a socket that takes little at once, it is a
 * matter of moments.
 */
static void check_brisk(struct world *w)
{
        w->wire_room = chance(w, 50) ? 3 : w->wire_room;
        for (int i = 0; i < 100; i++)
                publish(w);
        run(w, SECOND + 70 * w->latency_us + duration_us(w, 100));
        CHECK(w, n_unacknowledged(w) == 0);
        w->wire_room = 5000;
}

/* ---- a process's life ---- */

static void make(struct world *w, struct driver *before)
{
        struct err e;

        w->d.before = before;
        w->d.priv = NULL;
        w->d.paused = false;
        w->dead = w->stopping = w->stopped = w->sure_stop = false;
        w->waits_for_room = w->waits_for_disk = w->refusing = false;
        CHECK(w, w->d.ops->init(&w->d, &e) == 0);
        w->d.before = NULL;
        pause_update(w);
        w->start_due_us = now_of(w) + scattered(w, MS, SECOND);
}

static void cut(struct world *w)
{
        size_t landed = w->sync && chance(w, 50) ? w->n_sync : w->n_durable;

        N.cuts++;
        w->dead = true;
        land(w, landed);
        w->n_log = w->n_durable;
        rt_sim_cut(&w->sim);
        w->sync = NULL;
        w->disk_due_us = w->start_due_us = INT64_MAX;
        w->d.ops->fini(&w->d);
        check_acked(w);
        run(w, scattered(w, 100 * MS, 10 * SECOND));
        make(w, NULL);
}

/*
 * Two seconds for the last acknowledgements; a commit that is under way is
 * waited for.
 */
static void stop(struct world *w)
{
        bool sure = w->link && w->link->accepted && w->wire == WIRE_OK && !w->stuck && w->wire_room > 500 &&
                    !w->refusing && !w->disk_fails && w->disk_us <= 300 * MS &&
                    (!w->sync || w->disk_due_us < now_of(w) + 300 * MS);
        int64_t limit_us = 2 * SECOND + 1;

        N.stops++;
        w->publish_due_us = w->chaos_due_us = INT64_MAX;
        w->stopping = true;
        w->sure_stop = sure;
        w->start_due_us = INT64_MAX;
        w->d.ops->stop(&w->d);
        run(w, limit_us);
        CHECK(w, w->stopped || w->sync);
        if (!w->stopped && w->disk_fails)
                set_disk(w, 40 * MS, false);
        if (!w->stopped)
                run(w, w->disk_due_us - now_of(w) + 1);
        CHECK(w, w->stopped && !w->link);
        N.kept_stops += sure;
        w->stopped = w->sure_stop = false;
}

static void retire(struct world *w, bool reload)
{
        struct driver before;

        stop(w);
        before = w->d;
        N.reloads += reload;
        make(w, reload ? &before : NULL);
        before.ops->fini(&before);
}

/* ---- a seed ---- */

static void set_conf(struct world *w)
{
        static const int64_t receive_maximum[] = {1, 5, 20, 100, 2000, 65535};

        w->subs[0] = (struct mqtt_sub_conf){.topic = "n/{source}/{tag}", .payload = MQTT_NUMBER};
        w->subs[1] = (struct mqtt_sub_conf){.topic = "t/{tag}", .payload = MQTT_TEXT};
        w->conf = (struct mqtt_conf){.name = "plant",
                                     .url = "mqtt://broker",
                                     .protocol = chance(w, 50) ? MQTT_V5 : MQTT_V311,
                                     .qos = 1,
                                     .receive_maximum = receive_maximum[below(w, 6)],
                                     .keepalive_us = (int64_t)(5 + below(w, 10)) * SECOND,
                                     .session_expiry_us = 3600 * (int64_t)SECOND,
                                     .ack_delay_us = chance(w, 20) ? 0 : scattered(w, MS, 200 * MS),
                                     .max_payload_bytes = 100000,
                                     .subscriptions = {w->subs, 2}};
        w->batch =
                w->conf.protocol == MQTT_V5 && w->conf.receive_maximum < 2000 ? (size_t)w->conf.receive_maximum : 2000;
}

static void set_broker(struct world *w)
{
        static const size_t window[] = {1, 20, 20, 0, 100};

        w->window = window[below(w, 5)];
        if (w->conf.protocol == MQTT_V5 && (!w->window || (int64_t)w->window > w->conf.receive_maximum) &&
            chance(w, 80))
                w->window = (size_t)w->conf.receive_maximum;
        w->lowest_mid = chance(w, 50);
        w->latency_us = scattered(w, 50, 40 * MS);
        w->record = chance(w, 60) ? 1 : 1 + (unsigned)below(w, 30);
        w->wire_room = 5000;
        w->next = 1;
        w->n_published = w->last_mid = 0;
        w->publish_every_us = scattered(w, 10 * MS, 2 * SECOND);
        w->publish_burst = chance(w, 60) ? 1 : 1 + (unsigned)below(w, 30);
        w->qos0_percent = chance(w, 50) ? 0 : (unsigned)below(w, 90);
        w->fat_percent = chance(w, 94) ? 0 : 60;
        w->record = w->fat_percent ? 30 : w->record;
}

static struct world *begin(uint64_t seed)
{
        struct world *w = &W;
        struct fifo keep_client = w->to_client, keep_broker = w->to_broker;
        struct tags *tags;

        memset(w, 0, offsetof(struct world, log));
        memset(&w->disk_due_us, 0, sizeof(*w) - offsetof(struct world, disk_due_us));
        w->to_client = keep_client;
        w->to_broker = keep_broker;
        rt_sim_init(&w->sim, seed, INT64_C(1795428000000000));
        w->ops = *w->sim.rt.ops;
        w->ops.watch = watch;
        w->sim.rt.ops = &w->ops;
        w->seed = w->rng = seed;
        w->broker_due_us = w->opened_due_us = w->disk_due_us = w->start_due_us = w->room_due_us = INT64_MAX;
        w->publish_due_us = w->chaos_due_us = INT64_MAX;
        w->room = SIZE_MAX;
        w->disk_us = 5 * MS;
        set_conf(w);
        set_broker(w);
        tags = tags_new(100);
        w->d = (struct driver){.ops = &mqtt_ops,
                               .name = "plant",
                               .gateway = "gw",
                               .conf = &w->conf,
                               .rt = &w->sim.rt,
                               .tags = tags,
                               .host = &host,
                               .host_priv = w,
                               .ack_slowdown = 1};
        make(w, NULL);
        return w;
}

static void end(struct world *w)
{
        struct tags *tags = w->d.tags;
        bool *seen = calloc(MESSAGES_MAX + 1, sizeof(*seen));

        stop(w);
        w->d.ops->fini(&w->d);
        for (size_t i = 0; i < w->n_durable; i++) {
                N.doubled += seen[w->log[i].number];
                seen[w->log[i].number] = true;
        }
        N.recognised += (long)w->d.n_redelivered;
        N.overflows += (long)w->d.n_errors;
        free(seen);
        tags_free(tags);
        rt_sim_fini(&w->sim);
}

static void run_seed(uint64_t seed)
{
        struct world *w = begin(seed);

        run(w, 10 * SECOND);
        for (uint64_t n = 1 + below(w, 3); n; n--) {
                w->publish_due_us = w->chaos_due_us = now_of(w);
                run(w, scattered(w, SECOND, 60 * SECOND));
                switch (below(w, 5)) {
                case 0:
                case 1:
                        cut(w);
                        break;
                case 2:
                        retire(w, true);
                        break;
                case 3:
                        retire(w, false);
                        break;
                default:
                        break;
                }
                if (chance(w, 60))
                        check_progress(w);
        }
        check_progress(w);
        check_brisk(w);
        end(w);
}

/* A BUG_ON of the driver has no seed in its words. */
static void on_abort(int sig)
{
        char words[64];
        int n = snprintf(words, sizeof(words), "seed %" PRIu64 "\n", W.seed);

        write(STDERR_FILENO, words, (size_t)n);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
        const char *text = getenv(name);

        return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_nothing_acknowledged_is_lost_whatever_happens(void **state)
{
        uint64_t first = number_of("MQTT_SIM_SEED", 0), n = first ? 1 : number_of("MQTT_SIM_SEEDS", SEEDS);

        memset(&N, 0, sizeof(N));
        for (uint64_t i = 0; i < n; i++)
                run_seed(first ? first : i + 1);
        print_message("%" PRIu64
                      " seeds: %ld messages, %ld acknowledged, %ld twice in the log, %ld recognised; %ld cuts, "
                      "%ld links lost, %ld of them with a commit under way, %ld left on purpose, %ld by keepalive, %ld "
                      "sessions lost; %ld stops, %ld of them had to be complete, %ld reloads; %ld full sockets, %ld "
                      "refusals, %ld overflows\n",
                      n, N.published, N.acked, N.doubled, N.recognised, N.cuts, N.lost, N.orphans, N.left, N.kept_alive,
                      N.session_lost, N.stops, N.kept_stops, N.reloads, N.dry, N.refused, N.overflows);
        if (n < SEEDS)
                return;
        assert_true(N.cuts && N.left && N.orphans && N.session_lost && N.kept_stops && N.reloads && N.dry);
        assert_true(N.refused && N.overflows && N.recognised && N.acked > N.published / 2);
}

/* ---- faults of once ---- */

static struct world *begin_311(void)
{
        struct world *w = begin(7);

        w->conf.protocol = MQTT_V311;
        w->latency_us = 20 * MS;
        run(w, 10 * SECOND);
        CHECK(w, w->subscribed);
        return w;
}

/*
 * With 3.1.1 a session that is there was believed to have our subscriptions;
 * nobody had told that it was a new one.
 */
static void test_a_session_whose_birth_was_not_heard_of_is_subscribed(void **state)
{
        struct world *w = begin_311();

        lose_session(w);
        while (!w->session)
                run(w, MS);
        break_wire(w, WIRE_BROKEN); /* the CONNACK was under way */
        check_progress(w);
        end(w);
}

static void test_a_session_whose_subscription_was_lost_is_subscribed(void **state)
{
        struct world *w = begin_311();

        lose_session(w);
        while (!w->link || !w->link->accepted || !w->session)
                run(w, MS);
        break_wire(w, WIRE_BROKEN);
        CHECK(w, !w->subscribed);
        check_progress(w);
        end(w);
}

/*
 * The driver that follows has the subscriptions of the one before, and its
 * doubts.
 */
static void test_a_reload_while_connecting_subscribes_again(void **state)
{
        struct world *w = begin_311();

        lose_session(w);
        while (!w->session)
                run(w, MS);
        CHECK(w, w->link && !w->link->accepted);
        retire(w, true);
        check_progress(w);
        end(w);
}

/* What it wants is less than what we hold acknowledgements for, or pause. */
static void test_a_broker_that_wants_a_short_keepalive_has_no_reason_to_hang_up(void **state)
{
        struct world *w = begin(7);
        long kept_alive = N.kept_alive, left = N.left;

        w->conf.protocol = MQTT_V5;
        w->conf.keepalive_us = 60 * SECOND;
        w->conf.ack_delay_us = 5 * SECOND;
        w->conf.receive_maximum = 2000;
        w->publish_every_us = SECOND;
        w->publish_burst = 1;
        w->window = 0;
        w->keepalive_s = 4;
        w->disk_us = 1200 * MS;
        retire(w, true); /* for what is configured to count */
        w->publish_due_us = now_of(w);
        run(w, 60 * SECOND);
        CHECK(w, w->link && w->link->n_acked);
        CHECK(w, N.kept_alive == kept_alive);
        w->blocks = true;
        pause_update(w);
        run(w, 20 * SECOND);
        CHECK(w, N.kept_alive == kept_alive && N.left == left + 1);
        check_progress(w);
        end(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_session_whose_birth_was_not_heard_of_is_subscribed),
                cmocka_unit_test(test_a_session_whose_subscription_was_lost_is_subscribed),
                cmocka_unit_test(test_a_reload_while_connecting_subscribes_again),
                cmocka_unit_test(test_a_broker_that_wants_a_short_keepalive_has_no_reason_to_hang_up),
                cmocka_unit_test(test_nothing_acknowledged_is_lost_whatever_happens),
        };

        mallopt(M_MMAP_THRESHOLD, 1 << 20); /* the redelivery table stays untouched memory, each time */
        log_init(LOG_ERROR);
        signal(SIGABRT, on_abort);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
