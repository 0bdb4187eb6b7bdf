/*
 * fuzz_control: any bytes from three clients of the control socket, against a
 * running agent.
 *
 * An input is lines. a, b, c in front of one: that client sends the rest as a
 * request; A, B, C: as a piece, without the newline; x, y, z: it goes away; t:
 * time passes, a second for each byte behind it; k: Kafka goes away or comes
 * back.  Holds: a request gets one answer or none yet, never two, and each is
 * a JSON object; what is told as done was taken; the status stays whole; what
 * goes to Kafka is sound (house.c); the books are right.
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/control/requests.h"
#include "tests/fuzz/house_fill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 3, S = 1000000, ANSWER_MAX = 1 << 20, SECONDS_MAX = 30, REQUEST_MAX = 65536 };

struct client {
        int fd; /* -1: it is away */
        size_t n_sent;
        uint64_t n_asked, n_answered;
        char *answer;
        size_t n;
};

static struct house house;
static struct house_files files[HOUSE_STATES];
static char socket_path[TEMP_PATH_MAX];
static struct client clients[CLIENTS];
static int seconds_left;

/* ---- clients ---- */

static void come(struct client *c)
{
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        char *answer = c->answer ? c->answer : mem_alloc(ANSWER_MAX);

        *c = (struct client){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .answer = answer};
        BUG_ON(c->fd < 0 || strlen(socket_path) >= sizeof(un.sun_path));
        memcpy(un.sun_path, socket_path, strlen(socket_path) + 1);
        BUG_ON(connect(c->fd, (struct sockaddr *)&un, sizeof(un)) != 0);
        house_poll(&house);
}

static void go(struct client *c)
{
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        house_poll(&house);
}

static void take_answer(struct client *c, const char *line, size_t len)
{
        json_error_t wrong;
        json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &wrong);

        BUG_ON(!json_is_object(o));
        c->n_answered++;
        BUG_ON(c->n_answered > c->n_asked);
        json_decref(o);
}

static void hear(struct client *c)
{
        ssize_t n;
        char *end;

        while (c->fd >= 0 && (n = recv(c->fd, c->answer + c->n, ANSWER_MAX - c->n, MSG_DONTWAIT)) != 0) {
                if (n < 0 && (errno == EAGAIN || errno == ECONNRESET || errno == EPIPE))
                        break;
                BUG_ON(n < 0);
                c->n += (size_t)n;
                while ((end = memchr(c->answer, '\n', c->n))) {
                        take_answer(c, c->answer, (size_t)(end - c->answer));
                        c->n -= (size_t)(end + 1 - c->answer);
                        memmove(c->answer, end + 1, c->n);
                }
                BUG_ON(c->n == ANSWER_MAX);
                house_poll(&house); /* there is room again for what was not out yet */
        }
}

static void hear_all(void)
{
        house_poll(&house);
        for (int i = 0; i < CLIENTS; i++)
                hear(&clients[i]);
}

static void say(struct client *c, const uint8_t *p, size_t n)
{
        ssize_t sent = 1;

        while (c->fd >= 0 && n && sent > 0) {
                sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                for (ssize_t i = 0; i < sent; i++)
                        c->n_asked += p[i] == '\n';
                p += sent > 0 ? sent : 0;
                n -= sent > 0 ? (size_t)sent : 0;
                hear_all();
        }
}

/* ---- the house ---- */

static void check_books(void)
{
        struct spool_counts c;

        spool_counts(house.agent.spool, &c);
        BUG_ON(c.accepted != c.delivered + c.held + c.dropped);
}

static void pass(size_t seconds)
{
        for (; seconds && seconds_left; seconds--, seconds_left--) {
                house_run_for(&house, S);
                hear_all();
        }
}

/* ---- the input ---- */

static void step(const uint8_t *line, size_t len)
{
        static const char newline[] = "\n", letters[] = "abcABCxyz";
        const char *letter = len && *line ? strchr(letters, *line) : NULL;
        int i = letter ? (int)(letter - letters) : 0;
        struct client *c = &clients[i % CLIENTS];

        if (len && *line == 't') {
                pass(len);
        } else if (len && *line == 'k') {
                fake_sink_set_away(&house.kafka, !house.kafka.away);
        } else if (i >= 2 * CLIENTS) {
                go(c);
        } else {
                if (c->fd < 0)
                        come(c);
                say(c, line + (letter != NULL), len - (letter != NULL));
                if (i < CLIENTS)
                        say(c, (const uint8_t *)newline, 1);
        }
}

static void start(void)
{
        struct err e;

        if (!house.conf) {
                house_init(&house, "fuzz_control", house_rules);
                house_fill(&house, files);
                temp_dir_path(&house.dir, "s", socket_path);
                for (int i = 0; i < CLIENTS; i++)
                        clients[i].fd = -1;
        }
        house_put(&house, &files[HOUSE_CLOSED]);
        BUG_ON(house_open(&house, &e) < 0);
        seconds_left = SECONDS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct daemon *d;
        struct err e;

        start();
        d = daemon_open(&house.agent, socket_path, &e);
        BUG_ON(!d);
        while (size) {
                const uint8_t *end = memchr(data, '\n', size);
                size_t len = end ? (size_t)(end - data) : size, used = end ? len + 1 : len;

                step(data, len);
                data += used;
                size -= used;
        }
        pass(2);
        house_check_status(&house);
        check_books();
        daemon_close(d);
        for (int i = 0; i < CLIENTS; i++)
                go(&clients[i]);
        house_leave(&house);
        return 0;
}
