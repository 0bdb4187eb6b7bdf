/*
 * judge_spool: the spool, its disk, and what went from it.
 *
 * Why what it does at its bound is in the sentence: what is lost then is what
 * an operator asks first.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/health/judge.h"

#define S INT64_C(1000000)

/* "3 h 20 min" */
static void put_span(char out[32], double s)
{
        unsigned long minutes = s < 1e9 ? (unsigned long)(s / 60) : 0;

        if (s >= 48 * 3600)
                snprintf(out, 32, "%lu days", minutes / 1440);
        else if (minutes >= 60)
                snprintf(out, 32, "%lu h %lu min", minutes / 60, minutes % 60);
        else if (minutes)
                snprintf(out, 32, "%lu min", minutes);
        else
                snprintf(out, 32, "%.0f s", s);
}

/*
 * Nine tenths are used, or all will be before somebody can come.  Once told it
 * stays until there is clearly room again and for half a minute more: a rate is
 * not known at each moment.
 */
static bool is_filling(struct health_memory *m, const struct health_facts *f, double share)
{
        const struct spool_counts *c = &f->spool;
        bool told = m->filling_us != 0;
        double soon_s = (told ? 18 : 12) * 3600.0;

        if (share >= (told ? 0.75 : 0.9) || (c->full_in_s > 0 && c->full_in_s < soon_s))
                m->filling_us = f->now.mono_us;
        else if (f->now.mono_us - m->filling_us >= 30 * S)
                m->filling_us = 0;
        return m->filling_us != 0;
}

static void judge_filling(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        const struct spool_counts *c = &f->spool;
        double share = c->usable_bytes ? (double)c->held_bytes / (double)c->usable_bytes : 0;
        struct health_condition *at;
        char most[24], left[32] = "";

        if (!is_filling(m, f, share))
                return;
        text_put_size(most, sizeof(most), f->spool_conf->max_size_bytes);
        if (c->full_in_s > 0)
                put_span(left, c->full_in_s);
        at = health_hold(h, HEALTH_SPOOL_FILLING, "spool", 0);
        health_what(at, "%.0f %% of the spool's room is used: %" PRIu64 " readings are held%s%s%s", share * 100,
                    c->held, *left ? "; full in " : "", left, *left ? " at this rate" : "");
        health_todo(at, "bring Kafka back, or raise spool.max_size (now %s)", most);
}

static void judge_full(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        static const char *const words[] = {[SPOOL_DROP_OLDEST] = "the oldest readings go for good",
                                            [SPOOL_DROP_NEWEST] = "new readings go for good",
                                            [SPOOL_BLOCK] = "sources wait, readings of polled ones go for good",
                                            [SPOOL_THIN] = "readings become one for each tag and minute"};
        const struct spool_counts *c = &f->spool;
        struct health_condition *at;
        int how = f->spool_conf->when_full;
        double per_s = 0;
        char most[24];

        for (int i = 0; i < SPOOL_N_GONE; i++)
                per_s += c->gone_per_s[i];
        text_put_size(most, sizeof(most), f->spool_conf->max_size_bytes);
        at = health_hold(h, HEALTH_SPOOL_FULL, "spool", health_mono_kept(&m->full, f, c->full_since_us));
        if (how == SPOOL_BLOCK && per_s <= 0)
                health_what(at, "the spool is full, sources wait");
        else
                health_what(at, "the spool is full, %s: %.0f a second", words[how], ceil(per_s));
        health_todo(at, "bring Kafka back, or raise spool.max_size (now %s); which went: millrace spool dropped", most);
}

static void judge_disk(struct health *h, const struct health_facts *f)
{
        enum { SLOW_US = 2000000 };
        const struct spool_counts *c = &f->spool;
        uint64_t most = f->spool_conf->max_size_bytes, left = c->disk_free_bytes;
        struct health_condition *at;
        char room[24], wanted[24];

        if (c->commit_us > SLOW_US && !c->failing) {
                at = health_hold(h, HEALTH_DISK_SLOW, "spool", 0);
                health_what(at, "the disk is slow: to write what came takes it %.1f s, and sources wait for it",
                            (double)c->commit_us / 1e6);
                health_todo(
                        at,
                        "end what else writes to the disk (iotop); if nothing does the card wears out: have a new one "
                        "ready");
        }
        if (!left || left == UINT64_MAX || c->failing || c->spool_bytes >= most || left >= most - c->spool_bytes)
                return;
        text_put_size(room, sizeof(room), left);
        text_put_size(wanted, sizeof(wanted), most - c->spool_bytes);
        at = health_hold(h, HEALTH_DISK_LOW, "spool", 0);
        health_what(at, "its disk has %s left, and the spool may take %s more", room, wanted);
        health_todo(at, "make room on the disk of %s (df -h says how much), or lower spool.max_size",
                    f->spool_conf->path);
}

static void judge_room(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        if (f->spool.full_since_us) {
                m->filling_us = 0;
                judge_full(h, m, f);
        } else {
                judge_filling(h, m, f);
        }
        judge_disk(h, f);
}

/*
 * The ledger's reasons (operator.md): of a full spool, of Kafka; what an
 * operator or a damaged file took.
 */
bool health_drop_is_told(const char *reason)
{
        static const char *const told[] = {"full", "spool_full", "thinned", "dead_letter", "purged", "lost"};
        size_t i = 0;

        while (i < sizeof(told) / sizeof(*told) && strcmp(told[i], reason) != 0)
                i++;
        return i < sizeof(told) / sizeof(*told);
}

static void judge_loss(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        struct health_condition *at;

        if (!health_rises(&m->dropped, f->n_dropped, f->now.mono_us))
                return;
        at = health_hold(h, HEALTH_READINGS_DROPPED, "spool", 0);
        health_what(at, "%" PRIu64 " readings were dropped (%s), %" PRIu64 " in all", m->dropped.by, f->drop_reason,
                    f->spool.dropped);
        health_todo(at, "millrace spool dropped says which; the disk is too slow or fails: dmesg");
}

void health_judge_spool(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        struct health_condition *at;

        if (f->spool.failing) {
                at = health_hold(h, HEALTH_SPOOL_FAILING, "spool", 0);
                health_what(at, "nothing can be kept: %s",
                            *f->spool.fault ? f->spool.fault : "commits do not get through");
                health_way(at, &(struct health_names){.kind = "spool", .where = f->spool_conf->path}, f->spool.fault);
        }
        judge_room(h, m, f);
        judge_loss(h, m, f);
        if (health_rises(&m->dead_lettered, f->spool.dead_lettered, f->now.mono_us)) {
                at = health_hold(h, HEALTH_DEAD_LETTERS, "kafka", 0);
                health_what(at, "Kafka refuses some records for good: %" PRIu64 " are kept apart since start",
                            f->spool.dead_lettered);
                health_todo(at, "millrace spool dropped says why; then millrace spool requeue SEQ");
        }
}
