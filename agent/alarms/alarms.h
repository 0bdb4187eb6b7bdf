/*
 * alarms: the rules at work.  Between the rules (pure, agent/rules) and the
 * rest: readings go in, every transition is told to the notifiers at once,
 * before anything is on disk, and is stored in the transaction of the reading
 * that made it.
 *
 * Why before: people must hear of it while a disk takes 300 ms and Kafka is
 * away.  A crash between the two makes the same transition happen again from
 * the same readings, and its event_id names the activation, not the telling:
 * the same.
 *
 * Per reading: alarms_eval(), then, knowing which seq it gets, alarms_store(),
 * then spool_append(); after a whole message alarms_commit().  Loop thread; the
 * configuration (the latest), tags and spool outlive it; free it after
 * spool_close.
 */
#ifndef MILLRACE_ALARMS_ALARMS_H
#define MILLRACE_ALARMS_ALARMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/base/schema.h"
#include "agent/base/tags.h"
#include "agent/rules/rules.h"
#include "store/spool.h"

struct alarms;

/* What a notifier is told; borrowed for the call. */
struct alarm_notice {
        const struct rules_transition *t; /* NULL: a state or a line of the journal told again, or a group */
        const struct rules_row *row;      /* NULL: a line of the journal, or a group */
        const char *json;                 /* an object */
        size_t len;
        bool several; /* its rule has several alarms there: the limit's name belongs to its name */
        bool only;    /* no other tag of the source has its tag's name: it needs no labels */
        int severity;
};

struct alarm_notifier {
        void (*tell)(struct alarm_notifier *n, const struct alarm_notice *notice);
        /* A state moved that nobody is to be told of (it is shelved, …): for those who show states. NULL. */
        void (*show)(struct alarm_notifier *n, const struct alarm_notice *notice);
        /* Something it was told is not out yet: a crash now would lose it, so it is told again then. NULL: never. */
        bool (*busy)(const struct alarm_notifier *n);
        /* A tag's name is not the only one any more: alarms are called otherwise. NULL. */
        void (*renamed)(struct alarm_notifier *n);
        struct alarm_notifier *next; /* ours */
};

struct alarms_conf {
        const char *gateway;
        struct schema_list rules;                                   /* struct rule_conf */
        bool (*is_configured)(const void *ctx, const char *driver); /* tags of others are watched when they speak */
        const void *ctx;
        /* To the events lane, with what is appended next. */
        void (*put_event)(void *ctx, int64_t ts_us, const char *kind, int severity, uint32_t tag_or_none,
                          const char *body, size_t len);
        void *event_ctx;
};

/* Loads the states the spool has. Blocking. NULL with a sentence. */
struct alarms *alarms_new(struct rt *rt, const struct alarms_conf *conf, struct tags *tags, struct spool *spool,
                          struct err *e);
void alarms_free(struct alarms *a);  /* NULL is fine */
void alarms_start(struct alarms *a); /* deadlines run from now on */
void alarms_stop(struct alarms *a);  /* no more of them; what is learned goes into the next commit */

void alarms_add_notifier(struct alarms *a, struct alarm_notifier *n);
void alarms_clear_notifiers(struct alarms *a);

/*
 * Other rules, while readings flow.  same: by rule of the old ones, 1 + the
 * rule of the new that says the same, or 0.  States stay with their names; an
 * alarm nobody watches any more ends, and says so to everyone.
 */
void alarms_reconfigure(struct alarms *a, const struct alarms_conf *conf, const uint32_t *same);
/* The tag is forgotten: nobody watches it, once alarms_rebind was called. */
void alarms_forget_tag(struct alarms *a, uint32_t tag);
void alarms_rebind(struct alarms *a);
/* The driver's devices begin anew: whether one is down is not known. */
void alarms_forget_driver(struct alarms *a, const char *driver);

/*
 * True when the reading moved an alarm: then it is worth keeping. What is moved
 * waits for alarms_store.
 */
bool alarms_eval(struct alarms *a, const struct reading *r, const struct rt_time *now);
/* `sample_seq`: of the reading just judged; 0: none. */
void alarms_store(struct alarms *a, uint64_t sample_seq);
/* Asks for a commit when something was stored; arms the next deadline. */
void alarms_commit(struct alarms *a);

/*
 * A device is known to be down, or not any more; the same for all sources of a
 * driver whose link is down.
 */
void alarms_device(struct alarms *a, const char *source, bool down);
void alarms_link(struct alarms *a, const char *driver, bool down);

/* ---- for people ---- */

enum { ALARMS_E_SEVERAL = 5 }; /* beside RULES_E_* */

struct alarm_key {
        const char *source, *tag,
                *rule;        /* tag "", or with labels; the rule with .limit behind it where it has several */
        const char *event_id; /* instead of all others; NULL */
};

/*
 * Cuts source/tag/rule (tag "-": of the source as a whole) up into a key.
 * False: it is no such name.
 */
bool alarm_key_cut(char *name, struct alarm_key *key);
/* Such a name as somebody writes it, with all names in their form. False: no room. */
bool alarm_key_read(char *out, size_t cap, const char *written);

/* The alarm as it is now. 0, RULES_E_UNKNOWN or ALARMS_E_SEVERAL. */
int alarms_row(struct alarms *a, const struct alarm_key *key, struct rules_row *out);
/* It is not normal, or was not once. */
bool alarm_ever_was(const struct rules_row *row);

/*
 * An operator's word. 0 (stored; durable after a spool_sync), or RULES_E_*; a
 * tag's labels may be left out, or some of them, as long as one alarm is meant:
 * else ALARMS_E_SEVERAL.  `by`, `comment`: UTF-8.
 */
int alarms_command(struct alarms *a, const struct alarm_key *key, enum alarm_input in, int64_t until_wall_us,
                   const char *by, const char *comment);

/* The names of those that the last command could have meant. */
const char *alarms_several(const struct alarms *a);

/* All states that are not normal; with `all` every alarm that ever was. */
void alarms_each(struct alarms *a, bool all, void (*each)(void *ctx, const struct rules_row *row), void *ctx);

void alarms_metrics(struct alarms *a, struct rules_metrics *out);

/*
 * The notice of a state as it is now, for a notifier that has to tell it again.
 */
void alarms_notice_of(struct alarms *a, const struct rules_row *row, struct alarm_notice *out, char *buf, size_t cap);

/* ---- json.c: as JSON ---- */

enum { ALARM_TEXT_MAX = 6144, ALARM_OPERATOR_MAX = 200 };

struct alarm_operator {
        const char *by, *comment; /* "": nobody, nothing */
};

/*
 * Members of an event's body: it begins with "event_id", so that the record
 * leaves its own out. Terminated; the length.
 */
size_t alarm_put_event(char *buf, const struct rules_transition *t, const struct alarm_operator *said,
                       uint64_t sample_seq);
size_t alarm_put_notice(char *buf, const char *gateway, const struct rules_transition *t,
                        const struct alarm_operator *said);
size_t alarm_put_state(char *buf, const char *gateway, const struct rules_row *row);
size_t alarm_put_again(char *buf, const char *gateway, const struct spool_alarm_note *n);
size_t alarm_put_group(char *buf, const struct rules_group *g); /* members; begins with "kind" */
size_t alarm_put_group_notice(char *buf, const char *gateway, const struct rules_group *g);

#endif
