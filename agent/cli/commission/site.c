/*
 * site: see site.h.
 *
 * Why not the driver's own bus: that machine keeps periods, retries and dead
 * slaves; a search asks once and goes on.  The frames are the driver's, so are
 * the locks on a serial port: a line that the daemon has open is refused, for
 * two masters on one line spoil each other's answers.  A device on TCP may take
 * one connection only, so there a daemon that asks it too is told of.
 *
 * An answer is taken by unit, function, length and check sum wherever it stands
 * in what came; all before it is noise or an answer that came late.
 *
 * Fails with a sentence; an answer that does not come is no failure.
 */
#include "agent/cli/commission/site.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/cli/stop.h"
#include "agent/config/config.h"

enum { CONNECT_MS = 5000, IDENTIFY = 43, READ_DEVICE = 14 };

int64_t mono_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- where it is ---- */

static int fault_port(const char *text, struct err *e)
{
        return err_set(e,
                       "\"%.80s\" is no port; allowed: /dev/ttyUSB0, /dev/ttyUSB0:9600,8E1, tcp://host:502, "
                       "rtu+tcp://host:port",
                       text);
}

/* "9600", "9600,8E1", "9600,N" */
static bool parse_line(struct tty_conf *line, const char *s)
{
        char *end;

        line->baud = strtol(s, &end, 10);
        if (end == s || !tty_is_baud(line->baud))
                return false;
        if (*end == '\0')
                return true;
        if (*end++ != ',')
                return false;
        if (*end == '7' || *end == '8')
                line->data_bits = *end++ - '0';
        switch (*end++) {
        case 'N':
        case 'n':
                line->parity = TTY_PARITY_NONE;
                break;
        case 'E':
        case 'e':
                line->parity = TTY_PARITY_EVEN;
                break;
        case 'O':
        case 'o':
                line->parity = TTY_PARITY_ODD;
                break;
        default:
                return false;
        }
        line->stop_bits = *end == '2' ? 2 : 1;
        return *end == '\0' || ((*end == '1' || *end == '2') && end[1] == '\0');
}

static int parse_serial(struct site *p, const char *text, struct err *e)
{
        const char *colon = strrchr(text, ':');

        p->wire = SITE_RTU;
        p->line = (struct tty_conf){
                .path = p->text, .baud = 19200, .data_bits = 8, .stop_bits = 1, .parity = TTY_PARITY_EVEN};
        if (strlen(text) >= sizeof(p->text))
                return fault_port(text, e);
        strcpy(p->text, text);
        if (!colon || strchr(colon, '/') || access(text, F_OK) == 0) /* /dev/serial/by-path/… has colons of its own */
                return 0;
        p->text[colon - text] = '\0';
        return parse_line(&p->line, colon + 1) ? 0 : fault_port(text, e);
}

int site_parse(struct site *p, const char *text, struct err *e)
{
        const char *address = text;

        *p = (struct site){.fd = -1, .timeout_us = 300000};
        if (text[0] == '/')
                return parse_serial(p, text, e);
        p->wire = SITE_TCP;
        if (strncmp(text, "rtu+", 4) == 0) {
                p->wire = SITE_RTU_TCP;
                address += 4;
        }
        if (strlen(text) >= sizeof(p->text) || modbus_address_parse(&p->address, address, 0, e) < 0 || !p->address.tcp)
                return fault_port(text, e);
        if (p->address.framing == MODBUS_ASCII)
                return err_set(e, "%.80s: Modbus ASCII is not known to this command", text);
        strcpy(p->text, text);
        return 0;
}

static void fill_from_item(struct site *p, const struct modbus_conf *bus)
{
        p->item = bus->name;
        p->bus = bus;
        p->timeout_us = bus->timeout_us;
        if (p->wire != SITE_RTU)
                return;
        p->line.baud = bus->baud;
        p->line.data_bits = (int)bus->data_bits;
        p->line.stop_bits = (int)bus->stop_bits;
        p->line.parity = (enum tty_parity)bus->parity;
        p->line.rs485 = (enum tty_rs485)bus->rs485;
}

