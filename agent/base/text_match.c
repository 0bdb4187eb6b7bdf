/*
 * text_match: patterns of names, the same for rules, commands and the spool.
 *
 * Why not fnmatch: it goes by the locale, which a service, a pipe and a terminal
 * do not share, and it knows [ and \, which no pattern of ours has.  Backtracks
 * to the last * only, so the cost is at most the product of the lengths.
 *
 * Cannot fail.
 */
#include <string.h>

#include "agent/base/text.h"

/* What is no UTF-8 goes byte by byte. */
static const char *next_char(const char *s, const char *end)
{
        size_t n = text_char(s, (size_t)(end - s));

        return s + (n ? n : 1);
}

bool text_part_matches(const char *pattern, size_t pattern_len, const char *s, size_t len)
{
        const char *p = pattern, *p_end = p + pattern_len, *end = s + len, *star = NULL, *from = NULL;

        while (s < end) {
                if (p < p_end && *p == '*') {
                        star = p++;
                        from = s;
                } else if (p < p_end && *p == '?') {
                        s = next_char(s, end);
                        p++;
                } else if (p < p_end && *p == *s) {
                        s++;
                        p++;
                } else if (star) {
                        p = star + 1;
                        s = from = next_char(from, end);
                } else {
                        return false;
                }
        }
        while (p < p_end && *p == '*')
                p++;
        return p == p_end;
}

bool text_matches(const char *pattern, const char *s)
{
        return text_part_matches(pattern, strlen(pattern), s, strlen(s));
}
