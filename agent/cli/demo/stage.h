/*
 * stage: what the demo plays on: the factory, the gateway and Kafka, as running
 * processes, and the numbers they tell. One thread; blocking, bounded.
 */
#ifndef MILLRACE_CLI_DEMO_STAGE_H
#define MILLRACE_CLI_DEMO_STAGE_H

#include <signal.h>
#include <stdint.h>

#include "agent/cli/cli.h"
#include "agent/cli/demo/mqtt.h"
#include "agent/cli/demo/parts.h"
#include "drivers/mqtt/mqtt.h"

enum { TICK_MS = 200, START_WITHIN_MS = 10000, LINE_MAX = 4096 };

struct numbers {
        uint64_t accepted, delivered, held, dropped;
};

struct demo {
        struct cli *c;
        char dir[PART_PATH_MAX / 2], gateway[32], brokers[256];
        struct mqtt_url url;
        struct part mosquitto, millraced, kafka, page;
        int page_port; /* 0: there is none */
        int to_kafka, from_kafka;
        char line[LINE_MAX]; /* of the Kafka side, being read */
        size_t line_len;
        struct demo_mqtt sensor;
        uint64_t distinct, twice; /* consumed */
        char record[LINE_MAX];    /* the last one consumed */
        struct numbers now, before;
        uint64_t from_mqtt; /* readings the agent took from the sensor */
        bool down, shown_record, drained;
        uint64_t outage_from_s, outage_to_s; /* 0: none */
        uint64_t most_held, held_before;     /* in the outage; before it */
};

extern volatile sig_atomic_t stage_interrupted; /* the signal's number; every wait ends soon after */

/*
 * Starts all parts. 0; or -1 with a sentence, and stage_close is still needed.
 */
int stage_open(struct demo *d, struct err *e);
void stage_close(struct demo *d); /* stops what runs and removes the directory */

int stage_ask(struct demo *d, struct err *e);        /* the daemon's numbers into d->now; 0, or as ctl_ask */
int stage_read_spool(struct demo *d, struct err *e); /* the same from the file, when the daemon has ended */
void stage_publish(struct demo *d, unsigned tick);   /* the MQTT sensor's next values */

/*
 * Takes in what the Kafka side has said within `wait_ms`. False: it has ended.
 */
bool stage_listen(struct demo *d, int wait_ms);
void stage_tell_kafka(struct demo *d, const char *what); /* "down\n", "up\n" */

#endif