static int find_item(struct site *p, const struct cli *c, const char *name)
{
        struct faults faults = {0};
        struct config *conf;
        struct err e;
        int code = CLI_USAGE;

        if (config_load(c->config, &conf, &faults) < 0) {
                faults_print(&faults, stderr);
                faults_fini(&faults);
                return CLI_CONFIG;
        }
        for (size_t i = 0; i < conf->n_drivers; i++) {
                const struct modbus_conf *bus = conf->drivers[i].conf;

                if (conf->drivers[i].ops != &modbus_ops || strcmp(bus->name, name) != 0)
                        continue;
                code = site_parse(p, bus->port, &e) < 0 ? cli_fail(CLI_CONFIG, "%s", e.text) : CLI_OK;
                if (code == CLI_OK && bus->framing == MODBUS_FRAMING_ASCII)
                        code = cli_fail(CLI_CONFIG, "%s: Modbus ASCII is not known to this command", name);
                if (code == CLI_OK)
                        fill_from_item(p, bus);
                p->config = conf;
                return code;
        }
        cli_fail(code, "\"%s\" is no modbus item of %s, and no port: /dev/ttyUSB0:9600,8E1 or tcp://host:502", name,
                 c->config);
        config_free(conf);
        return code;
}

/* ---- opening ---- */

/* The daemon that has this bus in its configuration and answers. */
static void tell_daemon(const struct site *p)
{
        json_t *reply = NULL, *ask;
        struct err e;

        if (!p->config || p->wire == SITE_RTU)
                return;
        ask = json_pack("{s:s}", "cmd", "status");
        if (ctl_ask(p->config->control_socket, ask, &reply, &e) == 0)
                fprintf(stderr,
                        "millrace: millraced asks %s as well; a device that takes one connection only answers one of "
                        "the two. Stop it meanwhile: systemctl stop millrace\n",
                        p->item);
        json_decref(ask);
        json_decref(reply);
}

static int connect_one(const struct addrinfo *a, struct err *e, const char *text)
{
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof(error);

        if (fd < 0)
                return err_errno(e, "%s", text);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
                error = errno;
        else if (poll(&wait, 1, CONNECT_MS) <= 0)
                error = ETIMEDOUT;
        else
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (!error)
                return fd;
        close(fd);
        errno = error;
        return err_errno(e, "%s", text);
}

static int open_tcp(const struct site *p, struct err *e)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *all;
        int r = getaddrinfo(p->address.host, p->address.service, &hints, &all), fd = -1;

        if (r)
                return err_set(e, "%s: %s", p->text, gai_strerror(r));
        for (const struct addrinfo *a = all; a && fd < 0 && !stop_asked(); a = a->ai_next)
                fd = connect_one(a, e, p->text);
        freeaddrinfo(all);
        return fd;
}

int site_open(struct site *p, const struct cli *c, const char *bus)
{
        struct err e;
        int r = CLI_OK;

        if (bus[0] == '/' || strstr(bus, "://")) {
                if (site_parse(p, bus, &e) < 0)
                        return cli_fail(CLI_USAGE, "%s", e.text);
        } else {
                r = find_item(p, c, bus);
        }
        if (r)
                return r;
        if (c->timeout &&
            (!text_duration(c->timeout, &p->timeout_us) || p->timeout_us < 1000 || p->timeout_us > 60000000)) {
                site_close(p);
                return cli_fail(CLI_USAGE, "--timeout %s: 1ms to 60s is needed, as 300ms", c->timeout);
        }
        stop_arm();
        tell_daemon(p);
        p->fd = p->wire == SITE_RTU ? tty_open(&p->line, &e) : open_tcp(p, &e);
        if (p->fd >= 0)
                return CLI_OK;
        r = cli_fail(CLI_AWAY, "%s%s", e.text,
                     strstr(e.text, "in use") ? "; when it is millraced: stop it meanwhile (systemctl stop millrace), "
                                                "or take the item out of its configuration and reload"
                                              : "");
        site_close(p);
        return r;
}

