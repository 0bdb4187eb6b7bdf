/*
 * convert_number: a text with a number in it -> the number (see convert.h).
 *
 * What people call a number on a display is wider than JSON's: it is brought to
 * the strict form first, which text_number reads exactly.  An integer of more
 * than 64 bits is no number, because its digits would be lost, unless it is to
 * be scaled.
 *
 * Units are compared as they are written, but for the degree sign, which is
 * often left out, and the two signs for micro.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/convert_impl.h"
#include "agent/base/text.h"

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void convert_trim(const char **s, size_t *len)
{
        while (*len && is_blank((*s)[*len - 1]))
                --*len;
        for (; *len && is_blank(**s); ++*s)
                --*len;
}

bool convert_same_word(const char *a, size_t len, const char *b, size_t b_len)
{
        return len == b_len && strncasecmp(a, b, len) == 0;
}

bool convert_hex(const char *s, size_t len, uint64_t *out)
{
        char text[19];

        if (len < 3 || len >= sizeof(text) || s[0] != '0' || (s[1] | 0x20) != 'x')
                return false;
        memcpy(text, s, len);
        text[len] = '\0';
        if (strspn(text + 2, "0123456789abcdefABCDEF") != len - 2)
                return false;
        *out = strtoull(text, NULL, 16);
        return true;
}

/* ---- numbers ---- */

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* How much of the text can belong to a number. */
static size_t number_len(const char *s, size_t len, char point)
{
        size_t n = len && (*s == '-' || *s == '+');

        while (n && n < len && s[n] == ' ')
                n++;
        while (n < len && (is_digit(s[n]) || s[n] == point))
                n++;
        if (n && n + 1 < len && (s[n] | 0x20) == 'e' && (is_digit(s[n - 1]) || s[n - 1] == point)) {
                size_t e = n + 1 + (s[n + 1] == '-' || s[n + 1] == '+');

                if (e < len && is_digit(s[e]))
                        for (n = e; n < len && is_digit(s[n]);)
                                n++;
        }
        return n;
}

/* In JSON's form; 0: it can't be one. */
static size_t strict_form(char *out, size_t cap, const char *s, size_t len, char point)
{
        const char *end = s + len;
        size_t n = 0;

        if (len == 0 || len > cap - 2)
                return 0;
        if (*s == '-')
                out[n++] = '-';
        if (*s == '-' || *s == '+')
                for (s++; s < end && *s == ' ';)
                        s++;
        while (end - s > 1 && *s == '0' && is_digit(s[1]))
                s++;
        if (end - s > 1 && *s == point && is_digit(s[1]))
                out[n++] = '0';
        for (; s < end; s++) {
                if (*s != point)
                        out[n++] = *s;
                else if (s + 1 < end && is_digit(s[1]))
                        out[n++] = '.';
                else if (!n || !is_digit(out[n - 1]))
                        return 0;
        }
        return n;
}

static bool is_whole(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (s[i] != '-' && !is_digit(s[i]))
                        return false;
        return true;
}

/* May it be one of more digits than are kept? */
static bool read_number(const char *s, size_t len, int decimal, bool rounded, double *f64, int64_t *i64, bool *is_i64)
{
        char point = decimal == CONVERT_COMMA ? ',' : '.', strict[512];
        size_t n = number_len(s, len, point) == len ? strict_form(strict, sizeof(strict), s, len, point) : 0;

        if (!n || !text_number(strict, n, f64, i64, is_i64) || !isfinite(*f64))
                return false;
        return *is_i64 || *f64 == 0 || rounded || !is_whole(strict, n);
}

bool convert_number(const char *s, size_t len, int decimal, double *f64, int64_t *i64, bool *is_i64)
{
        return read_number(s, len, decimal, false, f64, i64, is_i64);
}

/* ---- units ---- */

