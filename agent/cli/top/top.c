/*
 * top: a live screen.  Asks the daemon once a second, looks at the spool's file
 * for readings and events, draws what was laid out, reads keys in between.
 *
 * The daemon may go and come: the screen stays, says so, and shows the last
 * that was known.  A file that can't be read costs tags and events, and they
 * say so.  Fails at start when there is no terminal or no daemon was ever there
 * (69).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"
#include "agent/cli/screen.h"
#include "agent/cli/top/feed.h"
#include "agent/cli/top/layout.h"

enum { EVERY_MS = 1000, SHELVE_S = 3600 };

struct top {
        struct places places;
        struct top_screen screen;
        struct top_history history;
        struct feed feed;
        struct seen seen;
        json_t *status, *alarms; /* NULL: none yet */
        struct err trouble, notice, no_file;
        char clock[48];
};

static int64_t mono_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0, or as ctl_ask: the last status stays. */
static int ask(struct top *t)
{
        json_t *request = json_pack("{s:s}", "cmd", "status"), *reply;
        int r = ctl_ask(t->places.socket, request, &reply, &t->trouble);

        json_decref(request);
        t->screen.trouble = r ? t->trouble.text : NULL;
        if (r)
                return r;
        json_decref(t->status);
        t->status = reply;
        top_history_add(&t->history, reply, (long)(mono_ms() / 1000));
        return 0;
}

/* The cursor goes to the alarm that stands in this row, wherever it is then. */
static void ask_alarms(struct top *t, int row)
{
        json_t *before = t->alarms, *request, *reply;

        if (t->screen.trouble)
                return;
        request = json_pack("{s:s}", "cmd", "alarms");
        if (ctl_ask(t->places.socket, request, &reply, &t->notice) == 0) {
                t->alarms = top_sort_alarms(reply);
                t->screen.cursor = top_alarm_row(t->alarms, json_array_get(before, (size_t)row), t->screen.cursor);
                json_decref(before);
                json_decref(reply);
        } else {
                t->screen.notice = t->notice.text;
        }
        json_decref(request);
}

/*
 * The operator's word on the alarm at the cursor, which goes to the next one;
 * what came of it is told for as long as no other key is pressed.
 */
static void say(struct top *t, const char *action)
{
        json_t *alarm = json_array_get(t->alarms, (size_t)t->screen.cursor), *request, *reply = NULL;
        const char *id = json_string_value(json_object_get(alarm, "event_id"));
        const char *by = getenv("SUDO_USER") ? getenv("SUDO_USER") : getenv("USER");
        int row = t->screen.cursor;

        if (t->screen.pane != TOP_ALARMS || !id)
                return;
        request = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "cmd", "alarm_cmd", "action", action, "alarm", id,
                            "operator", by && *by ? by : "top", "comment", "", "for_s", SHELVE_S);
        if (!request)
                return;
        if (ctl_ask(t->places.socket, request, &reply, &t->notice) != 0)
                t->screen.notice = t->notice.text;
        else
                row += (size_t)row + 1 < json_array_size(t->alarms);
        json_decref(reply);
        json_decref(request);
        ask_alarms(t, row);
}

static int64_t wall_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void look_at_file(struct top *t)
{
        t->screen.no_file = feed_look(&t->feed, &t->seen, wall_us(), &t->no_file) < 0 ? t->no_file.text : NULL;
}

static void draw(struct top *t)
{
        enum { TIME_AT = sizeof("2026-11-23") };
        struct top_data data = {t->status, t->alarms, &t->history, &t->seen};
        char time[64];

        t->screen.now_us = wall_us();
        if (out_put_time(time, sizeof(time), t->screen.now_us, t->screen.utc) > TIME_AT)
                snprintf(t->clock, sizeof(t->clock), "%.40s", time + TIME_AT);
        t->screen.clock = t->clock;
        screen_size(&t->screen.rows, &t->screen.cols);
        top_layout(&t->screen, &data);
        screen_draw(t->screen.lines, t->screen.rows);
}

static void go(struct top *t, int by)
{
        if (t->screen.pane == TOP_ALARMS)
                t->screen.cursor += by;
        else
                t->screen.scroll[t->screen.pane] += by;
}

/* False: it is none that chooses a pane. */
static bool choose(struct top_screen *s, int key)
{
        static const char keys[TOP_PANES] = {
                [TOP_SOURCES] = 'd', [TOP_TAGS] = 't', [TOP_EVENTS] = 'e', [TOP_ALARMS] = 'a'};

        if (key == '\t' || key == SCREEN_BACK) {
                s->pane = (s->pane + (key == '\t' ? 1 : TOP_PANES - 1)) % TOP_PANES;
                return true;
        }
        for (int i = 0; i < TOP_PANES; i++) {
                if (key == keys[i]) {
                        s->pane = (enum top_pane)i;
                        return true;
                }
        }
        return false;
}

/* False: leave. */
static bool take_key(struct top *t, int key)
{
        enum { PAGE = 10 };

        t->screen.notice = NULL;
        if (key == 'q' || key == 'Q')
                return false;
        if (key == ' ' || key == 'p')
                t->screen.paused = !t->screen.paused;
        else if (key == SCREEN_DOWN || key == SCREEN_UP)
                go(t, key == SCREEN_DOWN ? 1 : -1);
        else if (key == SCREEN_PAGE_DOWN || key == SCREEN_PAGE_UP)
                go(t, key == SCREEN_PAGE_DOWN ? PAGE : -PAGE);
        else if (key == 'k')
                say(t, "ack");
        else if (key == 's')
                say(t, "shelve");
        else if (choose(&t->screen, key) && t->screen.pane == TOP_ALARMS)
                ask_alarms(t, t->screen.cursor);
        return true;
}

static void watch(struct top *t)
{
        int64_t due_ms = mono_ms() + EVERY_MS;

        for (;;) {
                int64_t left_ms = due_ms - mono_ms();
                int key;

                draw(t);
                key = screen_key(left_ms > 0 ? (int)left_ms : 0);
                if (key != SCREEN_NONE) {
                        if (!take_key(t, key))
                                return;
                        continue;
                }
                if (mono_ms() < due_ms)
                        continue;
                due_ms = mono_ms() + EVERY_MS;
                if (t->screen.paused)
                        continue;
                if (ask(t) == 0)
                        ask_alarms(t, t->screen.cursor);
                look_at_file(t);
        }
}

int cmd_top(struct cli *c)
{
        struct top *t;
        int r;

        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return cli_fail(CLI_USAGE, "top needs a terminal; 'millrace status' is for scripts");
        t = mem_alloc(sizeof(*t));
        seen_init(&t->seen);
        r = places_find(c, &t->places);
        if (r == 0 && ask(t) != 0)
                r = cli_fail(CLI_AWAY, "%s", t->trouble.text);
        if (r == 0) {
                t->screen.utf8 = screen_utf8(false);
                t->screen.utc = c->out.utc;
                t->feed.path = t->places.spool;
                ask_alarms(t, t->screen.cursor);
                look_at_file(t);
                if (screen_open()) {
                        watch(t);
                        screen_close();
                }
        }
        feed_close(&t->feed);
        seen_fini(&t->seen);
        places_fini(&t->places);
        json_decref(t->status);
        json_decref(t->alarms);
        free(t);
        return r;
}
