/*
 * match: PCRE2 in one file.
 *
 * Why no JIT: the daemon runs under MemoryDenyWriteExecute.  Why limits: an
 * expression is written by people, and one like (a+)+$ would take years on a
 * line of forty bytes; the match limit ends any line within milliseconds, the
 * heap limit bounds what a match may hold.  Bytes are bytes (no UTF mode):
 * instruments speak Latin-1 and worse; what comes out as text is checked by the
 * caller.
 *
 * Fails: at compile with place and reason; at match with SERIAL_TOO_COSTLY,
 * which is a line that does not match, told apart so that somebody mends the
 * expression.
 */
#include "drivers/serial/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { PATTERN_MAX = 4096, TRIES_MAX = 20000, HEAP_KIB_MAX = 256, NAMES_MAX = 64 };

struct serial_match {
        pcre2_code *code;
        pcre2_match_data *data;
        pcre2_match_context *limits;
};

static int fault(struct err *e, int code, size_t at)
{
        char why[160];

        if (pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why)) < 0)
                snprintf(why, sizeof(why), "error %d", code);
        return err_set(e, "not a regular expression: %s, at character %zu", why, at + 1);
}

struct serial_match *serial_match_new(const char *pattern, struct err *e)
{
        struct serial_match *m;
        pcre2_code *code;
        PCRE2_SIZE at;
        int error;

        if (strlen(pattern) > PATTERN_MAX) {
                err_set(e, "longer than %d characters", PATTERN_MAX);
                return NULL;
        }
        code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
        if (!code) {
                fault(e, error, at);
                return NULL;
        }
        m = mem_alloc(sizeof(*m));
        m->code = code;
        m->data = pcre2_match_data_create_from_pattern(code, NULL);
        m->limits = pcre2_match_context_create(NULL);
        BUG_ON(!m->data || !m->limits);
        pcre2_set_match_limit(m->limits, TRIES_MAX);
        pcre2_set_heap_limit(m->limits, HEAP_KIB_MAX);
        return m;
}

void serial_match_free(struct serial_match *m)
{
        if (!m)
                return;
        pcre2_match_context_free(m->limits);
        pcre2_match_data_free(m->data);
        pcre2_code_free(m->code);
        free(m);
}

/*
 * The names of the groups, as the table holds them: two bytes of number, then
 * the name.
 */
static size_t list_names(const struct serial_match *m, const char *names[NAMES_MAX])
{
        PCRE2_SPTR table;
        uint32_t n, width;

        pcre2_pattern_info(m->code, PCRE2_INFO_NAMECOUNT, &n);
        pcre2_pattern_info(m->code, PCRE2_INFO_NAMEENTRYSIZE, &width);
        pcre2_pattern_info(m->code, PCRE2_INFO_NAMETABLE, &table);
        if (n > NAMES_MAX)
                n = NAMES_MAX;
        for (uint32_t i = 0; i < n; i++)
                names[i] = (const char *)table + i * width + 2;
        return n;
}

static int fault_name(const struct serial_match *m, const char *name, struct err *e)
{
        const char *names[NAMES_MAX], *near;
        size_t n = list_names(m, names), used = 0;
        char all[200] = "";

        if (!n)
                return err_set(e, "`match` has no named groups; write them as (?<%.40s>…)", name);
        near = text_did_you_mean(name, names, n);
        for (size_t i = 0; i < n && used < sizeof(all) - 1; i++)
                used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", names[i]);
        return err_set(e, "\"%.64s\" is no group of `match`; allowed: %s%s%s%s", name, all,
                       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

int serial_match_group(const struct serial_match *m, const char *name, struct err *e)
{
        int group = pcre2_substring_number_from_name(m->code, (PCRE2_SPTR)name);

        return group > 0 ? group : fault_name(m, name, e);
}

enum serial_matched serial_match_run(struct serial_match *m, const void *bytes, size_t len)
{
        int n = pcre2_match(m->code, bytes, len, 0, 0, m->data, m->limits);

        return n > 0 ? SERIAL_MATCHED : n == PCRE2_ERROR_NOMATCH ? SERIAL_NO_MATCH : SERIAL_TOO_COSTLY;
}

/* \K may put a start behind its end. */
bool serial_match_get(const struct serial_match *m, int group, size_t *at, size_t *len)
{
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
        size_t from = v[2 * group], to = v[2 * group + 1];

        if (from == PCRE2_UNSET || to < from)
                return false;
        *at = from;
        *len = to - from;
        return true;
}
