/* The audit of recorded topics: nothing is said of what is right, and each alteration is named, whatever the order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/text.h"
#include "agent/cli/audit.h"
#include "uplink/seal.h"

enum {
        RECORDS = 400,
        EVERY = 40,
        BEATS = RECORDS / EVERY,
        VALUE = 100,
        DROPPED_FIRST = 101,
        DROPPED_LAST = 107,
        ALTERATIONS = 1000
};

struct record {
        uint64_t seq; /* 0: there is none */
        char value[VALUE];
};

static struct record recorded[RECORDS];
static char *beat[BEATS];
static struct spool_ledger ledger;

static bool is_dropped(uint64_t seq)
{
        return seq >= DROPPED_FIRST && seq <= DROPPED_LAST;
}

/* A gateway with live_first: seqs 1 to 200 fresh, 201 to 300 left to the backlog, from 301 on fresh again, beside it.
 */
static void deliver(struct seal *s, uint64_t seq, bool apart)
{
        struct record *r = &recorded[seq - 1];
        unsigned char leaf[SEAL_HASH];

        snprintf(r->value, VALUE, "{\"id\":\"gw-7:9:%d\",\"seq\":%d,\"value\":%d.5}", (int)seq, (int)seq,
                 (int)(seq * 7));
        r->seq = seq;
        seal_leaf(leaf, seq, NULL, 0, r->value, strlen(r->value));
        seal_add(&s->now.stream[seq > 200 && seq <= 300 ? 2 : 1], seq, leaf, apart);
}

/* Every other heartbeat's answer is lost: what it told is told again. */
static void tell(struct seal *s, int n)
{
        char *seal = malloc(SEAL_TEXT_MAX), *p;
        uint32_t token = seal_text(s, "gw-7", 1000 + n, &ledger, seal);

        beat[n] = malloc(2 * strlen(seal) + 64);
        p = beat[n] + sprintf(beat[n], "{\"gateway\":\"gw-7\",\"seal\":\"");
        p += text_put_json(p, seal, strlen(seal));
        sprintf(p, "\"}");
        if (n % 2)
                seal_told(s, token);
        free(seal);
}

static int record_all(void **state)
{
        static const uint64_t none[SPOOL_LANES];
        struct seal s;
        uint64_t fresh = 1, old = 201;
        int n = 0, n_beats = 0;

        ledger = (struct spool_ledger){.line = {{.no = 1,
                                                 .lane = SPOOL_SAMPLES,
                                                 .first = DROPPED_FIRST,
                                                 .last = DROPPED_LAST,
                                                 .reason = "full"}},
                                       .n = 1,
                                       .no = 1};
        seal_init(&s, 9, none, NULL, 0);
        while (fresh <= RECORDS || old <= 300) {
                bool takes_old = old <= 300 && fresh > 300 && (n % 2 || fresh > RECORDS);
                uint64_t seq = takes_old ? old++ : fresh++;

                if (seq == 201 && !takes_old) {
                        fresh = 302;
                        seq = 301;
                }
                if (!is_dropped(seq))
                        deliver(&s, seq, seq == 301 || seq == 201);
                if (++n % EVERY == 0)
                        tell(&s, n_beats++);
        }
        assert_int_equal(n_beats, BEATS);
        return 0;
}

static int forget_all(void **state)
{
        for (int i = 0; i < BEATS; i++)
                free(beat[i]);
        return 0;
}

/* What was found, as far as a test asks. */
struct found {
        const char *what;
        uint64_t seq;
        bool is_named;
        int n_faults, n_gaps, n_others;
        char text[400];
};

static void on_finding(void *ctx, const struct audit_finding *f)
{
        struct found *found = ctx;

        found->n_faults += f->is_fault;
        found->n_gaps += !strcmp(f->what, "gap");
        found->n_others += !f->is_fault && strcmp(f->what, "gap") != 0;
        if (found->what && !strcmp(f->what, found->what) && f->first <= found->seq && found->seq <= f->last)
                found->is_named = true;
        snprintf(found->text, sizeof(found->text), "%s %d-%d %s", f->what, (int)f->first, (int)f->last, f->why);
}

