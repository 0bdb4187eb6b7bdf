/*
 * fuzz_names: any bytes as a name from the wire, as labels of a file, as what a
 * person types, as a name of an older file.
 *
 * Holds: what comes out is a name, in normal form C by the library's own hand,
 * and a name that is one stays as it is; what was changed without being cut
 * says what was sent, in that form, so no two names become one; a mark makes
 * another name; a name of an older file is one of today, and stays; labels of
 * any kind make a text within its bounds that means itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "agent/base/err.h"
#include "agent/base/tags.h"
#include "agent/base/text.h"
#include "agent/base/text_nfc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned hex_of(char c)
{
        return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* What was sent, out of the name; a _ stands for the next byte behind the mark. */
static size_t undo(const char *name, size_t head, char *out)
{
        const char *hex = name + head + 2;
        size_t n = 0;

        for (size_t i = 0; i < head; i++) {
                out[n++] = name[i] == '_' ? (char)(hex_of(hex[0]) << 4 | hex_of(hex[1])) : name[i];
                hex += name[i] == '_' ? 2 : 0;
        }
        BUG_ON(*hex);
        return n;
}

/* All of it in normal form C; piece by piece, as it is cut up again. */
static size_t form_of(const char *s, size_t len, char *out)
{
        struct text_nfc p = {.at = s, .end = s + len};
        size_t n = 0;

        while (text_nfc_next(&p)) {
                memcpy(out + n, p.piece, p.len);
                n += p.len;
        }
        return n;
}

static void check_form(const char *name)
{
        utf8proc_uint8_t *nfc = utf8proc_NFC((const utf8proc_uint8_t *)name);

        BUG_ON(!nfc || strcmp((const char *)nfc, name) != 0);
        free(nfc);
}

static void check_name(const char *s, size_t len)
{
        char out[TEXT_NAME_MAX + 1], again[TEXT_NAME_MAX + 1], marked[TEXT_NAME_MAX + 1], sent[TEXT_NAME_MAX];
        char *form = malloc(4 * len + 1);
        size_t n = form_of(s, len, form), head;
        bool changed = text_map_name(out, s, len);

        BUG_ON(!text_is_name(out, strlen(out)) || !text_is_utf8(out, strlen(out)));
        BUG_ON(text_name_chars(out) > TEXT_NAME_CHARS);
        check_form(out);
        BUG_ON(changed != text_map_name(again, form, n) || strcmp(out, again)); /* in whatever form it came */
        text_mark_name(marked, s, len, 'z');
        BUG_ON(!text_is_name(marked, strlen(marked)) || !strcmp(marked, out));
        head = text_name_head(out, strlen(out));
        BUG_ON(changed != (head < strlen(out)));
        if (!changed)
                BUG_ON(strlen(out) != n || memcmp(out, form, n) != 0);
        else if (out[head + 2] != 'x' && len)
                BUG_ON(undo(out, head, sent) != n || memcmp(sent, form, n) != 0);
        free(form);
}

/* As it stood in an older file, and as somebody writes it. */
static void check_old(const char *s)
{
        char out[TEXT_NAME_MAX + 1], again[TEXT_NAME_MAX + 1], why[TEXT_NAME_WHY], ident[TAGS_IDENT_MAX + 1];

        text_name_today(out, s);
        BUG_ON(!text_is_name(out, strlen(out)));
        text_name_today(again, out);
        BUG_ON(strcmp(out, again) != 0);
        if (text_read_name(again, s, strlen(s)))
                BUG_ON(strcmp(out, again) != 0);
        else
                text_name_fault(why, s, strlen(s));
        if (tags_ident_today(ident, s) && !strchr(ident, '~'))
                BUG_ON(!tags_is_ident(ident, strlen(ident)) || !tags_read_ident(ident, ident));
}

static void check_labels(const char *labels)
{
        char ident[TAGS_IDENT_MAX + 1], members[2 * TAGS_IDENT_MAX], event[4096];

        tags_put_ident(ident, "temp", labels);
        BUG_ON(strlen(ident) > TAGS_IDENT_MAX || strncmp(ident, "temp", 4) != 0);
        BUG_ON(!tags_ident_means(ident, ident) || !tags_ident_means(ident, "temp"));
        BUG_ON(tags_put_labels(members, sizeof(members), ident) >= sizeof(members));
        BUG_ON(tags_put_event_labels(event, sizeof(event), labels) >= sizeof(event));
        tags_labels_have(labels, "line=l2");
}

/* Two halves of the input, as a tag's name and as what somebody means. */
static void check_meant(const char *s, size_t len)
{
        char ident[TAGS_IDENT_MAX + 1];
        size_t n = len / 2 < TAGS_IDENT_MAX ? len / 2 : TAGS_IDENT_MAX;

        memcpy(ident, s, n);
        ident[n] = '\0';
        tags_ident_means(ident, s + len / 2);
        tags_labels_have(s, ident);
        if (tags_is_ident(s, len))
                BUG_ON(!tags_ident_means(s, s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1); /* so that a read behind the end is seen */
        size_t len;

        memcpy(text, data, size);
        text[size] = '\0';
        check_name(text, size);
        len = strlen(text);
        check_old(text);
        check_labels(text);
        check_meant(text, len);
        free(text);
        return 0;
}
