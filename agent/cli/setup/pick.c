/*
 * pick: see pick.h.
 *
 * Words are told apart by what they are, not by their number: the word order
 * may be left out, the unit of measure too.  Whether a place, a type and a name
 * go together is the configuration's to say; it is asked when the file is made.
 *
 * Fails: with a sentence that names the line's first wrong word.
 */
#include "agent/cli/setup/pick.h"

#include <stdlib.h>
#include <string.h>

#include "agent/cli/commission/part.h"

enum { WORDS_MAX = 6, LINE_ROOM = 256 };

static const struct {
        const char *name;
        enum modbus_type type;
} types[] = {
        {"uint16", MODBUS_UINT16},   {"int16", MODBUS_INT16},     {"uint32", MODBUS_UINT32},
        {"int32", MODBUS_INT32},     {"uint64", MODBUS_UINT64},   {"int64", MODBUS_INT64},
        {"float32", MODBUS_FLOAT32}, {"float64", MODBUS_FLOAT64}, {"bool", MODBUS_BOOL},
};
static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA"};
static const char *const tables[] = {"coil", "discrete", "holding", "input"};

static size_t split(char *line, char *words[WORDS_MAX + 1])
{
        size_t n = 0;
        char *rest = NULL;

        for (char *w = strtok_r(line, " \t", &rest); w && n <= WORDS_MAX; w = strtok_r(NULL, " \t", &rest))
                words[n++] = w;
        return n;
}

static int take_name(char out[TEXT_NAME_MAX + 1], const char *word, struct err *e)
{
        if (!text_is_name(word, strlen(word)))
                return err_set(e, "\"%.80s\" is no name: 1 to 64 letters, digits, _ - and . are allowed", word);
        strcpy(out, word);
        return 0;
}

static int take_profile(struct pick *p, char *const *words, size_t n, struct err *e)
{
        if (n < 1 || n > 2)
                return err_set(e, "unit %u: a profile's name is needed, and at most one for the source behind it",
                               p->unit);
        if (take_name(p->profile, words[0], e) < 0)
                return -1;
        return n == 2 ? take_name(p->source, words[1], e) : 0;
}

static int take_type(struct pick *p, const char *word, struct err *e)
{
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
                if (strcmp(word, types[i].name) != 0)
                        continue;
                p->type = types[i].name;
                p->format.type = (uint8_t)types[i].type;
                p->width = p->table <= MODBUS_DISCRETE ? 1 : modbus_type_width(types[i].type, 1);
                return 0;
        }
        return err_set(e,
                       "\"%.40s\" is no type: uint16, int16, uint32, int32, uint64, int64, float32, float64 or bool "
                       "is needed",
                       word);
}

static bool take_order(struct pick *p, const char *word)
{
        for (uint8_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
                if (strcmp(word, orders[i]) != 0)
                        continue;
                p->order = orders[i];
                p->format.order = i;
                return true;
        }
        return false;
}

static int take_register(struct pick *p, char *const *words, size_t n, struct err *e)
{
        size_t at = 2;

        if (n < 3)
                return err_set(e, "unit %u: place, type and tag are needed, as %u holding:20 float32 CDAB temp",
                               p->unit, p->unit);
        if (modbus_where_parse(words[0], &p->table, &p->address, e) < 0 || take_type(p, words[1], e) < 0)
                return -1;
        if (p->address + p->width > 65536)
                return err_set(e, "%.40s reaches beyond the last register, 65535", words[0]);
        at += take_order(p, words[at]);
        if (n <= at || n > at + 2)
                return err_set(e, "unit %u, %.40s: a tag is needed, and at most a unit behind it", p->unit, words[0]);
        if (take_name(p->tag, words[at], e) < 0)
                return -1;
        if (n == at + 2 && text_copy(p->measure, sizeof(p->measure), words[at + 1]) < strlen(words[at + 1]))
                return err_set(e, "%.40s: a unit has at most %d bytes", words[at + 1], PICK_UNIT_ROOM - 1);
        return 0;
}

