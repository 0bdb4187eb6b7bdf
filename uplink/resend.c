/*
 * resend: a row that goes to Kafka once more, beside the lanes.
 *
 * No window and no watermark: the caller sends few at a time and counts what
 * comes back.  The record is made as the lanes make it, so its id and bytes are
 * those it had; with live_first a reading goes to the backfill topic. How it
 * fails: the result says so; nothing is tried again here.
 */
#include "agent/base/err.h"
#include "uplink/lane.h"

int uplink_resend(struct uplink *u, enum spool_lane lane, const struct spool_row *row, uint32_t token, struct err *e)
{
        struct sink_record rec = {.opaque = token << OPAQUE_LANE_BITS | OPAQUE_AGAIN};
        enum uplink_lane no = lane == SPOOL_EVENTS ? UPLINK_EVENTS : UPLINK_SAMPLES;
        struct rt_time now;

        BUG_ON(token > UINT32_MAX >> OPAQUE_LANE_BITS);
        if (u->stopping)
                return SINK_E_RETRY;
        rt_now(u->rt, &now);
        if (lane == SPOOL_SAMPLES && u->n_lanes == UPLINK_LANES)
                no = UPLINK_BACKLOG;
        if (!lane_make_record(&u->lane[no], row, &now, &rec))
                return err_set(e, "its tag is not in the table");
        return u->sink->ops->produce(u->sink, &rec, e);
}
