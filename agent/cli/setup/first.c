/*
 * first: the service is started and the first reading waited for.
 *
 * With a systemd that runs it is the service, enabled; without one (a
 * container, another init) the daemon is run as the user millrace only as long
 * as it takes to see a reading in Kafka: what it took is in the spool and goes
 * on when it is started for good.
 *
 * Kafka is read from where its topic ended before the start.  Where it can't be
 * read (a user that may only write), the daemon's own count of what Kafka took
 * is shown.
 *
 * Bounds: 60 s for the reading, 60 s for systemctl.  Fails: told, CLI_NO.
 */
#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/daemon_user.h"
#include "agent/cli/setup/setup.h"
#include "agent/cli/stop.h"

enum { READING_WITHIN_S = 60, COMMAND_WITHIN_MS = 60000, LOOK_MS = 500, STOP_MS = 15000, SHOWN_ROOM = 280 };

struct first {
        struct setup *s;
        struct config *conf;
        struct part daemon; /* pid 0: it is the service's, or nobody's */
        char dir[64];
        bool marked; /* Kafka is read */
};

/* ---- the daemon's word ---- */

static json_t *ask_daemon(const struct first *f)
{
        json_t *ask = json_pack("{s:s}", "cmd", "status"), *reply = NULL;
        struct err e;

        if (ctl_ask(f->conf->control_socket, ask, &reply, &e) != 0)
                reply = NULL;
        json_decref(ask);
        return reply;
}

static long long number_of(const json_t *o, const char *key)
{
        return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text_of(const json_t *o, const char *key)
{
        const char *text = json_string_value(json_object_get(o, key));

        return text ? text : "";
}

/* ---- starting ---- */

static int run_command(struct first *f, const char *verb, struct err *e)
{
        char program[PART_PATH_MAX], word[16];
        char *argv[] = {program, word, "millrace", NULL};
        struct part p = {0};

        if (!part_find("systemctl", false, program))
                return err_set(e, "systemctl is not there");
        snprintf(word, sizeof(word), "%s", verb);
        if (part_start(&p, "systemctl", f->dir, argv, (struct part_kind){SIGTERM, NULL}, e) < 0)
                return -1;
        if (part_wait(&p, COMMAND_WITHIN_MS) == 0)
                return 0;
        part_print_log(&p);
        return err_set(e, "systemctl %s millrace failed: see journalctl -u millrace", verb);
}

static int start_service(struct first *f, struct err *e)
{
        return run_command(f, "enable", e) < 0 ? -1 : run_command(f, "restart", e);
}

static void put_folder(const char *path, char folder[SETUP_PATH_MAX])
{
        snprintf(folder, SETUP_PATH_MAX, "%s", path);
        if (strrchr(folder, '/'))
                *strrchr(folder, '/') = '\0';
}

/* As the service would, unless the spool's folder is somebody else's. */
static const struct passwd *user_of(const struct config *conf)
{
        const struct passwd *user = geteuid() == 0 ? getpwnam(DAEMON_USER) : NULL;
        char folder[SETUP_PATH_MAX];
        struct stat st;

        put_folder(conf->spool.path, folder);
        return user && (stat(folder, &st) < 0 || st.st_uid == user->pw_uid) ? user : NULL;
}

/* The folder of a file, made for whom the daemon runs as. */
static int make_folder_of(const char *path, const struct passwd *user, struct err *e)
{
        char folder[SETUP_PATH_MAX];

        put_folder(path, folder);
        if (!folder[0] || access(folder, F_OK) == 0)
                return 0;
        if (mkdir(folder, 0750) < 0 || (user && chown(folder, user->pw_uid, user->pw_gid) < 0))
                return err_errno(e, "%s", folder);
        return 0;
}

static int start_trial(struct first *f, struct err *e)
{
        const struct passwd *user = user_of(f->conf);
        char program[PART_PATH_MAX], path[SETUP_PATH_MAX];
        char *argv[] = {program, "--config", path, NULL};

        snprintf(path, sizeof(path), "%s", f->s->c->config);
        if (!part_find("millraced", true, program))
                return err_set(e, "millraced is neither beside this program nor in $PATH");
        if (make_folder_of(f->conf->spool.path, user, e) < 0 || make_folder_of(f->conf->control_socket, user, e) < 0)
                return -1;
        return part_start(&f->daemon, "millraced", f->dir, argv, (struct part_kind){SIGTERM, user ? DAEMON_USER : NULL},
                          e);
}

/* ---- waiting ---- */

static void put_value(const json_t *o, char *out, size_t cap)
{
        static const char *const keys[] = {"value", "value_str", "value_bool", "value_int"};
        const json_t *v = NULL;
        char *text;

        for (size_t i = 0; !v && i < sizeof(keys) / sizeof(*keys); i++)
                v = json_object_get(o, keys[i]);
        text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7)) : NULL;
        snprintf(out, cap, "%s", text ? text : text_of(o, "quality"));
        free(text);
}

