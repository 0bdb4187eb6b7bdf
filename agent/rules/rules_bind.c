/*
 * rules_bind: what is made at start and when a tag is first seen: rules in the
 * form they are judged in, and their slots on tags and sources.  Everything
 * that is ever allocated is allocated here.
 */
#include "agent/rules/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"
#include "agent/base/text.h"
#include "agent/rules/rules_engine.h"

static void add_level(struct rule *rule, double limit, enum rules_limit which, int outer, int64_t severity)
{
        if (isnan(limit))
                return;
        rule->levels[rule->n_levels++] = (struct level){.limit = limit,
                                                        .severity = (int)severity,
                                                        .which = (unsigned char)which,
                                                        .high = which <= RULES_HI,
                                                        .outer = (signed char)outer};
}

static void add_limits(struct rule *rule, const struct rule_conf *c)
{
        int outer;

        add_level(rule, c->hihi, RULES_HIHI, -1, c->severity_outer);
        outer = c->exclusive && rule->n_levels ? 0 : -1;
        add_level(rule, c->hi, RULES_HI, outer, c->severity);
        outer = c->exclusive && !isnan(c->lolo) ? rule->n_levels : -1;
        add_level(rule, c->lolo, RULES_LOLO, -1, c->severity_outer);
        add_level(rule, c->lo, RULES_LO, outer, c->severity);
}

static void make_rule(struct rule *rule, const struct rule_conf *c)
{
        size_t memory = judges[c->kind].bytes(c);

        *rule = (struct rule){.conf = c, .kind = c->kind};
        rule->policy = (struct alarm_policy){.on_delay_ms = (uint32_t)to_ms_up(c->on_delay_us),
                                             .off_delay_ms = (uint32_t)to_ms_up(c->off_delay_us),
                                             .realarm_ms = (uint32_t)to_ms_up(c->re_alarm_us),
                                             .latching = c->latching,
                                             .ack = c->ack_required};
        if (c->kind == RULE_LIMITS)
                add_limits(rule, c);
        else
                add_level(rule, 0, RULES_ONLY, -1, c->severity);
        rule->memory_at = (uint32_t)(sizeof(struct rule_slot) + rule->n_levels * sizeof(struct alarm) + 7) / 8 * 8;
        rule->bytes = rule->memory_at + (uint32_t)(memory + 7) / 8 * 8;
}

struct rules *rules_new(const struct rule_conf *conf, size_t n, const char *gateway, const struct rules_upcalls *up,
                        const struct rt_time *now)
{
        struct rules *r = mem_alloc(sizeof(*r));

        BUG_ON(n > UINT16_MAX);
        r->up = *up;
        r->gateway = mem_strdup(gateway);
        r->rules = mem_alloc((n + 1) * sizeof(*r->rules));
        r->n_rules = n;
        for (size_t i = 0; i < n; i++)
                make_rule(&r->rules[i], &conf[i]);
        r->n_words = 1;
        flood_init(&r->flood);
        r->now_ms = now->mono_us / 1000;
        engine_note_time(r, now);
        return r;
}

void rules_free(struct rules *r)
{
        if (!r)
                return;
        for (size_t i = 0; i < r->n_rules; i++) {
                for (size_t k = 0; k < r->rules[i].n_names; k++)
                        free(r->rules[i].names[k]);
                free(r->rules[i].names);
        }
        group_free(r);
        free((char *)r->gateway);
        free(r->rules);
        free(r->words);
        free(r->tags);
        free(r->sources);
        free(r->source_table);
        free(r->heap);
        free(r->shelf);
        free(r);
}

/* ---- binding ---- */

static const char *name_of(struct rule *rule, unsigned twin)
{
        const char *plain = rule->conf->name ? rule->conf->name : rule_kind_name(rule->kind);

        while (rule->n_names <= twin) {
                char *name = mem_alloc(strlen(plain) + TEXT_DOUBLE_MAX + 2);
                size_t len = strlen(plain);

                memcpy(name, plain, len);
                if (rule->n_names) {
                        name[len++] = '-';
                        text_put_i64(name + len, (int64_t)rule->n_names + 1);
                }
                rule->names = mem_grow(rule->names, rule->n_names + 1, sizeof(*rule->names));
                rule->names[rule->n_names++] = name;
        }
        return rule->names[twin];
}

static unsigned twins_before(struct rules *r, const struct rule *rule, uint32_t first, uint32_t n)
{
        const char *plain = rule->conf->name ? rule->conf->name : rule_kind_name(rule->kind);
        unsigned twins = 0;

        for (; n > 0; n--, first = slot_next(r, first))
                twins += strcmp(name_of(&r->rules[slot_at(r, first)->rule], 0), plain) == 0;
        return twins < UINT8_MAX ? twins : UINT8_MAX;
}

