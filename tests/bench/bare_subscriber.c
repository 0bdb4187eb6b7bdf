/*
 * bare_subscriber: as little as a subscriber of libmosquitto can do, to compare
 * the agent's intake with.  It counts messages at QoS 1 and acknowledges them
 * by the library's own hand; nothing is parsed, kept or sent on.
 *
 * usage: bare_subscriber PORT TOPIC MESSAGES
 * With MESSAGES 0 it only makes its session.  A line is written at a tenth of
 * MESSAGES and at the last; exit status 1: no connection, or it ended.
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>

static long n_wanted, n_seen;

static void on_connect(struct mosquitto *m, void *topic, int rc)
{
        if (rc || mosquitto_subscribe(m, NULL, topic, 1))
                exit(1);
}

static void on_subscribe(struct mosquitto *m, void *topic, int mid, int n, const int *granted)
{
        (void)topic, (void)mid, (void)n, (void)granted;
        if (!n_wanted)
                mosquitto_disconnect(m);
}

static void on_message(struct mosquitto *m, void *topic, const struct mosquitto_message *message)
{
        (void)topic, (void)message;
        n_seen++;
        if (n_seen == n_wanted / 10 || n_seen == n_wanted) {
                printf("%ld\n", n_seen);
                fflush(stdout);
        }
        if (n_seen == n_wanted)
                mosquitto_disconnect(m);
}

int main(int argc, char **argv)
{
        struct mosquitto *m;
        int rc;

        if (argc != 4)
                return 2;
        n_wanted = atol(argv[3]);
        mosquitto_lib_init();
        m = mosquitto_new("bare", false, argv[2]);
        if (!m)
                return 1;
        mosquitto_connect_callback_set(m, on_connect);
        mosquitto_subscribe_callback_set(m, on_subscribe);
        mosquitto_message_callback_set(m, on_message);
        rc = mosquitto_connect(m, "127.0.0.1", atoi(argv[1]), 60);
        if (!rc)
                rc = mosquitto_loop_forever(m, -1, 1);
        mosquitto_destroy(m);
        mosquitto_lib_cleanup();
        return rc == MOSQ_ERR_SUCCESS && n_seen == n_wanted ? 0 : 1;
}
