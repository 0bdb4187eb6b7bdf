/*
 * metrics_http: see metrics_http.h.
 *
 * libmicrohttpd without threads of its own: it brings one epoll fd, which is a
 * watch on our loop, and says when it wants to be called again.  So the page is
 * made on the loop thread at the moment somebody asks, from the same object as
 * `millrace status`, and nothing is made while nobody does.  At most eight
 * connections, each closed after ten idle seconds.
 *
 * The library is loaded when metrics.listen is set, not before: it brings
 * GnuTLS and what belongs to it, 2.2 MB that a board which is not scraped
 * should not pay.
 *
 * Fails at start with a sentence (the port is taken); later a client that does
 * not read its answer loses its connection.
 */
#include "agent/control/metrics_http.h"

#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/metrics.h"

#define LIBRARY "libmicrohttpd.so.12"

#define FUNCTIONS(F)                   \
        F(add_response_header)         \
        F(create_response_from_buffer) \
        F(destroy_response)            \
        F(get_daemon_info)             \
        F(get_timeout)                 \
        F(queue_response)              \
        F(run)                         \
        F(start_daemon)                \
        F(stop_daemon)

#define POINTER(name) __typeof__(&MHD_##name) name;
static struct {
        void *handle;
        FUNCTIONS(POINTER)
} mhd;

enum { CLIENTS_MAX = 8, IDLE_S = 10, SOON_MS = 100 };

struct metrics_http {
        struct rt *rt;
        struct MHD_Daemon *server;
        struct rt_watch watch;
        struct rt_timer timer;
        char *(*page)(void *ctx);
        void *ctx;
};

int metrics_http_load(struct err *e)
{
        if (mhd.run)
                return 0;
        mhd.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!mhd.handle)
                return err_set(e, "metrics.listen: %s can't be loaded (apt install libmicrohttpd12): %s", LIBRARY,
                               dlerror());
#define FIND(name)                                                        \
        mhd.name = (__typeof__(mhd.name))dlsym(mhd.handle, "MHD_" #name); \
        if (!mhd.name)                                                    \
                return err_set(e, "metrics.listen: %s has no MHD_" #name, LIBRARY);
        FUNCTIONS(FIND)
        return 0;
}

static bool has_clients(const struct metrics_http *m)
{
        return mhd.get_daemon_info(m->server, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections > 0;
}

/*
 * A run that lets clients go makes room for others, but only the next one
 * listens again, and nothing asks for that one.  So while there were clients
 * another run follows soon.
 */
static void pump(struct metrics_http *m)
{
        bool had_clients = has_clients(m);
        MHD_UNSIGNED_LONG_LONG ms = SOON_MS;

        mhd.run(m->server);
        if (mhd.get_timeout(m->server, &ms) != MHD_YES || ms > SOON_MS)
                ms = SOON_MS;
        if (!had_clients && !has_clients(m))
                rt_timer_cancel(m->rt, &m->timer);
        else
                rt_timer_set(m->rt, &m->timer, (int64_t)ms * 1000);
}

static void on_ready(struct rt_watch *w, unsigned events)
{
        pump(list_entry(w, struct metrics_http, watch));
}

static void on_due(struct rt_timer *t)
{
        pump(list_entry(t, struct metrics_http, timer));
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, char *text, enum MHD_ResponseMemoryMode mode)
{
        struct MHD_Response *r = mhd.create_response_from_buffer(strlen(text), text, mode);
        enum MHD_Result done;

        if (!r)
                return MHD_NO;
        mhd.add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, METRICS_CONTENT_TYPE);
        done = mhd.queue_response(c, status, r);
        mhd.destroy_response(r);
        return done;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *body, size_t *n_body, void **state)
{
        static char where[] = "millrace: the numbers are at /metrics\n", how[] = "millrace: GET and HEAD only\n";
        struct metrics_http *m = ctx;

        if (*n_body) {
                *n_body = 0; /* a body is read and forgotten */
                return MHD_YES;
        }
        if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
                return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, how, MHD_RESPMEM_PERSISTENT);
        if (strcmp(url, "/metrics"))
                return answer(c, MHD_HTTP_NOT_FOUND, where, MHD_RESPMEM_PERSISTENT);
        return answer(c, MHD_HTTP_OK, m->page(m->ctx), MHD_RESPMEM_MUST_FREE);
}

struct metrics_http *metrics_http_open(struct rt *rt, const char *listen, char *(*page)(void *ctx), void *ctx,
                                       struct err *e)
{
        struct metrics_http *m = mem_alloc(sizeof(*m));
        struct sockaddr_storage address;
        const union MHD_DaemonInfo *info;
        unsigned flags = MHD_USE_EPOLL;

        *m = (struct metrics_http){
                .rt = rt, .page = page, .ctx = ctx, .watch.on_event = on_ready, .timer.on_due = on_due};
        if (metrics_address(listen, &address, e) < 0 || metrics_http_load(e) < 0) {
                free(m);
                return NULL;
        }
        flags |= address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
        errno = 0;
        m->server = mhd.start_daemon(flags, 0, NULL, NULL, on_request, m, MHD_OPTION_SOCK_ADDR,
                                     (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
                                     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
        if (!m->server) {
                err_errno(e, "metrics.listen %s", listen);
                free(m);
                return NULL;
        }
        info = mhd.get_daemon_info(m->server, MHD_DAEMON_INFO_EPOLL_FD);
        BUG_ON(!info || info->epoll_fd < 0);
        m->watch.fd = info->epoll_fd;
        rt_watch_set(rt, &m->watch, RT_READ);
        return m;
}

void metrics_http_close(struct metrics_http *m)
{
        if (!m)
                return;
        rt_watch_set(m->rt, &m->watch, 0);
        rt_timer_cancel(m->rt, &m->timer);
        mhd.stop_daemon(m->server);
        free(m);
}
