/*
 * guard: see guard.h.
 *
 * Two keys are counted, where somebody comes from and as whom: from one address
 * the wait grows to a quarter of an hour, for a name it stays at half a minute,
 * so that nobody can keep a plant's operator out for long by guessing at the
 * name.  Tables are bounded, the oldest entry gives way.  It can't fail.
 */
#include "agent/page/guard.h"

#include <stdio.h>
#include <string.h>

enum { FREE_TRIES = 5, FIRST_WAIT_S = 30, FORGET_S = 3600, IDLE_S = 1800, WHOLE_S = 12 * 3600 };

static int64_t seconds(int64_t s)
{
        return s * 1000000;
}

static const struct guard_try *find_try(const struct guard *g, const char *who, int64_t now_us)
{
        for (int i = 0; i < GUARD_TRIES; i++)
                if (g->tried[i].n && strcmp(g->tried[i].who, who) == 0)
                        return now_us - g->tried[i].at_us < seconds(FORGET_S) ? &g->tried[i] : NULL;
        return NULL;
}

int guard_wait_s(const struct guard *g, const char *who, int most_s, int64_t now_us)
{
        const struct guard_try *t = find_try(g, who, now_us);
        int64_t wait_s = FIRST_WAIT_S, left_us;

        if (!t || t->n < FREE_TRIES)
                return 0;
        for (unsigned i = FREE_TRIES; i < t->n && wait_s < most_s; i++)
                wait_s *= 2;
        left_us = t->at_us + seconds(wait_s < most_s ? wait_s : most_s) - now_us;
        return left_us <= 0 ? 0 : (int)(left_us / 1000000) + 1;
}

void guard_tried(struct guard *g, const char *who, bool right, int64_t now_us)
{
        struct guard_try *t = (struct guard_try *)find_try(g, who, now_us);

        if (!t) {
                t = &g->tried[0];
                for (int i = 0; i < GUARD_TRIES; i++) {
                        bool same = g->tried[i].n && strcmp(g->tried[i].who, who) == 0;

                        if (same || !g->tried[i].n || g->tried[i].at_us < t->at_us)
                                t = &g->tried[i];
                        if (same || !g->tried[i].n)
                                break;
                }
                snprintf(t->who, sizeof(t->who), "%s", who);
                t->n = 0;
        }
        t->at_us = now_us;
        t->n = right ? 0 : t->n + 1;
}

bool guard_same(const char *a, const char *b)
{
        size_t n = strlen(a);
        unsigned char differs = n != strlen(b);

        for (size_t i = 0; i < n && !(differs && i >= strlen(b)); i++)
                differs |= (unsigned char)(a[i] ^ b[i]);
        return !differs;
}

static bool is_over(const struct guard_session *s, int64_t now_us)
{
        return !s->seen_us || now_us - s->seen_us > seconds(IDLE_S) || now_us - s->since_us > seconds(WHOLE_S);
}

struct guard_session *guard_begin(struct guard *g, const char *user, bool may_act, const char *token, const char *csrf,
                                  int64_t now_us)
{
        struct guard_session *s = &g->session[0];

        for (int i = 0; i < GUARD_SESSIONS; i++) {
                if (is_over(&g->session[i], now_us)) {
                        s = &g->session[i];
                        break;
                }
                if (g->session[i].seen_us < s->seen_us)
                        s = &g->session[i];
        }
        *s = (struct guard_session){.may_act = may_act, .since_us = now_us, .seen_us = now_us};
        snprintf(s->token, sizeof(s->token), "%s", token);
        snprintf(s->csrf, sizeof(s->csrf), "%s", csrf);
        snprintf(s->user, sizeof(s->user), "%s", user);
        return s;
}

struct guard_session *guard_find(struct guard *g, const char *token, int64_t now_us)
{
        for (int i = 0; i < GUARD_SESSIONS; i++) {
                struct guard_session *s = &g->session[i];

                if (!s->seen_us || !guard_same(s->token, token))
                        continue;
                if (is_over(s, now_us)) {
                        guard_end(s);
                        return NULL;
                }
                s->seen_us = now_us;
                return s;
        }
        return NULL;
}

void guard_end(struct guard_session *s)
{
        *s = (struct guard_session){.seen_us = 0};
}
