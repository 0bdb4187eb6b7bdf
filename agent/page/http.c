/*
 * http: see http.h.
 *
 * A request is judged before anything is done for it: where it came from (Host,
 * Origin, Sec-Fetch-Site), who it is (cookie), what it may (role, token), how
 * long it takes.  On loopback one may look without a name, so a foreign site
 * must not: a Host that is none of loopback's is refused, which is what a
 * rebound name would have.
 *
 * Bounds: CONNECTIONS at once; a request is complete within WHOLE_S, or its
 * connection ends, and so does one that does not read; BODY_MAX bytes of a
 * body.  How it fails: with a status and {"error": sentence}.
 */
#include "agent/page/http.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/base64.h"
#include "agent/base/log.h"
#include "agent/page/guard.h"
#include "agent/page/job.h"
#include "agent/page/live.h"
#include "agent/page/users.h"
#include "page_html.h" /* made by agent/page/web/assemble */

enum { CONNECTIONS = 96, BODY_MAX = 16384, WHOLE_S = 10, ADDRESS_WAIT_S = 900, NAME_WAIT_S = 30 };

static struct server {
        const struct http_conf *conf;
        bool near;  /* it listens on loopback */
        bool local; /* on a unix socket */
        struct live *live;
        pthread_mutex_t lock; /* of guard */
        struct guard guard;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct visitor {
        char user[GUARD_NAME + 1], csrf[GUARD_SECRET + 1];
        bool known, may_act;
};

enum { VALUES_MAX = 8 };

struct request {
        struct job job; /* first */
        struct MHD_Connection *connection;
        char path[64], body[BODY_MAX + 1];
        size_t n_body;
        bool post, too_long, asked, https;
        struct visitor visitor;
        struct {
                char *name, *value;
        } values[VALUES_MAX];
        int n_values;
        struct ask_answer answer;
        char token[GUARD_SECRET + 1]; /* of the session that a log-in began */
};

static int64_t mono_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- answers ---- */

static void add_headers(struct MHD_Response *r)
{
        static const char *const headers[][2] = {
                {"X-Content-Type-Options", "nosniff"},         {"Referrer-Policy", "no-referrer"},
                {"Cross-Origin-Opener-Policy", "same-origin"}, {"Cross-Origin-Resource-Policy", "same-origin"},
                {"Content-Security-Policy", PAGE_POLICY},
        };

        for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
                MHD_add_response_header(r, headers[i][0], headers[i][1]);
}

static enum MHD_Result send_json(struct request *q, int status, const char *json)
{
        struct MHD_Response *r =
                MHD_create_response_from_buffer(strlen(json), (void *)(uintptr_t)json, MHD_RESPMEM_MUST_COPY);
        char cookie[200];
        enum MHD_Result result;

        add_headers(r);
        MHD_add_response_header(r, "Content-Type", "application/json; charset=utf-8");
        MHD_add_response_header(r, "Cache-Control", "no-store");
        if (*q->token) {
                snprintf(cookie, sizeof(cookie), "millrace=%s; HttpOnly; SameSite=Strict; Path=/%s", q->token,
                         q->https ? "; Secure" : "");
                MHD_add_response_header(r, "Set-Cookie", cookie);
        }
        if (status == 429)
                MHD_add_response_header(r, "Retry-After", "30");
        result = MHD_queue_response(q->connection, (unsigned)status, r);
        MHD_destroy_response(r);
        return result;
}

static enum MHD_Result refuse(struct request *q, int status, const char *why)
{
        struct ask_answer a;
        enum MHD_Result r;

        answer_error(&a, status, "%s", why);
        r = send_json(q, status, a.json);
        free(a.json);
        return r;
}

static enum MHD_Result send_page(struct request *q)
{
        const char *have = MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "If-None-Match");
        bool same = have && strcmp(have, PAGE_TAG) == 0;
        struct MHD_Response *r = MHD_create_response_from_buffer(same ? 0 : sizeof(page_gzip),
                                                                 (void *)(uintptr_t)page_gzip, MHD_RESPMEM_PERSISTENT);
        enum MHD_Result result;

