/*
 * doctor_machine: what `millrace doctor` looks at on this machine (see
 * doctor.h).
 *
 * Files and ports are tried as the daemon's user, in a child: root may read all
 * and learns nothing by it.  The disk's speed is that of what a commit waits
 * for, a small write that is synced, in a file without a name that is gone with
 * its descriptor.
 *
 * Fails never: what can't be found out is a note.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/daemon_user.h"
#include "agent/cli/doctor.h"
#include "agent/control/metrics_http.h"
#include "drivers/mbus/mbus.h"
#include "drivers/modbus/modbus.h"
#include "drivers/serial/serial.h"
#include "store/inspect/query.h"

enum { SYNCS = 10, SLOW_US = 100000, TOO_SLOW_US = 1000000, BLOCK = 4096, LINE_MAX_BYTES = 1024 };

/* ---- the clock ---- */

void doctor_clock(struct doctor *d)
{
        struct timex t = {0};
        int state = adjtimex(&t);
        time_t now = time(NULL);

        if (now < 1735689600) /* 2025 */
                doctor_find(d, FINDING_FAULT, "clock", "the clock",
                            "timedatectl set-ntp true, or: date -s '2026-11-30 12:00'",
                            "it was never set: readings get no time that can be believed");
        else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
                doctor_find(d, FINDING_WARNING, "clock", "the clock",
                            "timedatectl set-ntp true; is a time server reachable?",
                            "it is not synchronised: readings are marked unsynced, and their times may be wrong");
        else
                doctor_find(d, FINDING_OK, "clock", "the clock", "", "synchronised");
}

/* ---- the disk ---- */

/* The longest of some synced writes, or -1. */
static int64_t slowest_sync_us(int fd)
{
        char block[BLOCK] = {0};
        int64_t most = 0;

        for (int i = 0; i < SYNCS; i++) {
                int64_t from = mono_us(), took;

                if (pwrite(fd, block, sizeof(block), (off_t)i * BLOCK) != (ssize_t)sizeof(block) || fdatasync(fd) < 0)
                        return -1;
                took = mono_us() - from;
                most = took > most ? took : most;
                if (took > TOO_SLOW_US)
                        break;
        }
        return most;
}

static void find_speed(struct doctor *d, const char *folder)
{
        int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        int64_t us = fd < 0 ? -1 : slowest_sync_us(fd);
        int fault = errno;

        if (us < 0)
                doctor_find(d, fault == EOPNOTSUPP || fault == EISDIR ? FINDING_NOTE : FINDING_FAULT, "disk", folder,
                            fault == EACCES ? "run this as root" : "is it full, or mounted read-only? df, mount, dmesg",
                            "can't be written to: %s", strerror(fault));
        else if (us > SLOW_US)
                doctor_find(d, us > TOO_SLOW_US ? FINDING_FAULT : FINDING_WARNING, "disk", folder,
                            "another card or disk, or less on this one; dmesg tells of errors",
                            "a synced write takes up to %lld ms: each commit waits for two", (long long)us / 1000);
        else
                doctor_find(d, FINDING_OK, "disk", folder, "", "a synced write takes at most %.1f ms",
                            (double)us / 1e3);
        if (fd >= 0)
                close(fd);
}

static bool folder_of(const char *path, char folder[PATH_MAX])
{
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : 0;

        if (!slash || len >= PATH_MAX)
                return false;
        memcpy(folder, path, len);
        strcpy(folder + len, len ? "" : "/");
        return true;
}

static void find_room(struct doctor *d, const char *folder, const struct statvfs *v)
{
        uint64_t room = (uint64_t)v->f_bavail * v->f_frsize, all = (uint64_t)v->f_blocks * v->f_frsize;
        char is[32], of[32];

        text_put_size(is, sizeof(is), room);
        text_put_size(of, sizeof(of), all);
        if (v->f_flag & ST_RDONLY)
                doctor_find(d, FINDING_FAULT, "disk", folder, "mount -o remount,rw; dmesg says why it became so",
                            "mounted read-only: nothing can be kept");
        else if (room < 64 << 20 || (v->f_files && v->f_favail == 0))
                doctor_find(d, FINDING_WARNING, "disk", folder, "make room: df -h, df -i, du -sh",
                            "%s are free of %s%s", is, of,
                            v->f_files && v->f_favail == 0 ? ", and no file can be made any more" : "");
        else
                doctor_find(d, FINDING_OK, "disk", folder, "", "%s are free of %s", is, of);
}

