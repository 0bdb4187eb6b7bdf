/*
 * millraced: the daemon.  Reads the configuration, opens what must be open
 * before readings flow, runs the loop until SIGTERM or SIGINT, and ends with
 * everything committed.
 *
 * Signals come through a signalfd, so they are events like all others; threads
 * of the libraries have them blocked. Fails at start with one sentence and an
 * exit code people know: 78 configuration, 69 a file or socket that can't be
 * had, 2 usage. SIGTERM ends within 5 s: drivers and uplink get 3 s, then the
 * last commit is made whatever they say, and threads that hang (a name server
 * that is silent) are not waited for.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/again.h"
#include "agent/agent.h"
#include "agent/base/fds.h"
#include "agent/base/log.h"
#include "agent/base/table_hash.h"
#include "agent/config/config.h"
#include "agent/control/metrics_http.h"
#include "agent/control/requests.h"
#include "agent/program.h"
#include "agent/reload/reload.h"
#include "agent/rt_uv.h"
#include "agent/systemd.h"

enum { EXIT_USAGE = 2, EXIT_UNREACHABLE = 69, EXIT_CONFIG = 78, STOP_WITHIN_US = 3000000, GIVE_UP_US = 3500000 };

struct process {
        struct rt *rt;
        struct config *conf;
        struct sink *sink;
        struct agent agent;
        struct daemon *daemon;
        struct metrics_http *metrics;
        struct reload *reload; /* owns conf, and those that come after it */
        struct notify notify;
        struct rt_watch signals;
        struct rt_timer give_up;
        bool stopping, sink_closed;
        bool quiet; /* no work of the runtime is under way any more */
};

static const char usage[] =
        "usage: millraced [--config FILE]\n"
        "\n"
        "Reads sensors, keeps every reading in the spool, forwards to Kafka. Runs in the foreground, logs to standard "
        "error.\n"
        "\n"
        "  -c, --config FILE   configuration (default " CONFIG_DEFAULT_PATH ")\n"
        "      --version       print the version\n"
        "  -h, --help          print this\n"
        "\n"
        "SIGHUP reads the configuration again; SIGTERM or SIGINT ends it within 5 s with everything committed.\n"
        "Exit codes: 0 ended on request, 1 the last commit failed, 2 wrong usage, 69 a file or socket can't be had,\n"
        "78 the configuration is wrong (`millrace check` says more).\n";

/* ---- ending ---- */

static void on_sink_closed(void *ctx)
{
        struct process *p = ctx;

        p->sink_closed = true;
        rt_uv_stop(p->rt);
}

static void on_agent_stopped(void *ctx)
{
        struct process *p = ctx;

        p->sink->ops->close(p->sink, on_sink_closed, p);
}

static void on_give_up(struct rt_timer *t)
{
        struct process *p = list_entry(t, struct process, give_up);

        log_warn("agent", "not everything ended in time; committing what is there");
        rt_uv_stop(p->rt);
}

static void on_signal(struct rt_watch *w, unsigned events)
{
        struct process *p = list_entry(w, struct process, signals);
        struct signalfd_siginfo info;

        if (read(w->fd, &info, sizeof(info)) != sizeof(info))
                return;
        if (info.ssi_signo == SIGHUP) {
                reload_request(p->reload);
                return;
        }
        if (p->stopping)
                return;
        p->stopping = true;
        reload_stop(p->reload);
        notify_stopping();
        log_notice("agent", "ending on %s", strsignal((int)info.ssi_signo));
        rt_timer_set(p->rt, &p->give_up, GIVE_UP_US);
        agent_stop(&p->agent, STOP_WITHIN_US, on_agent_stopped, p);
}

static void take_signals(struct process *p)
{
        sigset_t set;

        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        BUG_ON(sigprocmask(SIG_BLOCK, &set, NULL) < 0);
        p->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        BUG_ON(p->signals.fd < 0);
        p->signals.on_event = on_signal;
        p->give_up.on_due = on_give_up;
}

/* ---- starting ---- */

static int load(struct process *p, const char *path)
{
        struct faults faults = {0};
        int rc = config_load(path, &p->conf, &faults);

        faults_print(&faults, stderr);
        faults_fini(&faults);
        return rc;
}

static int fail(const char *scope, const struct err *e)
{
        log_error(scope, "%s", e->text);
        return EXIT_UNREACHABLE;
}

static char *on_metrics(void *ctx)
{
        struct process *p = ctx;
        char *json = status_json(&p->agent), *page;
        json_t *status = json_loads(json, 0, NULL);

        page = metrics_text(status);
        json_decref(status);
        free(json);
        return page;
}

