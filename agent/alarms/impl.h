/*
 * impl: what the parts of alarms share: alarms.c (readings, deadlines, telling,
 * storing), devices.c (devices and links), restore.c (what survives a restart),
 * operator.c (operators, listings), reconfigure.c (other rules), baselines.c
 * (what deviation has learned), renotify.c (after a crash). Nobody else
 * includes this.
 */
#ifndef MILLRACE_ALARMS_IMPL_H
#define MILLRACE_ALARMS_IMPL_H

#include "agent/alarms/alarms.h"
#include "agent/base/text.h"

struct moved {
        struct rules_transition t;
        uint32_t reading_tag; /* judged when it happened; RULES_NO_TAG: none */
        int64_t reading_ts_us;
};

struct kept {
        struct spool_alarm row;
        char *texts; /* source, tag, rule, limit_kind, each with its NUL; the spool may have them until it is closed */
        bool gone_on;
};

struct alarms {
        struct rt *rt;
        struct alarms_conf conf;
        struct tags *tags;
        struct spool *spool;
        char several[1024];                /* what the last command could have meant */
        char identity[TEXT_NAME_MAX + 32]; /* gateway:epoch: a new spool counts activations from 1 again */
        struct rules *rules;
        struct alarm_notifier *notifiers;
        struct rt_timer timer, save_timer;
        size_t next_saved;   /* of what is learned */
        struct again *again; /* of the last run */
        bool unnotified;     /* stored, and not yet known to be heard */
        bool running, unsynced;

        bool *bound; /* by tag */
        size_t n_bound;

        struct moved *moved;
        size_t n_moved, n_told, cap_moved;
        struct rules_group group;
        bool has_group;
        struct alarm_operator said;
        uint32_t reading_tag;
        int64_t reading_ts_us;

        struct kept *kept;
        size_t n_kept, cap_kept;
        char **names; /* of rules that were told to the spool */
        size_t n_names;
        char **down; /* sources whose device is known to be down */
        size_t n_down;
};

/* alarms.c */
void alarms_moved(struct alarms *a, const struct rules_transition *t); /* until alarms_settle */
void alarms_settle(struct alarms *a);                                  /* what moved is told and stored */
struct rules *alarms_new_rules(struct alarms *a, const struct rt_time *now);
void alarms_bind(struct alarms *a, uint32_t tag, const struct rt_time *now);
void alarms_bind_configured(struct alarms *a, const struct rt_time *now);
/*
 * The same name, for as long as the spool may want it: its rule may go before.
 */
const char *alarms_lasting(struct alarms *a, const char *rule);
bool alarms_has_several(const struct alarms *a, const struct rules_row *row);

/* restore.c */
int alarms_load(struct alarms *a, struct err *e); /* what the spool has. 0, or -1 with a sentence */
void alarms_recall(struct alarms *a, const char *source, const char *name,
                   const struct rt_time *now);                   /* a tag is bound */
void alarms_keep(struct alarms *a, const struct rules_row *row); /* its past, shown as normal */
void alarms_release_kept(struct alarms *a);

/* renotify.c */
int alarms_renotify_load(struct alarms *a, struct err *e); /* 0, or -1 with a sentence */
void alarms_renotify_start(struct alarms *a);
void alarms_renotify_mark(struct alarms *a);
void alarms_renotify_free(struct alarms *a);

/* baselines.c */
int alarms_baselines_load(struct alarms *a, struct err *e); /* 0, or -1 with a sentence */
void alarms_baselines_start(struct alarms *a);
void alarms_baselines_stop(struct alarms *a); /* all of it goes into the next commit */

#endif
