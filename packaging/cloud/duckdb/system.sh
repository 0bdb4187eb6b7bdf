# DuckDB over Parquet files that it writes itself: the column store that runs here. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

: "${DUCKDB_FOLDER:=$run/duckdb/data}"
duckdb_how=fields

duckdb_fetch()
{
        wheels duckdb
        duckdb_python=$wheels
}

duckdb_start()
{
        mkdir -p "$DUCKDB_FOLDER"
        pid_of duckdb >/dev/null || rm -f "$DUCKDB_FOLDER"/*/*.parquet.new
        service duckdb env PYTHONPATH="$duckdb_python" KAFKA_BROKERS="$KAFKA_BROKERS" SAMPLES_TOPIC="$SAMPLES_TOPIC" BACKFILL_TOPIC="$BACKFILL_TOPIC" \
                EVENTS_TOPIC="$EVENTS_TOPIC" "$cloud/duckdb/take" "$DUCKDB_FOLDER"
}

duckdb_ready()
{
        await duckdb 60 grep -q '^started' "$run/duckdb/log"
}

duckdb_stop()
{
        end duckdb 20
}

duckdb_ask()
{
        PYTHONPATH=$duckdb_python "$cloud/duckdb/ask" "$DUCKDB_FOLDER" "$@"
}

duckdb_count()
{
        duckdb_ask --count
}

duckdb_crash()
{
        crash duckdb
        duckdb_start
        duckdb_ready
}

# As it came: what is twice in Kafka is twice here, and must be alike. The view edge_samples has each once.
duckdb_dump()
{
        duckdb_ask --lines "SELECT * EXCLUDE (kafka_topic, kafka_partition, kafka_offset) FROM edge_samples_v1"
}

duckdb_peak()
{
        peak duckdb
}

duckdb_look()
{
        cat <<END
  DuckDB         $DUCKDB_FOLDER/*/*.parquet
                 some queries:           PYTHONPATH=$duckdb_python packaging/cloud/duckdb/ask $DUCKDB_FOLDER
END
}
