/*
 * drivers: see drivers.h.  Why a table and no registration at start: the
 * configuration, the manual and the host read the same list before anything
 * runs, and a kind that is not linked can't be configured by mistake.
 *
 * A row can't fail; a driver that is in the list and has no operations is a
 * symbol that the linker does not find.
 */
#include "agent/drivers.h"

#define DECLARE(kind) extern const struct driver_ops kind##_ops;
DRIVERS_EACH(DECLARE)

#define ROW(kind) &kind##_ops,
const struct driver_ops *const drivers_known[DRIVERS_KNOWN + 1] = {DRIVERS_EACH(ROW)};