/* The degree sign is often left out, and there are two signs for micro. */
static const char *bare_unit(const char *s, size_t *len)
{
        static const char *const degrees[] = {"\xc2\xb0", "\xc2\xba", "deg ", "deg"};

        for (size_t i = 0; i < sizeof(degrees) / sizeof(*degrees); i++) {
                size_t n = strlen(degrees[i]);

                if (*len > n && memcmp(s, degrees[i], n) == 0) {
                        *len -= n;
                        return s + n;
                }
        }
        return s;
}

static bool is_micro(const char *s, size_t len)
{
        return len >= 2 && (memcmp(s, "\xc2\xb5", 2) == 0 || memcmp(s, "\xce\xbc", 2) == 0);
}

static bool same_unit(const char *a, size_t a_len, const char *b, size_t b_len)
{
        a = bare_unit(a, &a_len);
        b = bare_unit(b, &b_len);
        if (is_micro(a, a_len) && is_micro(b, b_len)) {
                a += 2, b += 2;
                a_len -= 2, b_len -= 2;
        }
        return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* Those a person would not think of as a word. */
static bool is_usual_unit(const char *s, size_t len)
{
        static const char units[] = " % %RH C F K V mV kV A mA W kW MW VA kVA var kvar Wh kWh MWh VAh kvarh Hz kHz Pa "
                                    "hPa kPa MPa bar mbar psi "
                                    "m mm cm km \xc2\xb5m g kg t lb oz mg/l s ms min h l L ml m3 m\xc2\xb3 m/s km/h "
                                    "l/h l/min m3/h m\xc2\xb3/h rpm "
                                    "1/min N kN Nm J kJ GJ lx lux ppm ppb dB dBm Ohm ohm kOhm \xce\xa9 k\xce\xa9 ct "
                                    "pcs W/m2 W/m\xc2\xb2 pH "
                                    "\xc2\xb5g/m3 \xc2\xb5g/m\xc2\xb3 \xc2\xb5S/cm ";
        const char *end;

        for (const char *u = units + 1; *u; u = end + 1) {
                end = strchr(u, ' ');
                if (same_unit(s, len, u, (size_t)(end - u)))
                        return true;
        }
        return false;
}

/* Could it be a unit at all? Not "12:30", "12-34", "10.0.0.1", "0x10". */
static bool may_be_unit(const char *s, size_t len)
{
        if (len == 0 || len > 16 || strchr("+-.,:;_/\\=", *s))
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)s[i] < ' ' || is_digit(s[i]))
                        return false;
        return true;
}

/* False: it is not the number's. */
static bool take_unit(const struct convert *c, const char *s, size_t len, bool *sure)
{
        convert_trim(&s, &len);
        *sure = true;
        if (len == 0)
                return true;
        if (c->unit)
                return same_unit(s, len, c->unit, strlen(c->unit));
        *sure = is_usual_unit(s, len);
        return *sure || may_be_unit(s, len);
}

static bool is_nothing(const char *s, size_t len)
{
        static const char *const words[] = {"nan", "inf", "infinity", "null"};

        if (len > 3 && (*s == '-' || *s == '+')) {
                s++;
                len--;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (convert_same_word(s, len, words[i], strlen(words[i])))
                        return true;
        return len == 0;
}

bool convert_text(const struct convert *c, const char *s, size_t len, struct reading *r, bool *nothing, bool *sure)
{
        size_t n;
        double f64;
        int64_t i64;
        bool is_i64;

        convert_trim(&s, &len);
        *nothing = is_nothing(s, len);
        if (*nothing)
                return true;
        n = number_len(s, len, c->decimal == CONVERT_COMMA ? ',' : '.');
        if (!read_number(s, n, c->decimal, c->scaled, &f64, &i64, &is_i64) || !take_unit(c, s + n, len - n, sure))
                return false;
        r->len = 0;
        r->type = READING_F64;
        r->v.f64 = f64; /* -0 keeps its sign */
        if (is_i64 && (i64 < -CONVERT_EXACT_MAX || i64 > CONVERT_EXACT_MAX)) {
                r->type = READING_I64;
                r->v.i64 = i64;
        }
        return true;
}