static void on_sum(void *ctx, const struct audit_sum *s)
{
}

/* Records in an order of chance; `extra` may be NULL. */
static void audit(struct found *found, const struct record *records, const struct record *extra, bool in_order)
{
        struct audit_conf conf = {.since_us = INT64_MIN, .until_us = INT64_MAX};
        struct audit *a = audit_new(&conf);
        int order[RECORDS];

        for (int i = 0; i < RECORDS; i++)
                order[i] = i;
        for (int i = RECORDS - 1; i > 0 && !in_order; i--) {
                int j = rand() % (i + 1), k = order[i];

                order[i] = order[j];
                order[j] = k;
        }
        for (int i = 0; i < BEATS; i++)
                audit_heartbeat(a, beat[i], strlen(beat[i]));
        for (int i = 0; i < RECORDS; i++)
                if (records[order[i]].seq)
                        audit_record(a, NULL, 0, records[order[i]].value, strlen(records[order[i]].value));
        if (extra)
                audit_record(a, NULL, 0, extra->value, strlen(extra->value));
        assert_true(audit_end(a, on_finding, on_sum, found));
        audit_free(a);
}

static void test_nothing_is_wrong(void **state)
{
        for (int i = 0; i < 200; i++) {
                struct found found = {0};

                audit(&found, recorded, NULL, i == 0);
                if (found.n_faults || found.n_others || found.n_gaps != 1)
                        fail_msg("%d faults, %d gaps, the last: %s", found.n_faults, found.n_gaps, found.text);
        }
}

static void test_each_alteration_is_named(void **state)
{
        static const char *const expected[] = {"altered", "missing", "duplicate", "copies-differ", "in-a-gap"};
        static struct record records[RECORDS];

        for (int i = 0; i < ALTERATIONS; i++) {
                int at = rand() % RECORDS, kind = rand() % 5;
                struct found found = {.what = expected[kind]};
                struct record extra, *r = &records[at];
                char *digit;

                memcpy(records, recorded, sizeof(records));
                if (kind == 4) {
                        extra.seq = DROPPED_FIRST + (uint64_t)rand() % (DROPPED_LAST - DROPPED_FIRST + 1);
                        snprintf(extra.value, VALUE, "{\"id\":\"gw-7:9:%d\"}", (int)extra.seq);
                        found.seq = extra.seq;
                        audit(&found, records, &extra, i % 2);
                } else if (!r->seq) {
                        continue;
                } else {
                        found.seq = r->seq;
                        extra = *r;
                        digit = strstr(kind == 0 ? r->value : extra.value, "\"value\":") + 8;
                        if (kind == 0 || kind == 3)
                                *digit = *digit == '9' ? '1' : (char)(*digit + 1);
                        if (kind == 1)
                                r->seq = 0;
                        audit(&found, records, kind >= 2 ? &extra : NULL, i % 2);
                }
                if (!found.is_named || (kind != 2 && !found.n_faults) || (kind == 2 && found.n_faults))
                        fail_msg("%s of %d is not named: %s", found.what, (int)found.seq, found.text);
        }
}

/* A heartbeat that is taken away is one whose seals are in a later one, or a break. */
static void test_seals_that_are_not_there(void **state)
{
        for (int gone = 0; gone < BEATS - 1; gone++) {
                struct found found = {0};
                char *kept = beat[gone];

                beat[gone] = "";
                audit(&found, recorded, NULL, false);
                beat[gone] = kept;
                if ((gone % 2 == 0) != (found.n_faults == 0) && gone != 1)
                        fail_msg("without heartbeat %d: %d faults, the last: %s", gone, found.n_faults, found.text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_wrong),
                                           cmocka_unit_test(test_each_alteration_is_named),
                                           cmocka_unit_test(test_seals_that_are_not_there)};

        srand(7);
        return cmocka_run_group_tests(tests, record_all, forget_all);
}