void site_close(struct site *p)
{
        if (p->fd >= 0 && p->wire == SITE_RTU)
                tty_close(p->fd);
        else if (p->fd >= 0)
                close(p->fd);
        p->fd = -1;
        config_free(p->config);
        p->config = NULL;
}

const char *site_source(const struct site *p, unsigned unit)
{
        for (const struct modbus_device_conf *d = p->bus ? p->bus->devices : NULL; d; d = d->next)
                if (d->unit == unit)
                        return d->source;
        return NULL;
}

/* ---- bytes ---- */

long site_listen(struct site *p, uint8_t *bytes, size_t cap, int64_t within_us)
{
        struct pollfd wait = {.fd = p->fd, .events = POLLIN};
        int64_t until_us = mono_us() + within_us;
        ssize_t n;
        int r;

        do {
                int64_t left_us = until_us - mono_us();

                if (stop_asked())
                        return 0;
                r = poll(&wait, 1, left_us <= 0 ? 0 : (int)((left_us + 999) / 1000));
        } while (r < 0 && errno == EINTR);
        if (r <= 0)
                return r;
        n = read(p->fd, bytes, cap);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        return n > 0 ? n : -1;
}

/*
 * How long an answer of this function is by what it says of itself; 0: it is
 * none.
 */
static size_t said_len(const uint8_t *want, const uint8_t *pdu, size_t have)
{
        size_t len = 6;

        if (have >= 2 && pdu[0] == (want[0] | 0x80))
                return 2;
        if (have < 2 || pdu[0] != want[0])
                return 0;
        if (want[0] != IDENTIFY) {
                len = modbus_read_bytes(want[0], (unsigned)want[3] << 8 | want[4]);
                return pdu[1] == len ? len + 2 : 0;
        }
        if (have < 7 || pdu[1] != READ_DEVICE)
                return 0;
        for (unsigned i = 0; i < pdu[6]; i++) {
                if (len + 3 > have)
                        return 0;
                len += 2u + pdu[len + 2];
        }
        return len + 1;
}

/*
 * What is a whole PDU of this function; 0: it is not, or goes on behind what is
 * there.
 */
static size_t pdu_len(const uint8_t *want, const uint8_t *pdu, size_t have)
{
        size_t len = said_len(want, pdu, have);

        return len <= have && len <= MODBUS_PDU_MAX ? len : 0;
}

static bool find_rtu(const uint8_t *sent, const uint8_t *buf, size_t n, struct site_reply *out)
{
        for (size_t at = 0; at + 5 <= n; at++) {
                size_t len = buf[at] == sent[0] ? pdu_len(sent + 1, buf + at + 1, n - at - 1) : 0;
                uint16_t crc;

                if (len == 0 || at + len + 3 > n)
                        continue;
                crc = modbus_crc(buf + at, len + 1);
                if (buf[at + len + 1] != (crc & 0xff) || buf[at + len + 2] != crc >> 8)
                        continue;
                memcpy(out->pdu, buf + at + 1, len);
                out->len = len;
                return true;
        }
        return false;
}

static bool find_tcp(const uint8_t *sent, const uint8_t *buf, size_t n, struct site_reply *out)
{
        size_t at = 0;

        while (at + 9 <= n) {
                size_t len = (size_t)buf[at + 4] << 8 | buf[at + 5];

                if (at + 6 + len > n)
                        return false;
                if (len >= 2 && memcmp(buf + at, sent, 4) == 0 && buf[at + 6] == sent[6]) {
                        out->len = pdu_len(sent + 7, buf + at + 7, len - 1);
                        memcpy(out->pdu, buf + at + 7, out->len);
                        return out->len != 0;
                }
                at += 6 + len;
        }
        return false;
}

