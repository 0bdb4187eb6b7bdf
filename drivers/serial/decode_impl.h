/*
 * decode_impl: what the rooms of the decoder share: one for each kind of frame.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_DECODE_IMPL_H
#define MILLRACE_DRIVERS_SERIAL_DECODE_IMPL_H

#include "drivers/serial/decode.h"

/* ---- the value of a reading ---- */

void decode_set_bad(struct reading *r, enum quality quality);
void decode_set_scaled(struct reading *r, const struct serial_reading_conf *c, double v);
void decode_set_f64(struct reading *r, const struct serial_reading_conf *c, double v);
void decode_set_i64(struct reading *r, const struct serial_reading_conf *c, int64_t v);
void decode_set_text(struct reading *r, const char *s, size_t len);
void decode_set_text_or_bad(struct reading *r, const char *s, size_t len);
void decode_set_written(struct reading *r, const struct serial_reading_conf *c, int decimal, const char *s, size_t len);

/* ---- the result ---- */

/* Reading i of the configuration, as `model` is. */
struct reading *decode_add(struct serial_decoded *out, size_t i, const struct reading *model);
int decode_malformed(struct serial_decoded *out, const char *reason);

/* ---- the rooms ---- */

int decode_line(struct serial_decoder *d, const char *line, size_t len, struct reading *model,
                struct serial_decoded *out);
int decode_sentence(const struct serial_decoder *d, const uint8_t *frame, size_t len, struct reading *model,
                    struct serial_decoded *out);
int decode_binary(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                  struct serial_decoded *out);
int decode_telegram(const struct serial_decoder *d, const char *text, size_t len, const struct reading *model,
                    struct serial_decoded *out);

#endif
