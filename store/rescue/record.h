/*
 * record: the values of one row, from bytes that may be damaged. Pure.
 */
#ifndef MILLRACE_STORE_RESCUE_RECORD_H
#define MILLRACE_STORE_RESCUE_RECORD_H

#include "store/rescue/pages.h"

/* Bytes it takes; 0: does not end within `end`. */
int record_varint(const unsigned char *p, const unsigned char *end, uint64_t *out);
enum { RECORD_ANY = -1 }; /* so many columns, up to PAGES_COLUMNS */

/* False: not a record of `n_columns` that fills its payload exactly. */
bool record_parse(struct pages_row *row, const unsigned char *p, uint64_t n_bytes, int n_columns);

#endif
