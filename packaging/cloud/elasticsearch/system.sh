# Elasticsearch 7.17, and Camel that brings it readings and events from Kafka; or rsyslog, with CARRIER=rsyslog: see README.md for what that
# loses. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=packaging/cloud/camel/carrier.sh
. "$cloud/camel/carrier.sh"

: "${ELASTICSEARCH_TRANSPORT_PORT:=19301}" "${ELASTICSEARCH_URL:=http://127.0.0.1:$ELASTICSEARCH_PORT}" "${ELASTICSEARCH_CURL:=}"
: "${SHARDS:=1}" "${REPLICAS:=0}" "${ELASTICSEARCH_LOGIN:=}" "${RSYSLOG_LOGIN:=}" "${CARRIER:=camel}"
elasticsearch_how=bytes

elasticsearch_fetch()
{
        case $CARRIER in
        rsyslog)
                command -v rsyslogd >/dev/null || PATH=$PATH:/usr/sbin
                command -v rsyslogd >/dev/null || die "rsyslog is missing: packaging/deps install cloud"
                ;;
        camel) carrier_fetch ;;
        *) die "CARRIER=$CARRIER: camel or rsyslog" ;;
        esac
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
        await elasticsearch 300 http "$ELASTICSEARCH_URL/_cluster/health?wait_for_status=yellow&timeout=20s"
        elasticsearch_templates
        if [ "$CARRIER" = camel ]; then
                carrier to-elasticsearch elasticsearch
        else
                elasticsearch_rsyslog
        fi
}

elasticsearch_rsyslog()
{
        local DATA=$run/to-elasticsearch/data KAFKA_PARAMS ELASTICSEARCH_SERVERS=\"$ELASTICSEARCH_URL\" BROKER_LIST=\"${KAFKA_BROKERS//,/\",\"}\"
        mkdir -p "$DATA"
        KAFKA_PARAMS=$(printf '%s\n' auto.offset.reset=earliest session.timeout.ms=10000 enable.partition.eof=false "$(kafka_client librdkafka)" |
                sed 's/.*/"&"/' | paste -sd ,)
        (umask 077 && fill "$cloud/elasticsearch/rsyslog.conf" >"$DATA/../rsyslog.conf")
        service to-elasticsearch rsyslogd -n -iNONE -f "$run/to-elasticsearch/rsyslog.conf"
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
        await to-elasticsearch 180 elasticsearch_count
}

elasticsearch_stop()
{
        end to-elasticsearch 20
        end elasticsearch 30
}

elasticsearch_count()
{
        http "$ELASTICSEARCH_URL/$SAMPLES_TOPIC*/_count" | sed -n 's/^{"count":\([0-9]*\).*/\1/p'
}

# The index; and when it is back, what carries, which holds most then. rsyslog is left alone: that it loses is known.
elasticsearch_crash()
{
        crash elasticsearch
        sleep 2
        elasticsearch_start_index
        await elasticsearch 300 http "$ELASTICSEARCH_URL/_cluster/health/$SAMPLES_TOPIC?wait_for_status=yellow&timeout=20s"
        [ "$CARRIER" = camel ] || return 0
        crash to-elasticsearch
        elasticsearch_start_carrier
}

elasticsearch_dump()
{
        "$cloud/opensearch/dump" "$ELASTICSEARCH_URL" "$SAMPLES_TOPIC" --bytes
}

elasticsearch_peak()
{
        echo "$(peak elasticsearch) and $(peak to-elasticsearch)"
}

elasticsearch_look()
{
        cat <<END
  Elasticsearch  $ELASTICSEARCH_URL
                 curl -s '$ELASTICSEARCH_URL/$SAMPLES_TOPIC/_search?q=tag:temp+AND+value:>90&pretty'
END
}
