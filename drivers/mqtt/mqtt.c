/*
 * mqtt: the driver's ops: what the host wants is told to the machine
 * (machine.c), and done about in round.c.
 *
 * A link serves one connection (mqtt_link); the host says when to try again
 * after it was lost.  A driver that follows another one has from it what a
 * restart would read from the spool, and its session at the broker.
 *
 * Fails: only init, with a sentence about the configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mqtt/impl.h"

static int publish(void *ctx, const char *topic, const void *payload, size_t len)
{
        struct mqtt *m = ctx;

        return m->link ? mqtt_link_publish(m->link, topic, payload, len) : -1;
}

static void start(struct driver *d)
{
        mqtt_round_start(d->priv);
}

/* May come from within emit, so its turn is taken from a timer. */
static void pause(struct driver *d, bool on)
{
        struct mqtt *m = d->priv;

        mqtt_machine_pause(&m->machine, rt_mono_us(d->rt), on);
        mqtt_round_run_soon(m);
}

static void stop(struct driver *d)
{
        struct mqtt *m = d->priv;

        mqtt_machine_stop(&m->machine, rt_mono_us(d->rt));
        mqtt_round_run(m);
}

static void fini(struct driver *d)
{
        struct mqtt *m = d->priv;

        mqtt_round_fini(m);
        mqtt_session_fini(&m->session);
        mqtt_intake_fini(&m->intake);
        free(m);
        d->priv = NULL;
}

/* The session at the broker is the same, whatever else has changed. */
static void inherit(struct mqtt *m, struct mqtt *before)
{
        const struct mqtt_conf *c = mqtt_conf_of(m), *was = mqtt_conf_of(before);
        bool same = c->qos == was->qos && !strcmp(c->url, was->url) && !strcmp(m->client_id, before->client_id);

        mqtt_intake_inherit(&m->intake, &before->intake);
        mqtt_session_inherit(&m->session, &before->session, same);
}

static void name_client(struct mqtt *m)
{
        const char *id = mqtt_conf_of(m)->client_id;

        if (id)
                snprintf(m->client_id, sizeof(m->client_id), "%s", id);
        else
                snprintf(m->client_id, sizeof(m->client_id), "millrace-%s-%s", m->d->gateway, m->d->name);
        snprintf(m->scope, sizeof(m->scope), "mqtt %s", m->d->name);
}

static int init(struct driver *d, struct err *e)
{
        const struct mqtt_conf *c = d->conf;
        struct mqtt *m = mem_alloc(sizeof(*m));

        m->d = d;
        if (mqtt_url_parse(&m->url, c->url, e) < 0 || mqtt_intake_init(&m->intake, d, e) < 0) {
                if (m->intake.d)
                        mqtt_intake_fini(&m->intake);
                free(m);
                return -1;
        }
        name_client(m);
        m->intake.publish = publish;
        m->intake.publish_ctx = m;
        mqtt_session_init(&m->session, d, &m->intake, m->scope);
        mqtt_round_init(m);
        d->priv = m;
        if (d->before)
                inherit(m, d->before->priv);
        else
                mqtt_intake_recall(&m->intake);
        return 0;
}

static void commits(struct driver *d)
{
        struct mqtt *m = d->priv;

        m->machine.joins = true;
        mqtt_round_run(m);
        m->machine.joins = false;
}

static void forgotten(struct driver *d)
{
        mqtt_births_forgotten(&((struct mqtt *)d->priv)->intake);
}

static size_t silent(const struct driver *d, char *out, size_t cap)
{
        return mqtt_intake_silent(&((const struct mqtt *)d->priv)->intake, out, cap);
}

const struct driver_ops mqtt_ops = {
        .kind = "mqtt",
        .schema = &mqtt_schema,
        .names = mqtt_names,
        .where = offsetof(struct mqtt_conf, url),
        .share = mqtt_share,
        .silent = silent,
        .forgotten = forgotten,
        .commits = commits,
        .init = init,
        .start = start,
        .pause = pause,
        .stop = stop,
        .fini = fini,
};
