/*
 * tty: opening and closing a serial port.  Shared by the drivers that have one.
 * Loop thread; nothing here waits.
 */
#ifndef MILLRACE_DRIVERS_TTY_H
#define MILLRACE_DRIVERS_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

enum tty_parity { TTY_PARITY_NONE, TTY_PARITY_EVEN, TTY_PARITY_ODD };
enum tty_rs485 { TTY_RS485_AUTO, TTY_RS485_ON, TTY_RS485_OFF }; /* auto: as the kernel has set the port up */

struct tty_conf {
        const char *path;
        int64_t baud;
        int data_bits, stop_bits;
        enum tty_parity parity;
        enum tty_rs485 rs485;
};

bool tty_is_baud(int64_t baud);

/* A raw, non-blocking fd that nobody else has; or -1 with a sentence. */
int tty_open(const struct tty_conf *c, struct err *e);

/*
 * Another speed on a port that is open; what was not sent yet is sent with it.
 */
int tty_set_baud(int fd, const struct tty_conf *c, int64_t baud, struct err *e);

/*
 * Drops what was not sent, so that the close does not wait for a line that is
 * gone.
 */
void tty_close(int fd);

#endif
