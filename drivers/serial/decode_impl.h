/*
 * decode_impl: what the rooms of the decoder share: one for each kind of frame.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_DECODE_IMPL_H
#define MILLRACE_DRIVERS_SERIAL_DECODE_IMPL_H

#include "drivers/serial/decode.h"

/* ---- the value of reading i, as it came: it is converted here ---- */

void decode_set_bad(struct reading *r, enum quality quality);
void decode_set_f64(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r, double v);
void decode_set_i64(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r, int64_t v);
void decode_set_bool(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r, bool v);
/* In characters. */
void decode_set_written(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                        const char *s, size_t len);
/* A text that is as it is. */
void decode_set_text_or_bad(struct reading *r, const char *s, size_t len);

/* ---- the result ---- */

/* Reading i of the configuration, as `model` is. */
struct reading *decode_add(struct serial_decoded *out, size_t i, const struct reading *model);
int decode_malformed(struct serial_decoded *out, const char *reason);

/* ---- the rooms ---- */

size_t serial_width(const struct serial_reading_conf *c); /* bytes of a binary value */

int decode_line(struct serial_decoder *d, const char *line, size_t len, struct reading *model,
                struct serial_decoded *out);
int decode_sentence(const struct serial_decoder *d, const uint8_t *frame, size_t len, struct reading *model,
                    struct serial_decoded *out);
int decode_binary(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                  struct serial_decoded *out);
extern const char *const serial_toledo_values[]; /* NULL-ended */
int decode_toledo(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                  struct serial_decoded *out);
int decode_telegram(const struct serial_decoder *d, const char *text, size_t len, const struct reading *model,
                    struct serial_decoded *out);

#endif
