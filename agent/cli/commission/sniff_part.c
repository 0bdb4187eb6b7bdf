/*
 * sniff_part: what was heard on a serial line as a part of a configuration.
 *
 * Lines of text get an expression with a group for each number, NMEA sentences
 * a reading for each field that is a number, Modbus a bus.  What the
 * configuration's tables do not take is only shown.  Fails: never.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/commission/sniff.h"
#include "drivers/serial/nmea.h"

enum { READINGS_MAX = 60 };

static void put_line(FILE *f, const struct site *p, const char *section, const char *name)
{
        static const char *const parities[] = {"none", "even", "odd"};

        fprintf(f, "%s:\n  - name: %s\n    port: ", section, name);
        part_text(f, p->text, strlen(p->text));
        fprintf(f, "\n    baud: %lld\n    parity: %s\n", (long long)p->line.baud, parities[p->line.parity]);
        if (p->line.data_bits != 8 && strcmp(section, "serial") == 0)
                fprintf(f, "    data_bits: %d\n", p->line.data_bits);
        fprintf(f, "    stop_bits: %d\n", p->line.stop_bits);
}

static bool put_text_lines(FILE *f, const struct site *p, const struct sniff_guess *g, const uint8_t *bytes, size_t n)
{
        char match[SNIFF_MATCH_ROOM];
        bool comma = false;
        size_t n_numbers = sniff_match(bytes, n, match, &comma);

        if (!n_numbers)
                return false;
        put_line(f, p, "serial", "line1");
        fprintf(f, "    source: line1\n    frame: line\n");
        if (strcmp(g->line_end, "\\x03") == 0)
                fprintf(f, "    delimiter: \"\\\\x03\"\n");
        if (comma)
                fprintf(f, "    decimal: comma\n");
        fprintf(f, "    match: ");
        part_text(f, match, strlen(match));
        fprintf(f, "\n    readings:\n");
        for (size_t i = 0; i < n_numbers; i++)
                fprintf(f, "      - {tag: v%zu, value: v%zu, type: number}\n", i + 1, i + 1);
        return true;
}

static const char *type_of_field(const char *address, size_t field)
{
        static const struct {
                const char *sentence;
                size_t latitude, longitude;
        } rows[] = {{"GGA", 2, 4}, {"RMC", 3, 5}, {"GLL", 1, 3}};

        for (size_t i = 0; i < 3 && strlen(address) == 5; i++) {
                if (strcmp(address + 2, rows[i].sentence) != 0)
                        continue;
                if (field == rows[i].latitude)
                        return "latitude";
                return field == rows[i].longitude ? "longitude" : "number";
        }
        return "number";
}

static bool is_number_field(const struct nmea *s, size_t i)
{
        double f64;
        int64_t i64;
        bool is_i64;
        const char *at = s->field[i];
        size_t len = s->len[i];

        while (len > 1 && *at == '0' && at[1] != '.') { /* 0123.4 is one here */
                at++;
                len--;
        }
        return text_number(at, len, &f64, &i64, &is_i64);
}

static size_t put_sentence(FILE *f, const struct nmea *s, struct part_names *seen, size_t room)
{
        char address[PART_NAME_ROOM], again[PART_NAME_ROOM];
        size_t n = 0;

        part_name(address, s->field[0], s->len[0], "x");
        strcpy(again, address);
        if (s->len[0] > 10 || part_names_add(seen, again))
                return 0;
        for (size_t i = 1; i < s->n && n < room; i++) {
                if (!is_number_field(s, i))
                        continue;
                fprintf(f, "      - {tag: %s-%zu, sentence: %s, field: %zu, type: %s}\n", address, i, address, i,
                        type_of_field(address, i));
                n++;
        }
        return n;
}

static bool put_nmea(FILE *f, const struct site *p, const uint8_t *bytes, size_t n)
{
        struct part_names seen = {0};
        size_t at = 0, len, k = 0;
        const uint8_t *line;

        put_line(f, p, "serial", "line1");
        fprintf(f, "    source: line1\n    frame: nmea0183\n    readings:\n");
        while (k < READINGS_MAX && (line = sniff_line(bytes, n, &at, &len)) != NULL) {
                struct nmea s;

                if (!sniff_is_nmea(line, len) || line[0] != '$')
                        continue;
                nmea_split(&s, line + 1, len - 4);
                k += put_sentence(f, &s, &seen, READINGS_MAX - k);
        }
        part_names_fini(&seen);
        return k > 0;
}

bool sniff_print_part(FILE *f, const struct site *p, const struct sniff_guess *g, const uint8_t *bytes, size_t n)
{
        char *text;
        size_t len;
        FILE *t = open_memstream(&text, &len);
        bool good = false;

        BUG_ON(!t);
        if (g->kind == SNIFF_LINES)
                good = put_text_lines(t, p, g, bytes, n);
        else if (g->kind == SNIFF_NMEA)
                good = put_nmea(t, p, bytes, n);
        else if (g->kind == SNIFF_MODBUS_RTU)
                good = true, put_line(t, p, "modbus", "bus1");
        fclose(t);
        good = good && part_accepted(text);
        if (g->kind == SNIFF_MODBUS_RTU && good)
                fprintf(f, "# A Modbus master talks on this line already; `millrace modbus listen` tells what it "
                           "reads.\n");
        if (good)
                fputs(text, f);
        free(text);
        return good;
}
