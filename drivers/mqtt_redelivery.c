/*
 * mqtt_redelivery: a ring of the messages received last, looked up when a session is resumed (see mqtt_redelivery.h).
 *
 * Why: QoS 1 means "at least once", and each repetition would become a reading with a sequence number of its own, which
 * nothing downstream could recognise.  The packet id survives in the spool with the reading, so the ring can be filled
 * again after a crash.
 *
 * Taking a new message for an old one would lose it; taking an old one for new only doubles it.  So all must agree: the
 * broker says DUP, the packet id, tag, type and value of every reading, and the time if the payload had one.  An entry is
 * used once in each session: its acknowledgement may be lost with that link, too.  The time is compared in milliseconds: the spool moves a time by a microsecond or few to keep a tag's times
 * apart; where it moved it further, time is left out.
 */
#include "drivers/mqtt_redelivery.h"

#include <string.h>

#include "agent/base/text.h"

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
                part.value = text_hash(r->v.text, r->len, 0);
        p->hash = text_hash(&part, sizeof(part), 0);
        if (r->flags & READING_SOURCE_TIME)
                p->time_ms = r->flags & (READING_TIME_MOVED | READING_TIME_REPAIRED) ? MQTT_TIME_ANY : r->ts_us / 1000;
}

void mqtt_redelivery_add(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p)
{
        q->ring[q->next] = (struct mqtt_received){.print = *p, .mid = mid};
        q->next = (q->next + 1) % MQTT_RING;
        if (q->count < MQTT_RING)
                q->count++;
}

void mqtt_redelivery_recall(struct mqtt_redelivery *q, const struct reading *r)
{
        struct mqtt_received *g = &q->gather;

        if (g->mid && (!r || r->mid != g->mid)) {
                mqtt_redelivery_add(q, g->mid, &g->print);
                g->mid = 0;
        }
        if (!r || !r->mid)
                return;
        if (!g->mid)
                mqtt_print_start(&g->print);
        g->mid = r->mid;
        mqtt_print_add(&g->print, r);
}

void mqtt_redelivery_begin(struct mqtt_redelivery *q, bool session_present)
{
        if (!session_present)
                q->count = 0;
        q->session++;
        q->left = q->count;
        q->at = q->count;
}

static bool same_print(const struct mqtt_print *a, const struct mqtt_print *b)
{
        if (a->hash != b->hash)
                return false;
        return a->time_ms == b->time_ms || a->time_ms == MQTT_TIME_ANY || b->time_ms == MQTT_TIME_ANY;
}

/* Redelivered in order, so the one behind the last hit is nearly always it; else all are searched, newest first. */
static struct mqtt_received *find(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p)
{
        for (uint32_t i = 0; i <= q->count; i++) {
                uint32_t back = i == 0 ? q->at : i;
                struct mqtt_received *e = &q->ring[(q->next + MQTT_RING - back) % MQTT_RING];

                if (back >= 1 && e->mid == mid && e->seen_in != q->session && same_print(&e->print, p)) {
                        q->at = back - 1;
                        return e;
                }
        }
        return NULL;
}

bool mqtt_redelivery_known(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p, bool dup)
{
        struct mqtt_received *e;

        if (!q->left)
                return false;
        q->left = dup ? q->left - 1 : 0;
        e = dup && mid ? find(q, mid, p) : NULL;
        if (e)
                e->seen_in = q->session;
        return e;
}
