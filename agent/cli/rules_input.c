/*
 * rules_input: see rules_input.h.
 *
 * A rules file is a configuration in which nothing but `alarms:` has to stand:
 * the whole table is used, with nothing required, so that the gateway's own
 * configuration can be given as it is.  A recording is recognised by its first
 * bytes, not by its name.
 */
#include "agent/cli/rules_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/walk.h"
#include "store/inspect/query.h"

enum { KEYS_MAX = 64, BYTES_MAX = 1 << 20 };

/* ---- rules ---- */

static void free_keys(struct schema_key keys[KEYS_MAX])
{
        const struct schema_key *from = config_schema()->keys;
        size_t n = 0;

        for (; from[n].name; n++) {
                BUG_ON(n + 1 == KEYS_MAX);
                keys[n] = from[n];
                keys[n].flags &= ~(unsigned)SCHEMA_REQUIRED;
        }
        keys[n] = (struct schema_key){0};
}

static char *read_whole(const char *path, size_t *len)
{
        FILE *f = fopen(path, "re");
        char *text;

        if (!f)
                return NULL;
        text = mem_alloc(BYTES_MAX + 1);
        *len = fread(text, 1, BYTES_MAX + 1, f);
        if (ferror(f)) {
                free(text);
                text = NULL;
        }
        fclose(f);
        return text;
}

int rules_file_load(const char *path, struct rules_file *f)
{
        struct schema_key keys[KEYS_MAX];
        struct schema root = *config_schema();
        struct faults faults = {0};
        struct schema_at at = {path, 0, 0};
        struct walk *w;
        size_t len = 0;
        char *text;

        memset(f, 0, sizeof(*f));
        free_keys(keys);
        root.keys = keys;
        text = read_whole(path, &len);
        w = walk_new(&f->arena, &faults);
        if (!text)
                faults_add(&faults, &at, "", "can't be read: %s", strerror(errno));
        else if (walk_add(w, path, text, len, false) == 0)
                walk_fill(w, &root, &f->config);
        walk_free(w);
        free(text);
        f->rules = f->config.alarm_sections.alarms.items;
        f->n_rules = f->config.alarm_sections.alarms.n;
        f->gateway = f->config.gateway ? f->config.gateway : "test";
        if (!faults.n && !f->n_rules)
                faults_add(&faults, &at, "alarms", "missing; allowed: at least one rule");
        faults_sort(&faults);
        faults_print(&faults, stderr);
        len = faults.n;
        faults_fini(&faults);
        if (!len)
                return CLI_OK;
        rules_file_fini(f);
        return CLI_CONFIG;
}

void rules_file_fini(struct rules_file *f)
{
        arena_fini(&f->arena);
}

/* ---- recordings ---- */

static void source_of(const struct cli *c, char *out, size_t cap)
{
        const char *slash = strrchr(c->input, '/'), *stem = slash ? slash + 1 : c->input, *dot = strrchr(stem, '.');
        char name[TEXT_NAME_MAX + 1];

        text_map_name(name, c->source ? c->source : stem,
                      c->source           ? strlen(c->source)
                      : dot && dot > stem ? (size_t)(dot - stem)
                                          : strlen(stem));
        snprintf(out, cap, "%s", name);
}

static size_t chomp(char *line, ssize_t len)
{
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
                len--;
        return (size_t)len;
}

static int play_csv(const struct cli *c, FILE *f, struct replay *p)
{
        char source[TEXT_NAME_MAX + 1], *line = NULL;
        struct err e = {""};
        size_t cap = 0, skip;
        ssize_t len;
        int r = 0;

        source_of(c, source, sizeof(source));
        len = getline(&line, &cap, f);
        skip = len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a spreadsheet's byte order mark */
        r = len < 0 ? err_set(&e, "is empty") : replay_csv_header(p, source, line + skip, chomp(line, len) - skip, &e);
        while (r == 0 && (len = getline(&line, &cap, f)) >= 0)
                r = replay_csv_row(p, line, chomp(line, len), &e);
        free(line);
        return r == 0 ? CLI_OK : cli_fail(CLI_NO, "%s: %s", c->input, e.text);
}

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        char ident[TAGS_IDENT_MAX + 1];

        tags_put_ident(ident, row->name, row->labels);
        replay_reading(ctx, row->source, ident, &row->r);
        return true;
}

static int play_spool(const struct cli *c, struct replay *p)
{
        struct spool_filter filter = {.lane = SPOOL_SAMPLES, .source = c->source};
        struct spool_query *q;
        struct err e;
        int r = CLI_OK;

        if (spool_query_open(&q, c->input, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        if (spool_query_rows(q, &filter, on_row, p, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        spool_query_close(q);
        return r;
}

int rules_input_play(const struct cli *c, struct replay *p)
{
        static const char magic[] = "SQLite format 3";
        FILE *f = fopen(c->input, "re");
        char first[sizeof(magic)] = {0};
        int r;

        if (!f)
                return cli_fail(CLI_AWAY, "%s: %s", c->input, strerror(errno));
        if (fread(first, 1, sizeof(first), f) == sizeof(first) && memcmp(first, magic, sizeof(magic)) == 0) {
                fclose(f);
                return play_spool(c, p);
        }
        rewind(f);
        r = play_csv(c, f, p);
        fclose(f);
        return r;
}
