/*
 * heard: `modbus listen`, the talk of a master that a line has already; with
 * --learn, devices and profiles for a bus with `listen: true`.
 *
 * Pairs of request and answer are told apart by the driver's own machine
 * (drivers/modbus/overhear.c), so what is shown here is what the daemon will
 * take.  Nothing is ever sent.
 *
 * Bounds: --for (60 s) or ^C; the first three answers to each request are
 * shown, 512 different requests are kept apart.  Fails: 69 when the port can't
 * be had or goes away, 1 when no pair was heard.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/base/text.h"
#include "agent/cli/cli.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/commission/slave.h"
#include "agent/cli/progress.h"
#include "agent/cli/stop.h"
#include "drivers/modbus/overhear.h"

enum { REQUESTS_MAX = 512, SHOWN_EACH = 3, SHOWN_BYTES = 24, UNITS = 256, QUIET_US = 500000 };

struct heard_request {
        struct modbus_overheard_request is;
        uint64_t n_pairs, n_unanswered;
        int64_t first_us, last_us;
};

struct heard {
        struct cli *c;
        struct site site;
        struct modbus_overhear ear;
        struct heard_request requests[REQUESTS_MAX];
        size_t n_requests;
        struct slave slaves[UNITS];
        int64_t begin_us;
        bool gone;
};

static const char *const tables[] = {"coil", "discrete", "holding", "input"};

static struct heard_request *request_of(struct heard *h, const struct modbus_overheard_request *r)
{
        for (size_t i = 0; i < h->n_requests; i++) {
                const struct modbus_overheard_request *is = &h->requests[i].is;

                if (is->unit == r->unit && is->function == r->function && is->address == r->address &&
                    is->count == r->count)
                        return &h->requests[i];
        }
        if (h->n_requests == REQUESTS_MAX)
                return NULL;
        h->requests[h->n_requests] = (struct heard_request){.is = *r, .first_us = r->at_us};
        return &h->requests[h->n_requests++];
}

static void learn(struct heard *h, const struct modbus_overheard_request *r)
{
        struct slave *s = &h->slaves[r->unit];
        struct ranges **table = &s->tables[r->function - 1];

        s->unit = r->unit;
        if (!*table) {
                *table = mem_alloc(sizeof(**table));
                ranges_init(*table);
                (*table)->state = RANGES_DONE;
        }
        ranges_mark(*table, r->address, r->count);
}

/* ---- what is said ---- */

static void put_hex(FILE *f, const struct modbus_overheard *e, size_t most)
{
        size_t n = modbus_read_bytes(e->request.function, e->request.count);

        for (size_t i = 0; i < n && i < most; i++)
                fprintf(f, "%s%02x", i && i % 2 == 0 && most == SHOWN_BYTES ? " " : "", e->data[i]);
        fputs(n > most ? " …" : "", f);
}

static void show_json(const struct heard *h, const struct modbus_overheard *e)
{
        FILE *f = h->c->out.f;
        static const char *const kinds[] = {"answer", "exception", "no_answer"};

        fprintf(f, "{\"at_s\":%.6f,\"unit\":%u,\"function\":%u,\"address\":%u,\"count\":%u,\"kind\":\"%s\"",
                (double)(e->at_us - h->begin_us) / 1e6, e->request.unit, e->request.function, e->request.address,
                e->request.count, kinds[e->kind]);
        if (e->kind == MODBUS_HEARD_EXCEPTION)
                fprintf(f, ",\"exception\":%u", e->exception);
        if (e->kind == MODBUS_HEARD_PAIR) {
                fputs(",\"data\":\"", f);
                put_hex(f, e, SIZE_MAX);
                fputs("\"", f);
        }
        fputs("}\n", f);
}

static void show(const struct heard *h, const struct modbus_overheard *e)
{
        FILE *f = h->c->out.f;

        fprintf(f, "# %9.3f s  unit %-3u %s:%u/%u  ", (double)(e->at_us - h->begin_us) / 1e6, e->request.unit,
                tables[e->request.function - 1], e->request.address, e->request.count);
        if (e->kind == MODBUS_HEARD_PAIR)
                put_hex(f, e, SHOWN_BYTES);
        else if (e->kind == MODBUS_HEARD_EXCEPTION)
                fprintf(f, "exception %u: %s", e->exception, modbus_exception(e->exception));
        else
                fputs("no answer", f);
        fputc('\n', f);
        fflush(f);
}

static void take(struct heard *h, const struct modbus_overheard *e)
{
        struct heard_request *r = request_of(h, &e->request);

        if (r) {
                r->n_pairs += e->kind == MODBUS_HEARD_PAIR;
                r->n_unanswered += e->kind != MODBUS_HEARD_PAIR;
                r->last_us = e->request.at_us;
        }
        if (e->kind == MODBUS_HEARD_PAIR)
                learn(h, &e->request);
        if (h->c->out.json)
                show_json(h, e);
        else if (r && r->n_pairs + r->n_unanswered <= SHOWN_EACH)
                show(h, e);
}

