/*
 * kafka_wait: librdkafka's timed waits, on the monotonic clock.
 */
#ifndef MILLRACE_UPLINK_KAFKA_WAIT_H
#define MILLRACE_UPLINK_KAFKA_WAIT_H

#include <stdbool.h>

/*
 * true: librdkafka really waits here.  To be called by whoever makes a
 * producer: the call is what brings this file into the program.
 */
bool kafka_wait_is_bound(void);

#endif
