/*
 * sniff_guess: see sniff_guess.h.
 *
 * The wrong speed shows as bytes without stop bits and as garbage, the wrong
 * parity as half of the bytes in error; the right ones make frames whose check
 * sum is right, or text.  So the score is the share of bytes that are explained
 * (by Modbus frames, by text), less the share that came in error.  Seven bits
 * with parity look like eight without: then the eighth bit is the parity of the
 * others in every byte, which chance does not do for long.
 *
 * Fails: never; a binary protocol that is not known here scores 30 at most.
 */
#include "agent/cli/commission/sniff_guess.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "drivers/modbus/frame.h"

enum { LINES_MAX = 50, LINE_MAX = 200, PARITY_BYTES_MIN = 12, BINARY_SCORE = 30 };

const char *const sniff_kinds[] = {
        [SNIFF_NOTHING] = "nothing came",         [SNIFF_BINARY] = "bytes of an unknown kind",
        [SNIFF_LINES] = "lines of text",          [SNIFF_NMEA] = "NMEA 0183 sentences",
        [SNIFF_MODBUS_RTU] = "Modbus RTU frames", [SNIFF_MODBUS_ASCII] = "Modbus ASCII frames"};

size_t sniff_unmark(struct sniff_marks *m, const uint8_t *p, size_t n, uint8_t *out, size_t *n_errors)
{
        size_t k = 0;

        for (size_t i = 0; i < n; i++) {
                switch (m->state) {
                case 0:
                        if (p[i] == 0xff)
                                m->state = 1;
                        else
                                out[k++] = p[i];
                        break;
                case 1: /* behind FF */
                        m->state = p[i] == 0 ? 2 : 0;
                        if (p[i] != 0)
                                out[k++] = p[i];
                        break;
                default: /* behind FF 00 */
                        m->state = 0;
                        out[k++] = p[i];
                        ++*n_errors;
                }
        }
        return k;
}

/* ---- seven bits ---- */

static char parity7(const uint8_t *p, size_t n)
{
        size_t even = 0, high = 0;

        for (size_t i = 0; i < n; i++) {
                even += __builtin_popcount(p[i]) % 2 == 0;
                high += p[i] >> 7;
        }
        if (n < PARITY_BYTES_MIN || !high)
                return 0;
        return even == n ? 'E' : even == 0 ? 'O' : 0;
}

/* ---- frames ---- */

static size_t rtu_len(const uint8_t *p, size_t n, enum modbus_role role)
{
        int pdu = n > 2 ? modbus_pdu_len(role, p + 1, n - 1) : -1;
        uint16_t crc;

        if (pdu <= 0 || (size_t)pdu + 3 > n || p[0] > 247)
                return 0;
        crc = modbus_crc(p, (size_t)pdu + 1);
        return p[pdu + 1] == (crc & 0xff) && p[pdu + 2] == crc >> 8 ? (size_t)pdu + 3 : 0;
}

/* Bytes that lie in Modbus RTU frames. */
static size_t in_rtu(const uint8_t *p, size_t n)
{
        size_t in = 0;

        for (size_t i = 0; i + 4 <= n;) {
                size_t len = rtu_len(p + i, n - i, MODBUS_REQUEST);

                len = len ? len : rtu_len(p + i, n - i, MODBUS_REPLY);
                in += len;
                i += len ? len : 1;
        }
        return in;
}

static bool is_text(uint8_t c)
{
        return isprint(c) || c == '\r' || c == '\n' || c == '\t' || c == 2 || c == 3 || c == 0xb0 || c == 0xb5;
}

static size_t in_text(const uint8_t *p, size_t n)
{
        size_t in = 0;

        for (size_t i = 0; i < n; i++)
                in += is_text(p[i]);
        return in;
}

/* ---- lines ---- */

const uint8_t *sniff_line(const uint8_t *p, size_t n, size_t *at, size_t *len)
{
        size_t from, to;

        while (*at < n && (p[*at] == '\r' || p[*at] == '\n' || p[*at] == 3))
                ++*at;
        from = to = *at;
        while (to < n && p[to] != '\r' && p[to] != '\n' && p[to] != 3)
                to++;
        *at = to;
        *len = to - from;
        return to < n ? p + from : NULL;
}

