/*
 * demo: a small factory, its gateway and a Kafka outage, told in short sentences.
 *
 * The gateway is the real thing: `millraced` as a process of its own, on a configuration written to a temporary directory,
 * with three simulated presses and an MQTT broker behind it; the story's numbers are asked from its control socket and,
 * after it has ended, from the spool's file.  The Kafka side counts what really arrived, by seq, in its own process.
 *
 * What can go wrong at start (no mosquitto, no millraced, a port) is told in one sentence, with the last lines of the log
 * of the part that failed.  However it ends, the parts are stopped and the directory is removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/demo_kafka.h"
#include "agent/cli/demo_mqtt.h"
#include "agent/cli/demo_parts.h"
#include "drivers/mqtt.h"
#include "store/spool_query.h"

enum {
        TICK_MS = 200,
        START_WITHIN_MS = 10000,
        OUTAGE_LEAST_S = 3,
        OUTAGE_MOST_S = 10,
        OUTAGE_FROM_S = 12,
        LINE_MAX = 4096
};

static const char topic[] = "edge_samples_v1";

struct numbers {
        uint64_t accepted, delivered, held, dropped;
};

struct demo {
        struct cli *c;
        char dir[PART_PATH_MAX / 2], gateway[32], brokers[256];
        struct mqtt_url url;
        struct part mosquitto, millraced, kafka;
        int to_kafka, from_kafka;
        char line[LINE_MAX]; /* of the Kafka side, being read */
        size_t line_len;
        struct demo_mqtt sensor;
        uint64_t distinct, twice; /* consumed */
        char record[LINE_MAX];    /* the last one consumed */
        struct numbers now, before;
        uint64_t from_mqtt; /* readings the agent took from the sensor */
        bool down, shown_record, drained;
        uint64_t outage_from_s, outage_to_s; /* 0: none */
        uint64_t most_held, held_before;     /* in the outage; before it */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
        interrupted = number;
}

static void say(struct demo *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct demo *d, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        fputs(out_on(&d->c->out, OUT_BOLD), d->c->out.f);
        vfprintf(d->c->out.f, fmt, args);
        fputs(out_off(&d->c->out), d->c->out.f);
        fputc('\n', d->c->out.f);
        fflush(d->c->out.f);
        va_end(args);
}

/* ---- Kafka's side ---- */

static void obey_line(struct demo *d, const char *line)
{
        int at = 0;

        if (sscanf(line, "n %" SCNu64 " %" SCNu64 " %n", &d->distinct, &d->twice, &at) == 2)
                snprintf(d->record, sizeof(d->record), "%s", line + at);
        else if (strncmp(line, "ready ", 6) == 0)
                snprintf(d->brokers, sizeof(d->brokers), "%s", line + 6);
        else if (strncmp(line, "failed ", 7) == 0)
                cli_fail(CLI_NO, "Kafka: %s", line + 7);
}

/* Takes in what the Kafka side has said within `wait_ms`. False: it has ended. */
static bool listen_to_kafka(struct demo *d, int wait_ms)
{
        struct pollfd p = {.fd = d->from_kafka, .events = POLLIN};

        while (poll(&p, 1, wait_ms) > 0) {
                ssize_t n = read(d->from_kafka, d->line + d->line_len, sizeof(d->line) - 1 - d->line_len);
                char *end;

                if (n <= 0)
                        return false;
                d->line_len += (size_t)n;
                d->line[d->line_len] = '\0';
                while ((end = strchr(d->line, '\n'))) {
                        *end = '\0';
                        obey_line(d, d->line);
                        d->line_len -= (size_t)(end + 1 - d->line);
                        memmove(d->line, end + 1, d->line_len + 1);
                }
                if (d->line_len == sizeof(d->line) - 1)
                        d->line_len = 0;
                wait_ms = 0;
        }
        return true;
}

