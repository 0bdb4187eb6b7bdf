/*
 * sniff: `serial sniff`, what comes on a serial line by itself.
 *
 * Without a speed in PORT the usual ones are tried, each for a share of the
 * first half of the time, then even and odd parity at the two best; the second
 * half is for listening with what scored best.  A byte with a wrong parity or
 * without a stop bit is marked by the kernel (PARMRK) and counts against the
 * try.  Nothing is ever sent.
 *
 * Bounds: --for (30 s) or ^C; 64 KiB are looked at, 200 bursts shown.  Fails:
 * 69 when the port can't be had or goes away, 1 when nothing comes.
 */
#include "agent/cli/commission/sniff.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#include <jansson.h>

#include "agent/base/text.h"
#include "agent/cli/cli.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/site.h"
#include "agent/cli/progress.h"
#include "agent/cli/stop.h"

enum { BYTES_MAX = 64 << 10, TRY_BYTES = 400, TRIES_MAX = 16, BURSTS_MAX = 200, BURST_SHOWN = 32, GAP_US = 20000 };

struct attempt {
        int64_t baud;
        enum tty_parity parity;
        size_t n_bytes, n_errors;
        struct sniff_guess guess;
};

struct burst {
        int64_t at_us, gap_us;
        size_t from, len;
};

struct sniff {
        struct cli *c;
        struct site port;
        struct attempt tries[TRIES_MAX];
        size_t n_tries;
        struct sniff_marks marks;
        uint8_t bytes[BYTES_MAX];
        size_t n, n_errors;
        struct burst bursts[BURSTS_MAX];
        size_t n_bursts, n_more;
        int64_t begin_us;
        bool gone;
        struct progress progress;
};

static const int64_t bauds[] = {9600, 19200, 38400, 115200, 57600, 4800, 2400, 1200};
enum { N_BAUDS = sizeof(bauds) / sizeof(*bauds) };

static void set_line(struct sniff *s, int64_t baud, enum tty_parity parity)
{
        static const speed_t speeds[] = {B9600, B19200, B38400, B115200, B57600, B4800, B2400, B1200};
        struct termios t;

        s->port.line.parity = parity;
        s->port.line.baud = baud;
        if (tcgetattr(s->port.fd, &t) < 0)
                return;
        t.c_cflag &= ~(tcflag_t)(PARENB | PARODD);
        if (parity != TTY_PARITY_NONE)
                t.c_cflag |= PARENB | (parity == TTY_PARITY_ODD ? PARODD : 0);
        t.c_iflag |= INPCK | PARMRK;
        t.c_iflag &= ~(tcflag_t)(IGNPAR | IGNBRK | BRKINT | ISTRIP);
        for (size_t i = 0; i < N_BAUDS; i++)
                if (bauds[i] == baud)
                        cfsetspeed(&t, speeds[i]);
        (void)tcsetattr(s->port.fd, TCSANOW, &t); /* a pseudo terminal takes no parity */
        tcflush(s->port.fd, TCIFLUSH);
        s->marks.state = 0;
}

static void add_burst(struct sniff *s, int64_t now_us, int64_t last_us, size_t from)
{
        if (s->n_bursts && now_us - last_us < GAP_US && !s->n_more) {
                s->bursts[s->n_bursts - 1].len += s->n - from;
                return;
        }
        if (now_us - last_us < GAP_US)
                return;
        if (s->n_bursts == BURSTS_MAX)
                s->n_more++;
        else
                s->bursts[s->n_bursts++] =
                        (struct burst){now_us - s->begin_us, s->n_bursts ? now_us - last_us : 0, from, s->n - from};
}

