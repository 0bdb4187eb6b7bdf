/*
 * fuzz_sparkplug: any messages, one after another, to one set of nodes and devices.
 *
 * Input: messages; each is a byte that chooses the topic, two bytes of length (little endian), and the payload, which
 * is cut where the input ends. Holds: it returns and leaks nothing; every reading is fit for a record: a tag there is,
 * finite numbers, valid UTF-8, a quality that fits the value; names are names; a reason can be shown; a command is one
 * that can be read.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/sparkplug/sparkplug.h"
#include "sparkplug_b.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now_us = 1795428000000000;
static const char *const topics[] = {
        "spBv1.0/g/NBIRTH/e",   "spBv1.0/g/NDATA/e",    "spBv1.0/g/NDEATH/e",   "spBv1.0/g/DBIRTH/e/d",
        "spBv1.0/g/DDATA/e/d",  "spBv1.0/g/DDEATH/e/d", "spBv1.0/g/DBIRTH/e/e", "spBv1.0/g/NBIRTH/f",
        "spBv1.0/g/DBIRTH/f/d", "spBv1.0/STATE/s",      "spBv1.0/g/NCMD/e",     "spBv1.0/g/DDATA/f/x",
};

static void check_reading(struct tags *tags, const struct reading *r)
{
        const struct tag *t;

        BUG_ON(r->tag >= tags_count(tags));
        t = tags_get(tags, r->tag);
        BUG_ON(!text_is_name(t->source, strlen(t->source)) || !text_is_name(t->name, strlen(t->name)));
        BUG_ON(!text_is_utf8(t->unit, strlen(t->unit)));
        BUG_ON(r->quality >= N_QUALITIES);
        BUG_ON(quality_is_bad(r->quality) != (r->type == READING_NONE));
        BUG_ON(r->type == READING_F64 && !isfinite(r->v.f64));
        BUG_ON(r->type == READING_TEXT && !text_is_utf8(r->v.text, r->len));
        BUG_ON(r->arrival_us != now_us || r->ts_us > now_us + 60000000);
        BUG_ON(!(r->flags & READING_SOURCE_TIME) && r->ts_us != now_us);
}

static void check_turn(struct tags *tags, const struct sparkplug_result *out)
{
        Spb__Payload *p;

        for (size_t i = 0; i < out->n; i++)
                check_reading(tags, &out->r[i]);
        BUG_ON(out->reason && !text_is_utf8(out->reason, strlen(out->reason)));
        BUG_ON((out->source == NULL) != (out->state == NULL));
        if (!out->rebirth)
                return;
        BUG_ON(strncmp(out->command_topic, "spBv1.0/g/NCMD/", 15) != 0);
        p = spb__payload__unpack(NULL, out->command_len, out->command);
        BUG_ON(!p || p->n_metrics != 1);
        spb__payload__free_unpacked(p, NULL);
}

static size_t take(struct sparkplug *s, struct tags *tags, const uint8_t *data, size_t size)
{
        static struct sparkplug_result out;
        size_t len = data[1] | (size_t)data[2] << 8;
        const struct rt_time now = {.mono_us = now_us / 2, .wall_us = now_us};
        uint8_t *copy;

        if (len > size - 3)
                len = size - 3;
        copy = malloc(len + (len == 0)); /* so that a read behind the end is seen */
        memcpy(copy, data + 3, len);
        sparkplug_take(s, topics[data[0] % (sizeof(topics) / sizeof(*topics))], copy, len, &now, &out);
        free(copy); /* nothing may point into it */
        check_turn(tags, &out);
        return 3 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct tags *tags = tags_new(50);
        struct sparkplug *s = sparkplug_new(tags, "fuzz");

        while (size >= 3) {
                size_t n = take(s, tags, data, size);

                data += n;
                size -= n;
        }
        sparkplug_free(s);
        tags_free(tags);
        return 0;
}