static int open_metrics(struct process *p)
{
        struct err e;

        if (!p->conf->metrics.listen)
                return 0;
        p->metrics = metrics_http_open(p->rt, p->conf->metrics.listen, on_metrics, p, &e);
        if (p->metrics)
                return 0;
        daemon_close(p->daemon);
        agent_close(&p->agent);
        return fail("metrics", &e);
}

/* 0 when all is open, else the exit code; what was opened is closed. */
static int open_all(struct process *p)
{
        struct err e;

        p->sink = kafka_sink_open(p->rt, &p->conf->kafka, p->conf->gateway, &e);
        if (!p->sink) {
                log_error("kafka", "%s", e.text);
                return kafka_sink_check(&p->conf->kafka, p->conf->gateway, &e) < 0 ? EXIT_CONFIG : EXIT_UNREACHABLE;
        }
        if (agent_open(&p->agent, p->rt, p->conf, p->sink, &e) < 0)
                return fail("agent", &e);
        p->daemon = daemon_open(&p->agent, p->conf->control_socket, &e);
        if (!p->daemon) {
                agent_close(&p->agent);
                return fail("control", &e);
        }
        return open_metrics(p);
}

/* True when the last commit got through. */
static bool run(struct process *p)
{
        bool committed;

        log_notice("agent", "millraced %s, gateway %s: %zu drivers, spool %s", MILLRACE_VERSION, p->conf->gateway,
                   p->conf->n_drivers, p->conf->spool.path);
        config_log_notices(p->conf);
        rt_watch_set(p->rt, &p->signals, RT_READ);
        agent_start(&p->agent);
        notify_ready(&p->notify, &p->agent);
        rt_uv_run(p->rt);
        notify_close(&p->notify);
        rt_watch_set(p->rt, &p->signals, 0);
        rt_timer_cancel(p->rt, &p->give_up);
        metrics_http_close(p->metrics);
        daemon_close(p->daemon);
        p->quiet = rt_uv_quiesce(p->rt);
        committed = agent_close(&p->agent);
        log_notice("agent", committed ? "ended, everything committed" : "ended; the last commit failed");
        return committed;
}

static void watch_config(struct process *p, const char *path)
{
        struct reload_parts parts = {
                .path = path, .agent = &p->agent, .metrics = &p->metrics, .page = on_metrics, .ctx = p};

        p->reload = reload_new(&parts, p->conf);
}

/*
 * The exit status.  What still runs is waited for by the destructors that
 * exit() calls: libuv's joins a thread that asks a silent name server, half a
 * minute long, librdkafka's state is taken from under its threads.  All of ours
 * is on disk by now, so the process ends here.
 */
static int end(const struct process *p, int code)
{
        if (p->sink_closed && p->quiet)
                return code;
        fflush(NULL);
        _exit(code);
}

static void set_hash_key(struct rt *rt)
{
        uint64_t key[2];

        rt->ops->random(rt, key, sizeof(key));
        table_hash_set_key(key);
}

static int serve(const char *path)
{
        static struct process p;
        int code;

        take_signals(&p);
        if (load(&p, path) < 0)
                return EXIT_CONFIG;
        log_init(p.conf->log_level);
        log_bound((int)p.conf->log.per_minute);
        p.rt = rt_uv_new();
        set_hash_key(p.rt);
        code = open_all(&p);
        if (code)
                return code;
        watch_config(&p, path);
        if (!run(&p))
                return end(&p, 1);
        reload_free(p.reload, p.quiet);
        if (p.sink_closed && p.quiet) {
                kafka_sink_close(p.sink);
                rt_uv_free(p.rt);
        }
        return end(&p, 0);
}

int millraced_main(int argc, char **argv)
{
        static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                                {"help", no_argument, NULL, 'h'},
                                                {"version", no_argument, NULL, 'V'},
                                                {0}};
        const char *path = CONFIG_DEFAULT_PATH;
        int opt;

        fds_fill();
        again_remember(argv);
        /* librdkafka's threads would each get a heap of their own; a board has no memory for that */
        mallopt(M_ARENA_MAX, 2);
        while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
                if (opt == 'c')
                        path = optarg;
                else if (opt == 'h')
                        return fputs(usage, stdout) < 0;
                else if (opt == 'V')
                        return printf("millraced %s\n", MILLRACE_VERSION) < 0;
                else
                        return fputs(usage, stderr), EXIT_USAGE;
        }
        if (optind < argc) {
                fprintf(stderr, "millraced: unexpected argument: %s\n%s", argv[optind], usage);
                return EXIT_USAGE;
        }
        return serve(path);
}
