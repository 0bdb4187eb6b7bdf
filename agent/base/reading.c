/*
 * reading: names of qualities as they stand in records and on screens (OPC DA's
 * main groups, reasons as sub-status).
 */
#include "agent/base/reading.h"

#include <stddef.h>

static const struct {
        const char *name, *reason;
} qualities[N_QUALITIES] = {
        [QUALITY_GOOD] = {"good", NULL},
        [QUALITY_UNCERTAIN] = {"uncertain", NULL},
        [QUALITY_BAD] = {"bad", NULL},
        [QUALITY_BAD_COMM_FAILURE] = {"bad", "comm_failure"},
        [QUALITY_BAD_NOT_CONNECTED] = {"bad", "not_connected"},
        [QUALITY_BAD_STALE] = {"bad", "stale"},
        [QUALITY_BAD_OUT_OF_RANGE] = {"bad", "out_of_range"},
        [QUALITY_BAD_CONFIG] = {"bad", "config"},
        [QUALITY_BAD_SENSOR] = {"bad", "sensor"},
};

const char *quality_name(unsigned quality)
{
        return quality < N_QUALITIES ? qualities[quality].name : "bad";
}

const char *quality_reason(unsigned quality)
{
        return quality < N_QUALITIES ? qualities[quality].reason : NULL;
}
