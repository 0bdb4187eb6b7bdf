/*
 * judge_uplink: the link to Kafka, its topics, lanes and the heartbeat.
 *
 * While no broker answers, that is all there is to say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/health/judge.h"

enum { STALL_US = 5000000, TOOK_MOST_US = 30000000 };

static const char *first_broker(const struct health_facts *f)
{
        return f->kafka && f->kafka->brokers.n ? ((const char *const *)f->kafka->brokers.items)[0] : "";
}

static void kafka_way(struct health_condition *at, const struct health_facts *f, const char *why)
{
        health_way(at, &(struct health_names){.kind = "kafka", .where = first_broker(f)}, why);
}

static uint64_t held(const struct health_facts *f)
{
        return f->spool.held + f->spool.events_held;
}

/*
 * Records are out, a broker is said to be there, and nothing comes back for 5 s
 * beside linger, or for twice as long as it took of late: over a slow line each
 * batch takes its time, and that is no coming and going.
 */
static bool is_stalled(struct health_memory *m, const struct health_facts *f)
{
        const struct uplink_status *u = &f->uplink;
        int64_t most_us = STALL_US + f->kafka->linger_us,
                took_us = m->out_since_us ? f->now.mono_us - m->out_since_us : 0;
        bool answered = health_rises(&m->answers, u->delivered + u->retried + u->poisoned, f->now.mono_us);

        if (answered) {
                m->took_us -= m->took_us / 4;
                m->took_us = took_us < m->took_us ? m->took_us : took_us < TOOK_MOST_US ? took_us : TOOK_MOST_US;
        }
        if (answered || !u->in_flight || !m->out_since_us)
                m->out_since_us = u->in_flight ? f->now.mono_us : 0;
        most_us = most_us > 2 * m->took_us ? most_us : 2 * m->took_us;
        return m->out_since_us && f->now.mono_us - m->out_since_us >= most_us;
}

/*
 * What goes into a topic, and whether it waits for it now.  Raw payloads go in
 * the lane of samples, before those: what is said of the lane last, stays.
 */
struct topic_use {
        enum sink_topic which;
        const char *topic, *lane;
        bool waits;
};
enum { TOPICS = 5 };

static bool lane_holds(const struct uplink_status *u, const char *lane)
{
        int i = 0;

        while (i < u->n_lanes && strcmp(u->lane[i].name, lane) != 0)
                i++;
        return i < u->n_lanes && u->lane[i].held;
}

static void topics_of(const struct health_facts *f, struct topic_use t[TOPICS])
{
        const struct kafka_conf *k = f->kafka;

        t[0] = (struct topic_use){SINK_RAW, k->raw_topic, "samples", lane_holds(&f->uplink, "samples")};
        t[4] = (struct topic_use){SINK_SAMPLES, k->samples_topic, "samples", lane_holds(&f->uplink, "samples")};
        t[1] = (struct topic_use){SINK_EVENTS, k->events_topic, "events", lane_holds(&f->uplink, "events")};
        t[2] = (struct topic_use){SINK_BACKFILL, k->live_first ? k->backfill_topic : NULL, "backlog",
                                  lane_holds(&f->uplink, "backlog")};
        t[3] = (struct topic_use){SINK_STATUS, k->status_topic, "heartbeat", true};
}

static bool names_topic(const char *why, const char *topic)
{
        const char *at = topic ? strstr(why, topic) : NULL;

        return at && strchr(" ,:;", at[strlen(topic)]);
}

/* judge_topics tells of it. */
static bool is_told_of_its_topic(const struct health_facts *f, const char *why)
{
        struct topic_use topics[TOPICS];
        bool told = false;

        topics_of(f, topics);
        for (size_t i = 0; i < TOPICS; i++)
                told |= f->uplink.missing & 1U << topics[i].which && names_topic(why, topics[i].topic);
        return told;
}

static void judge_lane(struct health *h, const struct health_facts *f, const struct uplink_lane_status *l)
{
        bool missing = strstr(l->fault.why, "has no topic") != NULL;
        struct health_condition *at;
        char subject[40];

        if (strcmp(l->state, "backoff") != 0 || !l->held || l->fenced ||
            (missing && is_told_of_its_topic(f, l->fault.why)))
                return;
        snprintf(subject, sizeof(subject), "kafka %s", l->name);
        at = health_hold(h, missing ? HEALTH_TOPIC_MISSING : HEALTH_LANE_WAITS, subject, 0);
        health_what(at, "%s; %" PRIu64 " %s held", *l->fault.why ? l->fault.why : "they wait and are sent again",
                    l->held, l->name);
        kafka_way(at, f, l->fault.why);
}

