/*
 * mock_kafka: librdkafka's cluster in memory, for a gateway that runs elsewhere: prints host:port, and ends with its
 * input.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

int main(void)
{
        char why[256];
        rd_kafka_conf_t *quiet = rd_kafka_conf_new();
        rd_kafka_t *host;
        rd_kafka_mock_cluster_t *cluster;

        rd_kafka_conf_set_log_cb(quiet, NULL);
        host = rd_kafka_new(RD_KAFKA_PRODUCER, quiet, why, sizeof(why));
        cluster = host ? rd_kafka_mock_cluster_new(host, 1) : NULL;
        if (!cluster) {
                fputs("no cluster could be made\n", stderr);
                return 1;
        }
        printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
        fflush(stdout);
        while (getchar() != EOF)
                continue;
        rd_kafka_mock_cluster_destroy(cluster);
        rd_kafka_destroy(host);
        return 0;
}
