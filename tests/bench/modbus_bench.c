/*
 * modbus_bench: what the Modbus driver itself can do, on the real runtime, with a slave that answers at once.
 *
 * usage: modbus_bench pty [SECONDS]       reads of 10 registers over a pseudo terminal, as fast as they go
 *        modbus_bench replug [CYCLES]     the line is unplugged and plugged in again under load; what is left behind
 *        modbus_bench farm PORT           a TCP slave for other measurements: answers every read of every unit
 * The host is replaced by one that counts, and starts again 1 ms after a link went down.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "agent/rt_uv.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/modbus.h"

enum { READS = 16, CONNECTIONS_MAX = 64 };

static const char *const link_path = "/tmp/modbus_bench.tty";

struct bench {
        struct rt *rt;
        struct driver d;
        struct rt_timer restart, each;
        long n_readings, n_bad, n_up, n_down;
        long cycles, cycles_most;
        pid_t line; /* -1: unplugged */
};

static struct bench B;

/* ---- the slave ---- */

static size_t reply_pdu(const uint8_t *pdu, uint8_t *out)
{
        unsigned count = (unsigned)pdu[3] << 8 | pdu[4];
        static uint16_t n;

        out[0] = pdu[0];
        out[1] = (uint8_t)modbus_read_bytes(pdu[0], count);
        for (unsigned i = 0; i < out[1]; i++)
                out[2 + i] = (uint8_t)(n++ >> 3);
        return 2u + out[1];
}

/* Every eight bytes are a request. */
static void serve_line(int fd)
{
        uint8_t in[256], pdu[MODBUS_PDU_MAX], out[MODBUS_RTU_MAX];
        size_t have = 0;
        ssize_t n;

        while ((n = read(fd, in + have, sizeof(in) - have)) > 0 || errno == EIO) {
                if (n < 0) { /* nobody has the other end open */
                        usleep(200);
                        continue;
                }
                have += (size_t)n;
                while (have >= 8) {
                        size_t len = modbus_put_rtu(out, in[0], pdu, reply_pdu(in + 1, pdu));

                        if (write(fd, out, len) < 0)
                                return;
                        have -= 8;
                        memmove(in, in + 8, have);
                }
        }
}

static void be_the_slave(int ready)
{
        struct termios raw;
        char name[64];
        int master, slave;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (openpty(&master, &slave, name, NULL, NULL) < 0)
                abort();
        tcgetattr(slave, &raw);
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
        close(slave);
        unlink(link_path);
        if (symlink(name, link_path) < 0 || write(ready, "", 1) != 1)
                abort();
        serve_line(master);
}

/* The line and its slave are one process, as with socat: killing it is pulling the plug. */
static void plug(void)
{
        int ready[2];
        char c;

        if (pipe(ready) < 0)
                abort();
        B.line = fork();
        if (B.line == 0) {
                be_the_slave(ready[1]);
                _exit(0);
        }
        if (B.line < 0 || read(ready[0], &c, 1) != 1)
                abort();
        close(ready[0]);
        close(ready[1]);
}

static void unplug(void)
{
        kill(B.line, SIGKILL);
        waitpid(B.line, NULL, 0);
        B.line = -1;
}

/* ---- the host ---- */

static int on_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        for (size_t i = 0; i < n; i++)
                B.n_bad += quality_is_bad(r[i].quality);
        B.n_readings += (long)n;
        return 0;
}

static void on_link_up(struct driver *d)
{
        B.n_up++;
}

static void on_link_down(struct driver *d, const char *why)
{
        B.n_down++;
        rt_timer_set(B.rt, &B.restart, 1000);
}

static void on_stopped(struct driver *d)
{
}

static void on_device(struct driver *d, const char *source, const char *state, const char *why)
{
}

static const struct driver_host host = {.emit = on_emit,
                                        .link_up = on_link_up,
                                        .link_down = on_link_down,
                                        .stopped = on_stopped,
                                        .device_event = on_device};

static void on_restart(struct rt_timer *t)
{
        B.d.ops->start(&B.d);
}

static struct modbus_conf *conf(void)
{
        static struct modbus_register_conf registers[READS * 10];
        static struct modbus_profile_conf profile = {.period_us = 1, .registers = {registers, READS * 10}};
        static struct modbus_device_conf device = {.source = "s", .unit = 1, .retries = 1, .map = &profile};
        static struct modbus_conf c = {.name = "bus",
                                       .port = "/tmp/modbus_bench.tty",
                                       .baud = 115200,
                                       .data_bits = 8,
                                       .stop_bits = 1,
                                       .timeout_us = 500000,
                                       .in_flight = 1,
                                       .max_registers = 125,
                                       .devices = &device};

        for (unsigned i = 0; i < READS * 10; i++)
                registers[i] = (struct modbus_register_conf){
                        .tag = "t", .table = MODBUS_HOLDING, .convert = {.scale = 1}, .address = i / 10 * 100 + i % 10};
        return &c;
}

static void begin(void)
{
        struct err e;

        B.rt = rt_uv_new();
        B.restart.on_due = on_restart;
        B.d = (struct driver){.ops = &modbus_ops,
                              .name = "bus",
                              .gateway = "g",
                              .conf = conf(),
                              .rt = B.rt,
                              .tags = tags_new(1000),
                              .host = &host};
        if (modbus_ops.init(&B.d, &e) < 0)
                abort();
        plug();
        modbus_ops.start(&B.d);
}

