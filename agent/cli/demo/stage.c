/*
 * stage: see stage.h.
 *
 * Kafka and the broker come first, then the sensor, then millraced on a
 * configuration written for them; each is waited for, at most ten seconds,
 * before the next.  A part that ends early is told by name; its log is shown by
 * the caller.
 */
#include "agent/cli/demo/stage.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/demo/kafka.h"
#include "store/inspect/query.h"

static const char topic[] = "edge_samples_v1";

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

bool stage_listen(struct demo *d, int wait_ms)
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
                if (!stage_listen(d, TICK_MS) || stage_interrupted)
                        break;
        return d->brokers[0] ? 0 : err_set(e, "the Kafka side did not start");
}

void stage_tell_kafka(struct demo *d, const char *what)
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
        return part_start(&d->mosquitto, "mosquitto", d->dir, argv, (struct part_kind){SIGKILL, "nobody"}, e);
}

static int connect_sensor(struct demo *d, struct err *e)
{
        char id[64];

        snprintf(id, sizeof(id), "%s-sensor", d->gateway);
        for (int waited = 0; waited < START_WITHIN_MS && !stage_interrupted; waited += TICK_MS) {
                if (demo_mqtt_open(&d->sensor, d->url.host, d->url.port, id, e) == 0)
                        return 0;
                if (d->c->mqtt || !part_runs(&d->mosquitto))
                        return -1;
                part_sleep_ms(TICK_MS);
        }
        return -1;
}

/* One message for each of the sensor's values, of a kind that moves. */
void stage_publish(struct demo *d, unsigned tick)
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

int stage_ask(struct demo *d, struct err *e)
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
            part_start(&d->millraced, "millraced", d->dir, argv, (struct part_kind){SIGTERM, NULL}, e) < 0)
                return -1;
        for (int waited = 0; waited < START_WITHIN_MS && !stage_interrupted; waited += TICK_MS) {
                if (stage_ask(d, e) == 0)
                        return 0;
                if (!part_runs(&d->millraced))
                        return err_set(e, "millraced did not start");
                part_sleep_ms(TICK_MS);
        }
        return err_set(e, "millraced does not answer");
}

/* When it is there; a demo without one is a demo. */
static void start_page(struct demo *d)
{
        char program[PART_PATH_MAX], path[PART_PATH_MAX], listen[32];
        char *argv[] = {program, "--config", path, "--listen", listen, NULL};
        struct err e;

        if (!part_find("millrace-page", true, program) && !part_find("page/millrace-page", true, program))
                return;
        d->page_port = part_free_port();
        snprintf(listen, sizeof(listen), "127.0.0.1:%d", d->page_port);
        snprintf(path, sizeof(path), "%s/millrace.yaml", d->dir);
        if (part_start(&d->page, "millrace-page", d->dir, argv, (struct part_kind){SIGTERM, NULL}, &e) < 0)
                d->page_port = 0;
}

int stage_read_spool(struct demo *d, struct err *e)
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

int stage_open(struct demo *d, struct err *e)
{
        if (start_kafka(d, e) < 0)
                return -1;
        if (!d->c->mqtt && start_mosquitto(d, e) < 0)
                return -1;
        if (connect_sensor(d, e) < 0 || start_millraced(d, e) < 0)
                return -1;
        start_page(d);
        return 0;
}

void stage_close(struct demo *d)
{
        demo_mqtt_close(&d->sensor);
        part_stop(&d->page, START_WITHIN_MS);
        part_stop(&d->millraced, START_WITHIN_MS);
        part_stop(&d->mosquitto, START_WITHIN_MS);
        if (d->to_kafka >= 0)
                close(d->to_kafka);
        part_stop(&d->kafka, START_WITHIN_MS);
        if (d->from_kafka >= 0)
                close(d->from_kafka);
        part_remove_dir(d->dir);
}
