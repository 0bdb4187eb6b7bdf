/*
 * replay_modbus: a capture of Modbus TCP through the framer in both roles, against what an independent reader
 * (modbus-expect) made of the same file; and every PDU once more as RTU, behind noise and in pieces.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/decode.h"
#include "drivers/modbus/frame.h"
#include "replay.h"

enum { STREAMS_MAX = 4096, LINE_MOST = 4096 };

struct stream {
        uint8_t key[12]; /* addresses and ports */
        uint32_t next;
        bool begun, dead;
        struct modbus_tcp framer;
};

static struct stream *streams;
static size_t n_streams;
static FILE *out;
static long n_lines;

static unsigned be16(const uint8_t *p)
{
        return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
        return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* Registers as the driver decodes them. */
static size_t put_values(char *to, const struct modbus_frame *f)
{
        struct modbus_format format = {.type = MODBUS_UINT16};
        size_t n = (size_t)sprintf(to, " =");
        struct reading r;

        for (size_t i = 2; i + 1 < f->len; i += 2) {
                modbus_decode(&format, f->pdu + i, NULL, &r);
                n += (size_t)sprintf(to + n, " %lld", (long long)r.v.i64);
        }
        return n;
}

static bool has_registers(const struct modbus_frame *f)
{
        return (f->pdu[0] == 3 || f->pdu[0] == 4) && f->len > 1 && f->len == 2u + f->pdu[1] && f->pdu[1] % 2 == 0;
}

/* As RTU: noise before it, and cut in two anywhere. */
static void check_rtu(const struct modbus_frame *f, enum modbus_role role)
{
        uint8_t line[MODBUS_RTU_MAX + 8] = {0xff, 0x00, 0xaa};
        size_t noise = (size_t)n_lines % 4, n = noise + modbus_put_rtu(line + noise, f->unit, f->pdu, f->len);
        struct modbus_want want = {f->unit, f->pdu[0] & 0x7f, f->len > 1 ? f->pdu[1] : 0};
        struct modbus_rtu rtu = {.len = 0}, asked = {.len = 0};
        struct modbus_frame got;
        size_t before;
        bool found;

        if (modbus_pdu_len(role, f->pdu, f->len) != (int)f->len)
                return;
        for (size_t cut = 1; cut < n; cut += 1 + n / 5) {
                modbus_rtu_push(&rtu, line, cut);
                replay_check(!modbus_rtu_next(&rtu, role, false, &got), "a frame out of half of one");
                modbus_rtu_push(&rtu, line + cut, n - cut);
                found = modbus_rtu_next(&rtu, role, true, &got);
                replay_check(found && got.unit == f->unit && got.len == f->len && !memcmp(got.pdu, f->pdu, f->len),
                             "RTU: not found by a listener");
        }
        if (role == MODBUS_REQUEST || (f->pdu[0] > 4 && !(f->pdu[0] & 0x80)))
                return;
        modbus_rtu_push(&asked, line, n);
        replay_check(modbus_rtu_find(&asked, &want, &got, &before) && got.len == f->len &&
                             !memcmp(got.pdu, f->pdu, f->len),
                     "RTU: not found by the one who asked");
}

static void on_frame(const struct modbus_frame *f, enum modbus_role role)
{
        char line[LINE_MOST];
        size_t n = (size_t)sprintf(line, "%c %u %u ", role == MODBUS_REQUEST ? '>' : '<', f->transaction, f->unit);

        for (size_t i = 0; i < f->len; i++)
                n += (size_t)sprintf(line + n, "%02x", f->pdu[i]);
        if (role == MODBUS_REPLY && has_registers(f))
                put_values(line + n, f);
        fprintf(out, "%s\n", line);
        n_lines++;
        check_rtu(f, role);
}

static void feed(struct stream *s, enum modbus_role role, const uint8_t *p, size_t n)
{
        struct modbus_frame f;
        uint8_t *at;
        int r = 0;

        while (n > 0 && r >= 0) {
                size_t room = modbus_tcp_room(&s->framer, &at), part = n < room ? n : room;

                part = part > 7 ? 7 : part; /* in small pieces */
                modbus_tcp_push(&s->framer, p, part);
                p += part;
                n -= part;
                while ((r = modbus_tcp_next(&s->framer, &f)) > 0)
                        on_frame(&f, role);
        }
        if (r < 0) {
                const uint8_t *head = s->framer.buf + s->framer.taken;

                fprintf(out, "! %s\n", head[2] || head[3] ? "protocol" : "length");
                n_lines++;
                s->dead = true;
        }
}

static struct stream *find_stream(const uint8_t *key)
{
        for (size_t i = 0; i < n_streams; i++) {
                if (memcmp(streams[i].key, key, sizeof(streams[i].key)) == 0)
                        return &streams[i];
        }
        replay_check(n_streams < STREAMS_MAX, "too many streams");
        memcpy(streams[n_streams].key, key, sizeof(streams->key));
        return &streams[n_streams++];
}

static void on_segment(const uint8_t *key, enum modbus_role role, uint32_t seq, const uint8_t *p, size_t n)
{
        struct stream *s = find_stream(key);
        uint32_t behind = s->begun ? s->next - seq : 0;

        if (behind && behind < 0x80000000) {
                if (behind >= n)
                        return;
                p += behind;
                n -= behind;
                seq += behind;
        } else if (behind) {
                s->framer.len = s->framer.taken = 0;
                s->dead = false;
        }
        s->begun = true;
        s->next = seq + (uint32_t)n;
        if (!s->dead)
                feed(s, role, p, n);
}

static void on_packet(const uint8_t *p, size_t n)
{
        size_t tcp = 14 + 4u * (n > 14 ? p[14] & 15 : 0), body, end;
        uint8_t key[12];

        if (n < 34 || be16(p + 12) != 0x0800 || p[23] != 6 || n < tcp + 20)
                return;
        end = 14 + be16(p + 16) < n ? 14 + be16(p + 16) : n;
        body = tcp + 4u * (p[tcp + 12] >> 4);
        if (body >= end || (be16(p + tcp) != 502 && be16(p + tcp + 2) != 502))
                return;
        memcpy(key, p + 26, 8);
        memcpy(key + 8, p + tcp, 4);
        on_segment(key, be16(p + tcp + 2) == 502 ? MODBUS_REQUEST : MODBUS_REPLY, be32(p + tcp + 4), p + body,
                   end - body);
}

static uint32_t le32(const char *p)
{
        const uint8_t *b = (const uint8_t *)p;

        return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static long run(const struct replay_input *in, FILE *to)
{
        const char *p = in->bytes, *end = p + in->len;

        out = to;
        n_lines = 0;
        n_streams = 0;
        streams = mem_alloc(STREAMS_MAX * sizeof(*streams));
        replay_check(in->len >= 24 && memcmp(p, "\xd4\xc3\xb2\xa1", 4) == 0, "no capture");
        for (p += 24; end - p >= 16;) {
                size_t n = le32(p + 8);

                p += 16;
                replay_check(n <= (size_t)(end - p), "the capture is cut");
                on_packet((const uint8_t *)p, n);
                p += n;
        }
        free(streams);
        return n_lines;
}

const struct replay replay_modbus = {.run = run, .expected_by = "modbus-expect"};
