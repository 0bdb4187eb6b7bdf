/*
 * systemd: see systemd.h.
 *
 * Why not fed by a timer alone: a loop that turns while no commit ends, or
 * while Kafka's answers are no longer seen, looks alive and is not.  So the
 * timer only asks; what moved since, or had nothing to move, decides.  A disk
 * that is full, a broker that is away are no reason for a restart: they are
 * states that `millrace status` shows, and the agent goes on by itself when
 * they end.  A commit gets half a minute (a flash card may take seconds), a
 * record Kafka has in hand ten minutes (librdkafka sends it again for as long
 * as there is no answer).
 *
 * The protocol is a datagram to the socket named in the environment
 * (sd_notify(3)); libsystemd would bring three more libraries and 0.7 MB for
 * it.
 *
 * Fails silently: a service manager that does not listen is not our business.
 */
#include "agent/systemd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/log.h"

enum { STATUS_EVERY_US = 10000000 };

static void tell(const char *words)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        size_t len = path ? strlen(path) : 0;
        int fd;

        if (len < 2 || len >= sizeof(to.sun_path) || (*path != '/' && *path != '@'))
                return;
        memcpy(to.sun_path, path, len);
        if (*path == '@')
                to.sun_path[0] = '\0'; /* an abstract address */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        (void)!sendto(fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        close(fd);
}

/* How often the service manager wants to hear of us; 0: not at all. */
static uint64_t watchdog_us(void)
{
        const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

        if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid()))
                return 0;
        return strtoull(us, NULL, 10);
}

bool notify_may_feed(struct notify_progress *p, const struct notify_seen *now)
{
        if (!now->to_commit || now->disk_failing || now->commits != p->commits || !p->committed_us) {
                p->commits = now->commits;
                p->committed_us = now->mono_us;
        }
        if (!now->to_deliver || now->delivered != p->delivered || !p->delivered_us) {
                p->delivered = now->delivered;
                p->delivered_us = now->mono_us;
        }
        return now->mono_us - p->committed_us <= NOTIFY_COMMIT_WITHIN_US &&
               now->mono_us - p->delivered_us <= NOTIFY_DELIVER_WITHIN_US;
}

static void see(const struct agent *a, const struct spool_counts *c, const struct uplink_status *up,
                struct notify_seen *seen)
{
        *seen = (struct notify_seen){.mono_us = rt_mono_us(a->rt),
                                     .commits = c->commits,
                                     .disk_failing = c->failing,
                                     .delivered = up->delivered + up->retried + up->poisoned,
                                     .to_deliver = up->in_flight > 0 && !strcmp(up->state, "up")};
        for (enum spool_lane lane = 0; lane < SPOOL_LANES; lane++)
                seen->to_commit |= spool_appended_seq(a->spool, lane) > c->last_seq[lane];
}

static void on_timer(struct rt_timer *t)
{
        struct notify *n = list_entry(t, struct notify, timer);
        struct spool_counts counts;
        struct uplink_status up;
        struct notify_seen seen;
        bool fed;
        char words[400], why[200];

        conditions_headline(n->agent, why, sizeof(why));
        spool_counts(n->agent->spool, &counts);
        uplink_status(n->agent->uplink, &up);
        see(n->agent, &counts, &up, &seen);
        fed = notify_may_feed(&n->progress, &seen);
        if (!fed && !n->starved)
                log_error("agent", "%s: the watchdog is not fed until that moves",
                          seen.mono_us - n->progress.committed_us > NOTIFY_COMMIT_WITHIN_US
                                  ? "a commit does not end"
                                  : "Kafka has records and gives no answer");
        n->starved = !fed;
        text_format(words, sizeof(words), "%sSTATUS=%s, %" PRIu64 " readings held%s%s",
                    fed && n->period_us ? "WATCHDOG=1\n" : "", health_verdict(&n->agent->conditions.health),
                    counts.held, *why ? "; " : "", why);
        tell(words);
        rt_timer_set(n->agent->rt, t, n->period_us ? n->period_us : STATUS_EVERY_US);
}

void notify_ready(struct notify *n, struct agent *a)
{
        *n = (struct notify){.agent = a, .timer.on_due = on_timer, .period_us = (int64_t)(watchdog_us() / 4)};
        tell("READY=1");
        rt_timer_set(a->rt, &n->timer, 0);
}

void notify_reloading(int64_t mono_us)
{
        char words[80];

        snprintf(words, sizeof(words), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, mono_us);
        tell(words);
}

void notify_reloaded(void)
{
        tell("READY=1");
}

void notify_stopping(void)
{
        tell("STOPPING=1");
}

void notify_close(struct notify *n)
{
        rt_timer_cancel(n->agent->rt, &n->timer);
}
