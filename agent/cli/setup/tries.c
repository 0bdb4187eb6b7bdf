/*
 * tries: what setup tries of the answers, at once: Kafka, the MQTT broker, the
 * bus, the registers.  Only reads; nothing is written anywhere.
 *
 * Kafka is asked by what the daemon's producer is made with, and every broker
 * that the cluster names is connected to: one that answers at its first address
 * and names another that can't be reached is the usual trouble.
 *
 * Fails: a sentence to standard error, and false.
 */
#include <errno.h>
#include <glob.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/cli/commission/part.h"
#include "agent/cli/commission/ranges.h"
#include "agent/cli/commission/search.h"
#include "agent/cli/commission/views.h"
#include "agent/cli/daemon_user.h"
#include "agent/cli/setup/pick.h"
#include "agent/cli/setup/setup.h"
#include "agent/cli/stop.h"

enum {
        CONNECT_MS = 3000,
        LISTEN_US = 10000000,
        SEARCH_US = 120000000,
        REGISTERS = 128,
        RUNS_SHOWN = 3,
        REGISTERS_SHOWN = 10,
        PORTS_SHOWN = 8
};

static bool no(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool no(const char *fmt, ...)
{
        char text[600];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        cli_fail(CLI_AWAY, "%s", text);
        return false;
}

/*
 * A secret's file that root may read and the daemon may not is found when the
 * service fails to start: too late.
 */
static bool is_read_by_daemon(struct setup *s, const char *path)
{
        struct stat st;
        int r;

        if (!*path)
                return true;
        if (stat(path, &st) < 0)
                return no("%s: %s", path, strerror(errno));
        r = daemon_user_access(path, R_OK);
        if (r < 0)
                setup_say(s, "  Whether the user " DAEMON_USER " can read %s can only be tried as root.", path);
        if (r <= 0)
                return true;
        return no("%s can't be read by the user " DAEMON_USER ": chgrp " DAEMON_USER
                  " %s; chmod 0640 %s; and the folders on the way must let it pass",
                  path, path, path);
}

/* The line: what is no path is a connection. */
static bool is_opened_by_daemon(struct setup *s, const char *port)
{
        int r = *port == '/' ? daemon_user_access(port, R_OK | W_OK) : 0;

        if (r < 0)
                setup_say(s, "  Whether the user " DAEMON_USER " can open %s can only be tried as root.", port);
        return r != EACCES || no("%s can't be opened by the user " DAEMON_USER
                                 ": its group must be dialout, with mode 0660, or a rule of udev must say who may; ls "
                                 "-l %s",
                                 port, port);
}

static const char *file_of(const struct setup *s, enum setup_step step)
{
        return dialogue_wants(&s->d, step) ? dialogue_said(&s->d, step) : "";
}

/* Up to the first step, which names no file. */
static bool are_read_by_daemon(struct setup *s, const enum setup_step *steps)
{
        while (*steps && is_read_by_daemon(s, file_of(s, *steps)))
                steps++;
        return !*steps;
}

/* ---- Kafka ---- */

static int connect_one(const struct addrinfo *a)
{
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = errno;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof(error);

        if (fd < 0)
                return error;
        error = 0;
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
                error = errno;
        else if (poll(&wait, 1, CONNECT_MS) <= 0)
                error = ETIMEDOUT;
        else
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        close(fd);
        return error;
}

static bool is_reached(const char *host, int port, const char **why)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *all;
        char service[8];
        int r, error = ECONNREFUSED;

        snprintf(service, sizeof(service), "%d", port);
        r = getaddrinfo(host, service, &hints, &all);
        *why = r ? gai_strerror(r) : "";
        if (r)
                return false;
        for (const struct addrinfo *a = all; a && error && !stop_asked(); a = a->ai_next)
                error = connect_one(a);
        freeaddrinfo(all);
        *why = strerror(error);
        return !error;
}

static bool brokers_are_reached(const struct visit_seen *seen)
{
        const char *why;

        for (int i = 0; i < seen->n_brokers && i < VISIT_BROKERS_MAX; i++)
                if (!is_reached(seen->broker[i].host, seen->broker[i].port, &why))
                        return no("Kafka answers, but names a broker %s:%d that can't be reached from here: %s; its "
                                  "advertised.listeners must name an address that this machine knows",
                                  seen->broker[i].host, seen->broker[i].port, why);
        return true;
}