static int start_kafka(struct demo *d, struct err *e)
{
        int down[2], up[2];
        char prefix[40];

        if (pipe(down) < 0 || pipe(up) < 0)
                return err_errno(e, "pipe");
        d->kafka.name = "kafka";
        d->kafka.pid = part_fork(SIGKILL);
        if (d->kafka.pid < 0)
                return err_errno(e, "the Kafka side can't be started");
        if (d->kafka.pid == 0) {
                close(down[1]);
                close(up[0]);
                snprintf(prefix, sizeof(prefix), "%s/", d->gateway);
                demo_kafka_run(down[0], up[1], d->c->kafka, topic, prefix);
        }
        close(down[0]);
        close(up[1]);
        d->to_kafka = down[1];
        d->from_kafka = up[0];
        for (int waited = 0; !d->brokers[0] && waited < START_WITHIN_MS; waited += TICK_MS)
                if (!listen_to_kafka(d, TICK_MS) || interrupted)
                        break;
        return d->brokers[0] ? 0 : err_set(e, "the Kafka side did not start");
}

static void tell_kafka(struct demo *d, const char *what)
{
        if (write(d->to_kafka, what, strlen(what)) < 0)
                cli_fail(CLI_NO, "the Kafka side has ended");
}

/* ---- MQTT's side ---- */

static int start_mosquitto(struct demo *d, struct err *e)
{
        char program[PART_PATH_MAX], path[PART_PATH_MAX], text[512];
        char *argv[] = {program, "-c", path, NULL};

        if (!part_find("mosquitto", false, program))
                return err_set(e, "mosquitto is not installed: apt install mosquitto, or use yours with --mqtt URL");
        d->url.port = part_free_port();
        snprintf(d->url.host, sizeof(d->url.host), "127.0.0.1");
        snprintf(path, sizeof(path), "%s/mosquitto.conf", d->dir);
        snprintf(text, sizeof(text),
                 "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"
                 "max_inflight_messages 1000\nlog_dest stderr\nlog_type error\nlog_type warning\n",
                 d->url.port);
        if (part_write_file(path, text, e) < 0)
                return -1;
        return part_start(&d->mosquitto, "mosquitto", d->dir, argv, (struct part_kind){SIGKILL, true}, e);
}

static int connect_sensor(struct demo *d, struct err *e)
{
        char id[64];

        snprintf(id, sizeof(id), "%s-sensor", d->gateway);
        for (int waited = 0; waited < START_WITHIN_MS && !interrupted; waited += TICK_MS) {
                if (demo_mqtt_open(&d->sensor, d->url.host, d->url.port, id, e) == 0)
                        return 0;
                if (d->c->mqtt || !part_runs(&d->mosquitto))
                        return -1;
                part_sleep_ms(TICK_MS);
        }
        return -1;
}

/* One message for each of the sensor's values, of a kind that moves. */
static void publish(struct demo *d, unsigned tick)
{
        static const char *const tags[] = {"flow", "level", "ph"};
        char path[160], payload[32];

        for (unsigned i = 0; i < 3; i++) {
                double value = 10.0 * (i + 1) + (double)((tick * 7 + i * 13) % 50) / 10.0;

                snprintf(path, sizeof(path), "%s/hall1/basin-1/%s", d->gateway, tags[i]);
                snprintf(payload, sizeof(payload), "%.1f", value);
                demo_mqtt_publish(&d->sensor, path, payload);
        }
        demo_mqtt_acked(&d->sensor);
}

/* ---- the gateway ---- */

static const char factory[] = "gateway: %s\n"
                              "spool: {path: %s/spool.db, max_size: 256MiB, commit_interval: 200ms}\n"
                              "kafka:\n"
                              "  brokers: [\"%s\"]\n"
                              "  samples_topic: %s\n"
                              "  properties: [reconnect.backoff.max.ms=500]\n"
                              "mqtt:\n"
                              "  - name: plant\n"
                              "    url: mqtt://%s%s%s:%d\n"
                              "    subscriptions: [{topic: \"%s/{line}/{source}/{tag}\", payload: number}]\n"
                              "sim:\n"
                              "  - name: presses\n"
                              "    source: press\n"
                              "    count: 3\n"
                              "    period: 100ms\n"
                              "    tags:\n"
                              "      - {tag: temp, wave: sine, min: 60, max: 80, noise: 0.4, cycle: 20s, unit: degC}\n"
                              "      - {tag: pressure, wave: ramp, min: 1, max: 6, cycle: 4s, unit: bar}\n"
                              "      - {tag: running, wave: bool, cycle: 12s}\n";