static enum site_answer receive(struct site *p, const uint8_t *sent, struct site_reply *out)
{
        uint8_t buf[1024];
        size_t n = 0;
        int64_t until_us = mono_us() + p->timeout_us;

        while (n < sizeof(buf)) {
                int64_t left_us = until_us - mono_us();
                long got = left_us > 0 ? site_listen(p, buf + n, sizeof(buf) - n, left_us) : 0;

                if (stop_asked())
                        return SITE_STOPPED;
                if (got < 0)
                        return SITE_BROKEN;
                if (got == 0 && mono_us() >= until_us)
                        return SITE_SILENT;
                n += (size_t)got;
                if (got)
                        until_us = mono_us() + p->timeout_us;
                if (!(p->wire == SITE_TCP ? find_tcp(sent, buf, n, out) : find_rtu(sent, buf, n, out)))
                        continue;
                out->exception = out->pdu[0] & 0x80 ? out->pdu[1] : 0;
                return out->exception ? SITE_EXCEPTION : SITE_DATA;
        }
        return SITE_SILENT;
}

/*
 * Silence between frames: 3.5 characters of eleven bits, and what an answer
 * that came late brought is dropped.
 */
static void rest(struct site *p)
{
        int64_t quiet_us = p->wire == SITE_RTU && p->line.baud <= 19200 ? 38500000 / p->line.baud : 1750;
        uint8_t late[256];

        if (p->wire == SITE_TCP)
                quiet_us = 0;
        while (site_listen(p, late, sizeof(late), quiet_us) > 0)
                ;
}

/* A connection that was closed while it was idle is made anew once. */
static bool send_all(struct site *p, const uint8_t *bytes, size_t len)
{
        struct err e;

        for (int i = 0; i < 2; i++) {
                if (p->fd >= 0 && (p->wire == SITE_RTU ? write(p->fd, bytes, len)
                                                       : send(p->fd, bytes, len, MSG_NOSIGNAL)) == (ssize_t)len)
                        return true;
                if (p->wire == SITE_RTU)
                        return false;
                if (p->fd >= 0)
                        close(p->fd);
                p->fd = open_tcp(p, &e);
        }
        return false;
}

static enum site_answer ask(struct site *p, unsigned unit, const uint8_t *pdu, size_t len, struct site_reply *out)
{
        uint8_t bytes[MODBUS_TCP_MAX];
        enum site_answer answer = SITE_BROKEN;

        for (int i = 0; i < 2 && answer == SITE_BROKEN; i++) {
                size_t n = p->wire == SITE_TCP ? modbus_put_tcp(bytes, ++p->transaction, (uint8_t)unit, pdu, len)
                                               : modbus_put_rtu(bytes, (uint8_t)unit, pdu, len);

                if (p->fd >= 0)
                        rest(p);
                if (!send_all(p, bytes, n))
                        return SITE_BROKEN;
                answer = receive(p, bytes, out);
                if (answer != SITE_BROKEN || p->wire == SITE_RTU)
                        break;
                close(p->fd);
                p->fd = -1;
        }
        return answer;
}

enum site_answer site_read(struct site *p, unsigned unit, unsigned function, unsigned address, unsigned count,
                           struct site_reply *out)
{
        uint8_t pdu[5] = {(uint8_t)function, (uint8_t)(address >> 8), (uint8_t)address, (uint8_t)(count >> 8),
                          (uint8_t)count};

        BUG_ON(function < 1 || function > 4); /* the others write */
        return ask(p, unit, pdu, sizeof(pdu), out);
}

enum site_answer site_identify(struct site *p, unsigned unit, struct site_reply *out)
{
        static const uint8_t pdu[4] = {IDENTIFY, READ_DEVICE, 1, 0};

        return ask(p, unit, pdu, sizeof(pdu), out);
}