        add_headers(r);
        MHD_add_response_header(r, "Content-Type", "text/html; charset=utf-8");
        MHD_add_response_header(r, "Cache-Control", "no-cache");
        MHD_add_response_header(r, "ETag", PAGE_TAG);
        if (!same)
                MHD_add_response_header(r, "Content-Encoding", "gzip");
        result = MHD_queue_response(q->connection, same ? 304 : 200, r);
        MHD_destroy_response(r);
        return result;
}

/* ---- who it is ---- */

static const char *header(const struct request *q, const char *name)
{
        return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

static void recognise(struct request *q)
{
        const char *token = MHD_lookup_connection_value(q->connection, MHD_COOKIE_KIND, "millrace");
        struct guard_session *s;

        pthread_mutex_lock(&server.lock);
        s = token ? guard_find(&server.guard, token, mono_us()) : NULL;
        if (s) {
                q->visitor.known = true;
                q->visitor.may_act = s->may_act;
                snprintf(q->visitor.user, sizeof(q->visitor.user), "%s", s->user);
                snprintf(q->visitor.csrf, sizeof(q->visitor.csrf), "%s", s->csrf);
        }
        pthread_mutex_unlock(&server.lock);
}

static bool may_look(const struct request *q)
{
        return server.near || q->visitor.known;
}

/* Its port is left out. */
static bool is_loopback_name(const char *host)
{
        static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
        size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strlen(names[i]) == len && strncasecmp(host, names[i], len) == 0)
                        return true;
        return false;
}

static bool is_foreign(const struct request *q)
{
        const char *host = header(q, "Host"), *origin = header(q, "Origin"), *site = header(q, "Sec-Fetch-Site");
        const char *at;

        if (!host || (server.near && !is_loopback_name(host)))
                return true;
        if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0 &&
            (q->post || strcmp(q->path, "/") != 0))
                return true;
        if (!origin)
                return false;
        at = strstr(origin, "://");
        return !at || strcasecmp(at + 3, host) != 0;
}

static void address_of(const struct request *q, char *out, size_t cap)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(q->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        const struct sockaddr *a = info ? info->client_addr : NULL;

        snprintf(out, cap, "local");
        if (a && a->sa_family == AF_INET)
                inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, (socklen_t)cap);
        else if (a && a->sa_family == AF_INET6)
                inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, (socklen_t)cap);
}

/* ---- sessions ---- */

static void on_count(void *ctx, const struct user *u)
{
        ++*(int *)ctx;
}

static char *session_json(const struct visitor *v)
{
        int n_users = 0;
        json_t *o;
        char *text;

        users_each(server.conf->users, on_count, &n_users, NULL);
        o = json_pack("{s:s, s:s, s:o, s:o, s:b, s:b, s:b, s:o}", "gateway", server.conf->gateway, "version",
                      MILLRACE_VERSION, "user", v->known ? json_string(v->user) : json_null(), "role",
                      v->known ? json_string(v->may_act ? "operate" : "view") : json_null(), "may_look",
                      (int)(server.near || v->known), "may_act", (int)(v->known && v->may_act), "users",
                      (int)(n_users > 0), "csrf", v->known ? json_string(v->csrf) : json_null());
        text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        return text;
}

static void make_secret(char out[GUARD_SECRET + 1])
{
        char bytes[32];

        BUG_ON(getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes));
        BUG_ON(base64_put_url(out, bytes, sizeof(bytes)) != GUARD_SECRET);
}

static void begin_session(struct request *q, const struct user *u)
{
        char csrf[GUARD_SECRET + 1];

        make_secret(q->token);
        make_secret(csrf);
        pthread_mutex_lock(&server.lock);
        guard_begin(&server.guard, u->name, u->operate, q->token, csrf, mono_us());
        pthread_mutex_unlock(&server.lock);
        q->visitor = (struct visitor){.known = true, .may_act = u->operate};
        snprintf(q->visitor.user, sizeof(q->visitor.user), "%s", u->name);
        snprintf(q->visitor.csrf, sizeof(q->visitor.csrf), "%s", csrf);
        q->answer = (struct ask_answer){200, session_json(&q->visitor)};
        log_info("page", "%s has logged in", u->name);
}

static int wait_for(const char *address, const char *name)
{
        int a, b;

        pthread_mutex_lock(&server.lock);
        a = guard_wait_s(&server.guard, address, ADDRESS_WAIT_S, mono_us());
        b = guard_wait_s(&server.guard, name, NAME_WAIT_S, mono_us());
        pthread_mutex_unlock(&server.lock);
        return a > b ? a : b;
}

