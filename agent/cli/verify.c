/*
 * verify: are the records of the topics what the gateways' heartbeats say was
 * delivered?  Reads Kafka (uplink/read.h), judges (audit.h), prints.
 *
 * Each fault, named gap, duplicate is a row on standard output, then a line for
 * each lane of an epoch.  Fails: exit status 69 when Kafka can't be read.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/audit.h"
#include "agent/cli/cli.h"
#include "agent/cli/progress.h"
#include "agent/config/config.h"
#include "agent/sign.h"
#include "uplink/read.h"

enum { BROKERS_MOST = 16 };

struct verify {
        struct cli *c;
        struct audit *audit;
        struct signer *key;
        struct progress progress;
        struct audit_sum *sum;
        size_t n_sums;
        uint64_t n_faults;
};

static bool is_signed(void *ctx, const char *text, size_t len, const char *signature)
{
        return signer_is_right(((struct verify *)ctx)->key, text, len, signature);
}

static void on_record(void *ctx, const struct kafka_read_record *r)
{
        struct verify *v = ctx;

        if (r->is_status)
                audit_heartbeat(v->audit, r->value, r->value_len);
        else
                audit_record(v->audit, r->identity, r->identity_len, r->value, r->value_len);
}

static void on_progress(void *ctx, double part)
{
        progress_show(&((struct verify *)ctx)->progress, part);
}

/* ---- printing ---- */

static void on_finding(void *ctx, const struct audit_finding *f)
{
        static const struct out_column columns[] = {{"what", "WHAT", OUT_TEXT},       {"fault", "FAULT", OUT_TEXT},
                                                    {"gateway", "GATEWAY", OUT_TEXT}, {"epoch", "EPOCH", OUT_TEXT},
                                                    {"lane", "LANE", OUT_TEXT},       {"first_seq", "FIRST", OUT_COUNT},
                                                    {"last_seq", "LAST", OUT_COUNT},  {"why", "WHY", OUT_TEXT}};
        struct verify *v = ctx;
        struct out *out = &v->c->out;
        char epoch[24];
        struct out_cell cells[] = {{.text = f->what, .colour = f->is_fault ? OUT_RED : OUT_PLAIN},
                                   {.text = f->is_fault ? "yes" : "no"},
                                   {.text = f->gateway},
                                   {.text = epoch},
                                   {.text = f->lane},
                                   {.n = f->first},
                                   {.n = f->last},
                                   {.text = f->why}};

        snprintf(epoch, sizeof(epoch), "%" PRIu64, f->epoch);
        if (!out->columns)
                out_table(out, columns, sizeof(columns) / sizeof(*columns));
        out_row(out, cells);
}

static void on_sum(void *ctx, const struct audit_sum *s)
{
        struct verify *v = ctx;

        v->sum = mem_grow(v->sum, v->n_sums + 1, sizeof(*v->sum));
        v->sum[v->n_sums++] = *s;
        v->n_faults += s->n_faults;
}

static void print_sum(const struct verify *v, const struct audit_sum *s)
{
        static const char json[] = "{\"gateway\":\"%s\",\"epoch\":%" PRIu64 ",\"lane\":\"%s\",\"complete\":%s,"
                                   "\"sealed\":%" PRIu64 ",\"found\":%" PRIu64 ",\"duplicates\":%" PRIu64
                                   ",\"dropped\":%" PRIu64 ",\"faults\":%" PRIu64 "}\n";
        static const char text[] = "%s, epoch %" PRIu64 ", %s: %s; %" PRIu64 " sealed, %" PRIu64 " found, %" PRIu64
                                   " duplicates, %" PRIu64 " dropped with a reason, %" PRIu64 " faults\n";
        const char *verdict = s->n_faults ? "NOT complete or not unaltered" : "complete and unaltered";

        if (v->c->out.json)
                verdict = s->n_faults ? "false" : "true";
        fprintf(v->c->out.f, v->c->out.json ? json : text, s->gateway, s->epoch, s->lane, verdict, s->n_sealed,
                s->n_found, s->n_duplicates, s->n_dropped, s->n_faults);
}

static int tell(struct verify *v)
{
        bool has_seals = audit_end(v->audit, on_finding, on_sum, v);
        uint64_t n_unread = audit_unread(v->audit);

        if (v->c->out.columns)
                out_table_end(&v->c->out);
        for (size_t i = 0; i < v->n_sums; i++)
                print_sum(v, &v->sum[i]);
        if (n_unread)
                fprintf(stderr, "millrace: %" PRIu64 " records are not millrace's, or have no id\n", n_unread);
        if (!has_seals)
                return cli_fail(CLI_NO, "no heartbeat of that time has a seal that counts (kafka.seal, --public-key)");
        return v->n_faults ? CLI_NO : CLI_OK;
}

/* ---- where to read ---- */

static int look(struct verify *v, const struct kafka_conf *conf)
{
        struct audit_conf audit = {.since_us = INT64_MIN, .until_us = INT64_MAX, .ctx = v};
        struct kafka_read on = {.on_record = on_record, .on_progress = on_progress, .ctx = v};
        struct err e;
        int code;

        if (cli_has(v->c, CLI_BIT(SINCE)))
                audit.since_us = v->c->since_us;
        if (cli_has(v->c, CLI_BIT(UNTIL)))
                audit.until_us = v->c->until_us;
        audit.gateway = v->c->gateway;
        if (v->key)
                audit.is_signed = is_signed;
        v->audit = audit_new(&audit);
        progress_begin(&v->progress, false);
        code = kafka_read_all(conf, &on, &e) < 0 ? CLI_AWAY : CLI_OK;
        progress_end(&v->progress);
        code = code ? cli_fail(code, "%s", e.text) : tell(v);
        audit_free(v->audit);
        free(v->sum);
        return code;
}

/* Topics of the names they have by themselves, and no login. */
static int look_at(struct verify *v, const char *brokers)
{
        char *text = mem_strdup(brokers), *rest = text, *one;
        const char *items[BROKERS_MOST];
        struct kafka_conf conf = {.window_records = 10000,
                                  .window_bytes = 4 << 20,
                                  .linger_us = 5000,
                                  .samples_topic = "edge_samples_v1",
                                  .events_topic = "edge_events_v1",
                                  .status_topic = "edge_status_v1",
                                  .backfill_topic = "edge_backfill_v1",
                                  .raw_topic = "edge_raw_v1"};
        int code;

        while ((one = strsep(&rest, ",")) && conf.brokers.n < BROKERS_MOST)
                items[conf.brokers.n++] = one;
        conf.brokers.items = (void *)items;
        code = look(v, &conf);
        free(text);
        return code;
}

static int look_as_configured(struct verify *v)
{
        struct faults faults = {0};
        struct config *conf;
        int code;

        if (config_load(v->c->config, &conf, &faults) < 0) {
                faults_print(&faults, stderr);
                faults_fini(&faults);
                return CLI_CONFIG;
        }
        code = look(v, &conf->kafka);
        config_free(conf);
        faults_fini(&faults);
        return code;
}

int cmd_verify(struct cli *c)
{
        struct verify v = {.c = c};
        struct err e;
        int code;

        if (c->public_key && !(v.key = signer_open_public(c->public_key, &e)))
                return cli_fail(CLI_USAGE, "%s", e.text);
        code = c->kafka ? look_at(&v, c->kafka) : look_as_configured(&v);
        signer_free(v.key);
        return code;
}