static int hex_digit(uint8_t c)
{
        return isdigit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sniff_is_nmea(const uint8_t *s, size_t len)
{
        unsigned sum = 0;

        if (len < 9 || (s[0] != '$' && s[0] != '!') || s[len - 3] != '*')
                return false;
        for (size_t i = 1; i < len - 3; i++)
                sum ^= s[i];
        return hex_digit(s[len - 2]) == (int)(sum >> 4) && hex_digit(s[len - 1]) == (int)(sum & 15);
}

static bool is_modbus_ascii(const uint8_t *s, size_t len)
{
        unsigned sum = 0;

        if (len < 9 || s[0] != ':' || len % 2 == 0)
                return false;
        for (size_t i = 1; i < len; i += 2) {
                if (hex_digit(s[i]) < 0 || hex_digit(s[i + 1]) < 0)
                        return false;
                sum += (unsigned)(hex_digit(s[i]) << 4 | hex_digit(s[i + 1]));
        }
        return (sum & 255) == 0;
}

static const char *line_end(const uint8_t *p, size_t n)
{
        size_t crlf = 0, cr = 0, lf = 0, etx = 0;

        for (size_t i = 0; i < n; i++) {
                bool pair = i + 1 < n && p[i] == '\r' && p[i + 1] == '\n';

                crlf += pair;
                cr += p[i] == '\r' && !pair;
                lf += p[i] == '\n' && (i == 0 || p[i - 1] != '\r');
                etx += p[i] == 3;
        }
        if (crlf >= cr && crlf >= lf && crlf >= etx)
                return crlf ? "\\r\\n" : "";
        return cr >= lf && cr >= etx ? "\\r" : lf >= etx ? "\\n" : "\\x03";
}

static enum sniff_kind kind_of_lines(const uint8_t *p, size_t n, size_t *n_lines)
{
        size_t at = 0, len, nmea = 0, ascii = 0;
        const uint8_t *line;

        *n_lines = 0;
        while ((line = sniff_line(p, n, &at, &len)) != NULL) {
                ++*n_lines;
                nmea += sniff_is_nmea(line, len);
                ascii += is_modbus_ascii(line, len);
        }
        if (2 * nmea > *n_lines)
                return SNIFF_NMEA;
        return 2 * ascii > *n_lines ? SNIFF_MODBUS_ASCII : SNIFF_LINES;
}

struct sniff_guess sniff_judge(uint8_t *p, size_t n, size_t n_errors)
{
        struct sniff_guess g = {.score = -1, .line_end = ""};
        double right, rtu, text;

        if (!n)
                return g;
        rtu = (double)in_rtu(p, n) / (double)n;
        g.parity7 = rtu > 0.5 ? 0 : parity7(p, n);
        for (size_t i = 0; g.parity7 && i < n; i++)
                p[i] &= 0x7f;
        text = (double)in_text(p, n) / (double)n;
        right = 1 - (double)(n_errors < n ? n_errors : n) / (double)n;
        g.kind = SNIFF_BINARY;
        g.score = (int)(BINARY_SCORE * right);
        if (rtu >= 0.5 && rtu >= text) {
                g.kind = SNIFF_MODBUS_RTU;
                g.score = (int)(100 * rtu * right);
        } else if (text > 0.85) {
                g.kind = kind_of_lines(p, n, &g.n_lines);
                g.line_end = line_end(p, n);
                g.score = (int)((g.n_lines ? 100 : 60) * text * right);
        }
        return g;
}

/* ---- an expression for the lines ---- */

struct parts {
        size_t n; /* numbers */
        struct {
                const uint8_t *at;
                size_t len;
        } between[SNIFF_NUMBERS_MAX + 1]; /* the text before each number, and behind the last */
};

static size_t number_len(const uint8_t *s, size_t len, bool comma)
{
        size_t i = len && (*s == '-' || *s == '+') ? 1 : 0, digits;

        while (i && i < len && s[i] == ' ')
                i++;
        digits = i;
        while (i < len && isdigit(s[i]))
                i++;
        if (i == digits)
                return 0;
        if (i + 1 < len && s[i] == (comma ? ',' : '.') && isdigit(s[i + 1]))
                for (i++; i < len && isdigit(s[i]);)
                        i++;
        return i;
}

/* A number begins behind what is no letter: the 3 of "m3" is none. */
static bool take_apart(const uint8_t *s, size_t len, bool comma, struct parts *out)
{
        size_t from = 0, i = 0;

        out->n = 0;
        while (i < len) {
                size_t n = i && (isalnum(s[i - 1]) || s[i - 1] == '.') ? 0 : number_len(s + i, len - i, comma);

                if (!n) {
                        i++;
                        continue;
                }
                if (out->n == SNIFF_NUMBERS_MAX)
                        return false;
                out->between[out->n].at = s + from;
                out->between[out->n++].len = i - from;
                from = i = i + n;
        }
        out->between[out->n].at = s + from;
        out->between[out->n].len = len - from;
        return true;
}

static size_t put_literal(char *out, const uint8_t *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++) {
                if (s[i] == ' ') {
                        while (i + 1 < len && s[i + 1] == ' ')
                                i++;
                        n += (size_t)sprintf(out + n, " *");
                } else if (isalnum(s[i]) || s[i] == ',' || s[i] == ';' || s[i] == ':') {
                        out[n++] = (char)s[i];
                } else {
                        n += (size_t)sprintf(out + n, "\\x%02x", s[i]);
                }
        }
        return n;
}

