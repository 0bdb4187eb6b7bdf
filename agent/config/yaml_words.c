/*
 * yaml_words: see yaml_words.h.
 *
 * The parser says what its grammar expected; what a person did is mostly in the
 * line it stopped at, or in the one before: a tab, a text that should be in
 * quotes, a colon without its blank, one blank too many.  So its words choose
 * the row of a table, and the row looks at the lines.
 *
 * Words that no row knows are told as they are.
 */
#include "agent/config/yaml_words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/scalar.h"

enum { WORD_MAX = 48, OPEN_MAX = 32, BACK_MAX = 50 };

struct line {
        const char *s;
        size_t len;
};

struct look {
        const char *text;
        size_t len;
        const struct yaml_trouble *t;
        struct yaml_spot at; /* what is told of */
        char *out;
        size_t cap;
};

/* ---- lines ---- */

/* Without its end; empty behind the last. */
static struct line line_at(const struct look *l, size_t no)
{
        const char *s = l->text, *end = l->text + l->len, *stop;

        while (no > 0 && s < end) {
                const char *next = memchr(s, '\n', (size_t)(end - s));

                s = next ? next + 1 : end;
                no--;
        }
        stop = memchr(s, '\n', (size_t)(end - s));
        stop = stop ? stop : end;
        while (stop > s && stop[-1] == '\r')
                stop--;
        return (struct line){s, (size_t)(stop - s)};
}

/* The byte of a column. */
static size_t byte_of(struct line line, size_t column)
{
        size_t i = 0;

        for (; column > 0 && i < line.len; column--) {
                size_t n = text_char(line.s + i, line.len - i);

                i += n ? n : 1;
        }
        return i;
}

static size_t column_of(struct line line, size_t byte)
{
        size_t column = 0;

        for (size_t i = 0; i < byte && i < line.len; i++)
                column += ((unsigned char)line.s[i] & 0xc0) != 0x80;
        return column;
}

static size_t indent_of(struct line line)
{
        size_t i = 0;

        while (i < line.len && line.s[i] == ' ')
                i++;
        return i;
}

