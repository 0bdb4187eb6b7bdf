/*
 * watch: `mqtt watch`, what a broker sends under a filter, and subscriptions
 * proposed for it.
 *
 * On the driver's own link, so that TLS, passwords and hostile packets are
 * dealt with as the daemon does; MQTT 5 first, then 3.1.1 when the broker takes
 * no 5.  A client id of its own and a session that ends with it: the daemon's
 * session is not touched, nothing is published and nothing acknowledged that
 * somebody else waits for (QoS 0).
 *
 * Bounds: --for (30 s) or ^C; 5 s to connect; messages above 256 KiB are only
 * named; each topic's first three messages are shown, at most 5,000 lines, all
 * are counted.  Fails: 69 when the broker can't be reached or refuses.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/cli/cli.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/propose.h"
#include "agent/cli/commission/site.h"
#include "agent/rt_uv.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"

enum { CONNECT_US = 8000000, TICK_US = 100000, SHOWN_EACH = 3, SHOWN_MAX = 5000, EXAMPLE_BYTES = 160 };

struct watch {
        struct cli *c;
        struct rt *rt;
        struct mqtt_link *link;
        struct rt_watch fd;
        struct rt_timer tick;
        struct mqtt_conf conf;
        struct mqtt_url url;
        char client_id[64], why[400];
        char *filter;
        int64_t until_us, span_us, second_us;
        bool opened, accepted, subscribed, lost;
        struct samples samples;
        uint64_t n_messages, n_shown;
};

/* ---- messages ---- */

static uint64_t seen_of(const struct watch *w, const char *topic)
{
        for (size_t i = 0; i < w->samples.n; i++)
                if (strcmp(w->samples.items[i].topic, topic) == 0)
                        return w->samples.items[i].n_messages;
        return 0;
}

static void show_json(FILE *f, const struct mqtt_message *m)
{
        json_t *o = json_object();
        json_t *text = json_stringn(m->payload, m->len);

        json_object_set_new(o, "topic", json_string(m->topic));
        json_object_set_new(o, "bytes", json_integer((json_int_t)m->len));
        json_object_set_new(o, "payload", text ? text : json_null()); /* null: no UTF-8 */
        json_object_set_new(o, "retained", json_boolean(m->retained));
        json_dumpf(o, f, JSON_COMPACT);
        fputc('\n', f);
        json_decref(o);
}

static void show(struct watch *w, const struct mqtt_message *m)
{
        FILE *f = w->c->out.f;
        size_t len = m->len < EXAMPLE_BYTES ? m->len : EXAMPLE_BYTES;

        if (w->c->out.json) {
                show_json(f, m);
                return;
        }
        if (seen_of(w, m->topic) > SHOWN_EACH || w->n_shown++ >= SHOWN_MAX)
                return;
        fputs("# ", f);
        part_remark(f, m->topic, strlen(m->topic));
        fputs(m->retained ? " (retained): " : ": ", f);
        part_remark(f, m->payload, len);
        fputs(len < m->len ? " …\n" : "\n", f);
        fflush(f);
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
        struct watch *w = ctx;

        w->n_messages++;
        if (m->aside) {
                fprintf(stderr, "millrace: a message of %llu bytes is not looked at\n", (unsigned long long)m->size);
                return;
        }
        samples_add(&w->samples, m->topic, m->payload, m->len);
        show(w, m);
}

/* ---- the link ---- */

static void look(struct watch *w)
{
        int r = 0, fd = w->link ? mqtt_link_fd(w->link) : -1;

        while (!w->lost && w->opened && (r = mqtt_link_read(w->link)) == 0)
                ;
        if (!w->lost && w->opened && r != MQTT_LINK_E_LOST)
                r = mqtt_link_write(w->link);
        if (w->opened && r == MQTT_LINK_E_LOST) {
                w->lost = true;
                snprintf(w->why, sizeof(w->why), "%s", mqtt_link_why(w->link));
                rt_watch_set(w->rt, &w->fd, 0);
                return;
        }
        if (w->opened && fd >= 0)
                rt_watch_set(w->rt, &w->fd, RT_READ | (mqtt_link_wants_write(w->link) ? RT_WRITE : 0));
}

static void on_event(struct rt_watch *fd, unsigned events)
{
        look(list_entry(fd, struct watch, fd));
}

static void on_opened(void *ctx, const char *why_not)
{
        struct watch *w = ctx;

        w->opened = !why_not;
        w->lost = why_not != NULL;
        if (why_not) {
                snprintf(w->why, sizeof(w->why), "%s", why_not);
                return;
        }
        w->fd = (struct rt_watch){.fd = mqtt_link_fd(w->link), .on_event = on_event};
        look(w);
}

static void on_accepted(void *ctx, bool session_present)
{
        struct watch *w = ctx;

        w->accepted = true;
        w->until_us = mono_us() + w->span_us;
        mqtt_link_subscribe(w->link, 1, &w->filter, 0);
}

static void on_subscribed(void *ctx, int n, const int *granted)
{
        struct watch *w = ctx;

        w->subscribed = n == 1 && granted[0] < 128;
        if (w->subscribed)
                return;
        w->lost = true;
        snprintf(w->why, sizeof(w->why), "the broker refuses the subscription to %.100s", w->filter);
}

static void on_tick(struct rt_timer *t)
{
        struct watch *w = list_entry(t, struct watch, tick);
        int64_t now_us = mono_us();

        if (w->opened && !w->lost) {
                look(w);
                if (now_us >= w->second_us) {
                        w->second_us = now_us + 1000000;
                        if (mqtt_link_tick(w->link) != 0)
                                look(w);
                }
        }
        if (w->lost || stop_asked() || now_us >= w->until_us || out_broken(&w->c->out))
                rt_uv_stop(w->rt);
        else
                rt_timer_set(w->rt, &w->tick, TICK_US);
}

