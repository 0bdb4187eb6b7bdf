/*
 * fuzz_mbus: meters that send anything, at any time.
 *
 * Input: pieces of a length byte and bytes; a length of 0 lets a tenth of a second pass.  Holds: it returns and leaks
 * nothing; a round ends; a telegram that comes out is read to its end, and no byte behind it; what comes of a record is
 * fit for a reading.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "drivers/mbus/bus.h"
#include "drivers/mbus/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUNDS_MAX = 3000 };

static const struct mbus_device_conf devices[] = {
        {.source = "a", .primary = 5, .version = -1, .medium = -1},
        {.source = "b", .primary = -1, .secondary = "1234567F", .version = -1, .medium = 7},
};

static void check_record(const struct mbus_record *record)
{
        const struct mbus_reading_conf c = {.record = record->number, .unit = "kWh", .convert.scale = 1};
        const struct convert convert = {.plain = true};
        struct reading r = {.len = 0};
        char room[MBUS_TEXT_MAX];

        BUG_ON(record->len > MBUS_TEXT_MAX || record->number > MBUS_FRAME_MAX);
        BUG_ON(record->exponent < -300 || record->exponent > 1000);
        mbus_set(&c, &convert, record, room, &r);
        BUG_ON(quality_is_bad(r.quality) != (r.type == READING_NONE));
        BUG_ON(r.type == READING_F64 && !isfinite(r.v.f64));
        BUG_ON(r.type == READING_TEXT && (!r.len || !text_is_utf8(r.v.text, r.len)));
}

static enum mbus_taken on_telegram(void *ctx, size_t device, const struct mbus_frame *f, bool first)
{
        uint8_t *copy = malloc(f->len + (f->len == 0)); /* so that a read behind the end is seen */
        struct mbus_frame mine = *f;
        enum mbus_walked walked;
        struct mbus_record record;
        struct mbus_walk w;

        if (f->len)
                memcpy(copy, f->data, f->len);
        mine.data = copy;
        walked = MBUS_MALFORMED;
        if (mbus_walk_begin(&w, &mine, 0) == 0) {
                while ((walked = mbus_walk_next(&w, &record)) == MBUS_RECORD)
                        check_record(&record);
                BUG_ON(w.at != w.end);
        }
        BUG_ON(walked == MBUS_MALFORMED && !w.why);
        free(copy);
        return walked == MBUS_END_OF_PART ? MBUS_MORE_FOLLOWS : walked == MBUS_END ? MBUS_LAST : MBUS_REFUSED;
}

static void on_failed(void *ctx, size_t device, bool silent, const char *why)
{
        BUG_ON(device > 1 || !why);
}

static void run(struct mbus_bus *b, int64_t now_us)
{
        struct mbus_action a;

        for (int i = 0; i < ROUNDS_MAX; i++) {
                if (mbus_bus_next(b, now_us, &a) == MBUS_WAIT) {
                        BUG_ON(mbus_bus_is_busy(b) && (a.until_us <= now_us || a.until_us > now_us + 1000000));
                        return;
                }
                BUG_ON(a.len != MBUS_SHORT && a.len != MBUS_SELECT);
        }
        BUG_ON(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct mbus_bus_conf conf = {
                .baud = 2400, .timeout_us = 500000, .retries = 1, .n_devices = 2, .devices = devices};
        struct mbus_bus *b = mbus_bus_new(&conf, &(struct mbus_outcome){on_telegram, on_failed, NULL});
        int64_t now_us = 1000000;

        while (size) {
                size_t n = *data++;

                size--;
                n = n < size ? n : size;
                if (n == 0)
                        now_us += 100000;
                if (!mbus_bus_is_busy(b))
                        mbus_bus_begin(b, now_us);
                mbus_bus_input(b, now_us, data, n);
                run(b, now_us);
                data += n;
                size -= n;
        }
        for (int i = 0; i < 1000 && mbus_bus_is_busy(b); i++)
                run(b, now_us += 500000);
        BUG_ON(mbus_bus_is_busy(b));
        mbus_bus_free(b);
        return 0;
}
