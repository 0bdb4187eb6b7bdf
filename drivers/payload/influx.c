/*
 * influx: see lines.h.
 *
 *   measurement,tag=value,… field=value,field2=value… time
 *
 * (docs.influxdata.com, "Line protocol reference").  In names and tags a
 * backslash stands before a comma, =, blank or backslash; in quoted values
 * before a quote or backslash.  Numbers are floats, 12i and 12u integers; t, T,
 * true, True, TRUE and the like are flags.  Lines that begin with # are
 * comments.
 *
 * Fails: with what was expected; nothing of the payload is taken then.
 */
#include <string.h>

#include "agent/base/text.h"
#include "drivers/payload/lines.h"

struct reader {
        struct payload_lines *lines;
        const char *s, *end;
};

/* Up to one of `stops`, without escapes. False: nothing stands there. */
static bool take_name(struct reader *r, const char *stops, struct json_value *v)
{
        const char *from = r->s;
        char *to = r->lines->room;
        bool escaped = false;

        for (; r->s < r->end && !strchr(stops, *r->s); r->s++) {
                if (*r->s == '\\' && r->s + 1 < r->end && strchr(",= \\", r->s[1])) {
                        escaped = true;
                        r->s++;
                }
                *to++ = *r->s;
        }
        *v = (struct json_value){.type = SCAN_TEXT, .at = from, .len = (uint32_t)(r->s - from)};
        if (escaped) {
                v->at = r->lines->room;
                v->len = (uint32_t)(to - r->lines->room);
                r->lines->room = to;
        }
        return v->len > 0;
}

static bool take_quoted(struct reader *r, struct json_value *v)
{
        char *to = r->lines->room;

        *v = (struct json_value){.type = SCAN_TEXT, .at = to}; /* its escapes are not JSON's: taken out here */
        for (r->s++; r->s < r->end && *r->s != '"'; r->s++) {
                if (*r->s == '\\' && r->s + 1 < r->end && (r->s[1] == '"' || r->s[1] == '\\'))
                        r->s++;
                *to++ = *r->s;
        }
        v->len = (uint32_t)(to - r->lines->room);
        r->lines->room = to;
        return r->s++ < r->end;
}

static bool is_flag(struct json_value *v)
{
        static const char *const words[] = {"t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"};

        for (int i = 0; i < 10; i++) {
                if (strlen(words[i]) != v->len || memcmp(words[i], v->at, v->len) != 0)
                        continue;
                v->type = i < 5 ? SCAN_TRUE : SCAN_FALSE;
                return true;
        }
        return false;
}

static bool is_digits(const char *s, size_t len)
{
        size_t i = len && *s == '-';

        while (i < len && s[i] >= '0' && s[i] <= '9')
                i++;
        return i == len && len;
}

static bool take_value(struct reader *r, struct json_value *v)
{
        const char *from = r->s;
        double f64;
        int64_t i64;
        bool is_i64;

        if (r->s < r->end && *r->s == '"')
                return take_quoted(r, v);
        while (r->s < r->end && *r->s != ',' && *r->s != ' ')
                r->s++;
        *v = (struct json_value){.type = SCAN_NUMBER, .at = from, .len = (uint32_t)(r->s - from)};
        if (!v->len)
                return false;
        if (r->s[-1] == 'i' || r->s[-1] == 'u')
                return is_digits(from, --v->len);
        return is_flag(v) || text_number(v->at, v->len, &f64, &i64, &is_i64);
}

static bool push(struct payload_walk *w, enum payload_token_kind kind, const struct json_value *v)
{
        struct payload_token t = {.kind = kind, .n = TOKEN_OPEN};

        if (v)
                t.value = *v;
        return payload_walk_take(w, &t, 0);
}

static bool push_name(struct payload_walk *w, const char *name)
{
        struct json_value v = {.type = SCAN_TEXT, .at = name, .len = (uint32_t)strlen(name)};

        return push(w, TOKEN_VALUE, &v);
}

static bool wrong(struct payload_walk *w, const char *why)
{
        w->why = why;
        return false;
}