static void tell_topics(struct setup *s)
{
        const char *reached = s->seen.n_brokers > VISIT_BROKERS_MAX ? "the first are reached" : "all reached",
                   *plural = s->seen.n_brokers == 1 ? "" : "s";
        char command[VISIT_COMMAND_ROOM];

        if (!s->seen.n_missing) {
                setup_say(s, "  %d broker%s, %s; the topics are there.", s->seen.n_brokers, plural, reached);
                return;
        }
        setup_say(s, "  %d broker%s, %s. Topics are missing; the commands that make them:", s->seen.n_brokers, plural,
                  reached);
        for (int i = 0; i < VISIT_TOPICS; i++) {
                if (!s->seen.missing[i])
                        continue;
                visit_command(s->visit, &s->seen, i, command);
                setup_say(s, "    %s", command);
        }
}

static void leave_kafka(struct setup *s)
{
        visit_close(s->visit);
        s->visit = NULL;
        s->seen = (struct visit_seen){0};
        s->d.facts.n_missing = 0;
}

static bool try_kafka(struct setup *s)
{
        static const enum setup_step kafka_files[] = {SETUP_PASSWORD, SETUP_CA, SETUP_CERT, SETUP_KEY, 0};
        struct err e;

        setup_say(s, "Asking Kafka at %s …", dialogue_said(&s->d, SETUP_KAFKA));
        leave_kafka(s);
        if (!are_read_by_daemon(s, kafka_files) || setup_judge(s) < 0)
                return false;
        s->visit = visit_open(&s->conf->kafka, s->conf->gateway, &e);
        if (!s->visit || visit_look(s->visit, &s->seen, &e) < 0) {
                leave_kafka(s);
                return no("no broker of Kafka answers: %s", e.text);
        }
        if (!brokers_are_reached(&s->seen)) {
                leave_kafka(s);
                return false;
        }
        s->d.facts.n_missing = (size_t)s->seen.n_missing;
        tell_topics(s);
        return true;
}

/* ---- MQTT ---- */

static double rate_of(const struct setup *s)
{
        double n = 0;

        for (size_t i = 0; i < s->broker.samples.n; i++) {
                const struct sample *m = &s->broker.samples.items[i];

                n += (double)m->n_messages * (m->n_leaves > 1 ? (double)m->n_leaves : 1);
        }
        return n / ((double)s->broker.span_us / 1e6);
}

static void tell_proposals(struct setup *s)
{
        setup_say(s, "  %llu messages of %zu topics; they can be read with:", (unsigned long long)s->broker.n_messages,
                  s->broker.samples.n);
        for (size_t i = 0; i < s->proposal.n; i++)
                setup_say(s, "    %zu  %s", i + 1, s->proposal.subs[i]);
        if (s->proposal.notes)
                fputs(s->proposal.notes, s->c->out.f);
}

/* Only what the configuration's tables take. */
static void keep_accepted(struct proposal *p, const struct mqtt_conf *conf)
{
        size_t n = 0;

        for (size_t i = 0; i < p->n; i++) {
                if (n < 255 && broker_accepts(conf, p->subs[i]))
                        p->subs[n++] = p->subs[i];
                else
                        free(p->subs[i]);
        }
        p->n = n;
}

static bool try_mqtt(struct setup *s)
{
        static const enum setup_step mqtt_files[] = {SETUP_MQTT_PASSWORD, SETUP_MQTT_CA, SETUP_MQTT_CERT,
                                                     SETUP_MQTT_KEY, 0};
        struct err e;

        broker_fini(&s->broker);
        proposal_fini(&s->proposal);
        s->proposal = (struct proposal){0};
        s->d.facts.n_proposed = 0;
        s->rate_mqtt = 0;
        s->broker = (struct broker){.conf = plan_mqtt(&s->plan), .filter = "#", .span_us = LISTEN_US};
        if (s->c->span)
                text_duration(s->c->span, &s->broker.span_us);
        setup_say(s, "Listening to %s for %.0f s …", s->broker.conf.url, (double)s->broker.span_us / 1e6);
        if (!are_read_by_daemon(s, mqtt_files))
                return false;
        if (broker_listen(&s->broker, &e) < 0)
                return no("%s", e.text);
        s->plan.protocol = s->broker.conf.protocol;
        propose(&s->broker.samples, &s->proposal);
        keep_accepted(&s->proposal, &s->broker.conf);
        s->plan.proposal = &s->proposal;
        s->rate_mqtt = rate_of(s);
        s->d.facts.n_proposed = s->proposal.n;
        if (s->proposal.n)
                tell_proposals(s);
        else
                setup_say(s, "  It takes us, but nothing came that could be proposed.");
        return true;
}

/* ---- Modbus ---- */

