/*
 * text_number: numbers to text and back, exactly (see text.h).
 *
 * Why not printf("%.17g"): it writes 0.1 as 0.10000000000000001 and costs most
 * of a record's CPU time.  Nearly every value a sensor sends is a decimal of at
 * most 15 digits, and for those two facts make exactness cheap:
 *  - a decimal of at most 15 digits survives the way through a double, so when one reads back, it is the shortest
 *    and the only one of its length (trailing zeros cut);
 *  - n * 10^q with n < 2^53 and |q| <= 22 is one correctly rounded operation, so reading back can be tried without
 *    strtod.
 * So: scale to 15 digits, round, read back; one multiplication and one
 * division.  The same with four digits behind the point comes first: it is all
 * that most sensors send, with a third of the digits to write.  What does not
 * fit goes through the C library with 16, then 17 digits, where strtod is the
 * judge.  Two corners need care.  At a power of two the gap below is half the
 * gap above, so the nearest text of 16 digits may not read back while its upper
 * neighbour does. Subnormals have fewer digits than 15, so there every length
 * is tried from one digit up.
 *
 * The C library may write any decimal point (locale): only digits are taken
 * from its output, and it reads its own text. Nothing here fails but
 * text_number, by saying that the text is no number (or is beyond the doubles).
 */
#include "agent/base/text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * No double and no midpoint of two has more than 767 digits: NUMBER_DIGITS
 * decide any rounding.
 */
enum {
        DIGITS_MAX = 17,
        EXACT_DIGITS = 15,
        EXACT_POWER = 22,
        NUMBER_DIGITS = 780,
        SHORT_DIGITS = 18,
        FEW_PARTS = 10000,
        FEW_MAX = 429000
};

