# Kafka Connect, one worker, with the file sink: the readings as lines of a file. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${CONNECT_GROUP:=connect$GROUP_SUFFIX}" "${CONNECT_REPLICAS:=1}"
connect_how=bytes
connect_file=$run/connect/data/samples.jsonl

# The sink is a plugin: in a folder of its own, or its worker would load it twice.
connect_fetch()
{
        jars connect
        connect_jars=$jars
        if [ ! -d "$jars/plugins" ]; then
                mkdir -p "$jars/plugins.new/file" && mv "$jars"/connect-file-*.jar "$jars/plugins.new/file/" && mv "$jars/plugins.new" "$jars/plugins"
        fi
}

connect_start()
{
        local PLUGINS=$connect_jars/plugins CONNECT_SECURITY
        ! pid_of connect >/dev/null || return 0
        CONNECT_SECURITY=$(kafka_client java | sed 'p; s/^/consumer./p; s/^consumer/producer/')
        mkdir -p "$run/connect/data"
        connect_mend
        (umask 077 && fill "$cloud/connect/connect.properties" >"$run/connect/connect.properties")
        service connect java -Xms64m -Xmx192m "${java_small[@]}" "-Dlog4j.configuration=file:$cloud/kafka/log4j.properties" \
                -cp "$connect_jars/*" org.apache.kafka.connect.cli.ConnectDistributed "$run/connect/connect.properties"
}

# A crash may leave half a line, which the worker would go on behind. Its record is not committed, and comes again.
connect_mend()
{
        [ ! -s "$connect_file" ] || [ "$(tail -c 1 "$connect_file" | wc -l)" = 1 ] || truncate -s -"$(tail -n 1 "$connect_file" | wc -c)" "$connect_file"
}

connect_ready()
{
        local FILE=$connect_file
        await connect 300 http "127.0.0.1:$CONNECT_PORT/connectors"
        fill "$cloud/connect/file-sink.json" |
                await connect 120 http -X PUT -H 'content-type: application/json' "127.0.0.1:$CONNECT_PORT/connectors/file$GROUP_SUFFIX/config" --data-binary @-
}

connect_stop()
{
        end connect 30
}

connect_count()
{
        wc -l <"$connect_file"
}

connect_crash()
{
        crash connect
        connect_start
        connect_ready
}

connect_dump()
{
        cat "$connect_file"
}

connect_peak()
{
        peak connect
}

connect_look()
{
        cat <<END
  Connect        http://127.0.0.1:$CONNECT_PORT/connectors/file$GROUP_SUFFIX/status
                 the readings as lines:  tail -f $connect_file
END
}
