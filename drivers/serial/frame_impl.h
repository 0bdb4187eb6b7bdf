/*
 * frame_impl: what the rooms of the framer share: one for each kind of frame.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_FRAME_IMPL_H
#define MILLRACE_DRIVERS_SERIAL_FRAME_IMPL_H

#include "drivers/serial/frame.h"

void frame_consume(struct serial_framer *f, size_t n);
void frame_drop(struct serial_framer *f, size_t n); /* of no frame: counted */
enum serial_found frame_give(struct serial_framer *f, struct serial_frame *out, const uint8_t *bytes, size_t len);
enum serial_found frame_give_broken(struct serial_framer *f, struct serial_frame *out, size_t len, const char *reason);

enum serial_found frame_next_line(struct serial_framer *f, struct serial_frame *out);
enum serial_found frame_flush_line(struct serial_framer *f, struct serial_frame *out);
enum serial_found frame_next_sentence(struct serial_framer *f, struct serial_frame *out);
enum serial_found frame_next_binary(struct serial_framer *f, struct serial_frame *out);
enum serial_found frame_next_p1(struct serial_framer *f, struct serial_frame *out);
enum serial_found frame_flush_p1(struct serial_framer *f, struct serial_frame *out);

#endif
