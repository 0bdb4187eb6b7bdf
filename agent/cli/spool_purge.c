/*
 * spool_purge: `spool purge`: says what would go, and with --yes has it taken
 * away.
 *
 * While a daemon has the file only the daemon may write it: it is asked, and
 * asked again until it is done.  Without one the spool is opened here
 * (own_spool).
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"
#include "agent/cli/own_spool.h"

enum { ASK_EVERY_MS = 200 };

struct found {
        uint64_t held, kept, first_seq, last_seq;
        int64_t first_us, last_us, until_us; /* by arrival, as the order of seq is */
};

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct found *f = ctx;

        if (f->until_us && row->r.arrival_us >= f->until_us)
                return false;
        if (!f->first_seq) {
                f->first_seq = row->seq;
                f->first_us = row->r.arrival_us;
        }
        f->last_seq = row->seq;
        f->last_us = row->r.arrival_us;
        f->held += !row->delivered;
        f->kept += row->delivered;
        return true;
}

/* What lies up to `upto` (0: all), or arrived before `until_us`. */
static int look(const char *path, uint64_t upto, int64_t until_us, struct found *f, struct err *e)
{
        struct spool_filter all = {.lane = SPOOL_SAMPLES, .last_seq = upto};
        struct spool_query *q;
        int r;

        *f = (struct found){.until_us = until_us};
        if (spool_query_open(&q, path, e) < 0)
                return -1;
        r = spool_query_rows(q, &all, on_row, f, e);
        spool_query_close(q);
        return r;
}

/* ---- with a daemon ---- */

static int ask(const char *socket, json_t *request, bool *purging, struct err *e)
{
        json_t *reply = NULL;
        int r = ctl_ask(socket, request, &reply, e);

        json_decref(request);
        *purging = r == 0 && json_is_true(json_object_get(reply, "purging"));
        if (r == 0)
                json_decref(reply);
        return r;
}

static int purge_by_daemon(const char *socket, uint64_t upto, struct err *e)
{
        struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
        bool purging;
        int r = ask(socket, json_pack("{s:s, s:I}", "cmd", "purge", "upto", (json_int_t)upto), &purging, e);

        while (r == 0 && purging) {
                nanosleep(&pause, NULL);
                r = ask(socket, json_pack("{s:s}", "cmd", "purge"), &purging, e);
        }
        return r;
}

/* ---- without one ---- */

static int purge_file(const char *path, const char *gateway, uint64_t upto, int64_t now_us, struct err *e)
{
        struct own_spool o;

        if (own_spool_open(&o, path, gateway, now_us, e) < 0)
                return -1;
        spool_purge(o.spool, upto);
        while (spool_is_purging(o.spool))
                own_spool_step(&o);
        return own_spool_close(&o, e);
}

static int purge(const struct places *p, uint64_t upto, int64_t now_us, struct err *e)
{
        char gateway[TEXT_NAME_MAX + 1];
        struct spool_query *q;
        bool live;

        if (spool_query_open(&q, p->spool, e) < 0)
                return -1;
        live = spool_query_live(q);
        snprintf(gateway, sizeof(gateway), "%s", spool_query_gateway(q));
        spool_query_close(q);
        return live ? purge_by_daemon(p->socket, upto, e) : purge_file(p->spool, gateway, upto, now_us, e);
}

/* ---- telling ---- */

static void tell(struct cli *c, const struct found *f, const char *did, uint64_t left)
{
        char first[TEXT_TIME_MAX], last[TEXT_TIME_MAX];

        first[text_put_time(first, f->first_us)] = last[text_put_time(last, f->last_us)] = '\0';
        if (c->out.json) {
                fprintf(c->out.f,
                        "{\"held\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
                        ",\"purged\":%s,\"left\":%" PRIu64 "}\n",
                        f->held, f->kept, f->first_seq, f->last_seq, strcmp(did, "purged") ? "false" : "true", left);
                return;
        }
        if (!f->last_seq) {
                fputs("nothing to purge\n", c->out.f);
                return;
        }
        fprintf(c->out.f,
                "%s: %" PRIu64 " held readings and %" PRIu64 " delivered ones that are kept, seq %" PRIu64
                " to %" PRIu64 ", arrived %s to %s\n",
                did, f->held, f->kept, f->first_seq, f->last_seq, first, last);
        if (left)
                fprintf(c->out.f, "%" PRIu64 " of them stay: they are on their way to Kafka\n", left);
}

static int purge_found(struct cli *c, const struct places *p, const struct found *f)
{
        struct found after;
        struct err e;
        int r = purge(p, f->last_seq, c->now_us, &e);

        if (r == 0)
                r = look(p->spool, f->last_seq, 0, &after, &e);
        if (r != 0)
                return cli_fail(r == CTL_E_REFUSED ? CLI_NO : CLI_AWAY, "%s", e.text);
        tell(c, f, "purged", after.held + after.kept);
        return after.held + after.kept ? CLI_NO : CLI_OK;
}

int cmd_spool_purge(struct cli *c)
{
        bool dry = cli_has(c, CLI_BIT(DRY_RUN));
        struct places places;
        struct found f;
        struct err e;
        int r;

        if (!dry && !cli_has(c, CLI_BIT(YES)))
                return cli_fail(CLI_USAGE, "say --yes to purge, or --dry-run to see what would go");
        r = places_find(c, &places);
        if (r)
                return r;
        if (look(places.spool, 0, cli_has(c, CLI_BIT(UNTIL)) ? c->until_us : 0, &f, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        else if (dry || !f.last_seq)
                tell(c, &f, "would go", 0);
        else
                r = purge_found(c, &places, &f);
        places_fini(&places);
        return r;
}
