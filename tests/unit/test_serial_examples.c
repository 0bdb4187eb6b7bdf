/*
 * packaging/examples/scales.yaml on what such scales send, taken from their makers' manuals (SICS reference of
 * Mettler-Toledo, Sartorius' interface description, A&D's "UFC").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "agent/config/config.h"
#include "drivers/serial/decode.h"

static struct serial_decoded out;

/* "12.5 kg", ? behind what is uncertain, - for what is bad, or why it is malformed. */
static const char *told(const struct serial_conf *conf, const char *line)
{
        static char text[200];
        struct serial_decoder d;
        const char *key;
        struct err e;
        size_t n = 0;

        assert_int_equal(serial_decoder_init(&d, conf, &key, &e), 0);
        *text = '\0';
        if (serial_decode(&d, (const uint8_t *)line, strlen(line), 0, &out) == SERIAL_E_MALFORMED)
                snprintf(text, sizeof(text), "%s", out.reason);
        for (size_t i = 0; i < out.n; i++) {
                const struct reading *r = &out.r[i];

                if (r->type == READING_F64)
                        n += (size_t)sprintf(text + n, "%.10g", r->v.f64);
                else if (r->type == READING_TEXT)
                        n += (size_t)sprintf(text + n, "%.*s", (int)r->len, r->v.text);
                else
                        n += (size_t)sprintf(text + n, "%s", r->type == READING_BOOL ? r->v.b ? "yes" : "no" : "-");
                n += (size_t)sprintf(text + n, "%s ", r->quality == QUALITY_UNCERTAIN ? "?" : "");
        }
        serial_decoder_fini(&d);
        return text;
}

static void scales(void **state)
{
        static const struct {
                int item;
                const char *line, *told;
        } rows[] = {
                {0, "S S     100.00 g", "100 "},
                {0, "S D      99.97 g", "99.97? "},
                {0, "S S    -  1.50 g", "-1.5 "},
                {0, "S S       0.100 kg", "- "}, /* another unit than the configured one */
                {0, "S I", "- "},
                {0, "S +", "- "},
                {0, "S -", "- "},
                {0, "ES", "the line does not match"},
                {1, "\x02,0   1250   200", "12.5 2 no no "},
                {2, "N     +   12.345 g  ", "12.345 "},
                {2, "N     -  123.4", "-123.4 "},
                {2, "G     +    0.000 kg ", "- "}, /* another unit than the configured one */
                {2, "Stat       High     ", "- "},
                {2, "Stat       OFF", "- "},
                {2, "Stat", "- "},
                {3, "ST,GS,+0012.50kg", "12.5 "},
                {3, "US,NT,-0000.05kg", "-0.05? "},
                {3, "OL,GS,+--------kg", "- "},
                {3, "OL,GS,+9999.99kg", "- "},
        };
        struct faults faults = {0};
        struct config *c;

        assert_int_equal(config_load(TEST_ROOT "/packaging/examples/scales.yaml", &c, &faults), 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const struct serial_conf *conf = c->drivers[rows[i].item].conf;

                if (strcmp(told(conf, rows[i].line), rows[i].told) != 0)
                        fail_msg("%s: %s, not %s", rows[i].line, told(conf, rows[i].line), rows[i].told);
        }
        faults_fini(&faults);
        config_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(scales)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
