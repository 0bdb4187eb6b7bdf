/*
 * json_scan: see json_scan.h.
 *
 * Why our own: this is the hot path.  A tree of the message, as the JSON
 * library makes it, costs 1.6 us for a payload of 120 bytes even with an arena
 * under it; one checked pass costs a tenth, allocates nothing and has its depth
 * bounded by a constant.  Everywhere else in the program JSON is the library's.
 *
 * How: a loop with an explicit stack.  Each level knows its node in the tree of
 * pointers, or -1 when nothing below it is asked for.  Objects of one sender
 * have their keys in one order, so each node remembers which one came behind
 * it, and the search among a level's nodes begins there.
 *
 * Fails: at the first wrong byte, with its position and what was expected.
 */
#include "agent/base/json_scan.h"

#include <endian.h>
#include <string.h>

#include "agent/base/text.h"

/* ---- strings ---- */

static int hex4(const char *s, const char *end)
{
        int v = 0;

        if (end - s < 4)
                return -1;
        for (int i = 0; i < 4; i++) {
                char c = s[i];
                int digit = c >= '0' && c <= '9'                 ? c - '0'
                            : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                 : -1;

                if (digit < 0)
                        return -1;
                v = v << 4 | digit;
        }
        return v;
}

/* `s` is behind "\u"; the code point, and *used of the bytes; -1: not one. */
static int32_t code_point(const char *s, const char *end, int *used)
{
        int high = hex4(s, end), low;

        *used = 4;
        if (high < 0xd800 || high > 0xdfff)
                return high;
        if (high > 0xdbff || end - s < 6 || s[4] != '\\' || s[5] != 'u')
                return -1;
        low = hex4(s + 6, end);
        if (low < 0xdc00 || low > 0xdfff)
                return -1;
        *used = 10;
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char escape_of(char c)
{
        switch (c) {
        case '"':
        case '\\':
        case '/':
                return c;
        case 'b':
                return '\b';
        case 'f':
                return '\f';
        case 'n':
                return '\n';
        case 'r':
                return '\r';
        case 't':
                return '\t';
        default:
                return 0;
        }
}

static char *put_utf8(char *out, int32_t c)
{
        if (c < 0x80) {
                *out++ = (char)c;
        } else if (c < 0x800) {
                *out++ = (char)(0xc0 | c >> 6);
                *out++ = (char)(0x80 | (c & 63));
        } else if (c < 0x10000) {
                *out++ = (char)(0xe0 | c >> 12);
                *out++ = (char)(0x80 | (c >> 6 & 63));
                *out++ = (char)(0x80 | (c & 63));
        } else {
                *out++ = (char)(0xf0 | c >> 18);
                *out++ = (char)(0x80 | (c >> 12 & 63));
                *out++ = (char)(0x80 | (c >> 6 & 63));
                *out++ = (char)(0x80 | (c & 63));
        }
        return out;
}

size_t json_unescape(char *out, const struct json_value *v)
{
        const char *s = v->at, *end = v->at + v->len;
        char *p = out;
        int used;

        while (s < end) {
                if (*s != '\\') {
                        *p++ = *s++;
                } else if (s[1] != 'u') {
                        *p++ = escape_of(s[1]);
                        s += 2;
                } else {
                        p = put_utf8(p, code_point(s + 2, end, &used));
                        s += 2 + used;
                }
        }
        return (size_t)(p - out);
}

/* ---- the scan ---- */

struct frame {
        bool is_object, in_row;
        int number;            /* which container of the text */
        int first;             /* child of its node; -1: none is asked for */
        int any;               /* while walked; else -1 */
        int *likely;           /* child to come */
        int32_t index;         /* of the element to come */
        struct json_value key; /* of the member to come, while walked */
};

struct scan {
        const struct json_paths *p;
        const char *s, *end;
        struct json_value *found;
        struct json_rows *rows;
        const char *why;
        struct frame stack[JSON_DEPTH_MAX];
        int depth, n_containers;
        int node; /* of the value to come */
};

static bool wrong(struct scan *c, const char *why)
{
        c->why = why;
        return false;
}

static inline void skip_space(struct scan *c)
{
        if (c->s == c->end || (unsigned char)*c->s > ' ')
                return;
        while (c->s < c->end && (*c->s == ' ' || *c->s == '\n' || *c->s == '\r' || *c->s == '\t'))
                c->s++;
}

static bool skip_escape(struct scan *c)
{
        int used;
        int32_t code;

        if (c->end - c->s < 2)
                return wrong(c, "the text ends inside a string");
        if (c->s[1] != 'u') {
                if (!escape_of(c->s[1]))
                        return wrong(c, "an escape that JSON does not have");
                c->s += 2;
                return true;
        }
        code = code_point(c->s + 2, c->end, &used);
        if (code <= 0)
                return wrong(c, code ? "an escape that is no character" : "a NUL in a string");
        c->s += 2 + used;
        return true;
}

/*
 * Of eight bytes: how many stand before the first quote, backslash or control
 * character; 8: there is none, as far as can be seen at once.
 */
static size_t n_plain(const char *s)
{
        const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        uint64_t w, quote, slash;

        memcpy(&w, s, sizeof(w));
        w = le64toh(w);
        quote = w ^ ones * '"';
        slash = w ^ ones * '\\';
        w = (((w - ones * 0x20) | (quote - ones) | (slash - ones)) & ~w) & tops;
        return w ? (size_t)__builtin_ctzll(w) / 8 : 8; /* what borrows make up lies above one that is there */
}

static const char *skip_plain(const char *s, const char *end)
{
        while (end - s >= 8) {
                size_t n = n_plain(s);

                s += n;
                if (n < 8)
                        return s;
        }
        while (s < end && *s != '"' && *s != '\\' && (unsigned char)*s >= 0x20)
                s++;
        return s;
}

static bool take_rest(struct scan *c, struct json_value *v)
{
        const char *from = c->s;

        for (;;) {
                c->s = skip_plain(c->s, c->end);
                if (c->s == c->end)
                        return wrong(c, "the text ends inside a string");
                if (*c->s == '"')
                        break;
                if (*c->s != '\\')
                        return wrong(c, "a control character in a string");
                v->escaped = true;
                if (!skip_escape(c))
                        return false;
        }
        v->len = (uint32_t)(c->s++ - from);
        return true;
}

/* `s` is on the opening quote. */
static inline bool take_string(struct scan *c, struct json_value *v)
{
        const char *s = ++c->s;
        size_t n;

        v->type = SCAN_TEXT;
        v->escaped = false;
        v->at = s;
        if (c->end - s < 8)
                return take_rest(c, v);
        n = n_plain(s); /* most names and words are short */
        if (n == 8 || s[n] != '"')
                return take_rest(c, v);
        v->len = (uint32_t)n;
        c->s = s + n + 1;
        return true;
}

static bool skip_digits(struct scan *c)
{
        const char *s = c->s, *from = s, *end = c->end;

        while (s < end && (unsigned char)(*s - '0') < 10)
                s++;
        c->s = s;
        return s > from || wrong(c, "a digit was expected");
}

static bool take_number(struct scan *c, struct json_value *v)
{
        v->type = SCAN_NUMBER;
        v->at = c->s;
        if (*c->s == '-')
                c->s++;
        if (c->s < c->end && *c->s == '0')
                c->s++;
        else if (!skip_digits(c))
                return false;
        if (c->s < c->end && *c->s == '.') {
                c->s++;
                if (!skip_digits(c))
                        return false;
        }
        if (c->s < c->end && (*c->s | 32) == 'e') {
                c->s++;
                if (c->s < c->end && (*c->s == '+' || *c->s == '-'))
                        c->s++;
                if (!skip_digits(c))
                        return false;
        }
        v->len = (uint32_t)(c->s - v->at);
        return true;
}

static bool take_word(struct scan *c, struct json_value *v, const char *word, enum scan_type type)
{
        size_t n = strlen(word);

        if ((size_t)(c->end - c->s) < n || memcmp(c->s, word, n) != 0)
                return wrong(c, "a value was expected");
        v->type = type;
        c->s += n;
        return true;
}

static bool take_scalar(struct scan *c, struct json_value *v)
{
        switch (*c->s) {
        case '"':
                return take_string(c, v);
        case 't':
                return take_word(c, v, "true", SCAN_TRUE);
        case 'f':
                return take_word(c, v, "false", SCAN_FALSE);
        case 'n':
                return take_word(c, v, "null", SCAN_NULL);
        default:
                if (*c->s == '-' || (*c->s >= '0' && *c->s <= '9'))
                        return take_number(c, v);
                return wrong(c, "a value was expected");
        }
}

static void keep(struct scan *c, const struct json_value *v)
{
        if (c->node >= 0 && c->p->node[c->node].slot >= 0)
                c->found[c->p->node[c->node].slot] = *v;
}

static bool is_escaped_key(const struct json_node *n, const struct json_value *key)
{
        char plain[6 * JSON_POINTER_MAX]; /* no longer key can be one of ours, however it is escaped */

        return key->len <= sizeof(plain) && json_unescape(plain, key) == n->key_len &&
               !memcmp(plain, n->key, n->key_len);
}

static inline bool is_plain_key(const struct json_node *n, const char *at, uint32_t len)
{
        return n->key_len == len && (!len || (*n->key == *at && (len == 1 || !memcmp(n->key + 1, at + 1, len - 1))));
}

static inline bool is_child(const struct json_node *n, const struct frame *f, const struct json_value *key)
{
        if (!key)
                return n->index == f->index;
        return key->escaped ? is_escaped_key(n, key) : is_plain_key(n, key->at, key->len);
}

static int search(const struct json_node *node, const struct frame *f, int start, const struct json_value *key)
{
        for (int i = start;;) {
                i = node[i].next >= 0 ? node[i].next : f->first;
                if (i == start)
                        return -1;
                if (is_child(&node[i], f, key))
                        return i;
        }
}

enum { TWICE = -2 };

/* The node of the member or element to come; or TWICE. */
static inline int find_child(struct scan *c, struct frame *f, const struct json_value *key)
{
        struct json_node *node = c->p->node;
        int i = f->first;

        f->in_row = f->any >= 0;
        if (i < 0)
                return f->any;
        if (*f->likely >= 0)
                i = *f->likely;
        if (!is_child(&node[i], f, key)) {
                i = search(node, f, i, key);
                if (i < 0)
                        return f->any;
        }
        *f->likely = i;
        f->likely = &node[i].then;
        f->in_row = false;
        if (node[i].seen == f->number)
                return TWICE;
        node[i].seen = f->number;
        return i;
}

static bool take_key(struct scan *c)
{
        struct frame *f = &c->stack[c->depth - 1];
        struct json_value key;

        skip_space(c);
        if (c->s == c->end || *c->s != '"')
                return wrong(c, "a name in quotes was expected");
        if (!take_string(c, &key))
                return false;
        skip_space(c);
        if (c->s == c->end || *c->s != ':')
                return wrong(c, "':' was expected");
        c->s++;
        if (f->any >= 0)
                f->key = key;
        c->node = find_child(c, f, &key);
        return c->node != TWICE || wrong(c, JSON_TWICE);
}

/*
 * A container begins: 1 its first value is next, 0 it is empty and over, -1
 * wrong.
 */
static int enter(struct scan *c)
{
        struct frame *f = &c->stack[c->depth];
        char closes = *c->s == '{' ? '}' : ']';
        struct json_value v = {.type = *c->s == '{' ? SCAN_OBJECT : SCAN_ARRAY};

        keep(c, &v);
        if (c->depth == JSON_DEPTH_MAX) {
                wrong(c, "nested deeper than 64 levels");
                return -1;
        }
        f->is_object = *c->s == '{';
        f->number = ++c->n_containers;
        f->index = 0;
        f->first = f->any = -1;
        if (c->node >= 0) {
                f->first = c->p->node[c->node].child;
                f->any = c->p->node[c->node].any;
                f->likely = &c->p->node[c->node].in;
        }
        if (f->any >= 0)
                json_rows_begin(c->rows);
        c->depth++;
        c->s++;
        skip_space(c);
        if (c->s < c->end && *c->s == closes) {
                c->s++;
                c->depth--;
                return 0;
        }
        if (f->is_object)
                return take_key(c) ? 1 : -1;
        c->node = find_child(c, f, NULL);
        return 1;
}

/* A value in a container that is walked is over. */
static bool end_row(struct scan *c, struct frame *f)
{
        if (!f->in_row)
                return true;
        f->in_row = false;
        if (!f->is_object)
                f->key = (struct json_value){.type = SCAN_I64, .i64 = f->index};
        return json_rows_take(c->p, c->rows, c->found, &f->key) || wrong(c, "more elements than max_elements");
}

/* Behind a value: 1 another is next, 0 the text is over, -1 wrong. */
static int leave(struct scan *c)
{
        while (c->depth) {
                struct frame *f = &c->stack[c->depth - 1];

                if (f->any >= 0 && !end_row(c, f))
                        return -1;
                skip_space(c);
                if (c->s < c->end && *c->s == ',') {
                        c->s++;
                        f->index++;
                        if (f->is_object)
                                return take_key(c) ? 1 : -1;
                        c->node = find_child(c, f, NULL);
                        return 1;
                }
                if (c->s == c->end || *c->s != (f->is_object ? '}' : ']')) {
                        wrong(c, f->is_object ? "',' or '}' was expected" : "',' or ']' was expected");
                        return -1;
                }
                c->s++;
                c->depth--;
        }
        skip_space(c);
        if (c->s < c->end)
                wrong(c, "something stands behind the end");
        return c->s < c->end ? -1 : 0;
}

static int run(struct scan *c)
{
        struct json_value v;
        int more = 1;

        while (more > 0) {
                skip_space(c);
                if (c->s == c->end) {
                        wrong(c, "the text ends too early");
                        return -1;
                }
                if (*c->s == '{' || *c->s == '[') {
                        more = enter(c);
                        if (more)
                                continue;
                } else if (take_scalar(c, &v)) {
                        keep(c, &v);
                } else {
                        return -1;
                }
                more = leave(c);
        }
        return more;
}

int json_scan(const struct json_paths *p, const char *text, size_t len, struct json_value *found,
              struct json_wrong *why)
{
        return json_scan_rows(p, text, len, found, NULL, why);
}

int json_scan_rows(const struct json_paths *p, const char *text, size_t len, struct json_value *found,
                   struct json_rows *rows, struct json_wrong *why)
{
        struct scan c;

        c.p = p;
        c.s = text;
        c.end = text + len;
        c.found = found;
        c.rows = rows;
        c.why = NULL;
        c.depth = c.n_containers = 0;
        c.node = p->n_nodes ? 0 : -1;
        json_paths_begin(p, found);
        if (run(&c) == 0) {
                if (text_is_utf8(text, len))
                        return 0;
                c.why = "not valid UTF-8";
        }
        why->why = c.why;
        why->byte = (size_t)(c.s - text);
        return -1;
}

bool json_is_members(const char *s, size_t len)
{
        static const struct json_paths none;
        char object[JSON_MEMBERS_MAX + 2];
        struct json_wrong why;

        if (len > JSON_MEMBERS_MAX || (len && *s != '"')) /* blanks alone would be an object, too */
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)s[i] < ' ') /* a record is one line */
                        return false;
        object[0] = '{';
        if (len)
                memcpy(object + 1, s, len);
        object[len + 1] = '}';
        return json_scan(&none, object, len + 2, NULL, &why) == 0;
}
