/*
 * live: see live.h.
 *
 * The status object goes on as the control socket gave it, each value, so
 * that a page shows what `millrace status --json` shows.  Alarms are asked for
 * in the same second and sent when they have changed, and to who is new.
 *
 * How it fails: a daemon that does not answer is told to the pages as `away`,
 * with the reason, and asked again a second later.
 */
#include "agent/page/live.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/list.h"
#include "agent/cli/ctl_client.h"

enum { CLIENTS_MAX = 32, ASLEEP_S = 1 };

struct frame {
        size_t len;
        int users;
        char text[];
};

struct live {
        pthread_mutex_t lock;
        pthread_cond_t wanted;
        char *socket;
        void (*on_news)(void *ctx);
        struct list clients;
        int n_clients;
        uint64_t no, alarms_no;        /* of the newest frames; 0: none yet */
        struct frame *status, *alarms; /* newest */
};

struct live_client {
        struct live *live;
        struct list node;
        void *ctx;
        bool asleep;
        uint64_t no, alarms_no; /* what it has had */
        struct frame *sending;
        size_t at;
};

/* ---- frames; all under the lock ---- */

static struct frame *frame_new(const char *event, const char *data)
{
        size_t cap = strlen(event) + strlen(data) + 32;
        struct frame *f = mem_alloc(sizeof(*f) + cap);

        f->users = 1;
        f->len = (size_t)snprintf(f->text, cap, "event: %s\ndata: %s\n\n", event, data);
        return f;
}

static void frame_put(struct frame *f)
{
        if (f && --f->users == 0)
                free(f);
}

static bool frame_is(const struct frame *a, const struct frame *b)
{
        return a && b && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* ---- asking ---- */

static char *ask(const struct live *l, const char *cmd, struct err *e)
{
        json_t *request = json_pack("{s:s}", "cmd", cmd), *reply = NULL;
        int rc = ctl_ask(l->socket, request, &reply, e);
        char *text = rc ? NULL : json_dumps(reply, JSON_COMPACT | JSON_PRESERVE_ORDER);

        json_decref(request);
        json_decref(reply);
        return text;
}

static struct frame *away(const struct err *e)
{
        json_t *o = json_pack("{s:s}", "error", e->text);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
        struct frame *f = frame_new("away", text ? text : "{\"error\":\"the daemon does not answer\"}");

        free(text);
        json_decref(o);
        return f;
}

static void publish(struct live *l, struct frame *status, struct frame *alarms)
{
        struct list *at;

        pthread_mutex_lock(&l->lock);
        l->no++;
        frame_put(l->status);
        l->status = status;
        if (alarms && !frame_is(alarms, l->alarms)) {
                frame_put(l->alarms);
                l->alarms = alarms;
                l->alarms_no = l->no;
        } else {
                frame_put(alarms);
        }
        for (at = l->clients.next; at != &l->clients; at = at->next) {
                struct live_client *c = list_entry(at, struct live_client, node);

                if (c->asleep) {
                        c->asleep = false;
                        l->on_news(c->ctx);
                }
        }
        pthread_mutex_unlock(&l->lock);
}

static void look(struct live *l)
{
        struct err e = {""};
        char *status = ask(l, "status", &e), *alarms = status ? ask(l, "alarms", &e) : NULL;

        publish(l, status ? frame_new("status", status) : away(&e), alarms ? frame_new("alarms", alarms) : NULL);
        free(status);
        free(alarms);
}

static void *run(void *ctx)
{
        struct live *l = ctx;
        struct timespec next;

        for (;;) {
                pthread_mutex_lock(&l->lock);
                while (!l->n_clients)
                        pthread_cond_wait(&l->wanted, &l->lock);
                pthread_mutex_unlock(&l->lock);
                clock_gettime(CLOCK_MONOTONIC, &next);
                next.tv_sec += ASLEEP_S;
                look(l);
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        }
        return NULL;
}

struct live *live_new(const char *socket, void (*on_news)(void *client_ctx))
{
        struct live *l = mem_alloc(sizeof(*l));
        pthread_t thread;

        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->wanted, NULL);
        list_init(&l->clients);
        l->socket = mem_strdup(socket);
        l->on_news = on_news;
        BUG_ON(pthread_create(&thread, NULL, run, l) != 0);
        pthread_detach(thread);
        return l;
}

/* ---- clients ---- */

struct live_client *live_join(struct live *l, void *ctx)
{
        struct live_client *c = NULL;

        pthread_mutex_lock(&l->lock);
        if (l->n_clients < CLIENTS_MAX) {
                c = mem_alloc(sizeof(*c));
                c->live = l;
                c->ctx = ctx;
                c->no = l->n_clients ? 0 : l->no; /* what was asked when nobody looked is old */
                list_append(&l->clients, &c->node);
                if (!l->n_clients++)
                        pthread_cond_signal(&l->wanted);
        }
        pthread_mutex_unlock(&l->lock);
        return c;
}

void live_leave(struct live_client *c)
{
        struct live *l = c->live;

        pthread_mutex_lock(&l->lock);
        list_remove(&c->node);
        l->n_clients--;
        frame_put(c->sending);
        pthread_mutex_unlock(&l->lock);
        free(c);
}

static struct frame *next_frame(struct live_client *c)
{
        struct live *l = c->live;

        if (c->no != l->no && l->status) {
                c->no = l->no;
                return l->status;
        }
        if (c->alarms_no != l->alarms_no && l->alarms && c->no) {
                c->alarms_no = l->alarms_no;
                return l->alarms;
        }
        return NULL;
}

size_t live_take(struct live_client *c, char *out, size_t cap, void (*before_sleep)(void *ctx))
{
        size_t n = 0;

        pthread_mutex_lock(&c->live->lock);
        if (!c->sending) {
                c->sending = next_frame(c);
                c->at = 0;
                if (c->sending)
                        c->sending->users++;
        }
        if (c->sending) {
                n = c->sending->len - c->at < cap ? c->sending->len - c->at : cap;
                memcpy(out, c->sending->text + c->at, n);
                c->at += n;
                if (c->at == c->sending->len) {
                        frame_put(c->sending);
                        c->sending = NULL;
                }
        } else {
                c->asleep = true;
                before_sleep(c->ctx);
        }
        pthread_mutex_unlock(&c->live->lock);
        return n;
}
