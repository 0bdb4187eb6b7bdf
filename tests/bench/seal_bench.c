/* seal_bench [RECORDS]: what the seal costs a record of 230 bytes: its leaf, and the chain one further. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "uplink/seal.h"

enum { VALUE = 230 };

static int64_t cpu_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(int argc, char **argv)
{
        uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
        static const uint64_t none[SPOOL_LANES];
        unsigned char leaf[SEAL_HASH];
        char value[VALUE];
        int64_t begin_ns;
        struct seal s;

        memset(value, 'v', sizeof(value));
        seal_init(&s, 1, none, NULL, 0);
        begin_ns = cpu_ns();
        for (uint64_t seq = 1; seq <= n; seq++) {
                value[0] = (char)seq;
                seal_leaf(leaf, seq, NULL, 0, value, sizeof(value));
                seal_add(&s.now.stream[1], seq, leaf, false);
        }
        printf("%.0f ns a record (%02x)\n", (double)(cpu_ns() - begin_ns) / (double)n, s.now.stream[1].chain[0]);
        return 0;
}