static const double power_of_ten[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* d[0].d[1]d[2]… * 10^exp, without trailing zeros. */
struct decimal {
        char d[DIGITS_MAX + 1];
        int n, exp;
};

static const char two_digits[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                 "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                 "8081828384858687888990919293949596979899";

/*
 * Writes u so that it ends before `end`; returns where it begins.  A division
 * of 64 bits is a call of many steps where a register has 32.
 */
static char *put_digits_before(char *end, uint64_t u)
{
        uint32_t rest;

        for (; u > UINT32_MAX; u /= 100) {
                end -= 2;
                memcpy(end, two_digits + 2 * (u % 100), 2);
        }
        for (rest = (uint32_t)u; rest >= 100; rest /= 100) {
                end -= 2;
                memcpy(end, two_digits + 2 * (rest % 100), 2);
        }
        if (rest >= 10) {
                end -= 2;
                memcpy(end, two_digits + 2 * rest, 2);
        } else {
                *--end = (char)('0' + rest);
        }
        return end;
}

size_t text_put_i64(char out[TEXT_DOUBLE_MAX], int64_t v)
{
        char buf[24], *end = buf + sizeof(buf);
        char *p = put_digits_before(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
        size_t n;

        if (v < 0)
                *--p = '-';
        n = (size_t)(end - p);
        memcpy(out, p, n);
        return n;
}

/* v * 10^q in one rounding; |q| <= EXACT_POWER. */
static double scale(double v, int q)
{
        return q < 0 ? v / power_of_ten[-q] : v * power_of_ten[q];
}

static void cut_zeros(struct decimal *t)
{
        while (t->n > 1 && t->d[t->n - 1] == '0')
                t->n--;
}

/*
 * At most 15 digits, without the C library. False: it needs more than *tried
 * digits; that is 15, or 0 when a lies outside 1e-8..1e36.
 */
static bool decimal_fast(struct decimal *t, double a, int *tried)
{
        int e2, q;
        double m;
        uint64_t n;
        char *p;

        *tried = 0;
        frexp(a, &e2);
        q = EXACT_DIGITS - 1 - (int)((e2 - 1) * 1233L >> 12); /* log10(2) is 1233/4096; may be one digit too many */
        if (q <= -EXACT_POWER || q > EXACT_POWER)
                return false;
        m = scale(a, q);
        if (m >= 1e15)
                m = scale(a, --q);
        n = (uint64_t)(m + 0.5);
        if (n >= 1000000000000000u) /* 999999999999999.9: 1e15 is 15 digits too */
                return false;
        *tried = n >= 100000000000000u ? EXACT_DIGITS : 0;
        if (scale((double)n, -q) != a)
                return false;
        p = put_digits_before(t->d + EXACT_DIGITS, n);
        t->n = (int)(t->d + EXACT_DIGITS - p);
        memmove(t->d, p, (size_t)t->n);
        t->exp = t->n - 1 - q;
        cut_zeros(t);
        return true;
}

/* The nearest text of n digits; `buf` keeps it as the C library wrote it. */
static void decimal_print(struct decimal *t, double a, int n, char buf[40])
{
        char *p = buf;

        snprintf(buf, 40, "%.*e", n - 1, a);
        t->n = 0;
        for (; *p != 'e'; p++) {
                if (*p >= '0' && *p <= '9')
                        t->d[t->n++] = *p;
        }
        t->exp = atoi(p + 1);
}

/* The nearest text of n digits, and whether it reads back. */
static bool decimal_nearest(struct decimal *t, double a, int n)
{
        char buf[40];

        decimal_print(t, a, n, buf);
        return strtod(buf, NULL) == a;
}

static bool decimal_reads_back(const struct decimal *t, double a)
{
        char buf[40];

        snprintf(buf, sizeof(buf), "%.*se%d", t->n, t->d, t->exp - t->n + 1);
        return strtod(buf, NULL) == a;
}

static void decimal_step_up(struct decimal *t)
{
        int i = t->n - 1;

        while (i >= 0 && t->d[i] == '9')
                t->d[i--] = '0';
        if (i >= 0) {
                t->d[i]++;
                return;
        }
        t->d[0] = '1';
        t->exp++;
}

static void decimal_slow(struct decimal *t, double a, int tried)
{
        char buf[40];
        int e2;

        if (a < DBL_MIN) {
                for (int n = 1; n <= DIGITS_MAX && !decimal_nearest(t, a, n); n++)
                        continue;
                return;
        }
        if (tried < EXACT_DIGITS && decimal_nearest(t, a, EXACT_DIGITS))
                return;
        if (decimal_nearest(t, a, EXACT_DIGITS + 1))
                return;
        if (frexp(a, &e2) == 0.5) { /* a power of two */
                decimal_step_up(t);
                if (decimal_reads_back(t, a))
                        return;
        }
        decimal_print(t, a, DIGITS_MAX, buf); /* enough for any double */
}

static size_t put_plain(char *out, const struct decimal *t)
{
        int whole = t->exp + 1;
        char *o = out;

        if (whole <= 0) {
                memcpy(o, "0.00000", 7);
                o += 2 - whole;
                memcpy(o, t->d, (size_t)t->n);
                return (size_t)(o + t->n - out);
        }
        if (t->n <= whole) {
                memcpy(o, t->d, (size_t)t->n);
                memset(o + t->n, '0', (size_t)(whole - t->n));
                memcpy(o + whole, ".0", 2);
                return (size_t)whole + 2;
        }
        memcpy(o, t->d, (size_t)whole);
        o[whole] = '.';
        memcpy(o + whole + 1, t->d + whole, (size_t)(t->n - whole));
        return (size_t)t->n + 1;
}

static size_t put_scientific(char *out, const struct decimal *t)
{
        char exponent[TEXT_DOUBLE_MAX], *o = out;
        size_t n;

        *o++ = t->d[0];
        if (t->n > 1) {
                *o++ = '.';
                memcpy(o, t->d + 1, (size_t)(t->n - 1));
                o += t->n - 1;
        }
        *o++ = 'e';
        n = text_put_i64(exponent, t->exp);
        memcpy(o, exponent, n);
        return (size_t)(o - out) + n;
}

/*
 * At most four digits behind the point, and in ten thousandths within 32 bits;
 * NULL: it is not of that kind.
 */
static char *put_few(char *o, double a)
{
        char buf[16], *end = buf + sizeof(buf), *p;
        uint32_t n = a < FEW_MAX ? (uint32_t)(a * FEW_PARTS + 0.5) : 0, part = n % FEW_PARTS;

        if ((double)n / FEW_PARTS != a)
                return NULL;
        p = put_digits_before(end, n / FEW_PARTS);
        memcpy(o, p, (size_t)(end - p));
        o += end - p;
        *o++ = '.';
        memcpy(o, two_digits + 2 * (part / 100), 2);
        memcpy(o + 2, two_digits + 2 * (part % 100), 2);
        for (o += 4; o[-1] == '0' && o[-2] != '.'; o--)
                continue;
        return o;
}

size_t text_put_double(char out[TEXT_DOUBLE_MAX], double v)
{
        double a = fabs(v);
        struct decimal t;
        int tried;
        char *o = out, *few;

        if (signbit(v))
                *o++ = '-';
        few = put_few(o, a);
        if (few)
                return (size_t)(few - out);
        if (!decimal_fast(&t, a, &tried)) {
                decimal_slow(&t, a, tried);
                cut_zeros(&t);
        }
        o += a >= 1e-5 && a < 1e16 ? put_plain(o, &t) : put_scientific(o, &t);
        return (size_t)(o - out);
}

/*
 * What the grammar found: the digits without point, leading zeros or sign, and
 * where the point belongs.
 */
struct number {
        bool negative, plain; /* plain: neither fraction nor exponent */
        uint64_t n;           /* the digits' value while it fits; else saturated */
        bool fits;
        char digits[NUMBER_DIGITS + 16];
        int n_digits;
        long exp; /* of ten, that follows the kept digits */
};

static void number_digit(struct number *num, char c)
{
        if (num->n_digits == 0 && c == '0')
                return;
        if (num->n_digits < NUMBER_DIGITS) {
                num->digits[num->n_digits++] = c;
        } else {
                num->exp++;
                if (c != '0' && num->digits[NUMBER_DIGITS - 1] == '0') /* a little more than what was kept */
                        num->digits[NUMBER_DIGITS - 1] = '1';
        }
        num->fits = num->fits && !__builtin_mul_overflow(num->n, 10u, &num->n) &&
                    !__builtin_add_overflow(num->n, (uint64_t)(c - '0'), &num->n);
}

static const char *number_digits(struct number *num, const char *p, const char *end, int step)
{
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
                num->exp += step;
                number_digit(num, *p);
        }
        return p;
}

/*
 * Reads what stands behind 'e'; NULL: no digits. Beyond any double it
 * saturates.
 */
static const char *number_exponent(struct number *num, const char *p, const char *end)
{
        bool negative = false;
        long e = 0;
        const char *first;

        if (p < end && (*p == '+' || *p == '-'))
                negative = *p++ == '-';
        first = p;
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
                if (e < 100000000)
                        e = e * 10 + (*p - '0');
        }
        num->exp += negative ? -e : e;
        return p == first ? NULL : p;
}

static bool number_parse(struct number *num, const char *p, const char *end)
{
        const char *first;

        if (p < end && *p == '-') {
                num->negative = true;
                p++;
        }
        first = p;
        p = number_digits(num, p, end, 0);
        if (p == first || (*first == '0' && p - first > 1))
                return false;
        if (p < end && *p == '.') {
                num->plain = false;
                first = ++p;
                p = number_digits(num, p, end, -1);
                if (p == first)
                        return false;
        }
        if (p < end && (*p == 'e' || *p == 'E')) {
                num->plain = false;
                p = number_exponent(num, p + 1, end);
        }
        return p == end;
}

static double number_value(struct number *num)
{
        char *o = num->digits + num->n_digits;

        if (num->n_digits == 0)
                return 0;
        if (num->fits && num->n < (1ull << 53) && num->exp >= -EXACT_POWER && num->exp <= EXACT_POWER)
                return scale((double)num->n, (int)num->exp);
        if (num->exp > 400)
                return HUGE_VAL;
        if (num->exp < -2000000)
                return 0;
        snprintf(o, 16, "e%ld", num->exp);
        return strtod(num->digits, NULL);
}

/*
 * What nearly every value is: up to 18 digits, a point or none, no exponent.
 * False: it is to be looked at more closely.
 */
static bool number_short(const char *s, size_t len, double *f64, int64_t *i64, bool *is_i64)
{
        bool negative = len && *s == '-';
        const char *p = s + negative, *end = s + len, *first = p, *point = NULL;
        uint64_t n = 0; /* one digit too many still fits */

        if (end - p > SHORT_DIGITS + 1)
                return false;
        for (; p < end; p++) {
                if (*p >= '0' && *p <= '9')
                        n = n * 10 + (uint64_t)(*p - '0');
                else if (*p == '.' && !point)
                        point = p;
                else
                        return false;
        }
        if (p == first || point == first || point == end - 1 || end - first - !!point > SHORT_DIGITS ||
            (*first == '0' && end - first > 1 && point != first + 1) || (point && n >= UINT64_C(1) << 53))
                return false;
        *is_i64 = !point && (n || !negative);
        *i64 = !*is_i64 ? 0 : negative ? -(int64_t)n : (int64_t)n;
        *f64 = point ? (double)n / power_of_ten[end - point - 1] : (double)n;
        if (negative)
                *f64 = -*f64;
        return true;
}

bool text_number(const char *s, size_t len, double *f64, int64_t *i64, bool *is_i64)
{
        struct number num;
        double v;

        if (number_short(s, len, f64, i64, is_i64))
                return true;
        num.negative = false;
        num.plain = num.fits = true;
        num.n = 0;
        num.n_digits = 0;
        num.exp = 0;
        if (!number_parse(&num, s, s + len))
                return false;
        v = number_value(&num);
        if (isinf(v))
                return false;
        *f64 = num.negative ? -v : v;
        *is_i64 = num.plain && num.fits && (num.negative ? num.n - 1 < 1ull << 63 : num.n < 1ull << 63);
        *i64 = !*is_i64 ? 0 : num.negative ? (int64_t)(0 - num.n) : (int64_t)num.n;
        return true;
}
