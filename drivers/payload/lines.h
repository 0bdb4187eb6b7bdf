/*
 * lines: payloads of several lines, each a record: CSV, and the line protocol
 * of InfluxDB.
 *
 * Pure; a record is walked as an object (payload_walk).  Texts point into the
 * payload or, where escapes were taken out, into `room`, which must have place
 * for as many bytes as the payload.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_LINES_H
#define MILLRACE_DRIVERS_PAYLOAD_LINES_H

#include "drivers/payload/binary.h"

struct payload_lines {
        const char *s, *end; /* what is left */
        char *room;          /* the next free byte */
};

/* The next line without its end, not empty. False: there is none. */
bool payload_lines_next(struct payload_lines *l, const char **line, size_t *len);

/* ---- CSV (RFC 4180; , ; or a tab) ---- */

enum { PAYLOAD_COLUMNS_MAX = 256 };

struct payload_csv {
        struct payload_lines lines;
        char separator;
        size_t n;
        struct json_value column[PAYLOAD_COLUMNS_MAX];
};

/* Reads the header. NULL, or why it is none. */
const char *payload_csv_begin(struct payload_csv *c, const char *s, size_t len, char *room);
/* A record: an object of columns. 1; 0: there is no more; -1 with w->why. */
int payload_csv_record(struct payload_csv *c, struct payload_walk *w);

/* ---- line protocol ---- */

enum { PAYLOAD_TAGS_MAX = 16 };

struct payload_influx {
        struct payload_lines lines;
        size_t n_tags; /* of the last record, by their names */
        struct json_value key[PAYLOAD_TAGS_MAX], tag[PAYLOAD_TAGS_MAX];
};

/*
 * A record: {measurement, tags: {}, time, fields: {}}. As payload_csv_record.
 */
int payload_influx_record(struct payload_influx *c, struct payload_walk *w);

#endif
