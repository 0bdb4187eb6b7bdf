/*
 * name: see name.h.
 *
 * Most names are one value of the payload and stay where they are; those of
 * several pieces are put together in a buffer, which grows to what the longest
 * message needs (bounded by PAYLOAD_NAME_MAX for each) and stays.
 *
 * Fails: at start, with a sentence; a name that is not there, or no text or
 * number, or too long, with a reason.
 */
#include "drivers/payload/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

int payload_ref_init(struct payload_ref *ref, struct json_paths *p, const char *pointer, struct err *e)
{
        ref->in_row = *pointer != '$' && p->n_cells;
        if (ref->in_row)
                ref->at = json_paths_add_in(p, pointer, e);
        else
                ref->at = json_paths_add(p, pointer + (*pointer == '$'), e);
        return ref->at < 0 ? -1 : 0;
}

bool payload_name_asks(const char *text)
{
        return text && strchr(text, '{');
}

bool payload_unit_asks(const char *text)
{
        return text && text[0] == '{' && (text[1] == '/' || text[1] == '$') && text[strlen(text) - 1] == '}';
}

/* `s` is behind the brace. */
static int add_value(struct payload_piece *piece, struct json_paths *p, const char *s, size_t len, struct err *e)
{
        char pointer[JSON_POINTER_MAX + 1];

        if (len == 3 && !strncmp(s, "key", 3)) {
                piece->ref = (struct payload_ref){JSON_CELL_KEY, true};
                return p->n_cells ? 0 : err_set(e, "{key} is the name of an element: only with `each`");
        }
        if ((*s != '/' && *s != '$') || len >= sizeof(pointer))
                return err_set(e,
                               "{%.*s}: in braces stands a pointer that begins with /, or $/ for one of the message, "
                               "or key",
                               (int)(len < 64 ? len : 64), s);
        memcpy(pointer, s, len);
        pointer[len] = '\0';
        return payload_ref_init(&piece->ref, p, pointer, e);
}

int payload_name_init(struct payload_name *name, struct json_paths *p, const char *text, struct err *e)
{
        const char *s = text;

        *name = (struct payload_name){0};
        while (*s) {
                struct payload_piece *piece = &name->piece[name->n];
                size_t len = strcspn(s, *s == '{' ? "}" : "{}");

                if (name->n++ == PAYLOAD_PIECES_MAX)
                        return err_set(e, "more than %d pieces in a name", PAYLOAD_PIECES_MAX);
                if (*s == '}' || (*s == '{' && !s[len]))
                        return err_set(e, "'%.64s': a brace without its other half", text);
                if (*s == '{') {
                        if (add_value(piece, p, s + 1, len - 1, e) < 0)
                                return -1;
                        s += len + 1;
                } else {
                        *piece = (struct payload_piece){.text = s, .len = len};
                        s += len;
                }
        }
        return 0;
}

void payload_texts_fini(struct payload_texts *b)
{
        free(b->at);
        *b = (struct payload_texts){0};
}

/* ---- making ---- */

/* Text that the value is, or NULL; `room` is for a number that has none. */
static const char *text_of(const struct json_value *v, char room[TEXT_DOUBLE_MAX], size_t *len)
{
        *len = v->len;
        if (v->type == SCAN_TEXT || (v->type == SCAN_NUMBER && v->len))
                return v->at;
        if (v->type == SCAN_I64)
                *len = text_put_i64(room, v->i64);
        else if (v->type == SCAN_U64)
                *len = (size_t)snprintf(room, TEXT_DOUBLE_MAX, "%" PRIu64, (uint64_t)v->i64);
        else if (v->type == SCAN_F64 && v->f64 - v->f64 == 0)
                *len = text_put_double(room, v->f64);
        else
                return NULL;
        return room;
}

void payload_texts_put(struct payload_texts *b, const char *s, size_t len)
{
        if (!len) /* there may be no buffer yet */
                return;
        if (b->size - b->n < len) {
                b->size = 2 * b->size + len + 1024;
                b->at = mem_grow(b->at, b->size, 1);
        }
        memcpy(b->at + b->n, s, len);
        b->n += len;
}

static const char *put_piece(const struct payload_piece *piece, const struct json_value *found,
                             const struct json_value *row, struct payload_texts *b)
{
        char room[TEXT_DOUBLE_MAX];
        const char *s = piece->text;
        size_t len = piece->len;

        if (!s)
                s = text_of(payload_ref_value(&piece->ref, found, row), room, &len);
        if (!s)
                return "a name that is not there, or no text or number";
        if (len > PAYLOAD_NAME_MAX)
                return "a name of more than 1024 bytes";
        payload_texts_put(b, s, len);
        return NULL;
}

const char *payload_name_make(const struct payload_name *name, const struct json_value *found,
                              const struct json_value *row, struct payload_texts *b, struct payload_text *out)
{
        const struct payload_piece *first = &name->piece[0];
        size_t from = b->n;
        const char *why = NULL;

        if (name->n == 1 && !first->text) {
                const struct json_value *v = payload_ref_value(&first->ref, found, row);

                if ((v->type == SCAN_TEXT || (v->type == SCAN_NUMBER && v->len)) && v->len <= PAYLOAD_NAME_MAX) {
                        *out = (struct payload_text){v->at, v->len, false};
                        return v->len ? NULL : "a name that is empty";
                }
        }
        if (name->n == 1 && first->text) {
                *out = (struct payload_text){first->text, (uint32_t)first->len, false};
                return NULL;
        }
        for (int i = 0; i < name->n && !why; i++)
                why = put_piece(&name->piece[i], found, row, b);
        if (b->n - from > PAYLOAD_NAME_MAX)
                why = "a name of more than 1024 bytes";
        if (!why && b->n == from)
                why = "a name that is empty";
        *out = (struct payload_text){(const char *)(uintptr_t)from, (uint32_t)(b->n - from), true};
        return why;
}
