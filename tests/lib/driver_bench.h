/*
 * driver_bench: one driver on a bench: a host that writes down what it is transcript,
 * virtual time, fds that are polled when the test says so, a temporary tree.
 *
 * The host counts as the agent's does (agent/host.c), but does nothing by
 * itself: no poll when a period is over, no start again after link_down.  What
 * is told is noted (transcript.h), each piece with `end` behind it:
 *
 *   tag=12.5  tag=text  tag=12.5?  tag:comm_failure    a reading: good, uncertain, bad
 *   dropped:tag=12.5                                   one there is no room for, and that can't wait
 *   kept(payload)  up  down  stopped                   quarantine, link_up, link_down, stopped
 *   press-3:down                                       device_event
 *
 * For cmocka tests; a failure fails the test.
 */
#ifndef MILLRACE_TESTS_DRIVER_BENCH_H
#define MILLRACE_TESTS_DRIVER_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <ftw.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/rt_sim.h"
#include "agent/base/text.h"
#include "drivers/driver.h"
#include "tests/lib/transcript.h"

enum { BENCH_WATCHES_MAX = 16, BENCH_TAGS_MAX = 300, BENCH_TREE_MAX = 512 };

struct driver_bench {
        struct driver d;
        struct rt_sim sim;
        struct rt_ops ops;
        struct rt_watch *watches[BENCH_WATCHES_MAX];
        bool writes[BENCH_WATCHES_MAX];                          /* it waits for room */
        void (*note)(struct driver *d, const struct reading *r); /* how a reading is written down */
        char end;                                                /* behind each piece */
        size_t room;                                             /* readings the spool has room for */
        size_t n_calls, n_taken, n_kept;                         /* of emit; readings of them; in the quarantine */
        struct reading last;                                     /* its text is gone */
        char tree[BENCH_TREE_MAX];                               /* "": none yet */
};

static inline struct driver_bench *bench_of(struct driver *d)
{
        return d->host_priv;
}

/* ---- the host ---- */

static inline void bench_note(struct driver *d, const struct reading *r)
{
        const char *tag = tags_get(d->tags, r->tag)->name, *sure = r->quality == QUALITY_UNCERTAIN ? "?" : "";

        if (quality_is_bad(r->quality))
                transcript_add("%s:%s", tag, quality_reason(r->quality) ? quality_reason(r->quality) : "bad");
        else if (r->type == READING_F64)
                transcript_add("%s=%.10g%s", tag, r->v.f64, sure);
        else if (r->type == READING_I64)
                transcript_add("%s=%lld%s", tag, (long long)r->v.i64, sure);
        else if (r->type == READING_BOOL)
                transcript_add("%s=%s%s", tag, r->v.b ? "true" : "false", sure);
        else
                transcript_add("%s=%.*s%s", tag, (int)r->len, r->v.text, sure);
}

static inline int bench_on_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        struct driver_bench *b = bench_of(d);
        bool fits = n <= b->room;

        assert_true(n > 0);
        if (!fits && may_wait) {
                assert_false(d->paused);
                d->paused = true;
                d->ops->pause(d, true);
                return DRIVER_E_WAIT;
        }
        if (!fits)
                transcript_add("dropped:");
        else
                b->room -= b->room == SIZE_MAX ? 0 : n;
        b->n_calls++;
        b->n_taken += n;
        d->n_readings += n;
        for (size_t i = 0; i < n; i++) {
                assert_true(r[i].tag < tags_count(d->tags) && r[i].quality < N_QUALITIES && r[i].ts_us > 0);
                assert_int_equal(quality_is_bad(r[i].quality), r[i].type == READING_NONE);
                b->last = r[i];
                b->note(d, &r[i]);
                transcript_add("%c", b->end);
        }
        return 0;
}

static inline void bench_on_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload,
                                       size_t len)
{
        d->n_malformed++;
        text_format(d->last_error, sizeof(d->last_error), "%s: %s", origin, reason);
        bench_of(d)->n_kept++;
        transcript_add("kept(%.*s)%c", (int)len, (const char *)payload, bench_of(d)->end);
}

static inline void bench_on_up(struct driver *d)
{
        d->state = DRIVER_UP;
        transcript_add("up%c", bench_of(d)->end);
}

static inline void bench_on_down(struct driver *d, const char *why)
{
        d->state = DRIVER_DOWN;
        d->n_errors++;
        text_copy(d->last_error, sizeof(d->last_error), why);
        transcript_add("down%c", bench_of(d)->end);
}

static inline void bench_on_stopped(struct driver *d)
{
        d->state = DRIVER_STOPPED;
        transcript_add("stopped%c", bench_of(d)->end);
}

static inline void bench_on_device(struct driver *d, const char *source, const char *state, const char *why)
{
        transcript_add("%s:%s%c", source, state, bench_of(d)->end);
}

/* The spool has room for `n` readings more, and the driver hears of it. */
static inline void bench_make_room(struct driver_bench *b, size_t n)
{
        b->room = n;
        b->d.paused = false;
        b->d.ops->pause(&b->d, false);
}

/* ---- fds and time ---- */

