/*
 * fuzz_tag_list: any bytes as a tag list: fields, header, rows.
 *
 * Holds: a row that is taken has an address within its table, a known type, a scale that is a number and not 0; fields
 * lie in the text.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/cli/commission/tag_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct tag_columns columns;
        struct tag_row r;
        struct csv csv;
        struct err e;
        size_t len = size, n_known;
        char *text = csv_utf8((const char *)data, &len);

        BUG_ON(!text_is_utf8(text, len));
        csv_init(&csv, text, len);
        if (csv_next(&csv)) {
                tag_columns_find(&columns, &csv, &n_known);
                BUG_ON(n_known > TAG_COLUMNS);
                while (csv_next(&csv)) {
                        for (size_t i = 0; i < csv.n; i++)
                                BUG_ON(csv.field[i] < text || csv.field[i] + strlen(csv.field[i]) > text + len);
                        if (tag_row_read(&r, &columns, &csv, &e) < 0)
                                continue;
                        BUG_ON(r.address > 65535 || r.table >= N_MODBUS_TABLES || !r.type || !r.name);
                        BUG_ON(!isfinite(r.scale) || r.scale == 0 || r.slave < 0 || r.slave > 255);
                }
        }
        free(text);
        return 0;
}
