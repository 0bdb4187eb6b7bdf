/*
 * events: what happened on the gateway, in the order in which it did, each with
 * whom it is about and, when it ended something, how long that lasted.
 *
 * Reads the events lane of the spool's file, held and kept events alike, so it
 * works without the daemon and on a copy.  All of the lane is looked at, also
 * what is not shown: what ends now may have begun long before.  Following is
 * asking again twice a second, as `spool tail` does; a spool that was replaced
 * is shown from its beginning.
 *
 * Fails when there is no such kind (2), and as opening a spool does.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/open.h"
#include "agent/cli/past/outages.h"

enum { FOLLOW_EVERY_MS = 500, KINDS_MOST = 24, TIME_COLS = 24, SUBJECT_COLS = 20, NARROW_COLS = 60 };

struct listing {
        struct cli *c;
        struct outages outages;
        char kinds[KINDS_MOST][PAST_KIND]; /* --kind */
        size_t n_kinds;
        uint64_t n, skip; /* that match; of these not shown */
        uint64_t last_seq;
        size_t cols;
};

/* ---- which ---- */

static int add_kind(struct listing *l, const char *word, size_t len)
{
        const char *known[KINDS_MOST + 1], *near;
        char kind[PAST_KIND];
        size_t n = 0;

        snprintf(kind, sizeof(kind), "%.*s", (int)(len < PAST_KIND ? len : PAST_KIND - 1), word);
        for (; n < KINDS_MOST && past_kind(n); n++) {
                known[n] = past_kind(n);
                if (strcmp(known[n], kind) == 0 && l->n_kinds < KINDS_MOST) {
                        memcpy(l->kinds[l->n_kinds++], kind, sizeof(kind));
                        return CLI_OK;
                }
        }
        near = text_did_you_mean(kind, known, n);
        if (near)
                return cli_fail(CLI_USAGE, "there is no kind of events '%s'; did you mean %s?", kind, near);
        return cli_fail(CLI_USAGE, "there is no kind of events '%s'; 'millrace help events' lists them", kind);
}

static int read_kinds(struct listing *l, const char *list)
{
        int r = CLI_OK;

        for (; !r && list && *list; list += list[0] == ',') {
                size_t len = strcspn(list, ",");

                if (len)
                        r = add_kind(l, list, len);
                list += len;
        }
        return r;
}

/*
 * Not unless asked for: the books of each hour, and a condition that its link,
 * device or disk tells in the line beside it.
 */
static bool is_wanted(const struct listing *l, const struct past_event *v)
{
        const struct cli *c = l->c;
        bool wanted = !l->n_kinds && strcmp(v->kind, "books") != 0 && !v->echo;

        for (size_t i = 0; i < l->n_kinds; i++)
                wanted |= strcmp(l->kinds[i], v->kind) == 0;
        return wanted && !(cli_has(c, CLI_BIT(SINCE)) && v->ts_us < c->since_us) &&
               !(cli_has(c, CLI_BIT(UNTIL)) && v->ts_us >= c->until_us);
}

/* ---- shown ---- */

static enum out_colour colour_of(const struct past_event *v)
{
        if (v->edge == PAST_ENDED && v->severity < 500)
                return OUT_GREEN;
        return v->severity >= 800 ? OUT_RED : v->severity >= 500 ? OUT_YELLOW : OUT_PLAIN;
}

