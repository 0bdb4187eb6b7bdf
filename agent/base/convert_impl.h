/*
 * convert_impl: what the three files of convert share.
 */
#ifndef MILLRACE_BASE_CONVERT_IMPL_H
#define MILLRACE_BASE_CONVERT_IMPL_H

#include "agent/base/convert.h"

#define CONVERT_EXACT_MAX (INT64_C(1) << 53) /* integers up to here are doubles like any other number */

enum word_kind { WORD_NONE, WORD_TRUE, WORD_FALSE, WORD_MAP };

struct convert_word {
        const char *text, *to; /* to: of WORD_MAP */
        size_t len;
        int kind;                /* enum word_kind */
        bool is_code, is_number; /* the word, what it stands for */
        bool is_i64;
        int64_t code;
        double f64_code, number;
};

/* Without blanks, CR and LF on both sides. */
void convert_trim(const char **s, size_t *len);
bool convert_same_word(const char *a, size_t len, const char *b, size_t b_len);
/* 0x and at most 16 digits. */
bool convert_hex(const char *s, size_t len, uint64_t *out);

/*
 * The number a text begins with, and whether what is behind it is its unit.
 * False: it is none.  *nothing: it says that there is none; *sure: its unit is
 * the configured one, a usual one, or there is none.
 */
bool convert_text(const struct convert *c, const char *s, size_t len, struct reading *r, bool *nothing, bool *sure);

#endif
