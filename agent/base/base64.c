/*
 * base64: see base64.h.
 *
 * What is read may use either alphabet, as senders mix them up; what is written
 * is the one that stands in addresses and tokens.  Bits that are left over at
 * the end are dropped, as RFC 4648 allows.  How it fails: a character of
 * neither alphabet, and a padding inside, make it none.
 */
#include "agent/base/base64.h"

#include <stdint.h>

static int six_of(char c)
{
        return c >= 'A' && c <= 'Z'   ? c - 'A'
               : c >= 'a' && c <= 'z' ? c - 'a' + 26
               : c >= '0' && c <= '9' ? c - '0' + 52
               : c == '-' || c == '+' ? 62
               : c == '_' || c == '/' ? 63
                                      : -1;
}

long base64_read(char *out, const char *s, size_t len)
{
        uint32_t bits = 0;
        long n_out = 0;
        int n = 0;

        while (len && s[len - 1] == '=')
                len--;
        for (size_t i = 0; i < len; i++) {
                int six = six_of(s[i]);

                if (six < 0)
                        return -1;
                bits = bits << 6 | (uint32_t)six;
                n += 6;
                if (n >= 8)
                        out[n_out++] = (char)(bits >> (n -= 8));
        }
        return n_out;
}

size_t base64_put_url(char *out, const char *s, size_t len)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        uint32_t bits = 0;
        size_t n_out = 0;
        int n = 0;

        for (size_t i = 0; i < len; i++) {
                bits = bits << 8 | (uint8_t)s[i];
                for (n += 8; n >= 6;)
                        out[n_out++] = letters[bits >> (n -= 6) & 63];
        }
        if (n)
                out[n_out++] = letters[bits << (6 - n) & 63];
        out[n_out] = '\0';
        return n_out;
}
