/*
 * site: the bus that a commissioning command works on: where it is, and a
 * question with its answer.  Blocking, for the tool only; ^C ends each wait.
 *
 * Only what reads can be asked: function codes 1 to 4, and 43/14.
 */
#ifndef MILLRACE_CLI_COMMISSION_SITE_H
#define MILLRACE_CLI_COMMISSION_SITE_H

#include "agent/cli/cli.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/modbus.h"
#include "drivers/tty.h"

struct config;

enum site_wire { SITE_RTU, SITE_TCP, SITE_RTU_TCP };

struct site {
        char text[MODBUS_HOST_MAX + 32]; /* as a configuration's `port:` */
        const char *item;                /* name of the modbus item; NULL: a port was named */
        enum site_wire wire;
        struct tty_conf line; /* of a serial one; path is `text` */
        struct modbus_address address;
        int64_t timeout_us;
        struct config *config; /* of `item` */
        const struct modbus_conf *bus;
        bool listen; /* what is proposed is a bus that only listens */
        int fd;
        uint16_t transaction;
};

/*
 * 0 or a sentence: "/dev/ttyUSB0", "/dev/ttyUSB0:9600,8E1", "tcp://host:port",
 * "rtu+tcp://host:port".
 */
int site_parse(struct site *p, const char *text, struct err *e);

/*
 * What the command names, a bus of the configuration or a port; then opens it.
 * CLI_OK, or the exit status, having told why.
 */
int site_open(struct site *p, const struct cli *c, const char *bus);
void site_close(struct site *p);
/* The source that the configuration makes of this unit, or NULL. */
const char *site_source(const struct site *p, unsigned unit);

enum site_answer { SITE_DATA, SITE_EXCEPTION, SITE_SILENT, SITE_BROKEN, SITE_STOPPED };

struct site_reply {
        uint8_t exception;
        uint8_t pdu[MODBUS_PDU_MAX];
        size_t len;
};
enum site_answer site_read(struct site *p, unsigned unit, unsigned function, unsigned address, unsigned count,
                           struct site_reply *out);
/* Function 43/14, objects of the basic category. */
enum site_answer site_identify(struct site *p, unsigned unit, struct site_reply *out);

/*
 * Bytes as they come; the count, 0: none in that time or ^C, -1 the port is
 * gone.
 */
long site_listen(struct site *p, uint8_t *bytes, size_t cap, int64_t within_us);

int64_t mono_us(void);

#endif
