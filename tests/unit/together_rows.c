/*
 * together_rows: rows of numbers on standard input, what `together` says of
 * them on standard output; for together_model.py.  In: tags and settle rows as
 * two uint32, then doubles, NaN where there is none.  Out, per row: score and
 * limit, then tag, by, higher, warm, on and settled as uint32.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/rules/together.h"

int main(void)
{
        uint32_t head[2];
        double x[TOGETHER_TAGS_MAX];
        void *memory;

        if (fread(head, sizeof(head), 1, stdin) != 1 || head[0] < TOGETHER_TAGS_MIN || head[0] > TOGETHER_TAGS_MAX)
                return 2;
        memory = mem_alloc(together_bytes(head[0]));
        together_begin(memory, head[0]);
        while (fread(x, sizeof(*x), head[0], stdin) == head[0]) {
                struct together_said s;
                double numbers[2];
                uint32_t words[6];

                together_row(memory, x, UINT64_MAX, head[1], &s);
                memcpy(numbers, (double[]){s.score, s.limit}, sizeof(numbers));
                memcpy(words, (uint32_t[]){s.tag, s.by, s.higher, s.warm, s.on, s.settled}, sizeof(words));
                fwrite(numbers, sizeof(numbers), 1, stdout);
                fwrite(words, sizeof(words), 1, stdout);
        }
        free(memory);
        return 0;
}