static void note_try(const char *address, const char *name, bool right)
{
        pthread_mutex_lock(&server.lock);
        guard_tried(&server.guard, address, right, mono_us());
        guard_tried(&server.guard, name, right, mono_us());
        pthread_mutex_unlock(&server.lock);
}

static void log_in(struct request *q)
{
        json_t *asked = json_loads(q->body, JSON_REJECT_DUPLICATES, NULL);
        const char *name = json_string_value(json_object_get(asked, "user"));
        const char *password = json_string_value(json_object_get(asked, "password"));
        char address[64], key[USERS_NAME + 8];
        struct user u;
        int found, wait_s;

        address_of(q, address, sizeof(address));
        snprintf(key, sizeof(key), "user %.64s", name ? name : "");
        if (!name || !password || strlen(password) > USERS_PASSWORD_MAX) {
                answer_error(&q->answer, 400, "user and password are wanted");
        } else if ((wait_s = wait_for(address, key))) {
                answer_error(&q->answer, 429, "too many wrong tries: try again in %d s", wait_s);
        } else {
                found = users_find(server.conf->users, name, &u, NULL);
                if (users_password_is(found == 0 ? &u : NULL, password)) {
                        note_try(address, key, true);
                        begin_session(q, &u);
                } else {
                        note_try(address, key, false);
                        log_warn("page", "a wrong password from %s", address);
                        answer_error(&q->answer, 401, "user or password is wrong");
                }
        }
        json_decref(asked);
        explicit_bzero(q->body, sizeof(q->body));
}

static enum MHD_Result log_out(struct request *q)
{
        const char *token = MHD_lookup_connection_value(q->connection, MHD_COOKIE_KIND, "millrace");
        struct guard_session *s;

        pthread_mutex_lock(&server.lock);
        s = token ? guard_find(&server.guard, token, mono_us()) : NULL;
        if (s)
                guard_end(s);
        pthread_mutex_unlock(&server.lock);
        return send_json(q, 200, "{}");
}

/* ---- jobs ---- */

static const char *get_value(void *ctx, const char *name)
{
        const struct request *q = ctx;

        for (int i = 0; i < q->n_values; i++)
                if (strcmp(q->values[i].name, name) == 0)
                        return q->values[i].value;
        return NULL;
}

static void run_job(struct job *j)
{
        struct request *q = (struct request *)j;
        struct ask_values v = {get_value, q};

        if (strcmp(q->path, "/api/login") == 0) {
                log_in(q);
        } else if (strcmp(q->path, "/api/alarm") == 0) {
                asks_act(&server.conf->asks, q->visitor.user, q->body, &q->answer);
                log_notice("page", "%s: %.300s: %d", q->visitor.user, q->body, q->answer.status);
        } else {
                asks_run(&server.conf->asks, q->path, &v, &q->answer);
        }
}

static void on_job_done(struct job *j)
{
        MHD_resume_connection(((struct request *)j)->connection);
}

static enum MHD_Result keep_value(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
        struct request *q = ctx;

        if (q->n_values == VALUES_MAX)
                return MHD_NO;
        q->values[q->n_values].name = mem_strdup(name);
        q->values[q->n_values++].value = mem_strdup(value ? value : "");
        return MHD_YES;
}

static enum MHD_Result begin_job(struct request *q)
{
        MHD_get_connection_values(q->connection, MHD_GET_ARGUMENT_KIND, keep_value, q);
        q->asked = true;
        q->job = (struct job){.run = run_job, .on_done = on_job_done};
        MHD_suspend_connection(q->connection);
        if (jobs_add(&q->job))
                return MHD_YES;
        answer_error(&q->answer, 503, "too much is asked for at once; try again");
        MHD_resume_connection(q->connection);
        return MHD_YES;
}

/* ---- the stream ---- */

static void on_news(void *ctx)
{
        MHD_resume_connection(ctx);
}

static void before_sleep(void *ctx)
{
        MHD_suspend_connection(ctx);
}

static ssize_t read_live(void *ctx, uint64_t pos, char *out, size_t cap)
{
        return (ssize_t)live_take(ctx, out, cap, before_sleep);
}

static void end_live(void *ctx)
{
        live_leave(ctx);
}

