# HDFS: a NameNode and a DataNode, and Camel that brings them the readings from Kafka by WebHDFS. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=packaging/cloud/camel/carrier.sh
. "$cloud/camel/carrier.sh"

: "${HDFS_HTTP_PORT:=19870}" "${HDFS_DATA_PORT:=19866}" "${HDFS_DATA_IPC_PORT:=19867}" "${HDFS_DATA_HTTP_PORT:=19864}"
: "${HDFS_URL:=http://127.0.0.1:$HDFS_HTTP_PORT/webhdfs/v1}" "${HDFS_FOLDER:=/edge}" "${HDFS_USER:=millrace}" "${HDFS_LOGIN:=}"
hdfs_how=bytes
# Of a file. Small ones for a proof, which must find it in the middle.
if [ -n "$GROUP_SUFFIX" ]; then : "${HDFS_RECORDS:=1000}" "${HDFS_INTERVAL:=5000}"; else : "${HDFS_RECORDS:=20000}" "${HDFS_INTERVAL:=60000}"; fi

hdfs_fetch()
{
        carrier_fetch
        jars hdfs
        hdfs_jars=$jars
        hdfs_java=$(java_of 17)
}

hdfs_start()
{
        hdfs_start_store
        hdfs_start_carrier
}

hdfs_start_store()
{
        local DATA=$run/hdfs/data node=("$hdfs_java" -Xms64m -Xmx192m "${java_small[@]}" "-Dlog4j.configuration=file:$cloud/kafka/log4j.properties"
                -cp "$run/hdfs/conf:$hdfs_jars/*")
        mkdir -p "$run/hdfs/conf" "$DATA/tmp"
        fill "$cloud/hdfs/core-site.xml" >"$run/hdfs/conf/core-site.xml"
        fill "$cloud/hdfs/hdfs-site.xml" >"$run/hdfs/conf/hdfs-site.xml"
        [ -d "$DATA/name/current" ] || "${node[@]}" org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive >"$run/hdfs/format.log" 2>&1 ||
                { tail -n 20 "$run/hdfs/format.log" >&2; die "HDFS can't be formatted"; }
        service hdfs "${node[@]}" org.apache.hadoop.hdfs.server.namenode.NameNode
        service hdfs-data "${node[@]}" org.apache.hadoop.hdfs.server.datanode.DataNode
}

hdfs_start_carrier()
{
        carrier to-hdfs hdfs
}

# A DataNode is there, and the NameNode knows all blocks again.
hdfs_live()
{
        local state
        state=$(http "http://127.0.0.1:$HDFS_HTTP_PORT/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState") &&
                [[ $state == *'"NumLiveDataNodes" : 1'* && $state == *'"FSState" : "Operational"'* ]]
}

hdfs_ready()
{
        await hdfs 120 hdfs_live
}

hdfs_stop()
{
        end to-hdfs 30
        end hdfs-data 20
        end hdfs 20
}

hdfs_read()
{
        HDFS_URL=$HDFS_URL HDFS_USER=$HDFS_USER "$cloud/hdfs/dump" "$@" "$HDFS_FOLDER/$SAMPLES_TOPIC"
}

hdfs_count()
{
        hdfs_read --count
}

# What carries; then both nodes under it, while it writes.
hdfs_crash()
{
        crash to-hdfs
        hdfs_start_carrier
        sleep 5
        crash hdfs-data
        crash hdfs
        sleep 5
        hdfs_start
        hdfs_ready
}

hdfs_dump()
{
        hdfs_read
}

hdfs_peak()
{
        echo "$(peak hdfs), $(peak hdfs-data) and $(peak to-hdfs)"
}

hdfs_look()
{
        cat <<END
  HDFS           hdfs://127.0.0.1:$HDFS_PORT, browse: http://127.0.0.1:$HDFS_HTTP_PORT/explorer.html#$HDFS_FOLDER/$SAMPLES_TOPIC
                 a file a minute:        HDFS_URL=$HDFS_URL $cloud/hdfs/dump $HDFS_FOLDER/$SAMPLES_TOPIC
END
}
