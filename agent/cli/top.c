/*
 * top: a live screen.  Asks the daemon once a second, draws what top_view laid
 * out, reads keys in between.
 *
 * The daemon may go and come: the screen stays, says so, and shows the last
 * that was known.  Fails at start when there is no terminal or no daemon was
 * ever there (69).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"
#include "agent/cli/screen.h"
#include "agent/cli/top_view.h"

enum { EVERY_MS = 1000, SHELVE_S = 3600 };

struct top {
        struct places places;
        struct top_screen screen;
        struct top_history history;
        json_t *status, *alarms; /* NULL: none yet */
        struct err trouble, notice;
        char clock[16];
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

static void ask_alarms(struct top *t)
{
        json_t *request, *reply;

        if (!t->screen.show_alarms || t->screen.trouble)
                return;
        request = json_pack("{s:s}", "cmd", "alarms");
        if (ctl_ask(t->places.socket, request, &reply, &t->notice) == 0) {
                json_decref(t->alarms);
                t->alarms = top_sort_alarms(reply);
                json_decref(reply);
        } else {
                t->screen.notice = t->notice.text;
        }
        json_decref(request);
}

/*
 * The operator's word on the alarm at the cursor; what came of it is told for
 * as long as no other key is pressed.
 */
static void say(struct top *t, const char *action)
{
        json_t *alarm = json_array_get(t->alarms, (size_t)t->screen.cursor), *request, *reply = NULL;
        const char *id = json_string_value(json_object_get(alarm, "event_id"));
        const char *by = getenv("SUDO_USER") ? getenv("SUDO_USER") : getenv("USER");

        if (!t->screen.show_alarms || !id)
                return;
        request = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "cmd", "alarm_cmd", "action", action, "alarm", id,
                            "operator", by && *by ? by : "top", "comment", "", "for_s", SHELVE_S);
        if (!request)
                return;
        if (ctl_ask(t->places.socket, request, &reply, &t->notice) != 0)
                t->screen.notice = t->notice.text;
        json_decref(reply);
        json_decref(request);
        ask_alarms(t);
}

static void draw(struct top *t)
{
        time_t now = time(NULL);
        struct tm local;

        strftime(t->clock, sizeof(t->clock), "%H:%M:%S", localtime_r(&now, &local));
        t->screen.clock = t->clock;
        screen_size(&t->screen.rows, &t->screen.cols);
        top_layout(&t->screen, t->status, t->alarms, &t->history);
        screen_draw(t->screen.lines, t->screen.rows);
}

static void go(struct top *t, int by)
{
        if (t->screen.show_alarms)
                t->screen.cursor += by;
        else
                t->screen.scroll += by;
}

/* False: leave. */
static bool take_key(struct top *t, int key)
{
        t->screen.notice = NULL;
        if (key == 'q' || key == 'Q')
                return false;
        if (key == ' ' || key == 'p')
                t->screen.paused = !t->screen.paused;
        else if (key == SCREEN_DOWN)
                go(t, 1);
        else if (key == SCREEN_UP)
                go(t, -1);
        else if (key == 'k')
                say(t, "ack");
        else if (key == 's')
                say(t, "shelve");
        else if (key == 'a') {
                t->screen.show_alarms = !t->screen.show_alarms;
                t->screen.scroll = 0;
                ask_alarms(t);
        }
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
                if (!t->screen.paused && ask(t) == 0)
                        ask_alarms(t);
        }
}

int cmd_top(struct cli *c)
{
        struct top *t;
        int r;

        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return cli_fail(CLI_USAGE, "top needs a terminal; 'millrace status' is for scripts");
        t = mem_alloc(sizeof(*t));
        r = places_find(c, &t->places);
        if (r == 0 && ask(t) != 0)
                r = cli_fail(CLI_AWAY, "%s", t->trouble.text);
        if (r == 0) {
                t->screen.utf8 = screen_utf8(false);
                if (screen_open()) {
                        watch(t);
                        screen_close();
                }
        }
        places_fini(&t->places);
        json_decref(t->status);
        json_decref(t->alarms);
        free(t);
        return r;
}
