/*
 * damage: what an input does to the files of a spool.
 *
 * An instruction is a byte that names it, then its arguments; bytes that are
 * missing are 0.  At most DAMAGE_STEPS are carried out.  Places are taken
 * modulo the size, so that nearly every input damages something; of a cell the
 * checksums and the page are right, of bytes nothing is.
 */
#ifndef MILLRACE_TESTS_FUZZ_DAMAGE_H
#define MILLRACE_TESTS_FUZZ_DAMAGE_H

#include "tests/fuzz/bytes.h"
#include "tests/fuzz/house.h"

enum { DAMAGE_STEPS = 12 };

void damage_files(const struct house *h, struct bytes *b);

#endif
