/*
 * ack_delay: when to commit (see ack_delay.h).
 *
 * The trap: a broker that lets only 20 messages be under way sends 20 and falls
 * silent until we acknowledge.  Waiting out the hold would make that 20
 * messages per hold, a thousand a second.  A broker can't be asked for its
 * limit, so it is learned from what only a used-up window looks like: nothing
 * came in the second half of the hold, nothing while the commit ran, and then
 * more came right behind the acknowledgements.  The same number twice running
 * is believed; from then on that many pending and a dry socket mean "commit
 * now".
 *
 * A wrong belief costs small commits, which cost flash, so it is easily lost:
 * at once when the broker sends more without an acknowledgement (and then more
 * proof is needed the next time), and when two early commits running were not
 * answered at once, because then nothing was waiting for them.  A belief above
 * the truth corrects itself: the holds run out again.
 */
#include "drivers/mqtt/ack_delay.h"

enum { STALLS_FIRST = 2, STALLS_MOST = 16, MISSES_MOST = 2 };

void mqtt_hold_init(struct mqtt_hold *h, int64_t delay_us, uint32_t batch)
{
        *h = (struct mqtt_hold){
                .delay_us = delay_us, .batch = batch, .n_needed = STALLS_FIRST, .done_us = INT64_MIN / 2};
}

static void forget(struct mqtt_hold *h)
{
        h->window = h->n_stalls = h->n_misses = 0;
}

static void begin(struct mqtt_hold *h, int64_t now_us)
{
        h->first_us = now_us;
        h->quick = now_us - h->done_us <= h->delay_us / 4;
        if (!h->proving)
                return;
        h->proving = false;
        h->n_misses = h->quick ? 0 : h->n_misses + 1;
        if (h->n_misses >= MISSES_MOST)
                forget(h);
}

void mqtt_hold_add(struct mqtt_hold *h, int64_t now_us)
{
        if (h->pending++ == 0)
                begin(h, now_us);
        h->last_us = now_us;
}

bool mqtt_hold_due(struct mqtt_hold *h, int64_t now_us, bool dry, int64_t *wait_us)
{
        int64_t left_us = h->first_us + h->delay_us - now_us;

        *wait_us = -1;
        h->early = h->silent = false;
        if (h->pending == 0)
                return false;
        if (h->pending >= h->batch)
                return true;
        if (h->window && h->pending >= h->window && dry) {
                h->early = true;
                return true;
        }
        if (left_us <= 0 && (dry || h->delay_us > 0)) {
                h->silent = dry && h->last_us - h->first_us < h->delay_us / 2;
                return true;
        }
        *wait_us = left_us > 0 ? left_us : 0;
        return false;
}

static void learn(struct mqtt_hold *h)
{
        h->n_stalls = h->under_way == h->stalled ? h->n_stalls + 1 : 1;
        h->stalled = h->under_way;
        if (h->n_stalls < h->n_needed)
                return;
        h->window = h->stalled;
        h->n_misses = 0;
}

void mqtt_hold_commit(struct mqtt_hold *h)
{
        h->under_way = h->pending;
        h->pending = 0;
}

void mqtt_hold_done(struct mqtt_hold *h, int64_t now_us, bool more)
{
        more = more || h->pending > 0;
        if (more && h->window && h->n_needed < STALLS_MOST)
                h->n_needed *= 2;
        if (more)
                forget(h);
        else if (h->silent && h->quick)
                learn(h);
        else if (!h->early)
                h->n_stalls = 0;
        h->proving = h->early && h->window;
        h->under_way = 0;
        h->done_us = now_us;
        if (h->pending) { /* came unasked during the commit; held for more, as if it came now */
                h->first_us = now_us;
                h->quick = false;
        }
}