/* Of a record that anybody may have written. */
static const char *shown(const json_t *o, const char *key, char out[SHOWN_ROOM])
{
        out_put_clean(out, SHOWN_ROOM, text_of(o, key));
        return out;
}

static void tell_reading(struct setup *s, const char *record)
{
        char value[SHOWN_ROOM], clean[SHOWN_ROOM], source[SHOWN_ROOM], tag[SHOWN_ROOM], unit[SHOWN_ROOM],
                ts[SHOWN_ROOM];
        json_t *o = json_loads(record, 0, NULL);

        put_value(o, value, sizeof(value));
        out_put_clean(clean, sizeof(clean), value);
        shown(o, "unit", unit);
        setup_say(s, "%sYour first reading is in Kafka: %s/%s = %s%s%s, of %s%s", out_on(&s->c->out, OUT_GREEN),
                  shown(o, "source", source), shown(o, "tag", tag), clean, *unit ? " " : "", unit, shown(o, "ts", ts),
                  out_off(&s->c->out));
        json_decref(o);
}

/*
 * Kafka has taken some, and it is not read yet: a cluster that made the topic
 * by itself can be read now, else its count is all there is to show.
 */
static int look_at_count(struct first *f)
{
        json_t *status = ask_daemon(f);
        long long n = status ? number_of(status, "delivered") : 0;
        struct err e;

        json_decref(status);
        if (n == 0)
                return 0;
        f->marked = f->s->visit && visit_mark(f->s->visit, &e) == 0;
        if (f->marked)
                return 0;
        setup_say(f->s, "Your first readings are in Kafka: it has taken %lld. They can't be read back to show one%s%s",
                  n, f->s->visit ? ": " : ".", f->s->visit ? e.text : "");
        return 1;
}

/* 1: told; 0: not yet; -1: it can't come any more. */
static int look(struct first *f)
{
        struct setup *s = f->s;
        char record[4096];

        if (f->marked && visit_read(s->visit, s->conf->gateway, LOOK_MS, record, sizeof(record))) {
                tell_reading(s, record);
                return 1;
        }
        if (f->daemon.name && !part_runs(&f->daemon))
                return -1;
        if (f->marked)
                return 0;
        part_sleep_ms(LOOK_MS);
        return look_at_count(f);
}

/*
 * Nothing came: what the daemon knows of it.  One that was only tried is ended
 * behind this, so nothing may be asked of it then.
 */
static int tell_why(struct first *f)
{
        json_t *status = ask_daemon(f);
        const char *kafka = text_of(json_object_get(status, "uplink"), "last_error");
        bool tried = f->daemon.name;
        int r;

        if (!status) {
                part_print_log(&f->daemon);
                r = cli_fail(CLI_NO, "millraced does not run: %s",
                             tried ? "its last words stand above" : "journalctl -u millrace tells why");
        } else if (number_of(status, "accepted") == 0) {
                r = cli_fail(CLI_NO, "no reading came in %d s: the sources are quiet; millrace %s shows each",
                             READING_WITHIN_S, tried ? "try" : "status");
        } else {
                r = cli_fail(CLI_NO, "%lld readings came, but none is in Kafka yet%s%s; they are held: millrace %s",
                             number_of(status, "accepted"), *kafka ? ": " : "", kafka,
                             tried ? "check --kafka asks it" : "status");
        }
        json_decref(status);
        return r;
}

