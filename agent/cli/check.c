/*
 * check: is this configuration right, and what does it amount to?
 *
 * The walker's sentences are made for people: "key: found; allowed: … (did you
 * mean …?)".  With --json they are taken apart along those very words, so that
 * an editor or a rollout script gets the parts; a sentence of another build
 * leaves parts null and is whole in `text`.
 *
 * librdkafka is asked as well, by the function that the daemon opens with, and
 * each driver is made and not started: what the daemon refuses for good is
 * refused here.
 *
 * With --kafka the brokers are asked what the topics are set to: what would
 * lose readings that were held for long is a note, since it may be meant so.
 *
 * Faults are the answer here, not an accident: they go to standard error as
 * they are, and the exit status is 78.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/excerpt.h"
#include "agent/cli/trial.h"
#include "agent/config/config.h"
#include "agent/control/metrics_http.h"
#include "drivers/modbus/plan.h"

static const char allowed_mark[] = "; allowed: ", near_mark[] = "(did you mean ";

static json_t *piece(const char *from, const char *to)
{
        return to > from ? json_stringn(from, (size_t)(to - from)) : json_null();
}

/*
 * "a.b: " in front; a ": " further behind belongs to the sentence, and a key
 * holds no blank.
 */
static const char *key_end(const char *text)
{
        const char *colon = strstr(text, ": ");

        return colon && strcspn(text, " \"") > (size_t)(colon - text) ? colon : NULL;
}

static json_t *fault_json(const struct fault *f, const char *level)
{
        const char *end = f->text + strlen(f->text), *key = key_end(f->text);
        const char *found = key ? key + 2 : f->text, *allowed = strstr(found, allowed_mark),
                   *near = strstr(found, near_mark);
        const char *allowed_end = near && near > f->text && near[-1] == ' ' ? near - 1 : end;
        json_t *o = json_object();

        json_object_set_new(o, "level", json_string(level));
        json_object_set_new(o, "file", json_string(f->at.file));
        json_object_set_new(o, "line", json_integer(f->at.line));
        json_object_set_new(o, "column", json_integer(f->at.column));
        json_object_set_new(o, "key", key ? piece(f->text, key) : json_null());
        json_object_set_new(o, "found", piece(found, allowed ? allowed : allowed_end));
        json_object_set_new(o, "allowed", allowed ? piece(allowed + strlen(allowed_mark), allowed_end) : json_null());
        near = near ? near + strlen(near_mark) : NULL;
        json_object_set_new(o, "did_you_mean", near ? piece(near, near + strcspn(near, "?")) : json_null());
        json_object_set_new(o, "text", json_string(f->text));
        return o;
}

static void print_json(struct out *out, const struct faults *faults, const char *level)
{
        for (size_t i = 0; i < faults->n; i++) {
                json_t *o = fault_json(&faults->items[i], level);

                json_dumpf(o, out->f, JSON_COMPACT);
                fputc('\n', out->f);
                json_decref(o);
        }
}

/* How long a Modbus bus needs for all that hangs on it. */
static void print_scans(struct cli *c, const struct config *conf)
{
        char text[256];

        for (size_t i = 0; i < conf->n_drivers; i++) {
                struct modbus_scan scan;

                if (conf->drivers[i].ops != &modbus_ops)
                        continue;
                modbus_scan(conf->drivers[i].conf, &scan);
                modbus_scan_text(conf->drivers[i].conf, &scan, text, sizeof(text));
                fprintf(c->out.f, "%s\n", text);
        }
}

static void print_verdict(struct cli *c, const char *path, const struct config *conf)
{
        fprintf(c->out.f, "%s: ok (gateway %s, %zu source%s, %zu Kafka broker%s, spool %s)\n", path, conf->gateway,
                conf->n_drivers, conf->n_drivers == 1 ? "" : "s", conf->kafka.brokers.n,
                conf->kafka.brokers.n == 1 ? "" : "s", conf->spool.path);
        print_scans(c, conf);
        for (size_t i = 0; i < conf->notices.n; i++) {
                const struct fault *f = &conf->notices.items[i];

                fprintf(c->out.f, "%s:%d:%d: note: %s\n", f->at.file ? f->at.file : path, f->at.line, f->at.column,
                        f->text);
        }
}

/* What librdkafka refuses is one more fault. */
static void on_loaded(const struct config *conf, struct faults *faults)
{
        struct err e;

        if (kafka_sink_check(&conf->kafka, conf->gateway, &e) < 0)
                faults_add(faults, &conf->kafka.at, "", "%s", e.text);
}

static bool all(void *ctx, const struct config_driver *d)
{
        return true;
}

static const struct schema_at *place_of(const struct config *conf, const char *name)
{
        for (size_t i = 0; i < conf->n_drivers; i++)
                if (strcmp(conf->drivers[i].name, name) == 0 && conf->drivers[i].ops->schema->has_at)
                        return conf->drivers[i].conf;
        return &conf->at;
}

/* What a driver or the page of numbers would refuse at the daemon's start. */
static void look_as_daemon(struct config *conf, struct faults *faults)
{
        const struct trial_item *items;
        struct trial *t = trial_new(conf, all, NULL);
        size_t n = trial_items(t, &items);
        struct err e;

        for (size_t i = 0; i < n; i++)
                if (*items[i].why)
                        faults_add(faults, place_of(conf, items[i].name), items[i].name, "%s", items[i].why);
        trial_free(t);
        if (conf->metrics.listen && metrics_http_load(&e) < 0)
                faults_add(&conf->notices, &conf->at, "", "%s", e.text);
}

static int load(const char *path, struct config **conf, struct faults *faults)
{
        if (config_load_more(path, on_loaded, conf, faults) < 0)
                return -1;
        look_as_daemon(*conf, faults);
        if (faults->n == 0)
                return 0;
        config_free(*conf);
        return -1;
}

static void on_topic(void *ctx, const char *text, enum kafka_note_kind kind)
{
        struct config *conf = ctx;

        faults_add(&conf->notices, &conf->kafka.at, "", "%s", text);
}

/* CLI_OK, also when it notes something; CLI_AWAY. */
static int ask_kafka(const struct cli *c, struct config *conf)
{
        struct err e;

        if (!cli_has(c, CLI_BIT(TOPICS)) || kafka_topics_check(&conf->kafka, conf->gateway, on_topic, conf, &e) == 0)
                return CLI_OK;
        return cli_fail(CLI_AWAY, "%s", e.text);
}

int cmd_check(struct cli *c)
{
        const char *path = c->n_args > 0 ? c->args[0] : c->config;
        struct faults faults = {0};
        struct config *conf;
        int code;

        if (c->n_args > 0 && cli_has(c, CLI_BIT(CONFIG)))
                return cli_fail(CLI_USAGE, "two configurations are named: %s and --config %s", path, c->config);
        if (load(path, &conf, &faults) < 0) {
                if (c->out.json)
                        print_json(&c->out, &faults, "fault");
                else
                        excerpt_faults(&faults, stderr);
                faults_fini(&faults);
                return CLI_CONFIG;
        }
        code = ask_kafka(c, conf);
        if (c->out.json)
                print_json(&c->out, &conf->notices, "note");
        else if (cli_has(c, CLI_BIT(DUMP)))
                config_dump(conf, c->out.f);
        else
                print_verdict(c, path, conf);
        config_free(conf);
        faults_fini(&faults);
        return code;
}
