/*
 * fuzz_config: any bytes as a configuration, against the real tables.
 *
 * Holds: it returns, leaks nothing, touches no file; it is refused with at least one fault or loads with none; and what
 * loads is dumped to a text that loads again to the same text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *dump(const struct config *c, size_t *len)
{
        char *text = NULL;
        FILE *out = open_memstream(&text, len);

        BUG_ON(!out);
        config_dump(c, out);
        BUG_ON(fclose(out) != 0);
        return text;
}

static void print(const struct faults *f)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        BUG_ON(!out);
        faults_print(f, out);
        BUG_ON(fclose(out) != 0);
        free(text);
}

static void check_again(const struct config *c)
{
        struct faults faults = {.n = 0};
        struct config *again;
        size_t len, len_again;
        char *text = dump(c, &len), *text_again;

        if (!strstr(text, "<not shown>")) {
                BUG_ON(config_load_text("dump", text, len, &again, &faults) < 0);
                text_again = dump(again, &len_again);
                BUG_ON(len != len_again || memcmp(text, text_again, len) != 0);
                free(text_again);
                config_free(again);
        }
        free(text);
        faults_fini(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct faults faults = {.n = 0};
        struct config *c;

        if (config_load_text("fuzz", (const char *)data, size, &c, &faults) == 0) {
                BUG_ON(faults.n != 0);
                check_again(c);
        } else {
                BUG_ON(faults.n == 0 || c);
        }
        print(&faults);
        faults_fini(&faults);
        config_free(c);
        return 0;
}