void doctor_disk(struct doctor *d)
{
        char folder[PATH_MAX];
        struct statvfs v;

        if (!folder_of(d->conf->spool.path, folder))
                return;
        if (statvfs(folder, &v) < 0) {
                doctor_find(d, FINDING_FAULT, "disk", folder, "install -d -o millrace -g millrace -m 750 that folder",
                            "the folder of the spool can't be looked at: %s", strerror(errno));
                return;
        }
        find_room(d, folder, &v);
        if (!(v.f_flag & ST_RDONLY))
                find_speed(d, folder);
}

/* ---- the spool ---- */

void doctor_spool(struct doctor *d)
{
        const char *path = d->conf->spool.path;
        struct spool_query *q;
        struct spool_counts n;
        struct err e;

        if (access(path, F_OK) < 0) {
                doctor_find(d, FINDING_OK, "spool", path, "", "not there yet: the daemon makes it");
                return;
        }
        if (spool_query_open(&q, path, &e) < 0) {
                doctor_find(d, FINDING_FAULT, "spool", path, "millrace spool verify", "%s", e.text);
                return;
        }
        if (spool_query_counts(q, &n, &e) < 0)
                doctor_find(d, FINDING_FAULT, "spool", path, "millrace spool verify", "%s", e.text);
        else if (n.dropped || n.dead_lettered)
                doctor_find(d, FINDING_NOTE, "spool", path, "millrace spool dropped",
                            "%" PRIu64 " held, %" PRIu64 " dropped and %" PRIu64 " refused by Kafka since it was made",
                            n.held, n.dropped, n.dead_lettered);
        else
                doctor_find(d, FINDING_OK, "spool", path, "", "%" PRIu64 " held, nothing was dropped", n.held);
        spool_query_close(q);
}

/* ---- what the daemon's user may ---- */

/* A line for the parent: subject, what to do, what is wrong. */
static void tell(FILE *f, const char *subject, const char *todo, const char *what)
{
        fprintf(f, "%.150s\t%.230s\t%.400s\n", subject, todo, what);
}

static void try_port(FILE *f, const char *port)
{
        char what[200];

        if (port[0] != '/' || access(port, R_OK | W_OK) == 0 || errno != EACCES) /* its source tells of the rest */
                return;
        snprintf(what, sizeof(what), "the port can't be opened: %s", strerror(errno));
        tell(f, port, "usermod -aG dialout millrace, then restart it", what);
}

static void try_ports(FILE *f, const struct config *conf)
{
        for (size_t i = 0; i < conf->n_drivers; i++) {
                const struct config_driver *driver = &conf->drivers[i];

                if (driver->ops == &modbus_ops)
                        try_port(f, ((const struct modbus_conf *)driver->conf)->port);
                else if (driver->ops == &serial_ops)
                        try_port(f, ((const struct serial_conf *)driver->conf)->port);
                else if (driver->ops == &mbus_ops)
                        try_port(f, ((const struct mbus_conf *)driver->conf)->port);
        }
}

/* Files that the configuration names, which the loading looks for itself. */
static void try_files(FILE *f, const char *path)
{
        struct faults faults = {0};
        struct config *conf;

        if (config_load(path, &conf, &faults) < 0) {
                tell(f, path, "chown root:millrace, chmod 640",
                     "the daemon's user can't read all of the configuration");
                faults_fini(&faults);
                return;
        }
        for (size_t i = 0; i < conf->notices.n; i++)
                if (strstr(conf->notices.items[i].text, strerror(EACCES)))
                        tell(f, path, "chown root:millrace FILE; chmod 640 FILE", conf->notices.items[i].text);
        config_free(conf);
        faults_fini(&faults);
}

