/*
 * rules_replay: recorded readings through the rules, with the recording's own
 * time.
 *
 * Same code as live, no clock: the same recording and rules give the same
 * alarms, every time.  Pure: the caller reads the lines or rows and prints.
 * What on_transition gets is what the live agent would have told.
 *
 * CSV: a header; the first column is the time (ISO 8601, or seconds since
 * 1970), every other column a tag; an empty cell is no reading; true and false,
 * numbers, else text.  Time that goes back is kept in the readings, but delays
 * don't run back.
 */
#ifndef MILLRACE_RULES_RULES_REPLAY_H
#define MILLRACE_RULES_RULES_REPLAY_H

#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/reading.h"
#include "agent/rules/rules.h"

struct replay;

struct replay_upcalls {
        void (*on_reading)(void *ctx, const char *source, const char *tag, const struct reading *r); /* may be NULL */
        void (*on_transition)(void *ctx, const struct rules_transition *t);
        void *ctx;
};

struct replay *replay_new(const struct rule_conf *conf, size_t n, const char *gateway, const struct replay_upcalls *up);
void replay_free(struct replay *p);

/*
 * `source`: of all columns. Lines without their end. 0, or -1 and a sentence
 * with the line's number.
 */
int replay_csv_header(struct replay *p, const char *source, const char *line, size_t len, struct err *e);
int replay_csv_row(struct replay *p, const char *line, size_t len, struct err *e);

/* One reading; r->tag does not matter. */
/* `tag` with its labels behind it, as tags_put_ident has it. */
void replay_reading(struct replay *p, const char *source, const char *tag, const struct reading *r);

struct rules *replay_rules(struct replay *p); /* NULL before the first reading */
uint64_t replay_readings(const struct replay *p);

/*
 * One JSON object, without a line's end, as `millrace rules test --json` prints
 * it. Returns the length.
 */
enum { REPLAY_JSON_MAX = 8192 };
size_t replay_put_json(char out[REPLAY_JSON_MAX], const struct rules_transition *t);

#endif