static int parse_one(struct pick *p, char *line, struct err *e)
{
        char *words[WORDS_MAX + 1], *end;
        size_t n = split(line, words);
        unsigned long unit = n ? strtoul(words[0], &end, 10) : 256;

        if (!n || words[0][0] < '0' || words[0][0] > '9' || *end || unit > 255)
                return err_set(e,
                               "\"%.40s\" is no unit id: all, none, or 0 to 255 and what is to be read there is needed",
                               n ? words[0] : "");
        if (n > WORDS_MAX)
                return err_set(e, "unit %lu: there are too many words; ; stands between two registers", unit);
        *p = (struct pick){.unit = (unsigned)unit};
        if (n > 1 && strcmp(words[1], "profile") == 0)
                return take_profile(p, words + 2, n - 2, e);
        return take_register(p, words + 1, n - 1, e);
}

int picks_parse(const char *text, struct pick picks[PICKS_MAX], size_t *n, struct err *e)
{
        char line[LINE_ROOM];

        *n = 0;
        if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0)
                return 0;
        for (;; text++) {
                size_t len = strcspn(text, ";");

                if (*n == PICKS_MAX)
                        return err_set(e, "at most %d registers can be picked here; the file takes more", PICKS_MAX);
                if (len >= sizeof(line))
                        return err_set(e, "\"%.40s…\" is too long; ; stands between two registers", text);
                snprintf(line, sizeof(line), "%.*s", (int)len, text);
                if (line[strspn(line, " \t")] && parse_one(&picks[(*n)++], line, e) < 0)
                        return -1;
                text += len;
                if (!*text)
                        return *n ? 0 : err_set(e, "all, none, or what is to be read is needed");
        }
}

/* ---- as a part of a configuration ---- */

static bool is_first_of_unit(const struct pick *picks, size_t i)
{
        for (size_t k = 0; k < i; k++)
                if (!picks[k].profile[0] && picks[k].unit == picks[i].unit)
                        return false;
        return !picks[i].profile[0];
}

static void print_register(FILE *f, const struct pick *p)
{
        fprintf(f, "      - {tag: ");
        part_text(f, p->tag, strlen(p->tag));
        fprintf(f, ", at: \"%s:%u\", type: %s", tables[p->table], p->address, p->type);
        if (p->order && p->width > 1)
                fprintf(f, ", word_order: %s", p->order);
        if (p->measure[0]) {
                fprintf(f, ", unit: ");
                part_text(f, p->measure, strlen(p->measure));
        }
        fprintf(f, "}\n");
}

static void print_device(FILE *f, const struct pick *p, const char *bus)
{
        char source[TEXT_NAME_MAX + 1], profile[TEXT_NAME_MAX + 1];

        snprintf(source, sizeof(source), "unit-%u", p->unit);
        snprintf(profile, sizeof(profile), "%s", p->profile[0] ? p->profile : source);
        if (p->source[0])
                snprintf(source, sizeof(source), "%s", p->source);
        fprintf(f, "  - {source: ");
        part_text(f, source, strlen(source));
        fprintf(f, ", bus: %s, unit: %u, profile: ", bus, p->unit);
        part_text(f, profile, strlen(profile));
        fprintf(f, "}\n");
}

void picks_print(FILE *f, const struct pick *picks, size_t n, const char *bus)
{
        bool headed = false;

        for (size_t i = 0; i < n; i++) {
                if (!is_first_of_unit(picks, i))
                        continue;
                fprintf(f, "%s  - name: unit-%u\n    period: 1s               # how often it is read\n    registers:\n",
                        headed ? "" : "profiles:\n", picks[i].unit);
                headed = true;
                for (size_t k = i; k < n; k++)
                        if (!picks[k].profile[0] && picks[k].unit == picks[i].unit)
                                print_register(f, &picks[k]);
        }
        fprintf(f, n ? "devices:\n" : "");
        for (size_t i = 0; i < n; i++)
                if (picks[i].profile[0] || is_first_of_unit(picks, i))
                        print_device(f, &picks[i], bus);
}
