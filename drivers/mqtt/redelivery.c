/*
 * redelivery: what was received last under each packet id, looked up when a
 * session is resumed (see redelivery.h).
 *
 * Why: QoS 1 means "at least once", and each repetition would become a reading
 * with a sequence number of its own, which nothing downstream could recognise.
 * The packet id survives in the spool with the reading, so the table can be
 * filled again after a crash.
 *
 * Why all 65,535 ids: mosquitto 2.0.11 sends a resumed session's backlog in
 * bulk, whatever the limit on what may be under way, and does not read
 * acknowledgements meanwhile; ended in that moment, it sent 10,000 messages
 * again that we had acknowledged.  An id is free for another message only when
 * the first one is acknowledged, so the last one counts.
 *
 * An id comes round again, and a constant value with it: what was received more
 * than MQTT_UNDER_WAY_MAX messages ago is not under way any more and is not
 * recognised.  Where ids were seen to come again sooner (a broker that gives
 * the lowest free one, or that was restarted), a message without a time of its
 * own is recognised within half of that distance only.
 *
 * Taking a new message for an old one would lose it; taking an old one for new
 * only doubles it.  So all must agree: the broker says DUP, the packet id, tag,
 * type and value of every reading, and the time if the payload had one.  An
 * entry is used once in each session: its acknowledgement may be lost with that
 * link, too.  The time is compared in milliseconds: the spool moves a time by a
 * microsecond or few to keep a tag's times apart; where it moved it further,
 * time is left out.
 */
#include "drivers/mqtt/redelivery.h"

#include <string.h>

#include "agent/base/table_hash.h"

void mqtt_print_start(struct mqtt_print *p)
{
        *p = (struct mqtt_print){.hash = 0, .time_ms = MQTT_TIME_NONE};
}

void mqtt_print_add(struct mqtt_print *p, const struct reading *r)
{
        struct {
                uint64_t hash, value;
                uint32_t tag, type;
        } part = {p->hash, 0, r->tag, r->type};

        if (r->type == READING_F64)
                memcpy(&part.value, &r->v.f64, sizeof(part.value));
        else if (r->type == READING_I64)
                part.value = (uint64_t)r->v.i64;
        else if (r->type == READING_BOOL)
                part.value = r->v.b;
        else if (r->type == READING_TEXT || r->type == READING_RAW)
                part.value = table_hash(r->v.text, r->len, 0);
        p->hash = table_hash(&part, sizeof(part), 0);
        if (r->flags & READING_SOURCE_TIME)
                p->time_ms = r->flags & (READING_TIME_MOVED | READING_TIME_REPAIRED) ? MQTT_TIME_ANY : r->ts_us / 1000;
}

void mqtt_redelivery_init(struct mqtt_redelivery *q)
{
        q->session = q->resumption = 1;
        q->soonest = UINT32_MAX;
}

void mqtt_redelivery_add(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p)
{
        struct mqtt_received *e = &q->by_mid[mid];

        q->number++;
        if (e->session != q->session)
                q->count++;
        else if (q->number - e->number < q->soonest)
                q->soonest = q->number - e->number;
        *e = (struct mqtt_received){.print = *p, .session = q->session, .number = q->number};
}

void mqtt_redelivery_recall(struct mqtt_redelivery *q, const struct reading *r)
{
        if (q->gather_mid && (!r || r->mid != q->gather_mid)) {
                mqtt_redelivery_add(q, q->gather_mid, &q->gather);
                q->gather_mid = 0;
        }
        if (!r || !r->mid)
                return;
        if (!q->gather_mid)
                mqtt_print_start(&q->gather);
        q->gather_mid = r->mid;
        mqtt_print_add(&q->gather, r);
}

void mqtt_redelivery_begin(struct mqtt_redelivery *q, bool session_present)
{
        q->resumption++;
        if (!session_present) {
                q->session++;
                q->count = 0;
        }
        q->left = q->count;
        q->start = q->number;
}

/*
 * May it still have been under way when the session was resumed, and can it be
 * no other message with the same id?
 */
static bool can_be_again(const struct mqtt_redelivery *q, const struct mqtt_received *e)
{
        uint32_t ago = q->start - e->number;
        bool has_time = e->print.time_ms > 0;

        return e->session == q->session && e->seen_in != q->resumption && ago < MQTT_UNDER_WAY_MAX &&
               (has_time || ago < q->soonest / 2);
}

static bool same_print(const struct mqtt_print *a, const struct mqtt_print *b)
{
        if (a->hash != b->hash)
                return false;
        return a->time_ms == b->time_ms || a->time_ms == MQTT_TIME_ANY || b->time_ms == MQTT_TIME_ANY;
}

bool mqtt_redelivery_known(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p, bool dup)
{
        struct mqtt_received *e = &q->by_mid[mid];

        if (!q->left)
                return false;
        q->left = dup ? q->left - 1 : 0;
        if (!dup || !can_be_again(q, e) || !same_print(&e->print, p))
                return false;
        e->seen_in = q->resumption;
        return true;
}
