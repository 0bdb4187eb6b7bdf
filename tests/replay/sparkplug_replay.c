/*
 * sparkplug_replay: recorded Sparkplug B messages through subscription, decoding and tags; what comes out must be what is
 * written down.
 *
 * A recording has a message per line: topic, a tab, the payload in hexadecimal; or "+" and seconds to wait; # is a remark.
 * Readings, refusals, requests and events are printed, or compared with the file that is the second argument.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/rt_sim.h"
#include "drivers/mqtt_intake.h"

static struct mqtt_sub_conf subs[] = {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B}};
static const struct mqtt_conf conf = {.name = "plant", .max_payload_bytes = 65536, .subscriptions = {subs, 1}};

static FILE *out;

static void print_value(const struct reading *r)
{
        char number[TEXT_DOUBLE_MAX];

        switch (r->type) {
        case READING_F64:
                fprintf(out, " %.*s", (int)text_put_double(number, r->v.f64), number);
                break;
        case READING_I64:
                fprintf(out, " int %.*s", (int)text_put_i64(number, r->v.i64), number);
                break;
        case READING_BOOL:
                fputs(r->v.b ? " true" : " false", out);
                break;
        case READING_TEXT:
                fprintf(out, " '%.*s'", (int)r->len, r->v.text);
                break;
        case READING_RAW:
                fputs(" raw ", out);
                for (uint32_t i = 0; i < r->len; i++)
                        fprintf(out, "%02x", (unsigned char)r->v.text[i]);
                break;
        default:
                fputs(" -", out);
        }
}

static int emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        char ts[TEXT_TIME_MAX];

        for (size_t i = 0; i < n; i++) {
                const struct tag *t = tags_get(d->tags, r[i].tag);
                const char *why = quality_reason(r[i].quality);

                fprintf(out, "%.*s %s/%s", (int)text_put_time(ts, r[i].ts_us), ts, t->source, t->name);
                print_value(&r[i]);
                fprintf(out, " [%s] {%s} %s%s%s%s%s\n", t->unit, t->labels, quality_name(r[i].quality), why ? "/" : "",
                        why ? why : "", r[i].flags & READING_TIME_UNTRUSTED ? " time-untrusted" : "",
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

static size_t from_hex(char *s)
{
        unsigned byte;
        size_t n = 0;

        for (; sscanf(s + 2 * n, "%2x", &byte) == 1; n++)
                s[n] = (char)byte;
        return n;
}

static void replay(struct rt_sim *sim, struct mqtt_intake *in, FILE *recording)
{
        static char line[140000];

        while (fgets(line, sizeof(line), recording)) {
                struct mqtt_message m = {.topic = line};
                char *tab = strchr(line, '\t');

                line[strcspn(line, "\n")] = '\0';
                if (*line == '+')
                        rt_sim_run(sim, sim->now.mono_us + atol(line + 1) * 1000000L, NULL, NULL);
                if (*line == '+' || *line == '#' || !tab)
                        continue;
                *tab = '\0';
                m.payload = tab + 1;
                m.len = from_hex(tab + 1);
                fprintf(out, "> %s\n", line);
                mqtt_intake_take(in, &m);
        }
}

/* 0 when both are the same; tells the first line that differs. */
static int compare(const char *got, FILE *expected)
{
        static char want[140000];
        int n = 1;

        for (; fgets(want, sizeof(want), expected); n++) {
                size_t len = strlen(want);

                if (strncmp(got, want, len) != 0) {
                        printf("line %d\nexpected %sgot      %.*s\n", n, want, (int)strcspn(got, "\n"), got);
                        return 1;
                }
                got += len;
        }
        if (*got)
                printf("line %d: not expected: %.*s\n", n, (int)strcspn(got, "\n"), got);
        return *got != '\0';
}

static char *replay_all(FILE *recording)
{
        static const struct driver_host host = {.emit = emit, .quarantine = quarantine, .device_event = device_event};
        struct rt_sim sim;
        struct driver d = {.name = "plant", .gateway = "gw", .conf = &conf, .rt = &sim.rt, .host = &host};
        struct mqtt_intake in;
        struct err e;
        char *text;
        size_t len;

        rt_sim_init(&sim, 1, 1795428000000000);
        d.tags = tags_new(100);
        BUG_ON(mqtt_intake_init(&in, &d, &e) < 0);
        in.publish = publish;
        out = open_memstream(&text, &len);
        replay(&sim, &in, recording);
        fprintf(out, "%llu absent, %llu mapped, %llu gaps\n", (unsigned long long)d.n_absent,
                (unsigned long long)d.n_mapped, (unsigned long long)d.n_errors);
        fclose(out);
        mqtt_intake_release(&in);
        tags_free(d.tags);
        rt_sim_release(&sim);
        return text;
}

int main(int argc, char **argv)
{
        FILE *recording = argc > 1 ? fopen(argv[1], "r") : NULL, *expected = argc > 2 ? fopen(argv[2], "r") : NULL;
        char *text;
        int rc = 0;

        if (!recording || (argc > 2 && !expected)) {
                fputs("usage: sparkplug_replay RECORDING [EXPECTED]\n", stderr);
                return 2;
        }
        text = replay_all(recording);
        if (expected)
                rc = compare(text, expected);
        else
                fputs(text, stdout);
        free(text);
        fclose(recording);
        if (expected)
                fclose(expected);
        return rc;
}
