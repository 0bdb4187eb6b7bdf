/*
 * fuzz_modbus: any bytes from the line, at any time, into a whole bus: framer, pairing, scheduling, decoding.
 *
 * The first byte chooses serial, TCP, or ASCII; then each chunk is (length, milliseconds to wait, bytes).  The byte
 * 0xff as length stands for a right answer to the last request, so that the machine also goes on; 199 ms on TCP for a
 * connection that the other side closes.  Holds: no byte is read
 * beyond what came, data is told for reads that are there, time never stands still, and every decoded text is valid
 * UTF-8.
 */
#include <stdint.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/modbus/ascii.h"
#include "drivers/modbus/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct modbus_plan *plan;

static void decode(const struct modbus_read *r, const uint8_t *data)
{
        char text[4 * MODBUS_REGISTERS_MAX];
        struct reading out;

        for (uint32_t i = r->first; i < r->first + r->n; i++) {
                const struct modbus_point *p = &plan->points[i];
                modbus_point_decode(p, r, data, text, &out);
                BUG_ON(modbus_text_room(&p->format) > sizeof(text));
                BUG_ON(out.type == READING_TEXT && !text_is_utf8(out.v.text, out.len));
                BUG_ON((out.type == READING_NONE) != quality_is_bad(out.quality));
        }
}

static void on_data(void *ctx, size_t read, const uint8_t *data)
{
        BUG_ON(read >= plan->n_reads);
        decode(&plan->reads[read], data);
}

static void on_bad(void *ctx, size_t read, enum quality quality, const char *why)
{
        BUG_ON(read >= plan->n_reads || !quality_is_bad(quality) || !why);
}

static void on_device(void *ctx, size_t device, bool up, const char *why)
{
        BUG_ON(device >= plan->n_devices || !why);
}

static void on_odd(void *ctx, size_t device, const char *why)
{
        BUG_ON(device >= plan->n_devices || !text_is_utf8(why, strlen(why)));
}

static struct modbus_action last;

static void ask(struct modbus_bus *b, int64_t now_us)
{
        struct modbus_action a;

        for (int i = 0; i < 64; i++) {
                enum modbus_next next = modbus_bus_next(b, now_us, &a);

                if (next == MODBUS_SEND)
                        last = a;
                if (next == MODBUS_CONNECT)
                        modbus_bus_connected(b, now_us);
                if (next == MODBUS_WAIT)
                        BUG_ON(a.until_us <= now_us);
                if (next == MODBUS_WAIT || next == MODBUS_BROKEN)
                        return;
        }
        BUG_ON(1);
}

/* Answers the last request with rising bytes. */
static size_t right_answer(bool tcp, uint8_t *out)
{
        struct modbus_ascii ascii = {.len = 0};
        const uint8_t *pdu = last.bytes + (tcp ? 7 : 1);
        uint8_t reply[MODBUS_PDU_MAX];

        if (!last.len)
                return 0;
        for (size_t i = 0; i < last.len && last.bytes[0] == ':'; i++)
                pdu = modbus_ascii_take(&ascii, last.bytes[i]) ? ascii.frame + 1 : pdu;
        reply[0] = pdu[0];
        reply[1] = (uint8_t)modbus_read_bytes(pdu[0], (unsigned)pdu[3] << 8 | pdu[4]);
        for (unsigned i = 0; i < reply[1]; i++)
                reply[2 + i] = (uint8_t)(i * 37);
        if (last.bytes[0] == ':')
                return modbus_put_ascii(out, ascii.frame[0], reply, 2u + reply[1]);
        if (!tcp)
                return modbus_put_rtu(out, last.bytes[0], reply, 2u + reply[1]);
        return modbus_put_tcp(out, (uint16_t)(last.bytes[0] << 8 | last.bytes[1]), last.bytes[6], reply, 2u + reply[1]);
}

