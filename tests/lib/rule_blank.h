/*
 * rule_blank: a rule as the configuration reader hands it over when only its
 * kind is given, and the check it runs; a rule that does not pass fails the
 * test.
 */
#ifndef MILLRACE_TESTS_RULE_BLANK_H
#define MILLRACE_TESTS_RULE_BLANK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/rules/rules.h"

static inline struct rule_conf rule_blank(enum rule_kind kind)
{
        return (struct rule_conf){.match = "*/*",
                                  .kind = kind,
                                  .hihi = NAN,
                                  .hi = NAN,
                                  .lo = NAN,
                                  .lolo = NAN,
                                  .limit = NAN,
                                  .sigma = NAN,
                                  .within = NAN,
                                  .at_least = NAN,
                                  .at_most = NAN,
                                  .deadband = NAN,
                                  .ack_required = true};
}

static inline void rule_check(struct rule_conf *c)
{
        const char *key = NULL;
        struct err e = {""};

        if (rules_schema.check(c, &key, &e) != 0)
                fail_msg("%s: %s", key ? key : "-", e.text);
}

#endif
