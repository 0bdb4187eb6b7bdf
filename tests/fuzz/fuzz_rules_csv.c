/*
 * fuzz_rules_csv: any bytes as a recording, through rules of every kind.
 *
 * Lines are cut as the command cuts them.  Holds: a sentence with the line's
 * number, or 0; each line of JSON is one object that a strict parser takes; and
 * the same bytes give the same alarms a second time. No rule has re_alarm: over a
 * gap of years in a recording its repetitions are told one by one, for minutes.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/config/config.h"
#include "agent/rules/rules_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
        "gateway: gw-7\n"
        "kafka: {brokers: [\"127.0.0.1:9\"]}\n"
        "alarms:\n"
        " - {name: hot, match: \"*/temp\", rule: limits, hihi: 95, hi: 90, lo: 5, lolo: 0, deadband: 1}\n"
        " - {name: late, match: \"*/a\", rule: limits, hi: 1, on_delay: 2s, off_delay: 3s, latching: true}\n"
        " - {name: steep, match: \"*/*\", rule: rate, limit: 10, over: 60s}\n"
        " - {name: odd, match: \"*/*\", rule: deviation, sigma: 6, half_life: 60s, warm_up: 5s}\n"
        " - {name: stuck, match: \"*/*\", rule: stuck, after: 60s, within: 0.1}\n"
        " - {name: silent, match: \"*/*\", rule: silent, after: 60s}\n"
        " - {name: state, match: \"*/state\", rule: off_normal, normal: run, ack_required: false}\n"
        " - {name: many, match: \"*/*\", rule: count, window: 60s, at_least: 20}\n"
        " - {name: twice, match: \"*/*\", rule: duplicate, window: 60s}\n";

struct heard {
        uint64_t hash;
        size_t n;
};

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct heard *h = ctx;
        char text[REPLAY_JSON_MAX];
        size_t len = replay_put_json(text, t);
        json_error_t wrong;
        json_t *o;

        BUG_ON(len > sizeof(text));
        h->hash = text_hash(text, len, h->hash);
        if (h->n++ % 16) /* a look at each would be half of the time */
                return;
        o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &wrong);
        BUG_ON(!json_is_object(o) || memchr(text, '\n', len));
        json_decref(o);
}

static size_t chomp(const char *line, size_t len)
{
        while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
                len--;
        return len;
}

/* A copy of each line, so that a read behind its end is seen; ended by NUL as getline does it. */
static int play(const struct config *c, const char *text, size_t size, struct heard *h)
{
        struct replay_upcalls up = {.on_transition = on_transition, .ctx = h};
        struct replay *p = replay_new(c->alarm_sections.alarms.items, c->alarm_sections.alarms.n, c->gateway, &up);
        struct err e = {""};
        int rc = 0;

        for (size_t n_lines = 0; size && rc == 0; n_lines++) {
                const char *end = memchr(text, '\n', size);
                size_t used = end ? (size_t)(end + 1 - text) : size;
                char *line = mem_alloc(used + 1);

                memcpy(line, text, used);
                rc = n_lines ? replay_csv_row(p, line, chomp(line, used), &e)
                             : replay_csv_header(p, "press-1", line, chomp(line, used), &e);
                free(line);
                text += used;
                size -= used;
        }
        BUG_ON((rc != 0) != (e.text[0] != '\0') || (rc != 0 && strncmp(e.text, "line ", 5) != 0));
        replay_free(p);
        return rc;
}

static const struct config *rules_of_all_kinds(void)
{
        static struct config *c;
        struct faults faults = {0};

        if (c)
                return c;
        if (config_load_text("rules", rules, sizeof(rules) - 1, &c, &faults) < 0)
                faults_print(&faults, stderr);
        BUG_ON(!c);
        faults_fini(&faults);
        return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct config *c = rules_of_all_kinds();
        struct heard first = {0}, again = {0};
        int rc = play(c, (const char *)data, size, &first);

        BUG_ON(play(c, (const char *)data, size, &again) != rc || first.n != again.n || first.hash != again.hash);
        return 0;
}