static void show_run(struct setup *s, unsigned unit, unsigned table, unsigned at, unsigned n)
{
        struct views v = {.table = (enum modbus_table)table, .address = at, .count = n};
        struct site_reply reply;

        if (n > REGISTERS_SHOWN)
                v.count = REGISTERS_SHOWN;
        if (site_read(&s->site, unit, table + 1, at, v.count, &reply) != SITE_DATA)
                return;
        v.data = reply.pdu + 2;
        views_print(s->c->out.f, &v, 0);
}

static void show_slave(struct setup *s, const struct slave *slave)
{
        static const char *const names[] = {"coils", "discrete inputs", "holding registers", "input registers"};
        int shown = 0;

        setup_say(s, "  Unit %u%s%s%s%s:", slave->unit, slave->vendor[0] ? ", " : "", slave->vendor,
                  slave->product[0] ? " " : "", slave->product);
        for (unsigned t = 4; t-- > 0;) {
                unsigned at = 0, n;

                for (; slave->tables[t] && ranges_run(slave->tables[t], &at, &n); at += n) {
                        if (n == 1)
                                setup_say(s, "    %s %u", names[t], at);
                        else
                                setup_say(s, "    %s %u to %u", names[t], at, at + n - 1);
                        if (shown++ < RUNS_SHOWN && s->d.facts.terminal)
                                show_run(s, slave->unit, t, at, n);
                }
        }
}

static void tell_slaves(struct setup *s, const struct search *found)
{
        setup_say(s, "  %zu unit%s; registers 0 to %d were asked for:", found->n_slaves,
                  found->n_slaves == 1 ? " answers" : "s answer", REGISTERS - 1);
        for (size_t i = 0; i < found->n_slaves && i < 32; i++)
                show_slave(s, &found->slaves[i]);
        if (found->for_all)
                setup_say(s, "  It answers whatever the unit id: only the first was searched.");
}

static struct search *new_search(struct setup *s)
{
        struct search *found = mem_alloc(sizeof(*found));

        found->port = &s->site;
        found->until_us = mono_us() + SEARCH_US;
        ranges_list(dialogue_said(&s->d, SETUP_UNITS), 255, found->wanted);
        for (unsigned i = 0; i < REGISTERS; i++)
                found->registers[i / 8] |= (uint8_t)(1 << i % 8);
        found->n_registers = REGISTERS;
        return found;
}

static void close_bus(struct setup *s)
{
        if (s->plan.search)
                search_free((struct search *)s->plan.search);
        if (s->site_open)
                site_close(&s->site);
        s->site_open = false;
        s->plan.search = NULL;
        s->plan.site = NULL;
        s->d.facts.n_slaves = 0;
}

static bool try_bus(struct setup *s)
{
        const char *bus = dialogue_said(&s->d, SETUP_BUS);
        struct search *found;
        struct err e;

        close_bus(s);
        setup_say(s, "Looking for units %s on %s …", dialogue_said(&s->d, SETUP_UNITS), bus);
        if (site_parse(&s->site, bus, &e) == 0)
                s->plan.site = &s->site; /* for the file, whether it can be opened or not */
        if (s->plan.site && !is_opened_by_daemon(s, s->site.text))
                return false;
        if (site_open(&s->site, s->c, bus) != CLI_OK)
                return false;
        s->site_open = true;
        found = new_search(s);
        s->plan.search = found;
        search_run(found);
        s->d.facts.n_slaves = found->n_slaves;
        if (!found->n_slaves)
                return no("nobody answers on %s%s", bus,
                          s->site.wire == SITE_RTU ? "; are speed, parity and the two wires right?" : "");
        tell_slaves(s, found);
        return true;
}

static bool read_pick(struct setup *s, const struct pick *p)
{
        struct site_reply reply;
        struct reading r = {0};
        enum site_answer a = site_read(&s->site, p->unit, (unsigned)p->table + 1, p->address, p->width, &reply);
        char text[1];

        if (a == SITE_EXCEPTION)
                return no("unit %u refuses %s: exception %u, %s", p->unit, p->tag, reply.exception,
                          modbus_exception(reply.exception));
        if (a != SITE_DATA)
                return no("unit %u does not answer for %s", p->unit, p->tag);
        if (p->table <= MODBUS_DISCRETE)
                modbus_decode_bit(reply.pdu + 2, 0, &r);
        else
                modbus_decode(&p->format, reply.pdu + 2, text, &r);
        if (r.type == READING_F64)
                setup_say(s, "    unit %u  %s = %.7g%s%s", p->unit, p->tag, r.v.f64, p->measure[0] ? " " : "",
                          p->measure);
        else if (r.type == READING_I64)
                setup_say(s, "    unit %u  %s = %lld%s%s", p->unit, p->tag, (long long)r.v.i64,
                          p->measure[0] ? " " : "", p->measure);
        else
                setup_say(s, "    unit %u  %s = %s", p->unit, p->tag, r.v.b ? "true" : "false");
        return true;
}

