/*
 * tail: one tag in the terminal: a curve of its last readings that goes on with
 * what arrives (-f).
 *
 * Reads the spool's file as `spool tail` does, in short steps and read-only, so
 * it works on a copy and without the daemon, and never holds the daemon up. All
 * rows behind the last one seen are looked at and those of the tag taken:
 * asking for the tag's own would walk again, each time, over all that came
 * since its last reading.  A spool that was replaced (a new file) is opened
 * anew.  Into a pipe, with --json, and for a tag of texts it is `spool tail`.
 *
 * Fails when the tag is not known, or is several where one is to be drawn (1),
 * and as opening a spool does.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/open.h"
#include "agent/cli/screen.h"
#include "agent/cli/tail_view.h"

enum {
        EVERY_MS = 500,
        NAMED_MAX = 5,
        NEAR_MAX = 10000,
        NAME_BYTES = TEXT_NAME_MAX + 1 + TAGS_IDENT_MAX + 1,
        PRINTED_ROWS = 24
};

/* ---- which tag ---- */

struct search {
        const char *wanted;
        struct spool_filter parts;
        char form[SPLIT_MAX], halves[SPLIT_MAX];
        char source[TEXT_NAME_MAX + 1], tag[TEXT_NAME_MAX + 1], ident[TAGS_IDENT_MAX + 1],
                unit[64]; /* of the last found */
        unsigned n;
        bool exact;
        char found[NAMED_MAX * NAME_BYTES]; /* their names, for the message */
        char **others;                      /* that are not it, for did-you-mean */
        size_t n_others;
};

static bool is_wanted(const struct search *s, const struct spool_query_tag *t)
{
        if (!strchr(s->wanted, '/'))
                return text_matches(s->wanted, t->source) || text_matches(s->wanted, t->name);
        return (!s->parts.source || text_matches(s->parts.source, t->source)) &&
               (!s->parts.name || text_matches(s->parts.name, t->name)) &&
               (!s->parts.labels || tags_labels_have(t->labels, s->parts.labels));
}

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        struct search *s = ctx;
        char name[NAME_BYTES], ident[TAGS_IDENT_MAX + 1];

        tags_put_ident(ident, t->name, t->labels);
        snprintf(name, sizeof(name), "%.*s/%s", TEXT_NAME_MAX, t->source, ident);
        if (is_wanted(s, t)) {
                size_t len = strlen(s->found);

                if (s->exact)
                        return true;
                s->exact = !*t->labels && !strcmp(name, s->wanted); /* nothing else has this name alone */
                if (s->exact)
                        s->n = 0;
                if (s->n++ < NAMED_MAX)
                        snprintf(s->found + len, sizeof(s->found) - len, "%s%s", len ? ", " : "", name);
                text_copy(s->source, sizeof(s->source), t->source);
                text_copy(s->tag, sizeof(s->tag), t->name);
                text_copy(s->ident, sizeof(s->ident), ident);
                text_copy(s->unit, sizeof(s->unit), t->unit);
        } else if (s->n_others < NEAR_MAX) {
                s->others[s->n_others++] = mem_strdup(name);
        }
        return true;
}

static int judge(const struct search *s, bool one)
{
        const char *near = text_did_you_mean(s->wanted, (const char *const *)s->others, s->n_others);

        if (s->n == 0)
                return cli_fail(CLI_NO, "the spool knows no tag %.200s%s%s%s", s->wanted,
                                near ? "; did you mean " : "; 'millrace tags' lists them", near ? near : "",
                                near ? "?" : "");
        if (s->n > 1 && (one || !strchr(s->wanted, '/')))
                return cli_fail(CLI_NO, "%.200s is %u tags: %s%s; one is needed", s->wanted, s->n, s->found,
                                s->n > NAMED_MAX ? ", …" : "");
        return CLI_OK;
}