static enum MHD_Result send_live(struct request *q)
{
        struct live_client *c = live_join(server.live, q->connection);
        struct MHD_Response *r;
        enum MHD_Result result;

        if (!c)
                return refuse(q, 503, "too many pages are open");
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_live, c, end_live);
        add_headers(r);
        MHD_add_response_header(r, "Content-Type", "text/event-stream");
        MHD_add_response_header(r, "Cache-Control", "no-store");
        result = MHD_queue_response(q->connection, 200, r);
        MHD_destroy_response(r);
        return result;
}

/* ---- requests ---- */

static enum MHD_Result answer_get(struct request *q)
{
        enum MHD_Result r;
        char *json;

        if (strcmp(q->path, "/") == 0)
                return send_page(q);
        if (strcmp(q->path, "/api/session") == 0) {
                json = session_json(&q->visitor);
                r = send_json(q, 200, json);
                free(json);
                return r;
        }
        if (strcmp(q->path, "/api/live") != 0 && !asks_know(q->path))
                return refuse(q, 404, "there is nothing at this address");
        if (!may_look(q))
                return refuse(q, 401, "log in first");
        return strcmp(q->path, "/api/live") == 0 ? send_live(q) : begin_job(q);
}

static enum MHD_Result answer_post(struct request *q)
{
        const char *type = header(q, "Content-Type"), *csrf = header(q, "X-CSRF-Token");
        bool in = strcmp(q->path, "/api/login") == 0, out = strcmp(q->path, "/api/logout") == 0;

        if (!in && !out && strcmp(q->path, "/api/alarm") != 0)
                return refuse(q, 404, "there is nothing at this address");
        if (q->too_long)
                return refuse(q, 413, "the request is too long");
        if (!type || strncasecmp(type, "application/json", 16) != 0)
                return refuse(q, 400, "Content-Type: application/json is wanted");
        if (in)
                return begin_job(q);
        if (!q->visitor.known)
                return refuse(q, 401, "log in first");
        if (!csrf || !guard_same(csrf, q->visitor.csrf))
                return refuse(q, 403, "the page is not of this session; load it again");
        if (out)
                return log_out(q);
        if (!q->visitor.may_act)
                return refuse(q, 403, "this user may look, but not act");
        return begin_job(q);
}

static struct request *request_new(struct MHD_Connection *c, const char *url, const char *method)
{
        struct request *q = mem_alloc(sizeof(*q));

        q->connection = c;
        q->post = strcmp(method, "POST") == 0;
        q->https = server.conf->certificate != NULL;
        snprintf(q->path, sizeof(q->path), "%s", strlen(url) < sizeof(q->path) ? url : "?");
        return q;
}

static void on_request_whole(struct MHD_Connection *c);

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n_data, void **mine)
{
        struct request *q = *mine;
        size_t n;

        if (!q) {
                *mine = request_new(c, url, method);
                return MHD_YES;
        }
        if (*n_data) {
                n = *n_data < BODY_MAX - q->n_body ? *n_data : BODY_MAX - q->n_body;
                q->too_long |= n < *n_data;
                memcpy(q->body + q->n_body, data, n);
                q->n_body += n;
                *n_data = 0;
                return MHD_YES;
        }
        if (q->answer.json)
                return send_json(q, q->answer.status, q->answer.json);
        if (q->asked)
                return MHD_NO;
        on_request_whole(c);
        recognise(q);
        if (is_foreign(q))
                return refuse(q, 403, "this is another site's request");
        if (q->post)
                return answer_post(q);
        if (strcmp(method, "GET") == 0)
                return answer_get(q);
        return refuse(q, 405, "GET and POST are answered");
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **mine, enum MHD_RequestTerminationCode why)
{
        struct request *q = *mine;

        if (!q)
                return;
        for (int i = 0; i < q->n_values; i++) {
                free(q->values[i].name);
                free(q->values[i].value);
        }
        free(q->answer.json);
        free(q);
        *mine = NULL;
}

/* ---- those who take their time ---- */