static int wait_for_it(struct first *f)
{
        int64_t until_us = mono_us() + READING_WITHIN_S * INT64_C(1000000);
        int r = 0;

        setup_say(f->s, "Waiting for the first reading …");
        while (r == 0 && mono_us() < until_us && !stop_asked())
                r = look(f);
        if (r != 1 && stop_asked())
                return cli_fail(CLI_NO, "interrupted; what was written stays");
        return r == 1 ? CLI_OK : tell_why(f);
}

/* ---- all of it ---- */

/* There is nothing to wait for; what is read meanwhile is held. */
static int run_without_topics(struct first *f)
{
        bool service = dialogue_wants(&f->s->d, SETUP_SERVICE);
        struct err e;

        if (service && start_service(f, &e) < 0)
                return cli_fail(CLI_NO, "%s", e.text);
        return cli_fail(CLI_NO, "the topics must be made by who may: the commands stand above. %s",
                        service ? "millrace runs and holds what it reads until then: millrace status"
                                : "Then start millrace");
}

static int run(struct first *f)
{
        struct setup *s = f->s;
        bool service = dialogue_wants(&s->d, SETUP_SERVICE);
        struct err e;
        int r;

        if (s->no_topics)
                return run_without_topics(f);
        if (s->visit && (!s->seen.n_missing || dialogue_wants(&s->d, SETUP_TOPICS)))
                f->marked = visit_mark(s->visit, &e) == 0;
        if ((service ? start_service(f, &e) : start_trial(f, &e)) < 0)
                return cli_fail(CLI_NO, "%s", e.text);
        r = wait_for_it(f);
        if (f->daemon.pid)
                part_stop(&f->daemon, STOP_MS);
        return r;
}

static void tell_what_is_next(struct setup *s)
{
        if (dialogue_wants(&s->d, SETUP_SERVICE))
                setup_say(s, "millrace runs, and starts with this machine. What it does: millrace status");
        else if (s->d.facts.service)
                setup_say(s, "To start it for good: systemctl enable --now millrace");
        else
                setup_say(s,
                          "It was tried and has ended again. To start it for good: millraced --config %s, as the user "
                          "millrace",
                          s->c->config);
}

/* A bus without devices reads nothing. */
static bool reads_something(const struct config *conf)
{
        for (size_t i = 0; i < conf->n_drivers; i++)
                if (conf->drivers[i].ops != &modbus_ops || conf->devices.n)
                        return true;
        return false;
}

int setup_first(struct setup *s)
{
        struct first f = {.s = s, .conf = s->conf, .dir = "/tmp/millrace-setup-XXXXXX"};
        json_t *status = ask_daemon(&f);
        bool reads = reads_something(s->conf), runs = status && !dialogue_wants(&s->d, SETUP_SERVICE);
        int r;

        json_decref(status);
        if (runs)
                setup_say(s, "millraced runs with the configuration it had: systemctl restart millrace, or end it and "
                             "start it again.");
        else if (!reads)
                setup_say(s, "It reads nothing yet: add a source (millrace.yaml(5) has all kinds), then: %s%s",
                          s->d.facts.service ? "systemctl enable --now millrace" : "millraced --config ",
                          s->d.facts.service ? "" : s->c->config);
        if (runs || !reads)
                return CLI_OK;
        if (!mkdtemp(f.dir))
                return cli_fail(CLI_NO, "%s: %s", f.dir, strerror(errno));
        r = run(&f);
        part_remove_dir(f.dir);
        if (r == CLI_OK)
                tell_what_is_next(s);
        return r;
}
