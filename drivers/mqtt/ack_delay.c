/*
 * ack_delay: when to commit (see ack_delay.h).
 *
 * The trap: a broker that lets only 20 messages be under way sends 20 and falls
 * silent until we acknowledge.  Waiting out the delay would make that 20
 * messages per delay, a thousand a second.  A broker can't be asked for its
 * limit, so it is learned from what only a used-up window looks like: nothing
 * came in the second half of the delay, nothing while the commit ran, and then
 * more came right behind the acknowledgements.  The same number twice running
 * is believed; from then on that many pending and a dry socket mean "commit
 * now".
 *
 * A wrong belief costs small commits, which cost flash, so it is easily lost:
 * at once when the broker sends more without an acknowledgement (and then more
 * proof is needed the next time), and when two early commits running were not
 * answered at once, because then nothing was waiting for them.  A belief above
 * the truth corrects itself: the delays run out again.
 */
#include "drivers/mqtt/ack_delay.h"

enum { STALLS_FIRST = 2, STALLS_MAX = 16, MISSES_MAX = 2 };

void mqtt_ack_delay_init(struct mqtt_ack_delay *a, int64_t delay_us, uint32_t batch)
{
        *a = (struct mqtt_ack_delay){
                .delay_us = delay_us, .batch = batch, .n_needed = STALLS_FIRST, .done_us = INT64_MIN / 2};
}

static void forget(struct mqtt_ack_delay *a)
{
        a->window = a->n_stalls = a->n_misses = 0;
}

static void begin(struct mqtt_ack_delay *a, int64_t now_us)
{
        a->first_us = now_us;
        a->quick = now_us - a->done_us <= a->delay_us / 4;
        if (!a->proving)
                return;
        a->proving = false;
        a->n_misses = a->quick ? 0 : a->n_misses + 1;
        if (a->n_misses >= MISSES_MAX)
                forget(a);
}

void mqtt_ack_delay_add(struct mqtt_ack_delay *a, int64_t now_us)
{
        if (a->pending++ == 0)
                begin(a, now_us);
        a->last_us = now_us;
}

bool mqtt_ack_delay_due(struct mqtt_ack_delay *a, int64_t now_us, bool dry, int64_t *wait_us)
{
        int64_t left_us = a->first_us + a->delay_us - now_us;

        *wait_us = -1;
        a->early = a->silent = false;
        if (a->pending == 0)
                return false;
        if (a->pending >= a->batch)
                return true;
        if (a->window && a->pending >= a->window && dry) {
                a->early = true;
                return true;
        }
        if (left_us <= 0 && (dry || a->delay_us > 0)) {
                a->silent = dry && a->last_us - a->first_us < a->delay_us / 2;
                return true;
        }
        *wait_us = left_us > 0 ? left_us : 0;
        return false;
}

static void learn(struct mqtt_ack_delay *a)
{
        a->n_stalls = a->under_way == a->stalled ? a->n_stalls + 1 : 1;
        a->stalled = a->under_way;
        if (a->n_stalls < a->n_needed)
                return;
        a->window = a->stalled;
        a->n_misses = 0;
}

void mqtt_ack_delay_commit(struct mqtt_ack_delay *a)
{
        a->under_way = a->pending;
        a->pending = 0;
}

void mqtt_ack_delay_done(struct mqtt_ack_delay *a, int64_t now_us, bool more)
{
        more = more || a->pending > 0;
        if (more && a->window && a->n_needed < STALLS_MAX)
                a->n_needed *= 2;
        if (more)
                forget(a);
        else if (a->silent && a->quick)
                learn(a);
        else if (!a->early)
                a->n_stalls = 0;
        a->proving = a->early && a->window;
        a->under_way = 0;
        a->done_us = now_us;
        if (a->pending) { /* came unasked during the commit; held for more, as if it came now */
                a->first_us = now_us;
                a->quick = false;
        }
}
