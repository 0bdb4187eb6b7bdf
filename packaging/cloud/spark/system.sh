# Spark Structured Streaming over the readings: windows and a detector. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${ALERTS_TOPIC:=edge_alerts_v1$GROUP_SUFFIX}" "${WINDOWS_TOPIC:=edge_windows_v1$GROUP_SUFFIX}" "${WATERMARK:=2 minutes}"
: "${VERIFICATIONS_TOPIC:=edge_verifications_v1$GROUP_SUFFIX}" "${SPARK_JOB:=watch}" # watch or fraud
spark_how=fields
spark_only=id,n,min,max
spark_clock=${GROUP_SUFFIX:+edge_clock$GROUP_SUFFIX}

spark_fetch()
{
        jars spark
        spark_jars=$jars
        wheels spark
        spark_python=$wheels
}

spark_start()
{
        "$cloud/topics/topics" --partitions 3 --replicas 1 --quiet --also "$ALERTS_TOPIC" --also "$WINDOWS_TOPIC" --also "$VERIFICATIONS_TOPIC" \
                ${spark_clock:+--also "$spark_clock"} || die "no topics for Spark"
        mkdir -p "$run/spark/data"
        [ ! -e "$run/spark/log" ] || pid_of spark >/dev/null || mv "$run/spark/log" "$run/spark/log.before"
        service spark env PYTHONPATH="$spark_python" PYSPARK_PYTHON=/usr/bin/python3 SPARK_JARS="$spark_jars" STATE="$run/spark/data" \
                KAFKA_BROKERS="$KAFKA_BROKERS" KAFKA_CLIENT="$(kafka_client java)" TOPICS="$SAMPLES_TOPIC,$BACKFILL_TOPIC${spark_clock:+,$spark_clock}" \
                ALERTS_TOPIC="$ALERTS_TOPIC" WINDOWS_TOPIC="$WINDOWS_TOPIC" WATERMARK="$WATERMARK" VERIFICATIONS_TOPIC="$VERIFICATIONS_TOPIC" \
                WINDOWS_EVERY="${WINDOWS_EVERY:-${spark_clock:+2 seconds}}" \
                /usr/bin/python3 "$cloud/spark/$SPARK_JOB.py"
}

spark_ready()
{
        await spark 300 grep -q '^started' "$run/spark/log"
}

# The driver is a Java process under the Python one: both, and all that they started, to the last of them. Its Python workers have a group of their
# own and end with it.
spark_stop()
{
        local pid left=150
        pid=$(pid_of spark) || return 0
        kill -- "-$pid"
        while [ $left -gt 0 ] && [ -n "$(ps -o pid= -s "$pid")" ]; do
                sleep 0.2
                left=$((left - 1))
        done
        [ $left -gt 0 ] || ps -o pid= -s "$pid" | xargs -r kill -9
}

# spark_count [TOPIC]: how many records the query that writes TOPIC (default: windows) has behind it: the offsets of its last whole batch.
spark_count()
{
        local done=$run/spark/data/${1:-$WINDOWS_TOPIC} last
        last=$(find "$done/commits" -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort -n | tail -n 1)
        [ -z "$last" ] || tail -n 1 "$done/offsets/$last" | grep -o ':[0-9]*' | tr -d : | awk '{n += $1} END {print n + 0}'
}

spark_crash()
{
        local pid
        pid=$(pid_of spark) || die "Spark is not running"
        kill -9 -- "-$pid"
        sleep 1
        spark_start
        spark_ready
}

# What a sink is held against is not the ledger but the windows that it makes.
spark_ledger()
{
        "$cloud/spark/expected" "$1"
}

# A reading of the future closes the windows that wait for one; it is in a topic of its own, so that no other system has it.
spark_dump()
{
        "$cloud/spark/settle" "$spark_clock" "$WINDOWS_TOPIC" >&2 && "$cloud/kafka/dump" "$WINDOWS_TOPIC" | grep -v '"source":"tank-1"'
}

spark_peak()
{
        peak spark
}
