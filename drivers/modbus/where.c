/*
 * where: the texts that say where a value lies, see decode.h.
 *
 * Fails with a sentence.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/decode.h"

static const char *const table_names[N_MODBUS_TABLES] = {"coil", "discrete", "holding", "input"};

const char *modbus_table_of(unsigned function)
{
        static const enum modbus_table of[] = {
                [1] = MODBUS_COIL, [2] = MODBUS_DISCRETE, [3] = MODBUS_HOLDING, [4] = MODBUS_INPUT};

        return function && function < sizeof(of) / sizeof(*of) ? table_names[of[function]] : "register";
}

static int fault_where(const char *text, struct err *e)
{
        return err_set(
                e,
                "\"%.80s\" is not a register; allowed: coil:N, discrete:N, holding:N, input:N (N from 0 to 65535), "
                "or as manuals count from 1: 400001 or 40001 (holding), 300001 (input), 100001 (discrete), 1 (coil)",
                text);
}

/* All of `s` is one number; strtoul would take signs and spaces too. */
static bool parse_number(const char *s, bool may_be_hex, unsigned long *out)
{
        bool hex = may_be_hex && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
        const char *digits = hex ? s + 2 : s;
        size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");

        if (n == 0 || n > 6 || digits[n])
                return false;
        *out = strtoul(digits, NULL, hex ? 16 : 10);
        return true;
}

/*
 * The reference's first digit is the table when it has five or six digits;
 * shorter ones are coils.
 */
static bool parse_reference(const char *text, enum modbus_table *table, unsigned long *number)
{
        static const int8_t by_digit[10] = {
                MODBUS_COIL, MODBUS_DISCRETE, -1, MODBUS_INPUT, MODBUS_HOLDING, -1, -1, -1, -1, -1};
        size_t len = strlen(text);
        unsigned digit = len >= 5 ? (unsigned)(text[0] - '0') : 0;
        unsigned long most = len == 6 ? 65536 : 9999;

        if (!parse_number(text, false, number) || by_digit[digit] < 0)
                return false;
        *table = (enum modbus_table)by_digit[digit];
        *number -= digit * (len == 6 ? 100000ul : 10000ul) * (len >= 5);
        if (*number < 1 || *number > most)
                return false;
        --*number;
        return true;
}

int modbus_where_parse(const char *text, enum modbus_table *table, unsigned *address, struct err *e)
{
        const char *colon = strchr(text, ':');
        unsigned long number;

        if (!colon) {
                if (!parse_reference(text, table, &number))
                        return fault_where(text, e);
                *address = (unsigned)number;
                return 0;
        }
        for (unsigned t = 0; t < N_MODBUS_TABLES; t++) {
                size_t len = strlen(table_names[t]);

                if ((size_t)(colon - text) != len || strncmp(text, table_names[t], len) != 0)
                        continue;
                if (!parse_number(colon + 1, true, &number) || number > 65535)
                        return fault_where(text, e);
                *table = (enum modbus_table)t;
                *address = (unsigned)number;
                return 0;
        }
        return fault_where(text, e);
}
