/*
 * csv: see lines.h.
 *
 * The separator is the one of , ; and tab that the header has most of.  A field
 * that is a number in JSON's grammar is one, an empty one is not there, all
 * else is text; a quoted field is text whatever it says.
 *
 * Fails: a line with more fields than columns, or a quote that does not end.
 */
#include <string.h>

#include "agent/base/text.h"
#include "drivers/payload/lines.h"

bool payload_lines_next(struct payload_lines *l, const char **line, size_t *len)
{
        while (l->s < l->end) {
                const char *end = memchr(l->s, '\n', (size_t)(l->end - l->s));

                *line = l->s;
                if (!end)
                        end = l->end;
                l->s = end < l->end ? end + 1 : end;
                *len = (size_t)(end - *line);
                if (*len && (*line)[*len - 1] == '\r')
                        --*len;
                if (*len)
                        return true;
        }
        return false;
}

/* A quoted field; *s is on the quote. NULL: it does not end. */
static const char *take_quoted(struct payload_csv *c, const char *s, const char *end, struct json_value *v)
{
        const char *from = ++s, *plain = NULL;
        char *to = c->lines.room;

        for (; s < end; s++) {
                if (*s == '"' && (s + 1 == end || s[1] != '"'))
                        break;
                if (*s == '"')
                        plain = s++; /* one of two */
                *to++ = *s;
        }
        if (s == end)
                return NULL;
        *v = (struct json_value){.type = SCAN_TEXT, .at = from, .len = (uint32_t)(s - from)};
        if (plain) {
                v->at = c->lines.room;
                v->len = (uint32_t)(to - c->lines.room);
                c->lines.room = to;
        }
        return s + 1;
}

static void judge(struct json_value *v)
{
        double f64;
        int64_t i64;
        bool is_i64;

        while (v->len && v->at[v->len - 1] == ' ')
                v->len--;
        for (; v->len && *v->at == ' '; v->at++)
                v->len--;
        v->type = !v->len ? SCAN_ABSENT : text_number(v->at, v->len, &f64, &i64, &is_i64) ? SCAN_NUMBER : SCAN_TEXT;
}

/* One field and the separator behind it. NULL: it is none. */
static const char *take_field(struct payload_csv *c, const char *s, const char *end, struct json_value *v)
{
        const char *stop;

        if (s < end && *s == '"') {
                s = take_quoted(c, s, end, v);
                return s && (s == end || *s == c->separator) ? s + (s < end) : NULL;
        }
        stop = s < end ? memchr(s, c->separator, (size_t)(end - s)) : NULL;
        *v = (struct json_value){.at = s, .len = (uint32_t)((stop ? stop : end) - s)};
        judge(v);
        return stop ? stop + 1 : end;
}

static char separator_of(const char *s, size_t len)
{
        static const char candidates[] = {',', ';', '\t'};
        size_t most = 0;
        char best = ',';

        for (int i = 0; i < 3; i++) {
                size_t n = 0;

                for (size_t k = 0; k < len; k++)
                        n += s[k] == candidates[i];
                if (n > most) {
                        most = n;
                        best = candidates[i];
                }
        }
        return best;
}

const char *payload_csv_begin(struct payload_csv *c, const char *s, size_t len, char *room)
{
        const char *line, *end;

        c->lines = (struct payload_lines){s, s + len, room};
        c->n = 0;
        if (len >= 3 && !memcmp(s, "\xef\xbb\xbf", 3)) /* as spreadsheets write it */
                c->lines.s += 3;
        if (!payload_lines_next(&c->lines, &line, &len))
                return "no header";
        if (!text_is_utf8(s, (size_t)(c->lines.end - s)))
                return "not valid UTF-8";
        c->separator = separator_of(line, len);
        for (end = line + len; line && line < end; c->n++) {
                if (c->n == PAYLOAD_COLUMNS_MAX)
                        return "more than 256 columns";
                line = take_field(c, line, end, &c->column[c->n]);
                if (!line)
                        return "a quote without its other half";
                c->column[c->n].type = SCAN_TEXT;
        }
        return NULL;
}

static bool push(struct payload_walk *w, enum payload_token_kind kind, const struct json_value *v)
{
        struct payload_token t = {.kind = kind, .n = TOKEN_OPEN};

        if (v)
                t.value = *v;
        return payload_walk_take(w, &t, 0);
}

int payload_csv_record(struct payload_csv *c, struct payload_walk *w)
{
        const char *s, *end;
        struct json_value v;
        size_t len;

        if (!payload_lines_next(&c->lines, &s, &len))
                return 0;
        end = s + len;
        if (!push(w, TOKEN_MAP, NULL))
                return -1;
        for (size_t i = 0; s < end; i++) {
                s = take_field(c, s, end, &v);
                if (!s)
                        w->why = "a quote without its other half";
                else if (i == c->n)
                        w->why = "a line with more fields than the header";
                if (w->why)
                        return -1;
                if (v.type == SCAN_ABSENT)
                        continue;
                if (!push(w, TOKEN_VALUE, &c->column[i]) || !push(w, TOKEN_VALUE, &v))
                        return -1;
        }
        return push(w, TOKEN_BREAK, NULL) ? 1 : -1;
}
