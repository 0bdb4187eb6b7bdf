/*
 * fuzz_modbus_overhear: any bytes of a line that a foreign master has, at any time.
 *
 * The input is chunks: (length, milliseconds, bytes).  A length of 0xff stands for a right answer to the request heard
 * last, 0xfe for a request, so that the machine goes on.  Holds: a pair that is told came as a whole request and behind
 * it a whole answer with right CRCs and matching unit, function and length; every request is told of once at most; time
 * never stands still; nothing is read beyond what came.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/overhear.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_MAX = 1 << 16 };

static uint8_t line[LINE_MAX]; /* all that came */
static size_t n_line;
static uint64_t n_told;

static size_t put_request(const struct modbus_overheard_request *r, uint8_t *out)
{
        const uint8_t pdu[] = {r->function, (uint8_t)(r->address >> 8), (uint8_t)r->address, (uint8_t)(r->count >> 8),
                               (uint8_t)r->count};

        return modbus_put_rtu(out, r->unit, pdu, sizeof(pdu));
}

static void judge(const struct modbus_overheard *e)
{
        uint8_t request[MODBUS_RTU_MAX], answer[MODBUS_RTU_MAX], pdu[MODBUS_PDU_MAX];
        size_t n = modbus_read_bytes(e->request.function, e->request.count), len = put_request(&e->request, request);
        const uint8_t *at = memmem(line, n_line, request, len);

        n_told++;
        BUG_ON(!at);
        if (e->kind != MODBUS_HEARD_PAIR)
                return;
        pdu[0] = e->request.function;
        pdu[1] = (uint8_t)n;
        memcpy(pdu + 2, e->data, n);
        n = modbus_put_rtu(answer, e->request.unit, pdu, n + 2);
        at += len;
        BUG_ON(!memmem(at, (size_t)(line + n_line - at), answer, n));
}

static void give(struct modbus_overhear *o, int64_t now_us, const uint8_t *p, size_t n)
{
        struct modbus_overheard e;

        if (n_line + n > LINE_MAX)
                return;
        memcpy(line + n_line, p, n);
        n_line += n;
        modbus_overhear_push(o, now_us, p, n);
        while (modbus_overhear_next(o, now_us, &e))
                judge(&e);
        BUG_ON(modbus_overhear_due(o) <= now_us);
}

static size_t right_answer(const struct modbus_overhear *o, uint8_t fill, uint8_t *out)
{
        uint8_t pdu[MODBUS_PDU_MAX];
        size_t n = o->waiting ? modbus_read_bytes(o->pending.function, o->pending.count) : 0;

        if (!n)
                return 0;
        pdu[0] = o->pending.function;
        pdu[1] = (uint8_t)n;
        memset(pdu + 2, fill, n);
        return modbus_put_rtu(out, o->pending.unit, pdu, n + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct modbus_overhear *o = mem_alloc(sizeof(*o));
        int64_t now_us = 1000000;
        uint8_t frame[MODBUS_RTU_MAX];

        n_line = 0;
        n_told = 0;
        modbus_overhear_init(o, 200000, 50000);
        while (size >= 2) {
                size_t n = data[0];
                uint8_t fill = data[1];

                now_us += data[1] * (data[1] > 200 ? 10000 : 1000);
                data += 2;
                size -= 2;
                if (n == 0xff) {
                        give(o, now_us, frame, right_answer(o, fill, frame));
                } else if (n == 0xfe && size >= 4) {
                        const struct modbus_overheard_request r = {.unit = data[0] & 3,
                                                                   .function = 1 + data[1] % 4,
                                                                   .address = (uint16_t)(data[2] << 4),
                                                                   .count = data[3]};

                        give(o, now_us, frame, put_request(&r, frame));
                        data += 4;
                        size -= 4;
                } else {
                        n = n < size ? n : size;
                        give(o, now_us, data, n);
                        data += n;
                        size -= n;
                }
        }
        give(o, now_us + 10000000, frame, 0);
        give(o, now_us + 20000000, frame, 0);
        BUG_ON(n_told > o->counts.requests || o->waiting || o->held || o->len);
        free(o);
        return 0;
}
