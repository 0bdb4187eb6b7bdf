/*
 * intake_replay: see intake_replay.h.  Readings, refusals, requests and events, in words.
 */
#include "intake_replay.h"

#include <string.h>

enum { LINE_MOST = 140000 };

static FILE *out;

static int emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        char ts[TEXT_TIME_MAX];

        for (size_t i = 0; i < n; i++) {
                const struct tag *t = tags_get(d->tags, r[i].tag);

                fprintf(out, "%.*s %s/%s", (int)text_put_time(ts, r[i].ts_us), ts, t->source, t->name);
                replay_put_value(out, &r[i]);
                fprintf(out, " [%s] {%s} ", t->unit, t->labels);
                replay_put_quality(out, &r[i]);
                fprintf(out, "%s%s\n", r[i].flags & READING_TIME_UNTRUSTED ? " time-untrusted" : "",
                        r[i].flags & READING_HISTORICAL ? " historical" : "");
        }
        return 0;
}

static void quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        fprintf(out, "refused %s (%zu bytes): %s\n", origin, len, reason);
}

static void device_event(struct driver *d, const char *source, const char *state, const char *why)
{
        fprintf(out, "%s %s: %s\n", source, state, why);
}

static int publish(void *ctx, const char *topic, const void *payload, size_t len)
{
        const uint8_t *bytes = payload;

        fprintf(out, "to %s ", topic);
        for (size_t i = 0; i < len; i++)
                fprintf(out, "%02x", bytes[i]);
        fputc('\n', out);
        return 0;
}

long intake_replay_run(struct intake_replay *r, const struct replay_input *in, FILE *to)
{
        static const struct driver_host host = {.emit = emit, .quarantine = quarantine, .device_event = device_event};
        static char line[LINE_MOST];
        struct err e;
        long n_lines = 0;

        rt_sim_init(&r->sim, 1, 1795428000000000);
        r->d = (struct driver){.name = "plant", .gateway = "gw", .conf = r->conf, .rt = &r->sim.rt, .host = &host};
        r->d.tags = tags_new(100);
        BUG_ON(mqtt_intake_init(&r->in, &r->d, &e) < 0);
        r->in.publish = publish;
        r->out = out = to;
        for (const char *p = in->bytes; *p; n_lines++) {
                size_t len = strcspn(p, "\n");

                replay_check(len < sizeof(line), "a line is too long");
                memcpy(line, p, len);
                line[len] = '\0';
                r->on_line(r, line);
                p += len + (p[len] != '\0');
        }
        if (r->on_end)
                r->on_end(r);
        mqtt_intake_fini(&r->in);
        tags_free(r->d.tags);
        rt_sim_fini(&r->sim);
        return n_lines;
}