static bool try_picks(struct setup *s)
{
        struct pick picks[PICKS_MAX];
        struct err e;
        size_t n;

        if (picks_parse(dialogue_said(&s->d, SETUP_PICK), picks, &n, &e) < 0)
                return no("%s", e.text);
        s->rate_bus = (double)n;
        if (!s->site_open)
                return no("the registers can't be read: the bus is not open");
        for (size_t i = 0; i < n; i++)
                if (!picks[i].profile[0] && !read_pick(s, &picks[i]))
                        return false;
        return setup_judge(s) == 0;
}

bool setup_try(struct setup *s)
{
        switch (s->d.at) {
        case SETUP_TRY_KAFKA:
                return try_kafka(s);
        case SETUP_TRY_MQTT:
                return try_mqtt(s);
        case SETUP_TRY_BUS:
                return try_bus(s);
        default:
                return try_picks(s);
        }
}

/* ---- before a question ---- */

static bool free_bytes(const char *path, uint64_t *bytes)
{
        char folder[SETUP_PATH_MAX];
        struct statvfs fs;

        snprintf(folder, sizeof(folder), "%s", path);
        while (strrchr(folder, '/')) {
                *strrchr(folder, '/') = '\0';
                if (statvfs(folder[0] ? folder : "/", &fs) == 0) {
                        *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
                        return true;
                }
        }
        return false;
}

static double rate_seen(const struct setup *s)
{
        double rate = s->rate_mqtt;

        for (size_t i = 0;
             s->plan.search && strcmp(dialogue_said(&s->d, SETUP_PICK), "all") == 0 && i < s->plan.search->n_slaves;
             i++)
                for (int t = 0; t < 4; t++)
                        rate += s->plan.search->slaves[i].tables[t]
                                        ? (double)s->plan.search->slaves[i].tables[t]->n_there
                                        : 0;
        return rate + s->rate_bus;
}

/*
 * The answer is a time, the disk has the last word: four fifths of what is
 * free.
 */
void setup_size(struct setup *s)
{
        uint64_t room, most;
        int64_t outage_us;
        char text[32];

        s->plan.rate = rate_seen(s);
        if (!text_duration(dialogue_said(&s->d, SETUP_OUTAGE), &outage_us))
                return;
        s->plan.max_size_bytes = plan_spool_bytes(s->plan.rate, outage_us);
        if (!free_bytes(s->spool_path, &room))
                return;
        most = (room / 5 * 4) >> 20 << 20;
        if (s->plan.max_size_bytes <= most || most < (4 << 20))
                return;
        s->plan.max_size_bytes = most;
        text_put_duration(text, sizeof(text), plan_outage_us(s->plan.rate, most));
        setup_say(s, "The disk has no room for %s: the spool gets %llu MiB, which is about %s.",
                  dialogue_said(&s->d, SETUP_OUTAGE), (unsigned long long)(most >> 20), text);
}

static void tell_ports(struct setup *s)
{
        static const char *const patterns[] = {"/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyS[0-9]"};
        glob_t found;
        size_t n = 0;

        for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
                if (glob(patterns[i], 0, NULL, &found) != 0)
                        continue;
                for (size_t k = 0; k < found.gl_pathc && n < PORTS_SHOWN; k++)
                        setup_say(s, "%s%s", n++ ? "  " : "Serial ports of this machine:\n  ", found.gl_pathv[k]);
                globfree(&found);
        }
}

/* A broker on the gateway itself is what most have. */
void setup_presets(struct setup *s)
{
        const char *why;

        if (is_reached("127.0.0.1", 1883, &why))
                dialogue_preset_set(&s->d, SETUP_MQTT, "mqtt://127.0.0.1:1883");
}

void setup_before(struct setup *s)
{
        char text[32];
        uint64_t room;

        if (s->d.retrying)
                return;
        if (s->d.at == SETUP_OUTAGE && free_bytes(s->spool_path, &room)) {
                text_put_size(text, sizeof(text), room);
                setup_say(s, "About %.3g readings a second were seen; %s are free on the disk.", rate_seen(s), text);
        } else if (s->d.at == SETUP_BUS) {
                tell_ports(s);
        } else if (s->d.at == SETUP_REPLACE) {
                setup_say(s, "%s is there already and reads something.", s->c->config);
        } else if (s->d.at == SETUP_AGREE) {
                setup_summary(s);
        }
}

void setup_tries_fini(struct setup *s)
{
        close_bus(s);
        visit_close(s->visit);
        broker_fini(&s->broker);
        proposal_fini(&s->proposal);
}
