/*
 * loose: see loose.h.
 *
 * A scale over its range writes "OL,GS,+--------kg", or "OL" alone: a line that
 * the expression for weights does not match, and whose status word still tells
 * that the last weight is no longer true.  So the expression is kept up to the
 * group of the status, which takes only the words that mean bad; from the first
 * other named group on anything may come before it, and behind it everything
 * may.  A word of letters has no letter beside it, so that OL is not OLD.
 *
 * Fails: an expression with references to a group that is left out does not
 * compile; then lines that do not match are malformed, as they were.
 */
#include "drivers/serial/loose.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

/* A parenthesis that is open. */
struct level {
        size_t out; /* length behind its beginning */
        bool gap;   /* as it was there */
        bool written;
};

struct loose {
        char *out;
        size_t cap, n;
        bool full;
        bool gap; /* anything may come: nothing is written until the status */
        struct level level[DEPTH_MAX];
        size_t depth;
};

static void put(struct loose *l, const char *s, size_t len)
{
        if (l->full || len >= l->cap - l->n) {
                l->full = true;
                return;
        }
        memcpy(l->out + l->n, s, len);
        l->n += len;
        l->out[l->n] = '\0';
}

static void put_text(struct loose *l, const char *s)
{
        put(l, s, strlen(s));
}

/* ---- reading an expression ---- */

/* Behind the character class that begins at `s`. */
static const char *skip_class(const char *s)
{
        s += s[1] == '^' ? 2 : 1;
        if (*s == ']')
                s++;
        while (*s && *s != ']') {
                const char *end = s[0] == '[' && s[1] == ':' ? strstr(s, ":]") : NULL;

                if (end)
                        s = end + 2;
                else
                        s += s[0] == '\\' && s[1] ? 2 : 1;
        }
        return *s ? s + 1 : s;
}

static const char *skip_escape(const char *s)
{
        const char *end;

        if (s[1] != 'Q')
                return s[1] ? s + 2 : s + 1;
        end = strstr(s, "\\E");
        return end ? end + 2 : s + strlen(s);
}

/* Behind what stands for itself: no parenthesis, no bar. */
static const char *skip_piece(const char *s)
{
        return *s == '\\' ? skip_escape(s) : *s == '[' ? skip_class(s) : s + 1;
}

/* The name of the group that begins at `s`; NULL: it has none. */
static const char *name_of(const char *s, size_t *len)
{
        char end = '>';

        s += strncmp(s, "(?P<", 4) == 0 ? 4 : strncmp(s, "(?<", 3) == 0 || strncmp(s, "(?'", 3) == 0 ? 3 : 0;
        if (*s == '(' || *s == '=' || *s == '!')
                return NULL;
        if (s[-1] == '\'')
                end = '\'';
        *len = (size_t)(strchr(s, end) ? strchr(s, end) - s : 0);
        return *len ? s : NULL;
}

/* What a parenthesis begins with: up to where its own pieces begin. */
static const char *skip_opening(const char *s)
{
        if (s[1] != '?')
                return s + 1;
        for (s += 2; *s && !strchr(":=!>|)", *s); s++)
                if (*s == '(')
                        return s;
        return *s && *s != ')' ? s + 1 : s;
}

/* ---- writing the other ---- */

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void put_word(struct loose *l, const char *word)
{
        size_t len = strlen(word);

        if (l->gap && is_letter(word[0]))
                put_text(l, "(?<![A-Za-z])");
        put_text(l, "\\Q");
        put_text(l, word);
        put_text(l, "\\E");
        if (len && is_letter(word[len - 1]))
                put_text(l, "(?![A-Za-z])");
}

static bool put_status(struct loose *l, const struct schema_list *words)
{
        const char *const *word = words->items;

        put_text(l, "(?:");
        for (size_t i = 0; i < words->n; i++) {
                if (!*word[i] || strstr(word[i], "\\E"))
                        return false;
                if (i)
                        put_text(l, "|");
                put_word(l, word[i]);
        }
        put_text(l, ")");
        while (l->depth)
                if (l->level[--l->depth].written)
                        put_text(l, ")");
        return !l->full && words->n > 0;
}

/* Another branch: what was before the bar is not in it. */
static void begin_branch(struct loose *l)
{
        const struct level *outer = l->depth ? &l->level[l->depth - 1] : NULL;

        if (outer && !outer->written)
                return;
        l->n = outer ? outer->out : 0;
        l->gap = outer ? outer->gap : false;
}

static const char *open_level(struct loose *l, const char *s, bool is_value)
{
        const char *end = skip_opening(s);
        struct level *level = &l->level[l->depth];

        if (l->depth == DEPTH_MAX)
                return NULL;
        if (is_value && !l->gap) {
                put_text(l, ".*?");
                l->gap = true;
        }
        *level = (struct level){.gap = l->gap, .written = !l->gap};
        if (level->written)
                put(l, s, (size_t)(end - s));
        level->out = l->n;
        l->depth++;
        return end;
}

static bool close_level(struct loose *l)
{
        if (!l->depth)
                return false;
        if (l->level[--l->depth].written)
                put_text(l, ")");
        return true;
}

bool loose_pattern(char *out, size_t cap, const char *pattern, const char *status, const struct schema_list *words)
{
        struct loose l = {.out = out, .cap = cap};
        size_t len = 0;

        for (const char *s = pattern, *next; s && *s; s = next) {
                const char *name = *s == '(' ? name_of(s, &len) : NULL;

                if (name && strlen(status) == len && memcmp(name, status, len) == 0)
                        return put_status(&l, words);
                next = *s == '(' ? open_level(&l, s, name != NULL) : skip_piece(s);
                if (*s == ')' && !close_level(&l))
                        return false;
                if (*s == '|')
                        begin_branch(&l);
                else if (*s != '(' && *s != ')' && !l.gap)
                        put(&l, s, (size_t)(next - s));
        }
        return false;
}

bool loose_has_branches(const char *pattern)
{
        size_t depth = 0, named_at = 0, len; /* named_at: depth in the outermost named group; 0: in none */

        for (const char *s = pattern, *next; *s; s = next) {
                next = *s == '(' ? skip_opening(s) : skip_piece(s);
                if (*s == '(') {
                        depth++;
                        named_at = !named_at && name_of(s, &len) ? depth : named_at;
                } else if (*s == ')') {
                        named_at = named_at == depth ? 0 : named_at;
                        depth -= depth > 0;
                } else if (*s == '|' && !named_at) {
                        return true;
                }
        }
        return false;
}
