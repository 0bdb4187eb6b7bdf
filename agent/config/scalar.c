/*
 * scalar: see scalar.h.
 *
 * Why so strict: what YAML's readers guess ("no" as false, 010 as 8, 5 as five
 * of whatever unit) ends as a wrong period on a machine.  So a boolean is true
 * or false, a number is decimal and not quoted, a duration and a size have a
 * unit, and a text that looks like a number, a boolean or nothing is quoted.
 * Names and choices are taken as written.
 *
 * Fails with a sentence that first says what was found and then what is
 * allowed.
 */
#include "agent/config/scalar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

struct written {
        const char *s; /* a NUL behind it, none inside */
        size_t len;
        bool plain;
        char shown[72];
};

const char *config_show(char *out, size_t cap, const char *s, size_t len)
{
        size_t n = len < cap ? len : cap - 4;

        while (n < len && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
                n--;
        for (size_t i = 0; i < n; i++)
                out[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
        for (size_t i = 0; i + 1 < n; i++) /* U+0080 to U+009F: a terminal may obey them */
                if ((unsigned char)s[i] == 0xc2 && (unsigned char)s[i + 1] < 0xa0)
                        out[i] = out[i + 1] = '?';
        strcpy(out + n, n < len ? "…" : "");
        return out;
}

void config_put_duration(char out[32], int64_t us)
{
        static const struct {
                int64_t us;
                const char *name;
        } units[] = {{86400000000, "d"}, {3600000000, "h"}, {60000000, "m"}, {1000000, "s"}, {1000, "ms"}, {1, "us"}};
        size_t i = 0;

        if (us == 0) {
                strcpy(out, "0s");
                return;
        }
        while (us % units[i].us != 0)
                i++;
        snprintf(out, 32, "%lld%s", (long long)(us / units[i].us), units[i].name);
}

void config_put_size(char out[32], uint64_t bytes)
{
        static const char *const units[] = {"TiB", "GiB", "MiB", "KiB", "B"};
        unsigned i = 0;

        while (i < 4 && (bytes == 0 || bytes % (1ull << (40 - 10 * i)) != 0))
                i++;
        snprintf(out, 32, "%llu%s", (unsigned long long)(bytes >> (40 - 10 * i)), units[i]);
}

static bool has_range(const struct schema_key *key)
{
        return key->min != 0 || key->max != 0;
}

static void put_bound(char out[32], enum schema_type type, double v)
{
        if (type == SCHEMA_DURATION)
                config_put_duration(out, (int64_t)v);
        else if (type == SCHEMA_SIZE)
                config_put_size(out, (uint64_t)v);
        else
                snprintf(out, 32, "%.16g", v);
}

static void put_range(const struct schema_key *key, char *out, size_t cap, const char *otherwise)
{
        char low[32], high[32];

        if (!has_range(key)) {
                snprintf(out, cap, "%s", otherwise);
                return;
        }
        put_bound(low, key->type, key->min);
        put_bound(high, key->type, key->max);
        snprintf(out, cap, "%s to %s", low, high);
}

static void put_choices(const struct schema_key *key, char *out, size_t cap)
{
        size_t n = 0;

        *out = '\0';
        for (const char *const *c = key->choices; *c && n < cap; c++)
                n += (size_t)snprintf(out + n, cap - n, "%s%s", c == key->choices ? "" : c[1] ? ", " : " or ", *c);
}

void config_allowed(const struct schema_key *key, char *out, size_t cap)
{
        switch (key->type) {
        case SCHEMA_BOOL:
                snprintf(out, cap, "true or false");
                return;
        case SCHEMA_INT:
                put_range(key, out, cap, "a whole number");
                return;
        case SCHEMA_FLOAT:
                put_range(key, out, cap, "a number");
                return;
        case SCHEMA_DURATION:
                put_range(key, out, cap, "a duration, as 500ms, 5s, 1h");
                return;
        case SCHEMA_SIZE:
                put_range(key, out, cap, "a size, as 64KiB, 1GiB");
                return;
        case SCHEMA_CHOICE:
                put_choices(key, out, cap);
                return;
        case SCHEMA_NAME:
                snprintf(out, cap, "a name: 1 to 64 letters%s, digits, _ - .",
                         key->flags & SCHEMA_ASCII ? " a to z" : "");
                return;
        case SCHEMA_PATH:
                snprintf(out, cap, "an absolute path");
                return;
        case SCHEMA_TEXT:
                snprintf(out, cap, "a text");
                return;
        case SCHEMA_TEXTS:
                snprintf(out, cap, "a list of texts");
                return;
        case SCHEMA_PAIRS:
                snprintf(out, cap, "a map (word: word)");
                return;
        case SCHEMA_MAP:
                snprintf(out, cap, "a map (key: value)");
                return;
        case SCHEMA_LIST:
                snprintf(out, cap, "a list of maps (- key: value)");
                return;
        }
}

static int refuse(const struct schema_key *key, const struct written *w, const char *what, struct err *e)
{
        char allowed[256];

        config_allowed(key, allowed, sizeof(allowed));
        return err_set(e, "\"%s\" %s; allowed: %s", w->shown, what, allowed);
}

static bool is_number(const struct written *w, double *f64, int64_t *i64, bool *is_i64)
{
        return text_number(w->s, w->len, f64, i64, is_i64);
}

static bool out_of_range(const struct schema_key *key, double v)
{
        return has_range(key) && !(v >= key->min && v <= key->max);
}

static int read_bool(const struct schema_key *key, const struct written *w, bool *out, struct err *e)
{
        bool yes = strcmp(w->s, "true") == 0;

        if (!yes && strcmp(w->s, "false") != 0)
                return refuse(key, w, "is not a boolean", e);
        if (!w->plain)
                return refuse(key, w, "is a quoted text, not a boolean", e);
        *out = yes;
        return 0;
}

static int read_number(const struct schema_key *key, const struct written *w, double *f64, int64_t *i64, struct err *e)
{
        bool is_i64 = false, whole = i64 != NULL;
        int64_t spare;

        if (!is_number(w, f64, whole ? i64 : &spare, &is_i64) || (whole && !is_i64))
                return refuse(key, w, whole ? "is not a whole decimal number" : "is not a decimal number", e);
        if (!w->plain)
                return refuse(key, w, "is a quoted text, not a number", e);
        if (out_of_range(key, *f64))
                return refuse(key, w, "is out of range", e);
        return 0;
}

static int read_duration(const struct schema_key *key, const struct written *w, int64_t *out, struct err *e)
{
        double number;
        int64_t us;
        bool is_i64;

        if (is_number(w, &number, &us, &is_i64))
                return err_set(e, "\"%s\" has no unit; a duration is needed: write %ss (us, ms, s, m, h, d)", w->shown,
                               w->shown);
        if (!text_duration(w->s, &us))
                return err_set(e, "\"%s\" is not a duration; allowed: a number and us, ms, s, m, h or d, as 5s",
                               w->shown);
        if (out_of_range(key, (double)us))
                return refuse(key, w, "is out of range", e);
        *out = us;
        return 0;
}

static int read_size(const struct schema_key *key, const struct written *w, uint64_t *out, struct err *e)
{
        double number;
        int64_t i64;
        uint64_t bytes;
        bool is_i64;

        if (is_number(w, &number, &i64, &is_i64))
                return err_set(e, "\"%s\" has no unit; a size is needed: write %sMiB (B, kB, MB, GB, KiB, MiB, GiB)",
                               w->shown, w->shown);
        if (!text_size(w->s, &bytes))
                return err_set(e,
                               "\"%s\" is not a size; allowed: a number and B, kB, MB, GB, KiB, MiB or GiB, as 64KiB",
                               w->shown);
        if (out_of_range(key, (double)bytes))
                return refuse(key, w, "is out of range", e);
        *out = bytes;
        return 0;
}

static int read_choice(const struct schema_key *key, const struct written *w, int *out, struct err *e)
{
        const char *near;
        char allowed[256];
        int n = 0;

        for (; key->choices[n]; n++) {
                if (strcmp(key->choices[n], w->s) == 0) {
                        *out = n;
                        return 0;
                }
        }
        near = text_did_you_mean(w->s, key->choices, (size_t)n);
        if (!near)
                return refuse(key, w, "is not one of the choices", e);
        config_allowed(key, allowed, sizeof(allowed));
        return err_set(e, "\"%s\" is not one of the choices; allowed: %s (did you mean %s?)", w->shown, allowed, near);
}

/* A plain scalar that other YAML readers would not take for a text. */
static const char *looks_like(const struct written *w)
{
        static const char *const booleans[] = {"true", "false", "yes", "no", "on", "off"};
        double f64;
        int64_t i64;
        bool is_i64;

        if (!w->plain)
                return NULL;
        if (is_number(w, &f64, &i64, &is_i64))
                return "a number";
        for (size_t i = 0; i < sizeof(booleans) / sizeof(*booleans); i++) {
                if (strcasecmp(w->s, booleans[i]) == 0)
                        return "a boolean";
        }
        return NULL;
}

static int read_text(const struct schema_key *key, enum schema_type type, const struct written *w, const char **out,
                     struct arena *arena, struct err *e)
{
        char name[TEXT_NAME_MAX + 1], why[TEXT_NAME_WHY];
        const char *like = type == SCHEMA_TEXT && !(key->flags & SCHEMA_SCALAR) ? looks_like(w) : NULL;

        if (like)
                return err_set(e, "%s is %s; a text is needed: write \"%s\" with the quotes", w->shown, like, w->shown);
        if (type == SCHEMA_NAME && key->flags & SCHEMA_ASCII && !text_is_ascii_name(w->s, w->len))
                return refuse(key, w, "is not a name", e);
        if ((type == SCHEMA_NAME || key->flags & SCHEMA_FORM) && text_read_name(name, w->s, w->len)) {
                *out = arena_text(arena, name, strlen(name));
                return 0;
        }
        if (type == SCHEMA_NAME) {
                text_name_fault(why, w->s, w->len);
                return refuse(key, w, why, e);
        }
        if (type == SCHEMA_PATH && (w->s[0] != '/' || w->len > 4000))
                return refuse(key, w, "is not an absolute path", e);
        *out = arena_text(arena, w->s, w->len);
        return 0;
}

int config_scalar(const struct schema_key *key, enum schema_type type, const char *s, size_t len, bool plain,
                  void *field, struct arena *arena, struct err *e)
{
        struct written w = {s, len, plain, ""};
        char allowed[256];
        double f64;

        config_show(w.shown, sizeof(w.shown), s, len);
        if (memchr(s, '\0', len))
                return err_set(e, "\"%s\" holds a NUL, which is not allowed", w.shown);
        if (plain && (len == 0 || strcmp(s, "~") == 0 || strcasecmp(s, "null") == 0)) {
                config_allowed(key, allowed, sizeof(allowed));
                return err_set(e, "nothing is written here; allowed: %s", allowed);
        }
        switch (type) {
        case SCHEMA_BOOL:
                return read_bool(key, &w, field, e);
        case SCHEMA_INT:
                return read_number(key, &w, &f64, field, e);
        case SCHEMA_FLOAT:
                return read_number(key, &w, field, NULL, e);
        case SCHEMA_DURATION:
                return read_duration(key, &w, field, e);
        case SCHEMA_SIZE:
                return read_size(key, &w, field, e);
        case SCHEMA_CHOICE:
                return read_choice(key, &w, field, e);
        case SCHEMA_TEXT:
        case SCHEMA_NAME:
        case SCHEMA_PATH:
                return read_text(key, type, &w, field, arena, e);
        case SCHEMA_TEXTS:
        case SCHEMA_PAIRS:
        case SCHEMA_MAP:
        case SCHEMA_LIST:
                break;
        }
        return refuse(key, &w, "is a single value", e);
}