/* With `one` a pattern has to match a single tag. */
static int find_tag(struct spool_query *q, const char *wanted, bool one, struct search *s)
{
        struct err e;
        int r;

        *s = (struct search){.wanted = wanted, .others = mem_alloc(NEAR_MAX * sizeof(char *))};
        if (text_name_pattern(s->form, sizeof(s->form), wanted))
                s->wanted = s->form;
        split_tag(wanted, s->halves, &s->parts);
        if (spool_query_tags(q, false, on_tag, s, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        else
                r = judge(s, one);
        for (size_t i = 0; i < s->n_others; i++)
                free(s->others[i]);
        free(s->others);
        return r;
}

/* ---- its readings ---- */

struct tail {
        struct places places;
        struct spool_query *q; /* NULL: to be opened (again) */
        ino_t inode;
        struct search tag;
        uint64_t last_seq; /* of all rows that were looked at */
        struct plot plot;
        struct tail_screen screen;
        struct err trouble;
};

struct extent {
        uint64_t n, first_seq;
        int64_t from_us, to_us;
        unsigned type; /* of the newest that has a value */
};

static bool on_extent(void *ctx, const struct spool_query_row *row)
{
        struct extent *x = ctx;

        x->first_seq = x->n ? x->first_seq : row->seq;
        x->from_us = x->n && x->from_us < row->r.ts_us ? x->from_us : row->r.ts_us;
        x->to_us = x->n && x->to_us > row->r.ts_us ? x->to_us : row->r.ts_us;
        x->type = row->r.type != READING_NONE ? row->r.type : x->type;
        x->n++;
        return true;
}

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct tail *t = ctx;
        char ident[TAGS_IDENT_MAX + 1];

        t->last_seq = row->seq;
        if (strcmp(row->source, t->tag.source) == 0 && strcmp(row->name, t->tag.tag) == 0) {
                tags_put_ident(ident, row->name, row->labels);
                if (strcmp(ident, t->tag.ident) == 0)
                        plot_add(&t->plot, &row->r);
        }
        return true;
}

static int open_file(struct tail *t, struct err *e)
{
        struct stat st;

        t->inode = stat(t->places.spool, &st) == 0 ? st.st_ino : 0;
        return spool_query_open(&t->q, t->places.spool, e);
}

/*
 * The last `lines` readings: once to learn what span they need, once to draw
 * them.
 */
static int look_back(struct tail *t, uint64_t lines, unsigned *type, struct err *e)
{
        struct spool_filter tags = {
                .lane = SPOOL_SAMPLES, .source = t->tag.source, .name = t->tag.tag, .newest = lines};
        const char *brace = strchr(t->tag.ident, '{');
        struct spool_filter rows = {.lane = SPOOL_SAMPLES};
        struct spool_counts counts;
        struct extent x = {0};
        int columns = tail_columns(t->screen.cols, t->screen.braille);

        tags.labels = brace ? brace + 1 : NULL;
        if (spool_query_counts(t->q, &counts, e) < 0 || (lines && spool_query_rows(t->q, &tags, on_extent, &x, e) < 0))
                return -1;
        plot_init(&t->plot, plot_span_us(x.from_us, x.to_us, x.n, columns));
        *type = x.type;
        t->last_seq = counts.last_seq[SPOOL_SAMPLES];
        rows.first_seq = x.n ? x.first_seq : t->last_seq + 1;
        return spool_query_rows(t->q, &rows, on_row, t, e);
}

/* What came since; when the file was replaced, all of the new one. */
static void look_again(struct tail *t)
{
        struct spool_filter rows = {.lane = SPOOL_SAMPLES};
        struct stat st;

        t->screen.trouble = NULL;
        if (t->q && stat(t->places.spool, &st) == 0 && st.st_ino != t->inode) {
                spool_query_close(t->q);
                t->q = NULL;
        }
        if (!t->q) {
                t->last_seq = 0;
                if (open_file(t, &t->trouble) < 0) {
                        t->q = NULL;
                        t->screen.trouble = t->trouble.text;
                        return;
                }
        }
        rows.first_seq = t->last_seq + 1;
        if (spool_query_rows(t->q, &rows, on_row, t, &t->trouble) < 0)
                t->screen.trouble = t->trouble.text;
}

/* ---- the terminal ---- */

static int64_t now_us(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void draw(struct tail *t)
{
        screen_size(&t->screen.rows, &t->screen.cols);
        if (!t->screen.paused)
                t->screen.now_us = now_us(CLOCK_REALTIME);
        tail_layout(&t->screen, &t->plot);
        screen_draw(t->screen.lines, t->screen.rows);
}

static void follow(struct tail *t)
{
        int64_t due_us = now_us(CLOCK_MONOTONIC) + EVERY_MS * 1000;

        for (;;) {
                int64_t left_us = due_us - now_us(CLOCK_MONOTONIC);
                int key;

                draw(t);
                key = screen_key(left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
                if (key == 'q' || key == 'Q')
                        return;
                if (key == ' ' || key == 'p')
                        t->screen.paused = !t->screen.paused;
                if (now_us(CLOCK_MONOTONIC) < due_us)
                        continue;
                due_us = now_us(CLOCK_MONOTONIC) + EVERY_MS * 1000;
                if (!t->screen.paused)
                        look_again(t);
        }
}

static void print(struct tail *t, FILE *f)
{
        t->screen.rows = t->screen.rows > PRINTED_ROWS + 1 ? PRINTED_ROWS : t->screen.rows - 2; /* the prompts' */
        tail_layout(&t->screen, &t->plot);
        for (int i = 0; i < t->screen.rows; i++)
                fprintf(f, "%s\n", t->screen.lines[i].text);
}

static void measure(struct tail_screen *s)
{
        struct winsize size;

        s->braille = screen_utf8(true);
        s->rows = PRINTED_ROWS;
        s->cols = 80;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col) {
                s->rows = size.ws_row;
                s->cols = size.ws_col;
        }
        line_bound(&s->rows, &s->cols);
}

static int show(struct cli *c, struct tail *t)
{
        bool drawn = isatty(STDOUT_FILENO) && !cli_has(c, CLI_BIT(JSON));
        bool live = drawn && cli_has(c, CLI_BIT(FOLLOW)) && isatty(STDIN_FILENO);
        static char name[NAME_BYTES];
        unsigned type = READING_NONE;
        int r = find_tag(t->q, c->args[0], drawn, &t->tag);

        if (r)
                return r;
        snprintf(name, sizeof(name), "%s/%s", t->tag.source, t->tag.ident);
        c->tag = t->tag.n == 1 ? name : c->args[0];
        measure(&t->screen);
        if (drawn) {
                uint64_t lines =
                        cli_has(c, CLI_BIT(LINES)) ? c->lines : 2 * (uint64_t)tail_columns(t->screen.cols, false);

                if (look_back(t, lines, &type, &t->trouble) < 0)
                        return cli_fail(CLI_AWAY, "%s", t->trouble.text);
        }
        if (!drawn || type == READING_TEXT || type == READING_RAW)
                return cmd_spool_tail(c);
        t->screen.source = t->tag.source;
        t->screen.tag = t->tag.ident;
        t->screen.unit = t->tag.unit;
        t->screen.live = live;
        t->screen.utc = c->out.utc;
        if (!live) {
                print(t, c->out.f);
        } else if (screen_open()) {
                follow(t);
                screen_close();
        }
        return CLI_OK;
}

int cmd_tail(struct cli *c)
{
        struct tail *t = mem_alloc(sizeof(*t));
        int r = places_find(c, &t->places);

        if (r == 0 && open_file(t, &t->trouble) < 0) {
                t->q = NULL;
                r = cli_fail(CLI_AWAY, "%s", t->trouble.text);
        }
        if (r == 0)
                r = show(c, t);
        if (t->q)
                spool_query_close(t->q);
        places_fini(&t->places);
        free(t);
        return r;
}
