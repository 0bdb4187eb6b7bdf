# Storm over the readings: a limit for each tag, alerts to Kafka. On one machine all of Storm is one process. Sourced by the scripts of
# packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${ALERTS_TOPIC:=edge_alerts_v1$GROUP_SUFFIX}" "${STORM_GROUP:=storm$GROUP_SUFFIX}" "${STORM_TASKS:=2}"
# tag:limit:deadband,... For a proof those of the load, or what no alarm of the gateway says.
if [ -n "$GROUP_SUFFIX" ]; then : "${LIMITS:=temp:72:2,vib:8:1}"; else : "${LIMITS:=pressure:205:5}"; fi
storm_how=fields
storm_only=id,state,value,ts_us,sample_id

storm_fetch()
{
        jars storm
        storm_jars=$jars
        storm_java=$(java_of 17)
        storm_classes=$(launcher "$storm_java" storm Watch)
}

# As "storm local" of a distribution does: Nimbus, a supervisor, its workers and a ZooKeeper within the process, for so many seconds. The jar
# would be sent to the workers; here they have all classes.
storm_start()
{
        "$cloud/topics/topics" --partitions 3 --replicas 1 --quiet --also "$ALERTS_TOPIC" || die "no topic for Storm's alerts"
        mkdir -p "$run/storm/tmp"
        [ ! -e "$run/storm/log" ] || pid_of storm >/dev/null || mv "$run/storm/log" "$run/storm/log.before"
        service storm env KAFKA_BROKERS="$KAFKA_BROKERS" KAFKA_CLIENT="$(kafka_client java)" TOPICS="$SAMPLES_TOPIC" ALERTS_TOPIC="$ALERTS_TOPIC" \
                STORM_GROUP="$STORM_GROUP" STORM_TASKS="$STORM_TASKS" LIMITS="$LIMITS" "$storm_java" -Xms128m -Xmx384m "${java_small[@]}" \
                -Dstorm.local.sleeptime=1000000000 "-Dstorm.jar=$(echo "$storm_jars"/storm-kafka-client-*.jar)" \
                "-Dlog4j2.configurationFile=$cloud/storm/log4j2.xml" "-Djava.io.tmpdir=$run/storm/tmp" \
                -cp "$storm_classes:$storm_jars/*" org.apache.storm.LocalCluster Watch
}

storm_ready()
{
        await storm 120 grep -q 'Partitions assignment' "$run/storm/log"
}

storm_stop()
{
        end storm 20
}

storm_count()
{
        "$cloud/kafka/behind" "$STORM_GROUP" "$SAMPLES_TOPIC"
}

storm_crash()
{
        crash storm
        storm_start
        storm_ready
}

# What it is held against is not the ledger but the alerts that it makes.
storm_ledger()
{
        "$cloud/storm/expected" "$LIMITS" "$1"
}

storm_dump()
{
        "$cloud/kafka/dump" "$ALERTS_TOPIC" | grep '"by":"storm"'
}

storm_peak()
{
        peak storm
}

storm_look()
{
        cat <<END
  Storm          $LIMITS (tag:limit:deadband): alerts in $ALERTS_TOPIC
                 how late they are:      KAFKA_BROKERS=$KAFKA_BROKERS $cloud/kafka/latency $ALERTS_TOPIC 180 by=storm
END
}