/* Gathers for that long, or until there are `enough`. */
static void listen_for(struct sniff *s, int64_t span_us, size_t enough)
{
        int64_t until_us = mono_us() + span_us, last_us = mono_us() - GAP_US;
        uint8_t raw[512];

        s->n = s->n_errors = s->n_bursts = s->n_more = 0;
        s->begin_us = mono_us();
        while (!stop_asked() && !s->gone && s->n < enough && s->n + sizeof(raw) <= BYTES_MAX) {
                int64_t left_us = until_us - mono_us();
                size_t from = s->n;
                long n;

                if (left_us <= 0)
                        return;
                n = site_listen(&s->port, raw, sizeof(raw), left_us < 100000 ? left_us : 100000);
                s->gone = n < 0;
                if (n <= 0)
                        continue;
                s->n += sniff_unmark(&s->marks, raw, (size_t)n, s->bytes + s->n, &s->n_errors);
                add_burst(s, mono_us(), last_us, from);
                last_us = mono_us();
        }
}

static void try_line(struct sniff *s, int64_t baud, enum tty_parity parity, int64_t span_us)
{
        struct attempt *t = &s->tries[s->n_tries++];

        set_line(s, baud, parity);
        listen_for(s, span_us, TRY_BYTES);
        *t = (struct attempt){baud, parity, s->n, s->n_errors, sniff_judge(s->bytes, s->n, s->n_errors)};
        progress_show(&s->progress, (double)s->n_tries / (N_BAUDS + 4) / 2);
}

/* The best of them but `not`, the earlier one when two are the same. */
static struct attempt *best_of(struct sniff *s, const struct attempt * not )
{
        struct attempt *best = NULL;

        for (size_t i = 0; i < s->n_tries; i++)
                if (&s->tries[i] != not &&(!best || s->tries[i].guess.score > best->guess.score))
                        best = &s->tries[i];
        return best;
}

static void guess_line(struct sniff *s, int64_t span_us)
{
        int64_t each_us = span_us / 2 / (N_BAUDS + 4);
        struct attempt *best, *second;

        for (size_t i = 0; i < N_BAUDS && !stop_asked() && !s->gone; i++)
                try_line(s, bauds[i], TTY_PARITY_NONE, each_us);
        best = best_of(s, NULL);
        second = best_of(s, best);
        if (best->guess.score >= 0 && best->n_errors && !stop_asked()) {
                try_line(s, best->baud, TTY_PARITY_EVEN, each_us);
                try_line(s, best->baud, TTY_PARITY_ODD, each_us);
                if (second->guess.score >= 0) {
                        try_line(s, second->baud, TTY_PARITY_EVEN, each_us);
                        try_line(s, second->baud, TTY_PARITY_ODD, each_us);
                }
                best = best_of(s, NULL);
        }
        set_line(s, best->baud, best->parity);
}

/* ---- what is said ---- */

static const char parity_letters[] = "NEO";

static void print_tries(const struct sniff *s)
{
        FILE *f = s->c->out.f;

        if (!s->n_tries)
                return;
        fprintf(f, "#   baud    bits  bytes  in error  score  looks like\n");
        for (size_t i = 0; i < s->n_tries; i++) {
                const struct attempt *t = &s->tries[i];

                fprintf(f, "#   %-7lld %d%c1   %5zu  %8zu  %5d  %s\n", (long long)t->baud, t->guess.parity7 ? 7 : 8,
                        t->guess.parity7 ? t->guess.parity7 : parity_letters[t->parity], t->n_bytes, t->n_errors,
                        t->guess.score < 0 ? 0 : t->guess.score, sniff_kinds[t->guess.kind]);
        }
}

static void print_burst(const struct sniff *s, const struct burst *b)
{
        FILE *f = s->c->out.f;
        size_t n = b->len < BURST_SHOWN ? b->len : BURST_SHOWN;

        fprintf(f, "# %8.3f s  +%6.0f ms ", (double)b->at_us / 1e6, (double)b->gap_us / 1e3);
        for (size_t i = 0; i < n; i++)
                fprintf(f, " %02x", s->bytes[b->from + i]);
        fprintf(f, "%s  \"", n < b->len ? " …" : "");
        for (size_t i = 0; i < n; i++)
                fputc(isprint(s->bytes[b->from + i]) ? s->bytes[b->from + i] : '.', f);
        fprintf(f, "\"\n");
}

