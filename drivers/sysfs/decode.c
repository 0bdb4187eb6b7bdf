/*
 * decode: see decode.h.
 *
 * Two formats.  A value with blanks around it, a number unless another type is
 * configured.  And that of w1_slave: two lines that both begin with the nine
 * bytes of the sensor's memory, the first ends in YES or NO (the checksum), the
 * second in t= and thousandths of a degree.  What the file `temperature` holds
 * is read as w1, too: a bare number.
 *
 * 85 degrees is what a DS18B20 shows before it has measured: after a loose
 * contact or a dip of its supply.  Its seventh byte is 0c then, which makes it
 * bad/sensor; where that can't be seen, or another kind of sensor has something
 * else there, 85.000 exactly is uncertain, because it may be true. Nine bytes
 * of zero have a right checksum and say 0 degrees: that is a line that is
 * shorted, never a value.
 *
 * Fails: never; what can't be read is bad, with a sentence.
 */
#include "drivers/sysfs/decode.h"

#include <errno.h>
#include <string.h>

#include "agent/base/text.h"

enum { POWER_ON = 85000, W1_BYTES = 9, W1_BYTES_LEN = 3 * W1_BYTES - 1, W1_MARK = 6 };

static enum sysfs_verdict bad(struct reading *r, enum quality quality, enum sysfs_verdict verdict, const char **why,
                              const char *sentence)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
        *why = sentence;
        return verdict;
}

static enum sysfs_verdict garbage(struct reading *r, const char **why, const char *sentence)
{
        return bad(r, QUALITY_BAD_SENSOR, SYSFS_GARBAGE, why, sentence);
}

static enum sysfs_verdict failed(struct reading *r, int error, const char **why)
{
        switch (error) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
        case ENOTDIR:
                return bad(r, QUALITY_BAD_NOT_CONNECTED, SYSFS_GONE, why, strerror(error));
        case EACCES:
        case EPERM:
                return bad(r, QUALITY_BAD_CONFIG, SYSFS_ERROR, why, strerror(error));
        default: /* EIO, EBUSY, ENODATA, EAGAIN, ETIMEDOUT: it is there, and did not answer */
                return bad(r, QUALITY_BAD_COMM_FAILURE, SYSFS_ERROR, why, strerror(error));
        }
}

/* ---- one value ---- */

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Before it is scaled, as the sensor said it. */
static bool is_power_on(const char *s, size_t len)
{
        double f64;
        int64_t i64;
        bool is_i64;

        return convert_number(s, len, CONVERT_POINT, &f64, &i64, &is_i64) && f64 == POWER_ON;
}

static enum sysfs_verdict decode_value(const struct sysfs_reading_conf *c, const struct convert *convert, const char *s,
                                       size_t len, char *text, struct reading *r, const char **why)
{
        while (len && is_blank(*s)) {
                s++;
                len--;
        }
        while (len && is_blank(s[len - 1]))
                len--;
        if (len == 0)
                return garbage(r, why, "nothing in it");
        if (len > SYSFS_TEXT_MAX || !text_is_utf8(s, len))
                return garbage(r, why, "neither a number nor a short text");
        memcpy(text, s, len);
        *r = (struct reading){.ts_us = r->ts_us,
                              .arrival_us = r->arrival_us,
                              .tag = r->tag,
                              .type = READING_TEXT,
                              .quality =
                                      c->format == SYSFS_W1 && is_power_on(s, len) ? QUALITY_UNCERTAIN : QUALITY_GOOD,
                              .len = (uint32_t)len,
                              .v.text = text};
        if (convert_apply(convert, r, text) == CONVERT_E_UNFIT)
                return garbage(r, why, convert->number_meant ? "no number" : "not what its type says");
        if (r->quality == QUALITY_BAD_OUT_OF_RANGE)
                return bad(r, QUALITY_BAD_OUT_OF_RANGE, SYSFS_ERROR, why, "outside of `range`, or of all numbers");
        if (r->type == READING_NONE)
                return bad(r, QUALITY_BAD_SENSOR, SYSFS_ERROR, why, "it says itself that there is no value");
        return SYSFS_VALUE;
}

/* ---- w1_slave ---- */

static bool ends_with(const char *s, size_t len, const char *end)
{
        size_t n = strlen(end);

        while (len && is_blank(s[len - 1]))
                len--;
        return len >= n && memcmp(s + len - n, end, n) == 0;
}

static const char *find(const char *s, size_t len, const char *word)
{
        return memmem(s, len, word, strlen(word));
}

static enum sysfs_verdict decode_w1(const struct sysfs_reading_conf *c, const struct convert *convert, const char *s,
                                    size_t len, char *text, struct reading *r, const char **why)
{
        const char *end = memchr(s, '\n', len), *t;
        size_t first = end ? (size_t)(end - s) : len;
        enum sysfs_verdict verdict;

        if (!find(s, first, "crc="))
                return decode_value(c, convert, s, len, text, r, why);
        if (ends_with(s, first, "NO"))
                return bad(r, QUALITY_BAD_COMM_FAILURE, SYSFS_ERROR, why, "the checksum is wrong (NO)");
        t = find(s + first, len - first, "t=");
        if (!ends_with(s, first, "YES") || !t || first < W1_BYTES_LEN)
                return garbage(r, why, "neither YES with a t= behind it, nor NO");
        if (memcmp(s, "00 00 00 00 00 00 00 00 00", W1_BYTES_LEN) == 0)
                return bad(r, QUALITY_BAD_COMM_FAILURE, SYSFS_ERROR, why, "nine bytes of zero: the line is shorted");
        verdict = decode_value(c, convert, t + 2, (size_t)(s + len - t - 2), text, r, why);
        if (verdict == SYSFS_VALUE && r->quality == QUALITY_UNCERTAIN && memcmp(s + 3 * W1_MARK, "0c", 2) == 0)
                return bad(r, QUALITY_BAD_SENSOR, SYSFS_ERROR, why, "85 degrees of its power-on: it has not measured");
        return verdict;
}

static bool is_w1(const struct sysfs_reading_conf *c)
{
        size_t len = strlen(c->file), n = strlen("/w1_slave");

        return c->format == SYSFS_W1 ||
               (c->format == SYSFS_AUTO && len >= n && !strcmp(c->file + len - n, "/w1_slave"));
}

enum sysfs_verdict sysfs_decode(const struct sysfs_reading_conf *c, const struct convert *convert,
                                const struct sysfs_answer *a, char text[SYSFS_TEXT_MAX], struct reading *r,
                                const char **why)
{
        struct sysfs_reading_conf w1 = *c;

        *why = "";
        r->len = 0;
        if (a->unfit)
                return bad(r, QUALITY_BAD_CONFIG, SYSFS_ERROR, why, a->unfit);
        if (a->error)
                return failed(r, a->error, why);
        if (a->len > SYSFS_FILE_MAX)
                return garbage(r, why, "longer than 4 KiB");
        if (!is_w1(c))
                return decode_value(c, convert, a->bytes, a->len, text, r, why);
        w1.format = SYSFS_W1;
        return decode_w1(&w1, convert, a->bytes, a->len, text, r, why);
}
