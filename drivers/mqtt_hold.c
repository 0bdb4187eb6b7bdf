/*
 * mqtt_hold: when to commit (see mqtt_hold.h; FINDINGS tell what holding buys).
 *
 * The trap: a broker that lets only 20 messages be under way sends 20 and falls silent until we acknowledge.  Waiting out
 * the hold would make that 20 messages per hold, a thousand a second.  A broker can't be asked for its limit, so it is
 * learned: a hold in whose second half nothing came had all there was.  The same number twice running is taken for the
 * window; from then on that many pending and a dry socket mean "commit now".
 *
 * A slow plant can look like a small window.  What tells them apart is what comes while the commit runs: a broker whose
 * window is used up can't send anything then.  If it does, the guess is dropped, and twice as many equal stalls are needed
 * the next time, so that a trickle does not end in commits of one for long.  A guess above the truth corrects itself: the
 * holds run out again.
 */
#include "drivers/mqtt_hold.h"

enum { STALLS_FIRST = 2, STALLS_MOST = 64 };

void mqtt_hold_init(struct mqtt_hold *h, int64_t delay_us, uint32_t batch)
{
        *h = (struct mqtt_hold){.delay_us = delay_us, .batch = batch, .n_needed = STALLS_FIRST};
}

void mqtt_hold_add(struct mqtt_hold *h, int64_t now_us)
{
        if (h->pending++ == 0)
                h->first_us = now_us;
        h->last_us = now_us;
}

/* A hold ran out: did the broker fall silent? */
static void learn(struct mqtt_hold *h)
{
        if (h->last_us - h->first_us >= h->delay_us / 2) {
                h->n_stalls = 0;
                return;
        }
        h->n_stalls = h->pending == h->stalled ? h->n_stalls + 1 : 1;
        h->stalled = h->pending;
        if (h->n_stalls >= h->n_needed)
                h->window = h->stalled;
}

bool mqtt_hold_due(struct mqtt_hold *h, int64_t now_us, bool dry, int64_t *wait_us)
{
        int64_t left_us = h->first_us + h->delay_us - now_us;

        *wait_us = -1;
        h->early = false;
        if (h->pending == 0)
                return false;
        if (h->pending >= h->batch)
                return true;
        if (h->window && h->pending >= h->window && dry) {
                h->early = true;
                return true;
        }
        if (left_us <= 0 && (dry || h->delay_us > 0)) {
                if (dry && h->delay_us > 0)
                        learn(h);
                return true;
        }
        *wait_us = left_us > 0 ? left_us : 0;
        return false;
}

void mqtt_hold_done(struct mqtt_hold *h, bool more)
{
        h->pending = 0;
        if (!h->early || !more)
                return;
        h->window = h->n_stalls = 0;
        if (h->n_needed < STALLS_MOST)
                h->n_needed *= 2;
}
