/*
 * conf: what one `syslog:` item may hold.
 *
 * Off unless there is an item; then on loopback unless another address is
 * written down, because syslog knows no password: who reaches the port can
 * write what he likes.  Addresses are numbers, so that nothing has to be
 * resolved to listen.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/syslog/syslog.h"

#define SECOND 1e6
#define DAY    86400e6

static const char *const protocols[] = {"both", "udp", "tcp", NULL};
static const char *const texts[] = {"message", "line", NULL};

static int fault(struct err *e, const char *text)
{
        return err_set(e,
                       "\"%.80s\" is not an address; allowed: address:port in numbers, as 127.0.0.1:5514 or [::]:5514",
                       text);
}

static void set_v4(struct syslog_address *out, struct in_addr addr, int port)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = addr};

        memcpy(out->bytes, &a, sizeof(a));
        out->len = sizeof(a);
        out->loopback = ntohl(addr.s_addr) >> 24 == 127;
}

static void set_v6(struct syslog_address *out, const struct in6_addr *addr, int port)
{
        struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = *addr};

        _Static_assert(sizeof(a) <= sizeof(out->bytes), "room for an address");
        memcpy(out->bytes, &a, sizeof(a));
        out->len = sizeof(a);
        out->loopback = IN6_IS_ADDR_LOOPBACK(addr);
}

int syslog_address_parse(struct syslog_address *out, const char *text, struct err *e)
{
        const char *colon = strrchr(text, ':'), *host = text;
        char number[INET6_ADDRSTRLEN];
        struct in6_addr v6;
        struct in_addr v4;
        size_t len;
        int port;

        if (!colon || strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5)
                return fault(e, text);
        port = atoi(colon + 1);
        len = (size_t)(colon - text);
        if (*host == '[' && len >= 2 && text[len - 1] == ']') {
                host++;
                len -= 2;
        }
        if (port < 1 || port > 65535 || len >= sizeof(number))
                return fault(e, text);
        memcpy(number, host, len);
        number[len] = '\0';
        if (host == text && inet_pton(AF_INET, number, &v4) == 1)
                set_v4(out, v4, port);
        else if (host != text && inet_pton(AF_INET6, number, &v6) == 1)
                set_v6(out, &v6, port);
        else
                return fault(e, text);
        return 0;
}

static int check_item(void *obj, const char **key, struct err *e)
{
        const struct syslog_conf *c = obj;
        struct syslog_address address;

        *key = "listen";
        return syslog_address_parse(&address, c->listen, e);
}

#define AT(member) offsetof(struct syslog_conf, member)
static const struct schema_key item_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name),
         .help = "Name of this listener in status, logs and metrics."},
        {"listen", SCHEMA_TEXT, 0, AT(listen), .def = "127.0.0.1:5514",
         .help = "Address and port; 0.0.0.0:5514 for all of IPv4, [::]:5514 for both. Anybody who reaches it can "
                 "write."},
        {"protocol", SCHEMA_CHOICE, 0, AT(protocol), .choices = protocols, .def = "both", .help = "udp, tcp, or both."},
        {"source", SCHEMA_NAME, 0, AT(source),
         .help = "Source of all readings; default: the host the message names, or the sender's address."},
        {"tag", SCHEMA_NAME, 0, AT(tag), .help = "Tag of all readings; default: the program the message names."},
        {"text", SCHEMA_CHOICE, 0, AT(text), .choices = texts, .def = "message",
         .help = "The message alone, or the line as it came, with process id and structured data."},
        {"max_connections", SCHEMA_INT, 0, AT(max_connections), 1, 256, .def = "16",
         .help = "TCP connections at once; a further one is closed."},
        {"idle_timeout", SCHEMA_DURATION, 0, AT(idle_timeout_us), SECOND, DAY, .def = "1h",
         .help = "A TCP connection that sends nothing for so long is closed."},
        {"max_tags", SCHEMA_INT, 0, AT(max_tags), 1, 100000, .def = "1000",
         .help = "Hosts, programs, facilities and severities make tags; what comes above goes to the tag other of its "
                 "host."},
        {NULL},
};
#undef AT

const struct schema syslog_schema = {
        .name = "syslog",
        .help = "Logs of servers and switches, as text readings.",
        .keys = item_keys,
        .size = sizeof(struct syslog_conf),
        .has_at = true,
        .check = check_item,
};

void syslog_names(const void *conf, struct driver_names *to)
{
        const struct syslog_conf *c = conf;

        if (c->source)
                to->each(to, c->source, c->tag, &c->source);
}

size_t syslog_share(const void *conf, size_t usual)
{
        const struct syslog_conf *c = conf;

        return c->source && c->tag ? 0 : (size_t)c->max_tags;
}
