/*
 * replay_sparkplug: recorded Sparkplug B messages through subscription, decoding and tags; what comes out must be what
 * is written down.
 *
 * A recording has a message per line: topic, a tab, the payload in hexadecimal; or "+" and seconds to wait; # is a
 * remark. Readings, refusals, requests and events are printed.
 */
#include <stdlib.h>
#include <string.h>

#include "intake_replay.h"

static struct mqtt_sub_conf subs[] = {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B}};
static const struct mqtt_conf conf = {.name = "plant", .max_payload_bytes = 65536, .subscriptions = {subs, 1}};

static size_t from_hex(char *s)
{
        unsigned byte;
        size_t n = 0;

        for (; sscanf(s + 2 * n, "%2x", &byte) == 1; n++)
                s[n] = (char)byte;
        return n;
}

static void on_line(struct intake_replay *r, char *line)
{
        struct mqtt_message m = {.topic = line};
        char *tab = strchr(line, '\t');

        if (*line == '+')
                rt_sim_run(&r->sim, r->sim.now.mono_us + atol(line + 1) * 1000000L, NULL, NULL);
        if (*line == '+' || *line == '#' || !tab)
                return;
        *tab = '\0';
        m.payload = tab + 1;
        m.len = from_hex(tab + 1);
        fprintf(r->out, "> %s\n", line);
        mqtt_intake_take(&r->in, &m);
}

static void on_end(struct intake_replay *r)
{
        fprintf(r->out, "%llu absent, %llu mapped, %llu gaps\n", (unsigned long long)r->d.n_absent,
                (unsigned long long)r->d.n_mapped, (unsigned long long)r->d.n_errors);
}

static long run(const struct replay_input *in, FILE *out)
{
        struct intake_replay r = {.conf = &conf, .on_line = on_line, .on_end = on_end};

        return intake_replay_run(&r, in, out);
}

const struct replay replay_sparkplug = {.run = run};
