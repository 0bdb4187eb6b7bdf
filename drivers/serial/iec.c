/*
 * iec: see iec.h.
 *
 * The question goes out at the first speed, 300 baud as a rule; the meter says
 * who it is and how fast it can (a digit: mode C, a letter: mode B, another
 * character: mode A, which stays).  In mode C we agree, and only when that has
 * gone out at the old speed is the speed changed.  An optical head echoes what
 * is sent: the question is told from an identity by its second character, and
 * before the STX of a data block nothing counts.  The highest bit of a byte is
 * parity, whoever has looked at it.
 *
 * Fails: a silence, a line on which something comes and no answer begins (after
 * a hundred characters and another time-out), a block that is too long, a block
 * check that is wrong: the readout is over, and nothing of it is given out.
 */
#include "drivers/serial/iec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

#define STX 0x02
#define ETX 0x03
#define ACK 0x06

enum { REACTION_US = 200000, QUICK_US = 20000, MARGIN_US = 50000, HEAD = 5, BITS = 10, FRONT = 100 };

static const int64_t speeds[] = {300, 600, 1200, 2400, 4800, 9600, 19200};
enum { N_SPEEDS = sizeof(speeds) / sizeof(*speeds) };

void iec_init(struct iec *m, const struct iec_conf *conf)
{
        *m = (struct iec){.conf = *conf, .text = mem_alloc(conf->max_block)};
}

void iec_fini(struct iec *m)
{
        free(m->text);
        m->text = NULL;
}

void iec_begin(struct iec *m)
{
        m->state = IEC_SIGN_ON;
        m->n_asked++;
        m->n = 0;
}

void iec_abort(struct iec *m)
{
        m->state = IEC_IDLE;
        m->baud = 0; /* who opens it again knows nothing of ours */
}

static int64_t sending_us(const struct iec *m, size_t n)
{
        return (int64_t)n * BITS * 1000000 / (m->baud ? m->baud : 300);
}

static void enter(struct iec *m, enum iec_state state, int64_t until_us)
{
        m->state = state;
        m->until_us = until_us;
        m->latest_us = until_us + sending_us(m, FRONT) + m->conf.timeout_us;
        m->n = 0;
}

static void fail(struct iec *m, const char *why)
{
        m->state = IEC_FAILED;
        m->why = why;
}

/* ---- what comes ---- */

/* The speed that a digit or letter stands for; -1: none. */
static int speed_of(char c, char first)
{
        int i = c - first;

        return i >= 0 && i < N_SPEEDS ? i : -1;
}

/* A whole line /XXXZ… is there: which mode, which speed. */
static void agree(struct iec *m, int64_t now_us)
{
        char c = m->text[HEAD - 1];
        int mode_c = speed_of(c, '0'), mode_b = speed_of(c, 'A');
        bool is_quick = m->text[3] >= 'a';

        m->digit = 0;
        m->agreed = m->baud;
        m->in_block = m->at_check = false;
        if (mode_c >= 0) {
                while (mode_c > 0 && speeds[mode_c] > m->conf.max_baud)
                        mode_c--;
                m->digit = (char)('0' + mode_c);
                m->agreed = speeds[mode_c];
                enter(m, IEC_REACTION, now_us + (is_quick ? QUICK_US : REACTION_US));
                return;
        }
        if (mode_b >= 0 && mode_b + 1 < N_SPEEDS)
                m->agreed = speeds[mode_b + 1];
        enter(m, IEC_DATA, now_us + m->conf.timeout_us);
}

static void take_identity(struct iec *m, int64_t now_us, char c)
{
        if (m->n == 0 && c != '/')
                return;
        if (c == '\n' && m->n >= HEAD) {
                agree(m, now_us);
                return;
        }
        if (m->n == 1 && c == '?') /* our own question */
                m->n = 0;
        else if (c == '/' || m->n + 1 == m->conf.max_block)
                m->n = 0, m->text[m->n++] = '/';
        else
                m->text[m->n++] = c;
}

/*
 * The ! that begins a line ends the text, and what is behind it is not in it.
 */
static size_t text_len(const struct iec *m)
{
        for (size_t i = 0; i < m->n; i++)
                if (m->text[i] == '!' && (i == 0 || m->text[i - 1] == '\n' || m->text[i - 1] == '\r'))
                        return i;
        return m->n;
}

/* Behind the end of a line that begins with it. */
static bool is_ended(const struct iec *m)
{
        return m->text[m->n - 1] == '\n' && text_len(m) < m->n;
}

