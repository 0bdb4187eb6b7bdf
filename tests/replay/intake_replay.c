/*
 * intake_replay: see intake_replay.h.  Readings, refusals, requests and events, in words.
 */
#include "intake_replay.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MOST = 140000 };

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

/* 0 when both are the same; tells the first line that differs. */
static int compare(const char *got, FILE *expected)
{
        static char want[LINE_MOST];
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

static char *replay(struct intake_replay *r, FILE *recording)
{
        static const struct driver_host host = {.emit = emit, .quarantine = quarantine, .device_event = device_event};
        static char line[LINE_MOST];
        struct err e;
        char *text;
        size_t len;

        rt_sim_init(&r->sim, 1, 1795428000000000);
        r->d = (struct driver){.name = "plant", .gateway = "gw", .conf = r->conf, .rt = &r->sim.rt, .host = &host};
        r->d.tags = tags_new(100);
        BUG_ON(mqtt_intake_init(&r->in, &r->d, &e) < 0);
        r->in.publish = publish;
        r->out = out = open_memstream(&text, &len);
        while (fgets(line, sizeof(line), recording)) {
                line[strcspn(line, "\n")] = '\0';
                r->on_line(r, line);
        }
        if (r->on_end)
                r->on_end(r);
        fclose(out);
        mqtt_intake_fini(&r->in);
        tags_free(r->d.tags);
        rt_sim_release(&r->sim);
        return text;
}

int intake_replay_run(struct intake_replay *r, int argc, char **argv)
{
        FILE *recording = argc > 1 ? fopen(argv[1], "r") : NULL, *expected = argc > 2 ? fopen(argv[2], "r") : NULL;
        char *text;
        int rc = 0;

        if (!recording || (argc > 2 && !expected)) {
                fprintf(stderr, "usage: %s RECORDING [EXPECTED]\n", r->usage);
                return 2;
        }
        text = replay(r, recording);
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
