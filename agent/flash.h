/*
 * flash: keeps what the agent writes under a budget of bytes a day, by writing
 * less often.  Pure: times and counters are arguments.  The result is a factor
 * on the commit interval of polled readings and on how long MQTT
 * acknowledgements are held; nothing is ever acknowledged before it is on disk
 * because of it.
 */
#ifndef MILLRACE_AGENT_FLASH_H
#define MILLRACE_AGENT_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/schema.h"

/* The `flash:` section. */
struct flash_conf {
        uint64_t max_per_day_bytes; /* 0: no budget */
};
extern const struct schema flash_schema;

struct flash {
        bool known;
        int64_t updated_us;
        uint64_t written;   /* at the last look */
        double bytes_per_s; /* mean of about five minutes */
        double slowdown;    /* 1 and up */
};

void flash_init(struct flash *f);

/*
 * `written`: by the process so far. True when slowdown changed. Looks closer
 * together than five seconds are ignored.
 */
bool flash_update(struct flash *f, const struct flash_conf *conf, uint64_t written, int64_t mono_us);

/* Bytes a day if it goes on like this; 0 before it is known. */
static inline double flash_forecast(const struct flash *f)
{
        return f->bytes_per_s * 86400;
}

#endif
