/*
 * watch: `mqtt watch`, what a broker sends under a filter, and subscriptions
 * proposed for it.
 *
 * Listening is broker.c's: a session of its own, QoS 0, nothing published.
 *
 * Bounds: --for (30 s) or ^C; each topic's first three messages are shown, at
 * most 5,000 lines, all are counted.  Fails: 69 when the broker can't be
 * reached or refuses.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/cli/cli.h"
#include "agent/cli/commission/broker.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/propose.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/stop.h"

enum { SHOWN_EACH = 3, SHOWN_MAX = 5000, EXAMPLE_BYTES = 160 };

struct watch {
        struct cli *c;
        struct broker broker;
        uint64_t n_shown;
};

static uint64_t seen_of(const struct watch *w, const char *topic)
{
        for (size_t i = 0; i < w->broker.samples.n; i++)
                if (strcmp(w->broker.samples.items[i].topic, topic) == 0)
                        return w->broker.samples.items[i].n_messages;
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
        show(ctx, m);
}

static bool is_enough(void *ctx)
{
        return out_broken(&((struct watch *)ctx)->c->out);
}

static size_t print(struct watch *w)
{
        FILE *f = w->c->out.f;
        struct proposal p;
        size_t n = 0;
        char what[300];

        propose(&w->broker.samples, &p);
        text_format(what, sizeof(what), "%.100s, %.100s: %llu messages of %zu topics", w->broker.conf.url,
                    w->broker.filter, (unsigned long long)w->broker.n_messages, w->broker.samples.n);
        part_head(f, what);
        for (size_t i = 0; i < p.n; i++) {
                bool good = broker_accepts(&w->broker.conf, p.subs[i]);

                if (good && !n++)
                        broker_section(f, &w->broker.conf);
                fprintf(f, good ? "      - %s\n" : "# not accepted: %s\n", p.subs[i]);
        }
        fputs(p.notes, f);
        proposal_fini(&p);
        return n;
}

static int read_options(struct watch *w)
{
        struct cli *c = w->c;
        struct broker *b = &w->broker;
        struct mqtt_url url;
        struct err e;

        b->span_us = 30 * INT64_C(1000000);
        if (c->span && (!text_duration(c->span, &b->span_us) || b->span_us <= 0))
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 30s or 10m", c->span);
        if (mqtt_url_parse(&url, c->args[0], &e) < 0)
                return cli_fail(CLI_USAGE, "%s", e.text);
        if (c->password_file && !c->username)
                return cli_fail(CLI_USAGE, "--password-file needs --username");
        if (!c->cert_file != !c->key_file)
                return cli_fail(CLI_USAGE, "--cert-file and --key-file go together");
        if (!url.tls && (c->ca_file || c->cert_file))
                return cli_fail(CLI_USAGE, "--ca-file and --cert-file are for mqtts://");
        b->conf = (struct mqtt_conf){.url = c->args[0],
                                     .username = c->username,
                                     .password_file = c->password_file,
                                     .ca_file = c->ca_file,
                                     .cert_file = c->cert_file,
                                     .key_file = c->key_file};
        b->filter = c->n_args > 1 ? c->args[1] : "#";
        b->on_message = on_message;
        b->is_enough = is_enough;
        b->ctx = w;
        return CLI_OK;
}

int cmd_mqtt_watch(struct cli *c)
{
        struct watch w = {.c = c};
        struct err e;
        int r = read_options(&w);

        if (r)
                return r;
        stop_arm();
        if (broker_listen(&w.broker, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        else if (w.broker.lost)
                fprintf(stderr, "millrace: %s: the connection was lost: %s\n", c->args[0], w.broker.why);
        if (!r && !c->out.json && !print(&w))
                r = cli_fail(CLI_NO, "nothing came that could be proposed");
        else if (!r && !w.broker.n_messages)
                r = cli_fail(CLI_NO, "nothing came");
        broker_fini(&w.broker);
        return r;
}
