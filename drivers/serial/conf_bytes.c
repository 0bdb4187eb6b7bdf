/*
 * conf_bytes: bytes as people write them.
 *
 * Fails with a sentence that says what is allowed.
 */
#include <string.h>

#include "drivers/serial/serial.h"

static int hex_value(char c)
{
        static const char digits[] = "0123456789abcdef";
        const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;

        return at ? (int)(at - digits) : -1;
}

static int hex_byte(const char *s)
{
        int high = hex_value(s[0]), low = high < 0 ? -1 : hex_value(s[1]);

        return low < 0 ? -1 : high << 4 | low;
}

/* `s` is behind a backslash. Returns behind the escape, or NULL. */
static const char *escaped(const char *s, uint8_t *out)
{
        static const char letters[] = "rnt0\\", bytes[] = "\r\n\t\0\\";
        const char *at = *s ? strchr(letters, *s) : NULL;
        int byte = *s == 'x' ? hex_byte(s + 1) : -1;

        if (at) {
                *out = (uint8_t)bytes[at - letters];
                return s + 1;
        }
        *out = (uint8_t)byte;
        return byte < 0 ? NULL : s + 3;
}

int serial_unescape(uint8_t *out, size_t cap, const char *text, struct err *e)
{
        size_t n = 0;

        for (const char *s = text; *s; n++) {
                if (n == cap)
                        return err_set(e, "longer than %zu bytes", cap);
                if (*s != '\\') {
                        out[n] = (uint8_t)*s++;
                        continue;
                }
                s = escaped(s + 1, &out[n]);
                if (!s)
                        return err_set(e,
                                       "a backslash with nothing it could mean; allowed: \\r \\n \\t \\0 \\\\ \\xHH");
        }
        return (int)n;
}

int serial_unhex(uint8_t *out, size_t cap, const char *text, struct err *e)
{
        size_t n = 0;

        for (const char *s = text; *s;) {
                int byte;

                if (*s == ' ') {
                        s++;
                        continue;
                }
                byte = hex_byte(s);
                if (byte < 0)
                        return err_set(e, "\"%.40s\" is not bytes in hexadecimal; allowed: as \"AA 55\"", text);
                if (n == cap)
                        return err_set(e, "longer than %zu bytes", cap);
                out[n++] = (uint8_t)byte;
                s += 2;
        }
        return (int)n;
}
