/*
 * apply: what setup does once all is agreed: the file, the topics.
 *
 * The new file is written beside the old one and judged there as the daemon
 * will judge it, conf.d/ included; then the old one gets another name and the
 * new one its place.  Whatever goes wrong before that leaves the old one as it
 * was.
 *
 * Fails: told; CLI_NO when something can't be written, CLI_CONFIG when the
 * configuration has faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/daemon_user.h"
#include "agent/cli/setup/setup.h"

/* ---- what will be done ---- */

static void put_copy_name(const struct setup *s, char *out, size_t cap)
{
        time_t now = (time_t)(s->c->now_us / 1000000);
        struct tm utc;
        char stamp[32];

        gmtime_r(&now, &utc);
        strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
        snprintf(out, cap, "%s.before-%s", s->c->config, stamp);
}

static void print_file(struct setup *s)
{
        char *text = setup_text(s), *rest = NULL;

        for (char *line = text; line && *line; line = rest) {
                rest = strchr(line, '\n');
                if (rest)
                        *rest++ = '\0';
                setup_say(s, "  | %s", line);
        }
        free(text);
}

void setup_summary(struct setup *s)
{
        char copy[SETUP_PATH_MAX + 40];

        if (s->summarized)
                return;
        s->summarized = true;
        setup_size(s);
        setup_say(s, "This is what will be done:");
        put_copy_name(s, copy, sizeof(copy));
        setup_say(s, "- %s is written:", s->c->config);
        print_file(s);
        if (access(s->c->config, F_OK) == 0)
                setup_say(s, "- what is there now is kept as %s", copy);
        for (int i = 0; i < VISIT_TOPICS && dialogue_wants(&s->d, SETUP_TOPICS); i++)
                if (s->seen.missing[i])
                        setup_say(s, "- the topic %s is made", visit_topic(s->visit, i));
        if (dialogue_wants(&s->d, SETUP_SERVICE))
                setup_say(s, "- the service millrace is enabled and started");
}

/* ---- the file ---- */

static int write_new(const struct setup *s, const char *path, struct err *e)
{
        struct stat old;
        bool is_there = stat(s->c->config, &old) == 0;
        char *text = setup_text(s);
        size_t len = strlen(text);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644), r = 0;

        if (fd < 0)
                r = err_errno(e, "%s", path);
        else if (write(fd, text, len) != (ssize_t)len || fsync(fd) < 0)
                r = err_errno(e, "%s", path);
        else if (fchmod(fd, is_there ? old.st_mode & 07777 : 0644) < 0 ||
                 (is_there && geteuid() == 0 && fchown(fd, old.st_uid, old.st_gid) < 0))
                r = err_errno(e, "%s", path);
        if (fd >= 0)
                close(fd);
        free(text);
        return r;
}

/* As the daemon will, with the files beside it. */
static int judge_new(const char *path)
{
        struct faults faults = {0};
        struct config *conf;
        struct err e;
        int r = CLI_OK;

        if (config_load(path, &conf, &faults) < 0) {
                faults_print(&faults, stderr);
                r = cli_fail(CLI_CONFIG, "nothing was changed");
        } else {
                if (kafka_sink_check(&conf->kafka, conf->gateway, &e) < 0)
                        r = cli_fail(CLI_CONFIG, "%s; nothing was changed", e.text);
                config_free(conf);
        }
        faults_fini(&faults);
        return r;
}

/* In a child: what the daemon can't read is a fault there. */
static int load_as_daemon(void *path)
{
        struct faults faults = {0};
        struct config *conf;
        int r = config_load(path, &conf, &faults);

        if (r < 0)
                faults_print(&faults, stderr);
        else
                config_free(conf);
        faults_fini(&faults);
        return r < 0;
}

/* The service has no other user to fall back on. */
static int judge_rights(const struct setup *s, char *path)
{
        char folder[SETUP_PATH_MAX];

        if (daemon_user_run(load_as_daemon, path) > 0)
                return cli_fail(CLI_NO, "the user " DAEMON_USER
                                        " can't read the configuration: it must pass the folders on the way, and read "
                                        "the files in conf.d/; nothing was changed");
        snprintf(folder, sizeof(folder), "%s", s->spool_path);
        *strrchr(folder, '/') = '\0';
        if (dialogue_wants(&s->d, SETUP_SERVICE) && access(folder, F_OK) == 0 &&
            daemon_user_access(folder, W_OK | X_OK) > 0)
                return cli_fail(CLI_NO,
                                "%s is not the user " DAEMON_USER "'s, and the spool is to be there: chown " DAEMON_USER
                                ":" DAEMON_USER " %s; nothing was changed",
                                folder, folder);
        return CLI_OK;
}

static void sync_folder(const char *path)
{
        char folder[SETUP_PATH_MAX];
        int fd;

        snprintf(folder, sizeof(folder), "%s", path);
        *(strrchr(folder, '/') ? strrchr(folder, '/') : folder) = '\0';
        fd = open(folder[0] ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return;
        fsync(fd);
        close(fd);
}

static int put_in_place(struct setup *s, const char *path)
{
        char copy[SETUP_PATH_MAX + 40];

        put_copy_name(s, copy, sizeof(copy));
        if (link(s->c->config, copy) < 0 && errno != ENOENT)
                return cli_fail(CLI_NO, "%s can't be kept as %s: %s; nothing was changed", s->c->config, copy,
                                strerror(errno));
        if (rename(path, s->c->config) < 0)
                return cli_fail(CLI_NO, "%s: %s; nothing was changed", s->c->config, strerror(errno));
        sync_folder(s->c->config);
        return CLI_OK;
}

static int write_file(struct setup *s)
{
        char path[SETUP_PATH_MAX + 8];
        struct err e;
        int r = CLI_OK;

        snprintf(path, sizeof(path), "%s.new", s->c->config);
        if (write_new(s, path, &e) < 0)
                r = cli_fail(CLI_NO, "%s; nothing was changed", e.text);
        if (r == CLI_OK)
                r = judge_new(path);
        if (r == CLI_OK)
                r = judge_rights(s, path);
        if (r == CLI_OK)
                r = put_in_place(s, path);
        if (r != CLI_OK)
                unlink(path);
        else
                setup_say(s, "%s is written.", s->c->config);
        return r;
}

/* ---- topics ---- */

static void on_fault(void *ctx, const char *text)
{
        cli_fail(CLI_NO, "%s", text);
}

/* The rest is done in any case: what is read is held until they are there. */
static void make_topics(struct setup *s)
{
        if (!s->seen.n_missing || !dialogue_wants(&s->d, SETUP_TOPICS))
                return;
        s->no_topics = visit_make(s->visit, &s->seen, on_fault, NULL) > 0;
        if (!s->no_topics)
                setup_say(s, "The topics are made.");
}

int setup_apply(struct setup *s)
{
        int r = write_file(s);

        if (r == CLI_OK)
                make_topics(s);
        return r;
}