static void listen_for(struct heard *h, int64_t span_us)
{
        int64_t until_us = h->begin_us + span_us;
        uint8_t bytes[MODBUS_OVERHEAR_PUSH];
        struct modbus_overheard e;
        struct progress progress;

        progress_begin(&progress, true);
        while (!stop_asked() && !h->gone && mono_us() < until_us && !out_broken(&h->c->out)) {
                long n = site_listen(&h->site, bytes, sizeof(bytes), 100000);

                h->gone = n < 0;
                if (n > 0)
                        modbus_overhear_push(&h->ear, mono_us(), bytes, (size_t)n);
                while (modbus_overhear_next(&h->ear, mono_us(), &e))
                        take(h, &e);
                progress_show(&progress, (double)(mono_us() - h->begin_us) / (double)span_us);
        }
        progress_end(&progress);
}

/*
 * How often the master reads of each slave what it reads most often, in steps
 * of 100 ms.
 */
static void find_periods(struct heard *h)
{
        for (size_t i = 0; i < h->n_requests; i++) {
                const struct heard_request *r = &h->requests[i];
                uint64_t n = r->n_pairs + r->n_unanswered;
                int64_t *period_us = &h->slaves[r->is.unit].period_us, us;

                if (n < 3 || r->last_us <= r->first_us)
                        continue;
                us = (r->last_us - r->first_us) / (int64_t)(n - 1);
                us = (us + 99999) / 100000 * 100000;
                if (!*period_us || us < *period_us)
                        *period_us = us;
        }
}

static void print_learned(struct heard *h)
{
        struct slave *all = mem_alloc(UNITS * sizeof(*all));
        char what[300];
        size_t n = 0;

        find_periods(h);
        for (size_t u = 0; u < UNITS; u++)
                if (h->slaves[u].tables[0] || h->slaves[u].tables[1] || h->slaves[u].tables[2] ||
                    h->slaves[u].tables[3])
                        all[n++] = h->slaves[u];
        text_format(what, sizeof(what), "%.200s: %zu devices that a master reads", h->site.text, n);
        part_head(h->c->out.f, what);
        h->site.listen = true;
        if (n)
                slaves_print(h->c->out.f, &h->site, all, n);
        free(all);
}

static void print(struct heard *h)
{
        const struct modbus_overhear_counts *n = &h->ear.counts;

        if (h->c->out.json)
                return;
        fprintf(h->c->out.f,
                "# %llu requests, %llu answers, %llu exceptions, %llu without an answer, %llu doubtful, %llu answers "
                "without a request, %llu other frames, %llu bytes of none\n",
                (unsigned long long)n->requests, (unsigned long long)n->pairs, (unsigned long long)n->exceptions,
                (unsigned long long)n->unanswered, (unsigned long long)n->doubtful, (unsigned long long)n->orphans,
                (unsigned long long)n->others, (unsigned long long)n->garbage_bytes);
        if (cli_has(h->c, CLI_BIT(LEARN)))
                print_learned(h);
}

int cmd_modbus_listen(struct cli *c)
{
        int64_t span_us = 60 * INT64_C(1000000);
        struct heard *h;
        int r;

        if (c->span && (!text_duration(c->span, &span_us) || span_us <= 0))
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 30s or 10m", c->span);
        h = mem_alloc(sizeof(*h));
        h->c = c;
        r = site_open(&h->site, c, c->args[0]);
        if (!r && h->site.wire == SITE_TCP) {
                r = cli_fail(CLI_USAGE,
                             "only a serial line can be listened to: over tcp:// nobody else's talk is heard");
                site_close(&h->site);
        }
        if (!r) {
                int64_t timeout_us = h->site.item || c->timeout ? h->site.timeout_us : 500000;

                modbus_overhear_init(&h->ear, timeout_us, QUIET_US);
                h->begin_us = mono_us();
                listen_for(h, span_us);
                print(h);
                if (h->gone)
                        r = cli_fail(CLI_AWAY, "%s is gone", h->site.text);
                else if (!h->ear.counts.pairs)
                        r = cli_fail(CLI_NO,
                                     "no request with its answer was heard on %s; `millrace serial sniff` shows "
                                     "what comes, and guesses the speed",
                                     h->site.text);
                site_close(&h->site);
        }
        for (size_t u = 0; u < UNITS; u++)
                for (int k = 0; k < 4; k++)
                        free(h->slaves[u].tables[k]);
        free(h);
        return r;
}
