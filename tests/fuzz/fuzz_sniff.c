/*
 * fuzz_sniff: any bytes as what came on a serial line.
 *
 * Holds: no byte is read or written beyond what there is, scores stay within their bounds, and an expression that is
 * proposed has as many groups as it says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/commission/sniff_guess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *bytes = mem_alloc(size + 1);
        char match[SNIFF_MATCH_ROOM];
        struct sniff_marks marks = {0};
        struct sniff_guess g;
        size_t n_errors = 0, n = 0, groups = 0;
        bool comma = false;

        for (size_t at = 0; at < size; at += 7)
                n += sniff_unmark(&marks, data + at, size - at < 7 ? size - at : 7, bytes + n, &n_errors);
        BUG_ON(n > size || n_errors > size);
        g = sniff_judge(bytes, n, n_errors);
        BUG_ON(g.score < -1 || g.score > 100 || (g.score == -1) != (n == 0));
        n = sniff_match(bytes, n, match, &comma);
        BUG_ON(n > SNIFF_NUMBERS_MAX || (n && strlen(match) >= SNIFF_MATCH_ROOM));
        for (const char *s = n ? match : ""; (s = strstr(s, "(?<v")) != NULL; s++)
                groups++;
        BUG_ON(groups != n);
        free(bytes);
        return 0;
}
