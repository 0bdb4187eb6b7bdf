/*
 * txn: see txn.h.
 *
 * One row a state, one column an event; what is not in the table changes
 * nothing: a report that comes late, a timer that was due already.  While it is
 * being committed a spoiled record is no news, the commit's answer says it.
 * Cannot fail.
 */
#include "uplink/txn.h"

#include "agent/base/err.h"

const char *const txn_state_names[TXN_STATES] = {
        [TXN_STARTING] = "starting", [TXN_IDLE] = "idle",     [TXN_OPEN] = "open",   [TXN_COMMITTING] = "committing",
        [TXN_ABORTING] = "aborting", [TXN_FENCED] = "fenced", [TXN_FATAL] = "fatal",
};

static const struct {
        enum txn_state from;
        enum txn_event event;
        enum txn_state to;
        enum txn_act act;
} moves[] = {
        {TXN_STARTING, TXN_DONE, TXN_IDLE, TXN_TAKE_MARK},
        {TXN_STARTING, TXN_AGAIN, TXN_STARTING, TXN_PAUSE},
        {TXN_STARTING, TXN_PATIENCE, TXN_STARTING, TXN_START},
        {TXN_STARTING, TXN_ABORTABLE, TXN_FATAL, TXN_PAUSE},
        {TXN_STARTING, TXN_TWIN, TXN_FENCED, TXN_WAIT},
        {TXN_STARTING, TXN_BROKEN, TXN_FATAL, TXN_PAUSE},

        {TXN_IDLE, TXN_RECORD, TXN_OPEN, TXN_NOTHING},
        {TXN_IDLE, TXN_SPOILED, TXN_ABORTING, TXN_ABORT},
        {TXN_IDLE, TXN_TWIN, TXN_FENCED, TXN_WAIT},
        {TXN_IDLE, TXN_BROKEN, TXN_FATAL, TXN_PAUSE},

        {TXN_OPEN, TXN_DUE, TXN_COMMITTING, TXN_COMMIT},
        {TXN_OPEN, TXN_SPOILED, TXN_ABORTING, TXN_ABORT},
        {TXN_OPEN, TXN_TWIN, TXN_FENCED, TXN_WAIT},
        {TXN_OPEN, TXN_BROKEN, TXN_FATAL, TXN_PAUSE},

        {TXN_COMMITTING, TXN_DONE, TXN_IDLE, TXN_ACK},
        {TXN_COMMITTING, TXN_AGAIN, TXN_COMMITTING, TXN_COMMIT},
        {TXN_COMMITTING, TXN_ABORTABLE, TXN_ABORTING, TXN_ABORT},
        {TXN_COMMITTING, TXN_TWIN, TXN_FENCED, TXN_WAIT},
        {TXN_COMMITTING, TXN_BROKEN, TXN_FATAL, TXN_PAUSE},

        {TXN_ABORTING, TXN_DONE, TXN_IDLE, TXN_ROLL_BACK},
        {TXN_ABORTING, TXN_AGAIN, TXN_ABORTING, TXN_ABORT},
        {TXN_ABORTING, TXN_ABORTABLE, TXN_FATAL, TXN_PAUSE},
        {TXN_ABORTING, TXN_TWIN, TXN_FENCED, TXN_WAIT},
        {TXN_ABORTING, TXN_BROKEN, TXN_FATAL, TXN_PAUSE},

        {TXN_FENCED, TXN_PATIENCE, TXN_STARTING, TXN_START},
        {TXN_FATAL, TXN_PATIENCE, TXN_STARTING, TXN_START},
};

enum txn_act txn_step(enum txn_state *state, enum txn_event event)
{
        BUG_ON((unsigned)*state >= TXN_STATES || (unsigned)event >= TXN_EVENTS);
        for (unsigned i = 0; i < sizeof(moves) / sizeof(*moves); i++) {
                if (moves[i].from != *state || moves[i].event != event)
                        continue;
                *state = moves[i].to;
                return moves[i].act;
        }
        return TXN_NOTHING;
}
