/*
 * told: transcript.h by its old names, until test_serial.c and test_syslog.c
 * have the new ones.
 */
#include "tests/lib/transcript.h"

#define told       transcript
#define note       transcript_add
#define check_told transcript_expect
