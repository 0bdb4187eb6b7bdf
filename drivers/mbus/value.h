/*
 * value: a record -> a reading.  Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_MBUS_VALUE_H
#define MILLRACE_DRIVERS_MBUS_VALUE_H

#include "drivers/mbus/record.h"

bool mbus_is_wanted(const struct mbus_reading_conf *c, const struct mbus_record *r);

enum mbus_verdict {
        MBUS_VALUE, /* also a bad one, when the meter says so itself */
        MBUS_UNFIT, /* it is not what its type says: bad/sensor */
        MBUS_UNIT,  /* the meter's unit can't be brought to the configured one: bad/config */
};

/*
 * Fills type, quality and value of `out`, whose text lies in `room`; `convert`
 * is of c->convert.
 */
enum mbus_verdict mbus_set(const struct mbus_reading_conf *c, const struct convert *convert,
                           const struct mbus_record *r, char room[MBUS_TEXT_MAX], struct reading *out);

#endif
