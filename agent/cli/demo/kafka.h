/*
 * kafka: the demo's Kafka, and the eyes that read it back.  Runs in a child
 * process, so that the cluster's memory is not the agent's, and speaks lines:
 * "ready BROKERS" first, then a few times a second "n DISTINCT DOUBLE RECORD".
 * It takes "down" and "up", and ends when its input ends.
 */
#ifndef MILLRACE_CLI_DEMO_KAFKA_H
#define MILLRACE_CLI_DEMO_KAFKA_H

/*
 * Never returns. `brokers` NULL: a cluster of its own, in memory. Counts the
 * records whose key begins with `key_prefix`.
 */
_Noreturn void demo_kafka_run(int in, int out, const char *brokers, const char *topic, const char *key_prefix);

#endif
