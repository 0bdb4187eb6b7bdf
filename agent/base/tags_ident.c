/*
 * tags_ident: a tag's name as a person writes it, temp{cell=3,line=l2}, and
 * what such a text means.  Two patterns may bring the same labels in two orders:
 * they are one tag, and its text has them by name.
 *
 * Beside the source it is all that makes a tag: who has the text has the
 * identity, so the rules, the alarms' rows in the file, their topics and
 * commands know a tag by it.  Names hold none of { = , } and no quotes, so
 * nothing needs escaping and it can be cut up again.  With many labels it would
 * get long: then the last of them are left out for ~x and a hash of all.
 *
 * Cannot fail.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "agent/base/tags_impl.h"
#include "agent/base/text.h"

enum { NAME_SHARE = 64 /* bytes that a name is counted with at least: so much the labels have if it is shorter */ };

struct label {
        const char *name, *value;
        size_t name_len, value_len;
};

/* Up to the quote at its end, over what is escaped. */
static size_t quoted(const char *s)
{
        size_t n = 0;

        while (s[n] && s[n] != '"')
                n += s[n] == '\\' && s[n + 1] ? 2 : 1;
        return n;
}

/* The next of "line":"l2","cell":"3"; false: no more, or a file's nonsense. */
static bool next_member(const char **at, struct label *l)
{
        if (**at != '"')
                return false;
        l->name = *at + 1;
        l->name_len = quoted(l->name);
        if (strncmp(l->name + l->name_len, "\":\"", 3) != 0)
                return false;
        l->value = l->name + l->name_len + 3;
        l->value_len = quoted(l->value);
        if (!l->value[l->value_len])
                return false;
        *at = l->value + l->value_len + 1;
        *at += **at == ',';
        return true;
}

/* The next of line=l2,cell=3} */
static bool next_written(const char **at, struct label *l)
{
        size_t len = strcspn(*at, ",}");

        if (!len)
                return false;
        l->name = *at;
        l->name_len = strcspn(*at, "=,}");
        l->value = l->name + l->name_len + (l->name_len < len);
        l->value_len = (size_t)(*at + len - l->value);
        *at += len;
        *at += **at == ',';
        return true;
}

static bool is_same(const struct label *a, const struct label *b)
{
        return a->name_len == b->name_len && a->value_len == b->value_len && !memcmp(a->name, b->name, a->name_len) &&
               !memcmp(a->value, b->value, a->value_len);
}