static uint32_t add_slot(struct rules *r, size_t i, uint32_t owner, unsigned twin)
{
        struct rule *rule = &r->rules[i];
        uint32_t at = (uint32_t)r->n_words;
        struct rule_slot *s;

        BUG_ON(r->n_words + rule->bytes / 8 > UINT32_MAX);
        if (r->n_words + rule->bytes / 8 > r->cap_words) {
                r->cap_words = 2 * r->cap_words + rule->bytes / 8 + 64;
                r->words = mem_grow(r->words, r->cap_words, sizeof(*r->words));
        }
        if (r->n_slots + 2 > r->cap_heap) {
                r->cap_heap = 2 * r->cap_heap + 16;
                r->heap = mem_grow(r->heap, r->cap_heap, sizeof(*r->heap));
        }
        memset(r->words + at, 0, rule->bytes);
        r->n_words += rule->bytes / 8;
        s = slot_at(r, at);
        s->owner = owner;
        s->rule = (uint16_t)i;
        s->n = rule->n_levels;
        s->twin = (uint8_t)twin;
        name_of(rule, twin);
        r->n_slots++;
        r->n_alarms += s->n;
        return at;
}

/* Where the name is, or where it would go. */
static uint32_t *source_place(const struct rules *r, const char *name)
{
        size_t i = table_hash(name, strlen(name), 0) & (r->n_source_table - 1);

        while (r->source_table[i] && strcmp(r->sources[r->source_table[i] - 1].name, name) != 0)
                i = (i + 1) & (r->n_source_table - 1);
        return &r->source_table[i];
}

uint32_t engine_find_source(const struct rules *r, const char *name)
{
        return r->n_sources ? *source_place(r, name) : 0;
}

static void grow_sources(struct rules *r)
{
        if (r->n_sources < r->cap_sources)
                return;
        r->cap_sources = r->cap_sources ? 2 * r->cap_sources : 32;
        r->sources = mem_grow(r->sources, r->cap_sources, sizeof(*r->sources));
        free(r->source_table);
        r->n_source_table = 2 * r->cap_sources;
        r->source_table = mem_alloc(r->n_source_table * sizeof(*r->source_table));
        for (size_t i = 0; i < r->n_sources; i++)
                *source_place(r, r->sources[i].name) = (uint32_t)i + 1;
}

static uint32_t bind_source(struct rules *r, const char *name, int64_t mono_us)
{
        struct source *o;
        uint32_t *place;

        grow_sources(r);
        place = source_place(r, name);
        if (*place)
                return *place - 1;
        *place = (uint32_t)++r->n_sources;
        o = &r->sources[r->n_sources - 1];
        *o = (struct source){.name = name, .last_us = mono_us, .first = (uint32_t)r->n_words};
        for (size_t i = 0; i < r->n_rules; i++) {
                const struct rule_conf *c = r->rules[i].conf;
                uint32_t at;

                if (c->kind != RULE_DEVICE_DOWN || !rule_matches(c->match, name, NULL))
                        continue;
                at = add_slot(r, i, OWNER_SOURCE | (uint32_t)(r->n_sources - 1),
                              twins_before(r, &r->rules[i], o->first, o->n_slots));
                o->n_slots++;
                if (c->after_us)
                        engine_schedule(r, at, to_ms_up(mono_us + c->after_us));
        }
        return (uint32_t)r->n_sources - 1;
}

static void grow_tags(struct rules *r, uint32_t tag)
{
        size_t n = tag < 16 ? 32 : 2 * (size_t)tag;

        if (tag < r->n_tags)
                return;
        r->tags = mem_grow(r->tags, n, sizeof(*r->tags));
        memset(r->tags + r->n_tags, 0, (n - r->n_tags) * sizeof(*r->tags));
        r->n_tags = n;
}

size_t rules_bind(struct rules *r, uint32_t tag, const char *source, const char *name, const struct rt_time *now)
{
        struct tag_state *b;
        uint32_t of;

        engine_note_time(r, now);
        grow_tags(r, tag);
        if (r->tags[tag].name)
                return r->tags[tag].n_slots;
        of = bind_source(r, source, r->now_ms * 1000);
        b = &r->tags[tag];
        *b = (struct tag_state){
                source, name, NAN, .first = (uint32_t)r->n_words, .source = of, .next = r->sources[of].first_tag};
        r->sources[of].first_tag = tag + 1;
        r->n_bound++;
        for (size_t i = 0; i < r->n_rules; i++) {
                const struct rule_conf *c = r->rules[i].conf;
                uint32_t at;

                if (c->kind == RULE_DEVICE_DOWN || !rule_matches(c->match, source, name))
                        continue;
                at = add_slot(r, i, tag, twins_before(r, &r->rules[i], b->first, b->n_slots));
                b->n_slots++;
                if (c->kind == RULE_TOGETHER)
                        group_bind(r, at, of);
                if (c->kind != RULE_SILENT)
                        continue;
                silent_restart(slot_memory(r, slot_at(r, at)), r->now_ms * 1000);
                engine_schedule(r, at, r->now_ms + to_ms_up(c->after_us));
        }
        return b->n_slots;
}
