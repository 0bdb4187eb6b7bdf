/*
 * fuzz_iec62056: a meter that sends anything, at any time.
 *
 * Input: pieces of a length byte and bytes; a length of 0 lets half a second pass.  Holds: it returns and leaks
 * nothing; what is to be done is always a wait within a readout's time, or ends; a text that comes out is as long as it
 * may be, and its decoder reads no byte behind it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "drivers/serial/decode.h"
#include "drivers/serial/iec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK_MAX = 200, ROUNDS_MAX = 16 };

static const struct serial_reading_conf readings[] = {
        {.tag = "a", .value = "1.8.0", .field = -1, .unit = "kWh", .convert.scale = 1},
        {.tag = "b", .value = "1.6.0", .field = 2, .type = SERIAL_TEXT, .convert.scale = 1},
        {.tag = "c", .value = "0.9.1", .field = 1, .type = SERIAL_TIME, .convert.scale = 1}};

static void decode(struct serial_decoder *d, const char *text, size_t len)
{
        static struct serial_decoded out;
        uint8_t *copy = malloc(len + (len == 0));

        if (len)
                memcpy(copy, text, len);
        serial_decode(d, copy, len, 0, &out);
        for (size_t i = 0; i < out.n; i++)
                BUG_ON(quality_is_bad(out.r[i].quality) != (out.r[i].type == READING_NONE));
        free(copy);
}

/* What is due; a readout that is over is begun again. */
static void run(struct iec *m, struct serial_decoder *d, int64_t now_us)
{
        struct iec_action a;

        for (int i = 0; i < ROUNDS_MAX; i++) {
                switch (iec_next(m, now_us, &a)) {
                case IEC_WAIT:
                        if (iec_is_busy(m)) {
                                BUG_ON(a.until_us <= now_us || a.until_us > now_us + 10000000);
                                return;
                        }
                        iec_begin(m);
                        break;
                case IEC_SEND:
                        BUG_ON(a.len == 0 || a.len > sizeof(a.bytes));
                        break;
                case IEC_BAUD:
                        BUG_ON(a.baud < 300 || a.baud > 19200); /* in mode B it is the meter that says it */
                        break;
                case IEC_BLOCK:
                        BUG_ON(a.len > BLOCK_MAX);
                        decode(d, a.text, a.len);
                        break;
                case IEC_FAIL:
                        BUG_ON(!a.why);
                        break;
                }
        }
        BUG_ON(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct iec_conf conf = {
                .address = "1", .baud = 300, .max_baud = 9600, .timeout_us = 2000000, .max_block = BLOCK_MAX};
        const struct serial_conf c = {.frame = SERIAL_IEC62056,
                                      .readings = {(void *)(uintptr_t)readings, sizeof(readings) / sizeof(*readings)}};
        struct serial_decoder d;
        int64_t now_us = 1000000;
        const char *key;
        struct iec m;
        struct err e;

        BUG_ON(serial_decoder_init(&d, &c, &key, &e) < 0);
        iec_init(&m, &conf);
        run(&m, &d, now_us);
        while (size) {
                size_t n = *data++;

                size--;
                n = n < size ? n : size;
                if (n == 0)
                        now_us += 500000;
                iec_input(&m, now_us, data, n);
                run(&m, &d, now_us);
                data += n;
                size -= n;
        }
        iec_fini(&m);
        serial_decoder_fini(&d);
        return 0;
}
