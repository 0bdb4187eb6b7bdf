/*
 * excerpt: the line of a file that a fault is about, with a mark under the
 * place.
 */
#ifndef MILLRACE_CLI_EXCERPT_H
#define MILLRACE_CLI_EXCERPT_H

#include <stddef.h>
#include <stdio.h>

#include "agent/config/fault.h"

enum { EXCERPT_COLS = 100, EXCERPT_BYTES = 2 * (4 * EXCERPT_COLS + 32) };

/*
 * Two lines, or nothing: there is no such line, or it holds a secret.  Pure.
 * Line and column are from 1.
 */
void excerpt(const char *text, size_t len, int line, int column, char out[EXCERPT_BYTES]);

/*
 * As faults_print, each with its line when the file can be read now, and how
 * many there are.
 */
void excerpt_faults(const struct faults *f, FILE *out);

#endif