static char byte_at(struct line line, size_t i)
{
        return i < line.len ? line.s[i] : '\0';
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* Nothing but blanks, or a comment. */
static bool says_nothing(struct line line)
{
        size_t i = indent_of(line);

        return i == line.len || line.s[i] == '#';
}

/* Of the last line before `no` that says something; `no` itself: none near. */
static size_t line_before(const struct look *l, size_t no)
{
        for (size_t i = no; i-- > 0 && no - i < BACK_MAX;)
                if (!says_nothing(line_at(l, i)))
                        return i;
        return no;
}

/* ---- words ---- */

/* What begins at this byte of the line, without a comment, for a person. */
static const char *value_from(struct line line, size_t byte, char out[WORD_MAX])
{
        size_t end = byte;

        while (end < line.len && line.s[end] != ',' && !(is_blank(line.s[end]) && byte_at(line, end + 1) == '#'))
                end++;
        while (end > byte && is_blank(line.s[end - 1]))
                end--;
        return config_show(out, WORD_MAX, line.s + byte, end - byte);
}

static void move(struct look *l, size_t no, size_t byte)
{
        l->at = (struct yaml_spot){no, column_of(line_at(l, no), byte)};
}

/*
 * A colon with something behind it that should have had a blank: brokers:[a].
 * Words with a scheme or a port (tcp://h:502) are none.
 */
static bool is_glued(const struct look *l, size_t no, size_t *colon)
{
        struct line line = line_at(l, no);
        size_t i = indent_of(line);

        if (byte_at(line, i) == '-' && byte_at(line, i + 1) == ' ')
                i += 2;
        while (i < line.len && (isalnum((unsigned char)line.s[i]) || line.s[i] == '_' || line.s[i] == '-'))
                i++;
        *colon = i;
        return byte_at(line, i) == ':' && i + 1 < line.len && !is_blank(line.s[i + 1]) && line.s[i + 1] != '/';
}

static bool tell_glued(struct look *l, size_t no)
{
        size_t colon;

        if (!is_glued(l, no, &colon))
                return false;
        move(l, no, colon + 1);
        snprintf(l->out, l->cap, "a blank is missing behind the colon; allowed: key: value");
        return true;
}

static bool tell_tab(struct look *l, size_t no)
{
        struct line line = line_at(l, no);
        size_t i = indent_of(line);

        if (byte_at(line, i) != '\t')
                return false;
        move(l, no, i);
        snprintf(l->out, l->cap, "a tab indents this line; allowed: blanks");
        return true;
}

/* ---- rows: true when the sentence is written ---- */

static bool on_start(struct look *l)
{
        struct line line = line_at(l, l->at.line);
        size_t byte = byte_of(line, l->at.column);
        char word[WORD_MAX];

        if (tell_tab(l, l->at.line))
                return true;
        if (byte_at(line, byte) == '\t')
                snprintf(l->out, l->cap, "a tab stands here; allowed: blanks");
        else
                snprintf(l->out, l->cap, "a value can't begin with %c; allowed: in quotes: \"%s\"", byte_at(line, byte),
                         value_from(line, byte, word));
        return true;
}

static bool on_tab(struct look *l)
{
        return tell_tab(l, l->at.line);
}

/* *, & and what they begin. */
static bool on_mark(struct look *l)
{
        struct line line = line_at(l, l->t->begin.line);
        size_t byte = byte_of(line, l->t->begin.column);
        char word[WORD_MAX];

        l->at = l->t->begin;
        snprintf(l->out, l->cap, "a value can't begin with %c; allowed: in quotes: \"%s\"", byte_at(line, byte),
                 value_from(line, byte, word));
        return true;
}

static bool on_quote(struct look *l)
{
        l->at = l->t->begin;
        snprintf(l->out, l->cap, "the quote that opens here is not closed");
        return true;
}

static bool on_escape(struct look *l)
{
        snprintf(l->out, l->cap, "no escape is written like this; allowed: single quotes, in which \\ is a character");
        return true;
}

static bool on_block_text(struct look *l)
{
        l->at = l->t->begin;
        snprintf(l->out, l->cap,
                 "behind | or > at the beginning of a value nothing may stand; allowed: the value in quotes");
        return true;
}

static bool on_directive(struct look *l)
{
        l->at = l->t->begin;
        snprintf(l->out, l->cap, "a line can't begin with %%; allowed: key: value");
        return true;
}

static bool on_document(struct look *l)
{
        snprintf(l->out, l->cap, "this stands behind the end of the document; allowed: one document, key: value");
        return true;
}

static bool on_item_behind_key(struct look *l)
{
        snprintf(l->out, l->cap, "a list begins behind a key; allowed: each item on a line of its own below the key");
        return true;
}

/* Behind a brace that closed: {source}/temp was meant as a text. */
static bool tell_braced_text(struct look *l)
{
        struct line line = line_at(l, l->at.line);
        size_t at = byte_of(line, l->at.column), open = at;
        char close = at ? byte_at(line, at - 1) : '\0', word[WORD_MAX];

        if ((close != '}' && close != ']') || at >= line.len || is_blank(line.s[at]) || strchr(",}]", line.s[at]))
                return false;
        while (open > 0 && line.s[open] != (close == '}' ? '{' : '['))
                open--;
        if (line.s[open] != (close == '}' ? '{' : '['))
                return false;
        move(l, l->at.line, open);
        snprintf(l->out, l->cap, "a text that begins with %c needs quotes: \"%s\"", line.s[open],
                 value_from(line, open, word));
        return true;
}

/* A brace within a text within braces: {topic: plant/{source}}. */
static bool tell_text_with_brace(struct look *l)
{
        struct line line = line_at(l, l->at.line);
        size_t at = byte_of(line, l->at.column), from = at, to;

        if (!at || !strchr("{[", byte_at(line, at)) || at >= line.len || strchr(" \t,:{[", line.s[at - 1]))
                return false;
        while (from > 0 && !strchr(" \t,[", line.s[from - 1]))
                from--;
        for (to = at; to < line.len && !strchr(" \t,]", line.s[to]); to++)
                ;
        move(l, l->at.line, from);
        snprintf(l->out, l->cap, "a text with %c within braces needs quotes: \"%.*s\"", line.s[at],
                 (int)(to - from < WORD_MAX ? to - from : WORD_MAX), line.s + from);
        return true;
}

static bool on_flow(struct look *l)
{
        struct line line = line_at(l, l->t->begin.line);
        char open = byte_at(line, byte_of(line, l->t->begin.column)), close = open == '[' ? ']' : '}';

        if (open != '[' && open != '{')
                return false;
        if (tell_braced_text(l) || tell_text_with_brace(l))
                return true;
        if (l->at.line == l->t->begin.line) {
                snprintf(l->out, l->cap, "a comma is missing here, or the %c that closes the %c of column %zu", close,
                         open, l->t->begin.column + 1);
                return true;
        }
        if (says_nothing(line_at(l, l->at.line)) || l->at.column == 0)
                snprintf(l->out, l->cap, "the %c that opens here is not closed", open);
        else
                snprintf(l->out, l->cap, "the %c that opens here is not closed, or a comma is missing before line %zu",
                         open, l->at.line + 1);
        l->at = l->t->begin;
        return true;
}

/* The innermost brace in front of `at` that is open there. */
static bool find_open(const struct look *l, struct yaml_spot at, struct yaml_spot *open)
{
        struct line last = line_at(l, at.line);
        const char *end = last.s + byte_of(last, at.column);
        struct yaml_spot stack[OPEN_MAX], here = {0, 0};
        bool in_comment = false;
        char quote = '\0';
        size_t n = 0;

        for (const char *s = l->text; s < end; s++) {
                if (*s == '\n') {
                        here = (struct yaml_spot){here.line + 1, 0};
                        in_comment = false;
                        continue;
                }
                in_comment |= !quote && *s == '#';
                if (!in_comment && (quote || *s == '"' || *s == '\''))
                        quote = !quote ? *s : *s == quote ? '\0' : quote;
                else if (!in_comment && (*s == '{' || *s == '[') && n < OPEN_MAX)
                        stack[n++] = here;
                else if (!in_comment && (*s == '}' || *s == ']') && n)
                        n--;
                here.column += ((unsigned char)*s & 0xc0) != 0x80;
        }
        if (n)
                *open = stack[n - 1];
        return n > 0;
}

static bool on_no_value(struct look *l)
{
        struct yaml_spot open;

        if (!says_nothing(line_at(l, l->at.line)) || !find_open(l, l->at, &open)) {
                snprintf(l->out, l->cap, "a value is missing here");
                return true;
        }
        l->at = open;
        snprintf(l->out, l->cap, "the brace that opens here is not closed");
        return true;
}

static bool on_second_colon(struct look *l)
{
        struct line line = line_at(l, l->at.line);
        size_t at = byte_of(line, l->at.column), i = indent_of(line), before = line_before(l, l->at.line);
        char word[WORD_MAX];

        if (tell_tab(l, l->at.line))
                return true;
        for (; i + 1 < at; i++) {
                if (line.s[i] != ':' || !is_blank(line.s[i + 1]))
                        continue;
                for (i++; is_blank(byte_at(line, i));)
                        i++;
                snprintf(l->out, l->cap, "a second colon in one value; allowed: the value in quotes: \"%s\"",
                         value_from(line, i, word));
                return true;
        }
        if (before == l->at.line)
                return false;
        if (tell_glued(l, before))
                return true;
        if (indent_of(line_at(l, before)) >= indent_of(line))
                return false;
        move(l, l->at.line, indent_of(line));
        snprintf(l->out, l->cap,
                 "indented deeper than line %zu, which has its value already; allowed: as deep as the keys beside it",
                 before + 1);
        return true;
}

static bool on_key(struct look *l)
{
        struct line line = line_at(l, l->at.line);
        size_t at = byte_of(line, l->at.column), indent = indent_of(line);

        if (tell_braced_text(l))
                return true;
        if (at == indent && byte_at(line, at) == '-' && is_blank(byte_at(line, at + 1)))
                snprintf(l->out, l->cap, "a list item where a key is expected: its - stands under no - above it");
        else if (at == indent)
                snprintf(l->out, l->cap,
                         "the indentation fits none of the lines above; allowed: that of the keys "
                         "beside it");
        else if (strchr("}]", byte_at(line, at)))
                snprintf(l->out, l->cap, "a %c that nothing opened", byte_at(line, at));
        else
                snprintf(l->out, l->cap,
                         "the value has ended before this; allowed: one value, in quotes when it has "
                         "quotes or braces of its own");
        return at < line.len;
}

static bool on_dash(struct look *l)
{
        struct line line = line_at(l, l->at.line);

        if (byte_at(line, indent_of(line)) == '-')
                snprintf(l->out, l->cap,
                         "the indentation of this - fits none above it; allowed: %zu blanks, as line %zu",
                         l->t->begin.column, l->t->begin.line + 1);
        else
                snprintf(l->out, l->cap,
                         "a key among list items; allowed: %zu blanks in front of a key of the item above",
                         l->t->begin.column + 2);
        return true;
}

static bool on_lone_word(struct look *l)
{
        struct line line = line_at(l, l->t->begin.line);
        size_t at = byte_of(line, l->t->begin.column);
        char word[WORD_MAX];
        const char *equals = memchr(line.s + at, '=', line.len - at);

        if (tell_glued(l, l->t->begin.line))
                return true;
        l->at = l->t->begin;
        if (equals)
                snprintf(l->out, l->cap, "= where a colon is needed; allowed: key: value");
        else
                snprintf(l->out, l->cap, "\"%s\" stands alone; allowed: key: value", value_from(line, at, word));
        return true;
}

static const struct {
        const char *context, *problem; /* what they hold; "": whatever it is */
        bool (*tell)(struct look *l);
} rows[] = {
        {"", "cannot start any token", on_start},
        {"", "tab character", on_tab},
        {"scanning an alias", "", on_mark},
        {"scanning an anchor", "", on_mark},
        {"quoted scalar", "end of stream", on_quote},
        {"quoted scalar", "document indicator", on_quote},
        {"quoted scalar", "", on_escape},
        {"block scalar", "comment or line break", on_block_text},
        {"directive", "", on_directive},
        {"", "<document start>", on_document},
        {"", "sequence entries are not allowed", on_item_behind_key},
        {"flow node", "node content", on_no_value},
        {"flow", "", on_flow},
        {"", "mapping values are not allowed", on_second_colon},
        {"block mapping", "expected key", on_key},
        {"block collection", "'-' indicator", on_dash},
        {"", "expected ':'", on_lone_word},
};

struct yaml_spot yaml_words(const char *text, size_t len, const struct yaml_trouble *t, char *out, size_t cap)
{
        struct look l = {text, len, t, t->at, out, cap};
        const char *context = t->context ? t->context : "", *problem = t->problem ? t->problem : "it can't be read";

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                if (strstr(context, rows[i].context) && strstr(problem, rows[i].problem) && rows[i].tell(&l))
                        return l.at;
        snprintf(out, cap, "not YAML: %s%s%s", context, *context ? ", " : "", problem);
        return t->at;
}
