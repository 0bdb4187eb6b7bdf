# One Kafka broker (KRaft) on this machine, with the topics of topics/. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

kafka_fetch()
{
        jars=$("$root/packaging/deps" kafka) || die "no Kafka"
}

kafka_start()
{
        local DATA=$run/kafka/data properties=$run/kafka/server.properties
        local java=(java -Xmx256m "${java_small[@]}" "-Dlog4j.configuration=file:$cloud/kafka/log4j.properties" -cp "$jars/*")
        ! pid_of kafka >/dev/null || return 0
        mkdir -p "$run/kafka"
        fill "$cloud/kafka/server.properties" >"$properties"
        if [ ! -e "$DATA/meta.properties" ]; then
                "${java[@]}" kafka.tools.StorageTool format -t AAAAAAAAQACAAAAAAAAAAQ -c "$properties" >"$run/kafka/format.log" 2>&1 ||
                        { cat "$run/kafka/format.log" >&2; die "Kafka's folder $DATA can't be made"; }
        fi
        service kafka "${java[@]}" kafka.Kafka "$properties"
}

kafka_ready()
{
        await kafka 180 "$cloud/topics/topics" --brokers-only && "$cloud/topics/topics" --partitions 3 --replicas 1 --quiet
}

kafka_stop()
{
        end kafka 30
}