static int write_factory(const struct demo *d, const char *path, struct err *e)
{
        const char *left = strchr(d->url.host, ':') ? "[" : "", *right = left[0] ? "]" : "";
        char text[4096], list[512];
        size_t at = 0;

        /* "a:1,b:2" as items of a YAML list: the quotes around the list stand in the text above */
        for (const char *s = d->brokers; *s && at + 5 < sizeof(list); s++) {
                if (*s == ',')
                        at += (size_t)snprintf(list + at, sizeof(list) - at, "\", \"");
                else
                        list[at++] = *s;
        }
        list[at] = '\0';
        snprintf(text, sizeof(text), factory, d->gateway, d->dir, list, topic, left, d->url.host, right, d->url.port,
                 d->gateway);
        return part_write_file(path, text, e);
}

static uint64_t count_in(const json_t *o, const char *key)
{
        return (uint64_t)json_integer_value(json_object_get(o, key));
}

static int ask_status(struct demo *d, struct err *e)
{
        char path[PART_PATH_MAX];
        json_t *request = json_pack("{s:s}", "cmd", "status"), *reply, *drivers;
        int r;

        snprintf(path, sizeof(path), "%s/millrace.sock", d->dir);
        r = ctl_ask(path, request, &reply, e);
        json_decref(request);
        if (r)
                return r;
        d->now = (struct numbers){count_in(reply, "accepted"), count_in(reply, "delivered"), count_in(reply, "held"),
                                  count_in(reply, "dropped")};
        drivers = json_object_get(reply, "drivers");
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *driver = json_array_get(drivers, i);
                const char *name = json_string_value(json_object_get(driver, "name"));

                if (name && strcmp(name, "plant") == 0)
                        d->from_mqtt = count_in(driver, "readings");
        }
        json_decref(reply);
        return 0;
}

static int start_millraced(struct demo *d, struct err *e)
{
        char program[PART_PATH_MAX], path[PART_PATH_MAX];
        char *argv[] = {program, "--config", path, NULL};

        if (!part_find("millraced", true, program))
                return err_set(e, "millraced is neither beside this program nor in $PATH");
        snprintf(path, sizeof(path), "%s/millrace.yaml", d->dir);
        if (write_factory(d, path, e) < 0 ||
            part_start(&d->millraced, "millraced", d->dir, argv, (struct part_kind){SIGTERM, false}, e) < 0)
                return -1;
        for (int waited = 0; waited < START_WITHIN_MS && !interrupted; waited += TICK_MS) {
                if (ask_status(d, e) == 0)
                        return 0;
                if (!part_runs(&d->millraced))
                        return err_set(e, "millraced did not start");
                part_sleep_ms(TICK_MS);
        }
        return err_set(e, "millraced does not answer");
}

/* ---- the story ---- */

static void plan_outage(struct demo *d)
{
        uint64_t s = d->c->seconds, third = s ? s / 3 : 20, length = s ? s / 5 : OUTAGE_MOST_S;

        if (d->c->kafka || (s && s < OUTAGE_FROM_S))
                return;
        length = length < OUTAGE_LEAST_S ? OUTAGE_LEAST_S : length > OUTAGE_MOST_S ? OUTAGE_MOST_S : length;
        d->outage_from_s = third;
        d->outage_to_s = third + length;
}

/* After the outage: has all that was held gone? Told once. */
static void watch_drain(struct demo *d, uint64_t second)
{
        if (d->drained || !d->outage_to_s || second <= d->outage_to_s || d->now.held > 2 * d->held_before + 100)
                return;
        d->drained = true;
        say(d, "Drained: %" PRIu64 " s after Kafka's return nothing of the outage is held any more.",
            second - d->outage_to_s);
}

static void step_outage(struct demo *d, uint64_t second)
{
        if (d->outage_from_s && second == d->outage_from_s) {
                tell_kafka(d, "down\n");
                d->down = true;
                d->held_before = d->now.held;
                say(d, "Now Kafka goes away. Nothing stops: readings are held in the spool.");
        } else if (d->outage_to_s && second == d->outage_to_s) {
                tell_kafka(d, "up\n");
                d->down = false;
                say(d, "Kafka is back. What was held follows, oldest first.");
        }
}