static int by_name(const struct label *a, const struct label *b)
{
        size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
        int order = memcmp(a->name, b->name, n);

        return order ? order : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* The label that follows `last` by name; false: no more. */
static bool next_by_name(const char *labels, const struct label *last, struct label *out)
{
        bool found = false;
        struct label l;

        while (next_member(&labels, &l)) {
                if ((last->name && by_name(&l, last) <= 0) || (found && by_name(&l, out) >= 0))
                        continue;
                *out = l;
                found = true;
        }
        return found;
}

static size_t put_all(char *out, size_t cap, const char *name, const char *labels)
{
        size_t n = (size_t)snprintf(out, cap, "%s", name);
        struct label last = {0}, l;
        char mark = '{';

        while (n < cap && next_by_name(labels, &last, &l)) {
                n += (size_t)snprintf(out + n, cap - n, "%c%.*s=%.*s", mark, (int)l.name_len, l.name, (int)l.value_len,
                                      l.value);
                mark = ',';
                last = l;
        }
        return n < cap && mark == ',' ? n + (size_t)snprintf(out + n, cap - n, "}") : n;
}

void tags_put_ident(char out[TAGS_IDENT_MAX + 1], const char *name, const char *labels)
{
        size_t len = strlen(name), most = TAGS_IDENT_MAX - TEXT_NAME_MAX + (len > NAME_SHARE ? len : NAME_SHARE);
        size_t at = most - 20;
        struct label l;
        uint64_t h = 0;

        if (put_all(out, most + 1, name, labels) <= most)
                return;
        while (next_member(&labels, &l))
                h += text_hash(l.value, l.value_len, text_hash(l.name, l.name_len, 0));
        while (out[at] != ',' && out[at] != '{')
                at--;
        snprintf(out + at + 1, most - at, "~x%016" PRIx64 "}", h);
}

const char *tags_ident(struct tags *t, uint32_t tag)
{
        struct tag *g = tags_get(t, tag);
        char ident[TAGS_IDENT_MAX + 1];

        if (!*g->labels)
                return g->name;
        if (!g->ident) {
                tags_put_ident(ident, g->name, g->labels);
                g->ident = tags_keep(t, ident);
        }
        return g->ident;
}

uint64_t tags_labels_hash(const char *labels)
{
        uint64_t h = 0;
        struct label l;

        while (next_member(&labels, &l))
                h += table_hash(l.value, l.value_len, table_hash(l.name, l.name_len, 0));
        return h + table_hash(labels, strlen(labels), 0);
}

bool tags_labels_same(const char *a, const char *b)
{
        const char *rest = a;
        struct label x, y;

        if (!strcmp(a, b))
                return true;
        if (strlen(a) != strlen(b))
                return false;
        while (next_member(&rest, &x)) {
                const char *at = b;
                bool found = false;

                while (!found && next_member(&at, &y))
                        found = is_same(&x, &y);
                if (!found)
                        return false;
        }
        return !*rest;
}

/* ---- what is meant ---- */

bool tags_labels_have(const char *labels, const char *wanted)
{
        struct label w, l;

        while (next_written(&wanted, &w)) {
                const char *at = labels;
                bool found = false;

                while (!found && next_member(&at, &l))
                        found = is_same(&w, &l);
                if (!found)
                        return false;
        }
        return true;
}

bool tags_ident_means(const char *ident, const char *wanted)
{
        size_t len = strcspn(ident, "{");
        struct label w, l;

        if (strcspn(wanted, "{") != len || memcmp(ident, wanted, len) != 0)
                return false;
        if (!wanted[len] || !strcmp(ident, wanted))
                return true;
        wanted += len + 1;
        while (next_written(&wanted, &w)) {
                const char *at = ident[len] ? ident + len + 1 : "";
                bool found = false;

                while (!found && next_written(&at, &l))
                        found = is_same(&w, &l);
                if (!found)
                        return false;
        }
        return true;
}

bool tags_is_ident(const char *s, size_t len)
{
        size_t n = strcspn(s, "{") < len ? strcspn(s, "{") : len;
        const char *at = s + n + 1;
        struct label l;

        if (!text_is_name(s, n) || n == len)
                return n == len && text_is_name(s, n);
        while (at < s + len && next_written(&at, &l))
                if (*l.name != '~' && (!text_is_name(l.name, l.name_len) || !text_is_name(l.value, l.value_len)))
                        return false;
        return at > s + n + 1 && at[-1] != ',' && at + 1 == s + len && *at == '}';
}

/* A name in its form; of an old file (`all`) whatever it is. */
static bool put_form(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, bool all)
{
        if (text_read_name(out, s, len))
                return true;
        if (all)
                text_map_name(out, s, len);
        return all;
}

static size_t put_label_form(char *out, size_t cap, char mark, const struct label *l, bool all)
{
        char key[TEXT_NAME_MAX + 1], value[TEXT_NAME_MAX + 1];

        if (*l->name == '~')
                return (size_t)snprintf(out, cap, "%c%.*s", mark, (int)l->name_len, l->name);
        if (!put_form(key, l->name, l->name_len, all) || !put_form(value, l->value, l->value_len, all))
                return cap;
        return (size_t)snprintf(out, cap, "%c%s=%s", mark, key, value);
}

static bool ident_form(char out[TAGS_IDENT_MAX + 1], const char *s, bool all)
{
        size_t len = strcspn(s, "{"), cap = TAGS_IDENT_MAX + 1, n;
        char name[TEXT_NAME_MAX + 1], members[2 * TAGS_IDENT_MAX], mark = '{';
        const char *at = s + len + 1;
        struct label l;

        if (!put_form(name, s, len, all))
                return false;
        n = (size_t)(stpcpy(out, name) - out);
        if (!s[len])
                return true;
        for (; n < cap && next_written(&at, &l); mark = ',')
                n += put_label_form(out + n, cap - n, mark, &l, all);
        if (n + 2 > cap || mark == '{' || at[-1] == ',' || strcmp(at, "}") != 0)
                return false;
        strcpy(out + n, "}");
        if (strchr(out, '~'))
                return true;
        tags_put_labels(members, sizeof(members), out);
        tags_put_ident(out, name, members);
        return true;
}

bool tags_read_ident(char out[TAGS_IDENT_MAX + 1], const char *s)
{
        return ident_form(out, s, false);
}

bool tags_ident_today(char out[TAGS_IDENT_MAX + 1], const char *s)
{
        return ident_form(out, s, true);
}

bool tags_labels_today(char *out, size_t cap, const char *labels)
{
        size_t n = 0;
        struct label l;

        *out = '\0';
        while (n < cap && next_member(&labels, &l)) {
                char key[TEXT_NAME_MAX + 1], value[TEXT_NAME_MAX + 1];

                put_form(key, l.name, l.name_len, true);
                put_form(value, l.value, l.value_len, true);
                n += (size_t)snprintf(out + n, cap - n, "%s\"%s\":\"%s\"", n ? "," : "", key, value);
        }
        return n < cap && !*labels;
}

int tags_find_meant(struct tags *t, const char *source, const char *wanted, uint32_t *out, char *several, size_t cap)
{
        size_t n = 0, len = 0;
        uint32_t first = 0;

        if (tags_find(t, source, wanted, "", out) == 0)
                return 0;
        for (uint32_t i = 0; i < t->n; i++) {
                const struct tag *g = &t->tag[i];
                char ident[TAGS_IDENT_MAX + 1];

                if (!tags_is_tag(t, i) || strcmp(g->source, source) != 0)
                        continue;
                tags_put_ident(ident, g->name, g->labels);
                if (!tags_ident_means(ident, wanted))
                        continue;
                first = n++ ? first : i;
                if (n <= TAGS_NAMED_MAX && len < cap)
                        len += (size_t)snprintf(several + len, cap - len, "%s%s/%s", len ? ", " : "", source, ident);
        }
        if (n > TAGS_NAMED_MAX && len < cap)
                snprintf(several + len, cap - len, ", …");
        *out = first;
        return n == 0 ? TAGS_E_NONE : n == 1 ? 0 : TAGS_E_SEVERAL;
}

/* ---- as members of JSON ---- */

size_t tags_put_labels(char *out, size_t cap, const char *ident)
{
        const char *at = strchr(ident, '{');
        size_t n = 0;
        struct label l;

        *out = '\0';
        at = at ? at + 1 : "";
        while (next_written(&at, &l) && *l.name != '~' && n < cap)
                n += (size_t)snprintf(out + n, cap - n, "%s\"%.*s\":\"%.*s\"", n ? "," : "", (int)l.name_len, l.name,
                                      (int)l.value_len, l.value);
        return n < cap ? n : 0;
}

/* What an event or a notice of an alarm has of its own. */
static bool is_event_word(const char *s, size_t len)
{
        static const char *const words[] = {"rule",       "limit_kind",  "state",   "severity", "alarm_state",
                                            "active",     "unacked",     "limit",   "again",    "limit_value",
                                            "operator",   "sample_seq",  "comment", "grouped",  "activations",
                                            "old_unit",   "new_unit",    "driver",  "why",      "shelved_until",
                                            "n_readings", "worst_source"};

        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (strlen(words[i]) == len && !memcmp(words[i], s, len))
                        return true;
        return false;
}

size_t tags_put_event_labels(char *out, size_t cap, const char *labels)
{
        size_t n = 0;
        struct label l;

        while (next_member(&labels, &l) && n < cap)
                n += (size_t)snprintf(out + n, cap - n, ",\"%s%.*s\":\"%.*s\"",
                                      is_event_word(l.name, l.name_len) ? "label_" : "", (int)l.name_len, l.name,
                                      (int)l.value_len, l.value);
        return n < cap ? n : 0;
}