static size_t columns(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

/* Words folded at blanks, from column `at` on; lines behind the first begin at `indent`. */
static void put_folded(FILE *f, const char *s, size_t at, size_t indent, size_t cols)
{
        while (*s) {
                size_t len = strcspn(s, " ");
                char word[PAST_WORDS];

                snprintf(word, sizeof(word), "%.*s", (int)len, s);
                if (at > indent && at + 1 + columns(word) > cols) {
                        fprintf(f, "\n%*s", (int)indent, "");
                        at = indent;
                } else if (at > indent) {
                        fputc(' ', f);
                        at++;
                }
                fputs(word, f);
                at += columns(word);
                s += len;
                s += strspn(s, " ");
        }
        fputc('\n', f);
}

static void show_on_terminal(const struct listing *l, const struct past_event *v, const char *lasted)
{
        const struct out *o = &l->c->out;
        char time[40], subject[PAST_SUBJECT], what[PAST_WORDS + 40], words[PAST_WORDS + 40], todo[PAST_WORDS];
        size_t indent, at;

        out_put_time(time, sizeof(time), v->ts_us, o->utc);
        out_put_clean(subject, sizeof(subject), v->subject);
        snprintf(words, sizeof(words), "%s%s%s", v->what,
                 !*lasted    ? ""
                 : v->starts ? "; it was off for "
                             : "; lasted ",
                 lasted);
        out_put_clean(what, sizeof(what), words);
        indent = l->cols < NARROW_COLS ? 4 : TIME_COLS + SUBJECT_COLS + 2;
        at = TIME_COLS + (columns(subject) > SUBJECT_COLS ? columns(subject) : SUBJECT_COLS) + 2;
        fprintf(o->f, "%-*s%s%s%s%*s", TIME_COLS, time, out_on(o, colour_of(v)), subject,
                colour_of(v) == OUT_PLAIN ? "" : out_off(o), (int)(at - TIME_COLS - columns(subject)), "");
        if (at > indent) {
                fprintf(o->f, "\n%*s", (int)indent, "");
                at = indent;
        }
        put_folded(o->f, what, at, indent, l->cols);
        if (!*v->todo)
                return;
        out_put_clean(todo, sizeof(todo), v->todo);
        fprintf(o->f, "%*s-> ", (int)indent, "");
        put_folded(o->f, todo, indent + 3, indent + 3, l->cols);
}

static void show_in_pipe(const struct listing *l, const struct past_event *v, const char *lasted)
{
        char time[TEXT_TIME_MAX], subject[PAST_SUBJECT], what[PAST_WORDS], todo[PAST_WORDS];

        time[text_put_time(time, v->ts_us)] = '\0';
        out_put_clean(subject, sizeof(subject), v->subject);
        out_put_clean(what, sizeof(what), v->what);
        out_put_clean(todo, sizeof(todo), v->todo);
        fprintf(l->c->out.f, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", time, v->severity, v->kind, subject,
                *lasted ? lasted : "-", what, *todo ? todo : "-");
}

static void set(json_t *o, const char *key, json_t *value)
{
        json_object_set_new(o, key, value);
}

/* What the event says, and what we made of it. */
static void show_json(const struct listing *l, const struct past_event *v, json_t *members,
                      const struct spool_query_row *row, int64_t lasted_us)
{
        char time[TEXT_TIME_MAX];
        json_t *o = json_object();

        time[text_put_time(time, v->ts_us)] = '\0';
        set(o, "seq", json_integer((json_int_t)v->seq));
        set(o, "ts", json_string(time));
        set(o, "kind", json_string(v->kind));
        set(o, "severity", json_integer(v->severity));
        set(o, "subject", json_string(v->subject));
        set(o, "words", json_string(v->what));
        if (*row->source) {
                set(o, "source", json_string(row->source));
                set(o, "tag", json_string(row->name));
        }
        json_object_update_missing(o, members);
        if (lasted_us >= 0)
                set(o, "duration_s", json_real((double)lasted_us / 1e6));
        set(o, "delivered", json_boolean(row->delivered));
        json_dumpf(o, l->c->out.f, JSON_COMPACT | JSON_REAL_PRECISION(9));
        fputc('\n', l->c->out.f);
        json_decref(o);
}

static bool on_event(void *ctx, const struct spool_query_row *row)
{
        struct listing *l = ctx;
        char lasted[40] = "";
        struct past_event v;
        int64_t lasted_us;
        json_t *members;

        l->last_seq = row->seq;
        past_read(&v, row, &members);
        lasted_us = outages_take(&l->outages, &v);
        if (!is_wanted(l, &v) || (l->skip && l->skip--)) {
                json_decref(members);
                return true;
        }
        if (lasted_us >= 0)
                past_put_duration(lasted, sizeof(lasted), lasted_us);
        if (l->c->out.json)
                show_json(l, &v, members, row, lasted_us);
        else if (l->c->out.terminal)
                show_on_terminal(l, &v, lasted);
        else
                show_in_pipe(l, &v, lasted);
        json_decref(members);
        return !out_broken(&l->c->out);
}

static void put_head(const struct listing *l)
{
        const struct out *o = &l->c->out;

        if (o->terminal)
                fprintf(o->f, "%s%-*s%-*s  WHAT%s\n", out_on(o, OUT_BOLD), TIME_COLS, "TIME", SUBJECT_COLS, "ABOUT",
                        out_off(o));
        else if (!o->json)
                fputs("TIME\tSEVERITY\tKIND\tABOUT\tLASTED\tWHAT\tTO DO\n", o->f);
}

/* ---- the file ---- */

static bool on_count(void *ctx, const struct spool_query_row *row)
{
        struct listing *l = ctx;
        struct past_event v;

        past_read(&v, row, NULL);
        l->n += is_wanted(l, &v);
        return true;
}

static ino_t inode_of(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* The last so many, unless a time was asked for. */
static int find_skipped(struct listing *l, struct spool_query *q, struct err *e)
{
        const struct spool_filter all = {.lane = SPOOL_EVENTS};

        l->n = l->skip = 0;
        if (spool_query_rows(q, &all, on_count, l, e) < 0)
                return -1;
        if (cli_has(l->c, CLI_BIT(LINES)) || !cli_has(l->c, CLI_BIT(SINCE) | CLI_BIT(UNTIL)))
                l->skip = l->n > l->c->lines ? l->n - l->c->lines : 0;
        return 0;
}

/* Ends by an error, a replaced file, a closed output, or at once without -f. */
static int list_one(struct listing *l, const char *path, bool first, struct err *e)
{
        struct timespec pause = {.tv_nsec = FOLLOW_EVERY_MS * 1000000L};
        struct spool_filter rows = {.lane = SPOOL_EVENTS};
        ino_t inode = inode_of(path);
        struct spool_query *q;
        int r;

        if (spool_query_open(&q, path, e) < 0)
                return -1;
        l->last_seq = 0;
        r = first ? find_skipped(l, q, e) : 0;
        if (r == 0 && first && (l->n || !l->c->out.terminal || cli_has(l->c, CLI_BIT(FOLLOW))))
                put_head(l);
        while (r == 0) {
                r = spool_query_rows(q, &rows, on_event, l, e);
                if (r < 0 || !cli_has(l->c, CLI_BIT(FOLLOW)) || fflush(l->c->out.f) != 0 || inode_of(path) != inode)
                        break;
                rows.first_seq = l->last_seq + 1;
                nanosleep(&pause, NULL);
        }
        spool_query_close(q);
        return r;
}

static size_t measure(void)
{
        struct winsize size;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void say_none(const struct listing *l)
{
        if (!l->c->out.terminal || l->n)
                return;
        fprintf(l->c->out.f, "no event%s in the spool%s\n", l->n_kinds ? " of that kind" : "",
                cli_has(l->c, CLI_BIT(SINCE) | CLI_BIT(UNTIL)) ? " of that time" : "");
}

int cmd_events(struct cli *c)
{
        struct listing l = {.c = c, .cols = measure()};
        struct places places;
        struct err e;
        int r = read_kinds(&l, c->kind);

        if (!r)
                r = places_find(c, &places);
        if (r)
                return r;
        r = list_one(&l, places.spool, true, &e);
        if (r == 0 && !cli_has(c, CLI_BIT(FOLLOW)))
                say_none(&l);
        while (r == 0 && cli_has(c, CLI_BIT(FOLLOW)) && !out_broken(&c->out)) {
                outages_fini(&l.outages);
                r = list_one(&l, places.spool, false, &e);
        }
        if (r < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        outages_fini(&l.outages);
        places_fini(&places);
        return r;
}
