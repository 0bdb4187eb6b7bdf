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

static bool coloured;

bool screen_utf8(bool braille)
{
        const char *terminal = getenv("TERM");

        setlocale(LC_CTYPE, "");
        if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
                return false;
        return !braille || !terminal || (strcmp(terminal, "linux") != 0 && strncmp(terminal, "vt", 2) != 0);
}

enum { PAIR_WARN = 1, PAIR_BAD, PAIR_GOOD };

/* Colours say again what the words say; NO_COLOR and a VT100 have none. */
static void find_colours(void)
{
        const char *no_color = getenv("NO_COLOR");

        if ((no_color && no_color[0]) || !has_colors() || start_color() == ERR)
                return;
        use_default_colors();
        init_pair(PAIR_WARN, COLOR_YELLOW, -1);
        init_pair(PAIR_BAD, COLOR_RED, -1);
        init_pair(PAIR_GOOD, COLOR_GREEN, -1);
        coloured = true;
}

static chtype attributes_of(enum line_weight weight)
{
        switch (weight) {
        case LINE_TITLE:
                return A_REVERSE;
        case LINE_HEAD:
                return A_BOLD;
        case LINE_WARN:
                return A_BOLD | (coloured ? COLOR_PAIR(PAIR_WARN) : 0);
        case LINE_BAD:
                return A_BOLD | (coloured ? COLOR_PAIR(PAIR_BAD) : 0);
        case LINE_GOOD:
                return coloured ? COLOR_PAIR(PAIR_GOOD) : A_NORMAL;
        case LINE_DIM:
                return coloured ? A_DIM : A_NORMAL;
        default:
                return A_NORMAL;
        }
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
        find_colours();
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

static void draw_line(int row, const struct line *l)
{
        int from = 0;

        move(row, 0);
        attrset(attributes_of(l->weight));
        for (int i = 0; i < l->n_marks; i++) {
                addnstr(l->text + from, l->marks[i].from - from);
                from = l->marks[i].from;
                attrset(attributes_of(l->marks[i].weight));
        }
        addstr(l->text + from);
}

void screen_draw(const struct line *lines, int rows)
{
        erase();
        for (int i = 0; i < rows; i++)
                draw_line(i, &lines[i]);
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
        case KEY_BTAB:
                return SCREEN_BACK;
        case KEY_NPAGE:
                return SCREEN_PAGE_DOWN;
        case KEY_PPAGE:
                return SCREEN_PAGE_UP;
        case KEY_RESIZE:
                return SCREEN_RESIZED;
        default:
                return key;
        }
}
