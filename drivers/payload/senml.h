/*
 * senml: packs of Sensor Measurement Lists (RFC 8428), JSON or CBOR.
 *
 * Loop thread.  Base values are worked in, so that each row is a record by
 * itself; its cells stand where payload_senml_paths has put them.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_SENML_H
#define MILLRACE_DRIVERS_PAYLOAD_SENML_H

#include "agent/base/json_scan.h"

/*
 * Of a row: /n the whole name; /device and /name what stands before and behind
 * its last / or :.
 */
enum {
        SENML_N = 1,
        SENML_U,
        SENML_V, /* value, text, flag or bytes */
        SENML_T, /* microseconds since 1970; absent: now */
        SENML_S, /* the sum */
        SENML_DEVICE,
        SENML_NAME,
        SENML_CELLS
};

struct payload_senml;

struct payload_senml *payload_senml_new(size_t most);
void payload_senml_free(struct payload_senml *s);

/* Paths for what a row has; further ones may be added and are never found. */
int payload_senml_paths(struct json_paths *p, struct err *e);

/*
 * Fills rows of paths made so. NULL, or why it is no pack, until the next call.
 */
const char *payload_senml_read(struct payload_senml *s, const void *bytes, size_t len, int64_t now_us,
                               const struct json_paths *p, struct json_rows *rows);

#endif
