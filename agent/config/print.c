/*
 * print: the configuration and its tables as text, for `millrace check --dump`
 * and for the manual page.
 *
 * Why from the tables: a key that is read is a key that is shown, with the
 * default and the range it really has. What is dumped loads again to the same
 * values, but for passwords, which are left out.  Writing fails as the stream
 * does; the caller looks at ferror().
 */
#include <math.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/config/scalar.h"

static void indent(FILE *out, int depth)
{
        fprintf(out, "%*s", depth * 2, "");
}

/* sasl.password=… and its like. */
static bool is_secret(const char *s, size_t *shown)
{
        const char *eq = strchr(s, '=');
        size_t n;

        if (!eq || strncmp(eq + 1, "file:", 5) == 0 || strncmp(eq + 1, "credential:", 11) == 0)
                return false;
        n = (size_t)(eq + 1 - s);
        if (!memmem(s, n, "password", 8) && !memmem(s, n, "secret", 6) && !memmem(s, n, ".key.pem", 8))
                return false;
        *shown = n;
        return true;
}

/* Decodes one character of valid UTF-8; returns its length. */
static size_t decode(const char *s, uint32_t *out)
{
        unsigned char c = (unsigned char)s[0];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        *out = n == 1 ? c : c & (0x7fu >> n);
        for (size_t i = 1; i < n; i++)
                *out = *out << 6 | ((unsigned char)s[i] & 0x3f);
        return n;
}

/*
 * May stand in a quoted text as it is: YAML folds some line ends of other
 * scripts and refuses controls.
 */
