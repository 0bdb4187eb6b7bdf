/*
 * convert_conf: the keys of a conversion -> what convert_any works with (see
 * convert.h).
 *
 * A factor such as 0.001 is not what a person means by it: 3 * 0.1 is
 * 0.30000000000000004.  Where 1 / scale is a whole number that has scale as its
 * inverse, the value is divided by it, which gives the decimal that was meant.
 *
 * Fails with a sentence about one key: what only numbers can have on what is to
 * be none, a word with two meanings, a range that is none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/convert_impl.h"

const char *const convert_types[] = {"auto", "number", "integer", "boolean", "text", NULL};
const char *const convert_decimals[] = {"point", "comma", NULL};

static double divisor_of(double scale)
{
        double inverse = scale > 0 && scale < 1 ? round(1 / scale) : 0;

        return inverse > 1 && inverse < 9e15 && 1 / inverse == scale ? inverse : 0;
}

static bool read_plain(const char *s, double *f64, int64_t *i64, bool *is_i64)
{
        return convert_number(s, strlen(s), CONVERT_POINT, f64, i64, is_i64);
}

/* ---- words ---- */

static void read_code(struct convert_word *w)
{
        uint64_t hex;

        if (convert_hex(w->text, w->len, &hex)) {
                w->is_code = w->is_i64 = true;
                w->code = (int64_t)hex;
                w->f64_code = (double)hex;
                return;
        }
        w->is_code = convert_number(w->text, w->len, CONVERT_POINT, &w->f64_code, &w->code, &w->is_i64);
}

static struct convert_word *add_word(struct convert *c, int kind, const char *text)
{
        struct convert_word *w = &c->words[c->n_words++];

        *w = (struct convert_word){.text = text, .len = strlen(text), .kind = kind};
        convert_trim(&w->text, &w->len);
        read_code(w);
        return w;
}

static void add_words(struct convert *c, int kind, const struct schema_list *from)
{
        const char *const *words = from->items;

        for (size_t i = 0; i < from->n; i++)
                add_word(c, kind, words[i]);
}

static void add_map(struct convert *c, const struct schema_list *from)
{
        const struct schema_pair *p = from->items;

        for (size_t i = 0; i < from->n; i++) {
                struct convert_word *w = add_word(c, WORD_MAP, p[i].key);
                int64_t i64;
                bool is_i64;

                w->to = p[i].value;
                w->is_number = read_plain(w->to, &w->number, &i64, &is_i64);
        }
}

static bool same_meant(const struct convert_word *a, const struct convert_word *b)
{
        if (convert_same_word(a->text, a->len, b->text, b->len))
                return true;
        return a->is_code && b->is_code && a->is_i64 == b->is_i64 &&
               (a->is_i64 ? a->code == b->code : a->f64_code == b->f64_code);
}

static int check_words(const struct convert *c, const char **key, struct err *e)
{
        static const char *const keys[] = {
                [WORD_NONE] = "none", [WORD_TRUE] = "true", [WORD_FALSE] = "false", [WORD_MAP] = "map"};

        for (size_t i = 0; i < c->n_words; i++) {
                const struct convert_word *w = &c->words[i];

                *key = keys[w->kind];
                if (!w->len)
                        return err_set(e, "an empty word; nothing at all is bad, sensor, anyway");
                if (c->type == CONVERT_NUMBER || c->type == CONVERT_INTEGER)
                        if (w->kind == WORD_MAP && !w->is_number)
                                return err_set(e, "\"%.40s\" is no number, and the type is %s", w->to,
                                               convert_types[c->type]);
                for (size_t k = 0; k < i; k++)
                        if (same_meant(w, &c->words[k]))
                                return err_set(e, "\"%.40s\" is said twice", w->text);
        }
        return 0;
}

static int take_words(struct convert *c, const struct convert_conf *conf, const char **key, struct err *e)
{
        size_t n = conf->none.n + conf->bad.n + conf->yes.n + conf->no.n + conf->map.n;

        *key = "map";
        if (n > CONVERT_WORDS_MAX)
                return err_set(e, "%zu words; allowed: %d", n, CONVERT_WORDS_MAX);
        if (n == 0)
                return 0;
        c->words = mem_alloc(n * sizeof(*c->words));
        add_words(c, WORD_NONE, &conf->none);
        add_words(c, WORD_NONE, &conf->bad);
        add_words(c, WORD_TRUE, &conf->yes);
        add_words(c, WORD_FALSE, &conf->no);
        add_map(c, &conf->map);
        c->usual_true = !conf->yes.n;
        c->usual_false = !conf->no.n;
        c->booleans |= conf->yes.n || conf->no.n;
        c->has_map = conf->map.n;
        return check_words(c, key, e);
}

