/*
 * dialogue: which question of `millrace setup` comes next, and what its answers
 * may be.  A pure state machine: it asks and tries nothing itself, it says what
 * is to be asked or tried.
 *
 * dialogue_next says what to do; after DIALOGUE_ASK comes dialogue_answer,
 * after DIALOGUE_TRY comes dialogue_tried, until one of the others ends it.
 */
#ifndef MILLRACE_CLI_SETUP_DIALOGUE_H
#define MILLRACE_CLI_SETUP_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

/* In the order of asking. */
enum setup_step {
        SETUP_GATEWAY,
        SETUP_KAFKA,
        SETUP_LOGIN,
        SETUP_USER,
        SETUP_PASSWORD,
        SETUP_ENCRYPTED,
        SETUP_CA,
        SETUP_CERT,
        SETUP_KEY,
        SETUP_TRY_KAFKA,
        SETUP_TOPICS,
        SETUP_MQTT,
        SETUP_MQTT_USER,
        SETUP_MQTT_PASSWORD,
        SETUP_MQTT_CA,
        SETUP_MQTT_CERT,
        SETUP_MQTT_KEY,
        SETUP_TRY_MQTT,
        SETUP_SUBSCRIPTIONS,
        SETUP_BUS,
        SETUP_UNITS,
        SETUP_TRY_BUS,
        SETUP_PICK,
        SETUP_TRY_PICK,
        SETUP_OUTAGE,
        SETUP_REPLACE,
        SETUP_SERVICE,
        SETUP_AGREE,
        SETUP_STEPS
};

/* What is known beside the answers; the effects of a try write it. */
struct setup_facts {
        bool terminal;     /* somebody can be asked */
        bool yes, untried; /* --yes: defaults are answers; --untried: what can't be tried is kept */
        bool service;      /* there is a systemd that runs */
        bool configured;   /* a configuration with sources is there */
        size_t n_missing;  /* topics that are not there */
        size_t n_proposed; /* subscriptions */
        size_t n_slaves;
};

enum dialogue_act {
        DIALOGUE_ASK,
        DIALOGUE_TRY,
        DIALOGUE_DONE,
        DIALOGUE_MISSING, /* nobody can be asked, and the flag of `at` is not given */
        DIALOGUE_WRONG,   /* the flag of `at` says what is no answer: why */
        DIALOGUE_FAILED,  /* a try failed and nobody can be asked */
        DIALOGUE_NO,      /* the person does not want it */
};

struct dialogue {
        struct setup_facts facts;
        const char *given[SETUP_STEPS]; /* by flags; NULL: not */
        char *preset[SETUP_STEPS];      /* what Enter means, where it is not the table's; NULL: the table's */
        char *answer[SETUP_STEPS];      /* NULL: not answered, or not asked */
        enum setup_step at;
        bool retrying; /* what is asked is what to do with a try that failed */
        struct err why;
};

/* A person's words for a step. */
struct setup_question {
        const char *flag;   /* "--gateway"; NULL: a try */
        const char *prompt; /* the question, without its default */
        const char *help;   /* a line for `?` and above the question; or NULL */
        const char *preset; /* NULL: there is no answer that would do for most */
};
const struct setup_question *dialogue_question(const struct dialogue *d);

/* What Enter would answer, or NULL. */
const char *dialogue_preset(const struct dialogue *d);

enum dialogue_act dialogue_next(struct dialogue *d);
/* 0, or -1 with a sentence: ask again. "" is the preset. */
int dialogue_answer(struct dialogue *d, const char *text, struct err *e);
void dialogue_tried(struct dialogue *d, bool good);
void dialogue_preset_set(struct dialogue *d, enum setup_step step, const char *text); /* copies */
void dialogue_fini(struct dialogue *d);

/* The answer, or "" where there is none. */
const char *dialogue_said(const struct dialogue *d, enum setup_step step);
/* Answered, and not with "none", "no" or "leave". */
bool dialogue_wants(const struct dialogue *d, enum setup_step step);

#endif
