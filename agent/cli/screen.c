/*
 * screen: see screen.h.
 *
 * The only file with curses.h; its macros (timeout, erase, move …) stay here.
 * The consoles of the kernel and of a VT100 have no Braille patterns in their
 * fonts, whatever the locale says.
 */
#include "agent/cli/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>

bool screen_utf8(bool braille)
{
        const char *terminal = getenv("TERM");

        setlocale(LC_CTYPE, "");
        if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
                return false;
        return !braille || !terminal || (strcmp(terminal, "linux") != 0 && strncmp(terminal, "vt", 2) != 0);
}

bool screen_open(void)
{
        setlocale(LC_CTYPE, "");
        if (!initscr())
                return false;
        cbreak();
        noecho();
        keypad(stdscr, true);
        curs_set(0);
        return true;
}

void screen_close(void)
{
        endwin();
}

void screen_size(int *rows, int *cols)
{
        getmaxyx(stdscr, *rows, *cols);
}

void screen_draw(const struct line *lines, int rows)
{
        static const chtype weights[] = {
                [LINE_PLAIN] = A_NORMAL, [LINE_TITLE] = A_REVERSE, [LINE_HEAD] = A_BOLD, [LINE_WARN] = A_BOLD};

        erase();
        for (int i = 0; i < rows; i++) {
                attrset(weights[lines[i].weight]);
                mvaddstr(i, 0, lines[i].text);
        }
        attrset(A_NORMAL);
        refresh();
}

int screen_key(int wait_ms)
{
        int key;

        timeout(wait_ms);
        key = getch();
        switch (key) {
        case ERR:
                return SCREEN_NONE;
        case KEY_UP:
                return SCREEN_UP;
        case KEY_DOWN:
                return SCREEN_DOWN;
        case KEY_RESIZE:
                return SCREEN_RESIZED;
        default:
                return key;
        }
}