/* ---- numbers ---- */

static int take_range(struct convert *c, const struct convert_conf *conf, const char **key, struct err *e)
{
        const char *const *s = conf->range.items;
        int64_t i64;
        bool is_i64;

        *key = "range";
        if (!conf->range.n)
                return 0;
        if (conf->range.n != 2 || !read_plain(s[0], &c->low, &i64, &is_i64) ||
            !read_plain(s[1], &c->high, &i64, &is_i64) || c->low > c->high)
                return err_set(e, "allowed: two numbers, the lowest and the highest, as [-40, 125]");
        c->has_range = true;
        return 0;
}

static int take_mask(struct convert *c, const struct convert_conf *conf, const char **key, struct err *e)
{
        double f64;
        int64_t i64 = 0;
        bool is_i64 = false;

        *key = "mask";
        c->mask = UINT64_MAX;
        c->shift = (uint8_t)conf->shift;
        c->has_mask = conf->mask || conf->shift;
        if (!conf->mask || (convert_hex(conf->mask, strlen(conf->mask), &c->mask) && c->mask))
                return 0;
        if (!read_plain(conf->mask, &f64, &i64, &is_i64) || !is_i64 || i64 < 1)
                return err_set(e, "\"%.40s\" are no bits; allowed: a whole number above 0, as 0x0FF0", conf->mask);
        c->mask = (uint64_t)i64;
        return 0;
}

/* What only a number can have, on what is to be none. */
static int check_kinds(const struct convert *c, const struct convert_conf *conf, const char **key, struct err *e)
{
        *key = conf->scale != 1 ? "scale" : conf->offset != 0 ? "offset" : "range";
        if ((c->scaled || c->has_range) && (c->type == CONVERT_TEXT || c->type == CONVERT_BOOLEAN))
                return err_set(e, "only for numbers, and the type is %s", convert_types[c->type]);
        *key = conf->yes.n ? "true" : "false";
        if ((conf->yes.n || conf->no.n) &&
            (c->type == CONVERT_NUMBER || c->type == CONVERT_INTEGER || c->type == CONVERT_TEXT))
                return err_set(e, "makes a boolean, and the type is %s", convert_types[c->type]);
        *key = "map";
        if (conf->map.n && c->type == CONVERT_BOOLEAN)
                return err_set(e, "not with type boolean: say which words are `true` and which `false`");
        return 0;
}

static void decide(struct convert *c)
{
        bool is_auto = c->type == CONVERT_AUTO || c->type == CONVERT_NUMERIC;
        bool any = c->scaled || c->decimal || c->has_range || c->has_mask;

        c->booleans |= c->type == CONVERT_BOOLEAN;
        any |= c->type == CONVERT_NUMERIC;
        c->number_meant = c->type == CONVERT_NUMBER || c->type == CONVERT_INTEGER ||
                          (any && is_auto && !c->booleans && !c->has_map);
        c->number_hoped = is_auto && !any && c->unit && !c->booleans && !c->has_map;
        c->plain = is_auto && !any && !c->unit && !c->n_words;
}

int convert_init(struct convert *c, const struct convert_conf *conf, const char *unit, unsigned bits, const char **key,
                 struct err *e)
{
        *c = (struct convert){.type = conf->type,
                              .decimal = conf->decimal,
                              .bits = (uint8_t)bits,
                              .scale = conf->scale,
                              .offset = conf->offset,
                              .divisor = divisor_of(conf->scale),
                              .scaled = conf->scale != 1 || conf->offset != 0,
                              .usual_true = true,
                              .usual_false = true,
                              .unit = unit && *unit ? unit : NULL};
        *key = "scale";
        if (conf->scale == 0)
                return err_set(e, "0 would make every value the same");
        if (take_range(c, conf, key, e) < 0 || take_mask(c, conf, key, e) < 0 || check_kinds(c, conf, key, e) < 0)
                return -1;
        if (take_words(c, conf, key, e) < 0) {
                convert_fini(c);
                return -1;
        }
        *key = NULL;
        decide(c);
        return 0;
}

void convert_fini(struct convert *c)
{
        free(c->words);
        c->words = NULL;
        c->n_words = 0;
}

int convert_check(const struct convert_conf *conf, const char *unit, const char **key, struct err *e)
{
        struct convert c;

        if (convert_init(&c, conf, unit, 0, key, e) < 0)
                return -1;
        convert_fini(&c);
        return 0;
}