static inline void bench_on_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        struct driver_bench *b = list_entry(rt, struct driver_bench, sim.rt);
        size_t at = 0;

        while (at < BENCH_WATCHES_MAX && b->watches[at] != w)
                at++;
        for (size_t i = 0; i < BENCH_WATCHES_MAX && at == BENCH_WATCHES_MAX; i++)
                if (!b->watches[i])
                        at = i;
        assert_true(at < BENCH_WATCHES_MAX);
        b->watches[at] = events ? w : NULL;
        b->writes[at] = events & RT_WRITE;
}

static inline size_t bench_n_watched(const struct driver_bench *b)
{
        size_t n = 0;

        for (size_t i = 0; i < BENCH_WATCHES_MAX; i++)
                n += b->watches[i] != NULL;
        return n;
}

/* Tells of fds that can be read, have the room they wait for, or were closed, until none has anything more to say. */
static inline void bench_turn(struct driver_bench *b)
{
        for (int n = 1, rounds = 0; n > 0 && rounds < 10000; rounds++) {
                n = 0;
                for (size_t i = 0; i < BENCH_WATCHES_MAX; i++) {
                        struct pollfd p = {.fd = b->watches[i] ? b->watches[i]->fd : -1,
                                           .events = b->writes[i] ? POLLIN | POLLOUT : POLLIN};

                        if (p.fd < 0 || poll(&p, 1, 0) <= 0)
                                continue;
                        b->watches[i]->on_event(b->watches[i], RT_READ | (p.revents & POLLOUT ? RT_WRITE : 0) |
                                                                       (p.revents & POLLHUP ? RT_ERROR : 0));
                        n++;
                }
        }
}

static inline void bench_pass(struct driver_bench *b, int64_t us)
{
        rt_sim_run(&b->sim, b->sim.now.mono_us + us, NULL, NULL);
}

/* ---- a tree of files ---- */

/* The path in the tree, for the call before the next. */
static inline const char *bench_path(struct driver_bench *b, const char *path)
{
        static char whole[2 * BENCH_TREE_MAX];
        const char *tmp = getenv("TMPDIR");

        if (!b->tree[0]) {
                snprintf(b->tree, sizeof(b->tree), "%s/millrace-bench-XXXXXX", tmp ? tmp : "/tmp");
                assert_non_null(mkdtemp(b->tree));
        }
        snprintf(whole, sizeof(whole), "%s%s%s", b->tree, *path ? "/" : "", path);
        return whole;
}

/* Makes the file and the folders above it. */
static inline void bench_write(struct driver_bench *b, const char *path, const char *text)
{
        char whole[2 * BENCH_TREE_MAX];
        FILE *out;

        strcpy(whole, bench_path(b, path));
        for (char *p = whole + strlen(b->tree) + 1; (p = strchr(p, '/')); *p++ = '/') {
                *p = '\0';
                mkdir(whole, 0700);
        }
        out = fopen(whole, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
        fclose(out);
}

static inline void bench_remove(struct driver_bench *b, const char *path)
{
        assert_int_equal(remove(bench_path(b, path)), 0);
}

static inline int bench_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
        return remove(path);
}

/* ---- life ---- */

/* Nothing of the driver has run yet. */
static inline void bench_init(struct driver_bench *b, const struct driver_ops *ops, const char *name, const void *conf)
{
        static const struct driver_host host = {.emit = bench_on_emit,
                                                .quarantine = bench_on_quarantine,
                                                .link_up = bench_on_up,
                                                .link_down = bench_on_down,
                                                .stopped = bench_on_stopped,
                                                .device_event = bench_on_device};

        *b = (struct driver_bench){.note = bench_note, .end = ' ', .room = SIZE_MAX};
        transcript[0] = '\0';
        rt_sim_init(&b->sim, 1, INT64_C(1795428000) * 1000000);
        b->ops = *b->sim.rt.ops;
        b->ops.watch = bench_on_watch;
        b->sim.rt.ops = &b->ops;
        b->d = (struct driver){.ops = ops,
                               .name = name,
                               .gateway = "gw",
                               .conf = conf,
                               .rt = &b->sim.rt,
                               .tags = tags_new(BENCH_TAGS_MAX),
                               .host = &host,
                               .host_priv = b,
                               .ack_slowdown = 1};
}

/* The driver is made, and started. */
static inline void bench_start(struct driver_bench *b)
{
        struct err e = {.text = ""};

        if (b->d.ops->init(&b->d, &e) < 0)
                fail_msg("init: %s", e.text);
        b->d.ops->start(&b->d);
}

/* Nothing may be watched, and nothing be under way, behind the driver's end. */
static inline void bench_fini(struct driver_bench *b)
{
        if (b->d.priv)
                b->d.ops->fini(&b->d);
        assert_int_equal(bench_n_watched(b), 0);
        bench_pass(b, INT64_C(3600) * 1000000);
        assert_true(list_empty(&b->sim.works) && b->sim.rt.n_timers == 0);
        tags_free(b->d.tags);
        rt_sim_fini(&b->sim);
        if (b->tree[0])
                nftw(b->tree, bench_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