static bool is_printable(uint32_t c)
{
        if (c < 0xa0)
                return c >= 0x20 && c < 0x7f;
        return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

static void print_text(FILE *out, const char *s)
{
        size_t shown = strlen(s);
        bool secret = is_secret(s, &shown);
        uint32_t c;

        fputc('"', out);
        for (size_t i = 0, n; i < shown; i += n) {
                n = decode(s + i, &c);
                if (c == '"' || c == '\\')
                        fprintf(out, "\\%c", (int)c);
                else if (is_printable(c))
                        fwrite(s + i, 1, n, out);
                else
                        fprintf(out, "\\u%04x", (unsigned)c);
        }
        fputs(secret ? "<not shown>\"" : "\"", out);
}

static void print_float(FILE *out, double v)
{
        char text[TEXT_DOUBLE_MAX];

        fwrite(text, 1, text_put_double(text, v), out);
}

static void print_scalar(FILE *out, const struct schema_key *key, const void *field)
{
        char text[32];

        switch (key->type) {
        case SCHEMA_BOOL:
                fputs(*(const bool *)field ? "true" : "false", out);
                return;
        case SCHEMA_INT:
                fprintf(out, "%lld", (long long)*(const int64_t *)field);
                return;
        case SCHEMA_FLOAT:
                print_float(out, *(const double *)field);
                return;
        case SCHEMA_DURATION:
                config_put_duration(text, *(const int64_t *)field);
                fputs(text, out);
                return;
        case SCHEMA_SIZE:
                config_put_size(text, *(const uint64_t *)field);
                fputs(text, out);
                return;
        case SCHEMA_CHOICE:
                fputs(key->choices[*(const int *)field], out);
                return;
        default:
                print_text(out, *(const char *const *)field);
                return;
        }
}

/* Absent: there is neither a written value nor a default. */
static bool is_absent(const struct schema_key *key, const void *field)
{
        switch (key->type) {
        case SCHEMA_TEXT:
        case SCHEMA_NAME:
        case SCHEMA_PATH:
                return !*(const char *const *)field;
        case SCHEMA_FLOAT:
                return isnan(*(const double *)field);
        case SCHEMA_INT:
                return (key->flags & SCHEMA_MINUS) && *(const int64_t *)field == -1;
        case SCHEMA_DURATION:
                return !key->def && *(const int64_t *)field == (key->flags & SCHEMA_MINUS ? -1 : 0);
        case SCHEMA_SIZE:
                return !key->def && *(const uint64_t *)field == 0;
        case SCHEMA_LIST:
        case SCHEMA_TEXTS:
        case SCHEMA_PAIRS:
                return ((const struct schema_list *)field)->n == 0;
        case SCHEMA_MAP: /* one with required keys that nobody wrote has no values to show */
                for (const struct schema_key *k = key->sub->keys; k->name; k++) {
                        if ((k->flags & SCHEMA_REQUIRED) && is_absent(k, (const char *)field + k->offset))
                                return true;
                }
                return false;
        default:
                return false;
        }
}

static void print_keys(FILE *out, const struct schema *schema, const void *obj, int depth, bool as_item);

static void print_list(FILE *out, const struct schema_key *key, const struct schema_list *list, int depth)
{
        for (size_t i = 0; i < list->n; i++) {
                indent(out, depth);
                fputs("- ", out);
                if (key->type == SCHEMA_LIST) {
                        print_keys(out, key->sub, (const char *)list->items + i * key->sub->size, depth + 1, true);
                        continue;
                }
                print_text(out, ((const char *const *)list->items)[i]);
                fputc('\n', out);
        }
}

static void print_pairs(FILE *out, const struct schema_list *list, int depth)
{
        const struct schema_pair *p = list->items;

        for (size_t i = 0; i < list->n; i++) {
                indent(out, depth);
                print_text(out, p[i].key);
                fputs(": ", out);
                print_text(out, p[i].value);
                fputc('\n', out);
        }
}

static bool is_empty_map(const struct schema_key *key, const void *field)
{
        for (const struct schema_key *k = key->sub->keys; k->name; k++) {
                const void *sub = (const char *)field + k->offset;

                if (!is_absent(k, sub) && (k->type != SCHEMA_MAP || !is_empty_map(k, sub)))
                        return false;
        }
        return true;
}

static void print_value(FILE *out, const struct schema_key *k, const void *field, int depth)
{
        bool is_block =
                k->type == SCHEMA_MAP || k->type == SCHEMA_LIST || k->type == SCHEMA_TEXTS || k->type == SCHEMA_PAIRS;

        fputc(is_block ? '\n' : ' ', out);
        if (k->type == SCHEMA_MAP)
                print_keys(out, k->sub, field, depth + 1, false);
        else if (k->type == SCHEMA_PAIRS)
                print_pairs(out, field, depth + 1);
        else if (is_block)
                print_list(out, k, field, depth + 1);
        else
                print_scalar(out, k, field);
        if (!is_block)
                fputc('\n', out);
}

/* `as_item`: the first key stands behind the "- ". */
static void print_keys(FILE *out, const struct schema *schema, const void *obj, int depth, bool as_item)
{
        for (const struct schema_key *k = schema->keys; k->name; k++) {
                const void *field = (const char *)obj + k->offset;

                if (is_absent(k, field) || (k->type == SCHEMA_MAP && is_empty_map(k, field)))
                        continue;
                if (!as_item)
                        indent(out, depth);
                as_item = false;
                fprintf(out, "%s:", k->name);
                print_value(out, k, field, depth);
        }
}

void config_dump(const struct config *c, FILE *out)
{
        print_keys(out, config_schema(), c, 0, false);
}

/* ---- the manual ---- */

/* scdoc reads _ and * as marks, and # or - only at the beginning of a line. */
static void print_escaped(FILE *out, const char *s)
{
        for (; *s; s++) {
                if (strchr("_*\\<>#`", *s))
                        fputc('\\', out);
                fputc(*s, out);
        }
}

static void print_key(FILE *out, const struct schema_key *key)
{
        char allowed[256];

        config_allowed(key, allowed, sizeof(allowed));
        fputc('*', out);
        print_escaped(out, key->name);
        fputs("*: ", out);
        print_escaped(out, allowed);
        if (key->flags & SCHEMA_REQUIRED)
                fputs("; required", out);
        if (key->def) {
                fputs("; default ", out);
                print_escaped(out, key->def);
        }
        fputs("\n\t", out);
        print_escaped(out, key->help);
        fputs("\n\n", out);
}

static void print_section(FILE *out, const struct schema *schema, const char *path)
{
        char sub[256];

        fputs("## ", out);
        print_escaped(out, *path ? path : "The file");
        fputs("\n\n", out);
        print_escaped(out, schema->help);
        fputs("\n\n", out);
        for (const struct schema_key *k = schema->keys; k->name; k++)
                print_key(out, k);
        for (const struct schema_key *k = schema->keys; k->name; k++) {
                if (!k->sub)
                        continue;
                snprintf(sub, sizeof(sub), "%s%s%s%s", path, *path ? "." : "", k->name,
                         k->type == SCHEMA_LIST ? "[]" : "");
                print_section(out, k->sub, sub);
        }
}

void config_manual(FILE *out)
{
        print_section(out, config_schema(), "");
}