/* One attempt with one version of the protocol, to its end. */
static void run(struct watch *w, enum mqtt_protocol protocol)
{
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .ctx = w};
        struct mqtt_link_conf lc;

        w->conf.protocol = protocol;
        lc = mqtt_link_conf_of(&w->conf, &w->url, w->client_id);
        lc.keepalive_s = 30;
        lc.receive_maximum = 1000;
        w->opened = w->accepted = w->subscribed = w->lost = false;
        w->until_us = mono_us() + CONNECT_US;
        w->tick.on_due = on_tick;
        rt_timer_set(w->rt, &w->tick, TICK_US);
        w->link = mqtt_link_open(w->rt, &lc, &up);
        rt_uv_run(w->rt);
        rt_timer_cancel(w->rt, &w->tick);
        if (w->opened)
                rt_watch_set(w->rt, &w->fd, 0);
        if (w->opened && !w->lost) {
                mqtt_link_goodbye(w->link);
                mqtt_link_write(w->link);
        }
        mqtt_link_close(w->link);
        w->link = NULL;
}

/* ---- what is proposed ---- */

static void put_head(FILE *f, const struct watch *w)
{
        const struct mqtt_conf *c = &w->conf;
        const char *const keys[] = {"url", "username", "password_file", "ca_file", "cert_file", "key_file"};
        const char *const values[] = {c->url, c->username, c->password_file, c->ca_file, c->cert_file, c->key_file};

        fprintf(f, "mqtt:\n  - name: plant\n");
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
                if (!values[i])
                        continue;
                fprintf(f, "    %s: ", keys[i]);
                part_text(f, values[i], strlen(values[i]));
                fputc('\n', f);
        }
        fprintf(f, "    protocol: \"%s\"\n    subscriptions:\n", c->protocol == MQTT_V311 ? "3.1.1" : "5");
}

/* A subscription that the configuration's tables do not take is only shown. */
static bool is_accepted(const struct watch *w, const char *sub)
{
        char *text;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        bool good;

        BUG_ON(!f);
        put_head(f, w);
        fprintf(f, "      - %s\n", sub);
        fclose(f);
        good = part_accepted(text);
        free(text);
        return good;
}

static size_t print(struct watch *w)
{
        FILE *f = w->c->out.f;
        struct proposal p;
        size_t n = 0;
        char what[300];

        propose(&w->samples, &p);
        text_format(what, sizeof(what), "%.100s, %.100s: %llu messages of %zu topics", w->conf.url, w->filter,
                    (unsigned long long)w->n_messages, w->samples.n);
        part_head(f, what);
        for (size_t i = 0; i < p.n; i++) {
                bool good = is_accepted(w, p.subs[i]);

                if (good && !n++)
                        put_head(f, w);
                fprintf(f, good ? "      - %s\n" : "# not accepted: %s\n", p.subs[i]);
        }
        fputs(p.notes, f);
        proposal_fini(&p);
        return n;
}

static int read_options(struct watch *w)
{
        struct cli *c = w->c;
        struct err e;

        w->span_us = 30 * INT64_C(1000000);
        if (c->span && (!text_duration(c->span, &w->span_us) || w->span_us <= 0))
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 30s or 10m", c->span);
        if (mqtt_url_parse(&w->url, c->args[0], &e) < 0)
                return cli_fail(CLI_USAGE, "%s", e.text);
        if (c->password_file && !c->username)
                return cli_fail(CLI_USAGE, "--password-file needs --username");
        if (!c->cert_file != !c->key_file)
                return cli_fail(CLI_USAGE, "--cert-file and --key-file go together");
        if (!w->url.tls && (c->ca_file || c->cert_file))
                return cli_fail(CLI_USAGE, "--ca-file and --cert-file are for mqtts://");
        w->conf = (struct mqtt_conf){.url = c->args[0],
                                     .username = c->username,
                                     .password_file = c->password_file,
                                     .ca_file = c->ca_file,
                                     .cert_file = c->cert_file,
                                     .key_file = c->key_file,
                                     .max_payload_bytes = 256 << 10};
        w->filter = mem_strdup(c->n_args > 1 ? c->args[1] : "#");
        snprintf(w->client_id, sizeof(w->client_id), "millrace-watch-%ld", (long)getpid());
        return CLI_OK;
}

int cmd_mqtt_watch(struct cli *c)
{
        struct watch w = {.c = c};
        int r = read_options(&w);

        if (r)
                return r;
        stop_arm();
        w.rt = rt_uv_new();
        run(&w, MQTT_V5);
        if (w.opened && !w.accepted && !stop_asked())
                run(&w, MQTT_V311);
        if (!w.accepted || (w.lost && !w.subscribed))
                r = cli_fail(CLI_AWAY, "%s: %s", c->args[0], w.lost ? w.why : "no answer");
        else if (w.lost)
                fprintf(stderr, "millrace: %s: the connection was lost: %s\n", c->args[0], w.why);
        if (!r && !c->out.json && !print(&w))
                r = cli_fail(CLI_NO, "nothing came that could be proposed");
        else if (!r && !w.n_messages)
                r = cli_fail(CLI_NO, "nothing came");
        samples_fini(&w.samples);
        free(w.filter);
        if (rt_uv_quiesce(w.rt))
                rt_uv_free(w.rt);
        return r;
}
