# OpenSearch 3, which pulls readings and events from Kafka by itself. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${OPENSEARCH_TRANSPORT_PORT:=19300}" "${OPENSEARCH_URL:=http://127.0.0.1:$OPENSEARCH_PORT}"
opensearch_how=fields

opensearch_fetch()
{
        jars opensearch
        opensearch_jars=$jars
        opensearch_java=$(java_of 21)
        opensearch_classes=$(launcher "$opensearch_java" opensearch OpenSearch)
}

opensearch_start()
{
        local DATA=$run/opensearch/data home=$run/opensearch
        ! pid_of opensearch >/dev/null || return 0
        mkdir -p "$home/config" "$DATA"
        fill "$cloud/opensearch/opensearch.yml" >"$home/config/opensearch.yml"
        service opensearch "$opensearch_java" -Xms256m -Xmx384m "${java_small[@]}" --enable-native-access=ALL-UNNAMED -Djna.nosys=true \
                -Dlog4j2.disable.jmx=true "-Dlog4j.configurationFile=$cloud/opensearch/log4j2.properties" "-Dopensearch.path.home=$home" \
                -cp "$opensearch_classes:$opensearch_jars/*" OpenSearch "$home"
}

opensearch_ready()
{
        await opensearch 300 http "$OPENSEARCH_URL/_cluster/health?wait_for_status=yellow&timeout=20s"
        "$cloud/opensearch/indexes"
}

opensearch_stop()
{
        end opensearch 30
}

opensearch_count()
{
        http "$OPENSEARCH_URL/$SAMPLES_TOPIC/_count" | sed -n 's/^{"count":\([0-9]*\).*/\1/p'
}

opensearch_crash()
{
        crash opensearch
        opensearch_start
        await opensearch 300 http "$OPENSEARCH_URL/_cluster/health/$SAMPLES_TOPIC?wait_for_status=yellow&timeout=20s"
}

opensearch_dump()
{
        "$cloud/opensearch/dump" "$OPENSEARCH_URL" "$SAMPLES_TOPIC"
}

opensearch_peak()
{
        peak opensearch
}

opensearch_look()
{
        cat <<END
  OpenSearch     $OPENSEARCH_URL
                 all that are too hot:   curl -s '$OPENSEARCH_URL/$SAMPLES_TOPIC/_search?q=tag:temp+AND+value:>90&pretty'
                 in Korean, in a note:   mosquitto_pub -p $MQTT_PORT -t notes/assembly-1/packer-2 -m '압력센서를 교체하였다'
                                         curl -s -G '$OPENSEARCH_URL/$SAMPLES_TOPIC/_search?pretty' --data-urlencode 'q=value_str:교체'
                 alarms, the last first: curl -s '$OPENSEARCH_URL/$EVENTS_TOPIC/_search?sort=ts:desc&pretty'
END
}
