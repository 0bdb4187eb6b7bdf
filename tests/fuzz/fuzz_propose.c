/*
 * fuzz_propose: any messages, and the subscriptions proposed for them.
 *
 * The input is lines "topic payload".  Holds: what is proposed for text that YAML can hold is accepted by the
 * configuration's own tables when it is one subscription alone, or at least never crashes them; nothing is read beyond
 * what came.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/propose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const char *sub)
{
        static const char head[] = "mqtt: [{name: p, url: \"mqtt://h\", subscriptions: [";
        char *text = mem_alloc(sizeof(head) + strlen(sub) + 8);

        sprintf(text, "%s%s]}]\n", head, sub);
        (void)part_accepted(text);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_alloc(size + 1), *line = text, *rest;
        struct samples s = {0};
        struct proposal p;

        memcpy(text, data, size);
        for (; line < text + size; line = rest) {
                char *end = memchr(line, '\n', (size_t)(text + size - line)), *space;

                end = end ? end : text + size;
                rest = end + 1;
                *end = '\0';
                space = strchr(line, ' ');
                if (!space || space == line)
                        continue;
                *space++ = '\0';
                samples_add(&s, line, space, space < end ? (size_t)(end - space) : 0);
        }
        propose(&s, &p);
        BUG_ON(p.n > s.n);
        for (size_t i = 0; i < p.n && i < 20; i++)
                judge(p.subs[i]);
        proposal_fini(&p);
        samples_fini(&s);
        free(text);
        return 0;
}
