/*
 * fuzz_sysfs: any bytes as what a file of the kernel held.
 *
 * Input: a byte that chooses format, scale and errno, then the bytes. Holds: it returns; what comes out is fit for a
 * record: a finite number or bad, never both, and what is bad says why; an error is never a value.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/sysfs/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sysfs_reading_conf *c, const struct sysfs_answer *a)
{
        static char text[SYSFS_TEXT_MAX];
        struct convert convert;
        const char *key;
        struct err e;
        struct reading r = {.ts_us = 1, .arrival_us = 1, .quality = N_QUALITIES};
        const char *why = NULL;
        enum sysfs_verdict verdict;

        BUG_ON(convert_init(&convert, &c->convert, c->unit, 0, &key, &e) < 0);
        verdict = sysfs_decode(c, &convert, a, text, &r, &why);
        convert_fini(&convert);
        BUG_ON(r.quality >= N_QUALITIES || !why);
        BUG_ON(quality_is_bad(r.quality) != (r.type == READING_NONE));
        BUG_ON(quality_is_bad(r.quality) != (verdict != SYSFS_VALUE));
        BUG_ON(verdict != SYSFS_VALUE && !*why);
        BUG_ON(r.type != READING_NONE && r.type != READING_F64 && r.type != READING_I64);
        BUG_ON(r.type == READING_F64 && !isfinite(r.v.f64));
        BUG_ON((a->error || a->len > SYSFS_FILE_MAX) && verdict == SYSFS_VALUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const double scales[] = {1, 0.001, -0.5, 1e300};
        struct sysfs_reading_conf c = {.tag = "t", .file = "bus/w1/devices/28-1/w1_slave"};
        struct sysfs_answer a = {0};

        if (size == 0)
                return 0;
        c.format = data[0] % 3;
        c.convert.type = CONVERT_NUMBER;
        c.convert.scale = scales[data[0] >> 2 & 3];
        c.convert.offset = data[0] & 16 ? 273.15 : 0;
        a.error = data[0] >> 5; /* 0 in most */
        a.len = size - 1 > SYSFS_FILE_MAX + 1 ? SYSFS_FILE_MAX + 1 : size - 1;
        a.bytes = malloc(a.len + (a.len == 0)); /* so that a read behind the end is seen */
        memcpy(a.bytes, data + 1, a.len);
        check(&c, &a);
        free(a.bytes);
        return 0;
}
