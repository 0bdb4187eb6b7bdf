/*
 * screen: the terminal of `top` and `tail -f`, by ncurses, which knows serial
 * consoles and sends only what changed.
 *
 * A killed program leaves the terminal as it was (ncurses takes SIGINT and
 * SIGTERM).  One at a time; blocking.
 */
#ifndef MILLRACE_CLI_SCREEN_H
#define MILLRACE_CLI_SCREEN_H

#include <stdbool.h>

#include "agent/cli/line.h"

enum screen_key {
        SCREEN_NONE = -1, /* others: their character */
        SCREEN_UP = 0x1000,
        SCREEN_DOWN,
        SCREEN_PAGE_UP,
        SCREEN_PAGE_DOWN,
        SCREEN_BACK, /* Shift and Tab */
        SCREEN_RESIZED,
};

/* False: this terminal can't be drawn on; said why on standard error. */
bool screen_open(void);
void screen_close(void);
void screen_size(int *rows, int *cols);
void screen_draw(const struct line *lines, int rows);
int screen_key(int wait_ms); /* SCREEN_NONE: there was none for so long */

/*
 * Does the locale have characters beyond ASCII, and does the terminal (if it is
 * `braille` that is wanted) show them?
 */
bool screen_utf8(bool braille);

#endif