static void burst_json(const struct sniff *s, const struct burst *b)
{
        char *hex = mem_alloc(2 * b->len + 1);
        json_t *o;

        for (size_t i = 0; i < b->len; i++)
                sprintf(hex + 2 * i, "%02x", s->bytes[b->from + i]);
        o = json_pack("{s:f, s:f, s:s}", "at_s", (double)b->at_us / 1e6, "gap_ms", (double)b->gap_us / 1e3, "hex", hex);
        json_dumpf(o, s->c->out.f, JSON_COMPACT);
        fputc('\n', s->c->out.f);
        json_decref(o);
        free(hex);
}

static void guess_json(const struct sniff *s, const struct sniff_guess *g)
{
        char parity[2] = {parity_letters[s->port.line.parity], 0};
        json_t *o = json_pack("{s:I, s:i, s:s, s:i, s:s, s:I, s:I, s:s}", "baud", (json_int_t)s->port.line.baud,
                              "data_bits", s->port.line.data_bits, "parity", parity, "score", g->score, "kind",
                              sniff_kinds[g->kind], "bytes", (json_int_t)s->n, "in_error", (json_int_t)s->n_errors,
                              "line_end", g->line_end);

        json_dumpf(o, s->c->out.f, JSON_COMPACT);
        fputc('\n', s->c->out.f);
        json_decref(o);
}

static void print(struct sniff *s, struct sniff_guess *g)
{
        FILE *f = s->c->out.f;
        char what[300];

        for (size_t i = 0; s->c->out.json && i < s->n_bursts; i++)
                burst_json(s, &s->bursts[i]);
        if (s->c->out.json) {
                guess_json(s, g);
                return;
        }
        text_format(what, sizeof(what), "%.200s: %zu bytes at %lld baud, %d%c%d: %s%s%s", s->port.text, s->n,
                    (long long)s->port.line.baud, s->port.line.data_bits, parity_letters[s->port.line.parity],
                    s->port.line.stop_bits, sniff_kinds[g->kind], g->line_end[0] ? ", ended by " : "", g->line_end);
        part_head(f, what);
        print_tries(s);
        for (size_t i = 0; i < s->n_bursts; i++)
                print_burst(s, &s->bursts[i]);
        if (s->n_more)
                fprintf(f, "# and %zu more\n", s->n_more);
        if (!sniff_print_part(f, &s->port, g, s->bytes, s->n))
                fprintf(f, "# What this is can't be told: nothing is proposed.\n");
}

static int sniff(struct sniff *s, bool guess, int64_t span_us)
{
        struct sniff_guess g;

        progress_begin(&s->progress, false);
        if (guess)
                guess_line(s, span_us);
        else
                set_line(s, s->port.line.baud, s->port.line.parity);
        if (!stop_asked() && !s->gone)
                listen_for(s, guess ? span_us / 2 : span_us, BYTES_MAX);
        progress_end(&s->progress);
        g = sniff_judge(s->bytes, s->n, s->n_errors);
        if (g.parity7) {
                s->port.line.data_bits = 7;
                s->port.line.parity = g.parity7 == 'E' ? TTY_PARITY_EVEN : TTY_PARITY_ODD;
        }
        print(s, &g);
        if (s->gone)
                return cli_fail(CLI_AWAY, "%s is gone", s->port.text);
        return s->n ? CLI_OK : cli_fail(CLI_NO, "nothing came on %s", s->port.text);
}

int cmd_serial_sniff(struct cli *c)
{
        int64_t span_us = 30 * INT64_C(1000000);
        const char *colon = strrchr(c->args[0], ':');
        struct sniff *s;
        bool guess;
        int r;

        if (c->span && (!text_duration(c->span, &span_us) || span_us <= 0))
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 30s or 10m", c->span);
        if (c->args[0][0] != '/')
                return cli_fail(CLI_USAGE, "%s is no port: /dev/ttyUSB0, or /dev/ttyUSB0:9600,8N1", c->args[0]);
        s = mem_alloc(sizeof(*s));
        s->c = c;
        r = site_open(&s->port, c, c->args[0]);
        if (!r) {
                guess = !colon || strcmp(s->port.text, c->args[0]) == 0;
                r = sniff(s, guess, span_us);
                site_close(&s->port);
        }
        free(s);
        return r;
}
