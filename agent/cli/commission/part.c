/*
 * part: see part.h.
 *
 * What is a name, the schema's own check says, character by character; so a
 * name that may be written stays as it is, and the rest becomes _.  Names are
 * kept in a table with places next to each other, which is cheap enough for
 * tens of thousands of lines.
 *
 * Fails: never.
 */
#include "agent/cli/commission/part.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"
#include "agent/cli/commission/site.h"
#include "agent/config/config.h"

/*
 * What YAML does not take as it stands, or takes for the end of a line: C1
 * controls, U+2028 and U+2029, byte order marks and what is no character.
 */
static bool is_unsafe(unsigned c)
{
        return (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

/* The code point that begins there, up to U+FFFF; `s` is UTF-8. */
static unsigned code_point(const char *s)
{
        unsigned a = (unsigned char)s[0];

        if (a >= 0xe0 && a < 0xf0)
                return (a & 0x0f) << 12 | ((unsigned)s[1] & 0x3f) << 6 | ((unsigned)s[2] & 0x3f);
        return a >= 0xc0 && a < 0xe0 ? (a & 0x1f) << 6 | ((unsigned)s[1] & 0x3f) : a;
}

static size_t char_len(const char *s, size_t len);

/* In a comment a quote needs no escape. */
static void put_escaped(FILE *f, const char *s, size_t len, bool in_quotes)
{
        char *escaped = mem_alloc(6 * len + 1);
        size_t n = text_put_json(escaped, s, len), k;

        for (size_t i = 0; i < n; i += k) {
                if (!in_quotes && escaped[i] == '\\' && strchr("\"\\", escaped[i + 1]))
                        i++;
                k = char_len(escaped + i, n - i);
                if (is_unsafe(code_point(escaped + i)))
                        fprintf(f, "\\u%04x", code_point(escaped + i));
                else
                        fwrite(escaped + i, 1, k, f);
        }
        free(escaped);
}

void part_text(FILE *f, const char *s, size_t len)
{
        fputc('"', f);
        put_escaped(f, s, len, true);
        fputc('"', f);
}

void part_remark(FILE *f, const char *s, size_t len)
{
        put_escaped(f, s, len, false);
}

void part_head(FILE *f, const char *what)
{
        fputs("# ", f);
        put_escaped(f, what, strlen(what), false);
        fprintf(f, "\n# A part of a configuration: review it, put it into conf.d/ beside millrace.yaml, then: millrace "
                   "check\n");
}

static size_t char_len(const char *s, size_t len)
{
        size_t n = 1;

        while (n < len && ((unsigned char)s[n] & 0xc0) == 0x80)
                n++;
        return n;
}

bool part_accepted(const char *text)
{
        static const char head[] = "gateway: g\nkafka: {brokers: [\"127.0.0.1:9092\"]}\n";
        struct faults faults = {0};
        struct config *conf;
        char *whole = mem_alloc(sizeof(head) + strlen(text));
        bool good;

        strcpy(whole, head);
        strcat(whole, text);
        good = config_load_text("part", whole, strlen(whole), &conf, &faults) == 0;
        if (good)
                config_free(conf);
        faults_fini(&faults);
        free(whole);
        return good;
}

bool part_name(char out[PART_NAME_ROOM], const char *s, size_t len, const char *other)
{
        char form[TEXT_NAME_MAX + 1];
        size_t n = 0, chars = 0;
        bool changed = false, gap = false;

        while (len && chars < TEXT_NAME_CHARS - 6) { /* room for -99999 */
                size_t k = char_len(s, len);
                bool good = k <= 4 && text_is_name(s, k);

                if (good) {
                        memcpy(out + n, s, k);
                        n += k;
                        chars++;
                } else if (n && !gap) {
                        out[n++] = '_';
                        chars++;
                }
                changed |= !good;
                gap = !good;
                s += k;
                len -= k;
        }
        if (gap && n)
                n--;
        out[n] = '\0';
        if (text_read_name(form, out, n)) {
                strcpy(out, form);
                return changed || len;
        }
        strcpy(out, other);
        return true;
}

static size_t place(const struct part_names *p, const char *name)
{
        size_t i = table_hash(name, strlen(name), 0) & (p->cap - 1);

        while (p->items[i] && strcmp(p->items[i], name) != 0)
                i = (i + 1) & (p->cap - 1);
        return i;
}

static void grow(struct part_names *p)
{
        struct part_names old = *p;

        p->cap = old.cap ? 2 * old.cap : 64;
        p->items = mem_alloc(p->cap * sizeof(*p->items));
        for (size_t i = 0; i < old.cap; i++)
                if (old.items[i])
                        p->items[place(p, old.items[i])] = old.items[i];
        free(old.items);
}

bool part_names_add(struct part_names *p, char name[PART_NAME_ROOM])
{
        size_t len = strlen(name);
        unsigned k = 1;

        if (2 * (p->n + 1) > p->cap)
                grow(p);
        while (p->items[place(p, name)])
                snprintf(name + len, PART_NAME_ROOM - len, "-%u", ++k);
        p->items[place(p, name)] = mem_strdup(name);
        p->n++;
        return k > 1;
}

void part_names_fini(struct part_names *p)
{
        for (size_t i = 0; i < p->cap; i++)
                free(p->items[i]);
        free(p->items);
        *p = (struct part_names){0};
}

const char *part_bus(FILE *f, const struct site *p)
{
        static const char *const parities[] = {"none", "even", "odd"};

        if (p->item)
                return p->item;
        fprintf(f, "modbus:\n  - name: bus1\n    port: ");
        part_text(f, p->text, strlen(p->text));
        fputc('\n', f);
        if (p->wire == SITE_RTU)
                fprintf(f, "    baud: %lld\n    parity: %s\n    stop_bits: %d\n", (long long)p->line.baud,
                        parities[p->line.parity], p->line.stop_bits);
        if (p->listen)
                fprintf(f, "    listen: true\n");
        return "bus1";
}
