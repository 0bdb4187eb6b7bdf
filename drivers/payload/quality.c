/*
 * quality: see quality.h.
 *
 * Only what is listed is good or uncertain; any other word is bad, as a new
 * word of a new firmware is.  Words are compared without regard to case,
 * numbers by value: 192 is 192.0, and "192" too.
 */
#include "drivers/payload/quality.h"

#include <string.h>
#include <strings.h>

#include "agent/base/text.h"

static int check(void *obj, const char **key, struct err *e)
{
        const struct payload_quality_conf *c = obj;

        if (c->value && !c->good.n) {
                *key = "good";
                return err_set(e, "which values mean good? All that are listed nowhere mean bad");
        }
        if (!c->value && (c->good.n || c->uncertain.n)) {
                *key = "value";
                return err_set(e, "needs `value`: where the quality stands");
        }
        return 0;
}

static const struct schema_key keys[] = {
        {"value", SCHEMA_TEXT, 0, offsetof(struct payload_quality_conf, value),
         .help = "JSON pointer to the quality, from the element, or behind $ from the message."},
        {"good", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(struct payload_quality_conf, good),
         .help = "Words, numbers, true or false that mean good, as [true, Good, 192]."},
        {"uncertain", SCHEMA_TEXTS, SCHEMA_SCALAR, offsetof(struct payload_quality_conf, uncertain),
         .help = "Those that mean uncertain. What is listed nowhere, and null, is bad; what is not there is good."},
        {NULL},
};

const struct schema payload_quality_schema = {
        .name = "payload quality",
        .help = "How good the payload says its values are.",
        .keys = keys,
        .size = sizeof(struct payload_quality_conf),
        .check = check,
};

static bool same_number(const char *word, const struct json_value *v)
{
        double a, b;
        int64_t i64;
        bool is_i64;

        if (!text_number(word, strlen(word), &a, &i64, &is_i64))
                return false;
        if (v->type == SCAN_I64)
                return is_i64 ? i64 == v->i64 : a == (double)v->i64;
        if (v->type == SCAN_F64)
                return a == v->f64;
        return (v->type == SCAN_NUMBER || v->type == SCAN_TEXT) && text_number(v->at, v->len, &b, &i64, &is_i64) &&
               a == b;
}

static bool is_word(const char *word, const struct json_value *v)
{
        if (v->type == SCAN_TRUE || v->type == SCAN_FALSE)
                return !strcasecmp(word, v->type == SCAN_TRUE ? "true" : "false");
        if ((v->type == SCAN_TEXT || v->type == SCAN_NUMBER) && strlen(word) == v->len &&
            !strncasecmp(word, v->at, v->len))
                return true;
        return same_number(word, v);
}

static bool is_in(const struct schema_list *list, const struct json_value *v)
{
        const char *const *word = list->items;

        for (size_t i = 0; i < list->n; i++)
                if (is_word(word[i], v))
                        return true;
        return false;
}

enum quality payload_quality_of(const struct payload_quality_conf *c, const struct json_value *v)
{
        if (v->type == SCAN_ABSENT || is_in(&c->good, v))
                return QUALITY_GOOD;
        return is_in(&c->uncertain, v) ? QUALITY_UNCERTAIN : QUALITY_BAD;
}