/* "press-2/temp 71.3 degC", out of the record as it was consumed. */
static void put_last(const struct demo *d, char *out, size_t cap)
{
        json_t *o = json_loads(d->record, 0, NULL);
        const char *source = json_string_value(json_object_get(o, "source")),
                   *tag = json_string_value(json_object_get(o, "tag"));
        const char *unit = json_string_value(json_object_get(o, "unit"));
        const json_t *value = json_object_get(o, "value"), *flag = json_object_get(o, "value_bool");

        if (!source || !tag)
                snprintf(out, cap, "-");
        else if (json_is_number(value))
                snprintf(out, cap, "%s/%s %.1f %s", source, tag, json_number_value(value), unit ? unit : "");
        else
                snprintf(out, cap, "%s/%s %s", source, tag, flag ? (json_is_true(flag) ? "true" : "false") : "");
        json_decref(o);
}

static void print_second(struct demo *d, uint64_t second)
{
        uint64_t read = d->now.accepted - d->before.accepted, gone = d->now.delivered - d->before.delivered;
        const char *on = d->down ? out_on(&d->c->out, OUT_YELLOW) : "", *off = on[0] ? out_off(&d->c->out) : "";
        char last[160];

        put_last(d, last, sizeof(last));
        fprintf(d->c->out.f,
                "%4" PRIu64 " s  read %7" PRIu64 " (+%-4" PRIu64 ")  %sheld %6" PRIu64 "%s  delivered %7" PRIu64
                " (+%-5" PRIu64 ")  kafka %s  %s\n",
                second, d->now.accepted, read, on, d->now.held, off, d->now.delivered, gone, d->down ? "away" : "up  ",
                last);
        fflush(d->c->out.f);
        d->before = d->now;
        d->most_held = d->now.held > d->most_held ? d->now.held : d->most_held;
        if (!d->shown_record && d->record[0]) {
                d->shown_record = true;
                say(d, "This is how a reading stands in Kafka:");
                fprintf(d->c->out.f, "        %s\n", d->record);
        }
}

/* Until the time is over or somebody interrupts. 0, or -1 when a part ended by itself. */
static int tell_story(struct demo *d, struct err *e)
{
        unsigned per_second = 1000 / TICK_MS;

        for (unsigned tick = 0; !interrupted; tick++) {
                uint64_t second = tick / per_second;

                if (d->c->seconds && second >= d->c->seconds)
                        break;
                if (tick % per_second == 0) {
                        step_outage(d, second);
                        if (!part_runs(&d->millraced) || ask_status(d, e) != 0)
                                return err_set(e, "millraced has ended or does not answer");
                        print_second(d, second);
                        watch_drain(d, second);
                }
                publish(d, tick);
                if (!listen_to_kafka(d, 0) || (!d->c->mqtt && !part_runs(&d->mosquitto)))
                        return err_set(e, "a part of the demo has ended by itself");
                part_sleep_ms(TICK_MS);
        }
        return 0;
}

/* The sensor is quiet; what it sent is to be taken, what was taken to be delivered. */
static void settle(struct demo *d)
{
        struct err e;

        if (d->down)
                tell_kafka(d, "up\n");
        d->down = false;
        for (int waited = 0; waited < START_WITHIN_MS; waited += TICK_MS) {
                listen_to_kafka(d, 0);
                if (ask_status(d, &e) != 0)
                        return;
                if (d->from_mqtt >= demo_mqtt_acked(&d->sensor) && d->now.held < 1000)
                        return;
                part_sleep_ms(TICK_MS);
        }
}

static int read_spool(struct demo *d, struct err *e)
{
        char path[PART_PATH_MAX];
        struct spool_counts counts;
        struct spool_query *q;
        int r;

        snprintf(path, sizeof(path), "%s/spool.db", d->dir);
        if (spool_query_open(&q, path, e) < 0)
                return -1;
        r = spool_query_counts(q, &counts, e);
        spool_query_close(q);
        if (r == 0)
                d->now = (struct numbers){counts.accepted, counts.delivered, counts.held, counts.dropped};
        return r;
}

static bool complain(const char *what, uint64_t n)
{
        if (n)
                cli_fail(CLI_NO, "%s: %" PRIu64, what, n);
        return n != 0;
}