static bool same(const struct parts *a, const struct parts *b, size_t i)
{
        return a->between[i].len == b->between[i].len &&
               memcmp(a->between[i].at, b->between[i].at, a->between[i].len) == 0;
}

/*
 * "12,5": where ; divides the fields, or the one comma of the line stands
 * between digits.
 */
static bool has_decimal_comma(const uint8_t *s, size_t len)
{
        const uint8_t *comma = memchr(s, ',', len);
        size_t i = comma ? (size_t)(comma - s) : 0;

        if (!i || i + 1 >= len || !isdigit(s[i - 1]) || !isdigit(s[i + 1]) || memchr(s, '.', len))
                return false;
        return memchr(s, ';', len) || !memchr(comma + 1, ',', len - i - 1);
}

size_t sniff_match(const uint8_t *p, size_t n, char out[SNIFF_MATCH_ROOM], bool *comma)
{
        bool differs[SNIFF_NUMBERS_MAX + 1] = {false};
        struct parts first = {0}, other;
        size_t at = 0, len, k = 0, lines = 0, fitting = 0;
        const uint8_t *line;

        (void)sniff_line(p, n, &at, &len); /* the first one may have lost its beginning */
        while ((line = sniff_line(p, n, &at, &len)) != NULL && lines++ < LINES_MAX) {
                if (!first.n)
                        *comma = has_decimal_comma(line, len);
                if (len > LINE_MAX || !take_apart(line, len, *comma, &other) || !other.n)
                        continue;
                if (!first.n)
                        first = other;
                if (other.n != first.n)
                        continue;
                fitting++;
                for (size_t i = 0; i <= first.n; i++)
                        differs[i] |= !same(&first, &other, i);
        }
        if (!first.n || 2 * fitting < lines)
                return 0;
        out[k++] = '^';
        for (size_t i = 0; i <= first.n; i++) {
                if (k + 4 * first.between[i].len + 60 > SNIFF_MATCH_ROOM)
                        return 0;
                k += differs[i] ? (size_t)sprintf(out + k, ".*?")
                                : put_literal(out + k, first.between[i].at, first.between[i].len);
                if (i < first.n)
                        k += (size_t)sprintf(out + k, "(?<v%zu>[-+]? *[0-9]+(?:%s[0-9]+)?)", i + 1,
                                             *comma ? "," : "[.]");
        }
        out[k++] = '$';
        out[k] = '\0';
        return first.n;
}