static void drive(struct modbus_bus *b, bool tcp, const uint8_t *data, size_t size)
{
        int64_t now_us = 1000000;
        uint8_t answer[MODBUS_ASCII_MAX];

        modbus_bus_open(b, now_us);
        ask(b, now_us);
        while (size >= 2) {
                size_t n = data[0];

                if (tcp && data[1] == 199 && modbus_bus_lost(b, now_us) < 0) {
                        modbus_bus_close(b, now_us, "lost");
                        modbus_bus_open(b, now_us);
                }
                now_us += data[1] * (data[1] > 200 ? 100000 : 1000);
                data += 2;
                size -= 2;
                if (n == 0xff) {
                        n = right_answer(tcp, answer);
                        BUG_ON(modbus_bus_input(b, now_us, answer, n) < 0 && !tcp);
                } else {
                        n = n < size ? n : size;
                        if (modbus_bus_input(b, now_us, data, n) < 0) {
                                modbus_bus_close(b, now_us, modbus_bus_why(b));
                                modbus_bus_open(b, now_us);
                        }
                        data += n;
                        size -= n;
                }
                ask(b, now_us);
        }
        modbus_bus_close(b, now_us, "end");
}

static void listen(const uint8_t *data, size_t size)
{
        struct modbus_rtu rtu = {.len = 0};
        struct modbus_frame f;
        enum modbus_role role = size && data[0] & 2 ? MODBUS_REQUEST : MODBUS_REPLY;

        for (size_t at = 0; at < size; at += 5) {
                modbus_rtu_push(&rtu, data + at, size - at < 5 ? size - at : 5);
                while (modbus_rtu_next(&rtu, role, at % 3 == 0, &f))
                        BUG_ON(f.len == 0 || f.len > MODBUS_PDU_MAX);
        }
}

static void fill(struct modbus_register_conf *r, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                enum modbus_type type = (enum modbus_type)(i % N_MODBUS_TYPES);

                r[i] = (struct modbus_register_conf){
                        .tag = "t",
                        .table = type == MODBUS_BOOL ? (enum modbus_table)(i % 2) : (enum modbus_table)(2 + i % 2),
                        .address = (unsigned)(i * 7),
                        .type = (int)type,
                        .length = type == MODBUS_STRING ? 9 : -1,
                        .word_order = (int)(i % 5),
                        .convert = {.scale = i % 3 || modbus_is_text(type) ? 1 : 0.1},
                        .count = i % 11 == 10 ? 3 : -1,
                        .scale_where = modbus_type_bits(type) && i % 5 == 4 ? "holding:9" : NULL,
                        .scale_address = (unsigned)(i * 7 + 9),
                        .bit = 3};
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct modbus_register_conf registers[50];
        struct modbus_profile_conf profile = {.period_us = 100000, .hole_limit = -1, .registers = {registers, 50}};
        struct modbus_device_conf second = {.unit = 2, .retries = 0, .pause_us = -1, .hole_limit = -1, .map = &profile};
        struct modbus_device_conf first = {
                .unit = 1, .retries = -1, .pause_us = -1, .hole_limit = -1, .map = &profile, .next = &second};
        bool tcp = size && data[0] & 1;
        struct modbus_conf conf = {.port = tcp                   ? "tcp://h:502"
                                           : size && data[0] & 4 ? "ascii+tcp://h:4001"
                                                                 : "/dev/x",
                                   .baud = 19200,
                                   .data_bits = 8,
                                   .stop_bits = 1,
                                   .timeout_us = 200000,
                                   .silence_us = -1,
                                   .retries = 1,
                                   .in_flight = tcp ? 3 : 1,
                                   .hole_limit = 8,
                                   .max_registers = 60,
                                   .devices = &first};
        struct modbus_bus *bus;

        fill(registers, 50);
        plan = modbus_plan_new(&conf);
        bus = modbus_bus_new(&conf, plan, &(struct modbus_outcome){on_data, on_bad, on_device, on_odd, NULL});
        last.len = 0;
        if (size)
                drive(bus, tcp, data + 1, size - 1);
        listen(data, size);
        modbus_bus_free(bus);
        modbus_plan_free(plan);
        return 0;
}
