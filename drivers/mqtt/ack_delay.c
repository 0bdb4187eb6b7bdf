/*
 * ack_delay: when to commit (see ack_delay.h).
 *
 * The trap: a broker that lets only 20 messages be under way sends 20 and falls
 * silent until we acknowledge.  Waiting out the delay would make that 20
 * messages per delay, a thousand a second, or twenty.  A broker can't be asked
 * for its limit, so it is learned from what only a used-up window looks like:
 * nothing came in the second half of the delay, nothing while the commit ran,
 * and then more came right behind the acknowledgements.  The same number twice
 * running is believed; the second time it need not be silent for so long.  Nor
 * when the number is another each time, as of brokers that count bytes, or refill
 * while they are acknowledged: what is not believed then is only when it is used
 * up, and a moment's silence says that.
 *
 * From then on that many pending and a dry socket mean "commit now".  When they
 * did not come all at once, behind acknowledgements, nothing waits at the
 * broker, so a moment is waited first: one more message within it is one the
 * belief forbids.
 * A wrong belief costs small commits, which cost flash; it is lost at once when
 * the broker sends more without an acknowledgement, and then more proof is
 * needed the next time.
 */
#include "drivers/mqtt/ack_delay.h"

enum { STALLS_FIRST = 2, STALLS_MAX = 16, SILENT_MIN = 2, WINDOW_MIN = 8 };

void mqtt_ack_delay_init(struct mqtt_ack_delay *a, const struct mqtt_ack_pace *pace, uint32_t batch)
{
        *a = (struct mqtt_ack_delay){.pace = *pace, .batch = batch, .n_needed = STALLS_FIRST, .done_us = INT64_MIN / 2};
}

/* It seems to have sent all it may, though we don't know that number. */
static bool seems_used_up(const struct mqtt_ack_delay *a)
{
        if (!a->quick || a->pace.least_us >= a->pace.most_us / 4)
                return false;
        return (a->n_stalls && a->stalled == a->pending) || (a->n_silent >= SILENT_MIN && a->pending >= WINDOW_MIN);
}

static void forget(struct mqtt_ack_delay *a)
{
        if (a->window && a->n_needed < STALLS_MAX)
                a->n_needed *= 2;
        a->window = a->n_stalls = 0;
}

void mqtt_ack_delay_add(struct mqtt_ack_delay *a, int64_t now_us)
{
        if (a->pending++ == 0) {
                a->first_us = now_us;
                a->quick = now_us - a->done_us <= a->pace.most_us / 4;
        }
        a->last_us = now_us;
        if (a->window && a->pending > a->window)
                forget(a);
}

static bool is_over(int64_t over_us, int64_t now_us, int64_t *wait_us)
{
        *wait_us = over_us > now_us ? over_us - now_us : 0;
        return over_us <= now_us;
}

/* At the broker, for our acknowledgements. */
static bool had_waited(const struct mqtt_ack_delay *a)
{
        return a->quick && a->last_us - a->first_us <= a->pace.least_us / 2;
}

/* What flows need not be let on as soon as what waits. */
static int64_t silence_us(const struct mqtt_ack_delay *a)
{
        return had_waited(a) ? 2 * a->pace.least_us : a->pace.most_us / 4;
}

bool mqtt_ack_delay_due(struct mqtt_ack_delay *a, int64_t now_us, bool dry, int64_t *wait_us)
{
        int64_t delay_us = a->pending >= MQTT_ACKS_ENOUGH ? a->pace.least_us : a->pace.most_us;
        int64_t over_us = a->first_us + delay_us, silent_us = a->last_us + silence_us(a);

        *wait_us = -1;
        a->early = a->silent = false;
        if (a->pending == 0)
                return false;
        if (a->pending >= a->batch)
                return true;
        if (dry && a->window == a->pending)
                return a->early = is_over(had_waited(a) ? now_us : a->last_us + a->pace.least_us, now_us, wait_us);
        if (dry && seems_used_up(a) && silent_us < over_us)
                return a->silent = is_over(silent_us, now_us, wait_us);
        if (!is_over(over_us, now_us, wait_us) || (!dry && delay_us == 0))
                return false;
        a->silent = dry && a->last_us - a->first_us < delay_us / 2;
        return true;
}

bool mqtt_ack_delay_join(struct mqtt_ack_delay *a, int64_t now_us, bool dry)
{
        int64_t passed_us = now_us - a->first_us;

        a->early = false;
        a->silent = dry && passed_us >= a->pace.most_us / 2 && a->last_us - a->first_us < passed_us / 2;
        return a->pending > 0;
}

static void learn(struct mqtt_ack_delay *a)
{
        a->n_silent++;
        a->n_stalls = a->under_way == a->stalled ? a->n_stalls + 1 : 1;
        a->stalled = a->under_way;
        if (a->n_stalls >= a->n_needed)
                a->window = a->stalled;
}

void mqtt_ack_delay_commit(struct mqtt_ack_delay *a)
{
        a->under_way = a->pending;
        a->pending = 0;
}

void mqtt_ack_delay_done(struct mqtt_ack_delay *a, int64_t now_us, bool more)
{
        if (more || a->pending)
                forget(a);
        else if (a->silent && a->quick)
                learn(a);
        else if (!a->early)
                a->n_stalls = a->n_silent = 0;
        a->under_way = 0;
        a->done_us = now_us;
        if (a->pending) { /* came unasked during the commit; held for more, as if it came now */
                a->first_us = now_us;
                a->quick = false;
        }
}