static void end(void)
{
        modbus_ops.stop(&B.d);
        modbus_ops.fini(&B.d);
        rt_timer_cancel(B.rt, &B.each);
        rt_uv_free(B.rt);
        tags_free(B.d.tags);
        if (B.line > 0)
                unplug();
        unlink(link_path);
}

/* ---- pty ---- */

static void on_over(struct rt_timer *t)
{
        rt_uv_stop(B.rt);
}

static double cpu_s(void)
{
        struct rusage u;

        getrusage(RUSAGE_THREAD, &u);
        return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void bench_pty(long seconds)
{
        double cpu, us;

        begin();
        B.each.on_due = on_over;
        rt_timer_set(B.rt, &B.each, seconds * 1000000);
        cpu = cpu_s();
        rt_uv_run(B.rt);
        us = (cpu_s() - cpu) * 1e6;
        printf("pty: %.0f reads/s of 10 registers, %.1f us CPU per read in the driver's thread, %ld bad\n",
               (double)B.n_readings / 10 / (double)seconds, us / ((double)B.n_readings / 10), B.n_bad);
        end();
}

/* ---- replug ---- */

static long count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        long n = -3; /* . .. and itself */

        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static long rss_kib(void)
{
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");

        if (!f || fscanf(f, "%*d %ld", &pages) != 1)
                abort();
        fclose(f);
        return pages * 4;
}

static void on_cycle(struct rt_timer *t)
{
        static long seen;

        if (B.line > 0 && B.n_readings > seen) { /* it is read again: pull it out */
                unplug();
        } else if (B.line < 0 && B.n_down > B.cycles) {
                seen = B.n_readings + 200; /* the bad ones of now, and one round */
                if (++B.cycles == B.cycles_most) {
                        rt_uv_stop(B.rt);
                        return;
                }
                if (B.cycles == 20)
                        printf("after 20 cycles: %ld fds, %ld KiB\n", count_fds(), rss_kib());
                plug();
        }
        rt_timer_set(B.rt, t, 2000);
}

static void bench_replug(long cycles)
{
        B.cycles_most = cycles;
        begin();
        B.each.on_due = on_cycle;
        rt_timer_set(B.rt, &B.each, 2000);
        rt_uv_run(B.rt);
        printf("after %ld cycles: %ld fds, %ld KiB; up %ld times, down %ld times, %ld readings, %ld of them bad\n",
               cycles, count_fds(), rss_kib(), B.n_up, B.n_down, B.n_readings, B.n_bad);
        end();
}

/* ---- farm ---- */

struct connection {
        int fd;
        struct modbus_tcp framer;
};

static bool answer_connection(struct connection *c)
{
        struct modbus_frame f;
        uint8_t *at, pdu[MODBUS_PDU_MAX], out[MODBUS_TCP_MAX];
        size_t room = modbus_tcp_room(&c->framer, &at);
        ssize_t n = read(c->fd, at, room);

        if (n <= 0)
                return false;
        modbus_tcp_push(&c->framer, at, (size_t)n);
        while (modbus_tcp_next(&c->framer, &f) > 0) {
                size_t len = modbus_put_tcp(out, f.transaction, f.unit, pdu, reply_pdu(f.pdu, pdu));

                if (write(c->fd, out, len) < 0)
                        return false;
        }
        return true;
}

static void farm(int port)
{
        static struct connection connections[CONNECTIONS_MAX];
        struct pollfd fds[CONNECTIONS_MAX + 1];
        struct sockaddr_in addr = {
                .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int listener = socket(AF_INET, SOCK_STREAM, 0), n = 0;

        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 64) < 0)
                abort();
        for (;;) {
                fds[0] = (struct pollfd){.fd = listener, .events = n < CONNECTIONS_MAX ? POLLIN : 0};
                for (int i = 0; i < n; i++)
                        fds[i + 1] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
                poll(fds, (nfds_t)n + 1, -1);
                for (int i = n - 1; i >= 0; i--) {
                        if (!fds[i + 1].revents || answer_connection(&connections[i]))
                                continue;
                        close(connections[i].fd);
                        connections[i] = connections[--n];
                }
                if (fds[0].revents & POLLIN) {
                        memset(&connections[n], 0, sizeof(connections[n]));
                        connections[n++].fd = accept(listener, NULL, NULL);
                }
        }
}

int main(int argc, char **argv)
{
        const char *what = argc > 1 ? argv[1] : "";

        signal(SIGPIPE, SIG_IGN);
        if (!strcmp(what, "pty"))
                bench_pty(argc > 2 ? atol(argv[2]) : 5);
        else if (!strcmp(what, "replug"))
                bench_replug(argc > 2 ? atol(argv[2]) : 1000);
        else if (!strcmp(what, "farm") && argc > 2)
                farm(atoi(argv[2]));
        else
                return fprintf(stderr, "usage: modbus_bench pty [SECONDS] | replug [CYCLES] | farm PORT\n"), 2;
        return 0;
}
