/*
 * broker: see broker.h.
 *
 * On the driver's own link, so that TLS, passwords and hostile packets are
 * dealt with as the daemon does; MQTT 5 first, then 3.1.1 when the broker takes
 * no 5.  A client id of its own and a session that ends with it: the daemon's
 * session is not touched, nothing is published and nothing acknowledged that
 * somebody else waits for (QoS 0).
 *
 * Bounds: 8 s to connect; messages above 256 KiB are only named.  Fails with a
 * sentence when the broker can't be reached or refuses.
 */
#include "agent/cli/commission/broker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/commission/part.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/stop.h"
#include "drivers/payload/zone.h"

enum { CONNECT_US = 8000000, TICK_US = 100000, PAYLOAD_MAX = 256 << 10 };

struct broker_run {
        struct broker *b;
        struct rt *rt;
        struct mqtt_link *link;
        struct rt_watch fd;
        struct rt_timer tick;
        struct mqtt_url url;
        char client_id[64], *filter;
        int64_t until_us, second_us;
        bool opened;
};

/*
 * The name that /etc/localtime, or TZ, has it by; one that `check` would take.
 */
static void find_zone(struct broker *b)
{
        const char *tz = getenv("TZ"), *name;
        char link[300] = "";
        struct payload_zone zone = {0};
        struct err e;

        if (!tz && readlink("/etc/localtime", link, sizeof(link) - 1) < 0)
                return;
        name = tz ? tz + (*tz == ':') : strstr(link, "zoneinfo/");
        if (name)
                text_copy(b->zone, sizeof(b->zone), tz ? name : name + strlen("zoneinfo/"));
        if (b->zone[0] && payload_zone_init(&zone, b->zone, &e) < 0)
                b->zone[0] = '\0';
        payload_zone_fini(&zone);
}

static void note_clock(struct broker_run *w)
{
        struct broker *b = w->b;
        struct rt_time now;
        struct tm local;
        time_t second;

        rt_now(w->rt, &now);
        second = (time_t)(now.wall_us / 1000000);
        localtime_r(&second, &local);
        b->samples.local_us = now.wall_us + (int64_t)local.tm_gmtoff * 1000000;
        b->samples.zone = b->zone[0] ? b->zone : NULL;
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
        struct broker *b = ((struct broker_run *)ctx)->b;

        b->n_messages++;
        if (m->aside) {
                fprintf(stderr, "millrace: a message of %llu bytes is not looked at\n", (unsigned long long)m->size);
                return;
        }
        note_clock(ctx);
        samples_add(&b->samples, m->topic, m->payload, m->len);
        if (b->on_message)
                b->on_message(b->ctx, m);
}

static void look(struct broker_run *w)
{
        struct broker *b = w->b;
        int r = 0, fd = w->link ? mqtt_link_fd(w->link) : -1;

        while (!b->lost && w->opened && (r = mqtt_link_read(w->link)) == 0)
                ;
        if (!b->lost && w->opened && r != MQTT_LINK_E_LOST)
                r = mqtt_link_write(w->link);
        if (w->opened && r == MQTT_LINK_E_LOST) {
                b->lost = true;
                snprintf(b->why, sizeof(b->why), "%s", mqtt_link_why(w->link));
                rt_watch_set(w->rt, &w->fd, 0);
                return;
        }
        if (w->opened && fd >= 0)
                rt_watch_set(w->rt, &w->fd, RT_READ | (mqtt_link_wants_write(w->link) ? RT_WRITE : 0));
}

static void on_event(struct rt_watch *fd, unsigned events)
{
        look(list_entry(fd, struct broker_run, fd));
}

static void on_opened(void *ctx, const char *why_not)
{
        struct broker_run *w = ctx;

        w->opened = !why_not;
        w->b->lost = why_not != NULL;
        if (why_not) {
                snprintf(w->b->why, sizeof(w->b->why), "%s", why_not);
                return;
        }
        w->fd = (struct rt_watch){.fd = mqtt_link_fd(w->link), .on_event = on_event};
        look(w);
}

