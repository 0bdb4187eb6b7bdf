/*
 * replay: recorded bytes through a driver's decoding, against what is written
 * down.
 *
 * A kind is a file replay_KIND.c that defines `const struct replay
 * replay_KIND`; it is found by its name.  So are recordings: KIND.recording,
 * KIND-what.pcap, KIND/what.log, each beside its .expected.
 */
#ifndef MILLRACE_TESTS_REPLAY_H
#define MILLRACE_TESTS_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/base/reading.h"

struct replay_input {
        const char *name;  /* of the recording: without its folder and what stands behind the dot */
        const char *bytes; /* a NUL behind them */
        size_t len;
        size_t piece; /* at most so many at a time */
};

struct replay {
        /* Writes what comes out, a line each; returns how many things were in it. */
        long (*run)(const struct replay_input *in, FILE *out);
        bool in_pieces;          /* whole, in pieces of seven and byte by byte, the same must come out */
        const char *expected_by; /* the program that writes .expected and shares no code with us; NULL: --write does */
};

/* The input is no recording, or the code under test broke a rule of its own: says so and ends the program. */
void replay_check(bool good, const char *what);

/* The value of a reading with a blank before it: 71.0, int 5, true, 'text', raw 00ff, - when there is none. */
void replay_put_value(FILE *out, const struct reading *r);

/* good, uncertain, bad/sensor */
void replay_put_quality(FILE *out, const struct reading *r);

#endif
