# What the two use cases share: a broker of their own, people, and one job of Spark. Sourced by uses/a and uses/b, behind lib.sh.
# shellcheck shell=bash disable=SC2154,SC2034

run=$run/uses
folder=$run/proof
export MILLRACE_CLOUD_RUN=$run OPENSEARCH_URL=http://127.0.0.1:$OPENSEARCH_PORT SAMPLES_TOPIC
failed=0
with kafka && with gateway && with people && with spark

us()
{
        date +%s%6N
}

# since US: whole seconds
since()
{
        local now
        now=$(us)
        echo $(((now - $1) / 1000000))
}

# judge NAME COMMAND...: runs it, and remembers that it failed.
judge()
{
        local name=$1
        shift
        if "$@"; then
                say "$name: yes"
        else
                say "$name: NO"
                failed=$((failed + 1))
        fi
}

load()
{
        cut -d' ' -f1-3 /proc/loadavg
}

# all_of NAME SIGNAL: to the service and what it started.
all_of()
{
        local pid
        pid=$(pid_of "$1") && kill "-$2" -- "-$pid"
}

# fresh SYSTEM...: fetched and started, with nothing in it.
fresh()
{
        local system
        for system; do
                with "$system"
                "${system}_fetch"
                "${system}_start"
                "${system}_ready" || die "$system is not ready"
                say "$system is ready"
        done
}

listen()
{
        mkdir -p "$folder"
        service heard mosquitto_sub -p "$MQTT_PORT" -t 'millrace/+/alarm/#' -F '%U %p'
}

lines_with()
{
        grep -c "$1" "$2" 2>/dev/null
}

# told_by WHO N: people have so many messages of it by webhook.
told_by()
{
        [ "$(lines_with "\"webhook\".*\"id\": \"$1" "$run/people/inbox.jsonl")" -ge "$2" ]
}

# spark_caught_up TOPIC: the query that writes TOPIC has all readings behind it.
spark_caught_up()
{
        [ "$(spark_count "$1")" -ge "$("$cloud/kafka/dump" "$SAMPLES_TOPIC" "$BACKFILL_TOPIC" | wc -l)" ]
}

# people_caught_up TOPIC: they were told of all that is in TOPIC, and of the gateways' events.
people_caught_up()
{
        local topic
        for topic in "$EVENTS_TOPIC" "$1"; do
                [ "$("$cloud/kafka/behind" "people$GROUP_SUFFIX" "$topic")" -ge "$("$cloud/kafka/dump" "$topic" | wc -l)" ] || return
        done
}

# collect TOPIC: what the verdict is about, once nothing more comes.
collect()
{
        "$cloud/kafka/dump" "$EVENTS_TOPIC" >"$folder/events"
        "$cloud/kafka/dump" "$1" >"$folder/alerts"
        cp "$run/people/inbox.jsonl" "$folder/inbox.jsonl"
        cp "$run/heard/log" "$folder/heard"
}

finish()
{
        all_of relay CONT
        all_of motors KILL
        all_of relay KILL
        end heard 5
        spark_stop
        people_stop
        [ "$(type -t opensearch_stop)" != function ] || opensearch_stop
        gateway_name=near gateway_stop
        gateway_stop
        kafka_stop
}

# finish_with NAME: the last line, and the exit status.
finish_with()
{
        say "load of the machine: $(load)"
        if [ "$failed" -gt 0 ]; then
                echo "use case $1: FAILED"
                return 1
        fi
        echo "use case $1: passed"
}
