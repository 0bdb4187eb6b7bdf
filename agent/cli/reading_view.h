/*
 * reading_view: a row of the spool as a person, a spreadsheet or a consumer of
 * Kafka reads it.
 */
#ifndef MILLRACE_CLI_READING_VIEW_H
#define MILLRACE_CLI_READING_VIEW_H

#include <stddef.h>
#include <stdio.h>

#include "agent/cli/out.h"
#include "store/inspect/query.h"
#include "uplink/record.h"

enum view_form { VIEW_PEOPLE, VIEW_RECORD, VIEW_CSV };

struct view {
        struct out *out;
        enum view_form form;
        struct record_encoder encoder;
        char *buf;
        size_t cap;
};

void view_init(struct view *v, struct out *out, enum view_form form, const struct spool_query *q);
void view_fini(struct view *v);
void view_head(struct view *v); /* the header line, where the form has one */
void view_row(struct view *v, const struct spool_query_row *row);

/*
 * The record's value as text, in the view's own buffer until the next call.
 * *len is without the NUL behind it.
 */
const char *view_record(struct view *v, const struct spool_query_row *row, size_t *len);

/*
 * The value alone: 71.3, true, the text, 0x… for bytes, "" for none. Returns
 * the length; always ended by a NUL.
 */
size_t view_put_value(char *out, size_t cap, const struct reading *r);

/*
 * The same for people: a number that came as a float32 with the digits that one
 * has, 71.3 and not 71.30000305175781.
 */
size_t view_put_shown(char *out, size_t cap, const struct reading *r);

/* good, bad/comm_failure */
size_t view_put_quality(char *out, size_t cap, unsigned quality);

/* The name of one reading_flag bit, or NULL. */
const char *view_flag_name(unsigned bit);

#endif
