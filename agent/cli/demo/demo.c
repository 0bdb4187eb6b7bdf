/*
 * demo: a small factory, its gateway and a Kafka outage, told in short
 * sentences.
 *
 * The gateway is the real thing: `millraced` as a process of its own, on a
 * configuration written to a temporary directory, with three simulated presses
 * and an MQTT broker behind it; the story's numbers are asked from its control
 * socket and, after it has ended, from the spool's file.  The Kafka side counts
 * what really arrived, by seq, in its own process.
 *
 * What can go wrong at start (no mosquitto, no millraced, a port) is told in
 * one sentence, with the last lines of the log of the part that failed. However
 * it ends, the parts are stopped and the directory is removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/demo/stage.h"

enum { OUTAGE_MIN_S = 3, OUTAGE_MAX_S = 10, OUTAGE_FROM_S = 12 };

volatile sig_atomic_t stage_interrupted;

static void on_signal(int number)
{
        stage_interrupted = number;
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

/* ---- the story ---- */

static void plan_outage(struct demo *d)
{
        uint64_t s = d->c->seconds, third = s ? s / 3 : 20, length = s ? s / 5 : OUTAGE_MAX_S;

        if (d->c->kafka || (s && s < OUTAGE_FROM_S))
                return;
        length = length < OUTAGE_MIN_S ? OUTAGE_MIN_S : length > OUTAGE_MAX_S ? OUTAGE_MAX_S : length;
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
                stage_tell_kafka(d, "down\n");
                d->down = true;
                d->held_before = d->now.held;
                say(d, "Now Kafka goes away. Nothing stops: readings are held in the spool.");
        } else if (d->outage_to_s && second == d->outage_to_s) {
                stage_tell_kafka(d, "up\n");
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

/*
 * Until the time is over or somebody interrupts. 0, or -1 when a part ended by
 * itself.
 */
static int tell_story(struct demo *d, struct err *e)
{
        unsigned per_second = 1000 / TICK_MS;

        for (unsigned tick = 0; !stage_interrupted; tick++) {
                uint64_t second = tick / per_second;

                if (d->c->seconds && second >= d->c->seconds)
                        break;
                if (tick % per_second == 0) {
                        step_outage(d, second);
                        if (!part_runs(&d->millraced) || stage_ask(d, e) != 0)
                                return err_set(e, "millraced has ended or does not answer");
                        print_second(d, second);
                        watch_drain(d, second);
                }
                stage_publish(d, tick);
                if (!stage_listen(d, 0) || (!d->c->mqtt && !part_runs(&d->mosquitto)))
                        return err_set(e, "a part of the demo has ended by itself");
                part_sleep_ms(TICK_MS);
        }
        return 0;
}

/*
 * The sensor is quiet; what it sent is to be taken, what was taken to be
 * delivered.
 */
static void settle(struct demo *d)
{
        struct err e;

        if (d->down)
                stage_tell_kafka(d, "up\n");
        d->down = false;
        for (int waited = 0; waited < START_WITHIN_MS; waited += TICK_MS) {
                stage_listen(d, 0);
                if (stage_ask(d, &e) != 0)
                        return;
                if (d->from_mqtt >= demo_mqtt_acked(&d->sensor) && d->now.held < 1000)
                        return;
                part_sleep_ms(TICK_MS);
        }
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

        if (stage_read_spool(d, &e) < 0)
                return cli_fail(CLI_NO, "%s", e.text);
        for (int waited = 0; d->distinct < d->now.delivered && waited < START_WITHIN_MS; waited += TICK_MS)
                if (!stage_listen(d, TICK_MS))
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

static int play(struct demo *d)
{
        struct err e = {"interrupted"};
        int r = stage_open(d, &e);

        if (r == 0) {
                say(d, "A small factory: three presses (simulated), a basin (MQTT at %s:%d), and Kafka at %s.",
                    d->url.host, d->url.port, d->brokers);
                say(d, "millraced (pid %d) reads them, keeps every reading on disk, and forwards it.",
                    (int)d->millraced.pid);
                if (d->page_port)
                        say(d, "Its page: http://127.0.0.1:%d/", d->page_port);
                r = tell_story(d, &e);
        }
        if (r < 0 && stage_interrupted)
                return cli_fail(CLI_NO, "interrupted before the factory ran");
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
                stage_close(d);
        }
        if (stage_interrupted == SIGPIPE)
                _exit(r); /* nobody reads any more: no word about that */
        free(d);
        return r;
}