/* False: it belongs to no block. */
static bool begin_block(struct iec *m, uint8_t c)
{
        if (c == STX) {
                m->in_block = m->framed = true;
                m->n = 0;
                m->check = 0;
                return false;
        }
        if (!m->in_block && !m->digit && c > ' ') { /* modes A and B may go without */
                m->in_block = true;
                m->framed = false;
        }
        return m->in_block;
}

static void take_data(struct iec *m, uint8_t c)
{
        if (m->at_check) {
                if (c == m->check)
                        m->state = IEC_DONE;
                else
                        fail(m, "wrong block check");
                return;
        }
        if (!begin_block(m, c))
                return;
        m->check ^= c;
        m->at_check = c == ETX && m->framed;
        if (m->at_check)
                return;
        if (m->n == m->conf.max_block) {
                fail(m, "longer than max_frame");
                return;
        }
        m->text[m->n++] = (char)c;
        if (!m->framed && is_ended(m))
                m->state = IEC_DONE;
}

static void go_on_waiting(struct iec *m, int64_t now_us)
{
        if (m->until_us < now_us + m->conf.timeout_us)
                m->until_us = now_us + m->conf.timeout_us;
        if (!(m->state == IEC_DATA && m->in_block) && m->until_us > m->latest_us)
                m->until_us = m->latest_us;
}

void iec_input(struct iec *m, int64_t now_us, const uint8_t *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (m->state == IEC_IDENTITY)
                        take_identity(m, now_us, (char)(bytes[i] & 0x7f));
                else if (m->state == IEC_DATA)
                        take_data(m, bytes[i] & 0x7f);
        }
        if (n && (m->state == IEC_IDENTITY || m->state == IEC_DATA))
                go_on_waiting(m, now_us);
}

/* ---- what is to be done ---- */

static enum iec_next wait_until(const struct iec *m, struct iec_action *out)
{
        out->until_us = m->until_us;
        return IEC_WAIT;
}

static enum iec_next set_baud(struct iec *m, struct iec_action *out, int64_t baud)
{
        m->baud = out->baud = baud;
        return IEC_BAUD;
}

static enum iec_next ask(struct iec *m, int64_t now_us, struct iec_action *out)
{
        out->len = (size_t)snprintf((char *)out->bytes, sizeof(out->bytes), "/?%.32s!\r\n", m->conf.address);
        enter(m, IEC_IDENTITY, now_us + sending_us(m, out->len) + m->conf.timeout_us);
        return IEC_SEND;
}

static enum iec_next acknowledge(struct iec *m, int64_t now_us, struct iec_action *out)
{
        const uint8_t bytes[] = {ACK, '0', (uint8_t)m->digit, '0', '\r', '\n'};

        memcpy(out->bytes, bytes, sizeof(bytes));
        out->len = sizeof(bytes);
        enter(m, IEC_ACK, now_us + sending_us(m, out->len) + MARGIN_US);
        return IEC_SEND;
}

static enum iec_next over(struct iec *m, struct iec_action *out)
{
        out->text = m->text;
        out->len = text_len(m);
        out->why = m->why;
        m->n_blocks += m->state == IEC_DONE;
        m->until_us = INT64_MAX;
        if (m->state == IEC_DONE) {
                m->state = IEC_IDLE;
                return IEC_BLOCK;
        }
        m->state = IEC_IDLE;
        return IEC_FAIL;
}

enum iec_next iec_next(struct iec *m, int64_t now_us, struct iec_action *out)
{
        switch (m->state) {
        case IEC_IDLE:
                out->until_us = INT64_MAX;
                return IEC_WAIT;
        case IEC_SIGN_ON:
                return m->baud != m->conf.baud ? set_baud(m, out, m->conf.baud) : ask(m, now_us, out);
        case IEC_IDENTITY:
                if (now_us < m->until_us)
                        return wait_until(m, out);
                fail(m, m->n ? "the meter's identification was not ended" : "no answer");
                return over(m, out);
        case IEC_REACTION:
                return now_us < m->until_us ? wait_until(m, out) : acknowledge(m, now_us, out);
        case IEC_ACK:
                if (now_us < m->until_us)
                        return wait_until(m, out);
                enter(m, IEC_DATA, now_us + m->conf.timeout_us);
                return iec_next(m, now_us, out);
        case IEC_DATA:
                if (m->baud != m->agreed)
                        return set_baud(m, out, m->agreed);
                if (now_us < m->until_us)
                        return wait_until(m, out);
                fail(m, m->in_block ? "the data block was not ended" : "no data block");
                return over(m, out);
        case IEC_DONE:
        case IEC_FAILED:
                return over(m, out);
        }
        return IEC_WAIT;
}
