/*
 * replay_mbus: telegrams of meters, a line of hexadecimal digits each, # is a remark.  What comes out must be what
 * mbus-expect, which reads them with pyMeterBus and shares no code with this, has found.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/mbus/record.h"
#include "drivers/mbus/value.h"
#include "replay.h"

static size_t from_hex(uint8_t *to, const char *s, size_t len)
{
        char byte[3] = "";

        for (size_t i = 0; i + 1 < len; i += 2) {
                memcpy(byte, s + i, 2);
                to[i / 2] = (uint8_t)strtoul(byte, NULL, 16);
        }
        return len / 2;
}

static void put_record(const struct mbus_record *r, FILE *out)
{
        static const char *const functions[] = {"instantaneous", "maximum", "minimum", "error"};
        const struct mbus_reading_conf c = {.record = r->number, .convert = {.scale = 1}};
        const struct convert convert = {.plain = true};
        struct reading reading = {.len = 0};
        char room[MBUS_TEXT_MAX];

        replay_check(mbus_set(&c, &convert, r, room, &reading) == MBUS_VALUE, "a record is not taken");
        fprintf(out, "%u %s %llu %u %u", r->number, functions[r->function], (unsigned long long)r->storage, r->tariff,
                r->subunit);
        replay_put_value(out, &reading);
        fprintf(out, " %s\n", *r->unit ? r->unit : "-");
}

static void take(const uint8_t *bytes, size_t n, FILE *out)
{
        struct mbus_record record;
        enum mbus_walked walked;
        struct mbus_frame f;
        struct mbus_walk w;
        size_t used;

        replay_check(mbus_frame_find(bytes, n, &f, &used) == MBUS_LONG && used == n, "a line is no telegram");
        replay_check(mbus_walk_begin(&w, &f, 0) == 0, "its head is not known");
        fprintf(out, "meter %02x%02x%02x%02x, version %u, medium %u\n", w.meter.id[3], w.meter.id[2], w.meter.id[1],
                w.meter.id[0], w.meter.version, w.meter.medium);
        while ((walked = mbus_walk_next(&w, &record)) == MBUS_RECORD)
                put_record(&record, out);
        replay_check(walked == MBUS_END, "it does not end");
}

static long run(const struct replay_input *in, FILE *out)
{
        uint8_t bytes[MBUS_FRAME_MAX];
        long n = 0;

        for (const char *p = in->bytes; *p;) {
                size_t len = strcspn(p, "\n");

                replay_check(len <= 2 * sizeof(bytes), "a line is too long");
                if (len && *p != '#') {
                        take(bytes, from_hex(bytes, p, len), out);
                        n++;
                }
                p += len + (p[len] != '\0');
        }
        return n;
}

const struct replay replay_mbus = {.run = run, .expected_by = "mbus-expect"};
