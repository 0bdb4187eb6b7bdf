/*
 * top: a live screen.  Asks the daemon once a second, draws what top_view laid out, reads keys in between.
 *
 * ncurses, because it knows serial consoles and sends only what changed; no colour is needed.  The daemon may go and come:
 * the screen stays, says so, and shows the last that was known.  Fails at start when there is no terminal or no daemon
 * was ever there (69); a killed `top` leaves the terminal as it was (ncurses takes SIGINT and SIGTERM).
 */
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"
#include "agent/cli/top_view.h"

enum { EVERY_MS = 1000 };

struct top {
        struct places places;
        struct top_screen screen;
        struct top_history history;
        json_t *status; /* NULL: none yet */
        struct err trouble;
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

static void draw(struct top *t)
{
        static const chtype weights[] = {
                [TOP_PLAIN] = A_NORMAL, [TOP_TITLE] = A_REVERSE, [TOP_HEAD] = A_BOLD, [TOP_WARN] = A_BOLD};
        time_t now = time(NULL);
        struct tm local;

        strftime(t->clock, sizeof(t->clock), "%H:%M:%S", localtime_r(&now, &local));
        t->screen.clock = t->clock;
        getmaxyx(stdscr, t->screen.rows, t->screen.cols);
        top_layout(&t->screen, t->status, &t->history);
        erase();
        for (int i = 0; i < t->screen.rows; i++) {
                attrset(weights[t->screen.lines[i].weight]);
                mvaddstr(i, 0, t->screen.lines[i].text);
        }
        attrset(A_NORMAL);
        refresh();
}

/* False: leave. */
static bool take_key(struct top *t, int key)
{
        switch (key) {
        case 'q':
        case 'Q':
                return false;
        case ' ':
        case 'p':
                t->screen.paused = !t->screen.paused;
                break;
        case KEY_DOWN:
        case 'j':
                t->screen.scroll++;
                break;
        case KEY_UP:
        case 'k':
                t->screen.scroll--;
                break;
        default:
                break;
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
                timeout(left_ms > 0 ? (int)left_ms : 0);
                key = getch();
                if (key != ERR) {
                        if (!take_key(t, key))
                                return;
                        continue;
                }
                if (mono_ms() < due_ms)
                        continue;
                due_ms = mono_ms() + EVERY_MS;
                if (!t->screen.paused)
                        ask(t);
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
                setlocale(LC_CTYPE, "");
                t->screen.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
                if (initscr()) {
                        cbreak();
                        noecho();
                        keypad(stdscr, true);
                        curs_set(0);
                        watch(t);
                        endwin();
                }
        }
        places_release(&t->places);
        json_decref(t->status);
        free(t);
        return r;
}