static void on_accepted(void *ctx, bool session_present)
{
        struct broker_run *w = ctx;

        w->b->accepted = true;
        w->until_us = mono_us() + w->b->span_us;
        mqtt_link_subscribe(w->link, 1, &w->filter, 0, 0, NULL);
}

static void on_subscribed(void *ctx, int mid, int n, const int *granted)
{
        struct broker_run *w = ctx;

        w->b->subscribed = n == 1 && granted[0] < 128;
        if (w->b->subscribed)
                return;
        w->b->lost = true;
        snprintf(w->b->why, sizeof(w->b->why), "the broker refuses the subscription to %.100s", w->filter);
}

static void on_tick(struct rt_timer *t)
{
        struct broker_run *w = list_entry(t, struct broker_run, tick);
        struct broker *b = w->b;
        int64_t now_us = mono_us();

        if (w->opened && !b->lost) {
                look(w);
                if (now_us >= w->second_us) {
                        w->second_us = now_us + 1000000;
                        if (mqtt_link_tick(w->link) != 0)
                                look(w);
                }
        }
        if (b->lost || stop_asked() || now_us >= w->until_us || (b->is_enough && b->is_enough(b->ctx)))
                rt_uv_stop(w->rt);
        else
                rt_timer_set(w->rt, &w->tick, TICK_US);
}

/* One attempt with one version of the protocol, to its end. */
static void run(struct broker_run *w, enum mqtt_protocol protocol)
{
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .ctx = w};
        struct broker *b = w->b;
        struct mqtt_link_conf lc;

        b->conf.protocol = protocol;
        lc = mqtt_link_conf_of(&b->conf, &w->url, w->client_id);
        lc.keepalive_s = 30;
        lc.receive_maximum = 1000;
        w->opened = b->accepted = b->subscribed = b->lost = false;
        w->until_us = mono_us() + CONNECT_US;
        w->tick.on_due = on_tick;
        rt_timer_set(w->rt, &w->tick, TICK_US);
        w->link = mqtt_link_open(w->rt, &lc, &up);
        rt_uv_run(w->rt);
        rt_timer_cancel(w->rt, &w->tick);
        if (w->opened)
                rt_watch_set(w->rt, &w->fd, 0);
        if (w->opened && !b->lost) {
                mqtt_link_goodbye(w->link);
                mqtt_link_write(w->link);
        }
        mqtt_link_close(w->link);
        w->link = NULL;
}

int broker_listen(struct broker *b, struct err *e)
{
        struct broker_run w = {.b = b};

        if (mqtt_url_parse(&w.url, b->conf.url, e) < 0)
                return -1;
        b->conf.max_payload_bytes = PAYLOAD_MAX;
        find_zone(b);
        w.filter = mem_strdup(b->filter);
        snprintf(w.client_id, sizeof(w.client_id), "millrace-watch-%ld", (long)getpid());
        w.rt = rt_uv_new();
        run(&w, MQTT_V5);
        if (w.opened && !b->accepted && !stop_asked())
                run(&w, MQTT_V311);
        free(w.filter);
        if (rt_uv_quiesce(w.rt))
                rt_uv_free(w.rt);
        if (!b->accepted || (b->lost && !b->subscribed))
                return err_set(e, "%s: %s", b->conf.url, b->lost ? b->why : "no answer");
        return 0;
}

void broker_fini(struct broker *b)
{
        samples_fini(&b->samples);
}

/* ---- what is proposed ---- */

void broker_section(FILE *f, const struct mqtt_conf *c)
{
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

bool broker_accepts(const struct mqtt_conf *conf, const char *sub)
{
        char *text;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        bool good;

        BUG_ON(!f);
        broker_section(f, conf);
        fprintf(f, "      - %s\n", sub);
        fclose(f);
        good = part_accepted(text);
        free(text);
        return good;
}