static struct {
        pthread_mutex_t lock;
        struct {
                struct MHD_Connection *c;
                int fd;
                int64_t since_us; /* it owes us a request; 0: it does not */
        } of[CONNECTIONS + 8];
} slow = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_connection(void *ctx, struct MHD_Connection *c, void **mine, enum MHD_ConnectionNotificationCode what)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

        pthread_mutex_lock(&slow.lock);
        for (size_t i = 0; i < sizeof(slow.of) / sizeof(*slow.of); i++) {
                if (what == MHD_CONNECTION_NOTIFY_STARTED ? slow.of[i].c != NULL : slow.of[i].c != c)
                        continue;
                slow.of[i].c = what == MHD_CONNECTION_NOTIFY_STARTED ? c : NULL;
                slow.of[i].fd = info ? info->connect_fd : -1;
                slow.of[i].since_us = mono_us();
                break;
        }
        pthread_mutex_unlock(&slow.lock);
}

static void on_request_whole(struct MHD_Connection *c)
{
        pthread_mutex_lock(&slow.lock);
        for (size_t i = 0; i < sizeof(slow.of) / sizeof(*slow.of); i++)
                if (slow.of[i].c == c)
                        slow.of[i].since_us = 0;
        pthread_mutex_unlock(&slow.lock);
}

/* A connection is for one request that takes long, or for several quick ones; then it begins anew. */
static void on_answered(void *ctx, struct MHD_Connection *c, void **mine, enum MHD_RequestTerminationCode why)
{
        on_completed(ctx, c, mine, why);
        pthread_mutex_lock(&slow.lock);
        for (size_t i = 0; i < sizeof(slow.of) / sizeof(*slow.of); i++)
                if (slow.of[i].c == c)
                        slow.of[i].since_us = mono_us();
        pthread_mutex_unlock(&slow.lock);
}

static void *end_slow_ones(void *ctx)
{
        for (;;) {
                struct timespec second = {1, 0};
                int64_t now_us = mono_us();

                pthread_mutex_lock(&slow.lock);
                for (size_t i = 0; i < sizeof(slow.of) / sizeof(*slow.of); i++)
                        if (slow.of[i].c && slow.of[i].since_us && now_us - slow.of[i].since_us > WHOLE_S * 1000000ll)
                                shutdown(slow.of[i].fd, SHUT_RDWR);
                pthread_mutex_unlock(&slow.lock);
                clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL);
        }
        return NULL;
}

/* ---- */

static int listen_on(const union page_address *a, socklen_t len, const char *name, struct err *e)
{
        int fd = socket(a->any.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

        if (fd < 0)
                return err_errno(e, "no socket");
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (a->any.ss_family == AF_UNIX)
                unlink(a->local.sun_path);
        if (bind(fd, (const struct sockaddr *)a, len) == 0 && listen(fd, 128) == 0) {
                if (a->any.ss_family == AF_UNIX)
                        chmod(a->local.sun_path, 0660);
                return fd;
        }
        err_errno(e, "%s can't be listened on", name);
        close(fd);
        return -1;
}

int http_start(const struct http_conf *conf, struct err *e)
{
        unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                         (conf->certificate ? MHD_USE_TLS : 0u);
        struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, conf->certificate},
                                       {MHD_OPTION_HTTPS_MEM_KEY, 0, conf->key},
                                       {MHD_OPTION_END, 0, NULL}};
        struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
        union page_address address;
        pthread_t thread;
        socklen_t len;
        int fd;

        if (page_address(conf->listen, &address, &len, &server.near, e) < 0)
                return -1;
        if (!server.near && address.any.ss_family != AF_UNIX && !conf->certificate)
                return err_set(e, "beyond loopback the page needs page.certificate and page.key (millrace-page cert)");
        server.conf = conf;
        server.local = address.any.ss_family == AF_UNIX;
        fd = listen_on(&address, len, conf->listen, e);
        if (fd < 0)
                return -1;
        server.live = live_new(conf->asks.socket, on_news);
        jobs_start();
        BUG_ON(pthread_create(&thread, NULL, end_slow_ones, NULL) != 0);
        pthread_detach(thread);
        if (MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                             MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                             (unsigned)WHOLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768,
                             MHD_OPTION_NOTIFY_COMPLETED, on_answered, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                             on_connection, NULL, MHD_OPTION_ARRAY, conf->certificate ? tls : none, MHD_OPTION_END))
                return 0;
        return err_set(e, "the server can't be started%s",
                       conf->certificate ? "; are certificate and key a pair?" : "");
}
