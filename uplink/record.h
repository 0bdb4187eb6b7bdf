/*
 * record: readings and events as the Kafka records of contract v1.
 *
 * Pure text in a caller's buffer; the command-line tool prints the same lines.
 * An encoder remembers what repeats: the gateway's part, each tag's part (made
 * when the tag is first seen, kept for ever: one small allocation per tag), and
 * the second rendered last.  One thread per encoder.
 */
#ifndef MILLRACE_UPLINK_RECORD_H
#define MILLRACE_UPLINK_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/tags.h"
#include "agent/base/text.h"
#include "store/spool.h"

struct uplink_identity {
        const char *gateway;
        uint64_t epoch;
};

struct record_tag;

struct record_encoder {
        char *fixed; /* the gateway's parts, one behind the other */
        size_t head_len, event_len, mid_len, tail_len, key_len;
        struct record_tag *tag; /* by index */
        size_t n_tags;
        int64_t second; /* rendered in the two texts below */
        char second_text[24], second_digits[TEXT_DOUBLE_MAX];
        size_t n_second_digits;
};

void record_encoder_init(struct record_encoder *enc, const struct uplink_identity *id);
void record_encoder_fini(struct record_encoder *enc);

/* The most bytes that the row can need. */
size_t record_bound(struct record_encoder *enc, const struct tag *tag, const struct spool_row *row);
size_t record_event_bound(struct record_encoder *enc, const struct tag *tag_or_null, const struct spool_row *row);

/*
 * Both write one JSON object without a newline and return its length; cap is at
 * least the bound.  A raw reading's object has no value: the payload is the
 * record, and this goes to its headers.
 */
size_t record_encode_sample(struct record_encoder *enc, char *buf, size_t cap, const struct tag *tag,
                            const struct spool_row *row);
size_t record_encode_event(struct record_encoder *enc, char *buf, size_t cap, const struct tag *tag_or_null,
                           const struct spool_row *row);

/*
 * gateway/source, or gateway when there is no tag; lives as long as the
 * encoder. `index` is the tag's.
 */
const char *record_key(struct record_encoder *enc, const struct tag *tag_or_null, uint32_t index, size_t *len);

/*
 * The record's own time for Kafka, by which it deletes: never more than a
 * minute ahead of the gateway's clock (brokers refuse that), and never of a
 * clock that was not set: such a reading has the time of sending, or while that
 * is not known either, none, and Kafka keeps it by the age of its file.
 */
enum { RECORD_NO_TIMESTAMP = -1 };
int64_t record_timestamp_ms(int64_t ts_us, int64_t now_us);

#endif
