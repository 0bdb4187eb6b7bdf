/*
 * rules_engine: what the parts of the engine share: rules_bind.c (rules and
 * their slots), rules.c (readings), rules_time.c (deadlines), rules_emit.c (a
 * step of an alarm and who hears of it), rules_state.c (operators, keeping,
 * metrics), rules_takeover.c (after a reload). Nobody else includes this.
 *
 * A slot is one rule on one tag (or source): a head of 12 bytes, 12 per alarm,
 * then the memory of its judge.  The slots of a tag lie one behind the other in
 * one arena, so that a reading walks forward through memory; a slot is named by
 * its place in the arena in words of 8 bytes.  The heap orders slots by the
 * earliest time something could happen by itself; an entry may be early (then
 * it is put back), never late.
 */
#ifndef MILLRACE_RULES_RULES_ENGINE_H
#define MILLRACE_RULES_RULES_ENGINE_H

#include "agent/rules/flood.h"
#include "agent/rules/judge.h"
#include "agent/rules/rules.h"

struct level {
        double limit;
        int severity;
        unsigned char which; /* enum rules_limit */
        bool high;
        signed char outer; /* index of the level that replaces it when exclusive; -1: none */
};

struct rule {
        const struct rule_conf *conf;
        enum rule_kind kind;
        struct alarm_policy policy;
        struct level levels[4];
        uint8_t n_levels;
        uint32_t memory_at, bytes; /* in a slot */
        char **names;              /* by twin */
        size_t n_names;
};

struct rule_slot {
        uint32_t owner;   /* tag, or OWNER_SOURCE | source */
        uint32_t heap_at; /* from 1; 0: not in the heap */
        uint16_t rule;
        uint8_t n;
        uint8_t twin; /* how many rules of the same name the tag has before this one */
        struct alarm alarm[];
};
enum { OWNER_SOURCE = 1u << 31 };

struct tag_state {
        const char *source_name, *name; /* NULL: not bound */
        double last;                    /* the last number */
        uint32_t first;                 /* slot */
        uint32_t source;
        uint32_t next; /* tag of the same source + 1; 0: the last */
        uint16_t n_slots;
        bool seen, failed; /* a reading came; the last one said the device can't be reached */
};

struct source {
        const char *name;
        int64_t last_us; /* the device answered; monotonic */
        uint32_t first;  /* slot of its first device_down rule */
        uint32_t n_slots;
        uint32_t first_tag;        /* + 1; 0: none */
        uint32_t n_seen, n_failed; /* of its tags */
        bool told_down;            /* by rules_source_down */
        bool down;                 /* the condition of any of its device rules */
};

struct heap_entry {
        uint32_t due_ms, slot;
};

struct shelved {
        uint32_t slot, nth;
        int64_t until_wall_us;
};

struct together_group;

struct rules {
        struct rules_upcalls up;
        const char *gateway;
        struct rule *rules;
        size_t n_rules;
        uint64_t *words;
        size_t n_words, cap_words;
        struct tag_state *tags;
        size_t n_tags; /* capacity: indexes below it exist */
        struct source *sources;
        size_t n_sources, cap_sources;
        uint32_t *source_table; /* hash: index + 1 */
        size_t n_source_table;
        struct heap_entry *heap; /* from 1 */
        size_t n_heap, cap_heap;
        size_t n_slots, n_alarms, n_bound;
        struct together_group **groups;
        size_t n_groups;
        int64_t now_ms;         /* never goes back */
        int64_t wall_offset_us; /* wall - mono */
        struct shelved *shelf;
        size_t n_shelf, cap_shelf;
        int64_t unshelve_wall_us; /* the earliest on the shelf */
        struct flood flood;
        uint64_t ordinal;
        uint64_t n_readings, n_activated, n_returned, n_historical, n_untyped, n_fleeting, n_grouped;
};

/*
 * What an input is about: when it is (monotonic), what time is told, what is
 * shown.
 */
struct context {
        int64_t mono_ms, ts_us;
        double value, limit;
        const char *says; /* in words; NULL: nothing more */
};

static inline struct rule_slot *slot_at(const struct rules *r, uint32_t at)
{
        return (struct rule_slot *)(void *)(r->words + at);
}

static inline void *slot_memory(const struct rules *r, struct rule_slot *s)
{
        return (char *)s + r->rules[s->rule].memory_at;
}

static inline uint32_t slot_next(const struct rules *r, uint32_t at)
{
        return at + r->rules[slot_at(r, at)->rule].bytes / 8;
}

static inline int64_t to_ms_up(int64_t us)
{
        return us == INT64_MAX ? INT64_MAX : (us + 999) / 1000;
}

/* rules_bind.c */
uint32_t engine_find_source(const struct rules *r, const char *name); /* index + 1; 0: not known */

/* rules_time.c */
void engine_note_time(struct rules *r, const struct rt_time *now);
void engine_schedule(struct rules *r, uint32_t at, int64_t due_ms);
void engine_run_until(struct rules *r, int64_t until_ms); /* all that happens by itself, each thing at its time */
bool engine_is_replaced(const struct rules *r, const struct rule_slot *s); /* its device is down, and that is told */

/* rules.c */
/*
 * The outer alarm moved: the inner one leaves the stage to it, or takes it over
 * without waiting again.
 */
void engine_hand_over(struct rules *r, uint32_t at, unsigned outer, const struct context *o);
void engine_source_is(struct rules *r, uint32_t source, const struct context *o);

/* rules_together.c: the tags of a source that are judged together */
void group_bind(struct rules *r, uint32_t at, uint32_t source);
void group_reading(struct rules *r, uint32_t at, double num, const struct context *o); /* NaN: can't be used */
void group_free(struct rules *r);
void group_take_over(struct rules *r, const struct rules *was, const uint32_t *same);

/* rules_emit.c: one step of an alarm; what changed is told. */
enum alarm_change emit_step(struct rules *r, uint32_t at, unsigned nth, const struct alarm_policy *policy,
                            enum alarm_input in, const struct context *o);
void emit_row(const struct rules *r, uint32_t at, unsigned nth, struct rules_row *out);
void emit_group(struct rules *r, int64_t mono_us);
uint64_t emit_key(uint32_t at, unsigned nth);

/* rules_state.c */
int64_t state_unshelve_ms(const struct rules *r); /* monotonic; INT64_MAX: nothing is shelved */
void state_unshelve(struct rules *r);             /* the first that is due */
int state_shelve(struct rules *r, struct rules_ref ref, int64_t until_wall_us); /* 0 or RULES_E_FULL */

#endif
