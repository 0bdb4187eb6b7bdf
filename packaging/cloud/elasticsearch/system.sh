# Elasticsearch 7.17, and rsyslog that brings it readings and events from Kafka. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${ELASTICSEARCH_TRANSPORT_PORT:=19301}" "${ELASTICSEARCH_URL:=http://127.0.0.1:$ELASTICSEARCH_PORT}" "${ELASTICSEARCH_CURL:=}"
: "${SHARDS:=1}" "${REPLICAS:=0}" "${COMMIT_MS:=5000}" "${QUEUE:=Disk}" "${ELASTICSEARCH_LOGIN:=}"
elasticsearch_how=bytes

elasticsearch_fetch()
{
        command -v rsyslogd >/dev/null || PATH=$PATH:/usr/sbin
        command -v rsyslogd >/dev/null || die "rsyslog is missing: apt-get install --no-install-recommends rsyslog rsyslog-kafka rsyslog-elasticsearch"
        jars elasticsearch
        elasticsearch_jars=$jars
        elasticsearch_java=$(java_of 17)
        elasticsearch_classes=$(launcher "$elasticsearch_java" elasticsearch Elasticsearch)
}

elasticsearch_start()
{
        elasticsearch_start_index
        elasticsearch_start_carrier
}

elasticsearch_start_index()
{
        local DATA=$run/elasticsearch/data home=$run/elasticsearch
        ! pid_of elasticsearch >/dev/null || return 0
        mkdir -p "$home/config" "$DATA"
        fill "$cloud/elasticsearch/elasticsearch.yml" >"$home/config/elasticsearch.yml"
        service elasticsearch "$elasticsearch_java" -Xms192m -Xmx320m "${java_small[@]}" -Djava.security.manager=allow -Djna.nosys=true \
                -Dlog4j2.disable.jmx=true "-Dlog4j.configurationFile=$cloud/elasticsearch/log4j2.properties" "-Des.path.home=$home" \
                -cp "$elasticsearch_classes:$elasticsearch_jars/*" Elasticsearch "$home"
}

# Not before the templates are there: a document would make an index without them.
elasticsearch_start_carrier()
{
        local DATA=$run/elasticsearch/rsyslog KAFKA_PARAMS ELASTICSEARCH_SERVERS=\"$ELASTICSEARCH_URL\" BROKER_LIST=\"${KAFKA_BROKERS//,/\",\"}\"
        ! pid_of rsyslog >/dev/null || return 0
        await elasticsearch 120 http "$ELASTICSEARCH_URL/_cluster/health?wait_for_status=yellow&timeout=20s"
        elasticsearch_templates
        mkdir -p "$DATA"
        KAFKA_PARAMS=$(printf '%s\n' auto.offset.reset=earliest session.timeout.ms=10000 enable.partition.eof=false "auto.commit.interval.ms=$COMMIT_MS" "$(kafka_client librdkafka)" |
                sed 's/.*/"&"/' | paste -sd ,)
        (umask 077 && fill "$cloud/elasticsearch/rsyslog.conf" >"$run/elasticsearch/rsyslog.conf")
        service rsyslog rsyslogd -n -iNONE -f "$run/elasticsearch/rsyslog.conf"
}

# shellcheck disable=SC2086 # words for curl
elasticsearch_templates()
{
        local what PATTERN
        for what in samples events; do
                PATTERN="$SAMPLES_TOPIC*"
                [ $what = samples ] || PATTERN="$EVENTS_TOPIC*"
                fill "$cloud/elasticsearch/$what.json" | http $ELASTICSEARCH_CURL -o /dev/null -X PUT -H 'content-type: application/json' \
                        "$ELASTICSEARCH_URL/_index_template/millrace-$what" --data-binary @- || die "the template of $what was refused"
        done
}

elasticsearch_ready()
{
        await rsyslog 10 elasticsearch_count
}

elasticsearch_stop()
{
        end rsyslog 20
        end elasticsearch 30
}

elasticsearch_count()
{
        http "$ELASTICSEARCH_URL/$SAMPLES_TOPIC*/_count" | sed -n 's/^{"count":\([0-9]*\).*/\1/p'
}

# Both: first the index, then, when it is back, what carries.
elasticsearch_crash()
{
        crash elasticsearch
        sleep 2
        elasticsearch_start_index
        await elasticsearch 120 http "$ELASTICSEARCH_URL/_cluster/health/$SAMPLES_TOPIC?wait_for_status=yellow&timeout=20s"
        crash rsyslog
        elasticsearch_start_carrier
}

elasticsearch_dump()
{
        "$cloud/opensearch/dump" "$ELASTICSEARCH_URL" "$SAMPLES_TOPIC" --bytes
}

elasticsearch_peak()
{
        echo "$(peak elasticsearch) and $(peak rsyslog)"
}

elasticsearch_look()
{
        cat <<END
  Elasticsearch  $ELASTICSEARCH_URL
                 curl -s '$ELASTICSEARCH_URL/$SAMPLES_TOPIC/_search?q=tag:temp+AND+value:>90&pretty'
END
}
