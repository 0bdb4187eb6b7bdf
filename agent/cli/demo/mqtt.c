/*
 * mqtt: the demo's MQTT sensor.
 *
 * Three packets by hand instead of a second library or a process per topic:
 * CONNECT, PUBLISH at QoS 1, and counting what comes back.  After CONNACK a
 * publisher receives nothing but PUBACKs of 4 bytes, so the count of bytes is
 * the count of acknowledgements.  Keepalive is off: the demo publishes several
 * times a second anyway.
 *
 * Fails at connect with a sentence; a publish that the socket does not take
 * whole counts as not published, and ends the connection's use (a torn packet
 * can't be continued).
 */
#include "agent/cli/demo/mqtt.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT = 0x10, PUBLISH_QOS1 = 0x32, DISCONNECT = 0xe0, CLEAN_SESSION = 2, LEVEL_3_1_1 = 4, PUBACK_BYTES = 4 };

static size_t put_text(unsigned char *at, const char *text)
{
        size_t len = strlen(text);

        at[0] = (unsigned char)(len >> 8);
        at[1] = (unsigned char)len;
        memcpy(at + 2, text, len);
        return len + 2;
}

/* Lengths up to 16383 as MQTT writes them: two bytes, seven bits each. */
static size_t put_head(unsigned char *at, int type, size_t len)
{
        at[0] = (unsigned char)type;
        at[1] = (unsigned char)(0x80 | (len & 0x7f));
        at[2] = (unsigned char)(len >> 7);
        return 3;
}

static int connect_tcp(const char *host, int port, struct err *e)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
        struct timeval within = {.tv_sec = 5};
        char service[8];
        int fd = -1, r;

        snprintf(service, sizeof(service), "%d", port);
        r = getaddrinfo(host, service, &hints, &all);
        if (r)
                return err_set(e, "MQTT broker %s: %s", host, gai_strerror(r));
        for (a = all; a; a = a->ai_next) {
                fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
                if (fd < 0)
                        continue;
                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof(within));
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof(within));
                if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
                        break;
                close(fd);
                fd = -1;
        }
        freeaddrinfo(all);
        return fd < 0 ? err_errno(e, "MQTT broker %s:%d", host, port) : fd;
}

static int greet(int fd, const char *client_id, struct err *e)
{
        unsigned char packet[256], answer[4];
        size_t at, len = 2 + 4 + 1 + 1 + 2 + 2 + strlen(client_id);

        at = put_head(packet, CONNECT, len);
        at += put_text(packet + at, "MQTT");
        packet[at++] = LEVEL_3_1_1;
        packet[at++] = CLEAN_SESSION;
        packet[at++] = 0;
        packet[at++] = 0;
        at += put_text(packet + at, client_id);
        if (send(fd, packet, at, MSG_NOSIGNAL) != (ssize_t)at || recv(fd, answer, 4, MSG_WAITALL) != 4)
                return err_errno(e, "the MQTT broker does not answer");
        return answer[3] ? err_set(e, "the MQTT broker refuses the demo's sensor (code %d)", answer[3]) : 0;
}

int demo_mqtt_open(struct demo_mqtt *m, const char *host, int port, const char *client_id, struct err *e)
{
        *m = (struct demo_mqtt){.fd = connect_tcp(host, port, e)};
        if (m->fd < 0)
                return -1;
        if (greet(m->fd, client_id, e) == 0)
                return fcntl(m->fd, F_SETFL, O_NONBLOCK);
        close(m->fd);
        m->fd = -1;
        return -1;
}

bool demo_mqtt_publish(struct demo_mqtt *m, const char *topic, const char *payload)
{
        unsigned char packet[1024];
        size_t len = 2 + strlen(topic) + 2 + strlen(payload), at;

        if (m->fd < 0 || len > sizeof(packet) - 3)
                return false;
        m->packet_id = m->packet_id == UINT16_MAX ? 1 : (uint16_t)(m->packet_id + 1);
        at = put_head(packet, PUBLISH_QOS1, len);
        at += put_text(packet + at, topic);
        packet[at++] = (unsigned char)(m->packet_id >> 8);
        packet[at++] = (unsigned char)m->packet_id;
        memcpy(packet + at, payload, strlen(payload));
        at += strlen(payload);
        if (send(m->fd, packet, at, MSG_NOSIGNAL) != (ssize_t)at) {
                demo_mqtt_close(m);
                return false;
        }
        m->published++;
        return true;
}

uint64_t demo_mqtt_acked(struct demo_mqtt *m)
{
        unsigned char acks[4096];
        ssize_t n;

        while (m->fd >= 0 && (n = recv(m->fd, acks, sizeof(acks), MSG_DONTWAIT)) > 0)
                m->ack_bytes += (uint64_t)n;
        return m->ack_bytes / PUBACK_BYTES;
}

void demo_mqtt_close(struct demo_mqtt *m)
{
        static const unsigned char bye[2] = {DISCONNECT, 0};

        if (m->fd < 0)
                return;
        (void)!send(m->fd, bye, sizeof(bye), MSG_NOSIGNAL);
        close(m->fd);
        m->fd = -1;
}