static void judge_mark(struct health *h, const struct health_facts *f, const struct uplink_lane_status *l)
{
        struct health_condition *at;
        char subject[40];

        if (!l->fenced && !l->unmarked)
                return;
        snprintf(subject, sizeof(subject), "kafka %s", l->name);
        at = health_hold(h, l->fenced ? HEALTH_FENCED : HEALTH_MARK_LOST, subject, 0);
        if (l->fenced)
                health_what(at, "another agent sends %s as gateway %s; this one waits, %" PRIu64 " held", l->name,
                            f->gateway, l->held);
        else
                health_what(at,
                            "Kafka has no mark of %s (away for longer than offsets.retention.minutes?): the "
                            "spool's counts, some may come twice",
                            l->name);
        kafka_way(at, f, at->what);
}

static void judge_heartbeat(struct health *h, const struct health_facts *f)
{
        struct health_condition *at;

        if (strcmp(f->uplink.heartbeat, "refused") != 0)
                return;
        at = health_hold(h,
                         strstr(f->uplink.heartbeat_fault.why, "has no topic") ? HEALTH_TOPIC_MISSING
                                                                               : HEALTH_HEARTBEAT_REFUSED,
                         "kafka heartbeat", 0);
        health_what(at, "%s", f->uplink.heartbeat_fault.why);
        kafka_way(at, f, f->uplink.heartbeat_fault.why);
}

/*
 * At once: a record without a topic is kept by the library for some seconds
 * before its lane is told.  True: what is out is out for that.
 */
static bool judge_topics(struct health *h, const struct health_facts *f)
{
        struct topic_use topics[TOPICS];
        bool waits = false;

        topics_of(f, topics);
        for (size_t i = 0; i < TOPICS; i++) {
                const struct topic_use *t = &topics[i];
                struct health_condition *at;
                char subject[HEALTH_SUBJECT_MAX], why[HEALTH_WORDS_MAX];

                if (!(f->uplink.missing & 1U << t->which) || !t->topic)
                        continue;
                waits |= t->waits && t->which != SINK_STATUS; /* heartbeats are not among those that are out */
                snprintf(subject, sizeof(subject), "kafka %s", t->waits ? t->lane : t->topic);
                snprintf(why, sizeof(why), "Kafka has no topic %s%s", t->topic,
                         t->waits ? "" : ", which records will need");
                at = health_hold(h, t->waits ? HEALTH_TOPIC_MISSING : HEALTH_TOPIC_ABSENT, subject, 0);
                health_what(at, "%s%s", why, t->waits ? ", records wait for it" : "");
                kafka_way(at, f, why);
        }
        return waits;
}

void health_judge_uplink(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        const struct uplink_status *u = &f->uplink;
        bool stalled = is_stalled(m, f), wants_topic;
        struct health_condition *at;

        if (!strcmp(u->state, "down")) {
                at = health_hold(h, HEALTH_UPLINK_DOWN, "kafka", 0);
                health_what(at, "%s; %" PRIu64 " held", *u->fault.why ? u->fault.why : "no broker answers", held(f));
                kafka_way(at, f, u->fault.why);
                return;
        }
        wants_topic = judge_topics(h, f);
        if (stalled && !wants_topic) {
                at = health_hold(h, HEALTH_UPLINK_STALLED, "kafka", m->out_since_us);
                health_what(at, "%" PRIu64 " records are out and Kafka answers none%s%s; %" PRIu64 " held",
                            u->in_flight, *u->fault.why ? ": " : "", u->fault.why, held(f));
                kafka_way(at, f, *u->fault.why ? u->fault.why : "hangs");
        } else if (!strcmp(u->state, "connecting") && held(f) && !u->missing) {
                at = health_hold(h, HEALTH_UPLINK_CONNECTING, "kafka", 0);
                health_what(at, "no broker has answered yet%s%s; %" PRIu64 " held", *u->fault.why ? ": " : "",
                            u->fault.why, held(f));
                kafka_way(at, f, *u->fault.why ? u->fault.why : "answered yet");
        }
        for (int i = 0; i < u->n_lanes; i++)
                judge_mark(h, f, &u->lane[i]);
        for (int i = 0; i < u->n_lanes && !stalled; i++)
                judge_lane(h, f, &u->lane[i]);
        judge_heartbeat(h, f);
}
