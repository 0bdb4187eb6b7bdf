/*
 * text: small pure helpers for what people and wires write.  No allocation, no
 * locale; any thread.
 */
#ifndef MILLRACE_BASE_TEXT_H
#define MILLRACE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        TEXT_NAME_CHARS = 64,
        TEXT_NAME_MAX = 4 * TEXT_NAME_CHARS, /* bytes */
        TEXT_NAME_WHY = TEXT_NAME_MAX + 64,
        TEXT_DOUBLE_MAX = 32,
        TEXT_TIME_MAX = 32
};

/*
 * A name is 1..64 characters of UTF-8: letters and digits of any script, _ -
 * and a dot, in normal form C; nothing that can't be seen.
 */
bool text_is_name(const char *s, size_t len);
bool text_is_ascii_name(const char *s, size_t len); /* for what others restrict to it: 1..64 letters, digits, _ - . */
size_t text_name_chars(const char *s);

/*
 * What was sent, as a name.  True when it had to change something: then there
 * is a mark in it, ._ and what is behind, and no other text ever becomes the
 * same (text_name.c).  To be put in normal form is no change.
 */
bool text_map_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len);
/* Always changed, and other than text_map_name or another mark does; y or z. */
void text_mark_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, char mark);
/* Bytes in front of the mark of a changed name; of any other all. */
size_t text_name_head(const char *s, size_t len);

/*
 * What people write, in its form; also a changed name of before format 10 of
 * the file.  False: it is no name, and the fault says why, and what could be one,
 * as the end of a sentence.
 */
bool text_read_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len);
void text_name_fault(char out[TEXT_NAME_WHY], const char *s, size_t len);

/*
 * What a pattern of names has to be to find them: its characters in their form,
 * those that no name has as a changed name has them. False: no room.
 */
bool text_name_pattern(char *out, size_t cap, const char *s);

/*
 * A pattern of names, as people write it: * any run, ? one character; all of
 * `s`.  text_part_matches: of both so many bytes.
 */
bool text_matches(const char *pattern, const char *s);
bool text_part_matches(const char *pattern, size_t pattern_len, const char *s, size_t len);

/* A name with a ~, of before format 10 (text_name_old.c). False: it is none. */
bool text_name_of_old(char out[TEXT_NAME_MAX + 1], const char *s, size_t len);
/* Any name of an older file as it is today; one of today stays. */
void text_name_today(char out[TEXT_NAME_MAX + 1], const char *s);

/*
 * "100ms", "5s", "1.5h", "2d" (us ms s m h d) -> microseconds. A bare number is
 * refused, also 0; `0s` is fine.
 */
bool text_duration(const char *s, int64_t *us);

/* "64KiB", "1GiB", "100kB", "512B" -> bytes. A bare number is refused. */
bool text_size(const char *s, uint64_t *bytes);

/* For people: "1.2 GiB", "3h 12m". Return the length. */
size_t text_put_size(char *out, size_t cap, uint64_t bytes);
size_t text_put_duration(char *out, size_t cap, int64_t us);

/*
 * Strict decimal number (JSON's grammar): true when all of it is one. Says
 * whether it is an integer that fits int64.
 */
bool text_number(const char *s, size_t len, double *f64, int64_t *i64, bool *is_i64);

/*
 * The shortest text that reads back to the same double, always with a fraction
 * or an exponent: 71.0, 0.1, 5e-324, -0.0, 1e+22 as 1e22; plain digits for 1e-5
 * <= |v| < 1e16. `v` is finite. Returns the length; not terminated.
 */
size_t text_put_double(char out[TEXT_DOUBLE_MAX], double v);
size_t text_put_i64(char out[TEXT_DOUBLE_MAX], int64_t v);

/*
 * 2026-11-23T10:00:00.123456Z (27 bytes, not terminated); years 0000..9999,
 * clamped.
 */
size_t text_put_time(char out[TEXT_TIME_MAX], int64_t us);

/*
 * ISO 8601 / RFC 3339 date and time with zone (Z or +hh:mm) -> us. Without a
 * zone: *has_zone is false and it is read as UTC.
 */
bool text_time(const char *s, size_t len, int64_t *us, bool *has_zone);

/*
 * True when every byte sequence is valid UTF-8 (no overlong, no surrogates) and
 * none is NUL.
 */
bool text_is_utf8(const char *s, size_t len);

/* Length of the character at s, 1..4; 0: NUL, or no valid UTF-8. */
size_t text_char(const char *s, size_t len);

/*
 * Appends as the inside of a JSON string; needs at most 6 * len. Invalid UTF-8
 * becomes U+FFFD. Returns the length.
 */
size_t text_put_json(char *out, const char *s, size_t len);

/*
 * Copies what fits `cap` with its NUL, cut between two characters; invalid
 * UTF-8 becomes U+FFFD. Returns the length. text_format: the same of what is
 * formatted, of which the first 511 bytes are looked at.
 */
size_t text_copy(char *out, size_t cap, const char *s);
size_t text_format(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The candidate nearest to `word` (edit distance at most 2, or a third of its
 * length), or NULL.
 */
const char *text_did_you_mean(const char *word, const char *const *candidates, size_t n);

/*
 * FNV-1a: the same everywhere and always, for what is stored, sent or shown.
 * Not for tables with keys from outside: table_hash.h.
 */
uint64_t text_hash(const void *p, size_t len, uint64_t seed);
uint64_t text_hash_more(uint64_t h, const void *p, size_t len); /* of what follows */

#endif