static bool skip(struct reader *r, char c)
{
        if (r->s == r->end || *r->s != c)
                return false;
        r->s++;
        return true;
}

/*
 * In the order of their names, so that a series is one however its tags are
 * written.  False: no room, or it is there.
 */
static bool add_tag(struct payload_influx *c, const struct json_value *key, const struct json_value *tag)
{
        size_t i = c->n_tags;

        if (c->n_tags == PAYLOAD_TAGS_MAX)
                return false;
        for (; i &&
               (strncmp(c->key[i - 1].at, key->at, key->len < c->key[i - 1].len ? key->len : c->key[i - 1].len) > 0 ||
                (c->key[i - 1].len > key->len && !strncmp(c->key[i - 1].at, key->at, key->len)));
             i--) {
                c->key[i] = c->key[i - 1];
                c->tag[i] = c->tag[i - 1];
        }
        if (i && c->key[i - 1].len == key->len && !memcmp(c->key[i - 1].at, key->at, key->len))
                return false;
        c->key[i] = *key;
        c->tag[i] = *tag;
        c->n_tags++;
        return true;
}

static bool take_tags(struct payload_influx *c, struct reader *r, struct payload_walk *w)
{
        struct json_value key, tag;

        c->n_tags = 0;
        while (skip(r, ',')) {
                if (!take_name(r, ",= ", &key) || !skip(r, '=') || !take_name(r, ",= ", &tag))
                        return wrong(w, "a tag is name=value");
                if (!add_tag(c, &key, &tag))
                        return wrong(w, "more than 16 tags, or one twice");
                if (!push(w, TOKEN_VALUE, &key) || !push(w, TOKEN_VALUE, &tag))
                        return false;
        }
        return true;
}

static bool take_fields(struct reader *r, struct payload_walk *w)
{
        struct json_value key, v;

        do {
                if (!take_name(r, ",= ", &key) || !skip(r, '=') || !take_value(r, &v))
                        return wrong(w, "a field is name=value");
                if (!push(w, TOKEN_VALUE, &key) || !push(w, TOKEN_VALUE, &v))
                        return false;
        } while (skip(r, ','));
        return true;
}

static bool take_time(struct reader *r, struct payload_walk *w)
{
        struct json_value v;

        while (skip(r, ' '))
                continue;
        if (r->s == r->end)
                return true;
        v = (struct json_value){.type = SCAN_NUMBER, .at = r->s, .len = (uint32_t)(r->end - r->s)};
        while (v.len && v.at[v.len - 1] == ' ')
                v.len--;
        if (!is_digits(v.at, v.len))
                return wrong(w, "a time is a whole number");
        return push_name(w, "time") && push(w, TOKEN_VALUE, &v);
}

static bool take_line(struct payload_influx *c, struct reader *r, struct payload_walk *w)
{
        struct json_value v;

        if (!take_name(r, ", ", &v))
                return wrong(w, "a line begins with the measurement");
        if (!push(w, TOKEN_MAP, NULL) || !push_name(w, "measurement") || !push(w, TOKEN_VALUE, &v) ||
            !push_name(w, "tags") || !push(w, TOKEN_MAP, NULL) || !take_tags(c, r, w) || !push(w, TOKEN_BREAK, NULL))
                return false;
        if (!skip(r, ' '))
                return wrong(w, "a blank and fields were expected");
        while (skip(r, ' '))
                continue;
        return push_name(w, "fields") && push(w, TOKEN_MAP, NULL) && take_fields(r, w) && push(w, TOKEN_BREAK, NULL) &&
               take_time(r, w) && push(w, TOKEN_BREAK, NULL);
}

int payload_influx_record(struct payload_influx *c, struct payload_walk *w)
{
        struct reader r = {.lines = &c->lines};
        size_t len;

        do {
                if (!payload_lines_next(&c->lines, &r.s, &len))
                        return 0;
        } while (*r.s == '#');
        r.end = r.s + len;
        if (!text_is_utf8(r.s, len)) {
                w->why = "not valid UTF-8";
                return -1;
        }
        return take_line(c, &r, w) ? 1 : -1;
}
