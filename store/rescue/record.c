/*
 * record: see record.h.  The format is SQLite's ("Record Format"): serial types
 * first, then the values they tell of, big-endian.
 */
#include "store/rescue/record.h"

#include <string.h>

int record_varint(const unsigned char *p, const unsigned char *end, uint64_t *out)
{
        uint64_t v = 0;

        for (int i = 0; i < 9 && p + i < end; i++) {
                if (i == 8) {
                        *out = v << 8 | p[i];
                        return 9;
                }
                v = v << 7 | (p[i] & 0x7f);
                if (!(p[i] & 0x80)) {
                        *out = v;
                        return i + 1;
                }
        }
        return 0;
}

static int put_value(struct pages_value *v, uint64_t serial, const unsigned char *p, const unsigned char *end)
{
        static const uint8_t bytes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
        uint64_t len = serial < 10 ? bytes[serial] : (serial - 12) / 2, bits = 0;

        if (serial == 10 || serial == 11 || len > (uint64_t)(end - p))
                return -1;
        *v = (struct pages_value){.p = (const char *)p, .len = (uint32_t)len};
        if (serial >= 12) {
                v->type = serial & 1 ? PAGES_TEXT : PAGES_BLOB;
        } else if (serial) {
                for (uint64_t i = 0; i < len; i++)
                        bits = bits << 8 | (!i && p[0] & 0x80 && serial != 7 ? ~0xffull | p[0] : p[i]);
                v->type = serial == 7 ? PAGES_REAL : PAGES_INT;
                v->i = serial == 9 ? 1 : (int64_t)bits;
                memcpy(&v->real, &bits, sizeof(v->real));
        }
        return (int)len;
}

bool record_parse(struct pages_row *row, const unsigned char *p, uint64_t n_bytes, int n_columns)
{
        const unsigned char *end = p + n_bytes, *head_end, *value;
        uint64_t head, serial;
        int n = record_varint(p, end, &head);

        if (!n || head > n_bytes || head < (uint64_t)n)
                return false;
        head_end = value = p + head;
        p += n;
        for (row->n = 0; p < head_end; row->n++) {
                int len;

                n = record_varint(p, head_end, &serial);
                if (!n || row->n == (n_columns < 0 ? PAGES_COLUMNS : n_columns) ||
                    (len = put_value(&row->v[row->n], serial, value, end)) < 0)
                        return false;
                value += len;
                p += n;
        }
        return (n_columns < 0 || row->n == n_columns) && value == end;
}
