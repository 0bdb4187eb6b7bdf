/*
 * spool_check: `spool verify` and `spool sql`: looking into the file itself,
 * whatever state it is in.
 *
 * Exit status 1 of verify means that faults were found; they are on standard
 * output, one a line.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/open.h"
#include "agent/cli/progress.h"
#include "store/inspect/sql.h"
#include "store/inspect/verify.h"

enum { SQL_LIMIT_MS = 10000, SQL_ANSWER_MAX = 64 << 20 };

/* ---- verify ---- */

/* What on_fault and on_progress are given. */
struct check {
        struct out *out;
        struct progress progress;
};

static void on_fault(void *ctx, const char *what)
{
        static const struct out_column columns[] = {{"fault", "FAULT", OUT_TEXT}};
        struct out_cell cell = {.text = what};
        struct out *out = ((struct check *)ctx)->out;

        progress_end(&((struct check *)ctx)->progress);
        if (!out->columns)
                out_table(out, columns, 1);
        out_row(out, &cell);
}

static void on_progress(void *ctx, double part)
{
        progress_show(&((struct check *)ctx)->progress, part);
}

static void tell_result(struct cli *c, const struct spool_verify *v, bool live)
{
        FILE *f = c->out.f;

        if (c->out.json) {
                fprintf(f, "{\"faults\":%" PRIu64 ",\"readings\":%" PRIu64 ",\"events\":%" PRIu64 ",\"pages\":%s}\n",
                        v->n_faults, v->n_readings, v->n_events, v->pages && v->readable ? "true" : "false");
                return;
        }
        if (!v->readable)
                fprintf(f, "damaged: about %" PRIu64 " readings can still be found in it\n", v->n_readings);
        else if (v->n_faults)
                fprintf(f, "%" PRIu64 " faults in %" PRIu64 " readings and %" PRIu64 " events\n", v->n_faults,
                        v->n_readings, v->n_events);
        else
                fprintf(f, "no fault in %" PRIu64 " readings and %" PRIu64 " events\n", v->n_readings, v->n_events);
        if (live && !v->pages)
                fputs("the daemon uses it: pages were not all looked at; --all does, and holds it up meanwhile\n", f);
}

/*
 * A file that SQLite can't read is looked at all the same, so opening it may
 * fail.
 */
static bool is_live(const char *path)
{
        struct spool_query *q;
        bool live = false;

        if (spool_query_open(&q, path, NULL) == 0) {
                live = spool_query_live(q);
                spool_query_close(q);
        }
        return live;
}

int cmd_spool_verify(struct cli *c)
{
        struct check check = {.out = &c->out};
        struct spool_verify v = {.on_fault = on_fault, .on_progress = on_progress, .ctx = &check};
        struct places places;
        struct err e;
        bool live;
        int r = places_find(c, &places);

        if (r)
                return r;
        live = is_live(places.spool);
        v.path = places.spool;
        v.pages = !live || cli_has(c, CLI_BIT(ALL));
        progress_begin(&check.progress, false);
        if (spool_verify(&v, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        progress_end(&check.progress);
        if (v.n_faults)
                out_table_end(&c->out);
        if (!r)
                tell_result(c, &v, live);
        places_fini(&places);
        return r ? r : v.n_faults ? CLI_NO : CLI_OK;
}

/* ---- sql ---- */

struct answer {
        struct cli *c;
        struct out_column *columns;
        size_t n_bytes; /* of its values, so far */
};

static void put_json(FILE *f, const char *text)
{
        size_t len = strlen(text);
        char *s = mem_alloc(6 * len + 1);

        fprintf(f, "\"%.*s\"", (int)text_put_json(s, text, len), s);
        free(s);
}

static bool on_json(struct cli *c, const struct spool_sql_row *row)
{
        FILE *f = c->out.f;

        for (int i = 0; i < row->n; i++) {
                fputs(i ? "," : "{", f);
                put_json(f, row->names[i]);
                fputc(':', f);
                if (row->cells[i].type == SPOOL_SQL_NULL)
                        fputs("null", f);
                else if (row->cells[i].type == SPOOL_SQL_NUMBER && !strchr(row->cells[i].text, 'n'))
                        fputs(row->cells[i].text, f);
                else
                        put_json(f, row->cells[i].text);
        }
        fputs("}\n", f);
        return true;
}

static bool on_sql_row(void *ctx, const struct spool_sql_row *row)
{
        struct answer *a = ctx;
        struct out_cell cells[100];

        for (int i = 0; i < row->n; i++)
                a->n_bytes += strlen(row->cells[i].text) + 16;
        if (a->n_bytes > SQL_ANSWER_MAX)
                return false;
        if (a->c->out.json)
                return on_json(a->c, row);
        if (!a->columns) {
                a->columns = mem_alloc((size_t)row->n * sizeof(*a->columns));
                for (int i = 0; i < row->n; i++)
                        a->columns[i] = (struct out_column){mem_strdup(row->names[i]), NULL, OUT_TEXT};
                for (int i = 0; i < row->n; i++)
                        a->columns[i].title = a->columns[i].key;
                out_table(&a->c->out, a->columns, (size_t)row->n);
        }
        for (int i = 0; i < row->n; i++)
                cells[i] =
                        (struct out_cell){.absent = row->cells[i].type == SPOOL_SQL_NULL, .text = row->cells[i].text};
        out_row(&a->c->out, cells);
        return true;
}

static void release(struct answer *a, size_t n)
{
        for (size_t i = 0; a->columns && i < n; i++)
                free((char *)a->columns[i].key);
        free(a->columns);
}

/*
 * Into memory first: a pager that waits for its reader would hold up the
 * daemon's checkpoints.
 */
static int ask(struct answer *a, const char *path, struct err *e)
{
        FILE *f = a->c->out.f;
        char *text = NULL;
        size_t len;
        int rc;

        a->c->out.f = open_memstream(&text, &len);
        BUG_ON(!a->c->out.f);
        rc = spool_sql(path, a->c->args[0], SQL_LIMIT_MS, on_sql_row, a, e);
        if (a->columns)
                out_table_end(&a->c->out);
        BUG_ON(fclose(a->c->out.f) != 0);
        a->c->out.f = f;
        fwrite(text, 1, len, f);
        free(text);
        return rc;
}

int cmd_spool_sql(struct cli *c)
{
        struct answer a = {.c = c};
        struct places places;
        struct err e;
        int r = places_find(c, &places), rc;

        if (r)
                return r;
        rc = ask(&a, places.spool, &e);
        if (rc < 0)
                r = cli_fail(access(places.spool, R_OK) == 0 ? CLI_USAGE : CLI_AWAY, "%s", e.text);
        else if (rc == SPOOL_SQL_E_TIME)
                r = cli_fail(CLI_NO, "stopped after %d s; narrow the question, or ask a copy of the file",
                             SQL_LIMIT_MS / 1000);
        else if (a.n_bytes > SQL_ANSWER_MAX)
                r = cli_fail(CLI_NO, "stopped after %d MiB; narrow the question", SQL_ANSWER_MAX >> 20);
        release(&a, c->out.n_columns);
        places_fini(&places);
        return r;
}