/* The agent has ended; the file and Kafka are held against each other. */
static int account(struct demo *d)
{
        uint64_t sent = demo_mqtt_acked(&d->sensor), sum;
        bool lost;
        struct err e;

        if (read_spool(d, &e) < 0)
                return cli_fail(CLI_NO, "%s", e.text);
        for (int waited = 0; d->distinct < d->now.delivered && waited < START_WITHIN_MS; waited += TICK_MS)
                if (!listen_to_kafka(d, TICK_MS))
                        break;
        sum = d->now.delivered + d->now.held + d->now.dropped;
        say(d,
            "Accounting: %" PRIu64 " accepted = %" PRIu64 " delivered + %" PRIu64 " held + %" PRIu64 " dropped. "
            "Kafka has %" PRIu64 " of them, %" PRIu64 " twice; %" PRIu64 " of %" PRIu64 " MQTT messages were taken.",
            d->now.accepted, d->now.delivered, d->now.held, d->now.dropped, d->distinct, d->twice, d->from_mqtt, sent);
        lost = complain("accepted, but neither delivered, held nor dropped",
                        d->now.accepted > sum ? d->now.accepted - sum : 0);
        lost |= complain("dropped", d->now.dropped);
        lost |= complain("delivered, but not in Kafka",
                         d->now.delivered > d->distinct ? d->now.delivered - d->distinct : 0);
        lost |= complain("MQTT messages not taken", sent > d->from_mqtt ? sent - d->from_mqtt : 0);
        if (!lost)
                say(d, "Nothing was lost.");
        return lost ? CLI_NO : CLI_OK;
}

static int start_all(struct demo *d, struct err *e)
{
        if (start_kafka(d, e) < 0)
                return -1;
        if (!d->c->mqtt && start_mosquitto(d, e) < 0)
                return -1;
        if (connect_sensor(d, e) < 0 || start_millraced(d, e) < 0)
                return -1;
        return 0;
}

static int play(struct demo *d)
{
        struct err e = {"interrupted"};
        int r = start_all(d, &e);

        if (r == 0) {
                say(d, "A small factory: three presses (simulated), a basin (MQTT at %s:%d), and Kafka at %s.",
                    d->url.host, d->url.port, d->brokers);
                say(d, "millraced (pid %d) reads them, keeps every reading on disk, and forwards it.",
                    (int)d->millraced.pid);
                r = tell_story(d, &e);
        }
        if (r < 0) {
                part_print_log(&d->mosquitto);
                part_print_log(&d->millraced);
                return cli_fail(CLI_NO, "%s", e.text);
        }
        settle(d);
        if (d->outage_from_s && d->most_held)
                say(d, "At most %" PRIu64 " readings were held during the outage.", d->most_held);
        say(d, "The factory closes; millraced is asked to end.");
        if (part_stop(&d->millraced, START_WITHIN_MS) != 0) {
                part_print_log(&d->millraced);
                return cli_fail(CLI_NO, "millraced did not end cleanly");
        }
        return account(d);
}

static void clean_up(struct demo *d)
{
        demo_mqtt_close(&d->sensor);
        part_stop(&d->millraced, START_WITHIN_MS);
        part_stop(&d->mosquitto, START_WITHIN_MS);
        if (d->to_kafka >= 0)
                close(d->to_kafka);
        part_stop(&d->kafka, START_WITHIN_MS);
        if (d->from_kafka >= 0)
                close(d->from_kafka);
        part_remove_dir(d->dir);
}

static void take_signals(void)
{
        struct sigaction action = {.sa_handler = on_signal};
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

        for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
                sigaction(numbers[i], &action, NULL);
}

int cmd_demo(struct cli *c)
{
        struct demo *d = mem_alloc(sizeof(*d));
        const char *tmp = getenv("TMPDIR");
        struct err e;
        int r;

        d->c = c;
        d->to_kafka = d->from_kafka = d->sensor.fd = -1;
        snprintf(d->gateway, sizeof(d->gateway), "demo-%d", (int)getpid());
        if (c->mqtt &&
            (mqtt_url_parse(&d->url, c->mqtt, &e) < 0 ||
             (d->url.tls && err_set(&e, "the demo's own sensor speaks MQTT without TLS: mqtt://host:port") < 0))) {
                free(d);
                return cli_fail(CLI_USAGE, "--mqtt: %s", e.text);
        }
        snprintf(d->dir, sizeof(d->dir), "%s/millrace-demo-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
        take_signals();
        plan_outage(d);
        if (!mkdtemp(d->dir) || chmod(d->dir, 0711) < 0) {
                r = cli_fail(CLI_NO, "%s: %s", d->dir, strerror(errno));
        } else {
                r = play(d);
                clean_up(d);
        }
        if (interrupted == SIGPIPE)
                _exit(r); /* nobody reads any more: no word about that */
        free(d);
        return r;
}
