# Cassandra 5, and Camel that brings it the readings from Kafka. Sourced by the scripts of packaging/cloud. ScyllaDB takes the same schema and
# the same route; it is in no registry that this folder fetches from, and has not been run.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=packaging/cloud/camel/carrier.sh
. "$cloud/camel/carrier.sh"

: "${CASSANDRA_STORAGE_PORT:=19700}" "${CASSANDRA_HOSTS:=127.0.0.1}" "${CASSANDRA_DATACENTER:=datacenter1}" "${CASSANDRA_KEYSPACE:=edge}"
: "${CASSANDRA_REPLICATION:={'class': 'SimpleStrategy', 'replication_factor': 1\}}" "${CASSANDRA_CONSISTENCY:=LOCAL_QUORUM}" "${CASSANDRA_TTL:=0}"
: "${CASSANDRA_USER:=}" "${CASSANDRA_PASSWORD_FILE:=}"
: "${CASSANDRA_LABELS:=line}" # members more, which the gateways' topics give a reading: texts
cassandra_how=fields
cassandra_floats=value,min,max

cassandra_fetch()
{
        local wanted
        carrier_fetch
        jars cassandra
        cassandra_jars=$jars
        cassandra_java=$(java_of 17)
        wanted=$(sha256sum <"$cloud/cassandra/requirements.txt" | cut -c1-8)
        cassandra_python=$cache/cassandra-$wanted
        if [ ! -d "$cassandra_python" ]; then
                rm -rf "$cassandra_python.new"
                python3 -m pip install -q --target "$cassandra_python.new" -r "$cloud/cassandra/requirements.txt" >&2 || die "pip could not fetch the driver of Cassandra"
                mv "$cassandra_python.new" "$cassandra_python"
        fi
}

cassandra_cql()
{
        PYTHONPATH=$cassandra_python CASSANDRA_HOSTS=$CASSANDRA_HOSTS CASSANDRA_PORT=$CASSANDRA_PORT CASSANDRA_USER=$CASSANDRA_USER \
                CASSANDRA_PASSWORD_FILE=$CASSANDRA_PASSWORD_FILE python3 "$cloud/cassandra/cql" "$1"
}

cassandra_start()
{
        cassandra_start_store
        cassandra_start_carrier
}

cassandra_start_store()
{
        local DATA=$run/cassandra/data
        ! pid_of cassandra >/dev/null || return 0
        mkdir -p "$DATA/tmp"
        fill "$cloud/cassandra/cassandra.yaml" >"$run/cassandra/cassandra.yaml"
        service cassandra "$cassandra_java" "@$cloud/cassandra/java.options" -Xms256m -Xmx320m -Xss512k "${java_small[@]}" -XX:MaxDirectMemorySize=96m \
                "-Djava.io.tmpdir=$DATA/tmp" "-Dcassandra.config=file://$run/cassandra/cassandra.yaml" "-Dcassandra.storagedir=$DATA" \
                "-Dlogback.configurationFile=file://$cloud/cassandra/logback.xml" -Dcassandra-foreground=yes -Dcassandra.superuser_setup_delay_ms=0 \
                -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=0 -cp "$cassandra_jars/*" org.apache.cassandra.service.CassandraDaemon
}

# Not before the table is there, with a column for each label.
cassandra_start_carrier()
{
        local CASSANDRA_LOGIN='' label
        await cassandra 180 cassandra_cql "$(fill "$cloud/cassandra/schema.cql")"
        for label in ${CASSANDRA_LABELS//,/ }; do
                cassandra_cql "ALTER TABLE $CASSANDRA_KEYSPACE.$SAMPLES_TOPIC ADD IF NOT EXISTS \"$label\" text" || die "no column for $label"
        done
        [ -z "$CASSANDRA_USER" ] || CASSANDRA_LOGIN=$(printf 'username=%s\npassword=%s' "$CASSANDRA_USER" "$(head -n 1 "$CASSANDRA_PASSWORD_FILE")")
        carrier to-cassandra cassandra
}

cassandra_ready()
{
        await to-cassandra 20 port_answers "$CASSANDRA_PORT"
}

cassandra_stop()
{
        end to-cassandra 30
        end cassandra 30
}

# It reads the whole table: not one after the other. What carries could be asked how far it is, but what it commits of a batch is the place of its
# last record, in one partition.
cassandra_count()
{
        sleep 2
        cassandra_cql "SELECT count(*) AS n FROM $CASSANDRA_KEYSPACE.$SAMPLES_TOPIC" | tr -dc 0-9
}

# What carries, and the store under it.
cassandra_crash()
{
        crash to-cassandra
        cassandra_start_carrier
        sleep 5
        crash cassandra
        sleep 5
        cassandra_start
}

# "day" is no member of a record.
cassandra_dump()
{
        cassandra_cql "SELECT * FROM $CASSANDRA_KEYSPACE.$SAMPLES_TOPIC" | sed 's/"day": "[0-9-]*", //'
}

cassandra_peak()
{
        echo "$(peak cassandra) and $(peak to-cassandra)"
}

cassandra_look()
{
        cat <<END
  Cassandra      $CASSANDRA_HOSTS:$CASSANDRA_PORT, table $CASSANDRA_KEYSPACE.$SAMPLES_TOPIC
                 PYTHONPATH=$cassandra_python CASSANDRA_PORT=$CASSANDRA_PORT $cloud/cassandra/cql "SELECT ts, value FROM $CASSANDRA_KEYSPACE.$SAMPLES_TOPIC WHERE gateway = 'gw-demo' AND source = 'press-1' AND tag = 'temp' AND day = '$(date -u +%F)' LIMIT 10"
END
}
