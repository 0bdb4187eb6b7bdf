/*
 * tty: see tty.h.
 *
 * Why both locks: TIOCEXCL keeps everybody but root from opening the port
 * again, flock keeps out another daemon of ours and the programs that ask
 * (picocom, mbpoll don't).  A port that is a pseudo terminal drops parity:
 * silently at first, and when nothing else changes Debian's C library makes
 * EINVAL of it.  So what was set is read back and judged by that: a speed that
 * was not taken is refused, the rest is told.  RS-485 direction is the
 * kernel's: `on` and `off` ask the driver, `auto` leaves the port as the device
 * tree has it, because the same chip also serves RS-232.
 *
 * Fails with the sentence of the step that failed; the fd is closed then.
 */
#include "drivers/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agent/base/log.h"

static const struct {
        int64_t baud;
        speed_t speed;
} speeds[] = {
        {300, B300},         {600, B600},         {1200, B1200},       {1800, B1800},       {2400, B2400},
        {4800, B4800},       {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
        {115200, B115200},   {230400, B230400},   {460800, B460800},   {500000, B500000},   {576000, B576000},
        {921600, B921600},   {1000000, B1000000}, {1152000, B1152000}, {1500000, B1500000}, {2000000, B2000000},
        {2500000, B2500000}, {3000000, B3000000}, {3500000, B3500000}, {4000000, B4000000},
};

static bool find_speed(int64_t baud, speed_t *out)
{
        for (size_t i = 0; i < sizeof(speeds) / sizeof(*speeds); i++) {
                if (speeds[i].baud == baud) {
                        *out = speeds[i].speed;
                        return true;
                }
        }
        return false;
}

bool tty_is_baud(int64_t baud)
{
        speed_t speed;

        return find_speed(baud, &speed);
}

static void fill_termios(struct termios *t, const struct tty_conf *c, speed_t speed)
{
        cfmakeraw(t);
        t->c_cflag &= ~(tcflag_t)(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS | HUPCL);
        t->c_cflag |= CLOCAL | CREAD | (c->data_bits == 7 ? CS7 : CS8);
        if (c->stop_bits == 2)
                t->c_cflag |= CSTOPB;
        if (c->parity != TTY_PARITY_NONE)
                t->c_cflag |= PARENB | (c->parity == TTY_PARITY_ODD ? PARODD : 0);
        t->c_iflag = c->parity != TTY_PARITY_NONE ? INPCK : 0;
        t->c_cc[VMIN] = 1;
        t->c_cc[VTIME] = 0;
        cfsetspeed(t, speed);
}

static int set_line(int fd, const struct tty_conf *c, struct err *e)
{
        const tcflag_t matters = CSIZE | CSTOPB | PARENB | PARODD;
        struct termios want, is;
        speed_t speed;

        if (!find_speed(c->baud, &speed))
                return err_set(e, "%s: %lld baud is no speed of a serial port", c->path, (long long)c->baud);
        if (tcgetattr(fd, &want) < 0)
                return err_errno(e, "%s is not a serial port", c->path);
        fill_termios(&want, c, speed);
        if ((tcsetattr(fd, TCSANOW, &want) < 0 && errno != EINVAL) || tcgetattr(fd, &is) < 0)
                return err_errno(e, "%s can't be set up", c->path);
        if (cfgetospeed(&is) != speed)
                return err_set(e, "%s does not do %lld baud", c->path, (long long)c->baud);
        if ((is.c_cflag & matters) != (want.c_cflag & matters))
                log_warn("serial", "%s has not taken its data bits, parity or stop bits as configured", c->path);
        return 0;
}

int tty_set_baud(int fd, const struct tty_conf *c, int64_t baud, struct err *e)
{
        struct tty_conf other = *c;

        other.baud = baud;
        return set_line(fd, &other, e);
}

static int set_rs485(int fd, const struct tty_conf *c, struct err *e)
{
        struct serial_rs485 rs;

        if (c->rs485 == TTY_RS485_AUTO)
                return 0;
        memset(&rs, 0, sizeof(rs));
        if (ioctl(fd, TIOCGRS485, &rs) < 0) {
                if (c->rs485 == TTY_RS485_OFF)
                        return 0;
                return err_errno(e, "%s: its driver can't switch RS-485 direction", c->path);
        }
        if (c->rs485 == TTY_RS485_ON) {
                rs.flags |= SER_RS485_ENABLED;
                if (!(rs.flags & (SER_RS485_RTS_ON_SEND | SER_RS485_RTS_AFTER_SEND)))
                        rs.flags |= SER_RS485_RTS_ON_SEND;
                rs.flags &= ~(unsigned)SER_RS485_RX_DURING_TX;
        } else {
                rs.flags &= ~(unsigned)SER_RS485_ENABLED;
        }
        if (ioctl(fd, TIOCSRS485, &rs) < 0)
                return err_errno(e, "%s: RS-485 can't be switched %s", c->path,
                                 c->rs485 == TTY_RS485_ON ? "on" : "off");
        return 0;
}

static int take(int fd, const struct tty_conf *c, struct err *e)
{
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return err_set(e, "%s is in use by another program", c->path);
        if (ioctl(fd, TIOCEXCL) < 0)
                return err_errno(e, "%s is not a serial port", c->path);
        if (set_line(fd, c, e) < 0 || set_rs485(fd, c, e) < 0)
                return -1;
        tcflush(fd, TCIOFLUSH);
        return 0;
}

int tty_open(const struct tty_conf *c, struct err *e)
{
        int fd = open(c->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 && errno == EBUSY)
                return err_set(e, "%s is in use by another program", c->path);
        if (fd < 0)
                return err_errno(e, "%s can't be opened", c->path);
        if (take(fd, c, e) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

void tty_close(int fd)
{
        tcflush(fd, TCIOFLUSH);
        ioctl(fd, TIOCNXCL);
        close(fd);
}