static void try_spool(FILE *f, const struct config *conf)
{
        char folder[PATH_MAX], what[200];

        if (folder_of(conf->spool.path, folder) && access(folder, W_OK | X_OK) < 0) {
                snprintf(what, sizeof(what), "no file can be made there: %s", strerror(errno));
                tell(f, folder, "chown millrace:millrace that folder", what);
        }
        if (access(conf->spool.path, F_OK) == 0 && access(conf->spool.path, R_OK | W_OK) < 0) {
                snprintf(what, sizeof(what), "the spool can't be opened: %s", strerror(errno));
                tell(f, conf->spool.path, "chown millrace:millrace that file and those beside it", what);
        }
}

static void try_all(const struct doctor *d, FILE *f)
{
        try_files(f, d->c->config);
        try_spool(f, d->conf);
        try_ports(f, d->conf);
        fclose(f);
}

/* The child: nothing of it comes back but the lines. */
static void be_daemon(const struct doctor *d, const struct passwd *user, FILE *f)
{
        if (daemon_user_become(user) < 0)
                _exit(1);
        try_all(d, f);
        _exit(0);
}

/* What is found as that user, NULL: as the one this is; or NULL. */
static FILE *look_as(const struct doctor *d, const struct passwd *user, pid_t *child)
{
        int ends[2];
        FILE *f;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return NULL;
        fflush(NULL);
        *child = fork();
        if (*child == 0) {
                close(ends[0]);
                f = fdopen(ends[1], "w");
                if (!f)
                        _exit(1);
                if (user)
                        be_daemon(d, user, f);
                try_all(d, f);
                _exit(0);
        }
        close(ends[1]);
        f = *child < 0 ? NULL : fdopen(ends[0], "r");
        if (!f)
                close(ends[0]);
        return f;
}

/* To the end: it could become that user, and did not fall. */
static bool has_looked(pid_t child)
{
        int status;

        return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void find_rights(struct doctor *d)
{
        bool other = daemon_user_way() == DAEMON_USER_BECOMES;
        const struct passwd *user = other ? getpwnam(DAEMON_USER) : NULL;
        const char *as = other            ? "user " DAEMON_USER
                         : geteuid() == 0 ? "root, for there is no user " DAEMON_USER
                                          : "this user";
        char line[LINE_MAX_BYTES];
        bool looked = false;
        size_t n = 0;
        pid_t child;
        FILE *f = look_as(d, user, &child);

        while (f && fgets(line, sizeof(line), f)) {
                char *todo = strchr(line, '\t'), *what = todo ? strchr(todo + 1, '\t') : NULL;

                if (!what)
                        continue;
                *todo++ = *what++ = '\0';
                what[strcspn(what, "\n")] = '\0';
                doctor_find(d, FINDING_FAULT, "rights", line, todo, "%s (as %s)", what, as);
                n++;
        }
        if (f) {
                fclose(f);
                looked = has_looked(child);
        }
        if (!n || !looked)
                doctor_find(d, looked ? FINDING_OK : FINDING_NOTE, "rights", "files and ports", "",
                            looked ? "can be used; looked at as %s" : "could not be tried as %s", as);
}

/* What somebody else may says nothing of the daemon. */
void doctor_rights(struct doctor *d)
{
        struct err e;

        if (d->conf->metrics.listen && metrics_http_load(&e) < 0)
                doctor_find(d, FINDING_FAULT, "rights", "metrics.listen", "apt install libmicrohttpd12", "%s", e.text);
        if (daemon_user_way() == DAEMON_USER_IS_OTHER)
                doctor_find(d, FINDING_NOTE, "rights", "files and ports", "sudo millrace doctor",
                            "what the user " DAEMON_USER " may can only be tried as root");
        else
                find_rights(d);
}

/* ---- the service ---- */

void doctor_service(struct doctor *d)
{
        static const char unit[] = "/etc/systemd/system/multi-user.target.wants/millrace.service";

        if (access("/run/systemd/system", F_OK) < 0)
                return; /* no systemd here */
        if (access(unit, F_OK) == 0)
                doctor_find(d, FINDING_OK, "service", "millrace.service", "", "starts with the machine");
        else
                doctor_find(d, FINDING_WARNING, "service", "millrace.service", "systemctl enable --now millrace",
                            "does not start with the machine");
}
